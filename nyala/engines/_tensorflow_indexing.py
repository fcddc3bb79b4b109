# SPDX-License-Identifier: Apache-2.0
"""Indexing and order in TensorFlow: indices from the end, windows at computed places, nan as the largest of all.

TensorFlow sorts and compares nan as it likes. Here floats are compared by integers that have their order, with nan behind infinity.
Start at `take` and `argsort`. Nothing here knows about engines.
"""

from __future__ import annotations

# The stubs that checkers have for TensorFlow know half of it:
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportMissingImports=false, reportMissingModuleSource=false
import functools
import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from nyala.engines._tensorflow_tracing import REFUSED, as_index_error, tracing
from nyala.engines.protocol import Shape, Tensor

_SCATTER = {
    "set": tf.tensor_scatter_nd_update,
    "add": tf.tensor_scatter_nd_add,
    "max": tf.tensor_scatter_nd_max,
    "min": tf.tensor_scatter_nd_min,
}
_BITS = {tf.float16: tf.int16, tf.bfloat16: tf.int16, tf.float32: tf.int32, tf.float64: tf.int64}


def from_start(indices: Tensor, size: int) -> Tensor:
    """Indices without negative ones."""
    return tf.where(indices < 0, indices + tf.constant(size, indices.dtype), indices)


def _or_nan(values: Tensor, indices: Tensor, size: int) -> Tensor:
    """values, and nan where an index was out of range: XLA moves such an index inside; elsewhere kernels refuse it."""
    if not tracing.xla or not values.dtype.is_floating:
        return values
    return tf.where((indices >= 0) & (indices < size), values, tf.constant(math.nan, values.dtype))


def take(x: Tensor, indices: Tensor, axis: int) -> Tensor:
    """The primitive `take`."""
    size = x.shape[axis]
    if size == 0 and 0 not in indices.shape:
        return tf.fill((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), tf.cast(math.nan if x.dtype.is_floating else 0, x.dtype))
    indices = from_start(indices, size)
    try:
        values = tf.gather(x, indices, axis=axis)
    except REFUSED as error:
        raise as_index_error(error) from None
    return _or_nan(values, indices[(..., *[None] * (x.shape.rank - axis - 1))], size)


def take_along_axis(x: Tensor, indices: Tensor, axis: int) -> Tensor:
    """The primitive `take_along_axis`."""
    rank, size = x.shape.rank, x.shape[axis]
    others = np.broadcast_shapes(*((*t.shape[:axis], 1, *t.shape[axis + 1 :]) for t in (x, indices)))
    to_last = [*(i for i in range(rank) if i != axis), axis]
    x, indices = (tf.transpose(tf.broadcast_to(t, (*others[:axis], t.shape[axis], *others[axis + 1 :])), to_last) for t in (x, indices))
    indices = from_start(indices, size)
    try:
        values = tf.gather(x, indices, batch_dims=rank - 1, axis=rank - 1)
    except REFUSED as error:
        raise as_index_error(error) from None
    return tf.transpose(_or_nan(values, indices, size), [to_last.index(i) for i in range(rank)])


def scatter(x: Tensor, indices: Tensor, updates: Tensor, mode: str) -> Tensor:
    """The primitive `scatter`."""
    count = indices.shape[1]
    if indices.shape[0] == 0 or 0 in x.shape:
        return x
    indices = from_start(indices, np.asarray(x.shape[:count]))
    if mode != "multiply":
        kernel = {
            "set": tf.tensor_scatter_nd_update,
            "add": tf.tensor_scatter_nd_add,
            "max": tf.tensor_scatter_nd_max,
            "min": tf.tensor_scatter_nd_min,
        }
        return kernel[mode](x, indices, updates)
    rows = math.prod(x.shape[:count])
    steps = np.asarray([math.prod(x.shape[i + 1 : count]) for i in range(count)])
    factors = tf.math.unsorted_segment_prod(updates, tf.reduce_sum(indices * tf.constant(steps, indices.dtype), axis=1), rows)
    return x * tf.reshape(factors, x.shape)


def _inside(starts: Sequence[Tensor | int], sizes: Sequence[int], shape: Sequence[int]) -> list[Tensor | int]:
    """Starts moved so that blocks of these sizes fit."""
    moved = []
    for start, size, whole in zip(starts, sizes, shape, strict=True):
        if isinstance(start, int):
            moved.append(max(0, min(start, whole - size)))
        else:
            moved.append(0 if size == whole else tf.clip_by_value(tf.cast(start, tf.int32), 0, whole - size))
    return moved


def dynamic_slice(x: Tensor, starts: Sequence[Tensor | int], sizes: Shape) -> Tensor:
    """The primitive `dynamic_slice`."""
    starts = _inside(starts, sizes, x.shape)
    return tf.slice(x, tf.stack([tf.cast(start, tf.int32) for start in starts]), sizes) if sizes else x


