# SPDX-License-Identifier: Apache-2.0
"""Asks Keras to load small data sets in the official formats: arrays, splits, orders. Its downloads are led to files here. Start at make."""

import importlib
import pathlib
import tempfile

import numpy as np

from tests.golden import dataset_cases as cases
from tests.golden.store import Store


def make():
    import tarfile

    store = Store("datasets")
    with tempfile.TemporaryDirectory() as folder:
        cases.write_all(folder)
        with tarfile.open(pathlib.Path(folder) / "cifar-100-python.tar.gz") as archive:
            archive.extractall(folder, filter="data")
        for name, options in cases.CASES:
            module = importlib.import_module(f"keras.src.datasets.{name}")

            def place(fname=None, origin=None, extract=False, **_):
                return folder if extract else str(pathlib.Path(folder) / (origin.rpartition("/")[2]))

            module.get_file = place
            (x_train, y_train), (x_test, y_test) = module.load_data(**options)
            answer = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
            store.add(cases.label(name, options), **{key: _plain(value) for key, value in answer.items()})
    return store


def _plain(array):
    """Arrays of lists as lists."""
    return [[int(word) for word in row] for row in array] if array.dtype == object else np.ascontiguousarray(array)
