# SPDX-License-Identifier: Apache-2.0
"""Adadelta: moves in the units of the weights. Start at update."""

from __future__ import annotations

from typing import Any

from nyala.engines import engine
from nyala.engines.protocol import Tensor
from nyala.optimizers.optimizer import Optimizer, Slots, common_arguments


def init(value: Tensor) -> Slots:
    """Both slots start at 0."""
    return {name: engine.full(tuple(value.shape), 0, engine.dtype(value)) for name in ("accumulated_grad", "accumulated_delta_var")}


def update(gradient: Tensor, value: Tensor, slots: Slots, learning_rate: Tensor, *, rho: float, epsilon: float) -> tuple[Tensor, Slots]:
    """a' = rho a + (1 - rho) g**2, d = g sqrt(b + epsilon) / sqrt(a' + epsilon), b' = rho b + (1 - rho) d**2, w' = w - lr d.

    Source: Zeiler 2012, ADADELTA: an adaptive learning rate method.
    """
    a = slots["accumulated_grad"] * rho + gradient * gradient * (1 - rho)
    b = slots["accumulated_delta_var"]
    d = gradient * engine.sqrt(b + epsilon) * engine.rsqrt(a + epsilon)
    return value - learning_rate * d, {"accumulated_grad": a, "accumulated_delta_var": b * rho + d * d * (1 - rho)}


class Adadelta(Optimizer):
    """Steps as long as past ones, for gradients as long as past ones; with learning_rate 1 it is the paper's.

    Args:
        rho: how much of both mean squares is kept per step.
        epsilon: added under the roots; it sets the size of the first steps.
    """

    elementwise = True
    slot_order = (("accumulated_grad", "accumulated_delta_var"),)

    @common_arguments
    def __init__(self, learning_rate: Any = 0.001, rho: float = 0.95, epsilon: float = 1e-7, **common: Any) -> None:
        super().__init__(learning_rate, **common)
        self.rho, self.epsilon = rho, epsilon

    def init_slots(self, value: Tensor) -> Slots:
        return init(value)

    def update(self, gradient: Tensor, value: Tensor, slots: Slots, learning_rate: Tensor) -> tuple[Tensor, Slots]:
        return update(gradient, value, slots, learning_rate, rho=self.rho, epsilon=self.epsilon)
