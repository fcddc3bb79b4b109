# SPDX-License-Identifier: Apache-2.0
"""Lambda: any function of tensors as a layer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from nyala.core import tree
from nyala.core.errors import ArgumentTypeError, UnsafeObjectError
from nyala.core.serialization import caller_objects, custom_object_scope, revive, serialize_keras_object
from nyala.core.symbolic import Symbolic
from nyala.engines.protocol import Tensor
from nyala.layers.layer import Layer, is_shape, shapes_of


class Lambda(Layer):
    """function(inputs, **arguments).

    Args:
        function: of the inputs; gets mask and training, too, if it takes arguments of these names.
        output_shape: of a sample, or a function of the input shape; used where the shape cannot be found by running the function on shapes.
        mask: of the outputs: a tensor, or a function (inputs, mask) -> mask.
        arguments: more arguments of the function, by name.

    A config holds the name of the function, never its code: only functions made with def can be saved, and loading needs them at hand.

    >>> import nyala
    >>> nyala.ops.convert_to_numpy(nyala.layers.Lambda(lambda x: x / 255)([[0.0, 255.0]])).tolist()
    [[0.0, 1.0]]
    """

    def __init__(
        self, function: Callable, output_shape: Any = None, mask: Any = None, arguments: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None:
        if not callable(function):
            raise ArgumentTypeError("Lambda(function)", need="a function", got=repr(function))
        super().__init__(**kwargs)
        self.function, self.mask, self.arguments = function, mask, dict(arguments or {})
        self._output_shape: Any = output_shape
        self.supports_masking = mask is not None
        parameters = inspect.signature(function).parameters
        self._passes = tuple(name for name in ("mask", "training") if name in parameters)

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:
        given = {"mask": mask, "training": training}
        return self.function(inputs, **{**self.arguments, **{name: given[name] for name in self._passes}})

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Tensor | None:
        return self.mask(inputs, previous_mask) if callable(self.mask) else self.mask

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().compute_output_spec(*args, **kwargs)
        except Exception:
            if self._output_shape is None:
                raise
        inputs = args[0] if args else kwargs["inputs"]
        shape: Any = self._output_shape(shapes_of(inputs)) if callable(self._output_shape) else self._output_shape
        if not callable(self._output_shape) and is_shape(shape):
            shape = (tree.flatten(inputs)[0].shape[0], *shape)
        return Symbolic(shape, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        if getattr(self.function, "__name__", "") == "<lambda>":
            code = self.function.__code__
            fix = "write it with def, above it @nyala.saving.register_keras_serializable(), and pass its name to Lambda"
            where = f"the config of Lambda {self.name!r}"
            raise ArgumentTypeError(
                where,
                need="a function with a name",
                got=f"a lambda (line {code.co_firstlineno} of {code.co_filename})",
                why="a config holds no code",
                fix=fix,
            )
        config = {**super().get_config(), "function": serialize_keras_object(self.function)}
        if self._output_shape is not None:
            config["output_shape"] = serialize_keras_object(self._output_shape) if callable(self._output_shape) else self._output_shape
        if self.mask is not None:
            config["mask"] = serialize_keras_object(self.mask)
        return {**config, "arguments": {name: serialize_keras_object(value) for name, value in self.arguments.items()}}

    def _config_of_arguments(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Layer:
        config = dict(config)
        with custom_object_scope(custom_objects):
            for key in ("function", "mask", "output_shape", "arguments"):
                value = config.get(key)
                if isinstance(value, dict) and value.get("class_name") == "__lambda__":
                    given = caller_objects(str(config.get("name"))) if key == "function" else None
                    if not callable(given):
                        raise UnsafeObjectError(
                            f"Lambda.from_config({key})",
                            need="the name of a function",
                            got="the bytes of a lambda",
                            why="running code from a file is not safe",
                            fix=f"write it with def again, and pass it by the name of the layer: custom_objects={{{config.get('name')!r}: function}}",
                            rule="object-lambda",
                        )
                    config[key] = given
                elif isinstance(value, dict):
                    config[key] = revive(value, key)
            return super().from_config(config)
