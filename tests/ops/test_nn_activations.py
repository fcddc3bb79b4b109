# SPDX-License-Identifier: Apache-2.0
"""Activations against NumPy and SciPy in float64, with gradients, dtypes and special values."""

import numpy as np
import pytest
from scipy import special

from nyala import ops
from nyala.engines import backend, current
from tests.ops.table import Row, checks, engines, fixed, normal

EDGES = [-1000.0, -30.0, -3.0, -1.0, -0.5, -0.0, 0.5, 1.0, 3.0, 6.0, 30.0, 1000.0, np.nan]
ENDS = [-np.inf, *EDGES, np.inf]
OFF_KINKS = fixed(np.linspace(-7.0, 7.0, 42).reshape(2, 3, 7) + 0.0123)


def clip_keeping_nan(x, low, high):
    return np.clip(x, low, high)


def sparsemax(x, axis=-1):
    """By bisection of the shift that makes the sum 1."""
    low, high = x.max(axis, keepdims=True) - 1.0, x.max(axis, keepdims=True)
    for _ in range(80):
        middle = (low + high) / 2
        over = np.maximum(x - middle, 0).sum(axis, keepdims=True) > 1
        low, high = np.where(over, middle, low), np.where(over, high, middle)
    return np.maximum(x - low, 0)


def glu(x, axis=-1):
    first, second = np.split(x, 2, axis)
    return first * special.expit(second)


ELEMENTWISE = [
    Row("relu", lambda x: np.where(np.isnan(x), x, np.maximum(x, 0)), [OFF_KINKS], takes="float integer", edges=ENDS),
    Row("relu6", lambda x: clip_keeping_nan(x, 0, 6), [OFF_KINKS], dtype="float", edges=ENDS),
    Row(
        "leaky_relu",
        lambda x, negative_slope=0.2: np.where(x < 0, negative_slope * x, x),
        [OFF_KINKS],
        [{}, {"negative_slope": 0.07}],
        dtype="float",
        edges=ENDS,
    ),
    Row("hard_sigmoid", lambda x: clip_keeping_nan(x / 6 + 0.5, 0, 1), [OFF_KINKS], dtype="float", edges=ENDS),
    Row("hard_silu", lambda x: x * clip_keeping_nan(x / 6 + 0.5, 0, 1), [OFF_KINKS], dtype="float", edges=ENDS),
    Row("hard_tanh", lambda x: clip_keeping_nan(x, -1, 1), [OFF_KINKS], takes="float integer", edges=ENDS),
    Row(
        "hard_shrink",
        lambda x, threshold=0.5: np.where(np.abs(x) > threshold, x, 0),
        [OFF_KINKS],
        [{}, {"threshold": 0.9}],
        dtype="float",
        edges=ENDS,
    ),
    Row(
        "soft_shrink",
        lambda x, threshold=0.5: np.sign(x) * np.nan_to_num(np.maximum(np.abs(x) - threshold, 0), posinf=np.inf),
        [OFF_KINKS],
        [{}, {"threshold": 0.9}],
        dtype="float",
        edges=[-np.inf, *EDGES[:-1], np.inf],
    ),
    Row("sparse_plus", lambda x: np.where(x <= -1, 0, np.where(x >= 1, x, (x + 1) ** 2 / 4)), [OFF_KINKS], dtype="float", edges=ENDS),
    Row("sparse_sigmoid", lambda x: clip_keeping_nan((x + 1) / 2, 0, 1), [OFF_KINKS], dtype="float", edges=ENDS),
    Row("threshold", lambda x, threshold, default_value: np.where(x > threshold, x, default_value), [OFF_KINKS, 0.4, -2.5], takes="float"),
    Row("sigmoid", special.expit, [normal(2, 3, 5)], dtype="float", edges=ENDS),
    Row("log_sigmoid", special.log_expit, [normal(2, 3, 5)], dtype="float", edges=ENDS),
    Row("softplus", lambda x: np.logaddexp(x, 0), [normal(2, 3, 5)], dtype="float", edges=ENDS),
    Row("squareplus", lambda x, b=4: (x + np.sqrt(x * x + b)) / 2, [normal(2, 3, 5)], [{}, {"b": 2}], dtype="float", edges=EDGES[2:], tolerance=2.0),
    Row("softsign", lambda x: x / (1 + np.abs(x)), [normal(2, 3, 5)], dtype="float", edges=EDGES),
    Row("tanh_shrink", lambda x: x - np.tanh(x), [normal(2, 3, 5)], dtype="float", edges=ENDS, tolerance=2.0),
    Row("silu", lambda x: x * special.expit(x), [normal(2, 3, 5)], dtype="float", edges=ENDS),
    Row(
        "gelu",
        lambda x, approximate=True: (
            0.5 * x * (1 + (np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)) if approximate else special.erf(x / np.sqrt(2))))
        ),
        [normal(2, 3, 5)],
        [{}, {"approximate": False}],
        dtype="float",
        edges=EDGES,
    ),
    Row(
        "elu",
        lambda x, alpha=1.0: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
        [OFF_KINKS],
        [{}, {"alpha": 0.3}],
        dtype="float",
        edges=ENDS,
    ),
    Row(
        "selu",
        lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))),
        [OFF_KINKS],
        dtype="float",
        edges=ENDS,
    ),
    Row(
        "celu",
        lambda x, alpha=1.0: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha)),
        [OFF_KINKS],
        [{}, {"alpha": 0.3}],
        dtype="float",
        edges=ENDS,
    ),
]

