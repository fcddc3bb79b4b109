# SPDX-License-Identifier: Apache-2.0
"""ModelCheckpoint: the weights of the best or of every epoch, in a file or in memory."""

from __future__ import annotations

import os
import pathlib
from typing import Any

import numpy as np

from nyala.callbacks.callback import Callback, Logs
from nyala.callbacks.monitor import Monitor
from nyala.core.errors import ArgumentError


class ModelCheckpoint(Callback):
    """Keep the weights while training goes on.

    Args:
        filepath: an .npz file, written in one step so that no half file is ever seen; may hold the epoch and names of logs:
            "w.{epoch:02d}-{val_loss:.2f}.npz".
            None keeps the weights in memory, in `weights`.
        monitor, mode: as in EarlyStopping.
        verbose: 1 says what was kept.
        save_best_only: keep only improvements.
        save_weights_only: must be True.
        save_freq: "epoch", or every so many batches.
        initial_value_threshold: value that must be beaten first.

    Differs from Keras: files hold weights only, as .npz.
    """

    def __init__(
        self,
        filepath: Any = None,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = True,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__()
        if filepath is not None and not os.fspath(filepath).endswith(".npz"):
            raise ArgumentError(
                "ModelCheckpoint(filepath)",
                need="a path that ends in .npz, or None for memory",
                got=repr(filepath),
                why="this is the format for weights",
                fix="change the suffix",
            )
        if not save_weights_only:
            raise ArgumentError(
                "ModelCheckpoint(save_weights_only)",
                need="True",
                got="False",
                why="an .npz file holds weights",
                fix="keep model.to_json() beside it for the architecture",
            )
        if save_freq != "epoch" and (not isinstance(save_freq, int) or save_freq < 1):
            raise ArgumentError("ModelCheckpoint(save_freq)", need="'epoch' or a number of batches", got=repr(save_freq))
        self.filepath, self.monitor, self.verbose, self.save_best_only, self.save_freq = filepath, monitor, verbose, save_best_only, save_freq
        self.save_weights_only, self.mode = save_weights_only, mode
        self._watch = Monitor(monitor, mode, 0, "ModelCheckpoint", initial_value_threshold)
        self.weights: list[np.ndarray] | None = None
        self._epoch = self._batches = 0
        if save_freq != "epoch":
            self.on_train_batch_end = self._on_batch  # type: ignore[method-assign]

    @property
    def best(self) -> float:
        return self._watch.best

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.save_freq == "epoch":
            self._keep(epoch, logs or {})

    def _on_batch(self, batch: int, logs: Logs = None) -> None:
        self._batches += 1
        if self._batches % int(self.save_freq) == 0:
            self._keep(self._epoch, {"batch": batch, **(logs or {})})

    def _keep(self, epoch: int, logs: dict[str, Any]) -> None:
        if self.save_best_only:
            value = self._watch.value(logs)
            if value is None or not self._watch.better(value):
                return
            self._watch.best = value
        if self.filepath is None:
            self.weights = self.model.get_weights()
            return
        try:
            path = os.fspath(self.filepath).format(epoch=epoch + 1, **logs)
        except KeyError as error:
            raise ArgumentError("ModelCheckpoint(filepath)", need=f"names among {['epoch', *logs]}", got=f"{self.filepath!r}") from error
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        self.model.save_weights(path)
        if self.verbose:
            print(f"Epoch {epoch + 1}: weights written to {path}")
