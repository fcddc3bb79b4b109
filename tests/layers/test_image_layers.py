# SPDX-License-Identifier: Apache-2.0
"""Layers on images: contract, the laws of their draws, boxes and masks that follow their images, errors. Numbers are in test_golden_images."""

import numpy as np
import pytest

import nyala
from nyala import layers, ops
from nyala.core.errors import ArgumentError, ShapeError
from nyala.testing import check_layer
from tests.layers.tools import array, raises


def pictures(*shape, high=255.0, seed=7):
    return np.random.default_rng(seed).uniform(0, high, shape).astype("float32")


IMAGES = pictures(3, 7, 5, 3)
TRAINING = {"call": {"training": True}, "batch_independent": False, "unknown": (1, 2)}
STEPS = {**TRAINING, "gradients": False, "mixed": False}  # steps have no slope, and rounded values may fall on either side of one
FIXED = {"unknown": (1, 2)}
FIRST = {"data_format": "channels_first"}


@pytest.mark.parametrize(
    ("kind", "arguments", "options"),
    [
        ("Rescaling", {"scale": 0.5, "offset": -1.0}, FIXED),
        ("Rescaling", {"scale": [0.5, 0.2, 0.3]}, FIXED),
        ("Resizing", {"height": 3, "width": 7, "antialias": True}, FIXED),
        ("Resizing", {"height": 9, "width": 4, "pad_to_aspect_ratio": True, "interpolation": "area"}, {}),
        ("Resizing", {"height": 9, "width": 4, "crop_to_aspect_ratio": True, **FIRST}, {}),
        ("CenterCrop", {"height": 3, "width": 2}, FIXED),
        ("CenterCrop", {"height": 8, "width": 2, **FIRST}, {}),
        ("RandomCrop", {"height": 3, "width": 2, "seed": 3}, TRAINING),
        ("RandomCrop", {"height": 8, "width": 2, "seed": 3}, TRAINING),
        ("RandomFlip", {"seed": 3}, TRAINING),
        ("RandomFlip", {"mode": "vertical", "seed": 3, **FIRST}, TRAINING),
        ("RandomRotation", {"factor": 0.2, "seed": 3}, TRAINING),
        ("RandomTranslation", {"height_factor": 0.2, "width_factor": (0.1, 0.3), "fill_mode": "wrap", "seed": 3}, TRAINING),
        ("RandomZoom", {"height_factor": 0.3, "seed": 3, "fill_mode": "constant"}, TRAINING),
        ("RandomShear", {"x_factor": 0.3, "y_factor": 0.2, "seed": 3, **FIRST}, TRAINING),
        ("RandomPerspective", {"scale": 0.4, "seed": 3}, TRAINING),
        ("RandomElasticTransform", {"factor": (1.0, 1.0), "seed": 3}, {**TRAINING, "unknown": ()}),
        ("RandomErasing", {"factor": (0.5, 1.0), "seed": 3}, STEPS),
        ("MaxNumBoundingBoxes", {"max_number": 3}, FIXED),
        ("MixUp", {"seed": 3}, STEPS),
        ("CutMix", {"seed": 4}, STEPS),
        ("RandomBrightness", {"factor": 0.3, "seed": 3}, TRAINING),
        ("RandomContrast", {"factor": 0.3, "seed": 3}, TRAINING),
        ("RandomSaturation", {"factor": (0.2, 0.8), "seed": 3}, TRAINING),
        ("RandomHue", {"factor": 0.3, "seed": 3, **FIRST}, {**TRAINING, "mixed": False}),
        ("RandomColorJitter", {"brightness_factor": 0.2, "contrast_factor": 0.3, "seed": 3}, TRAINING),
        ("RandomGrayscale", {"seed": 3}, TRAINING),
        ("RandomColorDegeneration", {"factor": 0.4, "seed": 3}, TRAINING),
        ("RandomSharpness", {"factor": 0.9, "seed": 3, **FIRST}, TRAINING),
        ("RandomPosterization", {"factor": (2, 6), "seed": 3}, STEPS),
        ("RandomInvert", {"seed": 3}, TRAINING),
        ("RandomGaussianBlur", {"factor": (0.5, 1.0), "kernel_size": (3, 5), "sigma": (0.5, 2.0), "seed": 3}, TRAINING),
        ("Solarization", {"addition_factor": 0.2, "threshold_factor": 0.6, "seed": 3}, STEPS),
        ("AutoContrast", {}, {**FIXED, "mixed": False}),
        ("Equalization", {"bins": 64}, {**FIXED, "gradients": False, "mixed": False}),
        ("ContrastLimitedAdaptiveHistogramEqualization", {"tile_grid_size": (2, 3)}, {**FIXED, "gradients": False, "mixed": False}),
    ],
)
def test_contract(kind, arguments, options):
    images = IMAGES
    if arguments.get("data_format") == "channels_first":
        images = np.moveaxis(IMAGES, -1, 1)
        options = {**options, "unknown": tuple(axis + 1 for axis in options.get("unknown", ()))}
    check_layer(getattr(layers, kind), arguments, images, tolerance=1e-4, **options)


