# SPDX-License-Identifier: Apache-2.0
"""Values changed by a curve: fewer levels, negatives, the whole range; and sharpened or blurred images. Start at RandomPosterization."""

from __future__ import annotations

from typing import Any

from nyala import ops
from nyala.core.errors import ArgumentError
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_sizes
from nyala.layers.preprocessing.image.base import ImageLayer, as_range, as_value_range, rescaled
from nyala.layers.preprocessing.image.colors import RandomColor

BYTES = (0.0, 255.0)


class RandomPosterization(RandomColor):
    """Fewer levels of each colour, while training: the last bits of 8 are dropped.

    Args:
        factor: how many bits stay, 1 to 8: drawn from 1 up to below factor, or from two ends, the second excluded.
        value_range: (lowest, highest) value of images.
        data_format: as ImageLayer.
        seed: makes the draws repeat from one run to the next.

    >>> import nyala
    >>> nyala.layers.RandomPosterization((2, 3))([[[[63.0, 64.0, 200.0]]]], training=True).tolist()
    [[[[0.0, 64.0, 192.0]]]]
    """

    def __init__(self, factor: Any, value_range: Any = (0, 255), data_format: str | None = None, seed: int | None = None, **kwargs: Any) -> None:
        factor = as_range("RandomPosterization(factor)", factor, 1, 8, start=1)
        super().__init__(value_range, data_format=data_format, seed=seed, **kwargs)
        self.factor = factor

    def draw(self, batch: int, height: int, width: int, seed: Any, data: Any) -> dict[str, Any]:
        low, high = self.factor
        bits = ops.floor(self.uniform((batch,), (int(low), max(int(high), int(low) + 1)), seed, "float32"))
        return {"shift_factor": ops.cast(8 - bits, "uint8")}

    def changed(self, images: Tensor, transformation: Any) -> Tensor:
        step = 2.0 ** self.number(transformation["shift_factor"])
        levels = ops.clip(ops.floor(rescaled(images, self.value_range, BYTES)), *BYTES)
        return rescaled(ops.floor(levels / step) * step, BYTES, self.value_range)


class RandomInvert(RandomColor):
    """Negatives of some images, while training.

    Args:
        factor: with what probability: drawn for each image from (0, factor), or from two ends.
        value_range: (lowest, highest) value of images.
        seed: makes the draws repeat from one run to the next.
        data_format: as ImageLayer.

    >>> import nyala
    >>> nyala.layers.RandomInvert((1.0, 1.0))([[[[55.0, 0.0, 255.0]]]], training=True).tolist()
    [[[[200.0, 255.0, 0.0]]]]
    """

    def __init__(
        self, factor: Any = 1.0, value_range: Any = (0, 255), seed: int | None = None, data_format: str | None = None, **kwargs: Any
    ) -> None:
        factor = as_range("RandomInvert(factor)", factor, 0, 1)
        super().__init__(value_range, seed=seed, data_format=data_format, **kwargs)
        self.factor = factor

    def draw(self, batch: int, height: int, width: int, seed: Any, data: Any) -> dict[str, Any]:
        return {"apply_inversion": self.chosen(batch, self.factor, seed)}

    def changed(self, images: Tensor, transformation: Any) -> Tensor:
        inverted = float(sum(self.value_range)) - images
        return ops.where(self.number(transformation["apply_inversion"]) > 0, inverted, images)


class Solarization(RandomColor):
    """A random number added to each image, then what lies above a random threshold inverted, while training.

    Args:
        addition_factor: parts of the highest value that are added: drawn from (0, factor), or from two ends.
        threshold_factor: parts of the highest value that make the threshold: drawn from (0, factor), or from two ends.
        value_range: (lowest, highest) value of images, which results keep.
        seed: makes the draws repeat from one run to the next.
    Differs from Keras, where the first of two ends does not count.

    >>> import nyala
    >>> nyala.layers.Solarization(threshold_factor=(0.4, 0.4))([[[[55.0, 101.0, 103.0]]]], training=True).tolist()
    [[[[55.0, 101.0, 152.0]]]]
    """

    def __init__(
        self, addition_factor: Any = 0.0, threshold_factor: Any = 0.0, value_range: Any = (0, 255), seed: int | None = None, **kwargs: Any
    ) -> None:
        addition_factor = as_range("Solarization(addition_factor)", addition_factor, 0, 1)
        threshold_factor = as_range("Solarization(threshold_factor)", threshold_factor, 0, 1)
        super().__init__(value_range, seed=seed, **kwargs)
        self.addition_factor, self.threshold_factor = addition_factor, threshold_factor

    def draw(self, batch: int, height: int, width: int, seed: Any, data: Any) -> dict[str, Any]:
        part = lambda ends: self.uniform((batch, 1, 1, 1), ends, seed) * 255.0  # noqa: E731
        return {"additions": part(self.addition_factor), "thresholds": part(self.threshold_factor)}

    def changed(self, images: Tensor, transformation: Any) -> Tensor:
        x = rescaled(images, self.value_range, BYTES) + self.number(transformation["additions"])
        x = ops.clip(x, *BYTES)
        x = ops.where(x < self.number(transformation["thresholds"]), x, 255.0 - x)
        return rescaled(x, BYTES, self.value_range)


