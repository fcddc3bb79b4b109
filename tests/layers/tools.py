# SPDX-License-Identifier: Apache-2.0
"""Small helpers of the tests of layers."""

import contextlib

import numpy as np
import pytest

from nyala import ops
from nyala.core.masks import get_mask


def array(x):
    """A tensor of the engine in force as a float64 (or bool) array."""
    x = ops.convert_to_numpy(x)
    return x if x.dtype == bool else x.astype("float64")


def close(x, expected, tolerance=1e-5):
    np.testing.assert_allclose(array(x), expected, rtol=tolerance, atol=tolerance)


def mask_of(x):
    """The mask that a tensor carries, as an array; None without one."""
    mask = get_mask(x)
    return None if mask is None else array(mask)


@contextlib.contextmanager
def raises(kind, text):
    """The block raises an error of this kind with exactly this text."""
    with pytest.raises(kind) as info:
        yield info
    assert str(info.value) == text


def normals(seed, *shapes):
    """Arrays of a normal distribution, for tables of cases."""
    random = np.random.default_rng(seed)
    arrays = [random.normal(size=shape).astype("float32") for shape in shapes]
    return arrays[0] if len(arrays) == 1 else arrays
