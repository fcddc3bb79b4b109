# SPDX-License-Identifier: Apache-2.0
"""The same values in another arrangement: reshape, permute, join, split, repeat, pad. Start at reshape."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nyala.core import dtypes
from nyala.core.errors import ArgumentError, AxisError, ShapeError
from nyala.core.op import convert, engine, normalize_axes, normalize_axis, op
from nyala.core.sizes import plain
from nyala.engines.protocol import Tensor
from nyala.ops._dtypes import Axis, has_values

# Axes -------------------------------------------------------------------------------------------------------------------------------------


def _listed(value: Any) -> Any:
    """Several values as they are, one as a tuple of one; sizes for a tensor of known ones."""
    value = plain(value)
    return value if hasattr(value, "__len__") else (value,)


@op
def reshape(x: Tensor, newshape: int | Sequence[int]) -> Tensor:
    """The same values in row-major order under another shape; one size may be -1, which is what remains.

    >>> reshape([1, 2, 3, 4], (2, -1)).tolist()
    [[1, 2], [3, 4]]
    """
    given = tuple(-1 if n is None else int(n) for n in _listed(newshape))
    total, known = math.prod(x.shape), math.prod(n for n in given if n != -1)
    shape = tuple(total // known if n == -1 and known else 0 if n == -1 else n for n in given)
    if given.count(-1) > 1 or min(given, default=0) < -1:
        raise ShapeError("reshape(newshape)", need="sizes of at least 0, and -1 at most once", got=f"{given}")
    if math.prod(shape) != total:
        remains = f"{total} is not a multiple of {known}" if -1 in given else f"{given} has {known}"
        raise ShapeError("reshape", need=f"a new shape of {total} elements, as {tuple(x.shape)} has", got=f"{given}", why=remains)
    return engine.reshape(x, shape)


@op
def ravel(x: Tensor) -> Tensor:
    """All values as a vector, in row-major order."""
    return engine.reshape(x, (math.prod(x.shape),))


@op
def transpose(x: Tensor, axes: Sequence[int] | None = None) -> Tensor:
    """Axes permuted: axis i of the result is axis axes[i] of x; all reversed by default.

    >>> transpose([[1, 2], [3, 4]]).tolist()
    [[1, 3], [2, 4]]
    """
    if axes is None:
        return engine.transpose(x, tuple(range(x.ndim))[::-1])
    order = tuple(normalize_axis(axis, x.ndim, "transpose(axes)") for axis in axes)
    if sorted(order) != list(range(x.ndim)):
        raise AxisError("transpose(axes)", need=f"each of the {x.ndim} axes once", got=f"{tuple(axes)}")
    return engine.transpose(x, order)


@op
def moveaxis(x: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Axes `source` moved to the places `destination`; the others keep their order."""
    sources, places = [
        [normalize_axis(axis, x.ndim, f"moveaxis({name})") for axis in (axes if isinstance(axes, (list, tuple)) else (axes,))]
        for name, axes in (("source", source), ("destination", destination))
    ]
    if len(sources) != len(places) or len(set(sources)) != len(sources) or len(set(places)) != len(places):
        raise AxisError("moveaxis", need="as many different axes in destination as in source", got=f"{source!r} and {destination!r}")
    order = [axis for axis in range(x.ndim) if axis not in sources]
    for place, axis in sorted(zip(places, sources, strict=True)):
        order.insert(place, axis)
    return engine.transpose(x, tuple(order))


@op
def swapaxes(x: Tensor, axis1: int, axis2: int) -> Tensor:
    """Two axes exchanged."""
    first, second = normalize_axis(axis1, x.ndim, "axis1"), normalize_axis(axis2, x.ndim, "axis2")
    order = list(range(x.ndim))
    order[first], order[second] = second, first
    return engine.transpose(x, tuple(order))


@op
def expand_dims(x: Tensor, axis: int | Sequence[int]) -> Tensor:
    """x with new axes of size 1, at these places of the result.

    >>> expand_dims([1, 2], -1).tolist()
    [[1], [2]]
    """
    axes = axis if isinstance(axis, (list, tuple)) else (axis,)
    ndim = x.ndim + len(axes)
    places = normalize_axes(list(axes), ndim)
    rest = iter(x.shape)
    return engine.reshape(x, tuple(1 if i in places else next(rest) for i in range(ndim)))


