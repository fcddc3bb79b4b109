# SPDX-License-Identifier: Apache-2.0
"""The one trainer: fit, evaluate and predict, written once for every engine. What it runs again and again is in steps.py. Start at Trainer.fit."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nyala.core import config, tree
from nyala.core.errors import ArgumentError, ArgumentTypeError, StateError
from nyala.core.variable import Variable, plainly
from nyala.engines import current, engine
from nyala.training import data as data_module
from nyala.training.accumulation import check_accumulate, train_data
from nyala.training.data import ArrayData, Workers, as_data, closing, unpack_x_y_sample_weight
from nyala.training.diagnosis import explain_nan
from nyala.training.loop import Runner, to_device
from nyala.training.prediction import inputs_of, joined, predict_arrays, predict_batch
from nyala.training.resume import Run, resuming
from nyala.training.state_tree import StateTree
from nyala.training.steps import KEPT


class Trainer(StateTree):
    """What makes a layer a model that can be trained. Model inherits it."""

    history: Any  # the History of the last fit

    # Training -------------------------------------------------------------------------------------------------------------------------

    @plainly
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
        accumulate: int = 1,
        resume: Any = None,
        workers: int | None = None,
        use_multiprocessing: bool | None = None,
        max_queue_size: int | None = None,
    ) -> Any:
        """Train the model.

        Args:
            x: arrays (one, or a list or dict for several inputs), or an iterable of batches (x, y) or (x, y, sample_weight).
            y: targets, arrays as x; None beside an iterable.
            batch_size: samples per update, 32 by default, or as many as steps_per_epoch steps take to see all of them; for arrays.
            epochs: the number of the last epoch, counted from initial_epoch = 0.
            verbose: "auto" or 1 a progress bar on a terminal or notebook and one line per epoch elsewhere, 2 one line per epoch, 0 nothing.
            callbacks: a list of nyala.callbacks.Callback.
            validation_split: share of the last samples that is kept for validation.
            validation_data: (x, y), (x, y, sample_weight) or an iterable of batches.
            shuffle: take the samples in a new random order each epoch.
            class_weight: {label: weight}, labels of any shape.
            sample_weight: weights of samples, or of steps and pixels.
            steps_per_epoch, validation_steps: batches per epoch; all by default. An epoch of training begins where the last one ended.
            validation_batch_size: batch_size by default.
            validation_freq: validate every so many epochs, or after the epochs listed.
            accumulate: batches whose gradients make one update, exactly that of one batch as large as all of them, in the memory of one. Steps and
                callbacks count updates. Batch normalization looks at one batch at a time.
            resume: a folder, or a nyala.callbacks.Resume: keep checkpoints of the whole run there, and go on from the newest one.
            workers, use_multiprocessing, max_queue_size: instead of those of a PyDataset; workers=0 reads any iterable in this thread.
        Returns: a History, with .history {name: [value per epoch]}.
        """
        from nyala.callbacks.callback_list import CallbackList

        self._require_compiled("fit")
        self._refuse_own_functions("train", "test")
        if not engine.differentiable:
            raise StateError(
                "fit", need="an engine with gradients", got=f"{current().name!r}, which has none", fix="nyala.set_backend('jax') or 'torch'"
            )
        for name, value in (("epochs", epochs), ("initial_epoch", initial_epoch)):
            if not isinstance(value, (int, np.integer)) or value < 0:
                raise ArgumentError(f"fit({name})", need="an integer of at least 0", got=repr(value))
        epochs = min(epochs, config.max_epochs() or epochs)
        if not isinstance(validation_freq, (list, tuple, set)) and (not isinstance(validation_freq, (int, np.integer)) or validation_freq < 1):
            raise ArgumentError("fit(validation_freq)", need="an integer of at least 1, or a list of epochs", got=repr(validation_freq))
        x, validation_data = self._on_host(x), self._on_host(validation_data, batches=True)
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = data_module.split_validation(x, y, sample_weight, validation_split)
        check_accumulate(accumulate, type(self).train_step is Trainer.train_step and type(self).compute_metrics is Trainer.compute_metrics)
        team = Workers(workers, use_multiprocessing, max_queue_size)
        train, parts = train_data(self, accumulate, x, y, sample_weight, batch_size, steps_per_epoch, shuffle, class_weight, "fit", team)
        valid = None
        if validation_data is not None:
            valid = _validation_data(validation_data, validation_batch_size or batch_size, validation_steps, team)
        self._prepare(train, training=True)
        if isinstance(train, ArrayData) and self._objectives.ready:
            self._objectives.look_at_labels(*unpack_x_y_sample_weight(train.parts)[1:])
        if isinstance(valid, ArrayData) and (not isinstance(train, ArrayData) or _row_shapes(train) != _row_shapes(valid)):
            self._prepare_for(valid.batch(slice(0, valid.batch_size)), training=False)  # a mistake there shows before an epoch is spent
        step, kind = (self._train_function(), "") if parts is None else (parts.step, parts.kind)
        runner = Runner(self, "train", train, step, kind)
        tester = Runner(self, "test", valid, self._test_function()) if valid is not None else None
        calls = callbacks if isinstance(callbacks, CallbackList) else CallbackList(
            callbacks, add_history=True, add_progbar=verbose != 0, model=self, verbose=verbose, epochs=epochs, steps=train.steps
        )  # fmt: skip
        self.stop_training = False
        self._programs.structure = KEPT
        with closing(train), closing(valid), resuming(resume, self, runner, tester, calls, int(initial_epoch)) as run, calls.watching():
            calls.on_train_begin()
            logs = self._run_epochs(run, runner, tester, calls, epochs, validation_freq)
            if epochs > initial_epoch and self.optimizer is not None:
                self.optimizer.finalize_variable_values(self.trainable_variables)
            calls.on_train_end(logs)
        return self.history

    def _run_epochs(self, run: Run, runner: Runner, tester: Runner | None, calls: Any, epochs: int, validation_freq: Any) -> dict[str, Any]:
        """The epochs that are left to do; returns the logs of the last one."""
        warned = False

        def explain(before: Any) -> str:
            nonlocal warned
            warned = True
            return explain_nan(self, runner.data, before, runner.last)

        self._explain_nan = explain  # for callbacks
        try:
            first, logs = run.find(), run.logs
            for epoch in range(first, epochs):
                if self.stop_training:  # it had stopped when it was interrupted
                    break
                run.begin_epoch(epoch)
                logs = run.logs = self._run_epoch(runner, calls, "train", run)
                if not warned and not math.isfinite(logs.get("loss", 0.0)):
                    warned = True
                    warnings.warn(f"the loss is {logs['loss']} after epoch {epoch + 1}: {explain_nan(self, runner.data)}", stacklevel=3)
                if tester is not None and _validates(validation_freq, epoch):
                    run.begin_validation()
                    values = self._run_epoch(tester, calls, "test", run)
                    calls.on_test_end(values)
                    logs = {**logs, **{f"val_{name}": value for name, value in values.items()}}
                calls.on_epoch_end(epoch, logs)
                run.end_epoch(epoch, logs, self.stop_training or epoch + 1 == epochs)
                if self.stop_training:
                    break
        finally:
            self._close_losses()
            self._programs.structure = self._explain_nan = None
        return logs

    def _run_epoch(self, runner: Runner, calls: Any, mode: str, run: Run | None = None) -> dict[str, float]:
        """One epoch of a mode, with its callbacks; returns its logs as floats."""
        begin, end = (
            (calls.on_train_batch_begin, calls.on_train_batch_end) if mode == "train" else (calls.on_test_batch_begin, calls.on_test_batch_end)
        )
        if mode == "test":
            self.stop_evaluating = False
        wants = calls.wants_batches(mode)
        each = self.steps_per_execution if isinstance(self.steps_per_execution, int) and self.steps_per_execution > 1 else 1
        room = run.room if run is not None and mode == "train" else None
        with closing(runner.epoch(each if wants else None, begin if wants else None, room)) as steps:
            for _, done in steps:
                if wants:
                    end(done - 1, self._logs(runner))
                    if self.stop_training if mode == "train" else self.stop_evaluating:
                        break
                calls.progress(mode, done, lambda: self._logs(runner))
                if run is not None:
                    run.after_steps(mode, done)
        return self._logs(runner)

    def _logs(self, runner: Runner) -> dict[str, float]:
        """Logs on the host: what the last step returned, else the results of the metrics."""
        logs = runner.logs if runner.logs is not None else self._metrics_results()
        if not isinstance(logs, dict):
            raise ArgumentTypeError(f"{runner.mode}_step", need="a dict of logs as its result", got=type(logs).__name__)
        order = [name for name in self.metrics_names if name in logs]  # engines may have sorted the keys
        return {name: _to_float(logs[name]) for name in (*order, *(name for name in logs if name not in order))}

    def _metrics_results(self) -> dict[str, Any]:
        program = self._programs.get(("results", tuple(id(m) for m in self.metrics)), self.get_metrics_result, [])
        return program()

    # Evaluation and prediction ----------------------------------------------------------------------------------------------------------

    @plainly
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        workers: int | None = None,
        use_multiprocessing: bool | None = None,
        max_queue_size: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Loss and metrics on data.

        Args: as in fit; steps is the number of batches.
        Returns: the loss; a list [loss, *metrics] if there are metrics; a dict by name if return_dict.
        """
        from nyala.callbacks.callback_list import CallbackList

        self._require_compiled("evaluate")
        self._refuse_own_functions("test")
        if kwargs:
            raise ArgumentTypeError("evaluate", need="arguments that it knows", got=f"{sorted(kwargs)}")
        team = Workers(workers, use_multiprocessing, max_queue_size)
        data = as_data(self._on_host(x), y, sample_weight, batch_size, steps, where="evaluate", workers=team)
        self._prepare(data, training=False)
        runner = Runner(self, "test", data, self._test_function())
        calls = (
            callbacks
            if isinstance(callbacks, CallbackList)
            else CallbackList(callbacks, add_progbar=verbose != 0, model=self, verbose=verbose, epochs=1, steps=data.steps, mode="test")
        )
        with closing(data), calls.watching():
            calls.on_test_begin()
            self.reset_metrics()
            logs = self._run_epoch(runner, calls, "test")
            calls.on_test_end(logs)
        return logs if return_dict else self._flat_results(logs)

    def _flat_results(self, logs: dict[str, float]) -> Any:
        """Logs in the order of the metrics, one number alone."""
        order = [name for name in self.metrics_names if name in logs]
        values = [logs[name] for name in (*order, *(k for k in logs if k not in order))]
        return values[0] if len(values) == 1 else values

    @plainly
    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Any = None,
        workers: int | None = None,
        use_multiprocessing: bool | None = None,
        max_queue_size: int | None = None,
    ) -> Any:
        """The outputs for x, as arrays.

        Args:
            x: arrays as in fit, or an iterable of batches.
            batch_size: samples per call of the model, 32 by default.
            verbose: 1 shows progress; "auto" is silent.
            steps: number of batches.
            workers, use_multiprocessing, max_queue_size: as in fit.
        Returns: an array, or a tree of arrays as the model's outputs are.
        """
        from nyala.callbacks.callback_list import CallbackList

        self._ensure_programs()
        if type(x) is np.ndarray and verbose in ("auto", 0) and not callbacks and steps is None:  # one look-up, for services that ask row by row
            program = self._programs.direct.get((current(), x.shape, x.dtype))
            if program is not None and len(x) <= (batch_size or 32) and not self.run_eagerly:
                return joined([program((x,))])
        self._refuse_own_functions("predict")
        team = Workers(workers, use_multiprocessing, max_queue_size)
        data = as_data(self._on_host(x), batch_size=batch_size, steps=steps, where="predict", workers=team)
        if isinstance(data, ArrayData) and not callbacks and verbose in ("auto", 0):
            return predict_arrays(self, data)
        calls = callbacks if isinstance(callbacks, CallbackList) else CallbackList(
            callbacks, add_progbar=verbose not in ("auto", 0), model=self, verbose=verbose, epochs=1, steps=data.steps, mode="predict"
        )  # fmt: skip
        results: list[Any] = []
        self.stop_predicting = False
        with closing(data), calls.watching(), closing(data.batches(lambda batch: to_device(inputs_of(self, batch)))) as batches:
            calls.on_predict_begin()
            for step, batch in enumerate(batches):
                calls.on_predict_batch_begin(step)
                results.append(predict_batch(self, batch))
                calls.on_predict_batch_end(step, {"outputs": results[-1]})
                calls.progress("predict", step + 1, dict)
                results[-2:-1] = [joined([earlier]) for earlier in results[-2:-1]]  # to the host, one batch late: the device is not waited for
                if self.stop_predicting:
                    break
            calls.on_predict_end()
        return joined(results)

    run_eagerly = stop_evaluating = stop_predicting = False
    _explain_nan: Callable[[Any], str] | None = None

    def _ensure_programs(self) -> None:
        if "_programs" not in self.__dict__:
            self._forget_programs()

    # One batch at a time ----------------------------------------------------------------------------------------------------------------

    @plainly
    def train_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = False) -> Any:
        """One update with one batch; returns the loss and metrics of this batch."""
        self._require_compiled("train_on_batch")
        data = as_data(self._on_host(x), y, sample_weight, batch_size=2**62, class_weight=class_weight, where="train_on_batch")
        self._prepare(data, training=True)
        return self._on_batch("train", data, self._train_function(), return_dict)

    @plainly
    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Loss and metrics of one batch."""
        self._require_compiled("test_on_batch")
        data = as_data(self._on_host(x), y, sample_weight, batch_size=2**62, where="test_on_batch")
        self._prepare(data, training=False)
        return self._on_batch("test", data, self._test_function(), return_dict)

    def _on_batch(self, mode: str, data: Any, step: Callable, return_dict: bool) -> Any:
        runner = Runner(self, mode, data, step)
        self.reset_metrics()
        runner.run_batch(data.batch(slice(None)))
        logs = self._logs(runner)
        return logs if return_dict else self._flat_results(logs)

    @plainly
    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch, as arrays."""
        self._ensure_programs()
        arrays = data_module.as_arrays(self._on_host(x), "x", here=current())
        return joined([predict_batch(self, (tree.map_structure(lambda leaf: leaf[:] if isinstance(leaf, data_module.LazyRows) else leaf, arrays),))])


def _row_shapes(data: ArrayData) -> list[tuple]:
    """Shapes of one sample, its target and its weight."""
    return [(path, leaf.shape[1:]) for path, leaf in tree.flatten_with_path(data.parts) if leaf is not None]


def _to_float(value: Any) -> Any:
    """A number of a log on the host."""
    if current().is_tensor(value):
        value = current().to_numpy(value)
    if isinstance(value, (np.ndarray, np.generic)):
        return value.item() if value.size == 1 else value
    return float(value) if isinstance(value, Variable) else value


def _validation_data(given: Any, batch_size: int | None, steps: int | None, team: Workers) -> Any:
    if isinstance(given, (tuple, list)):
        x, y, sample_weight = unpack_x_y_sample_weight(tuple(given))
        return as_data(x, y, sample_weight, batch_size, steps, where="fit(validation_data)", workers=team)
    return as_data(given, None, None, batch_size, steps, where="fit(validation_data)", workers=team)


def _validates(frequency: Any, epoch: int) -> bool:
    return epoch + 1 in frequency if isinstance(frequency, (list, tuple, set)) else (epoch + 1) % int(frequency) == 0
