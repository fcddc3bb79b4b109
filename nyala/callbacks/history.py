# SPDX-License-Identifier: Apache-2.0
"""History: what fit returns."""

from __future__ import annotations

from typing import Any

from nyala.callbacks.callback import Callback, Logs


class History(Callback):
    """Logs of every epoch. fit adds one and returns it.

    Attributes:
        epoch: numbers of the epochs.
        history: {name: [value per epoch]}: "loss" and the metrics are running means over the epoch while the model changes;
            "val_..." values are measured after it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.epoch: list[int] = []
        self.history: dict[str, list[Any]] = {}

    def on_train_begin(self, logs: Logs = None) -> None:
        self.epoch, self.history = [], {}

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

    def get_state(self) -> dict[str, Any]:
        return {"epoch": list(self.epoch), "history": {name: list(values) for name, values in self.history.items()}}

    def set_state(self, state: dict[str, Any]) -> None:
        self.epoch, self.history = state["epoch"], state["history"]

    def plot(self, metrics: Any = None, path: Any = None) -> Any:
        """The curves as a matplotlib Figure; written to a file if a path is given. metrics: names to draw; all by default."""
        from nyala.callbacks.plot_history import draw

        figure = draw(self.epoch, self.history, metrics)
        if path is not None:
            figure.savefig(path, dpi=120)
        return figure

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.4g}" if isinstance(values[-1], float) else name for name, values in self.history.items())
        return f"<History of {len(self.epoch)} epochs{': ' + last if last else ''}>"
