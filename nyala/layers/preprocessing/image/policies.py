# SPDX-License-Identifier: Apache-2.0
"""Augmentations that choose among others: RandAugment one after the other, AugMix in parallel. Start at _Policy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nyala import ops, random
from nyala.core.errors import ArgumentError
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_choice, as_count
from nyala.layers.preprocessing.image.base import ImageLayer, RandomImageLayer, as_range, as_value_range
from nyala.layers.preprocessing.image.colors import RandomBrightness, RandomColorDegeneration, RandomContrast
from nyala.layers.preprocessing.image.equalization import Equalization
from nyala.layers.preprocessing.image.tones import AutoContrast, RandomPosterization, RandomSharpness, Solarization
from nyala.layers.preprocessing.image.warps import ORDERS, RandomRotation, RandomShear, RandomTranslation

MOVING = ("random_shear", "random_translation", "random_rotation")


class _Policy(RandomImageLayer):
    """Layers to choose from, one choice for all images of a batch; how strongly each acts is drawn for each image."""

    def __init__(self, value_range: Any, factor: Any, interpolation: str, seed: int | None, **kwargs: Any) -> None:
        kind = type(self).__name__
        value_range = as_value_range(kind, value_range)
        factor = as_range(f"{kind}(factor)", factor, 0, 1)
        as_choice(f"{kind}(interpolation)", interpolation, ORDERS)
        super().__init__(seed=seed, **kwargs)
        self.value_range, self.factor, self.interpolation = value_range, factor, interpolation

    def add_choices(self, colours: bool) -> None:
        """Make the layers, under the names by which Keras knows them."""
        common = {"seed": self.seed, "data_format": self.data_format, "bounding_box_format": self.bounding_box_format, "dtype": self.dtype_policy}
        fixed = {key: value for key, value in common.items() if key != "seed"}
        factor, values, order = self.factor, {"value_range": self.value_range}, {"interpolation": self.interpolation}
        bits = max(int(8 * factor[0]), 1), max(int(8 * factor[1]), 1)
        self.random_shear = RandomShear(factor, factor, **order, **common)
        self.random_translation = RandomTranslation(factor, factor, **order, **common)
        self.random_rotation = RandomRotation(factor, **order, **common)
        self.solarization = Solarization(factor, factor, **values, **common)
        self.random_posterization = RandomPosterization(bits, **values, **common)
        self.auto_contrast = AutoContrast(**values, **fixed)
        self.equalization = Equalization(**values, **fixed)
        names = [*MOVING, "solarization", "random_posterization", "auto_contrast", "equalization"]
        if colours:
            self.random_brightness = RandomBrightness(factor, **values, **common)
            self.random_color_degeneration = RandomColorDegeneration(factor, **values, **common)
            self.random_contrast = RandomContrast(factor, **values, **common)
            self.random_sharpness = RandomSharpness(factor, **values, **common)
            names += ["random_brightness", "random_color_degeneration", "random_contrast", "random_sharpness"]
        self._names = names

    @property
    def choices(self) -> list[ImageLayer]:
        return [getattr(self, name) for name in self._names]

    def draw_all(self, data: Any, seed: Any) -> dict[str, Any]:
        """A transformation of each layer."""
        return {name: layer.get_random_transformation(data, training=True, seed=seed) for name, layer in zip(self._names, self.choices, strict=True)}

    def choose(self, index: Tensor, method: str, x: Any, drawn: dict[str, Any], more: Sequence[Callable] = ()) -> Any:
        """One of the choices, or of `more`, applied to x: its method of this name."""

        def branch(name: str, layer: ImageLayer) -> Callable:
            return lambda value: getattr(layer, method)(value, drawn[name], training=True)

        branches = [branch(name, layer) for name, layer in zip(self._names, self.choices, strict=True)]
        return ops.switch(index, [*branches, *more], x)


class RandAugment(_Policy):
    """A few augmentations, drawn from shears, moves, turns and changes of values, one after the other, while training.

    Args:
        value_range: (lowest, highest) value of images.
        num_ops: how many.
        factor: how strongly, from 0 to 1: drawn from (0, factor), or from two ends.
        interpolation: "nearest" or "bilinear".
        seed: makes the draws repeat from one run to the next.
        data_format, bounding_box_format: as ImageLayer.
    Source: Cubuk, Zoph, Shlens, Le 2019, RandAugment: practical automated data augmentation with a reduced search space.

    >>> import nyala
    >>> nyala.layers.RandAugment()(nyala.ops.ones((2, 7, 5, 3)), training=True).shape
    (2, 7, 5, 3)
    """

    def __init__(
        self,
        value_range: Any = (0, 255),
        num_ops: int = 2,
        factor: Any = 0.5,
        interpolation: str = "bilinear",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        num_ops = as_count("RandAugment(num_ops)", num_ops)
        super().__init__(value_range, factor, interpolation, seed, data_format=data_format, **kwargs)
        self.num_ops = num_ops
        self.add_choices(colours=True)

    def draw(self, batch: int, height: int, width: int, seed: Any, data: Any) -> dict[str, Any]:
        return {
            "layer_idxes": random.randint((self.num_ops,), 0, len(self._names), seed=seed),
            "transforms": [self.draw_all(data, seed) for _ in range(self.num_ops)],
        }

    def _in_turn(self, method: str, x: Any, transformation: Any) -> Any:
        if transformation is None:
            return x
        for i in range(self.num_ops):
            x = self.choose(transformation["layer_idxes"][i], method, x, transformation["transforms"][i])
        return x

    def transform_images(self, images: Tensor, transformation: Any, training: bool = True) -> Tensor:
        return self._in_turn("transform_images", images, transformation)

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Any:
        return self._in_turn("transform_segmentation_masks", ops.convert_to_tensor(segmentation_masks), transformation)

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        floats = {**bounding_boxes, "boxes": ops.cast(ops.convert_to_tensor(bounding_boxes["boxes"]), "float32")}
        return self._in_turn("transform_bounding_boxes", floats, transformation)


class AugMix(_Policy):
    """Images mixed with a mean of several augmented versions, each by a chain of augmentations, while training.

    Args:
        value_range: (lowest, highest) value of images.
        num_chains: how many versions.
        chain_depth: how many augmentations at most make one: each time 1 to so many.
        factor: how strongly, from 0 to 1: drawn from (0, factor), or from two ends.
        alpha: parameter of the beta and Dirichlet distributions of the weights.
        all_ops: whether changes of brightness, contrast, colour and sharpness are among them.
        interpolation: "nearest" or "bilinear".
        seed: makes the draws repeat from one run to the next.
        data_format, bounding_box_format: as ImageLayer. Boxes and masks stay those of the images that the versions are mixed into.
    Source: Hendrycks, Mu, Cubuk, Zoph, Gilmer, Lakshminarayanan 2019, AugMix: a simple data processing method to improve robustness and uncertainty.

    >>> import nyala
    >>> nyala.layers.AugMix()(nyala.ops.ones((2, 7, 5, 3)), training=True).shape
    (2, 7, 5, 3)
    """

    def __init__(
        self,
        value_range: Any = (0, 255),
        num_chains: int = 3,
        chain_depth: int = 3,
        factor: Any = 0.3,
        alpha: float = 1.0,
        all_ops: bool = True,
        interpolation: str = "bilinear",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        num_chains, chain_depth = as_count("AugMix(num_chains)", num_chains), as_count("AugMix(chain_depth)", chain_depth)
        if not isinstance(alpha, (int, float)) or alpha <= 0:
            raise ArgumentError("AugMix(alpha)", need="a number above 0", got=repr(alpha))
        super().__init__(value_range, factor, interpolation, seed, data_format=data_format, **kwargs)
        self.num_chains, self.chain_depth, self.alpha, self.all_ops = num_chains, chain_depth, alpha, all_ops
        self.add_choices(colours=all_ops)

    def draw(self, batch: int, height: int, width: int, seed: Any, data: Any) -> dict[str, Any]:
        number = len(self._names)
        chosen = random.randint((self.num_chains, self.chain_depth), 0, number, seed=seed)
        depths = random.randint((self.num_chains, 1), 1, self.chain_depth + 1, seed=seed)
        shares = random.gamma((self.num_chains,), self.alpha, dtype="float32", seed=seed)
        return {
            "layer_idxes": ops.where(ops.arange(self.chain_depth, dtype="int32") < depths, chosen, number),  # the number itself: no step
            "chain_mixing_weights": ops.cast(shares / ops.sum(shares), self.compute_dtype),
            "weight_sample": ops.cast(random.beta((), self.alpha, self.alpha, dtype="float32", seed=seed), self.compute_dtype),
            "transforms": [[self.draw_all(data, seed) for _ in range(self.chain_depth)] for _ in range(self.num_chains)],
        }

    def transform_images(self, images: Tensor, transformation: Any, training: bool = True) -> Tensor:
        if transformation is None:
            return images
        images = self._as_images(images)
        mixed = ops.zeros_like(images)
        for i, steps in enumerate(transformation["transforms"]):
            version = images
            for j, drawn in enumerate(steps):
                version = self.choose(transformation["layer_idxes"][i, j], "transform_images", version, drawn, [lambda value: value])
            mixed = mixed + transformation["chain_mixing_weights"][i] * version
        weight = transformation["weight_sample"]
        return weight * images + (1 - weight) * mixed
