# SPDX-License-Identifier: Apache-2.0
"""Watching one value of the logs: which direction is better, and whether it improved."""

from __future__ import annotations

import math
import warnings
from typing import Any

from nyala.core.errors import ArgumentError

_LARGER_IS_BETTER = (
    "acc",
    "auc",
    "precision",
    "recall",
    "f1",
    "fbeta",
    "iou",
    "r2",
    "true_positives",
    "true_negatives",
    "cosine_similarity",
    "specificity",
    "sensitivity",
)


class Monitor:
    """A value of the logs and its best so far.

    Args:
        name: "val_loss", "accuracy", ...
        mode: "min", "max" or "auto": by the name.
        min_delta: changes smaller than this do not count.
        where: the callback, for messages.
        best: to begin with.
    """

    def __init__(self, name: str, mode: str, min_delta: float, where: str, best: float | None = None) -> None:
        if mode not in ("auto", "min", "max"):
            raise ArgumentError(f"{where}(mode)", need="'auto', 'min' or 'max'", got=repr(mode))
        self.name, self.where, self.min_delta = name, where, abs(min_delta)
        self.larger = mode == "max" or (mode == "auto" and any(part in name.lower() for part in _LARGER_IS_BETTER))
        self.best: float = best if best is not None else -math.inf if self.larger else math.inf

    def value(self, logs: dict[str, Any] | None) -> float | None:
        """The value now; None, with a warning that lists what there is, if the logs lack it."""
        logs = logs or {}
        for name in (self.name, *_other_names(self.name)):
            if name in logs:
                return float(logs[name])
        warnings.warn(f"{self.where} watches {self.name!r}, which is not among the logs {sorted(logs)}: it does nothing", stacklevel=4)
        return None

    def better(self, value: float, than: float | None = None) -> bool:
        """Whether value is better than the best so far, or than another value, by more than min_delta."""
        other = self.best if than is None else than
        return value - self.min_delta > other if self.larger else value + self.min_delta < other


def _other_names(name: str) -> tuple[str, ...]:
    """The other spelling of accuracy."""
    prefix, base = ("val_", name[4:]) if name.startswith("val_") else ("", name)
    return {"acc": (f"{prefix}accuracy",), "accuracy": (f"{prefix}acc",)}.get(base, ())
