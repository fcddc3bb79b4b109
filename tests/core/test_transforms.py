# SPDX-License-Identifier: Apache-2.0
"""jit, Program, repeat, value_and_grad, grad and remat on functions with state."""

import warnings

import numpy as np
import pytest

import nyala
from nyala import ops
from nyala.core.errors import ShapeError
from nyala.core.transforms import Compiled, Program, discover, repeat
from nyala.engines import current
from nyala.engines.spec import Spec
from tests.training.tools import numbers


def value(x):
    return ops.convert_to_numpy(x)


def test_jit_keeps_state(each_engine):
    total, factor = nyala.Variable(0.0), nyala.Variable(2.0)

    @nyala.jit
    def add(x, scale=1.0):
        """Adds."""
        return total.assign_add(ops.sum(x) * factor * scale)

    x = numbers(3)
    assert (add.__name__, add.__doc__) == ("add", "Adds.")
    assert float(add(x)) == pytest.approx(2 * x.sum(), rel=1e-5)
    factor.assign(3.0)  # an argument of the program, not a constant
    assert float(add(x)) == pytest.approx(5 * x.sum(), rel=1e-5)
    assert float(add(x, scale=2.0)) == pytest.approx(11 * x.sum(), rel=1e-5)
    assert float(total) == pytest.approx(11 * x.sum(), rel=1e-5)


def test_jit_traces_once_for_each_shape_dtype_and_constant(each_engine):
    @nyala.jit
    def f(tree, mode, flag=True):
        a, b = tree["a"], tree["b"]
        return {"sum": a + b if mode == "add" else a - b, "flag": flag}

    a, b = numbers(2, 3), numbers(2, 3, seed=1)
    for _ in range(3):
        result = f({"a": a, "b": b}, "add")
        np.testing.assert_allclose(value(result["sum"]), a + b, rtol=1e-6)
    assert bool(result["flag"])
    if not current().compiles:
        return
    assert f.traces == 1
    np.testing.assert_allclose(value(f({"a": a, "b": b}, "sub")["sum"]), a - b, rtol=1e-6)
    assert f.traces == 2
    f({"a": a[:1], "b": b[:1]}, "add")
    with pytest.warns(UserWarning, match=r"was compiled 4 times: its argument tree\['a'\] has dtype float32, int32"):
        f({"a": a.astype("int32"), "b": b.astype("int32")}, "add")
    assert f.traces == 4
    f({"a": a, "b": b}, "add", flag=False)
    assert f.traces == 5
    f({"a": b, "b": a}, "add")
    assert f.traces == 5


def test_jit_inside_jit_and_in_a_gradient(training_engine):
    w = nyala.Variable(numbers(3))
    calls = nyala.Variable(0)

    @nyala.jit
    def inner(x):
        calls.assign_add(1)
        return ops.sum(w * x)

    @nyala.jit
    def outer(x):
        return inner(x) * 2, nyala.grad(lambda: inner(x), [w])()

    x = numbers(3, seed=1)
    result, (gradient,) = outer(x)
    assert float(result) == pytest.approx(2 * float(w.numpy() @ x), rel=1e-4)
    np.testing.assert_allclose(value(gradient), x, rtol=1e-6)
    assert int(calls) == 2


def test_errors_in_a_compiled_function_change_nothing(each_engine):
    v = nyala.Variable(1.0)

    @nyala.jit
    def fail(x):
        v.assign_add(1.0)
        raise KeyError("mine")

    if current().compiles:
        with pytest.raises(KeyError, match="mine"):
            fail(1.0)
        assert float(v) == 1


