# SPDX-License-Identifier: Apache-2.0
"""The table that model.summary() prints."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from nyala.core import tree
from nyala.core.dtypes import numpy_dtype
from nyala.core.errors import ArgumentError
from nyala.core.symbolic import Function, Symbolic
from nyala.layers.core.input_layer import InputLayer
from nyala.layers.layer import Layer, is_shape


def print_summary(
    model: Any,
    line_length: int | None,
    positions: Any,
    print_fn: Callable[[str], Any] | None,
    expand_nested: bool,
    show_trainable: bool,
    layer_range: Sequence[str] | None,
) -> None:
    """Print the table of a model; see Model.summary."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    connected = not _is_chain(model)
    shapes = _shapes_of_subclass(model)
    rows = list(_rows(model, expand_nested, layer_range))
    length = line_length or min(Console().width, 100) - 4
    titles = ["Layer (type)", "Output Shape", "Param #", *(["Connected to"] if connected else []), *(["Trainable"] if show_trainable else [])]
    table = Table(show_lines=True, width=length)
    for title, width in zip(titles, _widths(positions, len(titles), length, connected, show_trainable), strict=True):
        side: Any = {"Param #": "right", "Trainable": "center"}.get(title, "left")
        table.add_column(title, width=width, justify=side)
    for depth, layer in rows:
        cells = [f"{'   ' * depth}{'└ ' * (depth > 0)}{layer.name} ({kind_of(layer)})", _shape(layer, shapes), _params(layer)]
        cells += [_connections(layer, model) if depth == 0 else "-"] if connected else []
        cells += [("Y" if layer.trainable else "N") if getattr(layer, "weights", None) else "-"] if show_trainable else []
        table.add_row(*map(escape, cells))
    console = Console(width=length, highlight=False, force_terminal=False if print_fn else None)
    with console.capture() as capture:
        console.print(f'[bold]Model: "{escape(model.name)}"[/bold]')
        console.print(table)
        for text in _totals(model):
            console.print(text)
    (print_fn or functools.partial(print, end=""))(capture.get())


def _widths(positions: Sequence[float] | None, columns: int, length: int, connected: bool, show_trainable: bool) -> list[int]:
    """Widths of the columns, from their ends as shares of the line or in characters."""
    if positions is None:
        positions = [0.3, 0.56, 0.74, 1.0] if connected else [0.45, 0.8, 1.0]
        positions = [*(0.9 * p for p in positions), 1.0] if show_trainable else positions
    if len(positions) < columns:
        raise ArgumentError("summary(positions)", need=f"{columns} ends of columns", got=f"{list(positions)}")
    ends = [int(p * length) if positions[-1] <= 1 else int(p) for p in positions[:columns]]
    return [max(end - start, 1) for start, end in zip([0, *ends], ends, strict=False)]


def _is_chain(model: Any) -> bool:
    """Whether the layers form one line, so that a column of connections says nothing."""
    graph = getattr(model, "graph", None)
    if graph is None:
        return True
    parents = [id(parent) for node in graph.nodes for parent in node.parents]
    return len(graph.inputs) == 1 and len(set(parents)) == len(parents) and all(len(node.input_tensors) <= 1 for node in graph.nodes)


def _rows(model: Any, expand: bool, layer_range: Sequence[str] | None, depth: int = 0) -> Iterator[tuple[int, Layer]]:
    """(depth, layer) for each row."""
    graph = getattr(model, "graph", None)
    layers = graph.operations if graph else [layer for layer in model.layers if not isinstance(layer, InputLayer)]
    for layer in layers[layer_slice(layers, layer_range)]:
        yield depth, layer
        if expand and isinstance(getattr(layer, "layers", None), list):
            yield from _rows(layer, True, None, depth + 1)


def layer_slice(layers: Sequence[Layer], layer_range: Sequence[str] | None) -> slice:
    """Which layers to show, from the names or patterns of the first and the last."""
    if not layer_range:
        return slice(None)
    if isinstance(layer_range, str) or len(layer_range) != 2:
        raise ArgumentError("summary(layer_range)", need="the names of a first and a last layer", got=f"{layer_range!r}")
    found = [[i for i, layer in enumerate(layers) if re.match(pattern, layer.name)] for pattern in layer_range]
    if not all(found):
        raise ArgumentError(
            "summary(layer_range)", need="names of layers of this model", got=f"{list(layer_range)}", fix=f"it has {[layer.name for layer in layers]}"
        )
    return slice(min(found[0]), max(found[1]) + 1)


