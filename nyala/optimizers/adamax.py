# SPDX-License-Identifier: Apache-2.0
"""Adamax: Adam with the largest gradient in place of the mean square. Start at update."""

from __future__ import annotations

from typing import Any

from nyala.engines import engine
from nyala.engines.protocol import Tensor
from nyala.optimizers.adam import unbias
from nyala.optimizers.optimizer import Optimizer, Slots, common_arguments


def init(value: Tensor) -> Slots:
    """Both slots start at 0."""
    return {name: engine.full(tuple(value.shape), 0, engine.dtype(value)) for name in ("momentum", "norm")}


def update(gradient: Tensor, value: Tensor, slots: Slots, rate: Tensor, *, beta_1: float, beta_2: float, epsilon: float) -> tuple[Tensor, Slots]:
    """m' = b1 m + (1 - b1) g, u' = max(b2 u, |g|), w' = w - rate m' / (u' + epsilon), with rate lr / (1 - b1**t).

    Source: Kingma, Ba 2014, Adam: a method for stochastic optimization (section 7.1).
    """
    m = slots["momentum"] * beta_1 + gradient * (1 - beta_1)
    u = engine.maximum(slots["norm"] * beta_2, engine.abs(gradient))
    return value - rate * m / (u + epsilon), {"momentum": m, "norm": u}


class Adamax(Optimizer):
    """Adam by the largest gradient: the mean gradient over its largest size, which fades by beta_2 per step.

    Args:
        beta_1: how much of the mean gradient is kept per step.
        beta_2: how much of the largest size is kept per step.
        epsilon: added to the size.
    """

    elementwise = True
    slot_order = (("momentum", "norm"),)

    @common_arguments
    def __init__(self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7, **common: Any) -> None:
        super().__init__(learning_rate, **common)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def init_slots(self, value: Tensor) -> Slots:
        return init(value)

    def step_scalars(self, step: Tensor, learning_rate: Tensor) -> dict[str, Tensor]:
        return {"rate": learning_rate / unbias(step, self.beta_1)}

    def update(self, gradient: Tensor, value: Tensor, slots: Slots, rate: Tensor) -> tuple[Tensor, Slots]:
        return update(gradient, value, slots, rate, beta_1=self.beta_1, beta_2=self.beta_2, epsilon=self.epsilon)
