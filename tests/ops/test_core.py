# SPDX-License-Identifier: Apache-2.0
"""Conversion, blocks, scatter, segments, one-hot, and control flow over trees and variables."""

import numpy as np
import pytest

import nyala
from nyala import ops
from nyala.core.symbolic import Symbolic
from nyala.core.variable import Variable
from nyala.engines import backend, current
from tests.ops.table import Row, bools, checks, different, engines, fixed, integers, normal

each_engine = pytest.mark.parametrize("name", engines())
differentiable = pytest.mark.parametrize("name", [name for name in engines() if name != "numpy"])


def numbers(x):
    return ops.convert_to_numpy(x).tolist()


def scatter_update(x, indices, updates, reduction=None):
    x = x.copy()
    where = tuple(np.moveaxis(indices.astype(int), -1, 0))
    if reduction is None:
        x[where] = updates
    else:
        {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}[reduction].at(x, where, updates)
    return x


def segment(combine, start):
    def run(data, ids, num_segments):
        result = np.full((num_segments, *data.shape[1:]), start(data.dtype) if callable(start) else start, data.dtype)
        for row, i in zip(data, ids, strict=True):
            if 0 <= i < num_segments:
                result[i] = combine(result[i], row)
        return result

    return run


def one_hot(x, num_classes, axis=-1, dtype=None):
    return np.stack([x == i for i in range(num_classes)], axis).astype(float)


IDS = fixed(np.array([2, 0, 2, 5, -2, 0, 1]))

