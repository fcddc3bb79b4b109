# SPDX-License-Identifier: Apache-2.0
"""The conventions of the contract, one row each: what comes out where mathematics or NumPy leave a choice, and why so.

conventions.py checks every engine against every row, and docs/engines.md shows them. Knows NumPy and the protocol; a row may also be about an op,
since some conventions are about several primitives at once. Start at Rule, then all_rules.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nyala.engines.protocol import Engine
from nyala.testing.compare import describe, outputs

KINDS = {
    "gradients": "Gradients at kinks and ties",
    "floats": "NaN, infinity and division by zero",
    "integers": "Integers, bools and casts",
    "empty": "Empty tensors and tensors without axes",
}


@dataclass(frozen=True)
class Rule:
    """One convention.

    Attributes:
        kind: one of KINDS.
        of: a primitive, or "ops." and the name of an op.
        situation, rule, why: what the page says.
        args: of the call; arrays become tensors of their own dtype.
        gives: what comes out, as arrays of the right dtype; None: whatever `holds` accepts.
        gradients: of the sum of the output by each float array among args.
        holds: of (outputs, gradients): whether they are right, where more than one answer is.
        raises: the error, where there is nothing to give.
        call: (engine, *args) -> output, where the situation takes more than one call.
    """

    kind: str
    of: str
    situation: str
    rule: str
    why: str
    args: tuple = ()
    gives: Any = None
    gradients: tuple | None = None
    holds: Callable[[list, list], bool] | None = None
    raises: type | None = None
    call: Callable[..., Any] | None = None

    @property
    def what(self) -> str:
        return f"{self.of} ({self.situation}): {self.of.removeprefix('ops.')}({describe(self.args)})"


def _array(dtype: str) -> Callable[..., np.ndarray]:
    return lambda *values: np.array(values, dtype)


f32, i32, i8, u8, u32, boolean = map(_array, ("float32", "int32", "int8", "uint8", "uint32", "bool"))
zeros = functools.partial(np.zeros, dtype=np.float32)
MISSING = "a number that is missing is not hidden"
INF, NAN = np.inf, np.nan
LOWEST, HIGHEST = -(2**31), 2**31 - 1


def _weighted(name: str, *arguments: Any) -> Callable:
    """The first output of a primitive times 1, 2, 4, ...: says where each gradient went."""

    def call(engine: Engine, x: Any) -> Any:
        y = outputs(getattr(engine, name)(x, *arguments))[0]
        weights = 2.0 ** np.arange(np.prod(engine.shape(y))).reshape(engine.shape(y))
        return engine.multiply(y, engine.asarray(weights, "float32"))

    return call


def _gradient_rules() -> Iterator[Rule]:
    rule = functools.partial(Rule, "gradients")
    near_0 = f32(-2, 0, 3)
    yield rule("ops.relu", "at 0", "0", "the unit is off", (near_0,), f32(0, 0, 3), ([0, 0, 1],))
    yield rule("ops.relu6", "at 0 and at 6", "0", "the unit is off, or full", (f32(0, 3, 6),), f32(0, 3, 6), ([0, 1, 0],))
    yield rule(
        "abs", "at 0", "0", "the mean of both slopes; a step of gradient descent does not leave the minimum", (near_0,), f32(2, 0, 3), ([-1, 0, 1],)
    )
    yield rule(
        "abs", "at 0 + 0i", "0", "as for reals", (f32(0), f32(0)), f32(0), ([0], [0]), call=lambda engine, a, b: engine.abs(engine.complex(a, b))
    )
    for name, gives in (("sign", [-1, 0, 1]), ("floor", [-2, 0, 3]), ("ceil", [-2, 0, 3]), ("round", [-2, 0, 3])):
        yield rule(name, "everywhere, its jumps included", "0", "constant between jumps", (near_0,), f32(*gives), ([0, 0, 0],))
    yield rule("floor_divide", "everywhere, its jumps included", "0", "constant between jumps", (f32(4, 5), f32(2, 2)), f32(2, 2), ([0, 0], [0, 0]))
    yield rule("sqrt", "at 0", "inf", "the slope there", (f32(0, 4),), f32(0, 2), ([INF, 0.25],))
    yield rule("rsqrt", "at 0", "value inf, gradient -inf", "the limit from above", (f32(0, 4),), f32(INF, 0.5), ([-INF, -0.0625],))
    yield rule("log", "at 0", "value -inf, gradient inf", "the limit from above", (f32(0, 2),), f32(-INF, np.log(2)), ([INF, 0.5],))
    yield rule(
        "divide",
        "by 0",
        "value by IEEE 754, gradients inf in x and -inf in y for 1 / 0",
        "the formulas 1 / y and -x / y**2",
        (f32(1, -1), f32(0, 0)),
        f32(INF, -INF),
        ([INF, INF], [-INF, INF]),
    )
    yield rule(
        "ops.norm", "of zeros", "0", "the least steep slope, as for abs; an infinite one would end training", (f32(0, 0),), np.float32(0), ([0, 0],)
    )
    for name, first, second in (("maximum", [0, 0.5, 1], [1, 0.5, 0]), ("minimum", [1, 0.5, 0], [0, 0.5, 1])):
        yield rule(name, "equal operands", "half for each", "neither operand is preferred", (f32(1, 2, 3), f32(3, 2, 1)), None, (first, second))
        yield rule(name, "equal to a Python number", "half", "the same as for a tensor", (f32(1, 2, 3), 2.0), None, (first,))
        yield rule(name, "equal to a Python number", "half", "the same as for a tensor", (2.0, f32(1, 2, 3)), None, (first,))
    ties = np.array([[1, 5, 5, 2], [3, 3, 3, -7]], np.float32)
    for name, x in (("max", ties), ("min", -ties)):
        yield rule(
            name,
            "several largest or smallest",
            "equal shares",
            "no order among equals",
            (x, (1,), False),
            None,
            ([[0, 0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3, 0]],),
        )
        yield rule(
            name,
            "several largest or smallest",
            "equal shares",
            "no order among equals",
            (np.sign(x), (0, 1), True),
            None,
            (np.where(np.sign(x) == np.sign(x[0, 0]), 1 / 7, 0),),
        )
    yield rule(
        "ops.clip",
        "at a bound",
        "half",
        "it is a maximum and a minimum",
        (f32(-1, 0, 0.5, 1, 2), 0.0, 1.0),
        f32(0, 0, 0.5, 1, 1),
        ([0, 0.5, 1, 0.5, 0],),
    )
    free = "the engine's choice: to one of them, or in shares", "kernels differ, and only the sum matters"
    yield rule(
        "cummax",
        "equal elements",
        *free,
        (f32(1, 1, 0),),
        f32(1, 2, 4),
        holds=lambda y, g: float(np.sum(g[0])) == 7 and g[0][2] == 0,
        call=_weighted("cummax", 0),
    )
    pooled = np.array([2, 2, 1, 3], np.float32).reshape(1, 4, 1)
    yield rule(
        "max_pool",
        "several largest in a window",
        *free,
        (pooled, (2,), (2,), ((0, 0),)),
        np.array([[[2], [3]]], np.float32),
        holds=lambda y, g: float(np.sum(g[0][0, :2])) == 1 and g[0][0, 2:].ravel().tolist() == [0, 1],
    )
    yield rule(
        "sort",
        "equal elements",
        "each gets that of one of their places",
        "a permutation",
        (f32(3, 1, 3, 3),),
        f32(1, 6, 12, 24),
        holds=lambda y, g: g[0][1] == 1 and sorted(np.delete(g[0], 1)) == [2, 4, 8],
        call=_weighted("sort", 0),
    )
    yield rule(
        "top_k",
        "equal elements",
        "each gets that of its place, the lower index first",
        "the indices that come out say so",
        (f32(3, 1, 3, 3),),
        f32(3, 6),
        ([1, 0, 2, 0],),
        call=_weighted("top_k", 2),
    )
    chosen = boolean(True, False)
    yield rule(
        "where",
        "the side that is not chosen",
        "0, whatever its value",
        "it has no part in the result",
        (chosen, f32(1, NAN), f32(INF, 2)),
        f32(1, 2),
        ([1, 0], [0, 1]),
    )
    yield rule(
        "where",
        "the side that is not chosen has an infinite slope",
        "nan or 0, the engine's choice",
        "0 * inf by the chain rule; make the argument safe: where(x > 0, sqrt(where(x > 0, x, 1)), 0)",
        (f32(0, 4),),
        f32(0, 2),
        holds=lambda y, g: g[0][1] == 0.25 and not g[0][0] > 0,
        call=lambda engine, x: engine.where(engine.greater(x, 0.0), engine.sqrt(x), 0.0),
    )
    yield rule(
        "power",
        "0 ** 0",
        "value 1, gradients 0",
        "y * x**(y - 1) is 0 for y = 0, and x**y is 1 for every x near 0",
        (f32(0), f32(0)),
        f32(1),
        ([0], [0]),
    )
    yield rule(
        "power",
        "a base below 0, a whole exponent in a tensor",
        "y * x**(y - 1) in x",
        "the formula",
        (f32(-2), f32(3)),
        f32(-8),
        holds=lambda y, g: g[0].tolist() == [12],
    )
    yield rule(
        "remainder",
        "everywhere, its jumps included",
        "1 in x, -floor(x / y) in y",
        "the slopes between jumps",
        (f32(-7, 7, 6), f32(3, -3, 3)),
        f32(2, -2, 0),
        ([1, 1, 1], [3, 3, -2]),
    )
    factors = np.array([[2, 3, 5], [0, 3, 5], [0, 0, 5]], np.float32)
    yield rule(
        "prod",
        "zeros among the factors",
        "the product of the others",
        "no division by the factor",
        (factors, (1,), False),
        None,
        ([[15, 10, 6], [15, 0, 0], [0, 0, 0]],),
    )
    yield rule(
        "cumprod",
        "a zero among the factors",
        "the products of the others",
        "no division by the factor",
        (f32(2, 0, 3),),
        None,
        ([1, 8, 0],),
        call=lambda engine, x: engine.cumprod(x, 0),
    )
    yield rule("take", "an index that repeats", "gradients add up", "so do the uses", (f32(1, 2), i32(0, 0, 1), 0), f32(1, 1, 2), ([2, 1],))
    yield rule(
        "scatter",
        "set over an element",
        "0 for what was there",
        "it has no part in the result",
        (f32(1, 2), np.array([[1]], np.int32), f32(5), "set"),
        f32(1, 5),
        ([1, 0], [1]),
    )
    yield rule(
        "cast",
        "to an integer and back",
        "0",
        "constant between jumps",
        (f32(1.5, -1.5),),
        f32(1, -1),
        ([0, 0],),
        call=lambda engine, x: engine.cast(engine.cast(x, "int32"), "float32"),
    )
    yield rule("ops.std", "all elements equal", "0", "as the norm of zeros", (f32(2, 2),), np.float32(0), ([0, 0],))
    yield rule(
        "ops.image.map_coordinates",
        "at an element",
        "the slope to the next one",
        "shares are counted from floor(place), which is that element",
        (f32(1, 2, 4, 3), np.array([[1, 2]], np.float32), 1),
        f32(2, 4),
        ([0, 1, 1, 0], [[2, -1]]),
    )


def _float_rules() -> Iterator[Rule]:
    rule = functools.partial(Rule, "floats")
    mixed = f32(1, NAN, 3)
    for name in ("maximum", "minimum"):
        yield rule(name, "nan on either side", "nan", MISSING, (f32(1, NAN, NAN), f32(NAN, 1, NAN)), f32(NAN, NAN, NAN))
    for name in ("max", "min"):
        yield rule(name, "nan among the elements", "nan", MISSING, (mixed, (0,), False), np.float32(NAN))
    yield rule(
        "max_pool",
        "nan in a window",
        "nan",
        MISSING,
        (np.array([1, NAN, 2, 3], np.float32).reshape(1, 4, 1), (2,), (2,), ((0, 0),)),
        np.array([NAN, 3], np.float32).reshape(1, 2, 1),
    )
    yield rule("cummax", "nan among the elements", "nan from there on", MISSING, (mixed, 0), f32(1, NAN, NAN))
    yield rule("argmax", "nan among the elements", "the first nan", "it is what max gives", (f32(1, NAN, 3, NAN), 0), np.int32(1))
    yield rule("argmin", "nan among the elements", "the first nan", "it is what min gives", (f32(1, NAN, 3, NAN), 0), np.int32(1))
    yield rule("sort", "nan among the elements", "last, after inf", "as NumPy", (f32(NAN, INF, -INF, 0), 0), f32(-INF, 0, INF, NAN))
    yield rule("argsort", "nan among the elements", "last, after inf, in their order", "as NumPy", (f32(NAN, INF, NAN, 0), 0), i32(3, 1, 0, 2))
    yield rule(
        "top_k",
        "nan among the elements",
        "first, before inf",
        "the end of sort, backwards",
        (f32(1, NAN, INF, 0), 3),
        (f32(NAN, INF, 1), i32(1, 2, 0)),
    )
    yield rule("searchsorted", "a value that is nan", "the end", "where sort puts it", (f32(1, 2, 3), f32(NAN, INF), "left"), i32(3, 3))
    yield rule("nonzero", "nan among the elements", "counts as not zero", "it does not equal 0", (f32(0, NAN, -0.0),), (i32(1),))
    yield rule("ops.unique", "several nan", "one, at the end", "as NumPy", (f32(NAN, 1, NAN, 1),), f32(1, NAN))
    for name in ("equal", "less", "less_equal", "greater", "greater_equal"):
        yield rule(name, "nan on either side", "False", "IEEE 754", (f32(NAN, 1, NAN), f32(1, NAN, NAN)), boolean(False, False, False))
    yield rule("not_equal", "nan on either side", "True", "IEEE 754", (f32(NAN, 1, NAN), f32(1, NAN, NAN)), boolean(True, True, True))
    yield rule("sign", "nan", "nan", "no sign to give", (f32(NAN, -0.0),), f32(NAN, 0))
    for name in ("floor", "ceil", "round"):
        yield rule(name, "nan and infinity", "stay", "as NumPy", (f32(NAN, INF, -INF),), f32(NAN, INF, -INF))
    yield rule("round", "halves", "to the even neighbour", "IEEE 754: no drift upwards", (f32(0.5, 1.5, 2.5, -0.5),), f32(0, 2, 2, -0.0))
    yield rule("power", "nan ** 0 and 1 ** nan", "1", "IEEE 754: true for every number", (f32(NAN, 1, NAN), f32(0, NAN, 1)), f32(1, 1, NAN))
    yield rule("power", "a base below 0 and a fraction", "nan", "no real number", (f32(-8), f32(1 / 3)), f32(NAN))
    yield rule("divide", "0 / 0", "nan", "IEEE 754", (f32(0), f32(0)), f32(NAN))
    yield rule("floor_divide", "by 0", "x / y: inf, -inf or nan", "nothing to round", (f32(1, -1, 0), f32(0, 0, 0)), f32(INF, -INF, NAN))
    yield rule("floor_divide", "signs that differ", "rounded down", "as in Python", (f32(-7, 7), f32(2, -2)), f32(-4, -4))
    yield rule("remainder", "by 0, or of infinity", "nan", "no quotient to round", (f32(1, INF, 0), f32(0, 2, 0)), f32(NAN, NAN, NAN))
    yield rule("remainder", "signs that differ", "the sign of y", "as in Python", (f32(-7, 7), f32(3, -3)), f32(2, -2))
    yield rule("sum", "inf and -inf", "nan", "IEEE 754", (f32(INF, -INF), (0,), False), np.float32(NAN))
    yield rule(
        "matmul",
        "0 times inf or nan",
        "nan",
        "zeros are not skipped",
        (zeros((1, 2)), np.array([[NAN], [1]], np.float32)),
        np.array([[NAN]], np.float32),
    )
    yield rule("ops.clip", "nan", "nan", MISSING, (f32(NAN), 0.0, 1.0), f32(NAN))
    yield rule("ops.clip", "a lower bound above the upper", "the upper", "as NumPy", (f32(0, 5), 3.0, 2.0), f32(2, 2))
    yield rule(
        "ops.softmax", "nothing but -inf", "nan", "no weights add up to 1; mask with a large finite number instead", (f32(-INF, -INF),), f32(NAN, NAN)
    )
    yield rule("ops.softmax", "-inf among numbers", "0 there", "the limit", (f32(0, -INF, 0),), f32(0.5, 0, 0.5))
    yield rule("ops.log_softmax", "nothing but -inf", "nan", "as softmax", (f32(-INF, -INF),), f32(NAN, NAN))
    yield rule(
        "ops.logsumexp",
        "nothing but -inf; inf; nan",
        "-inf; inf; nan",
        "the log of 0, of infinity, and what is missing stays missing",
        (np.array([[-INF, -INF], [INF, 0], [NAN, 0]], np.float32), 1),
        f32(-INF, INF, NAN),
    )
    yield rule(
        "take",
        "an index beyond the end",
        "IndexError where values are known, else nan",
        "never somebody else's memory",
        (f32(1, 2), i32(0, 5), 0),
        holds=lambda y, g: bool(y[0][0] == 1 and np.isnan(y[0][1])),
        raises=IndexError,
    )


def _integer_rules() -> Iterator[Rule]:
    rule = functools.partial(Rule, "integers")
    wraps = "wraps around", "as NumPy, and what processors do"
    yield rule("add", "beyond the range", *wraps, (i32(HIGHEST, LOWEST), i32(1, -1)), i32(LOWEST, HIGHEST))
    yield rule("subtract", "below 0, unsigned", *wraps, (u8(0), u8(1)), u8(255))
    yield rule("multiply", "beyond the range", *wraps, (i8(100), i8(2)), i8(-56))
    yield rule("negative", "of the lowest, of unsigned", *wraps, (u8(0, 1, 255),), u8(0, 255, 1))
    yield rule("abs", "of the lowest", *wraps, (i8(-128, -1),), i8(-128, 1))
    yield rule("sum", "beyond the range", *wraps, (i8(100, 100), (0,), False), np.int8(-56))
    yield rule("prod", "beyond the range", *wraps, (i8(100, 2), (0,), False), np.int8(-56))
    yield rule("cumsum", "beyond the range", *wraps, (u8(200, 100), 0), u8(200, 44))
    yield rule("power", "beyond the range", *wraps, (i8(2, 3), i8(8, 5)), i8(0, -13))
    yield rule(
        "matmul", "beyond the range", *wraps, (np.array([[LOWEST, LOWEST]], np.int32), np.array([[1], [1]], np.int32)), np.array([[0]], np.int32)
    )
    yield rule("floor_divide", "signs that differ", "rounded down", "as in Python", (i32(-7, 7, -7), i32(2, -2, -2)), i32(-4, -4, 3))
    yield rule("remainder", "signs that differ", "the sign of y", "as in Python", (i32(-7, 7, -7), i32(3, -3, -3)), i32(2, -2, -1))
    yield rule(
        "floor_divide", "by 0", "0", "as NumPy; an engine that raises could not run on an accelerator", (i32(7, -7, 0), i32(0, 0, 0)), i32(0, 0, 0)
    )
    yield rule("remainder", "by 0", "0", "as NumPy", (i32(7, -7, 0), i32(0, 0, 0)), i32(0, 0, 0))
    yield rule("floor_divide", "by a Python 0", "0", "as NumPy", (i32(7, -7), 0), i32(0, 0))
    yield rule("floor_divide", "of the lowest by -1", *wraps, (i32(LOWEST), i32(-1)), i32(LOWEST))
    yield rule("ops.divide", "of integers", "float32, and IEEE 754 for 0", "as Keras", (i32(7, -7, 0), i32(2, 0, 0)), f32(3.5, -INF, NAN))
    yield rule("left_shift", "by the width or more", "0", "all bits are lost", (i32(1, -1), i32(32, 40)), i32(0, 0))
    yield rule("right_shift", "by the width or more", "0, or -1 of numbers below 0", "x // 2**y", (i32(9, -9), i32(32, 40)), i32(0, -1))
    yield rule("right_shift", "of unsigned", "zeros come in", "x // 2**y", (u32(2**32 - 1), u32(31)), u32(1))
    yield rule("right_shift", "of numbers below 0", "the sign comes in", "x // 2**y", (i8(-8, -1), i8(1, 1)), i8(-4, -1))
    yield rule("add", "of bools", "or", "as NumPy", (boolean(True, True, False), boolean(True, False, False)), boolean(True, True, False))
    yield rule("multiply", "of bools", "and", "as NumPy", (boolean(True, True, False), boolean(True, False, False)), boolean(True, False, False))
    yield rule(
        "ops.subtract", "of bools", "an error", "as NumPy: neither - nor xor is plainly meant", (boolean(True), boolean(True)), raises=TypeError
    )
    yield rule("ops.sum", "of bools, of narrow integers", "int32", "a count; as Keras", (boolean(True, True, False),), np.int32(2))
    yield rule("ops.sum", "of bools, of narrow integers", "int32", "a count; as Keras", (i8(100, 100),), np.int32(200))
    yield rule("ops.cumsum", "of bools", "int32", "a count; as Keras", (boolean(True, True, False),), i32(1, 2, 2))
    yield rule("ops.cumsum", "of narrow integers", "the same dtype", "as Keras", (i8(100, 100),), i8(100, -56))
    yield rule("ops.mean", "of integers and bools", "float32", "as Keras", (i32(1, 2),), np.float32(1.5))
    yield rule("ops.mean", "of integers and bools", "float32", "as Keras", (boolean(True, False),), np.float32(0.5))
    yield rule("argmax", "several largest", "the first", "as NumPy", (i32(1, 3, 3), 0), np.int32(1))
    yield rule("argmin", "several smallest", "the first", "as NumPy", (i32(3, 1, 1), 0), np.int32(1))
    yield rule("argsort", "equal elements", "in their order", "the sort is stable", (i32(2, 1, 2, 1), 0), i32(1, 3, 0, 2))
    yield rule("cast", "a fraction to an integer", "towards 0", "as in C", (f32(1.9, -1.9), "int32"), i32(1, -1))
    yield rule(
        "cast",
        "nan, infinity and what is out of range to an integer",
        "some integer, and no error",
        "processors differ, and one answer for all would cost two more passes over the data; ops.saturate_cast gives one",
        (f32(NAN, INF, -INF, 3e9), "int32"),
        holds=lambda y, g: y[0].dtype == np.int32 and y[0].shape == (4,),
    )
    yield rule("cast", "an integer to a narrower one", *wraps, (i32(300, -1), "uint8"), u8(44, 255))
    yield rule(
        "cast", "to bool", "whether it is not 0, nan included", "as NumPy", (f32(0, -0.0, 0.5, NAN), "bool"), boolean(False, False, True, True)
    )
    yield rule("cast", "to bool", "whether it is not 0, nan included", "as NumPy", (i32(0, 2, -1), "bool"), boolean(False, True, True))
    yield rule("cast", "from bool", "0 and 1", "as NumPy", (boolean(True, False), "float32"), f32(1, 0))
    yield rule(
        "cast",
        "an integer that a float cannot hold",
        "the nearest, halves to even",
        "IEEE 754",
        (i32(16777217, 16777219), "float32"),
        f32(16777216, 16777220),
    )
    yield rule("cast", "beyond the range of a float", "infinity", "IEEE 754", (f32(1e6, -1e6), "float16"), np.array([INF, -INF], np.float16))
    yield rule("isnan", "of integers", "False", "no integer is nan", (i32(0, HIGHEST),), boolean(False, False))


def _empty_rules() -> Iterator[Rule]:
    rule = functools.partial(Rule, "empty")
    nothing, none_of_three = f32(), zeros((0, 3))
    yield rule("sum", "over nothing", "0", "the neutral element", (none_of_three, (0,), False), f32(0, 0, 0))
    yield rule("prod", "over nothing", "1", "the neutral element", (none_of_three, (0,), False), f32(1, 1, 1))
    yield rule("any", "over nothing", "False", "the neutral element", (boolean(), (0,), False), np.bool_(False))
    yield rule("all", "over nothing", "True", "the neutral element", (boolean(), (0,), False), np.bool_(True))
    for name in ("max", "min", "argmax", "argmin"):
        yield rule(f"ops.{name}", "over nothing", "an error", "there is no element to give", (nothing,), raises=ValueError)
    yield rule("max", "of no rows, within rows", "no rows", "nothing is asked for", (zeros((0, 3)), (1,), False), f32())
    yield rule("ops.mean", "over nothing", "nan", "0 / 0", (nothing,), np.float32(NAN))
    yield rule("ops.logsumexp", "over nothing", "-inf", "the log of an empty sum", (nothing,), np.float32(-INF))
    yield rule("ops.softmax", "of nothing", "nothing", "no element to give", (nothing,), f32())
    yield rule(
        "matmul", "an inner size of 0", "zeros", "empty sums", (zeros((2, 0)), zeros((0, 3))), zeros((2, 3)), (np.zeros((2, 0)), np.zeros((0, 3)))
    )
    yield rule("einsum", "an inner size of 0", "zeros", "empty sums", ("ab,bc->ac", zeros((2, 0)), zeros((0, 3))), zeros((2, 3)))
    no_images, kernel = zeros((0, 5, 2)), np.ones((3, 2, 4), np.float32)
    settings = ((1,), ((0, 0),), (1,), 1)
    yield rule(
        "conv",
        "a batch of 0",
        "a batch of 0, and zeros for the kernel's gradient",
        "empty sums",
        (no_images, kernel, *settings),
        zeros((0, 3, 4)),
        (np.zeros((0, 5, 2)), np.zeros((3, 2, 4))),
    )
    for name in ("max_pool", "sum_pool"):
        yield rule(
            name, "a batch of 0", "a batch of 0", "nothing is asked for", (no_images, (2,), (2,), ((0, 0),)), zeros((0, 2, 2)), (np.zeros((0, 5, 2)),)
        )
    for name in ("sort", "cumsum", "cumprod", "cummax"):
        yield rule(name, "of nothing", "nothing", "no element to give", (nothing, 0), f32())
    yield rule("take", "no indices", "nothing", "nothing is asked for", (f32(1, 2), i32(), 0), f32(), ([0, 0],))
    yield rule("searchsorted", "in nothing", "0", "the only place", (nothing, f32(1, 2), "left"), i32(0, 0))
    yield rule("concatenate", "with an empty one", "the other", "nothing to add", ([nothing, f32(1, 2)], 0), f32(1, 2))
    scalar = np.float32(3)
    for name in ("sum", "prod", "max", "min"):
        yield rule(name, "of a scalar", "itself", "it has no axes", (np.asarray(scalar), (), False), scalar, (1,))
    yield rule("transpose", "of a scalar", "itself", "it has no axes", (np.asarray(scalar), ()), scalar, (1,))
    yield rule("reshape", "a scalar to one element", "the same value", "as NumPy", (np.asarray(scalar), (1, 1)), np.full((1, 1), 3, np.float32), (1,))


@functools.cache
def all_rules() -> tuple[Rule, ...]:
    """In the order of the page."""
    return (*_gradient_rules(), *_float_rules(), *_integer_rules(), *_empty_rules())


@functools.cache
def rules() -> dict[str, list[Rule]]:
    """What a rule is about -> its rules."""
    found: dict[str, list[Rule]] = {}
    for rule in all_rules():
        found.setdefault(rule.of, []).append(rule)
    return found
