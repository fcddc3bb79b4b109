# SPDX-License-Identifier: Apache-2.0
"""MaxoutDense: the largest of several dense layers, output by output. A layer of Keras 1 and 2, with their arguments."""

from __future__ import annotations

from typing import Any

from nyala import constraints, initializers, ops, regularizers
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_count
from nyala.layers.input_spec import InputSpec
from nyala.layers.layer import Layer


class MaxoutDense(Layer):
    """max over k of (x @ W[k] + b[k]): a convex function of (b, d), linear in pieces, that is learned.

    Args:
        output_dim: number of outputs.
        nb_feature: number of pieces k.
        init: initializer of W (nb_feature, d, output_dim); b (nb_feature, output_dim) begins at 0.
        weights: first values of W and b.
        W_regularizer, b_regularizer: of the weights, added to the loss.
        activity_regularizer: of the outputs, added to the loss.
        W_constraint, b_constraint: applied to the weights after each update.
        bias: whether b is added.
        input_dim: d.
    Source: Goodfellow and others 2013, Maxout networks.

    >>> import nyala
    >>> nyala.layers.MaxoutDense(3)(nyala.ops.ones((2, 5))).shape
    (2, 3)
    """

    def __init__(
        self,
        output_dim: int,
        nb_feature: int = 4,
        init: Any = "glorot_uniform",
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
        output_dim, nb_feature = as_count("MaxoutDense(output_dim)", output_dim), as_count("MaxoutDense(nb_feature)", nb_feature)
        super().__init__(activity_regularizer=activity_regularizer, weights=weights, input_dim=input_dim, **kwargs)
        self.output_dim, self.nb_feature, self.bias, self.input_dim = output_dim, nb_feature, bias, input_dim
        self.init = initializers.get(init)
        self.W_regularizer, self.b_regularizer = regularizers.get(W_regularizer), regularizers.get(b_regularizer)
        self.W_constraint, self.b_constraint = constraints.get(W_constraint), constraints.get(b_constraint)
        self.input_spec = InputSpec(ndim=2)

    def build(self, input_shape: Any) -> None:
        shape = (self.nb_feature, input_shape[-1], self.output_dim)
        self.W = self.add_weight(name="W", shape=shape, initializer=self.init, regularizer=self.W_regularizer, constraint=self.W_constraint)
        self.b = None
        if self.bias:
            shape = (self.nb_feature, self.output_dim)
            self.b = self.add_weight(name="b", shape=shape, initializer="zeros", regularizer=self.b_regularizer, constraint=self.b_constraint)
        self.input_spec = InputSpec(ndim=2, axes={-1: input_shape[-1]})

    def call(self, inputs: Tensor) -> Tensor:
        pieces = ops.matmul(inputs, self.W)  # k b o
        if self.b is not None:
            pieces = ops.add(pieces, ops.expand_dims(self.b, 1))
        return ops.max(pieces, axis=0)

    def _config_of_arguments(self) -> dict[str, Any]:
        return {name: value for name, value in super()._config_of_arguments().items() if name != "weights"}
