# SPDX-License-Identifier: Apache-2.0
"""Counts of right and wrong yes-or-no predictions at thresholds, and precision and recall from them. Start at confusion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nyala import ops
from nyala.core.errors import ArgumentError, ShapeError
from nyala.engines.protocol import Tensor
from nyala.losses.shapes import paired, weights_of
from nyala.metrics.metric import Metric

CELLS = ("true_positives", "false_positives", "true_negatives", "false_negatives")


def confusion(
    y_true: Any,
    y_pred: Any,
    thresholds: Sequence[float],
    dtype: str,
    where: str = "confusion",
    sample_weight: Any = None,
    top_k: int | None = None,
    class_id: int | None = None,
    label_weights: Any = None,
    by_label: bool = False,
) -> dict[str, Tensor]:
    """Weighted counts of true positives, false positives, true negatives and false negatives, (thresholds,).

    A prediction means yes if it is above the threshold. Each falls into one of the ranges between thresholds; sums of the ranges
    from either end are the counts, so that the work does not grow with the number of thresholds.

    Args:
        y_true: yes where it is not 0.
        thresholds: ascending or not.
        dtype: of the counts.
        where: what to name in an error.
        sample_weight: one factor per sample, or per value.
        top_k: only the k largest predictions of each row may mean yes.
        class_id: only this entry of the last axis counts.
        label_weights: factors along the last axis.
        by_label: count each entry of the last axis for itself, (thresholds, labels).

    >>> counts = confusion([0, 1, 1], [0.2, 0.4, 0.9], [0.1, 0.5], "float32")
    >>> counts["true_positives"].tolist(), counts["false_positives"].tolist()
    ([2.0, 1.0], [1.0, 0.0])
    """
    y_true, y_pred = paired(ops.convert_to_tensor(y_true, dtype), ops.convert_to_tensor(y_pred, dtype), where, broadcast=False)
    weight = weights_of(y_pred, sample_weight)
    if label_weights is not None:
        weight = weight * ops.convert_to_tensor(label_weights, dtype)
    lost = ops.isnan(y_pred)
    if top_k is not None:
        lost = ops.logical_or(lost, ops.logical_not(_best(y_pred, top_k)))
    y_pred = ops.where(lost, ops.full_like(y_pred, -math.inf), y_pred)
    if class_id is not None:
        y_true, y_pred, weight = (x[..., class_id] for x in (y_true, y_pred, weight))
    labels = y_pred.shape[-1] if by_label else 1
    order = np.argsort(np.asarray(thresholds, "float64"), kind="stable")
    ranges = len(order) + 1
    edges = ops.convert_to_tensor(np.asarray(thresholds, "float64")[order], dtype)
    place = ops.searchsorted(edges, ops.reshape(y_pred, (-1,)), side="left")  # thresholds below each prediction
    if by_label:
        place = ops.reshape(ops.reshape(place, (-1, labels)) * labels + ops.arange(labels, dtype="int32"), (-1,))
    yes = ops.reshape(ops.not_equal(y_true, 0.0), (-1,))
    weight = ops.reshape(weight, (-1,))
    none = ops.zeros_like(weight)
    amounts = ops.stack([ops.where(yes, weight, none), ops.where(yes, none, weight)], axis=-1)
    sums = ops.reshape(ops.segment_sum(amounts, place, ranges * labels), (ranges, labels, 2))
    below = ops.cumsum(sums, axis=0)[: ranges - 1]
    above = ops.flip(ops.cumsum(ops.flip(sums, axis=0), axis=0), axis=0)[1:]
    counts = [above[..., 0], above[..., 1], below[..., 1], below[..., 0]]  # thresholds labels
    if not np.array_equal(order, np.arange(len(order))):
        counts = [ops.take(x, np.argsort(order).astype("int32"), axis=0) for x in counts]
    return {cell: x if by_label else x[:, 0] for cell, x in zip(CELLS, counts, strict=True)}


def _best(scores: Tensor, k: int) -> Tensor:
    """bool: where the k largest of each row are."""
    places = ops.top_k(scores, k)[1]  # ... k
    return ops.any(ops.one_hot(places, scores.shape[-1], dtype="bool"), axis=-2)


def as_thresholds(where: str, thresholds: Any, default: float) -> list[float]:
    """One threshold or several, from 0 to 1, as a list."""
    values = list(thresholds) if isinstance(thresholds, (list, tuple, np.ndarray)) else [default if thresholds is None else thresholds]
    wrong = [t for t in values if thresholds is not None and not (isinstance(t, (int, float, np.number)) and 0 <= t <= 1)]
    if wrong or not values:
        raise ArgumentError(
            f"{where}(thresholds)", need="a number from 0 to 1, or a list of them", got=repr(thresholds), fix="give predictions as probabilities"
        )
    return [float(t) for t in values]


def check_class(where: str, class_id: int | None, shape: Sequence[int]) -> None:
    """Refuse a class that predictions of this shape do not have."""
    if class_id is not None and not (len(shape) > 1 and 0 <= class_id < shape[-1]):
        raise ShapeError(
            f"{where}(class_id={class_id})", need=f"predictions with more than {class_id} classes on the last axis", got=f"shape {tuple(shape)}"
        )


class ConfusionMetric(Metric):
    """A metric that keeps some of the four counts at its thresholds.

    Args:
        thresholds: a prediction above means yes; one number or a list, which makes a list of results.
    """

    kept: tuple[str, ...] = CELLS  # which counts, in the order of variables
    top_k: int | None = None
    class_id: int | None = None
    thresholds: list[float]

    def _make_counts(self) -> None:
        for cell in self.kept:
            setattr(self, cell, self.add_variable((len(self.thresholds),), "zeros", name=cell))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch, with one weight per sample or per value."""
        y_pred = ops.convert_to_tensor(y_pred, self.dtype)
        check_class(type(self).__name__, self.class_id, y_pred.shape)
        counts = confusion(
            y_true, y_pred, self.thresholds, self.dtype, f"{type(self).__name__} {self.name!r}", sample_weight, self.top_k, self.class_id
        )
        for cell in self.kept:
            variable = getattr(self, cell)
            variable.assign(variable + counts[cell])

    def _scores(self, result: Tensor) -> Tensor:
        """A scalar where there is one threshold."""
        return result[0] if len(self.thresholds) == 1 else result


