# SPDX-License-Identifier: Apache-2.0
"""Runs that can be interrupted at any moment and go on as if they had not been: fit(resume=...) and BackupAndRestore.

A checkpoint holds all that the next step depends on: variables of the model, its optimizers and metrics, the place in the epoch and in the data,
generators on the host, callbacks, history. `Run` is what fit talks to; where nothing is to be kept it does nothing. How checkpoints lie on the disk
is the business of nyala/files/checkpoints.py, and what is in them that of run_state.py. Start at Resume, then CheckpointedRun.
"""

from __future__ import annotations

import copy
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from nyala.core import sharding
from nyala.core.errors import ArgumentError, ArgumentTypeError, StateError
from nyala.files.checkpoints import CheckpointFolder
from nyala.training import run_state
from nyala.training.together import folder_of_process, kept, newest

EXIT_CODE = 128 + 15  # of a process that SIGTERM ended, as shells and schedulers count
MIDDLE = "in the middle of an epoch"


class Preempted(SystemExit):
    """Raised by fit when it was asked to stop by SIGTERM or Resume.preempt, after the checkpoint is written. The program ends with exit code 143."""

    def __init__(self, path: Any) -> None:
        super().__init__(EXIT_CODE)
        self.path = path  # of the newest checkpoint, None without one


class Resume:
    """How `fit(resume=...)` keeps checkpoints of the whole run; a path alone stands for Resume(path).

    The same program started again goes on where the newest whole checkpoint stands, in the middle of an epoch if need be, and ends with the very same
    bits as a run that was never interrupted. A run that had finished returns at once; with more epochs it goes on.

    Args:
        directory: folder of the checkpoints. One process at a time may use it; other files in it are left alone. Processes that train together
            (nyala.distribution) each have a folder of their own in it, on a disk that need not be shared.
        epochs: epochs between two checkpoints; None for none at the ends of epochs but the last.
        steps: steps between two checkpoints, too. With batch callbacks and steps_per_execution, at the end of the group of steps.
        seconds: between two checkpoints, too, wherever the run stands then.
        keep: how many of the newest whole ones to keep, at least; several processes keep 2 or 3, so that there is one that all have.
        background: write in a thread while training goes on. What was begun last may be lost with the process, so up to twice as many steps;
            a failure is raised at the next step, at wait() or at the end.
        exact: refuse checkpoints of another program, engine or version, with which the bits would not be the same; False only warns.
        replay: read the batches of an interrupted epoch once more, and drop them, where the data cannot be rewound.
        delete: delete the checkpoints when training has ended well.

    SIGTERM, where fit runs in the main thread, ends the step that is under way, writes a checkpoint and raises Preempted (exit code 143); a second
    SIGTERM ends the process at once. SIGKILL loses at most what came after the newest checkpoint.

    >>> Resume("runs/a", steps=100).keep
    2
    """

    def __init__(
        self,
        directory: Any,
        epochs: int | None = 1,
        steps: int | None = None,
        seconds: float | None = 600.0,
        keep: int = 2,
        background: bool = False,
        exact: bool = True,
        replay: bool = False,
        delete: bool = False,
    ) -> None:
        try:
            self.directory = os.fspath(directory)
        except TypeError as error:
            raise ArgumentTypeError("Resume(directory)", need="a path", got=repr(directory)) from error
        if not self.directory:
            raise ArgumentError("Resume(directory)", need="a path", got="an empty one")
        for name, value in (("epochs", epochs), ("steps", steps), ("keep", keep)):
            if (value is None and name == "keep") or (value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1)):
                raise ArgumentError(f"Resume({name})", need="an integer of at least 1" + (", or None" if name != "keep" else ""), got=repr(value))
        if seconds is not None and (isinstance(seconds, (bool, str)) or not seconds > 0):
            raise ArgumentError("Resume(seconds)", need="a number above 0, or None", got=repr(seconds))
        self.epochs, self.steps, self.seconds, self.keep = epochs, steps, seconds, keep
        self.background, self.exact, self.replay, self.delete = background, exact, replay, delete
        self._run: CheckpointedRun | None = None

    def preempt(self) -> None:
        """Ask the fit that runs with this to end its step, write a checkpoint and raise Preempted; from any thread."""
        if self._run is not None:
            self._run.asked = True

    def wait(self) -> None:
        """Wait for a checkpoint that is being written in the background; raises if it failed."""
        if self._run is not None:
            self._run.writer.wait()

    def latest(self) -> Any:
        """The path of the newest finished checkpoint; None if there is none."""
        paths = CheckpointFolder(folder_of_process(self.directory)).paths()
        return paths[-1] if paths else None


