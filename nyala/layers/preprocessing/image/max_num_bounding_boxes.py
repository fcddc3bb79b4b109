# SPDX-License-Identifier: Apache-2.0
"""MaxNumBoundingBoxes: the same number of boxes for every image."""

from __future__ import annotations

from typing import Any

from nyala import ops
from nyala.layers.arguments import as_count, as_number
from nyala.layers.preprocessing.image.base import ImageLayer


class MaxNumBoundingBoxes(ImageLayer):
    """Boxes beyond the first max_number are dropped; missing ones are filled up. Images stay as they are.

    Args:
        max_number: boxes per image.
        fill_value: the numbers and the label of a box that is none.

    >>> import nyala
    >>> data = {"images": nyala.ops.ones((1, 2, 2, 3)), "bounding_boxes": {"boxes": [[[0.0, 0.0, 1.0, 1.0]]], "labels": [[7]]}}
    >>> nyala.layers.MaxNumBoundingBoxes(2)(data)["bounding_boxes"]["labels"].tolist()
    [[7, -1]]
    """

    integers = True

    def __init__(self, max_number: int, fill_value: float = -1, **kwargs: Any) -> None:
        max_number = as_count("MaxNumBoundingBoxes(max_number)", max_number)
        super().__init__(**kwargs)
        self.max_number, self.fill_value = max_number, as_number("MaxNumBoundingBoxes(fill_value)", fill_value)

    def _cut(self, x: Any) -> Any:
        x = ops.convert_to_tensor(x)[:, : self.max_number]
        missing = self.max_number - x.shape[1]
        return ops.pad(x, [(0, missing if axis == 1 else 0) for axis in range(x.ndim)], constant_values=self.fill_value)

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        return {**bounding_boxes, **{key: self._cut(bounding_boxes[key]) for key in ("boxes", "labels")}}
