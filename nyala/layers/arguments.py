# SPDX-License-Identifier: Apache-2.0
"""Checks of constructor arguments that many layers share. Each returns the value in the form that layers store."""

from __future__ import annotations

import codecs
import difflib
import encodings
from collections.abc import Sequence
from encodings.aliases import aliases
from typing import TYPE_CHECKING, Any

import numpy as np

from nyala.core.errors import ArgumentError

if TYPE_CHECKING:
    from typing_extensions import TypeIs

NO_TEXTS = {"base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "rot_13", "uu_codec", "zlib_codec"}  # bytes to bytes
ENCODINGS = {name for alias, target in aliases.items() if target not in NO_TEXTS for name in (alias, target)} | {"utf_8_sig", "iso8859_1"}
WORDS = {1: "1 integer", 2: "2 integers", 3: "3 integers"}


def is_int(value: Any) -> TypeIs[int]:
    """Whether value is an integer and no bool."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def as_count(where: str, value: Any) -> int:
    """A positive integer."""
    if not is_int(value) or value <= 0:
        raise ArgumentError(where, need="a positive integer", got=repr(value))
    return int(value)


def as_sizes(where: str, value: Any, rank: int, minimum: int = 1) -> tuple[int, ...]:
    """One integer per spatial axis; a single one counts for all.

    >>> as_sizes("Conv2D(kernel_size)", 3, 2)
    (3, 3)
    """
    sizes = (value,) * rank if is_int(value) else tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else ()
    if len(sizes) != rank or not all(is_int(n) and n >= minimum for n in sizes):
        raise ArgumentError(where, need=f"an integer or {WORDS[rank]}, each at least {minimum}", got=repr(value))
    return tuple(int(n) for n in sizes)


def as_choice(where: str, value: Any, choices: Sequence[str], fix: str = "") -> str:
    """One of a few names; of an unknown one near matches are shown."""
    if value not in choices:
        near = difflib.get_close_matches(str(value), [choice for choice in choices if isinstance(choice, str)], n=1)
        fix = f"did you mean {near[0]!r}?" if near and not fix else fix
        raise ArgumentError(where, need="one of " + ", ".join(map(repr, choices)), got=repr(value), fix=fix)
    return value


def as_fraction(where: str, value: Any) -> float:
    """A number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 <= value <= 1:
        raise ArgumentError(where, need="a number from 0 to 1", got=repr(value))
    return value  # pyright: ignore[reportReturnType]  # a NumPy number stays one


def as_number(where: str, value: Any, minimum: float | None = None) -> float:
    """A number, with a minimum not below it."""
    least = "" if minimum is None else f" from {minimum}"
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or (minimum is not None and not value >= minimum):
        raise ArgumentError(where, need=f"a number{least}", got=repr(value))
    return value  # pyright: ignore[reportReturnType]  # as in as_fraction


def as_encoding(where: str, value: Any) -> str:
    """The name of a text encoding that Python has. It is looked up in a list: Python itself would look for a module of that name."""
    try:
        if encodings.normalize_encoding(value).lower() not in ENCODINGS:
            raise LookupError(value)
        codecs.lookup(value)
    except (LookupError, TypeError, ValueError):
        raise ArgumentError(where, need="a text encoding", got=repr(value), fix='"utf-8" is the usual one') from None
    return value


def refuse(where: str, fix: str, **arguments: Any) -> None:
    """Arguments of Keras that have no meaning here may be given, but not used."""
    for name, value in arguments.items():
        if value:
            raise ArgumentError(f"{where}({name})", need="None", got=repr(value), why="it is no argument of the layer here", fix=fix)
