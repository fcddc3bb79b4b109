# SPDX-License-Identifier: Apache-2.0
"""Images turned, moved, zoomed and sheared: each pixel of the result is read at a place that an affine map says. Start at _Warp."""

from __future__ import annotations

import math
from typing import Any

from nyala import ops
from nyala.core.errors import missing_method
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_choice, as_number
from nyala.layers.preprocessing.image.base import RandomImageLayer, as_given, as_range
from nyala.utils.bounding_boxes import around, corners

FILL_MODES = ("reflect", "wrap", "constant", "nearest", "mirror")
ORDERS = ("nearest", "bilinear")


class _Warp(RandomImageLayer):
    """Results whose pixel (x, y) comes from (a0 x + a1 y + a2, b0 x + b1 y + b2). Subclasses write `draw` and `places`."""

    def __init__(
        self, fill_mode: str = "reflect", interpolation: str = "bilinear", seed: int | None = None, fill_value: float = 0.0, **kwargs: Any
    ) -> None:
        as_choice(f"{type(self).__name__}(fill_mode)", fill_mode, FILL_MODES)
        as_choice(f"{type(self).__name__}(interpolation)", interpolation, ORDERS)
        as_number(f"{type(self).__name__}(fill_value)", fill_value)
        super().__init__(seed=seed, **kwargs)
        self.fill_mode, self.interpolation, self.fill_value = fill_mode, interpolation, fill_value

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        found = super().get_random_transformation(data, training, seed)
        return found if found is None else {**found, "input_shape": self.sizes(data)}

    def places(self, transformation: Any, height: int, width: int) -> list[Any]:
        """a0, a1, a2, b0, b1, b2: numbers, or tensors (b,)."""
        raise missing_method(self, "places")

    def _read(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        batch, height, width = self.sizes(images)
        numbers = self.places(transformation, height, width)
        full = lambda n: ops.broadcast_to(ops.reshape(ops.cast(ops.convert_to_tensor(n), "float32"), (-1,)), (batch,))  # noqa: E731
        matrix = ops.stack([full(n) for n in (*numbers, 0.0, 0.0)], axis=1)
        return ops.image.affine_transform(images, matrix, interpolation, self.fill_mode, self.fill_value, self.data_format)

    def transform_images(self, images: Tensor, transformation: Any, training: bool = True) -> Tensor:
        return images if transformation is None else self._read(images, transformation, self.interpolation)

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Any:
        return segmentation_masks if transformation is None else self._read(segmentation_masks, transformation, "nearest")

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        if transformation is None:
            return bounding_boxes
        _, height, width = transformation["input_shape"]
        column = lambda n: ops.reshape(ops.cast(ops.convert_to_tensor(n), "float32"), (-1, 1, 1))  # noqa: E731
        a0, a1, a2, b0, b1, b2 = map(column, self.places(transformation, height, width))

        def change(boxes: Tensor) -> Tensor:
            """Where corners go: the inverse map, pixels being squares about their places."""
            x, y = corners(boxes)
            x, y, area = x - 0.5 - a2, y - 0.5 - b2, a0 * b1 - a1 * b0
            return around((b1 * x - a1 * y) / area + 0.5, (a0 * y - b0 * x) / area + 0.5)

        return self.change_boxes(bounding_boxes, (height, width), (height, width), change)


class RandomRotation(_Warp):
    """Images turned about their middle, while training.

    Args:
        factor: parts of a full turn, counterclockwise: the angle is drawn from (-factor, factor), or from two ends.
        fill_mode: what comes from beyond the border: "constant" (fill_value), "nearest", "wrap", "mirror" (mirrored at the last pixel) or "reflect"
            (behind it).
        interpolation: "nearest" or "bilinear".
        seed: makes the draws repeat from one run to the next.
        data_format, bounding_box_format: as ImageLayer.

    >>> import nyala
    >>> x = nyala.ops.reshape(nyala.ops.arange(4.0), (1, 2, 2, 1))
    >>> nyala.layers.RandomRotation((0.25, 0.25), interpolation="nearest")(x, training=True)[0, ..., 0].tolist()
    [[1.0, 3.0], [0.0, 2.0]]
    """

    def __init__(
        self,
        factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        factor = as_range("RandomRotation(factor)", factor, -1, 1, symmetric=True)
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format=data_format, **kwargs)
        self.factor = factor

    def draw(self, batch: int, height: int, width: int, seed: Any, data: Any) -> dict[str, Any]:
        return {"angle": 360 * self.uniform((batch,), self.factor, seed)}

    def places(self, transformation: Any, height: int, width: int) -> list[Any]:
        angle = ops.cast(ops.convert_to_tensor(transformation["angle"]), "float32") * (math.pi / 180)
        cos, sin, x, y = ops.cos(angle), ops.sin(angle), (width - 1) / 2, (height - 1) / 2
        return [cos, -sin, x - x * cos + y * sin, sin, cos, y - x * sin - y * cos]


class RandomTranslation(_Warp):
    """Images moved, while training.

    Args:
        height_factor, width_factor: parts of the height, down, and of the width, to the right: drawn from (-factor, factor), or from two ends.
        fill_mode, interpolation, seed, fill_value, data_format, bounding_box_format: as RandomRotation.

    >>> import nyala
    >>> x = nyala.ops.reshape(nyala.ops.arange(4.0), (1, 1, 4, 1))
    >>> nyala.layers.RandomTranslation(0.0, (0.25, 0.25), fill_mode="constant")(x, training=True)[0, 0, :, 0].tolist()
    [0.0, 0.0, 1.0, 2.0]
    """

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        down = as_range("RandomTranslation(height_factor)", height_factor, -1, 1, symmetric=True)
        right = as_range("RandomTranslation(width_factor)", width_factor, -1, 1, symmetric=True)
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format=data_format, **kwargs)
        self.height_factor, self.width_factor = as_given(height_factor), as_given(width_factor)
        self._down, self._right = down, right

    def draw(self, batch: int, height: int, width: int, seed: Any, data: Any) -> dict[str, Any]:
        parts = [self.uniform((batch, 1), self._right, seed) * width, self.uniform((batch, 1), self._down, seed) * height]
        return {"translations": ops.concatenate(parts, axis=1)}

    def places(self, transformation: Any, height: int, width: int) -> list[Any]:
        moves = ops.convert_to_tensor(transformation["translations"])
        return [1.0, 0.0, -moves[:, 0], 0.0, 1.0, -moves[:, 1]]


