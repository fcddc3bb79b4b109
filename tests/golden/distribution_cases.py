# SPDX-License-Identifier: Apache-2.0
"""What Keras and Nyala are asked about several devices: maps of layouts, and trainings on eight devices of a CPU. Imports neither."""

import numpy as np

from tests.golden.store import generator

MAPS = {
    "expressions match whole paths": [".*dense.*kernel", "dense.*bias", "kernel", ".*conv"],
    "a path itself wins": [".*bias", "out/bias"],
    "two expressions": [".*kernel", "dense.*"],
    "special signs": ["[ab]/kernel", r"layer_\d+/bias", "(x|y)/gamma"],
}
PATHS = ["dense/kernel", "model/dense_1/kernel", "dense/bias", "model/dense/bias", "out/bias", "kernel", "conv", "a/conv", "a/kernel", "c/kernel",
         "layer_12/bias", "layer_/bias", "y/gamma", "model/dense/output"]  # fmt: skip

DATA, MODEL = "data", "model"
LAYOUTS = {".*dense.*kernel": (None, MODEL), ".*dense.*bias": (MODEL,), ".*conv.*kernel": (None, None, None, MODEL), ".*dense/output": (DATA, MODEL)}
OPTIMIZERS = ["sgd", "adam"]


def dense_network(api):
    layers = api.layers
    return api.Sequential(
        [
            api.Input((12,)),
            layers.Dense(16, activation="relu", name="dense"),
            layers.BatchNormalization(name="norm"),
            layers.Dense(8, name="dense_out"),
        ],
        name="network",
    )


def image_network(api):
    layers = api.layers
    return api.Sequential(
        [
            api.Input((9, 7, 3)),
            layers.Conv2D(8, 3, activation="tanh", name="conv"),
            layers.MaxPooling2D(2, name="pool"),
            layers.Flatten(name="flat"),
            layers.Dense(4, name="dense"),
        ],
        name="images",
    )


def sequence_network(api):
    layers = api.layers
    inputs = api.Input((5, 6), name="steps")
    x = layers.LSTM(8, return_sequences=True, name="lstm")(inputs)
    x = layers.MultiHeadAttention(2, 4, name="attention")(x, x)
    x = layers.LayerNormalization(name="norm")(x)
    return api.Model(inputs, layers.Dense(4, name="dense")(layers.GlobalAveragePooling1D(name="mean")(x)), name="sequences")


NETWORKS = {"dense": dense_network, "images": image_network, "sequences": sequence_network}


def numbers(name, model):
    """Weights, inputs and targets of a training: 24 samples, three batches of 8."""
    random = generator(f"distribution {name}")
    weights = [random.normal(size=w.shape).astype("float32") * 0.3 + (1.0 if "variance" in w.path else 0.0) for w in model.weights]
    weights = [np.abs(w) if "variance" in v.path else w for v, w in zip(model.weights, weights, strict=True)]
    x = random.normal(size=(24, *model.input_shape[1:])).astype("float32")
    return weights, x, random.normal(size=(24, *model.output_shape[1:])).astype("float32")


def strategies(api):
    """The distributions by name: eight devices in a row, and two rows of four."""
    found = api.distribution
    mesh = found.DeviceMesh((2, 4), [DATA, MODEL])
    layouts = found.LayoutMap(mesh)
    for path, axes in LAYOUTS.items():
        layouts[path] = axes
    return {"data": found.DataParallel(), "model": found.ModelParallel(layout_map=layouts, batch_dim_name=DATA)}


def trained(api, network, optimizer, strategy):
    """Losses of three epochs, predictions, weights, and the layouts of weights and of slots."""
    api.distribution.set_distribution(strategy)
    try:
        model = NETWORKS[network](api)
        weights, x, y = numbers(network, model)
        model.set_weights(weights)
        model.compile(optimizer, "mse")
        losses = model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0).history["loss"]
        layouts = {w.path: axes_of(w) for w in [*model.weights, *model.optimizer.variables] if w.shape}
        return {
            "losses": [float(loss) for loss in losses],
            "predictions": np.asarray(model.predict(x, batch_size=8, verbose=0)),
            "weights": [np.asarray(w) for w in model.get_weights()],
            "layouts": layouts,
        }
    finally:
        api.distribution.set_distribution(None)


def axes_of(variable):
    layout = variable.layout if hasattr(variable, "layout") else variable._layout
    return None if layout is None else list(layout.axes)
