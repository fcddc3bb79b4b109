# SPDX-License-Identifier: Apache-2.0
"""Adafactor: mean squares of a matrix kept as those of its rows and columns. Start at update."""

from __future__ import annotations

from typing import Any

import numpy as np

from nyala.core.variable import Variable
from nyala.engines import engine
from nyala.engines.protocol import Tensor
from nyala.optimizers.optimizer import Optimizer, Slots, common_arguments


def init(value: Tensor) -> Slots:
    """All slots start at 0; rows and columns of what is no matrix are placeholders."""
    shape, dtype = tuple(value.shape), engine.dtype(value)
    if len(shape) < 2:
        return {"row": engine.full((), 0, "int32"), "column": engine.full((), 0, "int32"), "velocity": engine.full(shape, 0, dtype)}
    rows, columns = shape[:-1], (*shape[:-2], shape[-1])
    return {"row": engine.full(rows, 0, dtype), "column": engine.full(columns, 0, dtype), "velocity": engine.full(shape, 0, dtype)}


def update(
    gradient: Tensor, value: Tensor, slots: Slots, learning_rate: Tensor, beta_2: Tensor, *, epsilon_1: float, epsilon_2: float, clip_threshold: float
) -> tuple[Tensor, Slots]:
    """w' = w - lr max(epsilon_2, rms(w)) u / max(1, rms(u) / clip_threshold), where u = g / sqrt(v') and s = g**2 + epsilon_1.

    v' = b2 v + (1 - b2) s for vectors. Of matrices the means r' and c' of s over columns and rows are kept so, and v' = r' c' / mean(r').
    Source: Shazeer, Stern 2018, Adafactor: adaptive learning rates with sublinear memory cost.
    """
    square, shape = gradient * gradient + epsilon_1, tuple(value.shape)
    if len(shape) < 2:
        row, column = slots["row"], slots["column"]
        v = slots["velocity"] * beta_2 + square * (1.0 - beta_2)
    else:
        last = len(shape) - 1
        row = slots["row"] * beta_2 + _mean(square, (last,)) * (1.0 - beta_2)
        column = slots["column"] * beta_2 + _mean(square, (last - 1,)) * (1.0 - beta_2)
        share = row / _mean(row, (last - 1,), keepdims=True)
        v = engine.reshape(share, (*shape[:-1], 1)) * engine.reshape(column, (*shape[:-2], 1, shape[-1]))
    u = gradient * engine.rsqrt(v)
    move = u / engine.maximum(_root_mean_square(u) / clip_threshold, 1.0)
    return value - learning_rate * engine.maximum(_root_mean_square(value), epsilon_2) * move, {"row": row, "column": column, "velocity": v}


def _mean(x: Tensor, axes: tuple[int, ...], keepdims: bool = False) -> Tensor:
    return engine.sum(x, axes, keepdims) / float(np.prod([x.shape[i] for i in axes]))


def _root_mean_square(x: Tensor) -> Tensor:
    return engine.sqrt(_mean(x * x, tuple(range(len(x.shape)))))


class Adafactor(Optimizer):
    """Adam's scaling from row and column means, without momentum, with steps in proportion to the weights.

    Args:
        learning_rate: share of the size of the weights that a step moves them.
        beta_2_decay: exponent below 0: the mean squares keep 1 - t**beta_2_decay in step t.
        epsilon_1: added to squared gradients.
        epsilon_2: smallest size that weights count as.
        clip_threshold: longest move, in units of learning_rate.
        relative_step: whether the learning rate is at most 1 / sqrt(t).
    """

    slot_order = (("row", "column", "velocity"),)

    @common_arguments
    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
        **common: Any,
    ) -> None:
        super().__init__(learning_rate, **common)
        self.beta_2_decay, self.epsilon_1, self.epsilon_2 = beta_2_decay, epsilon_1, epsilon_2
        self.clip_threshold, self.relative_step = clip_threshold, relative_step

    def init_slots(self, value: Tensor) -> Slots:
        return init(value)

    def _add_slot(self, variable: Variable, slot: str, start: np.ndarray) -> Variable:
        if slot == "velocity":
            return super()._add_slot(variable, slot, start)
        return self.add_variable(start.shape, lambda shape, dtype: start, start.dtype, name=variable.name)

    def step_scalars(self, step: Tensor, learning_rate: Tensor) -> dict[str, Tensor]:
        rate = engine.minimum(learning_rate, engine.rsqrt(step)) if self.relative_step else learning_rate
        return {"learning_rate": rate, "beta_2": 1.0 - engine.power(step, self.beta_2_decay)}

    def update(self, gradient: Tensor, value: Tensor, slots: Slots, **scalars: Tensor) -> tuple[Tensor, Slots]:
        return update(gradient, value, slots, **scalars, epsilon_1=self.epsilon_1, epsilon_2=self.epsilon_2, clip_threshold=self.clip_threshold)
