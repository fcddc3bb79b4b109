# SPDX-License-Identifier: Apache-2.0
"""TerminateOnNaN."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nyala.callbacks.callback import Callback, Logs
from nyala.core.errors import StateError


class TerminateOnNaN(Callback):
    """Stop training when the loss is nan or infinite, and say what made it so: the row of the data, the layer, the loss or the gradient.

    Args:
        raise_error: whether to raise a RuntimeError, so that the program ends, instead of just ending `fit`.

    Attributes:
        cause: the explanation, once training was stopped.

    It keeps a copy of the weights from the start of each epoch, with which it looks for the cause in data that are arrays.
    Differs from Keras: says the cause.
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = raise_error
        self.cause = ""
        self._before: list[Any] | None = None

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._before = self.model.get_weights() if self.model is not None and self.model.built else None

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        explain: Callable[[Any], str] | None = getattr(self.model, "_explain_nan", None)
        self.cause = explain(self._before) if explain is not None else ""
        self.model.stop_training = True
        if self.raise_error:
            fix = "" if self.cause else "lower the learning rate, and look for nan in the data"
            raise StateError(f"batch {batch}", need="a finite loss", got=f"{loss}", why=self.cause, fix=fix)
        print(f"Batch {batch}: the loss is {loss}, training stops" + (f". {self.cause[:1].upper()}{self.cause[1:]}" if self.cause else ""))

    def on_train_end(self, logs: Logs = None) -> None:
        self._before = None

    def on_exception(self, error: BaseException) -> None:
        self._before = None
