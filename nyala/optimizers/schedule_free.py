# SPDX-License-Identifier: Apache-2.0
"""ScheduleFreeAdamW: an average of all steps takes the place of a schedule that falls. Start at update."""

from __future__ import annotations

from typing import Any

from nyala.core.errors import ArgumentError
from nyala.core.variable import Variable
from nyala.engines import engine
from nyala.engines.protocol import Tensor
from nyala.optimizers.adam import init, unbias
from nyala.optimizers.optimizer import Optimizer, Slots, common_arguments, value_on_host


def update(
    gradient: Tensor,
    value: Tensor,
    slots: Slots,
    learning_rate: Tensor,
    root: Tensor,
    share: Tensor,
    *,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> tuple[Tensor, Slots]:
    """z' = z - lr g / (sqrt(v') / root + epsilon), x' = (1 - 1/t) x + z' / t, y' = b1 x' + (1 - b1) z', with v' = b2 v + (1 - b2) g**2.

    The weights in training are y, z lies in the slot "momentum", and x, the average, follows from both; root = sqrt(1 - b2**t), share = 1/t.
    Source: Defazio et al. 2024, The road less scheduled.
    """
    z = slots["momentum"]
    x = (value - z * (1 - beta_1)) / beta_1
    v = slots["velocity"] * beta_2 + gradient * gradient * (1 - beta_2)
    z = z - learning_rate * gradient / (engine.sqrt(v) / root + epsilon)
    x = x + (z - x) * share
    return x * beta_1 + z * (1 - beta_1), {"momentum": z, "velocity": v}


class ScheduleFreeAdamW(Optimizer):
    """AdamW that needs no falling learning rate and no number of steps known beforehand.

    Args:
        beta_1: share of the average of all steps in the weights, above 0.
        beta_2: how much of the mean square is kept per step.
        epsilon: added to the root.
        warmup_steps: steps in which the learning rate rises in a straight line.
    """

    slot_order = (("momentum", "velocity"),)

    @common_arguments
    def __init__(
        self,
        learning_rate: Any = 0.0025,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        warmup_steps: int = 0,
        **common: Any,
    ) -> None:
        if not 0 < beta_1 <= 1:
            raise ArgumentError("ScheduleFreeAdamW(beta_1)", need="a number above 0 and at most 1", got=repr(beta_1))
        super().__init__(learning_rate, **common)
        self.beta_1, self.beta_2, self.epsilon, self.warmup_steps = beta_1, beta_2, epsilon, warmup_steps

    def init_slots(self, value: Tensor) -> Slots:
        return init(value)

    def _first_slots(self, variable: Variable) -> Slots:
        return {**super()._first_slots(variable), "momentum": value_on_host(variable)}

    def step_scalars(self, step: Tensor, learning_rate: Tensor) -> dict[str, Tensor]:
        rate = learning_rate * engine.minimum(step / self.warmup_steps, 1.0) if self.warmup_steps else learning_rate
        return {"learning_rate": rate, "root": engine.sqrt(unbias(step, self.beta_2)), "share": 1.0 / step}

    def update(self, gradient: Tensor, value: Tensor, slots: Slots, **scalars: Tensor) -> tuple[Tensor, Slots]:
        return update(gradient, value, slots, **scalars, beta_1=self.beta_1, beta_2=self.beta_2, epsilon=self.epsilon)
