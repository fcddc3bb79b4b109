# SPDX-License-Identifier: Apache-2.0
"""Discrete distributions. Start at randint."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nyala.core import dtypes
from nyala.core.errors import ArgumentError, ShapeError
from nyala.core.op import convert, engine
from nyala.core.seeds import draw_key
from nyala.engines.protocol import Tensor
from nyala.random.bits import as_float, as_shape, compute_dtype, open_units, pairs, parameter, split, until_accepted

Shape = Sequence[int] | int


def randint(shape: Shape, minval: Any, maxval: Any, dtype: Any = "int32", seed: Any = None) -> Tensor:
    """Integers from minval to maxval - 1, all equally likely to within 2**-32; minval if there are none.

    Args:
        minval, maxval: numbers, or tensors that broadcast to shape; less than 2**32 apart.

    >>> randint((5,), 0, 10, seed=1).tolist()
    [1, 6, 8, 2, 5]
    """
    shape, name = as_shape("randint(shape)", shape), dtypes.standardize_dtype(dtype)
    if not dtypes.is_integer(name):
        raise ArgumentError("randint(dtype)", need="an integer dtype", got=repr(dtype), fix="use random.uniform for floats")
    name = engine.canonical_dtype(name)
    high, low = pairs(draw_key(seed), shape)
    if isinstance(minval, (int, float)) and isinstance(maxval, (int, float)):
        first, count = int(minval), max(int(maxval) - int(minval), 1)
        if count >= 2**32:
            raise ArgumentError("randint", need="minval and maxval less than 2**32 apart", got=f"{minval} and {maxval}")
        span: Any = engine.full(shape, count, "uint32")
        start = engine.full(shape, first, name)
    else:
        wide = engine.canonical_dtype("int64")
        low_end, high_end = parameter(minval, wide, shape, "randint(minval)"), parameter(maxval, wide, shape, "randint(maxval)")
        span = engine.cast(engine.maximum(engine.subtract(high_end, low_end), 1), "uint32")
        start = engine.cast(low_end, name)
    return engine.add(start, engine.cast(_scale_bits(high, low, span), name))


def _scale_bits(high: Tensor, low: Tensor, span: Tensor) -> Tensor:
    """floor((high * 2**32 + low) * span / 2**64), all uint32."""
    tail, carry = engine.multiply(high, span), _high_product(low, span)
    total = engine.add(tail, carry)
    return engine.add(_high_product(high, span), engine.cast(engine.less(total, tail), "uint32"))


def _high_product(a: Tensor, b: Tensor) -> Tensor:
    """The upper 32 of the 64 bits of a * b, by halves of 16 bits."""
    (a1, a0), (b1, b0) = ((engine.right_shift(x, 16), engine.bitwise_and(x, 0xFFFF)) for x in (a, b))
    middle, other = engine.multiply(a0, b1), engine.multiply(a1, b0)
    carry = engine.add(
        engine.right_shift(engine.multiply(a0, b0), 16), engine.add(engine.bitwise_and(middle, 0xFFFF), engine.bitwise_and(other, 0xFFFF))
    )
    upper = engine.add(engine.right_shift(middle, 16), engine.right_shift(other, 16))
    return engine.add(engine.multiply(a1, b1), engine.add(upper, engine.right_shift(carry, 16)))


def categorical(logits: Any, num_samples: int, dtype: Any = "int32", seed: Any = None) -> Tensor:
    """Classes drawn with probabilities softmax(logits): (b, num_samples).

    Args:
        logits: (b, c); -inf for classes that never come.

    >>> categorical([[0.0, -float("inf")]], 3, seed=1).tolist()
    [[0, 0, 0]]
    """
    logits = convert(logits)
    if logits.ndim != 2:
        raise ShapeError("categorical(logits)", need="shape (b, c)", got=f"shape {tuple(logits.shape)}")
    logits = convert(logits, compute_dtype(engine.dtype(logits)))
    batch, classes = logits.shape
    noise = open_units(draw_key(seed), (batch, num_samples, classes), engine.dtype(logits))
    gumbel = engine.negative(engine.log(engine.negative(engine.log(noise))))
    return convert(engine.argmax(engine.add(engine.reshape(logits, (batch, 1, classes)), gumbel), 2), dtypes.standardize_dtype(dtype))


def binomial(shape: Shape, counts: Any, probabilities: Any, dtype: Any = None, seed: Any = None) -> Tensor:
    """Numbers of successes in counts trials, as floats; nan where a probability is not in [0, 1] or a count is below 0.

    Source: Hörmann 1993, The generation of binomial random variates (BTRS), for 10 expected successes or more; sums of waiting times below.

    >>> binomial((3,), 10, 0.5, seed=1).tolist()
    [4.0, 5.0, 4.0]
    """
    shape, dtype = as_shape("binomial(shape)", shape), as_float("binomial(dtype)", dtype)
    wide = compute_dtype(dtype)
    n = engine.floor(parameter(counts, wide, shape, "binomial(counts)"))
    p = parameter(probabilities, wide, shape, "binomial(probabilities)")
    good = engine.logical_and(engine.greater_equal(n, 0.0), engine.logical_and(engine.greater_equal(p, 0.0), engine.less_equal(p, 1.0)))
    n, p = engine.where(good, n, 0.0), engine.where(good, p, 0.0)
    flipped = engine.greater(p, 0.5)
    p = engine.where(flipped, engine.subtract(1.0, p), p)
    many = engine.greater_equal(engine.multiply(n, p), 10.0)
    one, other = split(draw_key(seed), 2)
    result = engine.where(many, _by_rejection(one, shape, n, p, many), _by_waiting(other, shape, n, p, many))
    result = engine.where(flipped, engine.subtract(n, result), result)
    return engine.cast(engine.where(good, result, math.nan), dtype)


def _by_waiting(key: Tensor, shape: tuple[int, ...], n: Tensor, p: Tensor, skip: Tensor) -> Tensor:
    """How many geometric waiting times fit into n trials."""
    dtype = engine.dtype(n)
    rate = engine.log1p(engine.negative(engine.where(skip, 0.5, p)))  # log(1 - p), 0 if p is 0: an infinite wait

    def goes_on(_: Tensor, used: Tensor, key: Tensor) -> Tensor:
        return engine.any(engine.less_equal(used, n), tuple(range(len(shape))), False)

    def again(number: Tensor, used: Tensor, key: Tensor) -> tuple[Tensor, ...]:
        current, following = split(key, 2)
        wait = engine.add(engine.floor(engine.divide(engine.log(open_units(current, shape, dtype)), rate)), 1.0)
        used = engine.add(used, wait)
        return engine.add(number, engine.cast(engine.less_equal(used, n), dtype)), used, following

    start = engine.where(skip, math.inf, engine.full(shape, 0.0, dtype))
    return engine.while_loop(goes_on, again, (engine.full(shape, 0.0, dtype), start, key))[0]


def _by_rejection(key: Tensor, shape: tuple[int, ...], n: Tensor, p: Tensor, wanted: Tensor) -> Tensor:
    """BTRS, with the letters of the paper; needs n * p >= 10 and p <= 1/2."""
    dtype = engine.dtype(n)
    n, p = engine.where(wanted, n, 100.0), engine.where(wanted, p, 0.5)
    q = engine.subtract(1.0, p)
    spq = engine.sqrt(engine.multiply(engine.multiply(n, p), q))
    b = engine.add(engine.multiply(spq, 2.53), 1.15)
    a = engine.add(engine.add(engine.multiply(b, 0.0248), -0.0873), engine.multiply(p, 0.01))
    c = engine.add(engine.multiply(n, p), 0.5)
    limit = engine.subtract(0.92, engine.divide(4.2, b))
    alpha = engine.multiply(engine.add(engine.divide(5.1, b), 2.83), spq)
    m = engine.floor(engine.multiply(engine.add(n, 1.0), p))
    odds = engine.log(engine.divide(p, q))
    ways = lambda k: engine.add(engine.lgamma(engine.add(k, 1.0)), engine.lgamma(engine.add(engine.subtract(n, k), 1.0)))  # noqa: E731
    h = ways(m)

    def attempt(key: Tensor) -> tuple[Tensor, Tensor]:
        one, other = split(key, 2)
        u, v = engine.subtract(open_units(one, shape, dtype), 0.5), open_units(other, shape, dtype)
        us = engine.subtract(0.5, engine.abs(u))
        k = engine.floor(engine.add(engine.multiply(engine.add(engine.divide(engine.multiply(a, 2.0), us), b), u), c))
        inside = engine.logical_and(engine.greater_equal(k, 0.0), engine.less_equal(k, n))
        k = engine.where(inside, k, 0.0)
        quick = engine.logical_and(engine.greater_equal(us, 0.07), engine.less_equal(v, limit))
        left = engine.log(engine.divide(engine.multiply(v, alpha), engine.add(engine.divide(a, engine.power(us, 2)), b)))
        right = engine.add(engine.subtract(h, ways(k)), engine.multiply(engine.subtract(k, m), odds))
        return k, engine.logical_and(inside, engine.logical_or(quick, engine.less_equal(left, right)))

    return until_accepted(key, attempt, n, engine.logical_not(wanted))
