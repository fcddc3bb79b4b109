# SPDX-License-Identifier: Apache-2.0
"""Programs that equal models share: which models are equal, and that sharing changes no number and keeps no model alive."""

import gc
import weakref

import numpy as np
import pytest

import nyala
from nyala import layers
from nyala.core import twins
from nyala.core.transforms import Program

RANDOM = np.random.default_rng(5)
X = RANDOM.normal(size=(70, 4)).astype("float32")
Z = RANDOM.normal(size=(32, 4)).astype("float32")
Y = RANDOM.integers(0, 3, 70)


@pytest.fixture(autouse=True)
def fresh():
    twins.forget()
    yield
    twins.forget()


def made(rate=0.2, units=5, activation="relu", trainable=True, regularizer=None, name=None):
    dense = layers.Dense(units, activation=activation, kernel_regularizer=regularizer, trainable=trainable, name=name)
    return nyala.Sequential([nyala.Input((4,)), layers.Dropout(rate), layers.BatchNormalization(), dense, layers.Dense(3)])


def compiled(optimizer="adam", loss=None, metrics=("accuracy",), model=None, **changes):
    model = made(**changes) if model is None else model
    model.compile(optimizer, loss or nyala.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=list(metrics))
    return model


def traces(model):
    """How many of its programs the engine had to trace."""
    programs = [program for program in model._programs.table.values() if isinstance(program, Program)]
    assert programs
    return sum(program.traces for program in programs)


def run(model, seed=3, **options):
    """History, evaluation, predictions and weights after a training with everything in it."""
    nyala.utils.set_random_seed(seed)
    for generator in {id(layer.seed_generator): layer.seed_generator for layer in model.layers if hasattr(layer, "seed_generator")}.values():
        generator.state.assign(np.array([seed, 0], "uint32"))
    history = model.fit(X, Y, epochs=3, batch_size=16, verbose=0, **options).history
    return history, model.evaluate(X, Y, verbose=0), model.predict(X, verbose=0), model.get_weights()


def test_a_rebuilt_model_is_traced_no_more_and_does_the_same():
    first = compiled()
    weights = first.get_weights()
    expected = run(first)
    assert traces(first) > 0
    second = compiled()
    second.set_weights(weights)
    found = run(second)
    assert traces(second) == 0
    assert found[:2] == expected[:2]
    np.testing.assert_array_equal(found[2], expected[2])
    for a, b in zip(found[3], expected[3], strict=True):
        np.testing.assert_array_equal(a, b)


def test_each_has_its_own_weights_and_optimizer_state():
    first = compiled()
    run(first)
    before, moments = first.get_weights(), [v.numpy() for v in first.optimizer.variables]
    second = compiled()
    run(second, seed=4)
    assert traces(second) == 0
    for a, b in zip(before, first.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, variable in zip(moments, first.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a, variable.numpy())
    assert any(not np.array_equal(a, b) for a, b in zip(before, second.get_weights(), strict=True))


def test_the_learning_rate_is_a_value_of_its_own():
    run(compiled(nyala.optimizers.SGD(0.5)))
    slow = compiled(nyala.optimizers.SGD(0.0))
    kernel = slow.layers[-1].kernel.numpy()
    run(slow)
    assert traces(slow) == 0
    np.testing.assert_array_equal(slow.layers[-1].kernel.numpy(), kernel)


class Same(layers.Layer):
    def call(self, x):
        return x


DIFFERENCES = {
    "dropout rate": lambda: compiled(rate=0.3),
    "units": lambda: compiled(units=6),
    "activation": lambda: compiled(activation="tanh"),
    "frozen layer": lambda: compiled(trainable=False),
    "regularizer": lambda: compiled(regularizer="l2"),
    "strength of the regularizer": lambda: compiled(regularizer=nyala.regularizers.L2(0.5)),
    "optimizer": lambda: compiled("sgd"),
    "momentum": lambda: compiled(nyala.optimizers.Adam(beta_1=0.8)),
    "clipping": lambda: compiled(nyala.optimizers.Adam(clipnorm=0.5)),
    "averages": lambda: compiled(nyala.optimizers.Adam(use_ema=True)),
    "schedule": lambda: compiled(nyala.optimizers.Adam(nyala.optimizers.schedules.ExponentialDecay(0.1, 5, 0.5))),
    "metric": lambda: compiled(metrics=["sparse_top_k_categorical_accuracy"]),
    "argument of a metric": lambda: compiled(metrics=[nyala.metrics.SparseTopKCategoricalAccuracy(k=2, name="accuracy")]),
    "loss": lambda: compiled(loss=nyala.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=1)),
    "function of the user's": lambda: compiled(loss=lambda y, p: nyala.losses.sparse_categorical_crossentropy(y, p, from_logits=True)),
    "activation of the user's": lambda: compiled(activation=lambda x: nyala.ops.relu(x)),
    "layer of the user's": lambda: compiled(model=nyala.Sequential([*made().layers, Same()])),
    "epsilon of the session": None,
}