@pytest.mark.parametrize(("kind", "arguments"), [("RandAugment", {"num_ops": 2}), ("AugMix", {"num_chains": 2, "chain_depth": 2})])
def test_policies_are_alike_on_engines_and_compiled(kind, arguments):
    results = []
    for name in ("numpy", "jax", "torch"):
        with nyala.backend(name):
            layer = getattr(layers, kind)(seed=5, **arguments)
            results += [array(layer(IMAGES, training=True)), array(layer(IMAGES, training=True))]
    with nyala.backend("jax"):
        layer = getattr(layers, kind)(seed=5, **arguments)
        compiled = nyala.jit(lambda x: layer(x, training=True))
        results += [array(compiled(IMAGES)), array(compiled(IMAGES))]
    for first, second in zip(results[2::2], results[3::2], strict=True):
        np.testing.assert_allclose(first, results[0], atol=0.1)
        np.testing.assert_allclose(second, results[1], atol=0.1)
    assert np.abs(results[0] - results[1]).max() > 1
    assert results[0].min() >= -1e-3
    assert results[0].max() <= 255 + 1e-3
    np.testing.assert_array_equal(array(layer(IMAGES, training=False)), IMAGES)


# Draws --------------------------------------------------------------------------------------------------------------------------------------

MANY = np.zeros((2000, 8, 10, 3), "float32")


def drawn(layer):
    with nyala.backend("numpy"):
        return nyala.tree.map_structure(lambda x: array(x) if hasattr(x, "dtype") else x, layer.get_random_transformation(MANY, training=True))


@pytest.mark.parametrize(
    ("layer", "key", "low", "high"),
    [
        (lambda: layers.RandomRotation((0.1, 0.3), seed=1), "angle", 36, 108),
        (lambda: layers.RandomZoom((-0.3, 0.1), seed=1), "height_zoom", 0.7, 1.1),
        (lambda: layers.RandomBrightness(0.2, seed=1), "rgb_delta", -51, 51),
        (lambda: layers.RandomBrightness((-0.1, 0.5), value_range=(0, 1), seed=1), "rgb_delta", -0.1, 0.5),
        (lambda: layers.RandomContrast((0.1, 0.3), seed=1), "contrast_factor", 0.9, 1.3),
        (lambda: layers.RandomColorDegeneration(0.3, seed=1), "factor", -0.3, 0.3),
        (lambda: layers.RandomSharpness((-0.3, 0.5), seed=1), "factor", -0.3, 0.5),
        (lambda: layers.Solarization((0.1, 0.2), (0.3, 0.4), seed=1), "additions", 25.5, 51),
        (lambda: layers.Solarization((0.1, 0.2), (0.3, 0.4), seed=1), "thresholds", 76.5, 102),
        (lambda: layers.RandomGaussianBlur(sigma=(0.5, 2.0), seed=1), "blur_factor", 0.5, 2.0),
    ],
)
def test_draws_are_uniform(layer, key, low, high):
    x = drawn(layer())[key].reshape(len(MANY), -1)
    assert x.min() >= low
    assert x.max() <= high
    np.testing.assert_allclose(x.mean(0), (low + high) / 2, atol=0.03 * (high - low))
    np.testing.assert_allclose(x.std(0), (high - low) / 12**0.5, rtol=0.05)


