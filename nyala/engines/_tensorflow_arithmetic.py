# SPDX-License-Identifier: Apache-2.0
"""Arithmetic where TensorFlow's kernels stop, or differ from the contract: division by 0, long shifts, 0**0, products with 0. Knows TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from nyala.engines._tensorflow_tracing import tracing

Tensor = Any
_UNSIGNED = (tf.uint8, tf.uint16, tf.uint32, tf.uint64)


def _of_zero(function: Callable) -> Callable:
    """A division that gives 0 where an integer is divided by 0; the kernels raise."""

    def divided(x: Tensor, y: Tensor) -> Tensor:
        if x.dtype.is_floating:
            return function(x, y)
        by_zero = tf.equal(y, tf.zeros([], y.dtype))
        return tf.where(by_zero, tf.zeros([], x.dtype), function(x, tf.where(by_zero, tf.ones([], y.dtype), y)))

    return divided


def _floor_divide(x: Tensor, y: Tensor) -> Tensor:
    """By the remainder, where that is one: x / y may be rounded up to the next whole number."""
    quotient = tf.math.floordiv(x, y)
    if not x.dtype.is_floating:
        return quotient
    x, y = tf.stop_gradient(x), tf.stop_gradient(y)
    exact = tf.round((x - tf.math.floormod(x, y)) / y)
    return tf.where(tf.math.is_finite(exact), exact, quotient)


floor_divide, remainder = _of_zero(_floor_divide), _of_zero(tf.math.floormod)


def left_shift(x: Tensor, y: Tensor) -> Tensor:
    """0 once all bits have gone; the kernel takes the shift modulo the width."""
    return tf.where(tf.less(y, tf.constant(8 * x.dtype.size, y.dtype)), tf.bitwise.left_shift(x, y), tf.zeros([], x.dtype))


def power(x: Tensor, y: Tensor) -> Tensor:
    """x ** y, the gradient by x at 0 ** 0 being 0; that of the kernel is nan there."""
    if x.dtype in _UNSIGNED:
        return tf.cast(tf.pow(tf.cast(x, tf.int64), tf.cast(y, tf.int64)), x.dtype)
    if tracing.gradients and x.dtype.is_floating:
        x = tf.where(tf.logical_and(tf.equal(x, 0), tf.equal(y, 0)), tf.ones([], x.dtype), x)
    return tf.pow(x, y)


def cumprod(x: Tensor, axis: int) -> Tensor:
    """By doubling where there are gradients: that of the kernel divides by the factors."""
    if not tracing.gradients or not x.dtype.is_floating:
        return tf.math.cumprod(x, axis)
    size, step = x.shape[axis], 1
    while step < size:
        before, _ = tf.split(x, [size - step, step], axis)
        first, rest = tf.split(x, [step, size - step], axis)
        x, step = tf.concat([first, rest * before], axis), 2 * step
    return x
