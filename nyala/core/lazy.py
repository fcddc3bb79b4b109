# SPDX-License-Identifier: Apache-2.0
"""Public names that load on first use: a package's `__init__` says where each name lives and nothing is imported until it is asked for."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def lazy(package: str, names: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Make `__getattr__, __dir__, __all__` for a package from {public name: "module" or "module:attribute"}.

    "module:" takes the attribute of the same name; a plain "module" is the module itself.

    >>> __getattr__, __dir__, __all__ = lazy("nyala.activations", {"relu": "nyala.activations.rectified:", "fast": "math:exp"})
    >>> __all__
    ['fast', 'relu']
    >>> __getattr__("fast")(0.0)
    1.0
    """

    def getattribute(name: str) -> Any:
        if name not in names:
            import difflib

            near = difflib.get_close_matches(name, names, n=3)
            raise AttributeError(
                f"module {package!r} has no attribute {name!r}" + (f"; did you mean {' or '.join(map(repr, near))}?" if near else "")
            )
        module, colon, attribute = names[name].partition(":")
        loaded = importlib.import_module(module)
        value = getattr(loaded, attribute or name) if colon else loaded
        if package in sys.modules:
            setattr(sys.modules[package], name, value)
        return value

    return getattribute, lambda: sorted(names), sorted(names)
