# SPDX-License-Identifier: Apache-2.0
"""Random changes of brightness, contrast, saturation and hue, and less colour or none, for each image apart. Start at RandomColor."""

from __future__ import annotations

from typing import Any

from nyala import ops
from nyala.core.errors import missing_method
from nyala.engines.protocol import Tensor
from nyala.layers.preprocessing.image.base import RandomImageLayer, as_given, as_range, as_value_range, per_image, rescaled

UNIT = (0.0, 1.0)


class RandomColor(RandomImageLayer):
    """A random change of values that moves nothing: boxes, labels and masks stay. Subclasses write `draw` and `changed`.

    Args:
        value_range: (lowest, highest) value of images, which results keep.
    """

    def __init__(self, value_range: Any = (0, 255), **kwargs: Any) -> None:
        value_range = as_value_range(type(self).__name__, value_range)
        super().__init__(**kwargs)
        self.value_range = value_range

    def transform_images(self, images: Tensor, transformation: Any, training: bool = True) -> Tensor:
        return images if transformation is None else self.changed(self._as_images(images), transformation)

    def changed(self, images: Tensor, transformation: Any) -> Tensor:
        """The images (b, h, w, c) after what was drawn."""
        raise missing_method(self, "changed")

    def clipped(self, images: Tensor) -> Tensor:
        return ops.clip(images, *map(float, self.value_range))

    def number(self, x: Any) -> Tensor:
        """One number per image, (b, 1, 1, 1), in the dtype in which the layer computes."""
        return per_image(ops.cast(ops.convert_to_tensor(x), self.compute_dtype))


class RandomBrightness(RandomColor):
    """A random number added to each image, while training; integers stay integers.

    Args:
        factor: part of the range of values: drawn from (-factor, factor), or from two ends.
        value_range: (lowest, highest) value of images, which results keep.
        seed: makes the draws repeat from one run to the next.

    >>> import nyala
    >>> nyala.layers.RandomBrightness((0.5, 0.5), value_range=(0, 1))(nyala.ops.full((1, 1, 1, 3), 0.25), training=True).tolist()
    [[[[0.75, 0.75, 0.75]]]]
    """

    integers = True

    def __init__(self, factor: Any, value_range: Any = (0, 255), seed: int | None = None, **kwargs: Any) -> None:
        factor = as_range("RandomBrightness(factor)", factor, -1, 1, symmetric=True)
        super().__init__(value_range, seed=seed, **kwargs)
        self.factor = factor

    def draw(self, batch: int, height: int, width: int, seed: Any, data: Any) -> dict[str, Any]:
        low, high = self.value_range
        return {"rgb_delta": self.uniform((batch, 1, 1, 1), self.factor, seed) * (high - low)}

    def changed(self, images: Tensor, transformation: Any) -> Tensor:
        brighter = self.clipped(ops.cast(images, self.compute_dtype) + self.number(transformation["rgb_delta"]))
        return ops.cast(brighter, images.dtype)


class RandomContrast(RandomColor):
    """Each channel brought away from, or nearer to, its mean, while training.

    Args:
        factor: distances are multiplied by a number from 1 to 1 + factor, or from 1 - first to 1 + second of two.
        value_range: (lowest, highest) value of images, which results keep.
        seed: makes the draws repeat from one run to the next.

    >>> import nyala
    >>> nyala.layers.RandomContrast((0.0, 0.0))(nyala.ops.reshape(nyala.ops.arange(3.0), (1, 1, 3, 1)), training=True)[0, 0, :, 0].tolist()
    [0.0, 1.0, 2.0]
    """

    def __init__(self, factor: Any, value_range: Any = (0, 255), seed: int | None = None, **kwargs: Any) -> None:
        factor = as_range("RandomContrast(factor)", factor, 0, 1)
        super().__init__(value_range, seed=seed, **kwargs)
        self.factor = factor

    def draw(self, batch: int, height: int, width: int, seed: Any, data: Any) -> dict[str, Any]:
        return {"contrast_factor": self.uniform((batch, 1, 1, 1), (1 - self.factor[0], 1 + self.factor[1]), seed)}

    def changed(self, images: Tensor, transformation: Any) -> Tensor:
        middle = ops.mean(images, axis=self.axes[:2], keepdims=True)
        return self.clipped((images - middle) * self.number(transformation["contrast_factor"]) + middle)


