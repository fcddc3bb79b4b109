# SPDX-License-Identifier: Apache-2.0
"""PlotHistory: curves of the loss and the metrics, redrawn after each epoch; `draw` is also History.plot. Needs the extra "plot"."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from nyala.callbacks.callback import Callback, Logs
from nyala.core.errors import LookupFailed
from nyala.utils.extras import need

ACROSS = 3  # charts in a row
WIDTH, HEIGHT = 4.2, 3.2  # of a chart, inches


def draw(epochs: Sequence[int], history: Mapping[str, Sequence[float]], metrics: Sequence[str] | None = None) -> Any:
    """A matplotlib Figure with a chart for each value, training and validation in one.

    Args:
        epochs: numbers of the epochs, from 0.
        history: {name: [value per epoch]}; a value measured in some epochs only is drawn over the last of as many equal parts.
        metrics: names to draw, without val_; all by default.
    """
    figures = need("matplotlib.figure", "plot", "History.plot")
    known = list(dict.fromkeys(name.removeprefix("val_") for name in history))
    unknown = [name for name in metrics or () if name not in known]
    if unknown:
        raise LookupFailed("History.plot(metrics)", need=f"names among {known}", got=f"{unknown}")
    names = list(metrics or known)
    rows, across = -(-len(names) // ACROSS), max(min(len(names), ACROSS), 1)
    figure = figures.Figure(figsize=(WIDTH * across, HEIGHT * max(rows, 1)), layout="constrained")
    for number, name in enumerate(names):
        axis = figure.add_subplot(rows, across, number + 1)
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            values = history.get(key, ())
            if values and all(isinstance(value, (int, float)) for value in values):
                step = max(len(epochs) // len(values), 1)
                at = [epoch + 1 for epoch in epochs[step - 1 :: step]][: len(values)]
                axis.plot(at, values, marker="." if len(values) < 25 else "", label=label)
        axis.set(title=name, xlabel="epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        if axis.lines:
            axis.legend()
    return figure


def png_of(figure: Any) -> bytes:
    """A figure as the bytes of a PNG."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    return file.getvalue()


class PlotHistory(Callback):
    """Draw the loss and the metrics after each epoch: in a notebook in place, elsewhere to a file.

    Args:
        path: of a PNG that is written anew each time; needed outside of notebooks.
        metrics: names to draw, without val_; all by default.
        every: epochs between drawings; the last one is always drawn.
    """

    def __init__(self, path: Any = None, metrics: Sequence[str] | None = None, every: int = 1) -> None:
        super().__init__()
        need("matplotlib", "plot", "PlotHistory")
        self.path, self.metrics, self.every = None if path is None else os.fspath(path), metrics, max(int(every), 1)
        self.epoch: list[int] = []
        self.history: dict[str, list[Any]] = {}
        self._display: Any = None
        self._drawn = True

    def get_state(self) -> dict[str, Any]:
        return {"epoch": list(self.epoch), "history": {name: list(values) for name, values in self.history.items()}}

    def set_state(self, state: dict[str, Any]) -> None:
        self.epoch, self.history = state["epoch"], state["history"]

    def on_train_begin(self, logs: Logs = None) -> None:
        self.epoch, self.history, self._display, self._drawn = [], {}, None, True

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        self._drawn = len(self.epoch) % self.every == 0
        if self._drawn:
            self._draw()

    def on_train_end(self, logs: Logs = None) -> None:
        if not self._drawn:
            self._draw()

    def _draw(self) -> None:
        picture = png_of(draw(self.epoch, self.history, self.metrics))
        if self.path is not None:
            with open(self.path, "wb") as file:
                file.write(picture)
        elif "ipykernel" in sys.modules:
            shown = need("IPython.display", "plot", "PlotHistory in a notebook")
            if self._display is None:
                self._display = shown.display(shown.Image(picture), display_id=True)
            else:
                self._display.update(shown.Image(picture))
