# SPDX-License-Identifier: Apache-2.0
"""GaussianNoise, GaussianDropout and ActivityRegularization."""

from __future__ import annotations

import math
from typing import Any

from nyala import ops, random, regularizers
from nyala.core.errors import ArgumentError
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_fraction
from nyala.layers.layer import Layer


class GaussianNoise(Layer):
    """In training x + noise, normal with mean 0; otherwise x.

    Args:
        stddev: of the noise, from 0.
        seed: makes the noise repeat from one run to the next.
    """

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        if isinstance(stddev, bool) or not isinstance(stddev, (int, float)) or not stddev >= 0:
            raise ArgumentError("GaussianNoise(stddev)", need="a number from 0", got=repr(stddev))
        super().__init__(**kwargs)
        self.stddev, self.seed = stddev, seed
        if stddev > 0:
            self.seed_generator = random.SeedGenerator(seed)
        self.supports_masking = True

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        if not training or self.stddev == 0:
            return inputs
        return ops.add(inputs, random.normal(inputs.shape, 0.0, self.stddev, dtype=self.compute_dtype, seed=self.seed_generator))


class GaussianDropout(Layer):
    """In training x * noise, normal with mean 1 and standard deviation sqrt(rate / (1 - rate)), as dropout has; otherwise x.

    Args:
        rate: from 0, below 1.
        seed: makes the noise repeat from one run to the next.
    Source: Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov 2014, Dropout: a simple way to prevent neural networks from overfitting.
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        if as_fraction("GaussianDropout(rate)", rate) == 1:
            raise ArgumentError(
                "GaussianDropout(rate)", need="a number from 0, below 1", got=repr(rate), why="the noise has variance rate / (1 - rate)"
            )
        super().__init__(**kwargs)
        self.rate, self.seed = rate, seed
        if rate > 0:
            self.seed_generator = random.SeedGenerator(seed)
        self.supports_masking = True

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        if not training or self.rate == 0:
            return inputs
        stddev = math.sqrt(self.rate / (1 - self.rate))
        return ops.multiply(inputs, random.normal(inputs.shape, 1.0, stddev, dtype=self.compute_dtype, seed=self.seed_generator))


class ActivityRegularization(Layer):
    """x, with (l1 * sum(|x|) + l2 * sum(x**2)) / number of samples added to the loss.

    Args:
        l1, l2: factors of the penalties.

    >>> import nyala
    >>> layer = nyala.layers.ActivityRegularization(l1=0.5)
    >>> _ = layer(nyala.ops.ones((2, 3)))
    >>> float(layer.losses[0])
    1.5
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=regularizers.L1L2(l1=l1, l2=l2), **kwargs)
        self.l1, self.l2 = l1, l2
        self.supports_masking = True

    def call(self, inputs: Tensor) -> Tensor:
        return inputs

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["activity_regularizer"]  # made from l1 and l2
        return config
