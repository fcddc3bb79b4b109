# SPDX-License-Identifier: Apache-2.0
"""Products that sum over axes."""

import numpy as np
import pytest

from tests.ops.table import Row, bools, checks, fixed, integers, normal

RULE = "\n  why: (..., n, k) times (..., k, m) gives (..., n, m)"
SUMMED = "\n  why: products are summed over these axes"
MATMUL_SHAPES = [((2, 3), (3, 5)), ((3,), (3, 5)), ((2, 3), (3,)), ((3,), (3,)), ((7, 2, 3), (3, 5)), ((7, 1, 2, 3), (5, 3, 2)), ((2, 0), (0, 3))]
DOT_SHAPES = [((), ()), ((2, 3), ()), ((3,), (3,)), ((2, 3), (3,)), ((2, 3), (5, 3, 7)), ((7, 2, 3), (3, 5))]
EINSUMS = {
    "ij,jk->ik": [(2, 3), (3, 5)],
    "ij,jk": [(2, 3), (3, 5)],
    "ba": [(2, 3)],
    "ij->": [(2, 3)],
    "ii": [(3, 3)],
    "ii->i": [(3, 3)],
    "iji->j": [(3, 2, 3)],
    "...ij,...jk->...ik": [(7, 1, 2, 3), (5, 3, 2)],
    "i,j->ij": [(2,), (3,)],
    "bhqd,bhkd->bhqk": [(2, 3, 5, 7), (2, 3, 2, 7)],
    "...a,ab": [(2, 5, 3), (3, 2)],
    "ij,jk,kl->il": [(2, 3), (3, 5), (5, 2)],
    "i,i": [(3,), (3,)],
    "... a -> a ...": [(2, 5, 3)],
    "abc,cd->abd": [(2, 3, 5), (5, 7)],
    "Ab,bC->CA": [(2, 3), (3, 5)],
    "ij,k->j": [(2, 3), (5,)],
}


def product(function):
    """NumPy's product, of bools by way of integers."""

    def multiply(*xs, **options):
        return function(*(x.astype(np.int64) for x in xs), **options) > 0 if xs[0].dtype == bool else function(*xs, **options)

    return multiply


def einsum_row(subscripts, shapes):
    def einsum(*operands):
        from nyala import ops

        return ops.einsum(subscripts, *operands)

    return Row(
        einsum, lambda *operands: np.einsum(subscripts, *operands), [normal(*shape) for shape in shapes], takes="", unknown="i" not in subscripts[1:3]
    )


