# SPDX-License-Identifier: Apache-2.0
"""`import keras` and `import tensorflow.keras` of old programs as views of Nyala: install, and uninstall.

A finder in front of all others makes the modules that places.py names, when they are imported. A view is a module of its own name; what it holds is
found in modules of Nyala when it is asked for. Neither an engine nor TensorFlow is loaded by it. Start at install.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Sequence
from typing import Any

from nyala.core.errors import StateError
from nyala.legacy import places

_TF_KERAS = "tensorflow.keras"  # the view, never TensorFlow's own
_ROOTS = (
    "keras", "keras.api", "keras.api._v2.keras", "keras._tf_keras.keras", "tensorflow.keras", "tensorflow.compat.v1.keras",
    "tensorflow.compat.v2.keras", "tensorflow.contrib.keras", "tensorflow.contrib.keras.python.keras", "tensorflow.python.keras",
)  # fmt: skip
_PARENTS = frozenset(".".join(root.split(".")[:n]) for root in _ROOTS for n in range(2, root.count(".") + 1)) - set(_ROOTS)


class View(types.ModuleType):
    """A module of old: its names are looked up in modules of Nyala."""

    def __init__(self, name: str, path: str) -> None:
        super().__init__(name, f"`{name}` as a view of Nyala: see nyala.legacy.")
        self.__path__ = []  # nothing else is found below it
        self.__dict__["_nyala_place"] = path

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return places.names(self._nyala_place)
        if name == "__version__" and not self._nyala_place:
            return places.VERSION
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        below = f"{self._nyala_place}.{name}".lstrip(".")
        if below in places.PLACES and not places.is_name(self._nyala_place, name):
            return importlib.import_module(f"{self.__name__}.{name}")
        value = places.find(self._nyala_place, name, self.__name__)
        if not isinstance(value, types.ModuleType):
            self.__dict__[name] = value
        return value

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """keras.layers.merge was a function in Keras 1 and a module in Keras 2: it is both."""
        above, _, name = self._nyala_place.rpartition(".")
        if not places.is_name(above, name):
            raise TypeError(f"{self.__name__!r} is a module, and cannot be called")
        return places.find(above, name, self.__name__)(*args, **kwargs)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *places.names(self._nyala_place)})


class Stub(types.ModuleType):
    """`tensorflow` where it is not installed, and the packages between it and `tensorflow.keras`."""

    __version__ = "2.15.0"

    def __init__(self, name: str) -> None:
        super().__init__(name, f"`{name}`, of which only keras is there: see nyala.legacy.")
        self.__path__ = []

    def __getattr__(self, name: str) -> Any:
        full = f"{self.__name__}.{name}"
        if full in _ROOTS or full in _PARENTS:
            return importlib.import_module(full)
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        message = (
            f"{full} needs TensorFlow, which is not installed here.\n"
            "  why: only tensorflow.keras is a view of Nyala\n"
            "  fix: use nyala.ops or keras.backend for what it computes, or install TensorFlow"
        )
        asking = sys._getframe(1).f_globals.get("__name__", "")
        raise ImportError(message) if asking.startswith("nyala.") else AttributeError(message)


class _Loader(importlib.abc.Loader):
    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        place = _place(spec.name)
        return Stub(spec.name) if place is None else View(spec.name, place)

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing: names are found when they are asked for."""


class _WithView(importlib.abc.Loader):
    """The loader of the installed TensorFlow, whose `keras` becomes the view."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def create_module(self, spec: Any) -> Any:
        return self.loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        self.loader.exec_module(module)
        module.keras = importlib.import_module(_TF_KERAS)
        from nyala.engines._interop import at_import

        at_import("tensorflow")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)


class Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of places.py below each of the roots."""

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        first = fullname.partition(".")[0]
        if first not in ("keras", "tensorflow"):
            return None
        real = _real("tensorflow") if first == "tensorflow" else None
        if fullname == "tensorflow" and real is not None:
            real.loader = _WithView(real.loader)
            return real
        if real is not None and not fullname.startswith(("tensorflow.keras", "tensorflow.compat.v2.keras", "tensorflow.compat.v1.keras")):
            return None  # its own: tensorflow.python.keras is used inside TensorFlow
        if _place(fullname) is None and not (first == "tensorflow" and (fullname == "tensorflow" or fullname in _PARENTS)):
            return None if fullname not in _PARENTS else importlib.machinery.ModuleSpec(fullname, _Loader(), is_package=True)
        return importlib.machinery.ModuleSpec(fullname, _Loader(), origin="nyala.legacy", is_package=True)


def _real(name: str) -> importlib.machinery.ModuleSpec | None:
    """The spec of an installed package."""
    for finder in sys.meta_path:
        if not isinstance(finder, Finder) and hasattr(finder, "find_spec"):
            found = finder.find_spec(name, None, None)
            if found is not None:
                return found
    return None


def _place(fullname: str) -> str | None:
    """The place below a root that a module name means; "" for a root itself, None for no place."""
    for root in sorted(_ROOTS, key=len, reverse=True):
        if fullname == root:
            return ""
        if fullname.startswith(f"{root}.") and fullname[len(root) + 1 :] in places.PLACES:
            return fullname[len(root) + 1 :]
    return None


_finder: Finder | None = None


def installed() -> bool:
    """Whether `import keras` means Nyala."""
    return _finder is not None and _finder in sys.meta_path


def install() -> None:
    """From now on `import keras` and `import tensorflow.keras` mean Nyala, in all the words of Keras 1, 2, 3 and tf.keras.

    Call it before anything imports Keras; once more does nothing. An installed TensorFlow stays what it is, but for `tf.keras`; where there is none,
    `import tensorflow as tf` gives a module with `tf.keras` alone.

    Raises: StateError if another Keras is imported already.

    >>> if "keras" not in sys.modules:  # else it is refused
    ...     install()
    ...     uninstall()
    >>> installed()
    False
    """
    global _finder
    if installed():
        return
    loaded = [name for name in ("keras", "tensorflow.keras", "tf_keras") if name in sys.modules and not isinstance(sys.modules[name], (View, Stub))]
    if loaded:
        raise StateError(
            "nyala.legacy.install()",
            need="to come before the first import of Keras",
            got=f"a program that has imported {' and '.join(map(repr, loaded))}",
            why="what came from there is not of Nyala, and the two cannot be mixed",
            fix="put `import nyala.legacy; nyala.legacy.install()` at the top of the program, or start it with `nyala run program.py`",
        )
    from nyala.legacy import methods

    methods.add()
    _finder = Finder()
    sys.meta_path.insert(0, _finder)
    if "tensorflow" in sys.modules:
        sys.modules["tensorflow"].keras = importlib.import_module(_TF_KERAS)  # type: ignore[attr-defined]


def uninstall() -> None:
    """`import keras` means what it meant before install; modules that a program holds already stay views."""
    global _finder
    if _finder is None:
        return
    from nyala.legacy import methods

    sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not _finder]
    _finder = None
    methods.take_away()
    for name in [name for name, module in sys.modules.items() if isinstance(module, (View, Stub))]:
        del sys.modules[name]
    if "tensorflow" in sys.modules and isinstance(vars(sys.modules["tensorflow"]).get("keras"), View):
        delattr(sys.modules["tensorflow"], "keras")
