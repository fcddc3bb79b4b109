# SPDX-License-Identifier: Apache-2.0
"""The state of a run in plain values: what the next step of fit depends on, taken and put back. Knows neither files nor signals.

Start at take and put.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from nyala.core import config, seeds, tree
from nyala.core.errors import StateError
from nyala.core.serialization import serialize_keras_object
from nyala.core.transforms import discover
from nyala.core.variable import Variable
from nyala.engines import current
from nyala.engines.spec import Spec
from nyala.optimizers import Optimizer
from nyala.training.data import Alone
from nyala.utils.about import version

_NUMBER = re.compile(r"_\d+(?=[_/\"]|$)")  # that tells names given by Nyala apart


# What belongs to the state ----------------------------------------------------------------------------------------------------------------


def optimizers(model: Any) -> list[Any]:
    """The optimizer of compile, and those stored in the model and its layers."""
    stored = [optimizer for layer in model._flatten_layers() for optimizer in layer._tracked(Optimizer)]
    compiled = [layer.optimizer for layer in model._flatten_layers() if getattr(layer, "optimizer", None) is not None]
    return list({id(o): o for o in [*compiled, *stored]}.values())


def groups(model: Any) -> dict[str, list[Variable]]:
    """All variables that steps read and assign."""
    return {
        "model": model.variables,
        "metrics": [v for metric in model.metrics for v in metric.variables],
        "loss": [model._step_loss],
        **{f"optimizer {i}": optimizer.variables for i, optimizer in enumerate(optimizers(model))},
    }


def take(model: Any, calls: Any) -> dict[str, Any]:
    """The state now: variables as arrays of their own, generators on the host, callbacks."""
    known = groups(model)
    _warn_of_others(model, known)
    return {
        "variables": {name: [{"path": v.path, "value": v.numpy()} for v in variables] for name, variables in known.items()},
        "host": seeds.host_state(),
        "callbacks": [{"name": type(callback).__name__, "state": callback.get_state()} for callback in calls.callbacks],
        "stop": bool(model.stop_training),
    }


def put(state: dict[str, Any], model: Any, calls: Any, where: str) -> list[tuple[Variable, Any]]:
    """Make what take returned the state again. Nothing is changed unless all variables fit. Returns the metrics' variables and values."""
    known = groups(model)
    stored = state["variables"]
    if list(known) != list(stored):
        raise StateError(where, need=f"a model with {', '.join(stored)}, as before", got=", ".join(known))
    plan = {name: matched(stored[name], known[name], where) for name in known}
    for pairs in plan.values():
        for variable, value in pairs:
            variable.assign(value)
    for optimizer in optimizers(model):
        optimizer.set_weights([v.numpy() for v in optimizer.variables])  # those that keep more than variables look at them here
    waiting = [(entry["name"], entry["state"]) for entry in state["callbacks"] if entry["state"]]
    for callback in calls.callbacks:
        entry = next((entry for entry in waiting if entry[0] == type(callback).__name__), None)
        if entry is not None:
            waiting.remove(entry)
            callback.set_state(entry[1])
    if waiting:
        warnings.warn(f"{where}: there is state of callbacks that this fit does not have: {', '.join(name for name, _ in waiting)}", stacklevel=5)
    model.stop_training = state["stop"]
    seeds.restore_host_state(state["host"])
    return plan["metrics"]


def matched(stored: list[dict[str, Any]], variables: Sequence[Variable], where: str) -> list[tuple[Variable, np.ndarray]]:
    """Variables with their stored values: by path if all paths are equal, else in order, if they differ only in numbers that Nyala gave."""
    by_path = {entry["path"]: entry for entry in stored}
    if len(by_path) == len(stored) == len(variables) and all(v.path in by_path for v in variables):
        stored = [by_path[v.path] for v in variables]
    for i in range(max(len(stored), len(variables))):
        old = _described(stored[i]["path"], stored[i]["value"]) if i < len(stored) else "nothing"
        new = _described(variables[i].path, variables[i]) if i < len(variables) else "nothing"
        if old != new:
            raise StateError(
                where, need=f"the variables it was made with, here {old}", got=new, why="the program has changed", fix="nothing was restored"
            )
    return [(variable, entry["value"]) for variable, entry in zip(variables, stored, strict=True)]


def _described(path: str, value: Any) -> str:
    dtype = value._dtype if isinstance(value, Variable) else value.dtype.name
    return f"{_NUMBER.sub('', path)} {tuple(value.shape)} {dtype}"


