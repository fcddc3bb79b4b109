# SPDX-License-Identifier: Apache-2.0
"""SwapEMAWeights."""

from __future__ import annotations

from typing import Any

from nyala.callbacks.callback import Callback, Logs
from nyala.core.errors import StateError


class SwapEMAWeights(Callback):
    """Evaluate and predict with the averages of the weights, and train on with the weights themselves.

    The optimizer keeps the averages when it is made with use_ema=True.

    Args:
        swap_on_epoch: show the averages at the end of an epoch, too, so that a ModelCheckpoint after this callback keeps them.

    >>> import nyala
    >>> nyala.callbacks.SwapEMAWeights().swap_on_epoch
    False
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._own: list[tuple[Any, Any]] = []  # variables that hold averages now, with their own values

    def _show_averages(self) -> None:
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        if not getattr(optimizer, "use_ema", False):
            raise StateError("SwapEMAWeights", need="an optimizer that keeps averages", got=type(optimizer).__name__, fix="make it with use_ema=True")
        if self._own:
            return
        averages = [(variable, average) for variable, average in optimizer._averages.items()]
        self._own = [(variable, variable.numpy()) for variable, _ in averages]
        for variable, average in averages:
            variable.assign(average.value)

    def _show_own(self) -> None:
        for variable, value in self._own:
            variable.assign(value)
        self._own = []

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._show_own()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.swap_on_epoch:
            self._show_averages()

    def on_train_end(self, logs: Logs = None) -> None:
        self._own = []

    def on_test_begin(self, logs: Logs = None) -> None:
        self._show_averages()

    def on_test_end(self, logs: Logs = None) -> None:
        self._show_own()

    def on_predict_begin(self, logs: Logs = None) -> None:
        self._show_averages()

    def on_predict_end(self, logs: Logs = None) -> None:
        self._show_own()
