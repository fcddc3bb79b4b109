# SPDX-License-Identifier: Apache-2.0
"""Schedules that fall along half a cosine: once, with an optional warm-up, or again and again. t is the step, counted from 0."""

from __future__ import annotations

import math
from typing import Any

from nyala import ops
from nyala.engines.protocol import Tensor
from nyala.optimizers.schedules.schedule import LearningRateSchedule, as_float, check_positive


class CosineDecay(LearningRateSchedule):
    """rate * ((1 - alpha) * (1 + cos(pi * min(t / decay_steps, 1))) / 2 + alpha), after a straight rise to that rate if warmup_target is given.

    Args:
        initial_learning_rate: the rate at t = 0.
        decay_steps: steps of the fall, the warm-up not counted.
        alpha: last rate over highest.
        warmup_target: the rate to rise to in warmup_steps, from where it falls; None falls at once.
    Source: Loshchilov, Hutter 2016, SGDR: stochastic gradient descent with warm restarts.

    >>> round(float(CosineDecay(0.1, decay_steps=10)(5)), 6)
    0.05
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        name: str | None = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        self.initial_learning_rate, self.alpha, self.name, self.warmup_target, self.warmup_steps = (
            initial_learning_rate,
            alpha,
            name,
            warmup_target,
            warmup_steps,
        )
        self.decay_steps = check_positive("CosineDecay(decay_steps)", decay_steps)

    def __call__(self, step: Any) -> Tensor:
        step = as_float(step)
        if self.warmup_target is None:
            return self._fall(step, self.initial_learning_rate)
        rise = (self.warmup_target - self.initial_learning_rate) * (step / max(self.warmup_steps, 1)) + self.initial_learning_rate
        return ops.where(step < self.warmup_steps, rise, self._fall(step - self.warmup_steps, self.warmup_target))

    def _fall(self, step: Tensor, rate: float) -> Tensor:
        done = ops.clip(step / self.decay_steps, 0.0, 1.0)
        return rate * ((1 - self.alpha) * 0.5 * (1 + ops.cos(math.pi * done)) + self.alpha)


class CosineDecayRestarts(LearningRateSchedule):
    """initial_learning_rate * ((1 - alpha) * m_mul**i * (1 + cos(pi * done)) / 2 + alpha) in period i, of which the share `done` is over.

    Args:
        first_decay_steps: length of period 0.
        t_mul: how much longer each period is than the one before, from 1.
        m_mul: how much higher each period starts.
        alpha: last rate over highest.
    Source: Loshchilov, Hutter 2016, SGDR: stochastic gradient descent with warm restarts.

    >>> rate = CosineDecayRestarts(0.1, first_decay_steps=10, m_mul=0.5)
    >>> [round(float(rate(t)), 6) for t in (0, 5, 10, 20)]
    [0.1, 0.05, 0.05, 0.025]
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: int,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str | None = "SGDRDecay",
    ) -> None:
        self.initial_learning_rate, self.t_mul, self.m_mul, self.alpha, self.name = initial_learning_rate, t_mul, m_mul, alpha, name
        self.first_decay_steps = check_positive("CosineDecayRestarts(first_decay_steps)", first_decay_steps)

    def __call__(self, step: Any) -> Tensor:
        time = as_float(step) / self.first_decay_steps
        if self.t_mul == 1.0:
            period = ops.floor(time)
            done = time - period
        else:  # period i begins at (t_mul**i - 1) / (t_mul - 1), in units of the first
            period = ops.floor(ops.log(1 + time * (self.t_mul - 1)) / math.log(self.t_mul) + 1e-6)
            length = ops.power(self.t_mul, period)
            done = (time - (length - 1) / (self.t_mul - 1)) / length
        return self.initial_learning_rate * ((1 - self.alpha) * 0.5 * ops.power(self.m_mul, period) * (1 + ops.cos(math.pi * done)) + self.alpha)
