# SPDX-License-Identifier: Apache-2.0
"""What is special to the JAX engine: its own lowerings, its transforms, its settings of the process.

The contract that all engines share is tested elsewhere. Start at the windows: each lowering against the plain one of jax.lax.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest

jax = pytest.importorskip("jax")
import jax.numpy as jnp  # noqa: E402
from jax import lax  # noqa: E402

from nyala.engines import PRIMITIVES, _jax_windows, get_engine  # noqa: E402
from nyala.engines.jax import EAGER_STEPS, TRIM_SECONDS, JaxEngine, _is_due, _trim  # noqa: E402

engine = get_engine("jax")


@pytest.fixture(autouse=True)
def _strict():
    """Nothing here may lean on JAX's own promotion, nor warn."""
    with jax.numpy_dtype_promotion("strict"), warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def random():
    return np.random.default_rng(7)


def tensor(random, *shape):
    return engine.asarray(random.normal(size=shape), "float32")


def run(code, **environment):
    """What a fresh process prints."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("NYALA_", "JAX_", "KERAS_"))}
    variables = {**variables, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), **environment}
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_every_primitive_is_answered():
    assert [name for name in PRIMITIVES if name not in vars(JaxEngine)] == []


# Tensors and the host -------------------------------------------------------------------------------------------------------------------


def test_asarray_owns_its_memory():
    for size in (1, 64, 4096):  # JAX keeps aligned memory of the host as it is
        source = np.arange(size, dtype="float32")
        copy = engine.asarray(source)
        source += 1
        np.testing.assert_array_equal(engine.to_numpy(copy), np.arange(size))


def test_asarray_returns_a_tensor_as_it_is():
    x = engine.asarray([1.5, 2.5])
    assert engine.asarray(x) is x and engine.asarray(x, "float32") is x
    assert engine.dtype(engine.asarray(x, "int32")) == "int32"


def test_asarray_forgets_weak_types():
    assert not engine.asarray(jnp.asarray(1.0)).weak_type and not engine.asarray(2).weak_type


def test_asarray_narrows_without_warnings():
    for value, name in [
        (np.array([2**40 + 3]), "int32"),
        (np.array([1e300]), "float32"),
        (3, "int32"),
        (2.5, "float32"),
        (1j, "complex64"),
        (True, "bool"),
    ]:
        assert engine.dtype(engine.asarray(value)) == name
    assert engine.to_numpy(engine.asarray([np.nan], "int32")).shape == (1,)
    assert float(engine.asarray(3 + 4j, "float32")) == 3
    assert int(engine.asarray(3_000_000_000, "uint32")) == 3_000_000_000
    assert engine.to_numpy(engine.asarray([1.5], "bfloat16")).dtype == jnp.bfloat16


def test_asarray_refuses():
    with pytest.raises(
        OverflowError, match=r"^asarray needs integers that int32 holds, got 5 to 1099511627776\.\n  fix: choose a wider dtype, or floats$"
    ):
        engine.asarray([2**40, 5])
    with pytest.raises(TypeError, match=r"^asarray needs numbers, got list with elements of dtype <U1\.\n  fix: turn them into numbers first$"):
        engine.asarray(["a"])


def test_asarray_takes_tracers_and_lists_of_them():
    compiled = engine.compile(lambda x: [engine.asarray(x), engine.asarray([x, 2.0]), engine.asarray(np.array([1, 2]))])
    same, pair, constant = compiled(engine.asarray(1.5))
    assert float(same) == 1.5 and pair.tolist() == [1.5, 2] and constant.tolist() == [1, 2] and engine.dtype(constant) == "int32"


def test_to_numpy_is_a_copy_that_may_be_written():
    x = engine.asarray([1.0, 2.0])
    host = engine.to_numpy(x)
    host[0] = 9
    assert host.flags.owndata and x.tolist() == [1, 2]


# Transforms -------------------------------------------------------------------------------------------------------------------------------


def test_compile_donates_and_never_warns():
    step = engine.compile(lambda state, x: ([s + x for s in state], x.sum().astype("int32")), donate=(0,))
    state = [engine.asarray([1.0, 2.0, 3.0])]
    after, _ = step(state, engine.asarray([1.0, 1.0, 1.0]))
    assert state[0].is_deleted() and after[0].tolist() == [2, 3, 4]
    assert int(engine.compile(lambda x: x.sum().astype("int32"), donate=(0,))(engine.asarray([3.0, 4.0]))) == 7  # cannot be reused


def test_eval_shape_runs_the_side_effects_each_time():
    seen = []

    class Leaf:
        shape, dtype = (2, 3), "bfloat16"

    def function(tree, y):
        seen.append(tree["a"].shape)
        return [engine.cast(tree["a"], "float32"), y]

    for _ in range(2):
        first, second = engine.eval_shape(function, {"a": Leaf()}, engine.asarray([1, 2]))
    assert seen == [(2, 3)] * 2 and engine.shape(first) == (2, 3)
    assert (engine.dtype(first), engine.dtype(second)) == ("float32", "int32")


def test_value_and_grad_nests_and_gives_zeros(random):
    def loss(values):
        x, _ = values
        (inner, _), (slope, _) = engine.value_and_grad(lambda vs: (engine.sum(vs[0] * vs[0] * vs[0], (0,), False), None))(values)
        return inner + engine.sum(slope * x, (0,), False), {"slope": slope}

    x, unused = tensor(random, 5), tensor(random, 2, 3)
    (value, aux), (gradient, zero) = engine.compile(engine.value_and_grad(loss))([x, unused])
    np.testing.assert_allclose(value, np.sum(4 * np.float64(x) ** 3), rtol=1e-5)
    np.testing.assert_allclose(aux["slope"], 3 * np.float64(x) ** 2, rtol=1e-5)
    np.testing.assert_allclose(gradient, 12 * np.float64(x) ** 2, rtol=1e-5)
    assert zero.shape == (2, 3) and not zero.any()


def test_remat_and_control_flow_trace_anew():
    """A function that reads what changed must not be answered from JAX's memory of it: traced values of another trace would leak."""
    reads = []

    def body(carry, x):
        return (carry[0] + reads[-1] * x[0],), ()

    def condition(x):
        return x < reads[-1]

    def step(x, which):
        reads.append(x)
        rows = engine.asarray([1.0, 2.0])
        if which == "scan":
            return engine.scan(body, (rows[0],), (rows,), 2, False, 1)[0][0]
        if which == "while":
            return engine.while_loop(condition, lambda y: (y + 1,), (rows[0],))[0]
        if which == "cond":
            return engine.cond(x > 0, lambda y: (y * reads[-1],), lambda y: (-y * reads[-1],), (rows[0],))[0]
        return engine.remat(read)(rows[0])

    def read(y):
        return y * reads[-1]

    for which, expected in [("scan", [10.0, 13.0]), ("while", [3.0, 4.0]), ("cond", [3.0, 4.0]), ("remat", [3.0, 4.0])]:
        answers = [float(engine.compile(lambda x, which=which: step(x, which))(engine.asarray(value))) for value in (3.0, 4.0)]
        assert answers == expected, which


