# SPDX-License-Identifier: Apache-2.0
"""Masking: steps of a sequence that do not count, marked by a value."""

from __future__ import annotations

from typing import Any

from nyala import ops
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_number
from nyala.layers.layer import Layer


class Masking(Layer):
    """x, with steps whose features all equal mask_value set to 0 and masked: the layers behind skip them.

    Args:
        mask_value: of the steps to skip.

    >>> import nyala
    >>> layer, x = nyala.layers.Masking(), nyala.ops.convert_to_tensor([[[1.0, 0.0], [0.0, 0.0]]])
    >>> nyala.ops.convert_to_numpy(layer.compute_mask(x)).tolist()
    [[True, False]]
    """

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mask_value = as_number("Masking(mask_value)", mask_value)
        self.supports_masking = True

    def compute_mask(self, inputs: Tensor, previous_mask: Any = None) -> Tensor:
        return ops.any(ops.not_equal(inputs, self.mask_value), -1)

    def call(self, inputs: Tensor) -> Tensor:
        counts = ops.any(ops.not_equal(inputs, self.mask_value), -1, keepdims=True)
        return inputs * ops.cast(counts, inputs.dtype)
