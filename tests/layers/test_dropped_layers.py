# SPDX-License-Identifier: Apache-2.0
"""Layers that Keras 3 dropped, with the arguments of Keras 1 and 2: contract, numbers, configs, errors."""

import numpy as np
import pytest

import nyala
from nyala import layers
from nyala.core.errors import ArgumentError, ShapeError
from nyala.testing import check_layer
from tests.layers.tools import array, close, normals, raises


@pytest.mark.parametrize(
    ("kind", "arguments", "shape"),
    [
        ("MaxoutDense", {"output_dim": 3, "nb_feature": 5, "W_regularizer": "l2"}, (2, 7)),
        ("Highway", {"activation": "tanh", "b_constraint": "non_neg"}, (2, 7)),
        ("RandomFourierFeatures", {"output_dim": 5, "trainable": True}, (2, 7)),
        ("RandomFourierFeatures", {"output_dim": 5, "kernel_initializer": "laplacian", "scale": 2.5}, (2, 7)),
        ("ThresholdedReLU", {"theta": 0.3}, (2, 7, 3)),
    ],
)
def test_contract(kind, arguments, shape):
    check_layer(getattr(layers, kind), arguments, normals(5, shape))


def with_weights(layer, x, *weights):
    layer(x)
    assert [w.shape for w in layer.weights] == [w.shape for w in weights]
    layer.set_weights(weights)
    return layer(x)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_maxout(each_engine, normal):
    x, w, b = normal(2, 7), normal(5, 7, 3), normal(5, 3)
    close(with_weights(layers.MaxoutDense(3, 5), x, w, b), np.max([x @ w[k] + b[k] for k in range(5)], axis=0))
    close(with_weights(layers.MaxoutDense(3, 5, bias=False), x, w), np.max([x @ w[k] for k in range(5)], axis=0))


def test_highway(each_engine, normal):
    x, (w, carry), (b, b_carry) = normal(2, 7), normal(2, 7, 7), normal(2, 7)
    gate = sigmoid(x @ carry + b_carry)
    close(with_weights(layers.Highway(activation="tanh"), x, w, carry, b, b_carry), gate * np.tanh(x @ w + b) + (1 - gate) * x)
    gate = sigmoid(x @ carry)
    close(with_weights(layers.Highway(bias=False), x, w, carry), gate * (x @ w) + (1 - gate) * x)


def test_highway_begins_with_an_open_gate(normal):
    layer = layers.Highway()
    layer(normal(2, 7))
    w, carry, b, b_carry = layer.get_weights()
    assert not np.allclose(w, carry)
    assert (b == 0).all() and (b_carry == 1).all()


def test_random_fourier_features(each_engine, normal):
    x, kernel, bias, scale = normal(2, 7), normal(7, 5), normal(5), np.array([1.7], "float32")
    layer = layers.RandomFourierFeatures(5)
    close(with_weights(layer, x, scale, kernel, bias), np.cos(x.astype("float64") @ kernel / 1.7 + bias))
    assert layer.trainable_weights == []
    assert [w.name for w in layer.weights] == ["kernel_scale", "unscaled_kernel", "bias"]
    layer.trainable = True
    assert [w.name for w in layer.trainable_weights] == ["kernel_scale"]


@pytest.mark.parametrize(
    ("kind", "scale", "kernel"),
    [
        ("gaussian", 2.0, lambda d: np.exp(-np.sum(d**2) / 8)),
        ("gaussian", None, lambda d: np.exp(-np.sum(d**2) / 5)),
        ("laplacian", 3.0, lambda d: np.exp(-np.sum(np.abs(d)) / 3)),
        ("Laplacian", None, lambda d: np.exp(-np.sum(np.abs(d)))),
    ],
)
def test_features_stand_for_a_kernel(normal, kind, scale, kernel):
    nyala.utils.set_random_seed(5)
    x = normal(2, 5) / 2
    z = array(layers.RandomFourierFeatures(100_003, kind, scale)(x))
    assert np.mean(z[0] * z[1]) == pytest.approx(kernel(x[0] - x[1]) / 2, abs=0.01)


def test_thresholded_relu(each_engine):
    x = np.array([-np.inf, -1.0, 0.0, 0.3, 0.30001, 2.0, np.inf, np.nan], "float32")
    np.testing.assert_array_equal(array(layers.ThresholdedReLU(0.3)(x)), np.array([0, 0, 0, 0, x[4], 2, np.inf, np.nan], "float64"))


def test_configs():
    """Keys as Keras 2 wrote them; first weights are no part of a config."""
    common = {"init", "W_regularizer", "b_regularizer", "activity_regularizer", "W_constraint", "b_constraint", "bias", "input_dim"}
    base = {"name", "trainable", "dtype"}
    layer = layers.MaxoutDense(3, weights=[np.zeros((4, 7, 3)), np.ones((4, 3))], input_dim=7)
    assert set(layer.get_config()) == base | common | {"output_dim", "nb_feature"}
    assert set(layers.Highway().get_config()) == base | common | {"activation"}
    assert layers.ThresholdedReLU(2).get_config()["theta"] == 2.0
    config = layers.RandomFourierFeatures(3, "Gaussian").get_config()
    assert (config["kernel_initializer"], config["scale"], config["trainable"]) == ("gaussian", None, False)


def test_first_weights_and_input_dim():
    layer = layers.MaxoutDense(1, 2, weights=[np.array([[[1.0]], [[-1.0]]]), np.array([[0.0], [0.5]])], input_dim=1)
    model = nyala.Sequential([layer])
    assert model.input_shape == (None, 1)
    close(layer([[2.0], [-2.0]]), [[2.0], [2.5]])


def test_errors(normal):
    with raises(ArgumentError, "MaxoutDense(nb_feature) needs a positive integer, got 0."):
        layers.MaxoutDense(3, 0)
    with raises(ArgumentError, "RandomFourierFeatures(scale) needs a number above 0, or None, got -1.0."):
        layers.RandomFourierFeatures(3, scale=-1.0)
    text = "RandomFourierFeatures(kernel_initializer) needs one of 'gaussian', 'laplacian', got 'cauchy'.\n  fix: pass an initializer for others"
    with raises(ArgumentError, text):
        layers.RandomFourierFeatures(3, "cauchy")
    with raises(ArgumentError, "ThresholdedReLU(theta) needs a number from 0, got None."):
        layers.ThresholdedReLU(None)
    with pytest.raises(ShapeError) as info:
        layers.Highway(name="h")(normal(2, 3, 5))
    assert str(info.value).startswith("Highway 'h' needs an input with 2 axes, got 3 (shape (2, 3, 5)).")
