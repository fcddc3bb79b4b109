# SPDX-License-Identifier: Apache-2.0
"""Objects as configs in the form of Keras 1 and 2: a class name and a config, without a module; functions by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nyala.core.errors import ArgumentError, ArgumentTypeError, LookupFailed
from nyala.core.serialization import custom_object_scope, get_registered_name, get_registered_object

__all__ = ["deserialize_keras_object", "serialize_keras_object"]


def serialize_keras_object(instance: Any) -> Any:
    """{"class_name": ..., "config": ...} for an object with get_config, the name of a function, None for None.

    >>> import nyala
    >>> serialize_keras_object(nyala.initializers.Zeros()), serialize_keras_object(nyala.activations.relu)
    ({'class_name': 'Zeros', 'config': {}}, 'relu')
    """
    if instance is None:
        return None
    if hasattr(instance, "get_config"):
        return {"class_name": get_registered_name(type(instance)), "config": instance.get_config()}
    if hasattr(instance, "__name__"):
        return get_registered_name(instance)
    raise ArgumentError("utils.legacy.serialize_keras_object", need="an object with get_config, or a function", got=repr(instance))


def deserialize_keras_object(
    identifier: Any,
    module_objects: Mapping[str, Any] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    printable_module_name: str = "object",
) -> Any:
    """The object that a config of this form describes: a class is made from its config, or without arguments if only named; a function is returned.

    Args:
        identifier: such a config, or a name.
        module_objects, custom_objects: {name: class or function}, beside what was registered.
        printable_module_name: what errors call it.

    >>> import nyala
    >>> deserialize_keras_object({"class_name": "Constant", "config": {"value": 2.0}}, {"Constant": nyala.initializers.Constant}).value
    2.0
    """
    where = f"a legacy {printable_module_name}"
    if identifier is None:
        return None
    if isinstance(identifier, str):
        name, config = identifier, None
    elif isinstance(identifier, dict) and "class_name" in identifier and "config" in identifier:
        name, config = identifier["class_name"], identifier["config"]
    else:
        raise ArgumentTypeError(where, need="a name, or a dict of class_name and config", got=repr(identifier))
    found = get_registered_object(name, custom_objects, module_objects)
    if found is None:
        raise LookupFailed(where, need="a name that is known", got=repr(name), fix="pass it in custom_objects")
    if config is None:
        return found() if isinstance(found, type) else found
    if hasattr(found, "from_config"):
        with custom_object_scope(custom_objects):
            return found.from_config(config)
    return found(**config)
