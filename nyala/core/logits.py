# SPDX-License-Identifier: Apache-2.0
"""The logits of which probabilities were made, for losses that take logarithms of them.

log(sigmoid(x)) and log(softmax(x)) are exact and cheap from x, and rounded, clipped and slow from the probabilities. While a step of training
or evaluation runs (`remembered`), sigmoid and softmax note what they were given, beside their result and as long as that lives. Start at of.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Iterator
from typing import Any


class _Notes(threading.local):
    on = False
    table: dict[int, tuple[weakref.ref, str, int, Any]]

    def __init__(self) -> None:
        self.table = {}


notes = _Notes()


@contextlib.contextmanager
def remembered() -> Iterator[None]:
    """Inside, probabilities are known by their logits."""
    before, notes.on = notes.on, True
    try:
        yield
    finally:
        notes.on = before
        if not before:
            notes.table.clear()


def note(kind: str, probabilities: Any, logits: Any, axis: Any = -1) -> None:
    """Say that the probabilities are sigmoid(logits), or softmax(logits) along one axis."""
    table, key = notes.table, id(probabilities)
    if isinstance(axis, int) and tuple(probabilities.shape) == tuple(logits.shape):
        with contextlib.suppress(TypeError):  # a type without weak references
            table[key] = (weakref.ref(probabilities, lambda _: table.pop(key, None)), kind, axis % max(len(logits.shape), 1), logits)


def of(probabilities: Any, kind: str, axis: int = 0) -> Any:
    """The logits whose sigmoid, or softmax along the axis counted from 0, these probabilities are; None if that is not known."""
    if not notes.on or not notes.table:
        return None
    entry = notes.table.get(id(probabilities))
    if entry is None or entry[0]() is not probabilities or entry[1] != kind or (kind == "softmax" and entry[2] != axis):
        return None
    return entry[3]
