# SPDX-License-Identifier: Apache-2.0
"""Functions of JAX, and modules of Flax, on trees of values: taken apart, put together, and run on shapes. Start at run."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nyala.core.errors import StructureError
from nyala.engines import current


def take_apart(structure: Any) -> tuple[list[tuple[str, np.ndarray]], Any]:
    """The leaves of a tree of JAX, each with a name made from its path, and the structure for put_together."""
    found, rest = jax.tree_util.tree_flatten_with_path(structure)
    return [("_".join(re.findall(r"\w+", jax.tree_util.keystr(path))) or "value", np.asarray(leaf)) for path, leaf in found], rest


def put_together(rest: Any, leaves: list[Any]) -> Any:
    """The tree of take_apart with other leaves."""
    return jax.tree_util.tree_unflatten(rest, leaves)


def leaves(structure: Any, rest: Any, where: str) -> list[Any]:
    """The leaves of a tree that should have this structure."""
    found, own = jax.tree_util.tree_flatten(structure)
    if own != rest:
        raise StructureError(where, need=f"a new state like the old one, {rest}", got=str(own))
    return found


def first_values(function: Callable, seed: int, inputs: Any) -> Any:
    """What a function (key, inputs) makes for inputs like these shapes with dtypes, computed at once, also while something is being traced."""
    with jax.ensure_compile_time_eval():
        return function(jax.random.PRNGKey(seed), jax.tree.map(lambda x: jnp.ones(x.shape, x.dtype), inputs))


def like(shape: tuple[int | None, ...], dtype: str) -> Any:
    """A shape with a dtype; 1 in the place of what is unknown."""
    return jax.ShapeDtypeStruct(tuple(n or 1 for n in shape), dtype)


def run(function: Callable, *args: Any) -> Any:
    """function(*args); on shapes alone, by JAX's own evaluation of shapes."""
    here = current()
    if not here.abstract:
        return function(*args)
    given = jax.tree.map(lambda x: jax.ShapeDtypeStruct(tuple(int(n) for n in x.shape), here.dtype(x)), args, is_leaf=here.is_tensor)
    return jax.tree.map(lambda x: here.full(tuple(x.shape), 0, str(x.dtype)), jax.eval_shape(function, *given))


def flax_functions(module: Any, method: Any) -> tuple[Callable, Callable]:
    """(call_fn, init_fn) of a module of Flax, as JaxLayer takes them; its collections beside "params" are the state."""
    target = getattr(module, method) if isinstance(method, str) else method or module.__call__
    takes_training = "training" in inspect.signature(target).parameters

    def named(training: bool) -> dict[str, Any]:
        return {"training": training} if takes_training else {}

    def call_fn(params: Any, state: Any, rng: Any, inputs: Any, training: bool) -> tuple[Any, Any]:
        variables = {"params": params, **state}
        changing = list(state) if training else False
        result = module.apply(variables, inputs, rngs={"dropout": rng}, method=method, mutable=changing, **named(training))
        return (result[0], {**state, **result[1]}) if changing else (result[0] if changing == [] else result, state)

    def init_fn(rng: Any, inputs: Any, training: bool) -> tuple[Any, Any]:
        first, second = jax.random.split(rng)
        variables = dict(module.init({"params": first, "dropout": second}, inputs, method=method, **named(training)))
        return variables.pop("params", {}), variables

    return call_fn, init_fn
