# SPDX-License-Identifier: Apache-2.0
"""Lion: the sign of a momentum. Start at update."""

from __future__ import annotations

from typing import Any

from nyala.core.errors import ArgumentError
from nyala.engines import engine
from nyala.engines.protocol import Tensor
from nyala.optimizers.optimizer import Optimizer, Slots, common_arguments


def init(value: Tensor) -> Slots:
    """The momentum starts at 0."""
    return {"momentum": engine.full(tuple(value.shape), 0, engine.dtype(value))}


def update(gradient: Tensor, value: Tensor, slots: Slots, learning_rate: Tensor, *, beta_1: float, beta_2: float) -> tuple[Tensor, Slots]:
    """w' = w - lr sign(b1 m + (1 - b1) g), m' = b2 m + (1 - b2) g.

    Source: Chen et al. 2023, Symbolic discovery of optimization algorithms.
    """
    m = slots["momentum"]
    return value - learning_rate * engine.sign(m * beta_1 + gradient * (1 - beta_1)), {"momentum": m * beta_2 + gradient * (1 - beta_2)}


class Lion(Optimizer):
    """Every weight moves by exactly learning_rate, so that this should be 3 to 10 times smaller than Adam's, and weight_decay as much larger.

    Args:
        beta_1: share of the momentum in the direction of a step, above 0.
        beta_2: how much of the momentum is kept per step.
    """

    elementwise = True
    slot_order = (("momentum",),)

    @common_arguments
    def __init__(self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.99, **common: Any) -> None:
        if not 0 < beta_1 <= 1:
            raise ArgumentError("Lion(beta_1)", need="a number above 0 and at most 1", got=repr(beta_1))
        super().__init__(learning_rate, **common)
        self.beta_1, self.beta_2 = beta_1, beta_2

    def init_slots(self, value: Tensor) -> Slots:
        return init(value)

    def update(self, gradient: Tensor, value: Tensor, slots: Slots, learning_rate: Tensor) -> tuple[Tensor, Slots]:
        return update(gradient, value, slots, learning_rate, beta_1=self.beta_1, beta_2=self.beta_2)
