# SPDX-License-Identifier: Apache-2.0
"""Progbar: a progress bar for loops of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nyala.callbacks.progbar_logger import ProgbarLogger


class Progbar:
    """Progress of a loop: a bar on terminals and in notebooks, one line at the end elsewhere.

    Args:
        target: number of steps, None if unknown.
        verbose: 0 shows nothing.
        stateful_metrics: names of values that are shown as they are; all others as means over steps.
        stateless_metrics: names of values that are means all the same.
        unit_name, width, interval: accepted for Keras's sake.

    >>> bar = Progbar(2, verbose=0)
    >>> bar.update(1, [("loss", 0.5)])
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Sequence[str] | None = None,
        stateless_metrics: Sequence[str] | None = None,
        unit_name: str = "step",
    ) -> None:
        self.target, self.verbose, self.unit_name = target, verbose, unit_name
        self.stateful = set(stateful_metrics or ()) - set(stateless_metrics or ())
        self._sums: dict[str, list[float]] = {}
        self._seen = 0
        self._logger = ProgbarLogger()
        self._logger.set_params({"verbose": verbose, "steps": target, "epochs": 1})
        self._open = False

    def update(self, current: int, values: Sequence[tuple[str, Any]] | None = None, finalize: bool | None = None) -> None:
        """Say that `current` steps are done, with values to be averaged over steps."""
        for name, value in values or ():
            total = self._sums.setdefault(name, [0.0, 0.0])
            steps = max(current - self._seen, 1)
            self._sums[name] = [float(value), 1.0] if name in self.stateful else [total[0] + float(value) * steps, total[1] + steps]
        if not self._open:
            self._logger.on_predict_begin()
            self._open = True
        self._seen = current
        logs = {name: total / count for name, (total, count) in self._sums.items()}
        self._logger.advance("predict", current, lambda: logs)
        if finalize or (finalize is None and self.target is not None and current >= self.target):
            self._logger._finish("Done", logs)

    def add(self, n: int, values: Sequence[tuple[str, Any]] | None = None) -> None:
        """Say that n more steps are done."""
        self.update(self._seen + n, values)
