# SPDX-License-Identifier: Apache-2.0
"""How graphs of PyTensor become functions of NumPy arrays.

Each operation of a graph becomes a line of Python that calls NumPy, equal operations become one, and what depends on constants alone is computed at
once: such a function is ready in milliseconds, runs what was written and nothing else, and may be called from several threads. Where there is a C++
compiler, lines of compiled functions that are worth it become loops of C (`_pytensor_kernels.py`), with the same bits. The linkers of PyTensor take
its rewrites and their time instead; NYALA_PYTENSOR_LINKER chooses. Knows PyTensor and NumPy only. Start at program.
"""

from __future__ import annotations

# The annotations of PyTensor know variables, but not what tensors can do:
# pyright: reportArgumentType=false, reportAssignmentType=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportGeneralTypeIssues=false
# pyright: reportIncompatibleMethodOverride=false, reportIndexIssue=false, reportMissingImports=false, reportMissingModuleSource=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportPrivateImportUsage=false, reportReturnType=false
import contextlib
import functools
import importlib.util
import itertools
import operator
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytensor
from pytensor.compile.mode import Mode
from pytensor.compile.ops import ViewOp
from pytensor.gradient import DisconnectedGrad
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.rewriting.db import RewriteDatabaseQuery
from pytensor.graph.traversal import io_toposort
from pytensor.scalar.basic import Cast, Identity, Second, Switch
from pytensor.tensor.basic import Alloc, Join
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.elemwise import CAReduce, DimShuffle, Elemwise
from pytensor.tensor.math import Dot
from pytensor.tensor.shape import Reshape, Shape, SpecifyShape
from pytensor.tensor.subtensor import AdvancedSubtensor
from pytensor.tensor.type import TensorType

from nyala.engines._pytensor_compiler import compiled
from nyala.engines._pytensor_kernels import Line, Loop, fused

LINKERS = ("c", "numpy", "cvm", "numba", "jax")
FEWEST = 24  # operations in loops for which a program is worth a run of the compiler
LEAST = 2**22  # or their results, in elements: 5 ms of NumPy or more
FOLDED = 2**16  # constants of at most so many elements are computed ahead
SMALL = 64  # bytes of constants that are compared by value
SLOW = 10.0  # seconds after which a note says what takes so long
UNSUITED = [  # rewrites of PyTensor's
    "BlasOpt",  # products by a BLAS that it does not find when it comes from a wheel; NumPy always has one
    "symbolic_op_recognition",  # finds softmax and the like, which C has not and Numba then compiles in the first call
]
QUICK = "-O1 -g0"  # for C compilers, which otherwise take most of their time for what a step does not feel; flags of the user's come after

_noted = False


@functools.cache
def linker() -> str:
    """What runs graphs: NYALA_PYTENSOR_LINKER, else NumPy and loops of C."""
    wanted = os.environ.get("NYALA_PYTENSOR_LINKER") or LINKERS[0]
    if wanted not in LINKERS:
        raise ValueError(f"NYALA_PYTENSOR_LINKER needs one of {', '.join(LINKERS)}, got {wanted!r}.\n  fix: leave it out for 'c' where it can be")
    compiler = not pytensor.config.cxx and ("a C++ compiler", "install g++ or clang++, or name one in PYTENSOR_FLAGS=cxx=...")
    missing = {
        "c": os.environ.get("NYALA_PYTENSOR_LINKER") and compiler,
        "cvm": compiler,
        "numba": importlib.util.find_spec("numba") is None and ("the package 'numba'", "pip install numba"),
    }.get(wanted)
    if missing:
        raise ImportError(f"NYALA_PYTENSOR_LINKER={wanted} needs {missing[0]}, and finds none.\n  fix: {missing[1]}; or leave it out, or say 'numpy'")
    return wanted


def program(inputs: Sequence[Variable], outputs: Sequence[Variable], lasting: bool = False) -> Callable[..., list]:
    """A function of arrays, one for each input, that gives a list of arrays.

    Args:
        lasting: whether it will run so often that a compiler may take a second for it.
    """
    if linker() not in ("c", "numpy"):
        return _by_pytensor(inputs, outputs)
    if linker() == "numpy" or not (lasting or _building.unit is not None):
        return _Lined(inputs, outputs)
    with _unit() as unit:
        unit.append(_Lined(inputs, outputs))
        return unit[-1]


# PyTensor's linkers ---------------------------------------------------------------------------------------------------------------


