# SPDX-License-Identifier: Apache-2.0
"""Intersection over union, from a matrix of how often each class is taken for each. Start at IoU."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nyala import ops
from nyala.core import config
from nyala.core.errors import ArgumentError, ShapeError
from nyala.engines.protocol import Tensor
from nyala.losses.shapes import weights_of
from nyala.metrics.metric import Metric


class IoU(Metric):
    """both / (true + predicted - both), the mean over some classes; classes that never occur are left out.

    Args:
        num_classes: how many classes there are; other ids count nothing.
        target_class_ids: the classes whose mean is reported.
        dtype: of the counts, int32 by default; weights with fractions need a float.
        ignore_class: an id of y_true whose positions count nothing.
        sparse_y_true, sparse_y_pred: whether ids are given, instead of scores whose largest along axis names the class.

    >>> float(IoU(num_classes=2, target_class_ids=[0])([0, 0, 1, 1], [0, 1, 0, 1]))
    0.3333333432674408
    """

    _direction = "up"

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(name=name, dtype=dtype or "int32")
        wrong = [i for i in target_class_ids if not 0 <= i < num_classes]
        if wrong:
            raise ArgumentError(f"{type(self).__name__}(target_class_ids)", need=f"ids from 0 to {num_classes - 1}", got=f"{list(target_class_ids)}")
        self.num_classes, self.target_class_ids, self.ignore_class = num_classes, list(target_class_ids), ignore_class
        self.sparse_y_true, self.sparse_y_pred, self.axis = sparse_y_true, sparse_y_pred, axis
        self.total_confusion_matrix = self.add_variable((num_classes, num_classes), "zeros", name="total_confusion_matrix")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch, with one weight per sample or per position."""
        true, predicted = self._ids(y_true, self.sparse_y_true), self._ids(y_pred, self.sparse_y_pred)
        if math.prod(true.shape) != math.prod(predicted.shape):
            raise ShapeError(
                f"{type(self).__name__} {self.name!r}",
                need="one class id of y_true for each of y_pred",
                got=f"ids of shapes {tuple(true.shape)} and {tuple(predicted.shape)}",
                fix="set sparse_y_true or sparse_y_pred to False where scores are given instead of ids",
            )
        weight = weights_of(ops.cast(true, self.dtype), sample_weight)
        true, predicted, weight = (ops.reshape(x, (-1,)) for x in (true, predicted, weight))
        counted = ops.logical_and(_inside(true, self.num_classes), _inside(predicted, self.num_classes))
        if self.ignore_class is not None:
            counted = ops.logical_and(counted, ops.not_equal(true, self.ignore_class))
        cells = self.num_classes**2
        place = ops.where(counted, true * self.num_classes + predicted, ops.full_like(true, cells))  # the last one is cut off
        counts = ops.segment_sum(weight, place, cells + 1)[:cells]
        self.total_confusion_matrix.assign(self.total_confusion_matrix + ops.reshape(counts, (self.num_classes, self.num_classes)))

    def _ids(self, y: Any, sparse: bool) -> Tensor:
        y = ops.convert_to_tensor(y)
        return ops.cast(y if sparse else ops.argmax(y, axis=self.axis), "int32")

    def result(self) -> Tensor:
        matrix = ops.cast(self.total_confusion_matrix, config.floatx())
        both = ops.diagonal(matrix)
        either = ops.sum(matrix, axis=0) + ops.sum(matrix, axis=1) - both
        both, either = (ops.take(x, self.target_class_ids, axis=0) for x in (both, either))
        occurs = ops.cast(either > 0, config.floatx())
        return ops.divide_no_nan(ops.sum(ops.divide_no_nan(both, either)), ops.sum(occurs))


def _inside(ids: Tensor, number: int) -> Tensor:
    return ops.logical_and(ids >= 0, ids < number)


class BinaryIoU(IoU):
    """IoU of the classes 0 and 1.

    Args:
        threshold: from it on a prediction means 1; None: predictions are 0 and 1.

    >>> float(BinaryIoU(target_class_ids=[1], threshold=0.3)([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7]))
    0.3333333432674408
    """

    def __init__(self, target_class_ids: Sequence[int] = (0, 1), threshold: float | None = 0.5, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch, with one weight per sample or per position."""
        y_pred = ops.convert_to_tensor(y_pred)
        if self.threshold is not None:
            y_pred = ops.cast(ops.greater_equal(y_pred, self.threshold), "int32")
        super().update_state(y_true, y_pred, sample_weight)


class MeanIoU(IoU):
    """IoU, the mean over all classes."""

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, range(num_classes), name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)


class OneHotIoU(IoU):
    """IoU of one-hot targets and scores along axis."""

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis)


class OneHotMeanIoU(IoU):
    """IoU of one-hot targets and scores along axis, the mean over all classes."""

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, range(num_classes), name, dtype, ignore_class, False, sparse_y_pred, axis)
