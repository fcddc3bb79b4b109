# SPDX-License-Identifier: Apache-2.0
"""The questions about ops on images and bounding boxes: which function, with what. Imports neither Keras nor Nyala. Start at CASES."""

import numpy as np

CASES = {}  # name -> {"function": dotted path, "args": list, "kwargs": dict}; arrays are made by functions of a generator


def case(function, label, *args, **kwargs):
    CASES[f"{function}/{label}"] = {"function": function, "args": list(args), "kwargs": kwargs}


def image(*shape, high=1.0):
    return lambda random: random.uniform(0, high, size=shape).astype("float32")


def bytes_of(*shape):
    return lambda random: random.integers(0, 256, size=shape).astype("uint8")


def normal(*shape, scale=1.0):
    return lambda random: random.normal(scale=scale, size=shape).astype("float32")


def op(name, label, *args, **kwargs):
    case(f"ops.image.{name}", label, *args, **kwargs)


LAST, ONE, FIRST = image(2, 7, 5, 3), image(7, 5, 3), image(2, 3, 7, 5)

for method in ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"):
    op("resize", f"{method} smaller", LAST, (3, 4), interpolation=method)
    op("resize", f"{method} antialias", LAST, (3, 4), interpolation=method, antialias=True)
    op("resize", f"{method} larger", ONE, (11, 13), interpolation=method)
    op("resize", f"{method} bytes", bytes_of(2, 5, 7, 3), (7, 3), interpolation=method)
op("resize", "first", FIRST, (3, 11), data_format="channels_first")
op("resize", "pad wide", LAST, (5, 11), pad_to_aspect_ratio=True, fill_value=0.5)
op("resize", "pad high", LAST, (11, 3), pad_to_aspect_ratio=True, interpolation="nearest")
op("resize", "pad bytes", bytes_of(2, 5, 7, 3), (7, 3), pad_to_aspect_ratio=True, fill_value=7)
op("resize", "crop wide", LAST, (3, 11), crop_to_aspect_ratio=True)
op("resize", "crop high", FIRST, (11, 3), crop_to_aspect_ratio=True, data_format="channels_first")
for method in ("linear", "cubic", "lanczos3", "lanczos5"):
    vectors = np.array([0.6, 1.7], "float32"), np.array([0.23, -1.31], "float32")
    op("scale_and_translate", method, LAST, (2, 5, 7, 3), *vectors, (1, 2), method)
    op("scale_and_translate", f"{method} sharp", LAST, (2, 5, 7, 3), *vectors, (1, 2), method, antialias=False)
op("scale_and_translate", "one axis", bytes_of(5, 7), (5, 11), np.array([1.3], "float32"), np.array([2.1], "float32"), (1,), "bilinear")

for kind in ("rgb_to_grayscale", "rgb_to_hsv", "hsv_to_rgb"):
    op(kind, "last", LAST)
    op(kind, "first", FIRST, data_format="channels_first")
    op(kind, "one", ONE)
op("rgb_to_grayscale", "bytes", bytes_of(2, 5, 7, 3))
op("rgb_to_hsv", "edges", np.array([[[0, 0, 0], [0.5, 0.5, 0.5], [0, 0.3, 0.3], [1, 0, 0.2], [0.7, 0.7, 0.1], [0.4, 0.1, 0.4]]], "float32"))
op("hsv_to_rgb", "edges", np.array([[[1.2, 0.5, 0.5], [-0.3, 0.5, 0.5], [0.5, 1.5, 0.3], [1.0, 0.2, 2.0]]], "float32"))

op("gaussian_blur", "plain", FIRST, data_format="channels_first")
op("gaussian_blur", "wide", FIRST, (5, 5), (1.5, 1.5), data_format="channels_first")
op("gaussian_blur", "even", FIRST, (4, 4), (0.7, 0.7), data_format="channels_first")
op("sobel_edges", "last", LAST)
op("sobel_edges", "first", FIRST, data_format="channels_first")
BIG, OTHER = image(2, 13, 12, 3), image(2, 13, 12, 3)
op("ssim", "plain", BIG, OTHER)
op("ssim", "small", LAST, image(2, 7, 5, 3), filter_size=3, filter_sigma=0.8, max_val=2.0, k1=0.02, k2=0.05)
op("ssim", "even first", FIRST, image(2, 3, 7, 5), filter_size=4, data_format="channels_first")
op("ssim", "one", ONE, image(7, 5, 3), filter_size=5)

