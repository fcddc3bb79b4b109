# SPDX-License-Identifier: Apache-2.0
"""Which lines of a program become loops of C, and their code: elementwise operations on one shape that follow each other are one loop.

Only what C and NumPy compute alike is taken, in the order of the graph and each result rounded: a loop makes the bits that the lines in its place
make. (Its results lie in rows, so a sum over what was transposed may add in another order.) The expressions are PyTensor's, `c_code` of its scalars.
Sizes are arguments: one loop serves every batch. Products, reductions, indexing and functions such as exp stay calls of NumPy. Knows PyTensor and
NumPy only. Start at fused.
"""

from __future__ import annotations

# The annotations of PyTensor know variables, but not what tensors can do:
# pyright: reportArgumentType=false, reportAssignmentType=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportGeneralTypeIssues=false
# pyright: reportIncompatibleMethodOverride=false, reportIndexIssue=false, reportMissingImports=false, reportMissingModuleSource=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportPrivateImportUsage=false, reportReturnType=false
import functools
import heapq
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from pytensor.graph.basic import Apply
from pytensor.scalar.basic import (
    AND,
    EQ,
    GE,
    GT,
    LE,
    LT,
    NEQ,
    OR,
    XOR,
    Abs,
    Add,
    Cast,
    Invert,
    Maximum,
    Minimum,
    Mul,
    Neg,
    Reciprocal,
    Second,
    Sqr,
    Sqrt,
    Sub,
    Switch,
    TrueDiv,
    get_scalar_type,
)
from pytensor.scalar.basic import abs as absolute
from pytensor.tensor.basic import Alloc
from pytensor.tensor.elemwise import CAReduce, DimShuffle, Elemwise
from pytensor.tensor.shape import Reshape

Shape = tuple[int, ...]
ALONE = (Switch,)  # worth a loop of its own; else NumPy is as quick for a single operation


class Line(NamedTuple):
    """results = function(arguments), all names; the operation that is done so, and which of its inputs the arguments are."""

    results: list[str]
    function: str
    arguments: list[str]
    node: Apply
    places: Sequence[int]


class Loop(NamedTuple):
    """results = loop(layout, arguments), in the place of so many operations on so many elements.

    Its code has @ where its name goes; `_pytensor_compiler.py` says what is in the layout."""

    results: list[str]
    arguments: list[str]
    code: str
    layout: np.ndarray
    operations: int
    elements: int


class Member(NamedTuple):
    """A line that can be part of a loop: its operation on scalars, the sizes of the loop, and what it reads."""

    scalar: Any
    sizes: Shape
    reads: list[Read]


class Read(NamedTuple):
    """Where an operand is: in the memory of a value, with so many elements, and how far to go for a step along each axis of the loop."""

    name: str
    count: int
    strides: Shape


# What C and NumPy compute alike -------------------------------------------------------------------------------------------------------

_REAL = "biuf"
_SAME = {  # operations on one dtype, of one of these kinds; the larger of 0.0 and -0.0 is now this, now that one in NumPy
    Add: "iuf", Sub: "iuf", Mul: "iuf", TrueDiv: "f", Neg: "if", Sqr: "iuf", Sqrt: "f", Reciprocal: "f", Abs: "f", Maximum: "iu", Minimum: "iu",
    EQ: _REAL, NEQ: _REAL, LT: _REAL, LE: _REAL, GT: _REAL, GE: _REAL, AND: "biu", OR: "biu", XOR: "biu", Invert: "biu",
}  # fmt: skip
_TRUTHS = (EQ, NEQ, LT, LE, GT, GE)


def _scalar(node: Apply) -> Any:
    """The operation on scalars behind an elementwise one that C does as NumPy does, else None."""
    own = getattr(node.op, "name", None) == "abs" and not isinstance(node.op, Elemwise)
    scalar = absolute if own else getattr(node.op, "scalar_op", None)
    if not (own or isinstance(node.op, Elemwise)) or any(None in x.type.shape for x in (*node.inputs, *node.outputs)):
        return None
    dtype, *dtypes = (np.dtype(x.type.dtype) for x in (node.outputs[0], *node.inputs))
    if any(kind.kind not in _REAL or kind.itemsize > 8 for kind in (dtype, *dtypes)):
        return None
    if isinstance(scalar, Switch):
        fits = dtypes == [np.dtype(bool), dtype, dtype]
    elif isinstance(scalar, Cast):
        fits = dtypes[0].kind != "f" or dtype.kind == "f"
    else:
        kinds = next((_SAME[kind] for kind in type(scalar).__mro__ if kind in _SAME), "")
        fits = dtypes[0].kind in kinds and {*dtypes} == {dtypes[0]} and dtype == (bool if isinstance(scalar, _TRUTHS) else dtypes[0])
    return scalar if fits else None


