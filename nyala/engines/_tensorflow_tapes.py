# SPDX-License-Identifier: Apache-2.0
"""Variables in gradient tapes and graphs of the user's own: tf.GradientTape, tf.function, tf.data. Start at seen.

A tape knows a variable by its `handle`: the tensor that is its value, or the resource it lives in. A graph that nobody here makes (a tf.function of
the user's) would take the value of a moment for a constant, so a variable that is read or assigned there lives in a resource of TensorFlow from then
on.
"""

from __future__ import annotations

# The stubs that checkers have for TensorFlow know half of it:
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportMissingImports=false, reportMissingModuleSource=false
# pyright: reportAttributeAccessIssue=false
import contextlib
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.autograph.core import ag_ctx
from tensorflow.python.autograph.impl import api as autograph
from tensorflow.python.eager import record, tape
from tensorflow.python.ops.resource_variable_ops import ResourceVariable

from nyala.engines.protocol import Tensor


def seen(variable: Any) -> None:
    """Tell the tapes, which watch what is read, that a variable is about to be."""
    if variable.trainable and is_recorded():
        tape.variable_accessed(variable)


def is_recorded() -> bool:
    """Whether a tape, or an accumulator of forward-mode gradients, may follow what is computed now."""
    return record.could_possibly_record()


def in_graph() -> bool:
    """Whether a graph is being made now."""
    return not tf.executing_eagerly()


def leave_us_as_we_are() -> None:
    """Keep AutoGraph, which rewrites the functions that a tf.function calls, from rewriting this package: that takes ten times as long as a trace."""
    with contextlib.suppress(ImportError, AttributeError):  # not public; without it graphs are made slowly
        from tensorflow.python.autograph.core import config

        config.CONVERSION_RULES = (config.DoNotConvert("nyala"), *config.CONVERSION_RULES)


def rewritten(function: Callable) -> Callable:
    """A function of the user's, with `if` and `for` on tensors, as AutoGraph rewrites it where the graph around it was written so."""
    return function if tf.executing_eagerly() else autograph.tf_convert(function, ag_ctx.control_status_ctx(), convert_by_default=False)


def taped(function: Callable) -> tuple[Any, tf.GradientTape]:
    """The result of a function, and the tape that has followed it."""
    with tf.GradientTape() as followed:
        result = function()
    return result, followed


def lend(value: Tensor | np.ndarray, name: str) -> Place:
    """A place with this value."""
    with tf.init_scope():  # made as it is, not through tf.Variable, which a tf.function allows in its first call only
        return Place(ResourceVariable(value, trainable=False, name=name), ours=True)  # tapes know the variable itself


def place_of(value: Any) -> Place | None:
    """The place of a tf.Variable of the user's; None of anything else."""
    return Place(value) if isinstance(value, ResourceVariable) else None


_MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")


def known_value(x: Tensor) -> np.ndarray:
    """The values of a tensor, of tf.shape(x)[i] in a graph, too, where the shape of x is known."""
    if not tf.is_symbolic_tensor(x):
        return x.numpy()
    value = tf.get_static_value(x)
    if value is None and x.op.type == "StridedSlice":
        given = [tf.get_static_value(part) for part in x.op.inputs]
        if all(part is not None for part in given):
            masks = {name: x.op.get_attr(name) for name in _MASKS}
            with tf.init_scope():
                value = tf.strided_slice(*given, **masks).numpy()
    if value is None:
        raise ValueError(f"{x} has no value before its graph runs")
    return np.asarray(value)


class Itself(tf.types.experimental.TraceType):
    """A variable among the arguments of a tf.function: no tensor, so that it can be assigned. Another one is another graph."""

    def __init__(self, variable: Any) -> None:
        self.variable = weakref.ref(variable)

    def is_subtype_of(self, other: Any) -> bool:
        return self == other

    def most_specific_common_supertype(self, others: Sequence[Any]) -> Itself | None:
        return self if all(self == other for other in others) else None

    def placeholder_value(self, placeholder_context: Any) -> Any:
        return self.variable()

    def cast(self, value: Any, cast_context: Any) -> Any:
        return value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Itself) and self.variable is other.variable  # there is one reference to an object

    def __hash__(self) -> int:
        return id(self.variable)


class Place:
    """Where a variable lives in TensorFlow, so that graphs read it when they run.

    Args:
        resource: the variable of TensorFlow.
        ours: whether nobody else knows it.
    """

    def __init__(self, resource: ResourceVariable, ours: bool = False) -> None:
        self.resource, self.ours = resource, ours
        self.key = resource.ref()  # equal for places in one resource
        self.name = resource.name.partition(":")[0].replace("/", "_")

    @property
    def handle(self) -> Tensor:
        return self.resource.handle

    def read(self) -> Tensor:
        """The value now, or in the graph that is being made the value when it runs."""
        return self.resource.read_value()

    def write(self, value: Any) -> None:
        """Set the value, now or when the graph that is being made runs."""
        self.resource.assign(value, read_value=False)

    def numpy(self) -> np.ndarray:
        """A copy of the value now."""
        with tf.init_scope():
            return self.resource.numpy()

    def fill(self, value: np.ndarray) -> None:
        """Set the value now, also where a graph is being made."""
        with tf.init_scope():
            tf.raw_ops.AssignVariableOp(resource=self.resource.handle, value=tf.constant(value, self.resource.dtype))

    def empty(self) -> np.ndarray:
        """The value, for another engine. Until one is given back, graphs that hold the place fail, as what they computed would be of the past."""
        value = self.numpy()
        with tf.init_scope():
            tf.raw_ops.AssignVariableOp(resource=self.resource.handle, value=tf.zeros((0,), self.resource.dtype))
        return value
