# SPDX-License-Identifier: Apache-2.0
"""Steps written for one engine of Keras, and weights that no gradient reaches: who runs, and who is told why not."""

import contextlib
import warnings

import numpy as np
import pytest

import nyala
from nyala import layers, ops
from nyala.core.errors import ArgumentError, ArgumentTypeError
from nyala.testing import installed_engines
from tests.training.tools import X, Y, raises

ON_JAX = pytest.mark.skipif("jax" not in [engine.name for engine in installed_engines()], reason="needs JAX")
FIX = "write it once for all engines: (loss, aux), gradients = nyala.value_and_grad(loss_fn, self.trainable_variables)(), "
FIX += "then self.optimizer.apply"


class Pure(nyala.Model):
    """As in programs for Keras on JAX: every step takes the state and returns it."""

    def loss_and_updates(self, trainable, other, x, y):
        y_pred, other = self.stateless_call(trainable, other, x, training=True)
        return self.compute_loss(x, y, y_pred), (y_pred, other)

    def measured(self, values, loss, y, y_pred):
        new, logs = [], {}
        for metric in self.metrics:
            mine = values[len(new) : len(new) + len(metric.variables)]
            given = (loss,) if metric.name == "loss" else (y, y_pred)
            mine = metric.stateless_update_state(mine, *given)
            logs[metric.name] = metric.stateless_result(mine)
            new += mine
        return logs, new

    def train_step(self, state, data):
        import jax

        (trainable, other, slots, measures), (x, y) = state, data
        differentiate = jax.value_and_grad(self.loss_and_updates, has_aux=True)
        (loss, (y_pred, other)), gradients = differentiate(trainable, other, x, y)
        trainable, slots = self.optimizer.stateless_apply(slots, gradients, trainable)
        logs, measures = self.measured(measures, loss, y, y_pred)
        return logs, (trainable, other, slots, measures)

    def test_step(self, state, data):
        (trainable, other, measures), (x, y) = state, data
        y_pred, other = self.stateless_call(trainable, other, x, training=False)
        logs, measures = self.measured(measures, self.compute_loss(x, y, y_pred), y, y_pred)
        return logs, (trainable, other, measures)

    def predict_step(self, state, data):
        trainable, other = state
        return self.stateless_call(trainable, other, data, training=False)


def network(kind):
    """Everything that has a state: a seed, moving averages, moments of the optimizer."""
    nyala.utils.set_random_seed(3)
    x = nyala.Input((3,))
    hidden = layers.BatchNormalization()(layers.Dropout(0.3)(layers.Dense(5, activation="tanh")(x)))
    model = kind(x, layers.Dense(1)(hidden))
    model.compile(nyala.optimizers.Adam(0.05), "mse", metrics=["mae"])
    return model


