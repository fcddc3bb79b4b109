# SPDX-License-Identifier: Apache-2.0
"""Losses from names and configs, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nyala.core.serialization import custom_object_scope, from_identifier, serialize_keras_object
from nyala.losses.loss import Loss


def get(identifier: Any) -> Any:
    """The loss of a name, a config or a class; objects, functions and None pass. Names of functions give functions, names of classes objects.

    >>> get("mse").__name__, get("MeanSquaredError").name
    ('mean_squared_error', 'mean_squared_error')
    """
    return from_identifier(identifier, "nyala.losses", Loss, "loss")


def serialize(loss: Any) -> Any:
    """A loss object or function as a config of plain values."""
    return serialize_keras_object(loss)


def deserialize(name: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The loss of a name or config; names are looked up among the public, the registered and custom_objects."""
    with custom_object_scope(custom_objects):
        return get(name)
