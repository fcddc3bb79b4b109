# SPDX-License-Identifier: Apache-2.0
"""Functions of `keras.backend` about graphs: functions between symbolic tensors, gradients, the learning phase, variables and their updates.

There is no session here: a symbolic tensor is one of nyala, a function is compiled by the engine, and a variable has its value at any time.
Start at Function.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from nyala import ops
from nyala.core import names, tree
from nyala.core.config import floatx
from nyala.core.errors import ArgumentError, StateError
from nyala.core.symbolic import Node, Operation, Symbolic
from nyala.core.transforms import jit
from nyala.core.variable import Scope, Variable
from nyala.engines import current
from nyala.layers.layer import context
from nyala.legacy.own_optimizers import Updates, made
from nyala.models.graph import Graph

# Whether the model trains ----------------------------------------------------------------------------------------------------------


class LearningPhase:
    """What learning_phase() returns outside of a layer: 1 where training is meant and 0 elsewhere, and a place among the inputs of a function."""

    def __int__(self) -> int:
        return int(bool(_phase[0]))

    __index__ = __int__

    def __bool__(self) -> bool:
        return bool(_phase[0])

    def __eq__(self, other: object) -> bool:
        return other is self or (isinstance(other, (int, float)) and int(self) == other)

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"<the learning phase, {int(self)}>"


_PHASE = LearningPhase()
_phase: list[Any] = [None]


def learning_phase() -> Any:
    """1 while a model trains, 0 while it does not.

    >>> int(learning_phase())
    0
    """
    return int(bool(context.training)) if context.root is not None else _PHASE


def set_learning_phase(value: Any) -> None:
    """What learning_phase() is outside of fit, evaluate and predict, which know better."""
    _phase[0] = value


@contextlib.contextmanager
def learning_phase_scope(value: Any) -> Iterator[None]:
    """The learning phase of a block."""
    before, _phase[0] = _phase[0], value
    try:
        yield
    finally:
        _phase[0] = before


class _Phase(Operation):
    """One of two tensors of a graph, by whether it trains."""

    def call(self, x: Any, alt: Any) -> Any:
        trains = context.training if context.training is not None else bool(_phase[0])
        return x if trains else alt


def in_train_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """x while the model trains, alt while it does not; either may be a function that makes it.

    >>> float(in_train_phase(lambda: ops.array(1.0), ops.array(2.0), training=0))
    2.0
    """
    make = lambda value: value() if callable(value) and not hasattr(value, "shape") else value  # noqa: E731
    if training is None or isinstance(training, LearningPhase):
        if context.root is None:
            x, alt = make(x), make(alt)
            if isinstance(x, Symbolic) or isinstance(alt, Symbolic):
                return _Phase()(x, alt)
        training = learning_phase()
    if isinstance(training, (bool, int, LearningPhase)):
        return make(x if training else alt)
    return switch(training, x, alt)


def in_test_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """x while the model does not train, alt while it does."""
    return in_train_phase(alt, x, training)


def switch(condition: Any, then_expression: Any, else_expression: Any) -> Any:
    """One of two tensors, by one condition or entry by entry; either may be a function that makes it."""
    make = lambda value: value() if callable(value) and not hasattr(value, "shape") else value  # noqa: E731
    if isinstance(condition, (bool, int, LearningPhase)):
        return make(then_expression if condition else else_expression)
    then, other = make(then_expression), make(else_expression)
    condition = ops.cast(condition, "bool")
    rank = len(getattr(then, "shape", ()))
    if 0 < len(condition.shape) < rank:
        condition = ops.reshape(condition, (*(-1 if n is None else n for n in condition.shape), *(1,) * (rank - len(condition.shape))))
    return ops.where(condition, then, other)


# Functions -------------------------------------------------------------------------------------------------------------------------


class Function:
    """What K.function returns: the outputs for values of the inputs, as arrays.

    Args:
        inputs: symbolic tensors, and learning_phase() where the caller says it.
        outputs: symbolic tensors or variables; a list of them gives a list of arrays.
        updates: pairs (variable, new value), assigned by each call.
        name: is not used.

    >>> import nyala
    >>> x = nyala.Input((2,))
    >>> Function([x, learning_phase()], [nyala.layers.Dropout(0.5)(x)])([np.ones((1, 2), "float32"), 0])[0].tolist()
    [[1.0, 1.0]]
    """

    def __init__(self, inputs: Any, outputs: Any, updates: Any = None, name: str | None = None, **kwargs: Any) -> None:
        self._given = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        self.inputs = tree.flatten(self._given)  # [model.inputs, learning_phase()] stands for all of them in a row
        self.outputs, self.name = outputs, name
        self.updates = [(pair[0], pair[1]) for pair in updates or ()]
        self._ends = [*tree.flatten(outputs), *(new for _, new in self.updates)]
        self._tensors = [x for x in self.inputs if isinstance(x, Symbolic)]
        for x in self.inputs:
            if not isinstance(x, (Symbolic, LearningPhase, int)):
                raise ArgumentError("K.function(inputs)", need="symbolic tensors and K.learning_phase()", got=type(x).__name__)
        symbolic = [x for x in self._ends if isinstance(x, Symbolic)]
        self._graph = Graph(self._tensors, symbolic, "K.function") if symbolic else None
        self._programs: dict[bool | None, Any] = {}

    def __call__(self, inputs: Any = ()) -> Any:
        values = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        if any(isinstance(x, list) for x in self._given):
            pairs = zip(self._given, values, strict=False)
            values = [one for x, v in pairs for one in (v if isinstance(x, list) and isinstance(v, list) and len(v) == len(x) else [v])]
        phases = [value for x, value in zip(self.inputs, values, strict=False) if not isinstance(x, Symbolic)]
        given = [value for x, value in zip(self.inputs, values, strict=False) if isinstance(x, Symbolic)]
        if len(given) != len(self._tensors):
            raise ArgumentError("a function of K.function", need=f"{len(self.inputs)} inputs", got=f"{len(values)}")
        training = bool(phases[0]) if phases else None if _phase[0] is None else bool(_phase[0])
        if training not in self._programs:
            self._programs[training] = jit(lambda *tensors: self._run(training, tensors))
        dtyped = [
            ops.convert_to_tensor(np.asarray(v) if isinstance(v, (list, tuple)) else v, x.dtype) for v, x in zip(given, self._tensors, strict=True)
        ]
        results = [ops.convert_to_numpy(value) for value in self._programs[training](*dtyped)]
        return tree.pack_sequence_as(self.outputs, results) if tree.is_nested(self.outputs) else results[0]

    def _run(self, training: bool | None, tensors: Sequence[Any]) -> list[Any]:
        before, context.training = context.training, training
        try:
            found = iter(self._graph.run(list(tensors)) if self._graph is not None else ())
            values = [next(found) if isinstance(x, Symbolic) else ops.convert_to_tensor(x) for x in self._ends]
        finally:
            context.training = before
        count = len(self._ends) - len(self.updates)
        for (variable, _), value in zip(self.updates, values[count:], strict=True):
            variable.assign(value)
        return values[:count]


def function(inputs: Any, outputs: Any, updates: Any = None, name: str | None = None, **kwargs: Any) -> Function:
    """A function between symbolic tensors: see Function."""
    return Function(inputs, outputs, updates, name, **kwargs)


class _Gradients(Operation):
    """Derivatives of a tensor of a graph, summed, by others and by variables."""

    def __init__(self, loss: Symbolic, tensors: list[Symbolic], sources: list[Symbolic], variables: list[Variable]) -> None:
        super().__init__()
        self.variables, self._shapes = variables, [(x.shape, x.dtype) for x in (*tensors, *variables)]
        self.graph = Graph([*tensors, *sources], [loss], "K.gradients")

    def call(self, tensors: list[Any], sources: list[Any]) -> list[Any]:
        count = len(tensors)

        def total(values: list[Any]) -> Any:
            with Scope(self.variables, values[count:]):
                return ops.sum(self.graph.run([*values[:count], *sources])[0]), None

        _, gradients = current().value_and_grad(total)([*(ops.convert_to_tensor(x) for x in tensors), *(v.value for v in self.variables)])
        return list(gradients)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        return [Symbolic(shape, dtype) for shape, dtype in self._shapes]


def gradients(loss: Any, variables: Any) -> list[Any]:
    """Symbolic derivatives of the sum of a symbolic tensor, for functions of K.function.

    Args:
        loss: a symbolic tensor.
        variables: symbolic tensors on the way to it, or variables; one or a list.

    >>> import nyala
    >>> x = nyala.Input((2,))
    >>> function([x], gradients(ops.sum(x * x), [x]))([np.array([[1.0, 3.0]], "float32")])[0].tolist()
    [[2.0, 6.0]]
    """
    given = list(variables) if isinstance(variables, (list, tuple)) else [variables]
    if isinstance(loss, Updates):
        return loss.gradients_of(given)
    if not isinstance(loss, Symbolic):
        raise ArgumentError(
            "K.gradients(loss)",
            need="a symbolic tensor, computed from the inputs of a model",
            got=type(loss).__name__,
            fix="for derivatives of values write a function and use nyala.value_and_grad",
        )
    tensors = [x for x in given if isinstance(x, Symbolic)]
    weights = [x for x in given if isinstance(x, Variable)]
    sources = _sources(loss, tensors)
    made = _Gradients(loss, tensors, sources, weights)(tensors, sources)
    by_id = dict(zip(map(id, [*tensors, *weights]), made, strict=True))
    return [by_id[id(x)] for x in given]


def _sources(loss: Symbolic, stops: list[Symbolic]) -> list[Symbolic]:
    """The inputs that a tensor is computed from by ways that do not go through others."""
    found: list[Symbolic] = []
    waiting, seen = [loss], set(map(id, stops))
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        before = tensor.node.input_tensors if tensor.node is not None else []
        if before:
            waiting += before
        else:
            found.append(tensor)
    return found


def placeholder(
    shape: Any = None, ndim: int | None = None, dtype: Any = None, sparse: bool = False, name: str | None = None, ragged: bool = False
) -> Symbolic:
    """A symbolic tensor: an input of a function."""
    from nyala.layers import Input

    if shape is None and ndim is None:
        raise ArgumentError("K.placeholder", need="a shape, or the number of axes", got="neither")
    return Input(batch_shape=tuple(shape) if shape is not None else (None,) * (ndim or 0), dtype=dtype or floatx(), name=name)


def is_placeholder(x: Any) -> bool:
    """Whether x is an input of a graph."""
    return isinstance(x, Symbolic) and (x.node is None or (isinstance(x.node, Node) and not x.node.input_tensors))


def is_symbolic(x: Any) -> bool:
    return isinstance(x, Symbolic)


def symbolic(func: Callable) -> Callable:
    """The function itself: there is one way to run, for tensors and symbolic ones."""
    return func


eager = symbolic


# Variables -------------------------------------------------------------------------------------------------------------------------


def variable(value: Any, dtype: Any = None, name: str | None = None, constraint: Any = None) -> Variable:
    """A new variable."""
    from nyala import constraints

    if isinstance(value, Symbolic):
        raise ArgumentError("K.variable(value)", need="numbers", got="a symbolic tensor", fix="use it as it is")
    array = np.asarray(ops.convert_to_numpy(value) if ops.is_tensor(value) or isinstance(value, Variable) else value)

    def make() -> Variable:
        new = Variable(array.astype(str(dtype or floatx())) if str(dtype) != "bfloat16" else array, dtype=dtype or floatx(), name=name)
        new.constraint = constraints.get(constraint)
        return new

    return made(make)


def constant(value: Any, dtype: Any = None, shape: Any = None, name: str | None = None) -> Any:
    """A tensor of given numbers; one number fills a shape."""
    tensor = ops.convert_to_tensor(value, dtype or floatx())
    if shape is None:
        return tensor
    return ops.full(shape, value, dtype or floatx()) if np.ndim(value) == 0 else ops.reshape(tensor, shape)


def get_value(x: Any) -> Any:
    """The value of a variable or tensor, as an array; of a number as it is.

    >>> get_value(variable([1.0, 2.0])).tolist()
    [1.0, 2.0]
    """
    if isinstance(x, (int, float, np.ndarray, np.generic)):
        return x
    if isinstance(x, Symbolic):
        raise StateError(
            "K.get_value(x)", need="a variable or a tensor with a value", got="a symbolic tensor", fix="use K.function, or model.predict"
        )
    value = ops.convert_to_numpy(x)
    return value[()] if value.ndim == 0 else value


eval = get_value


def set_value(x: Any, value: Any) -> None:
    """Set a variable."""
    x.assign(value)


def batch_get_value(tensors: Sequence[Any]) -> list[Any]:
    return [get_value(x) for x in tensors]


def batch_set_value(tuples: Sequence[tuple[Any, Any]]) -> None:
    for x, value in tuples:
        x.assign(value)


def get_variable_shape(x: Any) -> tuple[int, ...]:
    return tuple(x.shape)


class Update(tuple):
    """(variable, new value): what an update is until someone carries it out."""


def _update(x: Any, make: Callable[[], Any], only_in_training: bool) -> Any:
    new = make()
    if isinstance(new, Symbolic):
        return Update((x, new))
    if Updates.running:
        Updates.running[-1].set(x, new)
        return x
    if context.root is None or context.training:
        x.assign(new)
    return x


def update(x: Variable, new_x: Any) -> Any:
    """Set a variable: at once, in a layer while it trains; of a symbolic value a pair for K.function(updates=[...])."""
    return _update(x, lambda: new_x, False)


def update_add(x: Variable, increment: Any) -> Any:
    return _update(x, lambda: ops.add(x, increment), False)


def update_sub(x: Variable, decrement: Any) -> Any:
    return _update(x, lambda: ops.subtract(x, decrement), False)


def moving_average_update(x: Variable, value: Any, momentum: float) -> Any:
    """Set a variable to its average with a new value: momentum * x + (1 - momentum) * value."""
    return _update(x, lambda: ops.add(ops.multiply(x, momentum), ops.multiply(value, 1.0 - momentum)), True)


def print_tensor(x: Any, message: str = "", summarize: int = 3) -> Any:
    """Print a tensor that has a value, and return it; in a compiled part its shape."""
    try:
        print(message, ops.convert_to_numpy(x))
    except Exception:  # symbolic, or being traced
        print(message, f"<tensor of shape {tuple(x.shape)}>")
    return x


# Loops over time -------------------------------------------------------------------------------------------------------------------


def rnn(
    step_function: Callable,
    inputs: Any,
    initial_states: Sequence[Any],
    go_backwards: bool = False,
    mask: Any = None,
    constants: Any = None,
    unroll: bool = False,
    input_length: Any = None,
    time_major: bool = False,
    zero_output_for_mask: bool = False,
    return_all_outputs: bool = True,
) -> tuple[Any, Any, list[Any]]:
    """step_function(input, states + constants) -> (output, new states), for each time: the last output, all of them, and the last states.

    return_all_outputs=False: in the place of all the last one, as a sequence of one. zero_output_for_mask: it is 0 where its time is masked.
    """
    from nyala.ops.nn_recurrence import recurrent

    rest = list(constants or ())
    swap = lambda x: ops.swapaxes(x, 0, 1)  # noqa: E731
    inputs = tree.map_structure(swap, inputs) if time_major else inputs

    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        output, new = step_function(x, [*states, *rest])
        return output, list(new)

    if mask is not None:
        mask = ops.cast(ops.squeeze(mask, -1) if len(mask.shape) == 3 else mask, "bool")
        mask = swap(mask) if time_major else mask
    last, outputs, states = recurrent(step, inputs, list(initial_states), mask, go_backwards, return_all_outputs, unroll, zero_output_for_mask)
    if mask is not None and zero_output_for_mask:
        there = mask[:, 0 if go_backwards else -1]
        last = tree.map_structure(lambda x: ops.where(ops.reshape(there, (-1, *(1,) * (len(x.shape) - 1))), x, ops.zeros_like(x)), last)
    if outputs is None:
        outputs = tree.map_structure(lambda x: ops.expand_dims(x, 1), last)
    return last, tree.map_structure(swap, outputs) if time_major else outputs, states


# What graphs of other libraries needed ---------------------------------------------------------------------------------------------


class name_scope(names.name_scope):
    """Names of variables made inside begin with this one."""

    def __init__(self, name: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(name)


@contextlib.contextmanager
def control_dependencies(control_inputs: Any) -> Iterator[None]:
    """Nothing: what is written first happens first."""
    yield


def get_session() -> Any:
    """Refused: nothing here runs in a session."""
    raise StateError(
        "K.get_session()",
        need="an engine with sessions",
        got="Nyala, which has none",
        why="variables have their values at any time, and functions are compiled when they are called",
        fix="use K.get_value(tensor), K.function(inputs, outputs), or model.predict",
    )


def set_session(session: Any) -> None:
    """Nothing: there are no sessions."""


def manual_variable_initialization(value: bool) -> None:
    """Nothing: variables have values from the beginning."""


def v1_variable_initialization() -> None:
    """Nothing: variables have values from the beginning."""


def set_legacy_weight_ordering(value: bool) -> None:
    """Nothing: files say which order their weights have."""


def legacy_weight_ordering() -> bool:
    return False


def reset_uids() -> None:
    """Begin anew with automatic names."""
    names.reset()


def pattern_broadcast(x: Any, broadcastable: Any = None, broatcastable: Any = None) -> Any:
    """The tensor itself: sizes of 1 always broadcast."""
    return x


def is_explicit_shape(shape: Any) -> bool:
    return isinstance(shape, (list, tuple)) and all(isinstance(n, (int, type(None))) for n in shape)
