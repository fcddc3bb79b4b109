# SPDX-License-Identifier: Apache-2.0
"""Products that sum over axes. Start at matmul; einsum says any of them in one line."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from typing import Any

from nyala.core import dtypes
from nyala.core.errors import ArgumentError, AxisError, DTypeError, ShapeError
from nyala.core.op import engine, normalize_axis, op
from nyala.engines.protocol import Tensor
from nyala.ops.indexing import diagonal


def _multiplied(function: Any, *xs: Tensor, int8_grows: bool = False) -> Tensor:
    """function(*xs), bools by way of int32; int8 grows to int32 where Keras lets it."""
    dtype = engine.dtype(xs[0])
    if dtype == "bool":
        return engine.cast(function(*(engine.cast(x, "int32") for x in xs)), "bool")
    return function(*(engine.cast(x, "int32") for x in xs)) if dtype == "int8" and int8_grows else function(*xs)


def broadcast_shapes(name: str, *shapes: Sequence[int]) -> tuple[int, ...]:
    """The shape that these broadcast to, by NumPy's rules; an unknown size, which is no plain int, fits a known one."""
    ndim = max(map(len, shapes), default=0)
    result = []
    for sizes in zip(*((1,) * (ndim - len(shape)) + tuple(shape) for shape in shapes), strict=True):
        different = set(sizes) - {1}
        different = {n for n in different if type(n) is int} or different if len(different) > 1 else different
        if len(different) > 1:
            got = " and ".join(str(tuple(shape)) for shape in shapes)
            raise ShapeError(name, need="leading axes that broadcast", got=got, why="from the last one on, sizes must be equal or 1")
        result.append(different.pop() if different else 1)
    return tuple(result)


@op(promote="same")
def matmul(x1: Tensor, x2: Tensor) -> Tensor:
    """Matrix product over the last two axes, leading axes broadcast; a vector counts as a row on the left, as a column on the right.

    >>> matmul([[1.0, 2.0], [3.0, 4.0]], [1.0, 1.0]).tolist()
    [3.0, 7.0]
    """
    if x1.ndim == 0 or x2.ndim == 0:
        raise ShapeError(
            "matmul", need="tensors with at least one axis", got=f"{tuple(x1.shape)} and {tuple(x2.shape)}", fix="use multiply for scalars"
        )
    a = engine.reshape(x1, (1, *x1.shape)) if x1.ndim == 1 else x1
    b = engine.reshape(x2, (*x2.shape, 1)) if x2.ndim == 1 else x2
    if a.shape[-1] != b.shape[-2]:
        got, why = f"{tuple(x1.shape)} and {tuple(x2.shape)}", "(..., n, k) times (..., k, m) gives (..., n, m)"
        inner = f"last axis of x1 ({a.shape[-1]}) equal to the {'only' if x2.ndim == 1 else 'last but one'} axis of x2 ({b.shape[-2]})"
        raise ShapeError("matmul", need=f"the {inner}", got=got, why=why)
    broadcast_shapes("matmul", a.shape[:-2], b.shape[:-2])
    result = _multiplied(engine.matmul, a, b, int8_grows=True)
    shape = (*result.shape[:-2], *(() if x1.ndim == 1 else result.shape[-2:-1]), *(() if x2.ndim == 1 else result.shape[-1:]))
    return result if len(shape) == result.ndim else engine.reshape(result, shape)


@op(promote="same")
def dot(x1: Tensor, x2: Tensor) -> Tensor:
    """Sum over the last axis of x1 and the last but one of x2 (the only one of a vector); scalars multiply."""
    if x1.ndim == 0 or x2.ndim == 0:
        return engine.multiply(x1, x2)
    return _contract("dot", x1, x2, [x1.ndim - 1], [max(x2.ndim - 2, 0)])


@op(promote="same")
def inner(x1: Tensor, x2: Tensor) -> Tensor:
    """Sum over the last axes of both; scalars multiply."""
    if x1.ndim == 0 or x2.ndim == 0:
        return engine.multiply(x1, x2)
    return _contract("inner", x1, x2, [x1.ndim - 1], [x2.ndim - 1])


