# SPDX-License-Identifier: Apache-2.0
"""Pooling over windows and over all places: contract, numbers against loops, errors."""

from itertools import product

import numpy as np
import pytest

from nyala import layers
from nyala.core.dtypes import standardize_dtype
from nyala.core.errors import ArgumentError
from nyala.testing import check_layer
from tests.layers.tools import close, normals, raises

MASK = np.array([[1, 1, 0, 0, 1], [1, 0, 0, 0, 0]], bool)


@pytest.mark.parametrize(
    ("kind", "arguments", "shape", "options"),
    [
        ("MaxPooling2D", {}, (2, 5, 7, 3), {"unknown": (1, 2)}),
        ("AveragePooling1D", {"pool_size": 3, "strides": 2, "padding": "same"}, (2, 7, 3), {"unknown": (1,)}),
        ("AveragePooling3D", {"pool_size": 2, "data_format": "channels_first"}, (2, 3, 5, 3, 2), {"unknown": (2,)}),
        ("GlobalAveragePooling1D", {}, (2, 5, 3), {"unknown": (1,), "call": {"mask": MASK}}),
        ("GlobalMaxPooling2D", {"keepdims": True}, (2, 5, 3, 2), {"unknown": (1, 2)}),
        ("GlobalAveragePooling3D", {"data_format": "channels_first"}, (2, 5, 3, 2, 3), {"unknown": (2, 3)}),
    ],
)
def test_contract(kind, arguments, shape, options):
    check_layer(getattr(layers, kind), arguments, normals(9, shape), **options)


def pooled(x, size, strides, padding, function):
    """The definition, in loops, channels last: windows that reach beyond the input count what is inside."""
    sizes = x.shape[1:-1]
    if padding == "same":
        places = [-(-n // s) for n, s in zip(sizes, strides, strict=True)]
        before = [max((p - 1) * s + k - n, 0) // 2 for p, s, k, n in zip(places, strides, size, sizes, strict=True)]
    else:
        places, before = [(n - k) // s + 1 for n, k, s in zip(sizes, size, strides, strict=True)], [0] * len(sizes)
    y = np.zeros((x.shape[0], *places, x.shape[-1]))
    for place in product(*map(range, places)):
        starts = [p * s - b for p, s, b in zip(place, strides, before, strict=True)]
        window = x[(slice(None), *(slice(max(start, 0), start + k) for start, k in zip(starts, size, strict=True)))]
        y[(slice(None), *place)] = function(window.astype("float64"), axis=tuple(range(1, x.ndim - 1)))
    return y


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("kind", ["Max", "Average"])
@pytest.mark.parametrize(
    ("sizes", "size", "strides", "padding"),
    [
        ((7,), (3,), (2,), "same"),
        ((7,), (2,), (3,), "valid"),
        ((5, 7), (3, 2), (2, 3), "same"),
        ((5, 7), (2, 3), (2, 3), "valid"),
        ((3, 5, 2), (2, 3, 1), (1, 2, 1), "same"),
    ],
)
def test_pooling(each_engine, normal, kind, sizes, size, strides, padding, data_format):
    x, first = normal(2, *sizes, 3), data_format == "channels_first"
    layer = getattr(layers, f"{kind}Pooling{len(sizes)}D")(size, strides, padding, data_format)
    expected = pooled(x, size, strides, padding, {"Max": np.max, "Average": np.mean}[kind])
    close(layer(np.moveaxis(x, -1, 1) if first else x), np.moveaxis(expected, -1, 1) if first else expected)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("kind", ["Max", "Average"])
@pytest.mark.parametrize("sizes", [(7,), (5, 7), (3, 5, 2)])
def test_global_pooling(each_engine, normal, kind, sizes, keepdims):
    x, name = normal(2, *sizes, 3), f"Global{kind}Pooling{len(sizes)}D"
    function, axes = {"Max": np.max, "Average": np.mean}[kind], tuple(range(1, len(sizes) + 1))
    close(getattr(layers, name)(keepdims=keepdims)(x), function(x.astype("float64"), axis=axes, keepdims=keepdims))
    axes = tuple(a + 1 for a in axes)
    given = np.moveaxis(x, -1, 1)
    close(getattr(layers, name)("channels_first", keepdims)(given), function(given.astype("float64"), axis=axes, keepdims=keepdims))


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_mean_of_the_steps_that_count(each_engine, normal, data_format):
    x = normal(2, 5, 3)
    expected = [x[i].astype("float64")[MASK[i]].mean(axis=0) for i in range(2)]
    given = x if data_format == "channels_last" else np.moveaxis(x, -1, 1)
    close(layers.GlobalAveragePooling1D(data_format)(given, mask=MASK), expected)
    close(layers.GlobalAveragePooling1D(data_format)(given, mask=np.zeros((2, 5), bool)), np.zeros((2, 3)))


def test_integers():
    x = np.arange(16, dtype="int32").reshape(1, 4, 4, 1)
    assert standardize_dtype(layers.MaxPooling2D()(x).dtype) == "int32"
    close(layers.AveragePooling2D()(x), [[[[2.5], [4.5]], [[10.5], [12.5]]]])


def test_aliases():
    for rank in (1, 2, 3):
        for short, kind in (
            ("MaxPool", "MaxPooling"),
            ("AvgPool", "AveragePooling"),
            ("GlobalMaxPool", "GlobalMaxPooling"),
            ("GlobalAvgPool", "GlobalAveragePooling"),
        ):
            assert getattr(layers, f"{short}{rank}D") is getattr(layers, f"{kind}{rank}D")


def test_errors():
    with raises(ArgumentError, "MaxPooling2D(pool_size) needs an integer or 2 integers, each at least 1, got (2, 2, 2)."):
        layers.MaxPooling2D((2, 2, 2))
    with raises(ArgumentError, "AveragePooling1D(padding) needs one of 'valid', 'same', got 'causal'."):
        layers.AveragePooling1D(2, padding="causal")
