# SPDX-License-Identifier: Apache-2.0
"""Comparisons, logic, bits and choices."""

import numpy as np
import pytest

from nyala import ops
from nyala.engines import backend
from tests.ops.table import Row, bools, checks, engines, fixed, integers, normal

SPECIAL = [-np.inf, -1.0, 0.0, np.inf, np.nan]
PAIR = [integers(2, 3, low=0, high=3), integers(5, 1, 3, low=0, high=3)]
VALUES = fixed([[np.nan, 1.0, -np.inf], [np.inf, 0.0, 2.0]])
CONDITION = "both x1 and x2, or neither"


def isreal(x):
    return np.imag(x) == 0


def bit_error(name):
    text = f'{name} needs integers or bools, got float32.\n  why: floats have no bits of this kind\n  fix: cast first: ops.cast(x, "int32")'
    return [([normal(2), normal(2)], {}, text)]


ROWS = [
    *(Row(name, getattr(np, name), PAIR, dtype="bool") for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")),
    *(Row(name, getattr(np, name), [VALUES, normal(3)], dtype="bool", gradient=False) for name in ("equal", "not_equal", "less", "greater_equal")),
    *(
        Row(name, getattr(np, name), [VALUES], dtype="bool", edges=SPECIAL, takes="float")
        for name in ("isnan", "isfinite", "isinf", "isposinf", "isneginf", "isreal")
    ),
    *(
        Row(name, getattr(np, name), [integers(2, 3)], dtype="bool", takes="integer bool")
        for name in ("isnan", "isfinite", "isinf", "isposinf", "isneginf", "isreal")
    ),
    Row("isreal", isreal, [fixed(np.array([1 + 2j, 3 + 0j]))], dtype="bool"),
    Row(
        "isposinf",
        np.isposinf,
        [VALUES],
        dtype="bool",
        errors=[
            (
                [fixed(np.array([1j]))],
                {},
                "isposinf needs real numbers, got complex64.\n  why: complex numbers have no order\n  fix: ask about real(x) or imag(x)",
            )
        ],
    ),
    Row(
        "isclose",
        np.isclose,
        [VALUES, fixed([[np.nan, 1.000001, -np.inf], [np.inf, 1e-9, 2.1]])],
        [{}, {"rtol": 0.1}, {"atol": 0.2}, {"equal_nan": True}],
        dtype="bool",
        gradient=False,
    ),
    Row("allclose", np.allclose, [fixed([1.0, 2.0]), fixed([1.000001, 2.01])], [{}, {"rtol": 0.1}], dtype="bool", gradient=False),
    *(
        Row(name, getattr(np, name), [bools(2, 3), fixed([[0.0, 2.0, np.nan]])], dtype="bool")
        for name in ("logical_and", "logical_or", "logical_xor")
    ),
    Row("logical_not", np.logical_not, [integers(2, 3, low=-1, high=2)], dtype="bool"),
    Row("where", np.where, [bools(2, 1), normal(2, 3), normal(5, 1, 3)], dtype=None),
    Row(
        "where",
        lambda c, a, b: np.where(c, a, b),
        [fixed([True, False])],
        [],
        more=[([fixed([True, False]), 1, normal(2)], {})],
        dtype=None,
        errors=[([fixed([True]), 1.0], {}, f"where needs {CONDITION}, got only x1.")],
    ),
    Row("where", lambda c: np.nonzero(c), [fixed([[True, False], [True, True]])], dtype="int32", spec=False),
    Row(
        "select",
        lambda c, v, default=0: np.select(c, v, default),
        [[bools(2, 3), bools(2, 3)], [normal(2, 3), normal(3)]],
        [{}, {"default": 2.5}],
        dtype="float32",
        takes="",
    ),
    *(
        Row(name, getattr(np, name), [integers(2, 3), integers(5, 1, 3)], errors=bit_error(name))
        for name in ("bitwise_and", "bitwise_or", "bitwise_xor")
    ),
    *(Row(name, getattr(np, name), [bools(2, 3), bools(3)]) for name in ("bitwise_and", "bitwise_or", "bitwise_xor")),
    *(Row(name, np.bitwise_not, [integers(2, 3)]) for name in ("bitwise_not", "bitwise_invert")),
    Row("bitwise_not", np.logical_not, [bools(2, 3)]),
    *(
        Row(name, np.left_shift, [integers(2, 3), integers(3, low=0, high=5)], errors=bit_error("left_shift"))
        for name in ("left_shift", "bitwise_left_shift")
    ),
    *(Row(name, np.right_shift, [integers(2, 3, low=-99, high=99), integers(3, low=0, high=5)]) for name in ("right_shift", "bitwise_right_shift")),
]
globals().update(checks(ROWS))


@pytest.mark.parametrize("name", engines())
def test_shifts_keep_the_dtype_beside_a_python_number(name):
    with backend(name):
        for op in (ops.left_shift, ops.bitwise_left_shift, ops.right_shift, ops.bitwise_right_shift):
            assert [ops.dtype(op(7, np.asarray([1], "uint8"))), ops.dtype(op(np.asarray([1], "int8"), 2))] == ["uint8", "int8"]
