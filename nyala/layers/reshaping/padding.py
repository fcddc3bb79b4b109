# SPDX-License-Identifier: Apache-2.0
"""ZeroPadding and Cropping in one to three spatial axes: zeros around, or the border cut off. Start at _Borders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nyala import ops
from nyala.core.config import standardize_data_format
from nyala.core.errors import ArgumentError, ShapeError
from nyala.core.symbolic import plain_shape
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import is_int
from nyala.layers.input_spec import InputSpec
from nyala.layers.layer import Layer

Widths = int | Sequence[int] | Sequence[Sequence[int]]


class _Borders(Layer):
    """A number of places at either end of each spatial axis. Subclasses set `rank`, the number of spatial axes."""

    rank: int

    def __init__(self, argument: str, widths: Widths, data_format: str | None, **kwargs: Any) -> None:
        pairs = _pairs(f"{type(self).__name__}({argument})", widths, self.rank)
        data_format = standardize_data_format(data_format)
        super().__init__(**kwargs)
        setattr(self, argument, pairs[0] if self.rank == 1 else pairs)
        self.pairs, self.data_format = pairs, data_format
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def _around(self) -> list[tuple[int, int]]:
        """Widths for all axes."""
        none = (0, 0)
        return [none, *self.pairs, none] if self.data_format == "channels_last" else [none, none, *self.pairs]


def _pairs(where: str, widths: Any, rank: int) -> tuple[tuple[int, int], ...]:
    """(before, after) of each axis, from one number, one for each axis, or one or two for each."""
    sides = (widths,) * rank if is_int(widths) else (widths,) if rank == 1 else widths
    if isinstance(sides, (list, tuple)) and len(sides) == rank:
        pairs: Any = tuple((side, side) if is_int(side) else tuple(side) if isinstance(side, (list, tuple)) else () for side in sides)
        if all(len(pair) == 2 and all(is_int(n) and n >= 0 for n in pair) for pair in pairs):
            return pairs
    forms = "an integer or (before, after)" if rank == 1 else f"an integer, or {rank} of integers or pairs (before, after)"
    raise ArgumentError(where, need=f"{forms}, from 0", got=repr(widths))


class _ZeroPadding(_Borders):
    def call(self, inputs: Tensor) -> Tensor:
        return ops.pad(inputs, self._around())


class ZeroPadding1D(_ZeroPadding):
    """Zeros before and after a sequence.

    Args:
        padding: how many, one number for both ends or (before, after).
        data_format: "channels_last" (b, t, c) or "channels_first" (b, c, t); None means the default.

    >>> import nyala
    >>> nyala.layers.ZeroPadding1D((1, 2))(nyala.ops.ones((2, 5, 3))).shape
    (2, 8, 3)
    """

    rank = 1

    def __init__(self, padding: Widths = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__("padding", padding, data_format, **kwargs)


class ZeroPadding2D(_ZeroPadding):
    """Zeros around an image.

    Args:
        padding: how many: one number, (rows, columns), or ((top, bottom), (left, right)).
        data_format: "channels_last" (b, h, w, c) or "channels_first" (b, c, h, w); None means the default.

    >>> import nyala
    >>> nyala.layers.ZeroPadding2D(((1, 0), (2, 2)))(nyala.ops.ones((2, 5, 3, 1))).shape
    (2, 6, 7, 1)
    """

    rank = 2

    def __init__(self, padding: Widths = (1, 1), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__("padding", padding, data_format, **kwargs)


class ZeroPadding3D(_ZeroPadding):
    """Zeros around a volume.

    Args:
        padding: how many: one number, three, or three pairs (before, after).
        data_format: "channels_last" (b, d, h, w, c) or "channels_first" (b, c, d, h, w); None means the default.
    """

    rank = 3

    def __init__(self, padding: Widths = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__("padding", padding, data_format, **kwargs)


class _Cropping(_Borders):
    def call(self, inputs: Tensor) -> Tensor:
        around, shape = self._around(), inputs.shape
        if any(sum(pair) >= size for pair, size in zip(around, shape, strict=True) if sum(pair)):
            raise ShapeError(
                f"{type(self).__name__} {self.name!r}", need=f"more places than it cuts off, {self.pairs}", got=f"shape {plain_shape(shape)}"
            )
        index = tuple(slice(before, size - after) for (before, after), size in zip(around, shape, strict=True))
        return ops.get_item(inputs, index)


class Cropping1D(_Cropping):
    """A sequence (b, t, c) without its ends.

    Args:
        cropping: how many steps to cut, one number for both ends or (before, after).

    >>> import nyala
    >>> nyala.layers.Cropping1D((1, 2))(nyala.ops.ones((2, 5, 3))).shape
    (2, 2, 3)
    """

    rank = 1

    def __init__(self, cropping: Widths = (1, 1), **kwargs: Any) -> None:
        super().__init__("cropping", cropping, "channels_last", **kwargs)


class Cropping2D(_Cropping):
    """An image without its border.

    Args:
        cropping: how many places to cut: one number, (rows, columns), or ((top, bottom), (left, right)).
        data_format: "channels_last" (b, h, w, c) or "channels_first" (b, c, h, w); None means the default.

    >>> import nyala
    >>> nyala.layers.Cropping2D(((1, 0), (2, 2)))(nyala.ops.ones((2, 5, 7, 1))).shape
    (2, 4, 3, 1)
    """

    rank = 2

    def __init__(self, cropping: Widths = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__("cropping", cropping, data_format, **kwargs)


class Cropping3D(_Cropping):
    """A volume without its border.

    Args:
        cropping: how many places to cut: one number, three, or three pairs (before, after).
        data_format: "channels_last" (b, d, h, w, c) or "channels_first" (b, c, d, h, w); None means the default.
    """

    rank = 3

    def __init__(self, cropping: Widths = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__("cropping", cropping, data_format, **kwargs)
