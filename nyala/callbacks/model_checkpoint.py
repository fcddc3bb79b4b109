# SPDX-License-Identifier: Apache-2.0
"""ModelCheckpoint: the model or its weights of the best or of every epoch, in a file or in memory."""

from __future__ import annotations

import os
import pathlib
from typing import Any

import numpy as np

from nyala.callbacks.callback import Callback, Logs
from nyala.callbacks.monitor import Monitor
from nyala.core.errors import ArgumentError

WEIGHTS = (".npz", ".weights.h5")
HDF5 = (".h5", ".hdf5")  # a whole model, or with save_weights_only its weights


class ModelCheckpoint(Callback):
    """Keep the model, or its weights, while training goes on.

    Args:
        filepath: of a file, written in one step so that no half file is ever seen; may hold the epoch, the batch and names of logs:
            "w.{epoch:02d}-{val_loss:.2f}.weights.h5". The suffix says what is kept: .npz and .weights.h5 weights, .keras and .h5 the whole model.
            None keeps the weights in memory, in `weights`.
        monitor, mode: as in EarlyStopping.
        verbose: 1 says what was kept.
        save_best_only: keep only improvements; everything, with a warning, while the logs lack the value (those of
            batches hold no val_loss). The best value is part of the checkpoints of `fit(resume=...)`.
        save_weights_only: True refuses suffixes of whole models.
        save_freq: "epoch", or every so many batches.
        initial_value_threshold: value that must be beaten first.
        period: Keras 2's word for every so many epochs.

    Differs from Keras: .npz files, .h5 files of weights alone, and memory. A failed save leaves the file of before.
    """

    def __init__(
        self,
        filepath: Any = None,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
        period: int = 1,
    ) -> None:
        super().__init__()
        suffixes = (*WEIGHTS, *HDF5) if save_weights_only else (*WEIGHTS, ".keras", *HDF5)
        if filepath is not None and not os.fspath(filepath).endswith(suffixes):
            raise ArgumentError(
                "ModelCheckpoint(filepath)",
                need=f"a path that ends in {', '.join(suffixes)}, or None for memory",
                got=repr(filepath),
                why="the suffix says what is written, and save_weights_only=True wants weights" if save_weights_only else "",
                fix="change the suffix",
            )
        if save_freq != "epoch" and (not isinstance(save_freq, int) or isinstance(save_freq, bool) or save_freq < 1):
            raise ArgumentError(f"{type(self).__name__}(save_freq)", need="'epoch' or a number of batches", got=repr(save_freq))
        if not isinstance(period, int) or isinstance(period, bool) or period < 1:
            raise ArgumentError(f"{type(self).__name__}(period)", need="a number of epochs", got=repr(period))
        self.filepath, self.monitor, self.verbose, self.save_best_only, self.save_freq = filepath, monitor, verbose, save_best_only, save_freq
        self.save_weights_only, self.mode, self.period = save_weights_only, mode, period
        self._watch = Monitor(monitor, mode, 0, type(self).__name__, initial_value_threshold, "everything is kept")
        self.weights: list[np.ndarray] | None = None
        self._epoch = self._batches = 0
        if save_freq != "epoch":
            self.on_train_batch_end = self._on_batch  # type: ignore[method-assign]

    @property
    def best(self) -> float:
        return self._watch.best

    def get_state(self) -> dict[str, Any]:
        return {"best": self._watch.best, "batches": self._batches, "weights": self.weights}

    def set_state(self, state: dict[str, Any]) -> None:
        self._watch.best, self._batches, self.weights = state["best"], state["batches"], state["weights"]

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.save_freq == "epoch" and (epoch + 1) % self.period == 0:
            self._keep(epoch, logs or {})

    def _on_batch(self, batch: int, logs: Logs = None) -> None:
        self._batches += 1
        if self._batches % int(self.save_freq) == 0:
            self._keep(self._epoch, {"batch": batch + 1, **(logs or {})})

    def _keep(self, epoch: int, logs: dict[str, Any]) -> None:
        if self.save_best_only:
            value = self._watch.value(logs, self.model)
            if value is not None:
                if not self._watch.better(value):
                    return
                self._watch.best = value
        self._write(epoch, logs)

    def _write(self, epoch: int, logs: dict[str, Any]) -> None:
        if self.filepath is None:
            self.weights = self.model.get_weights()
            return
        try:
            path = os.fspath(self.filepath).format_map(type(logs)({**logs, "epoch": epoch + 1}))
        except KeyError as error:
            raise ArgumentError("ModelCheckpoint(filepath)", need=f"names among {['epoch', *logs]}", got=f"{self.filepath!r}") from error
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        weights = self.save_weights_only or path.endswith(WEIGHTS)
        (self.model.save_weights if weights else self.model.save)(path)
        if self.verbose:
            print(f"Epoch {epoch + 1}: {'weights' if weights else 'model'} written to {path}")
