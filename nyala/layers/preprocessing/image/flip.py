# SPDX-License-Identifier: Apache-2.0
"""RandomFlip: left becomes right, or top becomes bottom."""

from __future__ import annotations

from typing import Any

from nyala import ops
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_choice
from nyala.layers.preprocessing.image.base import RandomImageLayer

MODES = ("horizontal", "vertical", "horizontal_and_vertical")


class RandomFlip(RandomImageLayer):
    """Each image is mirrored, or not, with equal chances, while training.

    Args:
        mode: "horizontal" left and right, "vertical" top and bottom, "horizontal_and_vertical" each of both.
        seed: makes the draws repeat from one run to the next.
        data_format, bounding_box_format: as ImageLayer.
    Differs from Keras, where "horizontal_and_vertical" mirrors an image in both directions or in none.

    >>> import nyala
    >>> nyala.layers.RandomFlip("horizontal", seed=1)(nyala.ops.reshape(nyala.ops.arange(3.0), (1, 1, 3, 1)), training=True).tolist()
    [[[[2.0], [1.0], [0.0]]]]
    """

    def __init__(self, mode: str = "horizontal_and_vertical", seed: int | None = None, data_format: str | None = None, **kwargs: Any) -> None:
        as_choice("RandomFlip(mode)", mode, MODES)
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.mode = mode

    def draw(self, batch: int, height: int, width: int, seed: Any, data: Any) -> dict[str, Any]:
        return {
            "flips": self.uniform((batch, 1, 1, 2), (0, 1), seed, "float32") < 0.5,
            "input_shape": (batch, height, width),
        }  # the last axis: across, down

    def _flips(self, transformation: Any) -> list[tuple[int, Tensor]]:
        """The directions that may be mirrored, 0 across and 1 down, and whether they are, (b, 1, 1, 1)."""
        flips = ops.convert_to_tensor(transformation["flips"])
        return [(i, part) for i, part in enumerate((flips[..., :1], flips[..., -1:])) if MODES[i] in self.mode]

    def _flip(self, images: Any, transformation: Any) -> Any:
        for direction, flips in self._flips(transformation) if transformation is not None else ():
            images = ops.where(flips, ops.flip(images, self.axes[1 - direction]), images)
        return images

    def transform_images(self, images: Tensor, transformation: Any, training: bool = True) -> Tensor:
        return self._flip(images, transformation)

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Any:
        return self._flip(segmentation_masks, transformation)

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        if transformation is None:
            return bounding_boxes
        _, height, width = transformation["input_shape"][:3]

        def change(boxes: Tensor) -> Tensor:
            for direction, flips in self._flips(transformation):
                left, top, right, bottom = (boxes[..., i : i + 1] for i in range(4))
                mirrored = (width - right, top, width - left, bottom) if direction == 0 else (left, height - bottom, right, height - top)
                boxes = ops.where(ops.reshape(flips, (-1, 1, 1)), ops.concatenate(mirrored, axis=-1), boxes)
            return boxes

        return self.change_boxes(bounding_boxes, (height, width), (height, width), change)
