# SPDX-License-Identifier: Apache-2.0
"""ReversibleEmbedding: ids to rows at the bottom of a language model, and rows to scores of ids at its top."""

from __future__ import annotations

from typing import Any

from nyala import lora, ops
from nyala.core import dtypes
from nyala.core.errors import ArgumentError
from nyala.engines.protocol import Tensor
from nyala.layers.core.embedding import Embedding
from nyala.quantizers.layers import Layout, matrix_layout, quantized_inputs, unfold


class ReversibleEmbedding(Embedding):
    """embeddings[id], as Embedding; with reverse=True, x @ transpose(embeddings): a score for each id.

    Args:
        input_dim, output_dim, embeddings_initializer, embeddings_regularizer, embeddings_constraint, mask_zero: as Embedding.
        tie_weights: whether the way back has the same weights; otherwise it has its own, (output_dim, input_dim).
        reverse_dtype: in which the scores are computed; by default that of the layer.
        logit_soft_cap: c bounds the scores smoothly, c * tanh(scores / c).

    Call arguments:
        reverse: whether inputs are rows (..., output_dim) rather than ids.

    Differs from Keras: mask_zero gives a mask.

    >>> import nyala
    >>> layer = nyala.layers.ReversibleEmbedding(11, 3)
    >>> layer(layer([[7, 2]]), reverse=True).shape
    (1, 2, 11)
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        tie_weights: bool = True,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        reverse_dtype: Any = None,
        logit_soft_cap: float | None = None,
        **kwargs: Any,
    ) -> None:
        if logit_soft_cap is not None and not (isinstance(logit_soft_cap, (int, float)) and logit_soft_cap > 0):
            raise ArgumentError("ReversibleEmbedding(logit_soft_cap)", need="a number above 0, or None", got=repr(logit_soft_cap))
        self.tie_weights, self.logit_soft_cap = tie_weights, logit_soft_cap  # first, since given weights build the layer at once
        self.reverse_dtype = None if reverse_dtype is None else dtypes.standardize_dtype(reverse_dtype)
        super().__init__(input_dim, output_dim, embeddings_initializer, embeddings_regularizer, embeddings_constraint, mask_zero, **kwargs)

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        if not self.tie_weights:
            self.reverse_embeddings = self.add_weight(
                name="reverse_embeddings", shape=(self.output_dim, self.input_dim), initializer=self.embeddings_initializer
            )
        self.adapt()

    def call(self, inputs: Tensor, reverse: bool = False) -> Tensor:
        if not reverse:
            return super().call(inputs)
        return self._scores(inputs, ops.transpose(self.embeddings) if self.tie_weights else ops.convert_to_tensor(self.reverse_embeddings))

    def quantized_call(self, inputs: Tensor, reverse: bool = False, training: bool | None = None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]  as call
        if not reverse:
            return super().quantized_call(inputs)
        kernel = ops.transpose(unfold(self, "embeddings")) if self.tie_weights else unfold(self, "reverse_embeddings")
        if self.lora_enabled and self.tie_weights:
            kernel = ops.add(kernel, ops.transpose(lora.delta(self, "embeddings")))
        return self._scores(quantized_inputs(self, inputs), kernel)

    def layouts(self) -> dict[str, Layout]:
        if self.tie_weights:
            return super().layouts()
        back = matrix_layout((self.output_dim, self.input_dim), summed=0, packed=0, zero_dtype=self.variable_dtype, indexed=False)
        return {**super().layouts(), "reverse_embeddings": back}

    def _scores(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        if self.reverse_dtype is not None:
            inputs, kernel = ops.cast(inputs, self.reverse_dtype), ops.cast(kernel, self.reverse_dtype)
        scores = ops.matmul(inputs, kernel)  # *s input_dim
        return scores if self.logit_soft_cap is None else ops.multiply(ops.tanh(ops.divide(scores, self.logit_soft_cap)), self.logit_soft_cap)

    def compute_mask(self, inputs: Tensor, previous_mask: Any = None) -> Tensor | None:
        is_ids = dtypes.is_integer(dtypes.standardize_dtype(inputs.dtype))
        return super().compute_mask(inputs) if is_ids else previous_mask  # rows come back with the mask that they had

    def get_config(self) -> dict[str, Any]:
        from nyala.core.serialization import serialize_keras_object

        return {**super().get_config(), "quantization_config": serialize_keras_object(self.quantization_config)}
