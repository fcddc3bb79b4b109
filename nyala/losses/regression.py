# SPDX-License-Identifier: Apache-2.0
"""Losses of real numbers: squared, absolute and relative errors, their robust mixtures, and the angle between vectors.

Each function reduces the last axis; the class of the same name reduces the batch, too. Start at mean_squared_error.
"""

from __future__ import annotations

import math
from typing import Any

from nyala import ops
from nyala.core import config
from nyala.core.errors import ArgumentError
from nyala.engines.protocol import Tensor
from nyala.losses.loss import LossFunctionWrapper
from nyala.losses.shapes import paired


def mean_squared_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """mean((y_true - y_pred)**2, axis=-1)

    >>> mean_squared_error([[0.0, 1.0]], [[1.0, 4.0]]).tolist()
    [5.0]
    """
    y_true, y_pred = paired(y_true, y_pred, "mean_squared_error")
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


def mean_absolute_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """mean(|y_true - y_pred|, axis=-1)"""
    y_true, y_pred = paired(y_true, y_pred, "mean_absolute_error")
    return ops.mean(ops.abs(y_true - y_pred), axis=-1)


def mean_absolute_percentage_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """100 * mean(|y_true - y_pred| / max(|y_true|, epsilon), axis=-1), in percent."""
    y_true, y_pred = paired(y_true, y_pred, "mean_absolute_percentage_error")
    return 100.0 * ops.mean(ops.abs((y_true - y_pred) / ops.maximum(ops.abs(y_true), config.epsilon())), axis=-1)


def mean_squared_logarithmic_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """mean((log(1 + y_true) - log(1 + y_pred))**2, axis=-1), numbers below epsilon taken as epsilon."""
    y_true, y_pred = paired(y_true, y_pred, "mean_squared_logarithmic_error")
    target, prediction = (ops.log(ops.maximum(y, config.epsilon()) + 1.0) for y in (y_true, y_pred))
    return ops.mean(ops.square(target - prediction), axis=-1)


def huber(y_true: Tensor, y_pred: Tensor, delta: float = 1.0) -> Tensor:
    """mean(e**2 / 2 where |e| <= delta, else delta * |e| - delta**2 / 2, axis=-1) with e = y_true - y_pred

    Source: Huber 1964, Robust Estimation of a Location Parameter.
    """
    y_true, y_pred = paired(y_true, y_pred, "huber")
    error = ops.abs(y_true - y_pred)
    return ops.mean(ops.where(error <= delta, 0.5 * ops.square(error), delta * error - 0.5 * delta * delta), axis=-1)


def log_cosh(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """mean(log(cosh(y_pred - y_true)), axis=-1): like e**2 / 2 near 0 and |e| - log(2) far away, without overflow."""
    y_true, y_pred = paired(y_true, y_pred, "log_cosh")
    error = y_pred - y_true
    return ops.mean(error + ops.softplus(-2.0 * error) - math.log(2.0), axis=-1)


def cosine_similarity(y_true: Tensor, y_pred: Tensor, axis: int = -1) -> Tensor:
    """-sum(y_true / |y_true| * y_pred / |y_pred|) along axis: -1 for one direction, 0 for a right angle or a zero vector, 1 for opposites."""
    y_true, y_pred = paired(y_true, y_pred, "cosine_similarity")
    return -ops.sum(ops.normalize(y_true, axis=axis) * ops.normalize(y_pred, axis=axis), axis=axis)


class MeanSquaredError(LossFunctionWrapper):
    """mean_squared_error, reduced over the batch.

    >>> float(MeanSquaredError()([[0.0, 1.0], [0.0, 0.0]], [[1.0, 4.0], [1.0, 1.0]]))
    3.0
    """

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = "mean_squared_error", dtype: Any = None) -> None:
        super().__init__(mean_squared_error, reduction, name, dtype)


class MeanAbsoluteError(LossFunctionWrapper):
    """mean_absolute_error, reduced over the batch."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = "mean_absolute_error", dtype: Any = None) -> None:
        super().__init__(mean_absolute_error, reduction, name, dtype)


class MeanAbsolutePercentageError(LossFunctionWrapper):
    """mean_absolute_percentage_error, reduced over the batch."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = "mean_absolute_percentage_error", dtype: Any = None) -> None:
        super().__init__(mean_absolute_percentage_error, reduction, name, dtype)


class MeanSquaredLogarithmicError(LossFunctionWrapper):
    """mean_squared_logarithmic_error, reduced over the batch."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = "mean_squared_logarithmic_error", dtype: Any = None) -> None:
        super().__init__(mean_squared_logarithmic_error, reduction, name, dtype)


class Huber(LossFunctionWrapper):
    """huber, reduced over the batch.

    Args:
        delta: above 0; where the parabola becomes a line.
    Differs: Keras's config leaves delta out; here it is there unless it is 1.
    """

    OPTIONAL = ("delta",)

    def __init__(self, delta: float = 1.0, reduction: str | None = "sum_over_batch_size", name: str | None = "huber_loss", dtype: Any = None) -> None:
        if not isinstance(delta, (int, float)) or not delta > 0:
            raise ArgumentError("Huber(delta)", need="a number above 0", got=repr(delta))
        super().__init__(huber, reduction, name, dtype, delta=delta)


class LogCosh(LossFunctionWrapper):
    """log_cosh, reduced over the batch."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = "log_cosh", dtype: Any = None) -> None:
        super().__init__(log_cosh, reduction, name, dtype)


class CosineSimilarity(LossFunctionWrapper):
    """cosine_similarity, reduced over the batch.

    Differs: Keras's config leaves axis out; here it is there unless it is -1.
    """

    OPTIONAL = ("axis",)

    def __init__(
        self, axis: int = -1, reduction: str | None = "sum_over_batch_size", name: str | None = "cosine_similarity", dtype: Any = None
    ) -> None:
        super().__init__(cosine_similarity, reduction, name, dtype, axis=axis)
