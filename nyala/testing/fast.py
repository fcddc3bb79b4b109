# SPDX-License-Identifier: Apache-2.0
"""Whether an engine's shortcut for a composed op gives what the op's own body gives: values, dtypes and gradients, for the cases of fast_cases.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from nyala.engines import using
from nyala.engines.protocol import Engine
from nyala.testing.compare import EPSILON, compare, require
from nyala.testing.fast_cases import CASES


def check_shortcut(engine: Engine, name: str) -> None:
    from nyala import ops  # here, because engines are below ops

    op: Any = getattr(ops, name, None) or getattr(ops.nn, name, None)
    require(op is not None, f"engine.fast names {name!r}, which is no op")
    require(name in CASES, f"nyala/testing/fast_cases.py has no cases for {name!r}, so nothing says that the shortcut is right")
    for number, make in enumerate(CASES[name]):
        args, kwargs = make(np.random.default_rng(number))
        with using(engine):
            _compare_runs(engine, f"{name}, case {number}", op, op.composed, args, kwargs)


def _compare_runs(engine: Engine, what: str, op: Any, composed: Any, args: tuple, kwargs: dict) -> None:
    free = [i for i, x in enumerate(args) if isinstance(x, np.ndarray) and x.dtype.kind in "fV"]
    given = [engine.asarray(x) if isinstance(x, np.ndarray) else x for x in args]

    def run(function: Any, values: list) -> list:
        filled = list(given)
        for i, value in zip(free, values, strict=True):
            filled[i] = value
        return _tensors(engine, function(*filled, **kwargs))

    starts = [given[i] for i in free]
    got, want = run(op, starts), run(composed, starts)
    require(len(got) == len(want), f"{what}: {len(got)} results, the composed body gives {len(want)}")
    for x, y in zip(got, want, strict=True):
        _same(engine, x, y, what)
    if not (engine.differentiable and free):
        return

    def loss(values: list, function: Any) -> tuple:
        total = engine.full((), 0.0, "float32")
        for y in run(function, values):
            if engine.dtype(y) in EPSILON:
                weight = engine.asarray(np.random.default_rng(5).uniform(0.5, 1.5, engine.shape(y)), "float32")
                product = engine.multiply(engine.cast(y, "float32"), weight)
                total = engine.add(total, engine.sum(product, tuple(range(weight.ndim)), False))
        return total, ()

    gradients = [engine.value_and_grad(lambda values, f=function: loss(values, f))(starts)[1] for function in (op, composed)]
    for i, (x, y) in enumerate(zip(*gradients, strict=True)):
        _same(engine, x, y, f"{what}: gradient of argument {free[i]}", scale=8)


def _same(engine: Engine, x: Any, y: Any, what: str, scale: float = 1) -> None:
    require(engine.dtype(x) == engine.dtype(y), f"{what}: dtype {engine.dtype(x)}, the composed body gives {engine.dtype(y)}")
    want, size = engine.to_numpy(y), 1.0
    if engine.dtype(y) in EPSILON:
        want = want.astype(np.float64)
        size = float(np.max(np.abs(want), initial=1.0, where=np.isfinite(want)))
    compare(engine.to_numpy(x), want, engine.dtype(y), scale=8 * scale, floor=size, what=what)


def _tensors(engine: Engine, tree: Any) -> list:
    if isinstance(tree, dict):
        return _tensors(engine, list(tree.values()))
    if isinstance(tree, list | tuple):
        return [leaf for item in tree for leaf in _tensors(engine, item)]
    return [tree] if engine.is_tensor(tree) else []
