# SPDX-License-Identifier: Apache-2.0
"""`keras.legacy.interfaces`: decorators around constructors of Keras 2 that translated the words of Keras 1. Here they leave functions as they are.

Words of old are translated by views (spelling.py), so a class of one's own that still has such a decorator needs nothing of it.
"""

from collections.abc import Callable
from typing import Any


def generate_legacy_interface(*args: Any, **kwargs: Any) -> Callable:
    """A decorator that changes nothing."""
    return _same


def raise_duplicate_arg_error(old_arg: str, new_arg: str) -> None:
    """Raises: an argument was given under both of its names."""
    from nyala.core.errors import ArgumentTypeError

    raise ArgumentTypeError(new_arg, need="one value", got=f"{old_arg} and {new_arg}", fix=f"leave {old_arg} out")


def _same(function: Any) -> Any:
    return function


def _as_written(args: Any, kwargs: Any) -> tuple[Any, Any, list]:
    """Arguments as they are, and the list of those that were changed: none."""
    return args, kwargs, []


def __getattr__(name: str) -> Any:
    if name.startswith("legacy_") and name.endswith("_support"):
        return _same
    if name.endswith(("_preprocessor", "_preprocessing")):
        return _as_written
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
