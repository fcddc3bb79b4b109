# SPDX-License-Identifier: Apache-2.0
"""Schedules that fall: exponential, inverse in time, polynomial, and by pieces. t is the step, counted from 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nyala import ops
from nyala.core.errors import ArgumentError
from nyala.core.op import convert
from nyala.engines.protocol import Tensor
from nyala.optimizers.schedules.schedule import LearningRateSchedule, as_float, check_positive


class ExponentialDecay(LearningRateSchedule):
    """initial_learning_rate * decay_rate ** (t / decay_steps), the exponent rounded down if staircase.

    >>> float(ExponentialDecay(0.1, decay_steps=10, decay_rate=0.5)(20))
    0.025
    """

    def __init__(
        self, initial_learning_rate: float, decay_steps: int, decay_rate: float, staircase: bool = False, name: str | None = "ExponentialDecay"
    ) -> None:
        self.initial_learning_rate, self.decay_rate, self.staircase, self.name = initial_learning_rate, decay_rate, staircase, name
        self.decay_steps = check_positive("ExponentialDecay(decay_steps)", decay_steps)

    def __call__(self, step: Any) -> Tensor:
        periods = as_float(step) / self.decay_steps
        return ops.multiply(self.initial_learning_rate, ops.power(self.decay_rate, ops.floor(periods) if self.staircase else periods))


class InverseTimeDecay(LearningRateSchedule):
    """initial_learning_rate / (1 + decay_rate * t / decay_steps), the quotient of steps rounded down if staircase.

    >>> float(InverseTimeDecay(0.5, decay_steps=10, decay_rate=2.0)(20))
    0.1
    """

    def __init__(
        self, initial_learning_rate: float, decay_steps: int, decay_rate: float, staircase: bool = False, name: str | None = "InverseTimeDecay"
    ) -> None:
        self.initial_learning_rate, self.decay_rate, self.staircase, self.name = initial_learning_rate, decay_rate, staircase, name
        self.decay_steps = check_positive("InverseTimeDecay(decay_steps)", decay_steps)

    def __call__(self, step: Any) -> Tensor:
        periods = as_float(step) / self.decay_steps
        return ops.divide(self.initial_learning_rate, 1 + self.decay_rate * (ops.floor(periods) if self.staircase else periods))


class PolynomialDecay(LearningRateSchedule):
    """(initial_learning_rate - end_learning_rate) * (1 - t / decay_steps) ** power + end_learning_rate.

    Args:
        cycle: False keeps the end after decay_steps; True stretches them to the next multiple from t on,
            so that the rate falls anew.

    >>> round(float(PolynomialDecay(0.1, decay_steps=10, end_learning_rate=0.0)(4)), 6)
    0.06
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str | None = "PolynomialDecay",
    ) -> None:
        self.initial_learning_rate, self.end_learning_rate, self.power, self.cycle, self.name = (
            initial_learning_rate,
            end_learning_rate,
            power,
            cycle,
            name,
        )
        self.decay_steps = check_positive("PolynomialDecay(decay_steps)", decay_steps)

    def __call__(self, step: Any) -> Tensor:
        periods = as_float(step) / self.decay_steps
        done = periods / ops.maximum(ops.ceil(periods), 1.0) if self.cycle else ops.minimum(periods, 1.0)
        return (self.initial_learning_rate - self.end_learning_rate) * ops.power(1 - done, self.power) + self.end_learning_rate


class PiecewiseConstantDecay(LearningRateSchedule):
    """values[i], where i is the number of boundaries below t: the step at a boundary still has the value before it.

    Args:
        boundaries: steps, ascending.
        values: one more than boundaries.

    >>> rate = PiecewiseConstantDecay([2, 5], [1.0, 0.5, 0.1])
    >>> [round(float(rate(t)), 1) for t in (2, 3, 5, 6)]
    [1.0, 0.5, 0.5, 0.1]
    """

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str | None = "PiecewiseConstant") -> None:
        if len(boundaries) != len(values) - 1:
            raise ArgumentError(
                "PiecewiseConstantDecay", need="one more value than boundaries", got=f"{len(boundaries)} boundaries and {len(values)} values"
            )
        if list(boundaries) != sorted(boundaries):
            raise ArgumentError("PiecewiseConstantDecay(boundaries)", need="steps in ascending order", got=f"{list(boundaries)}")
        self.boundaries, self.values, self.name = boundaries, values, name

    def __call__(self, step: Any) -> Tensor:
        step = convert(step)
        rate = as_float(self.values[0])
        for boundary, value in zip(self.boundaries, self.values[1:], strict=True):
            rate = ops.where(ops.greater(step, boundary), value, rate)
        return rate
