# SPDX-License-Identifier: Apache-2.0
"""SGD: gradient descent, with or without momentum. Start at update."""

from __future__ import annotations

from typing import Any

from nyala.core.errors import ArgumentError
from nyala.engines import engine
from nyala.engines.protocol import Tensor
from nyala.optimizers.optimizer import Optimizer, Slots, common_arguments


def init(value: Tensor) -> Slots:
    """The momentum starts at 0."""
    return {"momentum": engine.full(tuple(value.shape), 0, engine.dtype(value))}


def update(gradient: Tensor, value: Tensor, slots: Slots, learning_rate: Tensor, *, momentum: float, nesterov: bool) -> tuple[Tensor, Slots]:
    """w' = w - lr g; with momentum u, m' = u m - lr g and w' = w + m', or of Nesterov w' = w + u m' - lr g.

    Source: Sutskever et al. 2013, On the importance of initialization and momentum in deep learning.
    """
    move = -learning_rate * gradient
    if not momentum:
        return value + move, slots
    m = slots["momentum"] * momentum + move
    return value + (m * momentum + move if nesterov else m), {"momentum": m}


class SGD(Optimizer):
    """Gradient descent: w' = w - learning_rate * gradient; see `update` for momentum.

    Args:
        learning_rate: see Optimizer, as all further ones.
        momentum: 0 to 1: share of the last move that is made again.
        nesterov: whether the gradient counts as taken where the momentum leads.

    >>> import nyala
    >>> w = nyala.Variable([1.0, 2.0])
    >>> SGD(0.5).apply([[2.0, -2.0]], [w])
    >>> w.numpy()
    array([0., 3.], dtype=float32)
    """

    elementwise = True
    slot_order = (("momentum",),)

    @common_arguments
    def __init__(self, learning_rate: Any = 0.01, momentum: float = 0.0, nesterov: bool = False, **common: Any) -> None:
        if not 0 <= momentum <= 1:
            raise ArgumentError("SGD(momentum)", need="a number from 0 to 1", got=repr(momentum))
        super().__init__(learning_rate, **common)
        self.momentum, self.nesterov = momentum, nesterov

    def init_slots(self, value: Tensor) -> Slots:
        return init(value) if self.momentum else {}

    def update(self, gradient: Tensor, value: Tensor, slots: Slots, learning_rate: Tensor) -> tuple[Tensor, Slots]:
        return update(gradient, value, slots, learning_rate, momentum=self.momentum, nesterov=self.nesterov)
