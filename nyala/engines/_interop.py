# SPDX-License-Identifier: Apache-2.0
"""The way from layers that run code of one array library to that library: a module beside its engine, while that engine is in force."""

from __future__ import annotations

import importlib
from typing import Any

from nyala.core.errors import StateError
from nyala.engines import real_engine


def interop(name: str, where: str) -> Any:
    """The module _<name>_interop; an error that names `where` if another engine is in force."""
    if real_engine().name != name:
        raise StateError(
            where,
            need=f"the engine {name!r}, whose functions it calls",
            got=f"the engine {real_engine().name!r}",
            fix=f"call nyala.set_backend({name!r}) first",
        )
    return importlib.import_module(f"nyala.engines._{name}_interop")
