# SPDX-License-Identifier: Apache-2.0
"""JSON from elsewhere, read strictly: bounded in size, depth and digits, no key twice, no numbers that are none, nothing but Unicode.

Start at read.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from nyala.core.plain import MAX_BYTES, MAX_DEPTH, MAX_DIGITS, MAX_VALUES, pointer, too_deep, too_many
from nyala.files.errors import CorruptFileError, FileError, ResourceLimitError, UnsafeFileError

# Arguments of layers, losses and metrics that may be infinite or nan; no other number may.
NON_FINITE = frozenset({"max_value", "min_value", "mask_value", "threshold", "clip", "delta", "value", "oov_value", "baseline", "fill_value"})

_MARKS = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[\]{},]', re.DOTALL)  # possessive: else each letter of a long text takes 120 bytes


def read(text: bytes | str, where: str, max_bytes: int = MAX_BYTES, non_finite: frozenset[str] = NON_FINITE) -> Any:
    """The value of a JSON text.

    Args:
        text: as UTF-8, or decoded already.
        where: what to call it in errors: the file, and the member of it.
        max_bytes: that it may have.
        non_finite: keys whose values may hold infinity or nan.
    Raises: CorruptFileError for what is no JSON, ResourceLimitError for what is too large or too deep, UnsafeFileError for what two readers
        would understand differently.

    >>> read('{"a": [1, 2.5]}', "example")
    {'a': [1, 2.5]}
    """
    try:
        size = len(text.encode() if isinstance(text, str) else text)  # gone at once: large texts are not held twice
    except UnicodeEncodeError as error:
        raise _corrupt(where, "letters that are no Unicode", error) from error
    if size > max_bytes:
        raise ResourceLimitError(where, need=f"JSON of at most {max_bytes:,} bytes", got=f"{size:,}", rule="json-size")
    try:
        decoded = text if isinstance(text, str) else text.decode()
    except UnicodeDecodeError as error:
        raise _corrupt(where, "bytes that are no UTF-8", error) from error
    del text
    _check_marks(decoded, where)
    try:
        value = json.loads(decoded, object_pairs_hook=lambda pairs: _object(pairs, where), parse_int=lambda digits: _integer(digits, where))
    except FileError:
        raise
    except (ValueError, RecursionError) as error:
        raise _corrupt(where, "text that is none", error) from error
    _check_values(value, where, non_finite)
    return value


def write(value: Any, indent: int | None = None) -> bytes:
    """A plain value as JSON text."""
    return json.dumps(value, indent=indent, ensure_ascii=True).encode()


def _check_marks(text: str, where: str) -> None:
    """Depth and number of values, before anything is made of them."""
    depth = deepest = count = 0
    for mark in _MARKS.finditer(text):
        first = text[mark.start()]
        if first in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif first in "]}":
            depth -= 1
        if first != '"':
            count += 1
        if deepest > MAX_DEPTH:
            raise too_deep(where)
        if count > MAX_VALUES:
            raise too_many(where)


def _object(pairs: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = [key for key, _ in pairs]
        twice = next(key for key in names if names.count(key) > 1)
        raise UnsafeFileError(
            where, need="each key of a JSON object once", got=f"{twice[:80]!r} twice", why="readers differ in which one counts", rule="json-duplicate"
        )
    return value


def _integer(digits: str, where: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ResourceLimitError(where, need=f"integers of at most {MAX_DIGITS} digits", got=f"one of {len(digits):,}", rule="json-digits")
    return int(digits)


def _check_values(value: Any, where: str, non_finite: frozenset[str]) -> None:
    """No number that is none outside the keys that may have one, and no half of a surrogate pair."""
    waiting: list[tuple[Any, tuple]] = [(value, ())]
    while waiting:
        value, path = waiting.pop()
        if isinstance(value, dict):
            for key, inner in value.items():
                _check_letters(key, where, path)
                waiting.append((inner, (*path, key)))
        elif isinstance(value, list):
            waiting += [(inner, (*path, i)) for i, inner in enumerate(value) if isinstance(inner, (dict, list, str, float))]
        elif isinstance(value, str):
            _check_letters(value, where, path)
        elif isinstance(value, float) and not math.isfinite(value) and not non_finite.intersection(path):
            raise UnsafeFileError(where, need="finite numbers", got=f"{value} at {pointer(path)}", why="JSON has no others", rule="json-number")


def _check_letters(text: str, where: str, path: tuple) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise _corrupt(where, f"half a letter at {pointer(path)}", error) from error


def _corrupt(where: str, got: str, error: Exception) -> CorruptFileError:
    return CorruptFileError(where, need="JSON", got=got, why=str(error)[:200], fix="get the file again", rule="json-text")
