# SPDX-License-Identifier: Apache-2.0
"""Areas under curves of thresholds, and points on them. Start at AUC."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nyala import ops
from nyala.core import config
from nyala.core.errors import ArgumentError, ShapeError, missing_method
from nyala.engines.protocol import Tensor
from nyala.metrics.confusion import CELLS, ConfusionMetric, confusion
from nyala.metrics.metric import Metric


class AUC(Metric):
    """Area under the curve that predictions draw as the threshold goes from 1 to 0, by sums over fixed thresholds.

    Args:
        num_thresholds: how many, from 2; the more the nearer.
        curve: "ROC": true positive rate over false positive rate; "PR": precision over recall; "PRGAIN": precision gain over recall gain.
        summation_method: heights between thresholds: "interpolation" (ROC, PRGAIN: their middle; PR: positives interpolated, not precision),
            "minoring" the lower one, "majoring" the higher one.
        thresholds: instead of num_thresholds evenly spaced ones, numbers from 0 to 1; 0 and 1 are added.
        multi_label: one curve for each entry of the last axis, and the mean of their areas.
        num_labels: how many entries; known from the first batch otherwise.
        label_weights: of the mean of the areas, or, without multi_label, of the entries of the last axis.
        from_logits: whether predictions are logits instead of probabilities.
    Source: Davis, Goadrich 2006, The Relationship Between Precision-Recall and ROC Curves;
        Flach, Kull 2015, Precision-Recall-Gain Curves: PR Analysis Done Right.

    >>> float(AUC(num_thresholds=3)([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9]))
    0.75
    """

    _direction = "up"
    OPTIONAL = ("thresholds",)

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Any = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ) -> None:
        for argument, value, choices in (
            ("curve", curve, ("ROC", "PR", "PRGAIN")),
            ("summation_method", summation_method, ("interpolation", "minoring", "majoring")),
        ):
            if value not in choices:
                raise ArgumentError(f"AUC({argument})", need=f"one of {choices}", got=repr(value))
        if thresholds is None and not (isinstance(num_thresholds, (int, np.integer)) and num_thresholds > 1):
            raise ArgumentError("AUC(num_thresholds)", need="an integer above 1", got=repr(num_thresholds), why="the curve begins at 0 and ends at 1")
        if thresholds is not None and not all(0 <= float(t) <= 1 for t in thresholds):
            raise ArgumentError("AUC(thresholds)", need="numbers from 0 to 1", got=repr(thresholds))
        super().__init__(name=name, dtype=dtype)
        inner = [(i + 1) / (num_thresholds - 1) for i in range(num_thresholds - 2)] if thresholds is None else sorted(map(float, thresholds))
        self._given_thresholds = None if thresholds is None else inner
        self._thresholds = [-config.epsilon(), *inner, 1.0 + config.epsilon()]
        self.num_thresholds, self.curve, self.summation_method = len(self._thresholds), curve, summation_method
        self.multi_label, self.num_labels, self.from_logits = multi_label, num_labels, from_logits
        self.label_weights = None if label_weights is None else [float(w) for w in label_weights]
        self.built = False
        if not multi_label or num_labels:
            self._build(num_labels)

    @property
    def thresholds(self) -> list[float]:
        """All thresholds, the two beyond 0 and 1 included."""
        return list(self._thresholds)

    def _build(self, labels: int | None) -> None:
        if self.multi_label and self.label_weights and len(self.label_weights) != labels:
            raise ArgumentError("AUC(label_weights)", need=f"{labels} numbers, one for each label", got=f"{len(self.label_weights)}")
        shape = (self.num_thresholds, labels) if self.multi_label and labels is not None else (self.num_thresholds,)
        for cell in CELLS:
            setattr(self, cell, self.add_variable(shape, "zeros", name=cell))
        self._labels, self.built = labels, True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch, with one weight per sample or per value."""
        y_pred = ops.convert_to_tensor(y_pred, self.dtype)
        if self.multi_label and (len(y_pred.shape) != 2 or (self.built and y_pred.shape[-1] != self._labels)):
            labels = self._labels if self.built else "labels"
            raise ShapeError(
                f"AUC {self.name!r} with multi_label", need=f"predictions of shape (samples, {labels})", got=f"shape {tuple(y_pred.shape)}"
            )
        if not self.built:
            self._build(y_pred.shape[-1])
        if self.from_logits:
            y_pred = ops.sigmoid(y_pred)
        of_entries = None if self.multi_label else self.label_weights
        options = {"label_weights": of_entries, "by_label": self.multi_label}
        counts = confusion(y_true, y_pred, self._thresholds, self.dtype, f"AUC {self.name!r}", sample_weight, **options)
        for cell in CELLS:
            variable = getattr(self, cell)
            variable.assign(variable + counts[cell])

    def result(self) -> Tensor:
        if not self.built:
            return ops.zeros((), dtype=self.dtype)
        if self.curve == "PR" and self.summation_method == "interpolation":
            return self.interpolate_pr_auc()
        x, y = _CURVES[self.curve](*self._counts())
        low, high = y[1:], y[:-1]
        height = {"interpolation": (low + high) / 2.0, "minoring": ops.minimum(low, high), "majoring": ops.maximum(low, high)}
        return self._joined(ops.sum((x[:-1] - x[1:]) * height[self.summation_method], axis=0))

    def interpolate_pr_auc(self) -> Tensor:
        """Area under the curve of precision over recall, with positives interpolated between thresholds, whatever `curve` says."""
        return self._joined(_interpolated_precision(*self._counts()))

    def _counts(self) -> list[Tensor]:
        return [getattr(self, cell).value for cell in CELLS]

    def _joined(self, areas: Tensor) -> Tensor:
        """The area, or the mean of those of the labels."""
        if not self.multi_label:
            return areas
        return ops.mean(areas) if self.label_weights is None else ops.average(areas, weights=ops.convert_to_tensor(self.label_weights, self.dtype))

    def get_config(self) -> dict[str, Any]:
        given = {} if self._given_thresholds is None else {"thresholds": self._given_thresholds}
        return {**{k: v for k, v in super().get_config().items() if k != "thresholds"}, **given}


