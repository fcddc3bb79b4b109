# SPDX-License-Identifier: Apache-2.0
"""Arithmetic, rounding and the make of floats, element by element; no axes here; exp and its kin are in transcendental.py. Start at add."""

from __future__ import annotations

import math

from nyala.core import dtypes
from nyala.core.errors import DTypeError
from nyala.core.op import engine, op
from nyala.engines.protocol import Tensor
from nyala.ops._dtypes import highest, lowest, resolution, smallest

# Sign and rounding ----------------------------------------------------------------------------------------------------------------------


@op
def absolute(x: Tensor) -> Tensor:
    """|x|; of complex numbers the modulus. Gradient 0 at 0.

    >>> absolute([-1.0, 2.0]).tolist()
    [1.0, 2.0]
    """
    return x if engine.dtype(x) == "bool" else engine.abs(x)


@op
def abs(x: Tensor) -> Tensor:
    """|x|: another name of absolute."""
    return absolute.function(x)


@op(promote="float")
def fabs(x: Tensor) -> Tensor:
    """|x| as a float."""
    return engine.abs(x)


@op
def negative(x: Tensor) -> Tensor:
    """-x; unsigned integers wrap, bools are refused."""
    return engine.negative(_numbers("negative", x))


@op
def sign(x: Tensor) -> Tensor:
    """-1, 0 or 1; nan of nan. Of a complex x the number of modulus 1 in its direction."""
    if dtypes.is_complex(engine.dtype(x)):
        size = engine.abs(x)
        return engine.multiply(x, engine.cast(engine.where(engine.equal(size, 0), size, engine.divide(1.0, size)), engine.dtype(x)))
    return engine.sign(_numbers("sign", x))


@op(promote="float")
def signbit(x: Tensor) -> Tensor:
    """bool: whether the sign is minus, also of -0.0."""
    return engine.logical_or(engine.less(x, 0), engine.logical_and(engine.equal(x, 0), engine.less(engine.divide(1.0, x), 0)))


@op(promote="float")
def floor(x: Tensor) -> Tensor:
    """Largest integer not above x, as a float."""
    return engine.floor(x)


@op(promote="float")
def ceil(x: Tensor) -> Tensor:
    """Smallest integer not below x, as a float."""
    return engine.ceil(x)


@op
def trunc(x: Tensor) -> Tensor:
    """The integer part: x rounded towards zero, in the dtype of x."""
    if not dtypes.is_float(engine.dtype(x)):
        return x
    return engine.where(engine.less(x, 0), engine.ceil(x), engine.floor(x))


@op
def round(x: Tensor, decimals: int = 0) -> Tensor:
    """x to so many decimals (to tens, hundreds, ... if below 0), halves to even.

    >>> round([0.5, 1.5, 2.26], decimals=1).tolist()
    [0.5, 1.5, 2.299999952316284]
    """
    dtype = engine.dtype(_numbers("round", x))
    if dtypes.is_complex(dtype):
        return engine.complex(round.function(engine.real(x), decimals), round.function(engine.imag(x), decimals))
    if decimals == 0 or (decimals > 0 and dtypes.is_integer(dtype)):
        return engine.round(x)
    scale = float(10 ** math.fabs(decimals))
    if decimals > 0:
        return engine.divide(engine.round(engine.multiply(x, scale)), scale)
    wide = x if dtypes.is_float(dtype) else engine.cast(x, dtypes.settle("float"))
    return engine.cast(engine.multiply(engine.round(engine.divide(wide, scale)), scale), dtype)


def _numbers(name: str, x: Tensor) -> Tensor:
    """x, refused if it is bool."""
    if engine.dtype(x) == "bool":
        raise DTypeError(name, need="numbers", got="bool", fix='cast first: ops.cast(x, "int32")')
    return x


# Arithmetic -------------------------------------------------------------------------------------------------------------------------------


@op(promote="same", scalars=True)
def add(x1: Tensor, x2: Tensor) -> Tensor:
    """x1 + x2; of bools the logical or.

    >>> add([1, 2], 3).tolist()
    [4, 5]
    """
    return engine.add(x1, x2)


