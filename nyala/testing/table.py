# SPDX-License-Identifier: Apache-2.0
"""The contract as a table: a row for each primitive, with inputs, a float64 oracle and what else must hold. Start at Row, then `table`.

Arrays of float64 in a case take the dtype under test; others (indices, conditions, keys) keep theirs. Inputs are random, differ from one
another, and have prime sizes. A new primitive needs a row here; a test says so.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nyala.testing import laws, oracles
from nyala.testing.compare import COMPLEX, DTYPE, FLOATS, INTEGERS, SIGNED, UNSIGNED, fit

WIDE = ("float32", "float64")
EDGES = np.array([0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 1.5, -1.5, 2.5, -2.5, 3.5, 1e-3, -1e-3, 1e3, -1e3, np.inf, -np.inf, np.nan])
POSITIVE = np.array([0.25, 0.5, 1.0, 1.5, 2.5, 3.0, 7.0, 1e3, np.nan])


@dataclass(frozen=True)
class Row:
    """What one primitive must do.

    Attributes:
        oracle: the primitive on NumPy arrays: float64 for floats, the dtype itself for integers and bools. None: the laws say all.
        cases: arguments; the first is run in every dtype, all are run in the first dtype that the engine has.
        dtypes: dtypes the primitive takes.
        result: dtype of the result if it is not the one under test: a name, a function (dtype, arguments) -> name, or a tuple, one for each output.
        edges: arguments with the values where things go wrong, in float32.
        scalars: arguments in which Python numbers stand for tensors.
        gradient: arguments to check the gradient at (every float64 array among them), or () where there is none to check.
        scale: how many times the usual tolerance; floor: size below which the tolerance is absolute; signed_zero: -0 is not 0.
        laws: functions of an engine that raise if something else does not hold; their names begin with what they are about.
    """

    oracle: Any = None
    cases: Sequence[tuple] = ()
    dtypes: Sequence[str] = FLOATS
    result: Any = None
    edges: Sequence[tuple] = ()
    scalars: Sequence[tuple] = ()
    gradient: Sequence[tuple] = ()
    scale: float = 1.0
    floor: float = 1.0
    signed_zero: bool = False
    laws: Sequence[Callable] = field(default=())


@functools.cache
def table(seed: int = 0) -> dict[str, Row]:
    """Name of a primitive -> its row, with inputs drawn from this seed."""
    random = np.random.default_rng(seed)
    rows: dict[str, Row] = {}
    for fill in (_unary, _binary, _reductions, _moves, _indexing, _order, _contractions, _windows, _linalg, _complex, _others):
        fill(rows, random)
    return rows


def _normal(random: np.random.Generator, *shape: int) -> np.ndarray:
    return random.normal(size=shape) * 1.3


def _apart(random: np.random.Generator, *shape: int, least: float = 0.3) -> np.ndarray:
    """Of either sign, away from 0."""
    return random.uniform(least, 2.0, shape) * random.choice([-1.0, 1.0], shape)


def _and(pair: tuple[np.ndarray, np.ndarray], *more: tuple[float, float]) -> tuple[np.ndarray, ...]:
    """Two vectors of operands, with some more operands at their ends."""
    return tuple(np.append(values, extra) for values, extra in zip(pair, zip(*more, strict=True), strict=True))


def _special() -> Any:
    import scipy.special  # a dependency of tests only

    return scipy.special


def _unary(rows: dict, random: np.random.Generator) -> None:
    def row(
        name: str,
        oracle: Callable,
        low: float,
        high: float,
        edges: np.ndarray = EDGES,
        dtypes: Sequence[str] = FLOATS,
        differentiable: bool = True,
        **more: Any,
    ) -> None:
        x = random.uniform(low, high, (2, 3, 5))
        cases = [(x,), (np.array(x[0, 0, 0]),), (x[:0],)]
        rows[name] = Row(oracle, cases, dtypes, edges=[(edges,)], gradient=[(x,)] if differentiable else (), **more)

    special = lambda name: lambda x: getattr(_special(), name)(x)  # noqa: E731
    row("negative", lambda x: -x, -3, 3, dtypes=(*FLOATS, *INTEGERS), signed_zero=True)
    row("abs", np.abs, -3, 3, dtypes=(*FLOATS, *INTEGERS), signed_zero=True, laws=(laws.abs_of_complex,))
    row("sign", np.sign, -3, 3, dtypes=(*FLOATS, *INTEGERS))
    row("exp", np.exp, -3, 3)
    row("expm1", np.expm1, -3, 3, floor=1e-3)
    row("log", np.log, 0.1, 4)
    row("log1p", np.log1p, -0.8, 3, floor=1e-3)
    row("sqrt", np.sqrt, 0.1, 4)
    row("rsqrt", lambda x: 1 / np.sqrt(x), 0.1, 4, edges=np.delete(EDGES, 1))
    row("sin", np.sin, -3, 3)
    row("cos", np.cos, -3, 3)
    row("tan", np.tan, -1.2, 1.2, scale=4)
    row("arcsin", np.arcsin, -0.9, 0.9)
    row("arccos", np.arccos, -0.9, 0.9)
    row("arctan", np.arctan, -3, 3)
    row("sinh", np.sinh, -3, 3, floor=1e-2)
    row("cosh", np.cosh, -3, 3)
    row("tanh", np.tanh, -3, 3, floor=1e-2)
    row("arcsinh", np.arcsinh, -3, 3, floor=1e-1)
    row("arccosh", np.arccosh, 1.2, 4)
    row("arctanh", np.arctanh, -0.9, 0.9, floor=1e-1)
    row("sigmoid", special("expit"), -3, 3)
    row("erf", special("erf"), -3, 3, floor=1e-1)
    row("erfinv", special("erfinv"), -0.9, 0.9, scale=4)
    row("lgamma", special("gammaln"), 0.2, 5, edges=np.append(EDGES[np.isfinite(EDGES) & (EDGES > -1e3)], [-3.0, np.inf, np.nan]), scale=4)
    row("digamma", special("digamma"), 0.2, 5, edges=POSITIVE, differentiable=False, scale=4)
    for name, function in (("floor", np.floor), ("ceil", np.ceil), ("round", np.rint)):
        row(name, lambda x, f=function: f(x).astype(x.dtype), -3, 3, dtypes=(*FLOATS, *INTEGERS))
    row("isfinite", np.isfinite, -3, 3, dtypes=(*FLOATS, *INTEGERS), differentiable=False, result="bool")
    row("isnan", np.isnan, -3, 3, dtypes=(*FLOATS, *INTEGERS), differentiable=False, result="bool")


def _binary(rows: dict, random: np.random.Generator) -> None:
    grid = tuple(np.array(list(itertools.product(EDGES, EDGES))).T)

    def row(name: str, oracle: Callable, x: np.ndarray, y: np.ndarray, dtypes: Sequence[str] = FLOATS, edges: Any = grid, differentiable: bool = True,
            scalar: float = 1.5, **more: Any) -> None:  # fmt: skip
        cases = [(x, y), (x[:, :1], y[0]), (x, y[:0, :0]) if x.shape[:2] == (1, 1) else (x[:0], y[:0]), (np.array(x[0, 0, 0]), y)]
        scalars = [(x, scalar), (scalar, y)]
        rows[name] = Row(
            oracle,
            cases,
            dtypes,
            edges=[edges] if edges else (),
            gradient=[(x, y), (x[:, :1], y[0])] if differentiable else (),
            scalars=scalars,
            **more,
        )

    every = ("float32", "bool", *FLOATS[1:], *INTEGERS)
    numbers = (*FLOATS, *INTEGERS)
    a, b = _normal(random, 2, 3, 5), _normal(random, 2, 3, 5)
    near = np.array([a[0, 0], b[0, 0]])[:, None, :] * np.ones((2, 3, 5))  # equal to its partner in some places
    row("add", np.add, a, b, every)
    row("subtract", np.subtract, a, b, numbers)
    row("multiply", np.multiply, a, b, every)
    row("divide", np.divide, a, _apart(random, 2, 3, 5))
    finite = tuple(np.array([(x, y) for x, y in itertools.product(EDGES[:15], EDGES[:15]) if y != 0]).T)
    row("floor_divide", np.floor_divide, a * 3, _apart(random, 2, 3, 5), numbers, edges=_and(finite, (np.nan, 1.5), (1.5, np.nan)))
    row("remainder", np.remainder, a * 3, _apart(random, 2, 3, 5), numbers, edges=_and(finite, (1.5, 0.0), (np.nan, 1.5), (0.0, 0.0)))
    row(
        "power",
        np.power,
        random.uniform(0.3, 2, (2, 3, 5)),
        random.uniform(0, 1.4, (2, 3, 5)),
        numbers,
        scalar=2,
        scale=8,
        laws=(laws.power_of_python_numbers,),
    )
    row("maximum", np.maximum, a, b, numbers)
    row("minimum", np.minimum, a, b, numbers)
    row("arctan2", np.arctan2, a, b, signed_zero=True)
    for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"):
        row(name, getattr(np, name), np.where(random.random((2, 3, 5)) < 0.5, near, a), near, every, differentiable=False, result="bool", scalar=0.25)
    for name in ("logical_and", "logical_or"):
        row(name, getattr(np, name), a, b, ("bool",), edges=None, differentiable=False, scalar=True)
    rows["logical_not"] = Row(np.logical_not, [(a,), (np.array(a[0, 0, 0]),), (a[:0],)], ("bool",))
    for name in ("bitwise_and", "bitwise_or", "bitwise_xor"):
        row(name, getattr(np, name), a * 5, b * 5, INTEGERS, edges=None, differentiable=False, scalar=5)
    rows["bitwise_not"] = Row(np.bitwise_not, [(a * 5,), (a[:0],)], INTEGERS)
    for name in ("left_shift", "right_shift"):
        row(name, getattr(np, name), a * 5, random.uniform(0, 1.8, (2, 3, 5)), INTEGERS, edges=None, differentiable=False, scalar=3)
    where, every_where = random.random((2, 3, 5)) < 0.5, (EDGES > 0, EDGES, EDGES[::-1].copy())
    rows["where"] = Row(np.where, [(where, a, b), (where[:, :1], a[0], b[:, :, :1]), (where[:0], a[:0], b[:0])], (*every, *COMPLEX),
        edges=[every_where],
                        scalars=[(where, a, 2), (where, 1, b)], gradient=[(where, a, b), (where[:, :1], a[0], b[:, :, :1])])  # fmt: skip
    targets = ("bool", "int8", "int32", "uint8", "uint32", "float16", "bfloat16", "float32", "complex64")
    rows["cast"] = Row(_cast, [(np.abs(a) * 3, target) for target in targets] + [(a, "int32"), (a, "float16"), (np.array(a[0, 0, 0]), "float16")],
                       ("float32", "bool", "float16", "bfloat16", "int32", "uint8"), result=lambda dtype, args: args[1],
                       edges=[(EDGES, "bfloat16"), (EDGES, "bool")],
                       gradient=[(a, "float32")], laws=(laws.casts_of_every_pair, laws.gradient_of_casts))  # fmt: skip


def _cast(x: np.ndarray, dtype: str) -> np.ndarray:
    return fit(x.astype(np.float64), dtype) if dtype == "bfloat16" else (x != 0) if dtype == "bool" else x.astype(dtype)


def _reductions(rows: dict, random: np.random.Generator) -> None:
    x, empty = _normal(random, 2, 3, 5), np.zeros((2, 0, 3))
    ways = [((1,), False), ((0, 2), True), ((0, 1, 2), False), ((), False)]
    bad = np.array([[1.0, -np.inf, 2.0], [np.nan, 1.0, -1.0], [np.inf, 2.0, -np.inf], [-0.0, 0.0, 1e3]])
    numbers = (*FLOATS, *INTEGERS)

    def by(function: Callable) -> Callable:
        return lambda x, axes, keepdims: np.asarray(function(x, axis=axes, keepdims=keepdims))

    for name, dtypes in (("sum", numbers), ("prod", numbers), ("max", numbers), ("min", numbers), ("any", ("bool",)), ("all", ("bool",))):
        values = random.permuted(np.linspace(0.2, 3, 30)).reshape(2, 3, 5) * random.choice([-1, 1], (2, 3, 5)) if name in ("max", "min") else x
        cases = [(values, *way) for way in ways] + ([] if name in ("max", "min") else [(empty, (1,), False), (empty, (0, 1), True)])
        cases += [(np.full((2, 3), 2.0), (1,), False), (np.full((2, 3), -2.0), (1,), False)] if name in ("any", "all") else []
        rows[name] = Row(by(getattr(np, name)), cases, dtypes, edges=[] if dtypes == ("bool",) else [(bad, (1,), False), (bad[3:], (1,), False)],
                         gradient=[] if dtypes == ("bool",) else [(values, *way) for way in ways[:2]], scale=2)  # fmt: skip
    ties = np.round(_normal(random, 3, 7))
    for name, arg in (("argmax", np.argmax), ("argmin", np.argmin)):
        rows[name] = Row(
            lambda x, axis, f=arg: f(x, axis).astype(np.int32), [(ties, 1), (ties, 0), (x, 2)], numbers, result="int32", edges=[(bad, 1), (bad, 0)]
        )
    for name, oracle in (("cumsum", np.cumsum), ("cumprod", np.cumprod), ("cummax", np.maximum.accumulate)):
        cases = [(x, 1), (x, 0), (x, 2), (empty, 1), (x[:0], 1)]
        rows[name] = Row(oracle, cases, numbers, edges=[(bad, 1)] if name == "cummax" else [(bad[:2], 1)], gradient=[(x, 1), (x, 2)], scale=2)


def _moves(rows: dict, random: np.random.Generator) -> None:
    x, y, z = _normal(random, 2, 3, 5), _normal(random, 2, 7, 5), _normal(random, 2, 1, 5)
    every = ("float32", "bool", *FLOATS[1:], *INTEGERS, *COMPLEX)
    rows["reshape"] = Row(np.reshape, [(x, (5, 6)), (x, (30,)), (x[:1, :1, :1], ()), (x[:0], (0, 7)), (x, (3, 1, 10))], every, gradient=[(x, (5, 6))])
    rows["transpose"] = Row(
        np.transpose, [(x, (2, 0, 1)), (x, (0, 2, 1)), (np.array(x[0, 0, 0]), ()), (x[:0], (1, 0, 2))], every, gradient=[(x, (2, 0, 1))]
    )
    rows["broadcast_to"] = Row(
        np.broadcast_to, [(z, (2, 3, 5)), (x, (7, 2, 3, 5)), (np.array(x[0, 0, 0]), (2, 3)), (z, (2, 0, 5))], every, gradient=[(z, (3, 2, 3, 5))]
    )
    rows["concatenate"] = Row(
        lambda xs, axis: np.concatenate(xs, axis), [([x, y, z], 1), ([x], 0), ([x, x[:1]], 0), ([x[:, :0], y], 1)], every, gradient=[([x, y, z], 1)]
    )
    widths = ((0, 2), (3, 0), (1, 1))
    rows["pad"] = Row(lambda x, widths, value: np.pad(x, widths, constant_values=value),
        [(x, widths, 0), (x, widths, 1), (x, ((0, 0),) * 3, 0), (x[:0], widths, 0)], every,
                      scalars=[(x, widths, -2.5), (x, widths, float("-inf"))], gradient=[(x, widths, 0)])  # fmt: skip
    rows["slice"] = Row(_slice, [(x, (0, 1, 1), (2, 3, 5), (1, 1, 2)), (x, (1, 0, 0), (1, 3, 5), (1, 1, 1)), (y, (0, 0, 0), (2, 7, 4), (1, 3, 3))],
        every,
                        gradient=[(y, (0, 1, 0), (2, 7, 4), (1, 2, 3))])  # fmt: skip
    rows["flip"] = Row(np.flip, [(x, (1,)), (x, (0, 2)), (x, ()), (x[:0], (0,))], every, gradient=[(x, (0, 2))])


def _slice(x: np.ndarray, starts: tuple, stops: tuple, steps: tuple) -> np.ndarray:
    return x[tuple(map(slice, starts, stops, steps))]


def _indexing(rows: dict, random: np.random.Generator) -> None:
    every = ("float32", "bool", *FLOATS[1:], *INTEGERS, *COMPLEX)
    x = _normal(random, 3, 5, 2)
    index, scalar = np.array([[4, 0, -1], [0, -5, 2]], np.int32), np.array(-2, np.int32)
    rows["take"] = Row(
        np.take,
        [(x, index, 1), (x, scalar, 0), (x, index[:0], 1), (x[..., 0], index, 1)],
        every,
        gradient=[(x, index, 1)],
        laws=(laws.take_by_int64,),
    )
    along = random.integers(-5, 5, (3, 7, 2)).astype(np.int32)
    rows["take_along_axis"] = Row(
        np.take_along_axis,
        [(x, along, 1), (x, along[:1], 1), (x[:1], along, 1), (x, along[:, :0], 1)],
        every,
        gradient=[(x, along, 1), (x[:1], along, 1)],
    )
    where, repeats = np.array([[2, -1], [0, 3], [-2, 0]], np.int32), np.array([[1], [-1], [1], [0]], np.int32)
    updates, rows_of_updates = _normal(random, 3, 2), _normal(random, 4, 5, 2)
    cases = [(x, where, updates, mode) for mode in ("set", "add", "multiply", "max", "min")] + [
        (x, repeats, rows_of_updates, mode) for mode in ("add", "multiply", "max", "min")
    ]
    cases += [(x, repeats[:0], rows_of_updates[:0], "set"), (x[..., 0, 0], repeats, rows_of_updates[:, 0, 0], "add")]
    rows["scatter"] = Row(oracles.scatter, cases, (*FLOATS, *INTEGERS), gradient=[(x, where, updates, "set"), (x, repeats, rows_of_updates, "add")])
    starts = [np.array(n, np.int32) for n in (1, 2, 0)]
    far = [np.array(n, np.int32) for n in (2, 4, -3)]
    rows["dynamic_slice"] = Row(
        oracles.dynamic_slice,
        [(x, starts, (2, 3, 2)), (x, far, (2, 3, 1)), (x, (1, 0, 1), (2, 5, 1)), (x, starts, (0, 2, 1))],
        every,
        gradient=[(x, far, (2, 3, 1))],
    )
    block = _normal(random, 2, 3, 1)
    rows["dynamic_update_slice"] = Row(
        oracles.dynamic_update_slice, [(x, block, starts), (x, block, far), (x, block, (1, 0, 1))], every, gradient=[(x, block, far)]
    )
    holes = np.where(random.random((3, 5)) < 0.4, 0.0, 1.7)
    rows["nonzero"] = Row(
        lambda x: [i.astype(np.int32) for i in np.nonzero(x)], [(holes,), (holes[0],), (holes * 0,)], ("float32", "bool", "int32"), result="int32"
    )


def _order(rows: dict, random: np.random.Generator) -> None:
    numbers = (*FLOATS, *INTEGERS)
    x, ties = _normal(random, 2, 3, 7), np.round(_normal(random, 3, 7) * 2) / 4
    bad = np.array([[1.0, np.nan, -np.inf, np.inf, 0.5], [np.nan, np.nan, 2.0, -1.0, 3.0]])
    rows["sort"] = Row(np.sort, [(ties, 1), (x, 1), (x, 0), (x[:, :0], 1)], numbers, edges=[(bad, 1)], gradient=[(x, 2)])
    rows["argsort"] = Row(
        lambda x, axis: np.argsort(x, axis, kind="stable").astype(np.int32), [(ties, 1), (x, 1), (x, 0)], numbers, result="int32", edges=[(bad, 1)]
    )
    rows["top_k"] = Row(
        oracles.top_k, [(ties, 3), (x, 7), (x[0, 0], 2), (ties, 1)], numbers, result=(None, "int32"), edges=[(bad, 4)], gradient=[(x, 3)]
    )
    sequence = np.sort(np.round(_normal(random, 11) * 2) / 4)
    values = np.concatenate([sequence[::2], _normal(random, 5), [sequence[0], sequence[-1]]]).reshape(1, -1)
    rows["searchsorted"] = Row(lambda s, v, side: np.searchsorted(s, v, side).astype(np.int32),
        [(sequence, values, "left"), (sequence, values, "right"), (sequence[:0], values, "left")],
                               ("float32", "float64", "int32"), result="int32")  # fmt: skip


def _contractions(rows: dict, random: np.random.Generator) -> None:
    a, b, c = _normal(random, 3, 5), _normal(random, 5, 7), _normal(random, 2, 1, 3, 5)
    cases = [(a, b), (c, _normal(random, 7, 5, 2)), (c, b), (a[:0], b), (a[:, :0], b[:0])]
    rows["matmul"] = Row(np.matmul, cases, (*FLOATS, "int32", "int64"), gradient=[(a, b), (c, b)], scale=4)
    cases = [("ab,bc->ac", a, b), ("ab->ba", a), ("ab->", a), ("ab->b", a), ("ab,ab->a", a, _normal(random, 3, 5)), ("a,b->ba", a[:, 0], b[0]),
             ("bhqd,bhkd->bhqk", _normal(random, 2, 3, 5, 7), _normal(random, 2, 3, 2, 7)), ("ab,bc,cd->ad", a, b, _normal(random, 7, 2)),
             ("abc,dbe->ceda", _normal(random, 2, 3, 5), _normal(random, 7, 3, 2))]  # fmt: skip
    rows["einsum"] = Row(lambda equation, *xs: np.asarray(np.einsum(equation, *xs)), cases, FLOATS, gradient=cases[:3] + cases[5:8], scale=8)


def _windows(rows: dict, random: np.random.Generator) -> None:
    ways = [  # x, kernel, strides, padding, dilation, groups
        ((2, 7, 3), (3, 3, 5), (1,), ((1, 1),), (1,), 1),
        ((2, 11, 4), (3, 2, 6), (2,), ((0, 1),), (2,), 2),
        ((1, 5, 3), (1, 3, 2), (3,), ((2, 0),), (1,), 1),
        ((2, 7, 5, 3), (3, 2, 3, 2), (2, 1), ((1, 1), (0, 1)), (1, 2), 1),
        ((1, 5, 7, 3), (3, 3, 1, 6), (1, 2), ((2, 0), (1, 1)), (1, 1), 3),
        ((2, 5, 5, 2), (1, 1, 2, 3), (2, 2), ((0, 0), (0, 0)), (1, 1), 1),
        ((1, 3, 5, 4, 2), (2, 3, 2, 2, 3), (1, 2, 2), ((1, 0), (1, 1), (0, 2)), (1, 1, 2), 1),
    ]
    forward, backward, kernels = [], [], []
    for size, taps, *rest in ways:
        x, kernel = _normal(random, *size), _normal(random, *taps)
        g = _normal(random, *oracles.conv(x, kernel, *rest).shape)
        forward.append((x, kernel, *rest))
        backward.append((g, kernel, size, *rest))
        kernels.append((x, g, taps, *rest))
    rows["conv"] = Row(oracles.conv, forward, FLOATS, gradient=[forward[1], forward[3], forward[4]], scale=8, laws=(laws.adjoints_of_conv,))
    rows["conv_input_gradient"] = Row(oracles.conv_input_gradient, backward, FLOATS, gradient=[backward[1], backward[3]], scale=8)
    rows["conv_kernel_gradient"] = Row(oracles.conv_kernel_gradient, kernels, FLOATS, scale=16)
    x, y, z = _normal(random, 2, 7, 3), _normal(random, 2, 7, 5, 3), _normal(random, 1, 3, 5, 4, 2)
    cases = [(y, (2, 3), (2, 1), ((1, 0), (1, 1))), (x, (2,), (2,), ((0, 0),)), (x, (3,), (1,), ((1, 1),)), (y, (2, 2), (2, 2), ((0, 0), (0, 0))),
        (y, (3, 2), (1, 2), ((0, 0), (0, 1))),
             (z, (2, 3, 2), (1, 2, 2), ((1, 0), (1, 1), (0, 1)))]  # fmt: skip
    rows["max_pool"] = Row(oracles.max_pool, cases, (*FLOATS, "int32"), gradient=[cases[0], cases[1]])
    rows["sum_pool"] = Row(oracles.sum_pool, cases, FLOATS, gradient=[cases[0], cases[1]], scale=2)


def _linalg(rows: dict, random: np.random.Generator) -> None:
    a, b = _normal(random, 2, 5, 5) + 3 * np.eye(5), _normal(random, 2, 5, 3)
    square, tall, wide = _normal(random, 2, 3, 3), _normal(random, 2, 5, 3), _normal(random, 3, 5)
    symmetric = a + a.swapaxes(-1, -2)
    positive = square @ square.swapaxes(-1, -2) + np.eye(3)
    rows["cholesky"] = Row(np.linalg.cholesky, [(positive,), (positive[0],), (positive[:0],)], WIDE, scale=16, laws=(laws.gradient_of_cholesky,))
    rows["solve"] = Row(np.linalg.solve, [(a, b), (a[0], b), (a, b[:1])], WIDE, gradient=[(a[0], b[0])], scale=32)
    triangle = lambda a, b, lower: np.linalg.solve(np.tril(a) if lower else np.triu(a), b)  # noqa: E731
    rows["triangular_solve"] = Row(
        triangle, [(a, b, True), (a, b, False), (a[0], b, True)], WIDE, gradient=[(a[0], b[0], True), (a[0], b[0], False)], scale=32
    )
    shapes = {"square": square, "tall": tall, "wide": wide}
    rows["qr"] = Row(laws=[functools.partial(laws.qr_reconstructs, matrices=shapes), laws.gradient_through_qr])
    rows["svd"] = Row(laws=[functools.partial(laws.svd_reconstructs, matrices=shapes), laws.gradient_through_svd])
    rows["eigh"] = Row(laws=[functools.partial(laws.eigh_reconstructs, matrix=symmetric), laws.gradient_through_eigh])
    rows["eig"] = Row(laws=[functools.partial(laws.eig_reconstructs, matrix=a)])
    rows["lu"] = Row(laws=[functools.partial(laws.lu_reconstructs, matrices=shapes)])


def _complex(rows: dict, random: np.random.Generator) -> None:
    a, b = _normal(random, 2, 3, 5), _normal(random, 2, 3, 5)
    z, half = a + 1j * b, {"complex64": "float32", "complex128": "float64"}
    whole = {part: dtype for dtype, part in half.items()}
    rows["complex"] = Row(
        lambda x, y: x + 1j * y, [(a, b), (a[:, :1], b[0])], WIDE, result=lambda dtype, args: whole[dtype], laws=(laws.gradient_through_complex,)
    )
    rows["real"] = Row(np.real, [(z,), (z[:0],)], COMPLEX, result=lambda dtype, args: half[dtype], laws=(laws.gradient_through_complex,))
    rows["imag"] = Row(np.imag, [(z,), (z[:0],)], COMPLEX, result=lambda dtype, args: half[dtype], laws=(laws.gradient_through_complex,))
    rows["fft"] = Row(lambda x, axis: np.fft.fft(x, axis=axis), [(z, 2), (z, 0), (z, 1)], COMPLEX, scale=4, laws=(laws.gradient_through_complex,))
    rows["ifft"] = Row(lambda x, axis: np.fft.ifft(x, axis=axis), [(z, 2), (z, 0), (z, 1)], COMPLEX, scale=4, laws=(laws.gradient_through_complex,))


def _others(rows: dict, random: np.random.Generator) -> None:
    key = np.array([0x13198A2E, 0xF3707344], np.uint32)
    rows["random_bits"] = Row(
        oracles.random_bits, [(key, (2, 3, 5)), (key * 0, (1,)), (key[::-1].copy(), ()), (key, (0, 3)), (key, (211,))], ("uint32",), result="uint32"
    )
    every = ("float32", "bool", *FLOATS[1:], *INTEGERS, *COMPLEX)
    rows["full"] = Row(lambda shape, value,
        dtype: fit(np.full(shape, value, np.float64), dtype) if dtype == "bfloat16" else np.full(shape, value, dtype),
                       [((2, 3), 3, DTYPE), ((), 1, DTYPE), ((0, 2), 1, DTYPE), ((3,), 2.5, DTYPE)], every, result=lambda dtype,
                           args: args[2])  # fmt: skip
    rows["arange"] = Row(
        lambda size, dtype: np.arange(size), [(7, DTYPE), (0, DTYPE), (1, DTYPE)], (*FLOATS, *SIGNED, *UNSIGNED), result=lambda dtype, args: args[1]
    )
    rows["cond"] = Row(laws=[laws.cond_chooses])
    rows["while_loop"] = Row(laws=[laws.while_loop_counts])
    rows["scan"] = Row(laws=[laws.scan_is_a_loop, laws.gradient_of_scan])
