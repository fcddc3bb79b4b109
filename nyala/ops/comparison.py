# SPDX-License-Identifier: Apache-2.0
"""Comparisons and tests of numbers: all return bools. Start at equal."""

from __future__ import annotations

from nyala.core import dtypes
from nyala.core.errors import DTypeError
from nyala.core.op import engine, op
from nyala.engines.protocol import Tensor


@op(promote="same", scalars=True)
def equal(x1: Tensor, x2: Tensor) -> Tensor:
    """x1 == x2; False where either is nan.

    >>> equal([1, 2], [1, 3]).tolist()
    [True, False]
    """
    return engine.equal(x1, x2)


@op(promote="same", scalars=True)
def not_equal(x1: Tensor, x2: Tensor) -> Tensor:
    """x1 != x2; True where either is nan."""
    return engine.not_equal(x1, x2)


@op(promote="same", scalars=True)
def less(x1: Tensor, x2: Tensor) -> Tensor:
    """x1 < x2."""
    return engine.less(x1, x2)


@op(promote="same", scalars=True)
def less_equal(x1: Tensor, x2: Tensor) -> Tensor:
    """x1 <= x2."""
    return engine.less_equal(x1, x2)


@op(promote="same", scalars=True)
def greater(x1: Tensor, x2: Tensor) -> Tensor:
    """x1 > x2."""
    return engine.greater(x1, x2)


@op(promote="same", scalars=True)
def greater_equal(x1: Tensor, x2: Tensor) -> Tensor:
    """x1 >= x2."""
    return engine.greater_equal(x1, x2)


@op(promote="float")
def isclose(x1: Tensor, x2: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """|x1 - x2| <= atol + rtol * |x2|; infinities are close to themselves, nans only if equal_nan.

    >>> isclose([1.0, 2.0], [1.000001, 2.1]).tolist()
    [True, False]
    """
    bound = engine.add(engine.multiply(engine.abs(x2), rtol), atol)
    near = engine.logical_and(engine.less_equal(engine.abs(engine.subtract(x1, x2)), bound), engine.isfinite(x2))
    near = engine.logical_or(near, engine.equal(x1, x2))
    return engine.logical_or(near, engine.logical_and(engine.isnan(x1), engine.isnan(x2))) if equal_nan else near


@op(promote="float")
def allclose(x1: Tensor, x2: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether isclose holds everywhere: one bool."""
    near = isclose.function(x1, x2, rtol, atol, equal_nan)
    return engine.all(near, tuple(range(near.ndim)), False)


@op
def isnan(x: Tensor) -> Tensor:
    """Whether x is nan."""
    return engine.isnan(x)


@op
def isfinite(x: Tensor) -> Tensor:
    """Whether x is neither infinite nor nan."""
    return engine.isfinite(x)


@op
def isinf(x: Tensor) -> Tensor:
    """Whether x is inf or -inf."""
    return engine.logical_not(engine.logical_or(engine.isfinite(x), engine.isnan(x)))


@op
def isposinf(x: Tensor) -> Tensor:
    """Whether x is inf."""
    return engine.greater(x, 0) & isinf.function(x) if dtypes.is_float(_real("isposinf", x)) else isinf.function(x)


@op
def isneginf(x: Tensor) -> Tensor:
    """Whether x is -inf."""
    return engine.less(x, 0) & isinf.function(x) if dtypes.is_float(_real("isneginf", x)) else isinf.function(x)


@op
def isreal(x: Tensor) -> Tensor:
    """Whether the imaginary part is 0."""
    if dtypes.is_complex(engine.dtype(x)):
        return engine.equal(engine.imag(x), 0)
    return engine.full(tuple(x.shape), True, "bool")


def _real(name: str, x: Tensor) -> str:
    """The dtype of x, refused if complex."""
    if dtypes.is_complex(engine.dtype(x)):
        raise DTypeError(name, need="real numbers", got=engine.dtype(x), why="complex numbers have no order", fix="ask about real(x) or imag(x)")
    return engine.dtype(x)
