# SPDX-License-Identifier: Apache-2.0
"""Which engine computes: discovery, selection and the proxy `engine` through which everything else reaches it.

An engine is a file of this folder, or an entry point of the group "nyala.engines" that names an `Engine` subclass.
Nothing is loaded before first use. Ops write `engine.exp(x)`; nothing outside this folder asks which engine runs.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pathlib
import pkgutil
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any, cast

from nyala.engines import _libraries as libraries
from nyala.engines import _sharing as sharing
from nyala.engines.protocol import PRIMITIVES, Engine

__all__ = ["PRIMITIVES", "Engine", "available_engines", "backend", "current", "engine", "get_engine", "real_engine", "set_backend", "using"]

DEFAULT = "jax"
_loaded: dict[str, Engine] = {}
_lock = threading.RLock()
_noted = False


class _Selection(threading.local):
    """The engine of this thread: set by `backend` here, else the one of the whole process."""

    here: Engine | None = None
    real: Engine | None = None  # the last one of this thread that computes values


_selection = _Selection()
_process: Engine | None = None


def available_engines() -> list[str]:
    """Names of the engines that can be asked for (their array library may still be missing)."""
    from importlib.metadata import entry_points  # here, because it is slow to import

    files = [m.name for m in pkgutil.iter_modules([str(pathlib.Path(__file__).parent)]) if m.name not in ("protocol",) and not m.name.startswith("_")]
    return sorted({*files, *(point.name for point in entry_points(group="nyala.engines"))})


def get_engine(name: str) -> Engine:
    """The engine of this name, loaded once. Raises ValueError for an unknown name, ImportError if its array library is missing, too old or broken."""
    name = _settled_name(name)
    with _lock:
        if name not in _loaded:
            if name not in available_engines():
                raise ValueError(
                    f"nyala.set_backend needs one of {available_engines()}, got {name!r}.\n"
                    "  fix: choose one of these names, or install the package that brings it"
                )
            _loaded[name] = _load(name)
            sharing.warn_of_reserved_memory(_loaded[name], list(_loaded.values()))
        return _loaded[name]


def _settled_name(name: str) -> str:
    """The name of an engine for one of its names; Theano's successor comes with a note, once."""
    global _noted
    if name == "theano" and not _noted:
        _noted = True
        warnings.warn("the engine 'theano' is PyTensor, which carries Theano on; its name here is 'pytensor'", stacklevel=3)
    return {"pytorch": "torch", "theano": "pytensor"}.get(name, name)


def _load(name: str) -> Engine:
    from importlib.metadata import entry_points

    if not (pathlib.Path(__file__).parent / f"{name}.py").is_file():
        return next(point.load()() for point in entry_points(group="nyala.engines") if point.name == name)
    libraries.check_version(name)
    try:
        module = importlib.import_module(f"nyala.engines.{name}")
    except (ImportError, OSError) as error:
        raise ImportError(libraries.explain(name, error)) from error
    return next(
        value()
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Engine) and value.__module__ == module.__name__ and value.name == name
    )


def current() -> Engine:
    """The engine in force here."""
    return _selection.here or _process or _start()


def _start() -> Engine:
    global _process
    with _lock:
        if _process is None:
            _process = get_engine(configured() or DEFAULT)
        return _process


def start_if_imported() -> None:
    """Start the engine that was asked for if the program has imported its library, whose functions are to know symbolic tensors from the start.
    An engine that nobody asked for waits until it is needed, and so does one whose library nobody has imported."""
    if not (_selection.here or _process) and configured() in sys.modules:
        _start()


def configured() -> str | None:
    """The engine that was asked for from outside: NYALA_BACKEND, else KERAS_BACKEND, else "backend" of ~/.nyala/nyala.json, else None."""
    for variable in ("NYALA_BACKEND", "KERAS_BACKEND"):
        if os.environ.get(variable):
            return _settled_name(os.environ[variable])
    settings = pathlib.Path(os.environ.get("NYALA_HOME", "~/.nyala")).expanduser() / "nyala.json"
    if settings.is_file():
        name = json.loads(settings.read_text(encoding="utf-8")).get("backend")
        return None if name is None else _settled_name(name)
    return None


def set_backend(name: str) -> None:
    """Choose the engine of the whole process, at any time: variables move to it on first use.

    Example:
    >>> import nyala
    >>> nyala.set_backend("numpy")
    >>> nyala.backend.backend()
    'numpy'
    >>> nyala.set_backend("jax")
    """
    global _process
    if _selection.here is not None and _selection.here.abstract and _selection.here is not _loaded.get(_selection.here.name):
        from nyala.core.errors import StateError

        raise StateError(
            "nyala.set_backend",
            need="to be called outside of steps and compiled functions",
            got="a call while the shapes of one are found out",
            why="its operations would be divided between two engines",
            fix="call it before the function",
        )
    _process = get_engine(name)


def current_name() -> str:
    """Name of the engine in force here, found without loading it."""
    chosen = _selection.here or _process
    return chosen.name if chosen else configured() or DEFAULT


@contextlib.contextmanager
def backend(name: str) -> Iterator[None]:
    """Choose the engine of this thread for the length of a with block.

    Example:
    >>> import nyala
    >>> with nyala.backend("numpy"):
    ...     type(nyala.ops.exp(0.0)).__module__
    'numpy'
    """
    with using(get_engine(name)):
        yield


@contextlib.contextmanager
def using(chosen: Engine) -> Iterator[None]:
    """Like `backend`, for an engine object."""
    before, real = _selection.here, _selection.real
    _selection.here = chosen
    if not chosen.abstract:
        _selection.real = chosen
    try:
        yield
    finally:
        _selection.here, _selection.real = before, real


def real_engine() -> Engine:
    """The engine in force that computes values: where shapes are inferred, the one they are inferred for."""
    return _selection.real or _process or _start()


def owner_of(value: Any) -> Engine | None:
    """The engine whose tensor value is, found by the library it comes from; None if there is none."""
    name = type(value).__module__.partition(".")[0]
    if name not in available_engines():
        return None
    owner = get_engine(name)
    return owner if owner.is_tensor(value) else None


class _Current:
    """Stands for the engine in force: `engine.exp(x)` is `current().exp(x)`."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_selection.here or _process or _start(), name)


engine = cast(Engine, _Current())
