# SPDX-License-Identifier: Apache-2.0
"""Dtype names and promotion: strings, one lattice, weak Python scalars.

The rules are Keras's, which are JAX's: a Python int or float takes the dtype of the tensor beside it, an integer beside a float becomes that float.
Start at result_type.
"""

from __future__ import annotations

import difflib
import functools
from typing import Any

import numpy as np

from nyala.core import config
from nyala.core.errors import DTypeError

INTEGERS = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")
FLOAT8 = ("float8_e4m3fn", "float8_e5m2")
FLOATS = (*FLOAT8, "bfloat16", "float16", "float32", "float64")
COMPLEX = ("complex64", "complex128")
DTYPES = ("bool", *INTEGERS, *FLOATS, *COMPLEX, "string")

# Each dtype and the ones just above it; "int", "float" and "complex" are Python scalars.
_ABOVE = {
    "bool": ("int",), "int": ("uint8", "int8"),
    "uint8": ("int16", "uint16"), "uint16": ("int32", "uint32"), "uint32": ("int64", "uint64"), "uint64": ("float",),
    "int8": ("int16",), "int16": ("int32",), "int32": ("int64",), "int64": ("float",),
    "float": (*FLOAT8, "bfloat16", "float16", "complex"), "float8_e4m3fn": ("bfloat16", "float16"), "float8_e5m2": ("bfloat16", "float16"),
    "bfloat16": ("float32",), "float16": ("float32",), "float32": ("float64", "complex64"),
    "float64": ("complex128",), "complex": ("complex64",), "complex64": ("complex128",), "complex128": (),
}  # fmt: skip


@functools.cache
def _upper(dtype: str) -> frozenset[str]:
    """dtype and all above it."""
    return frozenset({dtype}).union(*(_upper(above) for above in _ABOVE[dtype]))


@functools.cache
def promote(*dtypes: str) -> str:
    """Least dtype above all given ones, weak names ("int", "float") allowed in and out."""
    common = frozenset.intersection(*map(_upper, dtypes))
    return next(dtype for dtype in common if _upper(dtype) == common)


def result_type(*dtypes: Any) -> str:
    """The dtype of a result that combines these: names, tensors, arrays, or Python's int, float (weak).

    Differs from Keras, which narrows 64 bits to 32 here though not in its ops: they stay.

    >>> result_type("int32", "float16")
    'float16'
    >>> result_type("int32", float)
    'float32'
    >>> result_type("int8", "uint8")
    'int16'
    """
    if not dtypes:
        return config.floatx()
    names = []
    for dtype in dtypes:
        if isinstance(dtype, bool) or dtype is bool:
            names.append("bool")
        elif isinstance(dtype, int) or dtype is int:
            names.append("int")
        elif isinstance(dtype, float) or dtype is float:
            names.append("float")
        else:
            names.append(standardize_dtype(dtype.dtype if hasattr(dtype, "dtype") and not isinstance(dtype, np.dtype) else dtype))
    return settle(promote(*names))


def settle(dtype: str) -> str:
    """A weak name as a dtype: int32 or floatx."""
    return {"int": "int32", "float": config.floatx(), "complex": "complex64"}.get(dtype, dtype)


def standardize_dtype(dtype: Any) -> str:
    """The name of a dtype given as a name, a NumPy, JAX or torch dtype, or int, float, bool; None means floatx.

    >>> standardize_dtype(np.float64), standardize_dtype(None), standardize_dtype(bool)
    ('float64', 'float32', 'bool')
    """
    if dtype is None:
        return config.floatx()
    if isinstance(dtype, str) and dtype in DTYPES:
        return dtype
    name = (
        {bool: "bool", int: "int64", float: "float32", str: "string", complex: "complex64", "int": "int32", "float": config.floatx()}.get(dtype)
        if isinstance(dtype, (type, str))
        else None
    )
    name = name or getattr(dtype, "name", None) or (dtype.__name__ if isinstance(dtype, type) else str(dtype).rpartition(".")[2])
    if name.startswith("str"):
        name = "string"
    if name not in DTYPES:
        near = difflib.get_close_matches(name, DTYPES, n=1)
        fix = f"did you mean {near[0]!r}?" if near else 'pass a name such as "float32"'
        raise DTypeError("dtype", need=f"one of {', '.join(DTYPES)}", got=repr(dtype), fix=fix)
    return name


def is_float(dtype: str) -> bool:
    """Whether the dtype is a real float."""
    return dtype in FLOATS


def is_integer(dtype: str) -> bool:
    """Whether the dtype is a signed or unsigned integer."""
    return dtype in INTEGERS


def is_complex(dtype: str) -> bool:
    """Whether the dtype is complex."""
    return dtype in COMPLEX


def numpy_dtype(dtype: str) -> np.dtype:
    """The NumPy dtype of this name; bfloat16 and float8 come from ml_dtypes.

    >>> numpy_dtype("float16")
    dtype('float16')
    """
    if dtype == "bfloat16" or dtype in FLOAT8:
        import ml_dtypes

        return np.dtype(getattr(ml_dtypes, dtype))
    return np.dtype("str" if dtype == "string" else dtype)


def allow_64_bits() -> None:
    """Called when someone asks for float64: engines that keep 64 bits off turn them on."""
    from nyala.engines import current

    current().enable_64_bits()
