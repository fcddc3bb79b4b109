# SPDX-License-Identifier: Apache-2.0
"""How often predictions are right: of values, bits, classes, and of the best k classes.

Functions return 1 and 0, as floats, per sample; the class of the same name is the mean over all batches. Start at categorical_accuracy.
"""

from __future__ import annotations

from typing import Any

from nyala import ops
from nyala.core import config
from nyala.engines.protocol import Tensor
from nyala.losses.probabilistic import class_ids
from nyala.losses.shapes import paired
from nyala.metrics.reduction import MeanMetricWrapper


def _as_floats(right: Tensor) -> Tensor:
    return ops.cast(right, config.floatx())


def accuracy(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """y_true == y_pred, value by value."""
    return _as_floats(ops.equal(*paired(y_true, y_pred, "accuracy")))


def binary_accuracy(y_true: Tensor, y_pred: Tensor, threshold: float = 0.5) -> Tensor:
    """y_true == (y_pred > threshold), value by value.

    >>> binary_accuracy([0.0, 1.0], [0.4, 0.5]).tolist()
    [1.0, 0.0]
    """
    y_true, y_pred = paired(y_true, y_pred, "binary_accuracy")
    return _as_floats(ops.equal(y_true, ops.cast(y_pred > threshold, ops.dtype(y_true))))


def categorical_accuracy(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """argmax(y_true) == argmax(y_pred) along the last axis.

    >>> categorical_accuracy([[0.0, 1.0], [1.0, 0.0]], [[0.3, 0.7], [0.4, 0.6]]).tolist()
    [1.0, 0.0]
    """
    y_true, y_pred = paired(y_true, y_pred, "categorical_accuracy", broadcast=False)
    return _as_floats(ops.equal(ops.argmax(y_true, axis=-1), ops.argmax(y_pred, axis=-1)))


def sparse_categorical_accuracy(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """y_true == argmax(y_pred) along the last axis; y_true holds class ids and may have a last axis of 1 more.

    >>> sparse_categorical_accuracy([1, 0], [[0.3, 0.7], [0.4, 0.6]]).tolist()
    [1.0, 0.0]
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = class_ids(y_true, y_pred, -1, "sparse_categorical_accuracy")
    return _as_floats(ops.equal(y_true, ops.argmax(y_pred, axis=-1)))


def top_k_categorical_accuracy(y_true: Tensor, y_pred: Tensor, k: int = 5) -> Tensor:
    """Whether argmax(y_true) is among the k largest of y_pred; classes that tie with the k-th count as among them."""
    y_true, y_pred = paired(y_true, y_pred, "top_k_categorical_accuracy", broadcast=False)
    return _among_best(ops.argmax(y_true, axis=-1), y_pred, k)


def sparse_top_k_categorical_accuracy(y_true: Tensor, y_pred: Tensor, k: int = 5, from_sorted_ids: bool = False) -> Tensor:
    """Whether the class y_true is among the k largest of y_pred; classes that tie with the k-th count as among them.

    Args:
        from_sorted_ids: whether y_pred holds class ids, the best first, instead of scores.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    if not from_sorted_ids:
        y_true = class_ids(y_true, y_pred, -1, "sparse_top_k_categorical_accuracy")
        return _among_best(y_true, y_pred, k)
    best = ops.cast(y_pred[..., : min(k, y_pred.shape[-1])], "int32")
    y_true = class_ids(y_true, y_pred, -1, "sparse_top_k_categorical_accuracy")
    return _as_floats(ops.any(ops.equal(ops.expand_dims(y_true, -1), best), axis=-1))


def _among_best(classes: Tensor, scores: Tensor, k: int) -> Tensor:
    """1 where the class is among the k with the largest scores."""
    right = ops.in_top_k(ops.reshape(classes, (-1,)), ops.reshape(scores, (-1, scores.shape[-1])), k)
    return _as_floats(ops.reshape(right, tuple(scores.shape[:-1])))


class Accuracy(MeanMetricWrapper):
    """Mean of accuracy.

    >>> float(Accuracy()([1, 2, 3, 4], [1, 2, 0, 4]))
    0.75
    """

    _direction = "up"

    def __init__(self, name: str | None = "accuracy", dtype: Any = None) -> None:
        super().__init__(accuracy, name, dtype)


class BinaryAccuracy(MeanMetricWrapper):
    """Mean of binary_accuracy.

    Args:
        threshold: above it a prediction means 1.
    """

    _direction = "up"

    def __init__(self, name: str | None = "binary_accuracy", dtype: Any = None, threshold: float = 0.5) -> None:
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)


class CategoricalAccuracy(MeanMetricWrapper):
    """Mean of categorical_accuracy."""

    _direction = "up"

    def __init__(self, name: str | None = "categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(categorical_accuracy, name, dtype)


class SparseCategoricalAccuracy(MeanMetricWrapper):
    """Mean of sparse_categorical_accuracy."""

    _direction = "up"

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(sparse_categorical_accuracy, name, dtype)


class TopKCategoricalAccuracy(MeanMetricWrapper):
    """Mean of top_k_categorical_accuracy."""

    _direction = "up"

    def __init__(self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)


class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """Mean of sparse_top_k_categorical_accuracy.

    Differs: Keras's config leaves from_sorted_ids out; here it is there if it is True.
    """

    _direction = "up"
    OPTIONAL = ("from_sorted_ids",)

    def __init__(self, k: int = 5, name: str | None = "sparse_top_k_categorical_accuracy", dtype: Any = None, from_sorted_ids: bool = False) -> None:
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, k=k, from_sorted_ids=from_sorted_ids)
