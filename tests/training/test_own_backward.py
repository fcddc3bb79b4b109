# SPDX-License-Identifier: Apache-2.0
"""Loops of one's own with loss.backward(), outside of fit, on the engine torch."""

import copy
import pickle
import re

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import nyala  # noqa: E402
from nyala import layers, losses, ops  # noqa: E402
from nyala.core.errors import StateError  # noqa: E402

RANDOM = np.random.default_rng(5)
X, Y = RANDOM.normal(size=(24, 5)).astype("float32"), RANDOM.integers(0, 3, size=24)


@pytest.fixture(autouse=True)
def on_torch():
    with nyala.backend("torch"):
        yield


def network(seed=1):
    """With dropout that is off, statistics that move, a frozen layer and a penalty on weights."""
    nyala.utils.set_random_seed(seed)
    frozen = layers.Dense(6, activation="tanh", trainable=False)
    penalized = layers.Dense(4, kernel_regularizer="l2")
    return nyala.Sequential([nyala.Input((5,)), frozen, penalized, layers.BatchNormalization(), layers.Dropout(0.0), layers.Dense(3)])


class Subclass(nyala.Model):
    def __init__(self):
        super().__init__()
        self.first, self.second = layers.Dense(4, activation="relu"), layers.Dense(3)

    def call(self, x):
        return self.second(self.first(x))


def batches():
    for start in range(0, len(X), 8):
        yield torch.tensor(X[start : start + 8]), torch.tensor(Y[start : start + 8])


def of_fit(model, optimizer, epochs=2):
    model.compile(optimizer, losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(X, Y, batch_size=8, epochs=epochs, shuffle=False, verbose=0)
    return model.get_weights()


def same(found, expected, rtol=2e-5):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=1e-6)


@pytest.mark.parametrize("make", [network, Subclass])
@pytest.mark.parametrize("no_grad", [True, False])
def test_a_loop_with_an_optimizer_of_ours_is_fit(make, no_grad):
    if make is Subclass:
        nyala.utils.set_random_seed(1)
    model, loss_fn, optimizer = make(), losses.SparseCategoricalCrossentropy(from_logits=True), nyala.optimizers.Adam(0.05, weight_decay=0.01)
    metric, mean = nyala.metrics.SparseCategoricalAccuracy(), nyala.metrics.Mean()
    for _ in range(2):
        metric.reset_state()
        for x, y in batches():
            logits = model(x, training=True) if make is network else model(x)
            loss = loss_fn(y, logits)
            if model.losses:
                loss = loss + sum(model.losses)
            model.zero_grad()
            weights = list(model.trainable_weights)
            loss.backward()
            gradients = [v.value.grad for v in weights]
            if no_grad:
                with torch.no_grad():
                    optimizer.apply(gradients, weights)
            else:
                optimizer.apply(gradients, weights)
            metric.update_state(y, logits)
            mean.update_state(loss)
    assert 0 <= float(metric.result()) <= 1 and float(mean.result()) > 0
    assert not any(v.stored().requires_grad for v in [*model.variables, *optimizer.variables, *metric.variables, *mean.variables])
    found = model.get_weights()
    nyala.utils.set_random_seed(1)
    same(found, of_fit(make(), nyala.optimizers.Adam(0.05, weight_decay=0.01)))


def test_a_loop_with_an_optimizer_of_torch():
    """Weights are updated in place; evaluate, predict and set_weights between the epochs see that, and are seen."""
    model, loss_fn = network(), torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
    model.compile(loss=losses.SparseCategoricalCrossentropy(from_logits=True))
    seen = []
    for _ in range(2):
        for x, y in batches():
            optimizer.zero_grad()
            loss = loss_fn(model(x, training=True), y) + sum(model.losses)
            loss.backward()
            optimizer.step()
        seen.append(model.evaluate(X, Y, verbose=0))
        np.testing.assert_allclose(model.predict(X, verbose=0), ops.convert_to_numpy(model(torch.tensor(X))), rtol=1e-5, atol=1e-6)
        model.set_weights(model.get_weights())
    assert seen[1] < seen[0]
    same(model.get_weights(), of_fit(network(), nyala.optimizers.SGD(0.1, momentum=0.5)), rtol=1e-4)


