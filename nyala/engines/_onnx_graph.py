# SPDX-License-Identifier: Apache-2.0
"""What an ONNX file is made of here: traces of a function at several sizes, and the one graph for all sizes that explains them.

Shapes are Python ints while a function is traced. A size that the user left open is traced at several numbers; an int that differs from trace to
trace is then found as a polynomial of the open sizes, which the graph computes from the shapes of its inputs. Start at Trace, then at Joined.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from nyala.core.dtypes import numpy_dtype
from nyala.core.errors import ArgumentError

OPSET = 18  # the first with all operations that are used
BESIDE = "near_size_"  # names of sizes that are computed beside the node that needs them
LARGEST_FILE = 2**31 - 2**24  # protocol buffers end at 2 GiB
TYPES = {
    "bool": TensorProto.BOOL, "int8": TensorProto.INT8, "int16": TensorProto.INT16, "int32": TensorProto.INT32, "int64": TensorProto.INT64,
    "uint8": TensorProto.UINT8, "uint16": TensorProto.UINT16, "uint32": TensorProto.UINT32, "uint64": TensorProto.UINT64,
    "float16": TensorProto.FLOAT16, "bfloat16": TensorProto.BFLOAT16, "float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE,
}  # fmt: skip


# Traces ---------------------------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class Constant:
    """An array that is an input of nodes; key tells one that is the same in every trace."""

    array: np.ndarray
    key: Any = None
    name: str = "constant"


@dataclasses.dataclass(frozen=True)
class Number:
    """A scalar input of a dtype; it may depend on open sizes."""

    value: Any
    dtype: str


@dataclasses.dataclass(frozen=True)
class Sizes:
    """A vector of int64; its elements may depend on open sizes."""

    values: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Pads:
    """The attribute `pads` of a window, and whether it is what "SAME_UPPER" computes."""

    values: tuple[int, ...]
    same: bool


Input = str | Constant | Number | Sizes


@dataclasses.dataclass
class Node:
    """An operation: inputs are names or constants, attributes as ONNX has them, or graphs."""

    kind: str
    inputs: list[Input]
    outputs: list[str]
    attributes: dict[str, Any]


@dataclasses.dataclass
class Graph:
    """Nodes in order. inputs and outputs: (name, shape, dtype)."""

    nodes: list[Node] = dataclasses.field(default_factory=list)
    inputs: list[tuple[str, tuple[int, ...], str]] = dataclasses.field(default_factory=list)
    outputs: list[tuple[str, tuple[int, ...], str]] = dataclasses.field(default_factory=list)


class Trace:
    """The graph being written, innermost last, and names that are equal in equal traces."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.graphs = [Graph()]
        self.kept: dict[Any, tuple[Constant, Constant]] = {}  # a constant, and what was made of it, so that it is made once
        self.shapes: dict[str, tuple[int, ...]] = {}  # of values, by name
        self._names = (name for n in itertools.count() if (name := f"v{n}") not in taken)

    def name(self) -> str:
        return next(self._names)

    def add(self, kind: str, inputs: Sequence[Input], outputs: int = 1, **attributes: Any) -> list[str]:
        """Write a node; returns the names of its outputs."""
        names = [self.name() for _ in range(outputs)]
        self.graphs[-1].nodes.append(Node(kind, list(inputs), names, attributes))
        return names

    def inside(self, write: Callable[[], Any]) -> Graph:
        """The graph that `write` writes."""
        self.graphs.append(Graph())
        try:
            write()
            return self.graphs[-1]
        finally:
            self.graphs.pop()


# Sizes that were left open ------------------------------------------------------------------------------------------------------------------


