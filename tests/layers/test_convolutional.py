# SPDX-License-Identifier: Apache-2.0
"""Conv1D to 3D and LocallyConnected1D and 2D: contract, numbers against loops, errors."""

from itertools import product

import numpy as np
import pytest

from nyala import layers
from nyala.core.errors import ArgumentError, ShapeError
from nyala.testing import check_layer
from tests.layers.tools import close, normals, raises

KINDS = {1: "Conv1D", 2: "Conv2D", 3: "Conv3D"}


@pytest.mark.parametrize(
    ("kind", "arguments", "shape", "unknown"),
    [
        ("Conv1D", {"filters": 3, "kernel_size": 3, "padding": "causal", "dilation_rate": 2, "data_format": "channels_first"}, (2, 2, 7), (2,)),
        (
            "Conv2D",
            {"filters": 4, "kernel_size": (3, 2), "padding": "same", "strides": (2, 1), "groups": 2, "activation": "tanh"},
            (2, 5, 7, 2),
            (1, 2),
        ),
        ("Conv3D", {"filters": 3, "kernel_size": 2, "use_bias": False, "kernel_regularizer": "l2"}, (2, 3, 5, 3, 2), (1, 2, 3)),
        ("LocallyConnected1D", {"filters": 3, "kernel_size": 3, "strides": 2, "implementation": 2}, (2, 7, 2), ()),
        ("LocallyConnected2D", {"filters": 3, "kernel_size": (3, 2), "data_format": "channels_first", "activation": "tanh"}, (2, 2, 5, 3), ()),
    ],
)
def test_contract(kind, arguments, shape, unknown):
    check_layer(getattr(layers, kind), arguments, normals(5, shape), unknown=unknown)