ROWS = [
    Row(
        "cast",
        lambda x, dtype: np.trunc(x) if "int" in dtype else x,
        [normal(2, 3, scale=9.0)],
        [{"dtype": "int32"}, {"dtype": "float16"}, {"dtype": "bfloat16"}],
        dtype=None,
        takes="",
        gradient=False,
    ),
    Row("stop_gradient", lambda variable: variable, [normal(2, 3)], takes="float integer bool", gradient=False),
    Row(
        "slice",
        lambda x, s, n: x[s[0] : s[0] + n[0], s[1] : s[1] + n[1]],
        [normal(5, 7), (1, 3), (2, 4)],
        errors=[
            ([normal(5, 7), (1, 3), (2,)], {}, "slice(shape) needs 2 sizes, one per axis, got (2,)."),
            ([normal(5, 7), (1,), (2, 3)], {}, "slice(start_indices) needs 2 integers, one per axis, got 1."),
            (
                [normal(5, 7), (1, 3), (6, 3)],
                {},
                "slice(shape) needs sizes from 0 to those of the input, (5, 7), or -1 after a fixed start, got (6, 3).",
            ),
        ],
        unknown=False,
    ),
    Row(
        "slice_update",
        lambda x, s, u: np.vstack([x[:2], np.hstack([x[2:4, :3], u, x[2:4, 6:]]), x[4:]]),
        [normal(5, 7), (2, 3), normal(2, 3)],
        takes="float",
        unknown=False,
        errors=[([normal(5, 7), (2, 3), normal(2, 8)], {}, "slice_update(updates) needs a block that fits into shape (5, 7), got shape (2, 8).")],
    ),
    Row(
        "scatter",
        lambda i, v, shape: scatter_update(np.zeros(shape, v.dtype), i, v, "add"),
        [fixed(np.array([[0], [3], [0]])), normal(3, 5), (4, 5)],
        dtype=None,
        takes="",
        more=[([fixed(np.array([[[1, 2], [0, 1]]])), normal(1, 2), (2, 3)], {})],
        unknown=False,
        errors=[
            (
                [integers(3, 2, low=0, high=1), normal(3), (4,)],
                {},
                "scatter(indices) needs shape (..., k) with k from 1 to 1, got shape (3, 2).\n"
                "  why: each row names a position in the first k axes of shape (4,)",
            )
        ],
    ),
    Row(
        "scatter_update",
        scatter_update,
        [normal(5, 3), fixed(np.array([[4], [1]])), normal(2, 3)],
        [{}, {"reduction": "add"}, {"reduction": "mul"}, {"reduction": "max"}, {"reduction": "min"}],
        dtype=None,
        takes="",
        gradient=False,
        unknown=False,
        more=[([normal(5, 3), fixed(np.array([[4, 2], [1, 0]])), normal(2)], {})],
        errors=[
            (
                [normal(5), fixed(np.array([[1]])), normal(1)],
                {"reduction": "sub"},
                "scatter_update(reduction) needs None, 'add', 'max', 'min' or 'mul', got 'sub'.",
            ),
            (
                [normal(5), fixed(np.array([[1]])), normal(3)],
                {},
                "scatter_update(updates) needs shape (1,), got shape (3,).\n  why: one update for each row of indices",
            ),
        ],
    ),
    Row(
        "unstack",
        lambda x, axis=0: [np.take(x, i, axis) for i in range(x.shape[axis])],
        [normal(2, 3, 5)],
        [{"axis": 1}, {"axis": -1}],
        errors=[
            ([normal(2, 3)], {"num": 3}, "unstack(num) needs 2, the size of axis 0, got 3."),
            ([normal(2)], {"axis": 1}, "unstack(axis) needs an axis in [-1, 1), got 1.\n  why: the tensor has 1 axes"),
        ],
    ),
    Row(
        "segment_sum",
        segment(np.add, 0),
        [normal(7, 2), IDS, 4],
        dtype=None,
        takes="",
        errors=[
            (
                [normal(3, 2), integers(2), 4],
                {},
                "segment_sum(segment_ids) needs a vector with one id for each of the rows of data, shape (3, 2), got shape (2,).",
            )
        ],
    ),
    Row("segment_prod", segment(np.multiply, 1), [normal(7, 2), IDS, 4], dtype=None, takes="", gradient=False),
    Row("segment_max", segment(np.maximum, -np.inf), [different(7, 2), IDS, 4], dtype=None, takes="", gradient=False),
    Row("segment_min", segment(np.minimum, np.inf), [different(7, 2), IDS, 4], dtype=None, takes="", gradient=False),
    Row(
        "top_k",
        lambda x, k: (np.sort(x)[..., ::-1][..., :k], np.argsort(-x)[..., :k]),
        [different(3, 7), 2],
        dtype=None,
        takes="",
        errors=[([normal(2, 3), 4], {}, "top_k(k) needs an integer from 0 to the size of the last axis of shape (2, 3), got 4.")],
    ),
    Row(
        "in_top_k",
        lambda t, p, k: (p > np.take_along_axis(p, t[:, None].astype(int), 1)).sum(1) < k,
        [integers(5, low=0, high=7), different(5, 7), 3],
        dtype="bool",
        takes="",
        errors=[([integers(2), normal(3, 5), 1], {}, "in_top_k needs targets (b,) and predictions (b, c), got (2,) and (3, 5).")],
    ),
    Row(
        "one_hot",
        one_hot,
        [integers(2, 3, low=-1, high=6), 5],
        [{}, {"axis": 0}, {"axis": 1}],
        dtype="float32",
        takes="integer",
        more=[([fixed([0.0, 2.0, 2.5]), 4], {}), ([bools(5), 2], {})],
        errors=[
            ([integers(2), 3], {"sparse": True}, "one_hot(sparse) needs False, got True.\n  why: tensors here are dense\n  fix: leave it out"),
            ([integers(2), 2.5], {}, "one_hot(num_classes) needs an integer from 0, got 2.5."),
        ],
    ),
    Row(
        "multi_hot",
        lambda x, n: one_hot(x, n).max(1 if x.ndim > 1 else 0),
        [integers(2, 3, low=-1, high=6), 5],
        dtype="float32",
        takes="integer",
        more=[([integers(3, low=0, high=5), 5], {})],
        errors=[([integers(2)], {}, "multi_hot(num_classes) needs an integer, got None.")],
    ),
]

globals().update(checks(ROWS))


# Conversion -------------------------------------------------------------------------------------------------------------------


@each_engine
def test_conversion(name):
    with backend(name):
        assert ops.dtype(ops.convert_to_tensor([1, 2])) == "int32"
        assert ops.dtype(ops.convert_to_tensor([1, 2], "float16")) == "float16"
        assert ops.dtype(ops.convert_to_tensor(2.5)) == "float32"
        assert ops.dtype(ops.convert_to_tensor([True])) == "bool"
        assert numbers(ops.convert_to_tensor(Variable([1.0, 2.0]))) == [1.0, 2.0]
        assert numbers(ops.convert_to_tensor([ops.convert_to_tensor(1.0), 2.0])) == [1.0, 2.0]
        own = np.zeros(3, "float32")
        tensor = ops.convert_to_tensor(own)
        if tensor is not own:  # tensors that are arrays are taken as they are
            own[0] = 7
        ops.convert_to_numpy(tensor)[1] = 7
        assert numbers(tensor) == [0.0, 0.0, 0.0]
        assert ops.shape(tensor) == (3,)
        assert ops.is_tensor(tensor) and not ops.is_tensor(Variable(1.0)) and not ops.is_tensor(Symbolic((2,)))
        with pytest.raises(ValueError, match="needs numbers, got 'a'"):
            ops.convert_to_tensor("a")
    assert ops.shape(Symbolic((None, 3))) == (None, 3)
    assert ops.convert_to_tensor(Symbolic((None, 3)), "int32").dtype == "int32"
    with pytest.raises(ValueError, match="needs a tensor with values"):
        ops.convert_to_numpy(Symbolic((None, 3)))


