# SPDX-License-Identifier: Apache-2.0
"""Masks travel beside tensors, in a table of this module keyed by identity.

No attribute is set on a foreign tensor, and an entry dies with its tensor.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

_table: dict[int, tuple[weakref.ref, Any]] = {}


def set_mask(tensor: Any, mask: Any) -> None:
    """Say which positions of the tensor count: mask is a bool tensor over its first axes; None removes it."""
    key = id(tensor)
    if mask is None:
        _table.pop(key, None)
        return
    try:
        _table[key] = (weakref.ref(tensor, lambda _: _table.pop(key, None)), mask)
    except TypeError:  # a type without weak references cannot carry a mask
        _table.pop(key, None)


@contextlib.contextmanager
def masked(tensors: Sequence[Any], masks: Sequence[Any]) -> Iterator[None]:
    """Inside, the tensors have these masks, where one is not None; afterwards, those that they had before."""
    before = [get_mask(tensor) for tensor in tensors]
    for tensor, mask in zip(tensors, masks, strict=False):
        if mask is not None:
            set_mask(tensor, mask)
    try:
        yield
    finally:
        for tensor, mask in zip(tensors, before, strict=True):
            set_mask(tensor, mask)


def carry_mask(source: Any, tensor: Any) -> Any:
    """The tensor, with the mask of what it was made from in another dtype or shape."""
    mask = get_mask(source)
    if mask is not None and tensor is not source:
        set_mask(tensor, mask)
    return tensor


def get_mask(tensor: Any) -> Any:
    """The mask of the tensor, or None. Costs one test when no mask is in use."""
    if not _table:
        return None
    entry = _table.get(id(tensor))
    return entry[1] if entry is not None and entry[0]() is tensor else None
