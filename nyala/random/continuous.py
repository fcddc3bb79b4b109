# SPDX-License-Identifier: Apache-2.0
"""Continuous distributions. Floats of 16 bits are drawn as float32 and rounded, except uniform ones. Start at uniform."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nyala.core.op import engine
from nyala.core.seeds import draw_key
from nyala.engines.protocol import Tensor
from nyala.random.bits import as_float, as_shape, compute_dtype, open_units, parameter, split, units, until_accepted

Shape = Sequence[int] | int


def uniform(shape: Shape, minval: Any = 0.0, maxval: Any = 1.0, dtype: Any = None, seed: Any = None) -> Tensor:
    """Numbers of [minval, maxval).

    Args:
        minval, maxval: numbers, or tensors that broadcast to shape.
        dtype: a float; floatx by default.
        seed: an integer for the same numbers at each call, a SeedGenerator, or None for ever new ones.

    >>> uniform((3,), seed=1).tolist()
    [0.136208, 0.682621, 0.805953]
    """
    shape, dtype = as_shape("uniform(shape)", shape), as_float("uniform(dtype)", dtype)
    unit = units(draw_key(seed), shape, dtype)
    if isinstance(minval, (int, float)) and isinstance(maxval, (int, float)) and (minval, maxval) == (0, 1):
        return unit
    low, high = parameter(minval, dtype, shape, "uniform(minval)"), parameter(maxval, dtype, shape, "uniform(maxval)")
    result = engine.add(low, engine.multiply(unit, engine.subtract(high, low)))
    return engine.where(engine.less(result, high), result, low)  # rounding may reach maxval


# Giles's polynomials in w = -log(1 - x**2): of w - 2.5 where w < 5, else of sqrt(w) - 3; highest power first.
_CENTRE = (2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503, -0.00417768164, 0.246640727, 1.50140941)
_TAIL = (-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047, 1.00167406, 2.83297682)


def _erfinv(x: Tensor) -> Tensor:
    """The inverse error function inside (-1, 1), to the same digits on every engine.

    Source: Giles 2010, Approximating the erfinv function (single precision).
    """
    if engine.dtype(x) == "float64":
        return engine.erfinv(x)
    w = engine.negative(engine.log(engine.multiply(engine.subtract(1.0, x), engine.add(x, 1.0))))  # 1 - x is exact, 1 - x**2 is not
    return engine.multiply(
        engine.where(engine.less(w, 5.0), _polynomial(engine.subtract(w, 2.5), _CENTRE), _polynomial(engine.subtract(engine.sqrt(w), 3.0), _TAIL)), x
    )


def _polynomial(x: Tensor, coefficients: Sequence[float]) -> Tensor:
    result = engine.full(tuple(x.shape), coefficients[0], engine.dtype(x))
    for coefficient in coefficients[1:]:
        result = engine.add(engine.multiply(result, x), coefficient)
    return result


def _standard_normal(key: Tensor, shape: tuple[int, ...], dtype: str) -> Tensor:
    signed = engine.subtract(engine.multiply(open_units(key, shape, dtype), 2.0), 1.0)
    return engine.multiply(_erfinv(signed), math.sqrt(2.0))


def _scaled(x: Tensor, mean: Any, stddev: Any, dtype: str, where: str) -> Tensor:
    """mean + stddev * x in this dtype."""
    wide = compute_dtype(dtype)
    result = engine.multiply(x, parameter(stddev, wide, x.shape, f"{where}(stddev)"))
    result = engine.add(result, parameter(mean, wide, x.shape, f"{where}(mean)"))
    return result if dtype == wide else engine.cast(result, dtype)


def normal(shape: Shape, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None) -> Tensor:
    """Normal numbers.

    Args:
        mean, stddev: numbers, or tensors that broadcast to shape.
        dtype: a float; floatx by default.
        seed: an integer for the same numbers at each call, a SeedGenerator, or None for ever new ones.

    >>> normal((3,), seed=1).tolist()
    [-1.097517, 0.47504, 0.863078]
    """
    shape, dtype = as_shape("normal(shape)", shape), as_float("normal(dtype)", dtype)
    return _scaled(_standard_normal(draw_key(seed), shape, compute_dtype(dtype)), mean, stddev, dtype, "normal")


def truncated_normal(shape: Shape, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None) -> Tensor:
    """Normal numbers, those only that lie within two standard deviations of the mean.

    Args: as of normal.

    >>> truncated_normal((3,), seed=1).tolist()
    [-1.024666, 0.45185, 0.813492]
    """
    shape, dtype = as_shape("truncated_normal(shape)", shape), as_float("truncated_normal(dtype)", dtype)
    signed = engine.subtract(engine.multiply(open_units(draw_key(seed), shape, compute_dtype(dtype)), 2.0), 1.0)
    x = engine.multiply(_erfinv(engine.multiply(signed, math.erf(math.sqrt(2.0)))), math.sqrt(2.0))
    return _scaled(engine.minimum(engine.maximum(x, -2.0), 2.0), mean, stddev, dtype, "truncated_normal")


def gamma(shape: Shape, alpha: Any, dtype: Any = None, seed: Any = None) -> Tensor:
    """Gamma numbers of shape alpha and scale 1; nan where alpha is not above 0. No gradient.

    Source: Marsaglia, Tsang 2000, A simple method for generating gamma variables.

    >>> gamma((3,), 2.0, seed=1).tolist()
    [1.782038, 1.729515, 2.426968]
    """
    shape, dtype = as_shape("gamma(shape)", shape), as_float("gamma(dtype)", dtype)
    return engine.cast(_gamma(draw_key(seed), shape, parameter(alpha, compute_dtype(dtype), shape, "gamma(alpha)")), dtype)


def _gamma(key: Tensor, shape: tuple[int, ...], alpha: Tensor) -> Tensor:
    dtype = engine.dtype(alpha)
    first, second = split(key, 2)
    good = engine.greater(alpha, 0.0)
    small = engine.less(alpha, 1.0)  # then gamma(alpha + 1) * u**(1 / alpha)
    d = engine.subtract(engine.where(good, engine.where(small, engine.add(alpha, 1.0), alpha), 1.0), 1.0 / 3.0)
    c = engine.divide(1.0 / 3.0, engine.sqrt(d))

    def attempt(key: Tensor) -> tuple[Tensor, Tensor]:
        one, other = split(key, 2)
        x, u = _standard_normal(one, shape, dtype), open_units(other, shape, dtype)
        v = engine.power(engine.add(engine.multiply(c, x), 1.0), 3)
        positive = engine.greater(v, 0.0)
        v = engine.where(positive, v, 1.0)
        bound = engine.multiply(d, engine.add(engine.subtract(1.0, v), engine.log(v)))
        bound = engine.add(engine.multiply(engine.power(x, 2), 0.5), bound)
        return engine.multiply(d, v), engine.logical_and(positive, engine.less(engine.log(u), bound))

    result = until_accepted(first, attempt, d, engine.logical_not(good))
    boost = engine.exp(engine.divide(engine.log(open_units(second, shape, dtype)), engine.where(engine.logical_and(small, good), alpha, 1.0)))
    result = engine.where(small, engine.multiply(result, boost), result)
    return engine.stop_gradient(engine.where(good, result, math.nan))


def beta(shape: Shape, alpha: Any, beta: Any, dtype: Any = None, seed: Any = None) -> Tensor:
    """Beta numbers, of [0, 1]; nan where alpha or beta is not above 0. No gradient.

    >>> beta((3,), 2.0, 3.0, seed=1).tolist()
    [0.412843, 0.330783, 0.397531]
    """
    shape, dtype = as_shape("beta(shape)", shape), as_float("beta(dtype)", dtype)
    wide = compute_dtype(dtype)
    one, other = split(draw_key(seed), 2)
    x, y = _gamma(one, shape, parameter(alpha, wide, shape, "beta(alpha)")), _gamma(other, shape, parameter(beta, wide, shape, "beta(beta)"))
    total = engine.add(x, y)
    return engine.cast(engine.divide(x, engine.where(engine.equal(total, 0.0), 1.0, total)), dtype)
