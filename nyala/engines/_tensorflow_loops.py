# SPDX-License-Identifier: Apache-2.0
"""Loops over the first axis of tensors, in Python where TensorFlow runs eagerly, as a loop of a graph elsewhere. Start at scan."""

from __future__ import annotations

# The stubs that checkers have for TensorFlow know half of it:
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportMissingImports=false, reportMissingModuleSource=false
import functools
from collections.abc import Callable, Sequence

import tensorflow as tf

from nyala.engines._tensorflow_tracing import tracing
from nyala.engines._trees import ShapeDtype
from nyala.engines.protocol import Tensor

Tensors = tuple[Tensor, ...]


def scan(body: Callable, carry: Tensors, xs: Tensors, length: int, reverse: bool, results: Sequence[ShapeDtype]) -> tuple[Tensors, Tensors]:
    """carry, y = body(carry, x) along the first axis of xs, or from its end; the last carry and the stacked ys, which look like `results`."""
    if tf.executing_eagerly():
        return unrolled(body, carry, xs, length, reverse)
    array = functools.partial(tf.TensorArray, size=length, infer_shape=False)
    columns = [array(x.dtype, element_shape=x.shape[1:]).unstack(x) for x in xs]
    written = tuple(array(y.dtype, element_shape=y.shape) for y in results)

    def step(turn: Tensor, carry: Tensors, written: tuple) -> tuple:
        place = length - 1 - turn if reverse else turn
        carry, ys = body(carry, tuple(column.read(place) for column in columns))
        return turn + 1, tuple(carry), tuple(array.write(place, y) for array, y in zip(written, ys, strict=True))

    state = (tf.constant(0), tuple(carry), written)
    _, carry, written = tf.while_loop(lambda turn, *_: turn < length, step, state, parallel_iterations=1, maximum_iterations=length)
    return carry, tuple(tf.ensure_shape(array.stack(), (length, *y.shape)) for array, y in zip(written, results, strict=True))


def unrolled(body: Callable, carry: Tensors, xs: Tensors, length: int, reverse: bool) -> tuple[Tensors, Tensors]:
    """The same, turn by turn."""
    steps = list(zip(*(tf.unstack(x) for x in xs), strict=True)) if xs else [()] * length
    columns = []
    for x in reversed(steps) if reverse else steps:
        carry, ys = body(tuple(carry), x)
        columns.append(ys)
    return tuple(carry), tuple(tf.stack(parts) for parts in zip(*(reversed(columns) if reverse else columns), strict=True))


@tf.custom_gradient
def kept_apart(*tensors: Tensor) -> tuple[list[Tensor], Callable]:
    """The tensors, behind a barrier that XLA moves nothing across."""
    if tracing.xla:
        from tensorflow.compiler.tf2xla.python import xla

        tensors = tuple(xla.optimization_barrier(*tensors))
    return [tf.identity(x) for x in tensors], lambda *upstream: list(upstream)
