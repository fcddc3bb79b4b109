# SPDX-License-Identifier: Apache-2.0
"""Quantizers: objects that make integers and a scale of a tensor. Start at AbsMaxQuantizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nyala.core.configurable import Configurable
from nyala.core.errors import ArgumentError
from nyala.core.serialization import deserialize_keras_object, from_identifier, serialize_keras_object
from nyala.engines.protocol import Tensor
from nyala.quantizers.numbers import Axis, Range, abs_max_quantize


class Quantizer(Configurable):
    """Makes integers and their scale of a tensor; subclasses write `__call__`.

    Args:
        output_dtype: of the integers.
    """

    def __init__(self, output_dtype: str = "int8") -> None:
        self.output_dtype = output_dtype

    def __call__(self, x: Tensor) -> Any:
        """The integers, and the scale by which they are to be divided. The base returns x as it is."""
        return x


class AbsMaxQuantizer(Quantizer):
    """Integers by the largest absolute value: see abs_max_quantize.

    Args:
        axis: what shares a scale; None leaves it to the call.
        value_range: least and largest integer.
        epsilon: keeps the scale of zeros finite.
        output_dtype: of the integers.

    >>> import nyala
    >>> values, scale = AbsMaxQuantizer(axis=-1)(nyala.ops.array([[0.5, -1.0]]))
    >>> nyala.ops.convert_to_numpy(values).tolist(), scale.shape
    ([[63, -127]], (1, 1))
    """

    def __init__(self, axis: Axis = None, value_range: Range = (-127, 127), epsilon: float = 1e-7, output_dtype: str = "int8") -> None:
        super().__init__(output_dtype)
        self.axis = axis if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        self.value_range, self.epsilon = (value_range[0], value_range[1]), epsilon

    def __call__(self, x: Tensor, axis: Axis = None, to_numpy: bool = False) -> tuple[Tensor, Tensor]:
        """The integers of x and their scale; axis, if its own is None, by default the last."""
        axis = self.axis if self.axis is not None else -1 if axis is None else axis
        return abs_max_quantize(x, axis, self.value_range, self.output_dtype, self.epsilon, to_numpy)

    def get_config(self) -> dict[str, Any]:
        config = {"value_range": self.value_range, "epsilon": self.epsilon, "output_dtype": self.output_dtype}
        return config if self.axis is None else {**config, "axis": self.axis}


def get(identifier: Any, **kwargs: Any) -> Any:
    """The quantizer of a name, a config or a class, made with kwargs; objects, functions and None pass.

    >>> get("abs_max_quantizer", axis=-1).axis
    (-1,)
    """
    if kwargs and isinstance(identifier, str):
        name = from_identifier(identifier, "nyala.quantizers", Quantizer, "quantizer")
        return type(name)(**kwargs)
    if kwargs:
        raise ArgumentError("quantizers.get", need="keyword arguments with a name only", got=repr(identifier), fix="give them to the constructor")
    return from_identifier(identifier, "nyala.quantizers", Quantizer, "quantizer")


def serialize(initializer: Any) -> Any:
    """A quantizer as a config of plain values; Keras calls the argument initializer."""
    return serialize_keras_object(initializer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The quantizer of a config; names are looked up among the public, the registered and custom_objects."""
    if isinstance(config, dict) and "class_name" in config and "module" not in config:
        config = {"module": "keras.quantizers", **config}
    return deserialize_keras_object(config, custom_objects)