ROWS = [
    *(Row("matmul", np.matmul, [normal(*a), normal(*b)], takes="float", unknown=False) for a, b in MATMUL_SHAPES),
    Row(
        "matmul",
        np.matmul,
        [normal(2, 3, 5), normal(2, 5, 7)],
        takes="float",
        tolerance=2,
        errors=[
            (
                [normal(2, 3), normal(2, 5)],
                {},
                "matmul needs the last axis of x1 (3) equal to the last but one axis of x2 (2), got (2, 3) and (2, 5)." + RULE,
            ),
            ([normal(2, 3), normal(2)], {}, "matmul needs the last axis of x1 (3) equal to the only axis of x2 (2), got (2, 3) and (2,)." + RULE),
            (
                [normal(2, 3, 5), normal(7, 5, 3)],
                {},
                "matmul needs leading axes that broadcast, got (2,) and (7,).\n  why: from the last one on, sizes must be equal or 1",
            ),
            ([fixed(2.0), normal(2)], {}, "matmul needs tensors with at least one axis, got () and (2,).\n  fix: use multiply for scalars"),
        ],
    ),
    Row("matmul", np.matmul, [integers(2, 3), integers(3, 5)], takes=""),
    Row(
        "matmul",
        np.matmul,
        [integers(2, 3, low=-100, high=100, dtype="int8"), integers(3, 5, low=-100, high=100, dtype="int8")],
        dtype="int32",
        takes="",
    ),
    Row("matmul", product(np.matmul), [bools(2, 3), bools(3, 5)], takes=""),
    *(Row("dot", np.dot, [normal(*a), normal(*b)], takes="float", unknown=False) for a, b in DOT_SHAPES),
    Row(
        "dot",
        np.dot,
        [normal(2, 3), normal(3, 5)],
        takes="float",
        errors=[([normal(2, 3), normal(2, 3)], {}, "dot needs axis 1 of x1 (3) equal to axis 0 of x2 (2), got (2, 3) and (2, 3)." + SUMMED)],
    ),
    Row("inner", np.inner, [normal(2, 3), normal(5, 7, 3)], takes="float"),
    Row(
        "tensordot",
        np.tensordot,
        [normal(2, 3, 5), normal(3, 5, 7)],
        [{}, {"axes": ([1, 2], [0, 1])}, {"axes": ([-1, 1], [1, 0])}, {"axes": 0}],
        takes="float",
        tolerance=2,
        errors=[([normal(2, 3), normal(2, 3)], {"axes": 3}, "tensordot(axes) needs at most 2 axes, got 3.\n  why: the shapes are (2, 3) and (2, 3)")],
    ),
    Row(
        "vdot",
        np.vdot,
        [normal(2, 3), normal(3, 2)],
        takes="float",
        unknown=False,
        errors=[([normal(2), normal(3)], {}, "vdot needs as many elements in x1 as in x2, got (2,) and (3,).")],
    ),
    Row("vdot", np.vdot, [fixed(np.array([1 + 2j, 3j])), fixed(np.array([2 - 1j, 1.0]))], takes=""),
    Row("outer", np.outer, [normal(2, 3), normal(5)]),
    Row("kron", np.kron, [normal(2, 3), normal(5, 1, 2)]),
    Row("cross", np.cross, [normal(2, 3), normal(2, 3)], takes="float"),
    Row("cross", np.cross, [normal(2, 3, 5), normal(3, 5)], [{"axisa": 1, "axisb": 0, "axisc": 0}], takes=""),
    Row(
        "cross",
        lambda a, b: a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0],
        [normal(3, 2), normal(3, 2)],
        takes="",
        errors=[([normal(4), normal(4)], {}, "cross needs vectors of 2 or 3 components, got 4 along axis -1 of shape (4,).")],
    ),
    *(
        Row(
            "correlate",
            lambda a, b, mode="valid": np.correlate(a, b, mode),
            [normal(n), normal(m)],
            [{}, {"mode": "same"}, {"mode": "full"}],
            dtype="float",
            takes="",
            unknown=False,
        )
        for n, m in ((7, 3), (7, 4), (3, 7), (4, 7), (5, 5), (1, 3))
    ),
    *(einsum_row(*pair) for pair in EINSUMS.items()),
    Row("real", np.real, [fixed(np.array([1 + 2j, -3j]))], dtype="float32"),
    Row("imag", np.imag, [fixed(np.array([1 + 2j, -3j]))], dtype="float32"),
    Row("imag", lambda x: np.zeros_like(x), [normal(2, 3)], takes="float integer bool"),
    *(Row(name, np.conj, [fixed(np.array([1 + 2j, -3j]))]) for name in ("conj", "conjugate")),
    Row("angle", np.angle, [fixed(np.array([1 + 2j, -3j, -1, 1j]))], dtype="float32"),
    Row("angle", np.angle, [fixed([1.0, -2.0, 0.0])], takes="float", gradient=False),
]
globals().update(checks(ROWS))


@pytest.mark.parametrize(
    ("subscripts", "shapes", "text"),
    [
        ("ij,jk->ik", [(2, 3)], "einsum(subscripts) needs letters for each of the 1 operands, as in \"ij,jk->ik\", got 'ij,jk->ik'."),
        ("ij,jk->ik", [(2, 3), (2, 5)], "einsum('ij,jk->ik') needs one size for 'j', got 3 and 2, in shapes (2, 3) and (2, 5)."),
        ("ij->ik", [(2, 3)], "einsum(subscripts) needs an output of distinct letters that the inputs have, got 'ij->ik'."),
        ("i->i", [(2, 3)], "einsum('i->i') needs 1 axes in operand 0, as 'i' says, got 2 axes."),
    ],
)
def test_einsum_says_what_does_not_fit(subscripts, shapes, text):
    from nyala import ops
    from nyala.engines import backend

    with backend("numpy"), pytest.raises(ValueError) as caught:
        ops.einsum(subscripts, *(np.zeros(shape, np.float32) for shape in shapes))
    assert str(caught.value) == text
