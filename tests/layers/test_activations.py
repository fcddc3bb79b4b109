# SPDX-License-Identifier: Apache-2.0
"""Activation layers: contract, numbers, errors."""

import numpy as np
import pytest
from scipy import special

from nyala import layers
from nyala.core.errors import ArgumentError, ShapeError
from nyala.testing import check_layer
from tests.layers.tools import close, mask_of, normals, raises

MASK = np.array([[[1, 0, 1, 1, 0]] * 3, [[1, 1, 0, 1, 1]] * 3], bool)


@pytest.mark.parametrize(
    ("kind", "arguments", "shape", "options"),
    [
        ("Activation", {"activation": "gelu"}, (2, 5), {"unknown": (1,)}),
        ("ELU", {"alpha": 0.5}, (2, 5), {"unknown": (1,)}),
        ("LeakyReLU", {"negative_slope": 0.2}, (2, 5), {}),
        ("ReLU", {"max_value": 1.0, "negative_slope": 0.1, "threshold": 0.2}, (2, 5), {}),
        ("PReLU", {"shared_axes": (1,), "alpha_regularizer": "l1"}, (2, 5, 3), {"unknown": (1,)}),
        ("Softmax", {}, (2, 5), {"unknown": (1,)}),
        ("Softmax", {"axis": (1, 2)}, (2, 3, 5), {"call": {"mask": MASK}}),
    ],
)
def test_contract(kind, arguments, shape, options):
    check_layer(getattr(layers, kind), arguments, normals(33, shape), **options)


def test_numbers(each_engine, normal):
    x = 3 * normal(2, 3, 5)
    wide = x.astype("float64")
    for layer, expected in [
        (layers.Activation("tanh"), np.tanh(wide)),
        (layers.Activation(lambda x: x * 2.0), 2 * wide),
        (layers.ELU(0.3), np.where(wide > 0, wide, 0.3 * np.expm1(wide))),
        (layers.LeakyReLU(0.05), np.where(wide > 0, wide, 0.05 * wide)),
        (layers.LeakyReLU(alpha=0.2), np.where(wide > 0, wide, 0.2 * wide)),
        (layers.ReLU(max_value=2.0, negative_slope=0.1, threshold=0.5), np.minimum(np.where(wide >= 0.5, wide, 0.1 * (wide - 0.5)), 2.0)),
        (layers.Softmax(axis=1), special.softmax(wide, axis=1)),
        (layers.Softmax(axis=[1, 2]), special.softmax(wide, axis=(1, 2))),
    ]:
        close(layer(x), expected)


def test_prelu(each_engine, normal):
    x, alpha = normal(2, 3, 5, 7), normal(1, 5, 1)
    layer = layers.PReLU(shared_axes=[1, 3])
    layer(x)
    layer.set_weights([alpha])
    close(layer(x), np.where(x > 0, x, alpha.astype("float64") * x))


@pytest.mark.parametrize("axis", [-1, [1, 2]])
def test_softmax_of_what_counts(each_engine, normal, axis):
    x, axes = normal(2, 3, 5), (2,) if axis == -1 else (1, 2)
    weights = np.exp(x.astype("float64")) * MASK
    close(layers.Softmax(axis)(x, mask=MASK), weights / weights.sum(axis=axes, keepdims=True))
    close(layers.Softmax(axis)(x, mask=np.zeros_like(MASK)), np.zeros(x.shape))


def test_masks_pass(normal):
    x = np.concatenate([normal(2, 3, 5), np.zeros((2, 2, 5), "float32")], axis=1)
    for layer in (
        layers.ReLU(),
        layers.Activation("tanh"),
        layers.PReLU(),
        layers.ELU(),
        layers.LeakyReLU(),
        layers.Dropout(0.5),
        layers.GaussianNoise(0.5),
    ):
        np.testing.assert_array_equal(mask_of(layer(layers.Masking()(x))), [[True, True, True, False, False]] * 2)


def test_errors():
    for build, where in [
        (lambda: layers.LeakyReLU(-1), "LeakyReLU(negative_slope)"),
        (lambda: layers.ReLU(max_value=-1), "ReLU(max_value)"),
        (lambda: layers.ReLU(negative_slope=-1), "ReLU(negative_slope)"),
        (lambda: layers.ReLU(threshold=-1), "ReLU(threshold)"),
    ]:
        with raises(ArgumentError, f"{where} needs a number from 0, got -1."):
            build()
    fix = "name it in shared_axes, or give the input a known size"
    with raises(ShapeError, f"PReLU 'p' needs known sizes beside the batch and the shared axes, got shape (None, None, 3).\n  fix: {fix}"):
        layers.PReLU(name="p")(layers.Input((None, 3)))
