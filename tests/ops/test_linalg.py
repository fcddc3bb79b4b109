# SPDX-License-Identifier: Apache-2.0
"""Linear algebra: numbers where they are unique, laws where signs or order are free."""

import numpy as np
import pytest
import scipy.spatial.distance

from nyala import ops
from nyala.engines import backend, current
from tests.ops.table import Input, Row, checks, engines, host, normal

POSITIVE = Input(lambda g: (lambda a: a @ np.swapaxes(a, -1, -2) + np.eye(3))(g.normal(size=(2, 3, 3))))
LOWER = Input(lambda g: np.tril(g.normal(size=(3, 3))) + 3 * np.eye(3))
SQUARE = Input(lambda g: g.normal(size=(2, 3, 3)) + 2 * np.eye(3))
NOT_SQUARE = "square matrices (..., n, n), got shape (2, 3)."


def cholesky(x, upper=False):
    factor = np.linalg.cholesky((x + np.swapaxes(x, -1, -2)) / 2)
    return np.swapaxes(factor, -1, -2) if upper else factor


def cholesky_inverse(x, upper=False):
    return np.linalg.inv(np.triu(x).T @ np.triu(x) if upper else np.tril(x) @ np.tril(x).T)


def norm(x, ord=None, axis=None, keepdims=False):
    return np.linalg.norm(x.ravel(), None, None) if axis is None and x.ndim > 2 else np.linalg.norm(x, ord, axis, keepdims)


def solve(a, b):
    return np.linalg.solve(a, b[..., None])[..., 0] if b.ndim == a.ndim - 1 else np.linalg.solve(a, b)


VECTOR = [{"axis": 1, "ord": o} for o in (None, 1, 2, 3, 0.5, np.inf, -np.inf, 0)] + [{"axis": -1, "ord": 1, "keepdims": True}]
MATRIX = [{"axis": a, "ord": o} for a in ((0, 1), (2, 0)) for o in (None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)] + [
    {"axis": (0, 1), "ord": 2, "keepdims": True},
    {"axis": (0, 1), "ord": 1, "keepdims": True},
]
ROWS = [
    Row(
        "norm",
        norm,
        [normal(2, 3, 5)],
        [{}, *VECTOR, *MATRIX],
        dtype="float",
        tolerance=5,
        errors=[
            ([normal(2, 3)], {"axis": (0, 1), "ord": 3}, "norm(ord) needs None, 'fro', 'nuc', 1, -1, 2, -2, inf or -inf for matrices, got 3."),
            ([normal(2, 3)], {"axis": 0, "ord": "fro"}, "norm(ord) needs None, a number, inf or -inf for vectors, got 'fro'."),
        ],
    ),
    Row("det", np.linalg.det, [SQUARE], dtype="float", takes="", tolerance=10, errors=[([normal(2, 3)], {}, f"det needs {NOT_SQUARE}")]),
    Row("slogdet", lambda x: tuple(np.linalg.slogdet(x)), [SQUARE], dtype="float", takes="", tolerance=10),
    Row("logdet", lambda x: np.linalg.slogdet(x)[1], [POSITIVE], dtype="float", takes="", tolerance=10, gradient=False),
    Row("inv", np.linalg.inv, [SQUARE], dtype="float", takes="", tolerance=30, errors=[([normal(2, 3)], {}, f"inv needs {NOT_SQUARE}")]),
    *(Row("solve", solve, [SQUARE, b], dtype="float", takes="", tolerance=30) for b in (normal(2, 3), normal(2, 3, 5))),
    Row(
        "solve",
        solve,
        [SQUARE, normal(2, 3, 5)],
        dtype="float",
        takes="",
        tolerance=30,
        errors=[([SQUARE, normal(2, 5, 3)], {}, "solve needs b with 3 rows, as a has, got (2, 3, 3) and (2, 5, 3).")],
    ),
    Row(
        "solve_triangular",
        lambda a, b, lower=False: np.linalg.solve(np.tril(a) if lower else np.triu(a), b),
        [LOWER, normal(3, 2)],
        [{}, {"lower": True}],
        dtype="float",
        takes="",
        tolerance=30,
        unknown=False,
    ),
    Row("cholesky", cholesky, [POSITIVE], [{}, {"upper": True}], dtype="float", takes="", tolerance=10, gradient=False),
    Row("cholesky_inverse", cholesky_inverse, [LOWER], [{}, {"upper": True}], dtype="float", takes="", tolerance=30, unknown=False),
    Row("pinv", np.linalg.pinv, [normal(2, 5, 3)], dtype="float", takes="", tolerance=30, gradient=False),
    Row(
        "lstsq",
        lambda a, b: np.linalg.lstsq(a, b)[0],
        [normal(7, 3), normal(7)],
        dtype="float",
        takes="",
        tolerance=30,
        gradient=False,
        unknown=False,
    ),
    Row(
        "lstsq",
        lambda a, b: np.linalg.lstsq(a, b)[0],
        [normal(3, 5), normal(3, 2)],
        dtype="float",
        takes="",
        tolerance=30,
        gradient=False,
        unknown=False,
    ),
    Row(
        "matrix_rank",
        lambda x: np.asarray(np.linalg.matrix_rank(x.astype(np.float32))).astype(np.int32),
        [Input(lambda g: g.normal(size=(7, 2)) @ g.normal(size=(2, 5)))],
        dtype="int32",
        takes="",
    ),
    Row("cdist", scipy.spatial.distance.cdist, [normal(3, 5), normal(7, 5)], dtype="float", takes="", tolerance=3),
]
globals().update(checks(ROWS))