class RandomSaturation(RandomColor):
    """Colours made fuller or paler, while training.

    Args:
        factor: f, drawn from (-factor, factor), or from two ends; the saturation is multiplied by f / (1 - f): 0 makes grey, 0.5 changes
            nothing, 1 makes full colours.
        value_range: (lowest, highest) value of images, which results keep.
        data_format: as ImageLayer.
        seed: makes the draws repeat from one run to the next.
    Differs from Keras, where saturations and then values may leave their range.

    >>> import nyala
    >>> nyala.layers.RandomSaturation((0.0, 0.0))([[[[10.0, 20.0, 30.0]]]], training=True).tolist()
    [[[[30.0, 30.0, 30.0]]]]
    """

    def __init__(self, factor: Any, value_range: Any = (0, 255), data_format: str | None = None, seed: int | None = None, **kwargs: Any) -> None:
        factor = as_range("RandomSaturation(factor)", factor, -1, 1, symmetric=True)
        super().__init__(value_range, data_format=data_format, seed=seed, **kwargs)
        self.factor = factor

    def draw(self, batch: int, height: int, width: int, seed: Any, data: Any) -> dict[str, Any]:
        drawn = self.uniform((batch,), self.factor, seed)
        return {"factor": drawn / ops.maximum(1 - drawn, 1e-6)}

    def changed(self, images: Tensor, transformation: Any) -> Tensor:
        fuller = lambda h, s, v: (h, ops.clip(s * self.number(transformation["factor"]), 0.0, 1.0), v)  # noqa: E731
        return _in_hsv(self, images, fuller)


class RandomHue(RandomColor):
    """Colours moved along the circle of hues, while training.

    Args:
        factor: half of it is how far, in parts of the circle: drawn from (0, factor), or from two ends; either way round.
        value_range: (lowest, highest) value of images, which results keep.
        data_format: as ImageLayer.
        seed: makes the draws repeat from one run to the next.

    >>> import nyala
    >>> nyala.layers.RandomHue((1.0, 1.0))([[[[10.0, 20.0, 30.0]]]], training=True).tolist()
    [[[[30.0, 20.0, 10.0]]]]
    """

    def __init__(self, factor: Any, value_range: Any = (0, 255), data_format: str | None = None, seed: int | None = None, **kwargs: Any) -> None:
        factor = as_range("RandomHue(factor)", factor, 0, 1)
        super().__init__(value_range, data_format=data_format, seed=seed, **kwargs)
        self.factor = factor

    def draw(self, batch: int, height: int, width: int, seed: Any, data: Any) -> dict[str, Any]:
        return {"factor": self.uniform((batch,), self.factor, seed) * self.signs((batch,), seed) * 0.5}

    def changed(self, images: Tensor, transformation: Any) -> Tensor:
        turned = lambda h, s, v: (ops.mod(h + self.number(transformation["factor"]), 1.0), s, v)  # noqa: E731
        return _in_hsv(self, images, turned)


def _in_hsv(layer: RandomColor, images: Tensor, change: Any) -> Tensor:
    """change(hue, saturation, value), and back."""
    x = ops.image.rgb_to_hsv(rescaled(images, layer.value_range, UNIT), data_format=layer.data_format)
    parts = change(*ops.split(x, 3, axis=layer.axes[2]))
    x = ops.image.hsv_to_rgb(ops.concatenate(parts, axis=layer.axes[2]), data_format=layer.data_format)
    return layer.clipped(rescaled(x, UNIT, layer.value_range))


