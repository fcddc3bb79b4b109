# SPDX-License-Identifier: Apache-2.0
"""ThresholdedReLU: what is above a threshold. A layer of Keras 1 and 2; ReLU(threshold) differs, its outputs begin at 0."""

from __future__ import annotations

from typing import Any

from nyala import ops
from nyala.core.errors import ArgumentError
from nyala.engines.protocol import Tensor
from nyala.layers.layer import Layer


class ThresholdedReLU(Layer):
    """x where x > theta, else 0.

    Args:
        theta: from 0.
    Source: Konda, Memisevic, Krueger 2015, Zero-bias autoencoders and the benefits of co-adapting features.

    >>> import nyala
    >>> nyala.ops.convert_to_numpy(nyala.layers.ThresholdedReLU()([-2.0, 1.0, 1.5])).tolist()
    [0.0, 0.0, 1.5]
    """

    def __init__(self, theta: float = 1.0, **kwargs: Any) -> None:
        if isinstance(theta, bool) or not isinstance(theta, (int, float)) or theta < 0:
            raise ArgumentError("ThresholdedReLU(theta)", need="a number from 0", got=repr(theta))
        super().__init__(**kwargs)
        self.theta = float(theta)
        self.supports_masking = True

    def call(self, inputs: Tensor) -> Tensor:
        return ops.where(ops.less_equal(inputs, self.theta), 0.0, inputs)  # a nan stays
