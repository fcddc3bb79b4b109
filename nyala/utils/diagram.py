# SPDX-License-Identifier: Apache-2.0
"""A model as boxes and arrows: what a picture of it shows, before anyone draws it. Start at diagram_of."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

from nyala.core.errors import ArgumentError, StateError
from nyala.core.symbolic import Node, Operation
from nyala.layers.layer import Layer
from nyala.models.summary import kind_of, layer_slice


@dataclasses.dataclass
class Box:
    """A layer, an op, or a model that is shown closed.

    Attributes:
        key: names it in arrows.
        name, kind: of the layer, and its class.
        activation, trainable: None where not shown.
        cells: (title, text) of shapes and dtypes.
    """

    key: str
    name: str
    kind: str
    activation: str | None = None
    trainable: bool | None = None
    cells: list[tuple[str, str]] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Diagram:
    """Boxes, and models that are shown open, from the inputs down; and arrows between boxes at any depth."""

    key: str
    name: str
    parts: list[Box | Diagram] = dataclasses.field(default_factory=list)
    arrows: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    entries: list[str] = dataclasses.field(default_factory=list)  # where the inputs of the model arrive, and
    exits: list[str] = dataclasses.field(default_factory=list)  # where its outputs come from: keys of boxes


@dataclasses.dataclass(frozen=True)
class Shown:
    """What the boxes of a diagram say."""

    shapes: bool = False
    dtype: bool = False
    activations: bool = False
    trainable: bool = False
    nested: bool = False
    layer_range: Sequence[str] | None = None


def diagram_of(model: Any, shown: Shown, key: str = "m") -> Diagram:
    """The diagram of a model, Functional, Sequential or subclassed (one box)."""
    if not getattr(model, "built", True):
        raise StateError(
            f"a picture of {type(model).__name__} {model.name!r}",
            need="a built model",
            got="one that is not",
            fix="call it on data, or begin with an Input",
        )
    made = Diagram(key, model.name)
    graph, chain = getattr(model, "graph", None), getattr(model, "_chain", None)
    if graph is None and chain is None:
        made.parts = [_box(model, None, shown, f"{key}_0")]
        made.entries = made.exits = [f"{key}_0"]
        return made
    operations: list[Operation] = list(graph.operations) if graph is not None else list(model.layers)
    operations = operations[layer_slice(operations, shown.layer_range)]  # type: ignore[arg-type]
    nodes = list(graph.nodes) if graph is not None else [layer.inbound_nodes[0] for layer in operations if layer.inbound_nodes]
    first = {id(node.operation): node for node in reversed(nodes)}
    ends: dict[int, tuple[list[str], list[str]]] = {}  # of an operation: the boxes where its inputs arrive, and those that give its outputs
    for i, operation in enumerate(operations):
        name = f"{key}_{i}"
        opens = shown.nested and (hasattr(operation, "graph") or hasattr(operation, "_chain"))
        part = (
            diagram_of(operation, dataclasses.replace(shown, layer_range=None), name)
            if opens
            else _box(operation, first.get(id(operation)), shown, name)
        )
        ends[id(operation)] = (part.entries, part.exits) if isinstance(part, Diagram) else ([name], [name])
        made.parts.append(part)
    if graph is None:
        pairs = [(ends[id(a)][1][-1], ends[id(b)][0][0]) for a, b in itertools.pairwise(operations)]
        made.entries, made.exits = ends[id(operations[0])][0][:1], ends[id(operations[-1])][1][-1:]
    else:
        pairs = [pair for node in nodes for pair in _arrows_into(node, ends, set(map(id, nodes)))]
        made.entries = [ends[id(t.node.operation)][0][0] for t in graph.inputs if t.node and id(t.node.operation) in ends]
        made.exits = [ends[id(t.node.operation)][1][-1] for t in graph.outputs if t.node and id(t.node.operation) in ends]
    made.arrows = list(dict.fromkeys(pairs))
    return made


def _arrows_into(node: Node, ends: dict[int, tuple[list[str], list[str]]], kept: set[int]) -> list[tuple[str, str]]:
    """Arrows for one call: each tensor from the box that gives it to the one that takes it."""
    arrows = []
    for i, tensor in enumerate(node.input_tensors):
        giver = tensor.node
        if giver is None or id(giver) not in kept or id(giver.operation) not in ends or id(node.operation) not in ends:
            continue
        exits, entries = ends[id(giver.operation)][1], ends[id(node.operation)][0]
        arrows.append((exits[min(tensor.tensor_index, len(exits) - 1)], entries[min(i, len(entries) - 1)]))
    return arrows


def _box(operation: Any, node: Node | None, shown: Shown, key: str) -> Box:
    box = Box(key, operation.name, kind_of(operation))
    activation = getattr(operation, "activation", None)
    if shown.activations and activation is not None:
        box.activation = getattr(activation, "name", None) or getattr(activation, "__name__", type(activation).__name__)
    if shown.trainable and isinstance(operation, Layer) and operation.weights:
        box.trainable = operation.trainable
    if shown.shapes:
        if node is None or node.input_tensors:
            box.cells.append(("Input shape", _text([t.shape for t in node.input_tensors]) if node else "?"))
        box.cells.append(("Output shape", _text([t.shape for t in node.output_tensors]) if node else "?"))
    if shown.dtype:
        box.cells.append(("Output dtype", _text([t.dtype for t in node.output_tensors]) if node else "?"))
    return box


def _text(values: list) -> str:
    return str(values[0]) if len(values) == 1 else "[" + ", ".join(map(str, values)) + "]"


def check_direction(where: str, rankdir: str) -> None:
    if rankdir not in ("TB", "BT", "LR", "RL"):
        raise ArgumentError(f"{where}(rankdir)", need="'TB', 'BT', 'LR' or 'RL'", got=repr(rankdir))


def boxes_of(diagram: Diagram) -> list[Box]:
    """All boxes, at any depth."""
    return [box for part in diagram.parts for box in (boxes_of(part) if isinstance(part, Diagram) else [part])]


def arrows_of(diagram: Diagram) -> list[tuple[str, str]]:
    """All arrows, at any depth."""
    return [*diagram.arrows, *(arrow for part in diagram.parts if isinstance(part, Diagram) for arrow in arrows_of(part))]