@op(promote="same")
def tensordot(x1: Tensor, x2: Tensor, axes: int | Sequence[Any] = 2) -> Tensor:
    """Sum of products over paired axes.

    Args:
        axes: n, for the last n of x1 with the first n of x2; or a list of axes for each.

    >>> tensordot([[1, 2], [3, 4]], [10, 1], axes=1).tolist()
    [12, 34]
    """
    if isinstance(axes, int):
        if not 0 <= axes <= min(x1.ndim, x2.ndim):
            raise AxisError(
                "tensordot(axes)",
                need=f"at most {min(x1.ndim, x2.ndim)} axes",
                got=str(axes),
                why=f"the shapes are {tuple(x1.shape)} and {tuple(x2.shape)}",
            )
        return _contract("tensordot", x1, x2, list(range(x1.ndim - axes, x1.ndim)), list(range(axes)))
    first, second = (
        [normalize_axis(a, x.ndim, "tensordot(axes)") for a in (own if isinstance(own, (list, tuple)) else (own,))]
        for own, x in zip(axes, (x1, x2), strict=True)
    )
    if len(first) != len(second):
        raise AxisError("tensordot(axes)", need="as many axes of x1 as of x2", got=f"{axes!r}")
    return _contract("tensordot", x1, x2, first, second)


def _contract(name: str, x: Tensor, y: Tensor, first: list[int], second: list[int]) -> Tensor:
    """Sum of products over pairs of axes, as one matrix product."""
    for i, j in zip(first, second, strict=True):
        if x.shape[i] != y.shape[j]:
            need = f"axis {i} of x1 ({x.shape[i]}) equal to axis {j} of x2 ({y.shape[j]})"
            raise ShapeError(name, need=need, got=f"{tuple(x.shape)} and {tuple(y.shape)}", why="products are summed over these axes")
    rows, columns = [i for i in range(x.ndim) if i not in first], [j for j in range(y.ndim) if j not in second]
    shape = (*(x.shape[i] for i in rows), *(y.shape[j] for j in columns))
    depth = math.prod(x.shape[i] for i in first)
    a = engine.reshape(engine.transpose(x, (*rows, *first)), (math.prod(x.shape[i] for i in rows), depth))
    b = engine.reshape(engine.transpose(y, (*second, *columns)), (depth, math.prod(y.shape[j] for j in columns)))
    return engine.reshape(_multiplied(engine.matmul, a, b), shape)


@op(promote="same")
def vdot(x1: Tensor, x2: Tensor) -> Tensor:
    """Sum of products of all elements, x1 conjugated."""
    from nyala.ops.complex_numbers import conjugated

    if math.prod(x1.shape) != math.prod(x2.shape):
        raise ShapeError("vdot", need="as many elements in x1 as in x2", got=f"{tuple(x1.shape)} and {tuple(x2.shape)}")
    a, b = (engine.reshape(x, (math.prod(x.shape),)) for x in (conjugated(x1), x2))
    return _contract("vdot", a, b, [0], [0])


@op(promote="same")
def outer(x1: Tensor, x2: Tensor) -> Tensor:
    """All products of an element of x1 with one of x2: (size of x1, size of x2)."""
    return engine.multiply(engine.reshape(x1, (math.prod(x1.shape), 1)), engine.reshape(x2, (1, math.prod(x2.shape))))


@op(promote="same")
def kron(x1: Tensor, x2: Tensor) -> Tensor:
    """Kronecker product: blocks of x2, each times one element of x1."""
    ndim = max(x1.ndim, x2.ndim)
    first, second = ((1,) * (ndim - x.ndim) + tuple(x.shape) for x in (x1, x2))
    a = engine.reshape(x1, tuple(size for n in first for size in (n, 1)))
    b = engine.reshape(x2, tuple(size for n in second for size in (1, n)))
    return engine.reshape(engine.multiply(a, b), tuple(n * m for n, m in zip(first, second, strict=True)))


