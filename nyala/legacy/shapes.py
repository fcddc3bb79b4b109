# SPDX-License-Identifier: Apache-2.0
"""Shapes as programs of tf.keras ask them: `input_shape.as_list()`, `x.get_shape().ndims`. They are tuples all the same."""

from __future__ import annotations

import functools
import math
import pathlib
import re
import sys
from collections.abc import Iterable
from typing import Any


def shape_of(sizes: Iterable[int | None]) -> tuple:
    """A shape as the program expects it: `type(shape) is tuple` was true in Keras, and in programs that import tf.keras alone shapes have methods."""
    return Shape(sizes) if _is_of_tf_keras(getattr(sys.modules.get("__main__"), "__file__", None)) else tuple(sizes)


@functools.lru_cache(maxsize=8)
def _is_of_tf_keras(path: str | None) -> bool:
    """Whether a program imports tf.keras, and not Keras itself."""
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8") if path else ""
    except (OSError, UnicodeDecodeError):
        return False
    other = re.search(r"^\s*(from|import)\s+keras\b", text, re.MULTILINE)
    return other is None and re.search(r"\btensorflow(\.python)?\.keras\b|\btf\.keras\b|\bfrom tensorflow import .*\bkeras\b", text) is not None


class Shape(tuple):
    """A shape, None where a size is unknown, with the methods of tf.TensorShape.

    >>> shape = Shape((None, 2, 3))
    >>> shape.as_list(), shape.ndims, shape[1:].num_elements(), shape[:-1] + [5], shape == (None, 2, 3)
    ([None, 2, 3], 3, 6, (None, 2, 5), True)
    """

    __slots__ = ()

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        return Shape(found) if isinstance(key, slice) else found

    def __add__(self, other: Any) -> Shape:
        return Shape(tuple(self) + tuple(other))

    concatenate = __add__

    def __radd__(self, other: Any) -> Shape:
        return Shape(tuple(other) + tuple(self))

    @property
    def dims(self) -> list:
        """The sizes."""
        return list(self)

    @property
    def ndims(self) -> int:
        """The number of axes."""
        return len(self)

    rank = ndims

    def as_list(self) -> list:
        """The sizes in a list."""
        return list(self)

    def is_fully_defined(self) -> bool:
        """Whether every size is known."""
        return None not in self

    def num_elements(self) -> int | None:
        """The product of the sizes, None if one is unknown."""
        return math.prod(self) if self.is_fully_defined() else None
