# SPDX-License-Identifier: Apache-2.0
"""What is special to the TensorFlow engine: XLA and what it cannot compile, nan, indices, its own functions in models, switching."""

import os
import subprocess
import sys

import numpy as np
import pytest

import nyala
from nyala import layers
from nyala.core.errors import StateError
from nyala.engines import get_engine

tf = pytest.importorskip("tensorflow")


@pytest.fixture(autouse=True)
def engine():
    with nyala.backend("tensorflow"):
        yield get_engine("tensorflow")


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def test_nan_passes_through_maxima_that_xla_compiles(engine):
    x = engine.asarray(np.float32([[1, np.nan, 2], [np.nan, 5, 7]]))
    both = engine.compile(lambda x: (engine.max(x, (1,), False), engine.maximum(x, 3.0), engine.min(x, (0,), False)))
    largest, larger, smallest = (engine.to_numpy(y) for y in both(x))
    assert np.isnan(largest).all()
    np.testing.assert_array_equal(larger, [[3, np.nan, 3], [np.nan, 5, 7]])
    np.testing.assert_array_equal(smallest, [np.nan, np.nan, 2])


def test_what_xla_cannot_compile_becomes_a_plain_graph(engine):
    traces = []

    def function(x):
        traces.append(tuple(x.shape))
        values, _ = engine.eig(x)
        return engine.real(engine.sum(values, (0,), False))

    compiled = engine.compile(function)
    for size in (3, 3, 2):
        x = numbers(size, size)
        np.testing.assert_allclose(engine.to_numpy(compiled(engine.asarray(x))), np.trace(x), rtol=1e-4, atol=1e-4)
    assert traces == [(3, 3), (3, 3), (2, 2)]  # once for XLA, once without; then without at once


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="about CPUs")
def test_gradients_of_convolutions_are_left_to_the_kernels_for_cpus(engine):
    x, kernel = engine.asarray(numbers(2, 5, 5, 3)), engine.asarray(numbers(3, 3, 3, 4, seed=1))

    def loss(values):
        y = engine.conv(values[0], values[1], (1, 1), ((1, 1), (1, 1)), (1, 1), 1)
        return engine.sum(engine.multiply(y, y), (0, 1, 2, 3), False), ()

    forward, both = engine.compile(lambda x, kernel: loss([x, kernel])[0]), engine.compile(lambda *values: engine.value_and_grad(loss)(values))
    (value, _), gradients = both(x, kernel)
    np.testing.assert_allclose(value, forward(x, kernel), rtol=1e-5)
    for own, eager in zip(gradients, engine.value_and_grad(loss)([x, kernel])[1], strict=True):
        np.testing.assert_allclose(own, eager, rtol=1e-4, atol=1e-4)
    assert [graph.xla for function in (forward, both) for graph in function.graphs.values()] == [True, False]


def test_an_index_out_of_range(engine):
    x = engine.asarray(np.float32([1.5, 2.5]))
    far = engine.asarray(np.int32([-1, 2]))
    with pytest.raises(IndexError, match=r"indices\[1\] = 2 is not in \[0, 2\)"):
        engine.take(x, far, 0)
    np.testing.assert_array_equal(engine.to_numpy(engine.compile(lambda x, i: engine.take(x, i, 0))(x, far)), [2.5, np.nan])

    def plain(x, i):
        engine.eig(engine.reshape(engine.concatenate([x, x], 0), (2, 2)))
        return engine.take(x, i, 0), engine.eig(engine.reshape(engine.concatenate([x, x], 0), (2, 2)))[0]

    with pytest.raises(IndexError, match="is not in"):
        engine.compile(plain)(x, far)


def test_values_are_asked_for_inside_a_graph(engine):
    with pytest.raises(TypeError, match=r"to_numpy needs known values, got a traced tensor of shape \(2,\)\."):
        engine.compile(engine.to_numpy)(engine.asarray(np.float32([1, 2])))
    with pytest.raises(TypeError, match=r"nonzero needs known values, got a traced tensor of shape \(2,\)\."):
        engine.compile(engine.nonzero)(engine.asarray(np.float32([1, 2])))
    with pytest.raises(OverflowError, match="asarray needs integers that int8 holds, got 300 to 300"):
        engine.asarray(300, "int8")