def convolved(x, kernel, bias, strides, padding, dilation, groups):
    """The definition, in loops: x (b, *s, c), channels last."""
    rank, filters, per_group = kernel.ndim - 2, kernel.shape[-1], kernel.shape[-2]
    spans = [d * (k - 1) + 1 for k, d in zip(kernel.shape[:rank], dilation, strict=True)]
    if padding == "valid":
        pads = [(0, 0)] * rank
    elif padding == "causal":
        pads = [(spans[0] - 1, 0)]
    else:
        totals = [max((-(-n // s) - 1) * s + span - n, 0) for n, s, span in zip(x.shape[1:-1], strides, spans, strict=True)]
        pads = [(total // 2, total - total // 2) for total in totals]
    x = np.pad(x.astype("float64"), [(0, 0), *pads, (0, 0)])
    places = [(n - span) // s + 1 for n, span, s in zip(x.shape[1:-1], spans, strides, strict=True)]
    y = np.zeros((x.shape[0], *places, filters))
    for place in product(*map(range, places)):
        for f in range(filters):
            first = f // (filters // groups) * per_group
            for offset in product(*map(range, kernel.shape[:rank])):
                seen = x[(slice(None), *(p * s + o * d for p, s, o, d in zip(place, strides, offset, dilation, strict=True)))]
                y[(slice(None), *place, f)] += seen[:, first : first + per_group] @ kernel[(*offset, slice(None), f)].astype("float64")
    return y + bias


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(
    ("sizes", "kernel", "strides", "padding", "dilation", "groups"),
    [
        ((7,), (3,), (2,), "same", (1,), 1),
        ((7,), (3,), (1,), "causal", (2,), 1),
        ((7,), (2,), (3,), "causal", (1,), 2),
        ((5, 7), (3, 2), (2, 3), "same", (1, 1), 1),
        ((5, 7), (2, 3), (1, 1), "valid", (2, 3), 2),
        ((5, 7), (1, 1), (1, 2), "valid", (1, 1), 1),
        ((3, 5, 3), (2, 3, 1), (1, 2, 1), "same", (1, 1, 1), 1),
    ],
)
def test_conv(each_engine, normal, sizes, kernel, strides, padding, dilation, groups, data_format):
    x = normal(2, *sizes, 4)
    layer = getattr(layers, KINDS[len(sizes)])(6, kernel, strides, padding, data_format, dilation, groups)
    given = x if data_format == "channels_last" else np.moveaxis(x, -1, 1)
    layer(given)
    weights = [normal(*kernel, 4 // groups, 6), normal(6)]
    layer.set_weights(weights)
    expected = convolved(x, *weights, strides, padding, dilation, groups)
    close(layer(given), expected if data_format == "channels_last" else np.moveaxis(expected, -1, 1))


def test_conv_with_unknown_sizes():
    assert layers.Conv2D(5, 3, padding="same", strides=2)(layers.Input((None, None, 3))).shape == (None, None, None, 5)
    assert layers.Conv2D(5, (3, 2))(layers.Input((7, None, 3))).shape == (None, 5, None, 5)


def test_aliases():
    assert (layers.Convolution1D, layers.Convolution2D, layers.Convolution3D) == (layers.Conv1D, layers.Conv2D, layers.Conv3D)


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (
            lambda: layers.Conv2D(3, 2, groups=2),
            "Conv2D(filters) needs a multiple of groups=2, got 3.\n  why: each group makes as many filters as the others",
        ),
        (lambda: layers.Conv2D(3, (2, 2, 2)), "Conv2D(kernel_size) needs an integer or 2 integers, each at least 1, got (2, 2, 2)."),
        (lambda: layers.Conv1D(3, 0), "Conv1D(kernel_size) needs an integer or 1 integer, each at least 1, got 0."),
        (lambda: layers.Conv3D(0, 2), "Conv3D(filters) needs a positive integer, got 0."),
        (
            lambda: layers.Conv2D(3, 2, padding="causal"),
            "Conv2D(padding) needs one of 'valid', 'same', got 'causal'.\n"
            "  fix: only Conv1D has a time axis; pad with ZeroPadding2D or 3D and use 'valid'",
        ),
        (
            lambda: layers.Conv2D(3, 2, strides=2, dilation_rate=3),
            "Conv2D needs strides or dilation_rate, the other one 1, got strides=(2, 2) and dilation_rate=(3, 3).\n"
            "  why: their combination is not defined in Keras",
        ),
        (lambda: layers.Conv2D(3, 2, data_format="last"), "data_format needs one of ('channels_last', 'channels_first'), got 'last'."),
        (
            lambda: layers.LocallyConnected1D(3, 2, padding="same"),
            "LocallyConnected1D(padding) needs one of 'valid', got 'same'.\n"
            "  fix: put a ZeroPadding layer in front; each place has weights of its own, also at the border",
        ),
        (
            lambda: layers.LocallyConnected2D(3, 2, implementation=4),
            "LocallyConnected2D(implementation) needs 1, 2 or 3, got 4.\n  why: in Keras 2 they differ in speed; here they are one",
        ),
    ],
)
def test_argument_errors(build, text):
    with raises(ArgumentError, text):
        build()


def test_channels_must_share_into_groups(normal):
    with raises(ShapeError, "Conv2D 'edges' needs a multiple of groups=2 channels, got 3 (shape (2, 5, 7, 3))."):
        layers.Conv2D(4, 2, groups=2, name="edges")(normal(2, 5, 7, 3))
    why = "its kernel has one weight per channel"
    with raises(ShapeError, f"Conv2D 'edges' needs a known number of channels, got shape (None, 5, 7, None).\n  why: {why}"):
        layers.Conv2D(4, 2, name="edges")(layers.Input((5, 7, None)))


def test_one_image_without_batch_axis(normal):
    why = "the first axis is the batch\n  fix: add the batch axis to a single sample, x[None]; or the channels axis to grey images, x[..., None]"
    with raises(ShapeError, f"Conv2D 'edges' needs an input with 4 axes, got 3 (shape (5, 7, 3)).\n  why: {why}"):
        layers.Conv2D(4, 2, name="edges")(normal(5, 7, 3))


def test_rgba_image_into_an_rgb_kernel(normal):
    layer = layers.Conv2D(4, 2, name="edges")
    layer(normal(2, 5, 7, 3))
    why = (
        "its kernel was built with shape (2, 2, 3, 4) at the first call\n"
        "  fix: these look like RGBA images where colour (RGB) ones are wanted: convert them"
    )
    with raises(ShapeError, f"Conv2D 'edges' needs an input whose last axis is 3, got shape (2, 5, 7, 4).\n  why: {why}"):
        layer(normal(2, 5, 7, 4))


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("sizes", "kernel", "strides"), [((7,), (3,), (2,)), ((5, 7), (3, 2), (1, 3))])
def test_locally_connected(each_engine, normal, sizes, kernel, strides, data_format):
    """One matrix for each place; a row of it runs over the window first with channels last, over the channels first with channels first."""
    x, first = normal(2, *sizes, 2), data_format == "channels_first"
    places = [(n - k) // s + 1 for n, k, s in zip(sizes, kernel, strides, strict=True)]
    shapes = [(int(np.prod(places)), int(np.prod(kernel)) * 2, 3), (*places, 3)]
    weights, given = [normal(*shape) for shape in shapes], np.moveaxis(x, -1, 1) if first else x
    expected = np.zeros((2, *places, 3))
    for i, place in enumerate(product(*map(range, places))):
        window = x[(slice(None), *(slice(p * s, p * s + k) for p, s, k in zip(place, strides, kernel, strict=True)))]
        row = np.moveaxis(window, -1, 1).reshape(2, -1) if first else window.reshape(2, -1)
        expected[(slice(None), *place)] = row.astype("float64") @ weights[0][i] + weights[1][place]
    for implementation in (1, 2, 3):
        layer = getattr(layers, f"LocallyConnected{len(sizes)}D")(3, kernel, strides, data_format=data_format, implementation=implementation)
        layer(given)
        assert [w.shape for w in layer.weights] == shapes
        layer.set_weights(weights)
        close(layer(given), np.moveaxis(expected, -1, 1) if first else expected)


def test_locally_connected_errors(normal):
    why = "it has weights for each place"
    with raises(ShapeError, f"LocallyConnected1D 'local' needs known sizes beside the batch, got shape (None, None, 3).\n  why: {why}"):
        layers.LocallyConnected1D(2, 3, name="local")(layers.Input((None, 3)))
    with raises(ShapeError, "LocallyConnected1D 'local' needs an input no smaller than its kernel (5,), got shape (2, 3, 7)."):
        layers.LocallyConnected1D(2, 5, name="local")(normal(2, 3, 7))
