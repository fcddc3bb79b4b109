# SPDX-License-Identifier: Apache-2.0
"""nyala.random: distributions by Kolmogorov-Smirnov and chi-square tests with fixed seeds, equality of engines, laws and errors."""

import numpy as np
import pytest
from scipy import stats

import nyala
from nyala import ops, random
from nyala.engines import backend
from nyala.random.bits import open_units
from nyala.random.discrete import _scale_bits
from tests.ops.table import engines

N = 20_000
each_engine = pytest.mark.parametrize("name", engines())

# A draw of N numbers, and the distribution that they must follow.
CONTINUOUS = {
    "uniform": (lambda seed: random.uniform((N,), seed=seed), stats.uniform()),
    "uniform between": (lambda seed: random.uniform((N,), -2.0, 5.0, seed=seed), stats.uniform(-2, 7)),
    "uniform float16": (lambda seed: random.uniform((N,), dtype="float16", seed=seed), stats.uniform()),
    "normal": (lambda seed: random.normal((N,), 3.0, 2.0, seed=seed), stats.norm(3, 2)),
    "truncated normal": (lambda seed: random.truncated_normal((N,), 3.0, 2.0, seed=seed), stats.truncnorm(-2, 2, 3, 2)),
    "gamma": (lambda seed: random.gamma((N,), 2.5, seed=seed), stats.gamma(2.5)),
    "gamma below 1": (lambda seed: random.gamma((N,), 0.3, seed=seed), stats.gamma(0.3)),
    "beta": (lambda seed: random.beta((N,), 2.0, 0.7, seed=seed), stats.beta(2, 0.7)),
}
DISCRETE = {
    "randint": (lambda seed: random.randint((N,), -5, 8, seed=seed), stats.randint(-5, 8)),
    "randint of tensors": (lambda seed: random.randint((N,), ops.array([2]), ops.array([9]), seed=seed), stats.randint(2, 9)),
    "randint uint8": (lambda seed: random.randint((N,), 0, 7, "uint8", seed=seed), stats.randint(0, 7)),
    "binomial": (lambda seed: random.binomial((N,), 7, 0.3, seed=seed), stats.binom(7, 0.3)),
    "binomial of many": (lambda seed: random.binomial((N,), 300, 0.7, seed=seed), stats.binom(300, 0.7)),
    "categorical": (
        lambda seed: random.categorical(np.log([[0.1, 0.2, 0.7]]).astype("float32"), N, seed=seed),
        stats.rv_discrete(values=([0, 1, 2], [0.1, 0.2, 0.7])),
    ),
}


def draw(name, function, seed):
    with backend(name):
        return ops.convert_to_numpy(function(seed)).astype("float64").ravel()


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("kind", CONTINUOUS)
def test_continuous(kind, seed):
    function, distribution = CONTINUOUS[kind]
    values = draw("numpy", function, seed)
    assert stats.kstest(values, distribution.cdf).pvalue > 1e-3
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 4 / np.sqrt(N)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("kind", DISCRETE)
def test_discrete(kind, seed):
    function, distribution = DISCRETE[kind]
    values = draw("numpy", function, seed)
    low, high = int(values.min()), int(values.max())
    expected = distribution.pmf(np.arange(low, high + 1)) * N
    found = np.bincount((values - low).astype(int), minlength=len(expected))
    common = expected > 5
    expected, found = np.append(expected[common], N - expected[common].sum() + 1e-9), np.append(found[common], N - found[common].sum())
    if expected[-1] < 1:
        assert found[-1] < 10
        expected, found = expected[:-1], found[:-1]
    assert stats.chisquare(found, expected * found.sum() / expected.sum()).pvalue > 1e-3


@pytest.mark.parametrize("name", [name for name in engines() if name != "numpy"])
@pytest.mark.parametrize("kind", [*CONTINUOUS, *DISCRETE])
def test_the_same_on_every_engine(name, kind):
    """Bits are equal; floats to rounding, which may turn a rejection (hence all but one in a thousand)."""
    function, _ = {**CONTINUOUS, **DISCRETE}[kind]
    ours, theirs = draw(name, function, 5), draw("numpy", function, 5)
    alike = np.isclose(ours, theirs, rtol=2e-6, atol=2e-6)
    assert alike.mean() > (0.999 if kind in ("binomial of many", "categorical", "gamma", "beta") else 0.9999999)


