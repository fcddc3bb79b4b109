# SPDX-License-Identifier: Apache-2.0
"""Embedding: a row of numbers for each id."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nyala import constraints, initializers, lora, ops, regularizers
from nyala.core import dtypes
from nyala.core.errors import NyalaError
from nyala.core.variable import Variable
from nyala.engines import engine
from nyala.engines.protocol import Tensor
from nyala.layers.adaptable import Quantizable, main_weight
from nyala.layers.arguments import as_count
from nyala.quantizers.layers import Layout, matrix_layout, unfold


class IdError(NyalaError, IndexError):
    """An id is beyond the rows of an embedding."""


class Embedding(Quantizable):
    """embeddings[id]: integers of any shape become rows of output_dim numbers.

    Args:
        input_dim: number of ids; ids are 0 to input_dim - 1.
        output_dim: size of a row.
        embeddings_initializer: of the rows (input_dim, output_dim).
        embeddings_regularizer: of all rows, added to the loss.
        embeddings_constraint: applied after each update.
        mask_zero: id 0 is padding: it is masked, and the layers behind skip it.
        weights: the rows themselves, an array or a list with one.
        lora_rank, lora_alpha: low-rank weights from the start, as enable_lora adds them later.
        quantization_config: how, if the dtype policy says that weights are quantized.

    input_length, an argument of Keras 2, declares inputs of shape (b, input_length).

    Raises: IndexError for an id from input_dim, where the engine sees values; in compiled functions its row is nan.

    >>> import nyala
    >>> nyala.layers.Embedding(10, 3)(nyala.ops.convert_to_tensor([[7, 2]])).shape
    (1, 2, 3)
    """

    _adapted, _modes = "embeddings", ("int8", "int4")
    embeddings = main_weight("embeddings")
    _embeddings: Variable

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        input_dim, output_dim = as_count("Embedding(input_dim)", input_dim), as_count("Embedding(output_dim)", output_dim)
        length = kwargs.pop("input_length", None)
        if length is not None:
            kwargs["input_shape"] = (length,)
        super().__init__(lora_rank=lora_rank, lora_alpha=lora_alpha, quantization_config=quantization_config, **kwargs)
        self.input_dim, self.output_dim, self.mask_zero = input_dim, output_dim, mask_zero
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.supports_masking = mask_zero
        self.autocast = False  # ids given as floats must not be rounded
        if weights is not None:
            self._first_weights = list(weights) if isinstance(weights, (list, tuple)) and len(weights) == 1 else [weights]
            self.build()

    def build(self, input_shape: Any = None) -> None:
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(self.input_dim, self.output_dim),
            initializer=self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
        )
        if type(self).build is Embedding.build:  # else a subclass, which has more weights to make
            self.adapt()

    def call(self, inputs: Tensor) -> Tensor:
        return self._look_up(inputs, lambda ids: ops.take(self._embeddings, ids, axis=0))  # *s output_dim

    def quantized_call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        return self._look_up(inputs, lambda ids: unfold(self, "embeddings", rows=ids))

    def layouts(self) -> dict[str, Layout]:
        return {"embeddings": matrix_layout(self.full_shape, summed=1)}

    def _look_up(self, inputs: Tensor, rows: Callable[[Tensor], Tensor]) -> Tensor:
        """The rows of ids, with what low-rank weights add to them."""
        ids = inputs if dtypes.is_integer(dtypes.standardize_dtype(inputs.dtype)) else ops.cast(inputs, "int32")
        try:
            return ops.add(rows(ids), lora.delta(self, "embeddings", ids)) if self.lora_enabled else rows(ids)
        except IndexError as error:
            raise self._id_error(ids) from error

    def _id_error(self, ids: Tensor) -> IdError:
        values = engine.to_numpy(ids)
        wrong = values[(values >= self.input_dim) | (values < -self.input_dim)]
        fix = f"make it Embedding({int(values.max()) + 1}, {self.output_dim}), or map rare ids to one that it has"
        return IdError(
            f"Embedding {self.name!r}",
            need=f"ids from 0 to {self.input_dim - 1}",
            got=f"{int(wrong.flat[0])}",
            why=f"input_dim is {self.input_dim}",
            fix=fix,
        )

    def compute_mask(self, inputs: Tensor, previous_mask: Any = None) -> Tensor | None:
        if not self.mask_zero:
            return previous_mask
        mask = ops.not_equal(inputs, 0)
        return mask if previous_mask is None else ops.logical_and(mask, previous_mask)

    def get_config(self) -> dict[str, Any]:
        config = {name: value for name, value in super().get_config().items() if name != "weights"}
        return {"activity_regularizer": None, **config}
