# SPDX-License-Identifier: Apache-2.0
"""Models and weights as Keras 0.3, 1.2, 2.2, tf-keras 2.15 and Keras 3 wrote them, with what they predict: python make_legacy_files.py ERA FOLDER.

Runs in an environment of that time, with the Keras of the era and nothing of this repository:

    zero   Python 3.7, keras==0.3.3  theano==1.0.5 numpy<1.20 scipy<1.6 h5py<3 six pyyaml     KERAS_BACKEND=theano
    one    Python 3.7, keras==1.2.2  and the same                                             KERAS_BACKEND=theano
    two    Python 3.7, keras==2.2.4  tensorflow==1.15.5 theano==1.0.5 protobuf<3.21 h5py<3    KERAS_BACKEND=tensorflow
    flips  the environment of two                                                             KERAS_BACKEND=theano
    tf     Python 3.11, tf-keras==2.15.1 tensorflow-cpu==2.15.1
    saved  the same: SavedModel folders
    zipped the same: .keras files
    three  Python 3.11, keras==3.15.1 jax==0.10.2                                             KERAS_BACKEND=jax

Each era becomes FOLDER/legacy_<era>.zip: for each case a file (.h5, .json or both), and a .npz of inputs x0, x1, ..., outputs y0, ..., and, for
models that were being trained, the targets t0, ... of one more batch and the outputs after it (z0, ...).
"""

# ruff: noqa: UP031, RUF005  (Python 3.7 runs this, too)

import io
import json
import os
import sys
import tempfile
import zipfile
import zlib

import numpy as np
from legacy_file_cases import CASES, draw


class Api:
    """The names of one Keras, flat: k.Dense, k.Sequential, ..."""

    def __init__(self, *modules):
        self.modules = modules

    def __getattr__(self, name):
        for module in self.modules:
            if hasattr(module, name):
                return getattr(module, name)
        raise AttributeError(name)


def api(era):
    if era in ("zero", "one"):
        import theano.ifelse  # noqa: F401  # both use it without importing it
    if era == "zero":
        from keras import models, optimizers
        from keras.layers import advanced_activations, convolutional, core, embeddings, normalization, recurrent

        return Api(models, core, convolutional, recurrent, embeddings, normalization, advanced_activations, optimizers)
    if era in ("tf", "zipped"):
        import tensorflow as tf
        import tf_keras as keras

        tf.random.set_seed(0)
        k = Api(keras, keras.layers, keras.models, keras.optimizers, keras.losses, keras.metrics)
        k.tf = tf
        return k
    import keras

    return Api(keras.models, keras.layers, keras.optimizers, *([keras.losses, keras.metrics, keras] if era in ("three",) else []))


def inputs_of(rng, given):
    arrays = []
    for one in given:
        if isinstance(one, dict):  # integers below a number
            arrays.append(rng.randint(0, one["below"], size=one["shape"]).astype("int32"))
        else:
            arrays.append(rng.normal(size=one).astype("float32"))
    return arrays


def predict(model, inputs):
    if isinstance(inputs, dict):  # a Graph
        outputs = model.predict(inputs)
        return [np.asarray(outputs[name]) for name in model.output_order]
    outputs = model.predict(inputs if len(inputs) > 1 else inputs[0], batch_size=len(inputs[0]), verbose=0)
    outputs = list(outputs.values()) if isinstance(outputs, dict) else outputs
    return [np.asarray(v) for v in (outputs if isinstance(outputs, (list, tuple)) else [outputs])]


def randomize(rng, model, layers):
    for layer in layers:
        values = layer.get_weights()
        positive = "BatchNorm" in type(layer).__name__ or type(layer).__name__ == "Normalization"
        if positive and len(values) >= 2:
            layer.set_weights([draw(rng, v.shape, like=(i == len(values) - 1)) for i, v in enumerate(values)])
        elif values and not hasattr(layer, "layers"):
            layer.set_weights([draw(rng, v.shape) if v.dtype.kind == "f" else v for v in values])
        elif hasattr(layer, "layers"):
            randomize(rng, layer, layer.layers)


