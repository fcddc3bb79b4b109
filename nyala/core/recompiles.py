# SPDX-License-Identifier: Apache-2.0
"""Saying, once, that something is compiled again and again, and which argument is to blame. Start at Recompiles.note."""

from __future__ import annotations

import warnings
from collections.abc import Callable

ALLOWED = 3  # programs of one kind before a word is said
PARTS = ("x", "y", "sample_weight")
WHY = "A compiled program has fixed shapes, and each new one takes time; "


def part_of_batch(path: tuple) -> str:
    """A leaf of (x, y, sample_weight) by its path.

    >>> part_of_batch((0, "image"))
    "x['image']"
    """
    known = path and isinstance(path[0], int) and path[0] < len(PARTS)
    return PARTS[path[0]] + "".join(f"[{key!r}]" for key in path[1:]) if known else f"argument {path}"


class Recompiles:
    """The signatures for which things of each kind were compiled: tuples of (path, (shape, dtype)), or (path, constant) for what is no tensor."""

    def __init__(self) -> None:
        self.seen: dict[tuple, list[tuple]] = {}

    def note(self, kind: tuple, signature: tuple, what: str, fix: str, name: Callable[[tuple], str] = part_of_batch) -> None:
        """One more program of this kind. The one after the third that differs is worth a warning.

        Args:
            what: the thing that is compiled, for the message.
            fix: what its user can do.
            name: makes the name of an argument of its path.
        """
        seen = self.seen.setdefault(kind, [])
        seen.append(signature)
        if len(seen) == ALLOWED + 1 and (blame := changed(seen, name)):
            warnings.warn(f"{what} was compiled {len(seen)} times: {blame}. {WHY}{fix}", stacklevel=3)


def changed(signatures: list[tuple], name: Callable[[tuple], str] = part_of_batch) -> str:
    """Which leaf differs among signatures, and how.

    >>> changed([(((0,), ((8, 5), "float32")),), (((0,), ((8, 7), "float32")),)])
    'x has axis 1 of size 5, 7'
    """
    for leaves in zip(*signatures, strict=False):
        where, values = name(leaves[0][0]), [leaf for _, leaf in leaves if leaf is not None]
        tensors = [leaf for leaf in values if isinstance(leaf, tuple)]
        if len(tensors) < len(values):
            if len(constants := dict.fromkeys(map(repr, values))) > 1:
                return f"{where} is {', '.join(constants)}, and a constant of the program"
            continue
        for what, found in (("dtype", [dtype for _, dtype in tensors]), ("rank", [len(shape) for shape, _ in tensors])):
            if len(set(found)) > 1:
                return f"{where} has {what} {', '.join(map(str, dict.fromkeys(found)))}"
        for axis, sizes in enumerate(zip(*(shape for shape, _ in tensors), strict=True)):
            if len(set(sizes)) > 1:
                return f"{where} has axis {axis} of size {', '.join(map(str, dict.fromkeys(sizes)))}"
    return ""