def _by_pytensor(inputs: Sequence[Variable], outputs: Sequence[Variable]) -> Callable[..., list]:
    if linker() == "jax":
        from nyala.engines import _pytensor_jax  # noqa: F401  its operations, for this linker
    start = time.perf_counter()
    mode = Mode(linker(), RewriteDatabaseQuery(include=["fast_run"], exclude=UNSUITED))
    with pytensor.config.change_flags(gcc__cxxflags=f"{QUICK} {pytensor.config.gcc__cxxflags}"):
        function = pytensor.function(list(inputs), list(outputs), mode=mode, on_unused_input="ignore", trust_input=True)
    lock, dtypes = threading.Lock(), [getattr(x.type, "dtype", None) for x in outputs]
    compiling = [time.perf_counter() - start]  # Numba and JAX compile in the first call

    def run(*arrays: Any) -> list:
        with lock, np.errstate(all="ignore"):  # the memory of its results is the function's own
            start = time.perf_counter()
            results = [np.asarray(x, dtype) for x, dtype in zip(function(*arrays), dtypes, strict=True)]
            if compiling:
                _note(compiling.pop() + time.perf_counter() - start)
            return results

    return run


def _note(seconds: float) -> None:
    """Once, on the error stream, what takes so long."""
    global _noted
    if seconds > SLOW and not _noted:
        _noted = True
        way = "NYALA_PYTENSOR_LINKER=numpy compiles nothing"
        print(f"note: PyTensor's linker {linker()!r} took {seconds:.0f} s to compile a function; {way}", file=sys.stderr)


# Lines of Python that call NumPy --------------------------------------------------------------------------------------------------


class _Lines:
    """A graph as lines "results = function(arguments)", each written once.

    Attributes:
        names: variable -> the name of its value.
        values: name -> a constant or a function of NumPy arrays.
        lines: what is done, in order.
    """

    def __init__(self, inputs: Sequence[Variable]) -> None:
        self.names: dict[Variable, str] = {variable: f"i{n}" for n, variable in enumerate(inputs)}
        self.values: dict[str, Any] = {}
        self.lines: list[Line] = []
        self._known: dict[Any, list[str]] = {}
        self._count = itertools.count()

    def name_of(self, variable: Variable) -> str:
        if variable not in self.names:
            if not isinstance(variable, Constant):
                raise ValueError(
                    f"a compiled function needs known values, got {variable}, which belongs to another one.\n  fix: pass it as an argument"
                )
            self.names[variable] = self._constant(variable.data)
        return self.names[variable]

    def _constant(self, value: Any) -> str:
        small = isinstance(value, np.ndarray) and value.nbytes <= SMALL
        key = ("constant", value.dtype.str, value.shape, value.tobytes()) if small else ("constant", id(value))
        if key not in self._known:
            name = f"c{next(self._count)}"
            self.values[name] = value
            self._known[key] = [name]
        return self._known[key][0]

    def add(self, node: Apply) -> None:
        function, used = _lowered(node)
        arguments = [self.name_of(node.inputs[i]) for i in used]
        if function is None:  # the same value under another name
            self.names[node.outputs[0]] = arguments[0]
            return
        key = node.op, *arguments, *(variable.type for variable in (node.outputs if used else node.inputs))
        results = self._known.get(key)
        if results is None:
            sizes = [n for variable in node.outputs for n in getattr(variable.type, "shape", ())]
            if all(name in self.values for name in arguments) and None not in sizes and np.prod(sizes, dtype=float) <= FOLDED:
                made = function(*(self.values[name] for name in arguments))
                results = [self._constant(np.asarray(x) if isinstance(x, np.generic) and isinstance(v.type, TensorType) else x)
                           for x, v in zip(made if len(node.outputs) > 1 else [made], node.outputs, strict=True)]  # fmt: skip
            else:
                results = [f"t{next(self._count)}" for _ in node.outputs]
                name = f"f{next(self._count)}"
                self.values[name] = function
                self.lines.append(Line(results, name, arguments, node, used))
            self._known[key] = results
        self.names.update(zip(node.outputs, results, strict=True))

    def needed(self, outputs: Sequence[str]) -> list[Line]:
        """The lines without what no result needs."""
        alive, found = set(outputs), []
        for line in reversed(self.lines):
            if not alive.isdisjoint(line.results):
                found.append(line)
                alive.update(line.arguments)
        return found[::-1]


