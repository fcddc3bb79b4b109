# SPDX-License-Identifier: Apache-2.0
"""What old programs answered: python make_programs.py ERA FOLDER, in an environment of that time, writes FOLDER/programs_<era>.json.

    one  Python 3.7, keras==1.2.2  theano==1.0.5 numpy<1.20 scipy<1.6 h5py<3 six pyyaml     KERAS_BACKEND=theano
    two  Python 3.7, keras==2.2.4  and the same                                             KERAS_BACKEND=theano
    two_tf  Python 3.7, keras==2.2.4  tensorflow==1.15.5 protobuf<3.21 h5py<3               KERAS_BACKEND=tensorflow
    tf   Python 3.11, tensorflow-cpu==2.15.1

The programs are those of program_cases.py. Weights are drawn from NumPy, nothing is shuffled. Trainings of Keras 2 run on Theano: on TensorFlow 1
a step reads its number and the weights before or after others have changed them, as it happens, and no two runs are alike.
"""

import json
import os
import sys

import numpy as np
from program_cases import CASES


def put(layer, *weights):
    """Give a layer its weights, which come in the order and layout of Keras 2 and 3."""
    kind = type(layer).__name__
    if ERA in ("one", "two") and kind in ("Convolution2D", "Conv2D"):  # Theano turns kernels round
        weights = (weights[0][::-1, ::-1], *weights[1:])
    if ERA == "one" and kind in ("LSTM", "GRU"):
        gates = {"LSTM": 4, "GRU": 3}[kind]
        order = {"LSTM": (0, 2, 1, 3), "GRU": (0, 1, 2)}[kind]
        parts = [np.split(array, gates, axis=-1) for array in weights]
        weights = [part[gate] for gate in order for part in parts]
    layer.set_weights([np.array(array) for array in weights])


def plain(value):
    return np.asarray(value, "float64").round(7).tolist()


if __name__ == "__main__":
    ERA, FOLDER = sys.argv[1:]
    if ERA in ("one", "two"):
        import theano.ifelse  # noqa: F401  # Keras uses it without importing it
    found = {}
    for case in CASES[ERA]:
        found[case.__name__] = {name: plain(value) for name, value in case(put).items()}
        print(case.__name__, found[case.__name__].get("losses"))
    if ERA == "tf":
        import tensorflow

        made = {"tensorflow": tensorflow.__version__, "keras": __import__("keras").__version__}
    else:
        import keras

        made = {"keras": keras.__version__, "backend": keras.backend.backend()}
    with open(os.path.join(FOLDER, "programs_" + ERA + ".json"), "w") as file:
        json.dump({"made": {**made, "python": sys.version.split()[0], "numpy": np.__version__}, "cases": found}, file, separators=(",", ":"))
        file.write("\n")
