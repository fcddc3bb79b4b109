# SPDX-License-Identifier: Apache-2.0
"""Images seen from elsewhere and images on rubber: RandomPerspective and RandomElasticTransform."""

from __future__ import annotations

from typing import Any

from nyala import ops, random
from nyala.core.errors import ArgumentError
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_choice, as_number
from nyala.layers.preprocessing.image.base import RandomImageLayer, as_range, as_value_range, per_image
from nyala.layers.preprocessing.image.warps import FILL_MODES, ORDERS
from nyala.ops.image.sampling import displace, homography
from nyala.utils.bounding_boxes import around, corners


class RandomPerspective(RandomImageLayer):
    """Images seen from the side, while training: three corners move, the first one stays.

    Args:
        factor: with what probability: drawn for each image from (0, factor), or from two ends.
        scale: how far: coordinates of corners are multiplied by numbers from 1 - scale / 2 to 1 + scale / 2.
        interpolation: "nearest" or "bilinear".
        fill_value: what comes from beyond the border.
        seed: makes the draws repeat from one run to the next.
        data_format, bounding_box_format: as ImageLayer.

    >>> import nyala
    >>> nyala.layers.RandomPerspective(1.0, 0.5)(nyala.ops.ones((2, 7, 5, 3)), training=True).shape
    (2, 7, 5, 3)
    """

    def __init__(
        self,
        factor: Any = 1.0,
        scale: float = 1.0,
        interpolation: str = "bilinear",
        fill_value: float = 0.0,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        factor = as_range("RandomPerspective(factor)", factor, 0, 1)
        as_range("RandomPerspective(scale)", scale, 0, 1)
        as_choice("RandomPerspective(interpolation)", interpolation, ORDERS)
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor, self.scale, self.interpolation = factor, scale, interpolation
        self.fill_value = as_number("RandomPerspective(fill_value)", fill_value)

    def draw(self, batch: int, height: int, width: int, seed: Any, data: Any) -> dict[str, Any]:
        right, low = float(width - 1), float(height - 1)
        start = ops.convert_to_tensor([[[0.0, 0.0], [right, 0.0], [0.0, low], [right, low]]])
        start = ops.broadcast_to(ops.cast(start, self.compute_dtype), (batch, 4, 2))
        return {
            "apply_perspective": self.chosen(batch, self.factor, seed),
            "start_points": start,
            "end_points": start * (1 + self.scale * self.uniform((batch, 4, 2), (-0.5, 0.5), seed)),
            "input_shape": (batch, height, width),
        }

    def _read(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        points = (ops.cast(ops.convert_to_tensor(transformation[name]), "float32") for name in ("start_points", "end_points"))
        seen = ops.image.perspective_transform(images, *points, interpolation, self.fill_value, self.data_format)
        return ops.where(per_image(ops.convert_to_tensor(transformation["apply_perspective"])), seen, images)

    def transform_images(self, images: Tensor, transformation: Any, training: bool = True) -> Tensor:
        return images if transformation is None else self._read(images, transformation, self.interpolation)

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Any:
        return segmentation_masks if transformation is None else self._read(ops.convert_to_tensor(segmentation_masks), transformation, "nearest")

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        if transformation is None:
            return bounding_boxes
        _, height, width = transformation["input_shape"][:3]
        start, end = (ops.cast(ops.convert_to_tensor(transformation[name]), "float32") for name in ("start_points", "end_points"))
        matrix = homography(end, start)
        a, b, c, d, e, f, g, h = (ops.reshape(matrix[:, i], (-1, 1, 1)) for i in range(8))

        def change(boxes: Tensor) -> Tensor:
            x, y = (z - 0.5 for z in corners(boxes))
            depth = g * x + h * y + 1
            moved = around((a * x + b * y + c) / depth + 0.5, (d * x + e * y + f) / depth + 0.5)
            return ops.where(per_image(ops.convert_to_tensor(transformation["apply_perspective"]), 3), moved, boxes)

        return self.change_boxes(bounding_boxes, (height, width), (height, width), change)


class RandomElasticTransform(RandomImageLayer):
    """Images as if printed on rubber, while training: each pixel moves at random, its neighbours nearly as far.

    Args:
        factor: with what probability: drawn for each image from (0, factor), or from two ends.
        scale: how far, from 0 to 1: drawn for each image from (0, scale), or from two ends.
        interpolation, fill_mode, fill_value: as RandomRotation.
        value_range: (lowest, highest) value of images, which results keep.
        seed: makes the draws repeat from one run to the next.
        data_format: as ImageLayer.
    Differs from Keras, which moves all images of a batch as far, each pixel as far down as to the right, and masks elsewhere than images.

    >>> import nyala
    >>> nyala.layers.RandomElasticTransform()(nyala.ops.ones((2, 7, 5, 3)), training=True).shape
    (2, 7, 5, 3)
    """

    def __init__(
        self,
        factor: Any = 1.0,
        scale: Any = 1.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        value_range: Any = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        factor = as_range("RandomElasticTransform(factor)", factor, 0, 1)
        scale = as_range("RandomElasticTransform(scale)", scale, 0, 1)
        as_choice("RandomElasticTransform(interpolation)", interpolation, ORDERS)
        as_choice("RandomElasticTransform(fill_mode)", fill_mode, FILL_MODES)
        value_range = as_value_range("RandomElasticTransform", value_range)
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor, self.scale, self.interpolation, self.fill_mode = factor, scale, interpolation, fill_mode
        self.fill_value, self.value_range = as_number("RandomElasticTransform(fill_value)", fill_value), value_range

    def draw(self, batch: int, height: int, width: int, seed: Any, data: Any) -> dict[str, Any]:
        strength = self.uniform((batch, 1), self.scale, seed)
        sigma = strength * (0.05 * min(height, width))
        noise = ops.cast(random.normal((batch, height, width, 2), dtype="float32", seed=seed), self.compute_dtype) * per_image(sigma)
        length = int(6 * 0.05 * self.scale[1] * min(height, width)) | 1
        smooth = ops.image.gaussian_blur(noise, length, ops.concatenate([sigma, sigma], axis=1), data_format="channels_last")
        moves = smooth * per_image(strength * (0.1 * max(height, width)))
        return {"apply_transform": self.chosen(batch, self.factor, seed), "moves": moves}  # b h w (down, right)

    def _read(self, images: Any, transformation: Any, interpolation: str) -> Tensor:
        images = ops.convert_to_tensor(images)
        moved = displace(images, transformation["moves"], interpolation, self.fill_mode, self.fill_value, self.data_format)
        return ops.where(per_image(transformation["apply_transform"]), moved, images)

    def transform_images(self, images: Tensor, transformation: Any, training: bool = True) -> Tensor:
        return images if transformation is None else ops.clip(self._read(images, transformation, self.interpolation), *self.value_range)

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Any:
        return segmentation_masks if transformation is None else self._read(segmentation_masks, transformation, "nearest")

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        raise ArgumentError(
            f"RandomElasticTransform {self.name!r}",
            need="data without boxes",
            got="'bounding_boxes'",
            why="boxes have no one place on rubber",
            fix="carry 'segmentation_masks' along instead",
        )
