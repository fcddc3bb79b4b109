# SPDX-License-Identifier: Apache-2.0
"""Bounding boxes: formats, overlap, clipping and moving, and the deltas that detectors predict. Boxes are (..., 4). Start at convert_format.

Formats: "xyxy" (left, top, right, bottom), "yxyx" (top, left, bottom, right), "xywh" (left, top, width, height), "center_xywh" and "center_yxhw" (the
middle and the sizes), and "rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh", which are the same as parts of the image's sizes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nyala import ops
from nyala.core.errors import ArgumentError
from nyala.engines.protocol import Tensor

FORMATS = ("xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw", "rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh")
EPSILON = 1e-7  # what sizes and areas are taken for at least, where they divide
CENTERS = ("center_xywh", "center_yxhw")


def _split(boxes: Tensor) -> list[Tensor]:
    """The four numbers, each (..., 1)."""
    return [boxes[..., i : i + 1] for i in range(4)]


def _join(*numbers: Tensor) -> Tensor:
    return ops.concatenate(list(numbers), axis=-1)


def _middles(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(x, y, width, height) of xyxy boxes, x and y of the middle."""
    left, top, right, bottom = _split(boxes)
    return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top


def _from_middles(x: Tensor, y: Tensor, width: Tensor, height: Tensor) -> Tensor:
    return _join(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _to_xyxy(boxes: Tensor, form: str) -> Tensor:
    a, b, c, d = _split(boxes)
    if form == "yxyx":
        return _join(b, a, d, c)
    if form == "xywh":
        return _join(a, b, a + c, b + d)
    if form == "center_xywh":
        return _from_middles(a, b, c, d)
    return _from_middles(b, a, d, c) if form == "center_yxhw" else boxes


def _from_xyxy(boxes: Tensor, form: str) -> Tensor:
    left, top, right, bottom = _split(boxes)
    if form == "yxyx":
        return _join(top, left, bottom, right)
    if form == "xywh":
        return _join(left, top, right - left, bottom - top)
    if form in CENTERS:
        x, y, width, height = _middles(boxes)
        return _join(x, y, width, height) if form == "center_xywh" else _join(y, x, height, width)
    return boxes


def _sizes(where: str, forms: Sequence[str], height: Any, width: Any) -> None:
    """Refuse unknown formats, and relative ones without the sizes of the image."""
    for form in forms:
        if form not in FORMATS:
            raise ArgumentError(where, need=f"a format of {FORMATS}", got=repr(form))
    if len({form.startswith("rel_") for form in forms}) > 1 and (height is None or width is None):
        raise ArgumentError(where, need="the height and width of the images", got=f"{height} and {width}",
                            why=f"{forms[0]!r} and {forms[-1]!r} are not both parts of them")  # fmt: skip


def convert_format(boxes: Any, source: str, target: str, height: Any = None, width: Any = None, dtype: Any = "float32") -> Any:
    """Boxes in another format.

    Args:
        boxes: (..., 4), or a dict with "boxes", of which the rest stays.
        source, target: formats, see above, in small or capital letters.
        height, width: of the images; needed between relative and absolute formats.

    >>> convert_format([[1.0, 2.0, 5.0, 4.0]], "xyxy", "center_xywh").tolist()
    [[3.0, 3.0, 4.0, 2.0]]
    """
    if isinstance(boxes, Mapping):
        return {**boxes, "boxes": convert_format(boxes["boxes"], source, target, height, width, dtype)}
    source, target = source.lower(), target.lower()
    _sizes("convert_format", (source, target), height, width)
    boxes = ops.cast(ops.convert_to_tensor(boxes), dtype)
    if boxes.shape[-1] != 4:
        raise ArgumentError("convert_format(boxes)", need="shape (..., 4)", got=f"{tuple(boxes.shape)}")
    if source == target:
        return boxes
    boxes = _to_xyxy(boxes, source.removeprefix("rel_"))
    if source.startswith("rel_") != target.startswith("rel_"):
        sizes = ops.cast(ops.stack([width, height, width, height]), dtype)
        boxes = boxes * sizes if source.startswith("rel_") else boxes / sizes
    return _from_xyxy(boxes, target.removeprefix("rel_"))


def _changed(boxes: Any, form: str, height: Any, width: Any, change: Any) -> Any:
    """change(boxes as xyxy), back in their format."""
    if form.startswith("rel_") and (height is None or width is None):
        height, width = 1, 1
    pixels = convert_format(boxes, form, "xyxy", height, width)
    return convert_format(change(pixels), "xyxy", form, height, width)


def _clipped(boxes: Tensor, height: Any, width: Any) -> Tensor:
    left, top, right, bottom = _split(boxes)
    inside = lambda x, end: ops.clip(x, 0, end)  # noqa: E731
    return _join(inside(left, width), inside(top, height), inside(right, width), inside(bottom, height))


def clip_to_image_size(bounding_boxes: Mapping[str, Any], height: Any = None, width: Any = None, bounding_box_format: str = "xyxy") -> dict[str, Any]:
    """Boxes cut off at the borders of the image; of those that have no area then, the label becomes -1.

    Args:
        bounding_boxes: {"boxes": (..., n, 4), "labels": (..., n)}.
        height, width: of the image; not needed for relative formats.

    >>> found = clip_to_image_size({"boxes": [[1.0, 2.0, 9.0, 4.0], [8.0, 0.0, 9.0, 2.0]], "labels": [3, 5]}, height=6, width=7)
    >>> found["boxes"].tolist(), found["labels"].tolist()
    ([[1.0, 2.0, 7.0, 4.0], [7.0, 0.0, 7.0, 2.0]], [3, -1])
    """
    _sizes("clip_to_image_size", (bounding_box_format,), height, width)
    if not isinstance(bounding_boxes, Mapping) or not {"boxes", "labels"} <= set(bounding_boxes):
        raise ArgumentError("clip_to_image_size", need='a dict with "boxes" and "labels"', got=type(bounding_boxes).__name__)
    relative = bounding_box_format.startswith("rel_")
    if not relative and (height is None or width is None):
        raise ArgumentError("clip_to_image_size", need="the height and width of the images", got=f"{height} and {width}")
    height, width = (1, 1) if relative else (height, width)
    pixels = _clipped(convert_format(bounding_boxes["boxes"], bounding_box_format, "xyxy", height, width), height, width)
    _, _, across, down = _middles(pixels)
    labels = ops.convert_to_tensor(bounding_boxes["labels"])
    there = ops.squeeze(across * down, axis=-1) > 0
    kept = ops.where(there, labels, ops.full_like(labels, -1))
    return {**bounding_boxes, "boxes": convert_format(pixels, "xyxy", bounding_box_format, height, width), "labels": kept}


def crop(boxes: Any, top: Any, left: Any, height: Any, width: Any, bounding_box_format: str = "xyxy") -> Tensor:
    """Boxes in the coordinates of a block of the image, cut off at its borders.

    Args:
        top, left, height, width: of the block, in pixels.

    >>> crop([[1.0, 2.0, 9.0, 4.0]], top=1, left=3, height=2, width=5).tolist()
    [[0.0, 1.0, 5.0, 2.0]]
    """
    _need_pixels("crop", bounding_box_format)
    moved = lambda x: _clipped(x - ops.cast(ops.stack([left, top, left, top]), "float32"), height, width)  # noqa: E731
    return _changed(boxes, bounding_box_format, height, width, moved)


def pad(boxes: Any, top: Any, left: Any, height: Any = None, width: Any = None, bounding_box_format: str = "xyxy") -> Tensor:
    """Boxes after `top` rows and `left` columns were added before the image.

    Args:
        height, width: of the image; they do not count.

    >>> pad([[1.0, 2.0, 9.0, 4.0]], top=1, left=3).tolist()
    [[4.0, 3.0, 12.0, 5.0]]
    """
    _need_pixels("pad", bounding_box_format)
    return _changed(boxes, bounding_box_format, height, width, lambda x: x + ops.cast(ops.stack([left, top, left, top]), "float32"))


def _need_pixels(where: str, form: str) -> None:
    _sizes(where, (form,), 0, 0)
    if form.startswith("rel_"):
        raise ArgumentError(f"{where}(bounding_box_format)", need="a format in pixels", got=repr(form), fix="use convert_format first")


def affine_transform(
    boxes: Any,
    angle: Any,
    translate_x: Any,
    translate_y: Any,
    scale: Any,
    shear_x: Any,
    shear_y: Any,
    height: Any,
    width: Any,
    center_x: Any = None,
    center_y: Any = None,
    bounding_box_format: str = "xyxy",
) -> Tensor:
    """The upright boxes around boxes that are moved, turned counterclockwise, sheared and scaled about a center.

    Args:
        boxes: (b, n, 4).
        angle, shear_x, shear_y: (b,), degrees.
        translate_x, translate_y: (b,), as parts of width - 1 and height - 1; boxes are moved before they are turned.
        scale: (b,).
        height, width: of the image.
        center_x, center_y: as parts of width - 1 and height - 1; by default the middle of the image.
    Differs from Keras, where a horizontal shear of turned or vertically sheared boxes also changes their area.

    >>> affine_transform([[[0.0, 0.0, 2.0, 1.0]]], [90.0], [0.0], [0.0], [1.0], [0.0], [0.0], 5, 5).tolist()
    [[[0.0, 2.0, 1.0, 4.0]]]
    """
    center_x = (0.5 if center_x is None else center_x) * (width - 1)
    center_y = (0.5 if center_y is None else center_y) * (height - 1)
    number = lambda x: ops.reshape(ops.cast(ops.convert_to_tensor(x), "float32"), (-1, 1))  # noqa: E731
    angle, across, down = (number(x) * (math.pi / 180) for x in (angle, shear_x, shear_y))
    slope, turn = ops.tan(across), angle - down
    down_x, down_y = -ops.sin(turn) / ops.cos(down), ops.cos(turn) / ops.cos(down)
    matrix = ops.cos(angle) + slope * down_x, ops.sin(angle) + slope * down_y, down_x, down_y
    moved_x, moved_y = number(translate_x) * (width - 1) - center_x, number(translate_y) * (height - 1) - center_y

    def change(pixels: Tensor) -> Tensor:
        x, y = corners(pixels)  # b n 4
        x, y = x + ops.expand_dims(moved_x, -1), y + ops.expand_dims(moved_y, -1)
        a, b, c, d = (ops.expand_dims(number(scale) * n, -1) for n in matrix)
        return around(a * x + b * y + center_x, c * x + d * y + center_y)

    return _changed(boxes, bounding_box_format, height, width, change)


def corners(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """x and y of the four corners of xyxy boxes, (..., 4) each."""
    left, top, right, bottom = _split(boxes)
    return _join(left, right, left, right), _join(top, top, bottom, bottom)


def around(x: Tensor, y: Tensor) -> Tensor:
    """The xyxy boxes around points, (..., points) each."""
    least, most = (lambda z: ops.min(z, axis=-1, keepdims=True)), (lambda z: ops.max(z, axis=-1, keepdims=True))
    return _join(least(x), least(y), most(x), most(y))


# Overlap ----------------------------------------------------------------------------------------------------------------------------------


def _in_pixels(where: str, boxes: Any, form: str, image_shape: Any) -> Tensor:
    if form.startswith("rel_") and image_shape is None:
        raise ArgumentError(f"{where}(image_shape)", need="the shape (height, width, channels) of the image for a relative format", got="None")
    height, width = (None, None) if image_shape is None else tuple(image_shape)[:2]
    return convert_format(boxes, form, "xyxy", height, width)


def _overlap(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Areas (..., 1) of intersection and union of xyxy boxes that broadcast."""
    (l1, t1, r1, b1), (l2, t2, r2, b2) = _split(a), _split(b)
    width, height = ops.minimum(r1, r2) - ops.maximum(l1, l2), ops.minimum(b1, b2) - ops.maximum(t1, t2)
    shared = ops.maximum(width, 0.0) * ops.maximum(height, 0.0)
    return shared, (r1 - l1) * (b1 - t1) + (r2 - l2) * (b2 - t2) - shared


def compute_iou(boxes1: Any, boxes2: Any, bounding_box_format: str, use_masking: bool = False, mask_val: Any = -1, image_shape: Any = None) -> Tensor:
    """Intersection over union of each box of one list with each of another.

    Args:
        boxes1, boxes2: (n, 4) or (b, n, 4); (m, 4) or (b, m, 4).
        use_masking: whether boxes of which all numbers are below 0 are padding, whose overlaps become mask_val.
        image_shape: (height, width, channels), for relative formats.
    Returns: (n, m) or (b, n, m), from 0 to 1.

    >>> compute_iou([[0.0, 0.0, 2.0, 2.0]], [[1.0, 0.0, 3.0, 2.0], [4.0, 4.0, 5.0, 5.0]], "xyxy").tolist()
    [[0.3333333, 0.0]]
    """
    a, b = (_in_pixels("compute_iou", boxes, bounding_box_format, image_shape) for boxes in (boxes1, boxes2))
    shared, union = _overlap(ops.expand_dims(a, -2), ops.expand_dims(b, -3))
    result = ops.squeeze(ops.divide_no_nan(shared, union), axis=-1)
    if not use_masking:
        return result
    padding = [ops.max(ops.cast(ops.convert_to_tensor(boxes), "float32"), axis=-1) < 0 for boxes in (boxes1, boxes2)]
    masked = ops.logical_or(ops.expand_dims(padding[0], -1), ops.expand_dims(padding[1], -2))
    return ops.where(masked, ops.full_like(result, mask_val), result)


def compute_ciou(boxes1: Any, boxes2: Any, bounding_box_format: str, image_shape: Any = None) -> Tensor:
    """Complete intersection over union of pairs of boxes: less for middles that are far apart, and for other proportions.

    Args:
        boxes1, boxes2: (..., 4) each.
        image_shape: (height, width, channels), for relative formats.
    Returns: (...), from -1.5 to 1.
    Source: Zheng, Wang, Liu, Li, Ye, Ren 2020, Distance-IoU loss: faster and better learning for bounding box regression.

    >>> compute_ciou([[0.0, 0.0, 2.0, 2.0]], [[0.0, 0.0, 2.0, 2.0]], "xyxy").tolist()
    [1.0]
    """
    a, b = (_in_pixels("compute_ciou", boxes, bounding_box_format, image_shape) for boxes in (boxes1, boxes2))
    (x1, y1, w1, h1), (x2, y2, w2, h2) = _middles(a), _middles(b)
    shared, union = _overlap(a, b)
    overlap = shared / (union + EPSILON)
    outer = around(*(ops.concatenate(pair, axis=-1) for pair in zip(corners(a), corners(b), strict=True)))
    _, _, width, height = _middles(outer)
    distance = (ops.square(x1 - x2) + ops.square(y1 - y2)) / (ops.square(width) + ops.square(height) + EPSILON)
    angle = ops.arctan(w1 / (h1 + EPSILON)) - ops.arctan(w2 / (h2 + EPSILON))
    shape = ops.square(angle) * (4 / math.pi**2)
    share = shape / (shape - overlap + 1 + EPSILON)
    return ops.squeeze(overlap - (distance + share * shape), axis=-1)


# Deltas -----------------------------------------------------------------------------------------------------------------------------------


def _check_deltas(where: str, form: str, variance: Any) -> Any:
    if form not in CENTERS:
        raise ArgumentError(where, need=f"an encoding of {CENTERS}", got=repr(form))
    if variance is None:
        return 1.0
    if len(variance) != 4:
        raise ArgumentError(f"{where}(variance)", need="four numbers", got=repr(variance))
    return ops.cast(ops.convert_to_tensor(variance), "float32")


def encode_box_to_deltas(
    anchors: Any, boxes: Any, anchor_format: str, box_format: str, encoding_format: str = "center_yxhw", variance: Any = None, image_shape: Any = None
) -> Any:
    """What a detector should predict at anchors to find boxes: how far apart the middles are, in sizes of the anchor, and the logarithm of sizes.

    Args:
        anchors: (n, 4), or a dict of such, one per level.
        boxes: (n, 4) or (b, n, 4), or a dict.
        encoding_format: "center_yxhw" or "center_xywh", the order of the four.
        variance: four numbers that the deltas are divided by.
        image_shape: (height, width, channels), for relative formats.

    >>> encode_box_to_deltas([[0.0, 0.0, 2.0, 4.0]], [[1.0, 0.0, 3.0, 4.0]], "xyxy", "xyxy").tolist()
    [[0.0, 0.5, 0.0, 0.0]]
    """
    if isinstance(anchors, Mapping):
        return {k: encode_box_to_deltas(a, boxes[k], anchor_format, box_format, encoding_format, variance, image_shape) for k, a in anchors.items()}
    variance = _check_deltas("encode_box_to_deltas", encoding_format, variance)
    x0, y0, w0, h0 = _middles(_in_pixels("encode_box_to_deltas", anchors, anchor_format, image_shape))
    x, y, w, h = _middles(_in_pixels("encode_box_to_deltas", boxes, box_format, image_shape))
    w0, h0, w, h = (ops.maximum(size, EPSILON) for size in (w0, h0, w, h))
    parts = (x - x0) / w0, (y - y0) / h0, ops.log(w / w0), ops.log(h / h0)
    return _join(*(parts if encoding_format == "center_xywh" else (parts[i] for i in (1, 0, 3, 2)))) / variance


def decode_deltas_to_boxes(
    anchors: Any,
    boxes_delta: Any,
    anchor_format: str,
    box_format: str,
    encoded_format: str = "center_yxhw",
    variance: Any = None,
    image_shape: Any = None,
) -> Any:
    """The boxes that deltas at anchors stand for: the inverse of encode_box_to_deltas.

    Args: as of encode_box_to_deltas.

    >>> decode_deltas_to_boxes([[0.0, 0.0, 2.0, 4.0]], [[0.0, 0.5, 0.0, 0.0]], "xyxy", "xyxy").tolist()
    [[1.0, 0.0, 3.0, 4.0]]
    """
    if isinstance(anchors, Mapping):
        return {
            k: decode_deltas_to_boxes(a, boxes_delta[k], anchor_format, box_format, encoded_format, variance, image_shape) for k, a in anchors.items()
        }
    deltas = _split(ops.cast(ops.convert_to_tensor(boxes_delta), "float32") * _check_deltas("decode_deltas_to_boxes", encoded_format, variance))
    dx, dy, dw, dh = deltas if encoded_format == "center_xywh" else (deltas[i] for i in (1, 0, 3, 2))
    x0, y0, w0, h0 = _middles(_in_pixels("decode_deltas_to_boxes", anchors, anchor_format, image_shape))
    found = _from_middles(dx * w0 + x0, dy * h0 + y0, ops.exp(dw) * w0, ops.exp(dh) * h0)
    height, width = (None, None) if image_shape is None else tuple(image_shape)[:2]
    return convert_format(found, "xyxy", box_format, height, width)
