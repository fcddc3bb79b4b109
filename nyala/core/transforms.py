# SPDX-License-Identifier: Apache-2.0
"""jit, value_and_grad and their kin for functions that read and assign variables. Public as nyala.jit, nyala.value_and_grad, ..."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from nyala.core import sharding, tree, twins
from nyala.core.errors import NyalaError
from nyala.core.masks import get_mask, set_mask
from nyala.core.op import convert
from nyala.core.recompiles import Recompiles
from nyala.core.variable import Scope, Variable, autocast, state
from nyala.engines import current, real_engine
from nyala.engines.protocol import Engine, Tensor

STATIC = (str, bytes, bool, type(None), type, type(...))


class Program:
    """A stateful function, compiled: the variables it assigns (whose memory is reused), those it only reads, and the engine's trace of it.

    A twin of a function that was compiled before takes over its trace; see twins.py."""

    def __init__(self, engine: Engine, function: Callable, specs: Any) -> None:
        self.engine, self.function = engine, function
        self.traces = 0
        self._laid_out: Any = None  # the distribution that its variables are laid out by
        self._late: list[Variable] = []
        self._description = twins.description_of(function, specs, engine.name)
        found = twins.find(self._description)
        self._ready = found is not None
        if found is not None and self._description is not None:
            known = self._description.variables
            self._trace = found
            self.written, self.only_read = [known[place] for place in found.written], [known[place] for place in found.only_read]
        else:
            reads, self.written, _ = discover(function, *specs)
            self.only_read = [v for v in reads if not any(v is w for w in self.written)]
            self._compile()

    def _compile(self) -> None:
        self._trace = trace = twins.Trace()

        def program(written: list[Tensor], only_read: list[Tensor], *args: Any) -> tuple[Any, list[Tensor]]:
            return trace.caller.program.traced(written, only_read, *args)

        trace.run = self.engine.compile(program, donate=(0,))

    def traced(self, written: list[Tensor], only_read: list[Tensor], *args: Any) -> tuple[Any, list[Tensor]]:
        """The function as a pure one, for the engine to trace: (outputs, new values)."""
        self.traces += 1
        with Scope([*self.written, *self.only_read], [*written, *only_read]) as inside:
            outputs = self.function(*args)
        known = set(map(id, self.written))
        self._late = [v for key, v in {**inside.missing, **inside.touched}.items() if key not in known]
        return outputs, [inside.values[id(v)] for v in self.written]

    def __call__(self, *args: Any) -> Any:
        if self._laid_out is not sharding.current:
            self._lay_out()
        caller = self._trace.caller
        caller.program = self
        try:
            if not self._ready:
                caller = self._check_trace(args)
            outputs, values = self._trace.run([v.stored() for v in self.written], [v.stored() for v in self.only_read], *args)
        finally:
            caller.program = None
        for variable, value in zip(self.written, values, strict=True):
            if variable._lent is None:
                variable._stored, variable._owner = value, self.engine
            else:
                variable.store(value)
        return outputs

    def _lay_out(self) -> None:
        """Variables made before the distribution was set move to where it wants them."""
        sharding.adopt([*self.written, *self.only_read])
        self._laid_out = sharding.current

    def _check_trace(self, args: tuple) -> Any:
        """Trace once; variables that only the real trace found (the spec engine took another way) become arguments, too. Returns the caller."""
        while True:
            self._trace.caller.program = self
            self.engine.eval_shape(self._trace.run, [v.stored() for v in self.written], [v.stored() for v in self.only_read], *args)
            if not self._late:
                self._ready = True
                self._trace.keep(self._description, self.written, self.only_read)
                return self._trace.caller
            self.only_read = [v for v in self.only_read if not any(v is w for w in self._late)]
            self.written += self._late
            self._lay_out()
            self._compile()


def discover(function: Callable, *specs: Any) -> tuple[list[Variable], list[Variable], Any]:
    """Variables that a function reads and those it assigns, and its result as a tree of Specs, from running it on shapes.

    specs: trees with Specs for tensors. Code that needs the engine's own tensors is traced by the engine."""
    from nyala.engines.spec import Spec, infer

    real = real_engine()
    with Scope() as inside:
        try:
            result = infer(function, *specs)
        except (TypeError, AttributeError) as error:
            if not real.compiles:
                raise
            inside.read.clear()
            inside.touched.clear()
            inside.values.clear()
            try:
                result = real.eval_shape(function, *specs)
            except NyalaError:  # says what is wrong; the first error only that the function needs the engine
                raise
            except Exception as second:  # the engine stumbles, too; the first error is about the code of the user
                raise error from second
            result = tree.map_structure(lambda leaf: Spec(tuple(leaf.shape), str(leaf.dtype)) if hasattr(leaf, "shape") else leaf, result)
    return list(inside.read.values()), list(inside.touched.values()), result


