# SPDX-License-Identifier: Apache-2.0
"""Initializers: laws of the draws, exact values, equal bits on every engine, names, configs and errors."""

import math

import numpy as np
import pytest
from scipy import signal, stats

import nyala
from nyala import initializers
from nyala.core.seeds import set_random_seed
from nyala.engines import get_engine, using
from nyala.initializers.scaling import compute_fans
from nyala.random import SeedGenerator
from nyala.testing import installed_engines

ENGINES = [engine.name for engine in installed_engines()]
RANDOM = [
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "LecunNormal",
    "LecunUniform",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
]
LIMIT = 2 / 0.87962566103423978


def draw(initializer, shape, dtype=None):
    with nyala.backend("numpy"):
        return np.asarray(initializer(shape, dtype=dtype))


@pytest.mark.parametrize("name", RANDOM)
def test_every_engine_starts_with_equal_bits(name):
    reference = None
    for engine in ENGINES:
        with using(get_engine(engine)):
            values = get_engine(engine).to_numpy(getattr(initializers, name)(seed=5)((7, 3)))
        assert values.dtype == np.float32
        reference = values if reference is None else reference
        assert values.tobytes() == reference.tobytes()


@pytest.mark.parametrize(
    ("initializer", "distribution"),
    [
        (initializers.RandomNormal(0.3, 0.5, seed=2), stats.norm(0.3, 0.5)),
        (initializers.RandomUniform(-0.2, 0.6, seed=2), stats.uniform(-0.2, 0.8)),
        (initializers.TruncatedNormal(0.3, 0.5, seed=2), stats.truncnorm(-2, 2, 0.3, 0.5)),
        (initializers.GlorotUniform(seed=2), stats.uniform(-math.sqrt(6 / 348), 2 * math.sqrt(6 / 348))),
        (initializers.GlorotNormal(seed=2), stats.truncnorm(-2, 2, 0, math.sqrt(2 / 348) * LIMIT / 2)),
        (initializers.HeUniform(seed=2), stats.uniform(-math.sqrt(6 / 101), 2 * math.sqrt(6 / 101))),
        (initializers.HeNormal(seed=2), stats.truncnorm(-2, 2, 0, math.sqrt(2 / 101) * LIMIT / 2)),
        (initializers.LecunUniform(seed=2), stats.uniform(-math.sqrt(3 / 101), 2 * math.sqrt(3 / 101))),
        (initializers.LecunNormal(seed=2), stats.truncnorm(-2, 2, 0, math.sqrt(1 / 101) * LIMIT / 2)),
        (initializers.VarianceScaling(3.0, "fan_out", "untruncated_normal", seed=2), stats.norm(0, math.sqrt(3 / 247))),
    ],
)
def test_draws_follow_their_distribution(initializer, distribution):
    values = draw(initializer, (101, 247)).ravel()
    assert stats.kstest(values, distribution.cdf).pvalue > 1e-3
    low, high = distribution.support()
    assert low - 1e-6 <= values.min() and values.max() <= high + 1e-6
    assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 0.03


def test_a_wrong_width_is_found():
    values = draw(initializers.RandomNormal(0.3, 0.5, seed=2), (101, 247)).ravel()
    assert stats.kstest(values, stats.norm(0.3, 0.55).cdf).pvalue < 1e-6


@pytest.mark.parametrize(
    ("shape", "axes", "fans"),
    [
        ((), {}, (1, 1)),
        ((5,), {}, (5, 5)),
        ((5, 7), {}, (5, 7)),
        ((3, 5, 7), {}, (15, 21)),
        ((2, 3, 5, 7), {}, (30, 42)),
        ((2, 3, 5, 7), {"input_axes": [0, 1], "output_axes": [2, 3]}, (6, 35)),
        ((2, 3, 5, 7), {"input_axes": [-4], "output_axes": [-1]}, (2, 7)),
        ((2, 3, 5, 7), {"input_axes": [0]}, (30, 42)),
    ],
)
def test_fans(shape, axes, fans):
    assert compute_fans(shape, **axes) == fans


def test_one_object_repeats_and_its_clone_does_not():
    first = initializers.RandomNormal()
    assert np.array_equal(draw(first, (5,)), draw(first, (5,)))
    assert not np.array_equal(draw(first, (5,)), draw(first.clone(), (5,)))
    assert first.get_config()["seed"] is None
    seeded = initializers.RandomNormal(seed=3)
    assert np.array_equal(draw(seeded, (5,)), draw(seeded.clone(), (5,)))
    assert not np.array_equal(draw(seeded, (5,)), draw(initializers.RandomNormal(seed=4), (5,)))


