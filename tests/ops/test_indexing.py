# SPDX-License-Identifier: Apache-2.0
"""x[key] against NumPy for many keys; take, diagonals."""

import numpy as np
import pytest

import nyala
from nyala import ops
from nyala.engines import backend, current
from tests.ops.table import Row, checks, engines, fixed, host, integers, normal

MASK = np.array([[True, False, True], [False, True, True]])
KEYS = [
    0,
    -1,
    (1, 2),
    (0, -1, 3),
    slice(1, None),
    slice(None, None, -1),
    slice(None, None, 2),
    (slice(None), slice(None, None, -2)),
    (slice(None), slice(5, 0, -3)),
    (slice(None), slice(2, 1)),
    (slice(None), slice(0, 2, -1)),
    None,
    (None, 0, None),
    (..., 1),
    (0, ..., 1),
    (slice(None), None, ..., None),
    ...,
    (),
    (..., None, slice(1, 4)),
    [1, 0, 1],
    [[0, 1], [-1, 0]],
    (slice(None), [2, 0]),
    ([0, 1], [2, 0]),
    ([[0], [1]], [2, 0]),
    ([0, -1], slice(None), [3, 1]),
    (0, slice(None), [3, 1]),
    (slice(None), 0, [3, 1]),
    (slice(None), [1, 2], 0),
    ([1], None, [2]),
    (slice(None), None, [2, 0]),
    (slice(None, None, -1), [2, 0], slice(4, None, -2)),
    ([0, 1], ..., [2, 0]),
    (..., [4, 0, 1]),
    np.array([1, 0]),
    np.uint8([1]),
    np.int64(1),
    (slice(None), np.array(2)),
    MASK,
    (MASK, 0),
    (slice(None), np.array([True, False, True])),
    (0, np.array([True, False, True]), [1, 4]),
    [True, False],
    [],
]


def expected(x, key):
    return x[np.asarray(key, int) if isinstance(key, list) and not key else key]


@pytest.mark.parametrize("name", engines())
@pytest.mark.parametrize("key", KEYS, ids=[str(i) for i in range(len(KEYS))])
def test_get_item_reads_keys_as_numpy_does(name, key):
    x = np.random.default_rng(3).normal(size=(2, 3, 5)).astype(np.float32)
    with backend(name):
        np.testing.assert_array_equal(host(ops.get_item(x, key)), expected(x, key))


@pytest.mark.parametrize("name", engines())
def test_indices_and_masks_may_be_tensors(name):
    x = np.random.default_rng(3).normal(size=(2, 3, 5)).astype(np.float32)
    with backend(name):
        tensor = current().asarray
        np.testing.assert_array_equal(host(ops.get_item(x, tensor(MASK))), x[MASK])
        np.testing.assert_array_equal(host(ops.get_item(x, (tensor([1, 0]), slice(None), tensor([-1, 3])))), x[[1, 0], :, [-1, 3]])


