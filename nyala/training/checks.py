# SPDX-License-Identifier: Apache-2.0
"""Targets against outputs and losses: the mistakes that everyone makes once, each with the way out."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from nyala.core.errors import ArgumentError, ShapeError
from nyala.core.symbolic import plain_shape

# Losses that compare a target with an output element by element, or row by row.
_LIKE_WITH_LIKE = {
    "mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_logarithmic_error", "huber", "log_cosh", "poisson",
    "kl_divergence", "cosine_similarity", "hinge", "squared_hinge", "categorical_hinge", "binary_focal_crossentropy",
    "categorical_focal_crossentropy",
}  # fmt: skip


def check_given(name: str, loss: Any) -> None:
    """Raise if an output has no targets, and a loss of this package that needs them; functions of users may do without."""
    kind = getattr(getattr(loss, "fn", None), "__module__", "") or type(loss).__module__
    if loss is not None and kind.startswith("nyala."):
        raise ArgumentError(
            "the targets y",
            need=f"values for the output {name!r}, which has the loss {loss.name!r}",
            got="None",
            fix="pass y (in validation_data, too: a pair (x, y)), or compile without a loss for this output",
        )


def check_target(name: str, loss: Any, target: tuple, prediction: tuple) -> None:
    """Raise ShapeError if targets of this shape cannot belong to outputs of this shape under this loss.

    Args:
        name: of the output.
        loss: a Loss object.
        target, prediction: shapes, the batch axis included.
    """
    kind = getattr(getattr(loss, "fn", None), "__name__", "") or getattr(loss, "name", "")
    where, units = f"loss {kind!r} of the output {name!r}", prediction[-1] if prediction else None
    need, got = f"targets of shape {_shown(prediction)}", f"shape {_shown(target)}"
    if kind == "categorical_crossentropy":
        if target == prediction:
            return
        if target[:-1] == prediction[:-1] and target[-1] != 1:
            raise ShapeError(
                where, need=need, got=got, why=f"y has {target[-1]} classes, the output has {units} units", fix="make both numbers equal"
            )
        if len(target) == len(prediction) - 1 or target[-1:] == (1,):
            raise ShapeError(
                where,
                need=f"{need}, one-hot",
                got=got,
                why="these look like class ids",
                fix="use loss='sparse_categorical_crossentropy', or nyala.utils.to_categorical(y)",
            )
        raise ShapeError(where, need=need, got=got)
    if kind == "sparse_categorical_crossentropy":
        if target in (prediction[:-1], (*prediction[:-1], 1)):
            return
        if target == prediction:
            raise ShapeError(
                where,
                need=f"class ids of shape {_shown(prediction[:-1])}",
                got=got,
                why="these look like one-hot rows",
                fix="use loss='categorical_crossentropy', or y.argmax(-1)",
            )
        raise ShapeError(where, need=f"class ids of shape {_shown(prediction[:-1])}", got=got, fix="one id for each row of the output")
    if kind == "binary_crossentropy" and target != prediction and not _equal_but_for_ones(target, prediction):
        fix = (
            "use Dense(1), or loss='sparse_categorical_crossentropy' for class ids"
            if len(target) < len(prediction) or target[-1:] == (1,)
            else "make both shapes equal"
        )
        raise ShapeError(where, need=need, got=got, why=f"the output has {units} units", fix=fix)
    if kind in _LIKE_WITH_LIKE and target != prediction and not _equal_but_for_ones(target, prediction):
        raise ShapeError(
            where,
            need=need,
            got=got,
            why="values would be compared with the wrong targets by broadcasting",
            fix="reshape y, or change the number of units of the output layer",
        )


def warn_of_labels(name: str, loss: Any, target: np.ndarray, units: int, weight: Any) -> None:
    """Warn of labels that do not belong to an output with so many units; those that weigh nothing, or are ignored, may be anything."""
    kind = getattr(getattr(loss, "fn", None), "__name__", "")
    if kind not in ("sparse_categorical_crossentropy", "binary_crossentropy", "binary_focal_crossentropy"):
        return
    largest = units - 1 if kind.startswith("sparse") else 1
    low, high = target.min(), target.max()
    if low >= 0 and high <= largest:
        return
    strange = (target < 0) | (target > largest)
    strange &= target != getattr(loss, "ignore_class", None)
    if isinstance(weight, np.ndarray) and weight.shape == target.shape[: weight.ndim]:
        strange &= weight.reshape(*weight.shape, *[1] * (target.ndim - weight.ndim)) != 0
    if not strange.any():
        return
    if kind.startswith("sparse"):
        need = f"its {units} units are for labels from 0 to {largest}, and others count as no class at all, with a loss of 0"
        from_one = (low, high) == (1, units)
        fix = "say ignore_class= in the loss" if low < 0 else "count labels from 0: y - 1" if from_one else f"make {high + 1:g} units"
    else:
        need = f"{kind} is for targets from 0 to 1"
        fix = "pass (y + 1) / 2" if (low, high) == (-1, 1) else "for class ids use sparse_categorical_crossentropy and one unit for each class"
    warnings.warn(f"the targets of the output {name!r} go from {low:g} to {high:g}: {need}; {fix}", stacklevel=4)


def _equal_but_for_ones(target: tuple, prediction: tuple) -> bool:
    """Whether the shapes differ by a last axis of 1 only."""
    return target == (*prediction, 1) or prediction == (*target, 1)


def _shown(shape: tuple) -> tuple:
    return plain_shape(shape)
