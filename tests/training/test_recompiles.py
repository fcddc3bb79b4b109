# SPDX-License-Identifier: Apache-2.0
"""The warning about steps that are compiled again and again: when it comes, how often, and whom it names."""

import warnings

import numpy as np
import pytest

import nyala
from nyala import layers

RANDOM = np.random.default_rng(5)


def model_of_sequences():
    model = nyala.Sequential([nyala.Input((None, 3)), layers.GlobalAveragePooling1D(), layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def batch(length, rows=4):
    return RANDOM.normal(size=(rows, length, 3)).astype("float32"), RANDOM.normal(size=(rows, 1)).astype("float32")


def caught(function):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        function()
    return [str(w.message) for w in found if "compiled" in str(w.message)]


def test_train_on_batch_of_many_lengths():
    model = model_of_sequences()
    assert caught(lambda: [model.train_on_batch(*batch(length)) for length in (5, 7, 11, 5, 7)]) == []
    assert caught(lambda: model.train_on_batch(*batch(13))) == [
        "the train step was compiled 4 times: x has axis 1 of size 5, 7, 11, 13. A compiled program has fixed shapes, and each new one takes "
        "time; pad to a few lengths (nyala.utils.pad_sequences), use batches of equal size, or pass run_eagerly=True to compile"
    ]
    assert caught(lambda: [model.train_on_batch(*batch(length)) for length in (17, 19)]) == []  # once is enough


def test_a_generator_of_odd_batches():
    model = model_of_sequences()
    found = caught(lambda: model.fit((batch(5, rows) for rows in (2, 3, 4, 5)), steps_per_epoch=4, verbose=0))
    assert len(found) == 1 and "x has axis 0 of size 2, 3, 4, 5" in found[0]


def test_predict_blames_lengths_but_not_rows():
    model = model_of_sequences()
    assert caught(lambda: [model.predict(batch(5, rows)[0]) for rows in range(1, 33)]) == []

    class Own(nyala.Model):
        def call(self, x):
            return x * 2.0

    own = Own()
    found = caught(lambda: [own.predict(batch(5, rows)[0]) for rows in (2, 3, 5, 7)])
    assert len(found) == 1 and found[0].startswith("the predict step was compiled 4 times: x has axis 0 of size 2, 3, 5, 7.")


def test_other_reasons_to_compile_are_none_of_its_business():
    model = model_of_sequences()
    x, y = batch(5, 37)

    def whole_life():
        for size in (4, 8, 16, 32):
            model.fit(x, y, batch_size=size, verbose=0)
            model.evaluate(x, y, batch_size=size, verbose=0)

    assert caught(whole_life) == []


@pytest.mark.parametrize("engine", ["torch"])
def test_engines_that_compile_nothing_say_nothing(engine):
    with nyala.backend(engine):
        model = model_of_sequences()
        assert caught(lambda: [model.train_on_batch(*batch(length)) for length in (5, 7, 11, 13, 17)]) == []
