# SPDX-License-Identifier: Apache-2.0
"""Asks Keras which dtype several dtypes become: all pairs and some triples, of a 32-bit and of a 64-bit engine. Start at ask.

Keras's JAX engine without x64 has no 64-bit types and answers "narrow"; its NumPy engine has them and answers "wide".
"""

import itertools
import json
import os
import subprocess
import sys

from tests.golden.store import Store

NAMES = ["bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "bfloat16", "float16", "float32", "float64",
         "complex64", "complex128", "int", "python int", "python float", "none"]
WEAK = {"python int": int, "python float": float, "none": None}
TRIPLES = list(itertools.combinations(["bool", "uint8", "int8", "uint32", "int64", "bfloat16", "float16", "float32", "python int", "python float"],
    3))


def ask():
    """{"a, b": answer}; an answer of null means that Keras refuses."""
    import keras
    table = {}
    for group in [(name,) for name in NAMES] + list(itertools.product(NAMES, NAMES)) + TRIPLES:
        try:
            table[", ".join(group)] = keras.backend.result_type(*[WEAK.get(name, name) for name in group])
        except (ValueError, TypeError, KeyError):
            table[", ".join(group)] = None
    return table


def make():
    store = Store("dtypes")
    for label, engine in [("narrow", "jax"), ("wide", "numpy")]:
        answer = subprocess.run([sys.executable, "-m", "tests.golden.make_dtypes"], env=os.environ | {"KERAS_BACKEND": engine},
        capture_output=True, text=True, check=True)
        store.add(label, table=json.loads(answer.stdout.splitlines()[-1]))
    return store


if __name__ == "__main__":
    print(json.dumps(ask()))