def _expression(scalar: Any, node: Apply, result: str, operands: Sequence[str]) -> str:
    """The statement that computes it."""
    kinds = [get_scalar_type(x.type.dtype) for x in node.inputs]
    return scalar.c_code(scalar.make_node(*(kind() for kind in kinds)), "nyala", list(operands), [result], {"fail": ""})


# Where operands are -------------------------------------------------------------------------------------------------------------------


def _strides(shape: Sequence[int]) -> Shape:
    """In elements, of contiguous memory; 0 along axes of size 1."""
    return tuple(0 if n == 1 else math.prod(shape[axis + 1 :]) for axis, n in enumerate(shape))


def _without_ones(strides: Shape, shape: Shape) -> Shape:
    return tuple(s for s, n in zip(strides, shape, strict=True) if n != 1)


class _Views:
    """Names that are only another look at the memory of a value."""

    def __init__(self) -> None:
        self.known: dict[str, Read] = {}

    def of(self, name: str, shape: Shape) -> Read:
        return self.known.setdefault(name, Read(name, math.prod(shape), _strides(shape)))

    def add(self, line: Line) -> None:
        """Remember the line, if it is no more than a look."""
        if len(line.results) > 1 or not line.arguments:
            return
        op, x, y = line.node.op, line.node.inputs[line.places[0]], line.node.outputs[0]
        shape, wanted = getattr(x.type, "shape", (None,)), getattr(y.type, "shape", (None,))
        if None in shape or None in wanted or x.type.dtype != y.type.dtype:
            return
        source = self.of(line.arguments[0], shape)
        if isinstance(op, DimShuffle):
            strides = tuple(0 if axis == "x" else source.strides[axis] for axis in op.new_order)
        elif (isinstance(op, Alloc) and line.places[0] == 0) or isinstance(getattr(op, "scalar_op", None), Second):
            strides = (0,) * (len(wanted) - len(shape)) + source.strides
        elif isinstance(op, Reshape) or (isinstance(op, CAReduce) and isinstance(op.scalar_op, Add | Mul)):
            if math.prod(shape) != math.prod(wanted) or _without_ones(source.strides, shape) != _without_ones(_strides(shape), shape):
                return
            strides = _strides(wanted)
        else:
            return
        self.known[line.results[0]] = source._replace(strides=strides)


def _members(lines: Sequence[Line]) -> list[Member | None]:
    """What each line is in a loop, None for those that stay as they are."""
    views, members = _Views(), []
    for line in lines:
        scalar = _scalar(line.node) if len(line.places) == len(line.node.inputs) else None
        if scalar is None:
            views.add(line)
            members.append(None)
            continue
        shape, reads = line.node.outputs[0].type.shape, []
        for name, x in zip(line.arguments, line.node.inputs, strict=True):
            source = views.of(name, x.type.shape)
            reads.append(source._replace(strides=_without_ones(source.strides, shape)))
        members.append(Member(scalar, tuple(n for n in shape if n != 1), reads))
    return members


# Groups -------------------------------------------------------------------------------------------------------------------------------


