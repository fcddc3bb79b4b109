# SPDX-License-Identifier: Apache-2.0
"""What convolutions and pooling share: arguments per spatial axis, padding, and the order of axes. Start at spatial."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np

from nyala.core import config
from nyala.core.errors import ArgumentError, ShapeError
from nyala.core.op import engine
from nyala.engines.protocol import Tensor

Sizes = tuple[int, ...]


def spatial(where: str, value: Any, number: int) -> Sizes:
    """One positive integer per spatial axis, from one for all or one each.

    >>> spatial("conv(strides)", 2, 3)
    (2, 2, 2)
    """
    several = tuple(value) if isinstance(value, (list, tuple, np.ndarray)) else (value,) * number
    if len(several) != number or not all(isinstance(n, (int, np.integer)) and n > 0 for n in several):
        raise ArgumentError(where, need=f"a positive integer, or {number} of them, one per spatial axis", got=repr(value))
    return tuple(int(n) for n in several)


FORMATS = ("channels_first", "channels_last")


def is_channels_first(where: str, data_format: str | None) -> bool:
    """Whether channels come before space; None asks nyala.config.image_data_format()."""
    data_format = data_format or config.image_data_format()
    if data_format not in FORMATS:
        near = difflib.get_close_matches(str(data_format), FORMATS, n=1)
        fix = f"did you mean {near[0]!r}?" if near else ""
        raise ArgumentError(f"{where}(data_format)", need="'channels_first' or 'channels_last'", got=repr(data_format), fix=fix)
    return data_format == "channels_first"


def channels_last(x: Tensor) -> Tensor:
    """(b, c, *s) as (b, *s, c)."""
    return engine.transpose(x, (0, *range(2, x.ndim), 1))


def channels_first(x: Tensor) -> Tensor:
    """(b, *s, c) as (b, c, *s)."""
    return engine.transpose(x, (0, x.ndim - 1, *range(1, x.ndim - 1)))


def need_space(where: str, x: Tensor) -> int:
    """The number of spatial axes, one to three."""
    if not 3 <= x.ndim <= 5:
        raise ShapeError(where, need="a tensor with a batch axis, one to three spatial axes and a channel axis", got=f"shape {tuple(x.shape)}")
    return x.ndim - 2


def paddings(where: str, padding: Any, sizes: Sequence[int], window: Sizes, strides: Sizes, dilation: Sizes) -> list[tuple[int, int]]:
    """Zeros before and after each spatial axis for "valid", "same" (as many results as size / stride, rounded up) or "causal" (nothing after)."""
    spans = [d * (k - 1) + 1 for k, d in zip(window, dilation, strict=True)]
    name = padding.lower() if isinstance(padding, str) else padding
    if name == "valid":
        pairs = [(0, 0)] * len(spans)
    elif name == "same":
        totals = [max((-(-size // step) - 1) * step + span - size, 0) for size, span, step in zip(sizes, spans, strides, strict=True)]
        pairs = [(total // 2, total - total // 2) for total in totals]
    elif name == "causal" and len(spans) == 1:
        pairs = [(spans[0] - 1, 0)]
    else:
        raise ArgumentError(f"{where}(padding)", need="'valid', 'same' or, with one spatial axis, 'causal'", got=repr(padding))
    for size, span, (before, after) in zip(sizes, spans, pairs, strict=True):
        if size + before + after < span:
            raise ShapeError(where, need="a window that fits into the input", got=f"size {size} for a window of {span}",
                             why=f"with padding={padding!r} nothing would be left",
                             fix="use padding='same', a smaller window or a larger input")  # fmt: skip
    return pairs
