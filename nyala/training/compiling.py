# SPDX-License-Identifier: Apache-2.0
"""What a model is trained with: optimizer, losses and metrics, as told to compile. Start at Compiling.compile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nyala.core.errors import ArgumentError, ArgumentTypeError, StateError
from nyala.core.variable import Variable
from nyala.training.loop import Programs

if TYPE_CHECKING:  # a Trainer is always mixed into a Layer
    from nyala.layers.layer import Layer as Trained
else:
    Trained = object


class Compiling(Trained):
    """What compile sets, and the metrics."""

    compiled: bool = False
    loss: Any = None
    run_eagerly: bool = False
    steps_per_execution: int | str = 1
    jit_compile: bool | str | None = "auto"
    stop_training: bool = False

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
            auto_scale_loss: under the policy "mixed_float16", wrap the optimizer in a LossScaleOptimizer.
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
        scales = self._optimizer is None or isinstance(self._optimizer, optimizers.LossScaleOptimizer)
        if auto_scale_loss and self.dtype_policy.name == "mixed_float16" and not scales:
            self._optimizer = optimizers.LossScaleOptimizer(self._optimizer, name="loss_scale_optimizer")
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

    def _on_host(self, x: Any, batches: bool = False) -> Any:
        """Data as it was given; models with string inputs make numbers of them."""
        return x

    def _require_compiled(self, what: str) -> None:
        if not self.compiled:
            raise StateError(
                f"{what} of {type(self).__name__} {self.name!r}",
                need="a compiled model",
                got="one that was never compiled",
                fix='call compile(optimizer="adam", loss=...) first',
            )

    @property
    def metrics(self) -> list[Any]:
        """Metrics in the order of logs: the loss, those given to compile, and those stored in layers."""
        own = self._objectives.all_metrics if self.compiled else []
        known = {id(metric) for metric in own}
        return [*own, *(metric for metric in super().metrics if id(metric) not in known)]

    @property
    def metrics_names(self) -> list[str]:
        return [self._log_name(metric) for metric in self.metrics]

    def _log_name(self, metric: Any) -> str:
        return self._objectives.log_name(metric) if self.compiled else metric.name

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

    def get_compile_config(self) -> dict[str, Any] | None:
        """What compile was told, as plain values."""
        from nyala.core.serialization import serialize_keras_object

        return {k: serialize_keras_object(v) for k, v in self._compile_config.items()} if self.compiled else None

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile with what get_compile_config returned."""
        from nyala.core.serialization import deserialize_keras_object

        self.compile(**{k: deserialize_keras_object(v) for k, v in config.items()})


def _is_metric_list(value: Any) -> bool:
    from nyala.metrics import Metric

    return isinstance(value, (list, tuple)) and len(value) > 0 and all(isinstance(v, (str, Metric)) for v in value)