def test_sort_puts_nan_last_and_keeps_the_order_of_equals(engine):
    x = np.float32([0.0, np.nan, -0.0, np.inf, -np.inf, -np.nan, 0.0])
    for run in (lambda f: f, engine.compile):
        np.testing.assert_array_equal(engine.to_numpy(run(lambda x: engine.argsort(x, 0))(engine.asarray(x))), [4, 0, 2, 6, 3, 1, 5])
        np.testing.assert_array_equal(engine.to_numpy(run(lambda x: engine.argmax(x, 0))(engine.asarray(x))), 1)


@pytest.mark.parametrize("shape", [(2, 4, 4), (5, 3), (3, 5), (0, 3, 3)])
def test_lu_of_singular_and_oblong_matrices(engine, shape):
    x = numbers(*shape)
    x[..., 1] = 2 * x[..., 0]
    packed, pivots = (engine.to_numpy(part) for part in engine.compile(engine.lu)(engine.asarray(x)))
    count = min(shape[-2:])
    lower, upper = np.tril(packed[..., :count], -1) + np.eye(shape[-2], count), np.triu(packed[..., :count, :])
    product = lower @ upper
    for batch in np.ndindex(shape[:-2]):
        for row in reversed(range(count)):
            product[(*batch, [row, pivots[batch][row]])] = product[(*batch, [pivots[batch][row], row])]
    np.testing.assert_allclose(product, x, rtol=1e-4, atol=1e-5)


def test_grouped_and_dilated_convolutions_outside_of_compiled_code(engine):
    """Kernels for CPUs have no gradients for them: XLA compiles these alone."""
    x, kernel = numbers(2, 7, 6, 4), numbers(3, 2, 2, 6, seed=1)
    settings = ((1, 1), ((1, 1), (0, 1)), (2, 1), 2)

    def loss(values):
        y = engine.conv(*values, *settings)
        return engine.sum(engine.multiply(y, y), (0, 1, 2, 3), False), ()

    eager = engine.value_and_grad(loss)([engine.asarray(x), engine.asarray(kernel)])
    compiled = engine.compile(engine.value_and_grad(loss))([engine.asarray(x), engine.asarray(kernel)])
    for a, b in zip(eager[1], compiled[1], strict=True):
        np.testing.assert_allclose(engine.to_numpy(a), engine.to_numpy(b), rtol=1e-4, atol=1e-3)


def test_uneven_dilations_of_three_axes(engine):
    """TensorFlow's inference of shapes takes them for those of other axes."""
    x, kernel, reference = numbers(2, 5, 4, 7, 4), numbers(3, 2, 2, 2, 6, seed=1), get_engine("numpy")
    settings = ((1, 1, 1), ((1, 0), (0, 0), (1, 1)), (2, 1, 3), 2)
    y = reference.conv(x, kernel, *settings)
    calls = {
        "conv": (x, kernel),
        "conv_input_gradient": (y, kernel, x.shape),
        "conv_kernel_gradient": (x, y, kernel.shape),
    }
    for name, (a, b, *shape) in calls.items():
        want = getattr(reference, name)(a, b, *shape, *settings)
        got = engine.compile(lambda a, b, name=name, shape=shape: getattr(engine, name)(a, b, *shape, *settings))(
            engine.asarray(a), engine.asarray(b)
        )
        np.testing.assert_allclose(engine.to_numpy(got), want, rtol=1e-4, atol=1e-3)


