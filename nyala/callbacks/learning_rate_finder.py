# SPDX-License-Identifier: Apache-2.0
"""LearningRateFinder: tries rates from small to large, one per batch, and says which one to train with. Start at on_train_batch_end."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from nyala.callbacks.callback import Callback, Logs
from nyala.core.errors import ArgumentError, StateError
from nyala.core.variable import Variable
from nyala.utils.extras import need


class LearningRateFinder(Callback):
    """Raise the learning rate from batch to batch until the loss explodes; then put everything back as it was.

    Args:
        min_rate, max_rate: the rates tried, in equal steps on a logarithmic axis.
        steps: batches tried, at most those that fit makes; pass it enough epochs.
        smoothing: of the loss: share of what came before.
        explosion: it ends when the smoothed loss is so many times its lowest value.

    Attributes:
        rates, losses: of each batch, the latter smoothed.
        suggestion: the rate where the loss falls most steeply, a good one to begin with.

    Weights, the state of the optimizer and its rate are what they were before, once training ends, by an error too.
    Train with the suggestion in another fit.
    Source: Smith 2017, Cyclical Learning Rates for Training Neural Networks.

    >>> import nyala
    >>> nyala.utils.set_random_seed(0)
    >>> model = nyala.Sequential([nyala.Input((2,)), nyala.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> finder = LearningRateFinder(1e-4, 100.0, steps=40)
    >>> x = np.random.default_rng(0).normal(size=(64, 2))
    >>> _ = model.fit(x, 3 * x[:, :1], epochs=20, verbose=0, callbacks=[finder])
    >>> 0.01 < finder.suggestion < 1.0
    True
    """

    def __init__(self, min_rate: float = 1e-6, max_rate: float = 10.0, steps: int = 100, smoothing: float = 0.8, explosion: float = 4.0) -> None:
        super().__init__()
        if not 0 < min_rate < max_rate:
            raise ArgumentError("LearningRateFinder", need="0 < min_rate < max_rate", got=f"{min_rate} and {max_rate}")
        if steps < 4 or not 0 <= smoothing < 1:
            raise ArgumentError("LearningRateFinder", need="at least 4 steps, and smoothing from 0 to below 1", got=f"{steps} and {smoothing}")
        self.min_rate, self.max_rate, self.steps, self.smoothing, self.explosion = min_rate, max_rate, int(steps), smoothing, explosion
        self.rates: list[float] = []
        self.losses: list[float] = []
        self._average = self._rate = 0.0
        self._planned = self.steps
        self._before: list[tuple[Variable, np.ndarray]] = []

    def get_state(self) -> dict[str, Any]:
        before = [value for _, value in self._before]
        return {"rates": list(self.rates), "losses": list(self.losses), "average": self._average, "before": before}

    def set_state(self, state: dict[str, Any]) -> None:
        self.rates, self.losses, self._average = list(state["rates"]), list(state["losses"]), state["average"]
        self._before = [(variable, value) for (variable, _), value in zip(self._before, state["before"], strict=True)]

    def on_train_begin(self, logs: Logs = None) -> None:
        optimizer = self.model.optimizer
        if not isinstance(getattr(optimizer, "learning_rate", None), Variable):
            raise StateError("LearningRateFinder", need="an optimizer with a number as learning rate", got="one with a schedule, or without a rate")
        if not self.model.built:
            raise StateError("LearningRateFinder", need="a built model", got="one without weights yet", fix="begin it with an Input, or call build")
        self.rates, self.losses, self._average = [], [], 0.0
        available = (self.params.get("epochs") or 1) * (self.params.get("steps") or self.steps)
        self._planned = min(self.steps, available)
        self._before = [(variable, variable.numpy()) for variable in (*self.model.variables, *optimizer.variables)]

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        share = len(self.rates) / max(self._planned - 1, 1)
        self._rate = self.min_rate * (self.max_rate / self.min_rate) ** share
        self.model.optimizer.learning_rate = self._rate
        self.model.reset_metrics()  # so that the loss is that of one batch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        loss = float((logs or {}).get("loss", math.nan))
        number = len(self.rates) + 1
        average = self.smoothing * self._average + (1 - self.smoothing) * loss
        smoothed = average / (1 - self.smoothing**number)
        if not math.isfinite(smoothed) or (number > 3 and smoothed > self.explosion * min(self.losses)):
            self.model.stop_training = True
            return
        self._average = average
        self.rates.append(self._rate)
        self.losses.append(smoothed)
        if number >= self._planned:
            self.model.stop_training = True

    def on_train_end(self, logs: Logs = None) -> None:
        for variable, value in self._before:
            variable.assign(value)
        self._before = []

    def on_exception(self, error: BaseException) -> None:
        self.on_train_end()

    @property
    def suggestion(self) -> float:
        """The rate where the smoothed loss falls most steeply before its lowest value."""
        if len(self.rates) < 4:
            raise StateError(
                "LearningRateFinder.suggestion",
                need="a loss that stays finite for at least 4 batches",
                got=f"{len(self.rates)}",
                fix="begin with a lower min_rate" if self.rates else "pass it to the callbacks of fit first",
            )
        reach = max(len(self.rates) // 8, 1)  # the fall is measured over so many batches on both sides: from one to the next it is noise
        first = min(int(2 / (1 - self.smoothing)), len(self.rates) // 4)  # before, the average is one of few batches
        losses, until = np.array(self.losses), max(int(np.argmin(self.losses)), first + 2 * reach) + 1
        falls = losses[first : until - 2 * reach] - losses[first + 2 * reach : until]
        return self.rates[int(np.argmax(falls)) + first + reach]

    def plot(self, path: Any = None) -> Any:
        """The loss by the rate as a matplotlib Figure, with the suggestion; written to a file if a path is given. Needs the extra "plot"."""
        figure = need("matplotlib.figure", "plot", "LearningRateFinder.plot").Figure(figsize=(6, 4), layout="constrained")
        axis = figure.add_subplot()
        axis.plot(self.rates, self.losses)
        axis.axvline(self.suggestion, linestyle="--", color="tab:orange", label=f"suggestion: {self.suggestion:.2g}")
        axis.set(xscale="log", xlabel="learning rate", ylabel="loss, smoothed")
        axis.legend()
        if path is not None:
            figure.savefig(os.fspath(path), dpi=120)
        return figure
