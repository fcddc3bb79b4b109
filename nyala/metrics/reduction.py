# SPDX-License-Identifier: Apache-2.0
"""Sums and means over all batches; a function of targets and predictions becomes a metric here. Start at Mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from nyala import ops
from nyala.core.errors import ArgumentTypeError, ShapeError
from nyala.core.masks import get_mask
from nyala.engines.protocol import Tensor
from nyala.losses.loss import both_masks, keep_masked_axis, rank_matched
from nyala.losses.shapes import fit_weight
from nyala.metrics.metric import Metric


def _weighted(values: Any, sample_weight: Any, mask: Any, dtype: str) -> tuple[Tensor, Tensor | None]:
    """Values times weights, 0 where the mask is False, and the weights that counted, None for ones."""
    values, weight = ops.convert_to_tensor(values, dtype), None
    if sample_weight is not None:
        values, weight = fit_weight(values, ops.convert_to_tensor(sample_weight, dtype))
    if mask is not None:
        values, mask = fit_weight(values, ops.cast(mask, "bool"), "mask")
        kept = ops.cast(mask, dtype)
        values, weight = ops.where(mask, values, ops.zeros_like(values)), kept if weight is None else weight * kept
    return values if weight is None else values * weight, weight


class Mean(Metric):
    """Weighted mean of values: sum(values * weights) / sum(weights), 0 before the first.

    Of values with more axes than one, each sample counts by its mean.

    >>> mean = Mean()
    >>> mean.update_state([1.0, 3.0])
    >>> mean.update_state([8.0], sample_weight=[2.0])
    >>> float(mean.result())
    5.0
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), "zeros", name="total")
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add values, with one weight per sample or per value."""
        self._add(values, sample_weight, None)

    def _add(self, values: Any, sample_weight: Any, mask: Any) -> None:
        values = ops.convert_to_tensor(values, self.dtype)
        if mask is None and type(sample_weight) in (int, float) and values.ndim == 0:  # the loss of a batch and its size
            self.total.assign(self.total + values * sample_weight)
            self.count.assign(self.count + sample_weight)
            return
        values, weight = _weighted(values, sample_weight, mask, self.dtype)
        shape = tuple(values.shape)
        inner = float(max(math.prod(shape[1:]), 1))
        count = math.prod(shape) / inner if weight is None else ops.sum(ops.broadcast_to(weight, shape)) / inner
        self.total.assign(self.total + ops.sum(values) / inner)
        self.count.assign(self.count + count)

    def result(self) -> Tensor:
        return ops.divide_no_nan(self.total, self.count)


class Sum(Metric):
    """Weighted sum of values.

    >>> total = Sum()
    >>> total.update_state([1.0, 3.0], sample_weight=[1.0, 0.5])
    >>> float(total.result())
    2.5
    """

    def __init__(self, name: str | None = "sum", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), "zeros", name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add values, with one weight per sample or per value."""
        self.total.assign(self.total + ops.sum(_weighted(values, sample_weight, None, self.dtype)[0]))

    def result(self) -> Tensor:
        return self.total.value


class MeanMetricWrapper(Mean):
    """The mean of a function of targets and predictions.

    Args:
        fn: (y_true, y_pred, **kwargs) -> one value per sample.
        **kwargs: passed on to fn.
    The mask of y_pred, where a layer has set one, says which values count.

    >>> metric = MeanMetricWrapper(lambda y_true, y_pred: ops.max(ops.abs(y_true - y_pred), axis=-1), name="worst")
    >>> float(metric([[0.0, 1.0]], [[0.5, 1.0]]))
    0.5
    """

    def __init__(self, fn: Callable, name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        if not callable(fn):
            raise ArgumentTypeError("MeanMetricWrapper(fn)", need="a function (y_true, y_pred) -> values", got=repr(fn))
        super().__init__(name=name, dtype=dtype)
        self._fn = fn
        self._fn_kwargs = kwargs
        vars(self).update(kwargs)  # readable as metric.threshold, metric.k, ...

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  # a Mean of a function
        """Add a batch, with one weight per sample or per value of the function."""
        mask = get_mask(y_pred)
        y_true, y_pred = ops.convert_to_tensor(y_true, self.dtype), ops.convert_to_tensor(y_pred, self.dtype)
        y_true = keep_masked_axis(y_true, y_pred, mask)
        values = self._fn(*rank_matched(y_true, y_pred), **self._fn_kwargs)
        if mask is not None or sample_weight is not None:  # without either, ignored values count as 0, as in Keras
            mask = both_masks(mask, get_mask(values))
        self._add(values, sample_weight, mask)

    @property
    def fn(self) -> Callable:
        """The function whose mean this is."""
        return self._fn


class MeanTensor(Metric):
    """Weighted mean of tensors of one shape, element by element.

    Args:
        shape: of the tensors; that of the first otherwise.

    >>> mean = MeanTensor()
    >>> mean.update_state([0.0, 1.0])
    >>> mean.update_state([4.0, 2.0], sample_weight=3.0)
    >>> mean.result().tolist()
    [3.0, 1.75]
    """

    def __init__(self, name: str | None = "mean_tensor", dtype: Any = None, shape: Sequence[int] | None = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.shape = None if shape is None else tuple(shape)
        if self.shape is not None:
            self._build(self.shape)

    def _build(self, shape: tuple[int, ...]) -> None:
        self.total = self.add_variable(shape, "zeros", name="total")
        self.count = self.add_variable(shape, "zeros", name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add a tensor, with one weight per entry of its first axis or per element."""
        values, weight = _weighted(values, sample_weight, None, self.dtype)
        if self.shape is None:
            self.shape = tuple(values.shape)
            self._build(self.shape)
        if tuple(values.shape) != self.shape:
            raise ShapeError(
                f"MeanTensor {self.name!r}",
                need=f"tensors of shape {self.shape}",
                got=f"shape {tuple(values.shape)}",
                fix="make a metric for each shape",
            )
        self.total.assign(self.total + values)
        self.count.assign(self.count + (1.0 if weight is None else ops.broadcast_to(weight, self.shape)))

    def result(self) -> Tensor:
        return ops.zeros((), dtype=self.dtype) if self.shape is None else ops.divide_no_nan(self.total, self.count)
