# SPDX-License-Identifier: Apache-2.0
"""Lamb: Adam's move, as long as the weights of a layer are, for very large batches. Start at update."""

from __future__ import annotations

from typing import Any

from nyala.engines import engine
from nyala.engines.protocol import Tensor
from nyala.optimizers.adam import init, unbias
from nyala.optimizers.optimizer import Optimizer, Slots, common_arguments


def update(
    gradient: Tensor,
    value: Tensor,
    slots: Slots,
    learning_rate: Tensor,
    weight_1: Tensor,
    weight_2: Tensor,
    *,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> tuple[Tensor, Slots]:
    """m' = b1 m + (1 - b1) g, v' = b2 v + (1 - b2) g**2, d = (m' / weight_1) / (sqrt(v' / weight_2) + epsilon), w' = w - lr d |w| / |d|.

    weight_i = 1 - b_i**t; the norms are those of the whole variable, and their quotient counts as 1 where one is 0.
    Source: You et al. 2019, Large batch optimization for deep learning: training BERT in 76 minutes.
    """
    m = slots["momentum"] * beta_1 + gradient * (1 - beta_1)
    v = slots["velocity"] * beta_2 + gradient * gradient * (1 - beta_2)
    d = m / weight_1 / (engine.sqrt(v / weight_2) + epsilon)
    axes = tuple(range(len(value.shape)))
    w_norm, d_norm = engine.sqrt(engine.sum(value * value, axes, False)), engine.sqrt(engine.sum(d * d, axes, False))
    both = engine.greater(w_norm * d_norm, 0)
    ratio = engine.where(both, w_norm / engine.where(both, d_norm, d_norm * 0 + 1.0), w_norm * 0 + 1.0)
    return value - ratio * learning_rate * d, {"momentum": m, "velocity": v}


class Lamb(Optimizer):
    """Layer-wise adaptive moments: each variable moves by about learning_rate of its own length.

    Args:
        beta_1: how much of the mean gradient is kept per step.
        beta_2: how much of the mean square is kept per step.
        epsilon: added to the root.
    """

    slot_order = (("momentum", "velocity"),)

    @common_arguments
    def __init__(self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7, **common: Any) -> None:
        super().__init__(learning_rate, **common)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def init_slots(self, value: Tensor) -> Slots:
        return init(value)

    def step_scalars(self, step: Tensor, learning_rate: Tensor) -> dict[str, Tensor]:
        return {"learning_rate": learning_rate, "weight_1": unbias(step, self.beta_1), "weight_2": unbias(step, self.beta_2)}

    def update(self, gradient: Tensor, value: Tensor, slots: Slots, **scalars: Tensor) -> tuple[Tensor, Slots]:
        return update(gradient, value, slots, **scalars, beta_1=self.beta_1, beta_2=self.beta_2, epsilon=self.epsilon)
