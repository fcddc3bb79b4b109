# SPDX-License-Identifier: Apache-2.0
"""Small models and data of the tests of training."""

import contextlib
import re
import warnings

import numpy as np
import pytest

import nyala
from nyala import layers


def numbers(*shape, seed=0):
    """float32 of a normal distribution."""
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


X = numbers(11, 3)
Y = (X[:, :1] * 2 - X[:, 1:2] + 0.5).astype("float32")
IDS = np.random.default_rng(1).integers(0, 5, 11)


def linear(units=1, activation=None, name="net", **kwargs):
    """One Dense layer named "out" on 3 features, with weights that do not depend on the seed."""
    model = nyala.Sequential([nyala.Input((3,)), layers.Dense(units, activation, name="out", **kwargs)], name=name)
    model.set_weights([numbers(3, units, seed=2), numbers(units, seed=3)])
    return model


def two_outputs():
    x = nyala.Input((3,))
    return nyala.Model(x, [layers.Dense(1, name="a")(x), layers.Dense(2, name="b")(x)])


@contextlib.contextmanager
def warned(pattern):
    """The block warns with this text, more often on a slow machine; what else it warns of does not count."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    texts = [str(warning.message) for warning in caught]
    assert any(re.search(pattern, text, re.DOTALL) for text in texts), texts


@contextlib.contextmanager
def raises(kind, text):
    """The block raises an error of this kind with exactly this text."""
    with pytest.raises(kind) as info:
        yield
    assert str(info.value) == text
