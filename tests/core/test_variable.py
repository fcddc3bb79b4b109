# SPDX-License-Identifier: Apache-2.0
"""Variable, Scope and purify."""

import copy
import pickle
import threading

import numpy as np
import pytest

import nyala
from nyala import ops
from nyala.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from nyala.core.variable import Scope, Variable, autocast, purify, scope
from nyala.engines import engine
from nyala.testing import installed_engines
from tests.training.tools import numbers, raises

ENGINES = [engine.name for engine in installed_engines()]


def test_first_values():
    for given, dtype, shape in [
        (1, "int32", ()),
        (1.5, "float32", ()),
        (True, "bool", ()),
        ([1, 2], "int32", (2,)),
        ([[1.0], [2.0]], "float32", (2, 1)),
        (1 + 2j, "complex64", ()),
        (np.zeros((2, 3)), "float64", (2, 3)),
        (np.float16(2), "float16", ()),
        (np.zeros(3, "uint8"), "uint8", (3,)),
    ]:
        variable = Variable(given)
        assert (variable.dtype, variable.shape, variable.ndim) == (dtype, shape, len(shape))
        np.testing.assert_array_equal(variable.numpy(), given)
    assert Variable([1.5, 2.5], dtype="int32").numpy().tolist() == [1, 2]
    made = Variable(lambda shape, dtype: np.full(shape, 7, dtype), (2, 3), "float16")
    assert (made.dtype, made.numpy().tolist()) == ("float16", [[7] * 3] * 2)
    other = Variable(made)
    other.assign(np.zeros((2, 3)))
    assert made.numpy().sum() == 42


def test_the_caller_keeps_his_array():
    array = numbers(3)
    variable = Variable(array)
    array[0] = 99
    assert variable.numpy()[0] != 99
    variable.numpy()[0] = 98
    assert variable.numpy()[0] != 98


def test_assign(each_engine):
    variable = Variable(numbers(2, 3), name="v")
    start = variable.numpy()
    returned = variable.assign(numbers(2, 3, seed=1))
    np.testing.assert_array_equal(ops.convert_to_numpy(returned), variable.numpy())
    variable.assign_add(start)
    variable.assign_sub(2 * start)
    np.testing.assert_allclose(variable.numpy(), numbers(2, 3, seed=1) - start, rtol=1e-6)
    assert engine.is_tensor(variable.value)
    variable.assign(np.ones((2, 3), "int64"))
    assert (variable.dtype, variable.numpy().dtype) == ("float32", np.float32)
    text = "Variable 'v' needs a value of shape (2, 3), got shape (3, 2).\n  fix: a variable keeps the shape it was made with"
    with raises(ShapeError, text):
        variable.assign(np.zeros((3, 2)))
    assert variable.numpy().sum() == 6


def test_refusals():
    with raises(ArgumentTypeError, "Variable needs arguments that it knows, got ['shap']."):
        Variable(1.0, shap=())
    with raises(ArgumentError, "Variable(name) needs a string without '/', got 'a/b'.\n  fix: use nyala.name_scope for paths"):
        Variable(1.0, name="a/b")
    with raises(ArgumentError, "Variable(aggregation) needs 'none', 'mean', 'sum' or 'only_first_replica', got 'all'."):
        Variable(1.0, aggregation="all")
    with raises(ArgumentError, "Variable 'v' needs a shape beside an initializer that is a function, got None.\n  fix: pass shape=(...)"):
        Variable(lambda shape, dtype: 0, name="v")
    with raises(ArgumentError, "Variable 'v' needs a shape beside an initializer that is a function, got None.\n  fix: pass shape=(...)"):
        Variable("zeros", name="v")
    with raises(ShapeError, "Variable 'v' needs a value of shape (3,), got shape (2,)."):
        Variable([1, 2], shape=(3,), name="v")
    with raises(ShapeError, "Variable 'v' needs an initializer that returns shape (2,), got shape (3,)."):
        Variable(lambda shape, dtype: np.zeros(3), (2,), name="v")
    text = (
        "Variable 'v' needs a shape without unknown sizes, got (None, 2).\n"
        "  why: weights must have a fixed size\n  fix: give the input a known size there"
    )
    with raises(ShapeError, text):
        Variable(lambda shape, dtype: 0, (None, 2), name="v")


