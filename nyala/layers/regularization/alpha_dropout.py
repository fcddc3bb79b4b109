# SPDX-License-Identifier: Apache-2.0
"""AlphaDropout: dropout that keeps mean and variance, for networks of selu."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nyala import ops, random
from nyala.core.errors import ArgumentError
from nyala.engines.protocol import Tensor
from nyala.layers.regularization.dropout import Dropout

LOWEST = -1.7580993408473766  # the limit of selu at minus infinity: minus scale times alpha


class AlphaDropout(Dropout):
    """In training each number becomes the lowest of selu with probability rate, then all are scaled and shifted so that mean 0 and variance 1 stay.

    Args:
        rate: probability, from 0, below 1.
        noise_shape: shape of the coin tosses, 1 where an axis shares them, None for the size of the input there; None: one toss a number.
        seed: makes the tosses repeat from one run to the next.
    Source: Klambauer, Unterthiner, Mayr, Hochreiter 2017, Self-normalizing neural networks.
    Differs from Keras: rate 1 is refused here, and fails there at the first call in training.

    >>> import nyala
    >>> x = nyala.layers.AlphaDropout(0.5, seed=3)(nyala.ops.zeros((1, 1000)), training=True)
    >>> sorted(set(nyala.ops.convert_to_numpy(x)[0].round(3).tolist()))
    [-0.779, 0.779]
    """

    def __init__(self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(rate, noise_shape, seed, **kwargs)
        if rate == 1:
            raise ArgumentError("AlphaDropout(rate)", need="a number from 0, below 1", got=repr(rate), why="nothing would keep the variance")

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        if not training or self.rate == 0:
            return inputs
        kept = ops.greater_equal(random.uniform(self._noise_shape(inputs.shape) or inputs.shape, seed=self.seed_generator), self.rate)
        scale = ((1 - self.rate) * (1 + self.rate * LOWEST**2)) ** -0.5
        return ops.add(ops.multiply(ops.where(kept, inputs, LOWEST), scale), -scale * LOWEST * self.rate)
