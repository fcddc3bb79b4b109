# SPDX-License-Identifier: Apache-2.0
"""Whether Keras opens the .h5 files that Nyala writes: equal outputs, the same words of compile, the same state of the optimizer.

    python tools/check_hdf5_with_keras.py write FOLDER        with Nyala: models, a batch, what they answer
    python tools/check_hdf5_with_keras.py check FOLDER        with Keras 3.15.1: opens each and compares

Run from the root of the repository, each half in its own environment. The next step is not compared: Keras 3.15.1 on JAX does not build the optimizer
of a model from any .h5 file, its own included, and then refuses to train it; so the state is compared as it lies in the file.
"""

# ruff: noqa: S101

import os
import pathlib
import sys

import numpy as np


def models(k):
    """Models, inputs and targets, by name; k is Nyala."""
    layers, rng = k.layers, np.random.default_rng(0)

    def draw(*shape):
        return rng.normal(size=shape).astype("float32")

    x = k.Input((6, 3))
    y = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(x)
    y = layers.TimeDistributed(layers.Dense(5, activation="relu"))(y)
    y = layers.Conv1D(4, 2, padding="causal", kernel_regularizer="l2")(y)
    y, state = layers.GRU(4, return_sequences=True, return_state=True)(y)
    y = layers.MultiHeadAttention(2, 3)(y, y)
    y = layers.GRU(4)(y, initial_state=[state])
    model = k.Model(x, layers.Dense(2)(layers.LayerNormalization()(y)))
    model.compile(k.optimizers.Adam(0.01, amsgrad=True), k.losses.Huber(), metrics=["mae", k.metrics.MeanSquaredError()])
    yield "recurrent", model, [draw(5, 6, 3)], [draw(5, 2)]

    model = k.Sequential(
        [
            k.Input((9, 8, 3)),
            layers.Conv2D(4, 3, activation="relu", padding="same"),
            layers.BatchNormalization(),
            layers.DepthwiseConv2D(2),
            layers.SeparableConv2D(3, 2),
            layers.Conv2DTranspose(2, 3, strides=2),
            layers.MaxPooling2D(),
            layers.LeakyReLU(0.2),
            layers.PReLU(),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(k.optimizers.SGD(0.05, momentum=0.9, nesterov=True), "categorical_crossentropy", metrics=["accuracy"])
    yield "images", model, [draw(4, 9, 8, 3)], [np.eye(3, dtype="float32")[[0, 1, 2, 1]]]

    inner = k.Sequential([k.Input((3,)), layers.Dense(4), layers.BatchNormalization(), layers.Dense(3, activation="tanh")], name="inner")
    inner.layers[0].trainable = False
    a, b = k.Input((3,), name="a"), k.Input((3,), name="b")
    z = layers.Concatenate()([inner(a), inner(b), layers.Dense(2)(b)])
    model = k.Model([a, b], [layers.Dense(2, name="first")(z), layers.Dense(1, name="second")(z)])
    model.compile(k.optimizers.RMSprop(0.01, rho=0.8), {"first": "mse", "second": "mae"}, loss_weights={"first": 0.5, "second": 2.0})
    yield "nested", model, [draw(6, 3), draw(6, 3)], [draw(6, 2), draw(6, 1)]

    model = k.Sequential([k.Input((6,)), layers.Embedding(12, 5, mask_zero=True), layers.LSTM(4, dropout=0.0), layers.Dense(1)])
    model.compile(k.optimizers.AdamW(k.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)), "mse")
    yield "words", model, [rng.integers(0, 12, (5, 6)).astype("int32")], [draw(5, 1)]

    x = k.Input((4, 3))
    y = k.ops.relu(x * 2.0 - 0.5) + k.ops.mean(x, axis=1, keepdims=True)
    yield "operations", k.Model(x, layers.Dense(2)(layers.Flatten()(y[:, 1:]))), [draw(3, 4, 3)], []

    wide = [k.Input((2,))] + [layers.Dense(2, name=f"a_layer_with_a_very_long_name_{'x' * 600}_{i}") for i in range(120)]
    yield "many", k.Sequential(wide), [draw(3, 2)], []


def one(values):
    return values if len(values) > 1 else values[0]


def answers(model, inputs):
    outputs = model.predict(one(inputs), verbose=0)
    return [np.asarray(y) for y in (outputs if isinstance(outputs, (list, tuple)) else [outputs])]


def write(folder):
    import nyala
    import nyala.files.legacy_hdf5

    for name, model, inputs, targets in models(nyala):
        arrays = {f"x{i}": x for i, x in enumerate(inputs)} | {f"t{i}": t for i, t in enumerate(targets)}
        if targets:
            for _ in range(3):
                model.train_on_batch(one(inputs), one(targets))
        arrays |= {f"y{i}": y for i, y in enumerate(answers(model, inputs))}
        nyala.files.legacy_hdf5.save_model_hdf5(model, folder / f"{name}.h5")
        if targets:
            arrays |= {f"o{i}": v.numpy() for i, v in enumerate(model.optimizer.variables)}
        np.savez(folder / f"{name}.npz", **arrays)
        print("wrote", name)


def state(path, model):
    """What the file holds of the optimizer, in the order of the variables that Keras makes for it."""
    import h5py

    optimizer = type(model.optimizer).from_config(model.optimizer.get_config())
    optimizer.build(model.trainable_variables)
    with h5py.File(path) as file:
        arrays = [file["optimizer_weights"][name][()] for name in _names(path)]
    names = [variable.path.rpartition("/")[2] for variable in optimizer.variables]
    stored = [name.rpartition("/")[2] for name in _names(path)]
    assert len(names) == len(stored) and all(b.endswith(a) for a, b in zip(names, stored, strict=True)), (names, stored)
    assert [array.shape for array in arrays] == [tuple(variable.shape) for variable in optimizer.variables]
    return arrays


def _names(path):
    import h5py

    with h5py.File(path) as file:
        return [name.decode() if isinstance(name, bytes) else name for name in file["optimizer_weights"].attrs["weight_names"]]


def check(folder):
    os.environ.setdefault("KERAS_BACKEND", "jax")
    import keras

    failed = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as arrays:
            stored = {kind: [arrays[f"{kind}{i}"] for i in range(99) if f"{kind}{i}" in arrays.files] for kind in "xtyo"}
        try:
            model = keras.models.load_model(path.with_suffix(".h5"))
            errors = [float(abs(a - b).max()) for a, b in zip(answers(model, stored["x"]), stored["y"], strict=True)]
            if stored["t"]:
                assert model.compiled and model.loss is not None
                errors += [float(abs(a - b).max()) for a, b in zip(state(path.with_suffix(".h5"), model), stored["o"], strict=True)]
            print(path.stem, "worst difference", max(errors))
            failed += [path.stem] if max(errors) > 1e-6 else []
        except Exception as error:
            print(path.stem, f"{type(error).__name__}: {error}")
            failed.append(path.stem)
    print("failed:", ", ".join(failed) or "none")
    return len(failed)


if __name__ == "__main__":
    target = pathlib.Path(sys.argv[2])
    sys.exit({"write": write, "check": check}[sys.argv[1]](target))