def record(archive, era, function, k):
    name = function.__name__
    rng = np.random.RandomState(zlib.crc32((era + name).encode()) % 2**31)
    np.random.seed(0)
    model, shapes, options = (tuple(function(k)) + ({},))[:3]
    layers = getattr(model, "flattened_layers", None) or getattr(model, "layers", None)
    if isinstance(shapes, dict):
        inputs = {key: rng.normal(size=shape).astype("float32") for key, shape in shapes.items()}
        layers = list(model.nodes.values())
    else:
        inputs = inputs_of(rng, shapes)
    if options.get("randomize", True):
        randomize(rng, model, layers)
    arrays = {}
    train = options.get("train")
    if train:
        targets = [rng.normal(size=y.shape).astype("float32") for y in predict(model, inputs)]
        if options.get("targets"):
            targets = [options["targets"](rng, y) for y in targets]
        one = lambda values: values if len(values) > 1 else values[0]  # noqa: E731
        for _ in range(3):
            model.train_on_batch(one(inputs), one(targets))
        arrays.update(("t%d" % i, t) for i, t in enumerate(targets))
    elif era == "zero":
        model.compile("sgd", options.get("loss", "mse"))
    arrays.update(("y%d" % i, y) for i, y in enumerate(predict(model, inputs)))
    for i, x in enumerate(inputs.values() if isinstance(inputs, dict) else inputs):
        arrays["x%d" % i] = x
    folder = tempfile.mkdtemp()
    end = ".keras" if era == "zipped" else ".h5"
    path = os.path.join(folder, "model" + end)
    kind = options.get("kind", "model") if era != "zipped" else "model"
    if era == "zero" or kind == "weights":
        model.save_weights(path, overwrite=True)
        if era == "zero":
            archive.writestr(name + ".json", model.to_json())
    elif kind == "json":
        archive.writestr(name + ".json", model.to_json())
        model.save_weights(path) if era != "three" else model.save(path, include_optimizer=False)
    elif "file" in options:
        path = options["file"]
    else:
        model.save(path)
    with open(path, "rb") as file:
        archive.writestr(name + end, file.read())
    if train:
        model.train_on_batch(one(inputs), one(targets))
        arrays.update(("z%d" % i, z) for i, z in enumerate(predict(model, inputs)))
    packed = io.BytesIO()
    np.savez(packed, **arrays)
    archive.writestr(name + ".npz", packed.getvalue())
    print(era, name, [v.shape for k_, v in sorted(arrays.items()) if k_[0] == "y"])


UNWRITTEN = ("operations_tf", "weights_only_2", "architecture_2")  # tf-keras cannot write an Ellipsis; the others are no whole models
SAVED = ("nested_2", "recurrent_trained_2", "images_2", "sgd_trained_2", "attention_tf")


def save_folders(folder):
    """SavedModel folders of some models of tf-keras, without the graph in saved_model.pb, which is not read."""
    k = api("tf")
    with zipfile.ZipFile(os.path.join(folder, "legacy_saved.zip"), "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for function in [function for function in CASES["tf"] if function.__name__ in SAVED]:
            rng, name = np.random.RandomState(3), function.__name__
            model, shapes = function(k)[:2]
            inputs = inputs_of(rng, shapes)
            randomize(rng, model, model.layers)
            path = os.path.join(tempfile.mkdtemp(), name)
            model.save(path, save_format="tf")
            for member in ("keras_metadata.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"):
                archive.write(os.path.join(path, member), name + "/" + member)
            archive.writestr(name + "/saved_model.pb", b"")
            packed = io.BytesIO()
            outputs = predict(model, inputs)
            np.savez(packed, **{"x%d" % i: x for i, x in enumerate(inputs)}, **{"y%d" % i: y for i, y in enumerate(outputs)})
            archive.writestr(name + ".npz", packed.getvalue())


def main(era, folder):
    if era == "saved":
        save_folders(folder)
        return
    k = api(era)
    with zipfile.ZipFile(os.path.join(folder, "legacy_%s.zip" % era), "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for function in CASES["tf" if era == "zipped" else era]:
            if era == "zipped" and (function.__name__ in UNWRITTEN or "file" in function(k)[-1]):
                continue
            if era == "three":
                k.clear_session() if hasattr(k, "clear_session") else None
            record(archive, era, function, k)
        archive.writestr("about.json", json.dumps({"era": era, "python": sys.version.split()[0]}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
