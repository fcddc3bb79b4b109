# SPDX-License-Identifier: Apache-2.0
"""RandomErasing and CutMix, which replace a random rectangle, and MixUp, which mixes all pixels. Start at rectangles."""

from __future__ import annotations

from typing import Any

from nyala import ops, random
from nyala.core.errors import ArgumentError, missing_method
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_number
from nyala.layers.preprocessing.image.base import RandomImageLayer, as_range, as_value_range, per_image


def rectangles(layer: RandomImageLayer, area: Tensor, batch: int, height: int, width: int, seed: Any) -> Tensor:
    """bool (b, h, w): a rectangle in the proportions of the image, at a random place in it, with this part (b,) of its area, to whole pixels."""
    side = ops.sqrt(area)

    def span(size: int) -> Tensor:
        length = ops.expand_dims(ops.round(side * size), -1)  # b 1
        start = ops.floor(layer.uniform((batch, 1), (0, 1), seed) * (size - length + 1))
        place = ops.cast(ops.arange(size), layer.compute_dtype)
        return ops.logical_and(place >= start, place < start + length)  # b size

    return ops.logical_and(ops.expand_dims(span(height), 2), ops.expand_dims(span(width), 1))


def _as_masks(layer: RandomImageLayer, masks: Any) -> Tensor:
    """(b, h, w), or what has a channel axis, as it goes with images."""
    masks = ops.convert_to_tensor(masks)
    return masks if masks.ndim == 4 else ops.expand_dims(masks, layer.axes[2])


