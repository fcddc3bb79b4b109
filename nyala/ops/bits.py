# SPDX-License-Identifier: Apache-2.0
"""Bits of integers; bools count as integers of one bit. Start at bitwise_and."""

from __future__ import annotations

from nyala.core import dtypes
from nyala.core.errors import DTypeError
from nyala.core.op import engine, op
from nyala.engines.protocol import Tensor


def _is_bool(name: str, x: Tensor) -> bool:
    """Whether x is bool; anything but integers and bools is refused."""
    dtype = engine.dtype(x)
    if dtype != "bool" and not dtypes.is_integer(dtype):
        raise DTypeError(name, need="integers or bools", got=dtype, why="floats have no bits of this kind", fix='cast first: ops.cast(x, "int32")')
    return dtype == "bool"


@op
def bitwise_not(x: Tensor) -> Tensor:
    """All bits flipped.

    >>> bitwise_not([0, 5]).tolist()
    [-1, -6]
    """
    return engine.logical_not(x) if _is_bool("bitwise_not", x) else engine.bitwise_not(x)


@op
def bitwise_invert(x: Tensor) -> Tensor:
    """All bits flipped: another name of bitwise_not."""
    return engine.logical_not(x) if _is_bool("bitwise_invert", x) else engine.bitwise_not(x)


@op(promote="same")
def bitwise_and(x: Tensor, y: Tensor) -> Tensor:
    """Bits set in both."""
    return engine.logical_and(x, y) if _is_bool("bitwise_and", x) else engine.bitwise_and(x, y)


@op(promote="same")
def bitwise_or(x: Tensor, y: Tensor) -> Tensor:
    """Bits set in either."""
    return engine.logical_or(x, y) if _is_bool("bitwise_or", x) else engine.bitwise_or(x, y)


@op(promote="same")
def bitwise_xor(x: Tensor, y: Tensor) -> Tensor:
    """Bits set in one of both."""
    return engine.not_equal(x, y) if _is_bool("bitwise_xor", x) else engine.bitwise_xor(x, y)


@op(promote="same")
def left_shift(x: Tensor, y: Tensor) -> Tensor:
    """x * 2**y; bits beyond the width are lost."""
    if _is_bool("left_shift", x):
        x, y = engine.cast(x, "int32"), engine.cast(y, "int32")
    return engine.left_shift(x, y)


@op(promote="same")
def right_shift(x: Tensor, y: Tensor) -> Tensor:
    """x // 2**y."""
    if _is_bool("right_shift", x):
        x, y = engine.cast(x, "int32"), engine.cast(y, "int32")
    return engine.right_shift(x, y)


@op(promote="same")
def bitwise_left_shift(x: Tensor, y: Tensor) -> Tensor:
    """x * 2**y: another name of left_shift."""
    return left_shift.function(x, y)


@op(promote="same")
def bitwise_right_shift(x: Tensor, y: Tensor) -> Tensor:
    """x // 2**y: another name of right_shift."""
    return right_shift.function(x, y)
