# SPDX-License-Identifier: Apache-2.0
"""The primitives on variables of PyTensor: its own operations where they keep the contract, else the NumPy engine's with a gradient.

A function here has the name of a primitive and takes variables in the place of tensors; `TABLE` is all of them. Start at TABLE, then at `call`.
"""

from __future__ import annotations

# The annotations of PyTensor know variables, but not what tensors can do:
# pyright: reportArgumentType=false, reportAssignmentType=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportGeneralTypeIssues=false
# pyright: reportIncompatibleMethodOverride=false, reportIndexIssue=false, reportMissingImports=false, reportMissingModuleSource=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportPrivateImportUsage=false, reportReturnType=false
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Variable
from pytensor.scalar import basic as scalars
from pytensor.tensor.elemwise import Elemwise

from nyala.engines._pytensor_primitives import Narrow, gradient, no_gradient, primitive, spec_engine
from nyala.engines._pytensor_values import NARROW, Traced, as_variable, dtype_of, marked, settled
from nyala.engines.protocol import Shape
from nyala.engines.spec import SpecTensor

TABLE: dict[str, Callable] = {}


def call(name: str, args: Sequence[Any]) -> Any:
    """A primitive of arguments among which there are traced tensors."""
    tensors = [x for arg in args for x in (arg if isinstance(arg, (list, tuple)) else (arg,)) if isinstance(x, TENSORS)]
    narrow = next((dtype for x in tensors if (dtype := dtype_of(x)) in NARROW), None)
    results = TABLE[name](*map(_given, args))
    several = isinstance(results, tuple)
    results = list(results) if several else [results]
    if narrow is not None and name != "cast":
        results = [_narrowed(x, narrow) for x in results]
    if any(None in x.type.shape for x in results):
        looks = getattr(spec_engine, name)(*map(_look, args))
        looks = looks if isinstance(looks, tuple) else (looks,)
        results = [marked(settled(x, look.shape), dtype_of(x)) for x, look in zip(results, looks, strict=True)]
    return tuple(map(Traced, results)) if several else Traced(results[0])


TENSORS = (Traced, np.ndarray)


def _given(arg: Any) -> Any:
    if isinstance(arg, (list, tuple)) and any(isinstance(x, TENSORS) for x in arg):
        return [as_variable(x) if isinstance(x, TENSORS) else x for x in arg]
    return as_variable(arg) if isinstance(arg, TENSORS) else arg


def _look(arg: Any) -> Any:
    """An argument for the spec engine."""
    if isinstance(arg, (list, tuple)):
        return type(arg)(map(_look, arg))
    return SpecTensor(arg.shape, dtype_of(arg)) if isinstance(arg, TENSORS) else arg


def _narrowed(x: Variable, dtype: str) -> Variable:
    return marked(Narrow(dtype)(x), dtype) if x.type.dtype == "float32" else x


def add_to_table(*functions: Callable) -> Callable:
    """Register functions under their names."""
    for function in functions:
        TABLE[function.__name__] = function
    return functions[0]


def kind_of(x: Variable) -> str:
    """The letter of NumPy for the kind of its dtype."""
    return np.dtype(x.type.dtype).kind


def constant(value: Any, like: Variable) -> Variable:
    """A number in the dtype of a variable."""
    return as_variable(np.asarray(value, like.type.dtype))


# Elementwise ----------------------------------------------------------------------------------------------------------------------


def _operands(x: Any, y: Any) -> tuple[Variable, Variable]:
    if not isinstance(x, Variable):
        return constant(x, y), y
    return x, y if isinstance(y, Variable) else constant(y, x)


def _binary(function: Callable, of_bools: Callable | None = None, of_complex: str | None = None) -> Callable:
    def run(x: Any, y: Any) -> Variable:
        x, y = _operands(x, y)
        if of_complex and kind_of(x) == "c":
            return primitive(of_complex)(x, y)
        return of_bools(x, y) if of_bools is not None and kind_of(x) == "b" else function(x, y)

    return run


