# SPDX-License-Identifier: Apache-2.0
"""What is special to the NumPy engine: functions it computes itself, silence, copies, narrow floats, refusal of gradients.

What holds for every engine is in `nyala.testing.check_engine`.
"""

import itertools
import subprocess
import sys

import numpy as np
import pytest
import scipy.linalg
import scipy.special

from nyala.engines.numpy import NumpyEngine

engine = NumpyEngine()


@pytest.mark.parametrize(
    ("name", "oracle", "points"),
    [
        ("erf", scipy.special.erf, np.concatenate([np.linspace(-8, 8, 10007), np.logspace(-300, 0, 307)])),
        ("erfinv", scipy.special.erfinv, np.concatenate([np.linspace(-1, 1, 10007), 1 - np.logspace(-15.9, -1, 307), np.logspace(-300, -1, 307)])),
        ("lgamma", scipy.special.gammaln, np.concatenate([np.linspace(-30.05, 60, 10007), np.logspace(-300, 305, 307)])),
        ("digamma", scipy.special.digamma, np.concatenate([np.linspace(0.001, 60, 10007), np.logspace(-300, 305, 307)])),
        ("sigmoid", scipy.special.expit, np.linspace(-745, 745, 10007)),
    ],
)
def test_special_functions_are_exact_in_double(name, oracle, points):
    np.testing.assert_allclose(getattr(engine, name)(points), oracle(points), rtol=2e-14, atol=2e-14)


@pytest.mark.parametrize("name", ["erf", "erfinv", "sigmoid"])
def test_special_functions_keep_tiny_values(name):
    tiny = np.array([-1e-300, 1e-200, -1e-9, 3e-5])
    oracle = {"erf": scipy.special.erf, "erfinv": scipy.special.erfinv, "sigmoid": scipy.special.expit}[name]
    shift = -300 if name == "sigmoid" else 0
    np.testing.assert_allclose(getattr(engine, name)(tiny + shift), oracle(tiny + shift), rtol=1e-14, atol=0)


def test_special_functions_at_the_edges():
    edges = np.array([0.0, -1.0, -2.0, 1.0, 2.0, np.inf, -np.inf, np.nan])
    np.testing.assert_array_equal(engine.erf(edges[5:]), [1, -1, np.nan])
    np.testing.assert_array_equal(engine.erfinv(np.array([0, -1, 1, 1.5, -1.5, np.nan])), [0, -np.inf, np.inf, np.nan, np.nan, np.nan])
    np.testing.assert_allclose(engine.lgamma(edges), [np.inf, np.inf, np.inf, 0, 0, np.inf, np.inf, np.nan], atol=1e-14)


@pytest.mark.parametrize(
    ("key", "counter", "expected"),
    [
        # Known answers published with Random123 for threefry2x32 and 20 rounds; the engine counts from 0, so only this counter can be asked for.
        ((0x00000000, 0x00000000), 0, 0x6B200159 ^ 0x99BA4EFE),
    ],
)
def test_random_bits_known_answer(key, counter, expected):
    assert engine.random_bits(np.array(key, np.uint32), (3,))[counter] == expected


def test_random_bits_number_elements_in_row_major_order():
    key = np.array([0xDEADBEEF, 7], np.uint32)
    assert engine.random_bits(key, (2, 3, 5)).dtype == np.uint32
    np.testing.assert_array_equal(engine.random_bits(key, (2, 3, 5)).ravel(), engine.random_bits(key, (30,)))
    assert engine.random_bits(key, ()).shape == ()


