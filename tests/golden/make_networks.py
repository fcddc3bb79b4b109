# SPDX-License-Identifier: Apache-2.0
"""Asks Keras what the smallest network of each family, with drawn weights, says about images of the size that it is for.

Run on its own, as python -m tests.golden.make_networks, where Keras has TensorFlow, on which all of them run and little is compiled. Start at make.
"""

import os
import platform

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy
import tensorflow

from tests.golden.application_cases import WHOLE, output_of
from tests.golden.store import Store


def make():
    store = Store("networks")
    for name, (network, arguments) in WHOLE.items():
        keras.utils.clear_session()
        model = getattr(keras.applications, network)(weights=None, **arguments)
        store.add(name, y=output_of(model, network), weights=model.count_params())
        print(name, flush=True)
    store.write(keras=keras.__version__, tensorflow=tensorflow.__version__, numpy=numpy.__version__, python=platform.python_version())


if __name__ == "__main__":
    make()
