# SPDX-License-Identifier: Apache-2.0
"""Dense: every output is a weighted sum of all features."""

from __future__ import annotations

from typing import Any

from nyala import activations, constraints, initializers, ops, regularizers
from nyala.engines.protocol import Tensor
from nyala.layers.adaptable import Quantizable, main_weight
from nyala.layers.arguments import as_count
from nyala.layers.input_spec import InputSpec
from nyala.quantizers.layers import Layout, matrix_layout


class Dense(Quantizable):
    """activation(x @ kernel + bias), over the last axis.

    Args:
        units: number of outputs.
        activation: name or function; None for none.
        use_bias: whether bias is added.
        kernel_initializer, bias_initializer: of kernel (features, units) and bias (units,).
        kernel_regularizer, bias_regularizer: of the weights, added to the loss.
        activity_regularizer: of the outputs, added to the loss.
        kernel_constraint, bias_constraint: applied to the weights after each update.
        lora_rank, lora_alpha: low-rank weights from the start, as enable_lora adds them later.
        quantization_config: how, if the dtype policy says that weights are quantized.

    Differs from Keras: lora_alpha counts as an argument, too.

    >>> import nyala
    >>> nyala.layers.Dense(3, activation="relu")(nyala.ops.ones((2, 5))).shape
    (2, 3)
    """

    kernel = main_weight("kernel")

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        units = as_count("Dense(units)", units)
        adaptation = {"lora_rank": lora_rank, "lora_alpha": lora_alpha, "quantization_config": quantization_config}
        super().__init__(activity_regularizer=activity_regularizer, **adaptation, **kwargs)
        self.units, self.use_bias = units, use_bias
        self.activation = activations.get(activation)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        features = input_shape[-1]
        self.kernel = self.add_weight(
            name="kernel",
            shape=(features, self.units),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.units,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.input_spec = InputSpec(min_ndim=2, axes={-1: features})
        self.adapt()

    def call(self, inputs: Tensor) -> Tensor:
        return self.finish(self.product(inputs, self.kernel))

    def product(self, inputs: Tensor, kernel: Any) -> Tensor:
        return ops.matmul(inputs, kernel)  # *s units

    def finish(self, x: Tensor) -> Tensor:
        """activation(x + bias)"""
        if self.bias is not None:
            x = ops.add(x, self.bias)
        return x if self.activation is None else self.activation(x)

    def layouts(self) -> dict[str, Layout]:
        return {"kernel": matrix_layout(self.full_shape, summed=0)}

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if self.activity_regularizer is None:
            config.pop("activity_regularizer", None)
        return config
