# SPDX-License-Identifier: Apache-2.0
"""What reading a file can raise: a file that is damaged, and a file that wants what no file may have.

Each error names its rule beside the file, the place in it and the legal way forward. They are defined with all other errors, in core.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from nyala.core.errors import (
    CorruptFileError,
    FileError,
    NyalaError,
    ResourceLimitError,
    UnknownObjectError,
    UnsafeFileError,
    UnsafeObjectError,
    UnsafePathError,
    WeightsMismatchError,
    placed,
)

__all__ = [
    "CorruptFileError",
    "FileError",
    "ResourceLimitError",
    "UnknownObjectError",
    "UnsafeFileError",
    "UnsafeObjectError",
    "UnsafePathError",
    "WeightsMismatchError",
    "translated",
]


@contextlib.contextmanager
def translated(where: str, need: str, rule: str) -> Iterator[None]:
    """What a reader stumbles over in a file that no library wrote so, as the error of a damaged file."""
    try:
        yield
    except NyalaError as error:
        if not isinstance(error, FileError):
            placed(error, where, rule)
        raise
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        got = f"one that raises {type(error).__name__}: {str(error)[:200]}"
        raise CorruptFileError(where, need=need, got=got, fix="get the file again", rule=rule) from error
