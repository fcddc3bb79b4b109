# SPDX-License-Identifier: Apache-2.0
"""One seed, any engine: first weights equal to the bit, equal shuffles, dropout masks and losses; and models that move between engines."""

import numpy as np
import pytest

import nyala
from nyala import layers
from nyala.testing import installed_engines
from tests.training.conftest import TRAIN
from tests.training.tools import numbers

OTHERS = [name for name in TRAIN if name != TRAIN[0]]


def dense():
    model = nyala.Sequential(
        [layers.Dense(7, activation="tanh"), layers.BatchNormalization(), layers.Dropout(0.3), layers.Dense(3, activation="softmax")]
    )
    return model, numbers(35, 5), np.random.default_rng(1).integers(0, 3, 35), "sparse_categorical_crossentropy"


def convolution():
    model = nyala.Sequential(
        [nyala.Input((7, 5, 1)), layers.Conv2D(3, 3, padding="same", activation="relu"), layers.MaxPooling2D(2), layers.Flatten(), layers.Dense(2)]
    )
    return model, numbers(35, 7, 5, 1), numbers(35, 2, seed=1), "mse"


def recurrent():
    model = nyala.Sequential([layers.Embedding(11, 5), layers.LSTM(3), layers.Dense(1, activation="sigmoid")])
    return model, np.random.default_rng(2).integers(0, 11, (35, 7)), numbers(35, 1, seed=3) > 0, "binary_crossentropy"


def run(engine, make, epochs=10):
    """First weights, 50 losses and predictions."""
    with nyala.backend(engine):
        nyala.utils.set_random_seed(7)
        model, x, y, loss = make()
        model.compile(nyala.optimizers.Adam(0.01), loss)
        model.predict(x[:1])
        start = model.get_weights()
        losses = []
        model.fit(
            x,
            y,
            batch_size=7,
            epochs=epochs,
            verbose=0,
            callbacks=[nyala.callbacks.LambdaCallback(on_train_batch_end=lambda i, logs: losses.append(logs["loss"]))],
        )
        return model, x, start, losses, model.predict(x)


@pytest.mark.parametrize("make", [dense, convolution, recurrent])
def test_every_engine_says_the_same(make):
    model, x, start, losses, prediction = run(TRAIN[0], make)
    assert len(losses) == 50
    assert losses[-1] < losses[0]
    for name in OTHERS:
        _, _, other_start, other_losses, other_prediction = run(name, make)
        for a, b in zip(start, other_start, strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(other_losses, losses, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(other_prediction, prediction, rtol=1e-3, atol=1e-4)
    for engine in installed_engines():
        with nyala.backend(engine.name):
            np.testing.assert_allclose(model.predict(x), prediction, rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(not OTHERS, reason="needs two engines that train")
def test_a_model_goes_on_on_another_engine():
    def halves(first, second):
        with nyala.backend(first):
            nyala.utils.set_random_seed(7)
            model, x, y, loss = dense()
            model.compile(nyala.optimizers.Adam(0.01), loss, metrics=["accuracy"])
            begun = model.fit(x, y, batch_size=7, epochs=2, verbose=0).history
        with nyala.backend(second):
            gone_on = model.fit(x, y, batch_size=7, epochs=2, verbose=0).history
        return np.array([begun["loss"] + gone_on["loss"], begun["accuracy"] + gone_on["accuracy"]])

    stayed = halves(TRAIN[0], TRAIN[0])
    for name in OTHERS:
        np.testing.assert_allclose(halves(TRAIN[0], name), stayed, rtol=1e-4)
        np.testing.assert_allclose(halves(name, TRAIN[0]), stayed, rtol=1e-4)
