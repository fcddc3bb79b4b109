# SPDX-License-Identifier: Apache-2.0
"""Losses, metrics, targets and weights bound to the outputs of a model, by name or position, once, when the first batch is seen.

Start at Objectives. Outputs are flat here, in the order of nyala.tree; a structure given by the user is bound by `Outputs.bind`.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nyala import losses as losses_package
from nyala import metrics as metrics_package
from nyala import ops
from nyala.core import tree
from nyala.core.errors import ArgumentError, ArgumentTypeError, StructureError
from nyala.core.names import to_snake_case
from nyala.core.serialization import get_registered_object
from nyala.training.checks import check_given, check_target, warn_of_labels

_ACCURACY = ("accuracy", "acc", "Accuracy")
_CROSSENTROPY = ("crossentropy", "ce")


def output_names(model: Any, y_pred: Any) -> list[str]:
    """Names of the outputs, in flat order: keys of dicts, else those the model knows, else output_1, output_2, ...; never two alike."""
    paths = [path for path, _ in tree.flatten_with_path(y_pred)]
    known: list[str] = list(getattr(model, "output_names", None) or ())
    if len(known) != len(paths):
        known = ["output"] if paths == [()] else ["_".join(map(str, path)) if len(path) > 1 else f"output_{i + 1}" for i, path in enumerate(paths)]
    names = [path[-1] if path and isinstance(path[-1], str) else name for path, name in zip(paths, known, strict=True)]
    if len(set(names)) < len(names):  # equal keys in different places
        names = ["_".join(map(str, path)) if len(path) > 1 else name for path, name in zip(paths, names, strict=True)]
    return [f"{name}_{names[:i].count(name)}" if name in names[:i] else name for i, name in enumerate(names)]


class Outputs:
    """The outputs of a model: their names in flat order, and the structure they come in, to which what users give is bound.

    Attributes:
        names: in flat order.
        places: the structure, with the number of each output in its place.
    """

    def __init__(self, model: Any, y_pred: Any) -> None:
        number = itertools.count()
        self.names = output_names(model, y_pred)
        self.places = tree.map_structure(lambda _: next(number), y_pred)

    def bind(self, given: Any, what: str, is_item: Callable[[Any, Any], bool], single_for_all: bool = True) -> list[Any]:
        """One item of a user's structure per output, in flat order; None where nothing is given.

        A single item counts for all outputs below the place where it stands; a dict goes by the keys or names of the outputs, a list by position.

        Args:
            what: who asks, for errors.
            is_item: (value, place: a number, or a tree of them) -> whether the value is one item for all of the place.
            single_for_all: whether one item may stand for several outputs.
        Raises: StructureError where names or numbers do not match, or a list would have to follow the order of a dict.
        """
        items: list[Any] = [None] * len(self.names)

        def spread(given: Any, place: Any) -> None:
            numbers = tree.flatten(place)
            if given is None or is_item(given, place):
                if given is not None and len(numbers) > 1 and not single_for_all:
                    need = f"one for each of the outputs {self._named(place)}"
                    raise StructureError(what, need=need, got="one", fix="pass a dict by output name, or a list")
                for number in numbers:
                    items[number] = given
            else:
                for item, below in self._pairs(given, place, what):
                    spread(item, below)

        spread(given, self.places)
        return items

    def _pairs(self, given: Any, place: Any, what: str) -> list[tuple[Any, Any]]:
        """The parts of a dict or list, each with the place that it is for."""
        names = self._named(place)
        if isinstance(given, Mapping):
            by_name = place if isinstance(place, dict) and all(key in place for key in given) else dict(zip(names, tree.flatten(place), strict=True))
            unknown = [key for key in given if key not in by_name]
            if unknown:
                fix = "use these names, or name the output layers with name="
                raise StructureError(what, need=f"the output names {names} as keys", got=f"{unknown}", fix=fix)
            return [(item, by_name[key]) for key, item in given.items()]
        if not isinstance(given, (list, tuple)):
            raise ArgumentTypeError(what, need="one item, a list, or a dict by output name", got=f"{type(given).__name__} {given!r}")
        if isinstance(place, (list, tuple)) and len(given) == len(place):
            return list(zip(given, place, strict=True))
        if len(given) != len(names):
            need = f"{len(names)} item{'s' * (len(names) > 1)}, one for each of the outputs {names}"
            raise StructureError(what, need=need, got=f"{len(given)}", fix="pass a dict by output name, or a list of that length")
        if as_written(place) != tree.flatten(place):
            need = f"a dict with the keys {list(place)}" if isinstance(place, dict) else "items in the structure of the outputs"
            why = "there are outputs in a dict, and the sorted order of its keys is not the one they were written in"
            raise StructureError(what, need=need, got=f"a {type(given).__name__} of {len(given)}", why=why)
        return list(zip(given, tree.flatten(place), strict=True))

    def _named(self, place: Any) -> list[str]:
        return [self.names[number] for number in tree.flatten(place)]


def as_written(place: Any) -> list:
    """The leaves of a tree from left to right, dicts in the order of their keys, not sorted.

    >>> as_written({"b": 1, "a": [2, 3]})
    [1, 2, 3]
    """
    if not tree.is_nested(place):
        return [place]
    return [leaf for child in (place.values() if isinstance(place, dict) else place) for leaf in as_written(child)]


def is_loss(value: Any) -> bool:
    return isinstance(value, str) or callable(value) or (isinstance(value, Mapping) and "class_name" in value)


def _is_tensor(value: Any, _: Any) -> bool:
    return not isinstance(value, (Mapping, list, tuple))


def _is_metric_item(value: Any, place: Any) -> bool:
    """Whether a value counts whole for each output of a place: one metric, or a flat list of them that does not have one for each in order."""
    if not isinstance(value, (list, tuple)):
        return is_loss(value)
    outputs = len(tree.flatten(place))
    return outputs == 1 or (all(map(is_loss, value)) and (len(value) != outputs or isinstance(place, dict)))


class Objectives:
    """What `compile` was told, bound to the outputs of a model."""

    def __init__(self, loss: Any, loss_weights: Any, metrics: Any, weighted_metrics: Any) -> None:
        loss, metrics, weighted_metrics = (_named_now(given) for given in (loss, metrics, weighted_metrics))
        self.loss, self.loss_weights, self.metrics, self.weighted_metrics = loss, loss_weights, metrics, weighted_metrics
        self.loss_tracker = metrics_package.Mean(name="loss")
        self.outputs: Outputs = Outputs(None, [])
        self.losses: list[Any] = []
        self.weights: list[float | None] = []
        self.trackers: list[Any] = []  # one Mean per loss where there are several
        self.bound: list[tuple[int, Any, bool]] = []  # (output, metric, weighted)
        self.ready = False
        self._checked: set[tuple] = set()  # shapes that were found to fit
        self._units: dict[str, int] = {}  # the last axis of each output
        for item in _leaves(loss):
            _as_loss(item)
        for item in (*_leaves(metrics), *_leaves(weighted_metrics)):
            _check_metric(item)

    def what_counts(self) -> tuple:
        """What a step does with it; the name of an only output is never looked at."""
        told = (self.loss, self.loss_weights, self.metrics, self.weighted_metrics) if not self.ready else (*self.log_names.values(),)
        names = self.names if len(self.names) > 1 else []
        return told, names, self.outputs.places, self.loss_tracker, self.losses, self.weights, self.trackers, self.bound

    @property
    def names(self) -> list[str]:
        """Names of the outputs, in flat order."""
        return self.outputs.names

    @property
    def all_metrics(self) -> list[Any]:
        """The loss tracker, the trackers of the outputs' losses, and the metrics, in the order of logs."""
        return [self.loss_tracker, *(t for t in self.trackers if t is not None), *(metric for _, metric, _ in self.bound)]

    def build(self, model: Any, y: Any, y_pred: Any) -> None:
        """Bind to the outputs. Called with the first batch (its shapes are enough)."""
        self.outputs = Outputs(model, y_pred)
        self.losses = [_as_loss(item) for item in self.outputs.bind(self.loss, "compile(loss)", lambda value, _: is_loss(value))]
        predictions, targets = tree.flatten(y_pred), self.targets(y)
        self.weights = self.outputs.bind(self.loss_weights, "compile(loss_weights)", lambda value, _: isinstance(value, (int, float)))
        active = [name for name, item in zip(self.names, self.losses, strict=True) if item is not None]
        self.trackers = [
            metrics_package.Mean(name=f"{name}_loss") if len(active) > 1 and item is not None else None
            for name, item in zip(self.names, self.losses, strict=True)
        ]
        self.bound = [(i, metric, False) for i, metric in self._bind_metrics(self.metrics, "compile(metrics)", targets, predictions)]
        self.bound += [
            (i, metric, True) for i, metric in self._bind_metrics(self.weighted_metrics, "compile(weighted_metrics)", targets, predictions)
        ]
        self._set_names()
        self.ready = True

    def _bind_metrics(self, given: Any, what: str, targets: list, predictions: list) -> list[tuple[int, Any]]:
        """(output, metric) pairs: a list with an item for each output goes by position, another flat list is for all, a dict goes by name."""
        items = self.outputs.bind(given or None, what, _is_metric_item)
        pairs, used = [], set()
        for i, item in enumerate(items):
            for identifier in _leaves(item):
                if identifier is None:
                    continue
                metric = _as_metric(identifier, self.losses[i], targets[i], predictions[i])
                if id(metric) in used:  # one object for several outputs: each output counts for itself
                    metric = type(metric).from_config(metric.get_config())
                used.add(id(metric))
                pairs.append((i, metric))
        return pairs

    def _set_names(self) -> None:
        """Where there are several outputs, logs name them; equal names get numbers."""
        self.log_names = {}
        taken: dict[str, int] = {"loss": 1}
        for i, metric, weighted in self.bound:
            prefix = f"{self.names[i]}_" if len(self.names) > 1 else ""
            name = prefix + metric.name
            if weighted and name in taken:
                name = f"{prefix}weighted_{metric.name}"
            count = taken.get(name, 0)
            taken[name] = count + 1
            self.log_names[id(metric)] = f"{name}_{count}" if count else name

    def log_name(self, metric: Any) -> str:
        """The name of a metric in logs and history."""
        return getattr(self, "log_names", {}).get(id(metric), metric.name)

    def targets(self, y: Any) -> list[Any]:
        """Targets in flat order, None where an output has none. What stands alone belongs to the only output with a loss."""
        with_loss = [i for i, loss in enumerate(self.losses) if loss is not None]
        if len(self.losses) > 1 and len(with_loss) == 1 and y is not None and _is_tensor(y, None):
            return [y if i in with_loss else None for i in range(len(self.losses))]
        return self.outputs.bind(y, "the targets y", _is_tensor, single_for_all=False)

    def sample_weights(self, sample_weight: Any) -> list[Any]:
        """Weights in flat order; one array counts for every output."""
        return self.outputs.bind(sample_weight, "sample_weight", _is_tensor)

    def check(self, targets: list, predictions: list) -> None:
        """Raise ShapeError where targets cannot belong to the outputs; shapes seen before cost nothing."""
        for name, loss, target, prediction in zip(self.names, self.losses, targets, predictions, strict=True):
            if target is None:
                check_given(name, loss)
            elif loss is not None and (key := (name, tuple(target.shape), tuple(prediction.shape))) not in self._checked:
                check_target(*key[:1], loss, *key[1:])
                self._checked.add(key)
                self._units[name] = prediction.shape[-1] if len(prediction.shape) else 1

    def look_at_labels(self, y: Any, sample_weight: Any) -> None:
        """Warn of labels that the outputs have no unit for, in arrays that are in memory."""
        for name, loss, target, weight in zip(self.names, self.losses, self.targets(y), self.sample_weights(sample_weight), strict=True):
            if name in self._units and isinstance(target, np.ndarray) and target.dtype.kind in "iuf":
                warn_of_labels(name, loss, target, self._units[name], weight)

    def total(self, y: Any, y_pred: Any, sample_weight: Any) -> Any:
        """The weighted sum of the losses; None if no output has one. Keeps the trackers of several losses."""
        targets, predictions = self.targets(y), tree.flatten(y_pred)
        self.check(targets, predictions)
        parts = []
        for item, weight, tracker, target, prediction, sample in zip(
            self.losses, self.weights, self.trackers, targets, predictions, self.sample_weights(sample_weight), strict=True
        ):
            if item is None:
                continue
            value = item(target, prediction, sample)
            if tracker is not None:
                tracker.update_state(value, sample_weight=prediction.shape[0] if len(prediction.shape) else None)
            parts.append(value if weight is None else ops.multiply(value, weight))
        total = parts[0] if parts else None
        for part in parts[1:]:
            total = ops.add(total, part)
        return total

    def update(self, y: Any, y_pred: Any, sample_weight: Any) -> None:
        """Update the metrics with a batch."""
        if not self.bound:
            return
        targets, predictions, weights = self.targets(y), tree.flatten(y_pred), self.sample_weights(sample_weight)
        for i, metric, weighted in self.bound:
            if targets[i] is not None:
                metric.update_state(targets[i], predictions[i], sample_weight=weights[i] if weighted else None)