def _shares(inputs: Sequence, upstream: Sequence, wins: Callable) -> list:
    (x, y), (g,) = inputs, upstream
    half, none = (scalars.constant(number, dtype=g.type.dtype) for number in (0.5, 0))
    tie = scalars.switch(scalars.eq(x, y), g * half, none)
    return [scalars.switch(wins(a, b), g, tie) for a, b in ((x, y), (y, x))]


class _Maximum(scalars.Maximum):
    """The larger, whose gradient equal operands share."""

    def pullback(self, inputs: Sequence, outputs: Sequence, upstream: Sequence) -> list:
        return _shares(inputs, upstream, scalars.gt)


class _Minimum(scalars.Minimum):
    """The smaller, whose gradient equal operands share."""

    def pullback(self, inputs: Sequence, outputs: Sequence, upstream: Sequence) -> list:
        return _shares(inputs, upstream, scalars.lt)


class _Power(scalars.Pow):
    """x ** y, whose gradient is 0 in x where y is 0, and in y where x is 0."""

    def pullback(self, inputs: Sequence, outputs: Sequence, upstream: Sequence) -> list:
        (x, y), (g,) = inputs, upstream
        one, none = (scalars.constant(number, dtype=g.type.dtype) for number in (1, 0))
        of_x = scalars.switch(scalars.eq(y, none), none, y * x ** (y - one))
        of_y = scalars.switch(scalars.eq(x, none), none, outputs[0] * scalars.log(x))
        return [g * of_x, g * of_y]


_maximum, _minimum, _power = (Elemwise(kind(like.output_types_preference, name=like.name)) for kind, like in (
    (_Maximum, scalars.maximum), (_Minimum, scalars.minimum), (_Power, scalars.pow)))  # fmt: skip

_UNARY = {
    "negative": pt.neg, "lgamma": pt.gammaln, "digamma": pt.psi, "rsqrt": lambda x: pt.reciprocal(pt.sqrt(x)), "logical_not": pt.invert,
    "bitwise_not": pt.invert,
    **{name: getattr(pt, name) for name in (
        "exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh",
        "arctanh", "sigmoid", "erf", "erfinv")},
}  # fmt: skip
_BINARY = {
    "add": _binary(pt.add, pt.or_), "subtract": _binary(pt.sub), "multiply": _binary(pt.mul, pt.and_, "multiply"),
    "divide": _binary(pt.true_div, None, "divide"), "remainder": _binary(pt.mod), "maximum": _binary(_maximum), "minimum": _binary(_minimum),
    "arctan2": _binary(pt.arctan2), "equal": _binary(pt.eq), "not_equal": _binary(pt.neq), "less": _binary(pt.lt), "less_equal": _binary(pt.le),
    "greater": _binary(pt.gt), "greater_equal": _binary(pt.ge), "logical_and": _binary(pt.and_), "logical_or": _binary(pt.or_),
    "bitwise_and": _binary(pt.and_), "bitwise_or": _binary(pt.or_), "bitwise_xor": _binary(pt.xor),
}  # fmt: skip
TABLE.update(_UNARY)
TABLE.update(_BINARY)
for _name in ("floor_divide", "left_shift", "right_shift", "sign"):  # without gradients
    TABLE[_name] = _binary(primitive(_name)) if _name != "sign" else primitive(_name)
for _name, _function in (("floor", pt.floor), ("ceil", pt.ceil), ("round", lambda x: pt.round(x, mode="half_to_even"))):
    TABLE[_name] = lambda x, function=_function: function(x) if kind_of(x) == "f" else x


def abs(x: Variable) -> Variable:
    if kind_of(x) == "u":
        return x
    return primitive("abs")(x)


def isfinite(x: Variable) -> Variable:
    return pt.eq(x - x, constant(0, x))


def isnan(x: Variable) -> Variable:
    return pt.neq(x, x)


