# SPDX-License-Identifier: Apache-2.0
"""Steps that users wrote for one engine of Keras: the pure ones, step(state, data), run as they are; others fail with the way out.

Start at is_pure and run_pure. Knows no engine: a pure step brings its own array library.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from types import CodeType
from typing import Any

from nyala.core.errors import ArgumentError, ArgumentTypeError, NyalaError
from nyala.core.variable import Scope, Variable
from nyala.engines import real_engine
from nyala.training.data import as_given

FIX = "write it once for all engines: (loss, aux), gradients = nyala.value_and_grad(loss_fn, self.trainable_variables)(), then self.optimizer.apply"
FOREIGN = {  # a name in the code of a step -> what it is
    "GradientTape": "a tf.GradientTape",
    "backward": "loss.backward()",
}


def is_pure(model: Any, mode: str) -> bool:
    """Whether the model's step of a mode has the form of Keras on JAX, step(state, data)."""
    parameters = inspect.signature(getattr(model, f"{mode}_step")).parameters.values()
    return len([p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty]) == 2


def groups_of(model: Any, mode: str) -> list[list[Variable]]:
    """The variables of each part of the state, in order."""
    weights = [model.trainable_variables, model.non_trainable_variables]
    if mode == "train":
        return [*weights, model.optimizer.variables, model.metrics_variables]
    return [*weights, model.metrics_variables] if mode == "test" else weights


def run_pure(model: Any, mode: str, data: Any) -> Any:
    """Run a pure step on the values of the model's variables and assign those it returns. Returns the logs, or predictions."""
    groups, where = groups_of(model, mode), f"{mode}_step(state, data)"
    before = [[variable.value for variable in group] for group in groups]
    with Scope():  # what is assigned inside may belong to the trace of a gradient; what counts is returned
        result = getattr(model, f"{mode}_step")(tuple(list(values) for values in before), data)
    model._loss_computed = False  # the logs say the loss, or nobody does
    if not isinstance(result, tuple) or len(result) != 2:
        raise ArgumentTypeError(where, need="a pair of logs and new state as its result", got=type(result).__name__)
    logs, after = result
    if mode == "predict":  # predictions, and the second part of the state alone
        groups, before, after = groups[1:], before[1:], (after,)
    _check_count(where, "parts of the state", after, groups)
    for group, old, new in zip(groups, before, after, strict=True):
        _check_count(where, "values in a part of the state", new, group)
        for variable, was, value in zip(group, old, new, strict=True):
            if value is not was:
                variable.assign(value)
    return logs


def _check_count(where: str, what: str, given: Sequence[Any], expected: Sequence[Any]) -> None:
    if len(given) != len(expected):
        raise ArgumentError(where, need=f"as many {what} back as it got, {len(expected)}", got=f"{len(given)}")


def explained(model: Any, mode: str, error: Exception) -> Exception:
    """The error of a step, or one that says more, if the step takes gradients as another engine's programs do."""
    names = set(_names(inspect.unwrap(getattr(type(model), f"{mode}_step")).__code__))
    what = next((FOREIGN[name] for name in FOREIGN if name in names), None)
    if what is None or isinstance(error, NyalaError):
        return error
    where = f"{mode}_step of {type(model).__name__} {model.name!r}"
    why = f"it raised {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}".rstrip(": ")
    return ArgumentTypeError(where, need="gradients that the engine in force can take", got=f"{what} with {real_engine().name!r}", why=why, fix=FIX)


def _names(code: CodeType) -> Iterator[str]:
    """Names that code and the functions in it use."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def in_dialect(model: Any, mode: str) -> Callable[[Any], Any]:
    """The model's step of a mode as data -> logs, whatever form the user gave it."""
    step: Callable[[Any], Any] = (lambda data: run_pure(model, mode, data)) if is_pure(model, mode) else getattr(model, f"{mode}_step")

    def run(data: Any) -> Any:
        try:
            return step(as_given(data))
        except Exception as error:
            better = explained(model, mode, error)
            if better is error:
                raise
            raise better from error

    return run