def test_set_random_seed_repeats_unseeded_objects():
    set_random_seed(11)
    first = draw(initializers.HeNormal(), (5, 3))
    set_random_seed(11)
    assert np.array_equal(first, draw(initializers.HeNormal(), (5, 3)))


def test_a_seed_generator_gives_new_values_each_call():
    initializer = initializers.RandomUniform(seed=SeedGenerator(3))
    first, second = draw(initializer, (5,)), draw(initializer, (5,))
    assert not np.array_equal(first, second)
    assert np.array_equal(first, draw(initializers.RandomUniform(seed=SeedGenerator(3)), (5,)))


@pytest.mark.parametrize("shape", [(7, 5), (5, 7), (3, 2, 5), (2, 3, 2, 7)])
def test_orthogonal(shape):
    q = draw(initializers.Orthogonal(1.7, seed=3), shape, "float64").reshape(-1, shape[-1])
    product = q.T @ q if q.shape[0] >= q.shape[1] else q @ q.T
    np.testing.assert_allclose(product, 1.7**2 * np.eye(len(product)), atol=1e-12)


def test_orthogonal_is_drawn_evenly():
    angles = [math.atan2(*draw(initializers.Orthogonal(seed=i), (2, 2))[::-1, 0]) for i in range(500)]
    assert stats.kstest(angles, stats.uniform(-math.pi, 2 * math.pi).cdf).pvalue > 1e-3


def test_exact_values():
    np.testing.assert_array_equal(draw(initializers.Zeros(), (2, 3)), np.zeros((2, 3)))
    np.testing.assert_array_equal(draw(initializers.Ones(), (2,), "int32"), np.array([1, 1], "int32"))
    np.testing.assert_array_equal(draw(initializers.Ones(), (2,), "bool"), [True, True])
    np.testing.assert_array_equal(draw(initializers.Constant(-1.5), (3,)), [-1.5] * 3)
    np.testing.assert_array_equal(draw(initializers.Constant(np.array([1.0, 2.0])), (3, 2)), [[1, 2]] * 3)
    np.testing.assert_array_equal(draw(initializers.Identity(2.0), (2, 3)), [[2, 0, 0], [0, 2, 0]])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_dtypes(dtype):
    assert draw(initializers.GlorotUniform(seed=1), (5, 3), dtype).dtype.name == dtype
    reference = draw(initializers.GlorotUniform(seed=1), (5, 3))
    if dtype != "float64":
        np.testing.assert_allclose(draw(initializers.GlorotUniform(seed=1), (5, 3), dtype).astype("float32"), reference, rtol=1e-2)


@pytest.mark.parametrize("window", ["hann", "hamming", "blackman", "nuttall", "blackmanharris", "flattop", "bartlett", "boxcar", None])
@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("scaling", ["density", "spectrum", None])
@pytest.mark.parametrize("side", ["real", "imag"])
def test_stft_kernels_compute_a_fourier_transform(side, scaling, periodic, window):
    x = np.random.default_rng(3).normal(size=7)
    kernel = draw(initializers.STFT(side, window, scaling, periodic), (7, 1, 6), "float64")[:, 0, :]
    weights = np.ones(7) if window is None else signal.get_window(window, 7, fftbins=periodic)
    if window is not None:
        weights = weights / {"density": np.sqrt(np.sum(weights**2)), "spectrum": np.sum(weights), None: 1.0}[scaling]
    wanted = np.exp(-2j * np.pi * np.outer(np.arange(6), np.arange(7)) / 10) @ (weights * x)
    np.testing.assert_allclose(x @ kernel, wanted.real if side == "real" else wanted.imag, atol=1e-6)


def test_names_and_configs():
    for name in [
        "uniform",
        "normal",
        "zero",
        "one",
        "zeros",
        "ones",
        "glorot_uniform",
        "lecun_uniform",
        "he_normal",
        "orthogonal",
        "identity",
        "GlorotUniform",
        "stft",
    ]:
        assert isinstance(initializers.get(name), initializers.Initializer)
    for name in initializers.__all__:
        assert callable(getattr(initializers, name)), name  # and not a file of that name
    assert initializers.zeros is initializers.Zeros and initializers.constant is initializers.Constant
    assert initializers.get("IdentityInitializer").get_config() == {}
    assert initializers.get(None) is None
    function = lambda shape, dtype=None: np.zeros(shape, dtype)  # noqa: E731
    assert initializers.get(function) is function
    assert np.array_equal(draw(initializers.get(np.array([1.0, 2.0])), (2,)), [1, 2])
    assert initializers.get({"class_name": "glorot_uniform", "config": {"seed": 3}}).seed == 3
    assert initializers.serialize(initializers.HeNormal(seed=3)) == {
        "module": "keras.initializers",
        "class_name": "HeNormal",
        "config": {"seed": 3, "input_axes": None, "output_axes": None},
        "registered_name": None,
    }


