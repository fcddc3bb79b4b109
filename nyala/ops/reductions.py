# SPDX-License-Identifier: Apache-2.0
"""Reductions along axes and running sums; those that skip nan are in statistics.py.

`axis` is one axis, several, or None for all; `keepdims` keeps reduced axes with size 1. Start at sum.
"""

from __future__ import annotations

import math

from nyala.core import dtypes
from nyala.core.errors import DTypeError, ShapeError
from nyala.core.op import engine, normalize_axes, normalize_axis, op
from nyala.engines.protocol import Tensor
from nyala.ops._dtypes import Axis, in_float32, summable
from nyala.ops.logical import truth


@op
def sum(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Sum along axis; small integers and bools add up as int32, unsigned ones as uint32.

    >>> sum([[1.0, 2.0], [3.0, 4.0]], axis=0).tolist()
    [4.0, 6.0]
    """
    return engine.sum(summable(x), normalize_axes(axis, x.ndim), keepdims)


@op
def prod(x: Tensor, axis: Axis = None, keepdims: bool = False, dtype: str | None = None) -> Tensor:
    """Product along axis, computed and returned in dtype; by default in that of sum."""
    x = summable(x) if dtype is None else engine.cast(x, engine.canonical_dtype(dtypes.standardize_dtype(dtype)))
    return engine.prod(x, normalize_axes(axis, x.ndim), keepdims)


def count_along(x: Tensor, axes: tuple[int, ...]) -> int:
    """Number of elements that a reduction along axes takes together."""
    return math.prod(x.shape[axis] for axis in axes)


@op(promote="float")
def mean(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Arithmetic mean along axis; 16-bit floats are added up in float32; nan of nothing.

    >>> mean([[1, 2], [3, 5]], axis=1).tolist()
    [1.5, 4.0]
    """
    axes = normalize_axes(axis, x.ndim)
    return in_float32(lambda x: engine.divide(engine.sum(x, axes, keepdims), float(count_along(x, axes))), x)


@op(promote="float")
def var(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Mean of |x - mean(x)|**2 along axis: the deviations are taken first, so that large means do no harm."""
    axes = normalize_axes(axis, x.ndim)
    return in_float32(lambda x: _variance(x, axes, keepdims), x)


@op(promote="float")
def std(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Square root of var. Gradient 0 where all elements are equal."""
    axes = normalize_axes(axis, x.ndim)
    return in_float32(lambda x: sqrt_flat_at_zero(_variance(x, axes, keepdims)), x)


def _variance(x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    count = float(count_along(x, axes))
    deviation = engine.subtract(x, engine.divide(engine.sum(x, axes, True), count))
    if dtypes.is_complex(engine.dtype(x)):
        deviation = engine.abs(deviation)
    return engine.divide(engine.sum(engine.multiply(deviation, deviation), axes, keepdims), count)


def sqrt_flat_at_zero(x: Tensor) -> Tensor:
    """Square root whose gradient at 0 is 0, where that of sqrt is infinite."""
    zero = engine.equal(x, 0)
    return engine.where(zero, 0.0, engine.sqrt(engine.where(zero, 1.0, x)))


@op
def max(x: Tensor, axis: Axis = None, keepdims: bool = False, initial: float | None = None) -> Tensor:
    """Largest along axis, at least initial; nan if one is nan.

    >>> max([[1, 5], [7, 2]], axis=1).tolist()
    [5, 7]
    """
    return _extreme(x, axis, keepdims, initial, "max")


@op
def min(x: Tensor, axis: Axis = None, keepdims: bool = False, initial: float | None = None) -> Tensor:
    """Smallest along axis, at most initial; nan if one is nan."""
    return _extreme(x, axis, keepdims, initial, "min")


@op
def amax(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Largest along axis: another name of max."""
    return _extreme(x, axis, keepdims, None, "max")


@op
def amin(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Smallest along axis: another name of min."""
    return _extreme(x, axis, keepdims, None, "min")


def _extreme(x: Tensor, axis: Axis, keepdims: bool, initial: float | None, name: str) -> Tensor:
    axes = normalize_axes(axis, x.ndim)
    larger = engine.maximum if name == "max" else engine.minimum
    first = None if initial is None else engine.cast(engine.asarray(initial), engine.dtype(x))
    if count_along(x, axes) == 0:
        if first is None:
            fix = f"pass initial=..., what the {name} of nothing should be"
            raise ShapeError(name, need="at least one element to choose from", got=f"shape {tuple(x.shape)} along axes {axes}", fix=fix)
        shape = [1 if i in axes else n for i, n in enumerate(x.shape) if keepdims or i not in axes]
        return engine.broadcast_to(first, tuple(shape))  # nothing but the initial value
    result = (engine.max if name == "max" else engine.min)(x, axes, keepdims)
    return result if first is None else larger(result, first)


@op
def ptp(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Largest minus smallest along axis; bools are refused."""
    if engine.dtype(x) == "bool":
        raise DTypeError("ptp", need="numbers", got="bool", fix='cast first: ops.cast(x, "int32")')
    return engine.subtract(max.function(x, axis, keepdims), min.function(x, axis, keepdims))


@op
def any(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """bool: whether one is not zero."""
    return engine.any(truth(x), normalize_axes(axis, x.ndim), keepdims)


@op
def all(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """bool: whether none is zero."""
    return engine.all(truth(x), normalize_axes(axis, x.ndim), keepdims)


@op
def count_nonzero(x: Tensor, axis: Axis = None) -> Tensor:
    """int32: how many are not zero."""
    return engine.sum(engine.cast(truth(x), "int32"), normalize_axes(axis, x.ndim), False)


@op
def argmax(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """int32: where the first largest is along axis, or in all of x in row-major order.

    >>> argmax([[1, 5, 5], [7, 2, 0]], axis=1).tolist()
    [1, 0]
    """
    return _position(x, axis, keepdims, "argmax")


@op
def argmin(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """int32: where the first smallest is along axis, or in all of x in row-major order."""
    return _position(x, axis, keepdims, "argmin")


def _position(x: Tensor, axis: int | None, keepdims: bool, name: str) -> Tensor:
    shape = tuple(x.shape)
    at = 0 if axis is None else normalize_axis(axis, x.ndim)
    if axis is None:
        x = engine.reshape(x, (math.prod(shape),))
    if x.shape[at] == 0:
        raise ShapeError(name, need="at least one element to choose from", got=f"shape {shape}")
    x = engine.cast(x, "int32") if engine.dtype(x) == "bool" else x
    found = (engine.argmax if name == "argmax" else engine.argmin)(x, at)
    if not keepdims:
        return found
    return engine.reshape(found, tuple(1 if axis is None or i == at else n for i, n in enumerate(shape)))


@op
def cumsum(x: Tensor, axis: int | None = None, dtype: str | None = None) -> Tensor:
    """Running sum along axis, or over all of x in row-major order.

    >>> cumsum([1, 2, 3]).tolist()
    [1, 3, 6]
    """
    return engine.cumsum(*running(x, axis, dtype))


@op
def cumprod(x: Tensor, axis: int | None = None, dtype: str | None = None) -> Tensor:
    """Running product along axis, or over all of x in row-major order."""
    return engine.cumprod(*running(x, axis, dtype))


def running(x: Tensor, axis: int | None, dtype: str | None) -> tuple[Tensor, int]:
    """What a running sum works on: x in its dtype, bools as int32, and the axis; flat if that is None."""
    if dtype is not None:
        x = engine.cast(x, engine.canonical_dtype(dtypes.standardize_dtype(dtype)))
    elif engine.dtype(x) == "bool":
        x = engine.cast(x, "int32")
    return (engine.reshape(x, (math.prod(x.shape),)), 0) if axis is None else (x, normalize_axis(axis, x.ndim))


@op(promote="float")
def logsumexp(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))) along axis, without overflow.

    Source: Blanchard, Higham, Higham 2021, Accurately computing the log-sum-exp and softmax functions.

    >>> logsumexp([1000.0, 1000.0]).tolist()
    1000.6931762695312
    """
    axes = normalize_axes(axis, x.ndim)
    peak = engine.stop_gradient(max.function(x, axes, True, -math.inf))
    peak = engine.where(engine.isfinite(peak), peak, 0.0)  # so that a row of -inf gives -inf, not nan
    total = engine.add(engine.log(engine.sum(engine.exp(engine.subtract(x, peak)), axes, True)), peak)
    return total if keepdims else engine.reshape(total, tuple(n for i, n in enumerate(x.shape) if i not in axes))


@op(promote="float")
def average(x: Tensor, axis: Axis = None, weights: Tensor | None = None) -> Tensor:
    """Mean along axis, weighted: sum(x * weights) / sum(weights).

    Args:
        weights: the shape of x, or a vector along the one axis.

    >>> average([1.0, 2.0], weights=[3.0, 1.0]).tolist()
    1.25
    """
    if weights is None:
        return mean.function(x, axis)
    axes = normalize_axes(axis, x.ndim)
    if tuple(weights.shape) != tuple(x.shape):
        if len(axes) != 1 or tuple(weights.shape) != (x.shape[axes[0]],):
            raise ShapeError(
                "average(weights)",
                need=f"the shape {tuple(x.shape)} of x, or a vector along one axis",
                got=f"shape {tuple(weights.shape)} and axis {axis!r}",
            )
        weights = engine.reshape(weights, tuple(n if i == axes[0] else 1 for i, n in enumerate(x.shape)))
        weights = engine.broadcast_to(weights, tuple(x.shape))
    return engine.divide(engine.sum(engine.multiply(x, weights), axes, False), engine.sum(weights, axes, False))
