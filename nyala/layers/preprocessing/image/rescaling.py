# SPDX-License-Identifier: Apache-2.0
"""Rescaling: values times a number, plus another."""

from __future__ import annotations

from typing import Any

from nyala import ops
from nyala.engines.protocol import Tensor
from nyala.layers.layer import Layer


class Rescaling(Layer):
    """inputs * scale + offset, as floats.

    Args:
        scale, offset: numbers, or arrays that broadcast with inputs: one per channel.

    >>> import nyala
    >>> nyala.layers.Rescaling(1 / 127.5, offset=-1.0)([0, 255]).tolist()
    [-1.0, 1.0]
    """

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale, self.offset = scale, offset
        self.supports_masking = True

    def call(self, inputs: Any) -> Tensor:
        number = lambda x: ops.cast(ops.convert_to_tensor(x), self.compute_dtype)  # noqa: E731
        return ops.add(ops.multiply(number(inputs), number(self.scale)), number(self.offset))