@each_engine
def test_seeds(name):
    with backend(name):
        numbers = lambda x: ops.convert_to_numpy(x).tolist()  # noqa: E731
        assert numbers(random.uniform((3,), seed=1)) == numbers(random.uniform((3,), seed=1)) != numbers(random.uniform((3,), seed=2))
        assert numbers(random.uniform((3,))) != numbers(random.uniform((3,)))
        one, other = random.SeedGenerator(4), random.SeedGenerator(4)
        first = [numbers(random.normal((3,), seed=one)) for _ in range(3)]
        assert first == [numbers(random.normal((3,), seed=other)) for _ in range(3)]
        assert first[0] != first[1] != first[2]
        nyala.utils.set_random_seed(9)
        before = numbers(random.normal((3,)))
        nyala.utils.set_random_seed(9)
        assert before == numbers(random.normal((3,)))
        drawn = nyala.jit(lambda: random.uniform((2,), seed=one))
        assert numbers(drawn()) != numbers(drawn())


@each_engine
def test_ranges_and_dtypes(name):
    with backend(name):
        for dtype in ("float16", "bfloat16", "float32"):
            values = ops.convert_to_numpy(ops.cast(random.uniform((N,), dtype=dtype, seed=3), "float32"))
            assert ops.dtype(random.uniform((2,), dtype=dtype, seed=3)) == dtype
            assert values.min() >= 0.0 and values.max() < 1.0
            assert abs(values.mean() - 0.5) < 0.01
            assert ops.dtype(random.normal((2,), dtype=dtype)) == ops.dtype(random.gamma((2,), 1.0, dtype)) == dtype
        bounded = ops.convert_to_numpy(random.uniform((N,), 1.0, float(np.nextafter(np.float32(1), np.float32(2))), seed=1))
        assert set(bounded.tolist()) == {1.0}
        inner = ops.convert_to_numpy(random.truncated_normal((N,), seed=1))
        assert 1.9 < inner.max() <= 2.0 and -2.0 <= inner.min() < -1.9
        wide = ops.convert_to_numpy(random.randint((N,), -(2**31), 2**31 - 1, seed=1)).astype("float64")
        assert stats.kstest((wide + 2**31) / 2**32, "uniform").pvalue > 1e-3
        assert ops.convert_to_numpy(random.randint((3,), 5, 5, "int8")).tolist() == [5, 5, 5]
        strange = ops.convert_to_numpy(random.binomial((5,), [0, 5, 5, 3, -1], [0.5, 0.0, 1.0, 2.0, 0.5], seed=1))
        np.testing.assert_array_equal(strange, [0, 0, 5, np.nan, np.nan])
        assert np.isnan(ops.convert_to_numpy(random.gamma((2,), [-1.0, 0.0]))).all()
        assert random.normal((2, 3), mean=[1.0, 2.0, 3.0]).shape == (2, 3)
        assert random.uniform(4).shape == (4,) and random.uniform(()).shape == () and random.normal((0, 3)).shape == (0, 3)
        assert ops.dtype(random.categorical([[0.0, 1.0]], 3, "int8")) == "int8"


def test_units_of_the_open_interval_are_symmetric():
    with backend("numpy"):
        values = open_units(np.array([1, 2], "uint32"), (N,), "float32")
    assert values.min() > 0.0 and values.max() < 1.0
    assert ((values.astype("float64") * 2**24) % 2 == 1).all()  # hence 1 - value is drawn as often


@each_engine
def test_bits_are_scaled_exactly(name):
    """As with integers of any length, carries included."""
    g = np.random.default_rng(0)
    high, low, span = (g.integers(0, 2**32, 2000, dtype="uint32") for _ in range(3))
    with backend(name):
        found = ops.convert_to_numpy(_scale_bits(*(ops.convert_to_tensor(x) for x in (high, low, span)))).tolist()
    assert found == [(((int(h) << 32) + int(w)) * int(s)) >> 64 for h, w, s in zip(high, low, span, strict=True)]