def test_it_behaves_like_its_value(each_engine):
    a, b = numbers(2, 3), numbers(2, 3, seed=1)
    v = Variable(a)
    for got, want in [
        (v + b, a + b),
        (b - v, b - a),
        (v * 2.0, a * 2),
        (1.0 / v, 1 / a),
        (-v, -a),
        (abs(v), abs(a)),
        (v @ b.T, a @ b.T),
        (v[1], a[1]),
        (v[:, ::2], a[:, ::2]),
        (v > b, a > b),
        (v == a, a == a),
        (2.0**v, 2.0**a),
        (v // 0.5, a // 0.5),
        (v % 0.5, a % 0.5),
        (v + v, a + a),
    ]:
        np.testing.assert_allclose(ops.convert_to_numpy(got), want, rtol=2e-5, atol=1e-6)
    assert len(v) == 2
    assert len(list(v)) == 2
    np.testing.assert_array_equal(np.asarray(v), a)
    count = Variable(3)
    assert (float(count), int(count), [10, 20, 30, 40][count], bool(Variable(0))) == (3.0, 3, 40, False)
    with pytest.raises(TypeError, match="len\\(\\) of a variable without axes"):
        len(count)


def test_it_moves_between_engines():
    variable = Variable(numbers(5))
    total = variable.numpy()
    for name in [*ENGINES, *ENGINES]:
        with nyala.backend(name):
            variable.assign_add(np.full(5, 0.5, "float32"))
            assert engine.is_tensor(variable.value)
            total = total + 0.5
            np.testing.assert_allclose(variable.numpy(), total, rtol=1e-6)


def test_copies_and_pickles(each_engine):
    variable = Variable(numbers(3), name="v", trainable=False)
    variable.assign_add(np.ones(3))
    for other in (copy.deepcopy(variable), pickle.loads(pickle.dumps(variable))):
        np.testing.assert_array_equal(other.numpy(), variable.numpy())
        assert (other.name, other.trainable) == ("v", False)
        other.assign(np.zeros(3))
        assert variable.numpy().any()


def test_names_and_paths():
    with nyala.name_scope("a"), nyala.name_scope("b"):
        assert Variable(0.0, name="c").path == "a/b/c"
    assert repr(Variable(np.zeros(2, "int8"), name="z")) == "<Variable path=z, shape=(2,), dtype=int8, value=[0, 0]>"
    assert repr(Variable(np.zeros(9, "int8"), name="z")) == "<Variable path=z, shape=(9,), dtype=int8>"


# Scopes --------------------------------------------------------------------------------------------------------------------------------


def test_what_happens_in_a_scope_stays_there(each_engine):
    a, b, c = (Variable(float(i)) for i in range(3))
    with scope([a], [ops.convert_to_tensor(10.0)]) as outer:
        assert float(a.value) == 10
        b.assign(20.0)
        with Scope() as inner:
            assert float(b.value) == 20
            a.assign(30.0)
            assert (float(a.value), float(c.value)) == (30, 2)
        assert float(a.value) == 10
        assert set(map(id, inner.touched.values())) == {id(a)}
        assert {id(a), id(b), id(c)} == set(inner.read)
    assert set(outer.touched) == {id(b)}
    assert set(outer.missing) == {id(c)}
    assert [float(v) for v in (a, b, c)] == [0, 1, 2]


def test_scopes_end_with_errors():
    variable = Variable(1.0)
    with pytest.raises(RuntimeError), scope([variable], [5.0]):
        raise RuntimeError
    assert float(variable) == 1


def test_scopes_belong_to_a_thread():
    variable, seen = Variable(1.0), []
    with nyala.backend("numpy"), scope([variable], [np.float32(5.0)]):
        thread = threading.Thread(target=lambda: seen.append(float(variable)))
        thread.start()
        thread.join()
        assert (seen, float(variable.value)) == ([1.0], 5.0)


def test_purify(each_engine):
    count, other = Variable(3.0), Variable(7.0)
    pure = purify(lambda step: (count.assign_add(step * other), "note")[1], [count])
    outputs, values = pure([ops.convert_to_tensor(1.0)], 2.0)
    assert (outputs, float(values[0]), float(count)) == ("note", 15.0, 3.0)
    assert pure.missing == [other]


def test_autocast():
    with nyala.backend("numpy"):
        floats, fixed, ints = Variable([1.5]), Variable([1.5], autocast=False), Variable([1])
        with autocast("float16"):
            assert [v.dtype for v in (floats, fixed, ints)] == ["float16", "float32", "int32"]
            assert [str(v.value.dtype) for v in (floats, fixed, ints)] == ["float16", "float32", "int32"]
            floats.assign(floats + 1)
        assert (floats.dtype, float(floats[0])) == ("float32", 2.5)
