# SPDX-License-Identifier: Apache-2.0
"""What several ops ask about dtypes: their range, the dtype sums are taken in, and computing 16-bit floats in float32."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nyala.core import dtypes
from nyala.core.op import convert, engine, promote
from nyala.engines.protocol import Tensor

Axis = int | Sequence[int] | None
NARROW = ("float16", "bfloat16", *dtypes.FLOAT8)


@functools.cache
def _limits(dtype: str) -> Any:
    if dtype == "bfloat16" or dtype in dtypes.FLOAT8:
        import ml_dtypes

        return ml_dtypes.finfo(dtype)
    return np.iinfo(dtype) if dtypes.is_integer(dtype) else np.finfo(dtype)


def highest(dtype: str) -> int | float:
    """Largest finite number of the dtype."""
    return int(_limits(dtype).max) if dtypes.is_integer(dtype) else float(_limits(dtype).max)


def lowest(dtype: str) -> int | float:
    """Lowest finite number of the dtype."""
    return int(_limits(dtype).min) if dtypes.is_integer(dtype) else float(_limits(dtype).min)


def resolution(dtype: str) -> float:
    """Distance from 1 to the next float."""
    return float(_limits(dtype).eps)


def smallest(dtype: str) -> float:
    """Smallest float above 0."""
    return float(_limits(dtype).smallest_subnormal)


def summable(x: Tensor) -> Tensor:
    """x in the dtype that its sums have: small integers and bools as int32 or uint32."""
    wide = {"bool": "int32", "int8": "int32", "int16": "int32", "uint8": "uint32", "uint16": "uint32"}.get(engine.dtype(x))
    return x if wide is None else engine.cast(x, wide)


def in_float32(function: Callable[..., Tensor], *xs: Tensor) -> Tensor:
    """function(*xs), computed in float32 and cast back where the xs have fewer bits."""
    dtype = engine.dtype(xs[0])
    if dtype not in NARROW:
        return function(*xs)
    return engine.cast(function(*(engine.cast(x, "float32") for x in xs)), dtype)


def together(*values: Any) -> list[Tensor]:
    """Values in their common dtype, Python numbers weak: for ops of which only some arguments combine."""
    return promote([value if type(value) in (bool, int, float) else convert(value) for value in values], "same", True)


def has_values(value: Any) -> bool:
    """Whether value is known on the host without asking an engine: a Python number, a list of them or an array."""
    if isinstance(value, (list, tuple)):
        return all(map(has_values, value))
    return isinstance(value, (bool, int, float, np.ndarray, np.generic))