class AutoContrast(ImageLayer):
    """Each channel of each image stretched over the whole range of values.

    Args:
        value_range: (lowest, highest) value of images.

    >>> import nyala
    >>> nyala.layers.AutoContrast()(nyala.ops.reshape(nyala.ops.arange(100.0, 104.0), (1, 2, 2, 1)))[0, ..., 0].tolist()
    [[0.0, 85.0], [170.0, 255.0]]
    """

    def __init__(self, value_range: Any = (0, 255), **kwargs: Any) -> None:
        value_range = as_value_range("AutoContrast", value_range)
        super().__init__(**kwargs)
        self.value_range = value_range

    def transform_images(self, images: Tensor, transformation: Any, training: bool = True) -> Tensor:
        images = self._as_images(images)
        low, high = (float(end) for end in self.value_range)
        least = ops.min(images, axis=self.axes[:2], keepdims=True)
        spread = ops.max(images, axis=self.axes[:2], keepdims=True) - least
        wide = (images - least) * ((high - low) / ops.where(spread > 0, spread, 1.0)) + low
        return ops.where(spread > 0, ops.clip(wide, low, high), images)


class RandomSharpness(RandomColor):
    """Images sharpened or smoothed, while training.

    Args:
        factor: drawn from (0, factor), or from two ends: 0 is smooth, 0.5 changes nothing, 1 is sharp.
        value_range: (lowest, highest) value of images, which results keep.
        data_format: as ImageLayer.
        seed: makes the draws repeat from one run to the next.

    >>> import nyala
    >>> nyala.layers.RandomSharpness((0.5, 0.5))(nyala.ops.reshape(nyala.ops.arange(4.0), (1, 2, 2, 1)), training=True)[0, ..., 0].tolist()
    [[0.0, 1.0], [2.0, 3.0]]
    """

    def __init__(self, factor: Any, value_range: Any = (0, 255), data_format: str | None = None, seed: int | None = None, **kwargs: Any) -> None:
        factor = as_range("RandomSharpness(factor)", factor, -1, 1)
        super().__init__(value_range, data_format=data_format, seed=seed, **kwargs)
        self.factor = factor

    def draw(self, batch: int, height: int, width: int, seed: Any, data: Any) -> dict[str, Any]:
        return {"factor": self.uniform((batch,), self.factor, seed)}

    def changed(self, images: Tensor, transformation: Any) -> Tensor:
        around = images  # the sum over 3 x 3 pixels, zeros beyond the border
        for axis in self.axes[:2]:
            wide = ops.pad(around, [(1, 1) if i == axis else (0, 0) for i in range(4)])
            first, middle, last = (ops.take(wide, ops.arange(i, i + images.shape[axis]), axis=axis) for i in range(3))
            around = first + middle + last
        smooth = (around + 4.0 * images) / 13.0
        return self.clipped(smooth + 2.0 * self.number(transformation["factor"]) * (images - smooth))


class RandomGaussianBlur(RandomColor):
    """Some images blurred by a bell of random width, while training.

    Args:
        factor: with what probability: drawn for each image from (0, factor), or from two ends.
        kernel_size: rows and columns that the bell covers, both odd.
        sigma: deviations in rows and columns: drawn for each image from (0, sigma), or from two ends.
        value_range: (lowest, highest) value of images, which results keep.
        data_format: as ImageLayer.
        seed: makes the draws repeat from one run to the next.
    Differs from Keras, which draws one pair of deviations for all images of a batch.

    >>> import nyala
    >>> nyala.layers.RandomGaussianBlur((1.0, 1.0), sigma=(1.0, 1.0))(nyala.ops.ones((2, 3, 3, 1)), training=True).shape
    (2, 3, 3, 1)
    """

    def __init__(
        self,
        factor: Any = 1.0,
        kernel_size: Any = 3,
        sigma: Any = 1.0,
        value_range: Any = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        factor = as_range("RandomGaussianBlur(factor)", factor, 0, 1)
        sigma = as_range("RandomGaussianBlur(sigma)", sigma, 0, float("inf"))
        sizes = as_sizes("RandomGaussianBlur(kernel_size)", kernel_size, 2)
        if not all(size % 2 for size in sizes):
            raise ArgumentError("RandomGaussianBlur(kernel_size)", need="odd numbers", got=repr(kernel_size), why="the bell has a middle")
        super().__init__(value_range, data_format=data_format, seed=seed, **kwargs)
        self.factor, self.kernel_size, self.sigma = factor, sizes, sigma

    def draw(self, batch: int, height: int, width: int, seed: Any, data: Any) -> dict[str, Any]:
        return {"should_apply_blur": self.chosen(batch, self.factor, seed), "blur_factor": self.uniform((batch, 2), self.sigma, seed)}

    def changed(self, images: Tensor, transformation: Any) -> Tensor:
        blurred = ops.image.gaussian_blur(images, self.kernel_size, transformation["blur_factor"], self.data_format)
        return ops.where(self.number(transformation["should_apply_blur"]) > 0, self.clipped(blurred), images)
