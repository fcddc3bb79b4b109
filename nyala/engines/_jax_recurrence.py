# SPDX-License-Identifier: Apache-2.0
"""LSTM and GRU over time for the JAX engine, with gradients of their own.

The loops hold what must be done step by step and nothing else: the inputs of all times go through one product before, and the gradients of
all weights come from one product over all times after, out of gates that the forward loop kept. JAX's own gradient of such a loop forms one
small product per step and weight. Sigmoids are computed as (1 + tanh(z / 2)) / 2, so that all gates of a step are one tanh.
Start at lstm. Shapes: t times, b sequences, d inputs, u units.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from nyala.engines import _jax_kernels as kernels
from nyala.engines import _jax_sharding as sharding

Pair = tuple[Array, Array]


def lstm(
    inputs: Array,
    hidden: Array,
    cell: Array,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array | None = None,
    mask: Array | None = None,
    go_backwards: bool = False,
    activation: Any = "tanh",
    recurrent_activation: Any = "sigmoid",
) -> Any:
    """The shortcut for lstm_sequence."""
    if not _fits(activation, recurrent_activation, inputs, hidden, cell, kernel, recurrent_kernel, bias):
        return NotImplemented
    x, bias, seen = _prepared(inputs, kernel, bias, mask)
    found: Any = _lstm(x, hidden, cell, kernel, recurrent_kernel, bias, seen, bool(go_backwards))
    outputs, hidden, cell = found
    return _finished(outputs, go_backwards), hidden, cell


def gru(
    inputs: Array,
    hidden: Array,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array | None = None,
    recurrent_bias: Array | None = None,
    mask: Array | None = None,
    go_backwards: bool = False,
    reset_after: bool = True,
    activation: Any = "tanh",
    recurrent_activation: Any = "sigmoid",
) -> Any:
    """The shortcut for gru_sequence."""
    if not reset_after or not _fits(activation, recurrent_activation, inputs, hidden, kernel, recurrent_kernel, bias, recurrent_bias):
        return NotImplemented
    x, bias, seen = _prepared(inputs, kernel, bias, mask)
    recurrent_bias = jnp.zeros_like(bias) if recurrent_bias is None else recurrent_bias
    found: Any = _gru(x, hidden, kernel, recurrent_kernel, bias, recurrent_bias, seen, bool(go_backwards))
    outputs, hidden = found
    return _finished(outputs, go_backwards), hidden


def _fits(activation: Any, recurrent_activation: Any, inputs: Array, *others: Array | None) -> bool:
    dtypes = {x.dtype for x in (inputs, *others) if x is not None}
    return activation == "tanh" and recurrent_activation == "sigmoid" and dtypes <= {inputs.dtype} <= {np.dtype("float32"), np.dtype("float64")}


def _prepared(inputs: Array, kernel: Array, bias: Array | None, mask: Array | None) -> tuple[Array, Array, Array | None]:
    """Inputs (t, b, d), a bias, and the mask as (t, b, 1)."""
    bias = jnp.zeros(kernel.shape[1], kernel.dtype) if bias is None else bias
    return jnp.swapaxes(inputs, 0, 1), bias, None if mask is None else mask.T[:, :, None]


def _finished(outputs: Array, go_backwards: bool) -> Array:
    """Outputs (b, t, u) in the order in which they were made."""
    return jnp.swapaxes(lax.rev(outputs, (0,)) if go_backwards else outputs, 0, 1)


def _before(first: Array, states: Array, go_backwards: bool) -> Array:
    """The state before each step."""
    parts = (states[1:], first[None]) if go_backwards else (first[None], states[:-1])
    return jnp.concatenate(parts)


def _over_all_times(x: Array, dz: Array, weights: Array) -> tuple[Array, Array, Array]:
    """Gradients of x @ weights + bias: of x, of the weights, of the bias."""
    if sharding.divides():  # as rows, all of dz would go to each device
        return jnp.matmul(dz, weights.T), lax.dot_general(x, dz, (((0, 1), (0, 1)), ((), ()))), jnp.sum(dz, axis=(0, 1))
    flat = dz.reshape(-1, dz.shape[-1])
    d_weights = kernels.transposed_product(x.reshape(-1, x.shape[-1]), flat)
    return kernels.product_with_turned(flat, weights).reshape(x.shape), d_weights, jnp.sum(flat, axis=0)


def _sigmoid(z: Array) -> Array:
    return 0.5 * jnp.tanh(0.5 * z) + 0.5


def _over_time(step: Any, state: Any, first: Array, others: tuple, more: tuple, reverse: bool) -> tuple[Any, Array, tuple]:
    """As lax.scan, in less memory: the first result of each step is written over the row of `first` that it came from, and the others into
    memory that nobody has cleared.

    Args:
        step: (state, row of first, rows of others) -> (state, row that replaces it or None, rows for more).
        first: (t, ...); others: (t, ...) or None.
        more: shapes of rows of the further results.
    """
    times = len(first)
    rest = tuple(lax.empty((times, *shape), first.dtype) for shape in more)

    def body(i: Array, carried: tuple) -> tuple:
        state, first, rest = carried
        t = times - 1 - i if reverse else i
        row = lambda x: None if x is None else lax.dynamic_index_in_dim(x, t, 0, keepdims=False)  # noqa: E731
        write = lambda x, value: x if value is None else lax.dynamic_update_index_in_dim(x, value, t, 0)  # noqa: E731
        state, new, further = step(state, row(first), tuple(map(row, others)))
        return state, write(first, new), tuple(map(write, rest, further))

    return lax.fori_loop(0, times, body, (state, first, rest))


# LSTM: z = x K + h R + b for i, f, g, o;  c' = f c + i g;  h' = o tanh(c') --------------------------------------------------------------------------


@functools.partial(jax.custom_vjp, nondiff_argnums=(7,))
def _lstm(x: Array, h: Array, c: Array, kernel: Array, recurrent: Array, bias: Array, seen: Array | None, go_backwards: bool) -> tuple[Array, ...]:
    last, _, (outputs,) = _lstm_steps(x, h, c, kernel, recurrent, bias, seen, go_backwards, keep=False)
    return outputs, *last


def _lstm_forward(
    x: Array, h: Array, c: Array, kernel: Array, recurrent: Array, bias: Array, seen: Array | None, go_backwards: bool
) -> tuple[tuple[Array, ...], tuple]:
    last, gates, (outputs, cells) = _lstm_steps(x, h, c, kernel, recurrent, bias, seen, go_backwards, keep=True)
    return (outputs, *last), (x, h, c, kernel, recurrent, seen, outputs, cells, gates)


def _lstm_steps(
    x: Array, h: Array, c: Array, kernel: Array, recurrent: Array, bias: Array, seen: Array | None, go_backwards: bool, keep: bool
) -> tuple[Pair, Any, tuple[Array, ...]]:
    """The last state, the gates of all times, and (outputs, cells); gates and cells only if they are to be kept."""
    units = h.shape[-1]
    half = np.repeat(np.asarray([0.5, 0.5, 1, 0.5], x.dtype), units)  # all gates but the candidate are sigmoids

    def step(state: Pair, z: Array, others: tuple) -> tuple[Pair, Any, tuple]:
        (h, c), (seen,) = state, others
        gates = jnp.tanh((z + h @ recurrent) * half) * half + (1 - half)
        i, f, g, o = jnp.split(gates, 4, axis=-1)
        new = f * c + i * g
        out = o * jnp.tanh(new)
        if seen is not None:
            out, new = jnp.where(seen, out, h), jnp.where(seen, new, c)
        return (out, new), gates if keep else None, (out, new) if keep else (out,)

    return _over_time(step, (h, c), x @ kernel + bias, (seen,), (h.shape, c.shape) if keep else (h.shape,), go_backwards)


def _lstm_backward(go_backwards: bool, saved: tuple, upstream: tuple[Array, ...]) -> tuple:
    x, h, c, kernel, recurrent, seen, outputs, cells, gates = saved
    d_outputs, dh, dc = upstream
    turned = lax.optimization_barrier(recurrent.T)
    i, f, g, o = jnp.split(gates, 4, axis=-1)
    squashed, before = jnp.tanh(cells), _before(c, cells, go_backwards)
    to_gates = jnp.concatenate([g * i * (1 - i), before * f * (1 - f), i * (1 - g * g), squashed * o * (1 - o)], axis=-1)
    to_cell = o * (1 - squashed * squashed)
    if seen is not None:
        to_gates, to_cell, f = jnp.where(seen, to_gates, 0), jnp.where(seen, to_cell, 0), jnp.where(seen, f, 1)

    def step(state: Pair, to_gates: Array, others: tuple) -> tuple[Pair, Array, tuple]:
        (dh, dc), (d_output, seen, to_cell, f) = state, others
        dh = dh + d_output
        dc = dc + dh * to_cell
        dz = to_gates * jnp.concatenate([dc, dc, dc, dh], axis=-1)
        earlier = dz @ turned
        return (earlier if seen is None else earlier + jnp.where(seen, 0, dh), dc * f), dz, ()

    to_gates, to_cell, f = lax.optimization_barrier((to_gates, to_cell, f))  # XLA would form them step by step
    (dh, dc), dz, _ = _over_time(step, (dh, dc), to_gates, (d_outputs, seen, to_cell, f), (), not go_backwards)
    dx, d_kernel, d_bias = _over_all_times(x, dz, kernel)
    _, d_recurrent, _ = _over_all_times(_before(h, outputs, go_backwards), dz, recurrent)
    return dx, dh, dc, d_kernel, d_recurrent, d_bias, None


_lstm.defvjp(_lstm_forward, _lstm_backward)


# GRU: z, r = sigmoid(x K + h R + both biases);  n = tanh(x K + b + r (h R + b'));  h' = n + z (h - n) ---------------------------------------------


@functools.partial(jax.custom_vjp, nondiff_argnums=(7,))
def _gru(
    x: Array, h: Array, kernel: Array, recurrent: Array, bias: Array, recurrent_bias: Array, seen: Array | None, go_backwards: bool
) -> tuple[Array, ...]:
    last, _, (outputs, *_) = _gru_steps(x, h, kernel, recurrent, bias, recurrent_bias, seen, go_backwards, keep=False)
    return outputs, last


def _gru_forward(
    x: Array, h: Array, kernel: Array, recurrent: Array, bias: Array, recurrent_bias: Array, seen: Array | None, go_backwards: bool
) -> tuple[tuple[Array, ...], tuple]:
    last, gates, (outputs, inner) = _gru_steps(x, h, kernel, recurrent, bias, recurrent_bias, seen, go_backwards, keep=True)
    return (outputs, last), (x, h, kernel, recurrent, seen, outputs, gates, inner)


def _gru_steps(
    x: Array, h: Array, kernel: Array, recurrent: Array, bias: Array, recurrent_bias: Array, seen: Array | None, go_backwards: bool, keep: bool
) -> tuple[Array, Array, tuple[Array, ...]]:
    """The last state, z, r and n of all times, and (outputs, h R + b' of n); only the outputs if the rest is not to be kept."""
    units = h.shape[-1]

    def step(h: Array, outer: Array, others: tuple) -> tuple[Array, Array | None, tuple]:
        (seen,) = others
        inner = h @ recurrent + recurrent_bias
        gates = _sigmoid(outer[:, : 2 * units] + inner[:, : 2 * units])
        z, r = jnp.split(gates, 2, axis=-1)
        inner = inner[:, 2 * units :]
        n = jnp.tanh(outer[:, 2 * units :] + r * inner)
        out = n + z * (h - n)
        out = out if seen is None else jnp.where(seen, out, h)
        return out, jnp.concatenate([gates, n], axis=-1) if keep else None, (out, inner) if keep else (out,)

    return _over_time(step, h, x @ kernel + bias, (seen,), (h.shape, h.shape) if keep else (h.shape,), go_backwards)


def _gru_backward(go_backwards: bool, saved: tuple, upstream: tuple[Array, ...]) -> tuple:
    x, h, kernel, recurrent, seen, outputs, gates, inner = saved
    d_outputs, dh = upstream
    turned = lax.optimization_barrier(recurrent.T)
    z, r, n = jnp.split(gates, 3, axis=-1)
    before = _before(h, outputs, go_backwards)
    to_candidate = (1 - z) * (1 - n * n)
    to_inner = jnp.concatenate([(before - n) * z * (1 - z), to_candidate * inner * r * (1 - r), to_candidate * r], axis=-1)
    if seen is not None:
        to_inner, to_candidate, z = jnp.where(seen, to_inner, 0), jnp.where(seen, to_candidate, 0), jnp.where(seen, z, 1)

    def step(dh: Array, to_inner: Array, others: tuple) -> tuple[Array, Array, tuple]:
        d_output, z = others
        dh = dh + d_output
        d_inner = to_inner * jnp.concatenate([dh, dh, dh], axis=-1)
        return d_inner @ turned + dh * z, d_inner, (dh,)

    to_inner, z = lax.optimization_barrier((to_inner, z))
    dh, d_inner, (d_hidden,) = _over_time(step, dh, to_inner, (d_outputs, z), (dh.shape,), not go_backwards)
    d_outer = jnp.concatenate([d_inner[..., : 2 * h.shape[-1]], d_hidden * to_candidate], axis=-1)
    dx, d_kernel, d_bias = _over_all_times(x, d_outer, kernel)
    _, d_recurrent, d_recurrent_bias = _over_all_times(before, d_inner, recurrent)
    return dx, dh, d_kernel, d_recurrent, d_bias, d_recurrent_bias, None


_gru.defvjp(_gru_forward, _gru_backward)