def source(lines: Sequence[tuple[list[str], str, list[str]]], inputs: int, outputs: Sequence[str]) -> str:
    """The code of a function: lines "results = function(arguments)". Values go when they were read for the last time."""
    alive, body = set(outputs), []
    for results, function, arguments in reversed(lines):
        gone = [name for name in dict.fromkeys(arguments) if name not in alive and name.startswith("t")]
        gone += [name for name in results if name not in alive]
        if gone:
            body.append(f"    del {', '.join(gone)}")
        body.append(f"    {', '.join(results)} = {function}({', '.join(arguments)})")
        alive.update(arguments)
    heading = f"def program({', '.join(f'i{n}' for n in range(inputs))}):"
    return "\n".join([heading, *reversed(body), f"    return [{', '.join(outputs)}]"])


class _Lined:
    """A graph as a function of NumPy arrays that gives a list of them."""

    def __init__(self, inputs: Sequence[Variable], outputs: Sequence[Variable]) -> None:
        self._lines, self._inputs = _Lines(inputs), len(inputs)
        with np.errstate(all="ignore"):
            for node in io_toposort(list(inputs), list(outputs)):
                self._lines.add(node)
        self._outputs = [self._lines.name_of(variable) for variable in outputs]
        self._function: Callable | None = None

    def __call__(self, *arrays: Any) -> list:
        with np.errstate(all="ignore"):
            return [np.asarray(x) for x in (self._function or self.settle())(*arrays)]

    @functools.cached_property
    def fused(self) -> list[Line | Loop]:
        """The lines, some of them as loops."""
        return fused(self._lines.needed(self._outputs), self._outputs)

    def settle(self, loops: Mapping[str, Callable] | None = None) -> Callable:
        """Make the function, with these loops of C by their codes, or without."""
        values, lines = dict(self._lines.values), []
        for n, line in enumerate(self.fused if loops else self._lines.needed(self._outputs)):
            if loops and isinstance(line, Loop):
                values |= {f"k{n}": loops[line.code], f"s{n}": line.layout}
                lines.append((line.results, f"k{n}", [f"s{n}", *line.arguments]))
            else:
                lines.append(line[:3])
        exec(compile(source(lines, self._inputs, self._outputs), "<a function of PyTensor>", "exec"), values)
        self._function = values["program"]
        return self._function


class _Building(threading.local):
    """The programs of this thread that are to be compiled together: one and those of the loops in it."""

    unit: list[_Lined] | None = None


_building = _Building()


@contextlib.contextmanager
def _unit() -> Iterator[list[_Lined]]:
    if _building.unit is not None:
        yield _building.unit
        return
    _building.unit = unit = []
    try:
        yield unit
    finally:
        _building.unit = None
    loops = [line for lined in unit for line in lined.fused if isinstance(line, Loop)]
    if sum(line.operations for line in loops) >= FEWEST or sum(line.operations * line.elements for line in loops) >= LEAST:
        codes = list(dict.fromkeys(line.code for line in loops))
        functions = compiled(codes, max(len(line.arguments) + len(line.results) for line in loops))
        if functions is not None:
            for lined in unit:
                lined.settle(dict(zip(codes, functions, strict=True)))


# What each operation calls --------------------------------------------------------------------------------------------------------


def _lowered(node: Apply) -> tuple[Callable | None, Sequence[int]]:
    """A function of arrays that does what the node does (None: gives back its argument), and which of the inputs it needs."""
    for kind in type(node.op).__mro__:
        if kind in _LOWERED and (found := _LOWERED[kind](node)) is not None:
            return found
    return _performed(node), range(len(node.inputs))


def _performed(node: Apply) -> Callable:
    """The operation's own Python."""
    op = node.op
    op.prepare_node(node, None, None, "py")
    dtypes = [variable.type.dtype if isinstance(variable.type, TensorType) else None for variable in node.inputs]

    def run(*arrays: Any) -> Any:
        storage: list = [[None] for _ in node.outputs]
        op.perform(node, [x if dtype is None else np.asarray(x, dtype) for x, dtype in zip(arrays, dtypes, strict=True)], storage)
        return storage[0][0] if len(storage) == 1 else [cell[0] for cell in storage]

    return run


def _static(variable: Variable) -> tuple[int, ...] | None:
    shape = getattr(variable.type, "shape", (None,))
    return None if None in shape else tuple(shape)