@op
def squeeze(x: Tensor, axis: Axis = None) -> Tensor:
    """x without these axes of size 1; by default without all that have size 1."""
    axes = [i for i, n in enumerate(x.shape) if n == 1] if axis is None else normalize_axes(axis, x.ndim)
    wrong = [i for i in axes if x.shape[i] != 1]
    if wrong:
        raise ShapeError("squeeze(axis)", need="axes of size 1", got=f"axis {wrong[0]} of shape {tuple(x.shape)}")
    return engine.reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in axes))


@op
def broadcast_to(x: Tensor, shape: Sequence[int]) -> Tensor:
    """x repeated to shape, by NumPy's rules."""
    target = tuple(int(n) for n in _listed(shape))
    padded = (1,) * (len(target) - x.ndim) + tuple(x.shape)
    if len(padded) != len(target) or any(n not in (1, m) for n, m in zip(padded, target, strict=True)):
        why = "from the last axis on, each size must be equal or 1"
        raise ShapeError("broadcast_to", need=f"a shape that {tuple(x.shape)} broadcasts to", got=f"{target}", why=why)
    return engine.broadcast_to(x, target)


# Join and split -----------------------------------------------------------------------------------------------------------------------------


@op(promote="same")
def concatenate(xs: Sequence[Tensor], axis: int = 0) -> Tensor:
    """Tensors joined along an axis that they have.

    >>> concatenate([[1, 2], [3]]).tolist()
    [1, 2, 3]
    """
    return _join("concatenate", xs, axis)


def _join(name: str, xs: Sequence[Tensor], axis: int) -> Tensor:
    xs = _items(name, xs)
    if xs[0].ndim == 0:
        raise ShapeError(name, need="tensors with at least one axis", got="scalars", fix="use stack")
    place = normalize_axis(axis, xs[0].ndim)
    rests = {(*x.shape[:place], *x.shape[place + 1 :]) if x.ndim == xs[0].ndim else None for x in xs}
    if len(rests) > 1:
        got = " and ".join(dict.fromkeys(str(tuple(x.shape)) for x in xs))
        raise ShapeError(name, need=f"shapes that are equal but for axis {axis}", got=got, why="the tensors are joined along that axis only")
    return engine.concatenate(xs, place)


def _items(name: str, xs: Any) -> list[Tensor]:
    """The tensors of a list, or along the first axis of a tensor; at least one."""
    items = list(xs) if isinstance(xs, (list, tuple)) else unbind(xs)
    if not items:
        raise ArgumentError(name, need="at least one tensor", got="none")
    return items


def unbind(x: Tensor, axis: int = 0) -> list[Tensor]:
    """The slices of x along axis, without it."""
    shape = tuple(n for i, n in enumerate(x.shape) if i != axis)
    return [engine.reshape(part_of(x, axis, i, i + 1), shape) for i in range(x.shape[axis])]


def part_of(x: Tensor, axis: int, start: int, stop: int, step: int = 1) -> Tensor:
    """x[start:stop:step] along one axis, 0 <= start <= stop <= size."""
    starts, stops, steps = [0] * x.ndim, list(x.shape), [1] * x.ndim
    starts[axis], stops[axis], steps[axis] = start, stop, step
    return engine.slice(x, tuple(starts), tuple(stops), tuple(steps))


@op(promote="same")
def stack(x: Sequence[Tensor], axis: int = 0) -> Tensor:
    """Tensors of one shape joined along a new axis.

    >>> stack([[1, 2], [3, 4]], axis=1).tolist()
    [[1, 3], [2, 4]]
    """
    items = _items("stack", x)
    shapes = list(dict.fromkeys(tuple(item.shape) for item in items))
    if len(shapes) > 1:
        raise ShapeError(
            "stack", need="tensors of one shape", got=" and ".join(map(str, shapes)), why="the new axis counts the tensors; the others are shared"
        )
    place = normalize_axis(axis, len(shapes[0]) + 1)
    shape = (*shapes[0][:place], 1, *shapes[0][place:])
    return engine.concatenate([engine.reshape(item, shape) for item in items], place)


@op
def append(x1: Tensor, x2: Tensor, axis: int | None = None) -> Tensor:
    """x2 joined to the end of x1 along axis; both as vectors without one."""
    if axis is None:
        x1, x2 = ravel.function(x1), ravel.function(x2)
    return concatenate([x1, x2], 0 if axis is None else axis)


@op(promote="same")
def hstack(xs: Sequence[Tensor]) -> Tensor:
    """Tensors joined side by side: along axis 1, vectors along axis 0."""
    items = [_at_least(x, 1) for x in _items("hstack", xs)]
    return _join("hstack", items, 0 if items[0].ndim == 1 else 1)


