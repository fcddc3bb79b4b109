# SPDX-License-Identifier: Apache-2.0
"""Objects as Keras 2 wrote them, {"class_name": ..., "config": ...}: public as keras.legacy.saving. Files are read elsewhere, in nyala/files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nyala.core.errors import ArgumentError, ArgumentTypeError, UnknownObjectError
from nyala.core.serialization import get_registered_name, get_registered_object


def serialize_keras_object(instance: Any) -> Any:
    """An object with get_config as a dict of its class name and its config, a function as its name, None as None.

    >>> import nyala
    >>> serialize_keras_object(nyala.losses.MeanSquaredError())["class_name"]
    'MeanSquaredError'
    """
    if instance is None:
        return None
    if hasattr(instance, "get_config"):
        return {"class_name": get_registered_name(type(instance)), "config": instance.get_config()}
    if hasattr(instance, "__name__"):
        return get_registered_name(instance)
    raise ArgumentTypeError("serialize_keras_object(instance)", need="an object with get_config, or a function", got=repr(instance))


def deserialize_keras_object(
    identifier: Any,
    module_objects: Mapping[str, Any] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    printable_module_name: str = "object",
) -> Any:
    """The object of such a dict, or the function of a name; anything else as it is.

    Args:
        module_objects: classes and functions by name; nothing else is found but what was registered.
        custom_objects: further ones, which come first.
        printable_module_name: what is looked for, for errors.

    >>> import nyala
    >>> deserialize_keras_object({"class_name": "Dense", "config": {"units": 3}}, {"Dense": nyala.layers.Dense}).units
    3
    """
    if isinstance(identifier, Mapping):
        name, config = identifier.get("class_name"), identifier.get("config")
        if not isinstance(name, str) or not isinstance(config, Mapping):
            got = f"a dict with {sorted(map(str, identifier))}"
            raise ArgumentError(f"the config of a {printable_module_name}", need="'class_name', a string, and 'config', a dict", got=got)
        kind = _found(name, module_objects, custom_objects, printable_module_name)
        if not isinstance(kind, type):
            raise ArgumentTypeError("deserialize_keras_object", need=f"a class of the name {name!r}", got=repr(kind))
        return kind.from_config(dict(config)) if hasattr(kind, "from_config") else kind(**config)  # type: ignore[attr-defined]
    if isinstance(identifier, str):
        found = _found(identifier, module_objects, custom_objects, printable_module_name)
        return found() if isinstance(found, type) else found
    return identifier


def _found(name: str, module_objects: Mapping[str, Any] | None, custom_objects: Mapping[str, Any] | None, what: str) -> Any:
    found = get_registered_object(name, custom_objects, module_objects)
    if found is None:
        need = f"a {what} of the name {name!r} in module_objects, custom_objects or among those registered"
        raise UnknownObjectError("deserialize_keras_object", need=need, got="none", rule="object-unknown")
    return found
