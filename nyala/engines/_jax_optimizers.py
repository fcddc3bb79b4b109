# SPDX-License-Identifier: Apache-2.0
"""A transformation of optax as a rule: state in, state out, as flat lists of arrays. Optax itself is not imported. Start at Rule.update."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nyala.core.errors import ArgumentTypeError
from nyala.engines._jax_interop import leaves, put_together, run, take_apart


class Rule:
    """A pair of pure functions (init, update) for these parameters; it sees them as a dict by name.

    Attributes:
        slots: (name, first value) of each array of its state.
        rate: which of them is the learning rate, if inject_hyperparams made it one.
        running: unused here; the state is complete from the beginning.
    """

    running = True

    def __init__(self, transformation: Any, names: list[str], values: list[np.ndarray], where: str) -> None:
        transformation = transformation if hasattr(transformation, "update") else transformation()
        if not (hasattr(transformation, "init") and hasattr(transformation, "update")):
            raise ArgumentTypeError(where, need="a transformation with init and update", got=repr(transformation))
        self._transformation, self._names, self._where = transformation, names, where
        with jax.ensure_compile_time_eval():
            state = transformation.init({name: jnp.asarray(value) for name, value in zip(names, values, strict=True)})
        self._keys = [jax.random.key_impl(leaf) if _is_key(leaf) else None for leaf in jax.tree.leaves(state)]
        self.slots, self._structure = take_apart(jax.tree.map(_without_key, state))
        rates = [i for i, (name, _) in enumerate(self.slots) if name.endswith("hyperparams_learning_rate")]
        self.rate = rates[0] if len(rates) == 1 else None

    def update(self, gradients: list[Any], values: list[Any], slots: list[Any], step: Any) -> tuple[list[Any], list[Any]]:
        """(new values, new slots). Where a gradient is None the rule sees zeros and the value stays."""

        def rule(gradients: list[Any], values: list[Any], slots: list[Any]) -> tuple[list[Any], list[Any]]:
            given = [jnp.zeros_like(v) if g is None else g for g, v in zip(gradients, values, strict=True)]
            wrapped = [x if kind is None else jax.random.wrap_key_data(x, impl=kind) for x, kind in zip(slots, self._keys, strict=True)]
            state = put_together(self._structure, wrapped)
            try:
                updates, state = self._transformation.update(self._by_name(given), state, self._by_name(values))
            except TypeError as error:
                if "keyword-only" not in str(error):
                    raise
                fix = "call its update in a train_step of your own, or take a rule that works from gradients"
                got = f"one that asks for more: {error}"
                raise ArgumentTypeError(self._where, need="a transformation of gradients alone", got=got, fix=fix) from error
            moves = [None if g is None else updates[name] for g, name in zip(gradients, self._names, strict=True)]
            new = [v if move is None else (v + move).astype(v.dtype) for v, move in zip(values, moves, strict=True)]
            kept = [jnp.asarray(x).astype(old.dtype) for x, old in zip(self._leaves(state), slots, strict=True)]
            return new, kept

        return run(rule, gradients, values, slots)

    def _leaves(self, state: Any) -> list[Any]:
        return leaves(jax.tree.map(_without_key, state), self._structure, self._where)

    def _by_name(self, values: list[Any]) -> dict[str, Any]:
        return dict(zip(self._names, values, strict=True))


def _is_key(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _without_key(leaf: Any) -> Any:
    """A key of jax.random as its numbers; anything else as it is."""
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf
