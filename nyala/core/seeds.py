# SPDX-License-Identifier: Apache-2.0
"""Randomness: one generator on the host for seeds, first weights and shuffles (NumPy's Philox, equal on every engine), and SeedGenerator for layers.

A SeedGenerator keeps two uint32 in a variable: a key and a counter; each draw is a key for the engine's random bits. Start at SeedGenerator.next.
"""

from __future__ import annotations

import json
import random as _python_random
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from nyala.core import twins
from nyala.core.audit import looks_through
from nyala.core.errors import ArgumentError
from nyala.core.op import convert, engine
from nyala.core.variable import Variable
from nyala.engines import real_engine
from nyala.engines.protocol import Tensor

SHARED_BYTES = 1024  # the state of the generator as text takes at most some 400

_lock = threading.Lock()
_host = np.random.Generator(np.random.Philox())
_global: SeedGenerator | None = None


def set_random_seed(seed: int, deterministic: bool | None = None) -> None:
    """Seed Python, NumPy and Nyala: the same program then starts with the same weights and shuffles alike, on every engine.

    Args:
        seed: 0 to 2**32 - 1.
        deterministic: True lets the engine take only algorithms that give equal bits each time, False lets it take the fastest again, None leaves
            that as it is. docs/determinism.md says what may differ all the same. Functions that were compiled before keep their algorithms.

    >>> set_random_seed(7)
    >>> a = draw_seed()
    >>> set_random_seed(7)
    >>> a == draw_seed()
    True
    """
    global _host
    if not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
        raise ArgumentError("set_random_seed(seed)", need="an integer from 0 to 2**32 - 1", got=repr(seed))
    _python_random.seed(int(seed))
    np.random.seed(int(seed))  # programs that call np.random should repeat as well
    with _lock:
        _host = np.random.Generator(np.random.Philox(int(seed)))
        _forget_global()
    if deterministic is not None:
        real_engine().make_deterministic(bool(deterministic))
        twins.forget()  # programs to come shall have the algorithms that are asked for now


def reset() -> None:
    """Forget the global SeedGenerator: the next use draws a new one."""
    with _lock:
        _forget_global()


def _forget_global() -> None:
    global _global
    _global = None


def draw_seed() -> int:
    """A seed for an object whose user gave none, from the host's generator."""
    with _lock:
        return int(_host.integers(0, 2**31 - 1))


def host_generator(seed: int) -> np.random.Generator:
    """A NumPy generator for first weights and shuffles: Philox, keyed by the seed."""
    return np.random.Generator(np.random.Philox(seed))


def host_state() -> dict[str, Any]:
    """The states of all generators on the host that set_random_seed seeds, for restore_host_state: plain values and arrays."""
    version, numbers, spare = _python_random.getstate()
    python = {"version": version, "numbers": np.array(numbers, "uint32"), "spare": spare}
    with _lock:
        host = _host.bit_generator.state
        drawn = None if _global is None else _global.state.numpy()
    return {"python": python, "numpy": np.random.get_state(legacy=False), "nyala": host, "global": drawn}


def restore_host_state(state: dict[str, Any]) -> None:
    """Let the generators on the host go on from where host_state found them."""
    python = state["python"]
    _python_random.setstate((python["version"], tuple(python["numbers"].tolist()), python["spare"]))
    np.random.set_state(state["numpy"])
    if state["global"] is None:
        reset()
    else:
        global_seed_generator().state.assign(state["global"])
    with _lock:
        _host.bit_generator.state = state["nyala"]


def share(of_first: Callable[[np.ndarray], np.ndarray]) -> None:
    """Let the generator of this process go on from where that of the first process stands. of_first: an array -> the one that process 0 has."""
    with _lock:
        state = _host.bit_generator.state
        text = json.dumps(state, default=lambda value: value.tolist()).encode()
        shared = np.zeros(SHARED_BYTES, np.uint8)
        shared[: len(text)] = np.frombuffer(text, np.uint8)
        found = json.loads(of_first(shared).tobytes().rstrip(b"\0"))
        found["state"] = {name: np.array(values, np.uint64) for name, values in found["state"].items()}
        found["buffer"] = np.array(found["buffer"], np.uint64)
        _host.bit_generator.state = found
        _forget_global()


class SeedGenerator:
    """A source of keys for random ops, whose state is a variable: draws differ from call to call, also inside compiled functions.

    Args:
        seed: integer from 0; None draws one.
        name: of the generator.

    >>> import nyala
    >>> a, b = nyala.random.SeedGenerator(3), nyala.random.SeedGenerator(3)
    >>> bool((nyala.ops.convert_to_numpy(a.next()) == nyala.ops.convert_to_numpy(b.next())).all())
    True
    """

    def __init__(self, seed: int | None = None, name: str | None = None, **kwargs: Any) -> None:
        from nyala.core import names

        if seed is not None and (not isinstance(seed, (int, np.integer)) or seed < 0):
            raise ArgumentError("SeedGenerator(seed)", need="an integer from 0, or None", got=repr(seed))
        self.name = name or names.auto_name("seed_generator")
        self._initial_seed = seed
        start = draw_seed() if seed is None else int(seed)
        with names.name_scope(self.name):
            self.state = Variable(
                np.array([start % 2**32, start >> 32], "uint32"),
                trainable=False,
                autocast=False,
                aggregation="only_first_replica",
                name="seed_generator_state",
            )

    @property
    def seed(self) -> int | None:
        return self._initial_seed

    def next(self, ordered: bool = True) -> Tensor:
        """The next key: uint32 of shape (2,). It advances the state."""
        key = self.state.value
        self.state.assign(engine.add(key, engine.asarray(np.array([0, 1], "uint32"))))
        return key

    def get_config(self) -> dict[str, Any]:
        return {"seed": self._initial_seed, "name": self.name}

    @classmethod
    @looks_through
    def from_config(cls, config: dict[str, Any]) -> SeedGenerator:
        return cls(**config)


def global_seed_generator() -> SeedGenerator:
    """The generator of random ops called without a seed."""
    global _global
    if _global is None:
        seed = draw_seed()
        with _lock:
            _global = SeedGenerator(seed, name="global_seed_generator")
    return _global


def draw_key(seed: Any) -> Tensor:
    """The key for a random op: of a SeedGenerator the next, of an integer a fixed one, of None the next global one."""
    if seed is None:
        return global_seed_generator().next()
    if isinstance(seed, SeedGenerator):
        return seed.next()
    if isinstance(seed, (int, np.integer)) and seed >= 0:
        return engine.asarray(np.array([int(seed) % 2**32, int(seed) >> 32 & 0xFFFFFFFF], "uint32"))
    if tuple(getattr(seed, "shape", ())) == (2,):
        return convert(seed, "uint32")
    raise ArgumentError("seed", need="an integer from 0, a SeedGenerator, a key of two uint32, or None", got=repr(seed))