@op(promote="same")
def vstack(xs: Sequence[Tensor]) -> Tensor:
    """Tensors joined one above the other: along axis 0, vectors as rows."""
    return _join("vstack", [_at_least(x, 2) for x in _items("vstack", xs)], 0)


@op(promote="same")
def dstack(xs: Sequence[Tensor]) -> Tensor:
    """Tensors joined behind one another: along axis 2."""
    return _join("dstack", [_at_least(x, 3) for x in _items("dstack", xs)], 2)


def _at_least(x: Tensor, ndim: int) -> Tensor:
    """x with at least so many axes: (n,) becomes (1, n), or (1, n, 1); (m, n) becomes (m, n, 1)."""
    shape = tuple(x.shape)
    if ndim >= 2 and len(shape) < 2:
        shape = (1, *shape) if shape else (1, 1)
    return engine.reshape(x, shape + (1,) * (ndim - len(shape)))


@op
def split(x: Tensor, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """x cut along axis: into so many equal parts, or before each of the given indices.

    >>> [part.tolist() for part in split([1, 2, 3, 4], 2)]
    [[1, 2], [3, 4]]
    """
    return _split("split", x, indices_or_sections, normalize_axis(axis, x.ndim))


@op
def hsplit(x: Tensor, indices_or_sections: int | Sequence[int]) -> list[Tensor]:
    """split along axis 1, of vectors along axis 0."""
    return _split("hsplit", x, indices_or_sections, normalize_axis(0 if x.ndim == 1 else 1, x.ndim))


@op
def vsplit(x: Tensor, indices_or_sections: int | Sequence[int]) -> list[Tensor]:
    """split along axis 0."""
    return _split("vsplit", x, indices_or_sections, normalize_axis(0, x.ndim))


@op
def dsplit(x: Tensor, indices_or_sections: int | Sequence[int]) -> list[Tensor]:
    """split along axis 2."""
    return _split("dsplit", x, indices_or_sections, normalize_axis(2, x.ndim))


def _split(name: str, x: Tensor, where: Any, axis: int) -> list[Tensor]:
    size = x.shape[axis]
    if isinstance(where, (int, np.integer)):
        if where < 1 or size % where:
            fix = "choose a number that divides it, give indices, or use array_split"
            raise ShapeError(name, need=f"a number of sections that divides the size {size} of axis {axis}", got=f"{where}", fix=fix)
        cuts = [size // int(where) * i for i in range(1, int(where))]
    else:
        cuts = [slice(None, int(index)).indices(size)[1] for index in where]
    return _cut(x, cuts, axis)


def _cut(x: Tensor, cuts: Sequence[int], axis: int) -> list[Tensor]:
    bounds = [0, *cuts, x.shape[axis]]
    return [part_of(x, axis, start, max(start, stop)) for start, stop in itertools.pairwise(bounds)]


@op
def array_split(x: Tensor, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """split whose parts need not be equal: the first ones are longer by one."""
    place = normalize_axis(axis, x.ndim)
    if not isinstance(indices_or_sections, (int, np.integer)):
        return _split("array_split", x, indices_or_sections, place)
    if indices_or_sections < 1:
        raise ArgumentError("array_split", need="at least one section", got=repr(indices_or_sections))
    length, longer = divmod(x.shape[place], int(indices_or_sections))
    return _cut(x, [length * i + min(i, longer) for i in range(1, int(indices_or_sections))], place)


# Repeat, reverse, shift -------------------------------------------------------------------------------------------------------------------


@op
def tile(x: Tensor, repeats: int | Sequence[int]) -> Tensor:
    """The whole of x so many times along each axis; the shorter of shape and repeats is filled up with ones in front.

    >>> tile([1, 2], 2).tolist()
    [1, 2, 1, 2]
    """
    times = tuple(int(n) for n in _listed(repeats))
    ndim = max(x.ndim, len(times))
    shape, times = (1,) * (ndim - x.ndim) + tuple(x.shape), (1,) * (ndim - len(times)) + times
    if min(times, default=1) < 0:
        raise ArgumentError("tile(repeats)", need="numbers of at least 0", got=repr(repeats))
    x = engine.reshape(x, tuple(size for n in shape for size in (1, n)))
    x = engine.broadcast_to(x, tuple(size for pair in zip(times, shape, strict=True) for size in pair))
    return engine.reshape(x, tuple(t * n for t, n in zip(times, shape, strict=True)))


@op
def repeat(x: Tensor, repeats: int | Sequence[int], axis: int | None = None) -> Tensor:
    """Each element so many times, one after the other, along axis, or of the flat x.

    >>> repeat([1, 2], [2, 1]).tolist()
    [1, 1, 2]
    """
    if axis is None:
        x, axis = ravel.function(x), 0
    place = normalize_axis(axis, x.ndim)
    size = x.shape[place]
    if not has_values(repeats):
        if engine.abstract:
            raise ArgumentError(
                "repeat(repeats)", need="numbers known while shapes are inferred", got="a tensor", why="the size of the result is their sum"
            )
        times = engine.to_numpy(convert(repeats))
    else:
        times = np.asarray(repeats)
    if times.dtype.kind not in "iu" or times.min(initial=0) < 0:
        raise ArgumentError("repeat(repeats)", need="integers from 0", got=f"{times.tolist()}")
    if times.size == 1:
        n = int(times.reshape(()))
        x = engine.reshape(x, (*x.shape[: place + 1], 1, *x.shape[place + 1 :]))
        x = engine.broadcast_to(x, (*x.shape[: place + 1], n, *x.shape[place + 2 :]))
        return engine.reshape(x, (*x.shape[:place], size * n, *x.shape[place + 2 :]))
    if times.shape != (size,):
        raise ShapeError("repeat(repeats)", need=f"one number, or one for each of the {size} elements", got=f"shape {times.shape}")
    return engine.take(x, engine.asarray(np.repeat(np.arange(size), times), "int32"), place)


@op
def flip(x: Tensor, axis: Axis = None) -> Tensor:
    """Order reversed along axis, or along all."""
    return engine.flip(x, normalize_axes(axis, x.ndim))


@op
def fliplr(x: Tensor) -> Tensor:
    """Order of the columns reversed: along axis 1."""
    return engine.flip(x, (normalize_axis(1, x.ndim),))


@op
def flipud(x: Tensor) -> Tensor:
    """Order of the rows reversed: along axis 0."""
    return engine.flip(x, (normalize_axis(0, x.ndim),))


@op
def roll(x: Tensor, shift: int | Sequence[int], axis: Axis = None) -> Tensor:
    """Elements moved on by shift places along axis; what leaves at the end enters in front.

    >>> roll([1, 2, 3, 4], 1).tolist()
    [4, 1, 2, 3]
    """
    if axis is None:
        return engine.reshape(roll.function(ravel.function(x), shift, 0), tuple(x.shape))
    axes = [normalize_axis(a, x.ndim) for a in (axis if isinstance(axis, (list, tuple)) else (axis,))]
    shifts: list[Any] = list(shift) if isinstance(shift, (list, tuple)) else [shift] * len(axes)
    axes = axes * len(shifts) if len(axes) == 1 else axes
    if len(shifts) != len(axes):
        raise ArgumentError("roll", need="as many shifts as axes", got=f"{shift!r} and {axis!r}")
    for place, places in zip(axes, shifts, strict=True):
        size = x.shape[place]
        if has_values(places):
            cut = -int(places) % size if size else 0
            x = engine.concatenate([part_of(x, place, cut, size), part_of(x, place, 0, cut)], place) if cut else x
        else:  # a shift that is computed
            index = engine.remainder(engine.subtract(engine.arange(size, "int32"), engine.cast(convert(places), "int32")), size)
            x = engine.take(x, index, place)
    return x


@op
def rot90(array: Tensor, k: int = 1, axes: Sequence[int] = (0, 1)) -> Tensor:
    """Turned k times by 90 degrees, from the first of the two axes towards the second.

    >>> rot90([[1, 2], [3, 4]]).tolist()
    [[2, 4], [1, 3]]
    """
    first, second = (normalize_axis(axis, array.ndim, "rot90(axes)") for axis in axes)
    if first == second:
        raise AxisError("rot90(axes)", need="two axes that differ", got=f"{tuple(axes)}")
    turns = k % 4
    if turns == 2:
        return engine.flip(array, tuple(sorted((first, second))))
    if turns == 0:
        return array
    order = list(range(array.ndim))
    order[first], order[second] = second, first
    return (
        engine.transpose(engine.flip(array, (second,)), tuple(order)) if turns == 1 else engine.flip(engine.transpose(array, tuple(order)), (second,))
    )


# Pad --------------------------------------------------------------------------------------------------------------------------------------

INDEX_MODES = ("edge", "reflect", "symmetric", "wrap")
MEASURES = ("maximum", "mean", "median", "minimum")
PAD_MODES = ("constant", "empty", "linear_ramp", *INDEX_MODES, *MEASURES)


@op
def pad(x: Tensor, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Tensor:
    """x with more elements before and after it.

    Args:
        pad_width: how many: n, (before, after), or a pair for each axis.
        mode: what: "constant" (constant_values, by default 0), "edge" (the last element), "reflect" (mirrored at the last element), "symmetric"
            (mirrored behind it), "wrap" (from the other end), "linear_ramp" (down to 0), "maximum", "mean", "median" or "minimum" of the axis.

    >>> pad([1, 2, 3], (2, 0), mode="reflect").tolist()
    [3, 2, 1, 2, 3]
    """
    widths = _pairs("pad_width", pad_width, x.ndim)
    if mode not in PAD_MODES:
        raise ArgumentError("pad(mode)", need=f"one of {PAD_MODES}", got=repr(mode))
    if constant_values is not None and mode != "constant":
        raise ArgumentError("pad(constant_values)", need="mode='constant' beside it", got=f"mode={mode!r}")
    if min((n for pair in widths for n in pair), default=0) < 0:
        raise ArgumentError("pad(pad_width)", need="widths of at least 0", got=f"{pad_width!r}", fix="cut with a slice: x[1:-1]")
    if mode in ("constant", "empty"):
        return _pad_constant(x, widths, 0 if constant_values is None else constant_values)
    for axis, (before, after) in enumerate(widths):
        if before or after:
            if x.shape[axis] == 0:
                raise ShapeError("pad", need=f"elements along axis {axis} to pad with", got=f"shape {tuple(x.shape)}")
            x = _pad_axis(x, axis, before, after, mode)
    return x


def _pairs(name: str, given: Any, ndim: int) -> list[tuple[int, int]]:
    """(before, after) of each axis from one number, one pair or a pair for each."""
    array = np.asarray(given)
    try:
        return [(int(a), int(b)) for a, b in np.broadcast_to(array, (ndim, 2))]
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"pad({name})", need=f"n, (before, after), or {ndim} such pairs, as x has {ndim} axes", got=repr(given)) from error


def _pad_constant(x: Tensor, widths: list[tuple[int, int]], value: Any) -> Tensor:
    dtype = engine.dtype(x)
    if isinstance(value, (bool, int, float)):
        return engine.pad(x, widths, _as_held(value, dtype))
    if not has_values(value):  # a tensor: fill by selection
        inside = engine.pad(engine.full(tuple(x.shape), True, "bool"), widths, False)
        return engine.where(inside, engine.pad(x, widths, 0 if dtype != "bool" else False), engine.cast(convert(value), dtype))
    values = np.broadcast_to(np.asarray(value), (x.ndim, 2))
    for axis, (pair, fills) in enumerate(zip(widths, values.tolist(), strict=True)):
        for side, (width, fill) in enumerate(zip(pair, fills, strict=True)):
            around = [(0, 0)] * x.ndim
            around[axis] = (width, 0) if side == 0 else (0, width)
            x = engine.pad(x, around, _as_held(fill, dtype)) if width else x
    return x


def _as_held(value: Any, dtype: str) -> Any:
    """A number as a dtype holds it: integers beyond its range begin again at the other end."""
    if dtype == "bool":
        return bool(value)
    return np.asarray(int(value)).astype(dtype).item() if dtypes.is_integer(dtype) and type(value) is not bool else value


def _pad_axis(x: Tensor, axis: int, before: int, after: int, mode: str) -> Tensor:
    from nyala.ops import statistics

    size = x.shape[axis]
    if mode in INDEX_MODES:
        return engine.take(x, engine.asarray(np.pad(np.arange(size), (before, after), mode=mode), "int32"), axis)
    if mode == "linear_ramp":
        sides = [_ramp(part_of(x, axis, 0, 1), axis, before), engine.flip(_ramp(part_of(x, axis, size - 1, size), axis, after), (axis,))]
    else:
        value = statistics.measure(x, axis, mode)
        sides = [engine.broadcast_to(value, (*x.shape[:axis], n, *x.shape[axis + 1 :])) for n in (before, after)]
    return engine.concatenate([sides[0], x, sides[1]], axis)


def _ramp(edge: Tensor, axis: int, width: int) -> Tensor:
    """From 0 towards the edge in `width` steps."""
    dtype, steps = engine.dtype(edge), np.arange(width).reshape([-1 if i == axis else 1 for i in range(edge.ndim)]) / max(width, 1)
    wide = dtype if dtype in ("float32", "float64") else "float32"
    return engine.cast(engine.multiply(engine.cast(edge, wide), engine.asarray(steps, wide)), dtype)
