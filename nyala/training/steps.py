# SPDX-License-Identifier: Apache-2.0
"""One step of training, evaluation and prediction: what users override, and what runs it. Start at Steps.train_step."""

from __future__ import annotations

import contextlib
import inspect
import warnings
from collections.abc import Callable
from typing import Any

from nyala.core import logits, tree
from nyala.core.errors import ArgumentTypeError, DTypeError, StateError
from nyala.core.op import convert
from nyala.core.transforms import discover, value_and_grad
from nyala.core.variable import Variable
from nyala.engines import current, engine, using
from nyala.engines.spec import SpecTensor
from nyala.training.compiling import Compiling
from nyala.training.data import ArrayData, as_given, masked, unpack_x_y_sample_weight, with_masks
from nyala.training.dialects import in_dialect, is_pure, run_pure
from nyala.training.loop import specs_of
from nyala.training.reach import Reach


class Steps(Compiling):
    """The steps, and how a model is made ready for the first one."""

    _updates_before: int | None = None  # of the loss tracker, while a step of the user's runs

    # Steps: override these ------------------------------------------------------------------------------------------------------------

    def train_step(self, data: Any) -> dict[str, Any]:
        """One update with one batch; returns logs.

        Args:
            data: a batch as given to fit: x, (x, y) or (x, y, sample_weight).
        """
        logs = self._update(data)
        return self.get_metrics_result() if logs is None else logs

    def _update(self, data: Any) -> dict[str, Any] | None:
        """One update; returns the logs of a compute_metrics of the user's, else None."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)

        def loss_fn() -> tuple[Any, Any]:
            y_pred = self(x, training=True)
            loss = self._loss_of(x, y, y_pred, sample_weight, training=True)
            return self._scaled(loss), (y_pred, loss)

        variables = self._structure().trainable
        differentiate: Any = value_and_grad(loss_fn, variables)
        (_, (y_pred, loss)), gradients = differentiate()
        self._warn_unused(differentiate.unused)
        self.optimizer.apply(gradients, variables)
        return self._track(x, y, y_pred, sample_weight, loss)

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

    def _warn_cut(self, reach: Reach, loss: Any) -> None:
        """Say by name which weights the loss depends on, but not by a derivative, and where they are cut off."""
        off = reach.cut_off_from(loss)
        cut = [v for v in self.trainable_variables if v in off and not v.overwrite_with_gradient]
        if cut:
            shown = ", ".join(f"{v.path} (cut at {reach.cut.get(v, 'an op')})" for v in cut[:4]) + (", ..." if len(cut) > 4 else "")
            warnings.warn(
                f"{len(cut)} trainable weights get no gradient, since an op without a derivative stands between them and the loss: {shown}. "
                "Remove it, or set trainable = False on their layers",
                stacklevel=2,
            )

    def _scaled(self, loss: Any) -> Any:
        return self.optimizer.scale_loss(loss) if hasattr(self.optimizer, "scale_loss") else loss

    def test_step(self, data: Any) -> dict[str, Any]:
        """One batch of evaluate; returns logs."""
        logs = self._measure(data)
        return self.get_metrics_result() if logs is None else logs

    def _measure(self, data: Any) -> dict[str, Any] | None:
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)
        loss = self._loss_of(x, y, y_pred, sample_weight, training=False)
        return self._track(x, y, y_pred, sample_weight, loss)

    def _loss_of(self, x: Any, y: Any, y_pred: Any, sample_weight: Any, training: bool) -> Any:
        """The result of compute_loss; where that is not the user's, nobody looks at the loss of the step, and it is not kept in a variable."""
        if type(self).compute_loss is Steps.compute_loss:
            return self._total_loss(y, y_pred, sample_weight)
        return convert(self._ask_loss(x, y, y_pred, sample_weight, training))

    def _ask_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any, training: bool) -> Any:
        """The result of compute_loss, asked for by name, or by place where its arguments have other names; it need not take `training`."""
        given = {"x": x, "y": y, "y_pred": y_pred, "sample_weight": sample_weight}
        names = inspect.signature(self.compute_loss).parameters
        further = {"training": training} if "training" in names else {}
        if {"x", "y", "y_pred"} <= names.keys():
            return self.compute_loss(**given, **further)
        return self.compute_loss(*given.values(), **further)

    def _track(self, x: Any, y: Any, y_pred: Any, sample_weight: Any, loss: Any) -> dict[str, Any] | None:
        """Count the loss and the metrics of a batch."""
        self._track_loss(x, loss)
        if type(self).compute_metrics is Steps.compute_metrics:
            self._objectives.update(y, y_pred, sample_weight)
            return None
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def _track_loss(self, x: Any, loss: Any = None) -> None:
        """Count the loss of a batch: that of the last compute_loss unless it is given."""
        self._objectives.loss_tracker.update_state(self._step_loss.value if loss is None else loss, sample_weight=_batch_size(x))

    def predict_step(self, data: Any) -> Any:
        """One batch of predict; returns predictions."""
        x, _, _ = unpack_x_y_sample_weight(data)
        return self(x, training=False)

    def _predict(self, data: Any) -> Any:
        """predict_step, in the form that the user gave it."""
        try:
            return self._predicted(data)
        finally:
            self._close_losses()

    def _predicted(self, data: Any) -> Any:
        if not self._is_own_step("predict"):
            return self.predict_step(data)
        data = as_given(data)
        if not is_pure(self, "predict"):
            return self.predict_step(data)
        if not self.built:
            with contextlib.suppress(Exception):  # the step itself will say what is wrong
                discover(self, specs_of(unpack_x_y_sample_weight(data)[0]))
        return run_pure(self, "predict", data)

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True) -> Any:
        """The scalar that training makes small: the compiled losses, those of regularizers and those added in layers."""
        total = self._total_loss(y, y_pred, sample_weight)
        self._step_loss.assign(engine.stop_gradient(total))
        self._loss_computed = True
        return total

    def _total_loss(self, y: Any, y_pred: Any, sample_weight: Any) -> Any:
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
        return total

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Update the compiled metrics with a batch; returns all results."""
        if not self._objectives.ready:
            self._objectives.build(self, y, y_pred)
        if self._counts_loss():
            self._track_loss(x)
        self._objectives.update(y, y_pred, sample_weight)
        return self.get_metrics_result()

    # Running steps ------------------------------------------------------------------------------------------------------------------------

    def make_train_function(self, force: bool = False) -> None:
        """Have `fit` compile its step anew if force is true, say after values of Python that the step reads have changed. Else do nothing."""
        if force:
            self._forget_programs()

    make_test_function = make_predict_function = make_train_function

    def _refuse_own_functions(self, *modes: str) -> None:
        """Functions over iterators, which subclasses of Keras's own trainers may write, would never be called here: say so."""
        for mode in modes:
            if getattr(type(self), f"make_{mode}_function") is not Steps.make_train_function:
                raise StateError(
                    type(self).__name__,
                    need=f"its own steps in a method {mode}_step(self, data)",
                    got=f"a method make_{mode}_function",
                    why="what runs the steps differs from engine to engine and is not overridden",
                    fix=f"write what it does with one batch as {mode}_step",
                )

    def _train_function(self) -> Callable[[tuple], Any]:
        plain = not self._is_own_step("train") and self._has_plain_logs()
        return with_masks(self._update_only if plain else self._tracked_train_step)

    def _is_own_step(self, mode: str) -> bool:
        """Whether a step was written by the user."""
        return getattr(type(self), f"{mode}_step") is not getattr(Steps, f"{mode}_step")

    def _has_plain_logs(self) -> bool:
        kind = type(self)
        return kind.get_metrics_result is Steps.get_metrics_result and kind.compute_metrics is Steps.compute_metrics

    @logits.remembered()
    def _update_only(self, data: tuple) -> None:
        self._update(data)
        self._close_losses()

    def _tracked_train_step(self, data: tuple) -> Any:
        """A train_step of the user's; its loss is counted if it was not."""
        return self._count(in_dialect(self, "train"), data)

    @logits.remembered()
    def _count(self, step: Callable, data: tuple) -> Any:
        tracker = self._objectives.loss_tracker
        self._build_all(step, data)
        self._updates_before, self._loss_computed = tracker.updates, False
        logs = step(data)
        if self._counts_loss() and (logs is None or (isinstance(logs, dict) and logs.get("loss") is None)):
            self._track_loss(unpack_x_y_sample_weight(data)[0])
            logs = logs if logs is None else {"loss": tracker.result(), **{k: v for k, v in logs.items() if k != "loss"}}
        self._updates_before = None
        self._close_losses()
        if isinstance(logs, dict):
            return {name: convert(value) for name, value in logs.items()}
        return logs

    def _counts_loss(self) -> bool:
        """Whether a step of the user's has computed the loss, and did not count it yet."""
        return self._updates_before is not None and self._loss_computed and self._objectives.loss_tracker.updates == self._updates_before

    def _build_all(self, step: Callable, data: tuple) -> None:
        """Run a step of the user's on shapes if layers have no weights yet: it may ask for trainable_variables before it calls them."""
        if not self._all_built and not all(layer.built for layer in self._flatten_layers()):
            with contextlib.suppress(Exception):  # the step itself will say what is wrong
                discover(step, specs_of(data))
        self._all_built = True

    def _test_function(self) -> Callable[[tuple], Any]:
        plain = not self._is_own_step("test") and self._has_plain_logs()
        return with_masks(self._measure_only if plain else self._tracked_test_step)

    @logits.remembered()
    def _measure_only(self, data: tuple) -> None:
        self._measure(data)
        self._close_losses()

    def _tracked_test_step(self, data: tuple) -> Any:
        return self._count(in_dialect(self, "test"), data)

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
        objectives, reach = self._objectives, Reach()
        own = self._is_own_step("train" if training else "test")

        def run(data: tuple) -> Any:
            x, y, sample_weight = unpack_x_y_sample_weight(masked(data))
            y_pred = self(x, training=training)
            if not objectives.ready and (objectives.loss is not None or objectives.metrics or objectives.weighted_metrics):
                objectives.build(self, y, y_pred)
            if own or not objectives.ready:
                return None
            loss = self._ask_loss(x, y, y_pred, sample_weight, training) if training else objectives.total(y, y_pred, sample_weight)
            objectives.update(y, y_pred, sample_weight)
            return loss

        if own and not is_pure(self, "train" if training else "test"):
            return  # a step of the user's own decides what is called
        try:
            with using(reach):
                loss = run(tree.map_structure(lambda leaf: None if leaf is None else SpecTensor(leaf.shape, leaf.dtype), specs_of(batch)))
            if training and loss is not None:
                self._warn_cut(reach, loss)
        except (TypeError, AttributeError) as error:
            if isinstance(error, (ValueError, ArgumentTypeError, DTypeError)):
                raise
            # code that calls the engine's own array library: it is built by the first step instead
        finally:
            self._close_losses()

    def _build_optimizer(self) -> None:
        if self.optimizer is not None:
            self.optimizer.know(self.trainable_variables)
        elif not self._is_own_step("train"):
            raise StateError(
                f"training of {type(self).__name__} {self.name!r}", need="an optimizer", got="compile(optimizer=None)", fix='pass optimizer="adam"'
            )

    def _close_losses(self) -> None:
        """Forget what add_loss collected inside compiled steps: those values belong to the trace."""
        for layer in self._loss_layers:
            layer._losses.clear()
        self._loss_layers.clear()


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


def _batch_size(x: Any) -> Any:
    leaf = next((leaf for leaf in tree.flatten(x) if leaf is not None and hasattr(leaf, "shape")), None)
    return leaf.shape[0] if leaf is not None and len(leaf.shape) else None


def _same_dtype(a: Any, b: Any) -> tuple[Any, Any]:
    here = current()
    return (a, b) if here.dtype(a) == here.dtype(b) else (a, here.cast(b, here.dtype(a)))