class Run:
    """What fit asks and tells while it runs. This one keeps nothing."""

    def __init__(self, model: Any, calls: Any, initial_epoch: int) -> None:
        self.model, self.calls, self.first_epoch = model, calls, initial_epoch
        self.logs: dict[str, Any] = {}  # of training in this epoch, once that is over

    room: Callable[[int], int] | None = None  # see Runner.epoch

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None: ...

    def find(self) -> int:
        """The epoch to begin with; its state is in place."""
        return self.first_epoch

    def begin_epoch(self, epoch: int) -> None:
        self.model.reset_metrics()
        self.calls.on_epoch_begin(epoch)

    def begin_validation(self) -> None:
        self.calls.on_test_begin()
        self.model.reset_metrics()

    def after_steps(self, mode: str, done: int) -> None:
        """So many steps of this epoch, or of validation, are done."""

    def end_epoch(self, epoch: int, logs: dict[str, Any], last: bool) -> None: ...


def resuming(resume: Any, model: Any, runner: Any, tester: Any, calls: Any, initial_epoch: int) -> Run:
    """The Run that fit's argument, or a callback among its callbacks, asks for."""
    asked = [callback.resume for callback in calls.callbacks if isinstance(getattr(callback, "resume", None), Resume)]
    if resume is not None:
        options = resume if isinstance(resume, Resume) else Resume(**resume) if isinstance(resume, Mapping) else Resume(resume)
        asked.append(options)
    if len(asked) > 1:
        raise ArgumentError("fit(resume)", need="one folder of checkpoints", got=f"{len(asked)}", fix="drop resume=, or all but one BackupAndRestore")
    return CheckpointedRun(asked[0], model, runner, tester, calls, initial_epoch) if asked else Run(model, calls, initial_epoch)


