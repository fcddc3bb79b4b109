# SPDX-License-Identifier: Apache-2.0
"""Losses under masks, metrics over uneven batches and under masks, against recorded answers of Keras. NYALA_BACKEND chooses the engine."""

import os

import numpy as np
import pytest

import nyala
from nyala.core.masks import set_mask
from tests.golden.store import build, leaves, read

CASES = read("streams")


@pytest.fixture(autouse=True)
def engine():
    with nyala.backend(os.environ.get("NYALA_BACKEND", "numpy")):
        yield


def kind(name):
    return pytest.mark.parametrize("name", [case for case in CASES if case.startswith(f"{name}/")])


def masked(y_pred, mask):
    """A tensor of its own that carries the mask."""
    tensor = nyala.ops.convert_to_tensor(y_pred)
    set_mask(tensor, nyala.ops.convert_to_tensor(mask))
    return tensor


def close(got, expected, what):
    got, expected = leaves(got), leaves(expected)
    assert len(got) == len(expected)
    for a, b in zip(got, expected, strict=True):
        a = nyala.ops.convert_to_numpy(a)
        assert a.shape == b.shape, what
        np.testing.assert_allclose(a, b, rtol=3e-5, atol=1e-6, err_msg=what)


@kind("losses")
def test_a_loss_under_a_mask(name):
    case = CASES[name]
    for key, expected in case["values"].items():
        reduction, weight = key.split("/")
        reduction = None if reduction == "None" else reduction
        loss = getattr(nyala.losses, case["loss"])(reduction=reduction, **case["arguments"])
        close(loss(case["y_true"], masked(case["y_pred"], case["mask"]), case["weights"][weight]), expected, key)


@kind("metrics")
def test_a_metric_over_uneven_batches(name):
    case = CASES[name]
    metric = build(nyala, case["metric"])
    for update in case["updates"]:
        metric.update_state(*update["args"], **update["kwargs"])
    close(metric.result(), case["result"], name)


@kind("masked_metrics")
def test_a_metric_under_a_mask(name):
    case = CASES[name]
    metric = build(nyala, case["metric"])
    for update in case["updates"]:
        y_true, y_pred = update["args"]
        metric.update_state(y_true, masked(y_pred, update["mask"]), **update["kwargs"])
    close(metric.result(), case["result"], name)
