# SPDX-License-Identifier: Apache-2.0
"""What the makers of golden numbers share; needs Keras. Start at config_of."""

import json

import keras
import numpy as np


def plain(value):
    """Tuples as lists, NumPy numbers as Python's: what JSON would make of it."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return plain(keras.saving.serialize_keras_object(value))


def config_of(thing):
    """get_config() through JSON."""
    return json.loads(json.dumps(plain(thing.get_config())))


def describe(tree):
    """Shapes and dtypes of a tree of symbolic tensors."""
    if isinstance(tree, dict):
        return {key: describe(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [describe(value) for value in tree]
    return None if tree is None else {"shape": list(tree.shape), "dtype": str(tree.dtype)}