FUNCTIONS = [
    tf.nn.tanh,
    lambda x: tf.concat([x, -1 * x], axis=-1),
    lambda x: tf.reshape(x, (-1, 2)),
    lambda x: tf.reduce_sum(x, axis=1, keepdims=True),
    tf.convert_to_tensor,
    tf.signal.dct,
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_of_tensorflow_in_a_functional_model(function):
    inputs, x = nyala.Input((4,)), numbers(6, 4)
    outputs = function(inputs * 2)
    model = nyala.Model(inputs, outputs)
    want = function(tf.constant(2 * x)).numpy()
    assert outputs.shape == (None, *want.shape[1:]) and outputs.dtype == "float32"
    np.testing.assert_allclose(model.predict(x, verbose=0), want, rtol=1e-5, atol=1e-6)


def test_functions_of_tensorflow_are_trained_through():
    inputs = nyala.Input((3,))
    model = nyala.Model(inputs, tf.reduce_sum(tf.nn.tanh(layers.Dense(4)(inputs)), axis=-1, keepdims=True))
    model.compile(nyala.optimizers.Adam(0.05), "mse")
    losses = model.fit(numbers(32, 3), numbers(32, 1, seed=1), epochs=8, verbose=0).history["loss"]
    assert losses[-1] < 0.9 * losses[0]


def test_functions_of_tensorflow_need_this_engine():
    with nyala.backend("numpy"), pytest.raises(StateError) as error:
        tf.nn.relu(nyala.Input((3,)))
    assert str(error.value) == (
        "TensorFlow's relu on a symbolic tensor needs the engine 'tensorflow', which runs it, got the engine 'numpy'.\n"
        "  fix: use nyala.ops.relu if there is one, or call nyala.set_backend('tensorflow') first"
    )


def test_a_variable_in_functions_of_tensorflow_has_a_gradient(engine):
    variable, x = nyala.Variable(numbers(3, 2)), numbers(4, 3, seed=1)
    both = nyala.value_and_grad(lambda: tf.reduce_sum(tf.matmul(x, variable) + 1.0), [variable], has_aux=False)
    _, (gradient,) = both()
    np.testing.assert_allclose(engine.to_numpy(gradient), np.tile(x.sum(0)[:, None], (1, 2)), rtol=1e-5)


def test_batches_of_tensorflow_are_taken_as_they_are():
    x, y = numbers(24, 3), numbers(24, 1, seed=1)
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)

    def history(*given):
        nyala.utils.set_random_seed(1)
        model = nyala.Sequential([layers.Dense(1)])
        model.compile("sgd", "mse")
        return model.fit(*given, batch_size=None if len(given) == 1 else 8, shuffle=False, epochs=2, verbose=0).history["loss"]

    np.testing.assert_allclose(history(data), history(x, y), rtol=1e-5)


def program(code, **environment):
    """What a process prints."""
    kept = {key: value for key, value in os.environ.items() if key not in ("NYALA_BACKEND", "KERAS_BACKEND")}
    run = subprocess.run([sys.executable, "-c", code], env={**kept, **environment}, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


def test_xla_can_be_turned_off_and_its_flags_are_left_as_they_were():
    code = (
        "import os, nyala; from nyala.engines._tensorflow_tracing import use_xla\n"
        "total = nyala.jit(lambda x: nyala.ops.sum(x * 2))(nyala.ops.ones(3))\n"
        "print(float(total), use_xla(), os.environ.get('XLA_FLAGS'))"
    )
    assert program(code, NYALA_BACKEND="tensorflow", NYALA_TENSORFLOW_XLA="off")[:2] == ["6.0", "False"]
    assert program(code, NYALA_BACKEND="tensorflow", XLA_FLAGS="--xla_cpu_enable_fast_math=false") == [
        "6.0",
        "True",
        "--xla_cpu_enable_fast_math=false",
    ]


def test_models_move_between_engines_at_run_time():
    model, x = nyala.Sequential([layers.Dense(3, activation="tanh"), layers.BatchNormalization(), layers.Dense(1)]), numbers(16, 4)
    model.compile("adam", "mse")
    model.fit(x, x[:, :1], epochs=1, verbose=0)
    here = model.predict(x, verbose=0)
    with nyala.backend("numpy"):
        np.testing.assert_allclose(model.predict(x, verbose=0), here, rtol=1e-5, atol=1e-6)
    model.fit(x, x[:, :1], epochs=1, verbose=0)


def test_a_missing_library_is_named(monkeypatch):
    from nyala import engines

    monkeypatch.setitem(sys.modules, "tensorflow", None)
    for module in [name for name in sys.modules if name.startswith("nyala.engines") and "tensorflow" in name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delitem(engines._loaded, "tensorflow")
    with pytest.raises(ImportError) as error:
        engines.get_engine("tensorflow")
    assert str(error.value) == (
        "engine 'tensorflow' needs the package 'tensorflow', which is not installed here.\n"
        "  fix: pip install 'nyala[tensorflow]', or choose another engine"
    )
