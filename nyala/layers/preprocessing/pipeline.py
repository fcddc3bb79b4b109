# SPDX-License-Identifier: Apache-2.0
"""Pipeline: preprocessing layers one after another, as one layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nyala.core.audit import looks_through
from nyala.core.errors import ArgumentTypeError
from nyala.core.serialization import deserialize_keras_object, serialize_keras_object
from nyala.layers.layer import Layer
from nyala.layers.preprocessing.host import HostLayer


class Pipeline(HostLayer):
    """Each layer on what the one before gave.

    Args:
        layers: the layers; strings go through those on the host.

    >>> import nyala
    >>> words = nyala.layers.TextVectorization(vocabulary=["a", "b"], output_sequence_length=2)
    >>> nyala.layers.Pipeline([words, nyala.layers.Identity()])(["b a", "b"]).tolist()
    [[3, 2], [3, 0]]
    """

    def __init__(self, layers: Sequence[Layer], name: str | None = None, **kwargs: Any) -> None:
        wrong = [layer for layer in layers if not isinstance(layer, Layer)]
        if wrong:
            raise ArgumentTypeError("Pipeline(layers)", need="layers", got=repr(wrong[0]), fix="pass objects, Rescaling(2.0), not Rescaling")
        super().__init__(name=name, **kwargs)
        self._pipeline_layers = list(layers)

    @property
    def layers(self) -> list[Layer]:
        return list(self._pipeline_layers)

    def call_on_host(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        for layer in self._pipeline_layers:
            inputs = layer(inputs) if training is None else layer(inputs, training=training)
        return inputs

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        return self.call_on_host(inputs, training)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "layers": [serialize_keras_object(layer) for layer in self._pipeline_layers]}

    @classmethod
    @looks_through
    def from_config(cls, config: dict[str, Any]) -> Layer:
        return cls(**{**config, "layers": [deserialize_keras_object(layer) for layer in config["layers"]]})
