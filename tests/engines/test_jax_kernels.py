# SPDX-License-Identifier: Apache-2.0
"""Kernels of the JAX engine for CPUs: values against float64 in NumPy, for each width of vectors; gradients; and where they cannot be made."""

import ctypes
import itertools
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import nyala

pytest.importorskip("jax")
import jax
import jax.numpy as jnp

from nyala.core import twins
from nyala.engines import _cpu_kernels as cpu
from nyala.engines import _jax_kernels as kernels

WIDTHS = {"native": [], "avx2": ["-march=haswell"], "sse": ["-march=x86-64"]}  # with 32 or 16 registers, of 16, 8 or 4 floats
HOST = "x86_64" if platform.machine() in ("x86_64", "AMD64") else "other"


pytestmark = pytest.mark.usefixtures("kernels_of_jax")


@pytest.fixture(scope="module", params=WIDTHS)
def call(request, tmp_path_factory, kernels_of_jax):
    """call(name, *arrays, shape=, numbers=, second=): a kernel made for vectors of this width; second: shape and dtype of another result."""
    flags = WIDTHS[request.param]
    if flags and (HOST != "x86_64" or "avx2" not in pathlib.Path("/proc/cpuinfo").read_text()):
        pytest.skip("this processor has no such vectors")
    command = cpu.command()
    if flags:
        command = [*(flag for flag in command if flag != "-march=native"), *flags]
    path = tmp_path_factory.mktemp(request.param) / "kernels.so"
    subprocess.run([*command, "-shared", "-o", str(path)], check=True)
    library = ctypes.CDLL(str(path))
    for name in kernels.COMPOSED:
        jax.ffi.register_ffi_target(f"test.{request.param}.{name}", jax.ffi.pycapsule(getattr(library, name)), platform="cpu")

    def run(name, *arrays, shape, numbers, second=None):
        result = jax.ShapeDtypeStruct(shape, np.float32)
        results = (result, jax.ShapeDtypeStruct(*second)) if second else result
        target = jax.ffi.ffi_call(f"test.{request.param}.{name}", results)
        return jax.tree.map(np.asarray, target(*arrays, numbers=np.array(numbers, np.int64)))

    return run


def draw(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)


def close(got, expected, count=1):
    """To the rounding of sums of so many terms."""
    expected = np.asarray(expected)
    assert got.shape == expected.shape
    assert got.dtype == np.float32
    scale = np.abs(expected).max(initial=0) or 1
    assert np.abs(got - expected).max(initial=0) <= scale * 3e-7 * (2 + np.sqrt(count))


def patches(x, k, strides, padding, dilation, counts):
    """(b, oh, ow, kh, kw, c) of float64."""
    x = np.pad(x.astype(np.float64), ((0, 0), *padding, (0, 0)))
    rows = np.arange(counts[0])[:, None] * strides[0] + np.arange(k[0]) * dilation[0]
    cols = np.arange(counts[1])[:, None] * strides[1] + np.arange(k[1]) * dilation[1]
    return x[:, rows[:, None, :, None], cols[None, :, None, :]]


