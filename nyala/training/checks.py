# SPDX-License-Identifier: Apache-2.0
"""Targets against outputs and losses: the mistakes that everyone makes once, each with the way out."""

from __future__ import annotations

from typing import Any

from nyala.core.errors import ShapeError
from nyala.core.symbolic import plain_shape

# Losses that compare a target with an output element by element, or row by row.
_LIKE_WITH_LIKE = {
    "mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_logarithmic_error", "huber", "log_cosh", "poisson",
    "kl_divergence", "cosine_similarity", "hinge", "squared_hinge", "categorical_hinge", "binary_focal_crossentropy",
    "categorical_focal_crossentropy",
}  # fmt: skip


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


def _equal_but_for_ones(target: tuple, prediction: tuple) -> bool:
    """Whether the shapes differ by a last axis of 1 only."""
    return target == (*prediction, 1) or prediction == (*target, 1)


def _shown(shape: tuple) -> tuple:
    return plain_shape(shape)
