# SPDX-License-Identifier: Apache-2.0
"""Activations by name: get, serialize, deserialize. Start at get."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from nyala import activations
from nyala.core import serialization
from nyala.core.errors import ArgumentTypeError, LookupFailed


def get(identifier: Any) -> Callable:
    """The activation that identifier means: None is linear, a name or config is looked up, a callable is itself.

    Raises: LookupFailed for a name that is neither built in nor registered.

    >>> get("relu") is get(get("relu")), get(None).__name__
    (True, 'linear')
    """
    if identifier is None:
        return activations.linear
    if isinstance(identifier, (str, dict)):
        return deserialize(identifier)
    if isinstance(identifier, type) and hasattr(identifier, "call"):  # a layer class: its defaults
        return identifier()
    if callable(identifier):
        return identifier
    raise ArgumentTypeError("activation", need="a name, a function, a layer or None", got=repr(identifier))


def serialize(activation: Callable) -> Any:
    """The name of a function, or the config of a layer, from which deserialize makes it again.

    >>> serialize(get("swish"))
    'silu'
    """
    config = serialization.serialize_keras_object(activation)
    if not isinstance(config, dict) or config.get("class_name") != "function":
        return config
    return config["config"] if serialization.public_place(activation) else config


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Callable:
    """The activation of a name or config; custom_objects are further functions by name.

    >>> deserialize("double", {"double": lambda x: 2 * x})(3)
    6
    """
    if isinstance(config, dict):
        return serialization.deserialize_keras_object(config, custom_objects)
    if config is None or not isinstance(config, str):
        return get(config)
    found = serialization.get_registered_object(config, custom_objects)
    if found is not None:
        return get(found)
    if config in activations.FUNCTIONS:
        return getattr(activations, config)
    near = difflib.get_close_matches(config.lower(), activations.FUNCTIONS, n=3)
    raise LookupFailed(
        "activation",
        need="a name known in nyala.activations, or a registered one",
        got=repr(config),
        fix=f"did you mean {' or '.join(map(repr, near))}?" if near else "pass the function itself, or see dir(nyala.activations)",
    )