op("extract_patches", "tiles", LAST, (2, 3))
op("extract_patches", "overlap", LAST, (3, 2), strides=(2, 1), padding="same")
op("extract_patches", "dilated first", FIRST, 2, strides=1, dilation_rate=2, data_format="channels_first")
op("extract_patches", "one", ONE, 3, strides=2)
op("extract_patches", "volumes", image(2, 5, 4, 3, 2), (2, 2, 2))
op("extract_patches_3d", "tiles", image(2, 5, 4, 3, 2), 2)
op("extract_patches_3d", "same", image(2, 5, 4, 3, 2), (3, 2, 2), strides=(2, 1, 1), padding="same")
op("extract_patches_3d", "first", image(2, 2, 5, 4, 3), (2, 3, 2), data_format="channels_first")

op("crop_images", "sides", LAST, 1, 2, 3, 1)
op("crop_images", "targets", LAST, 1, None, None, 2, 5, 2)
op("crop_images", "first", FIRST, None, 1, 2, None, 3, 2, data_format="channels_first")
op("pad_images", "sides", LAST, 1, 2, 3, 0)
op("pad_images", "targets", ONE, 1, None, None, 2, 11, 9)
op("pad_images", "bytes", bytes_of(2, 5, 7, 3), None, 1, 2, None, 8, 9)

PLACES = normal(2, 3, 7, scale=6.0)
for mode in ("constant", "nearest", "wrap", "mirror", "reflect"):
    for order in (0, 1):
        op("map_coordinates", f"{mode} {order}", normal(5, 3), PLACES, order, fill_mode=mode, fill_value=0.3)
    for way in ("nearest", "bilinear"):
        matrix = np.array([[0.81, 0.33, -1.72, -0.23, 1.31, 0.94, 0, 0], [1.13, -0.42, 0.61, 0.54, 0.73, -2.12, 0, 0]], "float32")
        op("affine_transform", f"{mode} {way}", LAST, matrix, interpolation=way, fill_mode=mode, fill_value=0.3)
op("map_coordinates", "one axis", normal(7), normal(1, 5, scale=4.0), 1, fill_mode="reflect")
op("map_coordinates", "integers", bytes_of(5, 7), lambda random: random.uniform(0, 4, (2, 6)).astype("float32"), 1)
op(
    "map_coordinates",
    "halves",
    np.arange(2, 9).astype("int32"),
    np.array([[-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 5.5, 7.5]], "float32"),
    0,
    fill_mode="wrap",
)
op("affine_transform", "one", ONE, np.array([0.81, 0.33, -1.72, -0.23, 1.31, 0.94, 0, 0], "float32"))
op("affine_transform", "first", FIRST, matrix, data_format="channels_first")
op("affine_transform", "bytes", bytes_of(2, 7, 5, 3), matrix)
# No pixel is sent to within 0.02 of a pixel, or of the middle between two: there rounding would choose between two slopes, or two values.
START = np.array([[[-0.5, 0.5], [4.4, -0.7], [-0.2, 5.8], [4.3, 5.9]], [[0.7, 0.2], [4.0, 0.6], [-0.3, 6.0], [3.9, 6.7]]], "float32")
END = np.array([[[0.2, 0.7], [4.5, -0.3], [-0.1, 5.7], [3.2, 5.4]], [[0.8, -0.6], [4.7, -0.3], [-0.1, 5.1], [4.5, 6.1]]], "float32")
op("perspective_transform", "plain", LAST, START, END, fill_value=0.2)
op("perspective_transform", "nearest", LAST, START, END, interpolation="nearest")
op("perspective_transform", "one", ONE, START[1], END[1])
op("perspective_transform", "first", FIRST, START, END, data_format="channels_first")


