# SPDX-License-Identifier: Apache-2.0
"""Dropout, noise and penalties on activity: contract, statistics, shapes of the noise, errors."""

import numpy as np
import pytest

from nyala import layers
from nyala.core.errors import ArgumentError
from nyala.testing import check_layer
from tests.layers.tools import array, close, normals, raises

TRAINING = {"call": {"training": True}, "batch_independent": False}


@pytest.mark.parametrize(
    ("kind", "arguments", "shape", "options"),
    [
        ("Dropout", {"rate": 0.5}, (2, 5), TRAINING),
        ("Dropout", {"rate": 0.3, "noise_shape": (None, 1, 3), "seed": 7}, (2, 5, 3), TRAINING),
        ("SpatialDropout1D", {"rate": 0.5}, (2, 5, 3), {"unknown": (1,)}),
        ("SpatialDropout2D", {"rate": 0.5, "data_format": "channels_first"}, (2, 5, 3, 3), TRAINING),
        ("SpatialDropout3D", {"rate": 0.5}, (2, 5, 3, 2, 3), TRAINING),
        ("GaussianNoise", {"stddev": 0.5}, (2, 5), {**TRAINING, "mixed": False}),
        ("GaussianDropout", {"rate": 0.5}, (2, 5), {**TRAINING, "mixed": False, "gradients": False}),  # other noise in float64
        ("ActivityRegularization", {"l1": 0.1, "l2": 0.2}, (2, 5), {}),
    ],
)
def test_contract(kind, arguments, shape, options):
    check_layer(getattr(layers, kind), arguments, normals(41, shape), **options)


@pytest.mark.parametrize("make", [layers.Dropout, layers.SpatialDropout1D, layers.GaussianDropout, layers.GaussianNoise])
def test_nothing_happens_in_inference_nor_at_0(each_engine, normal, make):
    x = normal(2, 5, 3)
    np.testing.assert_array_equal(array(make(0.5)(x)), x)
    np.testing.assert_array_equal(array(make(0.0)(x, training=True)), x)


def test_dropout(each_engine):
    x = np.full((50, 200), 3.0, "float32")
    layer = layers.Dropout(0.25, seed=5)
    y = array(layer(x, training=True))
    np.testing.assert_allclose(np.unique(y), [0, 4], rtol=1e-6)
    assert abs((y == 0).mean() - 0.25) < 0.02
    assert (array(layer(x, training=True)) != y).any()
    np.testing.assert_array_equal(array(layers.Dropout(0.25, seed=5)(x, training=True)), y)
    close(layers.Dropout(1.0)(x, training=True), np.zeros_like(x))


@pytest.mark.parametrize(
    ("layer", "shape", "shared"),
    [
        (lambda: layers.Dropout(0.5, noise_shape=(None, 1, 7)), (5, 3, 7), (1,)),
        (lambda: layers.SpatialDropout1D(0.5), (5, 3, 7), (1,)),
        (lambda: layers.SpatialDropout2D(0.5), (5, 2, 3, 7), (1, 2)),
        (lambda: layers.SpatialDropout2D(0.5, "channels_first"), (5, 7, 2, 3), (2, 3)),
        (lambda: layers.SpatialDropout3D(0.5), (5, 2, 3, 2, 7), (1, 2, 3)),
    ],
)
def test_axes_share_their_toss(each_engine, layer, shape, shared):
    y = array(layer()(np.full(shape, 1.0, "float32"), training=True))
    assert set(np.unique(y)) == {0.0, 2.0}
    np.testing.assert_array_equal(y, np.broadcast_to(y.max(axis=shared, keepdims=True), shape))
    assert 0 < y.max(axis=shared).mean() < 2


def test_noise(each_engine):
    x = np.full((100, 200), 3.0, "float32")
    added = array(layers.GaussianNoise(2.0, seed=3)(x, training=True)) - 3
    times = array(layers.GaussianDropout(0.2, seed=3)(x, training=True)) / 3
    assert abs(added.mean()) < 0.05
    assert abs(added.std() - 2) < 0.05
    assert abs(times.mean() - 1) < 0.02
    assert abs(times.std() - 0.5) < 0.02


def test_activity_regularization(each_engine, normal):
    x, layer = normal(3, 5), layers.ActivityRegularization(l1=0.1, l2=0.3)
    np.testing.assert_array_equal(array(layer(x)), x)
    wide = x.astype("float64")
    close(layer.losses[0], (0.1 * np.abs(wide).sum() + 0.3 * np.square(wide).sum()) / 3)
    assert "activity_regularizer" not in layer.get_config()


def test_errors(normal):
    for build, where in [
        (lambda: layers.Dropout(1.5), "Dropout(rate)"),
        (lambda: layers.SpatialDropout2D(1.5), "SpatialDropout2D(rate)"),
        (lambda: layers.GaussianDropout(1.5), "GaussianDropout(rate)"),
    ]:
        with raises(ArgumentError, f"{where} needs a number from 0 to 1, got 1.5."):
            build()
    with raises(ArgumentError, "GaussianDropout(rate) needs a number from 0, below 1, got 1.0.\n  why: the noise has variance rate / (1 - rate)"):
        layers.GaussianDropout(1.0)
    with raises(ArgumentError, "GaussianNoise(stddev) needs a number from 0, got -0.5."):
        layers.GaussianNoise(-0.5)
    with raises(ArgumentError, "Dropout(noise_shape) needs a tuple of positive integers and None, got (0, 2)."):
        layers.Dropout(0.5, noise_shape=(0, 2))
    with raises(ArgumentError, "Dropout 'd' needs an input with 3 axes, as noise_shape (None, 1, 3), got 2 axes."):
        layers.Dropout(0.5, noise_shape=(None, 1, 3), name="d")(normal(2, 3), training=True)