def _warn_of_others(model: Any, known: dict[str, list[Variable]]) -> None:
    """Say which variables compiled steps assign that are no part of the state: a checkpoint without them would be no whole one."""
    ids = {id(v) for variables in known.values() for v in variables} | {id(seeds._global.state) if seeds._global is not None else 0}
    written = [v for program in model._programs.table.values() for v in getattr(program, "written", ())]
    ids |= {id(v) for accumulated in model._programs.accumulated.values() for v in _scratch(accumulated)}
    others = sorted({v.path for v in written if id(v) not in ids})
    if others:
        warnings.warn(
            f"checkpoints do not hold {', '.join(others[:4])}: the step assigns them, but they belong to no layer, metric or optimizer of the model. "
            "Make them attributes of the model",
            stacklevel=6,
        )


def _scratch(accumulated: Any) -> list[Variable]:
    """Variables that are set anew in each step."""
    return [v for value in vars(accumulated).values() for v in (value if isinstance(value, list) else [value]) if isinstance(v, Variable)]


# Building before there is data ------------------------------------------------------------------------------------------------------------


def plain_specs(specs: Any) -> Any:
    """Shapes and dtypes of a batch as plain values."""
    if isinstance(specs, Spec):
        return {"shape": tuple(specs.shape), "dtype": specs.dtype}
    if isinstance(specs, dict):
        return {"items": {str(key): plain_specs(item) for key, item in specs.items()}}
    if type(specs) is Alone:
        return (plain_specs(specs.x),)
    return type(specs)(map(plain_specs, specs)) if type(specs) in (list, tuple) else None


def _specs(plain: Any) -> Any:
    if isinstance(plain, dict):
        return Spec(plain["shape"], plain["dtype"]) if "shape" in plain else {key: _specs(item) for key, item in plain["items"].items()}
    return type(plain)(map(_specs, plain)) if isinstance(plain, (list, tuple)) else None


def build(model: Any, runner: Any, state: dict[str, Any]) -> None:
    """Make all variables, as the first batch would."""
    if hasattr(runner.data, "parts"):
        batch = tree.map_structure(_spec_of, runner.data.batch(slice(0, runner.data.batch_size)))
    elif state["batch"] is not None:
        batch = _specs(state["batch"])
        model._prepare_batch(batch, True)
    else:
        return
    if {name: len(v) for name, v in groups(model).items()} != {name: len(v) for name, v in state["variables"].items()}:
        with contextlib.suppress(Exception):  # a step of the user's own; if shapes are not enough for it, `put` says what is missing
            discover(runner.step, batch)


def _spec_of(leaf: Any) -> Spec | None:
    return None if leaf is None else Spec(tuple(leaf.shape), current().canonical_dtype(leaf.dtype.name))


# The program ------------------------------------------------------------------------------------------------------------------------------


def about(model: Any) -> dict[str, str]:
    """What must be the same for the bits to be the same: versions, engine, devices, and sums of the configs."""
    here = current()
    found = {"Nyala": version(), "NumPy": np.__version__, "engine": here.name, "devices": ", ".join(here.devices()), "floatx": config.floatx()}
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        found[f"version of {here.name}"] = importlib.metadata.version(here.name)
    told = model._compile_config
    parts = {
        "architecture": lambda: model.get_config(),
        "optimizer": lambda: [_without_rate(optimizer) for optimizer in optimizers(model)],
        "losses and metrics": lambda: {k: told[k] for k in ("loss", "loss_weights", "metrics", "weighted_metrics")},
    }
    for name, part in parts.items():
        with contextlib.suppress(Exception):  # what has no config cannot be compared
            found[name] = _sum(part())
    return found


def _without_rate(optimizer: Any) -> dict[str, Any]:
    """A config without the learning rate, which is a variable."""
    return {k: v for k, v in optimizer.get_config().items() if k not in ("learning_rate", "initial_scale", "name")}


def _sum(value: Any) -> str:
    text = json.dumps(serialize_keras_object(value), sort_keys=True)
    return hashlib.sha256(_NUMBER.sub("", text).encode()).hexdigest()


def compare(before: dict[str, str], now: dict[str, str], where: str, exact: bool) -> None:
    """Refuse, or warn of, what has changed since a checkpoint was made."""
    changed = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if not changed:
        return
    shown = [name if len(str(before.get(name))) == 64 else f"{name} ({before.get(name)} before, {now.get(name)} now)" for name in changed]
    if exact:
        raise StateError(
            where,
            need="the program and machine that it was made with",
            got=f"another {', another '.join(shown)}",
            why="the results would not be those of a run that was never interrupted",
            fix="Resume(directory, exact=False) goes on all the same; another folder begins anew",
        )
    warnings.warn(f"{where}: not the same as at the checkpoint: {', '.join(shown)}; results may differ from those of one run", stacklevel=4)
