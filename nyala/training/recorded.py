# SPDX-License-Identifier: Apache-2.0
"""Steps and predictions on engines that run eagerly, as recordings where the engine can make them. Start at RecordedStep.

Each epoch begins with a look whether a recording still does what the step does, so that what a callback changes in Python counts from the next
epoch on. Only steps of known code are recorded: code of users may print, count or decide.
"""

from __future__ import annotations

import math
import operator
import time
from collections.abc import Callable
from typing import Any

from nyala.core import config, tree
from nyala.core.transforms import discover
from nyala.core.variable import state
from nyala.engines import current
from nyala.engines.protocol import Tree

FIRST_STEPS = 8  # before a recording is tried; what they build and warn of is then behind them
KEPT = 16  # recordings of one model
QUICK_SECONDS = 0.05  # longer steps are not Python's fault


class RecordedStep:
    """A step of a model; called with a batch of tensors. What it returns is lost once it is recorded, so it should return nothing."""

    def __init__(self, model: Any, step: Callable[[tuple], Any], kind: str) -> None:
        self.model, self.step, self.kind = model, step, kind
        self.known = False
        self.quickest = math.nan
        self.table: dict[tuple, Any] = {}  # a recording, None if there can be none, or the number of steps before it is tried

    def begin_epoch(self) -> None:
        """From now on steps may be recorded; no recording is trusted before it has been compared with the step as it is now."""
        self.known = current().records and not self.model.run_eagerly and is_known(self.model, self.step)
        self.table = {}

    def __call__(self, batch: tuple) -> Any:
        if not self.known:
            return self.step(batch)
        key = tuple([None if leaf is None else (leaf.shape, leaf.dtype) for leaf in tree.flatten(batch)])
        found = self.table.get(key, self)
        if found is self:
            found = 0 if self._name(key) in self.model._programs.recordings else FIRST_STEPS
        if found is None:
            return self.step(batch)
        if not isinstance(found, int):
            return found(batch)
        if found == 0:
            self.table[key] = self._recorded(batch, key) if not self.quickest > QUICK_SECONDS else None
            return self(batch)
        self.table[key] = found - 1
        began = time.perf_counter()
        result = self.step(batch)
        self.quickest = min(time.perf_counter() - began, self.quickest)
        return result

    def _name(self, key: tuple) -> tuple:
        """Of a recording, among those of the model."""
        return current().name, self.kind, *map(id, self.model._structure().trainable), *key

    def _recorded(self, batch: Tree, key: tuple) -> Callable | None:
        """The recording for batches like this: that of an earlier epoch if it still holds, else a new one."""
        from nyala.training.loop import specs_of

        known, name = self.model._programs.recordings, self._name(key)
        if name in known and known[name].holds(self.step, batch):
            return known[name]
        reads, written, _ = discover(self.step, specs_of(batch))
        recording = current().record(self.step, written, [v for v in reads if not any(v is w for w in written)], batch)
        if recording is not None:
            if len(known) >= KEPT:
                known.clear()
            known[name] = recording
        return recording


