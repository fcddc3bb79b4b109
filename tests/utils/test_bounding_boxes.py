# SPDX-License-Identifier: Apache-2.0
"""Bounding boxes: laws beside the recorded numbers, and errors."""

import numpy as np
import pytest

import nyala
from nyala.core.errors import ArgumentError
from nyala.utils import bounding_boxes as bb


def boxes(*shape, seed=3):
    random = np.random.default_rng(seed)
    start, size = random.uniform(0, 9, (*shape, 2)), random.uniform(1, 9, (*shape, 2))
    return np.concatenate([start, start + size], -1).astype("float32")


def array(x):
    return nyala.ops.convert_to_numpy(x)


@pytest.mark.parametrize("source", bb.FORMATS)
@pytest.mark.parametrize("target", bb.FORMATS)
def test_there_and_back(source, target):
    x = boxes(2, 5) / (20 if source.startswith("rel_") else 1)
    there = bb.convert_format(x, source, target, height=20, width=24)
    np.testing.assert_allclose(array(bb.convert_format(there, target, source, height=20, width=24)), x, rtol=1e-4, atol=1e-5)


def test_capital_letters():
    x, y = boxes(5), boxes(3, seed=4)
    np.testing.assert_array_equal(array(bb.convert_format(x, "XYXY", "center_XYWH")), array(bb.convert_format(x, "xyxy", "center_xywh")))
    np.testing.assert_array_equal(array(bb.compute_iou(x, y, "XYWH")), array(bb.compute_iou(x, y, "xywh")))


def test_overlap_counts_pixels():
    """On a grid of unit squares, areas are counts."""
    a, b = np.floor(boxes(7, seed=1)), np.floor(boxes(5, seed=2))
    grid = np.arange(24)

    def covered(box):
        return ((grid >= box[0]) & (grid < box[2]))[None, :] & ((grid >= box[1]) & (grid < box[3]))[:, None]

    expected = [[(covered(p) & covered(q)).sum() / max((covered(p) | covered(q)).sum(), 1) for q in b] for p in a]
    np.testing.assert_allclose(array(bb.compute_iou(a, b, "xyxy")), expected, rtol=1e-6)


def test_complete_overlap_is_one_only_for_the_same_box():
    x, y = boxes(7, seed=1), boxes(7, seed=2)
    np.testing.assert_allclose(array(bb.compute_ciou(x, x, "xyxy")), 1, rtol=1e-5)
    plain = np.diagonal(array(bb.compute_iou(x, y, "xyxy")))
    assert (array(bb.compute_ciou(x, y, "xyxy")) < plain).all()


def test_decoding_undoes_encoding():
    anchors, x = boxes(5, seed=1), boxes(2, 5, seed=2)
    for form in bb.CENTERS:
        options = {"variance": [0.1, 0.1, 0.2, 0.2]}
        deltas = bb.encode_box_to_deltas(anchors, x, "xyxy", "xyxy", encoding_format=form, **options)
        np.testing.assert_allclose(array(bb.decode_deltas_to_boxes(anchors, deltas, "xyxy", "xyxy", encoded_format=form, **options)), x, rtol=1e-4)
    levels = bb.encode_box_to_deltas({"fine": anchors}, {"fine": x}, "xyxy", "xyxy")
    np.testing.assert_array_equal(array(levels["fine"]), array(bb.encode_box_to_deltas(anchors, x, "xyxy", "xyxy")))


def test_shears_and_turns_keep_areas():
    """Seen through the corners of a thin box, a map with any shears and turns, and scale 1, keeps the area of a parallelogram."""
    point = lambda x, y: np.array([[[x, y, x, y]]], "float32")  # noqa: E731
    ends = [array(bb.affine_transform(point(*p), [30.0], [0.1], [0.2], [1.0], [20.0], [-15.0], 20, 24))[0, 0, :2] for p in ((0, 0), (1, 0), (0, 1))]
    (a, c), (b, d) = ends[1] - ends[0], ends[2] - ends[0]
    assert a * d - b * c == pytest.approx(1.0, rel=1e-4)


def test_errors():
    with pytest.raises(ArgumentError, match=r"convert_format needs a format of .*, got 'xyxx'"):
        bb.convert_format(boxes(2), "xyxx", "xyxy")
    with pytest.raises(ArgumentError, match="convert_format needs the height and width of the images, got None and None"):
        bb.convert_format(boxes(2), "xyxy", "rel_xyxy")
    with pytest.raises(ArgumentError, match='clip_to_image_size needs a dict with "boxes" and "labels", got ndarray'):
        bb.clip_to_image_size(boxes(2), 3, 5)
    with pytest.raises(ArgumentError, match=r"crop\(bounding_box_format\) needs a format in pixels, got 'rel_xyxy'"):
        bb.crop(boxes(2), 1, 1, 5, 5, "rel_xyxy")
    with pytest.raises(ArgumentError, match=r"compute_iou\(image_shape\) needs the shape .*, got None"):
        bb.compute_iou(boxes(2), boxes(2), "rel_xyxy")
    with pytest.raises(ArgumentError, match=r"encode_box_to_deltas needs an encoding of .*, got 'xyxy'"):
        bb.encode_box_to_deltas(boxes(2), boxes(2), "xyxy", "xyxy", "xyxy")