class _Group:
    """Lines that become one.

    Attributes:
        lines: their numbers; mask: a bit for each.
        sizes: of the loop, None where this is no loop.
        parents, children: groups that make what it reads, and that read what it makes; above: the bits of all lines that it needs.
        odd: bits of lines whose results it reads in another order than that of its loop.
    """

    def __init__(self, number: int, sizes: Shape | None, parents: set[_Group], odd: int) -> None:
        self.lines, self.mask, self.sizes, self.parents, self.odd = [number], 1 << number, sizes, parents, odd
        self.children: set[_Group] = set()
        self.above = self._above()
        for parent in parents:
            parent.children.add(self)

    def _above(self) -> int:
        return functools.reduce(lambda bits, parent: bits | parent.mask | parent.above, self.parents, 0)

    def fits(self, other: _Group) -> bool:
        """Whether both can be one loop: neither needs the other by way of a third."""
        if self is other or self.sizes != other.sizes or self.odd & other.mask or other.odd & self.mask:
            return False
        pairs = ((self, other), (other, self))
        return not any(p is not first and p.above & first.mask for first, second in pairs for p in second.parents)

    def take(self, other: _Group) -> None:
        """Make the other a part of this one."""
        self.lines, self.mask, self.odd = self.lines + other.lines, self.mask | other.mask, self.odd | other.odd
        for parent in other.parents:
            parent.children = (parent.children - {other}) | {self}
        for child in other.children:
            child.parents = (child.parents - {other}) | {self}
        self.parents, self.children = (self.parents | other.parents) - {self, other}, (self.children | other.children) - {self, other}
        self.above = self._above()
        below, seen = list(self.children), set()
        while below:
            group = below.pop()
            if group not in seen:
                seen.add(group)
                group.above |= self.mask | self.above
                below += group.children


def _grouped(lines: Sequence[Line], members: Sequence[Member | None]) -> list[list[int]]:
    """The numbers of lines in groups, in an order in which they can run."""
    maker = {name: n for n, line in enumerate(lines) for name in line.results}
    homes: list[_Group] = []
    for n, (line, member) in enumerate(zip(lines, members, strict=True)):
        if member is None:
            homes.append(_Group(n, None, {homes[maker[name]] for name in line.arguments if name in maker}, 0))
            continue
        made = [(maker[read.name], read.strides) for read in member.reads if read.name in maker]
        numbers = sorted({number for number, _ in made})
        odd = functools.reduce(lambda bits, number: bits | 1 << number, (m for m, strides in made if strides != _strides(member.sizes)), 0)
        homes.append(_Group(n, member.sizes, {homes[number] for number in numbers}, odd))
        for number in numbers:
            first, own = homes[number], homes[n]
            if first.fits(own):
                first.take(own)
                for i in own.lines:
                    homes[i] = first
    return _in_order(dict.fromkeys(homes))


def _in_order(groups: Iterable[_Group]) -> list[list[int]]:
    """What is needed comes before those that need it, else by the last line."""
    groups = sorted(groups, key=lambda group: max(group.lines))
    place = {group: n for n, group in enumerate(groups)}
    missing = [len(group.parents) for group in groups]
    ready, ordered = [n for n, count in enumerate(missing) if not count], []
    while ready:
        group = groups[heapq.heappop(ready)]
        ordered.append(sorted(group.lines))
        for n in (place[child] for child in group.children):
            missing[n] -= 1
            if not missing[n]:
                heapq.heappush(ready, n)
    return ordered


# Loops --------------------------------------------------------------------------------------------------------------------------------


def fused(lines: Sequence[Line], outputs: Sequence[str]) -> list[Line | Loop]:
    """The lines, some of them as loops.

    Args:
        lines: in order; each is needed.
        outputs: names that are needed at the end.
    """
    members, needed, result = _members(lines), {*outputs}, []
    for group in reversed(_grouped(lines, members)):
        own, parts = [lines[n] for n in group], [members[n] for n in group]
        shown = [name for line in own for name in line.results if name in needed]
        if not shown:  # only looks of which loops have their own
            continue
        alone = len(group) == 1 and (parts[0] is None or not isinstance(parts[0].scalar, ALONE))
        result.append(_alone(own[0]) if alone else _loop(own, parts, shown))
        needed.update(result[-1].arguments)
    return result[::-1]


_SPECIAL: dict[str | None, Callable[[Line], Loop | None]] = {}


def special(name: str) -> Callable[[Callable], Callable]:
    """Register what makes a loop, or None, of a line that does a primitive of this name."""

    def register(function: Callable) -> Callable:
        _SPECIAL[name] = function
        return function

    return register


def _alone(line: Line) -> Line | Loop:
    """The line, or the loop that is registered for it."""
    make = _SPECIAL.get(getattr(line.node.op, "name", None))
    return (make and make(line)) or line