def plain_conv(x, kernel, strides, padding, dilation, groups):
    """The definition, one output element at a time."""
    x = np.pad(x, ((0, 0), *padding, (0, 0)))
    *taps, depth, outputs = kernel.shape
    sizes = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[1:-1], taps, strides, dilation, strict=True)]
    result = np.zeros((x.shape[0], *sizes, outputs))
    for place in itertools.product(*map(range, sizes)):
        for tap in itertools.product(*map(range, taps)):
            pixel = x[(slice(None), *(p * s + t * d for p, s, t, d in zip(place, strides, tap, dilation, strict=True)))]
            for o in range(outputs):
                first = o // (outputs // groups) * depth
                result[(slice(None), *place, o)] += pixel[:, first : first + depth] @ kernel[(*tap, slice(None), o)]
    return result


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("space", "taps", "strides", "padding", "dilation", "groups"),
    [
        ((11,), (3,), (2,), [(1, 2)], (1,), 1),
        ((7, 11), (2, 3), (1, 1), [(0, 0), (1, 1)], (3, 2), 1),
        ((7, 5), (3, 2), (2, 3), [(1, 0), (0, 2)], (1, 1), 2),
        ((5, 3, 7), (2, 3, 1), (1, 2, 3), [(1, 1), (1, 1), (0, 0)], (2, 1, 1), 3),
    ],
)
def test_conv_is_its_definition_and_gradients_are_its_adjoints(space, taps, strides, padding, dilation, groups, seed):
    draw = np.random.default_rng(seed).standard_normal
    x, kernel = draw((2, *space, 6)), draw((*taps, 6 // groups, 12))
    options = (strides, padding, dilation, groups)
    y = engine.conv(x, kernel, *options)
    np.testing.assert_allclose(y, plain_conv(x, kernel, *options), rtol=1e-12, atol=1e-12)
    g = draw(y.shape)
    np.testing.assert_allclose(np.sum(g * y), np.sum(x * engine.conv_input_gradient(g, kernel, x.shape, *options)), rtol=1e-10)
    np.testing.assert_allclose(np.sum(g * y), np.sum(kernel * engine.conv_kernel_gradient(x, g, kernel.shape, *options)), rtol=1e-10)


@pytest.mark.parametrize("shape", [(5, 5), (3, 5), (5, 3), (2, 3, 5, 5)])
def test_lu_is_lapack(shape):
    x = np.random.default_rng(3).standard_normal(shape)
    packed, pivots = engine.lu(x)
    assert pivots.dtype == np.int32
    for place in np.ndindex(shape[:-2]):
        expected, swaps = scipy.linalg.lapack.dgetrf(x[place])[:2]
        np.testing.assert_allclose(packed[place], expected, rtol=1e-12)
        np.testing.assert_array_equal(pivots[place], swaps)


@pytest.mark.filterwarnings("error")
def test_ieee_results_come_without_warnings():
    x = np.array([-1.0, 0.0, np.inf], np.float32)
    np.testing.assert_array_equal(engine.log(x), [np.nan, -np.inf, np.inf])
    np.testing.assert_array_equal(engine.divide(x, engine.multiply(x, 0.0)), [np.inf, np.nan, np.nan])
    np.testing.assert_array_equal(engine.exp(np.array([1000.0, -1000.0])), [np.inf, 0])
    assert engine.cast(np.array([1 + 2j]), "float32")[0] == 1
    assert engine.add(np.array(200, np.uint8), np.array(100, np.uint8)) == 44


def test_tensors_of_rank_0_stay_tensors():
    x = np.array(2.0, np.float32)
    results = [engine.exp(x), engine.add(x, 1.0), engine.sum(x, (), False), engine.flip(x, ()), engine.reshape(x, ()), engine.transpose(x, ())]
    results += [engine.slice(x, (), (), ()), engine.dynamic_slice(x, (), ()), engine.take(np.ones(3), np.array(1), 0), engine.cast(x, "int32")]
    for result in results:
        assert engine.is_tensor(result)
    assert engine.nonzero(x) == ()


def test_asarray_copies():
    source = np.arange(5.0)
    tensor = engine.asarray(source)
    source[:] = 7
    np.testing.assert_array_equal(tensor, np.arange(5.0))
    assert engine.dtype(engine.asarray(np.array([1, 2], ">i4"))) == "int32"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow_floats_are_computed_in_float32(dtype):
    x = engine.cast(np.full(4099, 0.1), dtype)
    total = engine.sum(x, (0,), False)
    assert engine.dtype(total) == dtype
    expected = engine.cast(np.sum(x.astype(np.float32), dtype=np.float32), dtype)
    assert total == expected
    assert engine.dtype(engine.matmul(x[None], x[:, None])) == dtype
    assert engine.dtype(engine.maximum(x, 1.0)) == dtype
    assert engine.dtype(engine.top_k(x, 2)[0]) == dtype


def test_gradients_are_refused_with_a_way_out():
    with pytest.raises(NotImplementedError) as caught:
        engine.value_and_grad(lambda values: (values[0], ()))
    assert str(caught.value) == (
        "value_and_grad needs an engine with gradients, got engine 'numpy'.\n"
        "  why: NumPy computes values only; this engine is for inference and for checking others\n"
        "  fix: choose an engine that has gradients, for example nyala.set_backend('jax') or nyala.set_backend('torch')"
    )


def test_only_numpy_is_imported():
    program = (
        "import sys; from nyala.engines.numpy import NumpyEngine as N; import numpy as np; N().erf(np.ones(3));"
        "print(*{'jax', 'torch', 'scipy', 'ml_dtypes'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip() == ""


def test_scan_of_length_zero_knows_its_shapes():
    carry, (ys,) = engine.scan(lambda carry, x: (carry, (x[0] + carry[0],)), (np.ones(3),), (np.ones((0, 3)),), 0, False, 1)
    assert ys.shape == (0, 3) and carry[0].shape == (3,)
