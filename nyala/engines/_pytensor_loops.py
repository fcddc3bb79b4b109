# SPDX-License-Identifier: Apache-2.0
"""Choices and loops in graphs of PyTensor: operations that hold the graphs of their bodies and run them turn by turn. Start at scan.

Bodies are compiled once, by what compiles the graph around them, and gradients of loops are loops. Knows PyTensor and NumPy only.
"""

from __future__ import annotations

# The annotations of PyTensor know variables, but not what tensors can do:
# pyright: reportArgumentType=false, reportAssignmentType=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportGeneralTypeIssues=false
# pyright: reportIncompatibleMethodOverride=false, reportIndexIssue=false, reportMissingImports=false, reportMissingModuleSource=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportPrivateImportUsage=false, reportReturnType=false
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op

from nyala.engines._pytensor_primitives import arrived, nothing
from nyala.engines._pytensor_program import lowers
from nyala.engines._pytensor_tracing import Inner, closed, like, pulled_back
from nyala.engines._pytensor_values import Traced, as_variable, dtype_of, has_gradient, marked, type_of
from nyala.engines.protocol import Tensor

Tensors = tuple[Tensor, ...]


class _Flow(Op):
    """An operation that runs graphs, its parts; subclasses say how."""

    parts: tuple[Inner, ...]

    def make_node(self, *inputs: Variable) -> Apply:
        return Apply(self, inputs, [kind() for kind in self.types])

    def perform(self, node: Apply, inputs: Sequence, outputs: list) -> None:
        for cell, x in zip(outputs, self.run(*inputs), strict=True):
            cell[0] = np.asarray(x)


@lowers(_Flow)
def _run_of(node: Apply) -> Callable:
    for part in node.op.parts:  # compiled with what is around them
        _ = part.run
    return node.op.run if len(node.outputs) > 1 else lambda *arrays: node.op.run(*arrays)[0]


# A choice -------------------------------------------------------------------------------------------------------------------------


class Cond(_Flow):
    """One of two graphs of the same inputs."""

    def __init__(self, chosen: Inner, other: Inner) -> None:
        self.parts = self.chosen, self.other = chosen, other
        self.types = [x.type for x in chosen.outputs]

    def run(self, predicate: Any, *arrays: Any) -> list:
        return (self.chosen if predicate else self.other).run(*arrays)

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[n > 0 and has_gradient(x) and has_gradient(y) for y in node.outputs] for n, x in enumerate(node.inputs)]

    def pullback(self, inputs: Sequence, outputs: Sequence, upstream: Sequence) -> list:
        free = [n for n, x in enumerate(inputs[1:]) if has_gradient(x)]
        shown = [n for n, y in enumerate(outputs) if has_gradient(y)]
        sides = []
        for side in (self.chosen, self.other):
            arriving = [like(side.outputs[n]) for n in shown]
            found = pulled_back([side.inputs[n] for n in free], [(side.outputs[n], g) for n, g in zip(shown, arriving, strict=True)])
            sides.append(Inner([*side.inputs, *arriving], found))
        given = arrived([outputs[n] for n in shown], [upstream[n] for n in shown])
        found = iter(Cond(*sides)(*inputs, *given, return_list=True))
        return [nothing(inputs[0]), *(next(found) if has_gradient(x) else nothing(x) for x in inputs[1:])]


def cond(predicate: Tensor, true_fn: Callable, false_fn: Callable, operands: Tensors) -> Tensors:
    """The primitive `cond`, of a predicate that is a variable."""
    operands = [as_variable(x) for x in operands]
    arguments = [like(x) for x in operands]
    results = [[as_variable(x) for x in function(*map(Traced, arguments))] for function in (true_fn, false_fn)]
    count = len(results[0])
    both, around = closed(arguments, [*results[0], *results[1]])
    sides = Inner(both.inputs, both.outputs[:count]), Inner(both.inputs, both.outputs[count:])
    outputs = Cond(*sides)(as_variable(predicate), *operands, *around, return_list=True)
    return tuple(Traced(marked(y, dtype_of(x))) for y, x in zip(outputs, results[0], strict=True))


# A loop that ends when a condition does ---------------------------------------------------------------------------------------------


class While(_Flow):
    """state = body(*state, *around) while condition(*state, *around)."""

    def __init__(self, condition: Inner, body: Inner) -> None:
        self.parts = self.condition, self.body = condition, body
        self.types = [x.type for x in body.outputs]

    def run(self, *arrays: Any) -> list:
        count = len(self.types)
        state, around = list(arrays[:count]), arrays[count:]
        holds, body = self.condition.run, self.body.run
        while holds(*state, *around)[0]:
            state = body(*state, *around)
        return state

    def pullback(self, inputs: Sequence, outputs: Sequence, upstream: Sequence) -> list:
        raise NotImplementedError(
            "value_and_grad needs a loop of known length, got a while_loop.\n"
            "  why: the gradient goes through the turns backwards, and how many there will be is not known\n"
            "  fix: use nyala.ops.scan, or stop_gradient in front of the loop"
        )


def while_loop(condition: Callable, body: Callable, state: Tensors) -> Tensors:
    """The primitive `while_loop`, in a graph."""
    state = [as_variable(x) for x in state]
    turn = [like(x) for x in state]
    given = [Traced(x) for x in turn]
    holds, results = as_variable(condition(*given)), [as_variable(x) for x in body(*given)]
    both, around = closed(turn, [holds, *results])
    parts = Inner(both.inputs, both.outputs[:1]), Inner(both.inputs, both.outputs[1:])
    outputs = While(*parts)(*state, *around, return_list=True)
    return tuple(Traced(marked(y, dtype_of(x))) for y, x in zip(outputs, state, strict=True))


