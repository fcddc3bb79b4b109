# SPDX-License-Identifier: Apache-2.0
"""Parts of complex numbers; real tensors pass as numbers whose imaginary part is 0. Start at real."""

from __future__ import annotations

from nyala.core import dtypes
from nyala.core.errors import DTypeError, ShapeError
from nyala.core.op import engine, op
from nyala.engines.protocol import Tensor


def _is_complex(x: Tensor) -> bool:
    return dtypes.is_complex(engine.dtype(x))


@op
def real(x: Tensor) -> Tensor:
    """Real part."""
    return engine.real(x) if _is_complex(x) else x


@op
def imag(x: Tensor) -> Tensor:
    """Imaginary part; zeros of a real x."""
    return engine.imag(x) if _is_complex(x) else engine.full(tuple(x.shape), False if engine.dtype(x) == "bool" else 0, engine.dtype(x))


@op
def conj(x: Tensor) -> Tensor:
    """x with the sign of its imaginary part changed."""
    return conjugated(x)


@op
def conjugate(x: Tensor) -> Tensor:
    """x with the sign of its imaginary part changed: another name of conj."""
    return conjugated(x)


def conjugated(x: Tensor) -> Tensor:
    """The conjugate of a tensor of any dtype."""
    return engine.complex(engine.real(x), engine.negative(engine.imag(x))) if _is_complex(x) else x


@op(promote="float")
def angle(x: Tensor) -> Tensor:
    """Angle of a complex number in [-pi, pi]; 0 or pi of a real one."""
    if _is_complex(x):
        return engine.arctan2(engine.imag(x), engine.real(x))
    return engine.arctan2(engine.multiply(engine.abs(x), 0.0), x)


@op(promote="float")
def polar(abs_: Tensor, angle: Tensor) -> Tensor:
    """abs_ * e**(i * angle): complex numbers from their absolute values and angles.

    >>> polar(2.0, 0.0).tolist()
    (2+0j)
    """
    return engine.complex(engine.multiply(abs_, engine.cos(angle)), engine.multiply(abs_, engine.sin(angle)))


@op
def view_as_complex(x: Tensor) -> Tensor:
    """Pairs (real, imaginary) along the last axis as complex numbers.

    >>> view_as_complex([[1.0, 2.0]]).tolist()
    [(1+2j)]
    """
    if x.ndim == 0 or x.shape[-1] != 2:
        raise ShapeError("view_as_complex", need="a last axis of size 2", got=f"shape {tuple(x.shape)}")
    if _is_complex(x):
        raise DTypeError("view_as_complex", need="real numbers", got=engine.dtype(x))
    x = x if engine.dtype(x) in ("float32", "float64") else engine.cast(x, "float32")
    parts = [
        engine.reshape(engine.slice(x, (*(0 for _ in x.shape[:-1]), i), (*x.shape[:-1], i + 1), (1,) * x.ndim), tuple(x.shape[:-1])) for i in (0, 1)
    ]
    return engine.complex(*parts)


@op
def view_as_real(x: Tensor) -> Tensor:
    """Complex numbers as pairs (real, imaginary) along a new last axis."""
    if not _is_complex(x):
        raise DTypeError("view_as_real", need="complex numbers", got=engine.dtype(x))
    parts = [engine.reshape(part, (*x.shape, 1)) for part in (engine.real(x), engine.imag(x))]
    return engine.concatenate(parts, x.ndim)