class TestCustomGradient:
    """The rule says 5 where the truth is 2, so that it can be told apart."""

    @staticmethod
    def double(scale=None):
        def function(x, y):
            factor = 2.0 if scale is None else scale * 2.0
            return {"out": x * factor, "y": y}, lambda up: (up["out"] * 5.0 * y, up["y"] * factor * x)

        return engine.custom_gradient(function)

    def loss(self, values):
        x, y = values
        out = self.double()(x, y)
        return engine.sum(out["out"] + 3.0 * out["y"], (0,), False), None

    @pytest.mark.parametrize("compiled", [False, True])
    def test_rule(self, compiled, random):
        x, y = tensor(random, 5), tensor(random, 5)
        function = engine.value_and_grad(self.loss)
        (value, _), (dx, dy) = (engine.compile(function) if compiled else function)([x, y])
        np.testing.assert_allclose(value, np.sum(2 * x + 3 * y), rtol=1e-5)
        np.testing.assert_allclose(dx, 5 * y, rtol=1e-6)
        np.testing.assert_allclose(dy, 6 * x, rtol=1e-6)

    def test_inside_compiled_inside_gradient(self, random):
        x, y = tensor(random, 5), tensor(random, 5)
        inner = engine.compile(lambda x, y: self.double()(x, y)["out"])
        _, (dx, _) = engine.value_and_grad(lambda vs: (engine.sum(inner(*vs), (0,), False), None))([x, y])
        np.testing.assert_allclose(dx, 5 * y, rtol=1e-6)

    def test_closes_over_traced_values(self, random):
        x, y, scale = tensor(random, 5), tensor(random, 5), engine.asarray(3.0)

        def loss(values):
            x, y, scale = values
            return engine.sum(self.double(scale)(x, y)["out"], (0,), False), None

        for function in (engine.value_and_grad(loss), engine.compile(engine.value_and_grad(loss)), engine.value_and_grad(engine.compile(loss))):
            (value, _), (dx, _, dscale) = function([x, y, scale])
            np.testing.assert_allclose(value, np.sum(6 * x), rtol=1e-5)
            np.testing.assert_allclose(dx, 5 * y, rtol=1e-6)
            assert float(dscale) == 0

    def test_vmap(self, random):
        x, y, scales = tensor(random, 3, 5), tensor(random, 5), tensor(random, 3)

        def gradient(x, y, scale):
            return engine.value_and_grad(lambda vs: (engine.sum(self.double(scale)(*vs)["y"], (0,), False), None))([x, y])[1][1]

        np.testing.assert_allclose(engine.vmap(gradient, (0, None, 0))(x, y, scales), 2 * scales[:, None] * x, rtol=1e-6)

    def test_twice(self, random):
        x = tensor(random, 5)
        cube = engine.custom_gradient(lambda x: (x * x * x, lambda up: up * 7.0 * x * x))

        def slope(values):
            _, (dx,) = engine.value_and_grad(lambda vs: (engine.sum(cube(vs[0]), (0,), False), None))(values)
            return engine.sum(dx, (0,), False), None

        np.testing.assert_allclose(engine.value_and_grad(slope)([x])[1][0], 14 * x, rtol=1e-5)

    def test_inside_scan(self):
        cube = engine.custom_gradient(lambda x: (x * x, lambda up: (up * 7.0,)))
        loss = lambda vs: (engine.scan(lambda c, x: ((cube(c[0]) + x[0],), ()), (vs[0],), (engine.asarray([1.0, 2.0]),), 2, False, 1)[0][0], None)  # noqa: E731
        assert float(engine.value_and_grad(loss)([engine.asarray(3.0)])[1][0]) == 49

    def test_integers_have_no_gradient(self):
        pick = engine.custom_gradient(
            lambda x, i: ([x[i], i + 1], lambda up: (engine.full((3,), 2.0, "float32") * up[0] + engine.cast(up[1], "float32"), i))
        )
        (_, aux), (dx,) = engine.value_and_grad(lambda vs: tuple(pick(vs[0], jnp.int32(1))))([engine.asarray([1.0, 2.0, 3.0])])
        assert dx.tolist() == [2, 2, 2] and int(aux) == 2


