# SPDX-License-Identifier: Apache-2.0
"""The boundary of ops: conversion, promotion, axes, context of errors, shortcuts."""

from __future__ import annotations

import numpy as np
import pytest

import nyala
from nyala import ops
from nyala.core.errors import AxisError, DTypeError
from nyala.core.op import convert, normalize_axes, normalize_axis, op
from nyala.engines import current, engine
from nyala.engines.protocol import Tensor
from tests.training.tools import numbers, raises


@op(promote="same")
def weighted_sum(x: Tensor, y: Tensor = None, factor: float = 2.0) -> Tensor:
    if y is None:
        return engine.multiply(x, factor)
    return engine.add(x, engine.multiply(y, factor))


def test_conversion(each_engine):
    for given, dtype in [
        (1, "int32"),
        (1.5, "float32"),
        (True, "bool"),
        ([1, 2], "int32"),
        ([1.0, 2], "float32"),
        ([True], "bool"),
        ([], "float32"),
        (np.float16(1), "float16"),
        (np.zeros(2, "int8"), "int8"),
        (nyala.Variable([1.0]), "float32"),
        ([nyala.Variable(1.0), 2.0], "float32"),
    ]:
        tensor = convert(given)
        assert engine.is_tensor(tensor)
        assert engine.dtype(tensor) == dtype
    assert engine.dtype(convert([1, 2], "float16")) == "float16"
    same = convert([1.0])
    assert convert(same) is same
    for bad, got in (("a", "'a'"), (None, "None")):
        with raises(DTypeError, f"a tensor needs numbers, got {got}.\n  fix: encode strings as integers first, and pass arrays of one numeric dtype"):
            convert(bad)
    with raises(DTypeError, "a tensor needs lists of equal length, got a ragged list.\n  fix: pad the rows to one length"):
        convert([[1], [2, 3]])
    with raises(DTypeError, "a tensor needs numbers, got a list of strings.\n  fix: encode strings as integers first"):
        convert(["a"])


def test_promotion(on_numpy):
    for x, y, dtype in [
        (np.int8(1), 2, "int8"),
        (np.int8(1), 2.0, "float32"),
        (np.float16(1), 2.0, "float16"),
        (np.float16(1), np.float32(2), "float32"),
        (np.int32(1), np.float16(2), "float16"),
        (np.uint8(1), np.int8(2), "int16"),
        (True, np.int8(2), "int8"),
        (nyala.Variable(np.float16(2)), 1, "float16"),
    ]:
        assert str(weighted_sum(x, y, factor=1).dtype) == dtype
        assert str(weighted_sum(y, x, factor=1).dtype) == dtype


def test_signature_and_attributes(on_numpy):
    x, y = numbers(2, 3), numbers(2, 3, seed=1)
    np.testing.assert_allclose(weighted_sum(x, factor=3.0), 3 * x)
    np.testing.assert_allclose(weighted_sum(y=y, x=x), x + 2 * y)
    np.testing.assert_allclose(weighted_sum(x.tolist(), y.tolist()), x + 2 * y, rtol=1e-6)
    assert (weighted_sum.name, weighted_sum.is_op) == ("weighted_sum", True)
    assert weighted_sum.__name__ == "weighted_sum"


def test_shortcuts_are_used_and_may_decline(on_numpy, monkeypatch):
    seen = []

    def shortcut(x, y=None, factor=2.0):
        seen.append(factor)
        return NotImplemented if factor == 5.0 else x

    monkeypatch.setitem(current().fast, "weighted_sum", shortcut)
    x = numbers(3)
    np.testing.assert_array_equal(weighted_sum(x), x)
    np.testing.assert_allclose(weighted_sum(x, factor=5.0), 5 * x)
    np.testing.assert_allclose(weighted_sum.composed(x), 2 * x)
    assert seen == [2.0, 5.0]


def test_errors_say_once_where_they_come_from(on_numpy):
    with pytest.raises(ValueError, match="broadcast") as info:
        weighted_sum(numbers(2), numbers(3), factor=2.0)
    assert info.value.__notes__ == ["in ops.weighted_sum(float32 (2,), float32 (3,), factor=2.0)"]


def test_symbolic_arguments_record_a_node():
    x = nyala.Input((3,))
    y = weighted_sum(x, 1.0)
    assert (y.shape, y.node.operation.op.name, y.node.input_tensors) == ((None, 3), "weighted_sum", [x])
    assert weighted_sum(1.0, y=x).shape == (None, 3)


def test_axes():
    assert [normalize_axis(a, 3) for a in (0, 2, -1, -3, np.int64(1))] == [0, 2, 2, 0, 1]
    assert normalize_axes((2, -3), 3) == (0, 2) or normalize_axes((2, -3), 3) == (2, 0)
    assert normalize_axes(None, 2) == (0, 1)
    for bad in (3, -4, 1.0, True, "a"):
        with raises(AxisError, f"axis needs an axis in [-3, 3), got {bad!r}.\n  why: the tensor has 3 axes"):
            normalize_axis(bad, 3)
    with raises(AxisError, "axis needs axes that differ, got (0, -3)."):
        normalize_axes((0, -3), 3)


def test_bool_and_integer_operators_differ(on_numpy):
    flags, bits = nyala.Variable([True, False]), nyala.Variable([6, 3])
    np.testing.assert_array_equal(~flags, [False, True])
    np.testing.assert_array_equal(~bits, [-7, -4])
    np.testing.assert_array_equal(flags & True, [True, False])
    np.testing.assert_array_equal(bits & 2, [2, 2])
    np.testing.assert_array_equal(ops.convert_to_numpy(bits ^ 1), [7, 2])
