# SPDX-License-Identifier: Apache-2.0
"""CSVLogger."""

from __future__ import annotations

import collections
import contextlib
import csv
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from nyala.callbacks.callback import Callback, Logs


class CSVLogger(Callback):
    """Write the logs of each epoch as a row of a CSV file, at once.

    Args:
        filename: of the file.
        separator: between values.
        append: add to an existing file instead of starting anew.
    """

    def __init__(self, filename: Any, separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename, self.sep, self.append = os.fspath(filename), separator, append
        self.keys: list[str] | None = None
        self._begun = False
        self._size: int | None = None  # of the file with the rows written so far; None before the first

    def on_train_begin(self, logs: Logs = None) -> None:
        self.keys, self._size, self._begun = None, None, False

    def get_state(self) -> dict[str, Any]:
        return {} if self._size is None else {"keys": self.keys, "size": self._size}

    def set_state(self, state: dict[str, Any]) -> None:
        self.keys, self._size = state["keys"], state["size"]

    def _begin(self) -> None:
        """Make the file ready for the first row; rows of a run that was interrupted stay, but for those that come once more."""
        size = os.path.getsize(self.filename) if os.path.exists(self.filename) else 0
        goes_on = self._size is not None and size >= self._size
        self._has_header = goes_on or (self.append and size > 0)
        if self._has_header and not goes_on:
            with open(self.filename, newline="", encoding="utf-8") as file:
                self.keys = next(csv.reader(file, delimiter=self.sep))[1:]
        with open(self.filename, "a" if self._has_header else "w", encoding="utf-8") as file:
            if goes_on:
                file.truncate(self._size)
        self._begun = True

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if not self._begun:
            self._begin()
        logs = dict(logs or {})
        if self.keys is None:
            self.keys = sorted(logs)
            if self.model is not None and not any(k.startswith("val_") for k in self.keys):  # columns for a validation that comes later
                self.keys += [f"val_{k}" for k in self.keys if k != "learning_rate"]
        with self._whole_or_not(), open(self.filename, "a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["epoch", *self.keys], delimiter=self.sep, extrasaction="ignore", restval="NA")
            if not self._has_header:
                writer.writeheader()
                self._has_header = True
            writer.writerow(collections.OrderedDict({"epoch": epoch, **{k: _shown(logs[k]) for k in self.keys if k in logs}}))
        self._size = os.path.getsize(self.filename)

    @contextlib.contextmanager
    def _whole_or_not(self) -> Iterator[None]:
        """A row that cannot be written whole, as on a full disk, leaves nothing of itself."""
        size, has_header = os.path.getsize(self.filename), self._has_header
        try:
            yield
        except OSError:
            self._has_header = has_header
            with contextlib.suppress(OSError):
                os.truncate(self.filename, size)
            raise


def _shown(value: Any) -> Any:
    if not isinstance(value, str) and np.ndim(value) > 0:
        return '"[' + ", ".join(map(str, value)) + ']"'
    return value
