# SPDX-License-Identifier: Apache-2.0
"""Resizing to a given size; RandomHeight and RandomWidth, which stretch a batch. Start at Resizing."""

from __future__ import annotations

from typing import Any

from nyala import ops
from nyala.core.seeds import draw_seed, host_generator
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_choice, as_count, as_number
from nyala.layers.preprocessing.image.base import ImageLayer, RandomImageLayer, as_given, as_range
from nyala.ops.image.resizing import crop_box, pad_widths

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5", "area")


class Resizing(ImageLayer):
    """Images of another size; integers stay integers.

    Args:
        height, width: of the results.
        interpolation: "nearest", "bilinear", "bicubic", "lanczos3", "lanczos5" or "area". Masks are taken from the nearest pixel.
        crop_to_aspect_ratio: cut off borders first, so that nothing is distorted.
        pad_to_aspect_ratio: add borders of fill_value first, so that nothing is distorted.
        fill_mode: "constant".
        antialias: whether a smaller image takes all pixels into account.
        data_format, bounding_box_format: as ImageLayer.

    >>> import nyala
    >>> nyala.layers.Resizing(3, 5)(nyala.ops.ones((2, 7, 7, 3))).shape
    (2, 3, 5, 3)
    """

    integers = True

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        height, width = as_count("Resizing(height)", height), as_count("Resizing(width)", width)
        as_choice("Resizing(interpolation)", interpolation, INTERPOLATIONS)
        as_choice("Resizing(fill_mode)", fill_mode, ("constant",))
        as_number("Resizing(fill_value)", fill_value)
        super().__init__(data_format=data_format, **kwargs)
        self.height, self.width, self.interpolation = height, width, interpolation
        self.crop_to_aspect_ratio, self.pad_to_aspect_ratio = crop_to_aspect_ratio, pad_to_aspect_ratio
        self.fill_mode, self.fill_value, self.antialias = fill_mode, fill_value, antialias

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> tuple[int, int]:
        return self.sizes(data)[1:]

    def _resize(self, images: Tensor, **options: Any) -> Tensor:
        return ops.image.resize(
            images,
            (self.height, self.width),
            crop_to_aspect_ratio=self.crop_to_aspect_ratio,
            pad_to_aspect_ratio=self.pad_to_aspect_ratio,
            fill_value=self.fill_value,
            data_format=self.data_format,
            **options,
        )

    def transform_images(self, images: Tensor, transformation: Any, training: bool = True) -> Tensor:
        return self._resize(images, interpolation=self.interpolation, antialias=self.antialias)

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Tensor:
        return self._resize(segmentation_masks, interpolation="nearest")

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: tuple[int, int], training: bool = True) -> Any:
        height, width = rows, columns = transformation
        top = left = 0
        if self.crop_to_aspect_ratio:
            top, left, rows, columns = crop_box(height, width, self.height, self.width)
        elif self.pad_to_aspect_ratio:
            (above, below), (before, after) = pad_widths(height, width, self.height, self.width)
            top, left, rows, columns = -above, -before, height + above + below, width + before + after
        down, right = self.height / rows, self.width / columns
        numbers = lambda x, y: ops.convert_to_tensor([float(x), float(y)] * 2)  # noqa: E731
        change = lambda boxes: (boxes - numbers(left, top)) * numbers(right, down)  # noqa: E731
        return self.change_boxes(bounding_boxes, (height, width), (self.height, self.width), change)


class _RandomSize(RandomImageLayer):
    """One spatial axis stretched by 1 + a number drawn from factor, the same for all images of a batch.

    Sizes are Python numbers, so they are drawn on the host, and a compiled function keeps the one of its first run.
    """

    place: int  # of the axis: 0 for rows, 1 for columns

    def __init__(self, factor: Any, interpolation: str = "bilinear", seed: int | None = None, **kwargs: Any) -> None:
        kind = type(self).__name__
        ends = as_range(f"{kind}(factor)", factor, -1, float("inf"), symmetric=True)
        as_choice(f"{kind}(interpolation)", interpolation, INTERPOLATIONS)
        super().__init__(seed=seed, **kwargs)
        self.factor, self.interpolation, self._ends = as_given(factor), interpolation, ends
        self._host = host_generator(draw_seed() if seed is None else seed)

    def draw(self, batch: int, height: int, width: int, seed: Any, data: Any) -> list[int]:
        sizes = [height, width]
        sizes[self.place] = max(int(sizes[self.place] * (1 + self._host.uniform(*self._ends))), 1)
        return sizes

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        axis = self.axes[self.place] - 4
        shape = list(input_shape)
        shape[axis] = None
        return tuple(shape)

    def transform_images(self, images: Tensor, transformation: Any, training: bool = True) -> Tensor:
        if transformation is None:
            return images
        return ops.image.resize(images, transformation, self.interpolation, data_format=self.data_format)

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Any:
        if transformation is None:
            return segmentation_masks
        return ops.image.resize(segmentation_masks, transformation, "nearest", data_format=self.data_format)


class RandomHeight(_RandomSize):
    """Images of a random height, while training; the layer of Keras 2.

    Args:
        factor: the height changes by a part drawn from (-factor, factor), or from two ends.
        interpolation: as Resizing.
        seed: makes the draws repeat from one run to the next.

    >>> import nyala
    >>> nyala.layers.RandomHeight((0.5, 0.5))(nyala.ops.ones((2, 4, 5, 3)), training=True).shape
    (2, 6, 5, 3)
    """

    place = 0


class RandomWidth(_RandomSize):
    """Images of a random width, while training; the layer of Keras 2.

    Args: as RandomHeight.

    >>> import nyala
    >>> nyala.layers.RandomWidth((0.5, 0.5))(nyala.ops.ones((2, 4, 6, 3)), training=True).shape
    (2, 4, 9, 3)
    """

    place = 1