@each_engine
def test_dropout(name):
    x = np.random.default_rng(0).normal(size=(200, 100)).astype("float32") + 5
    with backend(name):
        result = ops.convert_to_numpy(random.dropout(x, 0.3, seed=1))
        kept = result != 0
        np.testing.assert_allclose(result[kept], (x / 0.7)[kept], rtol=1e-6)
        assert stats.binomtest(int(kept.sum()), x.size, 0.7).pvalue > 1e-3
        rows = ops.convert_to_numpy(random.dropout(x, 0.5, noise_shape=(None, 1), seed=1)) != 0
        assert (rows.all(1) | ~rows.any(1)).all() and 0 < rows[:, 0].mean() < 1
        np.testing.assert_array_equal(ops.convert_to_numpy(random.dropout(x, 0.0)), x)
        assert not ops.convert_to_numpy(random.dropout(x, 1.0)).any()
        assert ops.dtype(random.dropout(ops.cast(x, "float16"), 0.5)) == "float16"


@each_engine
def test_shuffle(name):
    x = np.arange(5000).reshape(1000, 5)
    with backend(name):
        result = ops.convert_to_numpy(random.shuffle(x, seed=1))
        across = ops.convert_to_numpy(random.shuffle(x[:3], axis=-1, seed=1))
    np.testing.assert_array_equal(result[np.argsort(result[:, 0])], x)
    assert abs(stats.spearmanr(result[:, 0], x[:, 0]).statistic) < 0.13
    np.testing.assert_array_equal(np.sort(across, -1), x[:3])


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: random.normal((2, None)),
            "normal(shape) needs sizes from 0, got (2, None).\n  fix: take unknown sizes from ops.shape(x) inside a layer",
        ),
        (lambda: random.uniform((2,), dtype="int32"), "uniform(dtype) needs a float dtype, got 'int32'.\n  fix: use random.randint for integers"),
        (
            lambda: random.randint((2,), 0, 5, "float32"),
            "randint(dtype) needs an integer dtype, got 'float32'.\n  fix: use random.uniform for floats",
        ),
        (lambda: random.randint((2,), 0, 2**40), "randint needs minval and maxval less than 2**32 apart, got 0 and 1099511627776."),
        (lambda: random.normal((2, 3), mean=[1.0, 2.0]), "normal(mean) needs a number, or a shape that broadcasts to (2, 3), got shape (2,)."),
        (lambda: random.normal((2,), seed="a"), "seed needs an integer from 0, a SeedGenerator, a key of two uint32, or None, got 'a'."),
        (lambda: random.categorical([0.0, 1.0], 2), "categorical(logits) needs shape (b, c), got shape (2,)."),
        (lambda: random.dropout([1.0], 1.5), "dropout(rate) needs a number from 0 to 1, got 1.5."),
        (lambda: random.dropout([[1.0]], 0.5, (2, 1)), "dropout(noise_shape) needs for each axis of shape (1, 1) its size, 1 or None, got (2, 1)."),
        (lambda: random.shuffle([1, 2], axis=1), "shuffle(axis) needs an axis in [-1, 1), got 1.\n  why: the tensor has 1 axes"),
    ],
)
def test_errors(call, text):
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == text


@each_engine
def test_a_shape_may_be_a_tensor(name):
    with backend(name):
        expected = ops.convert_to_numpy(random.normal((2, 3), seed=1))
        for shape in (ops.convert_to_tensor([2, 3]), np.asarray([2, 3])):
            np.testing.assert_array_equal(ops.convert_to_numpy(random.normal(shape, seed=1)), expected)
        assert random.uniform(ops.convert_to_tensor(5), seed=1).shape == (5,)
        with pytest.raises(ValueError, match=r"normal\(shape\) needs sizes from 0"):
            random.normal(ops.convert_to_tensor([2.0, 3.0]))
