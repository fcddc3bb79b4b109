# SPDX-License-Identifier: Apache-2.0
"""Colours: red, green, blue to grey, and to hue, saturation, value and back. Start at rgb_to_hsv."""

from __future__ import annotations

import numpy as np

from nyala.core.op import engine, op
from nyala.engines.protocol import Tensor
from nyala.ops.image.layout import as_batch, need_channels, need_float
from nyala.ops.shaping import part_of

LUMA = (0.2989, 0.5870, 0.1140)  # shares of red, green and blue in what the eye sees as brightness


def _channels(x: Tensor) -> list[Tensor]:
    """The three channels of (..., 3), each (..., 1)."""
    return [part_of(x, x.ndim - 1, i, i + 1) for i in range(3)]


@op
def rgb_to_grayscale(images: Tensor, data_format: str | None = None) -> Tensor:
    """0.2989 red + 0.587 green + 0.114 blue, as one channel; of integers the part before the point. An image of one channel is grey already.

    >>> rgb_to_grayscale([[[1.0, 2.0, 10.0]]]).tolist()
    [[[2.6129]]]
    """
    x, back = as_batch("rgb_to_grayscale", images, data_format)
    if x.shape[-1] == 1:
        return images
    need_channels("rgb_to_grayscale", x, 3)
    dtype = engine.dtype(x)
    wide = x if dtype in ("float32", "float64") else engine.cast(x, "float32")
    grey = engine.sum(engine.multiply(wide, engine.asarray(np.array(LUMA), engine.dtype(wide))), (3,), True)
    return back(grey if engine.dtype(wide) == dtype else engine.cast(grey, dtype))


@op
def rgb_to_hsv(images: Tensor, data_format: str | None = None) -> Tensor:
    """Hue as a part of the circle from 0 (red), saturation and value of floats: value is the largest of the three, saturation spread / value.

    Both hue and saturation are 0 where they are undefined (grey, black).

    >>> rgb_to_hsv([[[0.0, 0.5, 0.25]]]).tolist()
    [[[0.4166667, 1.0, 0.5]]]
    """
    x, back = as_batch("rgb_to_hsv", images, data_format)
    need_channels("rgb_to_hsv", x, 3)
    need_float("rgb_to_hsv", x)
    red, green, blue = _channels(x)
    value = engine.max(x, (3,), True)
    spread = engine.subtract(value, engine.min(x, (3,), True))
    coloured, lit = engine.greater(spread, 0.0), engine.greater(value, 0.0)
    safe = engine.where(coloured, spread, 1.0)
    sixth = lambda a, b, start: engine.add(engine.divide(engine.subtract(a, b), safe), start)  # noqa: E731
    hue = engine.where(engine.equal(value, green), sixth(blue, red, 2.0), sixth(red, green, 4.0))
    hue = engine.where(engine.equal(value, red), sixth(green, blue, 0.0), hue)
    hue = engine.remainder(engine.divide(hue, 6.0), 1.0)
    saturation = engine.where(lit, engine.divide(spread, engine.where(lit, value, 1.0)), 0.0)
    return back(engine.concatenate([engine.where(coloured, hue, 0.0), saturation, value], 3))


@op
def hsv_to_rgb(images: Tensor, data_format: str | None = None) -> Tensor:
    """Red, green, blue of hue (in turns), saturation and value, all floats: the inverse of rgb_to_hsv.

    >>> hsv_to_rgb([[[0.5, 1.0, 0.25]]]).tolist()
    [[[0.0, 0.25, 0.25]]]
    """
    x, back = as_batch("hsv_to_rgb", images, data_format)
    need_channels("hsv_to_rgb", x, 3)
    need_float("hsv_to_rgb", x)
    hue, saturation, value = _channels(x)
    sector = engine.multiply(hue, 6.0)

    def channel(start: float) -> Tensor:
        """value less its share of colour, which grows and falls over two sixths of the circle on either side."""
        k = engine.remainder(engine.add(sector, start), 6.0)
        part = engine.minimum(engine.maximum(engine.minimum(k, engine.subtract(4.0, k)), 0.0), 1.0)
        return engine.subtract(value, engine.multiply(engine.multiply(value, saturation), part))

    return back(engine.concatenate([channel(5.0), channel(3.0), channel(1.0)], 3))
