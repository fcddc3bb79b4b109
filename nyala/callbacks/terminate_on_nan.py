# SPDX-License-Identifier: Apache-2.0
"""TerminateOnNaN."""

from __future__ import annotations

import math

from nyala.callbacks.callback import Callback, Logs
from nyala.core.errors import StateError


class TerminateOnNaN(Callback):
    """Stop training when the loss is nan or infinite.

    Args:
        raise_error: whether to raise a RuntimeError, so that the program ends, instead of just ending `fit`.
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = raise_error

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            if self.raise_error:
                raise StateError(f"batch {batch}", need="a finite loss", got=f"{loss}", fix="lower the learning rate, and look for nan in the data")
            print(f"Batch {batch}: the loss is {loss}, training stops")
            self.model.stop_training = True
