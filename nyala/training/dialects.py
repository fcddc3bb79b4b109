# SPDX-License-Identifier: Apache-2.0
"""Steps that users wrote for one engine of Keras: pure ones, step(state, data), run on any engine that their code runs on; those with a
tf.GradientTape or loss.backward() on the engine they were written for, and elsewhere fail with the way out.

Start at in_dialect. Knows no engine: a step brings its own array library.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from types import CodeType
from typing import Any

from nyala.core import tree
from nyala.core.errors import ArgumentError, ArgumentTypeError, NyalaError
from nyala.core.variable import Scope, Variable
from nyala.engines import current, real_engine
from nyala.training.data import as_given

FIX = "write it once for all engines: (loss, aux), gradients = nyala.value_and_grad(loss_fn, self.trainable_variables)(), then self.optimizer.apply"
FOREIGN = {  # a name in the code of a step -> what it is, and the engine that it was written for
    "GradientTape": ("a tf.GradientTape", "tensorflow"),
    "backward": ("loss.backward()", "torch"),
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
    what, engine = written_for(model, mode)
    if what is None or engine == real_engine().name or isinstance(error, NyalaError):
        return error
    where = f"{mode}_step of {type(model).__name__} {model.name!r}"
    why = f"it raised {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}".rstrip(": ")
    fix = f"call nyala.set_backend({engine!r}) first, or {FIX}"
    return ArgumentTypeError(where, need="gradients that the engine in force can take", got=f"{what} with {real_engine().name!r}", why=why, fix=fix)


def written_for(model: Any, mode: str) -> tuple[str | None, str | None]:
    """How a step of the user's takes gradients, and the engine that can: (None, None) if its code has nothing of the kind."""
    return _foreign(getattr(inspect.unwrap(getattr(type(model), f"{mode}_step")), "__code__", None))


def with_leaves(model: Any, mode: str, data: Any) -> Any:
    """Run a step that calls loss.backward(): weights that are trained are leaves meanwhile, which get their `.grad`. Returns the logs."""
    here = current()
    if not here.has_backward:
        return getattr(model, f"{mode}_step")(data)
    variables = model.trainable_variables
    with here.leaves([v.value for v in variables]) as leaves, Scope(variables, leaves) as inside:
        logs = getattr(model, f"{mode}_step")(data)
    for key, variable in inside.touched.items():
        variable.assign(here.stop_gradient(inside.values[key]))
    return tree.map_structure(lambda leaf: here.stop_gradient(leaf) if here.is_tensor(leaf) else leaf, logs)


@functools.lru_cache(32)  # asked in each step where nothing compiles
def _foreign(code: CodeType | None) -> tuple[str | None, str | None]:
    names = set() if code is None else set(_names(code))
    return next((FOREIGN[name] for name in FOREIGN if name in names), (None, None))


def _names(code: CodeType) -> Iterator[str]:
    """Names that code and the functions in it use."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def in_dialect(model: Any, mode: str) -> Callable[[Any], Any]:
    """The model's step of a mode as data -> logs, whatever form the user gave it."""
    step: Callable[[Any], Any] = getattr(model, f"{mode}_step")
    if is_pure(model, mode):
        step = functools.partial(run_pure, model, mode)
    elif written_for(model, mode)[1] == real_engine().name:
        step = functools.partial(with_leaves, model, mode)

    def run(data: Any) -> Any:
        try:
            return step(as_given(data))
        except Exception as error:
            better = explained(model, mode, error)
            if better is error:
                raise
            raise better from error

    return run
