# SPDX-License-Identifier: Apache-2.0
"""Random numbers, the same on every engine for the same seed: all are made from the engine's random bits, which the contract of engines fixes."""

from nyala.core.lazy import lazy

FILES = {
    "nyala.random.continuous": "beta gamma normal truncated_normal uniform",
    "nyala.random.discrete": "binomial categorical randint",
    "nyala.random.selection": "dropout shuffle",
    "nyala.core.seeds": "SeedGenerator",
}

__getattr__, __dir__, __all__ = lazy(__name__, {name: f"{file}:" for file, names in FILES.items() for name in names.split()})
