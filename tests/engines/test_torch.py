# SPDX-License-Identifier: Apache-2.0
"""What is special to the PyTorch engine: gaps in its kernels, its autograd, memory formats, indices, random bits.

What holds for every engine is in `nyala.testing.check_engine`.
"""

import warnings

import ml_dtypes
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nyala.engines import get_engine  # noqa: E402  after the skip

engine, oracle = get_engine("torch"), get_engine("numpy")
HALF = (np.float16, ml_dtypes.bfloat16)


def gradients(loss, *values):
    """Gradients of a scalar function of tensors, as arrays."""
    return [engine.to_numpy(g) for g in engine.value_and_grad(lambda tensors: (loss(*tensors), ()))([engine.asarray(v) for v in values])[1]]


# Tensors --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn", "float8_e5m2", "float16", "uint64", "complex128"])
def test_every_dtype_goes_there_and_back(dtype):
    array = oracle.asarray(np.arange(12).reshape(3, 4), dtype)
    tensor = engine.asarray(array)
    assert engine.dtype(tensor) == dtype and engine.to_numpy(tensor).dtype == array.dtype
    assert engine.to_numpy(engine.transpose(tensor, (1, 0))).tobytes() == np.ascontiguousarray(array.T).tobytes()


def test_no_memory_is_shared_with_the_host():
    array = np.arange(3.0)
    tensor = engine.asarray(array)
    copy, back = engine.asarray(tensor), engine.to_numpy(tensor)
    array[:], back[:] = 7, 9
    tensor[0] = 5.0
    np.testing.assert_array_equal(engine.to_numpy(tensor), [5, 1, 2])
    np.testing.assert_array_equal(engine.to_numpy(copy), [0, 1, 2])


def test_a_list_may_hold_tensors():
    assert engine.dtype(engine.asarray([engine.asarray(1.5), 2.0], "float32")) == "float32"
    np.testing.assert_array_equal(engine.to_numpy(engine.asarray([[engine.asarray(1), 2], [3, 4]])), [[1, 2], [3, 4]])


# Gaps in PyTorch's kernels --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "uint64"])
def test_unsigned_integers_wrap(dtype):
    largest = min(np.iinfo(dtype).max, 2**63 - 1)  # what the engine promises
    x, y = np.array([1, 5, largest - 3], dtype), np.array([3, largest, 2], dtype)
    for name in ("add", "subtract", "multiply", "floor_divide", "remainder", "maximum", "less", "bitwise_xor"):
        result = engine.to_numpy(getattr(engine, name)(engine.asarray(x), engine.asarray(y)))
        expected = getattr(oracle, name)(x, y)
        assert result.dtype == expected.dtype
        np.testing.assert_array_equal(result, expected)
    for name, *options in (
        ("negative",),
        ("sum", (0,), False),
        ("cumsum", 0),
        ("sort", 0),
        ("argmax", 0),
        ("bitwise_not",),
        ("right_shift", 3),
        ("flip", (0,)),
    ):
        np.testing.assert_array_equal(engine.to_numpy(getattr(engine, name)(engine.asarray(x), *options)), getattr(oracle, name)(x, *options))


def test_errors_of_the_caller_are_not_hidden():
    with pytest.raises(RuntimeError, match="must match"):
        engine.add(engine.asarray(np.ones(2, np.float32)), engine.asarray(np.ones(3, np.float32)))
    with pytest.raises(RuntimeError, match="must match"):
        engine.add(engine.asarray(np.ones(2, np.uint32)), engine.asarray(np.ones(3, np.uint32)))


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("name", ["erfinv", "lgamma", "digamma", "sigmoid", "arctanh", "expm1"])
def test_half_floats_have_values_and_gradients(dtype, name):
    x = np.array([0.125, 0.5, 0.75]).astype(dtype)
    result = engine.to_numpy(getattr(engine, name)(engine.asarray(x)))
    assert result.dtype == dtype
    np.testing.assert_allclose(result.astype(np.float32), getattr(oracle, name)(x).astype(np.float32), rtol=0.01)
    (gradient,) = gradients(lambda t: engine.sum(getattr(engine, name)(t), (0,), False), x)
    (exact,) = gradients(lambda t: engine.sum(getattr(engine, name)(t), (0,), False), x.astype(np.float64))
    assert gradient.dtype == dtype
    np.testing.assert_allclose(gradient.astype(np.float64), exact, rtol=0.02)


# Meaning --------------------------------------------------------------------------------------------------------------------


