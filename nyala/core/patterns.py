# SPDX-License-Identifier: Apache-2.0
"""Regular expressions that come with a config: those alone that are matched in a time that the config cannot stretch.

A pattern of the caller's own may be any; it is the caller's time. Start at excess.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_LETTERS = 200
MAX_PATTERNS = 500
MAX_KEY = 1000  # letters of what a pattern is matched with
_SPECIAL = re.compile(r"[\\.\[\]{}()*+?^$|]")
_OUTSIDE = re.compile(r"\\.|\[\^?\]?[^\]]*\]", re.DOTALL)  # escaped letters and sets of letters, which repeat nothing
_NESTED = re.compile(r"\)\s*[*+{]|\(\?P?[=<!]|\(\?\(")
_REFERENCE = re.compile(r"\\[1-9]")


def excess(patterns: Iterable[str], anywhere: bool = False) -> str:
    """What is too much in patterns, in words; "" if nothing is.

    Args:
        patterns: as the config has them; what has no special letters is a name.
        anywhere: whether they are for `is_found`, where a match may begin at any letter: they may have one "*", "+" or "{}" then, otherwise two.

    >>> excess(["encoder/.*", "head_[0-9]+"]), excess(["(a+)+$"])
    ('', "'(a+)+$', in which something repeated is repeated")
    """
    repetitions = 1 if anywhere else 2
    special = [pattern for pattern in patterns if _SPECIAL.search(pattern)]
    if len(special) > MAX_PATTERNS:
        return f"{len(special):,} patterns, more than {MAX_PATTERNS}"
    for pattern in special:
        if len(pattern) > MAX_LETTERS:
            return f"{pattern[:40]!r}... of {len(pattern):,} letters, more than {MAX_LETTERS}"
        plain = _OUTSIDE.sub("x", essence(pattern) if anywhere else pattern)
        if _NESTED.search(plain) or _REFERENCE.search(pattern):
            return f"{pattern[:80]!r}, in which something repeated is repeated"
        if sum(map(plain.count, "*+{")) > repetitions:
            return f"{pattern[:80]!r}, which repeats more than {repetitions} thing{'s' * (repetitions > 1)}"
    return ""


def is_match(pattern: str, key: str) -> bool:
    """Whether a pattern matches a whole path. Patterns are for names that people give: nothing longer than 1,000 letters matches any."""
    return len(key) <= MAX_KEY and re.fullmatch(pattern, key) is not None


def is_found(pattern: str, key: str) -> bool:
    """Whether a pattern matches something in a path. Of a path longer than 1,000 letters, the end is looked at.

    >>> is_found(".*embed", "model/embedding/kernel"), is_found("embed$", "model/embedding/kernel")
    (True, False)
    """
    return re.search(essence(pattern), key[-MAX_KEY:]) is not None


def essence(pattern: str) -> str:
    """A pattern that is found where this one is, without the ".*" before and after it, which only take time.

    >>> essence(".*embed.*"), essence(r"dense\\.*")
    ('embed', 'dense\\\\.*')
    """
    while pattern.startswith(".*") and pattern[2:3] not in ("?", "+", "*", "{"):
        pattern = pattern[2:]
    while pattern.endswith(".*") and not (len(pattern) - len(pattern[:-2].rstrip("\\"))) % 2:
        pattern = pattern[:-2]
    return pattern
