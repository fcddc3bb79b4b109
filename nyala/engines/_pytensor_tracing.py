# SPDX-License-Identifier: Apache-2.0
"""How the PyTensor engine makes compiled functions and gradients: graphs of flat lists of variables, one for each structure, shapes and dtypes.

Knows PyTensor and NumPy only. Start at Compiled.
"""

from __future__ import annotations

# The annotations of PyTensor know variables, but not what tensors can do:
# pyright: reportArgumentType=false, reportAssignmentType=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportGeneralTypeIssues=false
# pyright: reportIncompatibleMethodOverride=false, reportIndexIssue=false, reportMissingImports=false, reportMissingModuleSource=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportPrivateImportUsage=false, reportReturnType=false
import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytensor
from pytensor.compile.ops import view_op
from pytensor.gradient import DisconnectedGrad, DisconnectedType
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.null_type import NullType
from pytensor.graph.op import Op
from pytensor.graph.traversal import toposort

from nyala.engines import numpy as host
from nyala.engines._pytensor_primitives import arrived
from nyala.engines._pytensor_program import lowers, program
from nyala.engines._pytensor_values import NARROW, Traced, as_variable, dtype_of, has_gradient, marked, settled, type_of
from nyala.engines._trees import ShapeDtype, flatten, rebuild
from nyala.engines.protocol import Tensor, Tree


class _Tracing(threading.local):
    """What this thread does: how many functions it traces, and how many gradients are taken around it."""

    depth = 0
    gradients = 0


tracing = _Tracing()


@contextlib.contextmanager
def _traced(gradients: int = 0) -> Iterator[None]:
    """Inside, values are variables; gradients: how many are taken."""
    tracing.depth, tracing.gradients = tracing.depth + 1, tracing.gradients + gradients
    try:
        with pytensor.config.change_flags(floatX="float32", traceback__limit=0):
            yield
    finally:
        tracing.depth, tracing.gradients = tracing.depth - 1, tracing.gradients - gradients


def identity(x: Variable) -> Variable:
    """Another variable with the same value."""
    return marked(view_op(x), dtype_of(x))


def like(x: Variable) -> Variable:
    """A new variable for such a value."""
    return marked(x.type(), dtype_of(x))


# Compiled functions ---------------------------------------------------------------------------------------------------------------


class _Graph:
    """One trace of a function, compiled when it is called first."""

    def __init__(self, function: Callable, structure: Any, specs: Sequence[ShapeDtype], lasting: bool) -> None:
        self._lasting = lasting
        self.inputs = [marked(type_of(spec.shape, spec.dtype)(), spec.dtype) for spec in specs]
        with _traced():
            outputs = function(*rebuild(structure, map(Traced, self.inputs)))
        leaves: list = []
        self.structure = flatten(outputs, leaves)
        self.outputs = [x.variable if isinstance(x, Traced) else x for x in leaves]
        self._run: Callable | None = None
        self._lock = threading.Lock()

    def __call__(self, leaves: list[np.ndarray]) -> Tree:
        if self._run is None:
            with self._lock:
                self._run = self._run or self._compiled()
        return rebuild(self.structure, iter(self._run(leaves)))

    def _compiled(self) -> Callable:
        """A function of a list of arrays; narrow floats are float32 inside."""
        places = {variable: n for n, variable in enumerate(self.inputs)}
        computed = [x for x in dict.fromkeys(x for x in self.outputs if isinstance(x, Variable)) if x not in places]
        run = program(self.inputs, computed, self._lasting)
        rows = {variable: n for n, variable in enumerate(computed)}
        widened = [n for n, variable in enumerate(self.inputs) if dtype_of(variable) in NARROW]
        narrowed = [(n, host._dtype(dtype_of(variable))) for n, variable in enumerate(computed) if dtype_of(variable) in NARROW]
        sources = [(places, x) if x in places else (rows, x) for x in self.outputs if isinstance(x, Variable)]
        takes = [(table is places, table[x]) for table, x in sources]
        fixed = None if len(takes) == len(self.outputs) else self.outputs

        def call(leaves: list[np.ndarray]) -> list:
            given = leaves
            if widened:
                given = list(leaves)
                for n in widened:
                    given[n] = given[n].astype(np.float32)
            results = run(*given)
            for n, dtype in narrowed:
                results[n] = results[n].astype(dtype)
            found = iter([leaves[n] if passed else results[n] for passed, n in takes])
            return list(found) if fixed is None else [next(found) if isinstance(x, Variable) else np.asarray(x) for x in fixed]

        return call

    def shapes(self) -> Tree:
        """The outputs as shapes and dtypes."""
        leaves = (x if isinstance(x, Variable) else np.asarray(x) for x in self.outputs)
        return rebuild(self.structure, (ShapeDtype(x.type.shape if isinstance(x, Variable) else x.shape, dtype_of(x)) for x in leaves))


