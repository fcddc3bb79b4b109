# SPDX-License-Identifier: Apache-2.0
"""Highway: a dense layer whose gate decides how much of the input goes past it. A layer of Keras 1 and 2, with their arguments."""

from __future__ import annotations

from typing import Any

from nyala import activations, constraints, initializers, ops, regularizers
from nyala.engines.protocol import Tensor
from nyala.initializers.initializer import Initializer
from nyala.layers.input_spec import InputSpec
from nyala.layers.layer import Layer


class Highway(Layer):
    """gate * activation(x @ W + b) + (1 - gate) * x, with gate = sigmoid(x @ W_carry + b_carry), for x (b, d).

    Args:
        init: initializer of W and W_carry (d, d); b begins at 0 and b_carry at 1, both (d,).
        activation: name or function; None for none.
        weights: first values of W, W_carry, b, b_carry.
        W_regularizer, b_regularizer: of W and b, added to the loss.
        activity_regularizer: of the outputs, added to the loss.
        W_constraint, b_constraint: applied to W and b after each update.
        bias: whether there are b and b_carry.
        input_dim: d.
    Source: Srivastava, Greff, Schmidhuber 2015, Highway networks; they begin with b_carry below 0.

    >>> import nyala
    >>> nyala.layers.Highway(activation="relu")(nyala.ops.ones((2, 5))).shape
    (2, 5)
    """

    def __init__(
        self,
        init: Any = "glorot_uniform",
        activation: Any = None,
        weights: Any = None,
        W_regularizer: Any = None,
        b_regularizer: Any = None,
        activity_regularizer: Any = None,
        W_constraint: Any = None,
        b_constraint: Any = None,
        bias: bool = True,
        input_dim: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, weights=weights, input_dim=input_dim, **kwargs)
        self.bias, self.input_dim = bias, input_dim
        self.init, self.activation = initializers.get(init), activations.get(activation)
        self.W_regularizer, self.b_regularizer = regularizers.get(W_regularizer), regularizers.get(b_regularizer)
        self.W_constraint, self.b_constraint = constraints.get(W_constraint), constraints.get(b_constraint)
        self.input_spec = InputSpec(ndim=2)

    def build(self, input_shape: Any) -> None:
        size = input_shape[-1]
        other = self.init.clone() if isinstance(self.init, Initializer) else self.init  # the same object would draw the same again
        self.W = self.add_weight(name="W", shape=(size, size), initializer=self.init, regularizer=self.W_regularizer, constraint=self.W_constraint)
        self.W_carry = self.add_weight(name="W_carry", shape=(size, size), initializer=other)
        self.b = self.b_carry = None
        if self.bias:
            self.b = self.add_weight(name="b", shape=(size,), initializer="zeros", regularizer=self.b_regularizer, constraint=self.b_constraint)
            self.b_carry = self.add_weight(name="b_carry", shape=(size,), initializer="ones")
        self.input_spec = InputSpec(ndim=2, axes={-1: size})

    def call(self, inputs: Tensor) -> Tensor:
        gate, x = ops.matmul(inputs, self.W_carry), ops.matmul(inputs, self.W)
        if self.b is not None:
            gate, x = ops.add(gate, self.b_carry), ops.add(x, self.b)
        gate = ops.sigmoid(gate)
        return ops.add(ops.multiply(gate, self.activation(x)), ops.multiply(ops.subtract(1.0, gate), inputs))

    def _config_of_arguments(self) -> dict[str, Any]:
        return {name: value for name, value in super()._config_of_arguments().items() if name != "weights"}
