# SPDX-License-Identifier: Apache-2.0
"""ProgbarLogger: a bar on terminals and in notebooks, one plain line per epoch elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from nyala.callbacks.callback import Callback, Logs
from nyala.core import sharding

SECONDS_BETWEEN_DRAWS = 0.2


def is_interactive() -> bool:
    """Whether output goes to someone who watches it: a terminal or a notebook."""
    if "ipykernel" in sys.modules and type(sys.stdout).__module__.startswith("ipykernel"):
        return True
    return bool(getattr(sys.stdout, "isatty", lambda: False)())


class ProgbarLogger(Callback):
    """Shows progress and logs. fit and evaluate add one unless verbose is 0.

    The bar is drawn at most five times a second, and logs are fetched from the device only to draw it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._bar: Any = None
        self._task: Any = None
        self._epoch = 0
        self._drawn = 0.0
        self._done = 0
        self._inside_training = False

    # Which style ---------------------------------------------------------------------------------------------------------------------

    def _style(self) -> str:
        verbose = self.params.get("verbose", "auto")
        if verbose == "auto" and sharding.processes() > 1 and sharding.process_number():
            verbose = 0  # the first of several processes shows what all of them do
        from nyala.config import is_interactive_logging_enabled

        watched = is_interactive() and (verbose == 1 or is_interactive_logging_enabled())
        return "silent" if verbose == 0 else "bar" if verbose in ("auto", 1) and watched else "line"

    def on_train_begin(self, logs: Logs = None) -> None:
        self._inside_training = True

    def on_train_end(self, logs: Logs = None) -> None:
        self._close()
        self._inside_training = False

    def on_exception(self, error: BaseException) -> None:
        self.on_train_end()

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch, self._began = epoch, time.perf_counter()
        self._open(f"Epoch {epoch + 1}/{self.params.get('epochs')}")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._finish(f"Epoch {epoch + 1}/{self.params.get('epochs')}", logs)

    def on_test_begin(self, logs: Logs = None) -> None:
        if not self._inside_training:
            self._began = time.perf_counter()
            self._open("Evaluate")

    def on_test_end(self, logs: Logs = None) -> None:
        if not self._inside_training:
            self._finish("Evaluate", logs)

    def on_predict_begin(self, logs: Logs = None) -> None:
        self._began = time.perf_counter()
        self._open("Predict")

    def on_predict_end(self, logs: Logs = None) -> None:
        self._finish("Predict", None)

    # Drawing -------------------------------------------------------------------------------------------------------------------------

    def _open(self, title: str) -> None:
        self._done, self._drawn = 0, 0.0
        if self._style() != "bar":
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        columns = [
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[logs]}"),
        ]
        self._bar = Progress(*columns, auto_refresh=False, transient=True)
        self._bar.start()
        self._task = self._bar.add_task(title, total=self.params.get("steps"), logs="")

    def advance(self, mode: str, done: int, logs: Callable[[], dict[str, Any]]) -> None:
        """Called by the trainer whenever steps are done; logs() fetches the running values."""
        if mode == "test" and self._inside_training:
            return
        self._done = done
        if self._bar is None:
            return
        now = time.perf_counter()
        if now - self._drawn >= SECONDS_BETWEEN_DRAWS:
            self._drawn = now
            self._bar.update(self._task, completed=done, logs=format_logs(logs()), refresh=True)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _finish(self, title: str, logs: Logs) -> None:
        self._close()
        if self._style() == "silent":
            return
        seconds, steps = time.perf_counter() - self._began, self.params.get("steps") or self._done
        each = f", {format_seconds(seconds / steps)}/step" if steps else ""
        print(f"{title}: {steps or '?'} steps, {format_seconds(seconds)}{each}" + (f" - {format_logs(logs)}" if logs else ""), flush=True)


def format_logs(logs: dict[str, Any] | None) -> str:
    """Logs in one line.

    >>> format_logs({"loss": 0.25, "accuracy": 0.9})
    'loss: 0.2500 - accuracy: 0.9000'
    """
    return " - ".join(f"{name}: {format_value(value)}" for name, value in (logs or {}).items())


def format_value(value: Any) -> str:
    if not isinstance(value, (int, float)):
        return str(value)
    return f"{value:.4f}" if abs(value) > 1e-3 or value == 0 else f"{value:.4e}"


def format_seconds(seconds: float) -> str:
    """A duration in the unit that fits.

    >>> format_seconds(0.0123), format_seconds(2.5), format_seconds(90)
    ('12.3ms', '2.5s', '1m30s')
    """
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f}us"
    if seconds < 1:
        return f"{seconds * 1e3:.1f}ms"
    return f"{seconds:.1f}s" if seconds < 60 else f"{int(seconds // 60)}m{int(seconds % 60):02d}s"
