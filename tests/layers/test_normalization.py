# SPDX-License-Identifier: Apache-2.0
"""BatchNormalization and LayerNormalization: contract, numbers, state, errors."""

import numpy as np
import pytest

from nyala import layers
from nyala.core.errors import ArgumentError, ShapeError
from nyala.testing import check_layer
from tests.layers.tools import array, close, normals, raises

MASK = np.array([[1, 1, 0], [1, 0, 1], [1, 1, 1], [0, 1, 0], [1, 0, 0]], bool)
TRAINING = {"call": {"training": True}, "batch_independent": False}


@pytest.mark.parametrize(
    ("kind", "arguments", "shape", "options"),
    [
        ("BatchNormalization", {"gamma_regularizer": "l2"}, (5, 3), TRAINING),
        ("BatchNormalization", {"axis": 1, "momentum": 0.7}, (5, 3, 2), TRAINING),
        ("BatchNormalization", {"renorm": True, "renorm_clipping": {"rmax": 1.5, "dmax": 0.5}}, (5, 3, 2), {**TRAINING, "gradients": False}),
        ("BatchNormalization", {"scale": False}, (5, 3, 2), {"call": {"training": True, "mask": MASK}, "batch_independent": False}),
        ("BatchNormalization", {"axis": 1, "center": False}, (5, 3, 2), {"unknown": (2,)}),
        ("LayerNormalization", {}, (2, 5, 3), {"unknown": (1,)}),
        ("LayerNormalization", {"axis": [1, 3], "beta_initializer": "ones"}, (2, 5, 3, 2), {"unknown": (2,)}),
        ("LayerNormalization", {"rms_scaling": True}, (2, 5, 3), {}),
    ],
)
def test_contract(kind, arguments, shape, options):
    check_layer(getattr(layers, kind), arguments, normals(7, shape), **options)


def made(layer, x, weights):
    layer(x)
    layer.set_weights(weights)
    return layer


@pytest.mark.parametrize(("axis", "mask"), [(-1, None), (1, None), (-1, MASK)])
def test_batch_normalization(each_engine, normal, axis, mask):
    x = 3 * normal(5, 3, 2) + 2
    channels = x.shape[axis]
    gamma, beta, mean, variance = normal(channels), normal(channels), normal(channels), np.abs(normal(channels)) + 0.5
    layer = made(layers.BatchNormalization(axis=axis, momentum=0.7, epsilon=0.1), x, [gamma, beta, mean, variance])
    wide = np.moveaxis(x.astype("float64"), axis, -1)
    counted = wide.reshape(-1, channels) if mask is None else wide[mask]
    batch_mean, batch_variance = counted.mean(axis=0), counted.var(axis=0)
    back = lambda y: np.moveaxis(y, -1, axis)  # noqa: E731
    close(layer(x, mask=mask), back((wide - mean) / np.sqrt(variance + 0.1) * gamma + beta))
    close(layer(x, training=True, mask=mask), back((wide - batch_mean) / np.sqrt(batch_variance + 0.1) * gamma + beta))
    np.testing.assert_allclose(layer.get_weights()[2], 0.7 * mean + 0.3 * batch_mean, rtol=1e-5)
    np.testing.assert_allclose(layer.get_weights()[3], 0.7 * variance + 0.3 * batch_variance, rtol=1e-5)


