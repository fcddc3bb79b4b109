# SPDX-License-Identifier: Apache-2.0
"""The one trainer: compile, fit, evaluate, predict and the steps that users override, written once for every engine. Start at Trainer.train_step."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nyala.core import config, tree
from nyala.core.errors import ArgumentError, ArgumentTypeError, DTypeError, StateError
from nyala.core.op import convert
from nyala.core.transforms import discover, value_and_grad
from nyala.core.variable import Variable
from nyala.engines import current, engine
from nyala.training import data as data_module
from nyala.training.data import ArrayData, as_data, unpack_x_y_sample_weight
from nyala.training.diagnosis import explain_nan
from nyala.training.loop import Programs, Runner, specs_of
from nyala.training.prediction import joined, predict_arrays, predict_batch

if TYPE_CHECKING:  # a Trainer is always mixed into a Layer
    from nyala.layers.layer import Layer as Trained
else:
    Trained = object


class Trainer(Trained):
    """What makes a layer a model that can be trained. Model inherits it."""

    history: Any  # the History of the last fit

    # Compiling ----------------------------------------------------------------------------------------------------------------------

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str | None = "auto",
        auto_scale_loss: bool = True,
        **kwargs: Any,
    ) -> None:
        """Say how the model is trained.

        Args:
            optimizer: a name, a config or an Optimizer.
            loss: a name, a Loss, a function (y_true, y_pred) -> loss; for several outputs one for all, a list, or a dict by output name.
            loss_weights: factors of the losses of several outputs, a list or dict.
            metrics: names, Metric objects or functions; a flat list counts for every output, a list of lists or a dict goes by output.
            weighted_metrics: the same, but with sample_weight and class_weight.
            run_eagerly: run steps without compiling, for debugging.
            steps_per_execution: batches between two calls of batch callbacks.
            jit_compile: accepted for Keras's sake; engines that can compile do.
            auto_scale_loss: let an optimizer with loss scaling scale the loss.
        """
        from nyala import optimizers
        from nyala.training.objectives import Objectives

        if _is_metric_list(loss_weights) and metrics is None:  # Keras 1 and 2: the third positional argument was metrics
            loss_weights, metrics = None, loss_weights
        if kwargs:
            raise ArgumentTypeError("compile", need="arguments that it knows", got=f"{sorted(kwargs)}")
        if steps_per_execution != "auto" and (not isinstance(steps_per_execution, (int, np.integer)) or steps_per_execution < 1):
            raise ArgumentError("compile(steps_per_execution)", need="an integer of at least 1, or 'auto'", got=repr(steps_per_execution))
        self._compile_config = {
            "optimizer": optimizer, "loss": loss, "loss_weights": loss_weights, "metrics": metrics, "weighted_metrics": weighted_metrics,
            "run_eagerly": run_eagerly, "steps_per_execution": steps_per_execution, "jit_compile": jit_compile,
        }  # fmt: skip
        self._optimizer = optimizers.get(optimizer)
        self._objectives = Objectives(loss, loss_weights, metrics, weighted_metrics)
        self.loss = loss
        self.run_eagerly = bool(run_eagerly)
        self.steps_per_execution = steps_per_execution
        self.jit_compile = jit_compile
        self.auto_scale_loss = auto_scale_loss
        self.stop_training = False
        self.compiled = True
        self._step_loss = Variable(0.0, trainable=False, autocast=False, name="step_loss")
        self._warned_unused = False
        self._forget_programs()

    def _forget_programs(self) -> None:
        """Drop compiled steps: the model or the way it is trained has changed."""
        self._programs = Programs()
        self._all_built = False

    @property
    def optimizer(self) -> Any:
        """What updates the weights; setting another one drops compiled steps."""
        return self.__dict__.get("_optimizer")

    @optimizer.setter
    def optimizer(self, value: Any) -> None:
        self._optimizer = value
        self._forget_programs()

    def _require_compiled(self, what: str) -> None:
        if not getattr(self, "compiled", False):
            raise StateError(
                f"{what} of {type(self).__name__} {self.name!r}",
                need="a compiled model",
                got="one that was never compiled",
                fix='call compile(optimizer="adam", loss=...) first',
            )

    @property
    def metrics(self) -> list[Any]:
        """Metrics in the order of logs: the loss, those given to compile, and those stored in layers."""
        own = self._objectives.all_metrics if getattr(self, "compiled", False) else []
        known = {id(metric) for metric in own}
        return [*own, *(metric for metric in super().metrics if id(metric) not in known)]

    @property
    def metrics_names(self) -> list[str]:
        return [self._log_name(metric) for metric in self.metrics]

    def _log_name(self, metric: Any) -> str:
        return self._objectives.log_name(metric) if getattr(self, "compiled", False) else metric.name

    def reset_metrics(self) -> None:
        """Set all metrics to their beginning."""
        for metric in self.metrics:
            metric.reset_state()

    def get_metrics_result(self) -> dict[str, Any]:
        """The results of all metrics so far, by name."""
        results: dict[str, Any] = {}
        for metric in self.metrics:
            if metric.variables:
                value = metric.result()
                results.update(value if isinstance(value, dict) else {self._log_name(metric): value})
        return results

    # Steps: override these ------------------------------------------------------------------------------------------------------------

    def train_step(self, data: Any) -> dict[str, Any]:
        """One update with one batch; returns logs.

        Args:
            data: a batch as given to fit: (x, y) or (x, y, sample_weight).
        """
        logs = self._update(data)
        return self.get_metrics_result() if logs is None else logs

    def _update(self, data: Any) -> dict[str, Any] | None:
        """One update; returns the logs of a compute_metrics of the user's, else None."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)

        def loss_fn() -> tuple[Any, Any]:
            y_pred = self(x, training=True)
            return self._scaled(self._loss_of(x, y, y_pred, sample_weight, training=True)), y_pred

        variables = self._structure().trainable
        differentiate: Any = value_and_grad(loss_fn, variables)
        (_, y_pred), gradients = differentiate()
        self._warn_unused(differentiate.unused)
        self.optimizer.apply(gradients, variables)
        return self._track(x, y, y_pred, sample_weight)

    def _structure(self) -> _Structure:
        """What a step asks of the model's structure: within one fit it is found once, when all is built."""
        known = self._programs.structure
        if isinstance(known, _Structure):
            return known
        found = _Structure(self)
        if known is KEPT and all(layer.built for layer in found.layers):
            self._programs.structure = found
        return found

    def _warn_unused(self, unused: list[Variable]) -> None:
        """Say once that some weights get no gradient, and why."""
        if unused and not self._warned_unused:
            self._warned_unused = True
            shown = ", ".join(v.path for v in unused[:4]) + (", ..." if len(unused) > 4 else "")
            warnings.warn(
                f"the loss does not depend on {len(unused)} trainable weights: {shown}. Their layers were not called in this step; "
                "set trainable = False to say so",
                stacklevel=2,
            )

    def _scaled(self, loss: Any) -> Any:
        return self.optimizer.scale_loss(loss) if self.auto_scale_loss and hasattr(self.optimizer, "scale_loss") else loss

    def test_step(self, data: Any) -> dict[str, Any]:
        """One batch of evaluate; returns logs."""
        logs = self._measure(data)
        return self.get_metrics_result() if logs is None else logs

    def _measure(self, data: Any) -> dict[str, Any] | None:
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)
        self._loss_of(x, y, y_pred, sample_weight, training=False)
        return self._track(x, y, y_pred, sample_weight)

    def _loss_of(self, x: Any, y: Any, y_pred: Any, sample_weight: Any, training: bool) -> Any:
        """The result of compute_loss, noted for the logs: a compute_loss of the user's may add to that of this class, or never call it."""
        loss = self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training)
        if type(self).compute_loss is not Trainer.compute_loss:
            self._step_loss.assign(engine.stop_gradient(convert(loss)))
        return loss

    def _track(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> dict[str, Any] | None:
        """Count the loss and the metrics of a batch."""
        self._track_loss(x)
        if type(self).compute_metrics is Trainer.compute_metrics:
            self._objectives.update(y, y_pred, sample_weight)
            return None
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def _track_loss(self, x: Any) -> None:
        self._objectives.loss_tracker.update_state(self._step_loss.value, sample_weight=_batch_size(x))

    def predict_step(self, data: Any) -> Any:
        """One batch of predict; returns predictions."""
        x, _, _ = unpack_x_y_sample_weight(data)
        return self(x, training=False)

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True) -> Any:
        """The scalar that training makes small: the compiled losses, those of regularizers and those added in layers."""
        objectives = self._objectives
        if not objectives.ready:
            objectives.build(self, y, y_pred)
        total = objectives.total(y, y_pred, sample_weight) if y is not None or any(objectives.losses) else None
        for added in self._structure().losses():
            added = added if current().is_tensor(added) else convert(added)
            total = added if total is None else engine.add(*_same_dtype(total, added))
        if total is None:
            raise StateError(
                f"training of {type(self).__name__} {self.name!r}",
                need="a loss",
                got="compile(loss=None), and no layer that adds one",
                why="without a loss there are no gradients",
                fix="pass loss= to compile, call add_loss in a layer, or override train_step",
            )
        self._step_loss.assign(engine.stop_gradient(total))
        self._loss_computed = True
        return total

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Update the compiled metrics with a batch; returns all results."""
        if not self._objectives.ready:
            self._objectives.build(self, y, y_pred)
        self._objectives.update(y, y_pred, sample_weight)
        return self.get_metrics_result()

    # Training -------------------------------------------------------------------------------------------------------------------------

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
    ) -> Any:
        """Train the model.

        Args:
            x: arrays (one, or a list or dict for several inputs), or an iterable of batches (x, y) or (x, y, sample_weight).
            y: targets, arrays as x; None beside an iterable.
            batch_size: samples per update, 32 by default; for arrays.
            epochs: the number of the last epoch, counted from initial_epoch = 0.
            verbose: "auto" or 1 a progress bar on a terminal or notebook and one line per epoch elsewhere, 2 one line per epoch, 0 nothing.
            callbacks: a list of nyala.callbacks.Callback.
            validation_split: share of the last samples that is kept for validation.
            validation_data: (x, y), (x, y, sample_weight) or an iterable of batches.
            shuffle: take the samples in a new random order each epoch.
            class_weight: {label: weight}, labels of any shape.
            sample_weight: weights of samples, or of steps and pixels.
            steps_per_epoch, validation_steps: batches per epoch; all by default.
            validation_batch_size: batch_size by default.
            validation_freq: validate every so many epochs, or after the epochs listed.
        Returns: a History, with .history {name: [value per epoch]}.
        """
        from nyala.callbacks.callback_list import CallbackList

        self._require_compiled("fit")
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
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = data_module.split_validation(x, y, sample_weight, validation_split)
        train = as_data(x, y, sample_weight, batch_size, steps_per_epoch, shuffle, class_weight)
        valid = None
        if validation_data is not None:
            valid = _validation_data(validation_data, validation_batch_size or batch_size, validation_steps)
        self._prepare(train, training=True)
        if isinstance(valid, ArrayData) and (not isinstance(train, ArrayData) or _row_shapes(train) != _row_shapes(valid)):
            self._prepare_for(valid.batch(slice(0, valid.batch_size)), training=False)  # a mistake there shows before an epoch is spent
        runner = Runner(self, "train", train, self._train_function())
        tester = Runner(self, "test", valid, self._test_function()) if valid is not None else None
        calls = callbacks if isinstance(callbacks, CallbackList) else CallbackList(
            callbacks, add_history=True, add_progbar=verbose != 0, model=self, verbose=verbose, epochs=epochs, steps=train.steps
        )  # fmt: skip
        self.stop_training = False
        self._programs.structure = KEPT
        calls.on_train_begin()
        logs: dict[str, Any] = {}
        warned = False
        try:
            for epoch in range(initial_epoch, epochs):
                self.reset_metrics()
                calls.on_epoch_begin(epoch)
                logs = self._run_epoch(runner, calls, "train")
                if not warned and not math.isfinite(logs.get("loss", 0.0)):
                    warned = True
                    warnings.warn(f"the loss is {logs['loss']} after epoch {epoch + 1}: {explain_nan(self, train)}", stacklevel=2)
                if tester is not None and _validates(validation_freq, epoch):
                    train_logs = logs
                    calls.on_test_begin()
                    self.reset_metrics()
                    values = self._run_epoch(tester, calls, "test")
                    calls.on_test_end(values)
                    logs = {**train_logs, **{f"val_{name}": value for name, value in values.items()}}
                calls.on_epoch_end(epoch, logs)
                if self.stop_training:
                    break
        finally:
            self._close_losses()
            self._programs.structure = None
        if epochs > initial_epoch:
            self.optimizer.finalize_variable_values(self.trainable_variables)
        calls.on_train_end(logs)
        return self.history

    def _close_losses(self) -> None:
        """Forget what add_loss collected inside compiled steps: those values belong to the trace."""
        for layer in self._loss_layers:
            layer._losses.clear()
        self._loss_layers.clear()

    def _run_epoch(self, runner: Runner, calls: Any, mode: str) -> dict[str, float]:
        """One epoch of a mode, with its callbacks; returns its logs as floats."""
        begin, end = (
            (calls.on_train_batch_begin, calls.on_train_batch_end) if mode == "train" else (calls.on_test_batch_begin, calls.on_test_batch_end)
        )
        wants = calls.wants_batches(mode)
        each = self.steps_per_execution if isinstance(self.steps_per_execution, int) and self.steps_per_execution > 1 else 1
        for _, done in runner.epoch(each if wants else None, begin if wants else None):
            if wants:
                end(done - 1, self._logs(runner))
                if self.stop_training and mode == "train":
                    break
            calls.progress(mode, done, lambda: self._logs(runner))
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

    def _train_function(self) -> Callable[[tuple], Any]:
        kind = type(self)
        plain = kind.train_step is Trainer.train_step and self._has_plain_logs()
        return self._update_only if plain else self._tracked_train_step

    def _has_plain_logs(self) -> bool:
        kind = type(self)
        return kind.get_metrics_result is Trainer.get_metrics_result and kind.compute_metrics is Trainer.compute_metrics

    def _update_only(self, data: tuple) -> None:
        self._update(data)
        self._close_losses()

    def _tracked_train_step(self, data: tuple) -> Any:
        """A train_step of the user's; its loss is counted if it was not."""
        return self._count(self.train_step, data)

    def _count(self, step: Callable, data: tuple) -> Any:
        tracker = self._objectives.loss_tracker
        self._build_all(step, data)
        before, self._loss_computed = tracker.updates, False
        logs = step(data)
        if self._loss_computed and tracker.updates == before and isinstance(logs, dict) and ("loss" not in logs or logs["loss"] is None):
            self._track_loss(unpack_x_y_sample_weight(data)[0])
            logs = {"loss": tracker.result(), **{k: v for k, v in logs.items() if k != "loss"}}
        self._close_losses()
        if isinstance(logs, dict):
            return {name: convert(value) for name, value in logs.items()}
        return logs

    def _build_all(self, step: Callable, data: tuple) -> None:
        """Run a step of the user's on shapes if layers have no weights yet: it may ask for trainable_variables before it calls them."""
        if not self._all_built and not all(layer.built for layer in self._flatten_layers()):
            with contextlib.suppress(Exception):  # the step itself will say what is wrong
                discover(step, specs_of(data))
        self._all_built = True

    def _test_function(self) -> Callable[[tuple], Any]:
        kind = type(self)
        plain = kind.test_step is Trainer.test_step and self._has_plain_logs()
        return self._measure_only if plain else self._tracked_test_step

    def _measure_only(self, data: tuple) -> None:
        self._measure(data)
        self._close_losses()

    def _tracked_test_step(self, data: tuple) -> Any:
        return self._count(self.test_step, data)

    def _prepare(self, data: Any, training: bool) -> None:
        """Build the model, losses, metrics and optimizer for data like this, by running a step on shapes; for streams, at their first batch."""
        if isinstance(data, ArrayData):
            self._prepare_batch(data.batch(slice(0, data.batch_size)), training)

    def _prepare_batch(self, batch: tuple, training: bool) -> None:
        if not (self.built and self._objectives.ready):
            self._prepare_for(batch, training)
        if training and self.built:
            self._build_optimizer()

    def _prepare_for(self, batch: tuple, training: bool) -> None:
        from nyala.engines.spec import infer

        x, y, sample_weight = unpack_x_y_sample_weight(batch)

        def run(x: Any, y: Any, sample_weight: Any) -> None:
            y_pred = self(x, training=training)
            if not self._objectives.ready and (self._objectives.loss is not None or self._objectives.metrics or self._objectives.weighted_metrics):
                self._objectives.build(self, y, y_pred)
            if self._objectives.ready:
                self._objectives.total(y, y_pred, sample_weight)
                self._objectives.update(y, y_pred, sample_weight)

        kind = type(self)
        if (kind.train_step if training else kind.test_step) is not (Trainer.train_step if training else Trainer.test_step):
            return  # a step of the user's own decides what is called
        try:
            infer(run, specs_of(x), specs_of(y), specs_of(sample_weight))
        except (TypeError, AttributeError) as error:
            if isinstance(error, (ValueError, ArgumentTypeError, DTypeError)):
                raise
            # code that calls the engine's own array library: it is built by the first step instead
        finally:
            self._close_losses()

    def _build_optimizer(self) -> None:
        self.optimizer.build(self.trainable_variables)

    # Evaluation and prediction ----------------------------------------------------------------------------------------------------------

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
        **kwargs: Any,
    ) -> Any:
        """Loss and metrics on data.

        Args: as in fit; steps is the number of batches.
        Returns: the loss; a list [loss, *metrics] if there are metrics; a dict by name if return_dict.
        """
        from nyala.callbacks.callback_list import CallbackList

        self._require_compiled("evaluate")
        if kwargs:
            raise ArgumentTypeError("evaluate", need="arguments that it knows", got=f"{sorted(kwargs)}")
        data = as_data(x, y, sample_weight, batch_size, steps, where="evaluate")
        self._prepare(data, training=False)
        runner = Runner(self, "test", data, self._test_function())
        calls = (
            callbacks
            if isinstance(callbacks, CallbackList)
            else CallbackList(callbacks, add_progbar=verbose != 0, model=self, verbose=verbose, epochs=1, steps=data.steps, mode="test")
        )
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

    def predict(self, x: Any, batch_size: int | None = None, verbose: int | str = "auto", steps: int | None = None, callbacks: Any = None) -> Any:
        """The outputs for x, as arrays.

        Args:
            x: arrays as in fit, or an iterable of batches.
            batch_size: samples per call of the model, 32 by default.
            verbose: 1 shows progress; "auto" is silent.
            steps: number of batches.
        Returns: an array, or a tree of arrays as the model's outputs are.
        """
        from nyala.callbacks.callback_list import CallbackList

        self._ensure_programs()
        if type(x) is np.ndarray and verbose in ("auto", 0) and not callbacks and steps is None:  # one look-up, for services that ask row by row
            program = self._programs.direct.get((current(), x.shape, x.dtype))
            if program is not None and len(x) <= (batch_size or 32) and not self.run_eagerly:
                return joined([program((x,))])
        data = as_data(x, batch_size=batch_size, steps=steps, where="predict")
        if isinstance(data, ArrayData) and not callbacks and verbose in ("auto", 0):
            return predict_arrays(self, data)
        calls = callbacks if isinstance(callbacks, CallbackList) else CallbackList(
            callbacks, add_progbar=verbose not in ("auto", 0), model=self, verbose=verbose, epochs=1, steps=data.steps, mode="predict"
        )  # fmt: skip
        calls.on_predict_begin()
        results = []
        for step, batch in enumerate(data.batches()):
            calls.on_predict_batch_begin(step)
            results.append(predict_batch(self, batch[:1]))
            calls.on_predict_batch_end(step, {"outputs": results[-1]})
            calls.progress("predict", step + 1, dict)
        calls.on_predict_end()
        return joined(results)

    run_eagerly = False

    def _ensure_programs(self) -> None:
        if "_programs" not in self.__dict__:
            self._forget_programs()

    # One batch at a time ----------------------------------------------------------------------------------------------------------------

    def train_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = False) -> Any:
        """One update with one batch; returns the loss and metrics of this batch."""
        self._require_compiled("train_on_batch")
        data = as_data(x, y, sample_weight, batch_size=2**62, class_weight=class_weight, where="train_on_batch")
        self._prepare(data, training=True)
        return self._on_batch("train", data, self._train_function(), return_dict)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Loss and metrics of one batch."""
        self._require_compiled("test_on_batch")
        data = as_data(x, y, sample_weight, batch_size=2**62, where="test_on_batch")
        self._prepare(data, training=False)
        return self._on_batch("test", data, self._test_function(), return_dict)

    def _on_batch(self, mode: str, data: Any, step: Callable, return_dict: bool) -> Any:
        runner = Runner(self, mode, data, step)
        self.reset_metrics()
        runner.run_batch(data.parts)
        logs = self._logs(runner)
        return logs if return_dict else self._flat_results(logs)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch, as arrays."""
        self._ensure_programs()
        return joined([predict_batch(self, (data_module.as_arrays(x, "x"),))])

    def get_compile_config(self) -> dict[str, Any] | None:
        """What compile was told, as plain values."""
        from nyala.core.serialization import serialize_keras_object

        return {k: serialize_keras_object(v) for k, v in self._compile_config.items()} if getattr(self, "compiled", False) else None

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile with what get_compile_config returned."""
        from nyala.core.serialization import deserialize_keras_object

        self.compile(**{k: deserialize_keras_object(v) for k, v in config.items()})


KEPT = object()  # in the place of a structure: keep the one that is found next


class _Structure:
    """The layers of a model and the variables that are trained."""

    def __init__(self, model: Any) -> None:
        self.layers = list(model._flatten_layers())
        self.trainable: list[Variable] = model.trainable_variables
        self.regularized = [v for v in model.trainable_weights if v.regularizer is not None]

    def losses(self) -> list[Any]:
        """As Layer.losses."""
        return [loss for layer in self.layers for loss in layer._losses] + [v.regularizer(v) for v in self.regularized if v.regularizer is not None]


def _row_shapes(data: ArrayData) -> list[tuple]:
    """Shapes of one sample, its target and its weight."""
    return [(path, leaf.shape[1:]) for path, leaf in tree.flatten_with_path(data.parts) if leaf is not None]


def _batch_size(x: Any) -> Any:
    leaf = next((leaf for leaf in tree.flatten(x) if leaf is not None and hasattr(leaf, "shape")), None)
    return leaf.shape[0] if leaf is not None and len(leaf.shape) else None


def _same_dtype(a: Any, b: Any) -> tuple[Any, Any]:
    here = current()
    return (a, b) if here.dtype(a) == here.dtype(b) else (a, here.cast(b, here.dtype(a)))


def _is_metric_list(value: Any) -> bool:
    from nyala.metrics import Metric

    return isinstance(value, (list, tuple)) and len(value) > 0 and all(isinstance(v, (str, Metric)) for v in value)


def _to_float(value: Any) -> Any:
    """A number of a log on the host."""
    if current().is_tensor(value):
        value = current().to_numpy(value)
    if isinstance(value, (np.ndarray, np.generic)):
        return value.item() if value.size == 1 else value
    return float(value) if isinstance(value, Variable) else value


def _validation_data(given: Any, batch_size: int | None, steps: int | None) -> Any:
    if isinstance(given, (tuple, list)):
        x, y, sample_weight = unpack_x_y_sample_weight(tuple(given))
        return as_data(x, y, sample_weight, batch_size, steps, where="fit(validation_data)")
    return as_data(given, steps=steps, where="fit(validation_data)")


def _validates(frequency: Any, epoch: int) -> bool:
    return epoch + 1 in frequency if isinstance(frequency, (list, tuple, set)) else (epoch + 1) % int(frequency) == 0