GEOMETRIES = [  # batch, (height, width), inputs, outputs, kernel, strides, padding, dilation
    (3, (9, 7), 5, 37, (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    (2, (28, 28), 1, 32, (3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1)),
    (1, (11, 23), 3, 64, (7, 7), (2, 2), ((0, 0), (0, 0)), (1, 1)),
    (1, (11, 23), 3, 64, (7, 7), (2, 3), ((3, 3), (2, 4)), (1, 1)),
    (130, (3, 3), 4, 33, (3, 3), (1, 1), ((2, 2), (2, 2)), (1, 1)),
    (4, (5, 5), 17, 70, (3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1)),
    (5, (6, 31), 6, 1, (2, 5), (1, 1), ((0, 3), (4, 0)), (1, 1)),
    (2, (13, 12), 8, 48, (3, 2), (1, 1), ((2, 2), (1, 2)), (2, 3)),
    (2, (13, 12), 8, 16, (3, 2), (3, 2), ((2, 0), (0, 3)), (2, 1)),
    (7, (1, 40), 9, 20, (1, 4), (1, 1), ((0, 0), (3, 0)), (1, 1)),
    (2, (2, 2), 3, 40, (5, 5), (1, 1), ((2, 2), (2, 2)), (1, 1)),
    (1, (1, 300), 2, 65, (1, 3), (1, 1), ((0, 0), (1, 1)), (1, 1)),
    (2, (7, 7), 256, 160, (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),  # weights of 1.4 MB: another order of loops
    (2, (40, 60), 13, 21, (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    (3, (19, 34), 61, 90, (3, 3), (1, 1), ((0, 3), (2, 1)), (1, 1)),
    (1, (50, 50), 128, 150, (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    (1, (3, 11), 6, 33, (3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1)),  # five tiles
    (1, (4, 70), 700, 40, (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
]


def settings(geometry):
    batch, size, inputs, outputs, k, strides, padding, dilation = geometry
    counts = tuple((n + sum(p) - d * (m - 1) - 1) // s + 1 for n, p, d, m, s in zip(size, padding, dilation, k, strides, strict=True))
    numbers = [batch, *size, inputs, *k, outputs, *counts, *strides, *dilation, padding[0][0], padding[1][0]]
    return counts, numbers


def ways(geometry):
    """Without and, where it can be, with minimal filtering."""
    *_, k, strides, _, dilation = geometry
    return (0, 1) if k == (3, 3) and {*strides, *dilation} == {1} else (0,)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("turned", [False, True])
def test_convolution(call, geometry, turned):
    batch, size, inputs, outputs, k, strides, padding, dilation = geometry
    rng = np.random.default_rng(batch * inputs + outputs)
    counts, numbers = settings(geometry)
    x, kernel = draw(rng, batch, *size, inputs), draw(rng, *k, inputs, outputs)
    given = kernel[::-1, ::-1].swapaxes(-1, -2).copy() if turned else kernel
    expected = np.einsum("bhwijc,ijco->bhwo", patches(x, k, strides, padding, dilation, counts), kernel.astype(np.float64), optimize=True)
    for minimal in ways(geometry):
        got = call("convolution", x, given, shape=(batch, *counts, outputs), numbers=[*numbers, turned, minimal])
        close(got, expected, inputs * k[0] * k[1])


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize(("more", "positive", "pool"), [(True, True, (1, 1)), (False, True, (2, 2)), (True, False, (2, 2)), (False, False, (3, 2))])
def test_finished_convolution(call, geometry, more, positive, pool):
    batch, size, inputs, outputs, k, strides, padding, dilation = geometry
    counts, numbers = settings(geometry)
    if any(count < p for count, p in zip(counts, pool, strict=True)):
        pytest.skip("no whole pool")
    rng = np.random.default_rng(batch * inputs + outputs)
    x, kernel, scale, shift = draw(rng, batch, *size, inputs), draw(rng, *k, inputs, outputs), draw(rng, outputs), draw(rng, outputs)
    other = [draw(rng, batch, *counts, outputs)] if more else []
    expected = np.einsum("bhwijc,ijco->bhwo", patches(x, k, strides, padding, dilation, counts), kernel.astype(np.float64), optimize=True)
    expected = expected * scale + shift + (other[0] if more else 0)
    expected = np.maximum(expected, 0) if positive else expected
    whole = tuple(count // p for count, p in zip(counts, pool, strict=True))
    tiles = expected[:, : whole[0] * pool[0], : whole[1] * pool[1]].reshape(batch, whole[0], pool[0], whole[1], pool[1], outputs)
    tiles = np.moveaxis(tiles, 3, 2).reshape(batch, *whole, pool[0] * pool[1], outputs)
    expected = tiles.max(3)
    for minimal in ways(geometry):
        numbers_of_call = [*numbers, 0, minimal, more, positive, *pool]
        arrays = x, kernel, scale, shift, *other
        got = call("finished_convolution", *arrays, shape=(batch, *whole, outputs), numbers=numbers_of_call)
        close(got, expected, inputs * k[0] * k[1])
        if pool == (1, 1):
            continue
        shape = (batch, *whole, outputs)
        again, which = call("pooled_convolution", *arrays, shape=shape, numbers=numbers_of_call, second=(shape, np.uint8))
        np.testing.assert_array_equal(again, got)
        if positive:
            np.testing.assert_array_equal(which == kernels.NONE, got == 0)
            which = np.where(which == kernels.NONE, 0, which)
        assert which.max(initial=0) < pool[0] * pool[1]
        won = np.take_along_axis(tiles, which[:, :, :, None].astype(int), 3)[:, :, :, 0]
        close(np.where(got == 0, expected, won).astype(np.float32), expected, inputs * k[0] * k[1])


def test_the_first_of_equals_wins_a_pool(call):
    x, scale = np.zeros((1, 4, 6, 3), np.float32), np.ones(40, np.float32)
    kernel, shift = np.ones((1, 1, 3, 40), np.float32), np.linspace(-1, 1, 40, dtype=np.float32)
    x[0, 2, 3] = 1
    numbers = [1, 4, 6, 3, 1, 1, 40, 4, 6, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 2, 3]
    value, which = call("pooled_convolution", x, kernel, scale, shift, shape=(1, 2, 2, 40), numbers=numbers, second=((1, 2, 2, 40), np.uint8))
    expected = np.zeros((1, 2, 2, 40), int)
    expected[:, :, :, :20] = kernels.NONE  # shifts below 0
    expected[:, 1, 1] = 0
    np.testing.assert_array_equal(which, expected)
    np.testing.assert_allclose(value[0, 1, 1], 3 + shift, rtol=1e-6)
    x[0, 1, 2], x[0, 0, 1] = 1, np.nan
    value, which = call("pooled_convolution", x, kernel, scale, shift, shape=(1, 2, 2, 40), numbers=numbers, second=((1, 2, 2, 40), np.uint8))
    assert np.isnan(value[0, 0, 0]).all()
    assert (which[0, 0, 0] == kernels.NONE).all()  # a slope through relu at nan is 0


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_kernel_gradient(call, geometry):
    batch, size, inputs, outputs, k, strides, padding, dilation = geometry
    rng = np.random.default_rng(batch + inputs * outputs)
    counts, numbers = settings(geometry)
    x, g = draw(rng, batch, *size, inputs), draw(rng, batch, *counts, outputs)
    expected = np.einsum("bhwijc,bhwo->ijco", patches(x, k, strides, padding, dilation, counts), g.astype(np.float64), optimize=True)
    for minimal in ways(geometry):
        got = call("kernel_gradient", x, g, shape=(*k, inputs, outputs), numbers=[*numbers, 0, minimal])
        close(got, expected, batch * counts[0] * counts[1])


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("pool", [(1, 1), (2, 2), (3, 2)])
def test_pooled_gradient(call, geometry, pool):
    """As the gradient of the kernel, with the slope of each pool at its winner; what is in no whole pool has none."""
    batch, size, inputs, outputs, k, strides, padding, dilation = geometry
    counts, numbers = settings(geometry)
    whole = tuple(count // p for count, p in zip(counts, pool, strict=True))
    if not min(whole):
        pytest.skip("no whole pool")
    rng = np.random.default_rng(batch + inputs * outputs)
    x, g = draw(rng, batch, *size, inputs), draw(rng, batch, *whole, outputs)
    which = rng.choice(np.array([*range(pool[0] * pool[1]), kernels.NONE], np.uint8), g.shape)
    slopes = np.zeros((batch, *counts, outputs))
    for i, j in itertools.product(*map(range, pool)):
        slopes[:, i : whole[0] * pool[0] : pool[0], j : whole[1] * pool[1] : pool[1]] = np.where(which == i * pool[1] + j, g, 0)
    expected = np.einsum("bhwijc,bhwo->ijco", patches(x, k, strides, padding, dilation, counts), slopes, optimize=True)
    second = ((outputs,), np.float32)
    got, total = call("pooled_gradient", x, g, which, shape=(*k, inputs, outputs), numbers=[*numbers, 0, 0, *pool], second=second)
    close(got, expected, batch * counts[0] * counts[1])
    close(total, slopes.sum((0, 1, 2)), batch * counts[0] * counts[1])


@pytest.mark.parametrize(
    ("rows", "inputs", "outputs"), [(1, 1, 1), (13, 7, 5), (37, 70, 45), (29, 700, 33), (300, 641, 130), (2, 3, 900), (1000, 5, 64)]
)
@pytest.mark.parametrize("turned", [False, True])
def test_product(call, rows, inputs, outputs, turned):
    rng = np.random.default_rng(rows + inputs)
    x, w = draw(rng, rows, inputs), draw(rng, inputs, outputs)
    got = call("product", x, w.T.copy() if turned else w, shape=(rows, outputs), numbers=[rows, inputs, outputs, turned])
    close(got, x.astype(np.float64) @ w, inputs)


@pytest.mark.parametrize(
    ("rows", "inputs", "outputs"), [(1, 1, 1), (13, 7, 5), (700, 70, 45), (29, 13, 133), (5000, 6, 33), (9000, 40, 100), (20000, 1, 1)]
)
def test_outer_product(call, rows, inputs, outputs):
    rng = np.random.default_rng(rows + inputs)
    x, g = draw(rng, rows, inputs), draw(rng, rows, outputs)
    got = call("outer_product", x, g, shape=(inputs, outputs), numbers=[1, 1, rows, inputs, 1, 1, outputs, 1, rows, 1, 1, 1, 1, 0, 0, 0, 0])
    close(got, x.astype(np.float64).T @ g, rows)


@pytest.mark.parametrize(("rows", "channels"), [(1, 1), (7, 3), (17, 129), (700, 21), (40000, 5), (513, 2048)])
@pytest.mark.parametrize("offset", [0, 1000])
def test_moments_and_slopes(call, rows, channels, offset):
    rng = np.random.default_rng(rows + channels)
    x, g = draw(rng, rows, channels) + np.float32(offset), draw(rng, rows, channels)
    mean = draw(rng, channels) + np.float32(offset)
    got = call("moments", x, shape=(2, channels), numbers=[rows, channels])
    wide = x.astype(np.float64)
    assert np.abs(got[0] - wide.mean(0)).max() <= 1e-6 * (1 + offset)
    assert np.abs(got[1] - wide.var(0)).max() <= (2e-6 + 6e-8 * offset) * max(wide.var(0).max(), 1e-3)  # far from 0, too; no x**2 - mean**2
    got = call("slopes", x, g, mean, shape=(2, channels), numbers=[rows, channels])
    terms = g * (wide - mean)
    assert np.abs(got[0] - g.astype(np.float64).sum(0)).max() <= 1e-6 * np.abs(g).sum(0).max()
    assert np.abs(got[1] - terms.sum(0)).max() <= 1e-6 * np.abs(terms).sum(0).max()
    total = call("totals", g, shape=(channels,), numbers=[rows, channels])
    assert np.abs(total - g.astype(np.float64).sum(0)).max() <= 1e-6 * np.abs(g).sum(0).max()


def test_values_that_are_not_finite_stay_where_they_are(call):
    x, kernel = np.ones((1, 6, 9, 3), np.float32), np.ones((3, 3, 3, 20), np.float32)
    x[0, 0, 0, 1], x[0, 5, 8, 2] = np.nan, np.inf
    numbers = [1, 6, 9, 3, 3, 3, 20, 4, 7, 1, 1, 1, 1, 0, 0, 0]
    got = call("convolution", x, kernel, shape=(1, 4, 7, 20), numbers=[*numbers, 0])
    assert np.isnan(got[0, 0, 0]).all() and np.isinf(got[0, 3, 6]).all()
    assert np.isfinite(got).sum() == got.size - 40
    got = call("convolution", x, kernel, shape=(1, 4, 7, 20), numbers=[*numbers, 1])  # in their tiles of 2 x 2
    wrong = np.zeros(got.shape, bool)
    wrong[0, :2, :2] = wrong[0, 2:, 6:] = True
    assert not np.isfinite(got[0, 0, 0]).any() and not np.isfinite(got[0, 3, 6]).any()
    assert np.isfinite(got[~wrong]).all()


def test_nan_is_larger_than_all(call):
    x = np.ones((1, 7, 9, 16), np.float32)
    x[0, 0, 0, 3] = np.nan
    kernel = np.full((3, 3, 16, 20), -1, np.float32)
    for minimal in (0, 1):
        numbers = [1, 7, 9, 16, 3, 3, 20, 5, 7, 1, 1, 1, 1, 0, 0, 0, minimal, 0, 1, 2, 2]
        got = call("finished_convolution", x, kernel, np.ones(20, np.float32), np.zeros(20, np.float32), shape=(1, 2, 3, 20), numbers=numbers)
        assert np.isnan(got[0, 0, 0]).all()
        assert np.isnan(got).sum() == 20
        assert (got[0, 1] == 0).all()


# Where they are used ----------------------------------------------------------------------------------------------------------------------


def called(function, *arrays):
    """How many calls of kernels a program makes."""
    return str(jax.jit(function).lower(*arrays).compiler_ir()).count("nyala.")


SHAPES = [((128, 512), (512, 300)), ((200, 700), (700, 10)), ((300, 9), (9, 400)), ((2000, 64), (64, 96)), ((40, 70), (70, 45))]


@pytest.mark.parametrize(("left", "right"), SHAPES)
def test_gradients_of_products_of_each_order_and_mode(left, right):
    rng = np.random.default_rng(3)
    x, w, t = draw(rng, *left), draw(rng, *right), draw(rng, *left)
    of = lambda multiply: lambda x, w: jnp.sum(jnp.sin(multiply(x, w) / 20))  # noqa: E731
    own, plain = of(kernels.product), of(jnp.matmul)
    assert called(own, x, w) == 0  # undifferentiated, XLA's
    assert (called(jax.grad(own, (0, 1)), x, w) > 0) == (left[0] * left[1] * right[1] >= kernels.LEAST_DIFFERENTIATED)
    for transform in (
        lambda f: f,
        lambda f: jax.grad(f, (0, 1)),
        lambda f: lambda x, w: jax.jvp(lambda x: f(x, w), (x,), (t,)),
        lambda f: jax.grad(lambda x, w: jnp.sum(jax.grad(f, 1)(x, w) ** 2), (0, 1)),
        lambda f: lambda x, w: jax.jvp(lambda x: jax.grad(f, 1)(x, w), (x,), (t,)),
        lambda f: lambda x, w: jax.vmap(jax.grad(f, (0, 1)), (0, None))(jnp.stack([x, 2 * x]), w),
    ):
        got, expected = (jax.tree.leaves(jax.jit(transform(f))(x, w)) for f in (own, plain))
        for a, b in zip(got, expected, strict=True):
            assert jnp.abs(a - b).max() <= 2e-5 * jnp.abs(b).max() + 1e-6


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize(("strides", "padding", "dilation"), [(1, "same", 1), (2, "valid", 1), (1, "valid", 2), (1, "same", 3), (3, "same", 1)])
@pytest.mark.parametrize("bias", [True, False])
def test_layers_train_as_without_kernels(monkeypatch, rank, strides, padding, dilation, bias):
    rng = np.random.default_rng(rank)
    x = draw(rng, 6, *(21, 18)[:rank], 24) if rank == 2 else draw(rng, 60, 50, 24)
    layer = getattr(nyala.layers, f"Conv{rank}D")
    nyala.utils.set_random_seed(1)
    model = nyala.Sequential(
        [nyala.Input(x.shape[1:]), layer(40, 3, strides, padding, dilation_rate=dilation, use_bias=bias), layer(34, 3, padding="same")]
    )
    y = draw(rng, *model.predict(x, verbose=0).shape)
    weights = model.get_weights()
    found = []
    for usable in (True, False):
        monkeypatch.setattr(kernels._kernels, "usable", usable)
        twins.forget()  # an equal model would take over the steps that call kernels
        again = nyala.models.clone_model(model)
        again.set_weights(weights)
        again.compile("sgd", "mse")
        again.fit(x, y, batch_size=len(x), epochs=2, verbose=0)
        found.append(again.get_weights())
    assert any(not np.array_equal(own, plain) for own, plain in zip(*found, strict=True))  # two programs
    for before, own, plain in zip(weights, *found, strict=True):
        assert np.abs(own - plain).max() <= 1e-5 * np.abs(plain - before).max() + 1e-7


def test_minimal_filtering_is_what_a_step_does(monkeypatch):
    from nyala.engines import _jax_windows as windows

    rng = np.random.default_rng(4)
    x, kernel = draw(rng, 6, 20, 22, 48), draw(rng, 3, 3, 48, 64)
    conv = lambda x, k: jnp.sum(jnp.sin(windows.conv(x, k, (1, 1), ((1, 1), (0, 1)), (1, 1), 1)))  # noqa: E731
    found = []
    for least in (kernels.LEAST_TILES, 1 << 60):
        monkeypatch.setattr(kernels, "LEAST_TILES", least)
        found.append(jax.jit(jax.grad(lambda *arrays: conv(*arrays), (0, 1)))(x * 0.05, kernel))
    for own, direct in zip(*found, strict=True):
        assert not np.array_equal(own, direct)  # two programs
        np.testing.assert_allclose(own, direct, rtol=0, atol=1e-5 * float(jnp.abs(direct).max()))


def test_the_kernels_are_what_a_step_calls():
    x = np.zeros((8, 20, 20, 16), np.float32)
    kernel = np.zeros((3, 3, 16, 32), np.float32)
    from nyala.engines import _jax_windows as windows

    conv = lambda x, k: jnp.sum(windows.conv(x, k, (1, 1), ((1, 1), (1, 1)), (1, 1), 1) ** 2)  # noqa: E731
    assert called(conv, x, kernel) == 0
    assert called(jax.grad(conv, (0, 1)), x, kernel) == 2  # XLA drops no call, but the input's and the kernel's gradients have 16 and 32 outputs
    mapped = lambda x, k: jax.vmap(jax.grad(conv, (0, 1)), (0, None))(x[:, None], k)  # noqa: E731
    assert called(mapped, x, kernel) == 0
    for a, b in zip(jax.jit(mapped)(x + 1, kernel + 1)[0], jax.jit(jax.grad(conv, 0))(x + 1, kernel + 1), strict=True):
        assert jnp.allclose(a[0], b)


def test_other_dtypes_empty_batches_and_vectors_go_to_xla():
    for x, w in [((128, 512), (512, 300)), ((0, 512), (512, 300)), ((512,), (512, 300)), ((4, 128, 64), (4, 64, 300))]:
        for dtype in ("float16", "float32", "int32"):
            a, b = jnp.ones(x, dtype), jnp.ones(w, dtype)
            assert kernels.product(a, b).shape == jnp.matmul(a, b).shape
            if dtype != "float32" or x != (128, 512):
                assert "nyala" not in str(jax.make_jaxpr(kernels.product)(a, b))


def test_calls_from_many_threads_at_once():
    from concurrent.futures import ThreadPoolExecutor

    rng = np.random.default_rng(0)
    x, w = draw(rng, 256, 512), draw(rng, 512, 256)
    gradient = jax.jit(jax.grad(lambda x, w: jnp.sum(kernels.product(x, w) ** 2), (0, 1)))
    first = [np.asarray(part) for part in gradient(x, w)]
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: [np.asarray(part) for part in gradient(x, w)], range(64)):
            assert all(map(np.array_equal, found, first))


FIRST = """
    import threading, numpy as np, nyala
    nyala.ops.add(1, 1)
    import jax, jax.numpy as jnp
    from nyala.engines import _jax_kernels as kernels
    x = np.ones((64, 256), "float32")
    found, barrier = [], threading.Barrier(8)
    def first():
        barrier.wait()
        found.append(float(jax.jit(jax.grad(lambda x: jnp.sum(kernels.product(x, x.T))))(x).sum()))
    threads = [threading.Thread(target=first) for _ in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    print(len(found), set(found), kernels.available(), kernels.problem())
"""


def test_many_threads_ask_first(tmp_path):
    assert run(tmp_path, FIRST) == f"8 {{{2.0 * 64 * 64 * 256}}} True"


# Processes --------------------------------------------------------------------------------------------------------------------------------

PROGRAM = """
    import hashlib, numpy as np, nyala
    nyala.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 14, 14, 16)).astype("float32"), rng.normal(size=(64, 40)).astype("float32")
    model = nyala.Sequential([nyala.Input((14, 14, 16)), nyala.layers.Conv2D(48, 3, activation="relu"), nyala.layers.BatchNormalization(),
                              nyala.layers.Flatten(), nyala.layers.Dense(40)])
    model.compile("adam", "mse")
    loss = model.fit(x, y, batch_size=32, epochs=2, verbose=0).history["loss"][-1]
    digest = hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest()[:12]
    from nyala.engines import _jax_kernels as kernels
    print(round(loss, 4), digest, kernels.available(), kernels.problem())
"""


def run(cache, program=PROGRAM, **environment):
    """What a program prints in a process with this cache folder."""
    full = {**os.environ, "NYALA_BACKEND": "jax", "XDG_CACHE_HOME": str(cache), "NYALA_COMPILE_CACHE": "off", **environment}
    full["PYTHONPATH"] = str(pathlib.Path(nyala.__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], env=full, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache folder with the library in it, and what the program printed first."""
    folder = tmp_path_factory.mktemp("cache")
    return folder, run(folder)


def library(folder):
    (found,) = (folder / "nyala" / "kernels").glob("*.so")
    return found


def test_processes_compute_the_same_bits(cache):
    folder, first = cache
    assert " True" in first
    assert run(folder) == first


EACH = """
    import hashlib, jax, numpy as np, nyala
    nyala.ops.add(1, 1)
    from nyala.engines import _jax_kernels as kernels
    assert kernels.available()
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.normal(size=shape).astype("float32")
    window = dict(strides=(1, 1), padding=((1, 1), (1, 1)), dilation=(1, 1))
    x, k = draw(9, 21, 23, 40), draw(3, 3, 40, 70)
    found = [kernels._product.bind(draw(300, 500), draw(500, 70), turned=False), kernels._outer.bind(draw(9000, 30), draw(9000, 70)),
             kernels._convolution.bind(x, k, turned=False, **window), kernels._kernel_gradient.bind(x, draw(9, 21, 23, 70), spatial=(3, 3), **window),
             kernels._kernel_gradient.bind(draw(9, 28, 28, 1), draw(9, 28, 28, 33), spatial=(3, 3), **window),
             kernels._moments.bind(draw(7000, 33)), kernels._slopes.bind(draw(7000, 33), draw(7000, 33), draw(33))]
    print(*(hashlib.sha256(np.asarray(part).tobytes()).hexdigest()[:8] for part in found))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="chooses the processors that a process may use")
def test_bits_do_not_change_with_the_number_of_threads(cache):
    first = run(cache[0], EACH)
    core = min(os.sched_getaffinity(0))
    assert run(cache[0], f"import os; os.sched_setaffinity(0, {{{core}}})\n" + textwrap.dedent(EACH)) == first
    assert len(set(first.split())) == 7


def test_without_kernels_the_losses_are_the_same(cache):
    folder, first = cache
    off = run(folder, NYALA_KERNELS="off")
    assert off.split()[0] == first.split()[0]
    assert off.endswith("False NYALA_KERNELS says so")


def test_without_a_compiler(tmp_path, cache):
    assert run(tmp_path, CXX=str(tmp_path / "missing")).endswith("False no C++ compiler found (c++, g++ or clang++)")
    failing = script(tmp_path / "failing", "echo 'fatal error: out of paper' >&2; exit 1")
    answer = run(tmp_path, CXX=str(failing))
    assert answer.split()[0] == cache[1].split()[0]
    assert answer.endswith(f"False {failing} failed: fatal error: out of paper")
    assert not list((tmp_path / "nyala" / "kernels").iterdir())


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("+= x \\* w\\[u\\]", "+= x * w[0]"),
        ("+= value \\* pair\\[u\\]", "-= value * pair[u]"),
        ("mean\\[c\\] += distance \\* share", "mean[c] += distance"),
        ("ends - middle", "ends + middle"),
        ("if (positive) y = larger", "if (!positive) y = larger"),
    ],
)
def test_a_compiler_that_makes_wrong_code_is_found_out(tmp_path, cache, right, wrong):
    """The compiler changes one line of the source; the kernel is not used, in this process or in the next."""
    real = shutil.which("c++") or shutil.which("g++")
    text = f"""
        set -- "$@"; args=""
        for a; do case "$a" in
            *_jax_kernels.cc) sed 's/{right}/{wrong}/' "$a" > {tmp_path}/$$.cc; args="$args {tmp_path}/$$.cc";;
            -O3) args="$args -O1";;
            *) args="$args $a";;
        esac; done
        exec {real} $args"""
    liar = script(tmp_path / "liar", textwrap.dedent(text))
    for _ in range(2):
        answer = run(tmp_path, CXX=str(liar))
        assert answer.split()[0] == cache[1].split()[0]
        assert " False " in answer
        assert "computes something else than XLA" in answer
    assert not list((tmp_path / "nyala" / "kernels").glob("*.so"))


@pytest.mark.parametrize("damage", ["truncated", "writable"])
def test_a_library_that_is_damaged_or_that_others_may_write_is_made_again(tmp_path, cache, damage):
    shutil.copytree(cache[0] / "nyala", tmp_path / "nyala")
    path = library(tmp_path)
    before = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(before[: 1 << 12])
    else:
        path.chmod(0o666)
    assert run(tmp_path) == cache[1]
    assert library(tmp_path).stat().st_mode & 0o077 == 0
    assert library(tmp_path).read_bytes() == before


def test_a_folder_that_others_may_write_is_not_trusted(tmp_path, cache):
    shutil.copytree(cache[0] / "nyala", tmp_path / "nyala")
    (tmp_path / "nyala" / "kernels").chmod(0o777)
    answer = run(tmp_path)
    assert "can be written by other users" in answer
    assert answer.split()[0] == cache[1].split()[0]


def test_two_processes_make_it_at_once(tmp_path, cache):
    full = {**os.environ, "NYALA_BACKEND": "jax", "XDG_CACHE_HOME": str(tmp_path), "NYALA_COMPILE_CACHE": "off"}
    full["PYTHONPATH"] = str(pathlib.Path(nyala.__file__).parents[1])
    both = [subprocess.Popen([sys.executable, "-c", textwrap.dedent(PROGRAM)], env=full, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[0].strip() for process in both] == [cache[1]] * 2
    assert [path.suffix for path in (tmp_path / "nyala" / "kernels").iterdir()] == [".so"]


def test_a_process_that_ends_while_it_compiles_leaves_nothing_that_is_used(tmp_path, cache):
    slow = script(tmp_path / "slow", f'sleep 2; exec {shutil.which("c++") or shutil.which("g++")} "$@"')
    run(tmp_path, "import nyala; nyala.ops.add(1, 1)", CXX=str(slow))
    folder = tmp_path / "nyala" / "kernels"
    assert not list(folder.glob("*.so"))
    assert run(tmp_path, CXX=str(slow)).split()[:3] == cache[1].split()[:3]


def test_old_libraries_go(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = cpu._own_folder(tmp_path / "nyala" / "kernels")
    for n in itertools.count():
        if n == cpu.KEPT + 3:
            break
        path = folder / f"{n}.so"
        path.write_bytes(b"")
        os.utime(path, (n, n))
    stale = folder / "build-old"
    stale.mkdir()
    os.utime(stale, (0, 0))
    cpu._forget_old(folder)
    assert sorted(int(path.stem) for path in folder.iterdir()) == list(range(3, cpu.KEPT + 3))


# Libraries that came with the package ----------------------------------------------------------------------------------------------------


INSTALLED = """
    import pathlib
    from nyala.engines import _cpu_kernels as cpu
    cpu.INSTALLED = pathlib.Path({folder!r})
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder as wheels bring it."""
    folder = tmp_path_factory.mktemp("installed")
    made = cpu.make_installed(folder)
    assert [path.name.rpartition("-")[0] for path in made] == [level for level, (machine, _) in cpu.LEVELS.items() if machine == cpu._machine()]
    assert sorted(folder.iterdir()) == sorted(made)
    return folder


def run_installed(cache, installed, program=PROGRAM, **environment):
    return run(cache, textwrap.dedent(INSTALLED.format(folder=str(installed))) + textwrap.dedent(program), **environment)


FRESH = """
    import nyala
    from nyala.engines import _jax_kernels as kernels
    nyala.ops.add(1, 1)
    fresh = kernels._kernels.build.fresh
    print(kernels.available(), kernels._kernels.build.installed, fresh, kernels._kernels.build.fresh)
"""


def test_a_package_with_kernels_needs_no_compiler(tmp_path, cache, installed):
    answer = run_installed(tmp_path, installed, CXX=str(tmp_path / "missing"))
    assert answer.split()[0] == cache[1].split()[0]
    assert answer.split()[2:] == ["True"]
    assert [path.suffix for path in (tmp_path / "nyala" / "kernels").iterdir()] == [".tried"]


def test_what_a_package_brings_is_tried_once(tmp_path, installed):
    assert run_installed(tmp_path, installed, FRESH) == "True True True False"
    assert run_installed(tmp_path, installed, FRESH) == "True True False False"
    (tmp_path / "nyala" / "kernels").chmod(0o777)  # whose marks are not trusted
    assert run_installed(tmp_path, installed, FRESH) == "True True True False"
    nowhere = tmp_path / "file"
    nowhere.write_text("")
    assert run_installed(nowhere, installed, FRESH) == "True True True False"


@pytest.mark.parametrize("damage", ["wrong", "no library", "another version"])
def test_a_package_with_kernels_that_are_of_no_use_leaves_them_to_the_compiler(tmp_path, cache, installed, damage):
    folder = tmp_path / "installed"
    folder.mkdir()
    for path in installed.iterdir():
        if damage == "wrong":
            source = cpu.SOURCE.read_text().replace("if (positive) y = larger", "if (!positive) y = larger")
            (tmp_path / "wrong.cc").write_text(source)
            level = path.name.rpartition("-")[0]
            command = [*cpu.command(level)[:-1], "-O1", str(tmp_path / "wrong.cc")]
            subprocess.run([*command, "-shared", "-o", str(folder / path.name)], check=True)
        elif damage == "no library":
            (folder / path.name).write_bytes(b"text")
        else:
            (folder / path.name.replace("-", "+")).write_bytes(path.read_bytes())
    shutil.copytree(cache[0] / "nyala", tmp_path / "nyala")
    for _ in range(2):
        assert run_installed(tmp_path, folder) == cache[1]
    (refused,) = list((tmp_path / "nyala" / "kernels").glob("*.refused")) or [None]
    assert (refused is not None) == (damage == "wrong")
    if refused:
        assert refused.read_text() == "the kernel finished_convolution computes something else than XLA"


def test_the_best_library_that_the_processor_can_run(installed, monkeypatch):
    monkeypatch.setattr(cpu, "INSTALLED", installed)
    monkeypatch.setattr(cpu, "_machine", lambda: "x86_64")
    needed = {level: set(features.split()) for level, (_, features) in cpu.LEVELS.items()}
    for features, level in [
        (needed["x86-64-v4"] | {"sse"}, "x86-64-v4"),
        (needed["x86-64-v4"] - {"avx512vl"}, "x86-64-v3"),
        (needed["x86-64-v3"] - {"fma"}, None),
        (set(), None),
    ]:
        monkeypatch.setattr(cpu, "_features", lambda found=features: found)
        found = cpu._installed()
        assert (found and found.name.rpartition("-")[0]) == level
    monkeypatch.setattr(cpu, "_machine", lambda: "riscv64")
    assert cpu._installed() is None


def test_a_wheel_without_a_compiler_has_no_kernels(monkeypatch, tmp_path):
    assert cpu.can_make()
    monkeypatch.setenv("CXX", str(tmp_path / "missing"))
    assert not cpu.can_make()
    with pytest.raises(ValueError, match=r"^no C\+\+ compiler found"):
        cpu.make_installed(tmp_path)
    assert not list(tmp_path.iterdir())


def test_info_says_what_is_missing(tmp_path):
    program = "from nyala.__main__ import main; main(['info'])"
    assert "no kernels of its own (NYALA_KERNELS says so)" in run(tmp_path, program, NYALA_KERNELS="off")
    assert "kernels" not in run(tmp_path, program)