def test_frozen_batch_normalization_infers(normal):
    x, layer = normal(5, 3), layers.BatchNormalization()
    layer(x, training=True)
    layer.trainable = False
    before = layer.get_weights()
    np.testing.assert_array_equal(array(layer(x, training=True)), array(layer(x, training=False)))
    for old, new in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_renormalization(each_engine, normal):
    """r and d correct the batch by the statistics before it; moving_variance follows moving_stddev."""
    x, clipping = 2 * normal(5, 3) + 1, {"rmax": 1.6, "rmin": 0.9, "dmax": 0.4}
    layer = layers.BatchNormalization(renorm=True, renorm_clipping=clipping, renorm_momentum=0.6, momentum=0.8, epsilon=0.1)
    layer(x)
    names = [w.name for w in layer.weights]
    assert names == ["gamma", "beta", "moving_mean", "moving_variance", "moving_stddev", "renorm_mean", "renorm_stddev"]
    gamma, beta, mean, mean_for_d = (normal(3) for _ in range(4))
    variance, stddev = (np.abs(normal(3)) + 0.5 for _ in range(2))
    stddev_for_r = np.array([0.5, 9.0, 1.6], "float32")  # so that rmax and rmin bind
    layer.set_weights([gamma, beta, mean, variance, stddev, mean_for_d, stddev_for_r])
    batch_mean, batch_stddev = x.astype("float64").mean(0), np.sqrt(x.astype("float64").var(0) + 0.1)
    r = np.clip(batch_stddev / stddev_for_r, 0.9, 1.6)
    assert {0.9, 1.6} <= set(r)
    d = np.clip((batch_mean - mean_for_d) / stddev_for_r, -0.4, 0.4)
    close(layer(x, training=True), ((x - batch_mean) / batch_stddev * r + d) * gamma + beta)
    moved = 0.8 * stddev + 0.2 * batch_stddev
    after = [0.8 * mean + 0.2 * batch_mean, moved**2 - 0.1, moved, 0.6 * mean_for_d + 0.4 * batch_mean, 0.6 * stddev_for_r + 0.4 * batch_stddev]
    for value, expected in zip(layer.get_weights()[2:], after, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5)


def test_float16_does_not_overflow(each_engine, normal):
    x = (1000 * normal(7, 3)).astype("float32")
    for layer in (layers.BatchNormalization(dtype="mixed_float16"), layers.LayerNormalization(dtype="mixed_float16", axis=0)):
        y = array(layer(x, training=True) if isinstance(layer, layers.BatchNormalization) else layer(x))
        np.testing.assert_allclose(y, (x - x.mean(0)) / x.std(0), atol=5e-3)
        assert {w.dtype for w in layer.weights} == {"float32"}


@pytest.mark.parametrize("axis", [-1, 1, [1, 2], [1, 3]])
@pytest.mark.parametrize("rms_scaling", [False, True])
def test_layer_normalization(each_engine, normal, axis, rms_scaling):
    x = normal(2, 3, 5, 7)
    axes = tuple(a % 4 for a in ([axis] if isinstance(axis, int) else axis))
    shape = [x.shape[a] for a in axes]
    weights = [normal(*shape)] if rms_scaling else [normal(*shape), normal(*shape)]
    layer = made(layers.LayerNormalization(axis=axis, epsilon=0.1, rms_scaling=rms_scaling), x, weights)
    wide = x.astype("float64")
    gamma, beta = (np.reshape(w, [n if i in axes else 1 for i, n in enumerate(x.shape)]) for w in (weights[0], weights[-1]))
    variance = wide.var(axes, keepdims=True) + 0.1
    close(layer(x), wide / np.sqrt(variance) * gamma if rms_scaling else (wide - wide.mean(axes, keepdims=True)) / np.sqrt(variance) * gamma + beta)


def test_errors(normal):
    fix = "the axis of the channels: -1, or 1 for channels_first"
    with raises(ArgumentError, f"BatchNormalization(axis) needs one integer, got [1, 2].\n  fix: {fix}"):
        layers.BatchNormalization(axis=[1, 2])
    with raises(ArgumentError, "BatchNormalization(renorm_clipping) needs keys among ('rmax', 'rmin', 'dmax'), got ['max']."):
        layers.BatchNormalization(renorm=True, renorm_clipping={"max": 2.0})
    with raises(
        ShapeError, "BatchNormalization 'norm' needs a known size of axis -1, got shape (None, 3, None).\n  why: it has one scale per channel"
    ):
        layers.BatchNormalization(name="norm")(layers.Input((3, None)))
    with raises(ArgumentError, "LayerNormalization(axis) needs an integer or several, got 1.5."):
        layers.LayerNormalization(axis=1.5)
    with raises(IndexError, "LayerNormalization 'norm' (axis) needs an axis in [-3, 3), got 3.\n  why: the tensor has 3 axes"):
        layers.LayerNormalization(axis=3, name="norm")(normal(2, 3, 5))
    why = "its weights have one number for each place there"
    with raises(ShapeError, f"LayerNormalization 'norm' needs known sizes of axis [1], got shape (None, None, 3).\n  why: {why}"):
        layers.LayerNormalization(axis=1, name="norm")(layers.Input((None, 3)))
