# SPDX-License-Identifier: Apache-2.0
"""Histograms made flat: Equalization over whole images, and the adaptive kind over tiles with a limit. Start at histograms."""

from __future__ import annotations

from typing import Any

import numpy as np

from nyala import ops
from nyala.core.errors import ArgumentError, missing_method
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_count, as_sizes
from nyala.layers.preprocessing.image.base import ImageLayer, as_given, as_value_range, rescaled

BYTES = (0.0, 255.0)


def histograms(groups: Tensor, count: int, bins: int) -> Tensor:
    """How often each number below `bins` occurs in each of `count` rows: (count, n) becomes (count, bins) floats."""
    rows = ops.expand_dims(ops.arange(count, dtype="int32") * bins, 1)
    flat = ops.reshape(groups + rows, (-1,))
    return ops.reshape(ops.segment_sum(ops.ones_like(flat, dtype="float32"), flat, num_segments=count * bins), (count, bins))


class _Equalizer(ImageLayer):
    """Values replaced by a table that their own distribution makes, for each channel of each image. Subclasses write `equalized`."""

    def __init__(self, value_range: Any, data_format: str | None = None, **kwargs: Any) -> None:
        value_range = as_value_range(type(self).__name__, value_range)
        super().__init__(data_format=data_format, **kwargs)
        self.value_range = value_range

    def equalized(self, x: Tensor) -> Tensor:
        """(n, h, w) from 0 to 255, changed."""
        raise missing_method(self, "equalized")

    def transform_images(self, images: Tensor, transformation: Any, training: bool = True) -> Tensor:
        if 0 in images.shape:
            return images
        x = ops.clip(rescaled(ops.cast(images, "float32"), self.value_range, BYTES), *BYTES)
        x = x if self.data_format == "channels_first" else ops.moveaxis(x, -1, 1)  # b c h w
        shape = tuple(x.shape)
        x = ops.reshape(self.equalized(ops.reshape(x, (shape[0] * shape[1], *shape[2:]))), shape)
        x = x if self.data_format == "channels_first" else ops.moveaxis(x, 1, -1)
        return ops.cast(rescaled(x, BYTES, self.value_range), images.dtype)


class Equalization(_Equalizer):
    """Each channel of each image with all values equally often, as far as that goes.

    Args:
        value_range: (lowest, highest) value of images.
        bins: how many values are told apart.
        data_format: as ImageLayer.
    Differs from Keras, which counts over all images of a batch: here each image has its own table.

    >>> import nyala
    >>> nyala.layers.Equalization()(nyala.ops.reshape(nyala.ops.arange(100.0, 104.0), (1, 2, 2, 1)))[0, ..., 0].tolist()
    [[0.0, 85.0], [170.0, 255.0]]
    """

    def __init__(self, value_range: Any = (0, 255), bins: int = 256, data_format: str | None = None, **kwargs: Any) -> None:
        bins = as_count("Equalization(bins)", bins)
        super().__init__(value_range, data_format, **kwargs)
        self.bins = bins

    def equalized(self, x: Tensor) -> Tensor:
        count, size = x.shape[0], x.shape[1] * x.shape[2]
        levels = ops.reshape(ops.cast(ops.floor(x / 255.0 * (self.bins - 1)), "int32"), (count, size))
        below = ops.cumsum(histograms(levels, count, self.bins), axis=1)
        first = ops.min(ops.where(below > 0, below, float(size)), axis=1, keepdims=True)
        table = ops.round((below - first) / ops.maximum(size - first, 1.0) * 255.0)
        flat = ops.logical_not(first < size)  # one value only
        return ops.where(ops.expand_dims(flat, -1), x, ops.reshape(ops.take_along_axis(table, levels, axis=1), x.shape))


class ContrastLimitedAdaptiveHistogramEqualization(_Equalizer):
    """As Equalization, for each tile of an image apart, with a limit on how steep its table gets; between the middles of tiles tables are mixed.

    Args:
        value_range: (lowest, highest) value of images.
        clip_limit: how often a value counts at most, in multiples of the mean of all values.
        tile_grid_size: rows and columns of tiles.
        data_format: as ImageLayer.
    Source: Zuiderveld 1994, Contrast limited adaptive histogram equalization.

    >>> import nyala
    >>> layer = nyala.layers.ContrastLimitedAdaptiveHistogramEqualization(tile_grid_size=(2, 2))
    >>> layer(nyala.ops.ones((2, 7, 6, 3))).shape
    (2, 7, 6, 3)
    """

    integers = True

    def __init__(
        self, value_range: Any = (0, 255), clip_limit: float = 4.0, tile_grid_size: Any = (8, 8), data_format: str | None = None, **kwargs: Any
    ) -> None:
        as_sizes("ContrastLimitedAdaptiveHistogramEqualization(tile_grid_size)", tile_grid_size, 2)
        if not isinstance(clip_limit, (int, float)) or clip_limit <= 0:
            raise ArgumentError("ContrastLimitedAdaptiveHistogramEqualization(clip_limit)", need="a number above 0", got=repr(clip_limit))
        super().__init__(value_range, data_format, **kwargs)
        self.clip_limit, self.tile_grid_size = clip_limit, as_given(tile_grid_size)

    def equalized(self, x: Tensor) -> Tensor:
        grid = as_sizes("tile_grid_size", self.tile_grid_size, 2)
        count, height, width = x.shape
        sizes = [-(-n // m) for n, m in zip((height, width), grid, strict=True)]  # of one tile
        tiles, pixels = grid[0] * grid[1], sizes[0] * sizes[1]
        whole = ops.pad(
            x, [(0, 0), (0, grid[0] * sizes[0] - height), (0, grid[1] * sizes[1] - width)], mode="reflect" if min(height, width) > 1 else "edge"
        )
        levels = lambda z: ops.cast(z, "int32")  # noqa: E731
        parts = ops.reshape(levels(whole), (count, grid[0], sizes[0], grid[1], sizes[1]))
        parts = ops.reshape(ops.transpose(parts, (0, 1, 3, 2, 4)), (count * tiles, pixels))
        counts = histograms(parts, count * tiles, 256)
        most = self.clip_limit * pixels / 256
        kept = ops.minimum(counts, most)
        below = ops.cumsum(kept + ops.sum(counts - kept, axis=1, keepdims=True) / 256.0, axis=1)
        first, last = below[:, :1], below[:, -1:]
        table = ops.reshape((below - first) / ops.maximum(last - first, 1e-6) * 255.0, (-1,))
        (up, down, along), (left, right, beside) = (_neighbours(n, size, m) for n, size, m in zip((height, width), sizes, grid, strict=True))
        start = ops.reshape(ops.arange(count, dtype="int32") * (tiles * 256), (count, 1, 1)) + levels(x)

        def looked_up(row: np.ndarray, column: np.ndarray) -> Tensor:
            return ops.take(table, start + ops.convert_to_tensor(((row[:, None] * grid[1] + column) * 256).astype("int32")))

        rows, columns = (ops.convert_to_tensor(part.astype("float32")) for part in (along[:, None], beside))
        upper = looked_up(up, left) * (1 - columns) + looked_up(up, right) * columns
        lower = looked_up(down, left) * (1 - columns) + looked_up(down, right) * columns
        return upper * (1 - rows) + lower * rows


def _neighbours(size: int, tile: int, tiles: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each pixel of an axis: the tiles whose middles lie before and after it, and how far it is on the way."""
    place = np.arange(size) / tile - 0.5
    before = np.floor(place)
    return np.clip(before, 0, tiles - 1).astype(int), np.clip(before + 1, 0, tiles - 1).astype(int), place - before