def _rates(tp: Tensor, fp: Tensor, tn: Tensor, fn: Tensor) -> tuple[Tensor, Tensor]:
    """False and true positive rate."""
    return ops.divide_no_nan(fp, fp + tn), ops.divide_no_nan(tp, tp + fn)


def _precision(tp: Tensor, fp: Tensor, tn: Tensor, fn: Tensor) -> tuple[Tensor, Tensor]:
    """Recall and precision."""
    return ops.divide_no_nan(tp, tp + fn), ops.divide_no_nan(tp, tp + fp)


def _gains(tp: Tensor, fp: Tensor, tn: Tensor, fn: Tensor) -> tuple[Tensor, Tensor]:
    """Recall gain, at least 0, and precision gain: 0 what always saying yes gives, 1 the best."""
    odds = ops.divide_no_nan(tp + fn, fp + tn)
    recall, precision = (ops.where(tp > 0, 1.0 - odds * ops.divide_no_nan(wrong, tp), ops.zeros_like(tp)) for wrong in (fn, fp))
    return ops.relu(recall), precision


_CURVES = {"ROC": _rates, "PR": _precision, "PRGAIN": _gains}


def _interpolated_precision(tp: Tensor, fp: Tensor, tn: Tensor, fn: Tensor) -> Tensor:
    """Integral of precision over recall, with true positives growing in proportion to all positives from one threshold to the next.

    With tp = slope * p + start between p1 and p2, tp / p integrates to slope * (tp2 - tp1 + start * log(p2 / p1)) over the recall's denominator.
    """
    p = tp + fp
    growth, width = tp[:-1] - tp[1:], p[:-1] - p[1:]
    slope = ops.divide_no_nan(growth, ops.relu(width))
    start = tp[1:] - slope * p[1:]
    both = ops.logical_and(p[:-1] > 0, p[1:] > 0)
    ratio = ops.where(both, ops.divide_no_nan(p[:-1], p[1:]), ops.ones_like(width))
    return ops.sum(ops.divide_no_nan(slope * (growth + start * ops.log(ratio)), tp[1:] + fn[1:]), axis=0)


