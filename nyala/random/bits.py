# SPDX-License-Identifier: Apache-2.0
"""From random bits to units: numbers of [0, 1) and of (0, 1), further keys, and the checks of arguments that all random functions share."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nyala.core import dtypes
from nyala.core.errors import ArgumentError, ShapeError
from nyala.core.op import convert, engine
from nyala.core.sizes import plain
from nyala.engines.protocol import Tensor

DIGITS = {"bfloat16": 8, "float16": 11, "float32": 24, "float64": 53}  # binary digits that each dtype holds


def as_shape(where: str, shape: Any) -> tuple[int, ...]:
    """A shape as a tuple of sizes, given as one, several, or a tensor of integers that has values; sizes may be such tensors.

    >>> as_shape("normal(shape)", [2, 3]), as_shape("normal(shape)", 4)
    ((2, 3), (4,))
    """
    shape = plain(shape)
    if engine.is_tensor(shape) and not engine.abstract:
        with contextlib.suppress(Exception):  # a tracer has no values, and is refused below
            shape = engine.to_numpy(shape).tolist()
    sizes = tuple(shape) if hasattr(shape, "__len__") and getattr(shape, "ndim", 1) else (shape,)
    if any(engine.is_tensor(n) for n in sizes) and not engine.abstract:
        with contextlib.suppress(Exception):
            sizes = tuple(engine.known_value(n).item() if engine.is_tensor(n) else n for n in sizes)
    if not all(isinstance(n, (int, np.integer)) and n >= 0 for n in sizes):
        raise ShapeError(where, need="sizes from 0", got=f"{shape!r}", fix="take unknown sizes from ops.shape(x) inside a layer")
    return tuple(int(n) for n in sizes)


def as_float(where: str, dtype: Any) -> str:
    """The dtype of a result that must be a float, floatx by default."""
    name = dtypes.standardize_dtype(dtype)
    if name not in DIGITS:
        raise ArgumentError(where, need="a float dtype", got=repr(dtype), fix="use random.randint for integers")
    return engine.canonical_dtype(name)


def compute_dtype(dtype: str) -> str:
    """What numbers are computed in that come out as this dtype."""
    return dtype if dtype == "float64" else "float32"


def units(key: Tensor, shape: tuple[int, ...], dtype: str) -> Tensor:
    """Numbers of [0, 1), all multiples of 2**-digits equally likely."""
    digits = DIGITS[dtype]
    if digits <= 32:
        return engine.multiply(engine.cast(engine.right_shift(engine.random_bits(key, shape), 32 - digits), dtype), 2.0**-digits)
    low, high = (engine.cast(engine.right_shift(part, 32 - n), dtype) for part, n in zip(pairs(key, shape), (26, 27), strict=True))
    return engine.multiply(engine.add(engine.multiply(high, 2.0**26), low), 2.0**-53)


def open_units(key: Tensor, shape: tuple[int, ...], dtype: str) -> Tensor:
    """Numbers of (0, 1), symmetric about 1/2 and never 0 or 1: the odd multiples of 2**-digits."""
    digits = DIGITS[dtype] - 1
    whole = units(key, shape, dtype)
    cell = engine.floor(engine.multiply(whole, 2.0**digits))
    return engine.multiply(engine.add(cell, 0.5), 2.0**-digits)


def pairs(key: Tensor, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Two independent tensors of bits."""
    both = engine.random_bits(key, (2, *shape))
    ones = (1,) * both.ndim
    return tuple(engine.reshape(engine.slice(both, (i, *(0,) * len(shape)), (i + 1, *shape), ones), shape) for i in (0, 1))  # type: ignore[return-value]


def split(key: Tensor, number: int) -> list[Tensor]:
    """Further keys."""
    bits = engine.random_bits(key, (number, 2))
    return [engine.reshape(engine.slice(bits, (i, 0), (i + 1, 2), (1, 1)), (2,)) for i in range(number)]


def parameter(value: Any, dtype: str, shape: Sequence[int], where: str) -> Tensor:
    """A parameter of a distribution as a tensor of the full shape."""
    value = convert(value, dtype)
    if value.ndim > len(shape) or any(n not in (1, m) for n, m in zip(reversed(value.shape), reversed(shape), strict=False)):
        raise ShapeError(where, need=f"a number, or a shape that broadcasts to {tuple(shape)}", got=f"shape {tuple(value.shape)}")
    return engine.broadcast_to(value, tuple(shape))


def until_accepted(key: Tensor, attempt: Callable, start: Tensor, done: Tensor) -> Tensor:
    """start where done, elsewhere the first accepted proposal.

    Args:
        attempt: key -> (proposals, accepted).
    """
    base = split(key, 1)[0]

    def goes_on(_: Tensor, done: Tensor, key: Tensor) -> Tensor:
        return engine.logical_not(engine.all(done, tuple(range(done.ndim)), False))

    def again(result: Tensor, done: Tensor, key: Tensor) -> tuple[Tensor, ...]:
        proposals, accepted = attempt(key)
        return engine.where(done, result, proposals), engine.logical_or(done, accepted), engine.add(key, engine.asarray(np.array([0, 1], "uint32")))

    return engine.while_loop(goes_on, again, (start, done, base))[0]
