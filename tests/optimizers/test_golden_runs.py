# SPDX-License-Identifier: Apache-2.0
"""30 recorded steps of Keras for each optimizer with clipping, weight decay and averages on and off, and for loss scaling. Start at run.

NYALA_BACKEND chooses the engine; by default the quick one without compiling, since test_rules compares the engines with each other.
"""

import os

import numpy as np
import pytest

import nyala
from nyala import optimizers
from tests.golden.store import build, read

CASES = read("optimizer_runs")
GIVEN = CASES.pop("given")
RUNS = [name for name, case in CASES.items() if "optimizer" in case]
SCALED = [name for name in CASES if name not in RUNS]


@pytest.fixture(autouse=True)
def engine():
    with nyala.backend(os.environ.get("NYALA_BACKEND", "numpy")):
        yield


def variables():
    return [nyala.Variable(value, name=name) for name, value in zip(GIVEN["names"], GIVEN["start"], strict=True)]


def close(got, expected, what, tolerance):
    for name, a, b in zip(GIVEN["names"], got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=f"{name} {what}")


def run(optimizer, weights):
    """The values of the weights after each step."""
    seen = []
    for step in range(len(GIVEN["gradients"][0])):
        optimizer.apply([nyala.ops.convert_to_tensor(g[step]) for g in GIVEN["gradients"]], weights)
        seen.append([w.numpy() for w in weights])
    return seen


@pytest.mark.parametrize("name", RUNS)
def test_optimizer(name):
    case, weights = CASES[name], variables()
    tolerance = 1e-4 if name.startswith(("Muon", "Lamb", "Adafactor")) else 3e-5
    optimizer = build(nyala, case["optimizer"])
    if case["optimizer"]["args"]["weight_decay"]:
        optimizer.exclude_from_weight_decay(var_names=["left"])
    seen = run(optimizer, weights)
    for place, step in enumerate(GIVEN["shown"]):
        close(seen[step], [values[place] for values in case["shown"]], f"after step {step + 1}", tolerance)
    optimizer.finalize_variable_values(weights)
    close([w.numpy() for w in weights], case["final"], "at the end", tolerance)


@pytest.mark.parametrize("name", SCALED)
def test_loss_scale(name):
    """Gradients of inf and nan leave a step out and halve the scale; three good ones in a row double it."""
    case, weights = CASES[name], variables()
    optimizer = optimizers.LossScaleOptimizer(build(nyala, case["inner"]), initial_scale=64.0, dynamic_growth_steps=3)
    optimizer.build(weights)
    for step, row in enumerate(case["rows"]):
        bad = {4: np.inf, 5: np.nan, 15: -np.inf}.get(step, 0.0)
        scale = np.float32(float(optimizer.dynamic_scale))
        before = [w.numpy() for w in weights]
        optimizer.apply(
            [nyala.ops.convert_to_tensor(g[step] * scale + np.float32(bad if i == 1 else 0)) for i, g in enumerate(GIVEN["gradients"])], weights
        )
        got = [float(optimizer.dynamic_scale), int(optimizer.step_counter), int(optimizer.iterations)]
        assert got == row.tolist(), f"scale, counter, updates after step {step + 1}"
        assert all(np.array_equal(a, w.numpy()) for a, w in zip(before, weights, strict=True)) == bool(bad)
    close([w.numpy() for w in weights], case["final"], "at the end", 3e-5)
