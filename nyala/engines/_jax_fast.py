# SPDX-License-Identifier: Apache-2.0
"""Shortcuts of the JAX engine: forms of composed ops that XLA makes faster programs of, with gradients of their own.

A shortcut gets the arguments of the op's body, converted and promoted, and returns NotImplemented for what it does not do. Start at FAST.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from nyala.engines import _jax_recurrence as recurrence


@jax.custom_jvp
def _max_with_zero(x: Array) -> Array:
    """XLA joins a maximum to the convolution before it, but no select."""
    return lax.max(x, np.zeros((), x.dtype))


@_max_with_zero.defjvp
def _max_with_zero_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (tangent,) = primals, tangents
    return _max_with_zero(x), jnp.where(x > 0, tangent, 0)


def _relu(x: Array) -> Any:
    return NotImplemented if x.dtype == bool else _max_with_zero(x)


SHORT = 32  # axes that XLA looks through in one go


def position(x: Array, axis: int, largest: bool) -> Array:
    """argmax or argmin. On CPUs XLA keeps value and index together one element at a time: over long axes it is three times
    as fast to find the value first, and then the first index that has it."""
    size = x.shape[axis]
    if size < SHORT or size > 2**24 or x.dtype == bool or jax.default_backend() != "cpu":
        return (lax.argmax if largest else lax.argmin)(x, axis, np.int32)
    best = jnp.expand_dims((lax.reduce_max if largest else lax.reduce_min)(x, (axis,)), axis)
    index = lax.broadcasted_iota(np.float32, x.shape, axis)  # exact below 2**24, and compared in one instruction
    found = (x == best) | (x != x)  # a nan is first
    return lax.reduce_min(jnp.where(found, index, np.float32(size)), (axis,)).astype(np.int32)


FAST: dict[str, Callable] = {"relu": _relu, "lstm_sequence": recurrence.lstm, "gru_sequence": recurrence.gru}