def dynamic_update_slice(x: Tensor, update: Tensor, starts: Sequence[Tensor | int]) -> Tensor:
    """The primitive `dynamic_update_slice`."""
    sizes, shape = tuple(update.shape), tuple(x.shape)
    count = max((i + 1 for i in range(len(shape)) if sizes[i] != shape[i]), default=0)  # axes behind these are written whole
    if count == 0 or 0 in sizes:
        return x if 0 in sizes else update
    starts = _inside(starts, sizes, shape)
    places = tf.meshgrid(*(tf.range(size) + start for size, start in zip(sizes[:count], starts, strict=False)), indexing="ij")
    indices = tf.stack([tf.reshape(place, [-1]) for place in places], axis=1)
    return tf.tensor_scatter_nd_update(x, indices, tf.reshape(update, (-1, *sizes[count:])))


# Order -----------------------------------------------------------------------------------------------------------------------------------


def _ranks(x: Tensor) -> Tensor:
    """Integers in the order of x: all nan equal and largest, 0 and -0 equal."""
    if not x.dtype.is_floating:
        return tf.cast(x, tf.int8) if x.dtype == tf.bool else x
    x = tf.where(tf.math.is_nan(x), tf.constant(math.nan, x.dtype), tf.where(tf.equal(x, 0), tf.zeros_like(x), x))
    bits = tf.bitcast(x, _BITS[x.dtype])
    return tf.where(bits < 0, tf.bitwise.bitwise_xor(bits, tf.constant(bits.dtype.max, bits.dtype)), bits)


def argsort(x: Tensor, axis: int) -> Tensor:
    """The primitive `argsort`."""
    rank = x.shape.rank
    turned = [*(i for i in range(rank) if i != axis), axis]
    backwards = tf.bitwise.invert(_ranks(tf.transpose(x, turned)))  # largest first means smallest of x first, equals in their order
    return tf.transpose(tf.math.top_k(backwards, x.shape[axis]).indices, [turned.index(i) for i in range(rank)])


def sort(x: Tensor, axis: int) -> Tensor:
    """The primitive `sort`."""
    return take_along_axis(x, argsort(x, axis), axis)


def top_k(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The primitive `top_k`."""
    indices = tf.math.top_k(_ranks(x), k).indices
    return take_along_axis(x, indices, x.shape.rank - 1), indices


def argmax(x: Tensor, axis: int) -> Tensor:
    """The primitive `argmax`."""
    return tf.argmax(_ranks(x), axis, tf.int32)


def argmin(x: Tensor, axis: int) -> Tensor:
    """The primitive `argmin`: a nan is smallest here."""
    ranks = _ranks(x)
    if x.dtype.is_floating:
        ranks = tf.where(tf.math.is_nan(x), tf.constant(ranks.dtype.min, ranks.dtype), ranks)
    return tf.argmin(ranks, axis, tf.int32)


def searchsorted(sequence: Tensor, values: Tensor, side: str) -> Tensor:
    """The primitive `searchsorted`."""
    if sequence.shape[0] == 0:
        return tf.zeros(values.shape, tf.int32)
    return tf.reshape(tf.searchsorted(_ranks(sequence), tf.reshape(_ranks(values), [-1]), side), values.shape)


def cummax(x: Tensor, axis: int) -> Tensor:
    """The primitive `cummax`, by doubling the distance that each element has seen."""
    size, distance = x.shape[axis], 1
    before: list = [slice(None)] * axis
    while distance < size:
        head, rest = x[(*before, slice(None, distance))], x[(*before, slice(distance, None))]
        x = tf.concat([head, tf.maximum(rest, x[(*before, slice(None, size - distance))])], axis)
        distance *= 2
    return x


def threefry(key: Tensor, shape: Shape) -> Tensor:
    """The primitive `random_bits`."""
    size = math.prod(shape)
    number = tf.range(size, dtype=tf.int64)
    keys = (key[0], key[1], functools.reduce(tf.bitwise.bitwise_xor, (key[0], key[1], tf.constant(0x1BD11BDA, tf.uint32))))
    high = tf.cast(tf.bitwise.right_shift(number, tf.constant(32, tf.int64)), tf.uint32) if size > 2**32 else tf.zeros([size], tf.uint32)
    a, b = high + keys[0], tf.cast(number, tf.uint32) + keys[1]
    for block in range(5):
        for rotation in ((13, 15, 26, 6), (17, 29, 16, 24))[block % 2]:
            a = a + b
            left, right = (tf.constant(bits, tf.uint32) for bits in (rotation, 32 - rotation))
            b = tf.bitwise.bitwise_xor(tf.bitwise.bitwise_or(tf.bitwise.left_shift(b, left), tf.bitwise.right_shift(b, right)), a)
        a = a + keys[(block + 1) % 3]
        b = b + keys[(block + 2) % 3] + tf.constant(block + 1, tf.uint32)
    return tf.reshape(tf.bitwise.bitwise_xor(a, b), shape)
