# SPDX-License-Identifier: Apache-2.0
"""What is special to the PyTensor engine: graphs that run on NumPy, its gradients, loops in graphs, narrow floats, linkers, its other name."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import nyala
from nyala import layers
from nyala.engines import get_engine

pytensor = pytest.importorskip("pytensor")


@pytest.fixture(autouse=True)
def engine():
    with nyala.backend("pytensor"):
        yield get_engine("pytensor")


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def program(code, **environment):
    """What a process prints, and what it complains about."""
    kept = {key: value for key, value in os.environ.items() if key not in ("NYALA_BACKEND", "KERAS_BACKEND", "NYALA_PYTENSOR_LINKER")}
    run = subprocess.run([sys.executable, "-c", code], env={**kept, **environment}, capture_output=True, text=True, check=False)
    return run.stdout.split(), run.stderr


# Graphs ------------------------------------------------------------------------------------------------------------------------------


def lines_of(engine, function, *arrays):
    """How many operations the function becomes."""
    from nyala.engines import _pytensor_program

    sources = []
    original = _pytensor_program.source
    _pytensor_program.source = lambda *args: sources.append(original(*args)) or sources[-1]
    try:
        engine.compile(function)(*map(engine.asarray, arrays))
    finally:
        _pytensor_program.source = original
    return [line for line in sources[0].splitlines() if " = " in line]


def test_equal_operations_are_one_and_unused_ones_none(engine):
    def function(x):
        engine.exp(x)
        return engine.multiply(engine.tanh(x), engine.tanh(x))

    assert len(lines_of(engine, function, numbers(3))) == 2


def test_what_depends_on_constants_alone_is_computed_ahead(engine):
    def function(x):
        return engine.add(x, engine.reshape(engine.cast(engine.value_and_grad(lambda v: (v[0], v[0]))([x])[1][0], "float32"), ()))

    assert len(lines_of(engine, function, np.float32(2.0))) == 1  # the gradient is 1


def test_values_are_given_back_early(engine):
    def function(x):
        for _ in range(3):
            x = engine.sin(x)
        return x

    from nyala.engines._pytensor_program import _Lines, source
    from nyala.engines._pytensor_values import type_of

    variable = type_of((3,), "float32")()
    lines, x = _Lines([variable]), variable
    for _ in range(3):
        x = pytensor.tensor.sin(x)
    for node in pytensor.graph.traversal.io_toposort([variable], [x]):
        lines.add(node)
    assert source([line[:3] for line in lines.lines], 1, [lines.name_of(x)]).count("del ") == 2


def test_a_value_of_another_trace_is_refused(engine):
    kept = []
    engine.eval_shape(lambda x: kept.append(engine.exp(x)) or x, engine.asarray(numbers(3)))
    with pytest.raises(ValueError, match=r"a compiled function needs known values, got .*, which belongs to another one"):
        engine.compile(lambda x: engine.add(x, kept[0]))(engine.asarray(numbers(3)))


def test_compiled_functions_run_in_several_threads(engine):
    function, results = engine.compile(lambda x: engine.sum(engine.multiply(x, 2.0), (0,), False)), {}

    def work(n):
        results[n] = [float(function(np.full(5, n + i, "float32"))) for i in range(50)]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {n: [10.0 * (n + i) for i in range(50)] for n in range(4)}


# Traced tensors ----------------------------------------------------------------------------------------------------------------------


def test_operators_and_functions_of_pytensor_take_traced_tensors(engine):
    x, seen = numbers(3, 4), []

    def function(x):
        seen.append((x.shape, x.ndim, x.size, x.dtype, len(x)))
        y = 2 * x - 1 + x / 4 + (x > 0) * x
        return engine.asarray(pytensor.tensor.tanh(y @ y.T)), -(y[1:, ::2] ** 2), engine.asarray([row[0] for row in x])

    product, part, column = (engine.to_numpy(y) for y in engine.compile(function)(engine.asarray(x)))
    y = 2 * x - 1 + x / 4 + (x > 0) * x
    assert seen == [((3, 4), 2, 12, "float32", 3)]
    np.testing.assert_allclose(product, np.tanh(y @ y.T), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(part, -(y[1:, ::2] ** 2), rtol=1e-5)
    np.testing.assert_array_equal(column, x[:, 0])


@pytest.mark.parametrize("ask", [bool, int, float, np.asarray, lambda x: 1 if x > 0 else 2])
def test_values_are_asked_for_inside_a_graph(engine, ask):
    with pytest.raises(TypeError, match="needs no values, got a question for those of a traced tensor of shape \\(\\)"):
        engine.compile(ask)(engine.asarray(np.float32(1)))


def test_values_and_their_number_are_asked_for_inside_a_graph(engine):
    with pytest.raises(TypeError, match=r"to_numpy needs known values, got a traced tensor of shape \(2,\)\."):
        engine.compile(engine.to_numpy)(engine.asarray(np.float32([1, 2])))
    with pytest.raises(TypeError, match=r"nonzero needs known values, got a traced tensor of shape \(2,\)\."):
        engine.compile(engine.nonzero)(engine.asarray(np.float32([1, 2])))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow_floats_are_rounded_after_each_primitive(engine, dtype):
    x, y = (engine.asarray(numbers(5, 7, seed=seed), dtype) for seed in (0, 1))

    def function(x, y):
        return engine.add(engine.multiply(x, y), x), engine.sum(x, (1,), False), engine.dtype(engine.exp(x))

    eager, compiled = function(x, y), engine.compile(lambda x, y: function(x, y)[:2])(x, y)
    for a, b in zip(eager[:2], compiled, strict=True):
        assert engine.dtype(a) == engine.dtype(b) == dtype == eager[2]
        np.testing.assert_array_equal(a.astype("float32"), b.astype("float32"))


# Gradients ---------------------------------------------------------------------------------------------------------------------------


def test_gradients_through_loops_in_loops_and_what_is_around_them(engine):
    x, w = numbers(4, 3), numbers(3, 3, seed=1)

    def loss(values):
        x, w = values

        def outer(carry, rows):
            def inner(carry, _):
                return (engine.tanh(engine.add(engine.multiply(carry[0], 0.5), engine.sum(engine.multiply(w, rows[0]), (1,), False))),), ()

            (last,), _ = engine.scan(inner, carry, (), 2, False, 1)
            return (last,), (engine.multiply(last, rows[0]),)

        (last,), ys = engine.scan(outer, (engine.full((3,), 0.25, "float32"),), (x,), 4, True, 1)
        return engine.add(engine.sum(last, (0,), False), engine.sum(ys[0], (0, 1), False)), ()

    def value(x, w):
        carry, total = np.full(3, 0.25), 0.0
        for row in x[::-1]:
            for _ in range(2):
                carry = np.tanh(carry * 0.5 + (w * row).sum(1))
            total += (carry * row).sum()
        return carry.sum() + total

    (found, _), gradients = engine.compile(engine.value_and_grad(loss))([engine.asarray(x), engine.asarray(w)])
    np.testing.assert_allclose(found, value(x.astype(float), w.astype(float)), rtol=1e-5)
    for i, gradient in enumerate(gradients):
        for place in np.ndindex(gradient.shape):
            sides = []
            for step in (1e-6, -1e-6):
                moved = [x.astype(float), w.astype(float)]
                moved[i][place] += step
                sides.append(value(*moved))
            np.testing.assert_allclose(gradient[place], (sides[0] - sides[1]) / 2e-6, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("choice", [True, False])
def test_gradients_through_a_choice_are_those_of_its_side(engine, choice):
    x, w = numbers(3), numbers(3, seed=1)

    def loss(values):
        x, w = values
        chosen = engine.greater(engine.sum(x, (0,), False), -100.0 if choice else 100.0)
        (y,) = engine.cond(chosen, lambda x: (engine.multiply(x, w),), lambda x: (engine.exp(x),), (x,))
        return engine.sum(y, (0,), False), ()

    _, (of_x, of_w) = engine.compile(engine.value_and_grad(loss))([engine.asarray(x), engine.asarray(w)])
    np.testing.assert_allclose(of_x, w if choice else np.exp(x), rtol=1e-5)
    np.testing.assert_allclose(of_w, x if choice else 0 * x, rtol=1e-5)


def test_what_has_no_gradient_says_so_and_gives_no_zeros(engine):
    x = engine.asarray(numbers(3, 3))

    def through(function):
        return lambda: engine.value_and_grad(lambda v: (engine.sum(function(v[0]), (0, 1), False), ()))([x])

    with pytest.raises(NotImplementedError, match="value_and_grad needs a loop of known length, got a while_loop"):
        through(
            lambda x: engine.while_loop(lambda i, _: engine.less(i, 3), lambda i, x: (engine.add(i, 1), x), (engine.full((), 0, "int32"), x))[1]
        )()
    with pytest.raises(NotImplementedError, match="needs a gradient of 'scatter multiply', which the engine 'pytensor' has not"):
        through(lambda x: engine.scatter(x, engine.full((1, 1), 0, "int32"), engine.full((1, 3), 2.0, "float32"), "multiply"))()


@pytest.mark.parametrize("name", ["cumprod", "max", "max_pool", "lu", "segment_max", "scatter_min"])
def test_gradients_at_zeros_ties_and_pivots(engine, name):
    """Against JAX."""
    x = np.array([[0, 2, 2, 1], [3, 0, 0, 1], [1, 1, 5, 0.5], [2, 0, 1, 7]], "float32")
    calls = {
        "cumprod": lambda e, x: e.cumprod(x, 1),
        "max": lambda e, x: e.max(x, (1,), False),
        "max_pool": lambda e, x: e.max_pool(e.reshape(x, (1, 4, 4, 1)), (2, 2), (2, 2), ((0, 0), (0, 0))),
        "lu": lambda e, x: e.lu(x)[0],
        "segment_max": lambda e, x: nyala.ops.segment_max(x, np.int32([1, 0, 1, 1]), 2),
        "scatter_min": lambda e, x: e.scatter(x[:2], e.asarray(np.int32([[0], [1], [0]])), e.subtract(x[1:], 0.75), "min"),
    }

    def gradient(e):
        def loss(values):
            y = calls[name](e, values[0])
            weights = e.asarray(numbers(*e.shape(y), seed=2), "float32")
            return e.sum(e.multiply(y, weights), tuple(range(len(e.shape(y)))), False), ()

        return e.to_numpy(e.value_and_grad(loss)([e.asarray(x)])[1][0])

    own = gradient(engine)
    with nyala.backend("jax"):
        np.testing.assert_allclose(own, gradient(get_engine("jax")), rtol=1e-4, atol=1e-5)


# Models ------------------------------------------------------------------------------------------------------------------------------


def test_a_model_with_dropout_in_mixed_precision_is_trained_and_moves_to_another_engine():
    x = numbers(32, 6)
    parts = [layers.Dense(8, activation="relu"), layers.Dropout(0.2), layers.Dense(1, dtype="float32")]
    for layer in parts[:1]:
        layer.dtype_policy = nyala.DTypePolicy("mixed_bfloat16")
    model = nyala.Sequential(parts)
    model.compile(nyala.optimizers.Adam(0.02), "mse")
    losses = model.fit(x, x[:, :1], epochs=6, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]
    here = model.predict(x, verbose=0)
    with nyala.backend("numpy"):
        np.testing.assert_allclose(model.predict(x, verbose=0), here, rtol=1e-2, atol=1e-2)


# Settings ----------------------------------------------------------------------------------------------------------------------------


def test_theano_is_another_name_with_a_note():
    code = "import nyala; print(nyala.backend.backend(), float(nyala.ops.exp(0.0))); nyala.set_backend('theano')"
    out, complaints = program(code, NYALA_BACKEND="theano")
    assert out == ["pytensor", "1.0"]
    assert complaints.count("the engine 'theano' is PyTensor, which carries Theano on; its name here is 'pytensor'") == 1


def test_a_wrong_linker_is_named():
    _, complaints = program("import nyala; nyala.ops.exp(0.0)", NYALA_BACKEND="pytensor", NYALA_PYTENSOR_LINKER="fortran")
    assert "NYALA_PYTENSOR_LINKER needs one of c, numpy, cvm, numba, jax, got 'fortran'." in complaints


def test_importing_nyala_imports_no_pytensor():
    out, _ = program("import sys, nyala; nyala.layers.Dense(2); print('pytensor' in sys.modules)")
    assert out == ["False"]


def test_a_missing_library_is_named(monkeypatch):
    from nyala import engines

    monkeypatch.setitem(sys.modules, "pytensor", None)
    for module in [name for name in sys.modules if name.startswith("nyala.engines") and "pytensor" in name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delitem(engines._loaded, "pytensor")
    with pytest.raises(ImportError, match=r"pip install 'nyala\[pytensor\]'"):
        engines.get_engine("pytensor")


SMALLEST = """
import sys, numpy as np, nyala
nyala.utils.set_random_seed(3)
model = nyala.Sequential([nyala.Input((3,)), nyala.layers.Dense(2, "softmax")])
model.compile("sgd", "mse")
x = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
print(*(float(model.train_on_batch(x, x[:, :2])) for _ in range(4)), "pytensor.link.numba.dispatch" in sys.modules)
"""
LOOPS = """
import sys, numpy as np, nyala
nyala.utils.set_random_seed(3)
model = nyala.Sequential([nyala.layers.SimpleRNN(3), nyala.layers.Dropout(0.2), nyala.layers.Dense(1)])
model.compile("sgd", "mse")
x = np.random.default_rng(0).normal(size=(12, 4, 2)).astype("float32")
print(*model.fit(x, x[:, 0, :1], epochs=2, batch_size=4, verbose=0).history["loss"], "pytensor.link.numba.dispatch" in sys.modules)
"""


@pytest.mark.parametrize(("chosen", "code"), [("cvm", SMALLEST), ("numba", SMALLEST), ("jax", LOOPS)], ids=["cvm", "numba", "jax"])
def test_a_model_is_trained_by_the_linker_that_was_chosen_and_by_no_other(chosen, code, tmp_path):
    """From nothing: each compiles into a folder of its own."""
    if chosen == "cvm" and not pytensor.config.cxx:
        pytest.skip("there is no C++ compiler")
    if chosen == "numba":
        pytest.importorskip("numba")
    settings = {"NYALA_BACKEND": "pytensor", "PYTENSOR_FLAGS": f"base_compiledir={tmp_path}"}
    (expected, _), (out, complaints) = (program(code, NYALA_PYTENSOR_LINKER=linker, **settings) for linker in ("numpy", chosen))
    assert out[-1:] == [str(chosen == "numba")], complaints
    losses = np.float64(out[:-1])
    assert losses[-1] < losses[0]
    np.testing.assert_allclose(losses, np.float64(expected[:-1]), rtol=1e-5)


@pytest.mark.parametrize(
    ("chosen", "hidden", "said"),
    [
        ("c", "import pytensor; pytensor.config.cxx = ''", "needs a C++ compiler, and finds none.\n  fix: install g++ or clang++, or name one"),
        ("cvm", "import pytensor; pytensor.config.cxx = ''", "needs a C++ compiler, and finds none.\n  fix: install g++ or clang++, or name one"),
        ("numba", "import sys; sys.modules['numba'] = None", "needs the package 'numba', and finds none.\n  fix: pip install numba; or leave"),
    ],
)
def test_what_a_linker_needs_and_does_not_find_is_named(chosen, hidden, said):
    _, complaints = program(f"{hidden}\nimport nyala; nyala.ops.exp(0.0)", NYALA_BACKEND="pytensor", NYALA_PYTENSOR_LINKER=chosen)
    assert f"ImportError: NYALA_PYTENSOR_LINKER={chosen} {said}" in complaints


def test_a_linker_that_takes_long_is_named_once(capsys, monkeypatch):
    from nyala.engines import _pytensor_program

    monkeypatch.setattr(_pytensor_program, "linker", lambda: "numba")
    monkeypatch.setattr(_pytensor_program, "_noted", False)
    for seconds in (9.0, 17.0, 40.0):
        _pytensor_program._note(seconds)
    said = capsys.readouterr().err
    assert said.startswith("note: PyTensor's linker 'numba' took 17 s to compile a function; NYALA_PYTENSOR_LINKER=numpy compiles nothing")
    assert said.count("note:") == 1
