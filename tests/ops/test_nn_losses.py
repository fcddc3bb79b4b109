# SPDX-License-Identifier: Apache-2.0
"""Cross-entropies against NumPy and SciPy in float64, from probabilities and from logits, and their ends."""

import numpy as np
import pytest
from scipy import special

from nyala import ops
from nyala.engines import backend, current
from tests.ops.table import Row, checks, engines, fixed, integers, normal, uniform


def inside(p):
    return np.clip(p, 1e-7, 1 - 1e-7)


def binary(target, output, from_logits=False):
    if from_logits:
        return -target * special.log_expit(output) - (1 - target) * special.log_expit(-output)
    return -target * np.log(inside(output)) - (1 - target) * np.log(1 - inside(output))


def logs(output, from_logits, axis):
    return special.log_softmax(output, axis) if from_logits else np.log(inside(output / output.sum(axis, keepdims=True)))


def categorical(target, output, from_logits=False, axis=-1):
    return -np.sum(target * logs(output, from_logits, axis), axis)


def sparse(target, output, from_logits=False, axis=-1):
    found = logs(output, from_logits, axis)
    target = target.reshape([n for i, n in enumerate(output.shape) if i != axis % output.ndim])
    return -np.take_along_axis(found, np.expand_dims(target, axis), axis).squeeze(axis)


LOGITS = {"from_logits": True}
WRONG = "needs target and output of one shape, got (2, 3) and (2, 5)."

ROWS = [
    Row(
        "binary_crossentropy",
        binary,
        [uniform(2, 3), uniform(2, 3, low=0.05, high=0.95)],
        dtype="float",
        takes="float",
        more=[([uniform(2, 3), normal(2, 3, scale=5.0)], LOGITS), ([fixed([0.0, 1.0]), fixed([-1000.0, -1000.0])], LOGITS)],
        errors=[([normal(2, 3), normal(2, 5)], {}, f"binary_crossentropy {WRONG}")],
    ),
    Row(
        "categorical_crossentropy",
        categorical,
        [uniform(2, 3), uniform(2, 3, low=0.05, high=0.95)],
        [{}, {"axis": 0}],
        dtype="float",
        takes="float",
        more=[([uniform(2, 3, 5), normal(2, 3, 5, scale=5.0)], {"from_logits": True, "axis": 1}), ([uniform(5), normal(5)], LOGITS)],
        errors=[([normal(2, 3), normal(2, 5)], {}, f"categorical_crossentropy {WRONG}")],
    ),
    Row(
        "sparse_categorical_crossentropy",
        sparse,
        [integers(2, low=0, high=5), uniform(2, 5, low=0.05, high=0.95)],
        dtype="float32",
        takes="",
        more=[
            ([integers(2, 7, low=0, high=5), normal(2, 7, 5, scale=5.0)], LOGITS),
            ([integers(2, 1, low=0, high=5), normal(2, 5)], LOGITS),
            ([integers(2, 7, low=0, high=3), normal(2, 3, 7)], {"from_logits": True, "axis": 1}),
        ],
        errors=[
            (
                [integers(3, low=0), normal(2, 5)],
                {},
                "sparse_categorical_crossentropy needs one integer for each row of classes, shape (2,), got target of shape (3,).\n"
                "  why: output has shape (2, 5) with classes along axis 1\n  fix: use categorical_crossentropy for one-hot targets",
            )
        ],
    ),
    Row(
        "psnr",
        lambda a, b, max_val: 20 * np.log10(max_val) - 10 * np.log10(np.mean((a - b) ** 2)),
        [normal(2, 3), normal(2, 3)],
        [{"max_val": 255.0}],
        dtype="float",
        takes="float",
    ),
]

globals().update(checks(ROWS))


@pytest.mark.parametrize("name", engines())
def test_ends(name):
    with backend(name):
        close = lambda x, y: np.testing.assert_allclose(ops.convert_to_numpy(x), y, rtol=2e-5)  # noqa: E731
        close(ops.binary_crossentropy([0.0, 1.0, 1.0], [0.0, 1.0, 0.0]), [1.1920929e-07, 1.1920929e-07, 16.118095])
        close(ops.binary_crossentropy([0.0, 1.0, 1.0], [-1000.0, 1000.0, -1000.0], True), [0.0, 0.0, 1000.0])
        close(ops.categorical_crossentropy([[0.0, 1.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 0.0]]), [16.118095, 16.118095])
        close(ops.categorical_crossentropy([[0.0, 1.0], [1.0, 0.0]], [[-np.inf, 2.0], [1000.0, -1000.0]], True), [0.0, 0.0])
        close(ops.sparse_categorical_crossentropy([1, 0, -1, 2], [[-np.inf, 2.0]] * 4, True), [0.0, np.inf, 0.0, 0.0])
        half = ops.binary_crossentropy(ops.cast([1.0, 0.0], "float16"), ops.cast([0.0, 1.0], "float16"))
        close(ops.cast(half, "float32"), [16.125, 15.945312])


@pytest.mark.parametrize("name", [name for name in engines() if name != "numpy"])
def test_gradient_of_logits_is_probability_less_target(name):
    x = np.array([[1000.0, -1000.0, 3.0], [0.5, -np.inf, 1.0]], "float32")
    target = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], "float32")
    with backend(name):
        for loss in (lambda x: ops.categorical_crossentropy(target, x, True), lambda x: ops.sparse_categorical_crossentropy([2, 0], x, True)):
            _, (gradient,) = current().value_and_grad(lambda xs, loss=loss: (ops.sum(loss(xs[0])), None))([current().asarray(x)])
            np.testing.assert_allclose(current().to_numpy(gradient), special.softmax(x, -1) - target, atol=1e-6)
