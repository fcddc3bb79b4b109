# SPDX-License-Identifier: Apache-2.0
"""The spec engine: operators of its tensors, unknown sizes, the words of its errors."""

from typing import NamedTuple

import numpy as np
import pytest

from nyala.engines import engine, get_engine, using
from nyala.engines._spec_rules import DTYPES
from nyala.engines.spec import Spec, SpecEngine, SpecTensor, UnknownSize, infer, infer_fitting

spec = get_engine("spec")
numpy = get_engine("numpy")


@pytest.fixture(autouse=True)
def _for_numpy():
    with using(numpy):
        yield


def look(x):
    return x.shape, x.dtype


# Tensors --------------------------------------------------------------------------------------------------------------------------------------

KEYS = [
    0,
    -1,
    slice(1, None),
    slice(None, None, -2),
    None,
    ...,
    (..., 0),
    (0, ..., None),
    (slice(2), None, 1),
    (slice(None), slice(4, 1), slice(-3, None)),
    (1, 2, 4),
    (),
    (None, None, 0),
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_indexing_is_numpys(key):
    assert SpecTensor((2, 3, 5))[key].shape == np.zeros((2, 3, 5))[key].shape


@pytest.mark.parametrize("key, error, text", [
    (2, IndexError, r"indexing needs an index in \[-2, 2\) for shape \(2, 3\), got 2."),
    ((0, 0, 0), ValueError, r"indexing needs at most 2 indices for shape \(2, 3\), got 3."),
    (SpecTensor((4,), "int32"), TypeError,
    r"indexing needs ints, slices, None and Ellipsis while shapes are inferred, got SpecTensor\(\(4,\), int32\).\n  fix: use ops.take"),
])  # fmt: skip
def test_indexing_refuses(key, error, text):
    with pytest.raises(error, match=f"^{text}$"):
        SpecTensor((2, 3))[key]


def test_indexing_by_a_scalar_tensor_takes_the_axis_away():
    assert SpecTensor((2, 3))[SpecTensor((), "int32")].shape == (3,)


@pytest.mark.parametrize("operation", [
    lambda x, y: x + y, lambda x, y: 2 - x, lambda x, y: x * 2.5, lambda x, y: x / y, lambda x, y: x // 2, lambda x, y: 7 % x, lambda x, y: x**2,
        lambda x, y: -x, lambda x, y: +x,
    lambda x, y: abs(x), lambda x, y: x < y, lambda x, y: x >= 1, lambda x, y: x == y, lambda x, y: x != 0.5, lambda x, y: ~(x > 0), lambda x,
    y: (x > 0) & (y > 0),
    lambda x, y: (x > 0) | True, lambda x, y: (x > 0) ^ (y > 1), lambda x, y: x.T,
])  # fmt: skip
def test_operators_are_numpys(operation):
    x, y = np.ones((2, 3, 5), "float32"), np.full((3, 1), 3, "float32")
    assert look(operation(SpecTensor((2, 3, 5)), SpecTensor((3, 1)))) == look(operation(x, y))


def test_operators_promote_as_array_libraries_do():
    """Primitives want one dtype; code of users that mixes them works on every engine, so it must on shapes."""
    x, flags, counts = SpecTensor((2, 3), "float32"), SpecTensor((2, 3), "bool"), SpecTensor((3,), "int32")
    for result, dtype in [
        (x * flags, "float32"), (flags * x, "float32"), (x + counts, "float32"), (counts - x, "float32"), (counts * flags, "int32"),
        (flags & (x > 0), "bool"),
        (counts * 0.5, "float32"), (0.5 + counts, "float32"), (flags * 2, "int32"), (flags + flags.T[..., :1].T, "bool"), (counts > x,
        "bool"), (x + 2j, "complex64"),
        (SpecTensor((3,), "float16") + SpecTensor((3,), "bfloat16"), "float32"), (SpecTensor((3,), "uint8") + SpecTensor((3,), "int8"), "int16"),
        (SpecTensor((3,), "float16") * SpecTensor((3,), "int32"), "float16"), (SpecTensor((3,), "float64") + x, "float64"),
        (x * np.zeros(3, "int8"), "float32"),
    ]:  # fmt: skip
        assert result.dtype == dtype


def test_operators_of_integers():
    x = SpecTensor((2, 3), "int32")
    assert look(x / 2) == look(1 / x) == look(x / x) == ((2, 3), "float32")
    assert look(x & 1) == look(~x) == look(x << 2) == look(1 | x) == ((2, 3), "int32")


def test_operators_take_arrays_from_either_side():
    x = SpecTensor((2, 3))
    assert look(np.float64(2) * x) == look(np.ones((2, 1), "float32") * x) == look(x * np.ones((2, 1), "float32")) == ((2, 3), "float32")


def test_operators_leave_other_things_to_python():
    assert SpecTensor((2,)) != "text" and not SpecTensor((2,)) == None  # noqa: E711, SIM201
    with pytest.raises(TypeError, match="unsupported operand"):
        SpecTensor((2,)) + "text"


@pytest.mark.parametrize("left, right", [((2, 3), (3, 5)), ((3,), (3, 5)), ((7, 2, 3), (3,)), ((3,), (3,)), ((2, 1, 3, 5), (7, 5, 2))])
def test_matmul_operator_is_numpys(left, right):
    assert (SpecTensor(left) @ SpecTensor(right)).shape == (np.ones(left) @ np.ones(right)).shape
    assert (np.ones(left, "float32") @ SpecTensor(right)).shape == (np.ones(left) @ np.ones(right)).shape


def test_length_iteration_and_counts():
    x = SpecTensor((2, 3, 5))
    assert (len(x), x.ndim, x.size, [row.shape for row in x], x.T.shape) == (2, 3, 30, [(3, 5), (3, 5)], (5, 3, 2))
    assert {x: 1}[x] == 1
    with pytest.raises(ValueError, match=r"^len needs a tensor with at least one axis, got shape \(\)\.$"):
        len(SpecTensor(()))


@pytest.mark.parametrize("ask, what", [
    (float, "float()"), (int, "int()"), (complex, "complex()"), (bool, "bool(), if, while, and, or, not"),
    (np.asarray, "conversion to a NumPy array"), (range, "use as an index or a size"),
    (spec.to_numpy, "to_numpy"), (spec.nonzero, "nonzero (the size of its result)"),
])  # fmt: skip
def test_there_is_no_value(ask, what):
    with pytest.raises(TypeError) as caught:
        ask(SpecTensor(()))
    assert str(caught.value) == (
        f"{what} needs the values of a tensor, but shapes are being inferred and there is no value here.\n"
        "  fix: choose with ops.cond or ops.where instead of if and while, and pass sizes and settings as plain Python numbers"
    )


@pytest.mark.parametrize("value, expected", [
    (np.ones((2, 3), "int8"), ((2, 3), "int8")), (np.float32(1), ((), "float32")), (2.5, ((), "float32")), (3, ((), "int32")), (True, ((), "bool")),
    (1j, ((), "complex64")),
    ([[1, 2], [3, 4.5]], ((2, 2), "float32")), ([True, 2], ((2,), "int32")), ([], ((0,), "float32")),
    ([SpecTensor((3,), "float16")] * 2, ((2, 3), "float16")),
    (np.ones(2, ">f4"), ((2,), "float32")), (np.zeros(2), ((2,), "float64")),
])  # fmt: skip
def test_asarray(value, expected):
    assert look(spec.asarray(value)) == expected
    assert look(spec.asarray(value, "int32")) == (expected[0], "int32")


def test_asarray_of_a_spec_tensor_is_itself():
    x = SpecTensor((2,))
    assert spec.asarray(x) is x and spec.is_tensor(x) and not spec.is_tensor(np.ones(2))


def test_64_bits_are_what_the_real_engine_makes_of_them():
    class Narrow(type(numpy)):
        def canonical_dtype(self, dtype):
            return {"float64": "float32", "int64": "int32"}.get(dtype, dtype)

    assert spec.canonical_dtype("float64") == "float64"
    with using(Narrow()), using(spec):
        assert [spec.canonical_dtype(dtype) for dtype in ("float64", "int64", "uint8")] == ["float32", "int32", "uint8"]
        assert (
            look(spec.asarray(np.zeros(2)))
            == look(spec.cast(SpecTensor((2,)), "float64"))
            == look(spec.full((2,), 0, "float64"))
            == ((2,), "float32")
        )


# Errors ---------------------------------------------------------------------------------------------------------------------------------------

F = SpecTensor((2, 3, 5))
I = SpecTensor((4,), "int32")  # noqa: E741


@pytest.mark.parametrize("call, text", [
    (lambda: spec.add(F, SpecTensor((2,))), "add needs shapes that broadcast (aligned at the last axis, sizes equal or 1), got (2, 3, 5) and (2,)."),
    (lambda: spec.add(F, SpecTensor((5,), "float16")),
    "add needs operands of one dtype, got SpecTensor((2, 3, 5), float32), SpecTensor((5,), float16).\n  fix: promote first (ops do), or cast"),
    (lambda: spec.multiply(I, 0.5), "multiply needs a Python scalar that int32 can hold, got 0.5 (float).\n  fix: cast the tensor first"),
    (lambda: spec.add(SpecTensor((2,), "uint8"), 256), "add needs a Python scalar that uint8 can hold, got 256 (int).\n  fix: cast the tensor first"),
    (lambda: spec.add(1.0, 2.0), "add needs at least one tensor, got 1.0, 2.0.\n  fix: promote first (ops do), or cast"),
    (lambda: spec.exp(I), "exp needs a dtype of kind float or complex, got int32.\n  fix: cast first (ops do)"),
    (lambda: spec.logical_and(F, F), "logical_and needs a dtype of kind bool, got float32.\n  fix: cast first (ops do)"),
    (lambda: spec.bitwise_and(F, F), "bitwise_and needs a dtype of kind uint or int, got float32.\n  fix: cast first (ops do)"),
    (lambda: spec.where(F, F, F), "where(condition) needs a dtype of kind bool, got float32.\n  fix: cast first (ops do)"),
    (lambda: spec.cast(F, "float31"), f"dtype needs one of {', '.join(DTYPES)}, got 'float31'."),
    (lambda: spec.sum(F, (3,), False), "sum needs axes from 0 to 2 for shape (2, 3, 5), got axis 3."),
    (lambda: spec.sum(F, (1, 0), False), "sum needs sorted axes without repeats, got (1, 0)."),
    (lambda: spec.argmax(SpecTensor(()), 0), "argmax needs a tensor that has axes, got axis 0."),
    (lambda: spec.reshape(F, (7, 4)), "reshape needs a shape of 30 elements, as (2, 3, 5) has, got (7, 4) of 28."),
    (lambda: spec.reshape(F, (-1, 5)), "a shape needs sizes of at least 0, got (-1, 5)."),
    (lambda: spec.transpose(F, (0, 1)), "transpose needs each axis of shape (2, 3, 5) once, got axes (0, 1)."),
    (lambda: spec.broadcast_to(F, (3, 5)), "broadcast_to needs a shape that (2, 3, 5) broadcasts to, got (3, 5)."),
    (lambda: spec.concatenate([F, SpecTensor((2, 3, 7))], 1), "concatenate needs shapes equal but for axis 1, got (2, 3, 5) and (2, 3, 7)."),
    (lambda: spec.pad(F, ((0, 0), (1, 1)), 0), "pad needs 3 widths, one for each axis, got 2: ((0, 0), (1, 1))."),
    (lambda: spec.pad(I, ((-1, 0),), 0), "pad needs widths of at least 0, got ((-1, 0),)."),
    (lambda: spec.slice(I, (1,), (5,), (1,)), "slice needs 0 <= start <= stop <= size and step >= 1 for shape (4,), got (1,), (5,) and (1,)."),
    (lambda: spec.take(F, F, 0), "take(indices) needs int32 or int64, got float32.\n  fix: cast first (ops do)"),
    (lambda: spec.take_along_axis(F, I, 1), "take_along_axis needs indices of rank 3, got shape (4,)."),
    (lambda: spec.scatter(F, SpecTensor((7, 2), "int32"), F, "add"), "scatter(updates) needs shape (7, 5), got (2, 3, 5)."),
    (lambda: spec.scatter(F, I, F, "add"), "scatter needs indices (n, k) with k <= 3, got shape (4,)."),
    (lambda: spec.scatter(F, I, F, "sub"), "scatter(mode) needs one of ('set', 'add', 'multiply', 'max', 'min'), got 'sub'."),
    (lambda: spec.dynamic_slice(I, (0,), (5,)), "dynamic_slice needs a block that fits in shape (4,), got sizes (5,)."),
    (lambda: spec.top_k(I, 5), "top_k needs 0 < k <= the last size of shape (4,), got k=5."),
    (lambda: spec.searchsorted(F, F, "left"), "searchsorted needs a vector to search in, got shape (2, 3, 5)."),
    (lambda: spec.matmul(F, F), "matmul needs equal inner sizes, got 5 and 3, of shapes (2, 3, 5) and (2, 3, 5)."),
    (lambda: spec.matmul(I, I), "matmul needs matrices on the last two axes of both, got (4,) and (4,)."),
    (lambda: spec.einsum("abc,bd->ad", F, SpecTensor((7, 2))),
    "einsum needs one size for 'b' of 'abc,bd->ad', got 3 and 7, of shapes (2, 3, 5) and (7, 2)."),
    (lambda: spec.einsum("ab->a", F), "einsum needs operands of the ranks that 'ab->a' says, got (2, 3, 5)."),
    (lambda: spec.einsum("a...", F), "einsum needs letters with an explicit output of distinct letters of the inputs, got 'a...'."),
    (lambda: spec.conv(F, SpecTensor((4, 5, 7)), (1,), ((0, 0),), (1,), 1),
     "conv needs at least 4 positions for a window of 4 (dilation 1), got 3: 3 and padding 0 + 0."
     "\n  fix: use a smaller window or dilation, padding 'same', or a larger input"),
    (lambda: spec.conv(F, SpecTensor((2, 3, 7)), (1,), ((0, 0),), (1,), 1),
     "conv needs a kernel of 5 / 1 input channels, and output channels that 1 divides, got (2, 3, 5) and (2, 3, 7)."),
    (lambda: spec.conv(F, SpecTensor((2, 5, 7)), (1, 1), ((0, 0),), (1,), 1), "conv needs 1 strides, one for each axis, got 2: (1, 1)."),
    (lambda: spec.conv(F, SpecTensor((2, 2, 5, 7)), (1,), ((0, 0),), (1,), 1),
     "conv needs x (b, *s, c) with one to three spatial axes and a kernel of its rank, got (2, 3, 5) and (2, 2, 5, 7)."),
    (lambda: spec.conv_input_gradient(F, SpecTensor((2, 4, 5)), (2, 3, 4), (1,), ((0, 0),), (1,), 1),
    "conv_input_gradient(g) needs shape (2, 2, 5), got (2, 3, 5)."),
    (lambda: spec.max_pool(I, (2,), (1,), ((0, 0),)), "max_pool needs x (b, *s, c) with one to three spatial axes, got shape (4,)."),
    (lambda: spec.cholesky(F), "cholesky needs square matrices on the last two axes, got shape (2, 3, 5)."),
    (lambda: spec.svd(SpecTensor((2, 2), "float16"), True), "svd needs float32 or float64, got float16.\n  fix: cast first (ops do)"),
    (lambda: spec.qr(F, "raw"), "qr(mode) needs one of ('reduced', 'complete'), got 'raw'."),
    (lambda: spec.fft(F, 0), "fft needs a dtype of kind complex, got float32.\n  fix: cast first (ops do)"),
    (lambda: spec.random_bits(I, (2,)), "random_bits needs a key of shape (2,) and dtype uint32, got SpecTensor((4,), int32)."),
    (lambda: spec.cond(SpecTensor((2,), "bool"), None, None, ()), "cond needs a scalar bool to decide by, got SpecTensor((2,), bool)."),
    (lambda: spec.cond(True, lambda x: (x,), lambda x: (x[0],), (I,)),
     "cond needs branches that return equal shapes and dtypes, got (SpecTensor((4,), int32),) and (SpecTensor((), int32),)."),
    (lambda: spec.while_loop(lambda x: True, lambda x: (x[0],), (I,)),
     "while_loop needs a body that keeps the shapes and dtypes of the state, got (SpecTensor((4,), int32),) and (SpecTensor((), int32),)."),
    (lambda: spec.scan(lambda c, x: ((x[0],), ()), (I,), (F,), 2, False, 1),
     "scan needs a body that keeps the shapes and dtypes of the carry, got (SpecTensor((4,), int32),) and (SpecTensor((3, 5), float32),)."),
    (lambda: spec.scan(None, (I,), (F,), 3, False, 1), "scan needs xs of first size 3, got shape (2, 3, 5)."),
    (lambda: spec.value_and_grad(lambda v: (v[0], ()))([F]), "value_and_grad needs a scalar loss, got shape (2, 3, 5).\n  fix: take its mean or sum"),
    (lambda: spec.vmap(lambda x, y: x)(F, I),
    "vmap needs one size along the mapped axes, got [2, 4].\n  fix: map at least one argument, over axes of equal size"),
    (lambda: spec.asarray([[1], [2, 3]]), "asarray needs nested lists of equal lengths, got items of shapes [(1,), (2,)]."),
])  # fmt: skip
def test_errors_say_what_is_needed(call, text):
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == text


@pytest.mark.parametrize("call, text", [
    (lambda: spec.exp(2.0), "exp needs a tensor, got 2.0 (float).\n  fix: convert it first (ops do)"),
    (lambda: spec.asarray("text"), "asarray needs an array, a number, or lists of numbers, got 'text' (str)."),
])  # fmt: skip
def test_what_is_no_tensor_is_refused(call, text):
    with pytest.raises(TypeError) as caught:
        call()
    assert str(caught.value) == text


# Transforms -----------------------------------------------------------------------------------------------------------------------------------


def test_gradients_look_like_their_values():
    (loss, aux), gradients = spec.value_and_grad(lambda v: (spec.sum(v[0], (0, 1, 2), False), {"x": v[1]}))([F, I])
    assert [look(x) for x in (loss, aux["x"], *gradients)] == [((), "float32"), look(I), look(F), look(I)]


def test_vmap_moves_axes():
    function = lambda x, y: (spec.multiply(x, y), x[0])  # noqa: E731
    first, second = spec.vmap(function, in_axes=(-1, None), out_axes=(0, 1))(F, SpecTensor((3,)))
    assert (first.shape, second.shape) == ((5, 2, 3), (3, 5))


def test_custom_gradient_remat_compile_and_eval_shape():
    assert spec.custom_gradient(lambda x: ((x, x[0]), None))(F)[1].shape == (3, 5)
    assert spec.compile(look)(F) == spec.remat(look)(F) == look(F)
    assert spec.eval_shape(lambda tree: tree["a"] + 1, {"a": np.ones((2, 3), "float32")}).shape == (2, 3)


# Unknown sizes --------------------------------------------------------------------------------------------------------------------------------


def test_infer_runs_once_when_all_sizes_are_known():
    runs = []
    assert infer(lambda x: runs.append(x.shape) or engine.exp(x), Spec((2, 3))) == Spec((2, 3), "float32")
    assert runs == [(2, 3)]


def test_infer_finds_what_depends_on_unknown_sizes():
    def function(x, tables, scale=1):
        size = x.shape[0]
        halves = engine.reshape(x, (size // 2, 2, x.shape[1]))
        return {
            "halves": halves,
            "sum": engine.sum(x, (0,), False),
            "size": size,
            "known": x.shape[1],
            "scale": scale,
            "rows": [engine.take(tables[0], tables[1], 0)],
        }

    result = infer(function, Spec((None, 7)), [Spec((11, 3), "float16"), Spec((None, 5), "int32")], scale="big")
    assert result == {
        "halves": Spec((None, 2, 7)),
        "sum": Spec((7,)),
        "size": None,
        "known": 7,
        "scale": "big",
        "rows": [Spec((None, 5, 3), "float16")],
    }


def test_unknown_sizes_can_be_told_from_known_ones():
    seen = []
    infer(lambda x: seen.append(x.shape) or x, Spec((None, 3)))
    assert [type(n) for n in seen[0]] == [UnknownSize, int]
    size = seen[0][0]
    assert (
        all(isinstance(n, UnknownSize) for n in (size + 1, 1 + size, size * 2, 2 * size, size - 1, 500 - size, size // 2, -size)) and size + 1 == 241
    )


def test_infer_keeps_kinds_of_trees():
    class Pair(NamedTuple):
        first: object
        second: object

    result = infer(lambda pair: Pair(pair.second, (pair.first, None)), Pair(Spec((None,)), Spec((2,), "bool")))
    assert result == Pair(Spec((2,), "bool"), (Spec((None,)), None)) and type(result) is Pair


def test_infer_runs_for_the_engine_in_force_and_restores_it():
    from nyala.engines import current, real_engine

    seen = []
    infer(lambda x: seen.append((current().name, real_engine().name)) or x, Spec((2,)))
    assert seen == [("spec", "numpy")] and current() is numpy


@pytest.mark.parametrize("function, got", [
    (lambda x: x if x.shape[0] < 300 else x[0], "SpecTensor((240, 3), float32) for size 240 and SpecTensor((3,), float32) for size 480"),
    (lambda x: [x] * (x.shape[0] // 240), "list of length 1 for size 240 and list of length 2 for size 480"),
    (lambda x: x if x.shape[0] < 300 else None, "SpecTensor((240, 3), float32) for size 240 and None for size 480"),
])  # fmt: skip
def test_infer_refuses_structures_that_depend_on_unknown_sizes(function, got):
    with pytest.raises(ValueError) as caught:
        infer(function, Spec((None, 3)))
    assert str(caught.value) == (
        f"shape inference needs a result whose structure, ranks and dtypes do not depend on an unknown size, got {got}."
        "\n  fix: state the size when you declare the input"
    )


def test_errors_inside_infer_say_what_unknown_sizes_were_taken_for():
    with pytest.raises(ValueError) as caught:
        infer(lambda x: engine.reshape(x, (7,)), Spec((None, 3)))
    assert caught.value.__notes__ == ["  note: while shapes were inferred, with 240 in the place of each unknown size"]
    with pytest.raises(ValueError) as caught:
        infer(lambda x: engine.reshape(x, (7,)), Spec((2, 3)))
    assert not hasattr(caught.value, "__notes__")


@pytest.mark.parametrize("function, args, expected", [
    (lambda x, y: engine.add(x, y), [(None, 3), (5, 3)], (5, 3)),  # the known size counts
    (lambda x, y: engine.add(x, y), [(None, 1), (2, 5, 7)], (2, 5, 7)),
    (lambda x, y: engine.add(x, y), [(None, None), (7,)], (None, 7)),
    (lambda x: engine.broadcast_to(x, (2, 5, 3)), [(None, 3)], (2, 5, 3)),
    (lambda x, y: engine.broadcast_to(x, y.shape), [(5, 3), (None, 3)], (None, 3)),
])  # fmt: skip
def test_an_unknown_size_is_taken_to_fit_the_known_one_beside_it(function, args, expected):
    assert infer(function, *map(Spec, args)) == Spec(expected)


@pytest.mark.parametrize("function, args, expected", [
    (lambda x, y: engine.matmul(x, y), [(2, None), (3, 4)], (2, 4)),
    (lambda x, y: engine.matmul(x, y), [(None, 3), (None, 4)], (None, 4)),
    (lambda x: engine.reshape(x, (x.shape[0] // 7, 7)), [(None,)], (None, 7)),  # neither 240 nor 480 is a multiple of 7
    (lambda x: engine.reshape(x, (4, 3)), [(None, 6)], (4, 3)),
    (lambda x: engine.top_k(x, 500)[0], [(2, None)], (2, 500)),
    (lambda x, y: engine.concatenate([x, y], 1), [(None, 3), (5, 4)], (5, 7)),
    (lambda x, y: engine.concatenate([x, y], 1), [(None, None, None), (5, 4, 7)], (5, None, 7)),  # of the whole shape what must be known
    (lambda x: engine.pad(x, [(0, 5 - n) for n in x.shape], 0), [(None, None)], (5, 5)),
])  # fmt: skip
def test_fitting_sizes_are_found_where_the_stand_ins_do_not_fit(function, args, expected):
    with pytest.raises(ValueError):
        infer(function, *map(Spec, args))
    assert infer_fitting(function, *map(Spec, args)) == Spec(expected)


def test_sizes_that_give_results_of_different_ranks_are_not_guessed():
    with pytest.raises(ValueError, match="too large"):
        infer_fitting(lambda x: engine.reshape(x, x.shape[: x.shape[0]]) if x.shape[0] < 4 else refuse(), Spec((None, 1, 1)))


def refuse():
    raise ValueError("too large")


def test_the_first_error_is_told_where_nothing_fits():
    with pytest.raises(ValueError) as caught:
        infer_fitting(lambda x: engine.reshape(x, (7,)), Spec((None, 3)))
    assert str(caught.value) == "reshape needs a shape of 720 elements, as (240, 3) has, got (7,) of 7."


def test_the_class_is_found_by_name():
    assert type(spec) is SpecEngine and spec.abstract and not spec.compiles
