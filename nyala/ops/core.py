# SPDX-License-Identifier: Apache-2.0
"""Ops on tensors as such: conversion, casts, shapes, blocks, scatter, segments, the largest k.

Composed from engine primitives; nothing here knows which engine runs. Control flow is in control.py. Start at convert_to_tensor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nyala.core import dtypes, sizes
from nyala.core.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from nyala.core.op import convert, engine, normalize_axis, op
from nyala.core.symbolic import Symbolic
from nyala.core.variable import Variable
from nyala.engines.protocol import Tensor
from nyala.ops._dtypes import highest, lowest
from nyala.ops.indexing import as_indices

# Conversion -------------------------------------------------------------------------------------------------------------------


@op
def cast(x: Tensor, dtype: Any) -> Tensor:
    """x in another dtype; floats become integers towards zero.

    >>> cast([1.9, -1.9], "int32").tolist()
    [1, -1]
    """
    dtype = engine.canonical_dtype(dtypes.standardize_dtype(dtype))
    return x if engine.dtype(x) == dtype else engine.cast(x, dtype)


@op
def saturate_cast(x: Tensor, dtype: Any) -> Tensor:
    """x in another dtype, values beyond its range at its nearest end; nan becomes 0 in integers.

    >>> saturate_cast([-5.0, 7.6, 300.0], "uint8").tolist()
    [0, 7, 255]
    """
    source, target = engine.dtype(x), engine.canonical_dtype(dtypes.standardize_dtype(dtype))
    numbers = dtypes.INTEGERS + dtypes.FLOATS
    if source == target or source not in numbers or target not in numbers:
        return cast(x, target)
    low, high, least, most = lowest(target), highest(target), lowest(source), highest(source)
    if dtypes.is_float(target):
        if dtypes.is_float(source) and most > high:
            x = engine.minimum(engine.maximum(x, low), high)
        elif dtypes.is_integer(source) and most > high:
            return saturate_cast(engine.cast(x, "float32"), target)
        return engine.cast(x, target)
    if dtypes.is_integer(source):
        x = engine.maximum(x, low) if low > least else x
        return engine.cast(engine.minimum(x, high) if high < most else x, target)
    first, last = (
        float(np.asarray(end).astype(dtypes.numpy_dtype(source))) if abs(end) < most else math.copysign(math.inf, end) for end in (low, high)
    )
    too_high, too_low = engine.greater_equal(x, last), engine.less_equal(x, first)
    within = engine.logical_and(engine.less(x, last), engine.greater(x, first))  # false for nan
    result = engine.cast(engine.where(within, x, 0.0), target)
    high, low = (engine.full((), end, target) for end in (high, low))
    return engine.where(too_high, high, engine.where(too_low, low, result))


def convert_to_tensor(x: Any, dtype: Any = None, sparse: bool | None = None, ragged: bool | None = None) -> Tensor:
    """x as a tensor of the current engine: arrays, numbers, nested lists, variables. Symbolic tensors stay symbolic.

    Args:
        dtype: of the result; by default that of x, floatx for Python floats, int32 for Python integers.
        sparse, ragged: must not be True; tensors are dense.

    >>> convert_to_tensor([1, 2]).dtype.name
    'int32'
    """
    _need_dense("convert_to_tensor", sparse or ragged)
    dtype = None if dtype is None else dtypes.standardize_dtype(dtype)
    if isinstance(x, Symbolic):
        return x if dtype in (None, x.dtype) else cast(x, dtype)
    if dtype is not None and isinstance(x, (list, tuple)):
        result = (
            cast(convert(x), dtype)
            if any(engine.is_tensor(v) or isinstance(v, Variable) for v in x)
            else convert(np.asarray(x, dtypes.numpy_dtype(dtype)), dtype)
        )
    else:
        result = convert(x, dtype)
    if result is not x and (engine.abstract or engine.compiles):
        sizes.note(result, x)
    return result


def _need_dense(where: str, sparse: Any) -> None:
    if sparse:
        raise ArgumentError(f"{where}(sparse)", need="False", got=repr(sparse), why="tensors here are dense", fix="leave it out")


def convert_to_numpy(x: Any) -> np.ndarray:
    """The values of x as a NumPy array that the caller owns.

    >>> convert_to_numpy(convert_to_tensor([1.0, 2.0]))
    array([1., 2.], dtype=float32)
    """
    if isinstance(x, Variable):
        return x.numpy()
    return engine.to_numpy(x) if engine.is_tensor(x) else np.array(x)


def shape(x: Any) -> tuple[int | None, ...]:
    """The shape of x, None for what a symbolic tensor does not know yet.

    >>> shape(convert_to_tensor([[1, 2, 3]]))
    (1, 3)
    """
    return tuple(x.shape) if hasattr(x, "shape") else tuple(np.shape(x))


def dtype(x: Any) -> str:
    """The name of the dtype of x.

    >>> dtype(convert_to_tensor(1.0))
    'float32'
    """
    return dtypes.standardize_dtype(x.dtype if hasattr(x, "dtype") else engine.dtype(convert(x)))


def is_tensor(x: Any) -> bool:
    """Whether x is a tensor of the current engine.

    >>> is_tensor(convert_to_tensor(1.0)), is_tensor(1.0)
    (True, False)
    """
    return engine.is_tensor(x)


@op
def stop_gradient(variable: Tensor) -> Tensor:
    """The same values, whose derivative is taken as zero."""
    return engine.stop_gradient(variable)


# Blocks and scatter -----------------------------------------------------------------------------------------------------------


@op
def slice(inputs: Tensor, start_indices: Any, shape: Sequence[int]) -> Tensor:
    """The block of the given shape that begins at start_indices, moved inside where it would reach beyond.

    Args:
        start_indices: one integer per axis, fixed or computed; below 0 counted from the end.
        shape: sizes; -1 takes the rest of an axis whose start is fixed.

    >>> slice([[0, 1, 2], [3, 4, 5]], (1, 1), (1, 2)).tolist()
    [[4, 5]]
    """
    starts = _starts("slice", start_indices, inputs.shape)
    if len(shape) != inputs.ndim:
        raise ShapeError("slice(shape)", need=f"{inputs.ndim} sizes, one per axis", got=f"{tuple(shape)}")
    sizes = tuple(size - start if n == -1 and isinstance(start, int) else int(n) for n, size, start in zip(shape, inputs.shape, starts, strict=True))
    if any(not 0 <= n <= size for n, size in zip(sizes, inputs.shape, strict=True)):
        raise ShapeError(
            "slice(shape)", need=f"sizes from 0 to those of the input, {tuple(inputs.shape)}, or -1 after a fixed start", got=f"{tuple(shape)}"
        )
    return engine.dynamic_slice(inputs, starts, sizes)


@op
def slice_update(inputs: Tensor, start_indices: Any, updates: Tensor) -> Tensor:
    """A copy of inputs with updates written at start_indices, moved inside where they would reach beyond.

    >>> slice_update([0, 0, 0, 0], [1], [7, 8]).tolist()
    [0, 7, 8, 0]
    """
    starts = _starts("slice_update", start_indices, inputs.shape)
    if updates.ndim != inputs.ndim or any(n > size for n, size in zip(updates.shape, inputs.shape, strict=True)):
        raise ShapeError("slice_update(updates)", need=f"a block that fits into shape {tuple(inputs.shape)}", got=f"shape {tuple(updates.shape)}")
    return engine.dynamic_update_slice(inputs, cast(updates, engine.dtype(inputs)), starts)


def _starts(where: str, indices: Any, sizes: Sequence[int]) -> list[Any]:
    """One start per axis, an int or an int32 scalar, counted from 0."""
    if isinstance(indices, Variable):
        indices = indices.value
    if engine.is_tensor(indices):
        parts: Any = indices if indices.ndim else [indices]
    else:
        parts = indices if isinstance(indices, (list, tuple)) or np.ndim(indices) else [indices]
    if len(parts) != len(sizes):
        raise ShapeError(f"{where}(start_indices)", need=f"{len(sizes)} integers, one per axis", got=f"{len(parts)}")
    parts = unstack(parts) if engine.is_tensor(parts) else parts
    starts: list[Any] = []
    for start, size in zip(parts, sizes, strict=True):
        if isinstance(start, (int, np.integer)):
            starts.append(int(start) + size if start < 0 else int(start))
        else:
            start = engine.reshape(cast(start, "int32"), ())
            starts.append(engine.where(engine.less(start, 0), engine.add(start, size), start))
    return starts


@op
def scatter(indices: Tensor, values: Tensor, shape: Sequence[int]) -> Tensor:
    """Zeros of the given shape, with values added at indices.

    Args:
        indices: (..., k), positions in the first k axes.
        values: (..., *shape[k:]).

    >>> scatter([[0], [3], [0]], [1.0, 2.0, 5.0], (4,)).tolist()
    [6.0, 0.0, 0.0, 2.0]
    """
    return _scatter("scatter", engine.full(tuple(shape), 0, engine.dtype(values)), indices, values, "add")


@op
def scatter_update(inputs: Tensor, indices: Tensor, updates: Tensor, reduction: str | None = None) -> Tensor:
    """A copy of inputs, changed at indices by updates.

    Args:
        indices: (..., k), positions in the first k axes.
        updates: (..., *inputs.shape[k:]).
        reduction: None sets, "add", "mul", "max" and "min" combine with what is there.

    >>> scatter_update([1.0, 1.0, 1.0], [[0], [2]], [5.0, 6.0]).tolist()
    [5.0, 1.0, 6.0]
    """
    modes = {None: "set", "add": "add", "mul": "multiply", "max": "max", "min": "min"}
    if reduction not in modes:
        raise ArgumentError("scatter_update(reduction)", need="None, 'add', 'max', 'min' or 'mul'", got=repr(reduction))
    return _scatter("scatter_update", inputs, indices, cast(updates, engine.dtype(inputs)), modes[reduction])


def _scatter(where: str, x: Tensor, indices: Tensor, updates: Tensor, mode: str) -> Tensor:
    rank = indices.shape[-1] if indices.ndim else 0
    if not 0 < rank <= x.ndim:
        raise ShapeError(f"{where}(indices)", need=f"shape (..., k) with k from 1 to {x.ndim}", got=f"shape {tuple(indices.shape)}",
                         why=f"each row names a position in the first k axes of shape {tuple(x.shape)}")  # fmt: skip
    whole = (*indices.shape[:-1], *x.shape[rank:])
    if tuple(updates.shape) != whole:
        updates = engine.broadcast_to(updates, whole) if _broadcasts(updates.shape, whole) else _refuse_updates(where, updates, whole)
    number, kind = math.prod(indices.shape[:-1]), engine.dtype(x)
    indices = engine.reshape(as_indices(where, indices), (number, rank))
    if kind == "bool" and mode != "set":
        x, updates = engine.cast(x, "int32"), engine.cast(updates, "int32")
    return engine.cast(engine.scatter(x, indices, engine.reshape(updates, (number, *x.shape[rank:])), mode), kind)


def _broadcasts(shape: Sequence[int], whole: Sequence[int]) -> bool:
    return len(shape) <= len(whole) and all(n in (1, m) for n, m in zip(reversed(shape), reversed(whole), strict=False))


def _refuse_updates(where: str, updates: Tensor, whole: Sequence[int]) -> Tensor:
    raise ShapeError(f"{where}(updates)", need=f"shape {tuple(whole)}", got=f"shape {tuple(updates.shape)}", why="one update for each row of indices")


@op
def unstack(x: Tensor, num: int | None = None, axis: int = 0) -> list[Tensor]:
    """The slices of x along axis, which goes, as a list.

    Args:
        num: their number, which must be the size of the axis; needed only where a symbolic tensor does not know it.

    >>> [part.tolist() for part in unstack([[1, 2, 3], [4, 5, 6]], axis=1)]
    [[1, 4], [2, 5], [3, 6]]
    """
    axis = normalize_axis(axis, x.ndim, "unstack(axis)")
    number = x.shape[axis] if num is None or not engine.abstract else num
    if num is not None and num != number:
        raise ArgumentError("unstack(num)", need=f"{number}, the size of axis {axis}", got=f"{num}")
    rest = (*x.shape[:axis], *x.shape[axis + 1 :])
    low, high, ones = [0] * x.ndim, list(x.shape), (1,) * x.ndim
    parts = []
    for i in range(number):
        low[axis], high[axis] = i, i + 1
        parts.append(engine.reshape(engine.slice(x, tuple(low), tuple(high), ones), rest))
    return parts


# Segments ---------------------------------------------------------------------------------------------------------------------


@op
def segment_sum(data: Tensor, segment_ids: Tensor, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """Sums of the rows of data that have the same segment id; 0 where there is none.

    Args:
        segment_ids: one integer per row; rows whose id is not in [0, num_segments) are left out.
        num_segments: needed while compiling; by default one more than the largest id.
        sorted: whether the ids ascend; a hint.

    >>> segment_sum([1.0, 2.0, 4.0], [0, 2, 0], 3).tolist()
    [5.0, 0.0, 2.0]
    """
    return _segment("segment_sum", data, segment_ids, num_segments, "add", 0)


@op
def segment_max(data: Tensor, segment_ids: Tensor, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """Largest of the rows of data that have the same segment id; -inf, or the least integer, where there is none. See segment_sum.

    >>> segment_max([1, 2, 4], [0, 1, 0], 2).tolist()
    [4, 2]
    """
    if engine.dtype(data) == "bool":
        return engine.cast(_segment("segment_max", engine.cast(data, "int32"), segment_ids, num_segments, "max", 0), "bool")
    kind = engine.dtype(data)
    return _segment("segment_max", data, segment_ids, num_segments, "max", -math.inf if dtypes.is_float(kind) else lowest(kind))


@op
def segment_min(data: Tensor, segment_ids: Tensor, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """Smallest of the rows of data that have the same segment id; inf, or the largest integer, where there is none. See segment_sum.

    >>> segment_min([1, 2, 4], [0, 1, 0], 2).tolist()
    [1, 2]
    """
    if engine.dtype(data) == "bool":
        return engine.cast(_segment("segment_min", engine.cast(data, "int32"), segment_ids, num_segments, "min", 1), "bool")
    kind = engine.dtype(data)
    return _segment("segment_min", data, segment_ids, num_segments, "min", math.inf if dtypes.is_float(kind) else highest(kind))


@op
def segment_prod(data: Tensor, segment_ids: Tensor, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """Products of the rows of data that have the same segment id; 1 where there is none. See segment_sum.

    >>> segment_prod([1, 2, 4], [0, 1, 0], 3).tolist()
    [4, 2, 1]
    """
    return _segment("segment_prod", data, segment_ids, num_segments, "multiply", 1)


def _segment(where: str, data: Tensor, ids: Tensor, number: int | None, mode: str, empty: Any) -> Tensor:
    if ids.ndim != 1 or data.shape[:1] != ids.shape:
        raise ShapeError(
            f"{where}(segment_ids)",
            need=f"a vector with one id for each of the rows of data, shape {tuple(data.shape)}",
            got=f"shape {tuple(ids.shape)}",
        )
    if not dtypes.is_integer(engine.dtype(ids)):
        raise DTypeError(f"{where}(segment_ids)", need="integers", got=engine.dtype(ids), fix='cast first: ops.cast(segment_ids, "int32")')
    ids = ids if engine.dtype(ids) in ("int32", "int64") else engine.cast(ids, "int32")
    if number is None:
        number = _largest(where, ids) + 1
    elif not isinstance(number, (int, np.integer)) or number < 0:
        raise ArgumentError(f"{where}(num_segments)", need="an integer from 0", got=repr(number))
    outside = engine.logical_or(engine.less(ids, 0), engine.greater_equal(ids, number))
    rows = engine.reshape(engine.where(outside, number, ids), (ids.shape[0], 1))  # those left out go to one row more
    result = engine.scatter(engine.full((number + 1, *data.shape[1:]), empty, engine.dtype(data)), rows, data, mode)
    return engine.slice(result, (0,) * data.ndim, (number, *data.shape[1:]), (1,) * data.ndim)


def _largest(where: str, ids: Tensor) -> int:
    try:
        return int(engine.to_numpy(ids).max(initial=-1))
    except Exception as error:
        raise ArgumentError(f"{where}(num_segments)", need="an integer", got="None",
                            why="while compiling, or on symbolic tensors, the ids have no values to tell it") from error  # fmt: skip


# Largest and one-hot ----------------------------------------------------------------------------------------------------------


@op
def top_k(x: Tensor, k: int, sorted: bool = True) -> tuple[Tensor, Tensor]:
    """The k largest along the last axis in descending order, and their int32 indices; of equals the first.

    >>> values, indices = top_k([3.0, 1.0, 5.0], 2)
    >>> values.tolist(), indices.tolist()
    ([5.0, 3.0], [2, 0])
    """
    if x.ndim == 0 or not isinstance(k, (int, np.integer)) or not 0 <= k <= x.shape[-1]:
        raise ArgumentError("top_k(k)", need=f"an integer from 0 to the size of the last axis of shape {tuple(x.shape)}", got=repr(k))
    if k == 0:
        shape = (*x.shape[:-1], 0)
        return engine.full(shape, 0, engine.dtype(x)), engine.full(shape, 0, "int32")
    return engine.top_k(x, int(k))


@op
def in_top_k(targets: Tensor, predictions: Tensor, k: int) -> Tensor:
    """Whether each target is among the k largest predictions of its row: fewer than k are larger. False of nan and of no class.

    Args:
        targets: (b,) integers.
        predictions: (b, c) floats.

    >>> in_top_k([0, 1], [[0.1, 0.9, 0.5], [0.3, 0.2, 0.1]], 2).tolist()
    [False, True]
    """
    if predictions.ndim != 2 or tuple(targets.shape) != tuple(predictions.shape[:1]):
        raise ShapeError("in_top_k", need="targets (b,) and predictions (b, c)", got=f"{tuple(targets.shape)} and {tuple(predictions.shape)}")
    targets, number = targets if engine.dtype(targets) in ("int32", "int64") else cast(targets, "int32"), predictions.shape[1]
    known = engine.logical_and(engine.greater_equal(targets, 0), engine.less(targets, number))
    column = engine.reshape(engine.where(known, targets, 0), (targets.shape[0], 1))
    chosen = engine.take_along_axis(predictions, cast(column, "int32"), 1)  # b 1
    larger = engine.sum(engine.cast(engine.greater(predictions, chosen), "int32"), (1,), False)
    number_there = engine.logical_not(engine.reshape(engine.isnan(chosen), tuple(targets.shape)))
    return engine.logical_and(engine.logical_and(engine.less(larger, k), known), number_there)


@op
def one_hot(x: Tensor, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Tensor:
    """A new axis of size num_classes with 1 at the position that x names, else 0; only zeros where x names none.

    >>> one_hot([0, 2, -1], 3).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    """
    _need_dense("one_hot", sparse)
    if not isinstance(num_classes, (int, np.integer)) or num_classes < 0:
        raise ArgumentTypeError("one_hot(num_classes)", need="an integer from 0", got=repr(num_classes))
    axis = normalize_axis(axis, x.ndim + 1, "one_hot(axis)")
    kind = engine.dtype(x)
    if not dtypes.is_float(kind):
        kind = "int64" if kind in ("int64", "uint32", "uint64") else "int32"
    kind = engine.canonical_dtype(kind)
    x = engine.reshape(cast(x, kind), (*x.shape[:axis], 1, *x.shape[axis:]))
    classes = engine.reshape(engine.arange(int(num_classes), kind), (num_classes,) + (1,) * (x.ndim - axis - 1))
    return cast(engine.equal(x, classes), dtypes.standardize_dtype(dtype))


@op
def multi_hot(inputs: Tensor, num_classes: int | None = None, axis: int = -1, dtype: Any = None, sparse: bool = False, **kwargs: Any) -> Tensor:
    """1 at each position that the integers of a row name, else 0.

    Args:
        inputs: (n,) one set, or (b, n, ...) a set per row.
        axis: where the classes come.

    >>> multi_hot([[0, 2], [1, 1]], 3).tolist()
    [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    num_classes = kwargs.pop("num_tokens", num_classes)
    if kwargs:
        raise ArgumentTypeError("multi_hot", need="arguments that it knows", got=", ".join(kwargs))
    if num_classes is None:
        raise ArgumentError("multi_hot(num_classes)", need="an integer", got="None")
    hot = one_hot(inputs, num_classes, axis, "int32", sparse)
    hits = engine.sum(hot, (1 if inputs.ndim > 1 else 0,), False)
    return cast(engine.greater(hits, 0), dtypes.standardize_dtype(dtype))
