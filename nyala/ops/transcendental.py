# SPDX-License-Identifier: Apache-2.0
"""Exponentials, logarithms, roots, trigonometry and special functions, element by element; integers become floats. Start at exp."""

from __future__ import annotations

import math

from nyala.core.op import engine, op
from nyala.engines.protocol import Tensor
from nyala.ops._dtypes import in_float32

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


# Special functions ----------------------------------------------------------------------------------------------------------------------


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