@op(promote="same", scalars=True)
def subtract(x1: Tensor, x2: Tensor) -> Tensor:
    """x1 - x2."""
    if "bool" in (type(x1).__name__, type(x2).__name__) or engine.dtype(_tensor(x1, x2)) == "bool":
        raise DTypeError("subtract", need="numbers", got="bool", fix="use logical_xor for bools, or cast first")
    return engine.subtract(x1, x2)


@op(promote="same", scalars=True)
def multiply(x1: Tensor, x2: Tensor) -> Tensor:
    """x1 * x2; of bools the logical and."""
    return engine.multiply(x1, x2)


@op(promote="float", scalars=True)
def divide(x1: Tensor, x2: Tensor) -> Tensor:
    """x1 / x2 as a float; division by zero gives inf or nan."""
    return engine.divide(x1, x2)


@op(promote="float", scalars=True)
def true_divide(x1: Tensor, x2: Tensor) -> Tensor:
    """x1 / x2: another name of divide."""
    return engine.divide(x1, x2)


@op(promote="float")
def divide_no_nan(x1: Tensor, x2: Tensor) -> Tensor:
    """x1 / x2, and 0 where x2 is 0; the gradient is finite there too."""
    zero = engine.equal(x2, 0)
    return engine.where(zero, 0.0, engine.divide(x1, engine.where(zero, 1.0, x2)))


@op(promote="same")
def floor_divide(x1: Tensor, x2: Tensor) -> Tensor:
    """Quotient rounded down."""
    return engine.floor_divide(_int32(x1), _int32(x2))


@op(promote="same")
def mod(x1: Tensor, x2: Tensor) -> Tensor:
    """x1 - x2 * floor(x1 / x2): the remainder with the sign of x2."""
    return engine.remainder(_int32(x1), _int32(x2))


@op(promote="same")
def fmod(x1: Tensor, x2: Tensor) -> Tensor:
    """x1 - x2 * trunc(x1 / x2): the remainder with the sign of x1."""
    x1, x2 = _int32(x1), _int32(x2)
    size = engine.remainder(engine.abs(x1), engine.abs(x2))
    return engine.where(engine.less(x1, 0), engine.negative(size), size)


@op(promote="same", scalars=True)
def power(x1: Tensor, x2: Tensor) -> Tensor:
    """x1 ** x2; integers stay integers and need exponents >= 0."""
    return engine.power(_int32(x1), _int32(x2))


def _int32(x: Tensor) -> Tensor:
    """x, and bools as int32."""
    if isinstance(x, (bool, int, float)):
        return int(x) if isinstance(x, bool) else x
    return engine.cast(x, "int32") if engine.dtype(x) == "bool" else x


def _tensor(x1: Tensor, x2: Tensor) -> Tensor:
    """The one that is no Python number."""
    return x2 if isinstance(x1, (bool, int, float)) else x1


@op(promote="same", scalars=True)
def maximum(x1: Tensor, x2: Tensor) -> Tensor:
    """Larger of both; nan if either is."""
    return engine.maximum(x1, x2)


@op(promote="same", scalars=True)
def minimum(x1: Tensor, x2: Tensor) -> Tensor:
    """Smaller of both; nan if either is."""
    return engine.minimum(x1, x2)


@op(promote="same")
def fmax(x1: Tensor, x2: Tensor) -> Tensor:
    """Larger of both; of a nan and a number the number."""
    return engine.where(engine.isnan(x1), x2, engine.where(engine.isnan(x2), x1, engine.maximum(x1, x2)))


@op(promote="same")
def fmin(x1: Tensor, x2: Tensor) -> Tensor:
    """Smaller of both; of a nan and a number the number."""
    return engine.where(engine.isnan(x1), x2, engine.where(engine.isnan(x2), x1, engine.minimum(x1, x2)))


@op(promote="same", scalars=True)
def clip(x: Tensor, x_min: Tensor | None, x_max: Tensor | None) -> Tensor:
    """x, but at least x_min and at most x_max; None is no bound.

    >>> clip([-1.0, 0.5, 3.0], 0, 1).tolist()
    [0.0, 0.5, 1.0]
    """
    x = _int32(x)
    x = x if x_min is None else engine.maximum(x, _int32(x_min))
    return x if x_max is None else engine.minimum(x, _int32(x_max))


@op
def square(x: Tensor) -> Tensor:
    """x * x."""
    x = _int32(x)
    return engine.multiply(x, x)


@op(promote="float")
def reciprocal(x: Tensor) -> Tensor:
    """1 / x."""
    return engine.divide(1.0, x)