def _named_now(given: Any) -> Any:
    """A user's structure with objects in the places of their names, as long as custom_objects are in force that will not be later."""
    if isinstance(given, str):
        found = get_registered_object(given)
        return given if found is None else found
    if isinstance(given, Mapping) and "class_name" not in given:
        return {key: _named_now(value) for key, value in given.items()}
    if isinstance(given, (list, tuple)) and not hasattr(given, "_fields"):
        return type(given)(_named_now(value) for value in given)
    return given


def _leaves(given: Any) -> list[Any]:
    """The single losses or metrics of a user's structure."""
    if given is None or is_loss(given):
        return [given]
    items = given.values() if isinstance(given, Mapping) else given if isinstance(given, (list, tuple)) else None
    return [given] if items is None else [leaf for item in items for leaf in _leaves(item)]


def _check_metric(identifier: Any) -> None:
    """Raise for a metric that does not exist, without waiting for the first batch."""
    if identifier is not None and not (isinstance(identifier, str) and identifier in (*_ACCURACY, *_CROSSENTROPY)):
        _as_metric(identifier, None, None, None)


def _as_loss(identifier: Any) -> Any:
    """A loss object from what compile was given; functions are averaged over the batch."""
    if identifier is None:
        return None
    loss = losses_package.get(identifier)
    if isinstance(loss, losses_package.Loss):
        return loss
    if not callable(loss):
        raise ArgumentError("compile(loss)", need="a name, a Loss or a function (y_true, y_pred) -> loss", got=repr(identifier))
    return losses_package.LossFunctionWrapper(loss, name=getattr(loss, "__name__", "loss"))