@pytest.mark.parametrize(
    "combine", [lambda x, v: x * v, lambda x, v: v * x, lambda x, v: x - v, lambda x, v: x > v, lambda x, v: x @ v, lambda x, v: ops.add(x, v)]
)
def test_a_variable_beside_a_tensor_is_read(combine, each_engine):
    """Python asks the tensor first: it must leave the operator to the variable."""
    variable = nyala.Variable(numbers(3, 3))
    reads, _, result = discover(lambda x: combine(x, variable), Spec((3, 3), "float32"))
    assert reads == [variable]
    assert result.shape == (3, 3)
    x = numbers(3, 3, seed=1)
    want = value(combine(ops.convert_to_tensor(x), ops.convert_to_tensor(variable.numpy())))
    np.testing.assert_allclose(value(combine(ops.convert_to_tensor(x), variable)), want, rtol=1e-6)


def test_discover_and_program(training_engine):
    read, written = nyala.Variable(numbers(3)), nyala.Variable(0.0)

    def step(x):
        written.assign_add(ops.sum(read * x))
        return {"double": x * 2}

    reads, touched, result = discover(step, Spec((3,), "float32"))
    assert (set(map(id, reads)), list(map(id, touched))) == ({id(read), id(written)}, [id(written)])
    assert (result["double"].shape, result["double"].dtype) == ((3,), "float32")
    assert float(written) == 0
    if current().compiles:
        program = Program(current(), step, [Spec((3,), "float32")])
        x = ops.convert_to_tensor(numbers(3, seed=1))
        for i in range(1, 4):
            program(x)
            assert float(written) == pytest.approx(i * float(read.numpy() @ numbers(3, seed=1)), rel=1e-4)
        assert program.traces == 1


def test_variables_that_only_the_real_trace_sees(training_engine):
    """Code that takes another way on shapes than on values."""
    first, second = nyala.Variable(1.0), nyala.Variable(10.0)

    @nyala.jit
    def step(x):
        if current().abstract:
            first.assign_add(0.0)
        else:
            second.assign_add(ops.sum(x))
        return first.value + second.value

    for i in range(1, 4):
        assert float(step(np.full(2, 0.5, "float32"))) == 11 + i
    assert float(second) == 13


def test_repeat(each_engine):
    total = nyala.Variable(0.0)

    def run(start, count):
        def one(i):
            total.assign_add(ops.cast(i, "float32"))
            return {"i": i * 2}

        return repeat(one, start, count)

    result = nyala.jit(run)(3, 4) if current().compiles else run(3, 4)
    assert (float(total), int(result["i"])) == (3 + 4 + 5 + 6, 12)


def test_value_and_grad(training_engine):
    w, b, unused = nyala.Variable(numbers(3, 2)), nyala.Variable(numbers(2, seed=1)), nyala.Variable([1.0])
    count = nyala.Variable(0)
    x, y = numbers(5, 3, seed=2), numbers(5, 2, seed=3)

    def loss(scale, power=2):
        count.assign_add(1)
        error = ops.subtract(ops.matmul(x, w) + b, y)
        return scale * ops.mean(error**power), {"error": error}

    call = nyala.value_and_grad(loss, [w, b, unused])
    (got, aux), gradients = call(3.0, power=2)
    error = x @ w.numpy() + b.numpy() - y
    assert float(got) == pytest.approx(3 * np.mean(error**2), rel=1e-5)
    np.testing.assert_allclose(value(aux["error"]), error, rtol=1e-4, atol=1e-5)
    for gradient, want in zip(gradients, (3 * 2 * x.T @ error / 10, 3 * 2 * error.sum(0) / 10, [0.0]), strict=True):
        np.testing.assert_allclose(value(gradient), want, rtol=1e-4, atol=1e-6)
    assert int(count) == 1
    assert call.unused == [unused]
    only, (gradient,) = nyala.value_and_grad(lambda: ops.sum(w * w), [w], has_aux=False)()
    np.testing.assert_allclose(value(gradient), 2 * w.numpy(), rtol=1e-6)
    assert float(only) == pytest.approx(float((w.numpy() ** 2).sum()), rel=1e-5)
    np.testing.assert_array_equal(value(nyala.grad(lambda k: ops.sum(w * k), [w])(4.0)[0]), np.full((3, 2), 4.0))


