# SPDX-License-Identifier: Apache-2.0
"""Optimizers by name, and as configs and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nyala.core.serialization import deserialize_keras_object, from_identifier, serialize_keras_object
from nyala.optimizers.native import NativeOptimizer, is_native
from nyala.optimizers.optimizer import Optimizer


def get(identifier: Any) -> Any:
    """The optimizer of a name in any case, a config or a class; optimizers and None pass. Those of optax and PyTorch become a NativeOptimizer.

    >>> get("rmsprop").name.startswith("rm_sprop")
    True
    """
    if isinstance(identifier, str):
        identifier = _public_name(identifier)
    elif isinstance(identifier, dict):
        return deserialize(identifier)
    elif is_native(identifier):
        return NativeOptimizer(identifier)
    return from_identifier(identifier, "nyala.optimizers", Optimizer, "optimizer")


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """An optimizer as a config of plain values."""
    return serialize_keras_object(optimizer)


def deserialize(config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Optimizer:
    """The optimizer of a config, also of Keras 1 and 2; names are looked up among the public, the registered and custom_objects."""
    if isinstance(config, dict) and isinstance(config.get("class_name"), str):
        config = {"module": "keras.optimizers", **config, "class_name": _public_name(config["class_name"])}
    return deserialize_keras_object(config, custom_objects)


def _public_name(name: str) -> str:
    from nyala.optimizers import ALIASES

    return ALIASES.get(name.lower(), name)
