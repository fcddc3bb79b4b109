# SPDX-License-Identifier: Apache-2.0
"""Packages that only some functions need: imported when used, with an error that says what to install."""

from __future__ import annotations

import importlib
from types import ModuleType


def need(module: str, extra: str, where: str) -> ModuleType:
    """Import an optional module.

    Args:
        module: to import, such as "PIL.Image".
        extra: the extra of Nyala that installs it.
        where: what needs it, as its user knows it.
    Raises: ImportError saying what to install.

    >>> need("tracemallok", "image", "load_img")
    Traceback (most recent call last):
        ...
    ImportError: load_img needs the package 'tracemallok', which is not installed here.
      fix: pip install 'nyala[image]'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = (error.name or module).partition(".")[0]
        raise ImportError(f"{where} needs the package {package!r}, which is not installed here.\n  fix: pip install 'nyala[{extra}]'") from error
