# SPDX-License-Identifier: Apache-2.0
"""BackupAndRestore: fit(resume=...) under the name and with the arguments that Keras gave it. What it does is in nyala/training/resume.py."""

from __future__ import annotations

from typing import Any

from nyala.callbacks.callback import Callback
from nyala.core.errors import ArgumentError
from nyala.training.resume import Resume


class BackupAndRestore(Callback):
    """Keep checkpoints of the whole run, so that the same program, started again after an interruption, goes on where it stood.

    Args:
        backup_dir: folder of the checkpoints; one process at a time may use it.
        save_freq: "epoch"; a number of batches; or False: only when the process is told to end by SIGTERM.
        double_checkpoint: keep the newest two, so that there is another one if one is damaged.
        delete_checkpoint: delete the checkpoints, and nothing else, when training has ended.

    Differs from Keras: it goes on in the middle of an epoch, with equal bits (data, dropout, optimizer, callbacks and history included); damaged
    checkpoints are found out and set aside; SIGTERM saves with every save_freq. `fit(resume=nyala.callbacks.Resume(...))` knows more arguments.

    >>> BackupAndRestore("runs/a", save_freq=100).resume.steps
    100
    """

    def __init__(
        self, backup_dir: Any, save_freq: str | int | bool = "epoch", double_checkpoint: bool = False, delete_checkpoint: bool = True
    ) -> None:
        super().__init__()
        if save_freq != "epoch" and save_freq is not False and (not isinstance(save_freq, int) or save_freq is True or save_freq < 1):
            raise ArgumentError("BackupAndRestore(save_freq)", need="'epoch', a number of batches, or False", got=repr(save_freq))
        self.backup_dir, self.save_freq = backup_dir, save_freq
        self.double_checkpoint, self.delete_checkpoint = bool(double_checkpoint), bool(delete_checkpoint)
        self.resume = Resume(
            backup_dir,
            epochs=1 if save_freq == "epoch" else None,
            steps=save_freq if save_freq not in ("epoch", False) else None,  # type: ignore[arg-type]
            seconds=None,
            keep=2 if double_checkpoint else 1,
            exact=False,
            delete=self.delete_checkpoint,
        )
