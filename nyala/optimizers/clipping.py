# SPDX-License-Identifier: Apache-2.0
"""Gradients cut to size: entry by entry, each by its length, or all by their common length. Start at clip."""

from __future__ import annotations

import functools

from nyala.engines import engine
from nyala.engines.protocol import Tensor


def clip(
    gradients: list[Tensor], clipnorm: float | None = None, clipvalue: float | None = None, global_clipnorm: float | None = None
) -> list[Tensor]:
    """Gradients with no entry beyond +-clipvalue, or none longer than clipnorm, or together no longer than global_clipnorm.

    Source: Pascanu, Mikolov, Bengio 2012, On the difficulty of training recurrent neural networks.
    """
    if clipvalue is not None:
        return [engine.maximum(engine.minimum(g, clipvalue), -clipvalue) for g in gradients]
    if clipnorm is not None:
        return [_shorten(g, _square_sum(g), clipnorm) for g in gradients]
    if global_clipnorm is not None and gradients:
        total = functools.reduce(lambda a, b: a + b, map(_square_sum, gradients))
        return [_shorten(g, total, global_clipnorm) for g in gradients]
    return gradients


def as_dtype(value: Tensor, dtype: str) -> Tensor:
    """The tensor in this dtype."""
    return value if engine.dtype(value) == dtype else engine.cast(value, dtype)


def _square_sum(gradient: Tensor) -> Tensor:
    """Sum of squares, in at least 32 bits."""
    if engine.dtype(gradient) in ("float16", "bfloat16"):
        gradient = engine.cast(gradient, "float32")
    return engine.sum(gradient * gradient, tuple(range(len(gradient.shape))), False)


def _shorten(gradient: Tensor, square_sum: Tensor, length: float) -> Tensor:
    """The gradient scaled so that a vector of this squared length gets at most the given length."""
    return gradient * as_dtype(length / engine.maximum(engine.sqrt(square_sum), length), engine.dtype(gradient))