@pytest.mark.parametrize("what", DIFFERENCES)
def test_models_that_differ_share_nothing(what):
    compiled().train_on_batch(X[:16], Y[:16])
    make = DIFFERENCES[what]
    before = nyala.config.epsilon()
    try:
        if make is None:
            nyala.config.set_epsilon(1e-3)
        other = (make or compiled)()
        other.train_on_batch(X[:16], Y[:16])
        assert traces(other) > 0
    finally:
        nyala.config.set_epsilon(before)


def test_functions_and_layers_of_users_are_traced_each_time():
    for make in (DIFFERENCES["layer of the user's"], DIFFERENCES["function of the user's"]):
        for _ in range(2):
            model = make()
            model.train_on_batch(X[:16], Y[:16])
            assert traces(model) > 0


def test_constants_are_compared():
    def scaled(mean):
        model = nyala.Sequential([nyala.Input((4,)), layers.Normalization(mean=mean, variance=[1.0, 2.0, 3.0, 4.0]), layers.Dense(2)])
        model.compile("sgd", "mse")
        return model.predict(X[:20], verbose=0), model

    expected = scaled([0.0, 1.0, 2.0, 3.0])[0]
    outputs, other = scaled([5.0, 1.0, 2.0, 3.0])
    assert traces(other) > 0
    assert not np.allclose(outputs, expected)


def test_logs_have_the_names_of_the_model_that_asks():
    for _ in range(2):  # names made up: one more each time
        model = compiled(metrics=[nyala.metrics.SparseCategoricalAccuracy()])
        assert set(run(model)[0]) == {"loss", model.metrics[-1].name}


def test_names_made_up_do_not_count_but_names_that_data_ask_for_do():
    nyala.Input((4,))  # makes up a name

    def two(order):
        inputs = {name: nyala.Input((4,), name=name) for name in order}
        left, right = inputs.values()
        model = nyala.Model(inputs=list(inputs.values()), outputs=layers.Dense(1, use_bias=False)(left) - 2.0 * right[:, :1])
        model.compile("sgd", "mse")
        return model

    data = {"input_layer_1001": X[:32], "input_layer_1002": Z}  # as names made up look
    first, second = two(["input_layer_1001", "input_layer_1002"]), two(["input_layer_1002", "input_layer_1001"])
    second.set_weights(first.get_weights())
    kernel = first.get_weights()[0]
    np.testing.assert_allclose(first.predict(data, verbose=0), X[:32] @ kernel - 2 * Z[:, :1], atol=1e-5)
    np.testing.assert_allclose(second.predict(data, verbose=0), Z @ kernel - 2 * X[:32, :1], atol=1e-5)


def test_an_optimizer_that_looks_at_names_makes_them_count():
    first, second = made(), made()
    for model in (first, second):
        compiled(nyala.optimizers.Muon(exclude_layers=[first.layers[-1].name]), model=model).train_on_batch(X[:16], Y[:16])
    assert traces(first) > 0
    assert traces(second) > 0


def test_no_model_is_kept_alive():
    model = compiled()
    run(model)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_what_is_kept_is_bounded():
    for units in range(2, 2 + twins.KEPT + 3):
        description = twins.Description(bytes([units]), [])
        twins.Trace().keep(description, [], [])
    assert len(twins._kept) == twins.KEPT
    assert twins.find(twins.Description(bytes([2]), [])) is None
    assert twins.find(description) is not None


def test_a_new_shape_is_traced_for_the_one_that_asks():
    first = compiled()
    run(first)
    second = compiled()
    run(second)
    second.fit(X[:50], Y[:50], batch_size=25, verbose=0)
    assert traces(second) > 0
    assert np.isfinite(second.evaluate(X, Y, verbose=0)[0])


def test_a_choice_of_deterministic_algorithms_lets_nothing_be_shared():
    run(compiled())
    nyala.utils.set_random_seed(1, deterministic=True)
    try:
        model = compiled()
        model.train_on_batch(X[:16], Y[:16])
        assert traces(model) > 0
    finally:
        nyala.utils.set_random_seed(1, deterministic=False)
