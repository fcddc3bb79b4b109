# SPDX-License-Identifier: Apache-2.0
"""F-scores: precision and recall of each class in one number. Start at FBetaScore."""

from __future__ import annotations

from typing import Any

import numpy as np

from nyala import ops
from nyala.core.errors import ArgumentError, ShapeError
from nyala.engines.protocol import Tensor
from nyala.losses.shapes import paired, weights_of
from nyala.metrics.metric import Metric


class FBetaScore(Metric):
    """(1 + beta**2) * precision * recall / (beta**2 * precision + recall) of each class

    Args:
        average: None for one score per class; "micro": of all classes counted together; "macro": the mean of the scores;
            "weighted": their mean, weighted by how often each class occurs.
        beta: above 0; how much more recall counts than precision.
        threshold: a prediction above means yes; None: the largest of each row does, ties included.

    >>> score = FBetaScore(beta=2.0, threshold=0.5)
    >>> score([[1, 1], [1, 0], [1, 1]], [[0.2, 0.6], [0.2, 0.6], [0.6, 0.8]]).tolist()
    [0.3846154, 0.90909094]
    """

    _direction = "up"

    def __init__(
        self, average: str | None = None, beta: float = 1.0, threshold: float | None = None, name: str | None = "fbeta_score", dtype: Any = None
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        where, averages = type(self).__name__, (None, "micro", "macro", "weighted")
        if average not in averages:
            raise ArgumentError(f"{where}(average)", need=f"one of {averages}", got=repr(average))
        if not isinstance(beta, (int, float)) or not beta > 0:
            raise ArgumentError(f"{where}(beta)", need="a number above 0", got=repr(beta))
        if threshold is not None and not isinstance(threshold, (int, float, np.floating)):
            raise ArgumentError(f"{where}(threshold)", need="None or a number", got=repr(threshold))
        self.average, self.beta, self.threshold = average, float(beta), threshold
        self.built = False

    def _build(self, classes: int) -> None:
        names = ("true_positives", "false_positives", "false_negatives", "intermediate_weights")
        shape = () if self.average == "micro" else (classes,)
        self.true_positives, self.false_positives, self.false_negatives, self.intermediate_weights = (
            self.add_variable(shape, "zeros", name=n) for n in names
        )
        self._classes, self.built = classes, True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch of shape (samples, classes), with one weight per sample."""
        y_true, y_pred = paired(
            ops.convert_to_tensor(y_true, self.dtype), ops.convert_to_tensor(y_pred, self.dtype), type(self).__name__, broadcast=False
        )
        if len(y_pred.shape) != 2 or (self.built and y_pred.shape[-1] != self._classes):
            classes = self._classes if self.built else "classes"
            raise ShapeError(
                f"{type(self).__name__} {self.name!r}",
                need=f"inputs of shape (samples, {classes})",
                got=f"shape {tuple(y_pred.shape)}",
                fix="reshape both to two axes",
            )
        if not self.built:
            self._build(y_pred.shape[-1])
        if self.threshold is None:
            chosen = ops.logical_and(y_pred >= ops.max(y_pred, axis=-1, keepdims=True), ops.abs(y_pred) > 1e-9)
        else:
            chosen = y_pred > float(self.threshold)
        chosen = ops.cast(chosen, self.dtype)
        weight = weights_of(y_true, sample_weight)
        axis = None if self.average == "micro" else 0

        def add(variable: Any, amount: Tensor) -> None:
            variable.assign(variable + ops.sum(amount * weight, axis=axis))

        add(self.true_positives, chosen * y_true)
        add(self.false_positives, chosen * (1.0 - y_true))
        add(self.false_negatives, (1.0 - chosen) * y_true)
        add(self.intermediate_weights, y_true)

    def result(self) -> Tensor:
        if not self.built:
            return ops.zeros((), dtype=self.dtype)
        more = self.beta**2
        weighed = (1.0 + more) * self.true_positives
        score = ops.divide_no_nan(weighed, weighed + more * self.false_negatives + self.false_positives)
        if self.average == "weighted":
            return ops.sum(score * ops.divide_no_nan(self.intermediate_weights, ops.sum(self.intermediate_weights)))
        return ops.mean(score) if self.average == "macro" else score


class F1Score(FBetaScore):
    """2 * precision * recall / (precision + recall) of each class: FBetaScore with beta 1.

    >>> F1Score(threshold=0.5)([[1, 1], [1, 0], [1, 1]], [[0.2, 0.6], [0.2, 0.6], [0.6, 0.8]]).tolist()
    [0.5, 0.8]
    """

    def __init__(self, average: str | None = None, threshold: float | None = None, name: str | None = "f1_score", dtype: Any = None) -> None:
        super().__init__(average=average, beta=1.0, threshold=threshold, name=name, dtype=dtype)
