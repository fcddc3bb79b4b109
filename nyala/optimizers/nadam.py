# SPDX-License-Identifier: Apache-2.0
"""Nadam: Adam with Nesterov's momentum. Start at update."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nyala.core.variable import Variable
from nyala.engines import engine
from nyala.engines.protocol import Tensor
from nyala.optimizers.adam import init, unbias
from nyala.optimizers.optimizer import Optimizer, Slots, common_arguments

SCHEDULE = 0.96  # base of the momentum schedule, from the paper


def momentum_at(step: Tensor, beta_1: float) -> Tensor:
    """The momentum of a step: it rises from beta_1 / 2 to beta_1."""
    return beta_1 * (1.0 - 0.5 * engine.exp(step * math.log(SCHEDULE)))


def update(
    gradient: Tensor,
    value: Tensor,
    slots: Slots,
    from_gradient: Tensor,
    from_momentum: Tensor,
    root: Tensor,
    *,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> tuple[Tensor, Slots]:
    """m' = b1 m + (1 - b1) g, v' = b2 v + (1 - b2) g**2, w' = w - (from_gradient g + from_momentum m') / (sqrt(v') / root + epsilon).

    With u_t = momentum_at(t) and U_t = u_1 ... u_t: from_gradient = lr (1 - u_t) / (1 - U_t), from_momentum = lr u_(t+1) / (1 - U_(t+1)),
    root = sqrt(1 - b2**t).
    Source: Dozat 2016, Incorporating Nesterov momentum into Adam.
    """
    m = slots["momentum"] * beta_1 + gradient * (1 - beta_1)
    v = slots["velocity"] * beta_2 + gradient * gradient * (1 - beta_2)
    move = (from_gradient * gradient + from_momentum * m) / (engine.sqrt(v) / root + epsilon)
    return value - move, {"momentum": m, "velocity": v}


class Nadam(Optimizer):
    """Adam that looks ahead: the momentum of the next step joins the gradient of this one.

    Args:
        beta_1: how much of the mean gradient is kept per step.
        beta_2: how much of the mean square is kept per step.
        epsilon: added to the root.
    """

    elementwise = True
    slot_order = (("momentum", "velocity"),)

    @common_arguments
    def __init__(self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7, **common: Any) -> None:
        super().__init__(learning_rate, **common)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self._product: Variable | None = None  # of the momenta of all steps so far

    def build(self, variables: Sequence[Variable]) -> None:
        super().build(variables)
        if self._product is None:
            self._product = self.add_variable((), "ones", "float32", name="variable")

    def init_slots(self, value: Tensor) -> Slots:
        return init(value)

    def step_scalars(self, step: Tensor, learning_rate: Tensor) -> dict[str, Tensor]:
        now, later = momentum_at(step, self.beta_1), momentum_at(step + 1.0, self.beta_1)
        product = self._product.assign(self._product.value * now)  # type: ignore[union-attr]
        return {
            "from_gradient": learning_rate * (1.0 - now) / (1.0 - product),
            "from_momentum": learning_rate * later / (1.0 - product * later),
            "root": engine.sqrt(unbias(step, self.beta_2)),
        }

    def update(self, gradient: Tensor, value: Tensor, slots: Slots, **scalars: Tensor) -> tuple[Tensor, Slots]:
        return update(gradient, value, slots, **scalars, beta_1=self.beta_1, beta_2=self.beta_2, epsilon=self.epsilon)
