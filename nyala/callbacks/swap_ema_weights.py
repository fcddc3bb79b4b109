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

    def _averages(self) -> dict[Any, Any]:
        """The averages of variables."""
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        if not getattr(optimizer, "use_ema", False):
            raise StateError("SwapEMAWeights", need="an optimizer that keeps averages", got=type(optimizer).__name__, fix="make it with use_ema=True")
        return optimizer._averages

    def _show_averages(self) -> None:
        averages = self._averages()
        if self._own:
            return
        self._own = [(variable, variable.numpy()) for variable in averages]
        for variable, average in averages.items():
            variable.assign(average.value)

    def get_state(self) -> dict[str, Any]:
        return {"own": [value for _, value in self._own]} if self._own else {}

    def set_state(self, state: dict[str, Any]) -> None:
        self._own = list(zip(self._averages(), state["own"], strict=True))

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

    def on_exception(self, error: BaseException) -> None:
        self._show_own()
