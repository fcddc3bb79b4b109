# SPDX-License-Identifier: Apache-2.0
"""RMSprop: gradients divided by the root of their mean square. Start at update."""

from __future__ import annotations

from typing import Any

from nyala.engines import engine
from nyala.engines.protocol import Tensor
from nyala.optimizers.optimizer import Optimizer, Slots, common_arguments


def init(value: Tensor, *, momentum: float, centered: bool) -> Slots:
    """All slots start at 0."""
    names = ["velocity", *(["momentum"] if momentum else []), *(["average_gradient"] if centered else [])]
    return {name: engine.full(tuple(value.shape), 0, engine.dtype(value)) for name in names}


def update(
    gradient: Tensor, value: Tensor, slots: Slots, learning_rate: Tensor, *, rho: float, momentum: float, epsilon: float, centered: bool
) -> tuple[Tensor, Slots]:
    """v' = rho v + (1 - rho) g**2 and w' = w - lr g / sqrt(v' + epsilon).

    Centered, the square of a' = rho a + (1 - rho) g is taken off v' under the root; with momentum u the move is b' = u b + lr g / sqrt(...).
    Source: Tieleman, Hinton 2012, Lecture 6.5; Graves 2013, Generating sequences with recurrent neural networks (centered).
    """
    v = slots["velocity"] * rho + gradient * gradient * (1 - rho)
    new, spread = {"velocity": v}, v
    if centered:
        a = new["average_gradient"] = slots["average_gradient"] * rho + gradient * (1 - rho)
        spread = v - a * a
    move = learning_rate * gradient * engine.rsqrt(spread + epsilon)
    if momentum:
        move = new["momentum"] = slots["momentum"] * momentum + move
    return value - move, new


class RMSprop(Optimizer):
    """Steps of equal size for large and small gradients: each is divided by the root of its mean square over the last 1 / (1 - rho) steps.

    Args:
        rho: how much of the mean square is kept per step.
        momentum: share of the last move that is made again.
        epsilon: added under the root.
        centered: whether the variance takes the place of the mean square.
    """

    elementwise = True
    slot_order = (("velocity",), ("momentum",), ("average_gradient",))

    @common_arguments
    def __init__(
        self, learning_rate: Any = 0.001, rho: float = 0.9, momentum: float = 0.0, epsilon: float = 1e-7, centered: bool = False, **common: Any
    ) -> None:
        super().__init__(learning_rate, **common)
        self.rho, self.momentum, self.epsilon, self.centered = rho, momentum, epsilon, centered

    def init_slots(self, value: Tensor) -> Slots:
        return init(value, momentum=self.momentum, centered=self.centered)

    def update(self, gradient: Tensor, value: Tensor, slots: Slots, learning_rate: Tensor) -> tuple[Tensor, Slots]:
        return update(gradient, value, slots, learning_rate, rho=self.rho, momentum=self.momentum, epsilon=self.epsilon, centered=self.centered)
