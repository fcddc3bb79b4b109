# SPDX-License-Identifier: Apache-2.0
"""Tensors from sizes and numbers: values and dtypes on every engine."""

import numpy as np
import pytest

from nyala import ops
from nyala.core.errors import NyalaError
from nyala.engines import backend
from tests.ops.table import Row, checks, engines, fixed, host, normal, uniform

F = np.float32
CASES = {
    "zeros((2, 3))": np.zeros((2, 3), F),
    "zeros(2, dtype='int32')": np.zeros(2, np.int32),
    "ones([3], 'bool')": np.ones(3, bool),
    "empty((2, 0))": np.zeros((2, 0), F),
    "full((2,), 3)": np.full(2, 3, F),
    "full((2, 2), [1, 2], 'int32')": np.full((2, 2), [1, 2], np.int32),
    "full((), True)": F(1),
    "arange(3)": np.arange(3, dtype=np.int32),
    "arange(3.0)": np.arange(3, dtype=F),
    "arange(1, 7, 2)": np.int32([1, 3, 5]),
    "arange(5, 0, -2)": np.int32([5, 3, 1]),
    "arange(0, 1, 0.1)": np.arange(0, 1, 0.1).astype(F),
    "arange(3, dtype='float16')": np.arange(3, dtype=np.float16),
    "arange(4, 2)": np.zeros(0, np.int32),
    "arange(np.int64(2), np.int64(4))": np.int32([2, 3]),
    "eye(3)": np.eye(3, dtype=F),
    "eye(2, 3, 1)": np.eye(2, 3, 1, dtype=F),
    "eye(3, 2, k=-1, dtype='int32')": np.eye(3, 2, -1, dtype=np.int32),
    "identity(2)": np.eye(2, dtype=F),
    "tri(3, 5, 1)": np.tri(3, 5, 1, dtype=F),
    "tri(3, k=-1)": np.tri(3, k=-1, dtype=F),
    "array([1, 2])": np.int32([1, 2]),
    "array([1.0, 2])": F([1, 2]),
    "array(True)": np.bool_(True),
    "array(np.float32([[1]]), dtype='float16')": np.float16([[1]]),
    "copy([1, 2])": np.int32([1, 2]),
    "linspace(0, 1, 5)": np.linspace(0, 1, 5, dtype=F),
    "linspace(0, 10, 4, endpoint=False)": np.linspace(0, 10, 4, endpoint=False, dtype=F),
    "linspace(0, 10, 3, dtype='int32')": np.int32([0, 5, 10]),
    "linspace(2, 3, 1)": F([2]),
    "linspace(2, 3, 0)": np.zeros(0, F),
    "logspace(0, 3, 4)": F([1, 10, 100, 1000]),
    "logspace(0, 3, 4, base=2)": F([1, 2, 4, 8]),
    "geomspace(1, 1000, 4)": F([1, 10, 100, 1000]),
    "geomspace(-1, -8, 4)": F([-1, -2, -4, -8]),
    "hanning(5)": np.hanning(5).astype(F),
    "hamming(4)": np.hamming(4).astype(F),
    "bartlett(4)": np.bartlett(4).astype(F),
    "blackman(7)": np.blackman(7).astype(F),
    "kaiser(5, 14.0)": np.kaiser(5, 14).astype(F),
    "hanning(1)": np.ones(1, F),
}


@pytest.mark.parametrize("name", engines())
@pytest.mark.parametrize("call", CASES)
def test_values_and_dtypes_of_what_is_made(name, call):
    with backend(name):
        found = host(eval(f"ops.{call}", {"ops": ops, "np": np}))
    np.testing.assert_allclose(found.astype(np.float64), CASES[call].astype(np.float64), rtol=1e-5, atol=1e-7)
    assert (found.dtype, found.shape) == (CASES[call].dtype, CASES[call].shape)


ERRORS = {
    "zeros((2, None))": "zeros(shape) needs known sizes, got (2, None).\n  fix: use the sizes of a tensor with values, or zeros_like and its kin",
    "ones((2, -1))": "ones(shape) needs sizes of at least 0, got (2, -1).",
    "arange(1, 3, 0)": "arange(step) needs a step other than 0, got 0.",
    "tril([1, 2])": "tril needs a tensor of at least two axes, got shape (2,).",
    "meshgrid([1], indexing='yx')": "meshgrid(indexing) needs 'xy' or 'ij', got 'yx'.",
    "linspace(0, 1, -1)": "linspace(num) needs an integer of at least 0, got -1.",
    "vander([[1]])": "vander needs a vector, got shape (1, 1).",
}


@pytest.mark.parametrize("call", ERRORS)
def test_errors_teach(call):
    with backend("numpy"), pytest.raises(NyalaError) as caught:
        eval(f"ops.{call}", {"ops": ops})
    assert str(caught.value) == ERRORS[call]


def vander(x, N=None, increasing=False):
    return np.vander(x, N, increasing)


ROWS = [
    *(Row(name, getattr(np, name), [normal(2, 3)], takes="float integer bool", gradient=False) for name in ("zeros_like", "ones_like")),
    Row("empty_like", np.zeros_like, [normal(2, 3)], gradient=False),
    Row(
        "full_like",
        lambda x, fill_value, dtype=None: np.full_like(x, fill_value),
        [normal(2, 3)],
        [{"fill_value": 2}, {"fill_value": [1, 2, 3]}],
        gradient=False,
    ),
    Row("zeros_like", lambda x, dtype: np.zeros_like(x), [normal(2, 3)], [{"dtype": "int32"}], dtype="int32", takes="", gradient=False),
    *(Row(name, getattr(np, name), [normal(2, 3, 5)], [{}, {"k": 1}, {"k": -1}], takes="float integer bool") for name in ("tril", "triu")),
    Row(
        "linspace",
        np.linspace,
        [normal(2, 3), normal(3)],
        [{"num": 5}, {"num": 5, "axis": -1}, {"num": 7, "axis": 1, "endpoint": False}],
        dtype="float",
        tolerance=2,
    ),
    Row("linspace", np.linspace, [normal(2, 3), normal(3)], [{"num": 5, "retstep": True}], dtype="float", takes=""),
    Row(
        "logspace", np.logspace, [uniform(2, 3), uniform(3)], [{"num": 5}, {"num": 5, "axis": -1, "base": 3.0}], dtype="float", takes="", tolerance=3
    ),
    Row(
        "geomspace",
        np.geomspace,
        [uniform(2, 3, low=1, high=2), uniform(3, low=3, high=5)],
        [{"num": 5}, {"num": 5, "axis": 1}],
        dtype="float",
        takes="",
    ),
    Row("meshgrid", lambda *x, indexing="xy": np.meshgrid(*x, indexing=indexing), [normal(2), normal(3), normal(5)], [{}, {"indexing": "ij"}]),
    Row("meshgrid", np.meshgrid, [normal(3)]),
    Row("vander", vander, [normal(3)], [{}, {"N": 5}, {"increasing": True}, {"N": 0}], takes="float", unknown=False),
    Row("tril", np.tril, [fixed([[True, True], [True, True]])]),
]
globals().update(checks(ROWS))
