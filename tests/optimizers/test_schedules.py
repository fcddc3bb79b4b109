# SPDX-License-Identifier: Apache-2.0
"""Learning-rate schedules against their formulas in float64, inside compiled steps, configs and errors."""

import math

import numpy as np
import pytest

import nyala
from nyala import ops, optimizers
from nyala.engines import get_engine
from nyala.optimizers import schedules
from nyala.testing import installed_engines

ENGINES = [engine.name for engine in installed_engines()]
STEPS = [0, 1, 2, 3, 4, 5, 6, 7, 10, 12, 13, 14, 26, 27, 35, 40, 100]


def cosine(x):
    return (1 + math.cos(math.pi * x)) / 2


def restarts(t, first, t_mul, m_mul):
    length, high = float(first), 1.0
    while t >= length - 1e-9:
        t, length, high = t - length, length * t_mul, high * m_mul
    return high * cosine(t / length)


ROWS = [
    (schedules.ExponentialDecay(0.1, 7, 0.6), lambda t: 0.1 * 0.6 ** (t / 7)),
    (schedules.ExponentialDecay(0.1, 7, 0.6, staircase=True), lambda t: 0.1 * 0.6 ** (t // 7)),
    (schedules.InverseTimeDecay(0.1, 7, 0.6), lambda t: 0.1 / (1 + 0.6 * t / 7)),
    (schedules.InverseTimeDecay(0.1, 7, 0.6, staircase=True), lambda t: 0.1 / (1 + 0.6 * (t // 7))),
    (schedules.PiecewiseConstantDecay([3, 12], [1.0, 0.5, 0.1]), lambda t: 1.0 if t <= 3 else 0.5 if t <= 12 else 0.1),
    (schedules.PolynomialDecay(0.1, 13, 0.01, 2.5), lambda t: 0.09 * (1 - min(t, 13) / 13) ** 2.5 + 0.01),
    (schedules.PolynomialDecay(0.1, 13, 0.01, 0.5, cycle=True), lambda t: 0.09 * (1 - t / (13 * max(1, math.ceil(t / 13)))) ** 0.5 + 0.01),
    (schedules.CosineDecay(0.1, 13, 0.2), lambda t: 0.1 * (0.8 * cosine(min(t / 13, 1)) + 0.2)),
    (
        schedules.CosineDecay(0.02, 13, 0.2, warmup_target=0.1, warmup_steps=5),
        lambda t: 0.02 + 0.08 * t / 5 if t < 5 else 0.1 * (0.8 * cosine(min((t - 5) / 13, 1)) + 0.2),
    ),
    (schedules.CosineDecayRestarts(0.1, 5, alpha=0.1), lambda t: 0.1 * (0.9 * restarts(t, 5, 2.0, 1.0) + 0.1)),
    (schedules.CosineDecayRestarts(0.1, 5, 1.5, 0.8, 0.1), lambda t: 0.1 * (0.9 * restarts(t, 5, 1.5, 0.8) + 0.1)),
    (schedules.CosineDecayRestarts(0.1, 5, 1.0, 0.9), lambda t: 0.1 * restarts(t, 5, 1.0, 0.9)),
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("schedule", "oracle"), ROWS)
def test_values(schedule, oracle, engine):
    with nyala.backend(engine):
        here = get_engine(engine)
        for t in STEPS:
            for step in (t, here.asarray(np.int32(t)), nyala.Variable(t)):
                rate = here.to_numpy(here.asarray(schedule(step)))
                assert rate.shape == () and rate.dtype == np.float32
                np.testing.assert_allclose(rate, oracle(t), rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("schedule", "oracle"), ROWS[:5])
def test_inside_a_compiled_step(schedule, oracle, engine):
    with nyala.backend(engine):
        here = get_engine(engine)
        variable = nyala.Variable(0.0)
        optimizer = optimizers.SGD(schedule)
        step = nyala.jit(lambda g: optimizer.apply([g], [variable]))
        for _ in range(15):
            step(here.asarray(np.float32(1.0)))
        np.testing.assert_allclose(variable.numpy(), -sum(oracle(t) for t in range(15)), rtol=1e-5)
        np.testing.assert_allclose(float(optimizer.learning_rate), oracle(15), rtol=1e-5)


@pytest.mark.parametrize("schedule", [row[0] for row in ROWS])
def test_configs_round_trip(schedule):
    config = schedules.serialize(schedule)
    assert config["module"] == "keras.optimizers.schedules" and "name" in config["config"]
    assert schedules.deserialize(config).get_config() == schedule.get_config()


class Root(schedules.LearningRateSchedule):
    def __init__(self, scale):
        self.scale = scale

    def __call__(self, step):
        return self.scale * (ops.cast(step, "float32") + 1) ** -0.5


@pytest.mark.parametrize("engine", ENGINES)
def test_a_user_defined_schedule(engine):
    with nyala.backend(engine):
        variable = nyala.Variable(1.0)
        optimizer = optimizers.SGD(Root(0.5))
        for _ in range(4):
            optimizer.apply([1.0], [variable])
        np.testing.assert_allclose(variable.numpy(), 1 - 0.5 * sum((t + 1) ** -0.5 for t in range(4)), rtol=1e-5)
    copy = optimizers.deserialize(optimizers.serialize(optimizer), {"Root": Root})
    assert copy.get_config()["learning_rate"]["config"] == {"scale": 0.5}


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: schedules.ExponentialDecay(0.1, 0, 0.5), "ExponentialDecay(decay_steps) needs a number of steps above 0, got 0."),
        (lambda: schedules.InverseTimeDecay(0.1, 0, 0.5), "InverseTimeDecay(decay_steps) needs a number of steps above 0, got 0."),
        (lambda: schedules.PolynomialDecay(0.1, -1), "PolynomialDecay(decay_steps) needs a number of steps above 0, got -1."),
        (lambda: schedules.CosineDecay(0.1, 0), "CosineDecay(decay_steps) needs a number of steps above 0, got 0."),
        (lambda: schedules.CosineDecayRestarts(0.1, 0), "CosineDecayRestarts(first_decay_steps) needs a number of steps above 0, got 0."),
        (
            lambda: schedules.PiecewiseConstantDecay([1, 2], [0.1, 0.2]),
            "PiecewiseConstantDecay needs one more value than boundaries, got 2 boundaries and 2 values.",
        ),
        (
            lambda: schedules.PiecewiseConstantDecay([2, 1], [0.1, 0.2, 0.3]),
            "PiecewiseConstantDecay(boundaries) needs steps in ascending order, got [2, 1].",
        ),
    ],
)
def test_errors_teach(call, text):
    with pytest.raises(ValueError) as error:
        call()
    assert str(error.value) == text
