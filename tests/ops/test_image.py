# SPDX-License-Identifier: Apache-2.0
"""Ops on images against NumPy and SciPy, and laws: what stays when images are stretched, moved and coloured."""

import colorsys

import numpy as np
import pytest
import scipy.ndimage

import nyala
from nyala import ops
from nyala.core.errors import ArgumentError, DTypeError, ShapeError
from nyala.engines import backend
from tests.ops.table import Row, checks, engines, fixed, host, normal, uniform

image = ops.image
SCIPY_MODES = {"constant": "grid-constant", "nearest": "nearest", "wrap": "grid-wrap", "mirror": "mirror", "reflect": "reflect"}


def each_image(function):
    """An oracle of one (h, w) array as one of (b, h, w, c), (h, w, c), or channels first."""

    def oracle(images, *args, data_format=None, **options):
        x = np.moveaxis(images, -3, -1) if data_format == "channels_first" else images
        batch = x if x.ndim == 4 else x[None]
        found = np.stack([np.stack([function(one[..., c], *args, **options) for c in range(one.shape[-1])], -1) for one in batch])
        found = found if x.ndim == 4 else found[0]
        return np.moveaxis(found, -1, -3) if data_format == "channels_first" else found

    return oracle


@each_image
def bilinear(x, size, interpolation="bilinear"):
    for axis, target in enumerate(size):
        places = (np.arange(target) + 0.5) * x.shape[axis] / target - 0.5
        if interpolation == "nearest":
            x = np.take(x, np.floor(places + 0.5).astype(int), axis)
        else:
            x = np.apply_along_axis(lambda line, places=places: np.interp(places, np.arange(line.size), line), axis, x)
    return x


@each_image
def area(x, size, interpolation="area"):
    return np.repeat(np.repeat(x, size[0], 0), size[1], 1).reshape(size[0], x.shape[0], size[1], x.shape[1]).mean((1, 3))


def scipy_coordinates(x, coordinates, order, fill_mode="constant", fill_value=0):
    return scipy.ndimage.map_coordinates(x, coordinates, order=order, mode=SCIPY_MODES[fill_mode], cval=fill_value, prefilter=False)


def affine(images, transform, interpolation="bilinear", fill_mode="constant", fill_value=0, data_format=None):
    transforms = np.broadcast_to(transform, (*images.shape[:-3], 8))
    batch, matrices = images.reshape(-1, *images.shape[-3:]), transforms.reshape(-1, 8)
    read = each_image(
        lambda x, m: scipy_coordinates(
            x,
            [m[3] * np.arange(x.shape[1]) + m[4] * np.arange(x.shape[0])[:, None] + m[5],
             m[0] * np.arange(x.shape[1]) + m[1] * np.arange(x.shape[0])[:, None] + m[2]],
            int(interpolation == "bilinear"), fill_mode, fill_value,
        )
    )  # fmt: skip
    return np.stack([read(x, m, data_format=data_format) for x, m in zip(batch, matrices, strict=True)]).reshape(images.shape)


@each_image
def blurred(x, kernel_size=(3, 3), sigma=(1.0, 1.0)):
    for axis, (length, deviation) in enumerate(zip(kernel_size, sigma, strict=True)):
        bell = np.exp(-0.5 * ((np.arange(length) - (length - 1) / 2) / deviation) ** 2)
        x = scipy.ndimage.correlate1d(x, bell / bell.sum(), axis, mode="constant", origin=0 if length % 2 else -1)
    return x


def edges(images, data_format=None):
    one = lambda axis: each_image(lambda x: scipy.ndimage.sobel(x, axis, mode="constant"))(images, data_format=data_format)  # noqa: E731
    return np.stack([one(0), one(1)], -1)


