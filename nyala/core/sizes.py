# SPDX-License-Identifier: Apache-2.0
"""Sizes that became tensors: the values of small integer tensors, kept beside them while a function is traced.

`ops.tile(mask, ops.concatenate([ops.expand_dims(batch, -1), [1, 1]], 0))` takes a shape out of a tensor. Its values follow from the sizes of other
tensors alone, so they are known though nothing else is. An op in FOLLOWED that is given known sizes notes those of its result, and an op that needs a
shape looks them up. As with masks, an entry dies with its tensor. Engines whose tensors always have values need none of this. Start at plain.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

FEW = 16  # elements of a shape, at most
_table: dict[int, tuple[weakref.ref, np.ndarray]] = {}

FOLLOWED: dict[str, Callable] = {
    "cast": lambda x, dtype: x,
    "concatenate": lambda xs, axis=0: np.concatenate(xs, axis),
    "expand_dims": lambda x, axis: np.expand_dims(x, axis),
    "multiply": lambda x, y: x * y,
    "prod": lambda x, axis=None, keepdims=False, dtype=None: np.asarray(np.prod(x, axis, keepdims=keepdims), object),
    "reshape": lambda x, newshape: np.reshape(x, newshape),
    "squeeze": lambda x, axis=None: np.squeeze(x, axis),
    "stack": lambda x, axis=0: np.stack(x, axis),
}  # ops whose results are sizes if their arguments are, on arrays of Python ints (those for unknown sizes stay what they are)


def note(tensor: Any, value: Any) -> None:
    """Say which sizes the tensor holds, if value says it: whole numbers, few of them."""
    sizes = _known(value)
    if sizes is not None:
        _enter(tensor, sizes)


def follow(name: str, result: Any, first: Any, *others: Any, **settings: Any) -> None:
    """Note the sizes in the result of an op in FOLLOWED, if its arguments are sizes."""
    several = isinstance(first, list | tuple) and name in ("concatenate", "stack")
    known: Any = []
    for part in first if several else [first]:
        if (sizes := _known(part)) is None:
            return
        known.append(sizes)
    known = known if several else known[0]
    if name == "multiply":
        others = tuple(map(_known, others))
    with contextlib.suppress(Exception):  # the op itself has taken these arguments
        value = FOLLOWED[name](known, *others, **settings)
        if value.size <= FEW:
            _enter(result, value)


def plain(value: Any) -> Any:
    """value, with the sizes that are known for it, and for tensors in it, in their place. Costs one test where there are none.

    >>> from nyala.engines.spec import SpecTensor
    >>> tensor = SpecTensor((2,), "int32")
    >>> note(tensor, [3, 4])
    >>> plain(tensor), plain([2, 5])
    ([3, 4], [2, 5])
    """
    if not _table:
        return value
    if isinstance(value, list | tuple):
        return [plain(part) for part in value] if any(id(part) in _table for part in value) else value
    found = _found(value)
    return value if found is None else found.tolist()


def _enter(tensor: Any, sizes: np.ndarray) -> None:
    if isinstance(tensor, np.ndarray):  # it has values, and they may change
        return
    key = id(tensor)
    with contextlib.suppress(TypeError):  # a type without weak references
        _table[key] = (weakref.ref(tensor, lambda _: _table.pop(key, None)), sizes)


def _found(tensor: Any) -> np.ndarray | None:
    entry = _table.get(id(tensor)) if _table else None
    return entry[1] if entry is not None and entry[0]() is tensor else None


def _known(value: Any) -> np.ndarray | None:
    """The whole numbers that value is or stands for, as an array of Python ints; None if it is something else."""
    if isinstance(value, list | tuple):
        parts = [_known(part) for part in value[: FEW + 1]]
        whole = 0 < len(parts) <= FEW and all(part is not None and part.shape == () for part in parts)
        return np.array([part.item() for part in parts if part is not None], object) if whole else None
    if isinstance(value, int) and not isinstance(value, bool):
        array = np.empty((), object)
        array[()] = value
        return array
    if isinstance(value, np.ndarray | np.generic):
        return value.astype(object) if value.dtype.kind in "iu" and value.size <= FEW else None
    return _found(value)
