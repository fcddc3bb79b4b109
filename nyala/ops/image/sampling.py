# SPDX-License-Identifier: Apache-2.0
"""Reading images at places between their pixels: affine, perspective and elastic transforms. Start at sample."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nyala.core import dtypes
from nyala.core.errors import ArgumentError, ShapeError
from nyala.core.op import convert, engine, op
from nyala.engines.protocol import Tensor
from nyala.ops.core import saturate_cast
from nyala.ops.image.filters import blur
from nyala.ops.image.layout import as_batch
from nyala.ops.shaping import part_of

FILL_MODES = ("constant", "nearest", "wrap", "mirror", "reflect")
ORDERS = {"nearest": 0, "bilinear": 1}


def _inside(index: Tensor, size: int, mode: str) -> Tensor:
    """Indices beyond an axis of this size, led back into it."""
    if mode in ("constant", "nearest"):
        return engine.minimum(engine.maximum(index, 0), size - 1)
    if mode == "wrap":
        return engine.remainder(index, size)
    period = 2 * size if mode == "reflect" else max(2 * size - 2, 1)
    index = engine.remainder(index, period)
    return engine.minimum(index, engine.subtract(2 * size - 1 if mode == "reflect" else period, index))


def _nodes(place: Tensor, size: int, order: int, mode: str) -> list[tuple[Tensor, Tensor | None, Tensor]]:
    """The pixels beside each place on one axis: (index, weight, whether it is one); the weight is None for 1."""
    if order == 0:
        away = engine.floor(engine.add(engine.abs(place), 0.5))  # halves away from 0
        below, found = engine.multiply(engine.sign(place), away), [(0, None)]
    else:
        below = engine.floor(place)
        beyond = engine.subtract(place, below)
        found = [(0, engine.subtract(1.0, beyond)), (1, beyond)]
    far = float(2**24)
    whole = engine.cast(engine.minimum(engine.maximum(below, -far), far), "int32")
    nodes = []
    for step, weight in found:
        index = engine.add(whole, step)
        real = engine.logical_and(engine.greater_equal(index, 0), engine.less(index, size))
        nodes.append((_inside(index, size, mode), weight, real))
    return nodes


def sample(x: Tensor, places: Sequence[Tensor], order: int, mode: str, value: Any) -> Tensor:
    """Values of x (b, *s, c), floats, at places: one tensor (b, *out) of coordinates per spatial axis. Returns (b, *out, c).

    Args:
        order: 0 takes the nearest pixel, 1 interpolates linearly between the next ones.
        mode: what lies beyond the border: "constant" (value), "nearest" (the border), "wrap" (x again), "mirror" (mirrored at the last pixel),
            "reflect" (mirrored behind it).
    """
    batch, *sizes, channels = x.shape
    out = tuple(places[0].shape)
    if batch == 0:
        return engine.full((*out, channels), 0, engine.dtype(x))
    flat = engine.reshape(x, (batch * math.prod(sizes), channels))
    starts = engine.reshape(engine.multiply(engine.arange(batch, "int32"), math.prod(sizes)), (batch, *(1,) * (len(out) - 1)))
    axes = [_nodes(place, size, order, mode) for place, size in zip(places, sizes, strict=True)]
    total = None
    for corner in itertools.product(*axes):
        index, weight, real = starts, None, None
        for axis, (part, share, known) in enumerate(corner):
            index = engine.add(index, engine.multiply(part, math.prod(sizes[axis + 1 :])))
            weight = share if weight is None else engine.multiply(weight, share)
            real = known if real is None else engine.logical_and(real, known)
        found = engine.take(flat, engine.broadcast_to(index, out), 0)  # b *out c
        if mode == "constant":
            found = engine.where(engine.reshape(real, (*out, 1)), found, value)
        term = found if weight is None else engine.multiply(found, engine.reshape(weight, (*out, 1)))
        total = term if total is None else engine.add(total, term)
    return total


def _check_mode(where: str, mode: str) -> None:
    if mode not in FILL_MODES:
        raise ArgumentError(f"{where}(fill_mode)", need=f"one of {FILL_MODES}", got=repr(mode))


def _check_order(where: str, interpolation: str) -> int:
    if interpolation not in ORDERS:
        raise ArgumentError(f"{where}(interpolation)", need="'nearest' or 'bilinear'", got=repr(interpolation))
    return ORDERS[interpolation]


def _floats(x: Tensor) -> Tensor:
    return x if engine.dtype(x) in ("float32", "float64") else engine.cast(x, "float32")


def _as(x: Tensor, dtype: str) -> Tensor:
    """Floats in this dtype; integers are rounded, halves up."""
    if dtypes.is_float(dtype):
        return x if engine.dtype(x) == dtype else engine.cast(x, dtype)
    return saturate_cast(engine.floor(engine.add(x, 0.5)), dtype)


@op
def map_coordinates(inputs: Tensor, coordinates: Tensor, order: int, fill_mode: str = "constant", fill_value: float = 0) -> Tensor:
    """Values of inputs at places between its elements.

    Args:
        inputs: any number of axes.
        coordinates: (axes of inputs, *out), in elements from 0.
        order: 0 the nearest element, 1 linear interpolation.
        fill_mode: what lies beyond the border: "constant" (fill_value), "nearest", "wrap", "mirror" or "reflect".
    Returns: (*out), in the dtype of inputs.

    >>> map_coordinates([1.0, 2.0, 4.0], [[0.5, 1.5, 7.0]], order=1, fill_mode="nearest").tolist()
    [1.5, 3.0, 4.0]
    """
    if order not in (0, 1):
        raise ArgumentError("map_coordinates(order)", need="0 or 1", got=repr(order))
    _check_mode("map_coordinates", fill_mode)
    if coordinates.ndim < 1 or coordinates.shape[0] != inputs.ndim or inputs.ndim == 0:
        raise ShapeError("map_coordinates(coordinates)", need=f"shape ({inputs.ndim}, *out), one row per axis of inputs",
                         got=f"shape {tuple(coordinates.shape)}")  # fmt: skip
    x, out = _floats(inputs), tuple(coordinates.shape[1:])
    places = _floats(coordinates)
    rows = [engine.reshape(part_of(places, 0, i, i + 1), (1, *out)) for i in range(inputs.ndim)]
    result = sample(engine.reshape(x, (1, *x.shape, 1)), rows, order, fill_mode, float(fill_value))
    return _as(engine.reshape(result, out), engine.dtype(inputs))


def _grid(height: int, width: int, dtype: str) -> tuple[Tensor, Tensor]:
    """Rows (h, 1) and columns (1, w)."""
    return engine.reshape(engine.arange(height, dtype), (height, 1)), engine.reshape(engine.arange(width, dtype), (1, width))


def _numbers(matrix: Tensor) -> list[Tensor]:
    """The columns of (b, n), each (b, 1, 1)."""
    return [engine.reshape(part_of(matrix, 1, i, i + 1), (matrix.shape[0], 1, 1)) for i in range(matrix.shape[1])]


def _plane(a: Tensor, b: Tensor, c: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """a * column + b * row + c, of (b, 1, 1) each: (b, h, w)."""
    return engine.add(engine.add(engine.multiply(a, columns), engine.multiply(b, rows)), c)


def _matched(where: str, tensor: Tensor, tail: tuple[int, ...], x: Tensor, images: Tensor) -> Tensor:
    """tensor as (b, *tail), given that or (*tail) for one image."""
    single = images.ndim == 3 and tuple(tensor.shape) == tail
    if not single and tuple(tensor.shape) not in ((x.shape[0], *tail), (1, *tail)):
        shown = ", ".join(map(str, tail))
        raise ShapeError(where, need=f"shape (b, {shown}) for b images, or ({shown}{',' if len(tail) == 1 else ''}) for one",
                         got=f"shape {tuple(tensor.shape)} for images of shape {tuple(images.shape)}")  # fmt: skip
    tensor = engine.reshape(tensor, (1, *tail)) if single else tensor
    return engine.broadcast_to(tensor, (x.shape[0], *tail))


@op
def affine_transform(
    images: Tensor,
    transform: Tensor,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Tensor:
    """Images whose pixel (x, y) comes from (a0 x + a1 y + a2, b0 x + b1 y + b2) of the given ones, x to the right, y down.

    Args:
        transform: (b, 8), or (8,) for one image: a0, a1, a2, b0, b1, b2, and two numbers that do not count.
        interpolation: "nearest" or "bilinear".
        fill_mode: what lies beyond the border: "constant" (fill_value), "nearest", "wrap", "mirror" or "reflect".

    >>> affine_transform([[[1.0], [2.0], [3.0]]], [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0]).tolist()
    [[[2.0], [3.0], [0.0]]]
    """
    order = _check_order("affine_transform", interpolation)
    _check_mode("affine_transform", fill_mode)
    x, back = as_batch("affine_transform", images, data_format)
    values = _floats(x)
    numbers = _numbers(_matched("affine_transform(transform)", _floats(transform), (8,), x, images))
    numbers = [engine.cast(n, engine.dtype(values)) for n in numbers]
    grid = _grid(x.shape[1], x.shape[2], engine.dtype(values))
    a, b, c, d, e, f = numbers[:6]
    places = [_plane(d, e, f, *grid), _plane(a, b, c, *grid)]
    return back(_as(sample(values, places, order, fill_mode, float(fill_value)), engine.dtype(x)))


def homography(start_points: Tensor, end_points: Tensor) -> Tensor:
    """(b, 8) numbers of the projection that sends the four end points (b, 4, 2) to the start points."""
    batch = start_points.shape[0]
    column = lambda points, i: part_of(points, 2, i, i + 1)  # noqa: E731
    x, y, u, v = column(end_points, 0), column(end_points, 1), column(start_points, 0), column(start_points, 1)  # b 4 1
    one, none = engine.full((batch, 4, 1), 1.0, engine.dtype(x)), engine.full((batch, 4, 3), 0.0, engine.dtype(x))
    bend = lambda target: [engine.negative(engine.multiply(n, target)) for n in (x, y)]  # noqa: E731
    equations = engine.concatenate([
        engine.concatenate([x, y, one, none, *bend(u)], 2),
        engine.concatenate([none, x, y, one, *bend(v)], 2),
    ], 1)  # b 8 8  # fmt: skip
    return engine.reshape(engine.solve(equations, engine.concatenate([u, v], 1)), (batch, 8))


@op
def perspective_transform(
    images: Tensor,
    start_points: Tensor,
    end_points: Tensor,
    interpolation: str = "bilinear",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Tensor:
    """Images seen from elsewhere: what lay at the four start points comes to lie at the end points, and straight lines stay straight.

    Args:
        start_points, end_points: (b, 4, 2), or (4, 2) for one image: four points (x, y) in pixels.
        interpolation: "nearest" or "bilinear".
        fill_value: what lies beyond the border.

    >>> corners = [[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]]
    >>> perspective_transform([[[1.0], [2.0], [3.0]]], [[x + 1, y] for x, y in corners], corners).tolist()
    [[[2.0], [3.0], [0.0]]]
    """
    order = _check_order("perspective_transform", interpolation)
    x, back = as_batch("perspective_transform", images, data_format)
    values = _floats(x)
    dtype = engine.dtype(values)
    start, end = (
        engine.cast(_matched(f"perspective_transform({name})", points, (4, 2), x, images), dtype)
        for name, points in (("start_points", start_points), ("end_points", end_points))
    )
    numbers, (rows, columns) = _numbers(homography(start, end)), _grid(x.shape[1], x.shape[2], dtype)
    depth = engine.add(engine.add(engine.multiply(numbers[6], columns), engine.multiply(numbers[7], rows)), 1.0)
    a, b, c, d, e, f = numbers[:6]
    places = [engine.divide(_plane(*plane, rows, columns), depth) for plane in ((d, e, f), (a, b, c))]
    return back(_as(sample(values, places, order, "constant", float(fill_value)), engine.dtype(x)))


@op
def displace(
    images: Tensor,
    moves: Tensor,
    interpolation: str = "bilinear",
    fill_mode: str = "reflect",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Tensor:
    """Images whose pixels come from beside their places: (b, h, w, 2) says how many rows below and how many columns to the right.

    >>> from nyala.ops.image.sampling import displace
    >>> displace([[[1.0], [2.0], [4.0]]], [[[[0.0, 0.5], [0.0, 0.5], [0.0, 0.5]]]]).tolist()
    [[[1.5], [3.0], [4.0]]]
    """
    order = _check_order("displace", interpolation)
    _check_mode("displace", fill_mode)
    x, back = as_batch("displace", images, data_format)
    values = _floats(x)
    grid = _grid(x.shape[1], x.shape[2], engine.dtype(values))
    moves = engine.cast(moves, engine.dtype(values))
    places = [engine.add(engine.reshape(part_of(moves, 3, i, i + 1), tuple(x.shape[:3])), grid[i]) for i in (0, 1)]
    return back(_as(sample(values, places, order, fill_mode, float(fill_value)), engine.dtype(x)))


@op
def elastic_transform(
    images: Tensor,
    alpha: Any = 20.0,
    sigma: Any = 5.0,
    interpolation: str = "bilinear",
    fill_mode: str = "reflect",
    fill_value: float = 0.0,
    seed: Any = None,
    data_format: str | None = None,
) -> Tensor:
    """Images as if printed on rubber: each pixel is moved at random, its neighbours nearly as far.

    Args:
        alpha: how far: the moves are alpha times smoothed normal noise of deviation sigma.
        sigma: the deviation, also of the bell that smooths, in pixels.
        interpolation: "nearest" or "bilinear".
        fill_mode: what lies beyond the border: "constant" (fill_value), "nearest", "wrap", "mirror" or "reflect".
        seed: an integer for the same moves at each call, a SeedGenerator, or None.
    Source: Simard, Steinkraus, Platt 2003, Best practices for convolutional neural networks applied to visual document analysis.
    Differs from Keras, which moves every pixel as far down as to the right: here both are drawn apart.
    """
    from nyala import random

    x, _ = as_batch("elastic_transform", images, data_format)
    dtype = engine.dtype(_floats(x))
    noise = engine.multiply(random.normal((*x.shape[:3], 2), dtype=dtype, seed=seed), convert(sigma, dtype))
    length = int(6 * float(sigma)) | 1 if isinstance(sigma, (int, float, np.number)) else 31
    spread = engine.reshape(convert(sigma, dtype), (1,))
    moves = engine.multiply(blur(noise, (length, length), (spread, spread)), convert(alpha, dtype))
    return displace(images, moves, interpolation, fill_mode, fill_value, data_format)
