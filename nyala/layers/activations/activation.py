# SPDX-License-Identifier: Apache-2.0
"""Activation: any activation function as a layer."""

from __future__ import annotations

from typing import Any

from nyala import activations
from nyala.engines.protocol import Tensor
from nyala.layers.layer import Layer


class Activation(Layer):
    """activation(x), element by element or along the last axis.

    Args:
        activation: name or function.

    >>> import nyala
    >>> nyala.ops.convert_to_numpy(nyala.layers.Activation("relu")([[-1.0, 2.0]])).tolist()
    [[0.0, 2.0]]
    """

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation)
        self.supports_masking = True

    def call(self, inputs: Tensor) -> Tensor:
        return self.activation(inputs)
