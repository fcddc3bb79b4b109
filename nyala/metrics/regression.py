# SPDX-License-Identifier: Apache-2.0
"""Metrics of real numbers: means of the losses of nyala.losses.regression, explained variance, and correlations. Start at RootMeanSquaredError."""

from __future__ import annotations

from typing import Any

from nyala import ops
from nyala.core.errors import ArgumentError, ShapeError
from nyala.core.masks import get_mask
from nyala.engines.protocol import Tensor
from nyala.losses import regression as losses
from nyala.losses.loss import keep_masked_axis
from nyala.losses.shapes import paired, weights_of
from nyala.metrics.metric import Metric
from nyala.metrics.reduction import Mean, MeanMetricWrapper


class MeanSquaredError(MeanMetricWrapper):
    """Mean of mean_squared_error.

    >>> float(MeanSquaredError()([[0.0, 1.0]], [[1.0, 4.0]]))
    5.0
    """

    _direction = "down"

    def __init__(self, name: str | None = "mean_squared_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_squared_error, name, dtype)


class MeanAbsoluteError(MeanMetricWrapper):
    """Mean of mean_absolute_error."""

    _direction = "down"

    def __init__(self, name: str | None = "mean_absolute_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_absolute_error, name, dtype)


class MeanAbsolutePercentageError(MeanMetricWrapper):
    """Mean of mean_absolute_percentage_error."""

    _direction = "down"

    def __init__(self, name: str | None = "mean_absolute_percentage_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_absolute_percentage_error, name, dtype)


class MeanSquaredLogarithmicError(MeanMetricWrapper):
    """Mean of mean_squared_logarithmic_error."""

    _direction = "down"

    def __init__(self, name: str | None = "mean_squared_logarithmic_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_squared_logarithmic_error, name, dtype)


class LogCoshError(MeanMetricWrapper):
    """Mean of log_cosh."""

    _direction = "down"

    def __init__(self, name: str | None = "logcosh", dtype: Any = None) -> None:
        super().__init__(losses.log_cosh, name, dtype)


class RootMeanSquaredError(Mean):
    """sqrt(mean((y_true - y_pred)**2)) over all values of all batches.

    Differs: a mask of y_pred counts here, as in MeanSquaredError; Keras ignores it.

    >>> float(RootMeanSquaredError()([[0.0, 1.0]], [[3.0, 4.0]]))
    3.0
    """

    _direction = "down"

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  # a Mean of errors
        """Add a batch, with one weight per sample or per value."""
        mask = get_mask(y_pred)
        y_true, y_pred = ops.convert_to_tensor(y_true, self.dtype), ops.convert_to_tensor(y_pred, self.dtype)
        y_true, y_pred = paired(keep_masked_axis(y_true, y_pred, mask), y_pred, "RootMeanSquaredError")
        self._add(ops.square(y_true - y_pred), sample_weight, mask)

    def result(self) -> Tensor:
        return ops.sqrt(super().result())


def cosine_similarity(y_true: Tensor, y_pred: Tensor, axis: int = -1) -> Tensor:
    """sum(y_true / |y_true| * y_pred / |y_pred|) along axis: 1 for one direction. The loss of this name is the negative of it."""
    return -losses.cosine_similarity(y_true, y_pred, axis=axis)


class CosineSimilarity(MeanMetricWrapper):
    """Mean of the cosine of the angle between y_true and y_pred along axis: 1 for one direction.

    Differs: Keras's config leaves axis out; here it is there unless it is -1.
    """

    _direction = "up"
    OPTIONAL = ("axis",)

    def __init__(self, name: str | None = "cosine_similarity", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(cosine_similarity, name, dtype, axis=axis)


class R2Score(Metric):
    """1 - sum((y_true - y_pred)**2) / sum((y_true - mean(y_true))**2) over all samples: 1 is perfect, 0 what the mean would do.

    Args:
        class_aggregation: how the outputs (the last axis) are put together: "uniform_average", "variance_weighted_average", or None for
            one score each.
        num_regressors: number of independent variables, for the adjusted score; 0 for the plain one. The adjustment counts values, as Keras
            does: samples times outputs.

    >>> round(float(R2Score()([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]])), 4)
    0.5714
    """

    _direction = "up"

    def __init__(
        self, class_aggregation: str | None = "uniform_average", num_regressors: int = 0, name: str | None = "r2_score", dtype: Any = None
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        choices = (None, "uniform_average", "variance_weighted_average")
        if class_aggregation not in choices:
            raise ArgumentError("R2Score(class_aggregation)", need=f"one of {choices}", got=repr(class_aggregation))
        if not isinstance(num_regressors, int) or num_regressors < 0:
            raise ArgumentError("R2Score(num_regressors)", need="an integer from 0", got=repr(num_regressors))
        self.class_aggregation, self.num_regressors = class_aggregation, num_regressors
        self.num_samples = self.add_variable((), "zeros", name="num_samples")
        self.built = False

    def _build(self, outputs: int) -> None:
        names = ("squared_sum", "sum", "residual", "count")
        self.squared_sum, self.sum, self.total_mse, self.count = (self.add_variable((outputs,), "zeros", name=name) for name in names)
        self.built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch of shape (b, outputs), with one weight per sample or per value."""
        y_true, y_pred = ops.convert_to_tensor(y_true, self.dtype), ops.convert_to_tensor(y_pred, self.dtype)
        y_true, y_pred = paired(y_true, y_pred, "R2Score", broadcast=False)
        if len(y_true.shape) != 2:
            raise ShapeError(
                "R2Score", need="y_true and y_pred of shape (samples, outputs)", got=f"shape {tuple(y_true.shape)}", fix="reshape both to two axes"
            )
        if not self.built:
            self._build(y_true.shape[-1])
        weight = weights_of(y_true, sample_weight)
        self.sum.assign(self.sum + ops.sum(y_true * weight, axis=0))
        self.squared_sum.assign(self.squared_sum + ops.sum(y_true * y_true * weight, axis=0))
        self.total_mse.assign(self.total_mse + ops.sum(ops.square(y_true - y_pred) * weight, axis=0))
        self.count.assign(self.count + ops.sum(weight, axis=0))
        self.num_samples.assign(self.num_samples + float(y_true.shape[0] * y_true.shape[1]))

    def result(self) -> Tensor:
        if not self.built:
            return ops.zeros((), dtype=self.dtype)
        mean = ops.divide_no_nan(self.sum, self.count)
        variance = self.squared_sum - self.sum * mean
        hopeless = ops.logical_and(ops.equal(variance, 0.0), ops.greater(self.total_mse, 0.0))  # a constant target, missed
        raw = ops.where(hopeless, ops.zeros_like(variance), 1.0 - ops.divide_no_nan(self.total_mse, variance))
        if self.class_aggregation == "uniform_average":
            raw = ops.mean(raw)
        elif self.class_aggregation == "variance_weighted_average":
            raw = ops.divide_no_nan(ops.sum(variance * raw), ops.sum(variance))
        if not self.num_regressors:
            return raw
        n = self.num_samples.value
        return 1.0 - ops.divide_no_nan((1.0 - raw) * (n - 1.0), n - float(self.num_regressors) - 1.0)


def pearson_correlation(y_true: Tensor, y_pred: Tensor, axis: int = -1) -> Tensor:
    """covariance(y_true, y_pred) / (std(y_true) * std(y_pred)) along axis, from -1 to 1."""
    t, p = _centred(y_true, y_pred, axis, "pearson_correlation")[:2]
    return ops.divide_no_nan(ops.mean(t * p, axis=axis), ops.sqrt(ops.mean(t * t, axis=axis) * ops.mean(p * p, axis=axis)))


def concordance_correlation(y_true: Tensor, y_pred: Tensor, axis: int = -1) -> Tensor:
    """2 * covariance / (var(y_true) + var(y_pred) + (mean(y_true) - mean(y_pred))**2) along axis: agreement, from -1 to 1.

    Source: Lin 1989, A concordance correlation coefficient to evaluate reproducibility.
    """
    t, p, apart = _centred(y_true, y_pred, axis, "concordance_correlation")
    spread = ops.mean(t * t, axis=axis) + ops.mean(p * p, axis=axis) + ops.square(apart)
    return ops.divide_no_nan(2.0 * ops.mean(t * p, axis=axis), spread)


def _centred(y_true: Tensor, y_pred: Tensor, axis: int, where: str) -> tuple[Tensor, Tensor, Tensor]:
    """Both less their means along axis, and the difference of the means."""
    y_true, y_pred = paired(y_true, y_pred, where, broadcast=False)
    t, p = (ops.mean(y, axis=axis, keepdims=True) for y in (y_true, y_pred))
    return y_true - t, y_pred - p, ops.squeeze(t - p, axis)


class PearsonCorrelation(MeanMetricWrapper):
    """Mean of pearson_correlation."""

    _direction = "up"

    def __init__(self, name: str | None = "pearson_correlation", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(pearson_correlation, name, dtype, axis=axis)


class ConcordanceCorrelation(MeanMetricWrapper):
    """Mean of concordance_correlation."""

    _direction = "up"

    def __init__(self, name: str | None = "concordance_correlation", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(concordance_correlation, name, dtype, axis=axis)