def _shape(layer: Layer, shapes: dict[int, Any]) -> str:
    """Output shapes of the last call; "?" before the first."""
    if layer.inbound_nodes:
        return _shown([tensor.shape for tensor in layer.inbound_nodes[-1].output_tensors])
    return _shown([tuple(shape) for shape in _shape_leaves(shapes[id(layer)])]) if id(layer) in shapes else "?"


def _shown(shapes: list[tuple]) -> str:
    return str(shapes[0]) if len(shapes) == 1 else str(shapes)


def _shape_leaves(shapes: Any) -> list:
    """The shapes in a tree of shapes."""
    if shapes is None or is_shape(shapes):
        return [] if shapes is None else [shapes]
    return [leaf for value in (shapes.values() if isinstance(shapes, dict) else shapes) for leaf in _shape_leaves(value)]


def _shapes_of_subclass(model: Any) -> dict[int, Any]:
    """Output shapes of the layers of a subclassed model, from running `call` on shapes with a note at each layer."""
    from nyala.layers.calling import infer_without_losses
    from nyala.layers.shapes import shape_places, shapes_of

    built = getattr(model, "_build_shapes", None)
    if hasattr(model, "graph") or hasattr(model, "_chain") or not model.built or not built:
        return {}
    found: dict[int, Any] = {}
    layers = list(model._flatten_layers(include_self=False))

    def noting(layer: Layer) -> Callable:
        original = type(layer)._run

        def run(args: tuple, kwargs: dict) -> Any:
            outputs = original(layer, args, kwargs)
            found[id(layer)] = shapes_of(outputs)
            return outputs

        return run

    shape = built["input_shape"] if "input_shape" in built else next(iter(built.values()))
    shape = tree.map_structure_up_to(shape_places(shape), lambda s: (None, *tuple(s)[1:]) if s else s, shape)
    inputs = tree.map_structure_up_to(shape_places(shape), lambda s: Symbolic(s, model.compute_dtype), shape)
    try:
        for layer in layers:
            layer.__dict__["_run"] = noting(layer)
        infer_without_losses(lambda x: model.call(x), inputs)
    except Exception:  # a table with fewer shapes is better than none
        return found
    finally:
        for layer in layers:
            layer.__dict__.pop("_run", None)
    return found


def kind_of(layer: Any) -> str:
    return "".join(word.capitalize() for word in layer.op.__name__.split("_")) if isinstance(layer, Function) else type(layer).__name__


def _params(layer: Any) -> str:
    if not isinstance(layer, Layer) or (type(layer).build is Layer.build and not layer.weights):
        return "0"
    return f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"


def _connections(layer: Layer, model: Any) -> str:
    kept = set(map(id, model.graph.nodes))
    tensors = [tensor for node in layer.inbound_nodes if id(node) in kept for tensor in node.input_tensors]
    return ", ".join(f"{t.node.operation.name}[{t.node.index}][{t.tensor_index}]" for t in tensors if t.node) or "-"


def _totals(model: Any) -> list[str]:
    trainable, frozen = model.trainable_weights, model.non_trainable_weights
    lines = [
        _total("Total params", [*trainable, *frozen]),
        _total("Trainable params", trainable),
        _total("Non-trainable params", frozen),
    ]
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and getattr(optimizer, "built", False):
        lines[0] = _total("Total params", [*trainable, *frozen, *optimizer.variables])
        lines.append(_total("Optimizer params", optimizer.variables))
    return lines


def _total(label: str, variables: Sequence[Any]) -> str:
    count = sum(v.size for v in variables)
    size = float(sum(v.size * numpy_dtype(v.dtype).itemsize for v in variables))
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size < 1024 or unit == "TB":
            break
        size /= 1024
    return f" [bold]{label}:[/bold] {count:,} ({size:.2f} {unit})"
