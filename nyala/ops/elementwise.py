# SPDX-License-Identifier: Apache-2.0
"""Arithmetic and functions of real analysis, element by element.

Integers and bools become floats where the result is one (exp, sqrt, divide, ...). Nothing here knows axes. Start at add.
"""

from __future__ import annotations

import math

from nyala.core import dtypes
from nyala.core.errors import DTypeError
from nyala.core.op import engine, op
from nyala.engines.protocol import Tensor
from nyala.ops._dtypes import highest, in_float32, lowest, resolution, smallest

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


# Exponentials and logarithms ------------------------------------------------------------------------------------------------------------


@op(promote="float")
def exp(x: Tensor) -> Tensor:
    """e**x.

    >>> exp(0).tolist()
    1.0
    """
    return engine.exp(x)


@op(promote="float")
def exp2(x: Tensor) -> Tensor:
    """2**x."""
    return in_float32(lambda x: engine.exp(engine.multiply(x, math.log(2.0))), x)


@op(promote="float")
def expm1(x: Tensor) -> Tensor:
    """e**x - 1, exact near 0."""
    return engine.expm1(x)


@op(promote="float")
def log(x: Tensor) -> Tensor:
    """Natural logarithm; -inf at 0, nan below."""
    return engine.log(x)


@op(promote="float")
def log10(x: Tensor) -> Tensor:
    """Logarithm to base 10."""
    return in_float32(lambda x: engine.multiply(engine.log(x), 1.0 / math.log(10.0)), x)


@op(promote="float")
def log1p(x: Tensor) -> Tensor:
    """log(1 + x), exact near 0."""
    return engine.log1p(x)


@op(promote="float")
def log2(x: Tensor) -> Tensor:
    """Logarithm to base 2."""
    return in_float32(lambda x: engine.multiply(engine.log(x), 1.0 / math.log(2.0)), x)


@op(promote="float")
def logaddexp(x1: Tensor, x2: Tensor) -> Tensor:
    """log(e**x1 + e**x2), without overflow."""
    peak, distance = engine.maximum(x1, x2), engine.subtract(x1, x2)
    total = engine.add(peak, engine.log1p(engine.exp(engine.negative(engine.abs(distance)))))
    return engine.where(engine.isnan(distance), engine.add(x1, x2), total)  # inf - inf: both infinite and alike


@op(promote="float")
def logaddexp2(x1: Tensor, x2: Tensor) -> Tensor:
    """log2(2**x1 + 2**x2), without overflow."""
    base = math.log(2.0)
    return engine.divide(logaddexp.function(engine.multiply(x1, base), engine.multiply(x2, base)), base)


@op(promote="float")
def sqrt(x: Tensor) -> Tensor:
    """Square root; nan below 0."""
    return engine.sqrt(x)


@op(promote="float")
def rsqrt(x: Tensor) -> Tensor:
    """1 / sqrt(x)."""
    return engine.rsqrt(x)


@op(promote="float")
def cbrt(x: Tensor) -> Tensor:
    """Cube root, also below 0."""
    size = engine.abs(x)
    zero = engine.logical_or(engine.equal(size, 0), engine.logical_not(engine.isfinite(size)))
    root = in_float32(lambda size: engine.exp(engine.divide(engine.log(size), 3.0)), engine.where(zero, 1.0, size))
    close = engine.multiply(engine.add(engine.multiply(root, 2.0), engine.divide(size, engine.multiply(root, root))), 1.0 / 3.0)  # a step of Newton's
    return engine.where(zero, x, engine.multiply(engine.sign(x), close))


@op(promote="float")
def hypot(x1: Tensor, x2: Tensor) -> Tensor:
    """sqrt(x1**2 + x2**2), without overflow."""
    x1, x2 = engine.abs(x1), engine.abs(x2)
    larger, smaller = engine.maximum(x1, x2), engine.minimum(x1, x2)
    plain = engine.logical_or(engine.equal(larger, 0), engine.logical_not(engine.isfinite(larger)))
    ratio = engine.divide(smaller, engine.where(plain, 1.0, larger))
    length = engine.multiply(larger, engine.sqrt(engine.add(engine.multiply(ratio, ratio), 1.0)))
    infinite = engine.logical_or(engine.equal(x1, math.inf), engine.equal(x2, math.inf))
    return engine.where(infinite, math.inf, engine.where(plain, larger, length))


