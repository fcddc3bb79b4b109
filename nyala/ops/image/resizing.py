# SPDX-License-Identifier: Apache-2.0
"""Images of another size: each axis is multiplied by a matrix, made once from the two sizes. Start at resize, then weights."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nyala.core.errors import ArgumentError, ShapeError
from nyala.core.op import convert, engine, normalize_axis, op
from nyala.engines.protocol import Tensor
from nyala.ops._dtypes import resolution
from nyala.ops.image.borders import block
from nyala.ops.image.layout import as_batch, in_floats, pair
from nyala.ops.shaping import part_of

# Kernels: the weight of a pixel at this distance, 0 or more. `on` is numpy, or the engine where distances are tensors. ------------------------


def _linear(on: Any, d: Any) -> Any:
    return on.maximum(on.subtract(1.0, d), 0.0)


def _cubic(on: Any, d: Any) -> Any:
    """Source: Keys 1981, Cubic convolution interpolation for digital image processing (a = -1/2)."""
    near = on.add(on.multiply(on.multiply(on.subtract(on.multiply(d, 1.5), 2.5), d), d), 1.0)
    far = on.add(on.multiply(on.subtract(on.multiply(on.subtract(2.5, on.multiply(d, 0.5)), d), 4.0), d), 2.0)
    return on.where(on.less(d, 1.0), near, on.where(on.less(d, 2.0), far, 0.0))


def _lanczos(on: Any, d: Any, radius: float) -> Any:
    safe = on.where(on.greater(d, 1e-3), d, 1.0)
    waves = on.multiply(on.sin(on.multiply(safe, math.pi)), on.sin(on.multiply(safe, math.pi / radius)))
    bell = on.divide(on.multiply(waves, radius / math.pi**2), on.multiply(safe, safe))
    return on.where(on.less(d, radius), on.where(on.greater(d, 1e-3), bell, 1.0), 0.0)


KERNELS: dict[str, Callable] = {
    "linear": _linear,
    "cubic": _cubic,
    "lanczos3": functools.partial(_lanczos, radius=3.0),
    "lanczos5": functools.partial(_lanczos, radius=5.0),
}
SAME = {"bilinear": "linear", "trilinear": "linear", "bicubic": "cubic", "tricubic": "cubic"}


def weights(on: Any, size: int, place: Any, pixels: Any, kernel: Callable, antialias: bool, scale: Any, tiny: float) -> Any:
    """What each of `size` pixels (columns) counts in each result (rows).

    Args:
        place: (results, 1), where each result lies among the pixels, numbered 0, 1, ....
        pixels: those numbers, a row.
        scale: results per pixel; if it is below 1, antialias widens the kernel to cover all pixels between two results.
        tiny: sums of weights below this are none.
    """
    stretch = on.minimum(scale, 1.0) if antialias else 1.0
    counts = kernel(on, on.multiply(on.abs(on.subtract(place, pixels)), stretch))
    total = on.sum(counts, (1,), keepdims=True)
    some = on.greater(on.abs(total), tiny)
    inside = on.logical_and(on.greater_equal(place, -0.5), on.less_equal(place, size - 0.5))
    return on.where(on.logical_and(some, inside), on.divide(counts, on.where(some, total, 1.0)), 0.0)


@functools.lru_cache(maxsize=256)
def _static_weights(size: int, target: int, method: str, antialias: bool) -> np.ndarray:
    """The matrix (target, size) that stretches `size` pixels to `target`."""
    edges, pixels = np.arange(target + 1) * size / target, np.arange(size)
    if method == "area":
        shared = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
        return np.maximum(shared, 0.0) * target / size
    place = (np.arange(target)[:, None] + 0.5) * size / target - 0.5
    return weights(np, size, place, pixels, KERNELS[method], antialias, target / size, 1e-12)


def _multiply_axis(x: Tensor, axis: int, matrix: Tensor) -> Tensor:
    """matrix (o, i) times the axis of size i."""
    before, after = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
    result = engine.einsum("oi,bia->boa", matrix, engine.reshape(x, (before, x.shape[axis], after)))
    return engine.reshape(result, (*x.shape[:axis], matrix.shape[0], *x.shape[axis + 1 :]))


@op
def resize(
    images: Tensor,
    size: Sequence[int],
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Tensor:
    """Images with other numbers of rows and columns.

    Args:
        size: (height, width).
        interpolation: "nearest", "bilinear", "bicubic", "lanczos3", "lanczos5", or "area" for the mean of what each pixel covers.
        antialias: whether a smaller image takes all pixels into account, not only the next ones.
        crop_to_aspect_ratio: cut off borders first, so that nothing is distorted.
        pad_to_aspect_ratio: add borders of fill_value first, so that nothing is distorted.
        fill_mode: "constant".
    Returns: of the dtype of images; integers are rounded.

    >>> resize([[[0.0], [1.0]]], (1, 4)).tolist()
    [[[0.0], [0.25], [0.75], [1.0]]]
    """
    height, width = pair("resize(size)", size)
    method = SAME.get(interpolation, interpolation)
    if method not in ("nearest", "area", *KERNELS):
        need = "'nearest', 'bilinear', 'bicubic', 'lanczos3', 'lanczos5' or 'area'"
        raise ArgumentError("resize(interpolation)", need=need, got=repr(interpolation))
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ArgumentError("resize", need="crop_to_aspect_ratio or pad_to_aspect_ratio, or neither", got="both")
    if fill_mode != "constant":
        raise ArgumentError("resize(fill_mode)", need="'constant'", got=repr(fill_mode))
    x, back = as_batch("resize", images, data_format)
    if min(x.shape[1:3]) == 0:
        raise ShapeError("resize", need="images with rows and columns", got=f"shape {tuple(images.shape)}")
    if crop_to_aspect_ratio:
        x = block(x, *crop_box(x.shape[1], x.shape[2], height, width))
    if pad_to_aspect_ratio:
        x = engine.pad(x, [(0, 0), *pad_widths(x.shape[1], x.shape[2], height, width), (0, 0)], _fill(x, fill_value))
    if method == "nearest":
        for axis, target in ((1, height), (2, width)):
            places = (2 * np.arange(target) + 1) * x.shape[axis] // (2 * target)
            x = engine.take(x, engine.asarray(places, "int32"), axis)
        return back(x)

    def stretch(x: Tensor) -> Tensor:
        for axis, target in ((1, height), (2, width)):
            matrix = _static_weights(int(x.shape[axis]), target, method, bool(antialias))
            x = _multiply_axis(x, axis, engine.asarray(matrix, engine.dtype(x)))
        return x

    return back(in_floats(stretch, x))


def _fill(x: Tensor, value: float) -> Any:
    return value if "float" in engine.dtype(x) else int(value)


def crop_box(height: int, width: int, target_height: int, target_width: int) -> tuple[int, int, int, int]:
    """(top, left, rows, columns) of the largest centred block with the proportions of the target.

    >>> crop_box(4, 8, 2, 2)
    (0, 2, 4, 4)
    """
    rows = max(min(height, int(width * target_height / target_width)), 1)
    columns = max(min(width, int(height * target_width / target_height)), 1)
    return (height - rows) // 2, (width - columns) // 2, rows, columns


def pad_widths(height: int, width: int, target_height: int, target_width: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """((top, bottom), (left, right)) to add, equal at either end, so that the proportions become those of the target.

    >>> pad_widths(4, 8, 2, 2)
    ((2, 2), (0, 0))
    """
    rows = max(height, int(width * target_height / target_width)) - height
    columns = max(width, int(height * target_width / target_height)) - width
    return (rows // 2, rows // 2), (columns // 2, columns // 2)


@op
def scale_and_translate(
    images: Tensor, output_shape: Sequence[int], scale: Tensor, translation: Tensor, spatial_dims: Sequence[int], method: str, antialias: bool = True
) -> Tensor:
    """Images stretched by scale and moved by translation (in pixels of the result), zeros where nothing comes to lie.

    Args:
        output_shape: of the result, equal to that of images beside spatial_dims.
        scale, translation: a vector each, one number per spatial axis. The result is differentiable by both.
        spatial_dims: the axes.
        method: "linear" ("bilinear", "trilinear"), "cubic" ("bicubic", "tricubic"), "lanczos3" or "lanczos5".
        antialias: whether a shrunk image takes all pixels into account.

    >>> scale_and_translate([[0.0, 4.0]], (1, 4), [1.0], [1.0], (1,), "linear").tolist()
    [[0.0, 0.0, 4.0, 0.0]]
    """
    name = SAME.get(method, method)
    if name not in KERNELS:
        raise ArgumentError("scale_and_translate(method)", need=f"one of {(*KERNELS, *SAME)}", got=repr(method))
    axes = [normalize_axis(axis, images.ndim, "scale_and_translate(spatial_dims)") for axis in spatial_dims]
    fixed = all(n == m for i, (n, m) in enumerate(zip(images.shape, output_shape, strict=False)) if i not in axes)
    if len(output_shape) != images.ndim or not fixed:
        raise ShapeError("scale_and_translate(output_shape)", need=f"{tuple(images.shape)} but for axes {tuple(axes)}", got=f"{tuple(output_shape)}")
    for what, vector in (("scale", scale), ("translation", translation)):
        if tuple(vector.shape) != (len(axes),):
            raise ShapeError(f"scale_and_translate({what})", need=f"a vector of {len(axes)}", got=f"shape {tuple(vector.shape)}")
    dtype = engine.dtype(images)
    x = images if "float" in dtype and dtype != "float16" and dtype != "bfloat16" else engine.cast(images, "float32")
    wide = engine.dtype(x)
    scale, translation = convert(scale, wide), convert(translation, wide)
    for i, axis in enumerate(axes):
        size, target = x.shape[axis], output_shape[axis]
        one, shift = (engine.reshape(part_of(v, 0, i, i + 1), (1, 1)) for v in (scale, translation))
        results = engine.reshape(engine.add(engine.arange(target, wide), 0.5), (target, 1))
        place = engine.subtract(engine.divide(engine.subtract(results, shift), one), 0.5)
        pixels = engine.reshape(engine.arange(size, wide), (1, size))
        x = _multiply_axis(x, axis, weights(engine, size, place, pixels, KERNELS[name], antialias, one, 1000.0 * resolution(wide)))
    return engine.cast(x, dtype) if dtype in ("float16", "bfloat16") else x