class CheckpointedRun(Run):
    """A fit whose state is kept in a folder."""

    def __init__(self, options: Resume, model: Any, runner: Any, tester: Any, calls: Any, initial_epoch: int) -> None:
        super().__init__(model, calls, initial_epoch)
        self.options, self.runner, self.tester = options, runner, tester
        self.folder = CheckpointFolder(folder_of_process(options.directory), "resume")
        self.writer = Writer(self.folder, kept(options.keep, options.background), options.background)
        self.asked = False  # to stop, by a signal or preempt()
        self.epoch = self.step = 0  # steps count from the beginning of the run
        self._before_epoch = self._saved = 0  # steps before this epoch, and at the last checkpoint
        self._saved_at = time.monotonic()
        self._saves = 0  # checkpoints of the run so far
        self._pending: dict[str, Any] | None = None  # a state in the middle of an epoch, until that has begun
        self._metrics: list[tuple[Any, Any]] = []  # of a validation that was interrupted
        self._handler: Any = None
        self._all_due: bool | None = None  # what the first of several processes finds
        self.rewinds = runner.data.state() is not None
        if options.steps:
            self.room = lambda done: options.steps - (self._before_epoch + done - self._saved)  # type: ignore[operator]

    # The folder and the signal ----------------------------------------------------------------------------------------------------------

    def __enter__(self) -> Run:
        self.folder.__enter__()
        self.options._run = self
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is not None:
            self._handler = signal.signal(signal.SIGTERM, self._on_signal)
        return self

    def _on_signal(self, *_: object) -> None:
        self.asked = True
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the next one ends the process at once, even while a step is being compiled

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        try:
            try:
                self.writer.wait()
            except Exception as failure:
                if error is None:
                    raise
                error.add_note(f"and a checkpoint could not be written: {failure}")
            if error is None and self.options.delete:
                self.folder.clear()
        finally:
            if self._handler is not None:
                signal.signal(signal.SIGTERM, self._handler)
            self.options._run = None
            self.folder.__exit__()
        if error is None and self.options.delete:
            self.folder.remove_if_empty()

    # Going on ---------------------------------------------------------------------------------------------------------------------------

    def find(self) -> int:
        found = newest(self.folder)
        self.about = run_state.about(self.model)
        if not self.rewinds:
            self._warn_of_data()
        if found is None:
            return self.first_epoch
        path, state = found
        run_state.compare(state["about"], self.about, self.folder.where, self.options.exact)
        place = state["place"]
        self._saves = place.get("save", 0)
        self.epoch, self.step, self._saved, self.logs = place["epoch"], place["step"], place["step"], state["logs"]
        self._place_data(state)
        run_state.build(self.model, self.runner, state)
        if place["mode"] == "train" and place["batch"] == 0:
            run_state.put(state, self.model, self.calls, self.folder.where)
        else:
            self._pending = state
        if self.calls.params.get("verbose"):
            where = f"epoch {self.epoch + 1}" + (f", step {place['batch'] + 1}" if place["mode"] == "train" and place["batch"] else "")
            print(f"Resuming at {where}, from {path}", flush=True)
        return self.epoch

    def _warn_of_data(self) -> None:
        why = self.runner.data.unrewindable.rstrip(".")
        then = "its batches are read once more and dropped" if self.options.replay else "that epoch is begun again, with the data that come then"
        advice = "" if self.options.replay else "; Resume(directory, replay=True) reads the batches that were seen once more instead, and drops them"
        warnings.warn(f"fit(resume=...): {why}. After an interruption {MIDDLE}, {then}{advice}", stacklevel=4)

    def _place_data(self, state: dict[str, Any]) -> None:
        """Both kinds of data behind what was seen of them."""
        place, data = state["place"], state["data"]
        if (data["train"] is None) == self.rewinds:
            raise StateError(self.folder.where, need="data of the kind that it was made with", got=type(self.runner.data).__name__)
        if self.rewinds:
            self.runner.data.restore(data["train"])
        elif self.options.replay:
            self.runner.replay = True
            for _ in range(place["epoch"] if getattr(self.runner.data, "once", False) else 0):
                for _ in self.runner.data.batches():
                    pass
        if self.tester is not None and data["valid"] is not None:
            self.tester.data.restore(data["valid"])
        self.runner.skip = None if place["mode"] == "test" else place["batch"]
        self.runner.logs = state["logs"] or None
        if place["mode"] == "test" and self.tester is not None:
            self.tester.skip, self.tester.logs = place["batch"], state["test_logs"]

    def begin_epoch(self, epoch: int) -> None:
        super().begin_epoch(epoch)
        self.epoch, self._before_epoch = epoch, self.step
        if self._pending is not None:
            state, self._pending = self._pending, None
            metrics = run_state.put(state, self.model, self.calls, self.folder.where)
            self._before_epoch -= state["place"]["batch"] or 0 if state["place"]["mode"] == "train" else 0
            if state["place"]["mode"] == "test":
                self._metrics = metrics

    def begin_validation(self) -> None:
        super().begin_validation()
        for variable, value in self._metrics:
            variable.assign(value)
        self._metrics = []

    # Keeping ----------------------------------------------------------------------------------------------------------------------------

    def after_steps(self, mode: str, done: int) -> None:
        self.writer.check()
        if mode == "train":
            self.step = self._before_epoch + done
        self._agree()
        if self.asked or self._is_due():
            self._save(mode, done)
            self._stop_if_asked()

    def _agree(self) -> None:
        """What one process is asked for, and the clock of the first says, all do: a state is taken by all of them together."""
        if sharding.processes() > 1:
            says = sharding.from_all(2 * self.asked + self._is_due())
            self.asked = any(word & 2 for word in says)
            self._all_due = bool(says[0] & 1)

    def end_epoch(self, epoch: int, logs: dict[str, Any], last: bool) -> None:
        self.epoch, self.logs = epoch + 1, logs
        self._agree()
        every = self.options.epochs
        if self.asked or self._is_due() or (every and (epoch + 1) % every == 0) or (last and not self.options.delete):
            self._save("train", 0)
        self._stop_if_asked()

    def _is_due(self) -> bool:
        if self._all_due is not None:
            due, self._all_due = self._all_due, None
            return due
        steps, seconds = self.options.steps, self.options.seconds
        return (steps is not None and self.step - self._saved >= steps) or (seconds is not None and time.monotonic() - self._saved_at >= seconds)

    def _save(self, mode: str, done: int) -> None:
        """A checkpoint of the place behind so many steps of training or validation; none where the data could not be brought back there."""
        batch: int | None = done
        valid = self.tester.data.state() if self.tester is not None else None
        runner = self.runner if self.tester is None or mode != "test" else self.tester
        tests = runner is not self.runner
        if done and done == runner.steps:
            batch = None
        if tests and valid is None and batch is not None:  # validation is begun again
            mode, batch = "train", None
        if mode == "train" and batch and not self.rewinds and not self.options.replay:
            return
        self._saves += 1
        place = {"epoch": self.epoch, "mode": mode, "batch": batch, "step": self.step}
        if sharding.processes() > 1:
            place["save"] = self._saves
        logs = self.model._logs(self.runner) if mode == "train" and done and not tests else self.logs
        state = {
            "about": self.about,
            "place": place,
            "logs": logs,
            "test_logs": self.model._logs(self.tester) if mode == "test" else None,
            "data": {"train": self.runner.data.state() if self.rewinds else None, "valid": valid},
            "batch": run_state.plain_specs(self.runner.specs),
            **run_state.take(self.model, self.calls),
        }
        self.writer.write(state, self.step)
        self._saved, self._saved_at = self.step, time.monotonic()

    def _stop_if_asked(self) -> None:
        if self.asked:
            self.writer.wait()
            path = self.options.latest()
            print(f"Stopped as asked; the newest checkpoint is {path}", file=sys.stderr, flush=True)
            raise Preempted(path)


