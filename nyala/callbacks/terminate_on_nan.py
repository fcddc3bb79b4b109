# SPDX-License-Identifier: Apache-2.0
"""TerminateOnNaN."""

from __future__ import annotations

import math

from nyala.callbacks.callback import Callback, Logs


class TerminateOnNaN(Callback):
    """Stop training when the loss is nan or infinite."""

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            print(f"Batch {batch}: the loss is {loss}, training stops")
            self.model.stop_training = True
