# SPDX-License-Identifier: Apache-2.0
"""Callbacks that change the learning rate: LearningRateScheduler, ReduceLROnPlateau."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from nyala.callbacks.callback import Callback, Logs
from nyala.callbacks.monitor import Monitor
from nyala.core.errors import ArgumentError, ArgumentTypeError, StateError


class LearningRateScheduler(Callback):
    """Set the learning rate at the start of each epoch.

    Args:
        schedule: (epoch, learning rate now) -> learning rate, or (epoch) -> learning rate.
        verbose: 1 prints it.
    """

    def __init__(self, schedule: Callable, verbose: int = 0) -> None:
        super().__init__()
        if not callable(schedule):
            raise ArgumentTypeError(
                "LearningRateScheduler(schedule)", need="a function (epoch, learning_rate) -> learning rate", got=type(schedule).__name__
            )
        self.schedule, self.verbose = schedule, verbose
        self._takes = len(
            [
                p
                for p in inspect.signature(schedule).parameters.values()
                if (p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty) or p.kind is p.VAR_POSITIONAL
            ]
        )

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        now = float(np.asarray(self.model.optimizer.learning_rate))
        rate = self.schedule(epoch, now) if self._takes != 1 else self.schedule(epoch)
        try:
            rate = float(rate)
        except (TypeError, ValueError) as error:
            raise ArgumentTypeError("LearningRateScheduler(schedule)", need="a function that returns a number", got=f"{rate!r}") from error
        self.model.optimizer.learning_rate = rate
        if self.verbose:
            print(f"Epoch {epoch + 1}: learning rate {rate:g}")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(np.asarray(self.model.optimizer.learning_rate))


class ReduceLROnPlateau(Callback):
    """Lower the learning rate when a value no longer improves.

    Args:
        monitor, mode, min_delta: as in EarlyStopping.
        factor: of the learning rate, below 1.
        patience: epochs without improvement.
        verbose: 1 says so.
        cooldown: epochs to wait after a reduction.
        min_lr: it goes no lower.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        epsilon: float | None = None,
    ) -> None:
        super().__init__()
        if factor >= 1.0:
            raise ArgumentError("ReduceLROnPlateau(factor)", need="a number below 1", got=repr(factor))
        self.monitor, self.factor, self.patience, self.verbose, self.mode = monitor, factor, patience, verbose, mode
        self.min_delta, self.cooldown, self.min_lr = min_delta if epsilon is None else epsilon, cooldown, min_lr
        self._watch = Monitor(monitor, mode, self.min_delta, "ReduceLROnPlateau")
        self.wait = self.cooldown_counter = 0

    def on_train_begin(self, logs: Logs = None) -> None:
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        if callable(getattr(optimizer, "_learning_rate", None)):
            fix = "make the optimizer with a number, or leave the schedule alone"
            raise StateError("ReduceLROnPlateau", need="an optimizer with a number as learning rate", got="one with a schedule", fix=fix)
        self._watch = Monitor(self.monitor, self.mode, self.min_delta, "ReduceLROnPlateau")
        self.wait = self.cooldown_counter = 0

    def get_state(self) -> dict[str, Any]:
        return {"best": self._watch.best, "wait": self.wait, "cooldown_counter": self.cooldown_counter}

    def set_state(self, state: dict[str, Any]) -> None:
        self._watch.best, self.wait, self.cooldown_counter = state["best"], state["wait"], state["cooldown_counter"]

    def in_cooldown(self) -> bool:
        """Whether it waits after a reduction."""
        return self.cooldown_counter > 0

    @property
    def best(self) -> float:
        return self._watch.best

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        rate = float(np.asarray(self.model.optimizer.learning_rate))
        if logs is not None:
            logs["learning_rate"] = rate
        value = self._watch.value(logs, self.model)
        if value is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self._watch.better(value):
            self._watch.best, self.wait = value, 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and rate > np.float32(self.min_lr):
                new = max(rate * self.factor, self.min_lr)
                self.model.optimizer.learning_rate = new
                self.cooldown_counter, self.wait = self.cooldown, 0
                if self.verbose:
                    print(f"Epoch {epoch + 1}: learning rate reduced to {new:g}")
