# SPDX-License-Identifier: Apache-2.0
"""Regularizers: scalars that grow with a weight or an output, added to the loss. Start at L1L2."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from nyala import ops
from nyala.core.configurable import Configurable
from nyala.core.errors import ArgumentError, ShapeError
from nyala.core.serialization import deserialize_keras_object, from_identifier, serialize_keras_object
from nyala.engines.protocol import Tensor


class Regularizer(Configurable):
    """A function of a tensor that returns a scalar; subclasses write `__call__`."""

    def __call__(self, x: Tensor) -> Tensor:
        """The scalar to add to the loss."""
        return 0.0


class L1L2(Regularizer):
    """l1 * sum(|x|) + l2 * sum(x**2).

    Args:
        l1, l2: factors from 0; None means 0.

    >>> import nyala
    >>> float(L1L2(0.5, 0.1)(nyala.ops.array([1.0, -3.0])))
    3.0
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1, self.l2 = _factor("L1L2(l1)", l1, 0.0), _factor("L1L2(l2)", l2, 0.0)

    def __call__(self, x: Tensor) -> Tensor:
        terms = [] if not self.l1 else [ops.multiply(self.l1, ops.sum(ops.absolute(x)))]
        terms += [] if not self.l2 else [ops.multiply(self.l2, ops.sum(ops.square(x)))]
        return sum(terms[1:], terms[0]) if terms else ops.multiply(0.0, ops.sum(ops.zeros_like(x)))


class L1(Regularizer):
    """l1 * sum(|x|): drives weights to exactly 0.

    Args:
        l1: factor from 0.
    """

    def __init__(self, l1: float = 0.01) -> None:
        self.l1 = _factor("L1(l1)", l1, 0.01)

    def __call__(self, x: Tensor) -> Tensor:
        return ops.multiply(self.l1, ops.sum(ops.absolute(x)))


class L2(Regularizer):
    """l2 * sum(x**2): keeps weights small.

    Args:
        l2: factor from 0.
    """

    def __init__(self, l2: float = 0.01) -> None:
        self.l2 = _factor("L2(l2)", l2, 0.01)

    def __call__(self, x: Tensor) -> Tensor:
        return ops.multiply(self.l2, ops.sum(ops.square(x)))


class OrthogonalRegularizer(Regularizer):
    """factor * mean(|cosine of the angle|) over all pairs of rows, or columns, of a matrix: 0 if they are orthogonal.

    Args:
        factor: from 0.
        mode: "rows" or "columns".

    >>> import nyala
    >>> float(OrthogonalRegularizer(0.5)(nyala.ops.array([[3.0, 0.0], [0.0, 2.0]])))
    0.0
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = _factor("OrthogonalRegularizer(factor)", factor, 0.01)
        if mode not in ("rows", "columns"):
            raise ArgumentError("OrthogonalRegularizer(mode)", need="'rows' or 'columns'", got=repr(mode))
        self.mode = mode

    def __call__(self, x: Tensor) -> Tensor:
        if len(x.shape) != 2:
            raise ShapeError(
                "OrthogonalRegularizer",
                need="a matrix",
                got=f"shape {tuple(x.shape)}",
                why=f"it compares {self.mode}",
                fix="reshape the weight to two axes first",
            )
        x = x if self.mode == "rows" else ops.transpose(x)  # n d
        x = ops.multiply(x, ops.rsqrt(ops.maximum(ops.sum(ops.square(x), axis=1, keepdims=True), 1e-12)))
        n = x.shape[0]
        cosines = ops.absolute(ops.matmul(x, ops.transpose(x)))  # n n
        others = ops.subtract(ops.sum(cosines), ops.sum(ops.diagonal(cosines)))
        return ops.multiply(self.factor / max(n * (n - 1), 1), others)


def _factor(where: str, value: Any, default: float) -> float:
    """A finite factor from 0 as a Python number."""
    value = default if value is None else value
    if isinstance(value, (str, bool)) or not hasattr(value, "__float__") or not 0 <= float(value) < math.inf:
        raise ArgumentError(where, need="a finite number from 0", got=repr(value), why="a negative or infinite penalty has no minimum")
    return float(value)


def get(identifier: Any) -> Any:
    """The regularizer of a name, a config or a class; objects, functions and None pass.

    >>> get("l2").get_config()
    {'l2': 0.01}
    """
    if identifier == "l1_l2":  # only Keras 2 knew this name, and there both factors were 0.01
        return L1L2(0.01, 0.01)
    return from_identifier(identifier, "nyala.regularizers", Regularizer, "regularizer")


def serialize(regularizer: Any) -> Any:
    """A regularizer as a config of plain values."""
    return serialize_keras_object(regularizer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The regularizer of a config; names are looked up among the public, the registered and custom_objects."""
    if isinstance(config, dict) and "class_name" in config and "module" not in config:
        config = {"module": "keras.regularizers", **config}
    return deserialize_keras_object(config, custom_objects)
