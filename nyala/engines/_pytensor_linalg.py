# SPDX-License-Identifier: Apache-2.0
"""Linear algebra on variables of PyTensor: its own operations, which have gradients, and the NumPy engine's for the rest. Start at solve."""

from __future__ import annotations

# The annotations of PyTensor know variables, but not what tensors can do:
# pyright: reportArgumentType=false, reportAssignmentType=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportGeneralTypeIssues=false
# pyright: reportIncompatibleMethodOverride=false, reportIndexIssue=false, reportMissingImports=false, reportMissingModuleSource=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportPrivateImportUsage=false, reportReturnType=false
import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Variable

from nyala.engines._pytensor_ops import add_to_table, broadcast_to
from nyala.engines._pytensor_primitives import gradient, own, primitive
from nyala.engines._pytensor_values import as_variable


def _of_equal_batches(a: Variable, b: Variable) -> list[Variable]:
    batch = np.broadcast_shapes(a.type.shape[:-2], b.type.shape[:-2])
    return [broadcast_to(x, (*batch, *x.type.shape[-2:])) for x in (a, b)]


def cholesky(x: Variable) -> Variable:
    return pt.linalg.cholesky(x) if 0 not in x.type.shape else x


def solve(a: Variable, b: Variable) -> Variable:
    return pt.linalg.solve(*_of_equal_batches(a, b), b_ndim=2)


def triangular_solve(a: Variable, b: Variable, lower: bool) -> Variable:
    return pt.linalg.solve_triangular(*_of_equal_batches(a, b), lower=lower, b_ndim=2)


def qr(x: Variable, mode: str) -> tuple[Variable, Variable]:
    rows, columns = x.type.shape[-2:]
    if mode == "complete" and rows > columns:  # without a gradient
        return tuple(primitive("qr", mode)(x))
    return tuple(pt.linalg.qr(x, mode="economic"))


def svd(x: Variable, full_matrices: bool) -> tuple[Variable, Variable, Variable]:
    if full_matrices and x.type.shape[-1] != x.type.shape[-2]:  # without a gradient
        return tuple(primitive("svd", full_matrices)(x))
    return tuple(pt.linalg.svd(x, full_matrices=False))


def eigh(x: Variable) -> tuple[Variable, Variable]:
    return tuple(pt.linalg.eigh(x))


def eig(x: Variable) -> tuple[Variable, Variable]:
    return tuple(primitive("eig")(x))


def lu(x: Variable) -> tuple[Variable, Variable]:
    return tuple(primitive("lu")(x))


@own(lambda x, pivots: (x.shape, x.dtype))
def swap_back(x: np.ndarray, pivots: np.ndarray) -> np.ndarray:
    """The rows of x where they were before lu swapped them."""
    x = x.copy()
    for batch in np.ndindex(x.shape[:-2]):
        for row, other in reversed(list(enumerate(pivots[batch]))):
            x[(*batch, [row, other])] = x[(*batch, [other, row])]
    return x


@gradient("lu")
def _of_lu(inputs: list, outputs: list, upstream: list) -> list:
    """With swapped rows x = l u and dx = dl u + l du, so l^-T (tril(l^T g, -1) + triu(g u^T)) u^-T."""
    (x,), (packed, pivots), g = inputs, outputs, upstream[0]
    n, rows = x.type.shape[-1], x.type.shape[-2]
    if n != rows:
        need, way = "square matrices on the engine 'pytensor'", "put stop_gradient around it, or factor the square part alone"
        raise NotImplementedError(f"value_and_grad through lu needs {need}, got {rows} x {n}.\n  fix: {way}")
    below, upper = (as_variable(np.asarray(part(np.ones((n, n)), k), x.type.dtype)) for part, k in ((np.tril, -1), (np.triu, 0)))
    lower, whole = packed * below + as_variable(np.eye(n, dtype=x.type.dtype)), packed * upper
    inner = pt.matmul(lower.mT, g * below) * below + pt.matmul(g * upper, whole.mT) * upper
    left = triangular_solve(lower.mT, inner, False)
    return [primitive("swap_back")(triangular_solve(whole, left.mT, False).mT, pivots)]


add_to_table(cholesky, solve, triangular_solve, qr, svd, eigh, eig, lu)
