# SPDX-License-Identifier: Apache-2.0
"""Reductions and running sums, with and without nan; quantiles; differences."""

import warnings

import numpy as np
import pytest
import scipy.special

from nyala import ops
from nyala.engines import backend, current
from tests.ops.table import Row, bools, checks, different, engines, fixed, host, normal, uniform

AXES = [{}, {"axis": 1}, {"axis": -1, "keepdims": True}, {"axis": (0, -1)}, {"axis": (2, 0, 1), "keepdims": True}]
ONE_AXIS = [{}, {"axis": 1}, {"axis": -1, "keepdims": True}, {"keepdims": True}]
RUNNING = [{}, {"axis": 0}, {"axis": -1}]
NO_AXIS = ([normal(2, 3, 5)], {"axis": 3}, "axis needs an axis in [-3, 3), got 3.\n  why: the tensor has 3 axes")
TWICE = ([normal(2, 3, 5)], {"axis": (1, -2)}, "axis needs axes that differ, got (1, -2).")
NOTHING = "needs at least one element to choose from, got shape (0, 3) along axes (0,)."
X, EMPTY = [normal(2, 3, 5)], fixed(np.zeros((0, 3)))
HOLES = fixed(np.array([[[np.nan, 1.0, 4.0], [2.5, np.nan, np.nan]], [[np.nan, np.nan, np.nan], [-3.0, 0.5, 2.0]]]))
NAN_AXES = [{}, {"axis": 1}, {"axis": -1, "keepdims": True}, {"axis": (0, -1)}]


def quiet(function):
    def silent(*args, **kwargs):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*args, **kwargs)

    return silent


def logsumexp(x, axis=None, keepdims=False):
    return scipy.special.logsumexp(x, axis=axis, keepdims=keepdims)


def nan_position(function, worst):
    def position(x, axis=None, keepdims=False):
        found = function(np.where(np.isnan(x), worst, x), axis=axis, keepdims=keepdims)
        return np.where(np.all(np.isnan(x), axis=axis, keepdims=keepdims), -1, found).astype(np.int32)

    return position


def largest(x, axis=None, keepdims=False, initial=None):
    return np.max(x, axis=axis, keepdims=keepdims, **({} if initial is None else {"initial": initial}))


def smallest(x, axis=None, keepdims=False, initial=None):
    return np.min(x, axis=axis, keepdims=keepdims, **({} if initial is None else {"initial": initial}))


def count(x, axis=None):
    return np.sum(x != 0, axis=axis).astype(np.int32)


