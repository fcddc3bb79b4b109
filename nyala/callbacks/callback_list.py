# SPDX-License-Identifier: Apache-2.0
"""CallbackList: calls many callbacks as one, and says whether any of them wants every batch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from nyala.callbacks.callback import BATCH_HOOKS, Callback, Logs, wants_batches
from nyala.core.errors import ArgumentTypeError


class CallbackList(Callback):
    """Callbacks, called in order.

    Args:
        callbacks: a callback, a list of them, or None.
        add_history: add a History, which becomes model.history.
        add_progbar: add a ProgbarLogger.
        model: given to each.
        params: verbose, epochs, steps, mode: given to each as `params`.
    """

    def __init__(self, callbacks: Any = None, add_history: bool = False, add_progbar: bool = False, model: Any = None, **params: Any) -> None:
        from nyala.callbacks.history import History
        from nyala.callbacks.progbar_logger import ProgbarLogger
        from nyala.callbacks.timer import Timer

        super().__init__()
        given: list[Any] = [callbacks] if isinstance(callbacks, Callback) else list(callbacks or ())
        for callback in given:
            if not isinstance(callback, Callback):
                what = f"the class {callback.__name__}" if isinstance(callback, type) else type(callback).__name__
                raise ArgumentTypeError(
                    "callbacks",
                    need="objects of nyala.callbacks.Callback",
                    got=what,
                    fix="make an object, or subclass Callback" if isinstance(callback, type) else "",
                )
        self.callbacks: list[Callback] = given
        if add_progbar and not any(isinstance(c, ProgbarLogger) for c in given):
            self.callbacks.insert(0, ProgbarLogger())
        if add_history and not any(isinstance(c, History) for c in given):
            self.callbacks.append(History())
        self._bars = [c for c in self.callbacks if isinstance(c, ProgbarLogger)]
        for callback in self.callbacks:
            if isinstance(callback, Timer):
                callback.watch(self.callbacks)
        self.set_params(params)
        if model is not None:
            self.set_model(model)
            history = next((c for c in self.callbacks if isinstance(c, History)), None)
            if history is not None:
                model.history = history

    def append(self, callback: Callback) -> None:
        """Add a callback."""
        self.callbacks.append(callback)

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params
        for callback in self.callbacks:
            callback.set_params(params)

    def set_model(self, model: Any) -> None:
        self.model = model
        for callback in self.callbacks:
            callback.set_model(model)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """The block is a fit, evaluate or predict, whose callbacks hear of the error that ends it."""
        try:
            yield
        except BaseException as error:
            self.on_exception(error)
            raise

    def on_exception(self, error: BaseException) -> None:
        for callback in self.callbacks:
            try:
                callback.on_exception(error)
            except Exception as failure:
                error.add_note(f"and {type(callback).__name__}.on_exception raised {type(failure).__name__}: {failure}")

    def wants_batches(self, mode: str) -> bool:
        """Whether a callback has a hook of batches for "train", "test" or "predict"."""
        return any(wants_batches(callback, mode) for callback in self.callbacks if callback not in self._bars)

    def progress(self, mode: str, done: int, logs: Callable[[], dict[str, Any]]) -> None:
        """Tell the progress bars how many steps are done; they ask for logs when they redraw."""
        for bar in self._bars:
            bar.advance(mode, done, logs)


def _call_all(name: str) -> Callable:
    def call(self: CallbackList, logs: Logs = None) -> None:
        for callback in self.callbacks:
            getattr(callback, name)(logs if logs is not None else {})

    call.__name__ = name
    call.__doc__ = getattr(Callback, name).__doc__
    return call


def _call_with_logs(name: str) -> Callable:
    def call(self: CallbackList, index: int, logs: Logs = None) -> None:
        for callback in self.callbacks:
            getattr(callback, name)(index, logs if logs is not None else {})

    call.__name__ = name
    call.__doc__ = getattr(Callback, name).__doc__
    return call


_INDEXED: Sequence[str] = (
    "on_epoch_begin",
    "on_epoch_end",
    *(name for names in BATCH_HOOKS.values() for name in names if not name.startswith("on_batch")),
)
for _name in _INDEXED:
    setattr(CallbackList, _name, _call_with_logs(_name))
for _name in ("on_train_begin", "on_train_end", "on_test_begin", "on_test_end", "on_predict_begin", "on_predict_end"):
    setattr(CallbackList, _name, _call_all(_name))
