# SPDX-License-Identifier: Apache-2.0
"""CategoryEncoding: integers as rows of zeros and ones."""

from __future__ import annotations

from typing import Any

from nyala import ops
from nyala.core import dtypes
from nyala.core.errors import ArgumentError
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_count
from nyala.layers.layer import Layer
from nyala.layers.preprocessing.host import as_mode, encode


class CategoryEncoding(Layer):
    """Integers of [0, num_tokens) as rows of num_tokens numbers; other integers are left out.

    Args:
        num_tokens: length of a row.
        output_mode: "one_hot" a row per integer, "multi_hot" one row for all along the last axis, "count" how often each is among them.
        sparse: results are dense either way.

    `count_weights`, an argument of the call, says with "count" how much each integer counts.

    >>> import nyala
    >>> nyala.ops.convert_to_numpy(nyala.layers.CategoryEncoding(4)([[1, 3], [0, 0]])).tolist()
    [[0.0, 1.0, 0.0, 1.0], [1.0, 0.0, 0.0, 0.0]]
    """

    def __init__(self, num_tokens: int | None = None, output_mode: str = "multi_hot", sparse: bool = False, **kwargs: Any) -> None:
        if num_tokens is None:
            raise ArgumentError("CategoryEncoding(num_tokens)", need="a positive integer", got="None", fix="let IntegerLookup find the integers")
        num_tokens = as_count("CategoryEncoding(num_tokens)", num_tokens)
        as_mode("CategoryEncoding", output_mode, ("multi_hot", "one_hot", "count"))
        super().__init__(**kwargs)
        self.num_tokens, self.output_mode, self.sparse = num_tokens, output_mode, bool(sparse)

    def call(self, inputs: Tensor, count_weights: Any = None) -> Tensor:
        if count_weights is not None and self.output_mode != "count":
            raise ArgumentError(
                f"CategoryEncoding {self.name!r} (count_weights)", need="None unless output_mode is 'count'", got=f"weights with {self.output_mode!r}"
            )
        ids = inputs if dtypes.is_integer(dtypes.standardize_dtype(inputs.dtype)) else ops.cast(inputs, "int32")
        return encode(ids, self.output_mode, self.num_tokens, self.compute_dtype, count_weights)

    def get_config(self) -> dict[str, Any]:
        return {key: value for key, value in super().get_config().items() if key != "sparse"}
