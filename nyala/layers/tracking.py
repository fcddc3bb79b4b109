# SPDX-License-Identifier: Apache-2.0
"""What belongs to a layer: weights, sublayers, generators and metrics, found where they are stored, as attributes, also in lists and dicts.

Knows neither how they are made nor what is computed with them. Start at _tracked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nyala.core.dtypes import numpy_dtype
from nyala.core.errors import ArgumentError, ShapeError, StateError
from nyala.core.seeds import SeedGenerator
from nyala.core.symbolic import Operation
from nyala.core.variable import Variable

# Attributes that describe a layer rather than belong to it: nothing is tracked in them.
UNTRACKED = {
    "inbound_nodes", "input_spec", "_arguments", "_losses", "_loss_layers", "_weights", "_build_shapes", "_first_weights", "dtype_policy",
    "_optimizer", "history", "loss", "_step_loss", "_objectives", "_programs", "_compile_config",
}  # fmt: skip


class Tracking(Operation):
    """An operation that has variables, its own and those of the operations stored in it."""

    built: bool
    _trainable: bool
    _weights: list[Variable]
    _first_weights: Any

    def _tracked(self, kind: type | tuple[type, ...]) -> Iterator[Any]:
        """Objects of a kind among its attributes, also inside lists, tuples and dicts, in the order of assignment."""
        for key, value in self.__dict__.items():
            if key not in UNTRACKED:
                yield from _find(value, kind, set())

    def _own_variables(self) -> list[Variable]:
        """In the order in which they were made; weights that are shared with other layers come last."""
        found = _unique([*self._weights, *self._tracked(Variable)])
        if len(found) > len(self._weights) > 0:
            own = {id(variable) for variable in self._weights}
            found.sort(key=lambda variable: (variable.of_layer and id(variable) not in own, variable.number))
        return found

    def _other_variables(self) -> list[Variable]:
        """State that is no weight: that of random generators."""
        return [generator.state for generator in self._tracked(SeedGenerator)]

    def _sublayers(self) -> list[Any]:
        return _unique(self._tracked(Tracking))

    def _flatten_layers(self, include_self: bool = True, recursive: bool = True) -> Iterator[Any]:
        """This layer and all below it, each once, parents first."""
        seen: set[int] = set()

        def walk(layer: Tracking) -> Iterator[Any]:
            if id(layer) not in seen:
                seen.add(id(layer))
                yield layer
                if recursive or layer is self:
                    for child in layer._sublayers():
                        yield from walk(child)

        found = walk(self)
        if not include_self:
            next(found)
        return found

    @property
    def variables(self) -> list[Variable]:
        """All state: weights and the states of random generators; not that of metrics."""
        found: list[Variable] = []
        for layer in self._flatten_layers():
            own = layer._own_variables()
            found += [v for v in own if v.made_trainable] + [v for v in own if not v.made_trainable]
            found += layer._other_variables()
        return _unique(found)

    @property
    def weights(self) -> list[Variable]:
        """Weights, without the states of random generators."""
        found: list[Variable] = []
        for layer in self._flatten_layers():
            own = layer._own_variables()
            found += [v for v in own if v.made_trainable] + [v for v in own if not v.made_trainable]
        return _unique(found)

    @property
    def trainable_variables(self) -> list[Variable]:
        return [v for v in self.variables if v.trainable] if self._trainable else []

    @property
    def non_trainable_variables(self) -> list[Variable]:
        return [v for v in self.variables if not (v.trainable and self._trainable)]

    @property
    def trainable_weights(self) -> list[Variable]:
        return [v for v in self.weights if v.trainable] if self._trainable else []

    @property
    def non_trainable_weights(self) -> list[Variable]:
        return [v for v in self.weights if not (v.trainable and self._trainable)]

    @property
    def metrics(self) -> list[Any]:
        """Metrics stored as attributes, here and below."""
        from nyala.metrics.metric import Metric

        return _unique([metric for layer in self._flatten_layers() for metric in layer._tracked(Metric)])

    @property
    def metrics_variables(self) -> list[Variable]:
        return [v for metric in self.metrics for v in metric.variables]

    @property
    def trainable(self) -> bool:
        """Whether gradients update its weights; setting it sets all layers below."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        value = bool(value)
        for layer in self._flatten_layers():
            layer._trainable = value
            for variable in layer._own_variables():
                if variable.made_trainable and not variable.held:
                    variable.trainable = value

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the weights as arrays, in the order of `weights`."""
        return [weight.numpy() for weight in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set the weights, in the order of `weights`; nothing is changed unless all shapes fit."""
        targets, values = self.weights, list(weights)
        where = f"{type(self).__name__} {self.name!r}.set_weights"
        if len(values) != len(targets):
            state = "" if self.built else "it is not built yet: call it once, or build(input_shape)"
            raise ArgumentError(
                where, need=f"{len(targets)} arrays", got=f"{len(values)}", why=state, fix=f"shapes in order: {[w.shape for w in targets]}"
            )
        for weight, value in zip(targets, values, strict=True):
            if tuple(np.shape(value)) != weight.shape:
                raise ShapeError(
                    where, need=f"shape {weight.shape} for {weight.path!r}", got=f"{tuple(np.shape(value))}", fix="no weight was changed"
                )
        for weight, value in zip(targets, values, strict=True):
            weight.assign(value)

    def _set_first_weights(self) -> None:
        """Use the constructor's weights=[...]."""
        if self._first_weights is not None and self.built:
            values, self._first_weights = list(self._first_weights), None
            targets = self.weights
            if [np.shape(value) for value in values] != [weight.shape for weight in targets]:
                self.set_weights(values)  # raises
            for weight, value in zip(targets, values, strict=True):  # first values, which also hold where only shapes are computed
                weight._stored, weight._owner = np.array(value, numpy_dtype(weight._dtype)), None

    def count_params(self) -> int:
        """Number of numbers in its weights."""
        if not self.built:
            raise StateError(
                f"{type(self).__name__} {self.name!r}.count_params()",
                need="a built layer",
                got="one without weights yet",
                fix="call build(input_shape) first",
            )
        return sum(weight.size for weight in self.weights)

    def save_own_variables(self, store: Any) -> None:
        """Put its own weights, without those of sublayers, into a mapping under "0", "1", ..."""
        for i, variable in enumerate(self._saved_variables()):
            store[str(i)] = variable.numpy()

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Set its own weights from a mapping made by save_own_variables; nothing is changed unless all fit."""
        own = self._saved_variables()
        where = f"{type(self).__name__} {self.name!r}"
        if len(store) != len(own):
            raise StateError(
                where,
                need=f"{len(own)} stored arrays",
                got=f"{len(store)}",
                why="" if self.built else "it is not built yet",
                fix="build it with the shapes it was saved with",
            )
        for i, variable in enumerate(own):
            if tuple(np.shape(store[str(i)])) != variable.shape:
                raise ShapeError(where, need=f"shape {variable.shape} for {variable.path!r}", got=f"{tuple(np.shape(store[str(i)]))}")
        for i, variable in enumerate(own):
            variable.assign(np.asarray(store[str(i)]))

    def _saved_variables(self) -> list[Variable]:
        own = self._own_variables()
        return [v for v in own if v.made_trainable] + [v for v in own if not v.made_trainable]


def _find(value: Any, kind: Any, seen: set[int]) -> Iterator[Any]:
    if isinstance(value, kind):
        yield value
    elif isinstance(value, (list, tuple, set)) and id(value) not in seen:
        seen.add(id(value))
        for item in value:
            yield from _find(item, kind, seen)
    elif isinstance(value, dict) and id(value) not in seen:
        seen.add(id(value))
        for item in value.values():
            yield from _find(item, kind, seen)


def _unique(items: Any) -> list:
    return list({id(item): item for item in items}.values())
