# SPDX-License-Identifier: Apache-2.0
"""Functions of TensorFlow on the symbolic tensors of functional models: such a call becomes a node of the graph. Start at take_calls."""

from __future__ import annotations

# The stubs that checkers have for TensorFlow know half of it:
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportMissingImports=false, reportMissingModuleSource=false
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow.python.util import dispatch

from nyala.core.errors import StateError
from nyala.core.symbolic import Symbolic, contains_symbolic, record
from nyala.engines import real_engine


class _Calls(dispatch.GlobalOpDispatcher):
    """TensorFlow asks this about arguments that it does not know."""

    def handle(self, op: Callable, args: tuple, kwargs: dict) -> Any:
        if not contains_symbolic([list(args), kwargs]):
            return self.NOT_SUPPORTED
        name = getattr(op, "__name__", str(op))
        if real_engine().name != "tensorflow":
            raise StateError(
                f"TensorFlow's {name} on a symbolic tensor",
                need="the engine 'tensorflow', which runs it",
                got=f"the engine {real_engine().name!r}",
                fix=f"use nyala.ops.{name} if there is one, or call nyala.set_backend('tensorflow') first",
            )
        return record(op, args, kwargs)


def _refuse(value: Symbolic, dtype: Any = None, name: str | None = None, as_ref: bool = False) -> Any:
    """The error of a symbolic tensor that is asked for values, as one upon which TensorFlow asks _Calls."""
    try:
        return value.__array__()
    except StateError as error:
        raise TypeError(str(error)) from None


def take_calls() -> None:
    """From now on, calls of TensorFlow's functions on symbolic tensors are recorded."""
    _Calls().register()
    tf.register_tensor_conversion_function(Symbolic, _refuse)
