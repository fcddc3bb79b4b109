# SPDX-License-Identifier: Apache-2.0
"""Flatten, Permute, RepeatVector, Reshape, padding, cropping, upsampling: contract, numbers, errors."""

import numpy as np
import pytest

import nyala
from nyala import layers
from nyala.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from nyala.testing import check_layer
from tests.layers.tools import array, close, normals, raises


@pytest.mark.parametrize(
    ("kind", "arguments", "shape", "unknown"),
    [
        ("Flatten", {}, (2, 3, 5), (1, 2)),
        ("Flatten", {"data_format": "channels_first"}, (2, 3, 5, 7), (1, 2)),
        ("Reshape", {"target_shape": (-1, 5)}, (2, 3, 10), (1,)),
        ("Permute", {"dims": (2, 1)}, (2, 3, 5), (1, 2)),
        ("RepeatVector", {"n": 3}, (2, 5), (1,)),
        ("ZeroPadding1D", {"padding": 2}, (2, 5, 3), (1,)),
        ("ZeroPadding2D", {"padding": ((1, 2), (0, 3))}, (2, 5, 3, 2), (1, 2)),
        ("Cropping3D", {"cropping": ((1, 2), 0, 1), "data_format": "channels_first"}, (2, 3, 5, 3, 3), (2, 3)),
        ("UpSampling1D", {}, (2, 5, 3), (1,)),
        ("UpSampling2D", {"size": (2, 3), "interpolation": "bicubic"}, (2, 5, 3, 2), (1, 2)),
        ("UpSampling3D", {"size": (2, 1, 3)}, (2, 5, 3, 2, 1), (1, 2)),
    ],
)
def test_contract(kind, arguments, shape, unknown):
    check_layer(getattr(layers, kind), arguments, normals(21, shape), unknown=unknown)


def test_shapes_move_without_change(each_engine, normal):
    x, first = normal(2, 3, 5, 7), {"data_format": "channels_first"}
    for layer, expected in [
        (layers.Flatten(), x.reshape(2, -1)),
        (layers.Flatten(**first), np.moveaxis(x, 1, -1).reshape(2, -1)),
        (layers.Reshape((7, -1)), x.reshape(2, 7, 15)),
        (layers.Reshape((105,)), x.reshape(2, 105)),
        (layers.Permute((3, 1, 2)), x.transpose(0, 3, 1, 2)),
        (layers.ZeroPadding2D((1, 2)), np.pad(x, [(0, 0), (1, 1), (2, 2), (0, 0)])),
        (layers.ZeroPadding2D(((1, 0), (3, 2)), **first), np.pad(x, [(0, 0), (0, 0), (1, 0), (3, 2)])),
        (layers.Cropping2D(((1, 0), 2)), x[:, 1:, 2:3]),
        (layers.Cropping2D(((1, 2), (0, 5)), **first), x[:, :, 1:3, :2]),
        (layers.UpSampling2D((2, 3)), x.repeat(2, axis=1).repeat(3, axis=2)),
        (layers.UpSampling2D(2, **first), x.repeat(2, axis=2).repeat(2, axis=3)),
    ]:
        np.testing.assert_array_equal(array(layer(x)), expected)
    volume = normal(2, 3, 2, 5, 3)
    for layer, expected in [
        (layers.ZeroPadding3D((0, 1, 2)), np.pad(volume, [(0, 0), (0, 0), (1, 1), (2, 2), (0, 0)])),
        (layers.Cropping3D(((1, 0), 0, (2, 1))), volume[:, 1:, :, 2:4]),
        (layers.UpSampling3D((1, 3, 2), **first), volume.repeat(3, axis=3).repeat(2, axis=4)),
    ]:
        np.testing.assert_array_equal(array(layer(volume)), expected)
    row, steps = normal(2, 5), normal(2, 5, 3)
    for layer, given, expected in [
        (layers.RepeatVector(3), row, row[:, None].repeat(3, axis=1)),
        (layers.Flatten(), row[:, 0], row[:, :1]),
        (layers.ZeroPadding1D((1, 2)), steps, np.pad(steps, [(0, 0), (1, 2), (0, 0)])),
        (layers.ZeroPadding1D((0, 2), **first), steps, np.pad(steps, [(0, 0), (0, 0), (0, 2)])),
        (layers.Cropping1D((3, 1)), steps, steps[:, 3:4]),
        (layers.UpSampling1D(3), steps, steps.repeat(3, axis=1)),
    ]:
        np.testing.assert_array_equal(array(layer(given)), expected)


