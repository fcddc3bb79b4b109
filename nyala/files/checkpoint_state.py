# SPDX-License-Identifier: Apache-2.0
"""The state of a run as JSON and arrays, and back: what a checkpoint holds, without knowing what it means.

Numbers come back bit for bit, tuples as tuples, nan and infinity as themselves. Nothing else is stored: no objects, no code. Start at encode.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nyala.core.errors import ArgumentTypeError
from nyala.files.errors import CorruptFileError

DEEPEST = 60
_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def encode(value: Any, where: str = "the state") -> tuple[Any, list[np.ndarray]]:
    """A tree of plain values and arrays as JSON, with numbers in the place of the arrays, and the arrays in order.

    >>> encode({"best": 0.5, "weights": [np.ones(2)], "sizes": (1, 2)})
    ({'dict': {'best': 0.5, 'weights': [{'array': 0}], 'sizes': {'tuple': [1, 2]}}}, [array([1., 1.])])
    """
    arrays: list[np.ndarray] = []

    def array(value: Any) -> int:
        arrays.append(np.asarray(value))
        return len(arrays) - 1

    def walk(value: Any, place: str, depth: int) -> Any:
        if depth > DEEPEST:
            raise ArgumentTypeError(where, need=f"values at most {DEEPEST} levels deep", got=f"more at {place[:200]!r}")
        if value is None or isinstance(value, (bool, str)):
            return value
        if type(value) is int and abs(value) < 10**30:
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"float": str(value)}
        if isinstance(value, list):
            return [walk(item, f"{place}/{i}", depth + 1) for i, item in enumerate(value)]
        if isinstance(value, tuple):
            return {"tuple": [walk(item, f"{place}/{i}", depth + 1) for i, item in enumerate(value)]}
        if isinstance(value, dict) and all(isinstance(key, str) for key in value):
            return {"dict": {key: walk(item, f"{place}/{key}", depth + 1) for key, item in value.items()}}
        if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind not in "OSUMm" and (value.dtype.kind != "V" or value.dtype.names is None):
            return {"array" if isinstance(value, np.ndarray) else "scalar": array(value)}
        raise ArgumentTypeError(
            where,
            need="numbers, strings, None, arrays of numbers, and lists, tuples and dicts (with strings as keys) of them",
            got=f"{type(value).__name__} at {place or '/'!r}",
        )

    return walk(value, "", 0), arrays


def decode(value: Any, array: Callable[[int], np.ndarray], where: str = "the state") -> Any:
    """What encode was given. array: number -> array. Raises CorruptFileError for what encode does not make."""

    def walk(value: Any) -> Any:
        if isinstance(value, list):
            return [walk(item) for item in value]
        if not isinstance(value, dict):
            return value
        kind, inside = next(iter(value.items())) if len(value) == 1 else (None, None)
        if kind == "dict" and isinstance(inside, dict):
            return {key: walk(item) for key, item in inside.items()}
        if kind == "tuple" and isinstance(inside, list):
            return tuple(walk(item) for item in inside)
        if kind == "float" and inside in _FLOATS:
            return _FLOATS[inside]
        if kind in ("array", "scalar") and type(inside) is int:
            return array(inside) if kind == "array" else array(inside)[()]
        raise CorruptFileError(where, need="values as they are stored", got=f"{str(value)[:80]!r}", rule="checkpoint-state")

    return walk(value)
