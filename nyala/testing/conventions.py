# SPDX-License-Identifier: Apache-2.0
"""Whether an engine keeps the conventions of rules.py: every row as it stands, and compiled where the engine compiles. Start at check_rules."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import numpy as np

from nyala.engines.protocol import Engine, Tree
from nyala.testing.compare import compare, kept, map_arrays, outputs, require
from nyala.testing.rules import Rule, rules

EAGER = ("nonzero", "ops.unique")  # their shapes depend on values, so that they are not compiled


def check_rules(engine: Engine, of: str) -> None:
    """All rules about a primitive or an op: as they stand, and compiled into one function where the engine compiles."""
    for rule in rules()[of]:
        if rule.raises is not None:
            _check_refusal(engine, rule)
    kept_rules = [rule for rule in rules()[of] if rule.raises is None and _has_dtypes(engine, rule)]
    if not kept_rules:
        return
    ways = (False,) if not engine.compiles or engine.abstract or of in EAGER else (False, True)
    for compiled in ways:
        for rule, (values, gradients) in zip(kept_rules, _results(engine, kept_rules, compiled), strict=True):
            _check_rule(engine, rule, values, gradients, ", compiled" if compiled else "")


def _has_dtypes(engine: Engine, rule: Rule) -> bool:
    names: list[str] = []
    map_arrays(lambda x: names.append(str(x.dtype)), list(rule.args))
    return kept(engine, names) == names


def _call(engine: Engine, rule: Rule, leaves: list) -> Any:
    supply = iter(leaves)
    args = map_arrays(lambda _: next(supply), rule.args)
    if rule.call is not None:
        return rule.call(engine, *args)
    if rule.of.startswith("ops."):
        from nyala import ops  # here, because engines are below ops

        return attrgetter(rule.of[4:])(ops)(*args)
    return getattr(engine, rule.of)(*args)


def _leaves(engine: Engine, rule: Rule) -> list:
    found: list = []
    map_arrays(lambda x: found.append(engine.asarray(x, str(x.dtype))), list(rule.args))
    return found


def _results(engine: Engine, chosen: list[Rule], compiled: bool) -> list[tuple[list, list]]:
    """Outputs and gradients of each rule."""
    given = [_leaves(engine, rule) for rule in chosen]

    def run(leaves: list[list]) -> list:
        return [(outputs(_call(engine, rule, own)), _gradients(engine, rule, own)) for rule, own in zip(chosen, leaves, strict=True)]

    return (engine.compile(run) if compiled else run)(given)


def _gradients(engine: Engine, rule: Rule, leaves: list) -> list:
    if engine.abstract or not engine.differentiable or (rule.gradients is None and (rule.kind != "gradients" or rule.holds is None)):
        return []
    free = [i for i, x in enumerate(leaves) if engine.dtype(x) == "float32"]

    def loss(values: list) -> tuple:
        filled = list(leaves)
        for i, value in zip(free, values, strict=True):
            filled[i] = value
        y = outputs(_call(engine, rule, filled))[0]
        return engine.sum(y, tuple(range(len(engine.shape(y)))), False), ()

    return list(engine.value_and_grad(loss)([leaves[i] for i in free])[1])


def _check_rule(engine: Engine, rule: Rule, values: list, gradients: list, how: str) -> None:
    if rule.gives is not None:
        wanted = list(rule.gives) if isinstance(rule.gives, tuple) else [rule.gives]
        require(len(values) == len(wanted), f"{rule.what}{how}: {len(values)} results, expected {len(wanted)}")
        for x, want in zip(values, map(np.asarray, wanted), strict=True):
            got = engine.dtype(x), engine.shape(x)
            require(got == (str(want.dtype), want.shape), f"{rule.what}{how}: got {got}, expected {(str(want.dtype), want.shape)}")
            if not engine.abstract:
                compare(engine.to_numpy(x), want, str(want.dtype), what=f"{rule.what}{how}")
    if engine.abstract:
        return
    if gradients and rule.gradients is not None:
        for i, (gradient, want) in enumerate(zip(gradients, rule.gradients, strict=True)):
            compare(engine.to_numpy(gradient), np.asarray(want, np.float64), "float32", what=f"{rule.what}{how}: gradient {i}")
    if rule.holds is not None and (gradients or rule.kind != "gradients"):
        found = [engine.to_numpy(x) for x in values], [engine.to_numpy(x) for x in gradients]
        require(rule.holds(*found), f"{rule.what}{how}: gives {found[0]} with gradients {found[1]}, but the rule is: {rule.rule}")


def _check_refusal(engine: Engine, rule: Rule) -> None:
    """That the call raises; where a rule also has `holds`, it may give a value instead."""
    try:
        result: Tree = _call(engine, rule, _leaves(engine, rule))
    except rule.raises as error:  # pyright: ignore[reportGeneralTypeIssues]  # not None here
        require(str(error), f"{rule.what}: an error without a message")
        return
    if not engine.abstract:
        require(
            rule.holds is not None and rule.holds([engine.to_numpy(x) for x in outputs(result)], []),
            f"{rule.what}: expected {rule.rule}, got {result}",
        )