def _elementwise(node: Apply) -> Any:
    scalar, dtype, shape = node.op.scalar_op, node.outputs[0].type.dtype, _static(node.outputs[0])
    every = range(len(node.inputs))
    if isinstance(scalar, Identity):
        return None, [0]
    if isinstance(scalar, Cast):
        return (None if node.inputs[0].type.dtype == dtype else lambda x: x.astype(dtype)), [0]
    if isinstance(scalar, Second):
        if shape is None:
            return lambda like, x: np.broadcast_to(x, np.shape(like)), every
        return (None if _static(node.inputs[1]) == shape else lambda x: np.broadcast_to(x, shape)), [1]
    if isinstance(scalar, Switch):
        return np.where, every
    function = _ufunc(scalar)
    if function is None:
        return None
    if len(every) > function.nin:
        function = functools.partial(_in_turn, function)
    given = function(*(np.ones((1,) * variable.type.ndim, variable.type.dtype) for variable in node.inputs)).dtype
    if given == dtype:
        return function, every
    return lambda *arrays: function(*arrays).astype(dtype), every


def _in_turn(function: Callable, *arrays: Any) -> Any:
    return functools.reduce(function, arrays)


def _ufunc(scalar: Any) -> Any:
    """NumPy's or SciPy's function for an operation on scalars, if PyTensor names one."""
    if not getattr(scalar, "nfunc_spec", None):
        return None
    module, _, name = scalar.nfunc_spec[0].rpartition(".")
    found = getattr(importlib.import_module(module) if module else np, name)
    fits = isinstance(found, np.ufunc) and (scalar.nfunc_spec[1] == found.nin)
    return found if fits else None


def _reduced(node: Apply) -> Any:
    function = _ufunc(node.op.scalar_op)
    if function is None:
        return None
    axis, dtype = node.op.axis, node.outputs[0].type.dtype
    axis = tuple(range(node.inputs[0].type.ndim)) if axis is None else tuple(axis)
    return functools.partial(function.reduce, axis=axis, dtype=dtype), [0]


def _shuffled(node: Apply) -> Any:
    order = node.op.new_order
    kept = [axis for axis in order if axis != "x"]
    dropped = tuple(axis for axis in range(node.inputs[0].type.ndim) if axis not in kept)
    places = tuple(sum(other < axis for other in kept) for axis in kept)
    added = tuple(None if axis == "x" else slice(None) for axis in order)
    if len(kept) == len(order) == node.inputs[0].type.ndim > 1:
        return operator.methodcaller("transpose", places), [0]

    def run(x: Any) -> Any:
        x = np.squeeze(x, dropped) if dropped else np.asarray(x)
        return (x if places == tuple(range(len(places))) else x.transpose(places))[added]

    return run, [0]


def _reshaped(node: Apply) -> Any:
    shape = _static(node.outputs[0])
    return None if shape is None else (lambda x: np.reshape(x, shape), [0])


def _filled(node: Apply) -> Any:
    shape = _static(node.outputs[0])
    return None if shape is None else (lambda x: np.broadcast_to(x, shape), [0])


def _shape(node: Apply) -> Any:
    shape = _static(node.inputs[0])
    return None if shape is None else (lambda: np.array(shape, np.int64), [])


def _joined(node: Apply) -> Any:
    if not isinstance(node.inputs[0], Constant):
        return None
    axis = int(node.inputs[0].data)
    return lambda *arrays: np.concatenate(arrays, axis), range(1, len(node.inputs))


def _taken(node: Apply) -> Any:
    """Rows, by a tensor of their numbers."""
    return (operator.getitem, [0, 1]) if node.op.idx_list == (0,) and node.inputs[1].type.ndim else None


def _blockwise(node: Apply) -> Any:
    return (np.matmul, [0, 1]) if isinstance(node.op.core_op, Dot) else None


_LOWERED: dict[type, Callable[[Apply], Any]] = {
    Elemwise: _elementwise,
    CAReduce: _reduced,
    DimShuffle: _shuffled,
    Reshape: _reshaped,
    Alloc: _filled,
    Shape: _shape,
    Join: _joined,
    AdvancedSubtensor: _taken,
    Dot: lambda node: (np.dot, [0, 1]),
    Blockwise: _blockwise,
    SpecifyShape: lambda node: (None, [0]),
    DisconnectedGrad: lambda node: (None, [0]),
    ViewOp: lambda node: (None, [0]),
}


def lowers(kind: type) -> Callable[[Callable], Callable]:
    """Register what a kind of operation calls: a function of the node that gives one of arrays."""

    def register(function: Callable) -> Callable:
        _LOWERED[kind] = lambda node: (function(node), range(len(node.inputs)))
        return function

    return register