# A loop over the first axis of tensors ------------------------------------------------------------------------------------------------


class Scan(_Flow):
    """carry, y = body(*carry, *x, *around) along xs.

    Attributes:
        body: a graph of carry, x and around that gives carry and y.
        carried, fed: how many tensors the carry has, and how many are fed row by row.
        length, reverse: how many rows, and whether from the last.
        kept: whether the carry at the beginning of each turn comes out, too, for the gradient.
    """

    def __init__(self, body: Inner, carried: int, fed: int, length: int, reverse: bool, kept: bool) -> None:
        self.body, self.carried, self.fed, self.length, self.reverse, self.kept = body, carried, fed, length, reverse, kept
        self.parts = (body,)
        first = body.outputs[:carried]
        stacked = [*body.outputs[carried:], *(first if kept else [])]
        self.types = [*(x.type for x in first), *(type_of((length, *x.type.shape), x.type.dtype) for x in stacked)]

    def run(self, *arrays: Any) -> list:
        carried, body = self.carried, self.body.run
        carry, xs, around = list(arrays[:carried]), arrays[carried : carried + self.fed], arrays[carried + self.fed :]
        stacked = [np.empty(kind.shape, kind.dtype) for kind in self.types[carried:]]
        count = len(stacked) - (carried if self.kept else 0)
        for i in reversed(range(self.length)) if self.reverse else range(self.length):
            if self.kept:
                for rows, x in zip(stacked[count:], carry, strict=True):
                    rows[i] = x
            results = body(*carry, *(x[i] for x in xs), *around)
            carry = results[:carried]
            for rows, y in zip(stacked, results[carried:], strict=False):
                rows[i] = y
        return [*carry, *stacked]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[has_gradient(x) and has_gradient(y) for y in node.outputs] for x in node.inputs]

    def pullback(self, inputs: Sequence, outputs: Sequence, upstream: Sequence) -> list:
        """The same loop backwards: it carries the gradients of the carry and the sums of those of what is around."""
        body, carried, fed = self.body, self.carried, self.fed
        wider = outputs if self.kept else Scan(body, carried, fed, self.length, self.reverse, True)(*inputs, return_list=True)
        starts = wider[len(wider) - carried :]
        own_carry, own_xs, own_around = body.inputs[:carried], body.inputs[carried : carried + fed], body.inputs[carried + fed :]
        shown = len(body.outputs)
        live = [n for n in range(shown) if has_gradient(body.outputs[n])]
        arriving = {n: like(body.outputs[n]) for n in live}
        moving = [n for n in live if n < carried]
        seen = [n for n in live if n >= carried]
        free_xs, free_around = [x for x in own_xs if has_gradient(x)], [x for x in own_around if has_gradient(x)]
        wrt = [*(own_carry[n] for n in moving), *free_around, *free_xs]
        found = pulled_back(wrt, [(body.outputs[n], arriving[n]) for n in live])
        sums = [like(x) for x in free_around]
        first, middle = len(moving), len(moving) + len(free_around)
        added = [total + g for total, g in zip(sums, found[first:middle], strict=True)]
        turn = Inner(
            [*(arriving[n] for n in moving), *sums, *own_xs, *own_carry, *(arriving[n] for n in seen), *own_around],
            [*found[:first], *added, *found[middle:]],
        )
        given = dict(zip(live, arrived([outputs[n] for n in live], [upstream[n] for n in live]), strict=True))
        around = inputs[carried + fed :]
        zeros = [x.zeros_like() for x in around if has_gradient(x)]
        backward = Scan(turn, first + len(sums), fed + carried + len(seen), self.length, not self.reverse, False)
        results = backward(
            *(given[n] for n in moving), *zeros, *inputs[carried : carried + fed], *starts, *(given[n] for n in seen), *around, return_list=True
        )
        of_carry, of_around, of_xs = iter(results[:first]), iter(results[first:middle]), iter(results[middle:])
        gradients = []
        for part, source in ((inputs[:carried], of_carry), (inputs[carried : carried + fed], of_xs), (around, of_around)):
            gradients += [next(source) if has_gradient(x) else nothing(x) for x in part]
        return gradients


def scan(body: Callable, carry: Tensors, xs: Tensors, length: int, reverse: bool) -> tuple[Tensors, Tensors]:
    """The primitive `scan`, in a graph."""
    carry, xs = [as_variable(x) for x in carry], [as_variable(x) for x in xs]
    turn = [like(x) for x in carry]
    rows = [marked(type_of(x.type.shape[1:], x.type.dtype)(), dtype_of(x)) for x in xs]
    last, ys = body(tuple(map(Traced, turn)), tuple(map(Traced, rows)))
    last, ys = [as_variable(x) for x in last], [as_variable(y) for y in ys]
    inner, around = closed([*turn, *rows], [*last, *ys])
    outputs = Scan(inner, len(carry), len(xs), length, reverse, False)(*carry, *xs, *around, return_list=True)
    outputs = [Traced(marked(y, dtype_of(x))) for y, x in zip(outputs, [*carry, *ys], strict=True)]
    return tuple(outputs[: len(carry)]), tuple(outputs[len(carry) :])