def power(x: Any, y: Any) -> Variable:
    if isinstance(y, (int, float)) and y in (0, 1, 2, 3):
        return (pt.ones_like(x), x, x * x, x * x * x)[int(y)]
    return _power(*_operands(x, y))


def where(condition: Any, x: Any, y: Any) -> Variable:
    if not isinstance(x, Variable) and not isinstance(y, Variable):
        raise TypeError("where needs a tensor beside its condition, got two Python numbers.\n  fix: make one of them a tensor with full")
    return pt.switch(as_variable(condition), *_operands(x, y))


def cast(x: Variable, dtype: str) -> Variable:
    if dtype_of(x) == dtype:
        return x
    if dtype == "bool":
        return pt.neq(x, constant(0, x))
    if kind_of(x) == "c" and not dtype.startswith("complex"):
        x = primitive("real")(x)
    if dtype in NARROW:
        return _narrowed(pt.cast(x, "float32"), dtype)
    if x.type.dtype == dtype:  # a narrow one becomes wide
        return pt.tensor_copy(x)
    return pt.cast(x, dtype)


add_to_table(abs, isfinite, isnan, power, where, cast)


@gradient("abs")
def _of_abs(inputs: list, outputs: list, upstream: list) -> list:
    (x,), (g,) = inputs, upstream
    if kind_of(x) != "c":
        return [g * primitive("sign")(x)]
    size = pt.switch(pt.eq(outputs[0], constant(0, outputs[0])), constant(1, outputs[0]), outputs[0])
    return [primitive("multiply")(pt.cast(g / size, x.type.dtype), x)]


@gradient("multiply")
def _of_complex_product(inputs: list, outputs: list, upstream: list) -> list:
    x, y = inputs
    return [unbroadcast(primitive("multiply")(upstream[0], _conjugate(b)), a) for a, b in ((x, y), (y, x))]


@gradient("divide")
def _of_complex_quotient(inputs: list, outputs: list, upstream: list) -> list:
    over = primitive("divide")(upstream[0], _conjugate(inputs[1]))
    return [unbroadcast(over, inputs[0]), unbroadcast(pt.neg(primitive("multiply")(over, _conjugate(outputs[0]))), inputs[1])]


def _conjugate(x: Variable) -> Variable:
    return primitive("complex")(primitive("real")(x), pt.neg(primitive("imag")(x)))


def unbroadcast(g: Variable, x: Variable) -> Variable:
    """g summed to the shape of x, which was broadcast."""
    shape, lead = x.type.shape, g.type.ndim - x.type.ndim
    axes = (*range(lead), *(lead + i for i, n in enumerate(shape) if n == 1 and g.type.shape[lead + i] != 1))
    return settled(pt.reshape(sum(g, axes, False), shape), shape) if axes else g


# Reductions -----------------------------------------------------------------------------------------------------------------------


def sum(x: Variable, axes: Shape, keepdims: bool) -> Variable:
    return pt.sum(x, axis=axes, dtype=x.type.dtype, keepdims=keepdims, acc_dtype=x.type.dtype) if axes else x


def prod(x: Variable, axes: Shape, keepdims: bool) -> Variable:
    return pt.prod(x, axis=axes, dtype=x.type.dtype, keepdims=keepdims, acc_dtype=x.type.dtype) if axes else x


def _reduced(name: str) -> Callable:
    return lambda x, axes, keepdims: primitive(name, axes, keepdims)(x) if axes else x


for _name in ("max", "min", "any", "all"):
    TABLE[_name] = _reduced(_name)


def _of_extreme(inputs: list, outputs: list, upstream: list, axes: Shape, keepdims: bool) -> list:
    (x,) = inputs
    shape = tuple(1 if i in axes else n for i, n in enumerate(x.type.shape))
    y, g = (settled(pt.reshape(part, shape), shape) for part in (outputs[0], upstream[0]))
    here = pt.cast(pt.or_(pt.eq(x, y), pt.neq(x, x)), x.type.dtype)
    return [here * (g / sum(here, axes, True))]


gradient("max")(_of_extreme)
gradient("min")(_of_extreme)


