# SPDX-License-Identifier: Apache-2.0
"""Asks Keras about initializers: exact values where there are any, else the law of the draw. Start at make.

A draw cannot be compared number by number. Of each law the maker computes by itself the standard deviation and bounds that the fans of
the shape imply, checks that the oracle's draws obey them, and stores them with the oracle's own statistics.
"""

import keras
import numpy as np

from tests.golden.store import Store, build, new
from tests.golden.tools import config_of

BIG = [(503, 401), (401, 503), (5, 43, 211), (3, 5, 61, 101), (2, 3, 5, 43, 61)]
ODD = [(2,), (1,), (3, 5), (7, 2), (3, 1, 1), (2, 3, 5, 7), (1, 1, 1, 1, 3)]
EXACT = [
    (new("initializers.Zeros"), [(), (3,), (2, 5)]),
    (new("initializers.Ones"), [(), (3,), (2, 5)]),
    (new("initializers.Constant", value=-1.5), [(), (3,), (2, 5)]),
    (new("initializers.Identity"), [(3, 3), (3, 5), (5, 2)]),
    (new("initializers.Identity", gain=2.5), [(3, 5)]),
    (new("initializers.STFT"), [(4, 1, 3)]),
    (new("initializers.STFT", side="imag", window="hamming", scaling="spectrum", periodic=True), [(4, 1, 3)]),
]
TRUNCATED = 0.87962566103423978  # standard deviation of a unit normal cut at two deviations


def fans(shape):
    """Inputs and outputs of one unit: a kernel's leading axes are its window."""
    if len(shape) == 1:
        return shape[0], shape[0]
    window = int(np.prod(shape[:-2], dtype=int))
    return shape[-2] * window, shape[-1] * window


def scaling(scale, mode, distribution, shape):
    """Standard deviation and greatest magnitude of VarianceScaling."""
    fan_in, fan_out = fans(shape)
    variance = scale / max(1.0, {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode])
    deviation = variance**0.5
    if distribution == "uniform":
        return deviation, (3 * variance) ** 0.5
    return deviation, 2 * deviation / TRUNCATED if distribution == "truncated_normal" else None


NAMED = {"Glorot": (1.0, "fan_avg"), "He": (2.0, "fan_in"), "Lecun": (1.0, "fan_in")}


def laws():
    """(spec, shape -> (mean, deviation, lowest, highest))."""

    def law(scale, mode, distribution):
        def of(shape):
            deviation, limit = scaling(scale, mode, distribution, shape)
            return 0.0, deviation, None if limit is None else -limit, limit

        return of

    for name, (scale, mode) in NAMED.items():
        yield new(f"initializers.{name}Normal", seed=7), law(scale, mode, "truncated_normal")
        yield new(f"initializers.{name}Uniform", seed=7), law(scale, mode, "uniform")
    for mode in ["fan_in", "fan_out", "fan_avg"]:
        for distribution in ["truncated_normal", "untruncated_normal", "uniform"]:
            yield (new("initializers.VarianceScaling", scale=1.7, mode=mode, distribution=distribution, seed=7), law(1.7, mode, distribution))
    yield new("initializers.RandomNormal", mean=0.3, stddev=0.5, seed=7), lambda shape: (0.3, 0.5, None, None)
    yield new("initializers.TruncatedNormal", mean=0.3, stddev=0.5, seed=7), lambda shape: (0.3, 0.5 * TRUNCATED, 0.3 - 1.0, 0.3 + 1.0)
    yield new("initializers.RandomUniform", minval=-0.2, maxval=0.6, seed=7), lambda shape: (0.2, 0.8 / 12**0.5, -0.2, 0.6)


def label_of(spec, shape):
    arguments = ",".join(f"{key}={value}" for key, value in spec["args"].items() if key != "seed") or "plain"
    return f"{spec['new'].split('.')[-1]}/{arguments}/{'x'.join(map(str, shape)) or 'scalar'}"


def make():
    store = Store("initializers")
    for spec, shapes in EXACT:
        for shape in shapes:
            thing = build(keras, spec)
            store.add(label_of(spec, shape), thing=spec, shape=list(shape), exact=np.asarray(thing(shape)), config=config_of(thing))
    for spec, law in laws():
        for shape in BIG + ODD:
            thing = build(keras, spec)
            x = np.asarray(thing(shape), "float64")
            mean, deviation, low, high = law(shape)
            if shape in BIG:
                assert abs(x.mean() - mean) < 5 * deviation / x.size**0.5, label_of(spec, shape)
                assert abs(x.std() / deviation - 1) < 0.01, (label_of(spec, shape), x.std(), deviation)
            assert low is None or (x.min() >= low * (1 + 1e-6) - 1e-6 and x.max() <= high * (1 + 1e-6) + 1e-6), label_of(spec, shape)
            store.add(
                label_of(spec, shape),
                thing=spec,
                shape=list(shape),
                config=config_of(thing),
                law={"mean": mean, "deviation": deviation, "low": low, "high": high},
                drawn={"mean": x.mean(), "deviation": x.std(), "low": x.min(), "high": x.max()},
            )
    for shape in [(7, 5), (5, 7), (11, 11), (3, 2, 5), (2, 3, 5, 7)]:
        for gain in [1.0, 1.7]:
            spec = new("initializers.Orthogonal", gain=gain, seed=7)
            x = np.asarray(build(keras, spec)(shape), "float64").reshape(-1, shape[-1])
            product = x.T @ x if x.shape[0] >= x.shape[1] else x @ x.T
            assert np.allclose(product, gain**2 * np.eye(len(product)), atol=1e-5), shape
            store.add(label_of(spec, shape), thing=spec, shape=list(shape), orthogonal=gain, config=config_of(build(keras, spec)))
    return store
