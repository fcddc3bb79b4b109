# SPDX-License-Identifier: Apache-2.0
"""Saying, once, that a step is compiled again and again, and which argument is to blame. Start at Recompiles.note."""

from __future__ import annotations

import warnings
from typing import Any

ALLOWED = 3  # programs of one kind before a word is said
PARTS = ("x", "y", "sample_weight")


class Recompiles:
    """The signatures that steps of each kind ("train", "test", "predict") were compiled for."""

    def __init__(self) -> None:
        self.seen: dict[tuple, list[tuple]] = {}

    def note(self, kind: tuple, signature: tuple) -> None:
        """One more program of this kind. The one after the third that differs in shapes is worth a warning."""
        seen = self.seen.setdefault(kind, [])
        seen.append(signature)
        if len(seen) == ALLOWED + 1 and (blame := changed(seen)):
            warnings.warn(
                f"the {kind[-1]} step was compiled {len(seen)} times: {blame}. A compiled program has fixed shapes, and each new one takes time; "
                "pad to a few lengths (nyala.utils.pad_sequences), use batches of equal size, or pass run_eagerly=True to compile",
                stacklevel=2,
            )


def changed(signatures: list[tuple]) -> str:
    """Which leaf of a batch differs among signatures, and how.

    >>> changed([(((0,), ((8, 5), "float32")),), (((0,), ((8, 7), "float32")),)])
    'x has axis 1 of size 5, 7'
    """
    for leaves in zip(*signatures, strict=False):
        path = leaves[0][0]
        name = PARTS[path[0]] + "".join(f"[{key!r}]" for key in path[1:]) if path and isinstance(path[0], int) and path[0] < 3 else f"argument {path}"
        values: list[Any] = [leaf for _, leaf in leaves if leaf is not None]
        for what, found in (("dtype", [dtype for _, dtype in values]), ("rank", [len(shape) for shape, _ in values])):
            if len(set(found)) > 1:
                return f"{name} has {what} {', '.join(map(str, dict.fromkeys(found)))}"
        for axis, sizes in enumerate(zip(*(shape for shape, _ in values), strict=True)):
            if len(set(sizes)) > 1:
                return f"{name} has axis {axis} of size {', '.join(map(str, dict.fromkeys(sizes)))}"
    return ""
