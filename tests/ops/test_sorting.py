# SPDX-License-Identifier: Apache-2.0
"""Order, search and counting."""

import numpy as np
import pytest

import nyala
from nyala import ops
from nyala.engines import backend
from tests.ops.table import Row, checks, different, engines, fixed, host, integers, normal

AXES = [{}, {"axis": 0}, {"axis": None}]


def int32(function):
    return lambda *args, **options: np.asarray(function(*args, **options)).astype(np.int32)


def counted(x, weights=None, minlength=0):
    if x.ndim == 2:
        return np.stack(
            [
                counted(row, None if weights is None else w, max(minlength, x.max() + 1))
                for row, w in zip(x, x if weights is None else weights, strict=True)
            ]
        )
    found = np.bincount(x, weights, minlength)
    return found.astype(np.int32) if weights is None else found


ROWS = [
    Row("sort", np.sort, [different(2, 3, 5)], AXES, takes="float integer bool", edges=[3.0, np.nan, -np.inf, np.inf, 0.0]),
    Row(
        "argsort",
        int32(lambda x, axis=-1: np.argsort(x, axis, kind="stable")),
        [integers(2, 3, 7, low=0, high=4)],
        AXES,
        dtype="int32",
        edges=[3.0, np.nan, -np.inf, 3.0],
    ),
    Row(
        "searchsorted",
        int32(np.searchsorted),
        [fixed([1.0, 3.0, 3.0, 5.0]), integers(2, 3, low=0, high=7)],
        [{}, {"side": "right"}],
        dtype="int32",
        takes="",
        unknown=False,
        errors=[
            ([normal(3), normal(3)], {"side": "both"}, "searchsorted(side) needs 'left' or 'right', got 'both'."),
            ([normal(3, 2), normal(3)], {}, "searchsorted(sorted_sequence) needs a vector, got shape (3, 2)."),
        ],
    ),
    Row("digitize", int32(np.digitize), [integers(2, 3, low=0, high=7), fixed([1.0, 3.0, 5.0])], dtype="int32", takes=""),
    Row("isin", np.isin, [integers(2, 3, low=0, high=5), integers(2, 2, low=0, high=5)], [{}, {"invert": True}], dtype="bool"),
    Row("isin", np.isin, [integers(2, 3), fixed(np.zeros(0, int))], [{}, {"invert": True}], dtype="bool", takes=""),
    Row("bincount", counted, [integers(7, low=0, high=5)], [{}, {"minlength": 9}], dtype="int32", spec=False),
    Row("bincount", counted, [integers(7, low=0, high=5), normal(7)], dtype="float32", takes="", spec=False),
    Row(
        "bincount",
        counted,
        [integers(2, 7, low=0, high=5)],
        [{}, {"minlength": 9}],
        dtype="int32",
        spec=False,
        errors=[([normal(3)], {}, 'bincount needs integers, got float32.\n  fix: cast first: ops.cast(x, "int32")')],
    ),
    Row(
        "histogram",
        lambda x, bins=10, range=None: np.histogram(x, bins, range),
        [normal(97)],
        [{}, {"bins": 5, "range": (-1.0, 0.5)}],
        dtype="float32",
        takes="",
        gradient=False,
    ),
    Row(
        "histogram",
        lambda x: np.histogram(x),
        [fixed([2.0, 2.0])],
        dtype="float32",
        takes="",
        gradient=False,
        errors=[([normal(2)], {"bins": 0}, "histogram(bins) needs a positive integer, got 0.")],
    ),
    Row("unique", np.unique, [integers(3, 5, low=0, high=4)], [{}, {"axis": 0}], spec=False),
]
globals().update(checks(ROWS))


@pytest.mark.parametrize("name", engines())
def test_argpartition_puts_the_kth_in_its_place(name):
    x = np.random.default_rng(5).permutation(11).astype(np.float32)
    with backend(name):
        order = host(ops.argpartition(x, 4))
    assert order.dtype == np.int32 and sorted(order) == list(range(11))
    assert x[order[4]] == 4 and max(x[order[:4]]) < 4 < min(x[order[5:]])


@pytest.mark.parametrize("name", engines())
def test_unique_returns_places_and_counts_and_can_be_padded(name):
    x = np.int32([[3, 1], [3, 0]])
    with backend(name):
        values, index, inverse, counts = map(host, ops.unique(x, return_index=True, return_inverse=True, return_counts=True))
        np.testing.assert_array_equal(values[inverse.reshape(x.shape)], x)
        np.testing.assert_array_equal(x.ravel()[index], values)
        np.testing.assert_array_equal(counts, [1, 1, 2])
        np.testing.assert_array_equal(host(ops.unique(x, size=5, fill_value=9)), [0, 1, 3, 9, 9])
        np.testing.assert_array_equal(host(ops.unique(x, size=2)), [0, 1])


def test_unique_of_a_symbolic_tensor_needs_only_a_size():
    x = nyala.KerasTensor((2, None), "int32")
    all_of_it = {"return_index": True, "return_inverse": True, "return_counts": True}
    shapes = [((4,), "int32"), ((4,), "int32"), ((2, None), "int32"), ((4,), "int32")]
    assert [(y.shape, y.dtype) for y in ops.unique(x, size=4, **all_of_it)] == shapes
    assert [y.shape for y in ops.unique(x, size=4, axis=1, **all_of_it)] == [(2, 4), (4,), (None,), (4,)]
    assert ops.unique(x, size=4).shape == (4,)
