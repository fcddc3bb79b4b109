# SPDX-License-Identifier: Apache-2.0
"""A model of layers with vocabularies and statistics, as Keras writes it to a .keras file, with what it answers: data/vocabularies.zip.

Runs in an environment of Keras 3.15.1 with TensorFlow, which its layers of text need, and nothing of this repository:

    KERAS_BACKEND=tensorflow python tests/golden/make_vocabularies.py           writes the file and the answers
    KERAS_BACKEND=tensorflow python tests/golden/make_vocabularies.py PATH      whether Keras answers the same from that .keras file
"""

import json
import pathlib
import sys
import tempfile
import zipfile

import keras
import numpy as np
import tensorflow as tf
from keras import layers

PLACE = pathlib.Path(__file__).parent / "data" / "vocabularies.zip"
INPUTS = {
    "text": [["a b q"], ["été e c"]], "word": [["x"], ["nope"]], "number": [[3, 9], [5, 7]], "weighted": [["a b b"], ["z"]], "hashed": [["k"], ["l"]],
    "given": [["p"], ["u"]], "value": [[2.0, 9.0], [0.0, 1.0]],
}  # fmt: skip
DTYPES = {"number": "int64", "value": "float32"}  # the others are strings


def model_of():
    """Each layer has learned what it knows from a few rows."""
    text = layers.TextVectorization(max_tokens=9, output_sequence_length=4)
    text.adapt(["a b c a", "d b e", "été b"])
    word = layers.StringLookup(num_oov_indices=2)
    word.adapt([["x", "y"], ["x", "zé"]])
    number = layers.IntegerLookup(output_mode="multi_hot")
    number.adapt(np.array([[3, 5], [3, 9]]))
    weighted = layers.TextVectorization(max_tokens=6, output_mode="tf_idf")
    weighted.adapt(["a b c a", "d b e", "b"])
    rows = np.array([[1.0, 2.0], [3.0, 8.0], [4.0, 5.0]])
    bins, scaled = layers.Discretization(num_bins=3), layers.Normalization()
    bins.adapt(rows)
    scaled.adapt(rows)
    given = layers.StringLookup(vocabulary=["p", "q"], output_mode="one_hot")
    ins = {name: keras.Input((len(rows[0]),), dtype=DTYPES.get(name, "string"), name=name) for name, rows in INPUTS.items()}
    outs = {
        "text": text,
        "word": word,
        "number": number,
        "weighted": weighted,
        "hashed": layers.Hashing(num_bins=11),
        "given": given,
        "value": scaled,
    }
    return keras.Model(ins, {**{name: layer(ins[name]) for name, layer in outs.items()}, "bins": bins(ins["value"])})


def answers(model):
    outputs = model({name: tf.constant(rows, DTYPES.get(name, tf.string)) for name, rows in INPUTS.items()})
    return {name: np.asarray(value).tolist() for name, value in outputs.items()}


def main():
    if len(sys.argv) > 1:
        with zipfile.ZipFile(PLACE) as archive:
            expected = json.loads(archive.read("facts.json"))["outputs"]
        got = answers(keras.models.load_model(sys.argv[1]))
        for name, value in expected.items():
            np.testing.assert_allclose(got[name], value, rtol=1e-5, atol=1e-6, err_msg=name)
        print(f"Keras {keras.__version__} answers the same from {sys.argv[1]}")
        return
    model = model_of()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "model.keras")
        model.save(path)
        content = path.read_bytes()
    facts = {"made": f"Keras {keras.__version__}, TensorFlow {tf.__version__}", "inputs": INPUTS, "dtypes": DTYPES, "outputs": answers(model)}
    with zipfile.ZipFile(PLACE, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.keras", content)
        archive.writestr("facts.json", json.dumps(facts))


if __name__ == "__main__":
    main()
