# SPDX-License-Identifier: Apache-2.0
"""Asks Keras about regularizers and constraints on matrices and kernels. Start at ROWS."""

import keras
import numpy as np

from tests.golden.store import Store, build, generator, new
from tests.golden.tools import config_of

MATRIX, VECTOR, KERNEL = (5, 3), (7,), (3, 2, 5, 7)
ROWS = []
for spec in [
    new("regularizers.L1"),
    new("regularizers.L1", l1=0.3),
    new("regularizers.L2"),
    new("regularizers.L2", l2=0.3),
    new("regularizers.L1L2"),
    new("regularizers.L1L2", l1=0.2, l2=0.3),
    new("constraints.NonNeg"),
]:
    ROWS += [(spec, shape) for shape in [MATRIX, VECTOR, KERNEL]]
for mode in ["rows", "columns"]:
    ROWS += [(new("regularizers.OrthogonalRegularizer", factor=0.2, mode=mode), shape) for shape in [MATRIX, (3, 5)]]
for axis in [0, 1, [0, 1, 2]]:
    shapes = [MATRIX, KERNEL] if axis != [0, 1, 2] else [KERNEL]
    for spec in [
        new("constraints.MaxNorm", max_value=1.3, axis=axis),
        new("constraints.UnitNorm", axis=axis),
        new("constraints.MinMaxNorm", min_value=1.0, max_value=1.5, rate=0.7, axis=axis),
    ]:
        ROWS += [(spec, shape) for shape in shapes]
ROWS += [(new("constraints.MaxNorm"), MATRIX), (new("constraints.UnitNorm"), MATRIX), (new("constraints.MinMaxNorm"), MATRIX)]


def make():
    store = Store("regularizers")
    for spec, shape in ROWS:
        arguments = ",".join(f"{key}={value}" for key, value in spec["args"].items()) or "plain"
        label = f"{spec['new']}/{arguments}/{'x'.join(map(str, shape))}"
        x = generator(label).normal(size=shape).astype("float32")
        thing = build(keras, spec)
        store.add(label, thing=spec, x=x, value=np.asarray(thing(keras.ops.convert_to_tensor(x))), config=config_of(thing))
    return store
