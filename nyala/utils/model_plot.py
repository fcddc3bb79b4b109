# SPDX-License-Identifier: Apache-2.0
"""Pictures of models: plot_model, model_to_dot. Graphviz draws them where it is installed, else `svg.py` does. Start at plot_model."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
from html import escape
from typing import Any

from nyala.core.errors import ArgumentError, StateError
from nyala.files.atomic import replacing
from nyala.utils.diagram import Box, Diagram, Shown, check_direction, diagram_of
from nyala.utils.extras import need


def plot_model(
    model: Any,
    to_file: Any = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> Any:
    """Draw a model.

    Args:
        model: built.
        to_file: its suffix says the format: .png, .svg, .pdf, .dot ... Without Graphviz it is .svg or .dot: another suffix becomes .svg.
        show_shapes, show_dtype: of inputs and outputs.
        show_layer_names: beside their classes.
        rankdir: which way the data run: "TB" down, "BT" up, "LR" to the right, "RL" to the left.
        expand_nested: show the layers of models inside.
        dpi: dots per inch, for Graphviz.
        show_layer_activations, show_trainable: in each box.
        splines: how Graphviz draws arrows.
        kwargs: layer_range, names or patterns of the first and the last layer to show.
    Returns: the picture in a notebook, else None.

    Differs from Keras: needs no Graphviz.
    """
    shown = _shown("plot_model", rankdir, show_shapes, show_dtype, expand_nested, show_layer_activations, show_trainable, kwargs)
    diagram = diagram_of(model, shown)
    path = pathlib.Path(os.fspath(to_file))
    suffix = path.suffix.lower().removeprefix(".") or "png"
    program = shutil.which("dot")
    dot = _dot(diagram, show_layer_names, rankdir, dpi, splines)
    if suffix == "dot":
        _write(path, dot.encode())
        return None
    if program is not None:
        _write(path, _graphviz(program, dot, suffix))
    else:
        from nyala.utils.svg import draw

        if suffix != "svg":
            path = path.with_suffix(".svg")
            print(f"Graphviz is not installed: the picture is written to {path}")
        _write(path, draw(diagram, rankdir, show_layer_names).encode())
    return _displayed(path)


def model_to_dot(
    model: Any,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    subgraph: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> Any:
    """A model as a pydot.Dot, the graph of Graphviz's language; needs the extra "plot".

    Args:
        subgraph: return a pydot.Cluster.
        others: as in plot_model.
    """
    pydot = need("pydot", "plot", "model_to_dot")
    shown = _shown("model_to_dot", rankdir, show_shapes, show_dtype, expand_nested, show_layer_activations, show_trainable, kwargs)
    diagram = diagram_of(model, shown)
    if not subgraph:
        return pydot.graph_from_dot_data(_dot(diagram, show_layer_names, rankdir, dpi, splines))[0]
    outer = Diagram("outer", "outer", [diagram])
    return pydot.graph_from_dot_data(_dot(outer, show_layer_names, rankdir, dpi, splines))[0].get_subgraphs()[0]


def _shown(where: str, rankdir: str, shapes: bool, dtype: bool, nested: bool, activations: bool, trainable: bool, others: dict[str, Any]) -> Shown:
    check_direction(where, rankdir)
    layer_range = others.pop("layer_range", None)
    if others:
        raise ArgumentError(where, need="arguments that it has", got=", ".join(map(repr, others)), fix="see help(nyala.utils.plot_model)")
    return Shown(shapes, dtype, activations, trainable, nested, layer_range)


def _dot(diagram: Diagram, names: bool, rankdir: str, dpi: int, splines: str) -> str:
    """A diagram in the language of Graphviz."""
    lines = [f"rankdir={rankdir};", "concentrate=true;", f"dpi={dpi};", f'splines="{splines}";', "node [shape=record, fontname=Helvetica];"]
    return "\n".join(["digraph G {", *lines, *_dot_parts(diagram, names), "}"]) + "\n"


def _dot_parts(diagram: Diagram, names: bool) -> list[str]:
    lines = []
    for part in diagram.parts:
        if isinstance(part, Diagram):
            label = part.name.replace("\\", "\\\\").replace('"', '\\"')
            lines += [f"subgraph cluster_{part.key} {{", "style=dashed;", f'label="{label}";', "labeljust=l;", *_dot_parts(part, names), "}"]
        else:
            lines.append(f"{part.key} [label=<{_table(part, names)}>, margin=0, border=0];")
    return [*lines, *(f"{a} -> {b} [penwidth=2];" for a, b in diagram.arrows)]


def _table(box: Box, names: bool) -> str:
    """A box as an HTML-like label."""
    title = f"<b>{escape(box.name)}</b> ({escape(box.kind)})" if names else f"<b>{escape(box.kind)}</b>"
    cells = [f'<td bgcolor="white"><font point-size="14">{escape(name)}: <b>{escape(text)}</b></font></td>' for name, text in box.cells]
    if box.trainable is not None:
        color, word = ("forestgreen", "Trainable") if box.trainable else ("firebrick", "Non-trainable")
        cells.append(f'<td bgcolor="{color}"><font point-size="14" color="white"><b>{word}</b></font></td>')
    span = max(len(cells), 1)
    rows = [f'<tr><td colspan="{span}" bgcolor="black"><font point-size="16" color="white">{title}</font></td></tr>']
    if box.activation is not None:
        text = f'<font point-size="14">Activation: <b>{escape(box.activation)}</b></font>'
        rows.append(f'<tr><td bgcolor="white" colspan="{span}">{text}</td></tr>')
    rows += [f"<tr>{''.join(cells)}</tr>"] if cells else []
    return f'<table border="0" cellborder="1" bgcolor="black" cellpadding="10">{"".join(rows)}</table>'


def _graphviz(program: str, dot: str, suffix: str) -> bytes:
    done = subprocess.run([program, f"-T{suffix}"], input=dot.encode(), capture_output=True, check=False)
    if done.returncode:
        raise StateError(
            "plot_model", need=f"Graphviz to draw a .{suffix}", got=done.stderr.decode(errors="replace").strip(), fix="try to_file='model.svg'"
        )
    return done.stdout


def _write(path: pathlib.Path, data: bytes) -> None:
    with replacing(path) as file:
        file.write(data)


def _displayed(path: pathlib.Path) -> Any:
    """The picture for a notebook."""
    ipython = sys.modules.get("IPython")
    if ipython is None or ipython.get_ipython() is None or path.suffix not in (".svg", ".png", ".jpg", ".jpeg"):
        return None
    display = need("IPython.display", "plot", "plot_model")
    return display.SVG(filename=str(path)) if path.suffix == ".svg" else display.Image(filename=str(path))
