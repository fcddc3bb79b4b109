# SPDX-License-Identifier: Apache-2.0
"""Asks Keras about several devices. A CPU has them only if JAX is told as it starts: run it by itself, python -m tests.golden.make_distribution."""

import os

os.environ["KERAS_BACKEND"] = "jax"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"

import jax
import keras
import numpy as np

from tests.golden.distribution_cases import MAPS, NETWORKS, OPTIMIZERS, PATHS, strategies, trained
from tests.golden.store import Store


def found(layouts, path):
    try:
        layout = layouts[path]
    except ValueError:
        return "refused"
    return None if layout is None else list(layout.axes)


def make():
    store = Store("distribution")
    mesh = keras.distribution.DeviceMesh((2, 4), ["batch", "model"])
    for name, keys in MAPS.items():
        layouts = keras.distribution.LayoutMap(mesh)
        for number, key in enumerate(keys):
            layouts[key] = ("batch",) * (number % 2) + (None,) * number
        store.add(
            f"map: {name}", keys={key: list(layouts._layout_map[key].axes) for key in keys}, paths={path: found(layouts, path) for path in PATHS}
        )
    for network in NETWORKS:
        for optimizer in OPTIMIZERS:
            for name, strategy in strategies(keras).items():
                keras.utils.clear_session()
                store.add(f"{network}, {optimizer}, {name}", network=network, optimizer=optimizer, strategy=name,
                          **trained(keras, network, optimizer, strategy))  # fmt: skip
    return store


if __name__ == "__main__":
    made = make()
    made.write(keras=keras.__version__, jax=jax.__version__, numpy=np.__version__)
    print(len(made.cases), "cases")
