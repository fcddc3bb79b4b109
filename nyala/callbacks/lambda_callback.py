# SPDX-License-Identifier: Apache-2.0
"""LambdaCallback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nyala.callbacks.callback import Callback
from nyala.core.errors import ArgumentTypeError

_OLD = {"on_batch_begin": "on_train_batch_begin", "on_batch_end": "on_train_batch_end"}


class LambdaCallback(Callback):
    """A callback from functions.

    Args:
        on_epoch_begin, on_epoch_end: (epoch, logs).
        on_train_begin, on_train_end: (logs).
        on_train_batch_begin, on_train_batch_end: (batch, logs).
        kwargs: any other hook of Callback, by name.

    >>> LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch)).on_epoch_end(3, {})
    3
    """

    def __init__(
        self,
        on_epoch_begin: Callable | None = None,
        on_epoch_end: Callable | None = None,
        on_train_begin: Callable | None = None,
        on_train_end: Callable | None = None,
        on_train_batch_begin: Callable | None = None,
        on_train_batch_end: Callable | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        hooks = {
            "on_epoch_begin": on_epoch_begin, "on_epoch_end": on_epoch_end, "on_train_begin": on_train_begin, "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin, "on_train_batch_end": on_train_batch_end, **{_OLD.get(k, k): v for k, v in kwargs.items()},
        }  # fmt: skip
        for name, function in hooks.items():
            if not name.startswith("on_") or not hasattr(Callback, name):
                raise ArgumentTypeError(
                    "LambdaCallback", need="names of hooks", got=repr(name), fix=f"it takes {[n for n in dir(Callback) if n.startswith('on_')]}"
                )
            if function is not None:
                setattr(self, name, function)
