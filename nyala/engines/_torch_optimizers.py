# SPDX-License-Identifier: Apache-2.0
"""A torch.optim.Optimizer as a rule: it is lent tensors and state for one step, and keeps neither. Start at Rule.update."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from nyala.core.errors import ArgumentError, ArgumentTypeError, StateError
from nyala.engines import current, real_engine
from nyala.engines._torch_lists import like, reusable


class Rule:
    """What `make(parameters)` returns, run on the tensors of others.

    Attributes:
        slots: (name, value) of each tensor or number of its state; the first is the learning rate of its first group.
        rate: 0.
        running: whether the slots count. Before the first step, and after `running = False` until step is above 0, the rule makes its own.
    """

    rate = 0

    def __init__(self, make: Callable, names: list[str], values: list[np.ndarray], where: str) -> None:
        places = [real_engine().asarray(value) for value in values]
        rule = make(places)
        if not isinstance(rule, torch.optim.Optimizer):
            raise ArgumentTypeError(where, need="a function of parameters that returns a torch.optim.Optimizer", got=repr(rule))
        closure = inspect.signature(type(rule).step).parameters.get("closure")
        if closure is not None and closure.default is closure.empty:
            raise ArgumentError(
                where, need="an optimizer whose step takes gradients", got=type(rule).__name__, why="it asks for the loss several times in a step"
            )
        self._rule, self._where, self.running = rule, where, False
        number = {id(place): i for i, place in enumerate(places)}
        self._groups = [[number[id(place)] for place in group["params"]] for group in rule.param_groups]
        self._rates = [float(group["lr"]) for group in rule.param_groups]
        self._seen: tuple[Any, float] = (None, self._rates[0])  # the tensor of the learning rate, and its number
        born = [dict(rule.state[place]) if place in rule.state else {} for place in places]
        self._born = [set(state) for state in born]  # keys of the state that the rule made with itself, not in its first step
        self._kinds = self._dry_run(places)
        self.slots = [("learning_rate", np.asarray(self._rates[0], "float32"))]
        for name, state, keys in zip(names, born, self._kinds, strict=True):
            for key, (_, shape, dtype, _) in keys.items():
                self.slots.append((f"{name}_{key}", _on_host(state[key]) if key in state else np.zeros(shape, dtype)))
        self._take_back(places)

    def _dry_run(self, places: list[Any]) -> list[dict[str, tuple]]:
        """What a step leaves in the state of each parameter: {key: (kind, shape, dtype, device)}, learned from a copy of the rule."""
        trial = copy.deepcopy(self._rule)
        found: list[dict[str, tuple]] = [{} for _ in places]
        for group in trial.param_groups:
            for place in group["params"]:
                place.grad = torch.zeros_like(place)
        trial.step()
        for group, positions in zip(trial.param_groups, self._groups, strict=True):
            for place, i in zip(group["params"], positions, strict=True):
                found[i] = {key: _kind(value) for key, value in trial.state.get(place, {}).items() if isinstance(value, (torch.Tensor, int, float))}
        return found

    def update(self, gradients: list[Any], values: list[Any], slots: list[Any], step: Any) -> tuple[list[Any], list[Any]]:
        """(new values, new slots), written in place where nobody would notice. Before its first step the rule makes its own state."""
        if current().abstract:
            return values, slots
        self.running = self.running or int(step) > 0
        self._set_rate(slots[0])
        values, rest = reusable(values), reusable(slots)[1:]
        state, supply = self._rule.state, iter(rest)
        for value, gradient, kinds, born in zip(values, gradients, self._kinds, self._born, strict=True):
            value.grad = None if gradient is None else like(gradient, value)
            kept = {key: _given(next(supply), *kind) for key, kind in kinds.items()}
            kept = {key: like(x, value) if isinstance(x, torch.Tensor) else x for key, x in kept.items()}
            if kept and (self.running or born):
                state[value] = kept if self.running else {key: x for key, x in kept.items() if key in born}
        for group, positions in zip(self._rule.param_groups, self._groups, strict=True):
            group["params"] = [values[i] for i in positions]
        try:
            self._rule.step()
            found = [x for value, kinds in zip(values, self._kinds, strict=True) for x in self._found(value, kinds)]
        finally:
            self._take_back(values)
        self.running = True
        return values, [slots[0], *(old if x is None else _as_tensor(x, old) for x, old in zip(found, rest, strict=True))]

    def _found(self, value: Any, kinds: dict[str, tuple]) -> list[Any]:
        """The state of a parameter after a step, in order; None where it has none, because it had no gradient yet."""
        found = self._rule.state.get(value, {})
        grown = [key for key, x in found.items() if isinstance(x, torch.Tensor) and key not in kinds]
        if grown:
            raise StateError(self._where, need=f"a state as after its first step, {sorted(kinds)}", got=f"{sorted(grown)}, too")
        return [found.get(key) for key in kinds]

    def _take_back(self, values: list[Any]) -> None:
        for value in values:
            value.grad = None
            self._rule.state.pop(value, None)
        for group in self._rule.param_groups:
            group["params"] = []

    def _set_rate(self, rate: Any) -> None:
        """Learning rates as the variable says, the groups in their proportions; a number on the host, read when another tensor comes."""
        if rate is not self._seen[0]:
            self._seen = (rate, float(rate))
            factor = 1.0 if self._seen[1] == np.float32(self._rates[0]) else self._seen[1] / self._rates[0] if self._rates[0] else None
            for group, first in zip(self._rule.param_groups, self._rates, strict=True):
                group["lr"] = self._seen[1] if factor is None else first * factor


def _kind(value: Any) -> tuple:
    if isinstance(value, torch.Tensor):
        return torch.Tensor, tuple(value.shape), str(value.dtype).removeprefix("torch."), value.device
    return type(value), (), "int64" if isinstance(value, int) else "float64", None


def _given(value: Any, kind: type, shape: tuple, dtype: str, device: Any) -> Any:
    """A slot as the rule wants it: on the device of its own choice, or as a Python number."""
    return value.to(device) if kind is torch.Tensor else kind(value.item())


def _on_host(value: Any) -> np.ndarray:
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def _as_tensor(value: Any, old: Any) -> Any:
    return value if isinstance(value, torch.Tensor) else torch.as_tensor(value, dtype=old.dtype)
