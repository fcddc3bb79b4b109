# SPDX-License-Identifier: Apache-2.0
"""Boxes and masks in images, and galleries of them."""

import numpy as np
import pytest

from nyala import ops, visualization
from nyala.core.errors import ArgumentError, ShapeError
from nyala.utils.bounding_boxes import FORMATS
from nyala.visualization.drawing import corners
from tests.training.tools import raises

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (2, 7, 11, 3)).astype("uint8")
MASKS = RANDOM.integers(-1, 3, (2, 7, 11, 1))
BOXES = {"boxes": np.array([[[1, 1, 5, 4], [7, 0, 9, 5]]] * 2, "float32"), "labels": np.array([[0, 1], [1, -1]])}


def test_masks_are_mixed_with_their_colors():
    got = visualization.draw_segmentation_masks(IMAGES, MASKS, color_mapping={0: (10, 20, 30)}, alpha=0.3)
    colors = np.array([(10, 20, 30), (1, 127, 31), (2, 254, 62)])
    assert got.dtype == np.uint8
    mask = MASKS[..., 0]
    for i in range(3):
        np.testing.assert_allclose(got[mask == i], IMAGES[mask == i] * 0.7 + colors[i] * 0.3, atol=1)
    np.testing.assert_array_equal(got[mask == -1], IMAGES[mask == -1])
    got = visualization.draw_segmentation_masks(ops.convert_to_tensor(IMAGES), mask, num_classes=2, blend=False, ignore_index=0)
    np.testing.assert_array_equal(got[mask != 1], IMAGES[mask != 1])
    assert (got[mask == 1] == colors[1]).all()
    first = visualization.draw_segmentation_masks(IMAGES.transpose(0, 3, 1, 2), MASKS.transpose(0, 3, 1, 2), data_format="channels_first")
    np.testing.assert_array_equal(first, visualization.draw_segmentation_masks(IMAGES, MASKS))


def test_boxes_are_outlines():
    got = visualization.draw_bounding_boxes(IMAGES, BOXES, "xyxy", color=(255, 1, 2), line_thickness=1)
    red = (got == (255, 1, 2)).all(-1)
    wanted = np.zeros((2, 7, 11), bool)
    wanted[:, 1:5, [1, 5]] = wanted[:, [1, 4], 1:6] = True
    wanted[0, 0:6, [7, 9]] = wanted[0, [0, 5], 7:10] = True
    np.testing.assert_array_equal(red, wanted)
    np.testing.assert_array_equal(got[~wanted], IMAGES[~wanted])
    square = {"boxes": np.array([[[5, 5, 14, 14]]]), "labels": np.array([[0]])}
    thick = visualization.draw_bounding_boxes(np.zeros((1, 20, 20, 3)), square, "xyxy", line_thickness=3)
    assert thick[0, :, :, 0].any(1).nonzero()[0].tolist() == list(range(4, 16))
    assert (thick != 0).all(-1).sum() == 12 * 12 - 6 * 6
    outside = {"boxes": np.array([[[-9.0, -9, -5, -5]]]), "labels": np.array([[0]])}
    np.testing.assert_array_equal(visualization.draw_bounding_boxes(IMAGES[:1], outside, "xyxy"), IMAGES[:1])


@pytest.mark.parametrize("box_format", FORMATS)
def test_formats_of_boxes(box_format):
    same = {
        "xyxy": [2, 3, 8, 5], "yxyx": [3, 2, 5, 8], "xywh": [2, 3, 6, 2], "center_xywh": [5, 4, 6, 2], "center_yxhw": [4, 5, 2, 6],
        "rel_xyxy": [0.2, 0.15, 0.8, 0.25], "rel_yxyx": [0.15, 0.2, 0.25, 0.8], "rel_xywh": [0.2, 0.15, 0.6, 0.1],
        "rel_center_xywh": [0.5, 0.2, 0.6, 0.1],
    }[box_format]  # fmt: skip
    np.testing.assert_allclose(corners("x", np.array([[same]]), box_format, 20, 10), [[[2, 3, 8, 5]]], rtol=1e-6)


