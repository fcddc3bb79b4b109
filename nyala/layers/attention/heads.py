# SPDX-License-Identifier: Apache-2.0
"""What layers with attention heads share: projections, masks, and the weighted means. Start at Heads.attend."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

from nyala import activations, constraints, initializers, ops, random, regularizers
from nyala.core.errors import ArgumentError, ShapeError
from nyala.core.seeds import SeedGenerator
from nyala.core.serialization import serialize_keras_object
from nyala.dtype_policies import DTypePolicyMap
from nyala.engines.protocol import Tensor
from nyala.layers.adaptable import Quantizable, main_weight
from nyala.layers.configuring import revived
from nyala.layers.input_spec import InputSpec
from nyala.layers.layer import Layer, shapes_of
from nyala.ops import nn_attention
from nyala.quantizers.configs import is_usual
from nyala.quantizers.layers import Layout


class HeadProjection(Quantizable):
    """A matrix product that makes or merges heads: x @ kernel + bias, with the kernel and the bias shaped by heads.

    Args:
        heads: shape of the last axes of the result, (num_heads, size), or (size,) when heads are merged.
        merge: number of last axes of the input that are one: 1 splits into heads, 2 merges them.
    """

    kernel = main_weight("kernel")

    def __init__(
        self,
        heads: tuple[int, ...],
        merge: int = 1,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.heads, self.merge, self.use_bias, self.activation = tuple(heads), merge, use_bias, activations.linear
        self.kernel_initializer, self.bias_initializer = initializers.get(kernel_initializer), initializers.get(bias_initializer)
        self.kernel_regularizer, self.bias_regularizer = regularizers.get(kernel_regularizer), regularizers.get(bias_regularizer)
        self.kernel_constraint, self.bias_constraint = constraints.get(kernel_constraint), constraints.get(bias_constraint)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        inputs = [n for n in input_shape[-self.merge :] if n is not None]
        if len(inputs) < self.merge:
            raise ShapeError(f"{type(self).__name__} {self.name!r}", need="an input whose last axis has a known size", got=f"shape {input_shape}")
        self._inputs, self._outputs, self._leading = math.prod(inputs), math.prod(self.heads), len(input_shape) - self.merge

        def as_matrix(shape: tuple[int, ...], dtype: Any = None) -> Tensor:
            """Values drawn for the matrix that the kernel is: its fans are those of the whole projection."""
            return ops.reshape(self.kernel_initializer((self._inputs, self._outputs), dtype=dtype), shape)

        self.kernel = self.add_weight(
            name="kernel", shape=(*inputs, *self.heads), initializer=as_matrix, regularizer=self.kernel_regularizer, constraint=self.kernel_constraint
        )
        self.bias = (
            self.add_weight(
                name="bias", shape=self.heads, initializer=self.bias_initializer, regularizer=self.bias_regularizer, constraint=self.bias_constraint
            )
            if self.use_bias
            else None
        )
        self.input_spec = InputSpec(ndim=len(input_shape), axes={-1 - i: n for i, n in enumerate(reversed(inputs))})
        self.adapt()

    def call(self, x: Tensor) -> Tensor:
        lead = tuple(x.shape)[: -self.merge]
        x = self._product(x, self.kernel)
        if self.bias is not None:
            x = ops.add(x, ops.reshape(self.bias, (self._outputs,)))
        return ops.reshape(x, (*lead, *self.heads))

    def _product(self, x: Tensor, kernel: Any) -> Tensor:
        """The product with heads in one axis."""
        lead = tuple(x.shape)[: -self.merge]
        return ops.matmul(ops.reshape(x, (*lead, self._inputs)), ops.reshape(kernel, (self._inputs, self._outputs)))

    def product(self, inputs: Tensor, kernel: Any) -> Tensor:
        return ops.reshape(self._product(inputs, kernel), (*tuple(inputs.shape)[: -self.merge], *self.heads))

    def finish(self, x: Tensor) -> Tensor:
        """x + bias"""
        return x if self.bias is None else ops.add(x, self.bias)

    def summed_inputs(self) -> tuple[int, ...]:
        return tuple(range(-self.merge, 0))

    def layouts(self) -> dict[str, Layout]:
        shape, scale = self.full_shape, (*[1] * self._leading, *self.heads)
        return {"kernel": Layout(shape, tuple(range(self.merge)), tuple(range(len(shape))), scale, (self._inputs, self._outputs))}


class Heads(Layer):
    """Base of layers with attention heads: what their constructors store, and attention itself. The axes of heads come right before positions."""

    def __init__(
        self,
        counts: dict[str, Any],
        dropout: float,
        use_bias: bool,
        sliding_window: int | None,
        flash_attention: bool | None,
        kernel_initializer: Any,
        bias_initializer: Any,
        kernel_regularizer: Any,
        bias_regularizer: Any,
        kernel_constraint: Any,
        bias_constraint: Any,
        use_gate: bool,
        seed: int | None,
        **kwargs: Any,
    ) -> None:
        policies = kwargs.get("dtype")
        self._policies = policies if isinstance(policies, DTypePolicyMap) else {}
        self._quantization_configs = {name: revived(config) for name, config in (kwargs.pop("quantization_config", None) or {}).items()}
        super().__init__(**kwargs)
        where = type(self).__name__
        for name, value in {**counts, "sliding_window": sliding_window}.items():
            if value is not None and (not isinstance(value, int) or value < 1):
                raise ArgumentError(f"{where}({name})", need="an integer of at least 1", got=repr(value))
        if not isinstance(dropout, (int, float)) or not 0 <= dropout < 1:
            raise ArgumentError(f"{where}(dropout)", need="a share in [0, 1)", got=repr(dropout))
        self.dropout, self.use_bias, self.use_gate = dropout, use_bias, use_gate
        self.sliding_window, self.flash_attention = sliding_window, flash_attention
        self.kernel_initializer, self.bias_initializer = initializers.get(kernel_initializer), initializers.get(bias_initializer)
        self.kernel_regularizer, self.bias_regularizer = regularizers.get(kernel_regularizer), regularizers.get(bias_regularizer)
        self.kernel_constraint, self.bias_constraint = constraints.get(kernel_constraint), constraints.get(bias_constraint)
        self.supports_masking = True
        self.seed = seed
        if dropout > 0:
            self.seed_generator = SeedGenerator(seed)

    def _projection(self, name: str, heads: tuple[int, ...], merge: int = 1) -> HeadProjection:
        policy = self._policies[f"{self.name}/{name}"] if self._policies else self.dtype_policy
        return HeadProjection(
            heads, merge, self.use_bias,
            # each projection draws values of its own from a kind of initializer
            _fresh(self.kernel_initializer), _fresh(self.bias_initializer), self.kernel_regularizer, self.bias_regularizer,
            self.kernel_constraint, self.bias_constraint, name=name, dtype=policy, quantization_config=self._quantization_configs.get(name),
            activity_regularizer=self.activity_regularizer,
        )  # fmt: skip

    def _heads_first(self, x: Tensor) -> Tensor:
        """(b, t, n, h) as (b, n, t, h)."""
        return ops.swapaxes(x, 1, 2)

    def attend(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, training: bool | None, wants_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        """(weighted means of the values, weights if wanted) for q (..., n, t, h), k (..., m, s, h) and v (..., m, s, e), m a divisor of n."""
        drops = training and self.dropout > 0
        if not drops and not wants_weights:
            return nn_attention.attend(q, k, v, mask), None
        weights = nn_attention.attention_weights(q, k, mask)
        dropped = random.dropout(weights, self.dropout, seed=self.seed_generator) if drops else weights
        return nn_attention.attention_means(dropped, v), weights

    def _mask(
        self, value_masks: Sequence[Any], attention_mask: Any, causal: bool, t: tuple[int, ...], s: tuple[int, ...], lead: tuple[int, ...]
    ) -> Tensor | None:
        """All masks as one bool tensor that broadcasts against (*lead, t, s) with flat positions; None without any."""
        rows, columns = math.prod(t), math.prod(s)
        parts = [self._of_values(ops.cast(mask, "bool"), columns, lead) for mask in value_masks if mask is not None]
        if causal or self.sliding_window is not None:
            distance = ops.subtract(ops.reshape(ops.arange(rows), (rows, 1)), ops.reshape(ops.arange(columns), (1, columns)))
            parts += [ops.greater_equal(distance, 0)] if causal else []
            parts += [ops.less(ops.absolute(distance), self.sliding_window)] if self.sliding_window is not None else []
        if attention_mask is not None:
            given = ops.cast(attention_mask, "bool")
            front, sizes = tuple(given.shape)[: -len(t + s)], tuple(given.shape)[-len(t + s) :]
            if len(front) > len(lead) or len(sizes) < len(t + s) or any(n not in (1, m) for n, m in zip(sizes, t + s, strict=True)):
                wanted = shapes_of(ops.zeros((lead[0], *t, *s), dtype="bool"))
                raise ShapeError(
                    f"{type(self).__name__} {self.name!r}(attention_mask)",
                    need=f"shape {wanted}, sizes 1 allowed, or heads after the batch",
                    got=f"{shapes_of(given)}",
                )
            given = ops.broadcast_to(given, (*front, *t, *s))
            parts.append(ops.reshape(given, (*front, *[1] * (len(lead) - len(front)), rows, columns)))
        return functools.reduce(ops.logical_and, parts) if parts else None

    def _of_values(self, mask: Tensor, columns: int, lead: tuple[int, ...]) -> Tensor:
        """A mask (b, s), or one over all axes of the values but the last, in the axes of the scores."""
        if mask.ndim == 2:
            return ops.reshape(mask, (mask.shape[0], *[1] * len(lead), columns))
        mask = self._heads_first(ops.reshape(mask, (*mask.shape, 1, 1)))  # b *rest 1 *s 1
        return ops.reshape(mask, (*tuple(mask.shape)[: len(lead)], 1, columns))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return previous_mask

    def _config_of_arguments(self) -> dict[str, Any]:
        config = super()._config_of_arguments()
        del config["flash_attention"]
        return config

    def get_config(self) -> dict[str, Any]:
        """Projections that were quantized by themselves are named in a map of policies."""
        config = super().get_config()
        quantized = [layer for layer in self._sublayers() if isinstance(layer, HeadProjection) and layer.quantization_mode is not None]
        if any(layer.dtype_policy != self.dtype_policy for layer in quantized):
            policies = DTypePolicyMap(self.dtype_policy, {f".*/{layer.name}": layer.dtype_policy for layer in quantized})
            config["dtype"] = serialize_keras_object(policies)
        chosen = {
            layer.name: serialize_keras_object(layer.quantization_config)
            for layer in quantized
            if not is_usual(layer.quantization_config, layer.dtype_policy)
        }
        return {**config, "quantization_config": chosen} if chosen else config


def _fresh(initializer: Any) -> Any:
    """An initializer like this one that draws values of its own, unless its seed is fixed."""
    return type(initializer).from_config(initializer.get_config()) if hasattr(initializer, "get_config") else initializer
