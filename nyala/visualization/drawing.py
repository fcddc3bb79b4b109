# SPDX-License-Identifier: Apache-2.0
"""Boxes and masks drawn into images, in NumPy: draw_bounding_boxes, draw_segmentation_masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nyala.core import config
from nyala.core.errors import ArgumentError, ShapeError
from nyala.engines import current
from nyala.layers.arguments import as_choice
from nyala.utils.bounding_boxes import FORMATS, convert_format
from nyala.utils.extras import need

Color = tuple[int, int, int]


def as_images(where: str, images: Any, data_format: str | None) -> np.ndarray:
    """A batch of images as an array (batch, height, width, channels)."""
    data_format = as_choice(f"{where}(data_format)", data_format or config.image_data_format(), ("channels_first", "channels_last"))
    images = as_numpy(images)
    if images.ndim != 4:
        raise ShapeError(f"{where}(images)", need="a batch of images, rank 4", got=f"shape {images.shape}", fix="images[None] makes a batch of one")
    return images.transpose(0, 2, 3, 1) if data_format == "channels_first" else images


def as_numpy(x: Any) -> np.ndarray:
    return x if isinstance(x, np.ndarray) else current().to_numpy(x) if current().is_tensor(x) else np.asarray(x)


def draw_segmentation_masks(
    images: Any,
    segmentation_masks: Any,
    num_classes: int | None = None,
    color_mapping: Mapping[int, Color] | None = None,
    alpha: float = 0.8,
    blend: bool = True,
    ignore_index: int = -1,
    data_format: str | None = None,
) -> np.ndarray:
    """Images with the pixels of each class in a color.

    Args:
        images: (batch, height, width, 3), values from 0 to 255.
        segmentation_masks: integers (batch, height, width), or with an axis of 1 where images have channels.
        num_classes: classes from 0 up to it are drawn; all by default.
        color_mapping: colors of classes; those not in it have one by their number.
        alpha: share of the color in the mixture.
        blend: mix; else the color alone.
        ignore_index: class that is left as it is.
        data_format: "channels_first" where channels come before height; the result has them last.
    Returns: uint8 (batch, height, width, 3).

    Differs from Keras: without num_classes the last class is drawn too.

    >>> draw_segmentation_masks(np.zeros((1, 1, 2, 3)), [[[0, 1]]], color_mapping={1: (10, 20, 30)}, alpha=0.5)[0, 0].tolist()
    [[0, 0, 0], [5, 10, 15]]
    """
    where = "draw_segmentation_masks"
    images = as_images(where, images, data_format)
    masks = as_numpy(segmentation_masks)
    if masks.ndim == 4 and masks.shape[1 if data_format == "channels_first" else 3] == 1:
        masks = masks[:, 0] if data_format == "channels_first" else masks[..., 0]
    if masks.shape != images.shape[:3] or images.shape[3] != 3:
        raise ShapeError(where, need="images of 3 channels and a class for each pixel", got=f"images {images.shape}, masks {masks.shape}")
    masks = masks.astype(np.int64)
    count = int(masks.max(initial=-1)) + 1 if num_classes is None else num_classes
    known = dict(color_mapping or {})
    colors = np.array([known.get(i, (i % 255, i * 127 % 255, i * 31 % 255)) for i in range(count)], np.float32).reshape(-1, 3)
    drawn = (masks >= 0) & (masks < count) & (masks != ignore_index)
    result = images.astype(np.float32)
    share = alpha if blend else 1.0
    result[drawn] = result[drawn] * (1 - share) + colors[masks[drawn]] * share
    return np.clip(result, 0, 255).astype(np.uint8)


def draw_bounding_boxes(
    images: Any,
    bounding_boxes: Mapping[str, Any],
    bounding_box_format: str,
    class_mapping: Mapping[int, str] | None = None,
    color: Color = (128, 128, 128),
    line_thickness: int = 2,
    text_thickness: int = 1,
    font_scale: float = 1.0,
    data_format: str | None = None,
) -> np.ndarray:
    """Images with boxes drawn into them.

    Args:
        images: (batch, height, width, 3), values from 0 to 255.
        bounding_boxes: {"boxes": (batch, boxes, 4), "labels": (batch, boxes), and perhaps "confidence": (batch, boxes)}; label -1 is no box.
        bounding_box_format: what the four numbers are, such as "xyxy".
        class_mapping: names of labels, written above the boxes; needs Pillow. Without names nothing is written.
        color: of lines and behind names.
        line_thickness, text_thickness, font_scale: of lines in pixels, and of names.
        data_format: "channels_first" where channels come before height; the result has them last.
    Returns: uint8 (batch, height, width, 3).
    """
    where = "draw_bounding_boxes"
    images = np.clip(as_images(where, images, data_format), 0, 255).astype(np.uint8)
    if not isinstance(bounding_boxes, Mapping) or not {"boxes", "labels"} <= set(bounding_boxes):
        shown = sorted(bounding_boxes) if isinstance(bounding_boxes, Mapping) else type(bounding_boxes).__name__
        raise ArgumentError(f"{where}(bounding_boxes)", need='a dict with "boxes" and "labels"', got=str(shown))
    boxes = corners(where, as_numpy(bounding_boxes["boxes"]), bounding_box_format, images.shape[1], images.shape[2])
    labels = as_numpy(bounding_boxes["labels"]).astype(np.int64)
    confidence = bounding_boxes.get("confidence")
    if boxes.shape != (len(images), *labels.shape[1:], 4) or labels.shape[0] != len(images):
        raise ShapeError(where, need="boxes (batch, boxes, 4) and labels (batch, boxes)", got=f"{boxes.shape} and {labels.shape}")
    for i, image in enumerate(images):
        for j in np.flatnonzero(labels[i] != -1):
            left, top, right, bottom = (int(v) for v in np.round(boxes[i, j]))
            _outline(image, left, top, right, bottom, color, line_thickness)
            name = (class_mapping or {}).get(int(labels[i, j]))
            if name is not None:
                text = name if confidence is None else f"{name} | {float(as_numpy(confidence)[i, j]):.2f}"
                _write(image, left, top, text, color, font_scale, text_thickness)
    return images


def corners(where: str, boxes: np.ndarray, box_format: str, height: int, width: int) -> np.ndarray:
    """Boxes of any format as (left, top, right, bottom) in pixels."""
    as_choice(f"{where}(bounding_box_format)", box_format, FORMATS)
    if boxes.ndim != 3 or boxes.shape[2] != 4:
        raise ShapeError(f"{where}(boxes)", need="boxes (batch, boxes, 4)", got=f"shape {boxes.shape}")
    return as_numpy(convert_format(boxes.astype(np.float32), box_format, "xyxy", height, width))


def _outline(image: np.ndarray, left: int, top: int, right: int, bottom: int, color: Color, thickness: int) -> None:
    """The four lines of a box, in the middle of its border; what lies outside of the image is cut off."""
    half = thickness // 2
    for x0, y0, x1, y1 in ((left, top, right, top), (left, bottom, right, bottom), (left, top, left, bottom), (right, top, right, bottom)):
        image[max(y0 - half, 0) : max(y1 + half + 1, 0), max(x0 - half, 0) : max(x1 + half + 1, 0)] = color


def _write(image: np.ndarray, left: int, top: int, text: str, color: Color, scale: float, thickness: int) -> None:
    """A name on a ground of the color, above the corner of a box, or below it where there is no room."""
    pillow = need("PIL.Image", "image", "draw_bounding_boxes(class_mapping)")
    drawing, fonts = need("PIL.ImageDraw", "image", "draw_bounding_boxes"), need("PIL.ImageFont", "image", "draw_bounding_boxes")
    canvas = pillow.fromarray(image)
    pen = drawing.Draw(canvas)
    font = fonts.load_default(12 * scale)
    x0, y0, x1, y1 = pen.textbbox((0, 0), text, font, stroke_width=thickness - 1)
    height = y1 - y0 + 4
    top = top - height if top >= height else top
    ink = (0, 0, 0) if np.dot(color, (0.299, 0.587, 0.114)) > 128 else (255, 255, 255)
    pen.rectangle((left, top, left + x1 - x0 + 4, top + height), fill=tuple(color))
    pen.text((left + 2 - x0, top + 2 - y0), text, ink, font, stroke_width=thickness - 1)
    image[:] = np.asarray(canvas)
