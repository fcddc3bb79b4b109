# SPDX-License-Identifier: Apache-2.0
"""Order, search and counting. Start at sort. top_k is in core.py."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nyala.core import dtypes
from nyala.core.errors import ArgumentError, DTypeError, ShapeError
from nyala.core.op import engine, normalize_axis, op
from nyala.engines.protocol import Tensor


@op
def sort(x: Tensor, axis: int | None = -1) -> Tensor:
    """Ascending along axis, nan last; all of x as a vector for None.

    >>> sort([3, 1, 2]).tolist()
    [1, 2, 3]
    """
    return engine.sort(*_along(x, axis))


@op
def argsort(x: Tensor, axis: int | None = -1) -> Tensor:
    """int32: the stable order that sorts along axis."""
    return engine.argsort(*_along(x, axis))


def _along(x: Tensor, axis: int | None) -> tuple[Tensor, int]:
    return (engine.reshape(x, (math.prod(x.shape),)), 0) if axis is None else (x, normalize_axis(axis, x.ndim))


@op
def argpartition(x: Tensor, kth: int, axis: int | None = -1) -> Tensor:
    """int32: an order that puts the element of rank kth in its place, smaller ones before and larger ones after it (here: sorted)."""
    x, place = _along(x, axis)
    normalize_axis(kth, x.shape[place], "argpartition(kth)")
    return engine.argsort(x, place)


@op(promote="same")
def searchsorted(sorted_sequence: Tensor, values: Tensor, side: str = "left") -> Tensor:
    """int32: where each value would go into an ascending vector, "left" or "right" of equals.

    >>> searchsorted([1, 3, 5], [0, 3, 9]).tolist()
    [0, 1, 3]
    """
    if side not in ("left", "right"):
        raise ArgumentError("searchsorted(side)", need="'left' or 'right'", got=repr(side))
    if sorted_sequence.ndim != 1:
        raise ShapeError("searchsorted(sorted_sequence)", need="a vector", got=f"shape {tuple(sorted_sequence.shape)}")
    return engine.searchsorted(sorted_sequence, values, side)


@op(promote="same")
def digitize(x: Tensor, bins: Tensor) -> Tensor:
    """int32: how many of the ascending bins are at most x, the number of the bin x falls into."""
    if bins.ndim != 1:
        raise ShapeError("digitize(bins)", need="a vector", got=f"shape {tuple(bins.shape)}")
    return engine.searchsorted(bins, x, "right")


@op(promote="same")
def isin(x1: Tensor, x2: Tensor, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """bool: whether each element of x1 is among those of x2, or is not if invert."""
    count = math.prod(x2.shape)
    if count == 0:
        return engine.full(tuple(x1.shape), invert, "bool")
    if engine.dtype(x1) == "bool":
        x1, x2 = engine.cast(x1, "int32"), engine.cast(x2, "int32")
    known = engine.sort(engine.reshape(x2, (count,)), 0)
    place = engine.minimum(engine.searchsorted(known, x1, "left"), count - 1)
    return (engine.not_equal if invert else engine.equal)(engine.take(known, place, 0), x1)


# Counting -----------------------------------------------------------------------------------------------------------------------------------


@op
def bincount(x: Tensor, weights: Tensor | None = None, minlength: int = 0, sparse: bool = False) -> Tensor:
    """How often each of 0, 1, 2, ... occurs, or the sum of its weights; of a matrix row by row.

    The result is as long as the largest number needs, at least minlength. Inside a compiled function, where numbers are not known,
    it has length minlength, and larger numbers are not counted.

    >>> bincount([3, 1, 3]).tolist()
    [0, 1, 0, 2]
    """
    if sparse:
        raise ArgumentError("bincount(sparse)", need="False", got="True", fix="sparse tensors are not there; use the dense counts")
    if not dtypes.is_integer(engine.dtype(x)) and engine.dtype(x) != "bool":
        raise DTypeError("bincount", need="integers", got=engine.dtype(x), fix='cast first: ops.cast(x, "int32")')
    if x.ndim not in (1, 2):
        raise ShapeError("bincount", need="a vector or a matrix", got=f"shape {tuple(x.shape)}")
    rows, columns = (1, x.shape[0]) if x.ndim == 1 else tuple(x.shape)
    length = _length(x, minlength)
    number = engine.cast(engine.reshape(x, (rows, columns)), "int32")
    number = engine.where(
        engine.logical_or(engine.less(number, 0), engine.greater_equal(number, length)), length, number
    )  # not counted: a slot to cut off
    place = engine.add(number, engine.reshape(engine.multiply(engine.arange(rows, "int32"), length + 1), (rows, 1)))
    dtype = "int32" if weights is None else engine.dtype(weights)
    amounts = engine.full((rows * columns,), 1, dtype) if weights is None else engine.reshape(weights, (rows * columns,))
    counts = engine.scatter(engine.full((rows * (length + 1),), 0, dtype), engine.reshape(place, (rows * columns, 1)), amounts, "add")
    counts = engine.slice(engine.reshape(counts, (rows, length + 1)), (0, 0), (rows, length), (1, 1))
    return engine.reshape(counts, (length,)) if x.ndim == 1 else counts


def _length(x: Tensor, least: int) -> int:
    """One more than the largest number of x, where it can be known."""
    if engine.abstract or math.prod(x.shape) == 0:
        return int(least)
    try:
        return max(int(least), int(engine.to_numpy(x).max()) + 1)
    except Exception:  # a tracer has no values
        if least:
            return int(least)
        raise


@op(promote="float")
def histogram(x: Tensor, bins: int = 10, range: tuple[float, float] | None = None) -> tuple[Tensor, Tensor]:
    """(counts, edges): how many fall into each of so many equal bins, from the smallest to the largest, or over range; the last bin is closed."""
    if not isinstance(bins, (int, np.integer)) or isinstance(bins, bool) or bins < 1:
        raise ArgumentError("histogram(bins)", need="a positive integer", got=repr(bins))
    if range is not None and (len(range) != 2 or not range[0] < range[1]):
        raise ArgumentError("histogram(range)", need="(low, high) with low < high", got=repr(range))
    from nyala.ops.creation import linspace

    dtype, count = engine.dtype(x), math.prod(x.shape)
    flat = engine.reshape(x, (count,))
    if range is None:
        low, high = (
            (engine.min(flat, (0,), False), engine.max(flat, (0,), False)) if count else (engine.full((), 0, dtype), engine.full((), 1, dtype))
        )
        same = engine.equal(low, high)
        low, high = engine.where(same, engine.subtract(low, 0.5), low), engine.where(same, engine.add(high, 0.5), high)
    else:
        low, high = (engine.full((), float(bound), dtype) for bound in range)
    edges = linspace.function(low, high, bins + 1)
    place = engine.subtract(engine.searchsorted(edges, flat, "right"), 1)
    place = engine.where(engine.equal(flat, high), bins - 1, place)
    place = engine.where(engine.logical_or(engine.less(place, 0), engine.greater_equal(place, bins)), bins, place)  # outside: a slot to cut off
    counts = engine.scatter(engine.full((bins + 1,), 0, dtype), engine.reshape(place, (count, 1)), engine.full((count,), 1, dtype), "add")
    return engine.slice(counts, (0,), (bins,), (1,)), edges


@op
def unique(
    x: Tensor,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """The different elements of x, ascending; or the different slices along axis. Reads the values: not inside a compiled function.

    Args:
        return_index, return_inverse, return_counts: also where each occurs first, which one each element of x is, how often it occurs.
        size: pad with fill_value (by default the smallest), or cut, to so many.

    >>> unique([3, 1, 3]).tolist()
    [1, 3]
    """
    axis = None if axis is None else normalize_axis(axis, x.ndim, "unique(axis)")
    if engine.abstract:
        if size is None:
            raise ArgumentError(
                "unique", need="values to compare, or size=...", got="shapes only", why="the size of the result depends on the values"
            )
        each = tuple(x.shape) if axis is None else (x.shape[axis],)
        shape = (size,) if axis is None else (*x.shape[:axis], size, *x.shape[axis + 1 :])
        parts = (((size,), return_index), (each, return_inverse), ((size,), return_counts))
        results = [engine.full(shape, 0, engine.dtype(x)), *(engine.full(shape, 0, "int32") for shape, wanted in parts if wanted)]
        return results[0] if len(results) == 1 else tuple(results)
    values, index, inverse, counts = np.unique(engine.to_numpy(x), return_index=True, return_inverse=True, return_counts=True, axis=axis)
    if size is not None:
        values = _resized(values, size, values.take(0, axis or 0) if fill_value is None and len(index) else fill_value or 0, axis or 0)
        index, counts = _resized(index, size, index[0] if len(index) else 0, 0), _resized(counts, size, 0, 0)
    results = [engine.asarray(values, engine.dtype(x))]
    results += [
        engine.asarray(part, "int32") for part, wanted in ((index, return_index), (inverse, return_inverse), (counts, return_counts)) if wanted
    ]
    return results[0] if len(results) == 1 else tuple(results)


def _resized(x: np.ndarray, size: int, fill: Any, axis: int) -> np.ndarray:
    """x cut or filled up to this size along axis."""
    x = x.take(np.arange(min(size, x.shape[axis])), axis)
    shape = (*x.shape[:axis], size - x.shape[axis], *x.shape[axis + 1 :])
    fill = np.expand_dims(fill, axis) if np.ndim(fill) else fill
    return np.concatenate([x, np.broadcast_to(np.asarray(fill, x.dtype), shape)], axis)