def cumsum(x: Variable, axis: int) -> Variable:
    return pt.cumsum(x, axis=axis) if kind_of(x) in "fc" else primitive("cumsum", axis)(x)


def cummax(x: Variable, axis: int) -> Variable:
    return take_along_axis(x, primitive("running_place", axis)(x), axis)


for _name in ("argmax", "argmin", "cumprod", "argsort"):
    TABLE[_name] = lambda x, axis, name=_name: primitive(name, axis)(x)


@gradient("cumprod")
def _of_cumprod(inputs: list, outputs: list, upstream: list, axis: int) -> list:
    """By the pairs (i, j), i <= j, of x_1 ... x_j without x_i, so that zeros do no harm."""
    (x,), (g,) = inputs, upstream
    n = x.type.shape[axis]
    last = [*(i for i in range(x.type.ndim) if i != axis), axis]
    back = [last.index(i) for i in range(x.type.ndim)]
    x, g = x.transpose(last), g.transpose(last)
    without = np.eye(n, dtype=bool).reshape((1,) * (x.type.ndim - 1) + (n, n))
    others = pt.switch(as_variable(without), constant(1, x), pt.shape_padaxis(x, x.type.ndim - 1))
    lower = np.triu(np.ones((n, n), x.type.dtype))
    products = primitive("cumprod", others.type.ndim - 1)(others) * as_variable(lower)
    return [pt.sum(products * pt.shape_padaxis(g, g.type.ndim - 1), axis=-1, acc_dtype=g.type.dtype).transpose(back)]


add_to_table(sum, prod, cumsum, cummax)


# Shape moves ----------------------------------------------------------------------------------------------------------------------


def reshape(x: Variable, shape: Shape) -> Variable:
    return settled(pt.reshape(x, tuple(shape), ndim=len(shape)), tuple(shape))


def transpose(x: Variable, axes: Shape) -> Variable:
    return x.transpose(*axes) if axes else x


def broadcast_to(x: Variable, shape: Shape) -> Variable:
    return x if x.type.shape == tuple(shape) else pt.broadcast_to(x, tuple(shape))


def concatenate(xs: Sequence[Variable], axis: int) -> Variable:
    return pt.concatenate([as_variable(x) for x in xs], axis=axis)


def pad(x: Variable, widths: Sequence[tuple[int, int]], value: float) -> Variable:
    shape = [n + before + after for n, (before, after) in zip(x.type.shape, widths, strict=True)]
    if tuple(shape) == x.type.shape:
        return x
    inside = tuple(slice(before, before + n) for n, (before, _) in zip(x.type.shape, widths, strict=True))
    return pt.set_subtensor(pt.alloc(constant(value, x), *shape)[inside], x)


def slice_(x: Variable, starts: Shape, stops: Shape, steps: Shape) -> Variable:
    whole = all(a == 0 and b == n and c == 1 for a, b, c, n in zip(starts, stops, steps, x.type.shape, strict=True))
    return x if whole else primitive("slice", starts, stops, steps)(x)


@gradient("slice")
def _of_slice(inputs: list, outputs: list, upstream: list, starts: Shape, stops: Shape, steps: Shape) -> list:
    return [primitive("slice_put", inputs[0].type.shape, starts, stops, steps)(upstream[0])]


@gradient("slice_put")
def _of_slice_put(inputs: list, outputs: list, upstream: list, shape: Shape, starts: Shape, stops: Shape, steps: Shape) -> list:
    return [primitive("slice", starts, stops, steps)(upstream[0])]


def flip(x: Variable, axes: Shape) -> Variable:
    return x[tuple(slice(None, None, -1 if i in axes else None) for i in range(x.type.ndim))] if axes else x


TABLE["slice"] = slice_
add_to_table(reshape, transpose, broadcast_to, concatenate, pad, flip)


# Indexing and order ---------------------------------------------------------------------------------------------------------------


def take(x: Variable, indices: Variable, axis: int) -> Variable:
    return x[(slice(None),) * axis + (as_variable(indices),)]


