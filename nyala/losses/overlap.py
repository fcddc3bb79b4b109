# SPDX-License-Identifier: Apache-2.0
"""Losses of overlapping regions, for segmentation. Start at tversky, of which dice is the even-handed case."""

from __future__ import annotations

from typing import Any

from nyala import ops
from nyala.core import config
from nyala.engines.protocol import Tensor
from nyala.losses.loss import LossFunctionWrapper
from nyala.losses.shapes import paired


def dice(y_true: Tensor, y_pred: Tensor, axis: Any = None) -> Tensor:
    """1 - 2 * sum(y_true * y_pred) / (sum(y_true) + sum(y_pred)) along axis, or over everything

    Args:
        axis: what to sum over, (1, 2, 3) for one value per image.

    >>> round(float(dice([[1.0, 1.0]], [[1.0, 0.0]])), 5)
    0.33333
    """
    y_true, y_pred = paired(y_true, y_pred, "dice")
    total = ops.sum(y_true, axis=axis) + ops.sum(y_pred, axis=axis)
    return 1.0 - 2.0 * ops.sum(y_true * y_pred, axis=axis) / (total + config.epsilon())


def tversky(y_true: Tensor, y_pred: Tensor, alpha: float = 0.5, beta: float = 0.5, axis: Any = None) -> Tensor:
    """1 - both / (both + alpha * only true + beta * only predicted) along axis, or over everything

    Args:
        alpha: weight of what is true but not predicted.
        beta: weight of what is predicted but not true.
    Source: Salehi, Erdogmus, Gholipour 2017, Tversky loss function for image segmentation using 3D fully convolutional deep networks.
    """
    y_true, y_pred = paired(y_true, y_pred, "tversky")
    both = ops.sum(y_true * y_pred, axis=axis)
    predicted, true = ops.sum((1.0 - y_true) * y_pred, axis=axis), ops.sum(y_true * (1.0 - y_pred), axis=axis)
    return 1.0 - both / (both + alpha * true + beta * predicted + config.epsilon())


class Dice(LossFunctionWrapper):
    """dice, reduced over the batch."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = "dice", axis: Any = None, dtype: Any = None) -> None:
        super().__init__(dice, reduction, name, dtype, axis=axis)


class Tversky(LossFunctionWrapper):
    """tversky, reduced over the batch."""

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "tversky",
        axis: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(tversky, reduction, name, dtype, alpha=alpha, beta=beta, axis=axis)
