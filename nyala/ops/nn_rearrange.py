# SPDX-License-Identifier: Apache-2.0
"""Images in other arrangements: blocks of places as channels, and windows as columns, each with its way back.

Nothing is computed, only moved (and added up by fold). Start at space_to_depth and unfold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nyala.core.errors import ArgumentError, ShapeError
from nyala.core.op import convert, engine, op
from nyala.engines.protocol import Tensor
from nyala.ops.nn_windows import is_channels_first, spatial

Sizes = int | Sequence[int]


@op
def depth_to_space(x: Tensor, block_size: int, data_format: str | None = "channels_last") -> Tensor:
    """Channels as blocks of places: an image block_size times as high and wide.

    Args:
        x: (b, h, w, n * n * c) for blocks of n by n places, or (b, c * n * n, h, w) with data_format "channels_first": c runs fastest
            in the one, slowest in the other.
        block_size: n, at least 2.
    Returns: (b, h * n, w * n, c), or (b, c, h * n, w * n).
    Source: Shi and others 2016, Real-time single image and video super-resolution using an efficient sub-pixel convolutional neural network.

    >>> depth_to_space([[[[1, 2, 3, 4]]]], 2).tolist()
    [[[[1], [2]], [[3], [4]]]]
    """
    first, n = _check_image("depth_to_space", x, block_size, data_format), block_size
    depth = x.shape[1 if first else -1]
    if depth % n**2:
        raise ShapeError("depth_to_space(x)", need=f"a multiple of {n**2} channels", got=f"{depth} (shape {tuple(x.shape)})",
                         why=f"each block has {n} by {n} places")  # fmt: skip
    if first:
        b, c, h, w = x.shape[0], depth // n**2, *x.shape[2:]
        blocks = engine.transpose(engine.reshape(x, (b, c, n, n, h, w)), (0, 1, 4, 2, 5, 3))
        return engine.reshape(blocks, (b, c, h * n, w * n))
    b, h, w, c = *x.shape[:-1], depth // n**2
    blocks = engine.transpose(engine.reshape(x, (b, h, w, n, n, c)), (0, 1, 3, 2, 4, 5))
    return engine.reshape(blocks, (b, h * n, w * n, c))


@op
def space_to_depth(x: Tensor, block_size: int, data_format: str | None = "channels_last") -> Tensor:
    """Blocks of places as channels: the way back from depth_to_space.

    Args:
        x: (b, h * n, w * n, c) for blocks of n by n places, or (b, c, h * n, w * n) with data_format "channels_first".
        block_size: n, at least 2.
    Returns: (b, h, w, n * n * c), or (b, c * n * n, h, w).

    >>> space_to_depth([[[[1], [2]], [[3], [4]]]], 2).tolist()
    [[[[1, 2, 3, 4]]]]
    """
    first, n = _check_image("space_to_depth", x, block_size, data_format), block_size
    height, width = x.shape[2:] if first else x.shape[1:-1]
    if height % n or width % n:
        raise ShapeError("space_to_depth(x)", need=f"a height and width that {n} divides", got=f"{height} and {width}")
    b, c, h, w = x.shape[0], x.shape[1 if first else -1], height // n, width // n
    if first:
        blocks = engine.transpose(engine.reshape(x, (b, c, h, n, w, n)), (0, 1, 3, 5, 2, 4))
        return engine.reshape(blocks, (b, c * n**2, h, w))
    blocks = engine.transpose(engine.reshape(x, (b, h, n, w, n, c)), (0, 1, 3, 2, 4, 5))
    return engine.reshape(blocks, (b, h, w, n**2 * c))


def _check_image(name: str, x: Tensor, block_size: int, data_format: str | None) -> bool:
    """Whether channels come first, of an image and a block size that are none too small."""
    if x.ndim != 4:
        raise ShapeError(f"{name}(x)", need="a tensor of images, with 4 axes", got=f"shape {tuple(x.shape)}")
    if isinstance(block_size, bool) or not isinstance(block_size, (int, np.integer)) or block_size < 2:
        raise ArgumentError(f"{name}(block_size)", need="an integer of at least 2", got=repr(block_size))
    return is_channels_first(name, data_format)


@op
def unfold(x: Tensor, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1) -> Tensor:
    """The windows of images as columns.

    Args:
        x: (b, c, h, w), always channels first.
        kernel_size, dilation, stride: of the windows, one positive integer or two.
        padding: zeros on each side of each spatial axis, one integer or two.
    Returns: (b, c * kh * kw, windows); of a column the channels run slowest.

    >>> unfold([[[[1, 2, 3], [4, 5, 6]]]], 2).tolist()
    [[[1, 2], [2, 3], [4, 5], [5, 6]]]
    """
    if x.ndim != 4:
        raise ShapeError("unfold(x)", need="a tensor of images (b, c, h, w)", got=f"shape {tuple(x.shape)}")
    before = _padding("unfold", padding)
    b, c, *sizes = x.shape
    places, padded = _places("unfold", sizes, kernel_size, dilation, before, stride)
    x = engine.pad(x, [(0, 0), (0, 0), *((n, n) for n in before)], 0)
    columns = engine.take(engine.reshape(x, (b, c, math.prod(padded))), convert(places.ravel()), 2)  # b c (k l)
    return engine.reshape(columns, (b, c * places.shape[0], places.shape[1]))


@op
def fold(x: Tensor, output_size: Sizes, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1) -> Tensor:
    """Columns as windows of images; where windows overlap they add up. The adjoint of unfold.

    Args:
        x: (b, c * kh * kw, windows), as unfold makes them of images of output_size.
        output_size: of the images, one positive integer or two.
        kernel_size, dilation, padding, stride: as in unfold.
    Returns: (b, c, *output_size).
    Differs: from Keras where the windows do not reach the end of the image: it comes in output_size, with zeros there.

    >>> fold([[[1, 2], [2, 3], [4, 5], [5, 6]]], (2, 3), 2).tolist()
    [[[[1, 4, 3], [4, 10, 6]]]]
    """
    sizes, before = spatial("fold(output_size)", output_size, 2), _padding("fold", padding)
    places, padded = _places("fold", sizes, kernel_size, dilation, before, stride)
    if x.ndim != 3 or x.shape[1] % places.shape[0] or x.shape[2] != places.shape[1]:
        raise ShapeError("fold(x)", need=f"shape (b, c * {places.shape[0]}, {places.shape[1]})", got=f"shape {tuple(x.shape)}",
                         why=f"images of {sizes} have {places.shape[1]} windows of {places.shape[0]} places")  # fmt: skip
    b, c = x.shape[0], x.shape[1] // places.shape[0]
    columns = engine.transpose(engine.reshape(x, (b, c, places.size)), (2, 0, 1))  # (k l) b c
    images = engine.full((math.prod(padded), b, c), 0, engine.dtype(x))
    images = engine.scatter(images, convert(places.reshape(-1, 1)), columns, "add")
    images = engine.transpose(engine.reshape(images, (*padded, b, c)), (2, 3, 0, 1))
    stops = (b, c, *(start + size for start, size in zip(before, sizes, strict=True)))
    return engine.slice(images, (0, 0, *before), stops, (1, 1, 1, 1))


def _padding(name: str, padding: Sizes) -> tuple[int, int]:
    """Zeros on each side of height and width."""
    pair = (padding, padding) if isinstance(padding, (int, np.integer)) else tuple(padding)
    if len(pair) != 2 or not all(isinstance(n, (int, np.integer)) and n >= 0 for n in pair):
        raise ArgumentError(f"{name}(padding)", need="an integer from 0, or two of them", got=repr(padding))
    return int(pair[0]), int(pair[1])


def _places(
    name: str, sizes: Sequence[int], kernel_size: Sizes, dilation: Sizes, before: tuple[int, int], stride: Sizes
) -> tuple[np.ndarray, list[int]]:
    """Where in the padded image, counted row by row, each window has its elements, (kh * kw, windows); and the sizes of that image."""
    window, steps, gaps = (
        spatial(f"{name}({argument})", value, 2) for argument, value in (("kernel_size", kernel_size), ("stride", stride), ("dilation", dilation))
    )
    padded, axes = [size + 2 * n for size, n in zip(sizes, before, strict=True)], []
    for size, k, step, gap in zip(padded, window, steps, gaps, strict=True):
        if (span := gap * (k - 1) + 1) > size:
            raise ShapeError(name, need="a window that fits into the image", got=f"size {size} for a window of {span}")
        axes.append(gap * np.arange(k)[:, None] + step * np.arange((size - span) // step + 1))  # k l
    rows, columns = axes
    places = rows[:, None, :, None] * padded[1] + columns[None, :, None, :]  # kh kw lh lw
    return places.reshape(math.prod(window), -1).astype("int32"), padded
