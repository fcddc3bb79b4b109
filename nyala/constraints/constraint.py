# SPDX-License-Identifier: Apache-2.0
"""Constraints: functions of a weight that return it, moved to where it may be. Start at MinMaxNorm; its norms are those of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nyala import ops
from nyala.core import config as settings
from nyala.core.configurable import Configurable
from nyala.core.serialization import deserialize_keras_object, from_identifier, serialize_keras_object
from nyala.engines.protocol import Tensor


class Constraint(Configurable):
    """A function of a weight that returns it moved to where it may be; subclasses write `__call__`."""

    def __call__(self, w: Tensor) -> Tensor:
        """The weight, moved."""
        return w


def _norms(w: Tensor, axis: Any) -> Tensor:
    """Euclidean norms along axis, kept as axes of size 1."""
    return ops.sqrt(ops.sum(ops.square(w), axis=list(axis) if isinstance(axis, (list, tuple)) else axis, keepdims=True))


class MinMaxNorm(Constraint):
    """w * n' / n with n = |w| along axis and n' = rate * clip(n, min_value, max_value) + (1 - rate) * n.

    Args:
        min_value, max_value: bounds of the norm.
        rate: 0 to 1: how far one update moves the norm into the bounds.
        axis: int or several: what one norm is taken over; 0 for a Dense kernel (inputs, units), [0, 1, 2] for a Conv2D kernel.

    >>> import nyala
    >>> nyala.ops.convert_to_numpy(MinMaxNorm(0.0, 1.0)(nyala.ops.array([[3.0], [4.0]])))
    array([[0.6],
           [0.8]], dtype=float32)
    """

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: int | Sequence[int] = 0) -> None:
        self.min_value, self.max_value, self.rate, self.axis = min_value, max_value, rate, axis

    def __call__(self, w: Tensor) -> Tensor:
        norms = _norms(w, self.axis)
        wanted = ops.add(ops.multiply(ops.clip(norms, self.min_value, self.max_value), self.rate), ops.multiply(norms, 1 - self.rate))
        return ops.multiply(w, ops.divide(wanted, ops.add(norms, settings.epsilon())))


class MaxNorm(Constraint):
    """w, scaled down along axis where its norm exceeds max_value.

    Args:
        max_value: the largest norm.
        axis: int or several: what one norm is taken over.
    Source: Srivastava, Hinton et al. 2014, Dropout: a simple way to prevent neural networks from overfitting.
    """

    def __init__(self, max_value: float = 2, axis: int | Sequence[int] = 0) -> None:
        self.max_value, self.axis = max_value, axis

    def __call__(self, w: Tensor) -> Tensor:
        norms = _norms(w, self.axis)
        return ops.multiply(w, ops.divide(ops.clip(norms, 0, self.max_value), ops.add(norms, settings.epsilon())))


class UnitNorm(Constraint):
    """w / |w| along axis; 0 stays 0.

    Args:
        axis: int or several: what one norm is taken over.
    """

    def __init__(self, axis: int | Sequence[int] = 0) -> None:
        self.axis = axis

    def __call__(self, w: Tensor) -> Tensor:
        return ops.divide(w, ops.add(_norms(w, self.axis), settings.epsilon()))


class NonNeg(Constraint):
    """max(w, 0)."""

    def __call__(self, w: Tensor) -> Tensor:
        return ops.maximum(w, 0.0)


def get(identifier: Any) -> Any:
    """The constraint of a name, a config or a class; objects, functions and None pass.

    >>> get("max_norm").get_config()
    {'max_value': 2, 'axis': 0}
    """
    return from_identifier(identifier, "nyala.constraints", Constraint, "constraint")


def serialize(constraint: Any) -> Any:
    """A constraint as a config of plain values."""
    return serialize_keras_object(constraint)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The constraint of a config; names are looked up among the public, the registered and custom_objects."""
    if isinstance(config, dict) and "class_name" in config and "module" not in config:
        config = {"module": "keras.constraints", **config}
    return deserialize_keras_object(config, custom_objects)