class RandomZoom(_Warp):
    """Images enlarged or made smaller about their middle, while training.

    Args:
        height_factor: how much more than the height of the image comes into view, as a part of it: below 0 enlarges. Drawn from (-factor, factor),
            or from two ends.
        width_factor: the same for the width; None: as much as the height.
        fill_mode, interpolation, seed, fill_value, data_format, bounding_box_format: as RandomRotation.

    >>> import nyala
    >>> x = nyala.ops.reshape(nyala.ops.arange(5.0), (1, 1, 5, 1))
    >>> nyala.layers.RandomZoom((-0.5, -0.5))(x, training=True)[0, 0, :, 0].tolist()
    [1.0, 1.5, 2.0, 2.5, 3.0]
    """

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        down = as_range("RandomZoom(height_factor)", height_factor, -1, 1, symmetric=True)
        right = None if width_factor is None else as_range("RandomZoom(width_factor)", width_factor, -1, 1, symmetric=True)
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format=data_format, **kwargs)
        self.height_factor, self.width_factor = as_given(height_factor), as_given(width_factor)
        self._down, self._right = down, right

    def draw(self, batch: int, height: int, width: int, seed: Any, data: Any) -> dict[str, Any]:
        down = 1 + self.uniform((batch, 1), self._down, seed)
        right = down if self._right is None else 1 + self.uniform((batch, 1), self._right, seed)
        return {"height_zoom": down, "width_zoom": right}

    def places(self, transformation: Any, height: int, width: int) -> list[Any]:
        down, right = (ops.reshape(ops.convert_to_tensor(transformation[f"{side}_zoom"]), (-1,)) for side in ("height", "width"))
        return [right, 0.0, (1 - right) * ((width - 1) / 2), 0.0, down, (1 - down) * ((height - 1) / 2)]


class RandomShear(_Warp):
    """Images slanted, while training: each row is moved by its number times a factor, or each column.

    Args:
        x_factor: how far rows are moved, per row: a size drawn from (0, factor), or from two ends, and a random sign.
        y_factor: the same for columns.
        fill_mode, interpolation, seed, fill_value, data_format, bounding_box_format: as RandomRotation.

    >>> import nyala
    >>> x = nyala.ops.reshape(nyala.ops.arange(6.0), (1, 2, 3, 1))
    >>> sheared = nyala.layers.RandomShear((1.0, 1.0), fill_mode="constant", seed=1)(x, training=True)[0, ..., 0].tolist()
    >>> sheared[0], sheared[1] in ([4.0, 5.0, 0.0], [0.0, 3.0, 4.0])
    ([0.0, 1.0, 2.0], True)
    """

    def __init__(
        self,
        x_factor: Any = 0.0,
        y_factor: Any = 0.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        x_factor = as_range("RandomShear(x_factor)", x_factor, -1, 1, symmetric=True)
        y_factor = as_range("RandomShear(y_factor)", y_factor, -1, 1, symmetric=True)
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format=data_format, **kwargs)
        self.x_factor, self.y_factor = x_factor, y_factor

    def draw(self, batch: int, height: int, width: int, seed: Any, data: Any) -> dict[str, Any]:
        sign = self.signs((batch, 1), seed)
        parts = [self.uniform((batch, 1), ends, seed) for ends in (self.x_factor, self.y_factor)]
        return {"shear_factor": ops.concatenate(parts, axis=1) * sign}

    def places(self, transformation: Any, height: int, width: int) -> list[Any]:
        factors = ops.convert_to_tensor(transformation["shear_factor"])
        return [1.0, factors[:, 0], 0.0, factors[:, 1], 1.0, 0.0]