def repeat(function: Callable, start: Tensor, count: Tensor) -> Any:
    """function(i) for i in start, ..., start + count - 1: a stateful function, run in one compiled loop where the engine compiles.

    Returns what the last call returned, a tree of tensors. start and count may be computed; on eager engines they are Python ints.
    """
    engine = current()
    if engine.abstract:
        return function(start)
    if not engine.compiles:
        result = None
        for i in range(int(start), int(start) + int(count)):
            result = function(i)
        return result
    from nyala.engines.spec import Spec

    _, written, outputs = discover(function, Spec((), "int32"))
    places = [leaf for leaf in tree.flatten(outputs) if isinstance(leaf, Spec)]
    first = [engine.full(leaf.shape, 0, leaf.dtype) for leaf in places]

    def body(i: Tensor, *carried: Tensor) -> tuple[Tensor, ...]:
        with Scope(written, carried[len(first) :]) as inside:
            result = function(i)
        leaves = [leaf for leaf in tree.flatten(result) if engine.is_tensor(leaf)]
        return (engine.add(i, 1), *leaves, *(inside.values[id(v)] for v in written))

    end = engine.add(start, count)
    _, *carried = engine.while_loop(lambda i, *_: engine.less(i, end), body, (start, *first, *(v.value for v in written)))
    for variable, value in zip(written, carried[len(first) :], strict=True):
        variable.assign(value)
    last = iter(carried[: len(first)])
    return tree.map_structure(lambda leaf: next(last) if isinstance(leaf, Spec) else leaf, outputs)


class Compiled:
    """A stateful function as compiled functions of the engine in force; see jit. New shapes, dtypes, constants or engines mean a new Program."""

    def __init__(self, function: Callable) -> None:
        functools.update_wrapper(self, function, updated=())
        self.function = function
        self.programs: dict[Any, Program] = {}
        self._recompiles = Recompiles()

    @property
    def traces(self) -> int:
        """How often the function was traced by an engine."""
        return sum(program.traces for program in self.programs.values())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        engine = current()
        if state.scopes or engine.abstract:  # inside another trace
            return self.function(*args, **kwargs)
        if not engine.compiles:
            args, kwargs = tree.map_structure(lambda leaf: leaf if _is_static(leaf) else convert(leaf), [list(args), kwargs])
            return engine.compile(functools.partial(self.function, **kwargs))(*args)
        leaves = tree.flatten([args, kwargs])
        key = (engine.name, sharding.current, _shape_of([args, kwargs]), tuple(map(_signature, leaves)))
        dynamic = [convert(leaf) for leaf in leaves if not _is_static(leaf)]
        program = self.programs.get(key)
        if program is None:
            self._note(engine, args, kwargs)
            program = self.programs[key] = self._trace(engine, args, kwargs, dynamic)
        return program(dynamic)

    def _note(self, engine: Engine, args: tuple, kwargs: dict) -> None:
        """Count one more program, and say so when they are many."""
        try:
            names = list(inspect.signature(self.function).parameters)
        except (TypeError, ValueError):  # functions written in C
            names = []

        def name(path: tuple) -> str:
            first = path[1] if path[0] else names[path[1]] if path[1] < len(names) else path[1]
            return f"its argument {first}{''.join(f'[{key!r}]' for key in path[2:])}"

        what = f"nyala.jit({getattr(self.function, '__name__', 'function')})"
        leaves = tuple(
            (path, _signature(leaf) if _is_static(leaf) or hasattr(leaf, "shape") else ((), type(leaf).__name__))
            for path, leaf in tree.flatten_with_path([list(args), kwargs])
        )
        self._recompiles.note((engine.name,), leaves, what, "pad to a few shapes, or pass numbers that change as tensors", name)

    def _trace(self, engine: Engine, args: tuple, kwargs: dict, dynamic: list) -> Program:
        from nyala.engines.spec import Spec

        places = tree.map_structure(lambda leaf: leaf if _is_static(leaf) else _PLACE, [list(args), kwargs])

        def on_leaves(supplied: list) -> Any:
            supply = iter(supplied)
            ready = tree.map_structure(lambda leaf: next(supply) if leaf is _PLACE else leaf, places)
            return self.function(*ready[0], **ready[1])

        return Program(engine, on_leaves, [[Spec(tuple(engine.shape(x)), engine.dtype(x)) for x in dynamic]])


_PLACE = object()


def _is_static(leaf: Any) -> bool:
    return isinstance(leaf, STATIC) or (callable(leaf) and not isinstance(leaf, Variable) and not hasattr(leaf, "shape"))