@ON_JAX
def test_pure_steps_do_what_the_others_do():
    with nyala.backend("jax"):
        plain, pure = network(nyala.Model), network(Pure)
        pure.set_weights(plain.get_weights())
        histories = [model.fit(X, Y, batch_size=11, epochs=3, validation_data=(X, Y), shuffle=False, verbose=0).history for model in (plain, pure)]
        assert histories[0].keys() == histories[1].keys()
        for name, values in histories[0].items():
            np.testing.assert_allclose(histories[1][name], values, rtol=1e-5, err_msg=name)
        for a, b in zip(plain.get_weights(), pure.get_weights(), strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(pure.predict(X), plain.predict(X), rtol=1e-4, atol=1e-5)
        assert int(pure.optimizer.iterations) == 3
        logs = pure.train_on_batch(X, Y, return_dict=True)
        assert list(logs) == ["loss", "mae"]


def test_pure_steps_without_any_array_library(each_engine):
    class Halving(nyala.Sequential):
        def train_step(self, state, data):
            trainable, *rest = state
            return {"size": ops.sum(ops.abs(trainable[0]))}, ([value / 2 for value in trainable], *rest)

    model = Halving([nyala.Input((3,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    kernel = model.get_weights()[0]
    history = model.fit(X, Y, batch_size=11, epochs=2, verbose=0).history
    np.testing.assert_allclose(model.get_weights()[0], kernel / 4, rtol=1e-6)
    np.testing.assert_allclose(history["size"], [np.abs(kernel).sum(), np.abs(kernel).sum() / 2], rtol=1e-5)
    assert list(history) == ["size"]


WRONG = {
    "no state": (lambda state: {}, ArgumentTypeError, "train_step(state, data) needs a pair of logs and new state as its result, got dict."),
    "a part is missing": (
        lambda state: ({}, state[:3]),
        ArgumentError,
        "train_step(state, data) needs as many parts of the state back as it got, 4, got 3.",
    ),
    "a value is missing": (
        lambda state: ({}, (state[0][:1], *state[1:])),
        ArgumentError,
        "train_step(state, data) needs as many values in a part of the state back as it got, 2, got 1.",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_pure_step_that_does_not_return_its_state(name, eager):
    answer, kind, text = WRONG[name]

    class Wrong(nyala.Sequential):
        def train_step(self, state, data):
            return answer(state)

    model = Wrong([nyala.Input((3,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    with raises(kind, text):
        model.fit(X, Y, verbose=0)


class Tape(nyala.Sequential):
    def train_step(self, data):
        import tensorflow_that_is_not_here as tf

        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"loss": loss}


class Backward(nyala.Sequential):
    def train_step(self, data):
        x, y = data

        def loss():
            return self.compute_loss(x, y, self(x, training=True))

        loss().backward()
        return {"loss": loss()}


def test_steps_of_other_engines_are_told_the_way_out(each_engine):
    for kind, what, first, engine in (
        (Tape, "a tf.GradientTape", "it raised ModuleNotFoundError: No module named 'tensorflow_that_is_not_here'", "tensorflow"),
        (Backward, "loss.backward()", "it raised ", "torch"),
    ):
        model = kind([nyala.Input((3,)), layers.Dense(1)], name="net")
        model.compile("sgd", "mse")
        if each_engine == engine:
            with contextlib.suppress(ModuleNotFoundError):  # its own error, as it is
                model.fit(X, Y, verbose=0)
            continue
        with pytest.raises(ArgumentTypeError) as info:
            model.fit(X, Y, verbose=0)
        text = str(info.value)
        start = f"train_step of {kind.__name__} 'net' needs gradients that the engine in force can take, got {what} with {each_engine!r}.\n  why: "
        assert text.startswith(start + first)
        assert text.endswith(f"\n  fix: call nyala.set_backend({engine!r}) first, or {FIX}")
        assert isinstance(info.value.__cause__, Exception)


class BackwardOfKeras(nyala.Sequential):
    """As steps are written for Keras on PyTorch."""

    def train_step(self, data):
        import torch

        x, y = data
        self.zero_grad()
        y_pred = self(x, training=True)
        loss = self.compute_loss(y=y, y_pred=y_pred)
        loss.backward()
        weights = list(self.trainable_weights)
        gradients = [v.value.grad for v in weights]
        with torch.no_grad():
            self.optimizer.apply(gradients, weights)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss, sample_weight=len(x))
            else:
                metric.update_state(y, y_pred)
        return {metric.name: metric.result() for metric in self.metrics}


def test_a_step_with_backward_is_the_step_of_fit():
    pytest.importorskip("torch")
    found = []
    with nyala.backend("torch"):
        for kind in (nyala.Sequential, BackwardOfKeras):
            nyala.utils.set_random_seed(6)
            model = kind([nyala.Input((3,)), layers.Dense(4, activation="tanh"), layers.BatchNormalization(), layers.Dropout(0.3), layers.Dense(1)])
            model.compile("adam", "mse", metrics=["mae"])
            history = model.fit(X, Y, batch_size=5, epochs=4, shuffle=False, verbose=0).history
            found.append((history, model.get_weights()))
            assert not any(v.value.requires_grad for v in model.variables)
    for name, values in found[0][0].items():
        np.testing.assert_allclose(found[1][0][name], values, rtol=1e-5)
    for a, b in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_other_errors_of_steps_stay_as_they_are(eager):
    class Broken(nyala.Sequential):
        def train_step(self, data):
            raise KeyError("mine")

    model = Broken([nyala.Input((3,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(KeyError, match="mine"):
        model.fit(X, Y, verbose=0)


# Weights without a gradient -----------------------------------------------------------------------------------------------------------------


def said(model, **kwargs):
    """The warnings of one fit."""
    model.compile("sgd", "mse", **kwargs)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, Y, verbose=0)
        model.fit(X, Y, verbose=0)
    return [str(warning.message) for warning in caught]


def between(cut):
    x = nyala.Input((3,))
    middle = layers.Lambda(cut)(layers.Dense(4, name="below")(x))
    return nyala.Model(x, layers.Dense(1, name="above")(middle))


CUTS = {
    "stop_gradient": ops.stop_gradient,
    "argmax": lambda t: ops.cast(ops.argmax(t, -1, keepdims=True), "float32"),
    "round": ops.round,
    "greater": lambda t: ops.cast(t > 0.0, "float32"),
    "cast": lambda t: ops.cast(ops.cast(t, "int32"), "float32"),
}


@pytest.mark.parametrize("op", CUTS)
def test_weights_that_are_cut_off_are_named_once(op, eager):
    text = (
        "2 trainable weights get no gradient, since an op without a derivative stands between them and the loss: "
        f"below/kernel (cut at {op}), below/bias (cut at {op}). Remove it, or set trainable = False on their layers"
    )
    model = between(CUTS[op])
    start = model.get_weights()
    assert said(model) == [text]
    np.testing.assert_array_equal(model.get_weights()[0], start[0])
    model.get_layer("below").trainable = False
    assert said(model) == []


def straight_through(x):
    return x + ops.stop_gradient(ops.round(x) - x)


@nyala.ops.custom_gradient
def rounded(x):
    return ops.round(x), lambda *args, upstream=None: upstream if upstream is not None else args[0]


def penalty(x):
    """A gradient inside the model, by which the loss reaches what is below it."""
    return ops.sum(ops.square(x), -1, keepdims=True)


WHOLE = {
    "straight through": lambda: between(straight_through),
    "a gradient of one's own": lambda: between(rounded),
    "a scan": lambda: nyala.Sequential([nyala.Input((3,)), layers.Reshape((3, 1)), layers.LSTM(2), layers.Dense(1)]),
    "attention and norms": lambda: nyala.Sequential(
        [nyala.Input((3,)), layers.Reshape((3, 1)), layers.Dense(4), layers.LayerNormalization(), layers.Flatten(), layers.Dense(1)]
    ),
    "Python operators": lambda: between(lambda t: (2.0 - t)[:, :2] * t[:, 2:] / 3.0),
    "a penalty alone": lambda: nyala.Sequential(
        [nyala.Input((3,)), layers.Dense(1, kernel_regularizer="l2", use_bias=False), layers.Lambda(ops.stop_gradient)]
    ),
    "spectral normalization": lambda: nyala.Sequential([nyala.Input((3,)), layers.SpectralNormalization(layers.Dense(4)), layers.Dense(1)]),
}


@pytest.mark.parametrize("name", WHOLE)
def test_weights_with_a_gradient_are_left_alone(name, eager):
    assert said(WHOLE[name]()) == []


def test_nothing_is_said_of_an_unused_layer_twice(eager):
    class Half(nyala.Model):
        def __init__(self):
            super().__init__()
            self.used, self.unused = layers.Dense(1), layers.Dense(1, name="unused")
            self.unused.build((None, 3))

        def call(self, x):
            return self.used(x)

    (text,) = said(Half())
    assert text.startswith("the loss does not depend on 2 trainable weights: ")


def test_a_step_is_not_run_more_often_for_it(eager):
    calls = []

    class Counting(layers.Layer):
        def call(self, x):
            calls.append(1)
            return x

    model = nyala.Sequential([nyala.Input((3,)), Counting(), layers.Dense(1)])
    model.compile("sgd", "mse")
    calls.clear()
    model.fit(X, Y, batch_size=11, epochs=3, verbose=0)
    assert len(calls) == 4  # once on shapes, then once a step
