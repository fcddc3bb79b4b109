# SPDX-License-Identifier: Apache-2.0
"""Asks Keras how whole trainings go: fit_cases.py. Start at make."""

import keras

from tests.golden.fit_cases import FITS, train
from tests.golden.store import Store


def make():
    store = Store("fits")
    for name in FITS:
        keras.utils.clear_session()
        store.add(name, **train(keras, name))
    return store
