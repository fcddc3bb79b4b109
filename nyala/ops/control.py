# SPDX-License-Identifier: Apache-2.0
"""Control flow over trees of tensors: cond, switch, loops, scans, maps, custom gradients.

Engines know flat tuples of tensors; here trees are taken apart and put together, and variables that a body assigns travel along. None in a tree is
nothing, not a tensor. Bodies are user code: they use ops, or Python operators, on tensors. Start at _Flat, then scan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nyala.core import tree
from nyala.core.errors import ArgumentError, ArgumentTypeError, ShapeError, StructureError
from nyala.core.op import convert, engine, normalize_axis, op
from nyala.core.variable import Scope, Variable, autocast
from nyala.engines.protocol import Tensor, Tree
from nyala.ops.core import cast

Flat = tuple[Tensor, ...]


class _Flat:
    """A function of trees as one of flat tuples: values of `variables`, then the leaves of its arguments.

    Attributes:
        structure: the tree of its last result.
        ran: whether it has been called.
        variables: those it assigns, see _find_assigned.
    """

    def __init__(self, function: Callable, *inputs: Tree) -> None:
        self.function, self.inputs = function, inputs
        self.structure: Tree = None
        self.ran = False
        self.variables: list[Variable] = []

    def __call__(self, *leaves: Tensor) -> Flat:
        values, leaves = leaves[: len(self.variables)], leaves[len(self.variables) :]
        args = _pack(list(self.inputs), leaves)
        self.ran = True
        if not self.variables:
            self.structure = self.function(*args)
            return _flatten(self.structure)
        with Scope(self.variables, values) as inside:
            self.structure = self.function(*args)
            result = _flatten(self.structure)
        return (*(inside.values[id(variable)] for variable in self.variables), *result)


def _flatten(structure: Tree) -> Flat:
    """The leaves as tensors."""
    return tuple(convert(leaf) for leaf in tree.flatten(structure) if leaf is not None)


def _pack(structure: Tree, leaves: Sequence[Tensor]) -> Tree:
    """The inverse of _flatten."""
    supply = iter(leaves)
    return tree.map_structure(lambda leaf: None if leaf is None else next(supply), structure)


def _find_assigned(functions: Sequence[_Flat], leaves: Flat) -> Flat:
    """Tell the functions which variables any of them assigns, and return the values of those now. Eager engines assign them as they go."""
    if not engine.compiles:
        return ()
    with Scope() as inside:
        for function in functions:
            engine.eval_shape(lambda *args, function=function: list(function(*args)), *leaves)
    found = list(inside.touched.values())
    for function in functions:
        function.variables = found
    with autocast(None):
        return tuple(variable.value for variable in found)


def _assign(variables: Sequence[Variable], values: Sequence[Tensor]) -> Flat:
    """Assign the first values to the variables; returns the others."""
    for variable, value in zip(variables, values, strict=False):
        variable.assign(value)
    return tuple(values[len(variables) :])


def _need_callable(where: str, *functions: Any) -> None:
    for function in functions:
        if not callable(function):
            raise ArgumentTypeError(where, need="a function", got=repr(function))


def _need_alike(where: str, before: Flat, after: Flat, what: str) -> None:
    """Engines fix the shapes and dtypes of what a loop carries."""
    looks = [", ".join(f"{engine.dtype(leaf)} {tuple(leaf.shape)}" for leaf in leaves) for leaves in (before, after)]
    if looks[0] != looks[1]:
        raise StructureError(where, need=f"a function that returns {what} as it got it, {looks[0]}", got=looks[1] or "nothing",
                             why="each turn of the loop must look like the one before",
                             fix="start with values of the final shape and dtype, 0.0 in place of 0")  # fmt: skip


def _predicate(where: str, value: Any) -> Tensor:
    value = convert(value)
    if value.ndim:
        raise ShapeError(
            where, need="one truth value", got=f"shape {tuple(value.shape)}", fix="use ops.any or ops.all, or ops.where to choose by element"
        )
    return cast(value, "bool")


# Branches ---------------------------------------------------------------------------------------------------------------------


@op
def cond(pred: Any, true_fn: Callable, false_fn: Callable) -> Tree:
    """true_fn() if pred else false_fn(); both return trees of equal structure, shapes and dtypes.

    >>> float(cond(True, lambda: 1.0, lambda: 2.0))
    1.0
    """
    _need_callable("cond", true_fn, false_fn)
    return _choose("cond", engine.where(_predicate("cond(pred)", pred), 0, convert(1)), [_Flat(true_fn), _Flat(false_fn)], ())


@op
def switch(index: Any, branches: Sequence[Callable], *operands: Any) -> Tree:
    """branches[index](*operands); an index out of range is moved into it.

    >>> float(switch(1, [lambda x: x + 1, lambda x: x * 2], 3.0))
    6.0
    """
    if not isinstance(branches, (list, tuple)) or not branches:
        raise ArgumentError("switch(branches)", need="a list of at least one function", got=repr(branches))
    _need_callable("switch(branches)", *branches)
    return _choose("switch", convert(index), [_Flat(branch, *operands) for branch in branches], _flatten(operands))


def _choose(where: str, index: Tensor, branches: Sequence[_Flat], leaves: Flat) -> Tree:
    """The result of the branch that index names."""
    values = _find_assigned(branches, leaves)

    def from_branch(number: int, *leaves: Tensor) -> Flat:
        """This branch or a later one."""
        if number == len(branches) - 1:
            return branches[number](*leaves)
        return engine.cond(engine.less_equal(index, number), branches[number], lambda *rest: from_branch(number + 1, *rest), leaves)

    result = from_branch(0, *values, *leaves)
    first, *others = [branch.structure for branch in branches if branch.ran]
    for other in others:
        tree.assert_same_structure(first, other, check_types=False)
    return _pack(first, _assign(branches[0].variables, result))


# Loops ------------------------------------------------------------------------------------------------------------------------


@op
def while_loop(cond: Callable, body: Callable, loop_vars: Any, maximum_iterations: int | None = None) -> Tree:
    """loop_vars = body(*loop_vars) while cond(*loop_vars).

    Args:
        loop_vars: a tuple or list of trees, or one tree, which is then the only argument.
        maximum_iterations: stop after so many turns.
    Returns: the last loop_vars, a tuple if they were a tuple or list.

    >>> [int(v) for v in while_loop(lambda i, s: i < 4, lambda i, s: (i + 1, s + i), (0, 0))]
    [4, 6]
    """
    _need_callable("while_loop", cond, body)
    several = isinstance(loop_vars, (list, tuple))
    state = tuple(loop_vars) if several else (loop_vars,)

    def step(*values: Any) -> Tree:
        after = body(*values)
        return tuple(after) if several and isinstance(after, (list, tuple)) else (after,)

    test, turn = _Flat(cond, *state), _Flat(step, *state)
    leaves = _flatten(state)
    first = (*_find_assigned((test, turn), leaves), *leaves)

    def goes_on(count: Tensor, *leaves: Tensor) -> Tensor:
        answer = _predicate("while_loop(cond)", test(*leaves)[-1])
        return answer if maximum_iterations is None else engine.logical_and(answer, engine.less(count, maximum_iterations))

    def next_state(count: Tensor, *leaves: Tensor) -> Flat:
        after = turn(*leaves)
        _need_alike("while_loop(body)", first, after, "loop_vars")
        return (engine.add(count, 1), *after)

    last = engine.while_loop(goes_on, next_state, (convert(0), *first))[1:]
    result = _pack(state, _assign(turn.variables, last))
    return result if several else result[0]


@op
def fori_loop(lower: Any, upper: Any, body_fun: Callable, init_val: Tree) -> Tree:
    """value = body_fun(i, value) for i from lower to upper - 1, beginning with init_val.

    >>> int(fori_loop(0, 5, lambda i, total: total + i, 0))
    10
    """
    _need_callable("fori_loop(body_fun)", body_fun)
    lower, upper = cast(lower, "int32"), cast(upper, "int32")
    return while_loop.function(lambda i, _: engine.less(i, upper), lambda i, value: (engine.add(i, 1), body_fun(i, value)), (lower, init_val))[1]


@op
def scan(f: Callable, init: Tree, xs: Tree = None, length: int | None = None, reverse: bool = False, unroll: int | bool = 1) -> tuple[Tree, Tree]:
    """carry, y = f(carry, x) along the first axis of xs: the last carry, and the ys stacked.

    Args:
        init: first carry; a tree whose shapes and dtypes f keeps.
        xs: tree of tensors of equal first size; None for no input.
        length: number of turns, needed without xs.
        reverse: begin at the end; ys are in the order of xs.
        unroll: turns per step of a compiled loop, or True for all of them.

    >>> last, sums = scan(lambda total, x: (total + x, total + x), 0, convert([1, 2, 3]))
    >>> int(last), sums.tolist()
    (6, [1, 3, 6])
    """
    _need_callable("scan(f)", f)
    if not isinstance(unroll, (bool, int)) or (unroll < 1 and unroll is not False):
        raise ArgumentError("scan(unroll)", need="an integer from 1, or a bool", got=repr(unroll))
    inputs = _flatten(xs)
    size = _common_size("scan(xs)", inputs, 0) if inputs else length
    if size is None:
        raise ArgumentError("scan", need="xs or length", got="neither")
    if length not in (None, size):
        raise ArgumentError("scan(length)", need=f"{size}, the first size of xs, or None", got=f"{length}")

    def step(carry: Tree, x: Tree) -> tuple[Tree, Tree]:
        result = f(carry, x)
        if not isinstance(result, (list, tuple)) or len(result) != 2:
            raise StructureError("scan(f)", need="a function that returns (carry, y)", got=type(result).__name__)
        return tuple(result)

    turn, start = _Flat(step, init, xs), _flatten(init)
    slices = (
        tuple(engine.reshape(engine.slice(x, (0,) * x.ndim, (min(1, size), *x.shape[1:]), (1,) * x.ndim), x.shape[1:]) for x in inputs)
        if size and engine.compiles
        else ()
    )
    first = (*(_find_assigned((turn,), (*start, *slices)) if size else ()), *start)

    def body(carry: Flat, x: Flat) -> tuple[Flat, Flat]:
        result = turn(*carry, *x)
        after, y = result[: len(first)], result[len(first) :]
        number = len(turn.variables) + len(_flatten(turn.structure[0]))
        _need_alike("scan(f)", first, result[:number], "the carry")
        return after, y

    last, ys = engine.scan(body, first, inputs, int(size), bool(reverse), unroll or 1)
    return _pack(init, _assign(turn.variables, last)), _pack(turn.structure[1], ys)


def _common_size(where: str, leaves: Flat, axis: int) -> int:
    """The one size that all leaves have along axis."""
    if any(leaf.ndim <= axis for leaf in leaves) or len({leaf.shape[axis] for leaf in leaves}) != 1:
        raise ShapeError(
            where,
            need=f"tensors of one size along axis {axis}",
            got="shapes " + " and ".join(str(tuple(leaf.shape)) for leaf in leaves) if leaves else "none",
        )
    return leaves[0].shape[axis]


@op
def map(f: Callable, xs: Tree) -> Tree:
    """f of each slice of xs along its first axis, one after the other; the results stacked.

    >>> map(lambda x: x * x, convert([1, 2, 3])).tolist()
    [1, 4, 9]
    """
    _need_callable("map(f)", f)
    return scan.function(lambda _, x: ((), f(x)), (), xs)[1]


@op
def vectorized_map(function: Callable, elements: Tree) -> Tree:
    """function of each slice of elements along the first axis, all at once; the results stacked.

    >>> vectorized_map(lambda pair: pair[0] + pair[1], [convert([1, 2]), convert([10, 20])]).tolist()
    [11, 22]
    """
    _need_callable("vectorized_map(function)", function)
    leaves, flat = _flatten(elements), _Flat(function, elements)
    _common_size("vectorized_map(elements)", leaves, 0)
    result = engine.vmap(flat)(*leaves)
    return _pack(flat.structure, result)


@op
def associative_scan(f: Callable, elems: Tree, reverse: bool = False, axis: int = 0) -> Tree:
    """Running combination of elems along axis by an associative f, in a number of steps that grows with the logarithm of its size.

    Args:
        f: (a, b) -> the combination, of trees like elems cut along axis.
        reverse: combine from the end.

    >>> associative_scan(lambda a, b: a + b, convert([1, 2, 3, 4])).tolist()
    [1, 3, 6, 10]
    """
    _need_callable("associative_scan(f)", f)
    leaves = _flatten(elems)
    axis = normalize_axis(axis, min((leaf.ndim for leaf in leaves), default=0), "associative_scan(axis)")
    size = _common_size("associative_scan(elems)", leaves, axis)

    def part(leaves: Flat, start: int, stop: int) -> Flat:
        rest = [(leaf.ndim - axis - 1, leaf) for leaf in leaves]
        before = (0,) * axis
        return tuple(
            engine.slice(leaf, (*before, start, *(0,) * n), (*leaf.shape[:axis], stop, *leaf.shape[axis + 1 :]), (1,) * leaf.ndim) for n, leaf in rest
        )

    combine, step = _Flat(lambda a, b: f(b, a) if reverse else f(a, b), elems, elems), 1
    if reverse:
        leaves = tuple(engine.flip(leaf, (axis,)) for leaf in leaves)
    while step < size:  # each element is combined with the one `step` before it, which stands for as many before that
        after = combine(*part(leaves, 0, size - step), *part(leaves, step, size))
        leaves = tuple(engine.concatenate([old, new], axis) for old, new in zip(part(leaves, 0, step), after, strict=True))
        step *= 2
    return _pack(elems, [engine.flip(leaf, (axis,)) for leaf in leaves] if reverse else leaves)


# Gradients --------------------------------------------------------------------------------------------------------------------


def custom_gradient(f: Callable) -> Callable:
    """A function with a gradient of your own.

    Args:
        f: (*args) -> (outputs, grad) with grad(upstream) -> the gradient of each of args, a tensor or tuple.

    >>> @custom_gradient
    ... def clipped(x):
    ...     return x, lambda upstream: engine.minimum(upstream, 1.0)
    >>> float(clipped(3.0))
    3.0
    """
    _need_callable("custom_gradient(f)", f)

    def call(*args: Any) -> Any:
        leaves = _flatten(args)

        def with_gradient(*tensors: Tensor) -> tuple[Tree, Callable]:
            output, gradient = f(*_pack(list(args), tensors))

            def backward(upstream: Tree) -> Flat:
                result = gradient(upstream)
                result = _flatten(result if isinstance(result, (list, tuple)) else (result,))
                if len(result) != len(tensors):
                    raise StructureError("custom_gradient", need=f"a gradient for each of the {len(tensors)} arguments", got=f"{len(result)}")
                return result

            return tree.map_structure(lambda leaf: None if leaf is None else convert(leaf), output), backward

        return engine.custom_gradient(with_gradient)(*leaves)

    return call
