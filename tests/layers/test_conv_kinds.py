# SPDX-License-Identifier: Apache-2.0
"""Transposed, depthwise and separable convolutions, and adaptive pooling, as layers: contract, numbers against loops, laws, errors."""

import numpy as np
import pytest

from nyala import layers, ops
from nyala.core.errors import ArgumentError, ShapeError
from nyala.testing import check_layer
from tests.layers.tools import array, close, normals, raises
from tests.ops.test_nn_windows import adaptive_pool, conv_transpose, depthwise_conv, separable_conv

FIRST = "channels_first"


@pytest.mark.parametrize(
    ("kind", "arguments", "shape", "unknown"),
    [
        ("Conv1DTranspose", {"filters": 3, "kernel_size": 3, "strides": 2, "output_padding": 1, "data_format": FIRST}, (2, 2, 5), (2,)),
        ("Conv2DTranspose", {"filters": 3, "kernel_size": (3, 2), "padding": "same", "strides": (2, 1), "activation": "tanh"}, (2, 3, 5, 2), (1, 2)),
        ("Conv3DTranspose", {"filters": 2, "kernel_size": 2, "dilation_rate": 2, "use_bias": False}, (2, 2, 3, 2, 3), (1, 2, 3)),
        ("DepthwiseConv1D", {"kernel_size": 3, "padding": "causal", "depth_multiplier": 2, "depthwise_regularizer": "l2"}, (2, 7, 2), (1,)),
        ("DepthwiseConv2D", {"kernel_size": (3, 2), "strides": 2, "dilation_rate": (1, 2), "data_format": FIRST}, (2, 3, 5, 7), (2, 3)),
        ("SeparableConv1D", {"filters": 3, "kernel_size": 2, "depth_multiplier": 2, "activation": "tanh"}, (2, 7, 2), (1,)),
        ("SeparableConv2D", {"filters": 3, "kernel_size": (3, 2), "strides": (2, 1), "padding": "same", "data_format": FIRST}, (2, 2, 5, 7), (2, 3)),
        ("AdaptiveAveragePooling2D", {"output_size": (3, 2)}, (2, 7, 5, 3), (1, 2)),
        ("AdaptiveMaxPooling3D", {"output_size": 2, "data_format": FIRST}, (2, 3, 5, 3, 2), (2, 3, 4)),
    ],
)
def test_contract(kind, arguments, shape, unknown):
    check_layer(getattr(layers, kind), arguments, normals(5, shape), unknown=unknown)


def compared(kind, oracle, x, weights, arguments, options, data_format):
    """The layer with these weights equals the oracle of its op plus the bias, in both data formats."""
    given = np.moveaxis(x, -1, 1) if data_format == FIRST else x
    layer = getattr(layers, kind)(**arguments, data_format=data_format)
    layer(given)
    assert [w.shape for w in layer.weights] == [w.shape for w in weights]
    layer.set_weights(weights)
    *kernels, bias = (w.astype("float64") for w in weights)
    expected = oracle(x.astype("float64"), *kernels, **options) + bias
    close(layer(given), np.moveaxis(expected, -1, 1) if data_format == FIRST else expected)


@pytest.mark.parametrize("data_format", ["channels_last", FIRST])
@pytest.mark.parametrize(
    ("sizes", "kernel", "options"),
    [
        ((5,), (3,), {"strides": (2,), "padding": "same"}),
        ((5,), (2,), {"strides": (3,), "output_padding": (2,)}),
        ((5,), (3,), {"dilation_rate": (2,), "padding": "same"}),
        ((3, 5), (3, 2), {"strides": (2, 3), "padding": "same", "output_padding": (1, 0)}),
        ((3, 5), (2, 3), {"strides": (1, 2)}),
        ((2, 3, 2), (2, 1, 3), {"strides": (1, 2, 2), "padding": "same"}),
    ],
)
def test_transposed(each_engine, normal, sizes, kernel, options, data_format):
    weights = [normal(*kernel, 5, 3), normal(5)]
    arguments = {"filters": 5, "kernel_size": kernel, **options}
    compared(f"Conv{len(sizes)}DTranspose", conv_transpose, normal(2, *sizes, 3), weights, arguments, options, data_format)


@pytest.mark.parametrize("data_format", ["channels_last", FIRST])
@pytest.mark.parametrize(
    ("sizes", "kernel", "options"),
    [
        ((7,), (3,), {"strides": (2,), "padding": "same"}),
        ((7,), (2,), {"padding": "causal", "dilation_rate": (3,)}),
        ((5, 7), (3, 2), {"strides": (1, 2)}),
        ((5, 7), (2, 3), {"padding": "same", "dilation_rate": (2, 1)}),
    ],
)
def test_depthwise_and_separable(each_engine, normal, sizes, kernel, options, data_format):
    x, arguments = normal(2, *sizes, 3), {"kernel_size": kernel, "depth_multiplier": 2, **options}
    depthwise = normal(*kernel, 3, 2)
    compared(f"DepthwiseConv{len(sizes)}D", depthwise_conv, x, [depthwise, normal(6)], arguments, options, data_format)
    weights = [depthwise, normal(*(1,) * len(sizes), 6, 5), normal(5)]
    compared(f"SeparableConv{len(sizes)}D", separable_conv, x, weights, {"filters": 5, **arguments}, options, data_format)


