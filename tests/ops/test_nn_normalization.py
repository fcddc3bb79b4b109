# SPDX-License-Identifier: Apache-2.0
"""Moments and normalizations against NumPy in float64, and what they leave invariant."""

import numpy as np
import pytest

from nyala import ops
from nyala.engines import backend
from tests.ops.table import Row, checks, engines, normal, uniform


def axes_of(axis, ndim):
    return tuple(range(ndim)) if axis is None else tuple(sorted(a % ndim for a in (axis if isinstance(axis, (tuple, list)) else (axis,))))


def moments(x, axes, keepdims=False):
    axes = axes_of(axes, x.ndim)
    return np.mean(x, axes, keepdims=keepdims), np.var(x, axes, keepdims=keepdims)


def along(w, x, axes):
    return w.reshape([n if i in axes else 1 for i, n in enumerate(x.shape)])


def batch_normalization(x, mean, variance, axis, offset=None, scale=None, epsilon=1e-3):
    axes = axes_of(axis, x.ndim)
    result = (x - along(mean, x, axes)) / np.sqrt(along(variance, x, axes) + epsilon)
    result = result if scale is None else result * along(scale, x, axes)
    return result if offset is None else result + along(offset, x, axes)


def layer_normalization(x, gamma=None, beta=None, axis=-1, epsilon=1e-7):
    axes = axes_of(axis, x.ndim)
    mean, variance = moments(x, axes, True)
    result = (x - mean) / np.sqrt(variance + epsilon)
    result = result if gamma is None else result * along(gamma, x, axes)
    return result if beta is None else result + along(beta, x, axes)


def rms_normalization(x, scale=None, axis=-1, epsilon=1e-7):
    axes = axes_of(axis, x.ndim)
    result = x / np.sqrt(np.mean(x * x, axes, keepdims=True) + epsilon)
    return result if scale is None else result * along(scale, x, axes)


def normalize(x, axis=-1, order=2, epsilon=1e-7):
    norm = np.sum(np.abs(x) ** order, axes_of(axis, x.ndim), keepdims=True) ** (1 / order)
    return x / np.maximum(norm, epsilon)


ROWS = [
    Row(
        "moments",
        moments,
        [normal(2, 3, 5, shift=4.0), (0, 1)],
        [{}, {"keepdims": True}],
        dtype="float",
        more=[([normal(2, 3, 5), -1], {}), ([normal(2, 3, 5), None], {}), ([normal(2, 3, 5), ()], {})],
        errors=[([normal(2, 3), 2], {}, "moments(axes) needs an axis in [-2, 2), got 2.\n  why: the tensor has 2 axes")],
    ),
    Row(
        "batch_normalization",
        batch_normalization,
        [normal(2, 3, 5), normal(5), uniform(5, low=0.5, high=2.0), -1, normal(5), normal(5)],
        [{}, {"epsilon": 0.1}],
        dtype="float",
        takes="float",
        more=[
            ([normal(2, 3, 5), normal(3), uniform(3, low=0.5, high=2.0), 1], {}),
            ([normal(2, 3, 5), normal(3), uniform(3, low=0.5, high=2.0), 1, None, normal(3)], {}),
        ],
        errors=[
            ([normal(2, 3, 5), normal(5), normal(5), 1], {}, "batch_normalization(mean) needs shape (3,), as x has along axis 1, got shape (5,).")
        ],
    ),
    Row(
        "layer_normalization",
        layer_normalization,
        [normal(2, 3, 5), normal(5), normal(5)],
        [{}, {"epsilon": 0.1}],
        dtype="float",
        takes="float",
        more=[
            ([normal(2, 3, 5)], {}),
            ([normal(2, 3, 5), normal(3, 5), None], {"axis": (1, 2)}),
            ([normal(2, 3, 5), normal(3, 5), None], {"axis": [-1, 1]}),
            ([normal(2, 7, 5), normal(7)], {"axis": 1}),
            ([normal(2, 3, 5)], {"axis": None}),
        ],
        errors=[
            ([normal(2, 3, 5), normal(3)], {}, "layer_normalization(gamma) needs shape (5,), as x has along axis 2, got shape (3,)."),
            ([normal(2, 3)], {"momentum": 1}, "layer_normalization needs arguments that it knows, got momentum."),
        ],
    ),
    Row(
        "rms_normalization",
        rms_normalization,
        [normal(2, 3, 5), normal(5)],
        [{}, {"epsilon": 0.1}],
        dtype="float",
        takes="float",
        more=[([normal(2, 3, 5)], {"axis": (0, 1)}), ([normal(2, 7, 5), normal(7)], {"axis": 1})],
    ),
    Row(
        "normalize",
        normalize,
        [normal(2, 3, 5)],
        [{}, {"axis": 1}, {"axis": (0, 2)}, {"axis": None}, {"order": 1}, {"order": 3}, {"order": 4, "axis": 0}, {"epsilon": 10.0}],
        dtype="float",
        errors=[([normal(2, 3)], {"order": np.inf}, "normalize(order) needs an integer from 1, got inf.")],
    ),
]

globals().update(checks(ROWS))


@pytest.mark.parametrize("name", engines())
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow_floats_do_not_overflow(name, dtype):
    """Squares of hundreds are beyond float16; its moments are not."""
    x = np.random.default_rng(0).normal(size=(3, 7)) * 500
    with backend(name):
        narrow = ops.cast(x, dtype)
        for op in (ops.layer_normalization, ops.rms_normalization, ops.normalize):
            result = op(narrow)
            assert ops.dtype(result) == dtype
            np.testing.assert_allclose(
                ops.convert_to_numpy(ops.cast(result, "float32")), ops.convert_to_numpy(op(ops.cast(narrow, "float32"))), atol=0.02
            )
        assert float(ops.moments(narrow, (0, 1))[1]) > 6e4


@pytest.mark.parametrize("name", engines())
def test_laws(name):
    x = np.random.default_rng(0).normal(size=(3, 7)).astype("float32")
    with backend(name):
        to_numpy = ops.convert_to_numpy
        result = to_numpy(ops.layer_normalization(x))
        np.testing.assert_allclose(to_numpy(ops.layer_normalization(x * 3 + 2)), result, atol=1e-5)
        np.testing.assert_allclose([result.mean(-1), result.std(-1)], [[0] * 3, [1] * 3], atol=1e-5)
        mean, variance = ops.moments(x, 0)
        np.testing.assert_allclose(to_numpy(ops.batch_normalization(x, mean, variance, -1, epsilon=0.0)).std(0), 1, rtol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(to_numpy(ops.normalize(x)), axis=-1), 1, rtol=1e-5)
        np.testing.assert_allclose(to_numpy(ops.normalize([[3e-10, 0.0], [0.0, 0.0]])), [[3e-3, 0.0], [0.0, 0.0]], rtol=1e-5)


@pytest.mark.parametrize("name", [name for name in engines() if name != "numpy"])
def test_normalize_of_zeros_has_a_finite_gradient(name):
    from nyala.engines import current

    with backend(name):
        for order in (1, 2, 3):
            loss = lambda xs, order=order: (ops.sum(ops.normalize(xs[0], order=order)), None)  # noqa: E731
            _, (gradient,) = current().value_and_grad(loss)([current().asarray(np.zeros((2, 3), "float32"))])
            assert np.isfinite(current().to_numpy(gradient)).all()