class Open:
    """The sizes that a signature leaves open, by the axis they are on, and the numbers that they are traced at.

    Args:
        shapes: of the inputs, by name; None is open. Those on one axis are one size.
    """

    FIRST = (7, 11, 13, 17, 19, 23, 29, 31, 37)  # batches
    OTHERS = (37, 58, 41, 94, 53, 118, 61, 134, 83)  # odd and even ones: padding often depends on that

    def __init__(self, shapes: Mapping[str, Sequence[int | None]]) -> None:
        self.axes = sorted({axis for shape in shapes.values() for axis, size in enumerate(shape) if size is None})
        self.names = {axis: "batch" if axis == 0 else f"size_{axis}" for axis in self.axes}
        self.where = {axis: next(name for name, shape in shapes.items() if len(shape) > axis and shape[axis] is None) for axis in self.axes}
        self.terms = [tuple(c) for n in range(len(self.axes) + 1) for c in itertools.combinations(self.axes, n)]  # products of different sizes
        count = len(self.terms) + 1 if self.axes else 1
        if count > len(self.FIRST):
            raise ArgumentError("Model.export(input_signature)", need="at most 3 open sizes", got=f"{len(self.axes)}", fix="state the others")
        self.runs = [
            {axis: (self.FIRST if axis == 0 else self.OTHERS)[(i * (place + 1)) % len(self.FIRST)] for place, axis in enumerate(self.axes)}
            for i in range(count)
        ]

    def fit(self, values: Sequence[int]) -> dict[tuple[int, ...], Fraction] | None:
        """The polynomial that has these values in the runs, or None."""
        if len(set(values)) == 1:
            return {(): Fraction(values[0])}
        table = [[math.prod(run[axis] for axis in term) for term in self.terms] for run in self.runs]
        count = len(self.terms)
        solution, *_ = np.linalg.lstsq(np.array(table, float), np.array(values, float), rcond=None)
        found = {term: Fraction(float(x)).limit_denominator(64) for term, x in zip(self.terms, solution[:count], strict=True)}
        found = {term: x for term, x in found.items() if x}
        exact = all(sum(x * row[self.terms.index(term)] for term, x in found.items()) == v for row, v in zip(table, values, strict=True))
        return found if exact else None


# From traces to one graph -----------------------------------------------------------------------------------------------------------------------