def test_what_pytorch_means_otherwise():
    nan = np.nan
    np.testing.assert_array_equal(engine.to_numpy(engine.sign(engine.asarray([nan, -2.0, 0.0, 3.0]))), [nan, -1, 0, 1])
    x = engine.asarray(np.random.default_rng(0).integers(0, 3, (5, 1009)).astype(np.float32))
    np.testing.assert_array_equal(engine.to_numpy(engine.sum(x, (), False)), engine.to_numpy(x))  # not all axes
    np.testing.assert_array_equal(engine.to_numpy(engine.any(x != 0, (), True)), engine.to_numpy(x) != 0)
    for name, options in (("argmax", (1,)), ("argmin", (0,)), ("argsort", (1,)), ("top_k", (11,))):
        results, expected = getattr(engine, name)(x, *options), getattr(oracle, name)(engine.to_numpy(x), *options)
        for result, other in zip(results if name == "top_k" else [results], expected if name == "top_k" else [expected], strict=True):
            np.testing.assert_array_equal(engine.to_numpy(result), other)
    assert engine.argmax(engine.asarray([1.0, nan, 2.0, nan]), 0) == 1


def test_an_index_out_of_range_is_an_index_error():
    x, beyond = engine.asarray(np.arange(10.0).reshape(5, 2)), engine.asarray(np.array([[5, 0]], np.int32))
    with pytest.raises(IndexError):
        engine.take(x, beyond, 0)
    with pytest.raises(IndexError):
        engine.take(x, -1 - beyond, 0)
    with pytest.raises(IndexError):
        gradients(lambda t: engine.sum(engine.take(t, beyond, 0), (0, 1, 2), False), np.ones((5, 2)))
    with pytest.raises(IndexError):
        engine.take_along_axis(x, beyond, 0)
    for mode in ("set", "add", "multiply", "max", "min"):
        with pytest.raises(IndexError):
            engine.scatter(x, beyond, engine.asarray(np.ones(1)), mode)


def test_negative_indices_count_from_the_end_also_in_gradients():
    x, indices = np.random.default_rng(1).standard_normal((5, 3)), np.array([[-1, 4, 0], [-5, 2, -1]], np.int32)
    (gradient,) = gradients(lambda t: engine.sum(engine.take(t, engine.asarray(indices), 0), (0, 1, 2), False), x)
    np.testing.assert_array_equal(gradient, np.bincount(indices.ravel() % 5, minlength=5)[:, None] * np.ones((1, 3)))


def test_convolution_takes_and_gives_channels_last_memory():
    draw = np.random.default_rng(2).standard_normal
    x, kernel = engine.asarray(draw((2, 7, 11, 6)), "float32"), engine.asarray(draw((3, 3, 6, 5)), "float32")
    y = engine.conv(x, kernel, (1, 1), [(1, 1), (1, 1)], (1, 1), 1)
    pooled = engine.max_pool(y, (2, 2), (2, 2), [(0, 0), (0, 0)])
    assert y.is_contiguous() and pooled.is_contiguous()


def test_random_bits_are_those_of_numpy_across_blocks():
    key = np.array([123456789, 0xFEDCBA98], np.uint32)
    bits = engine.random_bits(engine.asarray(key), (2, 40009))
    assert engine.dtype(bits) == "uint32"
    np.testing.assert_array_equal(engine.to_numpy(bits), oracle.random_bits(key, (2, 40009)))


@pytest.mark.parametrize("start", [2**31 - 2**16, 2**31, 2**32 - 2**16, 2**32, 5 * 2**32 + 2**31])
def test_random_bits_count_in_64_bits(start):
    """Beyond what fits into memory: against Threefry in plain Python integers."""
    from nyala.engines.torch import _threefry

    def threefry(key, counter):
        keys, (a, b) = (*key, key[0] ^ key[1] ^ 0x1BD11BDA), (counter >> 32, counter & 0xFFFFFFFF)
        a, b = (a + keys[0]) % 2**32, (b + keys[1]) % 2**32
        for turn in range(20):
            rotation = (13, 15, 26, 6, 17, 29, 16, 24)[turn % 8]
            a = (a + b) % 2**32
            b = ((b << rotation | b >> (32 - rotation)) % 2**32) ^ a
            if turn % 4 == 3:
                block = turn // 4 + 1
                a, b = (a + keys[block % 3]) % 2**32, (b + keys[(block + 1) % 3] + block) % 2**32
        return a ^ b

    key = (0xDEADBEEF, 77)
    bits = _threefry(torch.tensor(key, dtype=torch.int64).to(torch.int32), start, 3)
    assert [int(bit) % 2**32 for bit in bits] == [threefry(key, start + i) for i in range(3)]


