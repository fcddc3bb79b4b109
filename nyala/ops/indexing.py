# SPDX-License-Identifier: Apache-2.0
"""Parts of tensors by position: x[key], take, diagonals.

Built from the primitives slice, flip, reshape and take. Start at get_item; writing to positions is in core.py (scatter_update, slice_update).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nyala.core import dtypes
from nyala.core.errors import ArgumentError, AxisError, DTypeError, ShapeError
from nyala.core.op import convert, engine, normalize_axis, op
from nyala.core.symbolic import Symbolic
from nyala.engines.protocol import Tensor
from nyala.ops._dtypes import has_values, summable
from nyala.ops.creation import grid, resolve

# x[key] ---------------------------------------------------------------------------------------------------------------------------------------


@op
def get_item(x: Tensor, key: Any) -> Tensor:
    """x[key], as NumPy reads it.

    Args:
        key: ints, slices, None, ..., integer tensors (which broadcast with one another), bool masks, or a tuple of these. A mask decides about the
            size of the result, so a mask that is a tensor needs an engine that sees values.

    >>> get_item([[1, 2, 3], [4, 5, 6]], (slice(None), slice(None, None, -2))).tolist()
    [[3, 1], [6, 4]]
    >>> get_item([[1, 2, 3], [4, 5, 6]], ([0, 1], [2, 0])).tolist()
    [3, 4]
    """
    items = _complete(_items(key), x)
    starts, stops, steps, reverse, shape, arrays = [], [], [], [], [], []  # shape: after slicing; arrays: (axis of that shape, indices)
    axis = 0
    for item in items:
        if item is None:
            shape.append(1)
            continue
        size = x.shape[axis]
        if isinstance(item, slice):
            start, stop, step = _bounds(item, size)
            length = len(range(start, stop, step))
            if step < 0:  # the same elements forwards, then flipped
                start, stop, step = start + (length - 1) * step, start + 1, -step
                reverse.append(axis)
            bounds = (start, start + (length - 1) * step + 1 if length else start, step) if length else (0, 0, 1)
            shape.append(length)
        elif isinstance(item, int):
            if not -size <= item < size:
                raise AxisError(
                    "get_item(key)", need=f"an index in [{-size}, {size}) for axis {axis}", got=str(item), why=f"the shape is {tuple(x.shape)}"
                )
            bounds = (item % size, item % size + 1, 1)
        else:
            arrays.append((len(shape), _checked(item, size, axis, x)))
            bounds = (0, size, 1)
            shape.append(size)
        for store, bound in zip((starts, stops, steps), bounds, strict=True):
            store.append(bound)
        axis += 1
    if (starts, stops, steps) != ([0] * x.ndim, list(x.shape), [1] * x.ndim):
        x = engine.slice(x, tuple(starts), tuple(stops), tuple(steps))
    if reverse:
        x = engine.flip(x, tuple(reverse))
    if shape != list(x.shape):
        x = engine.reshape(x, tuple(shape))
    return _gather(x, arrays, _in_front(items)) if arrays else x


def _items(key: Any) -> list[Any]:
    """The parts of a key: ints, slices, None, Ellipsis, host arrays and tensors."""
    items = []
    for item in key if isinstance(key, tuple) else (key,):
        if isinstance(item, (bool, np.bool_)):
            raise ArgumentError("get_item(key)", need="indices, slices or masks of at least one axis", got=repr(item))
        if isinstance(item, (int, np.integer)):
            item = int(item)
        elif isinstance(item, list) and has_values(item):
            item = np.asarray(item, None if item else np.int32)
        elif item is not None and item is not Ellipsis and not isinstance(item, (slice, np.ndarray)):
            item = convert(item)
        items.append(item)
    return items


def _complete(items: list[Any], x: Tensor) -> list[Any]:
    """Items that take up all axes of x: the ellipsis written out, masks as the indices of what is not zero."""
    is_mask = [getattr(item, "dtype", None) is not None and dtypes.standardize_dtype(item.dtype) == "bool" for item in items]
    taken = sum(item.ndim if mask else 0 if item is None or item is Ellipsis else 1 for item, mask in zip(items, is_mask, strict=True))
    dots = sum(item is Ellipsis for item in items)
    if taken > x.ndim or dots > 1:
        got = "two ellipses" if dots > 1 else f"{taken}"
        raise AxisError("get_item(key)", need=f"at most {x.ndim} indices and one ellipsis", got=got, why=f"the shape is {tuple(x.shape)}")
    whole: list[Any] = []
    written: list[Any] = items if dots else [*items, Ellipsis]
    for item, mask in zip(written, [*is_mask, False], strict=not dots):
        if item is Ellipsis:
            whole += [slice(None)] * (x.ndim - taken)
        elif mask:
            axis = sum(part is not None for part in whole)
            if tuple(item.shape) != tuple(x.shape[axis : axis + item.ndim]):
                raise ShapeError("get_item(key)", need=f"a mask of shape {tuple(x.shape[axis : axis + item.ndim])}", got=f"shape {tuple(item.shape)}")
            whole += list(np.nonzero(item) if isinstance(item, np.ndarray) else engine.nonzero(item))
        else:
            whole.append(item)
    return whole


def _bounds(item: slice, size: int) -> tuple[int, int, int]:
    """start, stop and step of a slice; numbers on the host are enough, tensors are read if they can be."""
    read = lambda bound: bound if bound is None or (hasattr(bound, "__index__") and not hasattr(bound, "shape")) else int(np.asarray(bound))  # noqa: E731
    try:
        return slice(read(item.start), read(item.stop), read(item.step)).indices(size)
    except (TypeError, ValueError) as error:
        fix = "slice(x, start, sizes) takes starts that are computed"
        raise ArgumentError("get_item(key)", need="slices of integers, with a step other than 0", got=str(item), fix=fix) from error


def _checked(item: Any, size: int, axis: int, x: Tensor) -> Tensor:
    """Integer indices as an int32 or int64 tensor; those on the host must exist."""
    dtype = dtypes.standardize_dtype(item.dtype)
    if not dtypes.is_integer(dtype):
        raise DTypeError("get_item(key)", need="indices that are integers, or bools as a mask", got=dtype, fix='cast first: ops.cast(index, "int32")')
    if isinstance(item, np.ndarray):
        wrong = item[(item < -size) | (item >= size)]
        if wrong.size:
            raise AxisError(
                "get_item(key)", need=f"indices in [{-size}, {size}) for axis {axis}", got=str(wrong.flat[0]), why=f"the shape is {tuple(x.shape)}"
            )
        return engine.asarray(item, "int32")
    return item if dtype in ("int32", "int64") else engine.cast(item, "int32")


def _in_front(items: list[Any]) -> int | None:
    """Where the axes of the indices go: None where the first of them stands; 0 if a slice or None separates two (an int counts as an index here)."""
    places = [i for i, item in enumerate(items) if item is not None and not isinstance(item, slice)]
    return None if places[-1] - places[0] == len(places) - 1 else 0


def _gather(x: Tensor, arrays: list[tuple[int, Tensor]], place: int | None) -> Tensor:
    """x at index tensors that broadcast, each for one axis; their axes go to `place`, or to where the first one was."""
    axes = [axis for axis, _ in arrays]
    place = axes[0] if place is None else place
    if len(arrays) == 1:
        index = arrays[0][1]
        x, front = engine.take(x, index, axes[0]), list(range(axes[0], axes[0] + index.ndim))
    else:  # number the positions of all these axes, and take from that one axis
        rest = [axis for axis in range(x.ndim) if axis not in axes]
        sizes = [x.shape[axis] for axis in axes]
        x = engine.transpose(x, (*axes, *rest))
        x = engine.reshape(x, (math.prod(sizes), *x.shape[len(axes) :]))
        index: Any = None
        for size, (_, part) in zip(sizes, arrays, strict=True):
            part = engine.cast(part, "int32")
            part = engine.where(engine.less(part, 0), engine.add(part, size), part)
            index = part if index is None else engine.add(engine.multiply(index, size), part)
        x, front = engine.take(x, index, 0), list(range(index.ndim))
    rest = [axis for axis in range(x.ndim) if axis not in front]
    order = (*rest[:place], *front, *rest[place:])
    return x if order == tuple(range(x.ndim)) else engine.transpose(x, order)


# Take ---------------------------------------------------------------------------------------------------------------------------------------


@op
def take(x: Tensor, indices: Tensor, axis: int | None = None) -> Tensor:
    """Slices of x along axis, or elements of the flat x. Indices below 0 count from the end.

    >>> take([10, 20, 30], [2, 0]).tolist()
    [30, 10]
    """
    if axis is None:
        x, axis = engine.reshape(x, (math.prod(x.shape),)), 0
    return engine.take(x, as_indices("take", indices), normalize_axis(axis, x.ndim))


@op
def take_along_axis(x: Tensor, indices: Tensor, axis: int | None = None) -> Tensor:
    """For each position the element of x at the index along axis: what argsort gives, sorts.

    >>> take_along_axis([[3, 1], [5, 7]], [[1, 0], [0, 1]], axis=1).tolist()
    [[1, 3], [5, 7]]
    """
    if axis is None:
        x, indices, axis = engine.reshape(x, (math.prod(x.shape),)), engine.reshape(indices, (math.prod(indices.shape),)), 0
    if x.ndim != indices.ndim:
        raise ShapeError("take_along_axis(indices)", need=f"as many axes as x of shape {tuple(x.shape)}", got=f"shape {tuple(indices.shape)}")
    return engine.take_along_axis(x, as_indices("take_along_axis", indices), normalize_axis(axis, x.ndim))


def as_indices(name: str, x: Tensor) -> Tensor:
    """x as int32 or int64, refused if it is no integer."""
    dtype = engine.dtype(x)
    if dtype in ("int32", "int64"):
        return x
    if not dtypes.is_integer(dtype) and dtype != "bool" and 0 not in x.shape:  # an empty list has the dtype of floats
        raise DTypeError(f"{name}(indices)", need="integers", got=dtype, fix='cast first: ops.cast(indices, "int32")')
    return engine.cast(x, "int32")


@op
def nonzero(x: Tensor) -> tuple[Tensor, ...]:
    """One int32 vector of indices per axis, of what is not zero. Needs values: not inside a compiled function.

    >>> [axis.tolist() for axis in nonzero([[0, 3], [4, 0]])]
    [[0, 1], [1, 0]]
    """
    return engine.nonzero(x)


@op
def unravel_index(indices: Tensor, shape: int | Sequence[int]) -> tuple[Tensor, ...]:
    """Positions in the flat tensor as one index per axis of its shape, in the dtype of indices; what lies beyond an end counts as that end."""
    shape, kind = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape), engine.dtype(indices)
    total, rest, found = math.prod(shape), as_indices("unravel_index", indices), []
    rest = engine.where(engine.less(rest, 0), engine.add(rest, total), rest)
    rest = engine.minimum(engine.maximum(rest, 0), max(total - 1, 0))
    for size in reversed(shape):
        found.append(engine.cast(engine.remainder(rest, int(size)), kind))
        rest = engine.floor_divide(rest, int(size))
    return tuple(reversed(found))


# Diagonals ----------------------------------------------------------------------------------------------------------------------------------


@op
def diagonal(x: Tensor, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """Elements on a diagonal of the matrices over two axes, as the last axis."""
    first, second = normalize_axis(axis1, x.ndim, "axis1"), normalize_axis(axis2, x.ndim, "axis2")
    if first == second:
        raise AxisError("diagonal", need="two axes that differ", got=f"axis1={axis1} and axis2={axis2}")
    rest = [axis for axis in range(x.ndim) if axis not in (first, second)]
    rows, columns = x.shape[first], x.shape[second]
    x = engine.reshape(engine.transpose(x, (*rest, first, second)), (*(x.shape[axis] for axis in rest), rows * columns))
    start = offset if offset >= 0 else -offset * columns
    count = max(0, min(rows - max(-offset, 0), columns - max(offset, 0)))
    stop = start + (count - 1) * (columns + 1) + 1 if count else (start := 0)
    none = (0,) * len(rest)
    return engine.slice(x, (*none, start), (*x.shape[:-1], stop), (*(1 for _ in rest), columns + 1))


@op
def trace(x: Tensor, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """Sum of a diagonal of the matrices over two axes."""
    parts = summable(diagonal.function(x, offset, axis1, axis2))
    return engine.sum(parts, (parts.ndim - 1,), False)


@op
def diag(x: Tensor, k: int = 0) -> Tensor:
    """The matrix with vector x on diagonal k, or diagonal k of matrix x.

    >>> diag([1, 2]).tolist()
    [[1, 0], [0, 2]]
    """
    if x.ndim not in (1, 2):
        raise ShapeError("diag", need="a vector or a matrix", got=f"shape {tuple(x.shape)}", fix="for more axes use diagonal")
    return diagonal.function(x, k) if x.ndim == 2 else _on_diagonal(x, int(k))


@op
def diagflat(x: Tensor, k: int = 0) -> Tensor:
    """The matrix with all elements of x on diagonal k."""
    return _on_diagonal(engine.reshape(x, (math.prod(x.shape),)), int(k))


def _on_diagonal(x: Tensor, k: int) -> Tensor:
    size, zero = x.shape[0] + abs(k), 0 if engine.dtype(x) != "bool" else False
    rows, columns = grid(size, size)
    column = engine.reshape(engine.pad(x, [(max(-k, 0), max(k, 0))], zero), (size, 1))
    return engine.where(engine.equal(engine.add(rows, k), columns), column, engine.full((), zero, engine.dtype(x)))


# Facts --------------------------------------------------------------------------------------------------------------------------------------


def size(x: Any) -> Any:
    """Number of elements, an int; a scalar int32 of a symbolic tensor with unknown sizes.

    >>> size([[1, 2, 3]])
    3
    """
    if isinstance(x, Symbolic):
        from nyala import ops

        return ops.sum(ops.ones_like(x, "int32")) if x.size is None else x.size
    return math.prod(convert(x).shape)


@op
def ndim(x: Tensor) -> int:
    """Number of axes."""
    return x.ndim


@op
def view(x: Tensor, dtype: str | None = None) -> Tensor:
    """The same bytes read as another dtype; the last axis grows or shrinks with its width. Passes through the host, and has no gradient."""
    target = dtypes.numpy_dtype(resolve(engine.dtype(x) if dtype is None else dtype))
    width = dtypes.numpy_dtype(engine.dtype(x)).itemsize
    if target.itemsize != width and (x.ndim == 0 or x.shape[-1] * width % target.itemsize):
        raise ShapeError(
            "view", need=f"a last axis whose bytes are a multiple of {target.itemsize}", got=f"shape {tuple(x.shape)} of {engine.dtype(x)}"
        )
    name = dtypes.standardize_dtype(target)
    if engine.abstract:
        return engine.full(tuple(x.shape) if target.itemsize == width else (*x.shape[:-1], x.shape[-1] * width // target.itemsize), 0, name)
    return engine.asarray(engine.to_numpy(x).view(target), name)