ROWS = [
    Row("sum", np.sum, X, AXES, more=[([EMPTY], {"axis": 0})], dtype="sum", takes="float integer bool", errors=[NO_AXIS, TWICE]),
    Row(
        "prod",
        lambda x, axis=None, keepdims=False: np.prod(x, axis=axis, keepdims=keepdims),
        X,
        AXES,
        more=[([EMPTY], {"axis": 0})],
        dtype="sum",
        takes="integer bool",
    ),
    Row(
        "mean",
        quiet(np.mean),
        X,
        AXES,
        more=[([EMPTY], {"axis": 0}), ([EMPTY], {"axis": 1})],
        dtype="float",
        takes="float integer bool",
        errors=[NO_AXIS],
        tolerance=2,
    ),
    Row("var", quiet(np.var), X, AXES, more=[([EMPTY], {"axis": 0})], dtype="float", takes="float integer bool"),
    Row("std", quiet(np.std), X, AXES, more=[([EMPTY], {"axis": 0})], dtype="float", takes="float integer bool"),
    Row(
        "max",
        largest,
        [different(2, 3, 5)],
        [*AXES, {"axis": 1, "initial": 0.5}],
        more=[([EMPTY], {"axis": 0, "initial": 2.0})],
        takes="float integer bool",
        errors=[([EMPTY], {"axis": 0}, f"max {NOTHING}\n  fix: pass initial=..., what the max of nothing should be"), NO_AXIS],
    ),
    Row(
        "min",
        smallest,
        [different(2, 3, 5)],
        [*AXES, {"axis": 1, "initial": 0.5}],
        more=[([EMPTY], {"axis": 0, "initial": 2.0, "keepdims": True})],
        takes="float integer bool",
        errors=[([EMPTY], {"axis": 0}, f"min {NOTHING}\n  fix: pass initial=..., what the min of nothing should be")],
    ),
    Row("amax", np.max, [different(2, 3, 5)], AXES, edges=[1.0, np.nan, np.inf]),
    Row("amin", np.min, [different(2, 3, 5)], AXES, edges=[1.0, np.nan, -np.inf]),
    Row("ptp", np.ptp, [different(2, 3, 5)], AXES),
    Row("any", np.any, [bools(2, 3, 5)], AXES, more=[([EMPTY], {"axis": 0})], dtype="bool"),
    Row("all", np.all, [bools(2, 3, 5)], AXES, more=[([EMPTY], {"axis": 0})], dtype="bool"),
    Row("count_nonzero", count, [bools(2, 3, 5)], [{}, {"axis": 1}, {"axis": (0, -1)}], dtype="int32"),
    Row(
        "argmax",
        lambda *a, **k: np.argmax(*a, **k).astype(np.int32),
        [different(2, 3, 5)],
        ONE_AXIS,
        dtype="int32",
        edges=[1.0, 3.0, 3.0, -1.0],
        takes="float integer bool",
    ),
    Row(
        "argmin",
        lambda *a, **k: np.argmin(*a, **k).astype(np.int32),
        [different(2, 3, 5)],
        ONE_AXIS,
        dtype="int32",
        edges=[1.0, -3.0, -3.0],
        takes="float integer bool",
        errors=[([EMPTY], {"axis": 0}, "argmin needs at least one element to choose from, got shape (0, 3).")],
    ),
    Row("cumsum", lambda x, axis=None: np.cumsum(x, axis=axis), X, RUNNING),
    Row("cumprod", lambda x, axis=None: np.cumprod(x, axis=axis), X, RUNNING, takes=""),
    Row("logsumexp", logsumexp, X, AXES, dtype="float", edges=[-1000.0, 1000.0, 999.0]),
    Row("logsumexp", logsumexp, [fixed([[-np.inf, -np.inf], [np.inf, 1.0], [0.0, -np.inf]])], [{"axis": 1}], dtype="float", takes="", gradient=False),
    Row(
        "average",
        lambda x, axis=None, weights=None: np.average(x, axis=axis, weights=weights),
        X,
        [{}, {"axis": (0, 2)}, {"axis": 1, "weights": np.float32([1, 2, 5])}],
        dtype="float",
        errors=[
            (
                [normal(2, 3)],
                {"axis": 1, "weights": np.ones(2, np.float32)},
                "average(weights) needs the shape (2, 3) of x, or a vector along one axis, got shape (2,) and axis 1.",
            )
        ],
    ),
    Row(
        "average",
        lambda x, axis, weights: np.average(x, axis, weights),
        [normal(2, 3), None, uniform(2, 3, low=0.5, high=2)],
        dtype="float32",
        takes="",
    ),
    Row("nansum", np.nansum, [HOLES], NAN_AXES, dtype="sum", takes="float", gradient=False),
    Row("nanprod", np.nanprod, [HOLES], NAN_AXES, dtype="sum", takes="float", gradient=False),
    *(
        Row(name, quiet(getattr(np, name)), [HOLES], NAN_AXES, dtype="float", takes="float", gradient=False)
        for name in ("nanmean", "nanvar", "nanstd", "nanmax", "nanmin", "nanmedian")
    ),
    *(Row(name, getattr(np, name[3:]), X, AXES, dtype="float", takes="float") for name in ("nanmean", "nanvar", "nanstd", "nanmax", "nanmin")),
    Row("nanargmax", nan_position(np.argmax, -np.inf), [HOLES], [{}, {"axis": 1}, {"axis": -1, "keepdims": True}], dtype="int32", takes="float"),
    Row("nanargmin", nan_position(np.argmin, np.inf), [HOLES], [{}, {"axis": 1}, {"axis": -1, "keepdims": True}], dtype="int32", takes="float"),
    Row("nancumsum", lambda x, axis=None: np.nancumsum(x, axis=axis), [HOLES], RUNNING, takes="float", gradient=False),
    Row("nancumprod", lambda x, axis=None: np.nancumprod(x, axis=axis), [HOLES], RUNNING, takes="float", gradient=False),
    Row("median", np.median, [different(2, 3, 5)], AXES, dtype="float", edges=[1.0, np.nan, 3.0]),
    Row(
        "quantile",
        lambda x, q, **k: np.quantile(x, q, **k),
        [different(2, 3, 5), 0.3],
        [*AXES, {"axis": 2, "method": "nearest"}],
        takes="float",
        errors=[
            ([normal(3), 0.5], {"method": "best"}, "quantile(method) needs one of ('linear', 'lower', 'higher', 'midpoint', 'nearest'), got 'best'.")
        ],
    ),
    Row(
        "quantile",
        lambda x, q, **k: np.quantile(x, q, **k),
        [different(2, 3, 5), fixed([0.1, 0.55])],
        [{"axis": 1}, *({"axis": (0, 2), "method": m, "keepdims": True} for m in ("lower", "higher", "midpoint"))],
        dtype="float32",
        takes="",
        gradient=False,
    ),
    Row("percentile", lambda x, q, **k: np.percentile(x, q, **k), [different(2, 3, 5), 30.0], [{}, {"axis": 1}], dtype="float32", takes=""),
    Row("nanquantile", quiet(lambda x, q, **k: np.nanquantile(x, q, **k)), [HOLES, 0.3], NAN_AXES, dtype="float32", takes="", gradient=False),
    Row("nanpercentile", quiet(lambda x, q, **k: np.nanpercentile(x, q, **k)), [HOLES, 30.0], NAN_AXES, dtype="float32", takes="", gradient=False),
    Row("diff", np.diff, X, [{}, {"n": 2}, {"axis": 1}, {"n": 0}, {"n": 9}]),
    Row("diff", np.diff, [bools(2, 7)]),
    Row("trapezoid", np.trapezoid, X, [{}, {"dx": 0.5, "axis": 1}], dtype="float"),
    Row("trapezoid", np.trapezoid, [normal(2, 3), normal(3)], dtype="float", takes=""),
    Row("corrcoef", np.corrcoef, [normal(3, 7)], dtype="float", takes=""),
]
globals().update(checks(ROWS))