class RandomColorJitter(RandomColor):
    """Brightness, contrast, saturation and hue changed one after the other, while training.

    Args:
        value_range: (lowest, highest) value of images, which results keep.
        brightness_factor, contrast_factor, saturation_factor, hue_factor: as of RandomBrightness, RandomContrast, RandomSaturation and RandomHue;
            None leaves that out.
        seed: makes the draws repeat from one run to the next.
        data_format: as ImageLayer.

    >>> import nyala
    >>> nyala.layers.RandomColorJitter(brightness_factor=(0.5, 0.5))([[[[10.0, 20.0, 200.0]]]], training=True).tolist()
    [[[[137.5, 147.5, 255.0]]]]
    """

    def __init__(
        self,
        value_range: Any = (0, 255),
        brightness_factor: Any = None,
        contrast_factor: Any = None,
        saturation_factor: Any = None,
        hue_factor: Any = None,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(value_range, seed=seed, data_format=data_format, **kwargs)
        self.brightness_factor, self.contrast_factor = as_given(brightness_factor), as_given(contrast_factor)
        self.saturation_factor, self.hue_factor = as_given(saturation_factor), as_given(hue_factor)
        self._steps = []
        for name, kind in (("brightness", RandomBrightness), ("contrast", RandomContrast), ("saturation", RandomSaturation), ("hue", RandomHue)):
            factor = getattr(self, f"{name}_factor")
            if factor is not None:
                step = kind(factor, value_range=self.value_range, seed=seed, data_format=self.data_format, dtype=self.dtype_policy)
                setattr(self, f"random_{name}", step)
                self._steps.append(step)

    def draw(self, batch: int, height: int, width: int, seed: Any, data: Any) -> list[Any]:
        return [step.draw(batch, height, width, seed, data) for step in self._steps]

    def changed(self, images: Tensor, transformation: Any) -> Tensor:
        for step, drawn in zip(self._steps, transformation, strict=True):
            images = step.changed(images, drawn)
        return images


class RandomGrayscale(RandomImageLayer):
    """Some images without colours, while training; integers stay integers.

    Args:
        factor: with what probability.
        data_format: as ImageLayer.
        seed: makes the draws repeat from one run to the next.

    >>> import nyala
    >>> nyala.layers.RandomGrayscale(1.0)([[[[0.0, 100.0, 0.0]]]], training=True).tolist()
    [[[[58.7000008, 58.7000008, 58.7000008]]]]
    """

    integers = True

    def __init__(self, factor: float = 0.5, data_format: str | None = None, seed: int | None = None, **kwargs: Any) -> None:
        as_range("RandomGrayscale(factor)", factor, 0, 1)
        super().__init__(data_format=data_format, seed=seed, **kwargs)
        self.factor = factor

    def draw(self, batch: int, height: int, width: int, seed: Any, data: Any) -> Tensor:
        return self.uniform((batch, 1, 1, 1), (0, 1), seed, "float32") < self.factor

    def transform_images(self, images: Tensor, transformation: Any, training: bool = True) -> Tensor:
        if transformation is None:
            return images
        return ops.where(transformation, ops.image.rgb_to_grayscale(images, data_format=self.data_format), images)


class RandomColorDegeneration(RandomColor):
    """Images mixed with their grey version, while training.

    Args:
        factor: the share of grey: drawn from (-factor, factor), or from two ends; below 0 colours become fuller.
        value_range: (lowest, highest) value of images, which results keep.
        data_format: as ImageLayer.
        seed: makes the draws repeat from one run to the next.

    >>> import nyala
    >>> nyala.layers.RandomColorDegeneration((1.0, 1.0))([[[[0.0, 100.0, 0.0]]]], training=True).tolist()
    [[[[58.7000008, 58.7000008, 58.7000008]]]]
    """

    def __init__(self, factor: Any, value_range: Any = (0, 255), data_format: str | None = None, seed: int | None = None, **kwargs: Any) -> None:
        factor = as_range("RandomColorDegeneration(factor)", factor, -1, 1, symmetric=True)
        super().__init__(value_range, data_format=data_format, seed=seed, **kwargs)
        self.factor = factor

    def draw(self, batch: int, height: int, width: int, seed: Any, data: Any) -> dict[str, Any]:
        return {"factor": self.uniform((batch, 1, 1, 1), self.factor, seed)}

    def changed(self, images: Tensor, transformation: Any) -> Tensor:
        grey = ops.image.rgb_to_grayscale(images, data_format=self.data_format)
        return self.clipped(images + (grey - images) * self.number(transformation["factor"]))