ALONG = [
    Row(
        "glu",
        glu,
        [normal(2, 6, 4)],
        [{}, {"axis": 1}],
        dtype="float",
        more=[([normal(3, 0)], {})],
        errors=[
            ([normal(2, 3)], {}, "glu needs an even size along axis 1, got shape (2, 3).\n  why: it multiplies one half by the sigmoid of the other")
        ],
    ),
    Row(
        "softmax",
        special.softmax,
        [normal(2, 3, 5, scale=3.0)],
        [{"axis": -1}, {"axis": 1}, {"axis": (0, 2)}, {"axis": None}],
        dtype="float",
        more=[([fixed(np.array([[1000.0, -1000.0, 999.0], [0.0, -0.0, 1.0]]))], {"axis": -1}), ([normal(0, 3)], {"axis": -1})],
        errors=[([normal(2, 3)], {"axis": 2}, "softmax(axis) needs an axis in [-2, 2), got 2.\n  why: the tensor has 2 axes")],
    ),
    Row(
        "log_softmax",
        special.log_softmax,
        [normal(2, 3, 5, scale=3.0)],
        [{"axis": -1}, {"axis": 1}, {"axis": (0, 2)}, {"axis": None}],
        dtype="float",
        more=[([fixed(np.array([[1000.0, -1000.0, 999.0], [0.0, -0.0, 1.0]]))], {"axis": -1})],
    ),
    Row(
        "sparsemax",
        sparsemax,
        [normal(2, 3, 5)],
        [{}, {"axis": 1}, {"axis": 0}],
        dtype="float",
        more=[([fixed(np.array([[500.0, -1.0, 500.0]]))], {})],
    ),
]

globals().update(checks([*ELEMENTWISE, *ALONG]))


def gradient(name, function, values):
    with backend(name):
        engine = current()
        total = lambda xs: (engine.sum(function(xs[0]), tuple(range(function(xs[0]).ndim)), False), None)  # noqa: E731
        return engine.to_numpy(engine.value_and_grad(total)([engine.asarray(np.asarray(values, "float32"))])[1][0])


differentiable = pytest.mark.parametrize("name", [name for name in engines() if name != "numpy"])


@differentiable
@pytest.mark.parametrize("op", [row.name for row in ELEMENTWISE if row.name != "threshold"])
def test_gradients_are_finite_far_out(name, op):
    assert np.isfinite(gradient(name, getattr(ops, op), [-1000.0, -100.0, -1.0, 0.0, 1.0, 100.0, 1000.0])).all()


@differentiable
@pytest.mark.parametrize(
    ("op", "slope"), [("relu", 0), ("relu6", 0), ("elu", 1), ("celu", 1), ("softplus", 0.5), ("leaky_relu", 1), ("silu", 0.5), ("gelu", 0.5)]
)
def test_slope_at_zero(name, op, slope):
    np.testing.assert_allclose(gradient(name, getattr(ops, op), [0.0]), [slope], rtol=1e-6)


@differentiable
def test_softmax_of_excluded_classes(name):
    """-inf gets probability 0 and no gradient; the others are as if it were not there."""
    x = [[-np.inf, 1.0, 2.0]]
    weigh = lambda x: ops.multiply(ops.softmax(x), [[5.0, 1.0, 3.0]])  # noqa: E731
    found = gradient(name, weigh, x)
    without = gradient(name, lambda x: ops.multiply(ops.softmax(x), [[1.0, 3.0]]), [[1.0, 2.0]])
    np.testing.assert_allclose(found, [[0.0, *without[0]]], atol=1e-6)


@pytest.mark.parametrize("name", engines())
def test_laws(name):
    x = np.random.default_rng(0).normal(size=(3, 5)).astype("float32") * 4
    with backend(name):
        to_numpy = ops.convert_to_numpy
        np.testing.assert_allclose(to_numpy(ops.softmax(x)).sum(-1), 1, rtol=1e-6)
        np.testing.assert_allclose(to_numpy(ops.sparsemax(x)).sum(-1), 1, rtol=1e-5)
        np.testing.assert_allclose(to_numpy(ops.softmax(x + 17.0)), to_numpy(ops.softmax(x)), rtol=2e-5)
        np.testing.assert_allclose(to_numpy(ops.softplus(x)) - to_numpy(ops.softplus(-x)), x, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(to_numpy(ops.sigmoid(x)) + to_numpy(ops.sigmoid(-x)), 1, rtol=1e-6)
        np.testing.assert_array_equal(to_numpy(ops.swish(x)), to_numpy(ops.silu(x)))