def similarity(x, y, max_val=1.0, filter_size=11, filter_sigma=1.5, k1=0.01, k2=0.03):
    bell = np.exp(-0.5 * ((np.arange(filter_size) - (filter_size - 1) / 2) / filter_sigma) ** 2)
    window = np.outer(bell, bell) / bell.sum() ** 2
    tiles = lambda z: np.lib.stride_tricks.sliding_window_view(z, window.shape, axis=(1, 2))  # noqa: E731
    mean = lambda z: (tiles(z) * window).sum((-1, -2))  # noqa: E731
    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    c1, c2 = (k1 * max_val) ** 2, (k2 * max_val) ** 2
    return ((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean((1, 2, 3))


def patches(images, size, strides=None, dilation_rate=(1, 1)):
    strides, (a, b) = strides or size, dilation_rate
    spans = [d * (k - 1) + 1 for k, d in zip(size, dilation_rate, strict=True)]
    found = np.lib.stride_tricks.sliding_window_view(images, spans, axis=(1, 2))[:, :: strides[0], :: strides[1], :, ::a, ::b]  # b h w c *size
    return np.moveaxis(found, 3, -1).reshape(*found.shape[:3], -1)


by_pixel = lambda function: lambda x: np.apply_along_axis(lambda p: np.array(function(*p)), -1, x)  # noqa: E731
LAST, FIRST, ONE = [normal(2, 7, 5, 3)], [normal(2, 3, 7, 5)], [normal(7, 5, 3)]
COLORS = [uniform(2, 3, 5, 3)]
MATRIX = fixed([[0.8137, 0.3391, -1.7213, -0.2317, 1.3119, 0.9443, 0, 0], [1.1373, -0.4219, 0.6137, 0.5441, 0.7351, -2.1253, 0, 0]])
PLACES = normal(2, 11, scale=4.0)
FLOATS = {"takes": "float", "tolerance": 5}
ROWS = [
    Row(image.resize, bilinear, [*LAST, (3, 11)], more=[([*ONE, (11, 2)], {}), ([*FIRST, (3, 4)], {"data_format": "channels_first"}),
        ([*LAST, (3, 11)], {"interpolation": "nearest"})], **FLOATS,
        errors=[([*LAST, (3, 0)], {}, "resize(size) needs a positive integer, or 2 of them, got (3, 0)."),
                ([normal(3, 5), (3, 2)], {}, "resize needs one image (h, w, c), or a batch (b, h, w, c), got shape (3, 5)."),
                ([*LAST, (3, 2)], {"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True},
                 "resize needs crop_to_aspect_ratio or pad_to_aspect_ratio, or neither, got both.")]),
    Row(image.resize, area, [*LAST, (3, 2)], [{"interpolation": "area"}], **FLOATS),
    *(Row(image.map_coordinates, scipy_coordinates, [normal(5, 7), PLACES, order], [{"fill_mode": mode, "fill_value": 0.3} for mode in SCIPY_MODES],
          unknown=False, **FLOATS,
          errors=[([normal(5, 7), normal(3, 2), order], {},
                   "map_coordinates(coordinates) needs shape (2, *out), one row per axis of inputs, got shape (3, 2).")]) for order in (0, 1)),
    Row(image.affine_transform, affine, [*LAST, MATRIX], [{"fill_mode": mode, "fill_value": 0.3} for mode in SCIPY_MODES], unknown=False,
        more=[([*LAST, MATRIX], {"interpolation": "nearest"}), ([*FIRST, MATRIX], {"data_format": "channels_first"})], **FLOATS,
        errors=[([*LAST, normal(8)], {}, "affine_transform(transform) needs shape (b, 8) for b images, or (8,) for one, got shape (8,) for images of "
                 "shape (2, 7, 5, 3)."),
                ([*LAST, MATRIX], {"fill_mode": "zero"},
                 "affine_transform(fill_mode) needs one of ('constant', 'nearest', 'wrap', 'mirror', 'reflect'), got 'zero'.")]),
    Row(image.gaussian_blur, blurred, LAST, [{}, {"kernel_size": (3, 5), "sigma": (0.7, 2.0)}, {"kernel_size": (4, 1), "sigma": (1.3, 1.0)}],
        **FLOATS, more=[(FIRST, {"data_format": "channels_first"}), (ONE, {})]),
    Row(image.sobel_edges, edges, LAST, more=[(FIRST, {"data_format": "channels_first"}), (ONE, {})], **FLOATS),
    Row(image.ssim, similarity, [uniform(2, 13, 12, 3), uniform(2, 13, 12, 3)], [{}, {"filter_size": 4, "k1": 0.05, "max_val": 2.0}], takes="",
        tolerance=20, errors=[([normal(2, 5, 5, 3), normal(2, 5, 5, 3)], {}, "ssim needs two images of one shape, at least 11 rows and columns as "
                               "filter_size, got (2, 5, 5, 3) and (2, 5, 5, 3).")]),
    Row(image.rgb_to_grayscale, lambda x: (x * [0.2989, 0.587, 0.114]).sum(-1, keepdims=True), COLORS, takes="float",
        errors=[([normal(3, 5, 2)], {}, "rgb_to_grayscale needs 3 channels, got 2.\n  fix: check data_format")]),
    Row(image.rgb_to_hsv, by_pixel(colorsys.rgb_to_hsv), COLORS, takes="", tolerance=5),
    Row(image.hsv_to_rgb, by_pixel(colorsys.hsv_to_rgb), COLORS, takes="", tolerance=5),
    Row(image.extract_patches, patches, [*LAST, (2, 3)], takes="float integer",
        more=[([*LAST, (3, 2)], {"strides": (2, 1)}), ([*LAST, (3, 2)], {"strides": (2, 1), "dilation_rate": (1, 3)})]),
    Row(image.pad_images, lambda x, *_: np.pad(x, ((0, 0), (1, 3), (2, 0), (0, 0))), [*LAST, 1, 2, 3, 0], takes="float integer",
        more=[([*LAST, 1, None, None, 0, 11, 7], {})],
        errors=[([*LAST, 1, 2, 3], {}, "pad_images needs two of left_padding, right_padding, target_width, the third None, got 2, None, None."),
                ([*LAST, 1, 2, None, 3, 4], {},
                 "pad_images needs top_padding, bottom_padding, target_height that leave none below 0, as height is 7, got 1, None, 4.")]),
    Row(image.crop_images, lambda x, *_: x[:, 1:4, 2:], [*LAST, 1, 2, 3, 0], takes="float integer", more=[([*LAST, None, 2, 3, None, 3, 3], {})],
        errors=[([*LAST, 5, 0, 3, 0], {},
                 "crop_images needs top_cropping, bottom_cropping, target_height that leave none below 0, as height is 7, got 5, 3, None.")]),
]  # fmt: skip
globals().update(checks(ROWS))


@pytest.mark.parametrize("name", engines())
@pytest.mark.parametrize("method", ["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5", "area"])
def test_resizing_keeps_flat_images_and_sizes(name, method):
    x = np.random.default_rng(1).normal(size=(2, 5, 7, 3)).astype("float32")
    with backend(name):
        same = host(image.resize(x, (5, 7), method))
        flat = host(image.resize(x * 0 + 2.5, (3, 11), method, antialias=True))
    np.testing.assert_allclose(same, x, atol=1e-5)
    np.testing.assert_allclose(flat, 2.5, rtol=1e-5)


@pytest.mark.parametrize("name", engines())
def test_scale_and_translate_by_the_sizes_is_resize(name):
    x = np.random.default_rng(2).normal(size=(2, 5, 7, 3)).astype("float32")
    scale = np.array([3 / 5, 11 / 7], "float32")
    with backend(name):
        moved = host(image.scale_and_translate(x, (2, 3, 11, 3), scale, np.zeros(2, "float32"), (1, 2), "cubic"))
        np.testing.assert_allclose(moved, host(image.resize(x, (3, 11), "bicubic", antialias=True)), atol=1e-5)


@pytest.mark.parametrize("name", engines())
def test_perspective_sends_start_points_to_end_points(name):
    """Coordinates as an image: what lies at an end point are the coordinates of the start point."""
    rows, columns = np.meshgrid(np.arange(9.0), np.arange(11.0), indexing="ij")
    start = np.array([[1, 1], [8, 2], [2, 7], [9, 6]], "float32")
    end = np.array([[2, 1], [9, 1], [1, 6], [8, 7]], "float32")
    with backend(name):
        seen = host(image.perspective_transform(np.stack([columns, rows], -1).astype("float32"), start, end))
    for (x, y), point in zip(end.astype(int), start, strict=True):
        np.testing.assert_allclose(seen[y, x], point, atol=1e-3)


@pytest.mark.parametrize("name", engines())
def test_elastic_moves_have_the_deviation_that_was_asked_for(name):
    rows, columns = np.meshgrid(np.arange(60.0), np.arange(80.0), indexing="ij")
    places = np.stack([rows, columns], -1).astype("float32")
    with backend(name):
        moves = host(image.elastic_transform(places, alpha=5.0, sigma=2.0, seed=3, fill_mode="nearest")) - places
        again = host(image.elastic_transform(places, alpha=5.0, sigma=2.0, seed=3, fill_mode="nearest")) - places
    down, right = moves[10:-10, 10:-10, 0], moves[10:-10, 10:-10, 1]
    expected = 5.0 * 2.0 / (2 * np.pi**0.5 * 2.0)  # alpha * noise, smoothed by a bell in two directions
    assert abs(down.std() - expected) < 0.25
    assert abs(right.std() - expected) < 0.25
    assert abs(np.corrcoef(down.ravel(), right.ravel())[0, 1]) < 0.3
    np.testing.assert_array_equal(moves, again)


def test_an_image_of_one_channel_is_grey_already():
    for dtype in ("uint8", "float32"):
        x = np.random.default_rng(2).uniform(0, 9, (2, 5, 7, 1)).astype(dtype)
        np.testing.assert_array_equal(host(image.rgb_to_grayscale(x)), x)
        first = np.moveaxis(x, 3, 1)
        np.testing.assert_array_equal(host(image.rgb_to_grayscale(first, data_format="channels_first")), first)
    assert image.rgb_to_grayscale(nyala.KerasTensor((None, 5, 1))).shape == (None, 5, 1)


def test_refusals():
    x = np.zeros((2, 5, 7, 3), "uint8")
    with pytest.raises(DTypeError, match="rgb_to_hsv needs a float dtype, got uint8"):
        image.rgb_to_hsv(x)
    with pytest.raises(ArgumentError, match=r"resize\(interpolation\) needs 'nearest', .*, got 'linearly'"):
        image.resize(x, (3, 3), "linearly")
    with pytest.raises(ArgumentError, match=r"map_coordinates\(order\) needs 0 or 1, got 3"):
        image.map_coordinates(np.zeros(3), np.zeros((1, 2)), 3)
    with pytest.raises(ShapeError, match=r"scale_and_translate\(scale\) needs a vector of 2, got shape \(1,\)"):
        image.scale_and_translate(np.zeros((2, 3, 3, 1)), (2, 5, 5, 1), [1.0], [0.0, 0.0], (1, 2), "linear")


def test_a_functional_model_of_image_ops_comes_back_from_its_config():
    inputs = nyala.Input((7, 5, 3))
    model = nyala.Model(inputs, image.resize(image.rgb_to_hsv(inputs), (3, 4), interpolation="nearest"))
    copy = nyala.Model.from_config(model.get_config())
    x = np.random.default_rng(3).uniform(size=(2, 7, 5, 3)).astype("float32")
    np.testing.assert_array_equal(host(copy(x)), host(model(x)))
    assert copy.output_shape == (None, 3, 4, 3)