def _signature(leaf: Any) -> Any:
    if _is_static(leaf):
        return leaf
    return (tuple(leaf.shape), str(leaf.dtype)) if hasattr(leaf, "shape") else type(leaf)


def _shape_of(structure: Any) -> Any:
    """The structure of a tree as something hashable."""
    if isinstance(structure, dict):
        return (dict, tuple((key, _shape_of(structure[key])) for key in structure))
    return (type(structure), tuple(map(_shape_of, structure))) if isinstance(structure, (list, tuple)) else None


def jit(function: Callable | None = None) -> Any:
    """Compile a function that may read and assign variables, for the engine in force.

    Args:
        function: of trees of tensors, arrays and numbers; strings, bools, None and functions among its arguments are constants of the trace.

    >>> import nyala
    >>> total = nyala.Variable(0.0)
    >>> @nyala.jit
    ... def add(x):
    ...     return total.assign_add(nyala.ops.sum(x))
    >>> float(add(nyala.ops.ones(3))), float(add(nyala.ops.ones(3)))
    (3.0, 6.0)
    """
    return jit if function is None else Compiled(function)


def value_and_grad(function: Callable, variables: Sequence[Variable], has_aux: bool = True) -> Callable:
    """Value and gradients of a stateful function: (*args) -> ((loss, aux), gradients in the order of variables).

    Args:
        function: (*args) -> (loss, aux), or -> loss if has_aux is False; the loss is a scalar. Variables it assigns are assigned afterwards.
        variables: what to differentiate by.
    Returns: a function; without aux it returns (loss, gradients). A gradient is 0 where the loss does not depend on the variable. Tensors of aux
        keep their masks.

    >>> import nyala
    >>> w = nyala.Variable([1.0, 2.0])
    >>> (loss, _), (g,) = value_and_grad(lambda: (nyala.ops.sum(w * w), None), [w])()
    >>> float(loss), nyala.ops.convert_to_numpy(g)
    (5.0, array([2., 4.], dtype=float32))
    """
    variables = list(variables)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        engine = current()
        assigned: list[Variable] = []

        def pure(values: list[Tensor]) -> Any:
            with Scope(variables, values) as inside:
                result = function(*args, **kwargs)
            loss, aux = result if has_aux else (result, None)
            assigned[:] = inside.touched.values()
            call.unused = [v for v in variables if id(v) not in inside.read]  # type: ignore[attr-defined]
            return loss, (aux, [get_mask(leaf) for leaf in tree.flatten(aux)], [inside.values[id(v)] for v in assigned])

        values = [variable.value for variable in variables] if not engine.abstract else [engine.full(v.shape, 0, v.dtype) for v in variables]
        (loss, (aux, masks, written)), gradients = engine.value_and_grad(pure)(values)
        for leaf, mask in zip(tree.flatten(aux), masks, strict=True):  # engines hand out new tensors, which have no masks yet
            if mask is not None:
                set_mask(leaf, mask)
        for variable, value in zip(assigned, written, strict=True):
            variable.assign(value)
        return ((loss, aux) if has_aux else loss), gradients

    call.unused = []  # type: ignore[attr-defined]
    return call


def grad(function: Callable, variables: Sequence[Variable]) -> Callable:
    """Gradients of a stateful function that returns a scalar: (*args) -> list of gradients."""
    both = value_and_grad(function, variables, has_aux=False)
    return lambda *args, **kwargs: both(*args, **kwargs)[1]


def remat(f: Callable) -> Callable:
    """The same function, whose intermediate values are recomputed for the gradient instead of stored: less memory, more time.

    Variables that it reads or assigns become arguments and results: the second run sees what the first one saw."""

    @functools.wraps(f)
    def call(*args: Any, **kwargs: Any) -> Any:
        from nyala.engines.spec import Spec

        engine, bound = current(), functools.partial(f, **kwargs)
        if engine.abstract:
            return bound(*args)
        args = tuple(tree.map_structure(lambda leaf: leaf if _is_static(leaf) else convert(leaf), list(args)))
        specs = tree.map_structure(lambda leaf: leaf if _is_static(leaf) else Spec(tuple(engine.shape(leaf)), engine.dtype(leaf)), list(args))
        reads, written, _ = discover(bound, *specs)
        variables, cast = [*written, *(v for v in reads if not any(v is w for w in written))], state.autocast

        def pure(values: list[Tensor], *args: Any) -> Any:
            with Scope(variables, values) as inside, autocast(cast):
                outputs = bound(*args)
            return outputs, [inside.values[id(v)] for v in written]

        outputs, values = engine.remat(pure)([variable._uncast() for variable in variables], *args)
        for variable, value in zip(written, values, strict=True):
            variable.assign(value)
        return outputs

    return call
