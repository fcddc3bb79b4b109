# SPDX-License-Identifier: Apache-2.0
"""Timer: where the time of fit goes: into data, steps, validation or the callbacks, each by name. Start at Timer."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

from nyala.callbacks.callback import BATCH_HOOKS, Callback, Logs

HOOKS = (
    *("on_train_begin", "on_train_end", "on_epoch_begin", "on_epoch_end", "on_test_begin", "on_test_end"),
    *BATCH_HOOKS["train"],
    *BATCH_HOOKS["test"],
)


class Timer(Callback):
    """Measure where the time of fit goes.

    Args:
        verbose: 1 prints a table at the end of training.

    Attributes:
        seconds: {"compilation": ..., "data": ..., "steps": ..., "validation": ..., "callbacks": ..., "rest": ...}, which add up to the whole.
            Compilation is the first step of all, with what it computes.
        callbacks: {name: seconds} of each other callback.
        steps: number of training steps.

    It asks for every batch, so steps are dispatched one by one and each is waited for: where a step takes less than a millisecond, fit without
    a Timer is faster than this says.

    >>> import nyala, numpy as np
    >>> model = nyala.Sequential([nyala.Input((2,)), nyala.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> timer = Timer(verbose=0)
    >>> _ = model.fit(np.ones((8, 2)), np.ones(8), batch_size=4, verbose=0, callbacks=[timer])
    >>> timer.steps, list(timer.seconds)
    (2, ['compilation', 'data', 'steps', 'validation', 'callbacks', 'rest'])
    """

    def __init__(self, verbose: int = 1) -> None:
        super().__init__()
        self.verbose = verbose
        self.seconds: dict[str, float] = {}
        self.callbacks: dict[str, float] = {}
        self.steps = 0
        self._others: list[Callback] = []
        self._wrapped: list[tuple[Callback, str]] = []
        self._depth = 0
        self._part = "rest"
        self._since = 0.0

    def watch(self, callbacks: list[Callback]) -> None:
        """The callbacks of this fit; CallbackList calls it."""
        self._others = [callback for callback in callbacks if callback is not self]

    def get_state(self) -> dict[str, Any]:
        return {"seconds": dict(self.seconds), "callbacks": dict(self.callbacks), "steps": self.steps}

    def set_state(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    # The clock: every moment belongs to one part --------------------------------------------------------------------------------------------

    def _turn(self, part: str) -> None:
        """Book the time since the last turn, and go over to another part."""
        now = time.perf_counter()
        self.seconds[self._part] = self.seconds.get(self._part, 0.0) + now - self._since
        self._part, self._since = part, now

    def _timed(self, callback: Callback, hook: Callable) -> Callable:
        name = type(callback).__name__

        @functools.wraps(hook)
        def call(*args: Any, **kwargs: Any) -> Any:
            if self._depth:  # called by another hook of its own
                return hook(*args, **kwargs)
            before, began = self._part, time.perf_counter()
            self._turn("callbacks")
            self._depth += 1
            try:
                return hook(*args, **kwargs)
            finally:
                self._depth -= 1
                self.callbacks[name] = self.callbacks.get(name, 0.0) + time.perf_counter() - began
                self._turn(before)

        return call

    # Hooks ------------------------------------------------------------------------------------------------------------------------------

    def on_train_begin(self, logs: Logs = None) -> None:
        self.seconds = dict.fromkeys(("compilation", "data", "steps", "validation", "callbacks", "rest"), 0.0)
        self.callbacks, self.steps, self._part, self._since = {}, 0, "rest", time.perf_counter()
        for callback in self._others:
            for name in HOOKS:
                overridden = getattr(type(callback), name, None) is not getattr(Callback, name)
                if name not in callback.__dict__ and overridden:  # one that nobody wrote stays free of cost
                    setattr(callback, name, self._timed(callback, getattr(callback, name)))
                    self._wrapped.append((callback, name))

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._turn("data")

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        self._turn("steps" if self.steps else "compilation")

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._turn("data")
        self.steps += 1

    def on_test_begin(self, logs: Logs = None) -> None:
        self._turn("validation")

    def on_test_end(self, logs: Logs = None) -> None:
        self._turn("rest")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._turn("rest")

    def on_train_end(self, logs: Logs = None) -> None:
        self._end()
        if self.verbose:
            print(self.table())

    def on_exception(self, error: BaseException) -> None:
        if self.seconds:  # it had begun
            self._end()

    def _end(self) -> None:
        """The last turn; the other callbacks get their hooks back as they were."""
        self._turn("rest")
        for callback, name in self._wrapped:
            callback.__dict__.pop(name, None)
        self._wrapped, self._others = [], []

    def table(self) -> str:
        """The parts with their share of the time, and the callbacks that took any."""
        total = sum(self.seconds.values()) or 1.0
        parts = [*self.seconds.items(), *((f"  {name}", value) for name, value in sorted(self.callbacks.items(), key=lambda item: -item[1]))]
        places = list(self.seconds).index("callbacks") + 1
        ordered = [*parts[:places], *parts[len(self.seconds) :], *parts[places : len(self.seconds)]]
        width = max(len(name) for name, _ in ordered)
        lines = [f"{name:<{width}}  {value:9.3f} s  {value / total:6.1%}" for name, value in ordered]
        each = 1e3 * self.seconds.get("steps", 0.0) / max(self.steps - 1, 1)
        return "\n".join([*lines, f"{self.steps} steps of {each:.2f} ms"])