class Compiled:
    """A pure function of trees of tensors, as one graph for each structure, shapes and dtypes of its arguments.

    Args:
        function: what to compile.
        asarray: makes arrays of leaves that are none.
        lasting: whether it is there to be called again.
    """

    def __init__(self, function: Callable, asarray: Callable, lasting: bool = True) -> None:
        functools.update_wrapper(self, function, updated=())
        self.function, self.asarray, self.lasting = function, asarray, lasting
        self.graphs: dict[Any, _Graph] = {}

    def __call__(self, *args: Tree) -> Tree:
        if tracing.depth:  # part of what is traced around it
            return self.function(*args)
        leaves: list = []
        structure = flatten(args, leaves)
        leaves = [leaf if isinstance(leaf, np.ndarray) else self.asarray(leaf) for leaf in leaves]
        key = (structure, *[(leaf.dtype, leaf.shape) for leaf in leaves])
        graph = self.graphs.get(key)
        if graph is None:
            graph = self.graphs[key] = _Graph(self.function, structure, [ShapeDtype(leaf.shape, str(leaf.dtype)) for leaf in leaves], self.lasting)
        return graph(leaves)

    def eval_shape(self, *args: Tree) -> Tree:
        """Shapes of the outputs for these; the graph is kept for the first call."""
        leaves: list = []
        structure = flatten(args, leaves)
        specs = [ShapeDtype(tuple(x.shape), str(x.dtype)) for x in leaves]
        key = (structure, *[(host._dtype(spec.dtype), spec.shape) for spec in specs])
        if key not in self.graphs:
            self.graphs[key] = _Graph(self.function, structure, specs, self.lasting)
        return self.graphs[key].shapes()


# Gradients ------------------------------------------------------------------------------------------------------------------------


def pulled_back(wrt: Sequence[Variable], known: Sequence[tuple[Variable, Variable]]) -> list[Variable]:
    """Gradients of some variables from those of others, zeros where they do not depend on them: operation by operation, backwards.

    PyTensor's own function for this refuses complex numbers on the way; its operations do not."""
    gradients: dict[Variable, Variable] = {}
    for x, g in known:
        _arrive(gradients, x, g)
    nodes, reached = list(toposort(list(gradients), blockers=list(wrt))), set(wrt)
    for node in nodes:
        if isinstance(node.op, DisconnectedGrad) or reached.isdisjoint(node.inputs):
            continue
        reached.update(y for y in node.outputs if _is_number(y))
    for node in reversed(nodes):
        if reached.isdisjoint(node.inputs) or gradients.keys().isdisjoint(node.outputs) or reached.isdisjoint(node.outputs):
            continue
        upstream = [gradients[y] if y in gradients else DisconnectedType()() for y in node.outputs]
        for x, g in zip(node.inputs, node.op.pullback(node.inputs, node.outputs, upstream), strict=True):
            if x in reached and not isinstance(g.type, DisconnectedType):
                if isinstance(g.type, NullType):
                    need, got = "operations that have gradients", f"PyTensor's {node.op}"
                    raise NotImplementedError(f"value_and_grad needs {need}, got {got}.\n  fix: put stop_gradient around it")
                _arrive(gradients, x, g)
    return [_fitting(gradients[x], x) if x in gradients else marked(x.zeros_like(), dtype_of(x)) for x in wrt]


def _is_number(x: Variable) -> bool:
    return hasattr(x.type, "dtype") and has_gradient(x)


def _arrive(gradients: dict[Variable, Variable], x: Variable, g: Variable) -> None:
    if g.type.dtype != x.type.dtype:
        g = pytensor.tensor.cast(g, x.type.dtype)
    gradients[x] = gradients[x] + g if x in gradients else g


def _fitting(g: Variable, x: Variable) -> Variable:
    """g in the shape and dtype of x."""
    if g.type.dtype != x.type.dtype:
        g = pytensor.tensor.cast(g, x.type.dtype)
    return marked(settled(identity(g), x.type.shape), dtype_of(x))


def value_and_grad(function: Callable, asarray: Callable) -> Callable:
    """The transform of this name."""

    def run(values: Sequence[Tensor]) -> tuple[tuple[Tensor, Tree], list[Tensor]]:
        if not tracing.depth:
            return Compiled(run, asarray, lasting=False)(list(values))
        with _traced(gradients=1):
            leaves = [identity(as_variable(x)) for x in values]  # other uses of a value are constants here
            loss, aux = function([Traced(x) for x in leaves])
            if not isinstance(loss, Traced) or not has_gradient(loss.variable):
                return (loss, aux), [Traced(marked(x.zeros_like(), dtype_of(x))) for x in leaves]
            found = iter(pulled_back([x for x in leaves if has_gradient(x)], [(loss.variable, loss.variable.ones_like())]))
            return (loss, aux), [Traced(next(found) if has_gradient(x) else x.zeros_like()) for x in leaves]

    return run