def take_along_axis(x: Variable, indices: Variable, axis: int) -> Variable:
    return primitive("take_along_axis", axis)(x, indices)


@gradient("take_along_axis")
def _of_take_along_axis(inputs: list, outputs: list, upstream: list, axis: int) -> list:
    return [primitive("put_along_axis", inputs[0].type.shape, axis)(upstream[0], inputs[1]), None]


@gradient("put_along_axis")
def _of_put_along_axis(inputs: list, outputs: list, upstream: list, shape: Shape, axis: int) -> list:
    g, indices = inputs
    return [broadcast_to(primitive("take_along_axis", axis)(upstream[0], indices), g.type.shape), None]


def scatter(x: Variable, indices: Variable, updates: Variable, mode: str) -> Variable:
    if indices.type.shape[0] == 0:
        return x
    if mode in ("multiply", "max", "min"):
        return primitive("scatter", mode)(x, indices, updates)
    places = x[tuple(indices[:, i] for i in range(indices.type.shape[1]))]
    return pt.set_subtensor(places, updates) if mode == "set" else pt.inc_subtensor(places, updates)


@gradient("scatter")
def _of_scatter(inputs: list, outputs: list, upstream: list, mode: str) -> list:
    """Of max and min: who is the extreme gets it, in equal shares."""
    if mode == "multiply":
        raise NotImplementedError(no_gradient("scatter multiply"))
    (x, indices, updates), (y,), (g,) = inputs, outputs, upstream
    at = tuple(indices[:, i] for i in range(indices.type.shape[1]))
    kept, taken = pt.cast(pt.eq(x, y), g.type.dtype), pt.cast(pt.eq(updates, y[at]), g.type.dtype)
    share = g / pt.inc_subtensor(kept[at], taken)
    return [kept * share, None, taken * share[at]]


def dynamic_slice(x: Variable, starts: Sequence[Any], sizes: Shape) -> Variable:
    return primitive("dynamic_slice", sizes)(x, *map(_start, starts))


def dynamic_update_slice(x: Variable, update: Variable, starts: Sequence[Any]) -> Variable:
    return primitive("dynamic_update_slice")(x, update, *map(_start, starts))


def _start(start: Any) -> Variable:
    return start if isinstance(start, Variable) else as_variable(np.asarray(start, np.int32))


@gradient("dynamic_slice")
def _of_dynamic_slice(inputs: list, outputs: list, upstream: list, sizes: Shape) -> list:
    x, *starts = inputs
    return [primitive("dynamic_update_slice")(pt.zeros_like(x), upstream[0], *starts), *[None] * len(starts)]


@gradient("dynamic_update_slice")
def _of_dynamic_update_slice(inputs: list, outputs: list, upstream: list) -> list:
    _, update, *starts = inputs
    taken = primitive("dynamic_slice", update.type.shape)(upstream[0], *starts)
    return [primitive("dynamic_update_slice")(upstream[0], pt.zeros_like(update), *starts), taken, *[None] * len(starts)]


def nonzero(x: Variable) -> Any:
    raise TypeError(
        f"nonzero needs known values, got a traced tensor of shape {x.type.shape}.\n"
        "  why: how many elements are not zero decides the shape of the result, and compiled code has no values yet\n"
        "  fix: call it outside of compiled functions, or use where(condition, x, y) there"
    )


def sort(x: Variable, axis: int) -> Variable:
    return take_along_axis(x, primitive("argsort", axis)(x), axis)


def top_k(x: Variable, k: int) -> tuple[Variable, Variable]:
    places = primitive("top_places", k)(x)
    return take_along_axis(x, places, x.type.ndim - 1), places


def searchsorted(sequence: Variable, values: Variable, side: str) -> Variable:
    return primitive("searchsorted", side)(sequence, values)


add_to_table(take, take_along_axis, scatter, dynamic_slice, dynamic_update_slice, nonzero, sort, top_k, searchsorted)