class _AtLeast(ConfusionMetric):
    """The best of one measure where another is at least some value.

    Args:
        num_thresholds: how many thresholds are tried.
        class_id: count only this class.
    """

    _direction = "up"
    given: str  # the argument that holds the value

    def __init__(self, value: float, num_thresholds: int, class_id: int | None, name: str | None, dtype: Any) -> None:
        where = type(self).__name__
        if not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise ArgumentError(f"{where}({self.given})", need="a number from 0 to 1", got=repr(value))
        if not isinstance(num_thresholds, (int, np.integer)) or num_thresholds < 1:
            raise ArgumentError(f"{where}(num_thresholds)", need="an integer from 1", got=repr(num_thresholds))
        super().__init__(name=name, dtype=dtype)
        setattr(self, self.given, value)
        self.num_thresholds, self.class_id = num_thresholds, class_id
        self.thresholds = [0.5] if num_thresholds == 1 else [i / (num_thresholds - 1) for i in range(num_thresholds)]
        self._make_counts()

    def _measures(self) -> tuple[Tensor, Tensor]:
        """(what is wanted to be at least the value, what is then made best)"""
        raise missing_method(self, "_measures(self)")

    def result(self) -> Tensor:
        limited, wanted = self._measures()
        return ops.maximum(ops.max(ops.where(limited >= getattr(self, self.given), wanted, ops.full_like(wanted, -math.inf))), 0.0)

    def _share(self, part: str, other: str) -> Tensor:
        part, other = getattr(self, part), getattr(self, other)
        return ops.divide_no_nan(part, part + other)


class SensitivityAtSpecificity(_AtLeast):
    """Largest tp / (tp + fn) among the thresholds with tn / (tn + fp) >= specificity.

    >>> float(SensitivityAtSpecificity(0.5)([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8]))
    0.5
    """

    given = "specificity"

    def __init__(
        self, specificity: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__(specificity, num_thresholds, class_id, name, dtype)

    def _measures(self) -> tuple[Tensor, Tensor]:
        return self._share("true_negatives", "false_positives"), self._share("true_positives", "false_negatives")


class SpecificityAtSensitivity(_AtLeast):
    """Largest tn / (tn + fp) among the thresholds with tp / (tp + fn) >= sensitivity."""

    given = "sensitivity"

    def __init__(
        self, sensitivity: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)

    def _measures(self) -> tuple[Tensor, Tensor]:
        return self._share("true_positives", "false_negatives"), self._share("true_negatives", "false_positives")


class PrecisionAtRecall(_AtLeast):
    """Largest tp / (tp + fp) among the thresholds with tp / (tp + fn) >= recall."""

    given = "recall"

    def __init__(self, recall: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(recall, num_thresholds, class_id, name, dtype)

    def _measures(self) -> tuple[Tensor, Tensor]:
        return self._share("true_positives", "false_negatives"), self._share("true_positives", "false_positives")


class RecallAtPrecision(_AtLeast):
    """Largest tp / (tp + fn) among the thresholds with tp / (tp + fp) >= precision."""

    given = "precision"

    def __init__(self, precision: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(precision, num_thresholds, class_id, name, dtype)

    def _measures(self) -> tuple[Tensor, Tensor]:
        return self._share("true_positives", "false_positives"), self._share("true_positives", "false_negatives")
