# SPDX-License-Identifier: Apache-2.0
"""Cross-entropies of probabilities whose logits are known: exact in training and evaluation, as written elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, log_softmax, softmax

import nyala
from nyala import layers, losses, ops
from nyala.core import logits

random = np.random.default_rng(3)
X = random.normal(size=(7, 5)).astype("float32")
IDS = np.array([0, 1, 2, 0, 1, 2, 0])
ONE_HOT = np.eye(3, dtype="float32")[IDS]
BITS = random.integers(0, 2, (7, 3)).astype("float32")


def network(activation, scale=1.0):
    model = nyala.Sequential([nyala.Input((5,)), layers.Dense(3, activation=activation)])
    kernel = np.random.default_rng(1).normal(size=(5, 3)) * scale
    model.set_weights([kernel, np.zeros(3)])
    return model, X.astype("float64") @ kernel


def exact(loss, z):
    if loss == "binary_crossentropy":
        return np.mean(np.maximum(z, 0) - z * BITS + np.log1p(np.exp(-np.abs(z))))
    return -np.mean(log_softmax(z, -1)[np.arange(7), IDS])


CASES = [
    ("sigmoid", "binary_crossentropy", BITS),
    ("softmax", "categorical_crossentropy", ONE_HOT),
    ("softmax", "sparse_categorical_crossentropy", IDS),
]


@pytest.mark.parametrize(("activation", "loss", "y"), CASES)
@pytest.mark.parametrize("scale", [1.0, 60.0])
def test_losses_are_exact_where_probabilities_saturate(activation, loss, y, scale, each_engine):
    model, z = network(activation, scale)
    model.compile(nyala.optimizers.SGD(0.0), loss)
    assert model.evaluate(X, y, verbose=0) == pytest.approx(exact(loss, z), rel=2e-5)
    assert model.fit(X, y, verbose=0).history["loss"][0] == pytest.approx(exact(loss, z), rel=2e-5)
    clipped = float(ops.mean(losses.get(loss)(y, model(X)))) if scale == 1.0 else None
    assert clipped is None or clipped == pytest.approx(exact(loss, z), rel=2e-5)


@pytest.mark.parametrize(("activation", "loss", "y"), CASES)
def test_gradients_do_not_vanish_where_probabilities_saturate(activation, loss, y, each_engine):
    model, z = network(activation, 60.0)
    model.compile(nyala.optimizers.SGD(1.0), loss)
    before = model.get_weights()[0]
    model.fit(X, y, verbose=0)
    p = expit(z) if activation == "sigmoid" else softmax(z, -1)
    expected = X.T @ (p - (BITS if activation == "sigmoid" else ONE_HOT)) / (7 * 3 if activation == "sigmoid" else 7)
    np.testing.assert_allclose(before - model.get_weights()[0], expected, atol=1e-4)


def test_probabilities_that_were_changed_are_taken_as_they_are(each_engine):
    inputs = nyala.Input((5,))
    p = layers.Dense(3, activation="softmax")(inputs)
    model = nyala.Model(inputs, layers.Lambda(lambda p: 0.5 * p + 0.5 / 3)(p))
    model.compile(nyala.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    expected = -np.mean(np.log(model.predict(X, verbose=0)[np.arange(7), IDS]))
    assert model.evaluate(X, IDS, verbose=0) == pytest.approx(expected, rel=1e-5)


def test_other_axes_and_other_functions_are_not_mixed_up(each_engine):
    z = ops.convert_to_tensor(random.normal(size=(2, 3, 5)).astype("float32"))
    with logits.remembered():
        along_1, last, single = ops.softmax(z, axis=1), ops.softmax(z), ops.sigmoid(z)
        assert logits.of(along_1, "softmax", 1) is z and logits.of(along_1, "softmax", 2) is None
        assert logits.of(last, "softmax", 2) is z and logits.of(last, "sigmoid") is None
        assert logits.of(single, "sigmoid") is z and logits.of(single, "softmax", 2) is None
        assert logits.of(last * 1.0, "softmax", 2) is None
    assert logits.of(last, "softmax", 2) is None
    outside = ops.softmax(z)
    with logits.remembered():
        assert logits.of(outside, "softmax", 2) is None


def test_notes_die_with_their_tensors(each_engine):
    z = ops.convert_to_tensor(random.normal(size=(2, 3)).astype("float32"))
    with logits.remembered():
        p = ops.softmax(z)
        assert len(logits.notes.table) == 1
        del p
        assert not logits.notes.table


def test_a_step_of_the_users_finds_them_too(each_engine):
    class Own(nyala.Sequential):
        def train_step(self, data):
            x, y = data
            loss, gradients = nyala.value_and_grad(lambda: self.compute_loss(x, y, self(x, training=True)), self.trainable_variables, False)()
            self.optimizer.apply(gradients, self.trainable_variables)
            return {"loss": loss}

    model, z = network("softmax", 60.0)
    own = Own(model.layers)
    own.compile(nyala.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    assert own.fit(X, IDS, verbose=0).history["loss"][0] == pytest.approx(exact("sparse", z), rel=2e-5)