class RecordedPrediction:
    """Predictions for batches of one shape. Called with a batch of host arrays or tensors; returns tensors, or arrays once it is recorded.

    A recording is trusted while no layer has another attribute than it had; else it is compared with the prediction anew."""

    def __init__(self, model: Any, predict: Callable[[tuple], Any]) -> None:
        self.model, self.function = model, predict
        self.run = current().compile(predict)
        self.left: float = FIRST_STEPS  # calls before a recording is tried; infinite if there can be none
        self.quickest = math.nan
        self.looks = 0  # how often a recording was made or compared
        self.recording: Any = None
        self.replay: Any = None  # the recording, run without recording gradients
        self.layers: list[Any] = []
        self.seen: list[Any] = []

    def __call__(self, batch: tuple) -> Any:
        replay = self.ready(batch)
        if replay is not None:
            return replay(batch)
        from nyala.training.loop import to_device

        self.left -= 1  # infinity stays
        began = time.perf_counter()
        result = self.run(to_device(batch))
        self.quickest = min(time.perf_counter() - began, self.quickest)
        return result

    def ready(self, batch: tuple) -> Callable | None:
        """The recording if it does what the prediction would do now, else None."""
        if self.left > 0 or state.scopes:
            return None
        if self.replay is None or not _same(self.seen, _settings(self.layers)):
            self._look(batch)
        return self.replay

    def _look(self, batch: tuple) -> None:
        from nyala.training.loop import specs_of, to_device

        self.looks += 1
        found, batch = None, to_device(batch)
        if self.looks <= KEPT and not self.quickest > QUICK_SECONDS and predicts_by_known_code(self.model):
            if self.recording is not None and self.recording.holds(self.function, batch):
                found = self.recording
            else:
                reads, written, _ = discover(self.function, specs_of(batch))
                found = None if written else current().record(self.function, [], reads, batch)
        self.recording, self.replay = found, None if found is None else current().compile(found)
        self.left = math.inf if found is None else 0
        self.layers = list(self.model._flatten_layers()) if found is not None else []
        self.seen = _settings(self.layers)


def _settings(layers: list[Any]) -> list[Any]:
    """All that layers have as attributes, and what is in their lists and dicts."""
    found = [config.floatx(), config.epsilon()]
    for layer in layers:
        values = layer.__dict__.values()
        found += values
        for value in values:
            kind = type(value)
            if kind is list or kind is tuple:
                found += value
            elif kind is dict:
                found += value.values()
    return found


def _same(a: list[Any], b: list[Any]) -> bool:
    return len(a) == len(b) and all(map(operator.is_, a, b))


def is_ours(layer: Any) -> bool:
    """Whether the layer and the functions in it are this package's."""
    from nyala.layers.core.lambda_layer import Lambda

    functions = [getattr(layer, name, None) for name in ("activation", "recurrent_activation")]
    known = all(f is None or _module(f).startswith("nyala.") for f in functions) and "call" not in vars(layer)
    return type(layer).__module__.startswith("nyala.") and not isinstance(layer, Lambda) and known


def predicts_by_known_code(model: Any) -> bool:
    """Whether a prediction of this model runs nothing but this package's code."""
    from nyala.training.trainer import Trainer

    layers = list(model._flatten_layers())
    operations = [type(step) for layer in layers for step in getattr(layer, "operations", ())]
    plain = type(model).predict_step is Trainer.predict_step and "predict_step" not in vars(model)
    return plain and all(map(is_ours, layers)) and all(_module(kind).startswith("nyala.") for kind in operations)


def is_known(model: Any, step: Callable) -> bool:
    """Whether a step of this model runs nothing but this package's code."""
    from nyala.training.trainer import Trainer

    method = step if hasattr(step, "__func__") else getattr(step, "__wrapped__", step)  # without what puts masks on padded inputs
    plain = getattr(method, "__func__", None) in (Trainer._update_only, Trainer._measure_only)
    overridden = any(getattr(type(model), name) is not getattr(Trainer, name) for name in ("compute_loss", "_loss_of", "_track"))
    objectives, optimizer = model._objectives, model.optimizer
    losses = [loss for loss in objectives.losses if loss is not None]
    parts = [*losses, *objectives.all_metrics, optimizer, getattr(optimizer, "_learning_rate", None)]
    functions = [getattr(part, name) for part in parts for name in ("fn", "_fn", "rule") if hasattr(part, name)]
    weights = [f for v in model.weights for f in (v.constraint, v.regularizer) if f is not None]
    ours = all(_module(part).startswith("nyala.") for part in (*map(type, parts), *functions, *map(type, weights)))
    return plain and not overridden and ours and all(map(is_ours, model._flatten_layers()))


def _module(value: Any) -> str:
    return getattr(value, "__module__", None) or ""