@pytest.mark.parametrize("name", engines())
def test_variance_does_not_cancel(name):
    with backend(name):
        x = np.float32(10_000) + np.arange(8, dtype=np.float32)
        np.testing.assert_allclose(float(host(ops.var(x))), 5.25, rtol=1e-6)


@pytest.mark.parametrize("name", engines())
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_mean_adds_up_in_float32(name, dtype):
    with backend(name):
        assert float(ops.mean(ops.ones((70_000,), dtype))) == 1.0


@pytest.mark.parametrize("name", engines())
def test_gradient_of_std_of_equal_elements_is_zero(name):
    with backend(name):
        if current().differentiable:
            _, (gradient,) = current().value_and_grad(lambda v: (ops.std(v[0]), None))([current().asarray(np.float32([2.0, 2.0, 2.0]))])
            np.testing.assert_array_equal(current().to_numpy(gradient), [0, 0, 0])


@pytest.mark.parametrize("name", engines())
def test_dtype_of_prod_and_cumsum_can_be_chosen(name):
    with backend(name):
        x = ops.ones((3,), "int8")
        assert [current().dtype(f(x, dtype="float16")) for f in (ops.prod, ops.cumsum, ops.cumprod)] == ["float16"] * 3


@pytest.mark.parametrize("name", engines())
def test_the_deviation_of_an_infinite_number_is_nan(name):
    with backend(name):
        x = np.float32([[np.inf, 1.0, 2.0], [np.nan, 1.0, 3.0]])
        for op in (ops.nanvar, ops.nanstd):
            np.testing.assert_allclose(ops.convert_to_numpy(op(x, axis=1)), [np.nan, 1.0])
