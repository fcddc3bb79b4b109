# SPDX-License-Identifier: Apache-2.0
"""Asks Keras what each op gives: op_cases.py. Start at make."""

import keras
import numpy as np

from tests.golden.op_cases import CASES, draw
from tests.golden.store import Store, generator, leaves, map_tree


def answer(name, args, kwargs):
    """What the op gives, its leaves as arrays; `only` takes one of several results, where signs of others are free."""
    kwargs = dict(kwargs)
    only = kwargs.pop("only", None)
    result = getattr(keras.ops, name)(*args, **kwargs)
    if only is not None:
        result = result[{"r": 1}.get(only, only)]
    return [np.asarray(leaf) for leaf in leaves(map_tree(np.asarray, tuple(result) if isinstance(result, (list, tuple)) else result))]


def make():
    store = Store("ops")
    for name, calls in CASES.items():
        for i, (args, kwargs) in enumerate(calls):
            random = generator(f"{name}/{i}")
            args, kwargs = draw(random, args), {key: draw(random, value) for key, value in kwargs.items()}
            store.add(f"{name}/{i}", args=args, kwargs=kwargs, results=answer(name, args, kwargs))
    return store
