# SPDX-License-Identifier: Apache-2.0
"""Shortcuts of the TensorFlow engine: its own operations for ops that are composed elsewhere.

A shortcut gets the arguments of the op's body, converted and promoted, and returns NotImplemented for what its kernel does otherwise. XLA joins
composed ops into one loop by itself; what is here saves calls where TensorFlow runs eagerly, or has a better gradient. Start at FAST.
"""

from __future__ import annotations

# The stubs that checkers have for TensorFlow know half of it:
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportMissingImports=false, reportMissingModuleSource=false
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from nyala.engines import _tensorflow_recurrence as recurrence
from nyala.engines.protocol import Tensor


def _relu(x: Tensor) -> Any:
    return tf.nn.relu(x) if x.dtype.is_floating else NotImplemented


def _along_last_axis(kernel: Callable) -> Callable:
    def shortcut(x: Tensor, axis: Any = -1) -> Any:
        fits = type(axis) is int and x.shape.rank and axis in (-1, x.shape.rank - 1) and x.dtype in (tf.float32, tf.float64) and 0 not in x.shape
        return kernel(x) if fits else NotImplemented

    return shortcut


FAST: dict[str, Callable] = {
    "relu": _relu,
    "softmax": _along_last_axis(tf.nn.softmax),
    "log_softmax": _along_last_axis(tf.nn.log_softmax),
    "lstm_sequence": recurrence.lstm,
    "gru_sequence": recurrence.gru,
}
