# SPDX-License-Identifier: Apache-2.0
"""Ftrl: follow the regularized leader, for sparse linear models. Start at update."""

from __future__ import annotations

from typing import Any

from nyala.core.errors import ArgumentError
from nyala.engines import engine
from nyala.engines.protocol import Tensor
from nyala.optimizers.optimizer import Optimizer, Slots, common_arguments


def init(value: Tensor, *, initial_accumulator_value: float) -> Slots:
    """n starts where it is told to, z at 0."""
    shape, dtype = tuple(value.shape), engine.dtype(value)
    return {"accumulator": engine.full(shape, initial_accumulator_value, dtype), "linear": engine.full(shape, 0, dtype)}


def update(
    gradient: Tensor, value: Tensor, slots: Slots, learning_rate: Tensor, *, power: float, l1: float, l2: float, shrinkage: float, beta: float
) -> tuple[Tensor, Slots]:
    """n' = n + g**2, z' = z + g + 2 shrinkage w - (n'**-power - n**-power) w / lr,
    w' = (clip(z', -l1, l1) - z') / (n'**-power / lr + 2 l2 + beta / lr).

    Differs from the paper: powers other than -1/2; beta joins l2, as beta / (2 lr); shrinkage acts on the weight of this step.
    Source: McMahan et al. 2013, Ad click prediction: a view from the trenches.
    """
    n, z = slots["accumulator"], slots["linear"]
    new_n = n + gradient * gradient
    new_root, root = engine.power(new_n, -power), engine.power(n, -power)
    new_z = z + gradient + value * (2 * shrinkage) - (new_root - root) / learning_rate * value
    quadratic = (new_root + beta) / learning_rate + 2 * l2
    return (engine.maximum(engine.minimum(new_z, l1), -l1) - new_z) / quadratic, {"accumulator": new_n, "linear": new_z}


class Ftrl(Optimizer):
    """Follow the regularized leader: weights with little evidence are exactly 0 if l1 is above 0.

    Args:
        learning_rate_power: exponent of the sum of squares in the learning rate, at most 0; 0 keeps the rate.
        initial_accumulator_value: where the sum of squares starts, from 0.
        l1_regularization_strength, l2_regularization_strength: penalties on the weights, from 0.
        l2_shrinkage_regularization_strength: penalty on the size of the weights in the gradient alone, from 0.
        beta: added to the root.
    """

    elementwise = True
    slot_order = (("accumulator", "linear"),)

    @common_arguments
    def __init__(
        self,
        learning_rate: Any = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        **common: Any,
    ) -> None:
        if learning_rate_power > 0:
            raise ArgumentError("Ftrl(learning_rate_power)", need="a number up to 0", got=repr(learning_rate_power))
        for name in ("initial_accumulator_value", "l1_regularization_strength", "l2_regularization_strength", "l2_shrinkage_regularization_strength"):
            if not locals()[name] >= 0:
                raise ArgumentError(f"Ftrl({name})", need="a number from 0", got=repr(locals()[name]))
        super().__init__(learning_rate, **common)
        self.learning_rate_power, self.initial_accumulator_value, self.beta = learning_rate_power, initial_accumulator_value, beta
        self.l1_regularization_strength, self.l2_regularization_strength = l1_regularization_strength, l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength

    def init_slots(self, value: Tensor) -> Slots:
        return init(value, initial_accumulator_value=self.initial_accumulator_value)

    def update(self, gradient: Tensor, value: Tensor, slots: Slots, learning_rate: Tensor) -> tuple[Tensor, Slots]:
        settings = {
            "l1": self.l1_regularization_strength,
            "l2": self.l2_regularization_strength,
            "shrinkage": self.l2_shrinkage_regularization_strength,
        }
        return update(gradient, value, slots, learning_rate, power=self.learning_rate_power, beta=self.beta, **settings)