@pytest.mark.filterwarnings("error")
def test_pytorch_has_nothing_to_warn_of():
    x = engine.asarray(np.random.default_rng(3).standard_normal((5, 3)))
    engine.searchsorted(engine.sort(x, 0)[:, 0], engine.transpose(x, (1, 0)), "left")
    engine.cast(engine.complex(x, x), "float32")
    engine.scatter(x, engine.asarray(np.array([[1, 2]])), engine.asarray(np.ones(1)), "max")
    with warnings.catch_warnings():
        engine.to_numpy(engine.broadcast_to(x, (2, 5, 3)))


# Gradients ------------------------------------------------------------------------------------------------------------------


def test_a_loss_without_values_has_zero_gradients():
    (gradient,) = gradients(lambda t: engine.full((), 3.0, "float64"), np.ones((2, 3)))
    np.testing.assert_array_equal(gradient, np.zeros((2, 3)))
    assert engine.value_and_grad(lambda values: (engine.full((), 3.0, "float32"), ()))([])[1] == []


def derivative(function):
    return lambda x: engine.value_and_grad(lambda values: (engine.sum(function(values[0]), (0,), False), ()))([x])[1][0]


def test_gradients_nest_and_leave_no_history():
    x = engine.asarray([1.0, 2.0, 3.0])
    third = derivative(derivative(derivative(lambda t: engine.power(t, 5))))(x)
    np.testing.assert_allclose(engine.to_numpy(third), [60, 240, 540])
    assert not third.requires_grad

    def outer(values):
        (loss, aux), (slope,) = engine.value_and_grad(lambda inner: (engine.sum(inner[0] * inner[0] * values[0], (0,), False), inner[0] * 3))(values)
        return engine.sum(slope * slope, (0,), False) + loss + engine.sum(aux, (0,), False), {"loss": [loss]}

    # The values[0] beside inner[0] is a constant of the inner gradient: slope = 2 x * x. Outside d(4 x**4 + x**3 + 3 x).
    (_, aux), (gradient,) = engine.value_and_grad(outer)([x])
    values = engine.to_numpy(x)
    np.testing.assert_allclose(engine.to_numpy(gradient), 16 * values**3 + 3 * values**2 + 3)
    assert not aux["loss"][0].requires_grad


def test_compiled_functions_record_only_inside_a_loss():
    x = engine.asarray([1.0, 2.0])
    square = engine.compile(lambda t: t * t)
    assert not square(x.clone().requires_grad_()).requires_grad
    np.testing.assert_array_equal(engine.to_numpy(derivative(square)(x)), [2, 4])
    np.testing.assert_array_equal(engine.to_numpy(engine.compile(derivative(square))(x)), [2, 4])
    np.testing.assert_allclose(engine.to_numpy(derivative(engine.remat(lambda t: square(engine.exp(t))))(x)), 2 * np.exp([2, 4]), rtol=1e-12)


def test_rematerialized_functions_work_under_plain_pytorch():
    square = engine.compile(lambda t: t * t)
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    engine.remat(lambda t: square(engine.exp(t)))(x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.exp([2, 4]), rtol=1e-6)


def test_a_custom_gradient_has_a_gradient():
    def cubed(t):
        y = engine.power(t, 3)
        return {"y": y, "index": engine.argmax(y, 0)}, lambda upstream: (5 * upstream["y"] * y,)  # wrong on purpose: 5 x**3

    x = engine.asarray([1.0, 2.0])
    slope = derivative(lambda t: engine.custom_gradient(cubed)(t)["y"])
    np.testing.assert_array_equal(engine.to_numpy(slope(x)), [5, 40])
    np.testing.assert_array_equal(engine.to_numpy(derivative(slope)(x)), [15, 60])
    np.testing.assert_array_equal(engine.to_numpy(derivative(derivative(slope))(x)), [30, 60])


def test_a_gradient_computes_on_this_engine_whatever_the_thread():
    """PyTorch runs the backward of CUDA tensors in threads of its own, where no engine was chosen."""
    from nyala.engines import current

    seen = []

    def function(t):
        return t * 2, lambda upstream: (seen.append(current().name) or upstream * 2,)

    gradients(lambda t: engine.sum(engine.custom_gradient(function)(t), (0,), False), np.ones(3))
    assert seen == ["torch"]