def boxes(*shape):
    """Boxes (left, top, right, bottom) within 24 columns and 20 rows, some reaching beyond."""

    def make(random):
        corners = random.uniform(-4, 22, size=(*shape, 2, 2))
        corners.sort(axis=-2)
        return (corners.reshape(*shape, 4) + np.array([0, 0, 1, 1])).astype("float32")

    return make


def box(name, label, *args, **kwargs):
    case(f"utils.bounding_boxes.{name}", label, *args, **kwargs)


FORMATS = ("xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw", "rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh")
for target in FORMATS[1:]:
    box("convert_format", f"xyxy to {target}", boxes(2, 3), "xyxy", target, height=20, width=24)
    box("convert_format", f"{target} to xyxy", lambda random: random.uniform(0.1, 0.9, (5, 4)).astype("float32"), target, "xyxy", height=20, width=24)
box("convert_format", "between", boxes(5), "center_yxhw", "rel_xywh", height=20, width=24)
for form in ("xyxy", "yxyx", "center_xywh"):
    box("compute_iou", form, boxes(5), boxes(3), form)
    box("compute_ciou", form, boxes(5), boxes(5), form)
    box("encode_box_to_deltas", form, boxes(5), boxes(2, 5), form, form)
    box("decode_deltas_to_boxes", form, boxes(5), normal(2, 5, 4, scale=0.3), form, form)
for form in ("xyxy", "rel_xyxy"):
    labelled = {"boxes": boxes(2, 5), "labels": lambda random: random.integers(0, 4, (2, 5)).astype("int32")}
    box("clip_to_image_size", form, labelled, height=15, width=16, bounding_box_format=form)
box("crop", "plain", boxes(2, 3), 3, 4, 10, 12)
box("pad", "plain", boxes(2, 3), 3, 4, 20, 24)
NONE, ANGLES = np.zeros(2, "float32"), np.array([30.0, -75.0], "float32")
MOVES, RATIOS = (np.array([0.2, -0.3], "float32"), np.array([0.1, 0.5], "float32")), np.array([1.2, 0.7], "float32")
box("affine_transform", "turned", boxes(2, 3), ANGLES, *MOVES, RATIOS, NONE, np.array([0.0, -20.0], "float32"), 20, 24)
box("affine_transform", "sheared", boxes(2, 3), NONE, *MOVES, RATIOS, np.array([10.0, -25.0], "float32"), NONE, 20, 24)
box("affine_transform", "center", boxes(2, 3), ANGLES, *MOVES, RATIOS, NONE, NONE, 20, 24, center_x=0.3, center_y=0.8)
box("compute_iou", "batch", boxes(2, 5), boxes(2, 3), "xyxy")
box("compute_iou", "one of two", boxes(2, 5), boxes(3), "xyxy")
box("compute_iou", "relative", boxes(5), boxes(3), "rel_xyxy", image_shape=(20, 24, 3))
box("compute_iou", "masked", lambda random: np.concatenate([boxes(3)(random), -np.ones((2, 4), "float32")]), boxes(3), "xyxy", use_masking=True)
for label, more in (("variance", {"variance": [0.1, 0.2, 0.3, 0.4]}), ("relative", {"image_shape": (20, 24, 3)})):
    box("encode_box_to_deltas", label, boxes(5), boxes(5), "xyxy", "xywh" if label == "variance" else "rel_xyxy", **more)
    box("decode_deltas_to_boxes", label, boxes(5), normal(5, 4, scale=0.3), "xyxy", "xywh" if label == "variance" else "rel_xyxy", **more)
box("encode_box_to_deltas", "center_xywh", boxes(5), boxes(2, 5), "xyxy", "xyxy", encoding_format="center_xywh")
box("decode_deltas_to_boxes", "center_xywh", boxes(5), normal(2, 5, 4, scale=0.3), "xyxy", "xyxy", encoded_format="center_xywh")
