# SPDX-License-Identifier: Apache-2.0
"""Losses and metrics that read symbolic tensors of the model around them, as in the variational autoencoders of Keras 1 and 2."""

from __future__ import annotations

import numpy as np
import pytest

import nyala
from nyala import layers, ops
from nyala.core.errors import ArgumentError

SIZE = 5


def parts():
    """An autoencoder with a middle that its loss looks at."""
    nyala.utils.set_random_seed(3)
    x = nyala.Input((SIZE,))
    mean, spread = layers.Dense(2, name="mean")(x), layers.Dense(2, name="spread")(x)
    return x, mean, spread, layers.Dense(SIZE)(mean + 0.5 * spread)


def direct(x, mean, spread, out):
    def loss(y_true, y_pred):
        return ops.mean((y_true - y_pred) ** 2, axis=-1) + ops.sum(mean**2 + ops.exp(spread), axis=-1)

    return loss


def by_helper(x, mean, spread, out):
    def apart():
        return sum(ops.sum(part, axis=-1) for part in [mean**2, ops.exp(spread)])

    return lambda y_true, y_pred: ops.mean((y_true - y_pred) ** 2, axis=-1) + apart()


def by_method(x, mean, spread, out):
    class Losses:
        def __init__(self):
            self.mean, self.spread = mean, spread

        def total(self, y_true, y_pred):
            return ops.mean((y_true - y_pred) ** 2, axis=-1) + ops.sum(self.mean**2 + ops.exp(self.spread), axis=-1)

    return Losses().total


def computed_before(x, mean, spread, out):
    divergence = ops.sum(mean**2 + ops.exp(spread), axis=-1)
    return lambda y_true, y_pred: ops.mean((y_true - y_pred) ** 2, axis=-1) + divergence


@pytest.mark.parametrize("make", [direct, by_helper, by_method, computed_before])
def test_a_loss_reads_tensors_of_the_model(installed, make):
    ends = parts()
    model = nyala.Model(ends[0], ends[3])
    encoder = nyala.Model(ends[0], [ends[1], ends[2]])
    model.compile("sgd", make(*ends))
    data = np.random.default_rng(1).normal(size=(7, SIZE)).astype("float32")
    mean, spread = encoder.predict(data, verbose=0)
    expected = ((data - model.predict(data, verbose=0)) ** 2).mean(-1) + (mean**2 + np.exp(spread)).sum(-1)
    assert model.evaluate(data, data, verbose=0) == pytest.approx(expected.mean(), rel=1e-5)
    history = model.fit(data, data, batch_size=3, epochs=5, verbose=0).history["loss"]
    assert history[-1] < history[0]
    assert np.abs(encoder.predict(data, verbose=0)[1] - spread).max() > 1e-3  # a gradient gets there


def test_an_input_that_only_the_loss_reads(installed):
    """Weights of samples as an input of their own, and the same tensor in a metric."""
    x, weights = nyala.Input((SIZE,)), nyala.Input((1,))
    out = layers.Dense(1, kernel_initializer="ones")(x)
    model = nyala.Model([x, weights], out)

    def weighted(factor):
        def loss(y_true, y_pred):
            return ops.mean(factor * (y_true - y_pred) ** 2)

        return loss

    def share(y_true, y_pred):
        return ops.mean(weights)

    model.compile("sgd", weighted(weights), metrics=[share])
    rng = np.random.default_rng(2)
    a, w, y = rng.normal(size=(7, SIZE)), rng.random((7, 1)), rng.normal(size=(7, 1))
    loss, mean = model.evaluate([a, w], y, verbose=0)
    assert (loss, mean) == pytest.approx(((w * (y - a.sum(-1, keepdims=True)) ** 2).mean(), w.mean()), rel=1e-5)


def test_only_what_is_read_counts(installed):
    """Attributes and local names that are called like a symbolic tensor are none of it."""
    x, _, _, out = parts()
    stranger = nyala.Input((3,))
    space = {"__name__": "program", "shape": stranger, "ops": ops}
    exec("def loss(y_true, y_pred):\n    return ops.sum(y_true - y_pred) / y_pred.shape[0]", space)
    model = nyala.Model(x, out)
    model.compile("sgd", space["loss"])
    assert type(model.graph).__name__ == "Graph"


def test_another_kind_of_model_is_refused(installed):
    x = nyala.Input((SIZE,))
    model = nyala.Sequential([layers.Dense(SIZE)])
    message = (
        r"compile\(loss\) needs a functional model, in which they can be found, got Sequential and a loss that reads symbolic tensors.\n"
        r"  fix: Model\(inputs, outputs\)"
    )
    with pytest.raises(ArgumentError, match=message):
        model.compile("sgd", lambda y_true, y_pred: ops.mean(x) + ops.mean(y_pred))
