# SPDX-License-Identifier: Apache-2.0
"""Asks Keras which dtype several dtypes become: all pairs and some triples. Start at make.

The answers are the same on its JAX engine (x64 on or off), its NumPy and its PyTorch engine: 64 bits become 32.
"""

import itertools

import keras

from tests.golden.store import Store

NAMES = [
    "bool",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "int8",
    "int16",
    "int32",
    "int64",
    "bfloat16",
    "float16",
    "float32",
    "float64",
    "complex64",
    "complex128",
    "int",
    "python int",
    "python float",
    "none",
]
WEAK = {"python int": int, "python float": float, "none": None}
TRIPLES = list(
    itertools.combinations(["bool", "uint8", "int8", "uint32", "int64", "bfloat16", "float16", "float32", "python int", "python float"], 3)
)


def make():
    """One table, {"a, b": answer}; an answer of null means that Keras refuses."""
    table = {}
    for group in [(name,) for name in NAMES] + list(itertools.product(NAMES, NAMES)) + TRIPLES:
        try:
            table[", ".join(group)] = keras.backend.result_type(*[WEAK.get(name, name) for name in group])
        except (ValueError, TypeError, KeyError):
            table[", ".join(group)] = None
    store = Store("dtypes")
    store.add("result_type", table=table)
    return store