@pytest.mark.parametrize("name", engines())
def test_factors_multiply_to_the_matrix(name):
    x = np.random.default_rng(1).normal(size=(2, 5, 3)).astype(np.float32)
    symmetric = x.swapaxes(1, 2) @ x
    with backend(name):
        for mode, k in (("reduced", 3), ("complete", 5)):
            q, r = map(host, ops.qr(x, mode))
            assert q.shape == (2, 5, k)
            np.testing.assert_allclose(q @ r, x, atol=1e-5)
            np.testing.assert_allclose(q.swapaxes(1, 2) @ q, np.broadcast_to(np.eye(k), (2, k, k)), atol=1e-5)
        u, s, vh = map(host, ops.svd(x, full_matrices=False))
        np.testing.assert_allclose(u * s[:, None] @ vh, x, atol=1e-5)
        np.testing.assert_allclose(host(ops.svd(x, compute_uv=False)), s, rtol=1e-5)
        w, v = map(host, ops.eigh(symmetric))
        np.testing.assert_allclose(symmetric @ v, v * w[:, None], atol=1e-4)
        w, v = map(host, ops.eig(symmetric[0]))
        np.testing.assert_allclose(symmetric[0] @ v, v * w, atol=1e-4)
        lu, pivots = map(host, ops.lu_factor(symmetric[0]))
        rows = np.arange(3)
        for i, j in enumerate(pivots):
            rows[[i, j]] = rows[[j, i]]
        np.testing.assert_allclose((np.tril(lu, -1) + np.eye(3)) @ np.triu(lu), symmetric[0][rows], atol=1e-5)


@pytest.mark.parametrize("name", engines())
def test_jvp_is_the_derivative_along_the_tangent(name):
    with backend(name):
        if current().differentiable:
            x, t = np.float32([0.3, -1.2]), np.float32([2.0, 0.5])
            value, tangent = ops.jvp(lambda x: ops.sin(x) * ops.sum(x), [x], [t])
            np.testing.assert_allclose(host(value), np.sin(x) * x.sum(), rtol=1e-5)
            np.testing.assert_allclose(host(tangent), np.cos(x) * t * x.sum() + np.sin(x) * t.sum(), rtol=1e-5)


@pytest.mark.parametrize("name", engines())
def test_gradient_of_the_norm_of_zeros_is_zero(name):
    with backend(name):
        if current().differentiable:
            _, (gradient,) = current().value_and_grad(lambda v: (ops.norm(v[0]), None))([current().asarray(np.zeros(3, np.float32))])
            np.testing.assert_array_equal(host(gradient), [0, 0, 0])
