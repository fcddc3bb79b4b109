# SPDX-License-Identifier: Apache-2.0
"""Optimizers of one's own as Keras 1 and 2 wrote them: `get_updates(self, loss, params)`, with K.zeros for what they keep and K.update for changes.

In a graph of then the method ran once, and what it described was carried out at each step. Here it runs at each step: the variables that it makes
are made the first time and found again afterwards, and its updates are carried out when it has returned, so that all of them read the values
before. Start at update.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from nyala.core.errors import ArgumentError
from nyala.core.variable import Scope, Variable
from nyala.engines import using
from nyala.engines.spec import SpecEngine, SpecTensor
from nyala.optimizers.optimizer import Optimizer
from nyala.optimizers.optimizer import clip as clipped


class Updates:
    """One run of get_updates.

    Attributes:
        gradients: of the loss, one for each of the variables.
        made: the variables that get_updates makes, in the order in which it asks for them.
        pending: what they and others are to become.
    """

    running: list[Updates] = []

    def __init__(self, optimizer: Optimizer, gradients: Sequence[Any], variables: Sequence[Variable], made: list[Variable]) -> None:
        self.optimizer, self.gradients, self.variables, self.made = optimizer, list(gradients), list(variables), made
        self.pending: dict[int, tuple[Variable, Any]] = {}
        self.asked = 0

    def state(self, make: Callable[[], Variable]) -> Variable:
        """The next variable that get_updates asks for."""
        if self.asked == len(self.made):
            self.made.append(make())
        self.asked += 1
        return self.made[self.asked - 1]

    def set(self, variable: Variable, value: Any) -> None:
        """What a variable is to become."""
        self.pending[id(variable)] = (variable, value)

    def gradients_of(self, variables: Iterable[Variable]) -> list[Any]:
        """The gradients of some of the variables."""
        known = {id(variable): gradient for variable, gradient in zip(self.variables, self.gradients, strict=True)}
        return [known[id(variable)] for variable in variables]

    def run(self) -> None:
        """Call get_updates and carry out what it wants."""
        Updates.running.append(self)
        try:
            kind: Any = self.optimizer
            given = {"loss": self, "params": self.variables, "constraints": {v: v.constraint for v in self.variables if v.constraint is not None}}
            names = [name for name in inspect.signature(kind.get_updates).parameters if name in given]
            wanted = kind.get_updates(**{name: given[name] for name in names or ("loss", "params")})
        finally:
            Updates.running.pop()
        for pair in wanted or ():
            if isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], Variable):
                self.set(*pair)
        for variable, value in self.pending.values():
            if variable is not self.optimizer._iterations:  # counted by whoever called
                variable.assign(value)


def made(make: Callable[[], Variable]) -> Variable:
    """A variable that a function of K makes: in get_updates the same one at each step."""
    return Updates.running[-1].state(make) if Updates.running else make()


_made: weakref.WeakKeyDictionary[Optimizer, list[Variable]] = weakref.WeakKeyDictionary()


def has_own(optimizer: Optimizer) -> bool:
    """Whether get_updates of the program says what an update is."""
    return getattr(type(optimizer), "get_updates", get_updates) is not get_updates


def update(own: Callable) -> Callable:
    """Optimizer._update, which asks get_updates of a program."""

    def call(self: Optimizer, gradients: list[Any], variables: list[Variable]) -> None:
        if not has_own(self) or Updates.running:
            own(self, gradients, variables)
        else:
            Updates(self, gradients, variables, _made[self]).run()

    return call


def add_slots(own: Callable) -> Callable:
    """Optimizer._add_slots, which makes what get_updates keeps: it runs once on shapes."""

    def call(self: Optimizer, variables: list[Variable]) -> None:
        own(self, variables)
        if has_own(self):
            made = _made[self] = []
            with Scope(), using(SpecEngine()):  # what is assigned is dropped
                Updates(self, [SpecTensor(v.shape, v._dtype) for v in self._trainable_variables], self._trainable_variables, made).run()
            self._variables += [variable for variable in made if not any(variable is known for known in self._variables)]

    return call


def get_gradients(self: Optimizer, loss: Any, params: Sequence[Variable]) -> list[Any]:
    """The gradients of the loss that get_updates was given, clipped as the optimizer was told."""
    if not isinstance(loss, Updates):
        fix = "for gradients of a symbolic tensor use K.gradients"
        raise ArgumentError("Optimizer.get_gradients(loss)", need="the loss that get_updates was given", got=type(loss).__name__, fix=fix)
    return clipped(loss.gradients_of(params), self.clipnorm, self.clipvalue, self.global_clipnorm)


def get_updates(self: Optimizer, loss: Any = None, params: Any = None, *others: Any, **kwargs: Any) -> list[Any]:
    """The update that the optimizer itself makes, for get_updates of a class that is derived from it."""
    run = Updates.running[-1]
    self._update(run.gradients, run.variables)
    return []


__all__ = ["Updates", "add_slots", "get_gradients", "get_updates", "made", "update"]