@op(promote="same")
def gcd(x1: Tensor, x2: Tensor) -> Tensor:
    """Greatest common divisor of integers, by Euclid's algorithm; at least 0."""
    x1, x2 = _integers("gcd", x1, x2)
    shape = engine.add(x1, x2).shape
    state = (engine.broadcast_to(engine.abs(x1), tuple(shape)), engine.broadcast_to(engine.abs(x2), tuple(shape)))
    every = tuple(range(len(shape)))

    def step(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        done = engine.equal(b, 0)
        rest = engine.remainder(a, engine.where(done, 1, b))
        return engine.where(done, a, b), engine.where(done, b, rest)

    return engine.while_loop(lambda a, b: engine.any(engine.not_equal(b, 0), every, False), step, state)[0]


@op(promote="same")
def lcm(x1: Tensor, x2: Tensor) -> Tensor:
    """Least common multiple of integers; 0 if one is 0."""
    x1, x2 = _integers("lcm", x1, x2)
    divisor = gcd.function(x1, x2)
    return engine.multiply(engine.floor_divide(engine.abs(x1), engine.where(engine.equal(divisor, 0), 1, divisor)), engine.abs(x2))


def _integers(name: str, *values: Tensor) -> tuple[Tensor, ...]:
    if not dtypes.is_integer(engine.dtype(values[0])):
        raise DTypeError(name, need="integers", got=engine.dtype(values[0]))
    return values


# Steps and bits of floats -----------------------------------------------------------------------------------------------------------------


@op(promote="float")
def heaviside(x1: Tensor, x2: Tensor) -> Tensor:
    """0 where x1 < 0, 1 where x1 > 0, x2 where x1 is 0."""
    step = engine.where(engine.less(x1, 0), 0.0, engine.where(engine.greater(x1, 0), 1.0, x1))  # x1 itself: nan stays
    return engine.where(engine.equal(x1, 0), x2, step)


@op
def ldexp(x1: Tensor, x2: Tensor) -> Tensor:
    """x1 * 2**x2 for integers x2."""
    if not dtypes.is_integer(engine.dtype(x2)):
        raise DTypeError("ldexp(x2)", need="integers", got=engine.dtype(x2))
    x1 = x1 if dtypes.is_float(engine.dtype(x1)) else engine.cast(x1, dtypes.settle("float"))
    half = engine.floor_divide(x2, 2)  # in two steps, as 2**x2 may overflow where the product does not
    for part in (half, engine.subtract(x2, half)):
        x1 = engine.multiply(x1, engine.power(2.0, engine.cast(part, engine.dtype(x1))))
    return x1


@op
def nan_to_num(x: Tensor, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """x with numbers in the place of nan, inf and -inf; by default 0, the largest and the lowest finite number."""
    dtype = engine.dtype(x)
    if dtypes.is_complex(dtype):
        return engine.complex(*(nan_to_num.function(part, nan, posinf, neginf) for part in (engine.real(x), engine.imag(x))))
    if not dtypes.is_float(dtype):
        return x
    x = engine.where(engine.equal(x, math.inf), highest(dtype) if posinf is None else posinf, x)
    x = engine.where(engine.equal(x, -math.inf), lowest(dtype) if neginf is None else neginf, x)
    return engine.where(engine.isnan(x), nan, x)


@op(promote="float")
def nextafter(x1: Tensor, x2: Tensor) -> Tensor:
    """The float next to x1 on the way to x2; exact but next to the smallest numbers. No gradient is meant.

    Source: Rump, Zimmermann, Boldo, Melquiond 2009, Computing predecessor and successor in rounding to nearest.
    """
    unit = resolution(engine.dtype(x1)) / 2
    step = engine.add(engine.multiply(engine.abs(x1), unit * (1 + 2 * unit)), smallest(engine.dtype(x1)))
    up = engine.greater(x2, x1)
    moved = engine.where(up, engine.add(x1, step), engine.subtract(x1, step))
    moved = engine.where(engine.isfinite(x1), moved, engine.multiply(engine.sign(x1), highest(engine.dtype(x1))))
    either = engine.where(engine.isnan(x1), x1, x2)  # nan if one of them is
    return engine.where(engine.logical_or(engine.equal(x1, x2), engine.isnan(either)), either, moved)