def test_gradients_gather_until_they_are_forgotten():
    layer = layers.Dense(2)
    layer.build((None, 5))

    def slopes(times):
        for _ in range(times):
            layer(torch.tensor(X)).sum().backward()
        return layer.kernel.value.grad.clone()

    once = slopes(1)
    np.testing.assert_allclose(once, np.repeat(X.sum(0)[:, None], 2, 1), rtol=1e-5)
    np.testing.assert_allclose(slopes(1), 2 * once, rtol=1e-5)
    layer.zero_grad()
    np.testing.assert_allclose(slopes(1), once, rtol=1e-5)
    assert layer.kernel.value is layer.kernel.value and layer.kernel.value.requires_grad


def test_fit_goes_on_from_a_loop_and_a_loop_from_fit():
    model = network()
    model.compile(nyala.optimizers.SGD(0.1), losses.SparseCategoricalCrossentropy(from_logits=True))
    native = torch.optim.SGD(model.parameters(), lr=0.1)

    def loop():
        for x, y in batches():
            native.zero_grad()
            (torch.nn.functional.cross_entropy(model(x, training=True), y) + sum(model.losses)).backward()
            native.step()

    loop()
    model.fit(X, Y, batch_size=8, epochs=6, shuffle=False, verbose=0)  # long enough to be recorded
    loop()
    other = network()
    same(model.get_weights(), of_fit(other, nyala.optimizers.SGD(0.1), epochs=8), rtol=2e-4)


def test_a_loss_that_another_function_computes():
    model = network()

    def loss_of(x, y):
        return losses.SparseCategoricalCrossentropy(from_logits=True)(y, model(x))

    loss = loss_of(torch.tensor(X), torch.tensor(Y))
    loss.backward()
    assert all(v.value.grad is not None for v in model.trainable_variables)


def test_elsewhere_calls_keep_no_graph():
    model = network()
    assert not model(X).requires_grad
    np.asarray(model(X))
    assert not model.weights[2].value.requires_grad


def test_frozen_weights_and_inputs():
    """Weights that are not trained have no gradient; inputs that ask for one get it."""
    model = network()
    x = torch.tensor(X, requires_grad=True)
    model(x).sum().backward()
    frozen = model.layers[0].kernel
    assert frozen.value.grad is None and x.grad.abs().sum() > 0
    assert model.layers[1].kernel.value.grad is not None


def test_copies_have_gradients_of_their_own():
    model = network()
    assert len(list(model.parameters())) == 6
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        weight, twin = model.trainable_variables[0], other.trainable_variables[0]
        before = weight.numpy()
        other(torch.tensor(X)).sum().backward()
        assert twin.value is not weight.value and twin.value.grad is not None and weight.value.grad is None
        twin.assign(twin + 1)
        np.testing.assert_array_equal(weight.value.detach(), before)


def test_layers_that_are_added_later():
    model = nyala.Sequential([layers.Dense(4)])
    model(torch.tensor(X)).sum().backward()
    model.add(layers.Dense(2))
    model(torch.tensor(X)).sum().backward()
    assert len(model.trainable_variables) == 4 and all(v.value.grad is not None for v in model.trainable_variables)


def test_parameters_by_name_and_on_other_engines():
    model = network()
    named = dict(model.named_parameters())
    assert list(named) == [v.path for v in model.trainable_variables]
    assert all(leaf is v.value and leaf.requires_grad for leaf, v in zip(named.values(), model.trainable_variables, strict=True))
    text = (
        f"parameters of {model.name!r} needs an engine with backward(), got the engine 'numpy'.\n"
        "  fix: call nyala.set_backend('torch') first, or take gradients by nyala.value_and_grad"
    )
    with nyala.backend("numpy"), pytest.raises(StateError, match=f"^{re.escape(text)}$"):
        model.parameters()


def test_mixed_precision_and_another_engine_between():
    model = nyala.Sequential([nyala.Input((5,)), layers.Dense(3, dtype="mixed_bfloat16")])
    native = torch.optim.SGD(model.parameters(), lr=0.5)
    model(torch.tensor(X)).float().pow(2).mean().backward()
    kernel = model.weights[0]
    assert kernel.value.grad.dtype == torch.float32
    expected = kernel.numpy() - 0.5 * kernel.value.grad.numpy()
    native.step()
    np.testing.assert_allclose(kernel.numpy(), expected, rtol=1e-6)
    with nyala.backend("numpy"):
        kernel.assign(kernel.numpy() + 1)
    leaf = kernel.value
    np.testing.assert_allclose(leaf.detach(), expected + 1, rtol=1e-6)
    assert leaf is next(model.parameters())