def _loop(lines: Sequence[Line], members: Sequence[Member], shown: Sequence[str]) -> Loop:
    """The loop that does what some lines do and keeps the results that are shown."""
    made = {line.results[0]: f"v{n}" for n, line in enumerate(lines)}
    dtypes: dict[Any, str] = {line.results[0]: line.node.outputs[0].type.dtype for line in lines}
    for line, member in zip(lines, members, strict=True):
        dtypes.update((read, x.type.dtype) for read, x in zip(member.reads, line.node.inputs, strict=True) if read.name not in made)
    reads = [key for key in dtypes if isinstance(key, Read)]
    sizes, strides = _merged(members[0].sizes, [read.strides for read in reads])
    rank, names = len(sizes), {read: f"x{n}" for n, read in enumerate(reads)}
    once, row, each = [], [], []  # before all, for each row, for each element
    for n, (read, steps) in enumerate(zip(reads, strides, strict=True)):
        start = "".join(f" + i{axis} * s{n}_{axis}" for axis, step in enumerate(steps[:-1]) if step)
        once += [f"const npy_int64 s{n}_{axis} = s[{n * rank + axis}];" for axis, step in enumerate(steps) if step and (axis < rank - 1 or step != 1)]
        once.append(f"const npy_{dtypes[read]}* __restrict__ a{n} = (const npy_{dtypes[read]}*)p[{n}];")
        if steps and steps[-1]:
            row.append(f"const npy_{dtypes[read]}* __restrict__ b{n} = a{n}{start};")
            each.append(f"const npy_{dtypes[read]} x{n} = b{n}[j{'' if steps[-1] == 1 else f' * s{n}_{rank - 1}'}];")
        else:
            (row if start else once).append(f"const npy_{dtypes[read]} x{n} = *(a{n}{start});")
    at = functools.reduce(lambda code, axis: f"({code} * n{axis} + i{axis})", range(1, rank - 1), "i0") + f" * n{rank - 1}" if rank > 1 else "0"
    for line, member in zip(lines, members, strict=True):
        own, given = made[line.results[0]], [made.get(read.name) or names[read] for read in member.reads]
        each.append(f"npy_{dtypes[line.results[0]]} {own}; {_expression(member.scalar, line.node, own, given)}")
    for n, name in enumerate(shown, len(reads)):
        row.append(f"npy_{dtypes[name]}* __restrict__ r{n} = (npy_{dtypes[name]}*)p[{n}] + {at};")
        each.append(f"r{n}[{'j' if rank else 0}] = {made[name]};")
    once += [f"const npy_int64 n{axis} = n[{axis}];" for axis in range(rank)]  # in the loop a store might change what n points to
    over = [f"for (npy_int64 i{axis} = 0; i{axis} < n{axis}; i{axis}++) {{" for axis in range(rank - 1)]
    along = ["#ifdef __GNUC__\n#pragma GCC ivdep\n#endif", f"for (npy_int64 j = 0; j < n{rank - 1}; j++) {{"] if rank else []
    code = ["static void @(char** p, const npy_int64* n, const npy_int64* s) {", *once, *over, *row, *along, *each, "}" * (rank + 1)]
    layout = [len(reads), len(shown), rank, *sizes, *(step for steps in strides for step in steps)]
    for read in reads:
        layout += [np.dtype(dtypes[read]).num, read.count]
    for name in shown:
        shape = next(line.node.outputs[0].type.shape for line in lines if line.results[0] == name)
        layout += [np.dtype(dtypes[name]).num, len(shape), *shape]
    return Loop(list(shown), [read.name for read in reads], "\n".join(code) + "\n", np.array(layout, np.int64), len(lines), math.prod(sizes))


def _merged(sizes: Shape, strides: Sequence[Shape]) -> tuple[Shape, list[Shape]]:
    """Sizes and strides of the same loop with as few axes as it can have."""
    kept: list[tuple[int, Shape]] = []
    for n, steps in zip(sizes, zip(*strides, strict=True) if strides else [()] * len(sizes), strict=True):
        if kept and all(outer == inner * n for outer, inner in zip(kept[-1][1], steps, strict=True)):
            kept[-1] = (kept[-1][0] * n, steps)
        else:
            kept.append((n, steps))
    return tuple(n for n, _ in kept), [tuple(steps[k] for _, steps in kept) for k in range(len(strides))]
