# SPDX-License-Identifier: Apache-2.0
"""Linear algebra over the last two axes; leading axes are batches. Integers and bools become floats, 16-bit floats are computed in float32.

Also public as nyala.ops.linalg. Start at norm and solve.
"""

from __future__ import annotations

import math
from typing import Any

from nyala.core import dtypes
from nyala.core.errors import ArgumentError, DTypeError, ShapeError
from nyala.core.op import engine, normalize_axes, op
from nyala.engines.protocol import Tensor
from nyala.ops._dtypes import NARROW, Axis, in_float32, resolution
from nyala.ops.indexing import diagonal
from nyala.ops.reductions import sqrt_flat_at_zero


def _matrices(name: str, x: Tensor, square: bool = False) -> Tensor:
    """x, refused unless it holds (square) matrices."""
    if x.ndim < 2 or (square and x.shape[-1] != x.shape[-2]):
        raise ShapeError(name, need="square matrices (..., n, n)" if square else "matrices (..., m, n)", got=f"shape {tuple(x.shape)}")
    return x


def _wide(function: Any, *xs: Tensor) -> Any:
    """function(*xs) in float32 where the xs have 16 bits; a tuple of results comes back in their dtype."""
    dtype = engine.dtype(xs[0])
    if dtypes.is_complex(dtype):
        raise DTypeError("linear algebra", need="real numbers", got=dtype, fix="write the complex n x n problem as a real 2n x 2n one")
    if dtype not in NARROW:
        return function(*xs)
    result = function(*(engine.cast(x, "float32") for x in xs))
    narrow = lambda y: engine.cast(y, dtype) if engine.dtype(y) == "float32" else y  # noqa: E731
    return tuple(map(narrow, result)) if isinstance(result, tuple) else narrow(result)