# Trigonometry -------------------------------------------------------------------------------------------------------------------------------


@op(promote="float")
def sin(x: Tensor) -> Tensor:
    """Sine of x in radians."""
    return engine.sin(x)


@op(promote="float")
def cos(x: Tensor) -> Tensor:
    """Cosine of x in radians."""
    return engine.cos(x)


@op(promote="float")
def tan(x: Tensor) -> Tensor:
    """Tangent of x in radians."""
    return engine.tan(x)


@op(promote="float")
def arcsin(x: Tensor) -> Tensor:
    """Inverse sine, in [-pi/2, pi/2]."""
    return engine.arcsin(x)


@op(promote="float")
def arccos(x: Tensor) -> Tensor:
    """Inverse cosine, in [0, pi]."""
    return engine.arccos(x)


@op(promote="float")
def arctan(x: Tensor) -> Tensor:
    """Inverse tangent, in [-pi/2, pi/2]."""
    return engine.arctan(x)


@op(promote="float")
def arctan2(x1: Tensor, x2: Tensor) -> Tensor:
    """Angle of the point (x2, x1) in [-pi, pi]."""
    return engine.arctan2(x1, x2)


@op(promote="float")
def sinh(x: Tensor) -> Tensor:
    """Hyperbolic sine."""
    return engine.sinh(x)


@op(promote="float")
def cosh(x: Tensor) -> Tensor:
    """Hyperbolic cosine."""
    return engine.cosh(x)


@op(promote="float")
def tanh(x: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    return engine.tanh(x)


@op(promote="float")
def arcsinh(x: Tensor) -> Tensor:
    """Inverse hyperbolic sine."""
    return engine.arcsinh(x)


@op(promote="float")
def arccosh(x: Tensor) -> Tensor:
    """Inverse hyperbolic cosine; nan below 1."""
    return engine.arccosh(x)


@op(promote="float")
def arctanh(x: Tensor) -> Tensor:
    """Inverse hyperbolic tangent; nan beyond [-1, 1]."""
    return engine.arctanh(x)


@op(promote="float")
def deg2rad(x: Tensor) -> Tensor:
    """Degrees as radians."""
    return engine.multiply(x, math.pi / 180.0)


@op(promote="float")
def rad2deg(x: Tensor) -> Tensor:
    """Radians as degrees."""
    return engine.multiply(x, 180.0 / math.pi)


@op(promote="float")
def sinc(x: Tensor) -> Tensor:
    """sin(pi x) / (pi x), and 1 at 0."""
    zero = engine.equal(x, 0)
    angle = engine.multiply(engine.where(zero, 1.0, x), math.pi)
    return engine.where(zero, 1.0, engine.divide(engine.sin(angle), angle))


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
    same = engine.logical_or(engine.equal(x1, x2), engine.isnan(engine.add(x1, x2)))
    return engine.where(same, engine.add(x2, engine.multiply(x1, 0.0)), moved)


@op(promote="float")
def i0(x: Tensor) -> Tensor:
    """Modified Bessel function of the first kind, order 0: the mean of cosh(x cos t) over all angles t.

    The trapezoidal rule is exact here to rounding, as the function is periodic: 64 points for float32, 256 for float64.
    """
    quarter = 64 if engine.dtype(x) == "float64" else 16
    total = None
    for k in range(quarter + 1):
        term = engine.cosh(engine.multiply(x, math.cos(math.pi / 2 * k / quarter)))
        term = engine.multiply(term, 0.5) if k in (0, quarter) else term
        total = term if total is None else engine.add(total, term)
    return engine.divide(total, float(quarter))


# The error function -----------------------------------------------------------------------------------------------------------------------


@op(promote="float")
def erf(x: Tensor) -> Tensor:
    """Error function: 2 / sqrt(pi) times the integral of e**(-t**2) from 0 to x."""
    return engine.erf(x)


@op(promote="float")
def erfinv(x: Tensor) -> Tensor:
    """Inverse of erf on [-1, 1]."""
    return engine.erfinv(x)


@op(promote="float")
def erfc(x: Tensor) -> Tensor:
    """1 - erf(x)."""
    return engine.subtract(1.0, engine.erf(x))