ROWS = [
    Row(
        "get_item",
        lambda x, key: x[key],
        [normal(2, 3, 5)],
        [{"key": (slice(None), 0, [1, 3])}, {"key": (slice(None), slice(None, None, -2), None, [[0, 4]])}, {"key": (..., [0, 0, 2])}],
        errors=[
            ([normal(2, 3)], {"key": 2}, "get_item(key) needs an index in [-2, 2) for axis 0, got 2.\n  why: the shape is (2, 3)"),
            ([normal(2, 3)], {"key": (0, [1, 3])}, "get_item(key) needs indices in [-3, 3) for axis 1, got 3.\n  why: the shape is (2, 3)"),
            ([normal(2, 3)], {"key": (0, 0, 0)}, "get_item(key) needs at most 2 indices and one ellipsis, got 3.\n  why: the shape is (2, 3)"),
            (
                [normal(2, 3)],
                {"key": (..., ...)},
                "get_item(key) needs at most 2 indices and one ellipsis, got two ellipses.\n  why: the shape is (2, 3)",
            ),
            (
                [normal(2, 3)],
                {"key": [0.5]},
                'get_item(key) needs indices that are integers, or bools as a mask, got float64.\n  fix: cast first: ops.cast(index, "int32")',
            ),
            ([normal(2, 3)], {"key": np.array([True, False, True])}, "get_item(key) needs a mask of shape (2,), got shape (3,)."),
        ],
    ),
    Row(
        "take",
        np.take,
        [normal(2, 3, 5), integers(7, 2, low=-2, high=2)],
        [{}, {"axis": 0}, {"axis": 1}, {"axis": -1}],
        dtype=None,
        errors=[([normal(3), normal(2)], {}, 'take(indices) needs integers, got float32.\n  fix: cast first: ops.cast(indices, "int32")')],
    ),
    Row(
        "take_along_axis",
        lambda x, i, axis: np.take_along_axis(x, i, axis),
        [normal(2, 3), integers(2, 7, low=-3, high=3)],
        [{"axis": 1}],
        dtype="float32",
        takes="",
    ),
    Row(
        "take_along_axis",
        lambda x, i, axis=None: np.take_along_axis(x, i, axis),
        [normal(2, 3), integers(5, low=0, high=6)],
        dtype=None,
        gradient=False,
        errors=[([normal(2, 3), integers(2)], {"axis": 0}, "take_along_axis(indices) needs as many axes as x of shape (2, 3), got shape (2,).")],
    ),
    Row(
        "nonzero",
        lambda x: [i.astype(np.int32) for i in np.nonzero(x)],
        [integers(3, 5, low=-1, high=2)],
        dtype="int32",
        takes="float integer bool",
        spec=False,
    ),
    Row(
        "unravel_index",
        lambda i, shape: [a.astype(np.int32) for a in np.unravel_index(i, shape)],
        [integers(7, low=0, high=30)],
        [{"shape": (2, 3, 5)}],
        dtype="int32",
        takes="",
    ),
    Row(
        "diagonal",
        np.diagonal,
        [normal(2, 3, 5)],
        [{}, {"offset": 1, "axis1": 1, "axis2": 2}, {"offset": -1, "axis1": -1, "axis2": 0}, {"offset": 9}],
        unknown=False,
    ),
    Row("trace", np.trace, [normal(3, 5, 2)], [{}, {"offset": 1, "axis1": 1, "axis2": 2}], dtype="sum", unknown=False),
    Row(
        "diag",
        np.diag,
        [normal(3)],
        [{}, {"k": 2}, {"k": -1}],
        errors=[([normal(2, 3, 5)], {}, "diag needs a vector or a matrix, got shape (2, 3, 5).\n  fix: for more axes use diagonal")],
    ),
    Row("diag", np.diag, [normal(3, 5)], [{}, {"k": 1}, {"k": -2}], unknown=False),
    Row("diagflat", np.diagflat, [normal(2, 3)], [{}, {"k": 1}]),
    Row(
        "view",
        lambda x, dtype: x.astype(np.float32).view(dtype),
        [fixed([[1.0, -2.5]])],
        [{"dtype": d} for d in ("int32", "uint8", "int16")],
        dtype=None,
        gradient=False,
        unknown=False,
    ),
]
globals().update(checks(ROWS))


@pytest.mark.parametrize("name", engines())
def test_size_and_ndim_are_ints(name):
    with backend(name):
        assert (ops.size(np.zeros((2, 3))), ops.ndim(np.zeros((2, 3)))) == (6, 2)


def test_size_of_unknown_sizes_is_a_tensor():
    x = nyala.Input((None, 3))
    assert ops.size(nyala.KerasTensor((2, 3))) == 6 and (ops.size(x).shape, ops.size(x).dtype) == ((), "int32")
    model = nyala.Model(x, ops.sum(x) / ops.cast(ops.size(x), "float32"))
    values = np.random.default_rng(0).standard_normal((2, 5, 3), dtype="float32")
    np.testing.assert_allclose(ops.convert_to_numpy(model(values)), values.mean(), rtol=1e-5)


@pytest.mark.parametrize("name", engines())
def test_places_in_a_vector_and_beyond_its_ends(name):
    with backend(name):
        (found,) = ops.unravel_index(np.asarray([2, 9], "uint8"), 6)
        assert (ops.convert_to_numpy(found).tolist(), ops.dtype(found)) == ([2, 5], "uint8")
        rows, columns = ops.unravel_index([-1, -9, 7, 4], (2, 3))
        assert (ops.convert_to_numpy(rows).tolist(), ops.convert_to_numpy(columns).tolist()) == ([1, 0, 1, 1], [2, 0, 2, 1])


@pytest.mark.parametrize("name", engines())
def test_an_empty_list_takes_nothing(name):
    with backend(name):
        assert ops.take(np.ones((2, 3), "float32"), [], axis=1).shape == (2, 0)
