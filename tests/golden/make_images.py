# SPDX-License-Identifier: Apache-2.0
"""Asks Keras about ops on images, bounding boxes, and image layers with given transformations. Start at make."""

import jax
import jax.numpy as jnp
import keras
import numpy as np

from tests.golden.image_cases import CASES
from tests.golden.store import Store, find, generator, leaves, map_tree


def is_float(leaf):
    return isinstance(leaf, np.ndarray) and np.issubdtype(leaf.dtype, np.floating)


def ask(name, row):
    """The value of a function, and its gradients by all float arrays."""
    random = generator(name)
    args, kwargs = map_tree(lambda leaf: leaf(random) if callable(leaf) else leaf, [row["args"], row["kwargs"]])
    function = find(keras, row["function"])
    value = map_tree(np.asarray, function(*args, **kwargs))
    answer = {"function": row["function"], "args": args, "kwargs": kwargs, "value": value, "cotangent": None, "gradients": None}
    floats = [leaf for leaf in leaves(args[:1] if "affine_transform" in name else args) if is_float(leaf)]
    if not is_float(value) or not floats or name.endswith("edges"):  # kinks
        return answer
    cotangent = random.normal(size=value.shape).astype("float32")

    def loss(values):
        supply = iter(values)
        filled = map_tree(lambda leaf: next(supply, leaf) if is_float(leaf) else leaf, args)
        return jnp.sum(function(*filled, **kwargs) * cotangent)

    try:
        gradients = [np.asarray(g) for g in jax.grad(loss)([jnp.asarray(a) for a in floats])]
    except Exception as error:
        print("   no gradient:", name, type(error).__name__)
        return answer
    return answer | {"cotangent": cotangent, "gradients": gradients}


def make():
    store = Store("images")
    for name, row in CASES.items():
        try:
            store.add(name, **ask(name, row))
        except Exception as error:  # Keras cannot
            print("   refused:", name, type(error).__name__, str(error)[:200])
    return store
