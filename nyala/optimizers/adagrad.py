# SPDX-License-Identifier: Apache-2.0
"""Adagrad: gradients divided by the root of the sum of their squares. Start at update."""

from __future__ import annotations

from typing import Any

from nyala.engines import engine
from nyala.engines.protocol import Tensor
from nyala.optimizers.optimizer import Optimizer, Slots, common_arguments


def init(value: Tensor, *, initial_accumulator_value: float) -> Slots:
    """The sum starts where it is told to."""
    return {"accumulator": engine.full(tuple(value.shape), initial_accumulator_value, engine.dtype(value))}


def update(gradient: Tensor, value: Tensor, slots: Slots, learning_rate: Tensor, *, epsilon: float) -> tuple[Tensor, Slots]:
    """a' = a + g**2, w' = w - lr g / sqrt(a' + epsilon).

    Source: Duchi, Hazan, Singer 2011, Adaptive subgradient methods for online learning and stochastic optimization.
    """
    a = slots["accumulator"] + gradient * gradient
    return value - learning_rate * gradient * engine.rsqrt(a + epsilon), {"accumulator": a}


class Adagrad(Optimizer):
    """Smaller and smaller steps for weights that had much gradient; for sparse ones.

    Args:
        initial_accumulator_value: where the sum of squares starts.
        epsilon: added under the root.
    """

    elementwise = True
    slot_order = (("accumulator",),)

    @common_arguments
    def __init__(self, learning_rate: Any = 0.001, initial_accumulator_value: float = 0.1, epsilon: float = 1e-7, **common: Any) -> None:
        super().__init__(learning_rate, **common)
        self.initial_accumulator_value, self.epsilon = initial_accumulator_value, epsilon

    def init_slots(self, value: Tensor) -> Slots:
        return init(value, initial_accumulator_value=self.initial_accumulator_value)

    def update(self, gradient: Tensor, value: Tensor, slots: Slots, learning_rate: Tensor) -> tuple[Tensor, Slots]:
        return update(gradient, value, slots, learning_rate, epsilon=self.epsilon)
