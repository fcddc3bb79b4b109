# SPDX-License-Identifier: Apache-2.0
"""Random choices among what is there: dropout, shuffle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nyala.core import dtypes
from nyala.core.errors import ArgumentError, ShapeError
from nyala.core.op import convert, engine, normalize_axis
from nyala.core.seeds import draw_key
from nyala.engines.protocol import Tensor


def dropout(inputs: Any, rate: float, noise_shape: Sequence[int | None] | None = None, seed: Any = None) -> Tensor:
    """inputs with a part of them set to 0, the others divided by 1 - rate, so that the mean stays.

    Args:
        rate: the part, from 0 to 1.
        noise_shape: shape of the choice, which is broadcast; None stands for the size of the input.
        seed: an integer for the same choice at each call, a SeedGenerator, or None.

    Source: Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov 2014, Dropout: a simple way to prevent neural networks from overfitting.

    >>> dropout([1.0, 1.0, 1.0, 1.0], 0.5, seed=1).tolist()
    [0.0, 2.0, 2.0, 0.0]
    """
    if not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
        raise ArgumentError("dropout(rate)", need="a number from 0 to 1", got=repr(rate))
    x = convert(inputs)
    if not dtypes.is_float(engine.dtype(x)):
        x = convert(x, dtypes.standardize_dtype(None))
    shape = _noise_shape(x, noise_shape)
    if rate == 0:
        return x
    bits = engine.cast(engine.right_shift(engine.random_bits(draw_key(seed), shape), 8), "int32")
    kept = engine.greater_equal(bits, round(rate * 2**24))
    return engine.where(kept, engine.divide(x, 1.0 - rate) if rate < 1 else x, 0.0)


def _noise_shape(x: Tensor, noise_shape: Sequence[int | None] | None) -> tuple[int, ...]:
    if noise_shape is None:
        return tuple(x.shape)
    if len(noise_shape) != x.ndim or any(n not in (None, 1, size) for n, size in zip(noise_shape, x.shape, strict=True)):
        raise ShapeError("dropout(noise_shape)", need=f"for each axis of shape {tuple(x.shape)} its size, 1 or None", got=f"{tuple(noise_shape)}")
    return tuple(size if n is None else int(n) for n, size in zip(noise_shape, x.shape, strict=True))


def shuffle(x: Any, axis: int = 0, seed: Any = None) -> Tensor:
    """The slices of x along axis in random order.

    >>> shuffle([1, 2, 3, 4], seed=1).tolist()
    [1, 4, 2, 3]
    """
    x = convert(x)
    axis = normalize_axis(axis, x.ndim, "shuffle(axis)")
    bits = engine.cast(engine.right_shift(engine.random_bits(draw_key(seed), (x.shape[axis],)), 1), "int32")
    return engine.take(x, engine.argsort(bits, 0), axis)
