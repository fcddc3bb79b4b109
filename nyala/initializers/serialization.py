# SPDX-License-Identifier: Apache-2.0
"""Initializers by name, and as configs and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nyala.core.serialization import deserialize_keras_object, from_identifier, serialize_keras_object
from nyala.core.variable import Variable
from nyala.engines import current


def get(identifier: Any) -> Any:
    """The initializer of a name, a config, a class or values; objects, functions and None pass.

    >>> get("he_normal").get_config()
    {'seed': None, 'input_axes': None, 'output_axes': None}
    """
    from nyala.initializers.fixed import Constant
    from nyala.initializers.initializer import Initializer

    plain = identifier is None or callable(identifier) or isinstance(identifier, (str, Mapping))  # asked first: no engine is loaded for these
    if isinstance(identifier, (np.ndarray, Variable)) or (not plain and current().is_tensor(identifier)):
        return Constant(identifier)
    return from_identifier(identifier, "nyala.initializers", Initializer, "initializer")


def serialize(initializer: Any) -> Any:
    """An initializer as a config of plain values."""
    return serialize_keras_object(initializer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The initializer of a config; names are looked up among the public, the registered and custom_objects."""
    if isinstance(config, dict) and "class_name" in config and "module" not in config:
        config = {"module": "keras.initializers", **config}
    return deserialize_keras_object(config, custom_objects)
