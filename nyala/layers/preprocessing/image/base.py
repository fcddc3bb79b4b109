# SPDX-License-Identifier: Apache-2.0
"""What layers on images share: one image or a batch, alone or in a dict with boxes, labels and masks, and the draws of a transformation.

A subclass writes `get_random_transformation`, which draws numbers for a batch, and the `transform_*` of what changes. Start at ImageLayer.call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nyala import ops, random
from nyala.core import dtypes
from nyala.core.config import standardize_data_format
from nyala.core.errors import ArgumentError, ShapeError, missing_method
from nyala.core.seeds import SeedGenerator
from nyala.engines.protocol import Tensor
from nyala.layers.layer import Layer
from nyala.utils import bounding_boxes as boxes_

KEYS = ("images", "bounding_boxes", "labels", "segmentation_masks")
Transformation = Any


class ImageLayer(Layer):
    """A layer that changes images, (b, h, w, c) or (h, w, c), and what belongs to them.

    Inputs are images, or a dict with "images" and any of "bounding_boxes" ({"boxes": (b, n, 4), "labels": (b, n)}), "labels" and
    "segmentation_masks" (b, h, w, c); other entries pass through.

    Args:
        data_format: "channels_last" or "channels_first"; None means the default.
        bounding_box_format: a format of nyala.utils.bounding_boxes, needed where boxes come along.
    """

    integers = False  # whether integer images stay integers

    def __init__(self, data_format: str | None = None, bounding_box_format: str | None = None, **kwargs: Any) -> None:
        if bounding_box_format not in (None, *boxes_.FORMATS):
            need = f"one of {', '.join(boxes_.FORMATS)}"
            raise ArgumentError(f"{type(self).__name__}(bounding_box_format)", need=need, got=repr(bounding_box_format))
        data_format = standardize_data_format(data_format)
        super().__init__(**kwargs)
        self.data_format, self.bounding_box_format = data_format, bounding_box_format

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "data_format": self.data_format}
        return config if self.bounding_box_format is None else {**config, "bounding_box_format": self.bounding_box_format}

    # The call ---------------------------------------------------------------------------------------------------------------------

    def call(self, data: Any, training: bool = True) -> Any:
        if not isinstance(data, Mapping):
            return self._apply({"images": data}, training)["images"]
        if "images" not in data:
            raise ArgumentError(f"{type(self).__name__} {self.name!r}", need=f"a dict with 'images', and any of {KEYS[1:]}", got=f"{sorted(data)}")
        return self._apply(dict(data), training)

    def _apply(self, data: dict[str, Any], training: bool) -> dict[str, Any]:
        data["images"] = images = self._as_images(data["images"])
        if images.ndim == 3:  # one image: a batch of one, and back
            known = {key: _each(lambda x: ops.expand_dims(x, 0), data[key]) for key in KEYS if key in data}
            found = self._apply(known, training)
            return {**data, **{key: _each(lambda x: ops.squeeze(x, 0), found[key]) for key in known}}
        transformation = self.get_random_transformation(data, training=training)
        result = {**data, "images": ops.cast(self.transform_images(images, transformation, training), images.dtype)}
        if "bounding_boxes" in data:
            result["bounding_boxes"] = self.transform_bounding_boxes(data["bounding_boxes"], transformation, training)
        if "labels" in data:
            result["labels"] = self.transform_labels(data["labels"], transformation, training)
        if "segmentation_masks" in data:
            result["segmentation_masks"] = self.transform_segmentation_masks(data["segmentation_masks"], transformation, training)
        return result

    def _as_images(self, images: Any) -> Tensor:
        """Images in the dtype in which the layer computes; integers stay if the layer keeps them."""
        images = ops.convert_to_tensor(images)
        if images.ndim not in (3, 4):
            one = "(h, w, c)" if self.data_format == "channels_last" else "(c, h, w)"
            raise ShapeError(f"{type(self).__name__} {self.name!r}", need=f"one image {one}, or a batch (b, {one[1:]}", got=f"{tuple(images.shape)}")
        dtype = dtypes.standardize_dtype(images.dtype)
        return images if self.integers and dtypes.is_integer(dtype) else ops.cast(images, self.compute_dtype)

    # What subclasses write ----------------------------------------------------------------------------------------------------------

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Transformation:
        """What happens to each image of a batch, drawn with `seed` or the layer's own generator; None for nothing.

        Args:
            data: images, or the dict of them.
        """
        return None

    def transform_images(self, images: Tensor, transformation: Transformation, training: bool = True) -> Tensor:
        """The images (b, h, w, c), changed."""
        return images

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Transformation, training: bool = True) -> Any:
        """The boxes of changed images."""
        return bounding_boxes

    def transform_labels(self, labels: Any, transformation: Transformation, training: bool = True) -> Any:
        """The labels of changed images."""
        return labels

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Transformation, training: bool = True) -> Any:
        """The masks of changed images."""
        return segmentation_masks

    def transform_single_image(self, image: Any, transformation: Transformation, training: bool = True) -> Tensor:
        """transform_images of one image."""
        return _one(self.transform_images, ops.convert_to_tensor(image), transformation, training)

    def transform_single_bounding_box(self, bounding_box: Any, transformation: Transformation, training: bool = True) -> Any:
        """transform_bounding_boxes of one image."""
        return _one(self.transform_bounding_boxes, bounding_box, transformation, training)

    def transform_single_label(self, label: Any, transformation: Transformation, training: bool = True) -> Any:
        """transform_labels of one image."""
        return _one(self.transform_labels, label, transformation, training)

    def transform_single_segmentation_mask(self, segmentation_mask: Any, transformation: Transformation, training: bool = True) -> Any:
        """transform_segmentation_masks of one image."""
        return _one(self.transform_segmentation_masks, segmentation_mask, transformation, training)

    # What they share ----------------------------------------------------------------------------------------------------------------

    @property
    def axes(self) -> tuple[int, int, int]:
        """Rows, columns and channels among the axes of a batch."""
        return (1, 2, 3) if self.data_format == "channels_last" else (2, 3, 1)

    def sizes(self, data: Any) -> tuple[int, int, int]:
        """(number of images, height, width) of a batch, or of the one image."""
        shape = tuple((data["images"] if isinstance(data, Mapping) else data).shape)
        shape = shape if len(shape) == 4 else (1, *shape)
        return shape[0], shape[self.axes[0]], shape[self.axes[1]]

    def change_boxes(self, bounding_boxes: Any, before: tuple[int, int], after: tuple[int, int], change: Any) -> dict[str, Any]:
        """change(boxes as xyxy in pixels), clipped to the new image; of those that are outside, the label becomes -1.

        Args:
            before, after: (height, width) of the images.
        """
        form = self._box_format()
        there = boxes_.convert_format(bounding_boxes, form, "xyxy", *before)
        moved = boxes_.clip_to_image_size({**there, "boxes": change(there["boxes"])}, *after)
        return boxes_.convert_format(moved, "xyxy", form, *after)

    def _box_format(self) -> str:
        if self.bounding_box_format is None:
            raise ArgumentError(
                f"{type(self).__name__} {self.name!r}",
                need="bounding_box_format, as boxes come along",
                got="None",
                fix=f"{type(self).__name__}(..., bounding_box_format='xyxy'), or another of {', '.join(boxes_.FORMATS)}",
            )
        return self.bounding_box_format


class RandomImageLayer(ImageLayer):
    """An ImageLayer with a generator of random numbers, which does nothing unless training.

    Args:
        seed: makes the draws repeat from one run to the next.
    """

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self.generator = SeedGenerator(seed)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Transformation:
        return self.draw(*self.sizes(data), self.generator if seed is None else seed, data) if training else None

    def draw(self, batch: int, height: int, width: int, seed: Any, data: Any) -> Transformation:
        """The transformation of so many images. Subclasses write it."""
        raise missing_method(self, "draw")

    def uniform(self, shape: Sequence[int], ends: Sequence[float], seed: Any, dtype: str | None = None) -> Tensor:
        """Numbers between two ends, by default in the dtype in which the layer computes; drawn in float32 so that they are the same in each."""
        low, high = (float(end) for end in ends)
        return ops.cast(random.uniform(tuple(shape), low, high, dtype="float32", seed=seed), dtype or self.compute_dtype)

    def chosen(self, batch: int, probability: Sequence[float], seed: Any) -> Tensor:
        """bool (b,): whether something happens to each image, with a probability drawn for each from between two ends."""
        return self.uniform((batch,), (0, 1), seed, "float32") < self.uniform((batch,), probability, seed, "float32")

    def signs(self, shape: Sequence[int], seed: Any) -> Tensor:
        """-1 or 1."""
        return ops.cast(ops.where(self.uniform(shape, (0, 1), seed, "float32") < 0.5, -1.0, 1.0), self.compute_dtype)


def _each(function: Any, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _each(function, item) for key, item in value.items()}
    return function(ops.convert_to_tensor(value))


def _one(function: Any, value: Any, transformation: Transformation, training: bool) -> Any:
    result = function(_each(lambda x: ops.expand_dims(x, 0), value), transformation, training=training)
    return _each(lambda x: ops.squeeze(x, 0), result)


# Arguments ---------------------------------------------------------------------------------------------------------------------------------


def as_range(where: str, value: Any, low: float, high: float, symmetric: bool = False, start: float = 0) -> tuple[float, float]:
    """Two ends between `low` and `high`, from two numbers in any order, or from one: (-value, value) if symmetric, else (start, value).

    >>> as_range("RandomBrightness(factor)", 0.2, -1, 1, symmetric=True)
    (-0.2, 0.2)
    """
    number = lambda x: isinstance(x, (int, float, np.number)) and not isinstance(x, bool)  # noqa: E731
    if number(value):
        ends = (-abs(value), abs(value)) if symmetric else (start, value)
    elif isinstance(value, (list, tuple, np.ndarray)) and len(value) == 2 and all(map(number, value)):
        ends = min(value), max(value)
    else:
        ends = ()
    if not ends or not (low <= ends[0] <= high and low <= ends[1] <= high):
        raise ArgumentError(where, need=f"a number, or two, from {low:g} to {high:g}", got=repr(value))
    return ends


def as_given(value: Any) -> Any:
    """A number, or a tuple of two: how configs hold what was given."""
    return tuple(value) if isinstance(value, (list, tuple, np.ndarray)) else value


def as_value_range(where: str, value: Any) -> Sequence[float]:
    """(lowest, highest) value of images."""
    if not isinstance(value, (list, tuple, np.ndarray)) or len(value) != 2 or not value[0] < value[1]:
        raise ArgumentError(f"{where}(value_range)", need="two numbers (lowest, highest)", got=repr(value), fix="(0, 255) or (0, 1)")
    return tuple(value)


def per_image(x: Tensor, ndim: int = 4) -> Tensor:
    """(b,), or any shape with one number per image, as (b, 1, 1, 1)."""
    return ops.reshape(x, (-1, *(1,) * (ndim - 1)))


def rescaled(images: Tensor, source: Sequence[float], target: Sequence[float]) -> Tensor:
    """Values of one range in another."""
    if tuple(source) == tuple(target):
        return images
    return (images - source[0]) * ((target[1] - target[0]) / (source[1] - source[0])) + target[0]
