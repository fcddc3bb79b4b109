# SPDX-License-Identifier: Apache-2.0
"""Automatic names ("dense", "dense_1", ...) and name scopes."""

from __future__ import annotations

import collections
import re
import threading

from nyala.core.errors import ArgumentTypeError

_counts: collections.Counter[str] = collections.Counter()
_lock = threading.Lock()


def to_snake_case(name: str) -> str:
    """CamelCase as snake_case, runs of capitals and digits as one word.

    >>> to_snake_case("BatchNormalization"), to_snake_case("Conv2D"), to_snake_case("LSTM")
    ('batch_normalization', 'conv2d', 'lstm')
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def auto_name(prefix: str) -> str:
    """prefix, then prefix_1, prefix_2, ... in this process."""
    with _lock:
        _counts[prefix] += 1
        number = _counts[prefix] - 1
    return f"{prefix}_{number}" if number else prefix


def is_made_up(name: str) -> bool:
    """Whether auto_name may have given this name, "_state" behind it or not.

    >>> is_made_up(auto_name("dense") + "_state"), is_made_up("my_dense")
    (True, False)
    """
    return re.sub(r"(_\d+)?(_state)?$", "", name) in _counts


def get_uid(prefix: str = "") -> int:
    """1, 2, 3, ... for each prefix."""
    with _lock:
        _counts[f"uid {prefix}"] += 1
        return _counts[f"uid {prefix}"]


def reset() -> None:
    """Forget all names given so far."""
    _counts.clear()


class _Scopes(threading.local):
    def __init__(self) -> None:
        self.names: list[str] = []


_scopes = _Scopes()


def current_path() -> str:
    """Names of the scopes in force, joined by slashes."""
    return "/".join(_scopes.names)


class name_scope:
    """Variables made inside get this name in front of theirs, in their `path`.

    >>> import nyala
    >>> with nyala.name_scope("encoder"):
    ...     nyala.Variable(0.0, name="scale").path
    'encoder/scale'
    """

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise ArgumentTypeError("name_scope(name)", need="a string", got=repr(name))
        self.name = name

    def __enter__(self) -> name_scope:
        _scopes.names.append(self.name)
        return self

    def __exit__(self, *_: object) -> None:
        _scopes.names.pop()
