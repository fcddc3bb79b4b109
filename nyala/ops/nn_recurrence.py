# SPDX-License-Identifier: Apache-2.0
"""Recurrence over time: any step function, and the sequences of LSTM and GRU. Building blocks of layers.

Time is the second axis outside and the first inside. A masked step keeps the states and repeats the output before it. Start at recurrent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nyala.core import tree
from nyala.core.errors import ArgumentError, ShapeError
from nyala.core.op import convert, engine, op
from nyala.core.variable import Scope
from nyala.engines.protocol import Tensor, Tree
from nyala.ops.control import scan


def recurrent(
    step: Callable,
    inputs: Tree,
    states: Tree,
    mask: Tensor | None = None,
    go_backwards: bool = False,
    return_all: bool = True,
    unroll: bool = False,
    zero_output_for_mask: bool = False,
) -> tuple[Tensor, Tensor | None, Tree]:
    """output, states = step(input, states) for each time: the last output, all outputs, and the last states.

    Args:
        step: of a tree of inputs (b, ...) and the tree of states; returns the output (b, ...) and states of the same shapes and dtypes.
        inputs: tree of (b, t, ...).
        states: first states.
        mask: (b, t) bool; where it is False, states stay and the output is the one before: at first 0, or the state that is the output.
        go_backwards: from the last time to the first; outputs come in that order.
        return_all: whether all outputs are wanted; None comes in their place otherwise.
        unroll: as many copies of the step as times, in place of a loop.
        zero_output_for_mask: all outputs are 0 where the mask is False, instead of the one before.

    >>> last, outputs, _ = recurrent(lambda x, state: (x + state, x + state), convert([[[1.0], [2.0], [3.0]]]), convert([[0.0]]))
    >>> last.tolist(), outputs.tolist()
    ([[6.0]], [[[1.0], [3.0], [6.0]]])
    """
    times = tree.map_structure(lambda x: _swap(convert(x)), inputs)  # t b ...
    states = tree.map_structure(convert, states)
    length = tree.flatten(times)[0].shape[0]
    if length == 0:
        raise ShapeError("recurrent(inputs)", need="at least one time", got="none")
    shape, dtype, own = _probe(step, times, states)
    before = () if own is not None else engine.full(shape, 0, dtype)  # the output before, carried unless it is one of the states
    masks = () if mask is None else _swap(convert(mask, "bool"))  # t b

    def turn(carry: Tree, now: Tree) -> tuple[Tree, Tree]:
        (old, before), (x, seen) = carry, now
        output, new = step(x, old)
        shown = output
        if mask is not None:
            new = tree.pack_sequence_as(old, [_choose(seen, a, b) for a, b in zip(tree.flatten(new), tree.flatten(old), strict=True)])
            shown = tree.flatten(new)[own] if own is not None else _choose(seen, output, before)
        else:
            new = tree.pack_sequence_as(old, tree.flatten(new))
        given = _choose(seen, output, engine.full(shape, 0, dtype)) if mask is not None and zero_output_for_mask else shown
        return (new, before if own is not None else shown), given if return_all else None

    (states, before), outputs = scan.function(turn, (states, before), (times, masks), length, go_backwards, True if unroll else 1)
    last = tree.flatten(states)[own] if own is not None else before
    if return_all:
        outputs = _swap(engine.flip(outputs, (0,)) if go_backwards else outputs)
    return last, outputs, states


def _swap(x: Tensor) -> Tensor:
    """(b, t, ...) as (t, b, ...), and back."""
    return engine.transpose(x, (1, 0, *range(2, x.ndim)))


def _choose(seen: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """new in the rows (b,) that are seen, else old."""
    return engine.where(engine.reshape(seen, (*seen.shape, *(1,) * (new.ndim - 1))), new, old)


def _probe(step: Callable, times: Tree, states: Tree) -> tuple[tuple[int, ...], str, int | None]:
    """Shape and dtype of the output, and the number of the state that it is, if it is one. What the step assigns meanwhile is dropped."""
    found: list[Any] = []

    def look(*leaves: Tensor) -> list:
        x, old = tree.pack_sequence_as([times, states], leaves)
        output, new = step(x, old)
        same = next((i for i, leaf in enumerate(tree.flatten(new)) if leaf is output), None)
        found[:] = [tuple(output.shape), engine.dtype(output), same]
        return [output]

    first = [engine.reshape(engine.slice(x, (0,) * x.ndim, (1, *x.shape[1:]), (1,) * x.ndim), x.shape[1:]) for x in tree.flatten(times)]
    with Scope():
        if engine.compiles:
            engine.eval_shape(look, *first, *tree.flatten(states))
        else:
            look(*first, *tree.flatten(states))
    return tuple(found)  # type: ignore[return-value]


# Sequences of known cells -------------------------------------------------------------------------------------------------------

Activation = str | Callable


def _function(activation: Activation) -> Callable:
    """The functions that shortcuts of engines know go by name."""
    if callable(activation):
        return activation
    if activation not in ("tanh", "sigmoid"):
        raise ArgumentError("activation", need="a function, 'tanh' or 'sigmoid'", got=repr(activation))
    return getattr(engine, activation)


def _columns(x: Tensor, number: int) -> list[Tensor]:
    """The last axis in equal parts."""
    size, before, ones = x.shape[-1] // number, x.shape[:-1], (1,) * x.ndim
    zeros = (0,) * len(before)
    return [engine.slice(x, (*zeros, i * size), (*before, (i + 1) * size), ones) for i in range(number)]


def _sequence(
    step: Callable, inputs: Tensor, kernel: Tensor, bias: Tensor | None, states: Sequence[Tensor], mask: Tensor | None, go_backwards: bool
) -> tuple[Tensor, ...]:
    """All outputs, which are the first state, and the last states, from time-major scans without a probe.

    The inputs of all times go through one product."""
    times = engine.matmul(_swap(inputs), kernel)  # t b gates
    times = times if bias is None else engine.add(times, bias)
    xs = (times,) if mask is None else (times, _swap(mask))

    def turn(carry: tuple, now: tuple) -> tuple[tuple, tuple]:
        new = step(now[0], *carry)
        if mask is not None:
            new = tuple(_choose(now[1], a, b) for a, b in zip(new, carry, strict=True))
        return new, (new[0],)

    last, (outputs,) = engine.scan(turn, tuple(states), xs, times.shape[0], go_backwards, 1)
    return (_swap(engine.flip(outputs, (0,)) if go_backwards else outputs), *last)


@op
def lstm_sequence(
    inputs: Tensor,
    hidden: Tensor,
    cell: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    go_backwards: bool = False,
    activation: Activation = "tanh",
    recurrent_activation: Activation = "sigmoid",
) -> tuple[Tensor, Tensor, Tensor]:
    """A long short-term memory over time: all hidden states (b, t, u), the last one, and the last cell state.

    Args:
        inputs: (b, t, d).
        hidden, cell: (b, u), first states.
        kernel: (d, 4 u), columns for the gates i, f, the candidate c and the gate o.
        recurrent_kernel, bias: (u, 4 u) and (4 u,), in the same order.
        mask: (b, t) bool; where it is False the states stay.
        go_backwards: from the last time to the first; outputs come in that order.

    Source: Hochreiter, Schmidhuber 1997, Long short-term memory; Gers, Schmidhuber, Cummins 2000 for the gate f.

    >>> outputs, hidden, cell = lstm_sequence([[[3.0]]], [[0.0]], [[2.0]], [[0.0, 0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0, 0.0]])
    >>> cell.tolist(), hidden.tolist()
    ([[1.0]], [[0.3807971]])
    """
    act, gate = _function(activation), _function(recurrent_activation)

    def step(x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        i, f, candidate, o = _columns(engine.add(x, engine.matmul(h, recurrent_kernel)), 4)
        c = engine.add(engine.multiply(gate(f), c), engine.multiply(gate(i), act(candidate)))
        return engine.multiply(gate(o), act(c)), c

    return _sequence(step, inputs, kernel, bias, (hidden, cell), mask, go_backwards)  # type: ignore[return-value]


@op
def gru_sequence(
    inputs: Tensor,
    hidden: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None = None,
    recurrent_bias: Tensor | None = None,
    mask: Tensor | None = None,
    go_backwards: bool = False,
    reset_after: bool = True,
    activation: Activation = "tanh",
    recurrent_activation: Activation = "sigmoid",
) -> tuple[Tensor, Tensor]:
    """Gated recurrent units over time: all hidden states (b, t, u), and the last one.

    Args:
        inputs: (b, t, d).
        hidden: (b, u), first state.
        kernel: (d, 3 u), columns for the gates z, r and the candidate h.
        recurrent_kernel: (u, 3 u), columns in the same order.
        bias, recurrent_bias: (3 u,), added to the products with the kernels; the second one is used with reset_after.
        mask: (b, t) bool; where it is False the state stays.
        go_backwards: from the last time to the first; outputs come in that order.
        reset_after: whether the gate r is applied after the product with the recurrent kernel, or before.

    Source: Cho and others 2014, Learning phrase representations using RNN encoder-decoder for statistical machine translation.

    >>> outputs, hidden = gru_sequence([[[3.0]]], [[2.0]], [[0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0]])
    >>> hidden.tolist()
    [[1.0]]
    """
    act, gate = _function(activation), _function(recurrent_activation)
    units = hidden.shape[-1]
    starts = {"gates": 0, "candidate": 2 * units}
    split = {
        name: engine.slice(recurrent_kernel, (0, start), (units, start + (2 if name == "gates" else 1) * units), (1, 1))
        for name, start in starts.items()
    }

    def step(x: Tensor, h: Tensor) -> tuple[Tensor]:
        if reset_after:
            inner = engine.matmul(h, recurrent_kernel)
            inner_z, inner_r, inner_h = _columns(inner if recurrent_bias is None else engine.add(inner, recurrent_bias), 3)
            x_z, x_r, x_h = _columns(x, 3)
            z, r = gate(engine.add(x_z, inner_z)), gate(engine.add(x_r, inner_r))
            candidate = act(engine.add(x_h, engine.multiply(r, inner_h)))
        else:
            x_z, x_r, x_h = _columns(x, 3)
            inner_z, inner_r = _columns(engine.matmul(h, split["gates"]), 2)
            z, r = gate(engine.add(x_z, inner_z)), gate(engine.add(x_r, inner_r))
            candidate = act(engine.add(x_h, engine.matmul(engine.multiply(r, h), split["candidate"])))
        return (engine.add(candidate, engine.multiply(z, engine.subtract(h, candidate))),)

    return _sequence(step, inputs, kernel, bias, (hidden,), mask, go_backwards)  # type: ignore[return-value]