def _as_metric(identifier: Any, loss: Any, target: Any, prediction: Any) -> Any:
    """A metric object; "accuracy" and "crossentropy" take the kind that fits the target, the output and the loss."""
    if isinstance(identifier, str) and identifier in (*_ACCURACY, *_CROSSENTROPY):
        kind = "accuracy" if identifier in _ACCURACY else "crossentropy"
        function = getattr(metrics_package, f"{_label_kind(loss, target, prediction)}_{kind}")
        return metrics_package.MeanMetricWrapper(function, name=identifier if identifier != "Accuracy" else "accuracy")
    metric = metrics_package.get(identifier)
    if isinstance(metric, metrics_package.Metric):
        if isinstance(identifier, str):
            metric.name = identifier  # "mae" stays "mae" in logs
        return metric
    if inspect.isfunction(metric) or callable(metric):
        name = identifier if isinstance(identifier, str) else getattr(metric, "__name__", to_snake_case(type(metric).__name__)).strip("<>")
        return metrics_package.MeanMetricWrapper(metric, name=name)
    raise ArgumentError("compile(metrics)", need="a name, a Metric or a function (y_true, y_pred) -> values", got=repr(identifier))


def _label_kind(loss: Any, target: Any, prediction: Any) -> str:
    """binary, categorical or sparse_categorical, by the shapes of target and output."""
    shape, predicted = (tuple(target.shape), tuple(prediction.shape)) if target is not None else ((), tuple(prediction.shape))
    if predicted[-1:] == (1,):
        return "binary"
    if len(shape) < len(predicted) or (shape and shape[-1] == 1 and predicted[-1] != 1):
        return "sparse_categorical"
    return "categorical"