def test_names_are_written_above_the_boxes():
    pytest.importorskip("PIL")
    images = np.zeros((1, 60, 90, 3), "uint8")
    boxes = {"boxes": np.array([[[10, 30, 80, 55]]]), "labels": np.array([[1]]), "confidence": np.array([[0.5]])}
    plain = visualization.draw_bounding_boxes(images, boxes, "xyxy", {0: "cat"})
    named = visualization.draw_bounding_boxes(images, boxes, "xyxy", {1: "dog"}, font_scale=1.0)
    changed = np.argwhere((plain != named).any(-1)[0])
    assert len(changed)
    assert changed[:, 0].max() <= 30
    assert changed[:, 1].min() == 10
    high = {**boxes, "boxes": np.array([[[10, 2, 80, 55]]])}
    assert (visualization.draw_bounding_boxes(images, high, "xyxy", {1: "dog"})[0, 4:10, 14:40] != 0).any()


def test_galleries_are_written(tmp_path):
    pytest.importorskip("matplotlib")
    images = np.repeat(np.repeat(IMAGES, 4, 1), 4, 2)
    show = visualization.plot_image_gallery
    show(images[:1].repeat(5, 0), path=tmp_path / "a.png", y_true=[0, 1, 2, 0, 1], y_pred=[0, 1, 1, 0, 1], label_map={0: "cat"})
    show(images[..., :1] / 255, value_range=(0, 1), rows=1, path=tmp_path / "b.png")
    show(images.transpose(0, 3, 1, 2), data_format="channels_first", cols=1, path=tmp_path / "c.png", transparent=False, dpi=30)
    boxes = {"boxes": BOXES["boxes"] * 4, "labels": BOXES["labels"]}
    visualization.plot_bounding_box_gallery(images, "xyxy", boxes, boxes, legend=True, class_mapping={0: "a"}, path=tmp_path / "d.png")
    masks = np.repeat(np.repeat(MASKS, 4, 1), 4, 2)
    visualization.plot_segmentation_mask_gallery(images, 3, y_true=masks, y_pred=masks[..., 0], path=tmp_path / "e.png")
    for name in "abcde":
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_what_galleries_show(monkeypatch):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    shown = []
    monkeypatch.setattr(pyplot, "show", lambda: shown.append(pyplot.gcf()))
    visualization.plot_image_gallery(IMAGES, y_true=[0, 1], y_pred=[0, 2], label_map={0: "cat", 1: "dog"})
    (figure,) = shown
    assert [(axis.get_title(), axis.title.get_color()) for axis in figure.axes] == [("cat", "green"), ("2, not dog", "red")]
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), IMAGES[0] / 255, atol=1e-6)
    pyplot.close(figure)
    visualization.plot_segmentation_mask_gallery(IMAGES, 3, y_true=MASKS)
    assert [axis.get_subplotspec().get_geometry()[:2] for axis in shown[1].axes] == [(2, 2)] * 4
    pyplot.close(shown[1])
    visualization.plot_image_gallery(IMAGES, show=False)
    assert len(shown) == 2


ERRORS = [
    (lambda v: v.draw_bounding_boxes(IMAGES[0], BOXES, "xyxy"), ShapeError,
     "draw_bounding_boxes(images) needs a batch of images, rank 4, got shape (7, 11, 3).\n  fix: images[None] makes a batch of one"),
    (lambda v: v.draw_bounding_boxes(IMAGES, {"boxes": 1}, "xyxy"), ArgumentError,
     "draw_bounding_boxes(bounding_boxes) needs a dict with \"boxes\" and \"labels\", got ['boxes']."),
    (lambda v: v.draw_bounding_boxes(IMAGES, {"boxes": np.ones((2, 3)), "labels": 1}, "xyxy"), ShapeError,
     "draw_bounding_boxes(boxes) needs boxes (batch, boxes, 4), got shape (2, 3)."),
    (lambda v: v.draw_bounding_boxes(IMAGES, {**BOXES, "labels": np.ones((2, 3))}, "xyxy"), ShapeError,
     "draw_bounding_boxes needs boxes (batch, boxes, 4) and labels (batch, boxes), got (2, 2, 4) and (2, 3)."),
    (lambda v: v.draw_segmentation_masks(IMAGES, MASKS[:, 1:]), ShapeError,
     "draw_segmentation_masks needs images of 3 channels and a class for each pixel, got images (2, 7, 11, 3), masks (2, 6, 11)."),
    (lambda v: v.plot_image_gallery(IMAGES, path="x.png", show=True), ArgumentError,
     "plot_image_gallery needs path= or show=True, got both.\n  why: the picture is written or shown"),
    (lambda v: v.plot_image_gallery(IMAGES, rows=0, show=False), ArgumentError, "plot_image_gallery(rows) needs a positive integer, got 0."),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "message"), ERRORS)
def test_errors(call, kind, message):
    with raises(kind, message):
        call(visualization)
