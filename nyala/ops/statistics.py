# SPDX-License-Identifier: Apache-2.0
"""Quantiles, statistics that skip nan, differences, correlation. Start at quantile and nansum."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nyala.core import dtypes
from nyala.core.errors import ArgumentError, ShapeError
from nyala.core.op import convert, engine, normalize_axes, normalize_axis, op
from nyala.engines.protocol import Tensor
from nyala.ops import reductions
from nyala.ops._dtypes import Axis, in_float32
from nyala.ops.reductions import count_along, running, sqrt_flat_at_zero
from nyala.ops.shaping import part_of

METHODS = ("linear", "lower", "higher", "midpoint", "nearest")

# Quantiles --------------------------------------------------------------------------------------------------------------------------------


@op(promote="float")
def median(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The middle along axis, of an even number the mean of the middle two; nan if one is nan.

    >>> median([1.0, 9.0, 3.0, 4.0]).tolist()
    3.5
    """
    return _quantile("median", x, 0.5, axis, "linear", keepdims)


@op
def quantile(x: Tensor, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """The value below which a part q of the elements lies, along axis.

    Args:
        q: in [0, 1], one or several; the result then begins with their axes.
        method: between two elements: "linear", "lower", "higher", "midpoint" or "nearest".

    >>> quantile([0.0, 1.0, 2.0, 3.0], [0.25, 0.5]).tolist()
    [0.75, 1.5]
    """
    return _quantile("quantile", x, q, axis, method, keepdims)


@op
def percentile(x: Tensor, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """quantile with q in percent."""
    return _quantile("percentile", x, _hundredth(q), axis, method, keepdims)


@op
def nanmedian(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """median of the elements that are not nan."""
    return _quantile("nanmedian", x, 0.5, axis, "linear", keepdims, skip=True)


@op
def nanquantile(x: Tensor, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """quantile of the elements that are not nan."""
    return _quantile("nanquantile", x, q, axis, method, keepdims, skip=True)


@op
def nanpercentile(x: Tensor, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """percentile of the elements that are not nan."""
    return _quantile("nanpercentile", x, _hundredth(q), axis, method, keepdims, skip=True)


def _hundredth(q: Any) -> Any:
    return q / 100.0 if isinstance(q, (int, float)) else engine.divide(_float(convert(q)), 100.0)


def _float(x: Tensor) -> Tensor:
    return x if dtypes.is_float(engine.dtype(x)) else engine.cast(x, dtypes.settle("float"))


def _quantile(name: str, x: Tensor, q: Any, axis: Axis, method: str, keepdims: bool, skip: bool = False) -> Tensor:
    if method not in METHODS:
        raise ArgumentError(f"{name}(method)", need=f"one of {METHODS}", got=repr(method))
    x, shape = _float(x), tuple(x.shape)
    axes = normalize_axes(axis, x.ndim)
    if isinstance(q, (int, float)) and not 0 <= q <= 1:
        raise ArgumentError(f"{name}(q)", need="a part from 0 to 1, or a percentage", got=f"{q} as a part")
    if count_along(x, axes) == 0:
        raise ShapeError(name, need="at least one element to choose from", got=f"shape {shape} along axes {axes}")
    dtype, q = engine.dtype(x), engine.cast(_float(convert(q)), "float64" if engine.dtype(x) == "float64" else "float32")
    levels, kept = tuple(q.shape), [i for i in range(x.ndim) if i not in axes]
    rest = tuple(shape[i] for i in kept)
    count = count_along(x, axes)
    x = engine.sort(engine.reshape(engine.transpose(x, (*kept, *axes)), (*rest, count)), len(rest))  # *rest n
    q = engine.reshape(q, (math.prod(levels), *(1 for _ in rest)))  # q 1...
    missing = engine.cast(engine.isnan(x), "int32")
    numbers = engine.sum(engine.subtract(1, missing), (len(rest),), False) if skip else None  # *rest
    last = engine.cast(engine.subtract(numbers, 1), engine.dtype(q)) if skip else float(count - 1)
    position = engine.maximum(engine.multiply(q, last), 0.0)
    position = engine.broadcast_to(position, (math.prod(levels), *rest))
    below, above = engine.floor(position), engine.ceil(position)
    part = {"linear": engine.subtract(position, below), "lower": None, "higher": None, "midpoint": 0.5, "nearest": None}[method]
    value = lambda place: _at(x, engine.cast(place, "int32"))  # noqa: E731
    if part is None:
        result = value({"lower": below, "higher": above, "nearest": engine.round(position)}[method])
    else:
        low, high = value(below), value(above)
        part = part if isinstance(part, float) else engine.cast(part, dtype)
        result = engine.add(low, engine.multiply(engine.subtract(high, low), part))
    lost = engine.equal(numbers, 0) if skip else engine.isnan(part_of(x, len(rest), count - 1, count))  # nan sorts last
    result = engine.where(engine.reshape(lost, (1, *rest)), math.nan, result)
    inside = tuple(1 if i in axes else n for i, n in enumerate(shape)) if keepdims else rest
    return engine.reshape(result, (*levels, *inside))


def _at(x: Tensor, places: Tensor) -> Tensor:
    """Elements of x (*rest, n) at places (q, *rest) of its last axis, as (q, *rest)."""
    ndim = places.ndim
    places = engine.transpose(places, (*range(1, ndim), 0))
    return engine.transpose(engine.take_along_axis(x, places, ndim - 1), (ndim - 1, *range(ndim - 1)))


def measure(x: Tensor, axis: int, what: str) -> Tensor:
    """The "maximum", "minimum", "mean" or "median" along axis, which stays with size 1, in the dtype of x (integers rounded)."""
    if what in ("maximum", "minimum"):
        return (engine.max if what == "maximum" else engine.min)(x, (axis,), True)
    value = (reductions.mean.function if what == "mean" else median.function)(_float(x), axis, True)
    return value if dtypes.is_float(engine.dtype(x)) else engine.cast(engine.round(value), engine.dtype(x))


# Without nan ------------------------------------------------------------------------------------------------------------------------------


def _filled(x: Tensor, value: float) -> Tensor:
    """x with value in the place of nan."""
    return engine.where(engine.isnan(x), value, x) if _may_be_nan(x) else x


def _may_be_nan(x: Tensor) -> bool:
    return dtypes.is_float(engine.dtype(x)) or dtypes.is_complex(engine.dtype(x))


def _skipping(name: str, function: Callable, value: float, what: str) -> Callable:
    """A reduction of what is not nan."""

    def reduction(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return function(_filled(x, value), axis, keepdims)

    reduction.__name__ = reduction.__qualname__ = name
    reduction.__doc__ = what
    return op(reduction)


nansum = _skipping("nansum", reductions.sum.function, 0.0, "sum of the elements that are not nan; 0 of none.")
nanprod = _skipping("nanprod", reductions.prod.function, 1.0, "prod of the elements that are not nan; 1 of none.")


@op
def nancumsum(x: Tensor, axis: int | None = None, dtype: str | None = None) -> Tensor:
    """cumsum with 0 in the place of nan."""
    return engine.cumsum(*running(_filled(x, 0.0), axis, dtype))


@op
def nancumprod(x: Tensor, axis: int | None = None, dtype: str | None = None) -> Tensor:
    """cumprod with 1 in the place of nan."""
    return engine.cumprod(*running(_filled(x, 1.0), axis, dtype))


@op
def nanmax(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """max of the elements that are not nan; nan of none."""
    return _nan_extreme(x, axis, keepdims, reductions.max.function, -math.inf)


@op
def nanmin(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """min of the elements that are not nan; nan of none."""
    return _nan_extreme(x, axis, keepdims, reductions.min.function, math.inf)


def _nan_extreme(x: Tensor, axis: Axis, keepdims: bool, function: Callable, worst: float) -> Tensor:
    if not _may_be_nan(x):
        return function(x, axis, keepdims)
    lost = engine.all(engine.isnan(x), normalize_axes(axis, x.ndim), keepdims)
    return engine.where(lost, math.nan, function(_filled(x, worst), axis, keepdims))


@op
def nanargmax(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """argmax of the elements that are not nan; -1 of none."""
    return _nan_position(x, axis, keepdims, reductions.argmax.function, -math.inf)


@op
def nanargmin(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """argmin of the elements that are not nan; -1 of none."""
    return _nan_position(x, axis, keepdims, reductions.argmin.function, math.inf)


def _nan_position(x: Tensor, axis: int | None, keepdims: bool, function: Callable, worst: float) -> Tensor:
    found = function(_filled(x, worst), axis, keepdims)
    if not _may_be_nan(x):
        return found
    return engine.where(engine.all(engine.isnan(x), normalize_axes(axis, x.ndim), keepdims), -1, found)


@op(promote="float")
def nanmean(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """mean of the elements that are not nan; nan of none."""
    axes = normalize_axes(axis, x.ndim)
    return in_float32(lambda x: engine.divide(engine.sum(_filled(x, 0.0), axes, keepdims), _numbers(x, axes, keepdims)), x)


def _numbers(x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    """How many are not nan, in the dtype of x."""
    return engine.sum(engine.cast(engine.logical_not(engine.isnan(x)), engine.dtype(x)), axes, keepdims)


@op(promote="float")
def nanvar(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """var of the elements that are not nan; nan of none."""
    axes = normalize_axes(axis, x.ndim)
    return in_float32(lambda x: _nan_variance(x, axes, keepdims), x)


@op(promote="float")
def nanstd(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """std of the elements that are not nan; nan of none."""
    axes = normalize_axes(axis, x.ndim)
    return in_float32(lambda x: sqrt_flat_at_zero(_nan_variance(x, axes, keepdims)), x)


def _nan_variance(x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    center = engine.divide(engine.sum(_filled(x, 0.0), axes, True), _numbers(x, axes, True))
    deviation = engine.where(engine.isnan(x), 0.0, engine.subtract(_filled(x, 0.0), center))  # nan of an infinite x, as in var
    if dtypes.is_complex(engine.dtype(x)):
        deviation = engine.abs(deviation)
    total = engine.sum(engine.multiply(deviation, deviation), axes, keepdims)
    return engine.divide(total, engine.cast(_numbers(x, axes, keepdims), engine.dtype(total)))


# Differences, areas, correlation ------------------------------------------------------------------------------------------------------------


@op
def diff(a: Tensor, n: int = 1, axis: int = -1) -> Tensor:
    """Each element minus the one before it along axis, n times over; of bools whether they differ.

    >>> diff([1, 4, 9]).tolist()
    [3, 5]
    """
    place = normalize_axis(axis, a.ndim)
    if n < 0:
        raise ArgumentError("diff(n)", need="at least 0", got=repr(n))
    minus = engine.not_equal if engine.dtype(a) == "bool" else engine.subtract
    for _ in range(min(n, a.shape[place])):
        size = a.shape[place]
        a = minus(part_of(a, place, min(1, size), size), part_of(a, place, 0, max(size - 1, 0)))
    return a


@op(promote="float")
def trapezoid(y: Tensor, x: Tensor | None = None, dx: float = 1.0, axis: int = -1) -> Tensor:
    """Area under y along axis by the trapezoidal rule, at places x or dx apart."""
    place = normalize_axis(axis, y.ndim)
    size = y.shape[place]
    pairs = engine.add(part_of(y, place, min(1, size), size), part_of(y, place, 0, max(size - 1, 0)))
    if x is None:
        return engine.multiply(engine.sum(pairs, (place,), False), 0.5 * float(dx))
    at = engine.reshape(x, tuple(x.shape[0] if i == place else 1 for i in range(y.ndim))) if x.ndim == 1 else x
    own = normalize_axis(axis, at.ndim)
    widths = engine.subtract(part_of(at, own, min(1, at.shape[own]), at.shape[own]), part_of(at, own, 0, max(at.shape[own] - 1, 0)))
    return engine.multiply(engine.sum(engine.multiply(pairs, widths), (place,), False), 0.5)


@op(promote="float")
def corrcoef(x: Tensor) -> Tensor:
    """Correlation coefficients of the rows of a matrix with each other, in [-1, 1]."""
    if x.ndim not in (1, 2):
        raise ShapeError("corrcoef", need="a matrix with a variable in each row", got=f"shape {tuple(x.shape)}")
    dtype, rows = engine.dtype(x), x if x.ndim == 2 else engine.reshape(x, (1, x.shape[0]))

    def correlation(x: Tensor) -> Tensor:
        x = engine.subtract(x, engine.divide(engine.sum(x, (1,), True), float(x.shape[1])))
        x = engine.divide(x, engine.sqrt(engine.sum(engine.multiply(x, x), (1,), True)))
        return engine.maximum(engine.minimum(engine.matmul(x, engine.transpose(x, (1, 0))), 1.0), -1.0)

    result = in_float32(correlation, rows)
    return engine.cast(result if x.ndim == 2 else engine.reshape(result, ()), dtype)