def test_gradients_of_gradients(training_engine):
    w = nyala.Variable(numbers(3))

    def inner():
        return ops.sum(nyala.grad(lambda: ops.sum(w**3), [w])()[0] ** 2)

    (gradient,) = nyala.grad(inner, [w])()
    np.testing.assert_allclose(value(gradient), 36 * w.numpy() ** 3, rtol=1e-4)


def test_remat(training_engine):
    """The same value, gradient, state and randomness, although the function runs again for the gradient."""
    w, count = nyala.Variable(numbers(3)), nyala.Variable(0)
    generator = nyala.random.SeedGenerator(3)
    runs = []

    def f(x, scale=1.0):
        runs.append(1)
        count.assign_add(1)
        return ops.sum(ops.sin(w * nyala.random.dropout(x, 0.5, seed=generator))) * scale

    start, x = generator.state.numpy(), numbers(3, seed=1)
    plain, (want,) = nyala.value_and_grad(lambda: f(x, scale=2.0), [w], has_aux=False)()
    generator.state.assign(start)
    runs.clear()
    got, (gradient,) = nyala.value_and_grad(lambda: nyala.remat(f)(x, scale=2.0), [w], has_aux=False)()
    assert float(got) == pytest.approx(float(plain), rel=1e-6)
    np.testing.assert_allclose(value(gradient), value(want), rtol=1e-6)
    assert np.count_nonzero(value(want)) > 0
    assert (int(count), generator.state.numpy()[1]) == (2, start[1] + 1)
    assert len(runs) >= 2
    generator.state.assign(start)
    assert float(nyala.remat(f)(x, scale=2.0)) == pytest.approx(float(plain), rel=1e-6)
    assert int(count) == 3


def test_jit_with_and_without_parentheses():
    assert isinstance(nyala.jit(lambda: 0), Compiled)
    assert isinstance(nyala.jit()(lambda: 0), Compiled)


@pytest.mark.parametrize(
    ("calls", "blame"),
    [
        ([((np.zeros((2, n), "float32"),), {"scale": 2.0}) for n in (3, 5, 7, 11)], "its argument x has axis 1 of size 3, 5, 7, 11"),
        ([((np.zeros(3, "float32"),), {"mode": mode}) for mode in "abcd"], "its argument mode is 'a', 'b', 'c', 'd', and a constant of the program"),
        ([(({"a": np.zeros((2,) * n, "float32")},), {}) for n in (1, 2, 3, 4)], "its argument x['a'] has rank 1, 2, 3, 4"),
    ],
)
def test_a_function_that_is_compiled_again_and_again_says_why_once(calls, blame):
    @nyala.jit
    def double(x, scale=2.0, mode="a"):
        return nyala.tree.map_structure(lambda leaf: leaf * scale, x)

    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        for args, kwargs in [*calls, *calls]:
            double(*args, **kwargs)
        double(np.zeros((13, 13), "float32"))
    texts = [str(warning.message) for warning in found]
    assert texts == [
        f"nyala.jit(double) was compiled 4 times: {blame}. A compiled program has fixed shapes, and each new one takes time; "
        "pad to a few shapes, or pass numbers that change as tensors"
    ]


def test_an_error_of_nyala_is_told_where_code_needs_the_engine():
    """Such code fails on shapes alone first; that error would hide what is wrong."""
    jnp = pytest.importorskip("jax.numpy")

    @nyala.jit
    def function(x):
        return nyala.ops.reshape(jnp.sin(x), (7, 7))

    with nyala.backend("jax"), pytest.raises(ShapeError, match="7"):
        function(np.ones((3, 2), "float32"))

    @nyala.jit
    def wrong(x):
        return jnp.sin(x).no_such_attribute

    with nyala.backend("jax"), pytest.raises((TypeError, AttributeError)):
        wrong(np.ones((3, 2), "float32"))