def test_other_draws():
    moves = drawn(layers.RandomTranslation((-0.1, 0.3), (0.1, 0.2), seed=1))["translations"]
    np.testing.assert_allclose([moves.min(0), moves.max(0)], [[1, -0.8], [2, 2.4]], atol=0.02)
    shears = drawn(layers.RandomShear((0.1, 0.2), seed=1))["shear_factor"]
    assert ((np.abs(shears[:, 0]) >= 0.1) & (np.abs(shears[:, 0]) <= 0.2)).all()
    assert abs((shears[:, 0] > 0).mean() - 0.5) < 0.05
    flips = drawn(layers.RandomFlip(seed=1))["flips"].reshape(-1, 2)
    np.testing.assert_allclose([flips.mean(0), (flips[:, 0] == flips[:, 1]).mean()][0], 0.5, atol=0.05)
    assert abs((flips[:, 0] == flips[:, 1]).mean() - 0.5) < 0.05
    hues = drawn(layers.RandomHue((0.3, 0.9), seed=1))["factor"]
    assert ((np.abs(hues) >= 0.15) & (np.abs(hues) <= 0.45)).all()
    fuller = drawn(layers.RandomSaturation((0.3, 0.9), seed=1))["factor"]
    assert 3 / 7 <= fuller.min() < 0.45
    assert 8 < fuller.max() <= 9.001
    bits = drawn(layers.RandomPosterization(4, seed=1))["shift_factor"]
    assert sorted(np.unique(bits)) == [5, 6, 7]
    assert abs(drawn(layers.RandomInvert(seed=1))["apply_inversion"].mean() - 0.5) < 0.05
    assert abs(drawn(layers.RandomInvert((0.8, 0.8), seed=1))["apply_inversion"].mean() - 0.8) < 0.05
    assert abs(drawn(layers.RandomGrayscale(0.3, seed=1)).mean() - 0.3) < 0.05
    erased = drawn(layers.RandomErasing((1.0, 1.0), (0.2, 0.2), seed=1))
    assert abs(erased["batch_masks"].mean() - 0.2) < 0.02
    assert abs(erased["fill_value"].mean() - 255 * 0.3156) < 1  # of a normal number, cut off at 0 and 1
    weights = drawn(layers.MixUp(2.0, seed=1))
    assert abs(weights["mix_weight"].std() - 0.05**0.5) < 0.01
    assert sorted(weights["permutation_order"]) == list(range(len(MANY)))
    cut = drawn(layers.CutMix((1.0, 1.0), seed=1))
    np.testing.assert_allclose(cut["mix_weight"].ravel(), 1 - cut["batch_masks"].mean((1, 2)), atol=1e-6)
    assert abs(cut["mix_weight"].mean() - 0.5) < 0.04
    starts = drawn(layers.RandomCrop(3, 4, seed=1))["starts"]
    assert [sorted(np.unique(s)) for s in starts] == [list(range(6)), list(range(7))]


def test_nothing_happens_unless_training(each_engine):
    for layer in (layers.RandomFlip(), layers.RandomRotation(0.3), layers.RandomErasing(), layers.MixUp(), layers.CutMix(), layers.RandomHue(0.5),
                  layers.RandomPosterization(3), layers.RandomElasticTransform(), layers.RandomHeight(0.5)):  # fmt: skip
        np.testing.assert_array_equal(array(layer(IMAGES, training=False)), IMAGES)
    resized = array(layers.RandomCrop(3, 2)(IMAGES, training=False))
    np.testing.assert_allclose(resized, array(ops.image.resize(IMAGES, (3, 2), crop_to_aspect_ratio=True)), rtol=1e-6)


def test_images_differ_within_a_batch_and_repeat_with_the_seed():
    same = np.repeat(IMAGES[:1], 4, axis=0)
    for make in (lambda: layers.RandomRotation(0.5, seed=2), lambda: layers.RandomBrightness(0.5, seed=2), lambda: layers.RandomCrop(3, 2, seed=2)):
        layer = make()
        first, second = array(layer(same, training=True)), array(layer(same, training=True))
        assert len(np.unique(first.round(3), axis=0)) == 4
        assert np.abs(first - second).max() > 1
        np.testing.assert_array_equal(array(make()(same, training=True)), first)


