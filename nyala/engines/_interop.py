# SPDX-License-Identifier: Apache-2.0
"""The way from layers that run code of one array library to that library: a module beside its engine, while that engine is in force."""

from __future__ import annotations

import importlib
import importlib.util
from inspect import signature
from typing import Any

from nyala.core.errors import StateError
from nyala.engines import available_engines, configured, get_engine, real_engine


def interop(name: str, where: str, module: str = "interop") -> Any:
    """The module _<name>_<module>; an error that names `where` if another engine is in force."""
    if real_engine().name != name:
        raise StateError(
            where,
            need=f"the engine {name!r}, whose functions it calls",
            got=f"the engine {real_engine().name!r}",
            fix=f"call nyala.set_backend({name!r}) first",
        )
    return importlib.import_module(f"nyala.engines._{name}_{module}")


def at_import(library: str) -> None:
    """What the engine of a library changes in it, if it is the one that was asked for: a program may make a checkpoint before it computes."""
    if configured() == library:
        importlib.import_module(f"nyala.engines._{library}_checkpoints").take_checkpoints()


EXPORTS = {"tf_saved_model": "tensorflow", "onnx": "onnx"}  # format of exported models -> the library that writes it


def exporter(kind: str) -> Any:
    """The module that writes this format, whichever engine is in force; ImportError with a way out if its library is missing."""
    library = EXPORTS[kind]
    if library in available_engines():
        get_engine(library)
    elif importlib.util.find_spec(library) is None:
        raise ImportError(f"the format {kind!r} needs the package {library}, which is not installed here.\n  fix: pip install 'nyala[{library}]'")
    return importlib.import_module(f"nyala.engines._{library}_export")


def optimizer_rule(rule: Any, names: list[str], values: list[Any], where: str) -> Any:
    """A Rule for variables of these names and first values: of a transformation of optax, of an optimizer for TensorFlow, or of what makes a
    torch.optim.Optimizer of parameters.

    A function that needs no argument makes what the engine in force can run, an optimizer for TensorFlow or a transformation."""
    if hasattr(rule, "apply_gradients"):
        name = "tensorflow"
    elif hasattr(rule, "update"):
        name = "jax"
    elif any(p.default is p.empty and p.kind is not p.VAR_KEYWORD for p in signature(rule).parameters.values()):
        name = "torch"
    else:
        name = "tensorflow" if real_engine().name == "tensorflow" else "jax"
    return interop(name, where, "optimizers").Rule(rule, names, values, where)