@op(promote="same")
def cross(x1: Tensor, x2: Tensor, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Tensor:
    """Vector product of vectors of 3 (or 2, their third being 0) along axisa and axisb, put along axisc; of 2 and 2 only its third component."""
    if axis is not None:
        axisa = axisb = axisc = axis
    parts = []
    for x, own in ((x1, axisa), (x2, axisb)):
        place = normalize_axis(own, x.ndim)
        if x.shape[place] not in (2, 3):
            raise ShapeError("cross", need="vectors of 2 or 3 components", got=f"{x.shape[place]} along axis {own} of shape {tuple(x.shape)}")
        order = (place, *(i for i in range(x.ndim) if i != place))
        moved = engine.transpose(x, order)
        rest = tuple(moved.shape[1:])
        components = [
            engine.reshape(engine.slice(moved, (i, *(0 for _ in rest)), (i + 1, *rest), (1,) * moved.ndim), rest) for i in range(moved.shape[0])
        ]
        parts.append(components)
    minor = lambda i, j: engine.subtract(engine.multiply(a[i], b[j]), engine.multiply(a[j], b[i]))  # noqa: E731
    a, b = parts
    if len(a) == len(b) == 2:
        return minor(0, 1)
    a, b = (v if len(v) == 3 else [*v, engine.multiply(v[0], 0)] for v in parts)
    result = [minor(1, 2), minor(2, 0), minor(0, 1)]
    place = normalize_axis(axisc, result[0].ndim + 1)
    shape = (*result[0].shape[:place], 1, *result[0].shape[place:])
    return engine.concatenate([engine.reshape(component, shape) for component in result], place)


@op(promote="float")
def correlate(x1: Tensor, x2: Tensor, mode: str = "valid") -> Tensor:
    """Sliding sum of products of two vectors: sum of x1[n + k] * x2[n] over n, for the shifts k that `mode` says.

    Args:
        mode: "valid" where they overlap wholly, "same" for as many as the longer has elements, "full" wherever they overlap.
    """
    if mode not in ("valid", "same", "full"):
        raise ArgumentError("correlate(mode)", need="'valid', 'same' or 'full'", got=repr(mode))
    if x1.ndim != 1 or x2.ndim != 1 or 0 in (x1.shape[0], x2.shape[0]):
        raise ShapeError("correlate", need="two vectors that are not empty", got=f"{tuple(x1.shape)} and {tuple(x2.shape)}")
    if dtypes.is_complex(engine.dtype(x1)):
        raise DTypeError("correlate", need="real numbers", got=engine.dtype(x1), fix="correlate real and imaginary parts")
    if x1.shape[0] < x2.shape[0]:
        return engine.flip(correlate.function(x2, x1, mode), (0,))
    size, width = x1.shape[0], x2.shape[0]
    before = {"valid": 0, "same": width // 2, "full": width - 1}[mode]
    after = {"valid": 0, "same": width - 1 - width // 2, "full": width - 1}[mode]
    result = engine.conv(engine.reshape(x1, (1, size, 1)), engine.reshape(x2, (width, 1, 1)), (1,), [(before, after)], (1,), 1)
    return engine.reshape(result, (size + before + after - width + 1,))


# Einstein summation ---------------------------------------------------------------------------------------------------------------------


@op(promote="same")
def einsum(subscripts: str, *operands: Tensor, **kwargs: Any) -> Tensor:
    """Sum of products over the letters that the output does not name.

    Args:
        subscripts: "ij,jk->ik"; "..." stands for leading axes that broadcast; without "->" the output has the letters that occur once, sorted.
        kwargs: optimize and the like are accepted; the engine chooses the order of contraction.

    >>> einsum("ij,j->i", [[1.0, 2.0], [3.0, 4.0]], [1.0, 1.0]).tolist()
    [3.0, 7.0]
    """
    terms, output = _parse(subscripts, [x.ndim for x in operands])
    terms, xs = map(list, zip(*(_without_repeats(term, x) for term, x in zip(terms, operands, strict=True)), strict=True))
    sizes: dict[str, int] = {}
    for term, x in zip(terms, xs, strict=True):
        for letter, size in zip(term, x.shape, strict=True):
            if sizes.get(letter, 1) == 1:
                sizes[letter] = size
    for i, (term, x) in enumerate(zip(terms, xs, strict=True)):
        narrow = {letter for letter, size in zip(term, x.shape, strict=True) if size == 1 and sizes[letter] != 1}
        if any(size not in (1, sizes[letter]) for letter, size in zip(term, x.shape, strict=True)) or not narrow <= set(_DOTS):
            letter, size = next((n, m) for n, m in zip(term, x.shape, strict=True) if m != sizes[n] and (m != 1 or n not in _DOTS))
            shapes = " and ".join(str(tuple(operand.shape)) for operand in operands)
            raise ShapeError(f"einsum({subscripts!r})", need=f"one size for {letter!r}", got=f"{sizes[letter]} and {size}, in shapes {shapes}")
        if narrow:  # an axis under the ellipsis that broadcasts
            xs[i] = engine.reshape(x, tuple(size for letter, size in zip(term, x.shape, strict=True) if letter not in narrow))
            terms[i] = "".join(letter for letter in term if letter not in narrow)
    equation = f"{','.join(terms)}->{output}"
    for letter, plain in zip(_DOTS, [c for c in string.ascii_letters if c not in subscripts], strict=False):
        equation = equation.replace(letter, plain)
    return _multiplied(lambda *xs: engine.einsum(equation, *xs), *xs, int8_grows=True)


_DOTS = "".join(map(chr, range(0x3B1, 0x3B1 + 16)))  # letters for the axes under an ellipsis, the last axis first


def _parse(subscripts: str, ranks: list[int]) -> tuple[list[str], str]:
    """Terms and output in letters only."""
    text = subscripts.replace(" ", "") if isinstance(subscripts, str) else ""
    inputs, arrow, output = text.partition("->")
    terms = inputs.split(",")
    if (
        not isinstance(subscripts, str)
        or len(terms) != len(ranks)
        or not set(text.replace("...", "").replace("->", "").replace(",", "")) <= set(string.ascii_letters)
    ):
        need = f'letters for each of the {len(ranks)} operands, as in "ij,jk->ik"'
        raise ArgumentError("einsum(subscripts)", need=need, got=repr(subscripts))
    hidden = 0
    for i, (term, rank) in enumerate(zip(terms, ranks, strict=True)):
        letters = term.replace("...", "")
        dots = rank - len(letters)
        if dots < 0 or (dots and "..." not in term):
            raise ShapeError(f"einsum({subscripts!r})", need=f"{len(letters)} axes in operand {i}, as {term!r} says", got=f"{rank} axes")
        terms[i] = term.replace("...", _DOTS[:dots][::-1])
        hidden = max(hidden, dots)
    dotted, joined = _DOTS[:hidden][::-1], "".join(terms)
    if not arrow:
        return terms, dotted + "".join(sorted(c for c in set(joined) if joined.count(c) == 1 and c not in _DOTS))
    output = output.replace("...", dotted)
    if len(set(output)) != len(output) or not set(output) <= set(joined):
        raise ArgumentError("einsum(subscripts)", need="an output of distinct letters that the inputs have", got=repr(subscripts))
    return terms, output


def _without_repeats(term: str, x: Tensor) -> tuple[str, Tensor]:
    """The diagonal where a letter stands twice in one term."""
    for letter in dict.fromkeys(term):
        while term.count(letter) > 1:
            first = term.index(letter)
            second = term.index(letter, first + 1)
            if x.shape[first] != x.shape[second]:
                raise ShapeError("einsum", need=f"one size for {letter!r}", got=f"{x.shape[first]} and {x.shape[second]}, in shape {tuple(x.shape)}")
            x = diagonal.function(x, 0, first, second)
            term = term[:first] + term[first + 1 : second] + term[second + 1 :] + letter
    return term, x
