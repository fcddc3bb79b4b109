# SPDX-License-Identifier: Apache-2.0
"""CSVLogger."""

from __future__ import annotations

import collections
import csv
import os
from typing import Any

import numpy as np

from nyala.callbacks.callback import Callback, Logs


class CSVLogger(Callback):
    """Write the logs of each epoch as a row of a CSV file, flushed after each row.

    Args:
        filename: of the file.
        separator: between values.
        append: add to an existing file instead of starting anew.
    """

    def __init__(self, filename: Any, separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename, self.sep, self.append = os.fspath(filename), separator, append
        self.keys: list[str] | None = None
        self._file: Any = None

    def on_train_begin(self, logs: Logs = None) -> None:
        self.keys = None
        has_rows = self.append and os.path.exists(self.filename) and os.path.getsize(self.filename) > 0
        if has_rows:
            with open(self.filename, newline="", encoding="utf-8") as file:
                self.keys = next(csv.reader(file, delimiter=self.sep))[1:]
        self._file = open(self.filename, "a" if self.append else "w", newline="", encoding="utf-8")  # noqa: SIM115  closed at the end of training
        self._has_header = has_rows

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        logs = dict(logs or {})
        if self.keys is None:
            self.keys = sorted(logs)
            if self.model is not None and not any(k.startswith("val_") for k in self.keys):  # columns for a validation that comes later
                self.keys += [f"val_{k}" for k in self.keys if k != "learning_rate"]
        writer = csv.DictWriter(self._file, ["epoch", *self.keys], delimiter=self.sep, extrasaction="ignore", restval="NA")
        if not self._has_header:
            writer.writeheader()
            self._has_header = True
        writer.writerow(collections.OrderedDict({"epoch": epoch, **{k: _shown(logs[k]) for k in self.keys if k in logs}}))
        self._file.flush()

    def on_train_end(self, logs: Logs = None) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _shown(value: Any) -> Any:
    if not isinstance(value, str) and np.ndim(value) > 0:
        return '"[' + ", ".join(map(str, value)) + ']"'
    return value