class RandomErasing(RandomImageLayer):
    """A rectangle of noise, or of one value, in each image, while training.

    Args:
        factor: with what probability: drawn for each image from (0, factor), or from two ends.
        scale: which part of the area, two ends between 0 and 1.
        fill_value: a number, or None for normal noise.
        value_range: (lowest, highest) value of images.
        seed: makes the draws repeat from one run to the next.
        data_format, bounding_box_format: as ImageLayer.
    Source: Zhong, Zheng, Kang, Li, Yang 2017, Random erasing data augmentation.

    >>> import nyala
    >>> erased = nyala.layers.RandomErasing((1.0, 1.0), scale=(0.25, 0.25), fill_value=9.0)(nyala.ops.zeros((1, 4, 4, 1)), training=True)
    >>> float(nyala.ops.sum(erased))
    36.0
    """

    def __init__(
        self,
        factor: Any = 1.0,
        scale: Any = (0.02, 0.33),
        fill_value: float | None = None,
        value_range: Any = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        factor = as_range("RandomErasing(factor)", factor, 0, 1)
        scale = as_range("RandomErasing(scale)", scale, 0, 1)
        value_range = as_value_range("RandomErasing", value_range)
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor, self.scale, self.value_range = factor, scale, value_range
        self.fill_value = None if fill_value is None else as_number("RandomErasing(fill_value)", fill_value)

    def draw(self, batch: int, height: int, width: int, seed: Any, data: Any) -> dict[str, Any]:
        images = data["images"] if isinstance(data, dict) else data
        fill: Any = self.fill_value
        if fill is None:
            low, high = self.value_range
            noise = ops.cast(random.normal(tuple(images.shape), dtype="float32", seed=seed), self.compute_dtype)
            fill = ops.clip(noise * (high - low), low, high)
        masks = rectangles(self, self.uniform((batch,), self.scale, seed), batch, height, width, seed)
        return {"apply_erasing": self.chosen(batch, self.factor, seed), "batch_masks": masks, "fill_value": fill}

    def transform_images(self, images: Tensor, transformation: Any, training: bool = True) -> Tensor:
        if transformation is None:
            return images
        erased = ops.logical_and(per_image(ops.convert_to_tensor(transformation["apply_erasing"])), _as_masks(self, transformation["batch_masks"]))
        return ops.where(erased, ops.cast(ops.convert_to_tensor(transformation["fill_value"]), images.dtype), images)


class _Mix(RandomImageLayer):
    """Each image joined with another one of its batch, and their labels alike. Subclasses write `mixed`."""

    def partners(self, batch: int, seed: Any) -> Tensor:
        return random.shuffle(ops.arange(batch, dtype="int32"), seed=seed)

    def draw_weights(self, batch: int, alpha: Any, seed: Any) -> Tensor:
        """(b,) of a beta distribution."""
        return ops.cast(random.beta((batch,), alpha, alpha, dtype="float32", seed=seed), self.compute_dtype)

    def mixed(self, x: Tensor, other: Tensor, transformation: Any) -> Tensor:
        raise missing_method(self, "mixed")

    def _mix(self, x: Any, transformation: Any) -> Any:
        if transformation is None:
            return x
        x = ops.convert_to_tensor(x)
        return self.mixed(x, ops.take(x, transformation["permutation_order"], axis=0), transformation)

    def transform_images(self, images: Tensor, transformation: Any, training: bool = True) -> Tensor:
        return self._mix(images, transformation)

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Any:
        return self._mix(segmentation_masks, transformation)

    def transform_labels(self, labels: Any, transformation: Any, training: bool = True) -> Any:
        return labels if transformation is None else self.blended(ops.convert_to_tensor(labels), transformation)

    def blended(self, x: Tensor, transformation: Any) -> Tensor:
        """x, and the x of the other image, each with its weight, as floats."""
        x = ops.cast(x, self.compute_dtype)
        weight = ops.reshape(ops.cast(ops.convert_to_tensor(transformation["mix_weight"]), self.compute_dtype), (-1, *(1,) * (x.ndim - 1)))
        return weight * x + (1 - weight) * ops.take(x, transformation["permutation_order"], axis=0)


class MixUp(_Mix):
    """The weighted mean of each image and another one of its batch, labels alike, while training; boxes of both stay.

    Args:
        alpha: weights are drawn from a beta distribution with both parameters alpha: the smaller, the nearer to 0 and 1.
        data_format: as ImageLayer.
        seed: makes the draws repeat from one run to the next.
    Source: Zhang, Cisse, Dauphin, Lopez-Paz 2017, mixup: beyond empirical risk minimization.
    Differs from Keras, which joins the labels of boxes along the batch and doubles the channels of masks: here both go the way of boxes and images.

    >>> import nyala
    >>> nyala.layers.MixUp()({"images": nyala.ops.ones((3, 5, 7, 3)), "labels": nyala.ops.eye(3)}, training=True)["labels"].shape
    (3, 3)
    """

    def __init__(self, alpha: float = 0.2, data_format: str | None = None, seed: int | None = None, **kwargs: Any) -> None:
        if not isinstance(alpha, (int, float)) or alpha <= 0:
            raise ArgumentError("MixUp(alpha)", need="a number above 0", got=repr(alpha))
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.alpha = alpha

    def draw(self, batch: int, height: int, width: int, seed: Any, data: Any) -> dict[str, Any]:
        return {"mix_weight": self.draw_weights(batch, self.alpha, seed), "permutation_order": self.partners(batch, seed)}

    def mixed(self, x: Tensor, other: Tensor, transformation: Any) -> Tensor:
        return self.blended(x, transformation)

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        if transformation is None:
            return bounding_boxes
        both = lambda x: ops.concatenate([x, ops.take(x, transformation["permutation_order"], axis=0)], axis=1)  # noqa: E731
        return {key: both(ops.convert_to_tensor(value)) for key, value in bounding_boxes.items()}


class CutMix(_Mix):
    """A rectangle of each image taken from another one of its batch, labels mixed by area, while training.

    Args:
        factor: the parameter of the beta distribution that areas are drawn from: itself drawn from (0, factor), or from two ends.
        seed: makes the draws repeat from one run to the next.
        data_format: as ImageLayer.
    Source: Yun, Han, Oh, Chun, Choe, Yoo 2019, CutMix: regularization strategy to train strong classifiers with localizable features.
    Differs from Keras: labels are weighted by the pixels that come from each image, not by the number from which the rectangle is made.

    >>> import nyala
    >>> nyala.layers.CutMix()({"images": nyala.ops.ones((3, 5, 7, 3)), "labels": nyala.ops.eye(3)}, training=True)["images"].shape
    (3, 5, 7, 3)
    """

    def __init__(self, factor: Any = 1.0, seed: int | None = None, data_format: str | None = None, **kwargs: Any) -> None:
        factor = as_range("CutMix(factor)", factor, 0, 1)
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor = factor

    def draw(self, batch: int, height: int, width: int, seed: Any, data: Any) -> dict[str, Any]:
        kept = self.draw_weights(batch, ops.maximum(ops.cast(self.uniform((batch,), self.factor, seed), "float32"), 1e-3), seed)
        masks = rectangles(self, 1 - kept, batch, height, width, seed)
        weight = 1 - ops.mean(ops.cast(masks, self.compute_dtype), axis=(1, 2))
        return {"permutation_order": self.partners(batch, seed), "batch_masks": masks, "mix_weight": per_image(weight)}

    def mixed(self, x: Tensor, other: Tensor, transformation: Any) -> Tensor:
        return ops.where(_as_masks(self, transformation["batch_masks"]), other, x)

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        if transformation is None:
            return bounding_boxes
        raise ArgumentError(
            f"CutMix {self.name!r}", need="data without boxes", got="'bounding_boxes'", why="a rectangle may cut them anywhere", fix="use MixUp"
        )
