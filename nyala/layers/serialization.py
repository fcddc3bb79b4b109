# SPDX-License-Identifier: Apache-2.0
"""Layers as configs and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nyala.core.errors import ArgumentTypeError
from nyala.core.serialization import deserialize_keras_object, serialize_keras_object


def serialize(layer: Any) -> dict[str, Any]:
    """A layer as a config of plain values.

    >>> import nyala
    >>> serialize(nyala.layers.Dense(3))["class_name"]
    'Dense'
    """
    return serialize_keras_object(layer)


def deserialize(config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The layer of a config; names are looked up among the public layers, the registered objects and custom_objects."""
    from nyala.layers.layer import Layer

    bare = isinstance(config, dict) and "class_name" in config and "module" not in config
    layer = deserialize_keras_object(config, custom_objects, position="layers" if bare else "")
    if not isinstance(layer, Layer):
        raise ArgumentTypeError("layers.deserialize(config)", need="the config of a layer", got=f"{config!r}")
    return layer
