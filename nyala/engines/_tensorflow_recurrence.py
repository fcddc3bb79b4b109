# SPDX-License-Identifier: Apache-2.0
"""LSTM and GRU over time for the TensorFlow engine, with gradients of their own.

The loops hold what must be done step by step: the inputs of all times go through one product before, and the gradients of all weights come from
one product over all times after, out of gates that the forward loop kept. Sigmoids are (1 + tanh(z / 2)) / 2, so that all gates of a step
are one tanh. Start at lstm. Shapes: t times, b sequences, d inputs, u units.
"""

from __future__ import annotations

# The stubs that checkers have for TensorFlow know half of it:
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportMissingImports=false, reportMissingModuleSource=false
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from nyala.engines._tensorflow_loops import kept_apart, scan
from nyala.engines._trees import ShapeDtype
from nyala.engines.protocol import Tensor


def lstm(
    inputs: Tensor,
    hidden: Tensor,
    cell: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    go_backwards: bool = False,
    activation: Any = "tanh",
    recurrent_activation: Any = "sigmoid",
) -> Any:
    """The shortcut for lstm_sequence."""
    if not _fits(activation, recurrent_activation, inputs, hidden, cell, kernel, recurrent_kernel, bias):
        return NotImplemented
    x, bias, seen = _prepared(inputs, kernel, bias, mask)

    @tf.custom_gradient
    def run(*tensors: Tensor) -> tuple[list[Tensor], Callable]:
        return _lstm(*tensors, seen, bool(go_backwards))

    results: Any = run(x, hidden, cell, kernel, recurrent_kernel, bias)
    outputs, hidden, cell = results
    return _finished(outputs, go_backwards), hidden, cell


def gru(
    inputs: Tensor,
    hidden: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None = None,
    recurrent_bias: Tensor | None = None,
    mask: Tensor | None = None,
    go_backwards: bool = False,
    reset_after: bool = True,
    activation: Any = "tanh",
    recurrent_activation: Any = "sigmoid",
) -> Any:
    """The shortcut for gru_sequence."""
    if not reset_after or not _fits(activation, recurrent_activation, inputs, hidden, kernel, recurrent_kernel, bias, recurrent_bias):
        return NotImplemented
    x, bias, seen = _prepared(inputs, kernel, bias, mask)

    @tf.custom_gradient
    def run(*tensors: Tensor) -> tuple[list[Tensor], Callable]:
        return _gru(*tensors, seen, bool(go_backwards))

    results: Any = run(x, hidden, kernel, recurrent_kernel, bias, tf.zeros_like(bias) if recurrent_bias is None else recurrent_bias)
    outputs, hidden = results
    return _finished(outputs, go_backwards), hidden


def _fits(activation: Any, recurrent_activation: Any, inputs: Tensor, *others: Tensor | None) -> bool:
    dtypes = {x.dtype for x in (inputs, *others) if x is not None}
    usual = activation == "tanh" and recurrent_activation == "sigmoid" and 0 not in inputs.shape
    return usual and dtypes <= {inputs.dtype} <= {tf.float32, tf.float64}