@pytest.mark.parametrize(
    "initializer",
    [
        initializers.Constant(np.array([1.0, 2.0])),
        initializers.Identity(3.0),
        initializers.VarianceScaling(2.0, "fan_avg", "uniform", 3, [0], [1]),
        initializers.Orthogonal(2.0, 5),
        initializers.STFT("imag", "hamming", None, True),
    ],
)
def test_configs_round_trip(initializer):
    copy = initializers.deserialize(initializers.serialize(initializer))
    shape = (3, 1, 5) if isinstance(initializer, initializers.STFT) else (2, 2)
    np.testing.assert_array_equal(draw(copy, shape), draw(initializer, shape))


class Ramp(initializers.Initializer):
    def __init__(self, step=1.0):
        self.step = step

    def __call__(self, shape, dtype=None):
        return self.step * np.arange(math.prod(shape), dtype=dtype).reshape(shape)


def test_a_user_defined_class():
    variable = nyala.Variable(initializers.get(Ramp(2.0)), shape=(2, 3))
    np.testing.assert_array_equal(variable.numpy(), [[0, 2, 4], [6, 8, 10]])
    copy = initializers.deserialize(initializers.serialize(Ramp(2.0)), {"Ramp": Ramp})
    assert copy.step == 2.0


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: initializers.VarianceScaling(0.0), "VarianceScaling(scale) needs a number above 0, got 0.0."),
        (lambda: initializers.VarianceScaling(mode="fan"), "VarianceScaling(mode) needs one of ('fan_in', 'fan_out', 'fan_avg'), got 'fan'."),
        (
            lambda: initializers.VarianceScaling(distribution="beta"),
            "VarianceScaling(distribution) needs one of ('truncated_normal', 'untruncated_normal', 'uniform'), got 'beta'.",
        ),
        (lambda: initializers.HeNormal(seed="a"), "HeNormal(seed) needs an integer from 0, a SeedGenerator, or None, got 'a'."),
        (
            lambda: initializers.HeNormal()((2,), "int32"),
            "HeNormal needs a float dtype, got 'int32'.\n  why: it draws real numbers\n  fix: draw floats and cast them",
        ),
        (
            lambda: initializers.Identity()((2,)),
            "Identity needs a shape of two axes, got (2,).\n  why: only a matrix has a diagonal\n  fix: use Orthogonal for kernels of more axes",
        ),
        (
            lambda: initializers.Orthogonal()((2,)),
            "Orthogonal needs a shape of two or more axes, got (2,).\n  why: it makes the rows or columns of a matrix orthogonal",
        ),
        (
            lambda: initializers.Constant([1.0, 2.0])((3,)),
            "Constant needs a value that broadcasts to (3,), got shape (2,).\n  why: that is the shape of the weight",
        ),
        (lambda: initializers.STFT("both"), "STFT(side) needs 'real' or 'imag', got 'both'."),
        (
            lambda: initializers.STFT(window="round"),
            "STFT(window) needs one of ['bartlett', 'blackman', 'blackmanharris', 'boxcar', 'flattop', 'hamming', 'hann', 'nuttall'], "
            "an array or None, got 'round'.",
        ),
        (lambda: initializers.STFT(scaling="x"), "STFT(scaling) needs 'density', 'spectrum' or None, got 'x'."),
        (
            lambda: initializers.STFT()((3, 2, 5)),
            "STFT needs a shape (time, 1, frequencies), got (3, 2, 5).\n  why: it fills the kernel of a convolution over one channel",
        ),
        (
            lambda: initializers.STFT(window=np.ones(4))((3, 1, 5)),
            "STFT(window) needs an array of shape (3,), as long as the kernel, got shape (4,).",
        ),
        (
            lambda: initializers.get("he_norml"),
            "initializer needs a name known in nyala.initializers, got 'he_norml'.\n  fix: did you mean 'he_normal'",
        ),
    ],
)
def test_errors_teach(call, text):
    with pytest.raises((ValueError, TypeError)) as error:
        call()
    assert str(error.value).startswith(text) if "did you mean" in text else str(error.value) == text