class Writer:
    """Writes states, one after the other, in a thread of its own if asked. What goes wrong there is raised by the next call of any method."""

    def __init__(self, folder: CheckpointFolder, keep: int, background: bool) -> None:
        self.folder, self.keep, self.background = folder, keep, background
        self._thread: threading.Thread | None = None
        self._failure: tuple[int, BaseException] | None = None

    def write(self, state: dict[str, Any], step: int) -> None:
        """Write a state of this step; in the background it is copied first, as far as anyone could change it."""
        self.wait()
        if not self.background:
            self._write(state)
            return
        state = {name: value if name == "variables" else copy.deepcopy(value) for name, value in state.items()}  # those arrays are copies already

        def work() -> None:
            try:
                self._write(state)
            except BaseException as error:  # whatever it is, the thread of training raises it
                self._failure = step, error

        self._thread = threading.Thread(target=work, name="nyala checkpoint")
        self._thread.start()

    def _write(self, state: dict[str, Any]) -> None:
        self.folder.write(state)
        self.folder.retain(self.keep)

    def check(self) -> None:
        """Raise what went wrong in the background."""
        if self._failure is not None:
            (step, error), self._failure = self._failure, None
            raise StateError(
                self.folder.where, need="to write its checkpoints", got=f"{type(error).__name__}: {error}", why=f"the one of step {step} failed"
            ) from error

    def wait(self) -> None:
        """Until nothing is being written any more."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.check()