class _Count(ConfusionMetric):
    """One of the four counts."""

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds, self.thresholds = thresholds, as_thresholds(type(self).__name__, thresholds, 0.5)
        self.accumulator = self.add_variable((len(self.thresholds),), "zeros", name="accumulator")
        setattr(self, self.kept[0], self.accumulator)

    def result(self) -> Tensor:
        return self._scores(self.accumulator.value)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "thresholds": self.init_thresholds}


class TruePositives(_Count):
    """How often yes is right.

    >>> float(TruePositives()([0, 1, 1, 1], [0.9, 0.9, 0.6, 0.2]))
    2.0
    """

    kept, _direction = ("true_positives",), "up"


class FalsePositives(_Count):
    """How often yes is wrong."""

    kept, _direction = ("false_positives",), "down"


class TrueNegatives(_Count):
    """How often no is right."""

    kept, _direction = ("true_negatives",), "up"


class FalseNegatives(_Count):
    """How often no is wrong."""

    kept, _direction = ("false_negatives",), "down"


class _Share(ConfusionMetric):
    """True positives as a share of another sum."""

    _direction = "up"

    def __init__(
        self, thresholds: Any = None, top_k: int | None = None, class_id: int | None = None, name: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        where = type(self).__name__
        for argument, value, least in (("top_k", top_k, 1), ("class_id", class_id, 0)):
            if value is not None and not (isinstance(value, (int, np.integer)) and value >= least):
                raise ArgumentError(f"{where}({argument})", need=f"None or an integer from {least}", got=repr(value))
        self.init_thresholds, self.top_k, self.class_id = thresholds, top_k, class_id
        self.thresholds = as_thresholds(where, thresholds, 0.5 if top_k is None else -math.inf)
        self._make_counts()

    def result(self) -> Tensor:
        positives, wrong = (getattr(self, cell) for cell in self.kept)
        return self._scores(ops.divide_no_nan(positives, positives + wrong))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "thresholds": self.init_thresholds}


class Precision(_Share):
    """true positives / (true positives + false positives): how much of what is called yes is yes; 0 where nothing is.

    Args:
        thresholds: above it a prediction means yes, 0.5 by default (none with top_k); a list gives one result for each.
        top_k: only the k largest predictions of each row may mean yes.
        class_id: count only this class.

    >>> float(Precision()([0, 1, 1, 1], [0.9, 0.9, 0.6, 0.2]))
    0.6666666865348816
    """

    kept = ("true_positives", "false_positives")


class Recall(_Share):
    """true positives / (true positives + false negatives): how much of what is yes is called so; 0 where nothing is.

    Args: as in Precision.

    >>> float(Recall()([0, 1, 1, 1, 1], [0.9, 0.9, 0.6, 0.2, 0.7]))
    0.75
    """

    kept = ("true_positives", "false_negatives")
