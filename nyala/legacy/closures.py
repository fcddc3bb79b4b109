# SPDX-License-Identifier: Apache-2.0
"""Losses of old that look at symbolic tensors of the model around them: `def vae_loss(x, decoded): ... K.mean(1 + z_log_var ...)`.

In a graph of then a loss could take any tensor. Here the model notes what those tensors are in each run, and the loss runs with these values in
their places: in its closure, among the globals that it reads, and in those of functions that it calls. Start at watching.
"""

from __future__ import annotations

import copy
import dis
import functools
import types
from collections.abc import Callable, Iterator
from typing import Any

from nyala.core import tree
from nyala.core.errors import ArgumentError
from nyala.core.symbolic import Symbolic
from nyala.layers.layer import Layer
from nyala.models.functional import Functional
from nyala.models.graph import Graph

_LIBRARIES = frozenset({"builtins", "jax", "keras", "numpy", "nyala", "tensorflow", "torch"})  # whose functions know nothing of a program's tensors


class WatchedGraph(Graph):
    """A graph that notes, in each run, what some of its tensors are.

    Attributes:
        watched: the tensors.
        seen: their values in the last run, by the ids of the tensors.
    """

    def __init__(self, inputs: list[Symbolic], outputs: list[Symbolic], watched: list[Symbolic], where: str) -> None:
        super().__init__(inputs, [*outputs, *watched], where)
        self.outputs, self.watched = outputs, watched
        self.seen: dict[int, Any] = {}

    def run(self, values: list[Any]) -> list[Any]:
        results = super().run(values)
        count = len(self.outputs)
        self.seen = dict(zip(map(id, self.watched), results[count:], strict=True))
        return results[:count]


def watching(model: Any, losses: Any) -> Any:
    """Losses or metrics of a model as compile takes them; those that close over symbolic tensors are given their values in each run."""
    found: dict[int, Symbolic] = {}
    for leaf in tree.flatten(losses):
        found.update((id(tensor), tensor) for tensor in _tensors(leaf, set()))
    if not found:
        return losses
    if not isinstance(model, Functional):
        need = "a functional model, in which they can be found"
        raise ArgumentError(
            "compile(loss)", need=need, got=f"{type(model).__name__} and a loss that reads symbolic tensors", fix="Model(inputs, outputs)"
        )
    before = model.graph.watched if isinstance(model.graph, WatchedGraph) else []
    watched = list({**{id(tensor): tensor for tensor in before}, **found}.values())
    model.graph = WatchedGraph(model.inputs, model.outputs, watched, f"the loss of model {model.name!r}")
    model._layers = [operation for operation in model.graph.operations if isinstance(operation, Layer)]
    return tree.map_structure(lambda leaf: _filled(leaf, model) if _tensors(leaf, set()) else leaf, losses)


def _filled(function: Callable, model: Functional) -> Callable:
    """The function, with the values of the model's last run in the places of its tensors."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        graph: Any = model.graph
        return _with(function, graph.seen, {})(*args, **kwargs)

    return call


def _names(code: types.CodeType, kind: str = "GLOBAL") -> Iterator[str]:
    """Names of globals, or of attributes ("ATTR"), that code reads, functions inside it included."""
    yield from (str(step.argval) for step in dis.get_instructions(code) if step.opname == f"LOAD_{kind}")
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant, kind)


def _is_own(function: Any) -> bool:
    return isinstance(function, types.FunctionType) and str(function.__globals__.get("__name__")).partition(".")[0] not in _LIBRARIES


def _reads(function: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a function reads by name: in its closure, and among globals."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    closed = {name: cell.cell_contents for name, cell in cells if cell != types.CellType()}
    return closed, {name: function.__globals__[name] for name in _names(function.__code__) if name in function.__globals__}


def _tensors(value: Any, seen: set[int]) -> list[Symbolic]:
    """The symbolic tensors that a value is, holds, or reads when it is called."""
    if isinstance(value, Symbolic):
        return [value]
    if id(value) in seen:
        return []
    seen.add(id(value))
    if isinstance(value, (list, tuple)):
        return [tensor for part in value for tensor in _tensors(part, seen)]
    if isinstance(value, types.MethodType) and _is_own(value.__func__):
        held = [part for part in getattr(value.__self__, "__dict__", {}).values() if isinstance(part, Symbolic)]
        used = set(_names(value.__func__.__code__, "ATTR"))
        return [tensor for tensor in held if any(getattr(value.__self__, name, None) is tensor for name in used)] + _tensors(value.__func__, seen)
    if _is_own(value):
        return [tensor for part in _reads(value) for inside in part.values() for tensor in _tensors(inside, seen)]
    return []


def _with(value: Any, known: dict[int, Any], made: dict[int, Any]) -> Any:
    """The value with tensors in the places of symbolic ones; functions that read some are made anew."""
    if isinstance(value, Symbolic):
        return known.get(id(value), value)
    if id(value) in made:
        return made[id(value)]
    if not _tensors(value, set()):
        return value
    if isinstance(value, (list, tuple)):
        return type(value)(_with(part, known, made) for part in value)
    if isinstance(value, types.MethodType):
        owner = copy.copy(value.__self__)
        owner.__dict__.update({name: known.get(id(part), part) for name, part in owner.__dict__.items() if isinstance(part, Symbolic)})
        return types.MethodType(_with(value.__func__, known, made), owner)
    closed, read = _reads(value)
    space = dict(value.__globals__)
    cells = {name: types.CellType() for name in closed}
    places: Any = [cells.get(name, cell) for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)]
    new = types.FunctionType(value.__code__, space, value.__name__, value.__defaults__, tuple(places) if places else None)
    new.__kwdefaults__ = value.__kwdefaults__
    made[id(value)] = new
    space.update({name: _with(part, known, made) for name, part in read.items()})
    for name, cell in cells.items():
        cell.cell_contents = _with(closed[name], known, made)
    return new
