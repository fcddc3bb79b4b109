# SPDX-License-Identifier: Apache-2.0
"""What reading a file can raise: a file that is damaged, and a file that wants what no file may have.

Each error names its rule beside the file, the place in it and the legal way forward. They are defined with all other errors, in core.
"""

from nyala.core.errors import (
    CorruptFileError,
    FileError,
    ResourceLimitError,
    UnknownObjectError,
    UnsafeFileError,
    UnsafeObjectError,
    UnsafePathError,
    WeightsMismatchError,
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
]
