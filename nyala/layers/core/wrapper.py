# SPDX-License-Identifier: Apache-2.0
"""Wrapper: base of layers that act through another layer."""

from __future__ import annotations

from typing import Any

from nyala.core.audit import looks_through
from nyala.core.errors import ArgumentTypeError
from nyala.core.serialization import custom_object_scope, deserialize_keras_object
from nyala.layers.layer import Layer


class Wrapper(Layer):
    """Holds a layer, builds it and writes it into its config. Subclass it and write `call`.

    Args:
        layer: the layer inside.
    """

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        if not isinstance(layer, Layer):
            fix = "make one: Dense(3), not Dense" if isinstance(layer, type) else ""
            raise ArgumentTypeError(f"{type(self).__name__}(layer)", need="a layer", got=repr(layer), fix=fix)
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape: Any = None) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)
            self.layer.built = True

    @classmethod
    @looks_through
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Layer:
        with custom_object_scope(custom_objects):
            return super().from_config({**config, "layer": deserialize_keras_object(config["layer"])})
