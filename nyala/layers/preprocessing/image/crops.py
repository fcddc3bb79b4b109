# SPDX-License-Identifier: Apache-2.0
"""Blocks of images: CenterCrop and RandomCrop."""

from __future__ import annotations

from typing import Any

from nyala import ops, random
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_count
from nyala.layers.preprocessing.image.base import ImageLayer, RandomImageLayer
from nyala.ops.image.resizing import crop_box


def _resize(layer: Any, images: Tensor, interpolation: str = "bilinear") -> Tensor:
    """The largest centred block of the right proportions, in the right size."""
    return ops.image.resize(images, (layer.height, layer.width), interpolation, crop_to_aspect_ratio=True, data_format=layer.data_format)


class CenterCrop(ImageLayer):
    """The middle of images; smaller images are cut to the right proportions and enlarged.

    Args:
        height, width: of the results.
        data_format, bounding_box_format: as ImageLayer.

    >>> import nyala
    >>> nyala.layers.CenterCrop(1, 2)(nyala.ops.reshape(nyala.ops.arange(12.0), (1, 3, 4, 1)))[0, ..., 0].tolist()
    [[5.0, 6.0]]
    """

    def __init__(self, height: int, width: int, data_format: str | None = None, **kwargs: Any) -> None:
        height, width = as_count("CenterCrop(height)", height), as_count("CenterCrop(width)", width)
        super().__init__(data_format=data_format, **kwargs)
        self.height, self.width = height, width

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> dict[str, Any]:
        return {"input_shape": tuple((data["images"] if isinstance(data, dict) else data).shape)}

    def _crop(self, images: Tensor, interpolation: str) -> Tensor:
        _, height, width = self.sizes(images)
        if height < self.height or width < self.width:
            return _resize(self, images, interpolation)
        top, left = (height - self.height) // 2, (width - self.width) // 2
        return ops.image.crop_images(images, top, left, target_height=self.height, target_width=self.width, data_format=self.data_format)

    def transform_images(self, images: Tensor, transformation: Any, training: bool = True) -> Tensor:
        return self._crop(images, "bilinear")

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Tensor:
        return self._crop(segmentation_masks, "nearest")

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        shape = transformation["input_shape"]
        height, width = (shape[self.axes[i] - 4] for i in (0, 1))
        top, left, rows, columns = (height - self.height) // 2, (width - self.width) // 2, self.height, self.width
        if height < self.height or width < self.width:
            top, left, rows, columns = crop_box(height, width, self.height, self.width)
        return _boxes_in_block(self, bounding_boxes, (height, width), (top, left), (rows, columns))


def _boxes_in_block(layer: Any, boxes: Any, before: tuple[int, int], start: tuple[Any, Any], block: tuple[int, int]) -> Any:
    """Boxes of a block of the images, whose size becomes that of the layer's results."""
    ratio = ops.convert_to_tensor([layer.width / block[1], layer.height / block[0]] * 2)
    numbers = [ops.reshape(ops.cast(ops.convert_to_tensor(n), "float32"), (-1, 1, 1)) for n in (start[1], start[0])]
    move = ops.concatenate([*numbers, *numbers], axis=-1)
    return layer.change_boxes(boxes, before, (layer.height, layer.width), lambda x: (x - move) * ratio)


class RandomCrop(RandomImageLayer):
    """A block at a random place of each image, while training; otherwise, and of smaller images, the middle as large as it fits, resized.

    Args:
        height, width: of the results.
        seed: makes the draws repeat from one run to the next.
        data_format, bounding_box_format: as ImageLayer.
    Differs from Keras, which takes the same place in all images of a batch, and leaves images as they are unless training.

    >>> import nyala
    >>> nyala.layers.RandomCrop(3, 2)(nyala.ops.ones((2, 7, 5, 3)), training=True).shape
    (2, 3, 2, 3)
    """

    def __init__(
        self, height: int, width: int, seed: int | None = None, data_format: str | None = None, name: str | None = None, **kwargs: Any
    ) -> None:
        height, width = as_count("RandomCrop(height)", height), as_count("RandomCrop(width)", width)
        super().__init__(seed=seed, data_format=data_format, name=name, **kwargs)
        self.height, self.width = height, width

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> dict[str, Any]:
        batch, height, width = self.sizes(data)
        size, seed = (height, width), self.generator if seed is None else seed
        if not training or height < self.height or width < self.width:
            return {"size": size, "starts": None}
        return {
            "size": size,
            "starts": [random.randint((batch,), 0, n - m + 1, seed=seed) for n, m in zip(size, (self.height, self.width), strict=True)],
        }

    def _crop(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        if transformation["starts"] is None:
            return _resize(self, images, interpolation)
        for axis, start, size in zip(self.axes[:2], transformation["starts"], (self.height, self.width), strict=True):
            places = ops.expand_dims(start, -1) + ops.arange(size, dtype="int32")  # b size
            shape = [1, 1, 1, 1]
            shape[0], shape[axis] = places.shape
            images = ops.take_along_axis(images, ops.reshape(places, shape), axis)
        return images

    def transform_images(self, images: Tensor, transformation: Any, training: bool = True) -> Tensor:
        return self._crop(images, transformation, "bilinear")

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Tensor:
        return self._crop(segmentation_masks, transformation, "nearest")

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        size, starts = transformation["size"], transformation["starts"]
        if starts is not None:
            return _boxes_in_block(self, bounding_boxes, size, tuple(starts), (self.height, self.width))
        top, left, rows, columns = crop_box(size[0], size[1], self.height, self.width)
        return _boxes_in_block(self, bounding_boxes, size, (top, left), (rows, columns))
