# SPDX-License-Identifier: Apache-2.0
"""Models as ONNX files, which onnxruntime and many others run without Nyala. Start at as_onnx."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import onnx

from nyala.core import dtypes, tree
from nyala.core.errors import ArgumentError
from nyala.core.variable import Scope, Variable
from nyala.engines import using
from nyala.engines._onnx_engine import OnnxEngine, OnnxTensor
from nyala.engines._onnx_graph import OPSET, TYPES, Joined, Open, Trace


def as_onnx(
    function: Callable,
    signature: Any,
    variables: Sequence[Variable],
    where: str,
    names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    opset: int | None = None,
    name: str = "model",
    version: str = "",
) -> onnx.ModelProto:
    """The graph of a function.

    Args:
        function: of trees of tensors like signature, a list with one tree for each argument.
        variables: all that it reads; their values become constants.
        where: what is being exported, for errors.
        names, output_names: of the inputs and outputs, in flat order.
        opset: the version of ONNX's operations, from 18.
    """
    opset = OPSET if opset is None else opset
    if not isinstance(opset, int) or isinstance(opset, bool) or not OPSET <= opset <= onnx.defs.onnx_opset_version():
        raise ArgumentError(f"{where}(opset_version)", need=f"a number from {OPSET} to {onnx.defs.onnx_opset_version()}", got=repr(opset))
    leaves = tree.flatten(signature)
    names = _unique(names or [f"input_{i}" for i in range(len(leaves))])
    shapes = dict(zip(names, (tuple(leaf.shape) for leaf in leaves), strict=True))
    for leaf, given in zip(leaves, names, strict=True):
        if dtypes.standardize_dtype(leaf.dtype) not in TYPES:
            raise ArgumentError(f"{where}, format 'onnx'", need="inputs that are numbers", got=f"{leaf.dtype} for {given!r}")
    open_sizes = Open(shapes)
    values = [variable.numpy() for variable in variables]
    traces = []
    for run in open_sizes.runs:
        sizes = [tuple(run[axis] if n is None else n for axis, n in enumerate(shape)) for shape in shapes.values()]
        traces.append(_trace(function, signature, names, sizes, list(zip(variables, values, strict=True)), where, output_names))
    model = Joined(traces, open_sizes, where).model(name, opset, ("nyala", version))
    onnx.checker.check_model(model)
    return model


def _trace(
    function: Callable, signature: Any, names: Sequence[str], sizes: Sequence[tuple[int, ...]], variables: Sequence[tuple[Variable, Any]], where: str,
    output_names: Sequence[str] | None,
) -> Trace:  # fmt: skip
    """The function at these sizes."""
    trace = Trace({*names, *(output_names or ()), *(variable.path for variable, _ in variables)})
    engine = OnnxEngine(trace)
    leaves = [
        OnnxTensor(size, dtypes.standardize_dtype(leaf.dtype), name) for leaf, name, size in zip(tree.flatten(signature), names, sizes, strict=True)
    ]
    main = trace.graphs[0]
    main.inputs = [(name, x.shape, x.dtype) for name, x in zip(names, leaves, strict=True)]
    known = [variable for variable, _ in variables]
    with using(engine), Scope(known, [engine.constant(value, ("variable", id(v)), v.path) for v, value in variables]) as inside:
        outputs = [engine.asarray(leaf) for leaf in tree.flatten(function(*tree.pack_sequence_as(signature, leaves)))]
    if inside.touched:
        changed = ", ".join(v.path for v in inside.touched.values())
        fix = "export a model without stateful layers and without layers that count or draw in prediction"
        raise ArgumentError(f"{where}, format 'onnx'", need="a model that changes none of its variables", got=f"one that assigns {changed}", fix=fix)
    results = _unique(output_names if output_names and len(output_names) == len(outputs) else [f"output_{i}" for i in range(len(outputs))], names)
    for output, name in zip(outputs, results, strict=True):
        made = engine.add_node("Identity", [output], output)
        main.nodes[-1].outputs[:] = [name]
        main.outputs.append((name, made.shape, made.dtype))
    return trace


def _unique(names: Sequence[str], taken: Sequence[str] = ()) -> list[str]:
    """Names that differ, also from those taken and from those of values in the graph."""
    found: list[str] = []
    for name in names:
        fresh, number = name, 1
        while fresh in found or fresh in taken:
            fresh, number = f"{name}_{number}", number + 1
        found.append(fresh)
    return found
