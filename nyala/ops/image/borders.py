# SPDX-License-Identifier: Apache-2.0
"""Cutting rows and columns off images, and adding some. Start at pad_images."""

from __future__ import annotations

from nyala.core.errors import ArgumentError
from nyala.core.op import engine, op
from nyala.engines.protocol import Tensor
from nyala.ops.image.layout import as_batch


def _resolve(name: str, what: str, before: int | None, after: int | None, target: int | None, size: int, sign: int) -> tuple[int, int]:
    """(before, after) of an axis from two of: before, after, and the size that remains. sign is 1 for padding and -1 for cropping."""
    first, last, whole = ("top", "bottom", "height") if what == "height" else ("left", "right", "width")
    where, words = f"{'pad' if sign > 0 else 'crop'}_images", f"{first}_{name}, {last}_{name}, target_{whole}"
    given = f"{before}, {after}, {target}"
    if sum(value is None for value in (before, after, target)) != 1:
        raise ArgumentError(where, need=f"two of {words}, the third None", got=given)
    if target is None:
        target = size + sign * (before + after)  # type: ignore[operator]
    elif before is None:
        before = sign * (target - size) - after  # type: ignore[operator]
    else:
        after = sign * (target - size) - before
    if min(before, after, target) < 0:  # type: ignore[type-var]
        raise ArgumentError(where, need=f"{words} that leave none below 0, as {what} is {size}", got=given)
    return before, after  # type: ignore[return-value]


@op
def pad_images(
    images: Tensor,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """Zeros around images.

    Args:
        top_padding, bottom_padding, target_height: two of them say how many rows; likewise left_padding, right_padding and target_width.

    >>> pad_images([[[1.0], [2.0]]], 1, 0, 0, 1).tolist()
    [[[0.0], [0.0], [0.0]], [[1.0], [2.0], [0.0]]]
    """
    x, back = as_batch("pad_images", images, data_format)
    rows = _resolve("padding", "height", top_padding, bottom_padding, target_height, x.shape[1], 1)
    columns = _resolve("padding", "width", left_padding, right_padding, target_width, x.shape[2], 1)
    return back(engine.pad(x, [(0, 0), rows, columns, (0, 0)], False if engine.dtype(x) == "bool" else 0))


@op
def crop_images(
    images: Tensor,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """Images without some rows and columns at their borders.

    Args:
        top_cropping, bottom_cropping, target_height: two of them say how many rows go; likewise left_cropping, right_cropping and target_width.

    >>> crop_images([[[1.0], [2.0], [3.0]]], 0, 1, 0, target_width=1).tolist()
    [[[2.0]]]
    """
    x, back = as_batch("crop_images", images, data_format)
    (_, height, width, _) = x.shape
    rows = _resolve("cropping", "height", top_cropping, bottom_cropping, target_height, height, -1)
    columns = _resolve("cropping", "width", left_cropping, right_cropping, target_width, width, -1)
    return back(block(x, rows[0], columns[0], height - sum(rows), width - sum(columns)))


def block(x: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    """Rows and columns of (b, h, w, c)."""
    return engine.slice(x, (0, top, left, 0), (x.shape[0], top + height, left + width, x.shape[3]), (1, 1, 1, 1))
