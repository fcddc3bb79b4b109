# SPDX-License-Identifier: Apache-2.0
"""An optimizer for TensorFlow as a rule: it updates variables of its own, which are lent the values of others for one step.

Optimizers of Keras (on TensorFlow), tf_keras and tf.compat.v1.train have apply_gradients in common, and that is all that is asked of them: none of
these libraries is imported. Start at Rule.update.
"""

from __future__ import annotations

# The stubs that checkers have for TensorFlow know half of it:
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportMissingImports=false, reportMissingModuleSource=false
from typing import Any

import numpy as np
import tensorflow as tf

from nyala.core.errors import ArgumentError, ArgumentTypeError, StateError
from nyala.engines import current


class Rule:
    """What has `apply_gradients`, or makes such a thing, run on the tensors of others.

    Attributes:
        slots: (name, first value) of each variable of its state.
        rate: which of them is the learning rate; None if it is a number or follows a schedule.
        running: unused here; the state is complete from the beginning.
    """

    running = True

    def __init__(self, rule: Any, names: list[str], values: list[np.ndarray], where: str) -> None:
        self._rule = _one_of_its_own(rule, where)
        kinds = [type(variable) for variable in _shown(self._rule)]  # Keras has variables of its own around those of TensorFlow
        make = tf.Variable if not kinds or issubclass(kinds[0], tf.Variable) else kinds[0]
        with tf.init_scope():
            self._given = [make(value, name=name.replace("/", "_")) for name, value in zip(names, values, strict=True)]
            self._places = [_plain(variable, where) for variable in self._given]
            state = self._made_state(where)
            prefix = f"{getattr(self._rule, 'name', None)}/"
            found = [variable.name.split(":")[0].replace(prefix, "rule/", 1) for variable in state]  # without a number that counts optimizers
            self.slots = list(zip(found, (variable.numpy() for variable in state), strict=True))
        self._state = state
        rates = [i for i, name in enumerate(found) if name == "rule/learning_rate"]
        self.rate = rates[0] if len(rates) == 1 else None

    def _made_state(self, where: str) -> list[tf.Variable]:
        """Every variable besides the places that a step reads or writes; a step is traced, which makes them, and none is taken."""

        @tf.function(autograph=False)
        def step(*gradients: Any) -> None:
            self._rule.apply_gradients(list(zip(gradients, self._given, strict=True)))

        if hasattr(self._rule, "build"):
            self._rule.build(self._given)
        traced: Any = step
        graph = traced.get_concrete_function(*(tf.TensorSpec(place.shape, place.dtype) for place in self._places)).graph
        shown = [_plain(variable, where) for variable in _shown(self._rule)]
        every = {variable.ref(): variable for variable in [*self._places, *shown, *graph.variables]}
        known = {id(variable.handle) for variable in every.values()}
        hidden = [outside for outside, _ in graph.captures if outside.dtype == tf.resource and id(outside) not in known]
        if hidden:
            why = f"{len(hidden)} more could be neither saved nor used in compiled steps"
            raise StateError(where, need="a rule that shows all its variables", got=f"{sorted(v.name for v in shown)}", why=why)
        return list(every.values())[len(self._places) :]

    def update(self, gradients: list[Any], values: list[Any], slots: list[Any], step: Any) -> tuple[list[Any], list[Any]]:
        """(new values, new slots). Where a gradient is None the rule does not see the value, and it stays."""
        here = current()
        if here.abstract:
            return [_other(v) if g is not None else v for v, g in zip(values, gradients, strict=True)], [_other(x) for x in slots]
        for place, value in zip([*self._places, *self._state], [*values, *slots], strict=True):
            place.assign(tf.cast(value, place.dtype))
        given = [(g, variable) for g, variable in zip(gradients, self._given, strict=True) if g is not None]
        self._rule.apply_gradients(given)
        new = [v if g is None else place.read_value() for place, g, v in zip(self._places, gradients, values, strict=True)]
        return new, [tf.cast(place.read_value(), old.dtype) for place, old in zip(self._state, slots, strict=True)]


def _one_of_its_own(rule: Any, where: str) -> Any:
    """A copy by its config, where it has one: what was given may serve other models."""
    given: Any = rule if hasattr(rule, "apply_gradients") and not isinstance(rule, type) else rule()
    if not hasattr(given, "apply_gradients"):
        raise ArgumentTypeError(where, need="an optimizer with apply_gradients", got=repr(given))
    kind: Any = type(rule)
    if given is rule and hasattr(kind, "from_config"):
        given = kind.from_config(rule.get_config())
    if getattr(given, "loss_scale_factor", None) is not None or hasattr(given, "inner_optimizer"):
        raise ArgumentError(
            where,
            need="a rule that does not scale the loss",
            got=repr(given),
            why="it divides gradients by a factor that the loss was never multiplied with",
            fix="pass it without, and loss_scale_factor=... to nyala.optimizers.NativeOptimizer",
        )
    return given


def _shown(rule: Any) -> list[Any]:
    """The variables that a rule has now."""
    return list(rule.variables() if callable(rule.variables) else rule.variables)


def _plain(variable: Any, where: str) -> tf.Variable:
    """The variable of TensorFlow in one of Keras, or the variable itself."""
    found = variable if isinstance(variable, tf.Variable) else variable.value
    if not isinstance(found, tf.Variable):
        raise ArgumentTypeError(
            where,
            need="an optimizer that updates variables of TensorFlow",
            got=f"one whose variables hold a {type(found).__name__}",
            fix="set KERAS_BACKEND=tensorflow before keras is imported, or use the optimizer of this name in nyala.optimizers",
        )
    return found


def _other(value: Any) -> Any:
    """A stand-in like this one that is not this one: what is assigned shows by that."""
    here = current()
    return here.reshape(value, here.shape(value))
