# SPDX-License-Identifier: Apache-2.0
"""Windows of images and volumes as vectors. Start at extract_patches."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from nyala.core.op import engine, op
from nyala.engines.protocol import Tensor
from nyala.ops.image.layout import as_batch, pair
from nyala.ops.nn_windows import paddings


@op
def extract_patches(
    images: Tensor, size: int | Sequence[int], strides: Any = None, dilation_rate: Any = 1, padding: str = "valid", data_format: str | None = None
) -> Tensor:
    """The values under a window, at each of its places, as one axis: rows first, then columns, then channels.

    Args:
        images: a batch or one image; volumes (b, d, h, w, c) if size has three numbers.
        size: rows and columns of the window.
        strides: places from one window to the next; by default size, so that windows tile the image.
        dilation_rate: places from one value of a window to the next.
        padding: "valid" none, "same" zeros, so that there are size / strides windows.
    Returns: (b, h', w', rows * columns * c), or (b, rows * columns * c, h', w').

    >>> extract_patches([[[1.0], [2.0], [3.0]], [[4.0], [5.0], [6.0]]], 2, strides=1).tolist()
    [[[1.0, 2.0, 4.0, 5.0], [2.0, 3.0, 5.0, 6.0]]]
    """
    rank = 3 if isinstance(size, (list, tuple)) and len(size) == 3 else 2
    return _patches("extract_patches", images, size, strides, dilation_rate, padding, data_format, rank)


@op
def extract_patches_3d(
    volumes: Tensor, size: int | Sequence[int], strides: Any = None, dilation_rate: Any = 1, padding: str = "valid", data_format: str | None = None
) -> Tensor:
    """As extract_patches, of volumes (b, d, h, w, c) or (d, h, w, c).

    >>> import nyala
    >>> extract_patches_3d(nyala.ops.ones((1, 4, 4, 4, 2)), 2).shape
    (1, 2, 2, 2, 16)
    """
    return _patches("extract_patches_3d", volumes, size, strides, dilation_rate, padding, data_format, 3)


def _patches(name: str, images: Tensor, size: Any, strides: Any, dilation_rate: Any, padding: str, data_format: str | None, rank: int) -> Tensor:
    window = pair(f"{name}(size)", size, rank)
    steps = window if strides is None else pair(f"{name}(strides)", strides, rank)
    dilation = pair(f"{name}(dilation_rate)", dilation_rate, rank)
    x, back = as_batch(name, images, data_format, rank)
    widths = paddings(name, padding, x.shape[1:-1], window, steps, dilation)
    x = engine.pad(x, [(0, 0), *widths, (0, 0)], 0)
    counts = [(n - d * (k - 1) - 1) // step + 1 for n, k, d, step in zip(x.shape[1:-1], window, dilation, steps, strict=True)]
    parts = []
    for place in itertools.product(*map(range, window)):
        starts = [i * d for i, d in zip(place, dilation, strict=True)]
        stops = [start + (n - 1) * step + 1 for start, n, step in zip(starts, counts, steps, strict=True)]
        parts.append(engine.slice(x, (0, *starts, 0), (x.shape[0], *stops, x.shape[-1]), (1, *steps, 1)))
    return back(engine.concatenate(parts, rank + 1))  # b *s' (*window c)