def test_one_image_is_a_batch_of_one():
    for layer in (layers.RandomFlip(seed=3), layers.RandomZoom(0.3, seed=3), layers.RandomCrop(3, 2, seed=3), layers.Resizing(3, 4)):
        copy = type(layer).from_config(layer.get_config())
        np.testing.assert_allclose(array(layer(IMAGES[0], training=True)), array(copy(IMAGES[:1], training=True))[0], rtol=1e-6)


def test_integers():
    whole = IMAGES.astype("uint8")
    for layer in (layers.Resizing(3, 4), layers.RandomBrightness(0.5), layers.RandomGrayscale(), layers.MaxNumBoundingBoxes(2)):
        assert layer(whole, training=True).dtype.name == "uint8"
    for layer in (layers.RandomFlip(), layers.RandomSaturation(0.5), layers.Rescaling(0.5), layers.Equalization()):
        assert layer(whole).dtype.name == "float32"


# What comes along -----------------------------------------------------------------------------------------------------------------------------


def rectangles(random, count, height, width):
    """Boxes of whole pixels, well inside, and images in which they shine."""
    top, left = random.integers(10, height // 2, count), random.integers(10, width // 2, count)
    boxes = np.stack([left, top, left + random.integers(6, 12, count), top + random.integers(6, 12, count)], -1).astype("float32")
    images = np.zeros((count, height, width, 1), "float32")
    for image, (x0, y0, x1, y1) in zip(images, boxes.astype(int), strict=True):
        image[y0:y1, x0:x1] = 1
    return boxes[:, None], images


def extent(image):
    """The box of what is more than half as bright as light."""
    rows, columns = np.nonzero(image[..., 0] > 0.5)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize(
    "layer",
    [
        lambda **more: layers.RandomFlip(seed=3, **more),
        lambda **more: layers.RandomRotation(0.25, fill_mode="constant", seed=3, **more),
        lambda **more: layers.RandomTranslation(0.2, 0.3, fill_mode="constant", seed=3, **more),
        lambda **more: layers.RandomZoom(0.3, 0.2, fill_mode="constant", seed=3, **more),
        lambda **more: layers.RandomShear(0.2, 0.3, fill_mode="constant", seed=3, **more),
        lambda **more: layers.RandomPerspective((0.8, 0.8), 0.3, seed=3, **more),
        lambda **more: layers.RandomCrop(33, 41, seed=3, **more),
        lambda **more: layers.RandomCrop(50, 20, seed=3, **more),
        lambda **more: layers.CenterCrop(33, 31, **more),
        lambda **more: layers.Resizing(53, 31, **more),
        lambda **more: layers.Resizing(33, 60, pad_to_aspect_ratio=True, **more),
        lambda **more: layers.Resizing(53, 31, crop_to_aspect_ratio=True, **more),
    ],
)
@pytest.mark.parametrize("form", ["xyxy", "rel_yxyx", "center_xywh"])
def test_boxes_and_masks_follow_images(layer, form):
    """An image that shines in a box shines, afterwards, in the box that came along; and so does its mask."""
    boxes, images = rectangles(np.random.default_rng(5), 12, 43, 53)
    given = nyala.utils.bounding_boxes.convert_format(boxes, "xyxy", form, 43, 53)
    labels = np.arange(12, dtype="int32")[:, None]
    result = layer(bounding_box_format=form)(
        {"images": images, "bounding_boxes": {"boxes": given, "labels": labels}, "segmentation_masks": images.astype("int32"), "name": "x"},
        training=True,
    )
    moved, masks = array(result["images"]), ops.convert_to_numpy(result["segmentation_masks"])
    size = moved.shape[1:3]
    back = array(nyala.utils.bounding_boxes.convert_format(result["bounding_boxes"]["boxes"], form, "xyxy", *size))
    kept = ops.convert_to_numpy(result["bounding_boxes"]["labels"])
    assert masks.dtype == np.int32
    assert result["name"] == "x"
    seen = 0
    for i in range(12):
        area = (back[i, 0, 2] - back[i, 0, 0]) * (back[i, 0, 3] - back[i, 0, 1])
        if kept[i, 0] < 0:
            assert area == 0
        elif area > 30:
            np.testing.assert_allclose(back[i, 0], extent(moved[i]), atol=1.6)
            np.testing.assert_allclose(back[i, 0], extent(masks[i]), atol=1.6)
            assert kept[i, 0] == i
            seen += 1
    assert seen >= 4


def test_labels_and_boxes_of_mixtures(each_engine):
    data = {"images": IMAGES, "labels": np.eye(3, dtype="float32"), "segmentation_masks": np.round(IMAGES[..., :1] / 255),
            "bounding_boxes": {"boxes": pictures(3, 2, 4), "labels": np.arange(6).reshape(3, 2)}}  # fmt: skip
    layer = layers.MixUp(2.0, seed=1)
    given = layer.get_random_transformation(data, seed=4)
    weight, order = array(given["mix_weight"]), array(given["permutation_order"]).astype(int)
    result = nyala.tree.map_structure(array, layers.MixUp(2.0, seed=4)(data, training=True))
    mixed = lambda x: weight.reshape(-1, *(1,) * (x.ndim - 1)) * x + (1 - weight.reshape(-1, *(1,) * (x.ndim - 1))) * x[order]  # noqa: E731
    np.testing.assert_allclose(result["images"], mixed(IMAGES), rtol=1e-4)
    np.testing.assert_allclose(result["labels"], mixed(data["labels"]), rtol=1e-5)
    np.testing.assert_allclose(result["segmentation_masks"], mixed(data["segmentation_masks"]), rtol=1e-5)
    labels = data["bounding_boxes"]["labels"]
    np.testing.assert_array_equal(result["bounding_boxes"]["labels"], np.concatenate([labels, labels[order]], 1))
    data.pop("bounding_boxes")
    cut = nyala.tree.map_structure(array, layers.CutMix((1.0, 1.0), seed=4)(data, training=True))
    own = (cut["images"] == IMAGES).all(-1).mean((1, 2))
    moved = ~np.isclose(np.diagonal(cut["labels"]), 1)
    np.testing.assert_allclose(np.diagonal(cut["labels"])[moved], own[moved], atol=1e-5)


def test_sizes_of_random_height_and_width():
    heights = {layers.RandomHeight(0.5, seed=i)(IMAGES, training=True).shape for i in range(9)}
    assert {shape[2:] for shape in heights} == {(5, 3)}
    assert all(3 <= shape[1] <= 10 for shape in heights)
    assert len(heights) > 2
    assert layers.RandomWidth((1.0, 1.0))(IMAGES, training=True).shape == (3, 7, 10, 3)
    assert layers.RandomHeight(0.5)(nyala.KerasTensor((None, 7, 5, 3))).shape == (None, None, 5, 3)


def test_in_a_model_that_is_trained(each_engine):
    if each_engine == "numpy":
        pytest.skip("no gradients")
    model = nyala.Sequential([layers.Rescaling(1 / 255), layers.RandomFlip(seed=1), layers.RandomRotation(0.1, seed=2), layers.RandomContrast(0.2),
                              layers.RandomBrightness(0.1, value_range=(0, 1)), layers.Conv2D(2, 3), layers.GlobalAveragePooling2D()])  # fmt: skip
    model.compile("sgd", "mse")
    history = model.fit(pictures(8, 7, 5, 3), np.zeros((8, 2), "float32"), epochs=2, batch_size=4, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    np.testing.assert_array_equal(model.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0))


# Spectrograms ---------------------------------------------------------------------------------------------------------------------------------

SOUND = np.random.default_rng(3).normal(scale=0.3, size=(2, 300)).astype("float32")


def test_spectrograms_keep_the_contract():
    small = {"fft_length": 64, "sequence_stride": 30, "num_mel_bins": 7}
    check_layer(layers.MelSpectrogram, {**small, "power_to_db": False}, SOUND, mixed=False, tolerance=1e-4)
    check_layer(layers.MelSpectrogram, small, SOUND, mixed=False, batch_independent=False, gradients=False, tolerance=1e-4)
    for mode in ("log", "magnitude", "psd", "real", "imag", "stft"):
        arguments = {"mode": mode, "frame_length": 16, "frame_step": 5, "expand_dims": mode == "psd"}
        check_layer(layers.STFTSpectrogram, arguments, SOUND[:, :100].reshape(2, 50, 2), mixed=False, gradients=mode != "log", tolerance=1e-4)


def test_a_pure_tone_lies_in_its_band():
    tone = np.sin(2 * np.pi * 1000 * np.arange(4000) / 16000).astype("float32")
    layer = layers.MelSpectrogram(num_mel_bins=40)
    edges = np.linspace(1127 * np.log1p(20 / 700), 1127 * np.log1p(8000 / 700), 42)
    assert array(layer(tone)).sum(1).argmax() == np.abs(edges[1:-1] - 1127 * np.log1p(1000 / 700)).argmin()
    loud = array(layers.STFTSpectrogram("magnitude", frame_length=256)(tone[None, :, None]))
    assert (loud.argmax(-1) == 16).all()


# Errors -----------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: layers.Resizing(0, 3), "Resizing(height) needs a positive integer, got 0."),
        (lambda: layers.Resizing(3, 3, "bilinaer"), "Resizing(interpolation) needs one of 'nearest', 'bilinear', 'bicubic', 'lanczos3', 'lanczos5', "
         "'area', got 'bilinaer'.\n  fix: did you mean 'bilinear'?"),
        (lambda: layers.RandomFlip("horizontl"), "RandomFlip(mode) needs one of 'horizontal', 'vertical', 'horizontal_and_vertical', got 'horizontl'."
         "\n  fix: did you mean 'horizontal'?"),
        (lambda: layers.RandomRotation(2.0), "RandomRotation(factor) needs a number, or two, from -1 to 1, got 2.0."),
        (lambda: layers.RandomRotation(0.2, fill_mode="zero"), "RandomRotation(fill_mode) needs one of 'reflect', 'wrap', 'constant', 'nearest', "
         "'mirror', got 'zero'."),
        (lambda: layers.RandomContrast("a"), "RandomContrast(factor) needs a number, or two, from 0 to 1, got 'a'."),
        (lambda: layers.RandomPosterization((3,)), "RandomPosterization(factor) needs a number, or two, from 1 to 8, got (3,)."),
        (lambda: layers.AutoContrast((3, 1)), "AutoContrast(value_range) needs two numbers (lowest, highest), got (3, 1)."
         "\n  fix: (0, 255) or (0, 1)"),
        (lambda: layers.RandomGaussianBlur(kernel_size=4), "RandomGaussianBlur(kernel_size) needs odd numbers, got 4.\n  why: the bell has a middle"),
        (lambda: layers.MixUp(0.0), "MixUp(alpha) needs a number above 0, got 0.0."),
        (lambda: layers.RandAugment(num_ops=0), "RandAugment(num_ops) needs a positive integer, got 0."),
        (lambda: layers.RandomFlip(bounding_box_format="xyx"), "RandomFlip(bounding_box_format) needs one of xyxy, yxyx, xywh, center_xywh, "
         "center_yxhw, rel_xyxy, rel_yxyx, rel_xywh, rel_center_xywh, got 'xyx'."),
        (lambda: layers.STFTSpectrogram(fft_length=300), "STFTSpectrogram(fft_length) needs a power of two from frame_length=256 on, got 300."),
        (lambda: layers.MelSpectrogram(min_freq=9000), "MelSpectrogram needs 0 <= min_freq < max_freq <= sampling_rate / 2, got 9000, 8000 "
         "and 16000."),
    ],
)  # fmt: skip
def test_refused_arguments(build, text):
    with raises(ArgumentError, text):
        build()


def test_refused_data():
    with raises(ShapeError, "RandomFlip 'f' needs one image (h, w, c), or a batch (b, h, w, c), got (3, 5)."):
        layers.RandomFlip(name="f")(np.zeros((3, 5), "float32"))
    boxes = {"boxes": np.zeros((3, 2, 4)), "labels": np.zeros((3, 2))}
    with pytest.raises(ArgumentError, match="RandomFlip 'f' needs bounding_box_format, as boxes come along, got None"):
        layers.RandomFlip(name="f")({"images": IMAGES, "bounding_boxes": boxes}, training=True)
    with pytest.raises(ArgumentError, match="CutMix 'c' needs data without boxes"):
        layers.CutMix(name="c")({"images": IMAGES, "bounding_boxes": boxes}, training=True)
    with pytest.raises(ArgumentError, match="RandomFlip 'f' needs a dict with 'images'"):
        layers.RandomFlip(name="f")({"image": IMAGES})
