# SPDX-License-Identifier: Apache-2.0
"""OrbaxCheckpoint: the state of a model in the format of Orbax, for weights that are spread over devices. Needs the extra `orbax`."""

from __future__ import annotations

import os
import pathlib
from typing import Any

from nyala.callbacks.callback import Logs
from nyala.callbacks.model_checkpoint import ModelCheckpoint
from nyala.core.errors import ArgumentError, StateError
from nyala.core.variable import Variable
from nyala.training.run_state import groups, matched
from nyala.utils.extras import need


class OrbaxCheckpoint(ModelCheckpoint):
    """Keep the model with Orbax while training goes on; each piece of a weight is written by the process that has it.

    Args:
        directory: folder of the checkpoints, one folder for each, named by the number of updates made.
        monitor, verbose, save_best_only, mode, save_freq, initial_value_threshold: as in ModelCheckpoint.
        max_to_keep: newest checkpoints to keep; None keeps all.
        save_on_background: write while training goes on. A failure is raised by the next save or at the end of training.
        save_weights_only: leave out the optimizer and the metrics.

    Differs from Keras: `restore` reads them back; steps are numbered by updates, so that a second fit does not meet the numbers of the first;
    a failed last save raises. For whole runs that go on with equal bits use `fit(resume=...)`.
    """

    def __init__(
        self,
        directory: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
        max_to_keep: int | None = 1,
        save_on_background: bool = True,
        save_weights_only: bool = False,
    ) -> None:
        super().__init__(None, monitor, verbose, save_best_only, save_weights_only, mode, save_freq, initial_value_threshold)
        if max_to_keep is not None and (not isinstance(max_to_keep, int) or max_to_keep < 1):
            raise ArgumentError("OrbaxCheckpoint(max_to_keep)", need="an integer of at least 1, or None", got=repr(max_to_keep))
        self._orbax: Any = need("orbax.checkpoint", "orbax", "OrbaxCheckpoint")
        self.directory, self.max_to_keep, self.save_on_background = os.fspath(directory), max_to_keep, bool(save_on_background)
        self._manager: Any = None

    def is_multihost_enabled(self) -> bool:
        """Whether several processes train together."""
        return self._orbax.multihost.process_count() > 1

    def is_primary_host(self) -> bool:
        """Whether this is the first of them."""
        return self._orbax.multihost.process_index() == 0

    def wait_until_finished(self) -> None:
        """Wait for what is being written; raises if it failed."""
        if self._manager is not None:
            self._manager.wait_until_finished()
            self._manager.check_for_errors()

    def on_train_end(self, logs: Logs = None) -> None:
        self.wait_until_finished()

    def _open(self) -> Any:
        if self._manager is None:
            options = self._orbax.CheckpointManagerOptions(max_to_keep=self.max_to_keep, enable_async_checkpointing=self.save_on_background)
            self._manager = self._orbax.CheckpointManager(pathlib.Path(self.directory).absolute(), options=options)
        return self._manager

    def _groups(self, model: Any) -> dict[str, list[Variable]]:
        return {"weights": model.weights} if self.save_weights_only else groups(model)

    def _write(self, epoch: int, logs: dict[str, Any]) -> None:
        manager, save = self._open(), self._orbax.args
        manager.check_for_errors()
        step = max(int(self.model.optimizer.iterations), (manager.latest_step() or 0) + 1)
        known = self._groups(self.model)
        state = {f"{name}/{i}": _content(v) for name, variables in known.items() for i, v in enumerate(variables) if v.size}
        about = {"epoch": epoch, "best": repr(self.best), "paths": {name: [v.path for v in variables] for name, variables in known.items()}}
        manager.save(step, args=save.Composite(state=save.StandardSave(state), about=save.JsonSave(about)), force=True)
        if self.verbose:
            print(f"Epoch {epoch + 1}: checkpoint {step} in {self.directory}")

    def restore(self, model: Any, step: int | None = None) -> int:
        """Give a model the state of a checkpoint, the newest by default; nothing is changed unless all fits. Returns the number of its epoch."""
        manager, read, where = self._open(), self._orbax.args, f"OrbaxCheckpoint({self.directory!r})"
        step = manager.latest_step() if step is None else step
        if step is None or step not in manager.all_steps():
            raise StateError(where, need="a finished checkpoint", got=f"{manager.all_steps() or 'none'}")
        found = manager.restore(step, args=read.Composite(state=read.StandardRestore(), about=read.JsonRestore()))
        known, paths = self._groups(model), found.about["paths"]
        plan: list[tuple[Variable, Any]] = []
        for name, variables in known.items():
            stored = [
                {"path": path, "value": found.state[f"{name}/{i}"]} for i, path in enumerate(paths.get(name, ())) if f"{name}/{i}" in found.state
            ]
            plan += matched(stored, [v for v in variables if v.size], where)
        for variable, value in plan:
            variable.assign(value)
        return int(found.about["epoch"])


def _content(variable: Variable) -> Any:
    """What Orbax is given: the tensor where it lies in pieces on several devices, else a copy, so that the next step cannot change it."""
    value = variable.stored()
    return value if len(getattr(value, "addressable_shards", ())) > 1 else variable.numpy()