# Control flow: the Python steps, the compiled loop, and the seam between them -------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, EAGER_STEPS - 1, EAGER_STEPS, EAGER_STEPS + 1, 2 * EAGER_STEPS])
def test_while_loop(count):
    loop = lambda n: engine.while_loop(lambda i, total: i < n, lambda i, total: (i + 1, total + i), (engine.asarray(0), engine.asarray(0)))  # noqa: E731
    for result in (loop(count), engine.compile(loop)(engine.asarray(count))):
        assert [int(x) for x in result] == [count, count * (count - 1) // 2]


@pytest.mark.parametrize("length", [0, 3, EAGER_STEPS + 1])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("unroll", [1, 2, True])
def test_scan(length, reverse, unroll, random):
    if length > 3 and unroll is True:
        pytest.skip("slow to compile")
    x = tensor(random, length, 2)
    carry, ys = np.zeros(2), np.zeros((length, 2))
    for i in reversed(range(length)) if reverse else range(length):
        carry = carry * 0.5 + np.float64(x[i])
        ys[i] = carry * 3

    def total(x):
        return engine.scan(
            lambda c, x: ((c[0] * 0.5 + x[0],), (c[0] * 1.5 + x[0] * 3.0,)), (engine.asarray([0.0, 0.0]),), (x,), length, reverse, unroll
        )

    for last, stacked in (total(x), engine.compile(total)(x)):
        assert len(last) == len(stacked) == 1
        np.testing.assert_allclose(last[0], carry, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(stacked[0], ys, rtol=1e-5, atol=1e-6)


def test_scan_without_xs():
    last, ys = engine.scan(lambda c, x: ((c[0] + 1,), (c[0],)), (engine.asarray(0),), (), 3, False, 1)
    assert int(last[0]) == 3 and ys[0].tolist() == [0, 1, 2]


def test_cond():
    choose = lambda p: engine.cond(p, lambda x: (x + 1,), lambda x: [x - 1], (engine.asarray(5.0),))  # noqa: E731
    for predicate, answer in [(True, 6), (False, 4)]:
        for result in (choose(engine.asarray(predicate)), engine.compile(choose)(engine.asarray(predicate))):
            assert isinstance(result, tuple) and float(result[0]) == answer


# Primitives --------------------------------------------------------------------------------------------------------------------------------


def threefry(key, count):
    """Threefry-2x32 with 20 rounds of the counters 0..count - 1, in NumPy."""
    with np.errstate(over="ignore"):
        n = np.arange(count, dtype=np.uint64)
        keys = [key[0], key[1], key[0] ^ key[1] ^ np.uint32(0x1BD11BDA)]
        a, b = (n >> np.uint64(32)).astype(np.uint32) + keys[0], n.astype(np.uint32) + keys[1]
        for block in range(5):
            for turn in ((13, 15, 26, 6), (17, 29, 16, 24))[block % 2]:
                a = a + b
                b = a ^ ((b << np.uint32(turn)) | (b >> np.uint32(32 - turn)))
            a, b = a + keys[(block + 1) % 3], b + keys[(block + 2) % 3] + np.uint32(block + 1)
    return a ^ b


def test_the_threefry_here_is_the_published_one():
    """Its vectors with keys and counters of zeros, and of ones: 6b200159 99ba4efe."""
    assert threefry(np.zeros(2, np.uint32), 1)[0] == 0x6B200159 ^ 0x99BA4EFE


@pytest.mark.parametrize("shape", [(), (1,), (2,), (7,), (0,), (3, 5), (2, 0, 3), (2, 3, 5), (1001,)])
def test_random_bits(shape, random):
    key = random.integers(0, 2**32, size=2, dtype=np.uint32)
    expected = threefry(key, int(np.prod(shape))).reshape(shape)
    for partitionable in (True, False):
        with jax.threefry_partitionable(partitionable):
            bits = engine.random_bits(engine.asarray(key), shape)
            compiled = engine.compile(lambda k: engine.random_bits(k, shape))(engine.asarray(key))
        assert engine.dtype(bits) == "uint32"
        np.testing.assert_array_equal(bits, expected)
        np.testing.assert_array_equal(compiled, expected)


def test_random_bits_under_vmap(random):
    keys = random.integers(0, 2**32, size=(3, 2), dtype=np.uint32)
    np.testing.assert_array_equal(engine.vmap(lambda k: engine.random_bits(k, (5,)))(engine.asarray(keys)), [threefry(key, 5) for key in keys])


def gradient(function, *values):
    return engine.value_and_grad(lambda vs: (jnp.sum(function(*vs)), None))([engine.asarray(v, "float32") for v in values])[1]


def test_gradients_at_kinks_and_ties():
    assert gradient(engine.abs, [0.0, -2.0, 3.0])[0].tolist() == [0, -1, 1]
    assert [g.tolist() for g in gradient(engine.maximum, [1.0, 2.0], [1.0, 3.0])] == [[0.5, 0], [0.5, 1]]
    assert gradient(lambda x: engine.max(x, (0,), False), [2.0, 1.0, 2.0])[0].tolist() == [0.5, 0, 0.5]
    assert gradient(lambda x: engine.prod(x, (0,), False), [0.0, 3.0, 5.0])[0].tolist() == [15, 0, 0]
    assert gradient(lambda x: engine.prod(x, (0,), False), [0.0, 3.0, 0.0])[0].tolist() == [0, 0, 0]
    assert gradient(lambda x: engine.power(x, 2.0), [-3.0, 0.0])[0].tolist() == [-6, 0]
    assert gradient(lambda x: engine.power(x, 3), [-3.0, 0.0])[0].tolist() == [27, 0]
    assert gradient(lambda x: engine.power(x, 1.0), [0.0])[0].tolist() == [1]
    np.testing.assert_allclose(np.array(gradient(engine.remainder, [7.0, -7.0], [3.0, 3.0])), [[1, 1], [-2, 3]])
    assert "integer_pow" in str(jax.make_jaxpr(lambda x: engine.power(x, 2.0))(1.5)) and engine.power(
        engine.asarray([2.0]), float("inf")
    ).tolist() == [np.inf]


def test_nan_is_last_and_largest():
    x = engine.asarray([3.0, np.nan, 1.0, 3.0, -np.inf])
    assert engine.argsort(x, 0).tolist() == [4, 2, 0, 3, 1] and int(engine.argmax(x, 0)) == int(engine.argmin(x, 0)) == 1
    np.testing.assert_array_equal(engine.sort(x, 0), [-np.inf, 1, 3, 3, np.nan])
    values, indices = engine.top_k(x, 3)
    np.testing.assert_array_equal(values, [np.nan, 3, 3])
    assert indices.tolist() == [1, 0, 3] and engine.dtype(indices) == engine.dtype(engine.argsort(x, 0)) == "int32"


def test_scatter(random):
    x, updates = random.normal(size=(2, 5, 3)).astype("float32"), random.normal(size=(7, 3)).astype("float32")
    indices = np.stack([random.integers(-2, 2, size=7), random.integers(-5, 5, size=7)], 1)
    at = {"add": np.add.at, "multiply": np.multiply.at, "max": np.maximum.at, "min": np.minimum.at}
    for mode, method in at.items():
        expected = x.copy()
        method(expected, tuple(indices.T), updates)
        np.testing.assert_allclose(engine.scatter(engine.asarray(x), engine.asarray(indices), engine.asarray(updates), mode), expected, rtol=1e-5)
    dx, du = gradient(lambda x, u: engine.scatter(x, engine.asarray([[1], [-1]]), u, "set"), [1.0, 2.0, 3.0], [8.0, 9.0])
    assert dx.tolist() == [1, 0, 0] and du.tolist() == [1, 1]


def test_take_out_of_range_is_nan_and_negative_counts_from_the_end():
    x = engine.asarray([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(engine.take(x, engine.asarray([[-1, 2]]), 0), [[[3, 4], [np.nan, np.nan]]])
    assert gradient(lambda x: engine.take(x, engine.asarray([1, 1, -1, 0]), 0), [1.0, 2.0])[0].tolist() == [1, 3]


def test_dynamic_slices_move_inside_and_take_any_integers():
    x = engine.reshape(engine.arange(10, "int32"), (2, 5))
    starts = (engine.asarray(9, "uint8"), 4)
    assert engine.dynamic_slice(x, starts, (1, 3)).tolist() == [[7, 8, 9]]
    assert engine.dynamic_update_slice(x, engine.asarray([[-1, -2]]), starts).tolist() == [[0, 1, 2, 3, 4], [5, 6, 7, -1, -2]]


def test_nonzero_refuses_while_tracing():
    with pytest.raises(TypeError) as caught:
        engine.compile(engine.nonzero)(engine.asarray([1.0, 0.0]))
    assert str(caught.value) == (
        "nonzero needs known values, got a traced tensor of shape (2,).\n"
        "  why: how many elements are not zero decides the shape of the result, and compiled code has no values yet\n"
        "  fix: call it outside of compiled functions, or use where(condition, x, y) there"
    )


def test_linear_algebra_of_batches(random):
    a, b = tensor(random, 3, 5, 5), tensor(random, 5, 2)
    lower = np.tril(np.float64(a)) + 4 * np.eye(5)
    np.testing.assert_allclose(
        lower @ np.float64(engine.triangular_solve(engine.asarray(lower, "float32"), b, True)), np.broadcast_to(b, (3, 5, 2)), atol=1e-5
    )
    packed, pivots = engine.lu(a)
    rebuilt = (np.tril(packed, -1) + np.eye(5)) @ np.triu(packed)
    rows = np.array(a)
    for batch, swaps in enumerate(np.array(pivots)):
        for i, j in enumerate(swaps):
            rows[batch, [i, j]] = rows[batch, [j, i]]
    np.testing.assert_allclose(rebuilt, rows, atol=1e-5)
    assert engine.dtype(pivots) == "int32"


@pytest.mark.parametrize("on_host", [False, True])
def test_eig(on_host, random, monkeypatch):
    if on_host:
        monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    a = tensor(random, 3, 5, 5)
    for values, vectors in (engine.eig(a), engine.compile(engine.eig)(a), engine.vmap(engine.eig)(a)):
        assert engine.dtype(values) == engine.dtype(vectors) == "complex64"
        np.testing.assert_allclose(np.array(a) @ np.array(vectors), np.array(vectors) * np.array(values)[:, None], atol=1e-4)


# Windows: each lowering for CPUs against jax.lax, in value and in both derivatives ----------------------------------------------------------


CONVS = [  # spatial sizes, kernel, strides, padding, dilation, channels, outputs, groups
    ((11,), (3,), (1,), [(1, 1)], (1,), 3, 5, 1),
    ((11,), (2,), (3,), [(0, 2)], (2,), 3, 5, 1),
    ((11,), (1,), (2,), [(1, 0)], (1,), 3, 5, 1),
    ((13,), (5,), (1,), [(4, 0)], (1,), 3, 6, 3),
    ((7, 5), (3, 3), (1, 1), [(1, 1), (1, 1)], (1, 1), 3, 2, 1),
    ((7, 5), (3, 2), (2, 2), [(0, 1), (0, 1)], (1, 1), 3, 2, 1),
    ((7, 5), (2, 3), (1, 1), [(2, 1), (0, 3)], (3, 2), 3, 2, 1),
    ((7, 5), (1, 1), (1, 1), [(0, 0), (0, 0)], (1, 1), 3, 2, 1),
    ((7, 5), (1, 1), (2, 3), [(0, 0), (0, 0)], (1, 1), 3, 2, 1),
    ((7, 5), (1, 1), (3, 2), [(1, 2), (0, 1)], (1, 1), 3, 2, 1),
    ((7, 5), (3, 3), (2, 1), [(1, 1), (2, 0)], (1, 1), 6, 4, 2),
    ((7, 5), (3, 3), (2, 2), [(1, 1), (1, 1)], (1, 1), 5, 5, 5),
    ((7, 5), (2, 3), (1, 2), [(0, 1), (2, 2)], (2, 1), 3, 6, 3),
    ((7, 5), (1, 1), (2, 2), [(0, 0), (0, 0)], (1, 1), 6, 3, 3),
    ((3, 2), (3, 2), (5, 5), [(0, 0), (0, 0)], (1, 1), 3, 2, 1),
    ((3, 2), (4, 2), (1, 1), [(0, 0), (0, 0)], (1, 1), 3, 2, 1),  # the window does not fit: empty result
    ((3, 2), (4, 2), (1, 1), [(0, 0), (0, 0)], (1, 1), 3, 3, 3),
    ((5, 3, 7), (3, 2, 1), (2, 1, 3), [(1, 0), (0, 1), (0, 0)], (1, 1, 1), 2, 3, 1),
    ((5, 3, 7), (1, 1, 1), (2, 1, 3), [(0, 0), (0, 0), (0, 0)], (1, 1, 1), 2, 3, 1),
    ((5, 3, 7), (2, 2, 2), (1, 1, 2), [(1, 0), (0, 1), (1, 1)], (2, 1, 1), 2, 4, 2),
]


@pytest.mark.parametrize(
    ("platform", "index", "batch"),
    [
        *(("cpu", i, 3) for i in range(len(CONVS))),
        *(("cpu", i, i % 2) for i in range(0, len(CONVS), 2)),
        *(("gpu", i, 3) for i in range(0, len(CONVS), 3)),
    ],
)
def test_conv(platform, index, batch, random, monkeypatch):
    monkeypatch.setattr(_jax_windows, "_on_cpu", lambda: platform == "cpu")
    spatial, window, strides, padding, dilation, channels, outputs, groups = CONVS[index]
    static = (strides, padding, dilation, groups)
    x, kernel = tensor(random, batch, *spatial, channels), tensor(random, *window, channels // groups, outputs)
    letters = "DHW"[-len(spatial) :]
    numbers = (f"N{letters}C", f"{letters}IO", f"N{letters}C")

    def plain(x, kernel):
        return lax.conv_general_dilated(x, kernel, strides, padding, rhs_dilation=dilation, dimension_numbers=numbers, feature_group_count=groups)

    g = tensor(random, *jax.eval_shape(plain, x, kernel).shape)

    def derivatives(function):
        """The value, the gradients, and the gradients of a function of the gradients."""

        def loss(x, kernel, g):
            value, pull = jax.vjp(function, x, kernel)
            first = pull(g)
            return sum(jnp.sum(jnp.sin(d)) for d in first), (value, *first)

        second, first = jax.jit(jax.grad(loss, (0, 1, 2), has_aux=True))(x, kernel, g)
        return *first, *second

    expected = derivatives(plain)
    got = derivatives(lambda x, kernel: engine.conv(x, kernel, *static))
    dx = engine.conv_input_gradient(g, kernel, x.shape, *static)
    dkernel = engine.conv_kernel_gradient(x, g, kernel.shape, *static)
    for ours, theirs in zip((*got, dx, dkernel), (*expected, *expected[1:3]), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-4)


def test_cpu_lowerings(random):
    """The reason for them: kernels of size 1 and depthwise ones are no convolutions at all, and the others behave inside of loops."""

    def text(shape, groups):
        loss = lambda kernel: engine.sum(engine.conv(x, kernel, (1, 1), ((0, 0), (0, 0)), (1, 1), groups), (0, 1, 2, 3), False)  # noqa: E731
        x, kernel = tensor(random, 2, 7, 5, 3), tensor(random, *shape)
        return str(jax.make_jaxpr(jax.grad(loss))(kernel))

    assert "optimization_barrier" in text((3, 3, 3, 2), 1)  # a correlation, of x with what comes back
    assert "conv_general_dilated[" not in text((1, 1, 3, 2), 1) + text((3, 3, 1, 3), 3)


def test_conv_inside_scan_while_and_vmap(random):
    x, kernels = tensor(random, 2, 7, 5, 3), tensor(random, 2, 3, 3, 3, 3)
    conv = lambda x, kernel: engine.conv(x, kernel, (1, 1), ((1, 1), (1, 1)), (1, 1), 1)  # noqa: E731
    expected = conv(conv(x, kernels[0]), kernels[1])

    def scanned(kernels):
        return engine.scan(lambda c, k: ((conv(c[0], k[0]),), ()), (x,), (kernels,), 2, False, 1)[0][0]

    np.testing.assert_allclose(engine.compile(scanned)(kernels), expected, rtol=1e-4, atol=1e-4)
    looped = engine.compile(lambda x: engine.while_loop(lambda i, y: i < 2, lambda i, y: (i + 1, conv(y, kernels[0])), (engine.asarray(0), x))[1])
    np.testing.assert_allclose(looped(x), conv(conv(x, kernels[0]), kernels[0]), rtol=1e-4, atol=1e-4)
    unrolled = jax.grad(lambda k: jnp.sum(jnp.sin(conv(conv(x, k[0]), k[1]))))(kernels)
    np.testing.assert_allclose(jax.grad(lambda k: jnp.sum(jnp.sin(scanned(k))))(kernels), unrolled, rtol=1e-3, atol=1e-3)
    per_kernel = jax.vmap(jax.grad(lambda k: jnp.sum(jnp.sin(conv(x, k)))))(kernels)
    np.testing.assert_allclose(per_kernel[1], jax.grad(lambda k: jnp.sum(jnp.sin(conv(x, k))))(kernels[1]), rtol=1e-4, atol=1e-4)


def test_take_from_nothing_keeps_the_shape_of_the_indices():
    got = engine.take(engine.asarray(np.zeros((2, 0, 3), "float32")), engine.asarray(np.zeros((0, 7), "int32")), 1)
    assert got.shape == (2, 0, 7, 3)
    assert engine.take(engine.asarray(np.zeros((0, 3), "int32")), engine.asarray(np.zeros((5,), "int32")), 0).shape == (5, 3)


def test_max_pool_gives_ties_to_the_first(random):
    x = engine.asarray([[[[1.0], [2.0], [5.0]], [[2.0], [2.0], [7.0]]]])  # one window of 2 x 2, and a column that belongs to none
    gradient = jax.grad(lambda x: jnp.sum(3 * engine.max_pool(x, (2, 2), (2, 2), [(0, 0), (0, 0)])))(x)
    np.testing.assert_array_equal(np.asarray(gradient)[0, :, :, 0], [[0, 3, 0], [0, 0, 0]])
    tangent = tensor(random, *x.shape)
    value, along = jax.jvp(lambda x: engine.max_pool(x, (2, 2), (2, 2), [(0, 0), (0, 0)]), (x,), (tangent,))
    assert float(value[0, 0, 0, 0]) == 2.0 and float(along[0, 0, 0, 0]) == float(tangent[0, 0, 1, 0])


def test_compiled_functions_inside_of_other_traces(random):
    """XLA's options go with the outermost function only."""
    inner = engine.compile(lambda x: jnp.sin(x) * 2)
    x = tensor(random, 3, 5)
    np.testing.assert_allclose(jax.jit(lambda x: inner(x) + 1)(x), np.sin(x) * 2 + 1, rtol=1e-6)
    np.testing.assert_allclose(jax.grad(lambda x: jnp.sum(inner(x)))(x), np.cos(x) * 2, rtol=1e-6)
    assert engine.eval_shape(inner, x).shape == (3, 5)


POOLS = [  # spatial sizes, window, strides, padding
    ((12,), (3,), (3,), [(0, 0)]),
    ((11,), (3,), (3,), [(0, 0)]),
    ((11,), (3,), (2,), [(1, 1)]),
    ((11,), (2,), (3,), [(1, 0)]),
    ((41,), (17,), (1,), [(8, 8)]),
    ((6, 9), (2, 3), (2, 3), [(0, 0), (0, 0)]),
    ((7, 10), (2, 3), (2, 3), [(1, 0), (1, 2)]),
    ((7, 10), (3, 2), (1, 2), [(0, 2), (0, 0)]),
    ((7, 10), (1, 1), (2, 1), [(0, 0), (0, 0)]),
    ((2, 2), (3, 1), (1, 1), [(0, 0), (0, 0)]),
    ((4, 3, 5), (2, 3, 2), (2, 1, 3), [(0, 0), (1, 1), (0, 1)]),
]


@pytest.mark.parametrize(("batch", "dtype"), [(3, "float32"), (1, "int8"), (0, "float32")])
@pytest.mark.parametrize("index", range(len(POOLS)))
@pytest.mark.parametrize("kind", ["max", "sum"])
def test_pool(index, batch, kind, dtype, random):
    spatial, window, strides, padding = POOLS[index]
    size = batch * int(np.prod(spatial)) * 2
    x = engine.asarray((random.permutation(size) - size // 2).reshape(batch, *spatial, 2) % 101 - 50, dtype)
    start, combine = {"max": (-np.inf if dtype == "float32" else -128, lax.max), "sum": (0, lax.add)}[kind]

    def plain(x):
        return lax.reduce_window(x, np.asarray(start, dtype), combine, (1, *window, 1), (1, *strides, 1), [(0, 0), *padding, (0, 0)])

    def ours(x):
        return getattr(engine, f"{kind}_pool")(x, window, strides, padding)

    np.testing.assert_array_equal(ours(x), plain(x))
    assert ours(x).dtype == dtype
    if dtype == "float32":
        unique = engine.asarray(random.permutation(size).reshape(x.shape), dtype)  # no ties: they may be shared as the engine likes
        weights = tensor(random, *ours(x).shape)
        expected, got = (jax.jit(jax.grad(lambda x, f=function: jnp.sum(f(x) * weights)))(unique) for function in (plain, ours))
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_max_pool_passes_nan_on(random):
    x = tensor(random, 1, 6, 1).at[0, 2, 0].set(np.nan)
    for strides in ((1,), (2,)):
        assert bool(jnp.isnan(engine.max_pool(x, (2,), strides, [(0, 0)])[0, 1, 0]))


def test_cpu_pooling_holds_no_reduce_window():
    pool = lambda x: engine.sum(engine.max_pool(x, (3, 2), (2, 2), [(1, 1), (0, 0)]), (0, 1, 2, 3), False)  # noqa: E731
    text = str(jax.make_jaxpr(jax.grad(pool))(jnp.zeros((2, 7, 5, 3))))
    assert "reduce_window" not in text and "select_and" not in text


# The process ----------------------------------------------------------------------------------------------------------------------------------


def test_64_bits_are_a_switch():
    code = """if True:
        import warnings; warnings.simplefilter("error")
        import numpy as np
        from nyala.engines import get_engine
        engine = get_engine("jax")
        for _ in range(2):
            x = engine.asarray(np.array([2**40, 1]))
            print(engine.canonical_dtype("float64"), engine.dtype(x), engine.dtype(engine.asarray(1.5)), engine.dtype(engine.asarray(1.5, "float16")))
            print(engine.dtype(engine.argsort(x, 0)), engine.dtype(engine.nonzero(x)[0]), engine.dtype(engine.searchsorted(x, x, "left")))
            print(engine.dtype(engine.dynamic_slice(x, (x[1], ), (1,))), engine.dtype(engine.random_bits(engine.asarray([1, 2], "uint32"), (3,))))
            engine.enable_64_bits()
    """
    indices = ["int32"] * 3
    assert run(code, NYALA_COMPILE_CACHE="off") == [
        *("float32", "int32", "float32", "float16"), *indices, "int32", "uint32",
        *("float64", "int64", "float64", "float16"), *indices, "int64", "uint32",
    ]  # fmt: skip


def test_compiled_programs_are_kept(tmp_path):
    code = """if True:
        from nyala.engines import get_engine
        engine = get_engine("jax")
        import jax
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        engine.compile(lambda x: x + 1)(1)
        print(jax.config.jax_compilation_cache_dir)
    """
    homes = {"XDG_CACHE_HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path), "HOME": str(tmp_path)}
    [folder] = run(code, **homes)
    assert folder.startswith(str(tmp_path)) and os.listdir(folder)
    assert run(code, **homes) == [folder]
    assert run(code, **homes, NYALA_COMPILE_CACHE="off") == ["None"]
    assert run(code, **homes, JAX_COMPILATION_CACHE_DIR=str(tmp_path / "mine")) == [str(tmp_path / "mine")]
    blocked = tmp_path / "file"
    blocked.write_text("a file where the folder should be")
    assert run(code, XDG_CACHE_HOME=str(blocked), LOCALAPPDATA=str(blocked), HOME=str(blocked)) == ["None"]


def test_the_oldest_programs_go_first(tmp_path):
    for i in range(5):
        (tmp_path / str(i)).write_bytes(bytes(10))
        os.utime(tmp_path / str(i), (1000 - i, 1000 - i))
    _trim(tmp_path, 25)
    assert sorted(os.listdir(tmp_path)) == ["0", "1"]


def test_the_cache_is_looked_at_once_a_day(tmp_path):
    stamp = tmp_path / "trimmed"
    assert _is_due(stamp) and not _is_due(stamp)
    long_ago = stamp.stat().st_mtime - TRIM_SECONDS - 60
    os.utime(stamp, (long_ago, long_ago))
    assert _is_due(stamp) and not _is_due(stamp)


@pytest.mark.skipif(sys.platform != "linux", reason="settings of glibc")
def test_memory_settings_can_be_left_alone():
    code = """if True:
        import ctypes
        library, calls = ctypes.CDLL(None), []
        class Spy:
            gnu_get_libc_version = mallopt = staticmethod(lambda *arguments: calls.append(arguments))
        import nyala.engines.jax as module
        from nyala.engines import _memory
        _memory.ctypes.CDLL = lambda name: Spy
        module.JaxEngine()
        print(*[number for call in calls for number in call])
    """
    assert run(code, NYALA_COMPILE_CACHE="off") == ["-4", "0", "-1", str(2**31 - 1), "-8", "1"]
    assert run(code, NYALA_COMPILE_CACHE="off", NYALA_MALLOC="default") == []


def test_another_thread_is_outside_of_a_trace():
    """Traces belong to threads: what runs beside a compilation is eager."""
    results = []

    def traced(x):
        thread = threading.Thread(target=lambda: results.append(engine.while_loop(lambda i: i < 3, lambda i: (i + 1,), (engine.asarray(0),))))
        thread.start()
        thread.join()
        return x

    engine.compile(traced)(1.0)
    assert int(results[0][0]) == 3
