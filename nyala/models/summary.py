# SPDX-License-Identifier: Apache-2.0
"""The table that model.summary() prints."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from nyala.core import tree
from nyala.core.dtypes import numpy_dtype
from nyala.core.errors import ArgumentError
from nyala.core.symbolic import Function, Symbolic
from nyala.layers.core.input_layer import InputLayer
from nyala.layers.layer import Layer, is_shape


def print_summary(
    model: Any, line_length: int | None, positions: Any, print_fn: Callable[[str], Any] | None, expand_nested: bool, show_trainable: bool, layer_range: Sequence[str] | None
) -> None:
    """Print the table of a model; see Model.summary."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    connected = not _is_chain(model)
    columns = ["Layer (type)", "Output Shape", "Param #", *(["Connected to"] if connected else []), *(["Trainable"] if show_trainable else [])]
    table = Table(*columns, expand=True, show_lines=True, title=None)
    shares = positions or ([0.33, 0.55, 0.67, 1.0] if connected else [0.45, 0.80, 1.0])
    shares = [p / (line_length or 80) if p > 1 else p for p in shares]
    if show_trainable:
        shares = [*[p * 0.88 for p in shares], 1.0]
    widths = [b - a for a, b in zip([0, *shares], shares, strict=False)]
    for column, share in zip(table.columns, widths, strict=False):
        column.ratio = max(int(share * 100), 1)
    table.columns[2].justify = "right"
    shapes = _shapes_of_subclass(model)
    rows = list(_rows(model, expand_nested, layer_range, shapes))
    for prefix, layer in rows:
        cells = [f"{prefix}{layer.name} ({_kind(layer)})", _shape(layer, shapes), _params(layer)]
        cells += [_connections(layer, model)] if connected else []
        cells += [("Y" if layer.trainable else "N") if getattr(layer, "weights", None) else "-"] if show_trainable else []
        table.add_row(*map(escape, cells))
    console = Console(width=line_length or 80 if print_fn else line_length, highlight=False, force_terminal=None if not print_fn else False)
    with console.capture() as capture:
        console.print(f'[bold]Model: "{escape(model.name)}"[/bold]')
        console.print(table)
        for text in _totals(model):
            console.print(text)
    text = capture.get()
    if print_fn is not None:
        print_fn(text)
    else:
        print(text, end="")


def _is_chain(model: Any) -> bool:
    """Whether the layers form one line, so that a column of connections says nothing."""
    graph = getattr(model, "graph", None)
    if graph is None:
        return True
    return all(len(node.input_tensors) <= 1 for node in graph.nodes) and len(graph.outputs) == 1 and len(graph.inputs) == 1 and len(graph.nodes) == len(graph.operations)


def _rows(model: Any, expand: bool, layer_range: Sequence[str] | None, shapes: dict) -> list[tuple[str, Layer]]:
    graph = getattr(model, "graph", None)
    layers = graph.operations if graph else [layer for layer in model.layers if not isinstance(layer, InputLayer)]
    if layer_range:
        if len(layer_range) != 2:
            raise ArgumentError("summary(layer_range)", need="the names of a first and a last layer", got=f"{layer_range!r}")
        found = [[i for i, layer in enumerate(layers) if re.fullmatch(pattern, layer.name)] for pattern in layer_range]
        if not all(found):
            raise ArgumentError("summary(layer_range)", need="names of layers of this model", got=f"{layer_range!r}", fix=f"it has {[layer.name for layer in layers]}")
        layers = layers[min(found[0]) : max(found[1]) + 1]
    rows: list[tuple[str, Layer]] = []
    for layer in layers:
        rows.append(("", layer))
        if expand and hasattr(layer, "layers"):
            rows += [(f"└ {prefix}", inner) for prefix, inner in _rows(layer, True, None, shapes)]
    return rows


def _shape(layer: Layer, shapes: dict[int, Any]) -> str:
    """Output shapes, those of several calls if they differ."""
    nodes = layer.inbound_nodes
    if nodes:
        found = [tree.map_structure(lambda t: t.shape if isinstance(t, Symbolic) else None, node.outputs) for node in nodes[:1]]
        return _shown(found[0])
    return _shown(shapes[id(layer)]) if id(layer) in shapes else "? (call it on data)"


def _shown(shape: Any) -> str:
    if is_shape(shape):
        return str(tuple(shape))
    if isinstance(shape, dict):
        return "{" + ", ".join(f"{k}: {_shown(v)}" for k, v in shape.items()) + "}"
    return "[" + ", ".join(map(_shown, shape)) + "]" if isinstance(shape, (list, tuple)) else "-"


def _shapes_of_subclass(model: Any) -> dict[int, Any]:
    """Output shapes of the layers of a subclassed model, from running `call` on shapes with a note at each layer."""
    from nyala.core.symbolic import infer_symbolic
    from nyala.layers.layer import _shape_places, shapes_of

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
    shape = tree.map_structure_up_to(_shape_places(shape), lambda s: (None, *tuple(s)[1:]) if s else s, shape)
    inputs = tree.map_structure_up_to(_shape_places(shape), lambda s: Symbolic(s, model.compute_dtype), shape)
    try:
        for layer in layers:
            layer.__dict__["_run"] = noting(layer)
        infer_symbolic(lambda x: model.call(x), inputs)
    except Exception:  # a table with fewer shapes is better than none
        return found
    finally:
        for layer in layers:
            layer.__dict__.pop("_run", None)
    return found


def _kind(layer: Any) -> str:
    return layer.op.__name__ if isinstance(layer, Function) else type(layer).__name__


def _params(layer: Any) -> str:
    if not isinstance(layer, Layer):
        return "0"
    return f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"


def _connections(layer: Layer, model: Any) -> str:
    kept = {id(node) for node in getattr(model, "graph", model).__dict__.get("nodes", [])}
    names = []
    for node in layer.inbound_nodes:
        if not kept or id(node) in kept:
            names += [f"{t.node.operation.name}[{t.node.index}][{t.tensor_index}]" for t in node.input_tensors if t.node]
    return ", ".join(names) or "-"


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
