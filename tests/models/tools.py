# SPDX-License-Identifier: Apache-2.0
"""Small helpers of the tests of models."""

import contextlib

import numpy as np
import pytest

from nyala import ops


def array(x):
    """A tensor as an array."""
    return ops.convert_to_numpy(x)


def close(x, expected, tolerance=1e-5):
    np.testing.assert_allclose(array(x).astype("float64"), expected, rtol=tolerance, atol=tolerance)


def dense(layer, x):
    """What a linear Dense gives, from its weights, in float64."""
    kernel, bias = (w.astype("float64") for w in layer.get_weights())
    return np.asarray(x, "float64") @ kernel + bias


def randomize(model, seed=3):
    """Weights that are all different."""
    random = np.random.default_rng(seed)
    model.set_weights([random.normal(size=w.shape).astype("float32") for w in model.weights])
    return model


@contextlib.contextmanager
def raises(kind, text):
    """The block raises an error of this kind with exactly this text."""
    with pytest.raises(kind) as info:
        yield info
    assert str(info.value) == text