def _transposed(x: Tensor) -> Tensor:
    return engine.transpose(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def _identity(n: int, dtype: str) -> Tensor:
    index = engine.arange(n, "int32")
    return engine.cast(engine.equal(engine.reshape(index, (n, 1)), engine.reshape(index, (1, n))), dtype)


# Factorizations -----------------------------------------------------------------------------------------------------------------------------


@op(promote="float")
def cholesky(x: Tensor, upper: bool = False) -> Tensor:
    """Lower L with L @ L.T = x for symmetric positive definite x; with upper, the upper U with U.T @ U = x.

    >>> cholesky([[4.0, 2.0], [2.0, 5.0]]).tolist()
    [[2.0, 0.0], [1.0, 2.0]]
    """
    factor = _wide(engine.cholesky, _matrices("cholesky", x, square=True))
    return _transposed(factor) if upper else factor


@op(promote="float")
def cholesky_inverse(x: Tensor, upper: bool = False) -> Tensor:
    """Inverse of L @ L.T for lower triangular L; with upper, of U.T @ U."""

    def inverse(x: Tensor) -> Tensor:
        eye = engine.broadcast_to(_identity(x.shape[-1], engine.dtype(x)), tuple(x.shape))
        half = engine.triangular_solve(x, eye, not upper)
        return engine.matmul(half, _transposed(half)) if upper else engine.matmul(_transposed(half), half)

    return _wide(inverse, _matrices("cholesky_inverse", x, square=True))


@op(promote="float")
def qr(x: Tensor, mode: str = "reduced") -> tuple[Tensor, Tensor]:
    """(q, r) with q @ r = x, orthonormal columns in q and upper triangular r; mode "reduced" or "complete"."""
    if mode not in ("reduced", "complete"):
        raise ArgumentError("qr(mode)", need="'reduced' or 'complete'", got=repr(mode))
    return tuple(_wide(lambda x: engine.qr(x, mode), _matrices("qr", x)))


@op(promote="float")
def svd(x: Tensor, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """(u, s, vh) with u @ diag(s) @ vh = x and s descending; s alone unless compute_uv."""
    u, s, vh = _wide(lambda x: engine.svd(x, full_matrices and compute_uv), _matrices("svd", x))
    return (u, s, vh) if compute_uv else s


@op(promote="float")
def eigh(x: Tensor) -> tuple[Tensor, Tensor]:
    """(w, v): ascending eigenvalues of a symmetric x, and its eigenvectors as columns."""
    return tuple(_wide(engine.eigh, _matrices("eigh", x, square=True)))


@op(promote="float")
def eig(x: Tensor) -> tuple[Tensor, Tensor]:
    """(w, v): eigenvalues in any order and right eigenvectors as columns, both complex."""
    return tuple(_wide(engine.eig, _matrices("eig", x, square=True)))


@op(promote="float")
def lu_factor(x: Tensor) -> tuple[Tensor, Tensor]:
    """(lu, pivots): unit lower and upper factors in one matrix, and the rows swapped, one after the other, counted from 0."""
    return tuple(_wide(engine.lu, _matrices("lu_factor", x)))


# Determinants, inverses, equations ------------------------------------------------------------------------------------------------------------


def _sign_and_log(x: Tensor) -> tuple[Tensor, Tensor]:
    """Sign and logarithm of the absolute value of the determinant."""
    packed, pivots = engine.lu(x)
    pivot = diagonal.function(packed, 0, -2, -1)  # *b n
    swaps = engine.cast(engine.not_equal(pivots, engine.arange(x.shape[-1], "int32")), engine.dtype(x))
    last = (pivot.ndim - 1,)
    sign = engine.multiply(engine.prod(engine.sign(pivot), last, False), engine.prod(engine.subtract(1.0, engine.multiply(swaps, 2.0)), last, False))
    return sign, engine.sum(engine.log(engine.abs(pivot)), last, False)


@op(promote="float")
def det(x: Tensor) -> Tensor:
    """Determinant.

    >>> det([[1.0, 2.0], [3.0, 4.0]]).tolist()
    -2.0
    """

    def determinant(x: Tensor) -> Tensor:
        packed, pivots = engine.lu(x)
        swaps = engine.cast(engine.not_equal(pivots, engine.arange(x.shape[-1], "int32")), engine.dtype(x))
        factors = engine.multiply(diagonal.function(packed, 0, -2, -1), engine.subtract(1.0, engine.multiply(swaps, 2.0)))
        return engine.prod(factors, (factors.ndim - 1,), False)

    return _wide(determinant, _matrices("det", x, square=True))


@op(promote="float")
def slogdet(x: Tensor) -> tuple[Tensor, Tensor]:
    """(sign, log |determinant|), without overflow."""
    return _wide(_sign_and_log, _matrices("slogdet", x, square=True))


@op(promote="float")
def logdet(x: Tensor) -> Tensor:
    """Logarithm of the determinant of a positive definite x."""

    def logarithm(x: Tensor) -> Tensor:
        pivot = diagonal.function(engine.cholesky(x), 0, -2, -1)
        return engine.multiply(engine.sum(engine.log(pivot), (pivot.ndim - 1,), False), 2.0)

    return _wide(logarithm, _matrices("logdet", x, square=True))


@op(promote="float")
def inv(x: Tensor) -> Tensor:
    """Inverse matrix.

    >>> inv([[2.0, 0.0], [0.0, 4.0]]).tolist()
    [[0.5, 0.0], [0.0, 0.25]]
    """
    return _wide(
        lambda x: engine.solve(x, engine.broadcast_to(_identity(x.shape[-1], engine.dtype(x)), tuple(x.shape))), _matrices("inv", x, square=True)
    )


@op(promote="float")
def solve(a: Tensor, b: Tensor) -> Tensor:
    """x with a @ x = b; b is a vector or has columns.

    >>> solve([[2.0, 0.0], [0.0, 4.0]], [2.0, 2.0]).tolist()
    [1.0, 0.5]
    """
    return _solved("solve", engine.solve, a, b)


@op(promote="float")
def solve_triangular(a: Tensor, b: Tensor, lower: bool = False) -> Tensor:
    """x with a @ x = b for upper (or lower) triangular a, whose other triangle is not read."""
    return _solved("solve_triangular", lambda a, b: engine.triangular_solve(a, b, bool(lower)), a, b)


def _solved(name: str, solver: Any, a: Tensor, b: Tensor) -> Tensor:
    vector = b.ndim == _matrices(name, a, square=True).ndim - 1
    if b.ndim < 1 or b.shape[-1 if vector else -2] != a.shape[-1]:
        raise ShapeError(name, need=f"b with {a.shape[-1]} rows, as a has", got=f"{tuple(a.shape)} and {tuple(b.shape)}")
    x = _wide(solver, a, engine.reshape(b, (*b.shape, 1)) if vector else b)
    return engine.reshape(x, tuple(x.shape[:-1])) if vector else x


@op(promote="float")
def lstsq(a: Tensor, b: Tensor, rcond: float | None = None) -> Tensor:
    """x of least norm among those with least |a @ x - b|; singular values below rcond times the largest count as 0."""
    if a.ndim != 2 or b.ndim not in (1, 2) or b.shape[0] != a.shape[0]:
        raise ShapeError("lstsq", need="a (m, n) and b (m,) or (m, k)", got=f"{tuple(a.shape)} and {tuple(b.shape)}")
    columns = engine.reshape(b, (b.shape[0], 1)) if b.ndim == 1 else b
    x = _wide(lambda a, b: engine.matmul(_pseudo_inverse(a, rcond), b), a, columns)
    return engine.reshape(x, (x.shape[0],)) if b.ndim == 1 else x


@op(promote="float")
def pinv(x: Tensor, rcond: float | None = None) -> Tensor:
    """Pseudo-inverse; singular values below rcond times the largest count as 0."""
    return _wide(lambda x: _pseudo_inverse(x, rcond), _matrices("pinv", x))


def _pseudo_inverse(x: Tensor, rcond: float | None) -> Tensor:
    u, s, vh = engine.svd(x, False)
    cutoff = resolution(engine.dtype(x)) * max(x.shape[-2:]) * 10 if rcond is None else float(rcond)
    keep = engine.greater(s, engine.multiply(engine.max(s, (s.ndim - 1,), True), cutoff))
    inverse = engine.where(keep, engine.divide(1.0, engine.where(keep, s, 1.0)), 0.0)
    return engine.matmul(engine.multiply(_transposed(vh), engine.reshape(inverse, (*s.shape[:-1], 1, s.shape[-1]))), _transposed(u))


@op(promote="float")
def matrix_rank(x: Tensor, tol: float | None = None) -> Tensor:
    """int32: how many singular values exceed tol (by default rounding errors of the largest)."""

    def rank(x: Tensor) -> Tensor:
        s = engine.svd(x, False)[1]
        least = engine.multiply(engine.max(s, (s.ndim - 1,), True), resolution(engine.dtype(x)) * max(x.shape[-2:])) if tol is None else tol
        return engine.sum(engine.cast(engine.greater(s, least), "int32"), (s.ndim - 1,), False)

    return _wide(rank, _matrices("matrix_rank", x))


# Norms --------------------------------------------------------------------------------------------------------------------------------------


@op(promote="float")
def norm(x: Tensor, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Norm of vectors along one axis, or of matrices over two; of all of x by default.

    Args:
        ord: None is the root of the sum of squares. Vectors: inf, -inf, 0 (how many are not zero) or a number p. Matrices: "fro", "nuc" (sum of
            singular values), 1, -1, inf, -inf (sums of columns, of rows), 2, -2 (largest, smallest singular value).

    >>> norm([3.0, 4.0]).tolist()
    5.0
    """
    axes = normalize_axes(axis, x.ndim)
    ordered = axes if axis is None or isinstance(axis, int) else tuple(a % x.ndim for a in axis)
    if ord is None or (ord in ("fro", 2) and len(axes) == (1 if ord == 2 else 2)):
        size = (lambda x: engine.abs(x)) if dtypes.is_complex(engine.dtype(x)) else (lambda x: x)
        return in_float32(lambda x: sqrt_flat_at_zero(engine.sum(engine.multiply(size(x), size(x)), axes, keepdims)), x)
    if len(axes) == 1:
        return in_float32(lambda x: _vector_norm(engine.abs(x), ord, axes, keepdims), x)
    if len(axes) != 2:
        raise ArgumentError(
            "norm(axis)", need="one axis for vectors, or two for matrices, beside an ord", got=f"axis={axis!r} for shape {tuple(x.shape)}"
        )
    if ord in ("nuc", 2, -2):
        return _wide(lambda x: _spectral_norm(x, ord, ordered, keepdims), x)
    if ord not in (1, -1, math.inf, -math.inf):
        raise ArgumentError("norm(ord)", need="None, 'fro', 'nuc', 1, -1, 2, -2, inf or -inf for matrices", got=repr(ord))
    inner, outer = ordered if ord in (1, -1) else ordered[::-1]  # what is summed, then what is compared
    largest = engine.max if ord > 0 else engine.min
    return in_float32(lambda x: _two_steps(engine.abs(x), inner, outer, largest, axes, keepdims), x)


def _vector_norm(x: Tensor, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    """Of absolute values."""
    if ord in (math.inf, -math.inf):
        return (engine.max if ord > 0 else engine.min)(x, axes, keepdims)
    if isinstance(ord, str):
        raise ArgumentError("norm(ord)", need="None, a number, inf or -inf for vectors", got=repr(ord))
    if ord == 0:
        return engine.sum(engine.cast(engine.not_equal(x, 0), engine.dtype(x)), axes, keepdims)
    if ord == 1:
        return engine.sum(x, axes, keepdims)
    return engine.power(engine.sum(engine.power(x, float(ord)), axes, keepdims), 1.0 / float(ord))


def _two_steps(x: Tensor, inner: int, outer: int, largest: Any, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    result = largest(engine.sum(x, (inner,), True), (outer,), True)
    return result if keepdims else engine.reshape(result, tuple(n for i, n in enumerate(x.shape) if i not in axes))


def _spectral_norm(x: Tensor, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    rest = [i for i in range(x.ndim) if i not in axes]
    values = engine.svd(engine.transpose(x, (*rest, *axes)), False)[1]
    result = {"nuc": engine.sum, 2: engine.max, -2: engine.min}[ord](values, (values.ndim - 1,), False)
    return engine.reshape(result, tuple(1 if i in axes else n for i, n in enumerate(x.shape))) if keepdims else result


@op(promote="float")
def cdist(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean distances between the rows of x (..., n, d) and those of y (..., m, d): (..., n, m). Gradient 0 where they coincide."""
    if x.ndim < 2 or y.ndim < 2 or x.shape[-1] != y.shape[-1]:
        raise ShapeError("cdist", need="x (..., n, d) and y (..., m, d)", got=f"{tuple(x.shape)} and {tuple(y.shape)}")
    a, b = engine.reshape(x, (*x.shape[:-1], 1, x.shape[-1])), engine.reshape(y, (*y.shape[:-2], 1, *y.shape[-2:]))

    def distance(a: Tensor, b: Tensor) -> Tensor:
        apart = engine.subtract(a, b)
        return sqrt_flat_at_zero(engine.sum(engine.multiply(apart, apart), (apart.ndim - 1,), False))

    return in_float32(distance, a, b)


def jvp(fun: Any, primals: Any, tangents: Any, has_aux: bool = False) -> Any:
    """(fun(*primals), its derivative along tangents), by two reverse passes: the gradient of v -> <v, gradient of fun> gives the product.

    Args:
        fun: tensors -> a tensor or a tuple of them; with has_aux (that, anything).
        primals, tangents: lists of tensors of equal shapes.
    """
    from nyala.core import tree
    from nyala.core.op import convert

    points, directions = [[convert(value) for value in values] for values in (primals, tangents)]
    if [tuple(p.shape) for p in points] != [tuple(t.shape) for t in directions]:
        raise ShapeError(
            "jvp", need="tangents in the shapes of the primals", got=f"{[tuple(p.shape) for p in points]} and {[tuple(t.shape) for t in directions]}"
        )
    result = fun(*points)
    outputs, aux = result if has_aux else (result, None)
    weights = [engine.full(tuple(y.shape), 1, engine.dtype(y)) for y in tree.flatten(outputs)]
    dot = lambda xs, ys: _total([engine.sum(engine.multiply(x, y), tuple(range(x.ndim)), False) for x, y in zip(xs, ys, strict=True)])  # noqa: E731

    def pulled(vs: list[Tensor]) -> tuple[Tensor, None]:
        loss = lambda xs: (dot(tree.flatten(fun(*xs)[0] if has_aux else fun(*xs)), vs), None)  # noqa: E731
        return dot(engine.value_and_grad(loss)(points)[1], directions), None

    pushed = engine.value_and_grad(pulled)(weights)[1]
    tangent = tree.pack_sequence_as(outputs, pushed)
    return (outputs, tangent, aux) if has_aux else (outputs, tangent)


def _total(terms: list[Tensor]) -> Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = engine.add(total, term)
    return total
