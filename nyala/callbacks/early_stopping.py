# SPDX-License-Identifier: Apache-2.0
"""EarlyStopping."""

from __future__ import annotations

from typing import Any

from nyala.callbacks.callback import Callback, Logs
from nyala.callbacks.monitor import Monitor


class EarlyStopping(Callback):
    """Stop training when a value no longer improves.

    Args:
        monitor: name in the logs.
        min_delta: improvements smaller than this do not count.
        patience: epochs without improvement after which training stops.
        verbose: 1 says so.
        mode: "min", "max" or "auto", by the name.
        baseline: value that must be beaten.
        restore_best_weights: give the model the weights of its best epoch at the end of training, also when it was not stopped, or
            ended by an error or Ctrl-C.
        start_from_epoch: epochs to wait before watching.

    Differs from Keras: the best weights are restored whenever training ends.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__()
        self._watch = Monitor(monitor, mode, min_delta, "EarlyStopping")
        self.monitor, self.min_delta, self.patience, self.verbose, self.mode = monitor, min_delta, patience, verbose, mode
        self.baseline, self.restore_best_weights, self.start_from_epoch = baseline, restore_best_weights, start_from_epoch
        self.stopped_epoch, self.best_epoch, self.wait = 0, 0, 0
        self.best_weights: list[Any] | None = None

    @property
    def best(self) -> float:
        return self._watch.best

    def get_monitor_value(self, logs: Logs) -> float | None:
        """The watched value among the logs; None, with a warning, without it."""
        return self._watch.value(logs, self.model)

    def get_state(self) -> dict[str, Any]:
        names = ("stopped_epoch", "best_epoch", "wait", "best_weights")
        return {"best": self._watch.best, **{name: getattr(self, name) for name in names}}

    def set_state(self, state: dict[str, Any]) -> None:
        self._watch.best = state["best"]
        vars(self).update((name, value) for name, value in state.items() if name != "best")

    def on_train_begin(self, logs: Logs = None) -> None:
        self._watch = Monitor(self.monitor, self.mode, self.min_delta, "EarlyStopping")
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best_weights = None

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        value = self.get_monitor_value(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if self._watch.better(value):
            self._watch.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self._watch.better(value, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs = None) -> None:
        if self.stopped_epoch and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping; the best was epoch {self.best_epoch + 1}")
        self._restore()

    def on_exception(self, error: BaseException) -> None:
        self._restore()

    def _restore(self) -> None:
        if self.restore_best_weights and self.best_weights is not None:
            self.model.set_weights(self.best_weights)
