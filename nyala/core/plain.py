# SPDX-License-Identifier: Apache-2.0
"""Plain values from elsewhere, a JSON text or a config: how large they may be, and what to call a place in them.

Knows neither files nor objects. Start at check_bounds.
"""

from __future__ import annotations

from typing import Any

from nyala.core.errors import ResourceLimitError

MAX_BYTES = 64 << 20
MAX_DEPTH = 200
MAX_VALUES = 2_000_000
MAX_DIGITS = 40


def pointer(path: tuple) -> str:
    """The place of a value, as a JSON pointer.

    >>> pointer(("config", "layers", 3, "a/b"))
    '/config/layers/3/a~1b'
    """
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path) or "/"


def check_bounds(value: Any, where: str) -> None:
    """Raise ResourceLimitError for dicts and lists that would be too large or too deep as JSON; those that hold themselves are too deep.

    >>> check_bounds({"a": [1, 2.5, "b"]}, "example")
    """
    count = letters = depth = 0
    level = [value]
    while level:
        if depth > MAX_DEPTH:
            raise too_deep(where)
        deeper: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                count += len(one)
                letters += sum(len(key) for key in one if isinstance(key, str))
                deeper += one.values()
            elif isinstance(one, (list, tuple)):
                count += len(one)
                deeper += one
            elif isinstance(one, (str, bytes)):
                letters += len(one)
            elif isinstance(one, int) and not -(10**MAX_DIGITS) < one < 10**MAX_DIGITS:
                raise ResourceLimitError(where, need=f"integers of at most {MAX_DIGITS} digits", got="a longer one", rule="json-digits")
            if count > MAX_VALUES:
                raise too_many(where)
        if letters > MAX_BYTES:
            raise ResourceLimitError(where, need=f"texts of at most {MAX_BYTES:,} letters in all", got="more", rule="json-size")
        level, depth = deeper, depth + 1


def too_deep(where: str) -> ResourceLimitError:
    return ResourceLimitError(where, need=f"JSON at most {MAX_DEPTH} levels deep", got="more", rule="json-depth")


def too_many(where: str) -> ResourceLimitError:
    return ResourceLimitError(where, need=f"JSON of at most {MAX_VALUES:,} values", got="more", rule="json-values")
