# SPDX-License-Identifier: Apache-2.0
"""Watching one value of the logs: which direction is better, and whether it improved."""

from __future__ import annotations

import math
import warnings
from typing import Any

from nyala.core.errors import ArgumentError

_LARGER_IS_BETTER = (  # parts of names
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
        mode: "min", "max" or "auto": as the metric of that name says, else by the name.
        min_delta: changes smaller than this do not count.
        where: the callback, for messages.
        best: to begin with.
        otherwise: what the callback does where the logs lack the value, for the warning.
    """

    def __init__(self, name: str, mode: str, min_delta: float, where: str, best: float | None = None, otherwise: str = "it does nothing") -> None:
        if mode not in ("auto", "min", "max"):
            raise ArgumentError(f"{where}(mode)", need="'auto', 'min' or 'max'", got=repr(mode))
        self.name, self.where, self.min_delta, self.otherwise = name, where, abs(min_delta), otherwise
        self.larger = mode == "max" or (mode == "auto" and _is_larger_better(name))
        self._asks = mode == "auto"
        self._best = best

    @property
    def best(self) -> float:
        """The best value so far; the worst there is before the first one."""
        return self._best if self._best is not None else -math.inf if self.larger else math.inf

    @best.setter
    def best(self, value: float) -> None:
        self._best = value if math.isfinite(value) else None

    def value(self, logs: dict[str, Any] | None, model: Any = None) -> float | None:
        """The value now; None, with a warning that lists what there is, if the logs lack it. model: whose metrics know which direction is better."""
        if self._asks and model is not None:
            self._asks = False
            self.larger = _direction(self.name.removeprefix("val_"), model, self.larger)
        logs = logs or {}
        for name in (self.name, *_other_names(self.name)):
            if name in logs:
                return float(logs[name])
        warnings.warn(f"{self.where} watches {self.name!r}, which is not among the logs {sorted(logs)}: {self.otherwise}", stacklevel=4)
        return None

    def better(self, value: float, than: float | None = None) -> bool:
        """Whether value is better than the best so far, or than another value, by more than min_delta."""
        other = self.best if than is None else than
        return value - self.min_delta > other if self.larger else value + self.min_delta < other


def _is_larger_better(name: str) -> bool:
    name = name.lower()
    return not name.endswith("loss") and any(part in name for part in _LARGER_IS_BETTER)


def _direction(name: str, model: Any, guess: bool) -> bool:
    """Whether larger is better for the metric of this name in the logs of a model; the guess where it does not say."""
    said = next((metric._direction for metric in getattr(model, "metrics", ()) if model._log_name(metric) == name), None)
    return guess if said is None else said == "up"


def _other_names(name: str) -> tuple[str, ...]:
    """The other spelling of accuracy."""
    prefix, base = ("val_", name[4:]) if name.startswith("val_") else ("", name)
    return {"acc": (f"{prefix}accuracy",), "accuracy": (f"{prefix}acc",)}.get(base, ())