@pytest.mark.parametrize("data_format", ["channels_last", FIRST])
@pytest.mark.parametrize(("sizes", "counts"), [((7,), (3,)), ((7, 5), (3, 5)), ((5, 3, 2), (2, 1, 3))])
def test_adaptive_pooling(each_engine, normal, sizes, counts, data_format):
    x = normal(2, *sizes, 3)
    given = np.moveaxis(x, -1, 1) if data_format == FIRST else x
    for kind, reduce in (("Average", np.mean), ("Max", np.max)):
        expected = adaptive_pool(reduce)(x.astype("float64"), counts)
        layer = getattr(layers, f"Adaptive{kind}Pooling{len(sizes)}D")(counts, data_format)
        close(layer(given), np.moveaxis(expected, -1, 1) if data_format == FIRST else expected)


def test_a_transposed_layer_undoes_the_sizes_of_its_convolution(normal):
    for padding, strides in (("same", 2), ("same", 3), ("valid", 1)):
        there = layers.Conv2D(5, 3, strides=strides, padding=padding)(normal(2, 6, 12, 3))
        assert layers.Conv2DTranspose(3, 3, strides=strides, padding=padding)(there).shape == (2, 6, 12, 3)


def test_separable_is_depthwise_then_pointwise(normal):
    x = normal(2, 5, 7, 3)
    layer, first = layers.SeparableConv2D(4, 2, use_bias=False), layers.DepthwiseConv2D(2, use_bias=False)
    second = layers.Conv2D(4, 1, use_bias=False)
    expected = layer(x)
    second(first(x))
    first.set_weights(layer.get_weights()[:1])
    second.set_weights(layer.get_weights()[1:])
    close(second(first(x)), array(expected))


def test_a_subclass_may_change_the_kernel(normal):
    class Standardized(layers.Conv2D):
        def convolution_op(self, inputs, kernel):
            mean, variance = ops.moments(kernel, axes=[0, 1, 2], keepdims=True)
            return super().convolution_op(inputs, (kernel - mean) / ops.sqrt(variance + 1e-10))

    x, layer, plain = normal(2, 5, 7, 3), Standardized(4, (3, 2), activation="tanh"), layers.Conv2D(4, (3, 2), activation="tanh")
    layer(x), plain(x)
    kernel, bias = layer.get_weights()
    plain.set_weights([(kernel - kernel.mean((0, 1, 2))) / kernel.std((0, 1, 2)), bias])
    close(layer(x), array(plain(x)))


def test_unknown_sizes():
    assert layers.Conv2DTranspose(5, 3, strides=2)(layers.Input((None, 7, 3))).shape == (None, None, 15, 5)
    assert layers.AdaptiveMaxPooling2D((2, 3))(layers.Input((None, None, 3))).shape == (None, 2, 3, 3)
    assert layers.DepthwiseConv1D(3, depth_multiplier=2)(layers.Input((None, 3))).shape == (None, None, 6)


def test_aliases():
    for rank in (1, 2, 3):
        assert getattr(layers, f"Convolution{rank}DTranspose") is getattr(layers, f"Conv{rank}DTranspose")
    assert (layers.SeparableConvolution1D, layers.SeparableConvolution2D) == (layers.SeparableConv1D, layers.SeparableConv2D)


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (
            lambda: layers.Conv2DTranspose(4, 3, strides=(2, 3), output_padding=2),
            "Conv2DTranspose(output_padding) needs less than strides=(2, 3) in each axis, got (2, 2).\n"
            "  why: a convolution with these strides loses fewer places than that at the end of its input",
        ),
        (
            lambda: layers.Conv1DTranspose(4, 3, output_padding=-1),
            "Conv1DTranspose(output_padding) needs an integer or 1 integer, each at least 0, got -1.",
        ),
        (lambda: layers.Conv1DTranspose(4, 3, padding="causal"), "Conv1DTranspose(padding) needs one of 'valid', 'same', got 'causal'."),
        (
            lambda: layers.Conv2DTranspose(4, 3, strides=2, dilation_rate=3),
            "Conv2DTranspose needs strides or dilation_rate, the other one 1, got strides=(2, 2) and dilation_rate=(3, 3).\n"
            "  why: their combination is not defined in Keras",
        ),
        (lambda: layers.DepthwiseConv2D(3, depth_multiplier=0), "DepthwiseConv2D(depth_multiplier) needs a positive integer, got 0."),
        (lambda: layers.SeparableConv2D(0, 3), "SeparableConv2D(filters) needs a positive integer, got 0."),
        (
            lambda: layers.AdaptiveMaxPooling2D((2, None)),
            "AdaptiveMaxPooling2D(output_size) needs an integer or 2 integers, each at least 1, got (2, None).",
        ),
    ],
)
def test_argument_errors(build, text):
    with raises(ArgumentError, text):
        build()


def test_unknown_channels():
    why = "its kernel has one weight per channel"
    with raises(ShapeError, f"SeparableConv1D 'edges' needs a known number of channels, got shape (None, 5, None).\n  why: {why}"):
        layers.SeparableConv1D(4, 2, name="edges")(layers.Input((5, None)))
