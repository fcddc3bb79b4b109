# SPDX-License-Identifier: Apache-2.0
"""Callback: the hooks, all empty."""

from __future__ import annotations

from typing import Any

Logs = dict[str, Any] | None


class Callback:
    """Code that runs between steps. Subclass it and write the hooks you need.

    Attributes:
        model: the model that is trained.
        params: {"verbose", "epochs", "steps"}.

    Hooks of batches are called, and logs per batch computed, only for callbacks that define them: others cost nothing in a step.

    >>> class Say(Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         print(f"epoch {epoch} done")
    >>> Say().on_epoch_end(0)
    epoch 0 done
    """

    def __init__(self) -> None:
        self.model: Any = None
        self.params: dict[str, Any] = {}

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params

    def set_model(self, model: Any) -> None:
        self.model = model

    def get_state(self) -> dict[str, Any]:
        """What the next hooks depend on, for checkpoints of a run: numbers, strings, None, arrays, and lists, tuples and dicts of them."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what get_state returned; called after on_train_begin and, in the middle of an epoch, after on_epoch_begin."""

    def on_exception(self, error: BaseException) -> None:
        """After an error, or Ctrl-C, ended fit, evaluate or predict before its last hook: put back what must not stay. The error is raised on."""

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Old name of on_train_batch_begin."""

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Old name of on_train_batch_end."""

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Before an epoch of training."""

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """After an epoch; logs hold the loss and the metrics, those of validation with val_ in front."""

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a training step."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After a training step; logs hold the running loss and metrics of the epoch."""
        self.on_batch_end(batch, logs)

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a step of evaluate or validation."""

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After a step of evaluate or validation."""

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a step of predict."""

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After a step of predict; logs["outputs"] holds the predictions."""

    def on_train_begin(self, logs: Logs = None) -> None:
        """At the start of fit."""

    def on_train_end(self, logs: Logs = None) -> None:
        """At the end of fit; logs are those of the last epoch."""

    def on_test_begin(self, logs: Logs = None) -> None:
        """At the start of evaluate or validation."""

    def on_test_end(self, logs: Logs = None) -> None:
        """At the end of evaluate or validation."""

    def on_predict_begin(self, logs: Logs = None) -> None:
        """At the start of predict."""

    def on_predict_end(self, logs: Logs = None) -> None:
        """At the end of predict."""


BATCH_HOOKS = {
    "train": ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end"),
    "test": ("on_test_batch_begin", "on_test_batch_end"),
    "predict": ("on_predict_batch_begin", "on_predict_batch_end"),
}


def wants_batches(callback: Any, mode: str) -> bool:
    """Whether a callback defines a hook of batches for this mode, on its class or on the object."""
    return any(name in callback.__dict__ or getattr(type(callback), name, None) is not getattr(Callback, name) for name in BATCH_HOOKS[mode])