def test_interpolation_of_a_line(each_engine):
    """Every interpolation keeps constants, bilinear and bicubic a slope in the middle; bilinear at the border keeps the last value."""
    line = np.arange(1.0, 12.0, dtype="float32")
    x = np.broadcast_to(line[None, :, None, None], (2, 11, 3, 1)).copy()
    fine = (np.arange(22) + 0.5) / 2 + 0.5
    for interpolation in ("bilinear", "bicubic", "lanczos3", "lanczos5"):
        close(layers.UpSampling2D((2, 1), interpolation=interpolation)(np.full((1, 5, 3, 2), 7, "float32")), np.full((1, 10, 3, 2), 7.0))
        y = array(layers.UpSampling2D((2, 1), interpolation=interpolation)(x))
        assert y.shape == (2, 22, 3, 1)
        if interpolation.startswith("bi"):
            np.testing.assert_allclose(y[1, 6:16, 2, 0], fine[6:16], rtol=1e-5)
    np.testing.assert_allclose(array(layers.UpSampling2D((2, 1), interpolation="bilinear")(x))[0, [0, -1], 0, 0], [1.0, 11.0], rtol=1e-5)


def test_reshape_where_sizes_are_unknown():
    assert layers.Reshape((-1, 2))(layers.Input((None, 4))).shape == (None, None, 2)
    assert layers.Reshape((-1, 7))(layers.Input((None, 4))).shape == (None, None, 7)
    assert layers.Reshape((7, 2))(layers.Input((None, 4))).shape == (None, 7, 2)
    assert layers.Reshape((-1, 2))(layers.Input((3, 4))).shape == (None, 6, 2)
    assert layers.Flatten()(layers.Input((None, 4))).shape == (None, None)


def test_default_data_format():
    nyala.config.set_image_data_format("channels_first")
    try:
        assert layers.ZeroPadding2D().data_format == "channels_first"
        assert layers.Cropping1D().data_format == "channels_last"
    finally:
        nyala.config.set_image_data_format("channels_last")


@pytest.mark.parametrize(
    ("build", "kind", "text"),
    [
        (
            lambda: layers.Permute((0, 1)),
            ArgumentError,
            "Permute(dims) needs each of (1, 2) once, got (0, 1).\n  why: axis 0 is the batch and stays\n  fix: count from 1",
        ),
        (lambda: layers.RepeatVector(2.5), ArgumentTypeError, "RepeatVector(n) needs a positive integer, got 2.5."),
        (lambda: layers.RepeatVector(0), ArgumentError, "RepeatVector(n) needs a positive integer, got 0."),
        (lambda: layers.Reshape((-1, -1)), ArgumentError, "Reshape(target_shape) needs sizes, at most one of them -1, got (-1, -1)."),
        (lambda: layers.ZeroPadding1D(-1), ArgumentError, "ZeroPadding1D(padding) needs an integer or (before, after), from 0, got -1."),
        (
            lambda: layers.Cropping2D(((1, 2, 3), 3)),
            ArgumentError,
            "Cropping2D(cropping) needs an integer, or 2 of integers or pairs (before, after), from 0, got ((1, 2, 3), 3).",
        ),
        (lambda: layers.UpSampling1D((2,)), ArgumentTypeError, "UpSampling1D(size) needs a positive integer, got (2,)."),
        (
            lambda: layers.UpSampling2D(interpolation="cubic"),
            ArgumentError,
            "UpSampling2D(interpolation) needs one of 'nearest', 'bilinear', 'bicubic', 'lanczos3', 'lanczos5', got 'cubic'.\n"
            "  fix: did you mean 'bicubic'?",
        ),
        (
            lambda: layers.Reshape((7,), name="r")(np.zeros((2, 3, 5))),
            ShapeError,
            "Reshape 'r' to (7,) needs 7 numbers a sample, got 15: shape (2, 3, 5).\n"
            "  fix: sizes of both shapes, without the batch, multiply to the same number",
        ),
        (
            lambda: layers.Reshape((-1, 7), name="r")(np.zeros((2, 3, 5))),
            ShapeError,
            "Reshape 'r' to (-1, 7) needs a multiple of 7 numbers a sample, got 15: shape (2, 3, 5).\n"
            "  fix: sizes of both shapes, without the batch, multiply to the same number",
        ),
        (
            lambda: layers.Cropping1D(3, name="c")(np.zeros((2, 5, 3))),
            ShapeError,
            "Cropping1D 'c' needs more places than it cuts off, ((3, 3),), got shape (2, 5, 3).",
        ),
    ],
)
def test_errors(build, kind, text):
    with raises(kind, text):
        build()