@each_engine
def test_saturate_cast(name):
    with backend(name):
        assert numbers(ops.saturate_cast([-5.0, 300.0, 7.6, np.nan, np.inf], "uint8")) == [0, 255, 7, 0, 255]
        assert numbers(ops.saturate_cast([-500, 300, 7], "int8")) == [-128, 127, 7]
        assert numbers(ops.saturate_cast([-5, 300], "uint8")) == [0, 255]
        assert numbers(ops.saturate_cast([3e9, -3e9, 1.0], "int32")) == [2147483647, -2147483648, 1]
        assert numbers(ops.saturate_cast([1e30, -1e30, 1.0], "float16")) == [65504.0, -65504.0, 1.0]
        assert numbers(ops.saturate_cast([-5, 300], "float32")) == [-5.0, 300.0]
        assert numbers(ops.saturate_cast([70000, 3], "float16")) == [65504.0, 3.0]
        assert numbers(ops.saturate_cast(ops.cast([3.5, 60000.0], "float16"), "int32")) == [3, 60000]
        assert numbers(ops.saturate_cast([-5.0, 0.0], "bool")) == [True, False]
        assert numbers(ops.saturate_cast([-1.0, 5e9, 7.5, np.nan], "uint32")) == [0, 2**32 - 1, 7, 0]


@each_engine
def test_blocks_whose_start_is_computed(name):
    with backend(name):
        x = np.arange(12).reshape(3, 4)
        assert numbers(ops.slice(x, ops.convert_to_tensor([5, -1]), (2, 2))) == [[6, 7], [10, 11]]
        assert numbers(ops.slice(x, [ops.convert_to_tensor(1), 2], (1, -1))) == [[6, 7]]
        assert numbers(ops.slice_update([0, 0, 0, 0], [3], [7.9, 8])) == [0, 0, 7, 8]


@each_engine
def test_segments_without_a_number_or_elements(name):
    with backend(name):
        assert numbers(ops.segment_sum([1.0, 2.0, 4.0], [0, 2, 0])) == [5.0, 0.0, 2.0]
        assert numbers(ops.segment_max([1, 2], [0, 0], 2)) == [2, -(2**31)]
    with pytest.raises(ValueError, match=r"segment_sum\(num_segments\) needs an integer, got None"):
        ops.segment_sum(Symbolic((None, 3)), Symbolic((None,), "int32"))


@each_engine
@pytest.mark.parametrize("kind", ["int8", "uint8", "int16"])
def test_small_integers_are_ids_and_indices(name, kind):
    ids = np.asarray([0, 2, 1], kind)
    with backend(name):
        assert numbers(ops.segment_sum([1.0, 2.0, 4.0], ids, 300))[:4] == [1.0, 4.0, 2.0, 0.0]
        assert numbers(ops.in_top_k(ids, np.tile(np.float32([0.0, 2.0, 1.0] + [0.0] * 297), (3, 1)), 2)) == [False, True, True]
        assert numbers(ops.scatter(ids[:, None], [1.0, 2.0, 4.0], (4,))) == [1.0, 4.0, 2.0, 0.0]
    found = [ops.segment_sum(Symbolic((3, 5)), Symbolic((3,), kind), 4), ops.scatter(Symbolic((3, 1), kind), Symbolic((3, 5)), (4, 5))]
    assert [x.shape for x in found] == [(4, 5), (4, 5)]
    assert ops.in_top_k(Symbolic((None,), kind), Symbolic((None, 300)), 2).dtype == "bool"


@each_engine
def test_segments_and_scatter_of_bools(name):
    with backend(name):
        values, ids = np.asarray([True, False, True, False]), [0, 0, 2, 3]
        assert numbers(ops.segment_max(values, ids, 5)) == [True, False, True, False, False]
        assert numbers(ops.segment_min(values, ids, 5)) == [False, True, True, False, True]
        assert numbers(ops.scatter([[1], [1], [0]], [True, True, False], (3,))) == [False, True, False]


@each_engine
def test_multi_hot_of_nothing(name):
    with backend(name):
        assert numbers(ops.multi_hot(np.zeros((0,), "int32"), 3)) == [0.0, 0.0, 0.0]
        assert numbers(ops.multi_hot(np.zeros((2, 0), "int32"), 3)) == [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]


