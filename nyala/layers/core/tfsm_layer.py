# SPDX-License-Identifier: Apache-2.0
"""TFSMLayer: a SavedModel of TensorFlow as a layer."""

from __future__ import annotations

import os
from typing import Any

from nyala.core.audit import looks_through
from nyala.core.errors import UnsafePathError
from nyala.engines._interop import interop
from nyala.layers.layer import Layer


class TFSMLayer(Layer):
    """An endpoint of a SavedModel, as Model.export writes it. Needs the engine tensorflow.

    Args:
        filepath: the folder of the SavedModel. It runs code of its own: load none that you do not trust.
        call_endpoint: which endpoint `call` runs.
        call_training_endpoint: which one it runs with training=True, by default the same.
        trainable: False or True; see below.

    Differs from Keras: the weights stay in the SavedModel; they are no weights of the layer, and no gradient updates them.
    """

    def __init__(
        self,
        filepath: Any,
        call_endpoint: str = "serve",
        call_training_endpoint: str | None = None,
        trainable: bool = True,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name, dtype=dtype)
        self.filepath, self.call_endpoint, self.call_training_endpoint = os.fspath(filepath), call_endpoint, call_training_endpoint
        where = f"TFSMLayer({self.filepath!r})"
        library = interop("tensorflow", where, "export")
        self._loaded, self._call = library.load(self.filepath, call_endpoint, where)
        self._call_training = library.load(self.filepath, call_training_endpoint, where)[1] if call_training_endpoint else self._call
        self.built = True

    def call(self, inputs: Any, training: bool = False, **kwargs: Any) -> Any:
        interop("tensorflow", f"TFSMLayer {self.name!r}", "export")
        return (self._call_training if training else self._call)(inputs, **kwargs)

    def _config_of_arguments(self) -> dict[str, Any]:
        return {"filepath": self.filepath, "call_endpoint": self.call_endpoint, "call_training_endpoint": self.call_training_endpoint}

    @classmethod
    @looks_through
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None, safe_mode: bool | None = None) -> Layer:
        if safe_mode is not False:
            raise UnsafePathError(
                "TFSMLayer.from_config",
                need="safe_mode=False, which only a caller can pass",
                got=f"a config that names the SavedModel {config.get('filepath')!r}",
                why="a SavedModel runs code of its own, and a file must not choose which",
                fix="if you trust it, make the layer with TFSMLayer(filepath) and put it in the model yourself",
                rule="path-savedmodel",
            )
        return super().from_config(config)
