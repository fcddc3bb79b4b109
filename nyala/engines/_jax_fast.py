# SPDX-License-Identifier: Apache-2.0
"""Shortcuts of the JAX engine: forms of composed ops that XLA makes faster programs of, with gradients of their own.

A shortcut gets the arguments of the op's body, converted and promoted, and returns NotImplemented for what it does not do. Start at FAST.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from nyala.engines import _jax_kernels as kernels
from nyala.engines import _jax_recurrence as recurrence


@jax.custom_jvp
def _max_with_zero(x: Array) -> Array:
    return kernels.positive(x)


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


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def _normalized(x: Array, scale: Array, offset: Array, axis: int, epsilon: float) -> tuple[Array, Array, Array]:
    y, mean, variance = _normalized_forward(x, scale, offset, axis, epsilon)[0]
    return y, mean, variance


def _normalized_forward(x: Array, scale: Array, offset: Array, axis: int, epsilon: float) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    axes, along = _rest(x, axis)
    count = x.size // x.shape[axis]
    found = kernels.moments(x.reshape(count, -1)) if axis == x.ndim - 1 else None
    mean = jnp.sum(x, axes) / count if found is None else found[0]
    centered = x - along(mean)
    variance = jnp.sum(centered * centered, axes) / count if found is None else found[1]
    factor = lax.rsqrt(variance + epsilon)
    return (centered * along(factor * scale) + along(offset), mean, variance), (x, scale, mean, factor)


def _normalized_backward(axis: int, epsilon: float, saved: tuple[Array, ...], upstream: tuple[Array, ...]) -> tuple[Array, Array, Array]:
    """Two sums and one pass; the slopes of mean and variance are no input, as no gradient goes through them."""
    x, scale, mean, factor = saved
    slope, (axes, along) = upstream[0], _rest(x, axis)
    count = x.size // x.shape[axis]
    centered = x - along(mean)
    found = kernels.slopes(x.reshape(count, -1), slope.reshape(count, -1), mean) if axis == x.ndim - 1 else None
    total, product = (jnp.sum(slope, axes), jnp.sum(slope * centered, axes)) if found is None else found
    dx = (slope - along(total / count) - centered * along(factor * factor * product / count)) * along(factor * scale)
    return dx, product * factor, total


_normalized.defvjp(_normalized_forward, _normalized_backward)


def _rest(x: Array, axis: int) -> tuple[tuple[int, ...], Callable[[Array], Array]]:
    """All axes but one, and a function that shapes values along this one to broadcast against x."""
    shape = tuple(n if i == axis else 1 for i, n in enumerate(x.shape))
    return tuple(i for i in range(x.ndim) if i != axis), lambda values: values.reshape(shape)


def _normalize_batch(x: Array, axis: Any, offset: Array | None = None, scale: Array | None = None, epsilon: float = 1e-3) -> Any:
    if type(axis) is not int or not -x.ndim <= axis < x.ndim or x.dtype not in (np.float32, np.float64) or not x.size:
        return NotImplemented
    if any(w is not None and (w.shape != (x.shape[axis],) or w.dtype != x.dtype) for w in (offset, scale)):
        return NotImplemented
    one, zero = (jnp.full(x.shape[axis], value, x.dtype) for value in (1, 0))
    found: Any = _normalized(x, one if scale is None else scale, zero if offset is None else offset, axis % x.ndim, float(epsilon))
    y, mean, variance = found
    return y, lax.stop_gradient(mean), lax.stop_gradient(variance)


FAST: dict[str, Callable] = {
    "relu": _relu,
    "normalize_batch": _normalize_batch,
    "lstm_sequence": recurrence.lstm,
    "gru_sequence": recurrence.gru,
}