def _prepared(inputs: Tensor, kernel: Tensor, bias: Tensor | None, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """Inputs (t, b, d), a bias, and the mask as (t, b, 1)."""
    bias = tf.zeros(kernel.shape[1:], kernel.dtype) if bias is None else bias
    return tf.transpose(inputs, (1, 0, 2)), bias, None if mask is None else tf.transpose(mask)[:, :, None]


def _finished(outputs: Tensor, go_backwards: bool) -> Tensor:
    """Outputs (b, t, u) in the order in which they were made."""
    return tf.transpose(tf.reverse(outputs, (0,)) if go_backwards else outputs, (1, 0, 2))


def _before(first: Tensor, states: Tensor, go_backwards: bool) -> Tensor:
    """The state before each step."""
    return tf.concat((states[1:], first[None]) if go_backwards else (first[None], states[:-1]), 0)


def _flat(x: Tensor) -> Tensor:
    return tf.reshape(x, (-1, x.shape[-1]))


def _times(x: Tensor, weights: Tensor) -> Tensor:
    """x @ weights of all times at once."""
    return tf.reshape(tf.matmul(_flat(x), weights), (*x.shape[:-1], weights.shape[-1]))


def _over_all_times(x: Tensor, dz: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of x @ weights + bias: of the weights, of the bias."""
    return tf.matmul(_flat(x), _flat(dz), transpose_a=True), tf.reduce_sum(_flat(dz), 0)


def _like(x: Tensor, *widths: int) -> list[ShapeDtype]:
    """Results of a step: (b, width) each."""
    return [ShapeDtype((x.shape[1], width), x.dtype.name) for width in widths]


def _where(seen: Tensor | None, x: Tensor, other: Tensor | float) -> Tensor:
    return x if seen is None else tf.where(seen, x, tf.cast(other, x.dtype))


# LSTM: z = x K + h R + b for i, f, g, o;  c' = f c + i g;  h' = o tanh(c') -------------------------------------------------------------------


def _lstm(x: Tensor, h: Tensor, c: Tensor, kernel: Tensor, recurrent: Tensor, bias: Tensor, seen: Tensor | None, go_backwards: bool) -> tuple:
    units, length = h.shape[-1], x.shape[0]
    half = tf.constant(np.repeat([0.5, 0.5, 1, 0.5], units), x.dtype)  # all gates but the candidate are sigmoids

    def step(state: tuple, now: tuple) -> tuple:
        (h, c), (z, *seen) = state, now
        gates = tf.tanh((z + tf.matmul(h, recurrent)) * half) * half + (1 - half)
        i, f, g, o = tf.split(gates, 4, axis=-1)
        new = f * c + i * g
        out = o * tf.tanh(new)
        if seen:
            out, new = tf.where(seen[0], out, h), tf.where(seen[0], new, c)
        return (out, new), (out, new, gates)

    masks = () if seen is None else (seen,)
    columns = (_times(x, kernel) + bias, *masks)
    last, (outputs, cells, gates) = scan(step, (h, c), columns, length, go_backwards, _like(x, units, units, 4 * units))

    def gradient(d_outputs: Tensor, dh: Tensor, dc: Tensor) -> list[Tensor]:
        i, f, g, o = tf.split(gates, 4, axis=-1)
        squashed, before = tf.tanh(cells), _before(c, cells, go_backwards)
        to_gates = tf.concat([g * i * (1 - i), before * f * (1 - f), i * (1 - g * g), squashed * o * (1 - o)], -1)
        to_cell = o * (1 - squashed * squashed)
        parts = kept_apart(_where(seen, to_gates, 0), _where(seen, to_cell, 0), _where(seen, f, 1), tf.transpose(recurrent))
        turned = parts[3]

        def back(state: tuple, now: tuple) -> tuple:
            (dh, dc), (d_output, to_gates, to_cell, f, *seen) = state, now
            dh = dh + d_output
            dc = dc + dh * to_cell
            dz = to_gates * tf.concat([dc, dc, dc, dh], -1)
            earlier = tf.matmul(dz, turned)
            return (earlier + tf.where(seen[0], tf.zeros_like(dh), dh) if seen else earlier, dc * f), (dz,)

        (dh, dc), (dz,) = scan(back, (dh, dc), (d_outputs, *parts[:3], *masks), length, not go_backwards, _like(x, 4 * units))
        d_kernel, d_bias = _over_all_times(x, dz)
        d_recurrent, _ = _over_all_times(_before(h, outputs, go_backwards), dz)
        return [_times(dz, tf.transpose(kernel)), dh, dc, d_kernel, d_recurrent, d_bias]

    return [outputs, *last], gradient


# GRU: z, r = sigmoid(x K + h R + both biases);  n = tanh(x K + b + r (h R + b'));  h' = n + z (h - n) ---------------------------------------


def _gru(
    x: Tensor, h: Tensor, kernel: Tensor, recurrent: Tensor, bias: Tensor, recurrent_bias: Tensor, seen: Tensor | None, go_backwards: bool
) -> tuple:
    units, length = h.shape[-1], x.shape[0]

    def step(state: tuple, now: tuple) -> tuple:
        (h,), (outer, *seen) = state, now
        inner = tf.matmul(h, recurrent) + recurrent_bias
        gates = 0.5 * tf.tanh(0.5 * (outer[:, : 2 * units] + inner[:, : 2 * units])) + 0.5
        z, r = tf.split(gates, 2, axis=-1)
        inner = inner[:, 2 * units :]
        n = tf.tanh(outer[:, 2 * units :] + r * inner)
        out = n + z * (h - n)
        out = tf.where(seen[0], out, h) if seen else out
        return (out,), (out, gates, n, inner)

    masks = () if seen is None else (seen,)
    columns = (_times(x, kernel) + bias, *masks)
    (last,), (outputs, gates, n, inner) = scan(step, (h,), columns, length, go_backwards, _like(x, units, 2 * units, units, units))

    def gradient(d_outputs: Tensor, dh: Tensor) -> list[Tensor]:
        z, r = tf.split(gates, 2, axis=-1)
        before = _before(h, outputs, go_backwards)
        to_candidate = _where(seen, (1 - z) * (1 - n * n), 0)
        to_inner = tf.concat([(before - n) * z * (1 - z), to_candidate * inner * r * (1 - r), to_candidate * r], -1)
        parts = kept_apart(_where(seen, to_inner, 0), _where(seen, z, 1), tf.transpose(recurrent))

        def back(state: tuple, now: tuple) -> tuple:
            (dh,), (d_output, to_inner, z) = state, now
            dh = dh + d_output
            d_inner = to_inner * tf.concat([dh, dh, dh], -1)
            return (tf.matmul(d_inner, parts[2]) + dh * z,), (d_inner, dh)

        (dh,), (d_inner, d_hidden) = scan(back, (dh,), (d_outputs, *parts[:2]), length, not go_backwards, _like(x, 3 * units, units))
        d_outer = tf.concat([d_inner[..., : 2 * units], d_hidden * to_candidate], -1)
        d_kernel, d_bias = _over_all_times(x, d_outer)
        d_recurrent, d_recurrent_bias = _over_all_times(before, d_inner)
        return [_times(d_outer, tf.transpose(kernel)), dh, d_kernel, d_recurrent, d_bias, d_recurrent_bias]

    return [outputs, last], gradient