def test_blocks_of_symbolic_tensors_begin_at_symbolic_scalars():
    start = Symbolic((), "int32")
    assert ops.slice(Symbolic((None, 7)), [start, start], (2, 3)).shape == (2, 3)
    assert ops.slice_update(Symbolic((None, 7)), [0, start], Symbolic((1, 3))).shape == (None, 7)


@each_engine
def test_in_top_k_of_no_class_and_nan(name):
    with backend(name):
        assert numbers(ops.in_top_k([1, 5, -1, 0], [[0.1, np.nan, 0.9], [3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [1.0, 1.0, 1.0]], 3)) == [
            False,
            False,
            False,
            True,
        ]


# Control flow -----------------------------------------------------------------------------------------------------------------


@each_engine
def test_branches(name):
    with backend(name):
        one = ops.convert_to_tensor(1.0)
        for taken in (True, False):
            result = ops.cond(ops.convert_to_tensor(taken), lambda: {"a": one, "b": (one * 2, None)}, lambda: {"a": one * 3, "b": (one * 4, None)})
            assert [float(result["a"]), float(result["b"][0]), result["b"][1]] == ([1.0, 2.0, None] if taken else [3.0, 4.0, None])
        branches = [lambda x, y: x + y, lambda x, y: x * y, lambda x, y: x - y]
        assert [float(ops.switch(i, branches, 5.0, 3.0)) for i in (-4, 0, 1, 2, 9)] == [8.0, 8.0, 15.0, 2.0, 2.0]
        assert ops.cond(True, lambda: None, lambda: None) is None
        with pytest.raises(ValueError) as caught:
            ops.cond(np.array([True, False]), lambda: 1.0, lambda: 2.0)
        assert (
            str(caught.value) == "cond(pred) needs one truth value, got shape (2,).\n  fix: use ops.any or ops.all, or ops.where to choose by element"
        )


@each_engine
def test_loops(name):
    with backend(name):
        assert [int(v) for v in ops.while_loop(lambda i, s: i < 5, lambda i, s: (i + 1, s + i), [0, 0])] == [5, 10]
        assert int(ops.while_loop(lambda i: i < 5, lambda i: i + 1, 0, maximum_iterations=3)) == 3
        assert int(ops.while_loop(lambda d: d["i"] < 5, lambda d: {"i": d["i"] + 2}, {"i": 0})["i"]) == 6
        assert numbers(ops.fori_loop(1, 4, lambda i, v: v * 2, np.array([1.0, 3.0], "float32"))) == [8.0, 24.0]
        with pytest.raises(ValueError) as caught:
            ops.while_loop(lambda i: i < 5, lambda i: ops.add(i, 0.5), 0)
        assert str(caught.value) == (
            "while_loop(body) needs a function that returns loop_vars as it got it, int32 (), got float32 ().\n"
            "  why: each turn of the loop must look like the one before\n  fix: start with values of the final shape and dtype, 0.0 in place of 0"
        )


@each_engine
def test_scan_over_trees(name):
    with backend(name):
        xs = {"a": np.arange(4, dtype="float32"), "b": np.arange(8, dtype="float32").reshape(4, 2)}
        step = lambda c, x: ({"sum": c["sum"] + x["a"]}, (x["b"] * 2, c["sum"]))  # noqa: E731
        last, (doubled, sums) = ops.scan(step, {"sum": 10.0}, xs)
        assert float(last["sum"]) == 16.0
        assert numbers(sums) == [10.0, 10.0, 11.0, 13.0]
        np.testing.assert_array_equal(ops.convert_to_numpy(doubled), xs["b"] * 2)
        _, (_, back) = ops.scan(step, {"sum": 10.0}, xs, reverse=True, unroll=2)
        assert numbers(back) == [16.0, 15.0, 13.0, 10.0]
        last, nothing = ops.scan(lambda c, x: (c + 1, x), 0, length=3, unroll=True)
        assert int(last) == 3 and nothing is None
        assert ops.scan(lambda c, x: (c + x, x), 0.0, np.zeros((0,), "float32"))[1].shape == (0,)
        for call, text in [
            (lambda: ops.scan(lambda c, x: (c, x), 0.0), "scan needs xs or length, got neither."),
            (lambda: ops.scan(lambda c, x: (c, x), 0.0, xs, length=3), "scan(length) needs 4, the first size of xs, or None, got 3."),
            (lambda: ops.scan(lambda c, x: c, 0.0, xs), "scan(f) needs a function that returns (carry, y), got"),
            (
                lambda: ops.scan(lambda c, x: (c, x), 0.0, (xs["a"], xs["b"][:2])),
                "scan(xs) needs tensors of one size along axis 0, got shapes (4,) and (2, 2).",
            ),
        ]:
            with pytest.raises(ValueError) as caught:
                call()
            assert str(caught.value).startswith(text)


@each_engine
def test_maps(name):
    with backend(name):
        pair = {"x": np.arange(3), "y": np.arange(6).reshape(3, 2)}
        for op in (ops.map, ops.vectorized_map):
            both = op(lambda p: (p["x"] + 1, ops.sum(p["y"]) + p["x"]), pair)
            assert [numbers(part) for part in both] == [[1, 2, 3], [1, 6, 11]]


@each_engine
@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_associative_scan(name, size):
    """Of sums, and of products of matrices, which do not commute."""
    x = np.random.default_rng(size).normal(size=(3, size, 2, 2)).astype("float32")
    with backend(name):
        for reverse in (False, True):
            order = lambda a, reverse=reverse: a[:, ::-1] if reverse else a  # noqa: E731
            sums = ops.associative_scan(lambda a, b: [a[0] + b[0]], [x], reverse, axis=1)[0]
            np.testing.assert_allclose(ops.convert_to_numpy(sums), order(np.cumsum(order(x), 1)), rtol=1e-5, atol=1e-5)
            products = ops.convert_to_numpy(ops.associative_scan(ops.matmul, x, reverse, axis=-3))
            expected = x[:, 0] if not reverse else x[:, -1]
            for i in range(size):
                if i:
                    expected = expected @ x[:, i] if not reverse else x[:, size - 1 - i] @ expected
                np.testing.assert_allclose(products[:, size - 1 - i if reverse else i], expected, rtol=1e-4, atol=1e-5)


def test_control_flow_on_symbolic_tensors():
    x = Symbolic((None, 3))
    last, ys = ops.scan(lambda c, x: (c + x, {"y": c}), Symbolic((3,)), x)
    assert (last.shape, ys["y"].shape) == ((3,), (None, 3))
    assert ops.map(lambda row: ops.sum(row), x).shape == (None,)
    assert ops.vectorized_map(lambda row: row[:2], x).shape == (None, 2)
    assert ops.associative_scan(lambda a, b: a + b, x).shape == (None, 3)
    assert ops.while_loop(lambda i, v: i < 3, lambda i, v: (i + 1, v * 2), (0, x))[1].shape == (None, 3)
    assert ops.fori_loop(0, 3, lambda i, v: v * 2, x).shape == (None, 3)
    assert ops.cond(Symbolic((), "bool"), lambda: ops.ones(3), lambda: ops.zeros(3)).shape == (3,)
    assert ops.switch(Symbolic((), "int32"), [lambda v: v + 1, lambda v: v * 2], x).shape == (None, 3)


@each_engine
def test_variables_assigned_inside_travel_along(name):
    with backend(name):
        count, total = Variable(0), Variable(0.0)

        def step(carry, x):
            count.assign_add(1)
            total.assign_add(x)
            return carry + total.value, count.value

        def run(xs):
            count.assign(0)
            total.assign(0.0)
            last, seen = ops.scan(step, 0.0, xs)
            ops.cond(last > 0, lambda: count.assign_add(10), lambda: count.assign_sub(10))
            ops.while_loop(lambda i: count.value < 100, lambda i: (count.assign_add(i), i + 1)[1:], (40,))
            return last, seen

        for function in (run, nyala.jit(run)):
            last, seen = function(ops.convert_to_tensor([1.0, 2.0, 3.0]))
            assert float(last) == 1 + 3 + 6
            assert numbers(seen) == [1, 2, 3]
            assert (int(count), float(total)) == (136, 6.0)


@differentiable
def test_custom_gradient(name):
    @ops.custom_gradient
    def scaled(x, y):
        return {"product": x * y}, lambda upstream: (upstream["product"] * 100.0, upstream["product"] * -1.0)

    with backend(name):
        engine = current()
        pair = [engine.asarray(np.array([1.0, 2.0], "float32")), engine.asarray(np.array([3.0, 4.0], "float32"))]
        loss = lambda xs: (ops.sum(ops.multiply(scaled(*xs)["product"], [1.0, 2.0])), None)  # noqa: E731
        (value, _), gradients = engine.value_and_grad(loss)(pair)
        assert float(value) == 3.0 + 16.0
        assert [numbers(g) for g in gradients] == [[100.0, 200.0], [-1.0, -2.0]]


def test_the_largest_none():
    values, indices = ops.top_k(np.ones((2, 3), "float32"), 0)
    assert (tuple(values.shape), tuple(indices.shape), nyala.backend.standardize_dtype(indices.dtype)) == ((2, 0), (2, 0), "int32")
