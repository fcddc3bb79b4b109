# SPDX-License-Identifier: Apache-2.0
"""Adam and AdamW: momentum over the root of the mean square, both freed of their start at 0. Start at update."""

from __future__ import annotations

import math
from typing import Any

from nyala.engines import engine
from nyala.engines.protocol import Tensor
from nyala.optimizers.optimizer import Optimizer, Slots, common_arguments


def init(value: Tensor, *, amsgrad: bool = False) -> Slots:
    """All slots start at 0."""
    names = ("momentum", "velocity", "velocity_hat") if amsgrad else ("momentum", "velocity")
    return {name: engine.full(tuple(value.shape), 0, engine.dtype(value)) for name in names}


def unbias(step: Tensor, beta: float) -> Tensor:
    """1 - beta**step, the weight that a mean which started at 0 has gathered, without cancellation."""
    return -engine.expm1(step * math.log(beta)) if beta > 0 else step * 0 + 1.0


def corrected_rate(step: Tensor, learning_rate: Tensor, beta_1: float, beta_2: float) -> Tensor:
    """lr sqrt(1 - beta_2**t) / (1 - beta_1**t): both corrections in one number."""
    return learning_rate * engine.sqrt(unbias(step, beta_2)) / unbias(step, beta_1)


def update(
    gradient: Tensor, value: Tensor, slots: Slots, rate: Tensor, *, beta_1: float, beta_2: float, epsilon: float, amsgrad: bool = False
) -> tuple[Tensor, Slots]:
    """m' = b1 m + (1 - b1) g, v' = b2 v + (1 - b2) g**2, w' = w - rate m' / (sqrt(v') + epsilon), with the rate of corrected_rate.

    With amsgrad the largest v so far takes the place of v'.
    Source: Kingma, Ba 2014, Adam: a method for stochastic optimization (end of section 2);
        Reddi, Kale, Kumar 2018, On the convergence of Adam and beyond.
    """
    shortcut = engine.rules.get("adam")
    if shortcut is not None:
        result = shortcut(gradient, value, slots, rate, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon, amsgrad=amsgrad)
        if result is not NotImplemented:
            return result
    m = slots["momentum"] * beta_1 + gradient * (1 - beta_1)
    v = slots["velocity"] * beta_2 + gradient * gradient * (1 - beta_2)
    new = {"momentum": m, "velocity": v}
    if amsgrad:
        v = new["velocity_hat"] = engine.maximum(slots["velocity_hat"], v)
    return value - rate * m / (engine.sqrt(v) + epsilon), new


class Adam(Optimizer):
    """Adaptive moments: each weight moves by about learning_rate, whatever the size of its gradients.

    Args:
        beta_1: how much of the mean gradient is kept per step.
        beta_2: how much of the mean square is kept per step.
        epsilon: added to the root.
        amsgrad: whether the mean square counts as its largest value so far.

    >>> import nyala
    >>> w = nyala.Variable([1.0, 2.0])
    >>> Adam(0.1).apply([[100.0, -0.01]], [w])
    >>> w.numpy().round(4)
    array([0.9, 2.1], dtype=float32)
    """

    elementwise = True
    slot_order = (("momentum", "velocity"), ("velocity_hat",))

    @common_arguments
    def __init__(
        self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7, amsgrad: bool = False, **common: Any
    ) -> None:
        super().__init__(learning_rate, **common)
        self.beta_1, self.beta_2, self.epsilon, self.amsgrad = beta_1, beta_2, epsilon, amsgrad

    def init_slots(self, value: Tensor) -> Slots:
        return init(value, amsgrad=self.amsgrad)

    def step_scalars(self, step: Tensor, learning_rate: Tensor) -> dict[str, Tensor]:
        return {"rate": corrected_rate(step, learning_rate, self.beta_1, self.beta_2)}

    def update(self, gradient: Tensor, value: Tensor, slots: Slots, rate: Tensor) -> tuple[Tensor, Slots]:
        return update(gradient, value, slots, rate, beta_1=self.beta_1, beta_2=self.beta_2, epsilon=self.epsilon, amsgrad=self.amsgrad)


class AdamW(Adam):
    """Adam with weight decay: each step first takes learning_rate * weight_decay of each weight off it, which no gradient sees.

    Args:
        weight_decay: see Optimizer.
    Source: Loshchilov, Hutter 2017, Decoupled weight decay regularization.
    """

    @common_arguments
    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float | None = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **common: Any,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **common)