def custom_gradient(function: Callable, asarray: Callable) -> Callable:
    """The transform of this name."""

    def run(*tensors: Tensor) -> Tree:
        if not tracing.gradients:
            return function(*tensors)[0]
        inputs = [as_variable(x) for x in tensors]
        output, rule = function(*(Traced(identity(x)) for x in inputs))
        leaves: list = []
        structure = flatten(output, leaves)
        leaves = [as_variable(x) for x in leaves]
        arriving = [like(x) for x in leaves]
        gradients = rule(rebuild(structure, map(Traced, arriving)))
        gradients = list(gradients) if isinstance(gradients, (list, tuple)) else [gradients]
        backward, around = closed(arriving, [_fitting(as_variable(g), x) for g, x in zip(gradients, inputs, strict=True)])
        outputs = Custom(backward, len(leaves), len(inputs))(*leaves, *inputs, *around, return_list=True)
        return rebuild(structure, iter([Traced(marked(x, dtype_of(leaf))) for x, leaf in zip(outputs, leaves, strict=True)]))

    return run


class Inner:
    """Part of a graph as a function of its own: variables that stand for its arguments, and what it makes of them."""

    def __init__(self, inputs: Sequence[Variable], outputs: Sequence[Variable]) -> None:
        self.inputs, self.outputs = list(inputs), list(outputs)

    @functools.cached_property
    def run(self) -> Callable[..., list]:
        """The function of arrays."""
        return program(self.inputs, self.outputs)

    def on(self, arguments: Sequence[Variable]) -> list[Variable]:
        """What it makes of other variables."""
        return replaced(self.outputs, dict(zip(self.inputs, arguments, strict=True)))


def replaced(outputs: Sequence[Variable], others: dict[Variable, Variable]) -> list[Variable]:
    """The outputs with other variables in the place of some."""
    known = dict(others)
    for node in toposort(outputs, blockers=list(others)):
        if any(x in known for x in node.inputs):
            again = node.clone_with_new_inputs([known.get(x, x) for x in node.inputs])
            known.update(zip(node.outputs, again.outputs, strict=True))
    return [known.get(x, x) for x in outputs]


def closed(inputs: Sequence[Variable], outputs: Sequence[Variable]) -> tuple[Inner, list[Variable]]:
    """What computes outputs from inputs, with what it takes from around it as further inputs, and those."""
    outputs = [identity(x) for x in outputs]
    inside = set(inputs)
    nodes = list(toposort(outputs, blockers=list(inputs)))
    for node in nodes:
        if any(x in inside for x in node.inputs) or any(x in outputs for x in node.outputs):
            inside.update(node.outputs)
    around = [x for node in nodes if node.outputs[0] in inside for x in node.inputs if x not in inside and not isinstance(x, Constant)]
    around = list(dict.fromkeys(around))
    own = [like(x) for x in around]
    if around:
        outputs = replaced(outputs, dict(zip(around, own, strict=True)))
    return Inner([*inputs, *own], outputs), around


class Custom(Op):
    """Its first inputs, with another gradient."""

    def __init__(self, backward: Inner, outputs: int, inputs: int) -> None:
        self.backward, self.outputs, self.inputs = backward, outputs, inputs
        self.view_map = {n: [n] for n in range(outputs)}

    def make_node(self, *inputs: Variable) -> Apply:
        return Apply(self, inputs, [x.type() for x in inputs[: self.outputs]])

    def perform(self, node: Apply, inputs: Sequence, outputs: list) -> None:
        for cell, x in zip(outputs, inputs, strict=False):
            cell[0] = x

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        reached = range(self.outputs, self.outputs + self.inputs)
        return [[n in reached and has_gradient(x)] * self.outputs for n, x in enumerate(node.inputs)]

    def pullback(self, inputs: Sequence, outputs: Sequence, upstream: Sequence) -> list:
        found = self.backward.on([*arrived(outputs, upstream), *inputs[self.outputs + self.inputs :]])
        found = [g if has_gradient(x) else DisconnectedType()() for g, x in zip(found, inputs[self.outputs :], strict=False)]
        others = len(inputs) - self.outputs - self.inputs
        return [*(DisconnectedType()() for _ in outputs), *found, *(DisconnectedType()() for _ in range(others))]


@lowers(Custom)
def _first(node: Apply) -> Callable:
    count = node.op.outputs
    return (lambda *arrays: arrays[0]) if count == 1 else lambda *arrays: arrays[:count]