class Joined:
    """One graph that does what all traces do.

    Args:
        traces: one for each run of `open`.
        open: the open sizes.
        where: what is being exported, for errors.
    """

    def __init__(self, traces: Sequence[Trace], open: Open, where: str) -> None:
        self.open, self.where = open, where
        self.shapes = [trace.shapes for trace in traces]
        graphs = [trace.graphs[0] for trace in traces]
        self.main = graphs[0]
        self.initializers: dict[Any, onnx.TensorProto] = {}
        self.first: list[onnx.NodeProto] = []  # what computes sizes
        self._sizes: dict[Any, str] = {}
        self._names = itertools.count()
        self._taken = {name for values in (graphs[0].inputs, graphs[0].outputs) for name, _, _ in values}
        self._local: list[onnx.NodeProto] = []  # what computes sizes for the next node
        self._columns: dict[tuple[int, ...], tuple[str, int]] = {}  # sizes of values written so far that differ from trace to trace -> value, axis
        self._kept: list[Any] = []  # arrays whose id is a key
        self.nodes = self._nodes(graphs)
        self.inputs, self.outputs = ([self._value(values) for values in zip(*(getattr(g, kind) for g in graphs), strict=True)]
                                     for kind in ("inputs", "outputs"))  # fmt: skip

    def _nodes(self, graphs: Sequence[Graph]) -> list[onnx.NodeProto]:
        """Nodes for the nodes of graphs, which must go hand in hand; those that nothing uses are left out."""
        if len({len(graph.nodes) for graph in graphs}) > 1:
            self._refuse("the computation changes with it")
        groups = list(zip(*(graph.nodes for graph in graphs), strict=True))
        used, alive = {name for name, _, _ in graphs[0].outputs}, []
        for group in reversed(groups):
            if any(name in used for name in group[0].outputs):
                alive.append(group)
                used |= set(_names_in(group[0]))
        written, columns = [], dict(self._columns)
        for group in reversed(alive):
            node = self._node(group)
            written += [*self._local, node]
            self._local = []
            for name in group[0].outputs:
                if all(name in shapes for shapes in self.shapes):
                    for axis, sizes in enumerate(zip(*(shapes[name] for shapes in self.shapes), strict=True)):
                        if len(set(sizes)) > 1:
                            self._columns[tuple(map(int, sizes))] = name, axis
        if graphs[0] is not self.main:
            self._columns = columns  # values of an inner graph are unknown outside
        return written

    def _node(self, group: Sequence[Node]) -> onnx.NodeProto:
        first = group[0]
        if any((n.kind, n.outputs, len(n.inputs), n.attributes.keys()) != (first.kind, first.outputs, len(first.inputs), first.attributes.keys())
               for n in group):  # fmt: skip
            self._refuse("the computation changes with it")
        inputs = [self._input(first.kind, values) for values in zip(*(n.inputs for n in group), strict=True)]
        attributes, local = {}, self._local
        for key in first.attributes:
            values = [n.attributes[key] for n in group]
            if isinstance(values[0], Graph):
                self._local = []
                attributes[key] = self._subgraph(values)
                self._local = local
            elif isinstance(values[0], Pads):
                attributes |= self._pads(values)
            elif any(value != values[0] for value in values):
                self._refuse(f"the {key} of a {first.kind} change with it")
            else:
                attributes[key] = values[0]
        return helper.make_node(first.kind, inputs, first.outputs, name=f"{first.kind}_{first.outputs[0]}", **attributes)

    def _pads(self, values: Sequence[Pads]) -> dict[str, Any]:
        if all(value.values == values[0].values for value in values):
            return {"pads": list(values[0].values)}
        if not all(value.same for value in values):
            self._refuse("the padding of a window changes with it")
        return {"auto_pad": "SAME_UPPER"}

    def _subgraph(self, graphs: Sequence[Graph]) -> onnx.GraphProto:
        nodes = self._nodes(graphs)
        inputs, outputs = (
            [self._value(values) for values in zip(*(getattr(g, kind) for g in graphs), strict=True)] for kind in ("inputs", "outputs")
        )
        return helper.make_graph(nodes, f"graph_{next(self._names)}", inputs, outputs)

    def _value(self, values: Sequence[tuple[str, tuple[int, ...], str]]) -> onnx.ValueInfoProto:
        """An input or output with its shape: numbers, names of open sizes, or nothing where a size is made of those."""
        name, _, dtype = values[0]
        shape: list[int | str | None] = []
        for sizes in zip(*(value[1] for value in values), strict=True):
            found = self.open.fit(sizes)
            term = next(iter(found)) if found is not None and len(found) == 1 else None
            if found is not None and term == ():
                shape.append(int(sizes[0]))
            elif found is not None and term is not None and len(term) == 1 and found[term] == 1:
                shape.append(self.open.names[term[0]])
            else:
                shape.append(None)
        return helper.make_tensor_value_info(name, TYPES[dtype], shape)

    # Inputs of nodes

    def _input(self, kind: str, values: Sequence[Any]) -> str:
        first: Input = values[0]
        if any(type(value) is not type(first) for value in values):
            self._refuse("the computation changes with it")
        if isinstance(first, str):
            if any(value != first for value in values):
                self._refuse("the computation changes with it")
            return first
        if isinstance(first, Constant):
            return self._constant(kind, values)
        if isinstance(first, Number):
            return self._number([value.value for value in values], first.dtype)
        return self._vector([value.values for value in values])

    def _constant(self, kind: str, values: Sequence[Any]) -> str:
        first: Constant = values[0]
        if all(
            value.array is first.array or (value.key is not None and value.key == first.key) or _equal(value.array, first.array) for value in values
        ):
            return self.initializer(first.array, first.name)
        arrays = [value.array for value in values]
        if all(a.ndim <= 1 and a.dtype.kind in "iu" and a.shape == first.array.shape for a in arrays):
            vector = self._vector([tuple(int(x) for x in a.reshape(-1)) for a in arrays])
            vector = vector if first.array.ndim else self._compute("Squeeze", [vector])
            return self._compute("Cast", [vector], to=TYPES[first.array.dtype.name])
        if all(a.size and (a == arrays[0].flat[0]).all() and a.ndim == first.array.ndim for a in arrays):
            shape = self._vector([a.shape for a in arrays])
            return self._compute("Expand", [self.initializer(first.array.reshape(-1)[:1]), shape])
        return self._refuse(f"an array of numbers that goes into a {kind} is computed from it beforehand")

    def _number(self, values: Sequence[Any], dtype: str) -> str:
        if len({repr(value) for value in values}) == 1:
            return self.initializer(np.asarray(values[0], numpy_dtype(dtype)), "number")
        whole = [int(value) for value in values]
        if whole != list(values):
            inverse = [1 / value for value in values]
            if all(abs(round(x) - x) < 1e-9 * abs(x) for x in inverse):
                count = self._number([round(x) for x in inverse], dtype)
                return self._compute("Reciprocal", [count])
            self._refuse("a number is computed from it beforehand")
        vector = self._vector([(value,) for value in whole])
        return self._compute("Cast", [self._compute("Squeeze", [vector])], to=TYPES[dtype])

    def _vector(self, values: Sequence[tuple[int, ...]]) -> str:
        """The name of a vector of sizes."""
        if len({len(value) for value in values}) > 1:
            self._refuse("the computation changes with it")
        if all(value == values[0] for value in values):
            return self.initializer(np.array(values[0], np.int64), "sizes")
        parts = []
        for column in zip(*values, strict=True):
            found = self.open.fit(column)
            parts.append(self._near_size(column) if found is None else self._size(found))
        if len(parts) == 1:
            return parts[0]
        return self._compute("Concat", parts, axis=0)

    def _near_size(self, values: Sequence[int]) -> str:
        """As _size, made of one size of a value written before, or of the product of two: strides divide sizes, and round."""
        for sizes in reversed(self._columns):
            first = next(i for i, size in enumerate(sizes) if size != sizes[0])
            factor = Fraction(values[first] - values[0], sizes[first] - sizes[0])
            more = values[0] - factor * sizes[0]
            if factor.denominator == more.denominator == 1 and all(factor * size + more == v for size, v in zip(sizes, values, strict=True)):
                return self._linear(self._asked(sizes), int(factor), int(more))
        for one, two in itertools.combinations_with_replacement(self._columns, 2):
            factor = Fraction(values[0], one[0] * two[0])
            if factor.denominator == 1 and all(factor * a * b == v for a, b, v in zip(one, two, values, strict=True)):
                return self._linear(self._beside("Mul", [self._asked(one), self._asked(two)]), int(factor), 0)
        return self._refuse("a size is no sum of products of the open ones")

    def _asked(self, column: tuple[int, ...]) -> str:
        """The name of the size of a value that has been written."""
        name, axis = self._columns[column]
        return self._beside("Shape", [name], start=axis, end=axis + 1)

    def _linear(self, name: str, factor: int, more: int) -> str:
        for kind, number, neutral in (("Mul", factor, 1), ("Add", more, 0)):
            if number != neutral:
                name = self._beside(kind, [name, self.initializer(np.array([number], np.int64), "sizes")])
        return name

    def _beside(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        name = self._fresh(BESIDE)
        self._local.append(helper.make_node(kind, list(inputs), [name], name=f"{kind}_{name}", **attributes))
        return name

    def _size(self, polynomial: dict[tuple[int, ...], Fraction]) -> str:
        """The name of a vector of one element with this value."""
        denominator = math.lcm(*(x.denominator for x in polynomial.values()))
        total = ""
        for term, factor in polynomial.items():
            whole = int(factor * denominator)
            if not term:
                part = self.initializer(np.array([whole], np.int64), "sizes")
            else:
                part = self._open_size(term[0])
                for axis in term[1:]:
                    part = self._compute("Mul", [part, self._open_size(axis)])
                if whole != 1:
                    part = self._compute("Mul", [part, self.initializer(np.array([whole], np.int64), "sizes")])
            total = self._compute("Add", [total, part]) if total else part
        return total if denominator == 1 else self._compute("Div", [total, self.initializer(np.array([denominator], np.int64), "sizes")])

    def _open_size(self, axis: int) -> str:
        return self._compute("Shape", [self.open.where[axis]], start=axis, end=axis + 1)

    def _compute(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        """The name of what is computed of sizes: once, in front of all, or beside the next node if one of them is."""
        if any(name.startswith(BESIDE) for name in inputs):
            return self._beside(kind, inputs, **attributes)
        key = (kind, *inputs, *attributes.items())
        if key not in self._sizes:
            self._sizes[key] = name = self._fresh("size_of_")
            self.first.append(helper.make_node(kind, list(inputs), [name], name=f"{kind}_{name}", **attributes))
        return self._sizes[key]

    def _fresh(self, prefix: str) -> str:
        return next(name for n in self._names if (name := f"{prefix}{n}") not in self._taken)

    def initializer(self, array: np.ndarray, name: str = "constant") -> str:
        """The name of an array of the file; equal small ones are one."""
        small = array.size <= 64
        key = (array.dtype.name, array.shape, array.tobytes()) if small else id(array)
        if key not in self.initializers:
            base = name.replace(" ", "_")
            name = base if base not in self._taken else self._fresh(f"{base}_")
            self._taken.add(name)
            self._kept.append(array)
            self.initializers[key] = _tensor(array, name)
        return self.initializers[key].name

    def _refuse(self, why: str) -> Any:
        names = [f"axis {axis} of {self.open.where[axis]!r}" for axis in self.open.axes]
        raise ArgumentError(
            f"{self.where}, format 'onnx'",
            need="a model that computes alike for every size that is left open",
            got=f"open sizes on {', '.join(names)}",
            why=why,
            fix="state the size: input_signature=[nyala.InputSpec(shape=(1, ...), dtype=...)]",
        )

    def model(self, name: str, opset: int, producer: tuple[str, str]) -> onnx.ModelProto:
        """The file."""
        size = sum(len(tensor.raw_data) for tensor in self.initializers.values())
        if size > LARGEST_FILE:
            got, fix = f"{size / 2**30:.1f} GiB of weights", "cast the model to float16 first, or export it as 'tf_saved_model'"
            raise ArgumentError(f"{self.where}, format 'onnx'", need="weights that fit into one file of 2 GiB", got=got, fix=fix)
        graph = helper.make_graph([*self.first, *self.nodes], name, self.inputs, self.outputs, list(self.initializers.values()))
        version = helper.find_min_ir_version_for([helper.make_opsetid("", opset)])
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=version, producer_name=producer[0], producer_version=producer[1]
        )


def _names_in(node: Node) -> Iterable[str]:
    """Names that a node reads, those of graphs in it included."""
    yield from (value for value in node.inputs if isinstance(value, str))
    for value in node.attributes.values():
        if isinstance(value, Graph):
            yield from (name for name, _, _ in value.outputs)
            for inner in value.nodes:
                yield from _names_in(inner)


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def _tensor(array: np.ndarray, name: str) -> onnx.TensorProto:
    little = array.astype(array.dtype.newbyteorder("<"), copy=False) if array.dtype.kind in "iufb" else array
    return helper.make_tensor(name, TYPES[array.dtype.name], array.shape, np.ascontiguousarray(little).tobytes(), raw=True)
