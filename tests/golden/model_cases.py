# SPDX-License-Identifier: Apache-2.0
"""The models of the golden runs, written once for both libraries: every function takes api (keras or nyala). Start at MODELS and FITS."""

import numpy as np

from tests.golden.store import generator


def dense(api):
    return api.Sequential([api.Input((5,)), api.layers.Dense(7, activation="tanh"), api.layers.Dense(2)], name="dense_regression")


def convolution(api):
    return api.Sequential(
        [
            api.Input((7, 5, 1)),
            api.layers.Conv2D(3, 3, activation="relu", padding="same"),
            api.layers.MaxPooling2D(2),
            api.layers.BatchNormalization(),
            api.layers.Flatten(),
            api.layers.Dense(3, activation="softmax"),
        ],
        name="small_convnet",
    )


def recurrent(api):
    return api.Sequential(
        [api.Input((7,), dtype="int32"), api.layers.Embedding(13, 5, mask_zero=True), api.layers.LSTM(3), api.layers.Dense(1, activation="sigmoid")],
        name="lstm_classifier",
    )


def branched(api):
    left, right = api.Input((5,), name="left"), api.Input((3,), name="right")
    joined = api.layers.Concatenate(name="joined")([api.layers.Dense(4, activation="relu", name="of_left")(left), right])
    main = api.layers.Dense(2, name="main")(joined)
    extra = api.layers.Dense(1, activation="sigmoid", name="extra")(joined)
    return api.Model([left, right], {"main": main, "extra": extra}, name="branched")


def shared(api):
    x, y = api.Input((7, 3), name="x"), api.Input((5, 3), name="y")
    encoder = api.layers.GRU(5, name="encoder")
    difference = api.layers.Subtract(name="difference")([encoder(x), encoder(y)])
    hidden = api.layers.Dense(5, use_bias=False, name="hidden")(difference)
    hidden = api.layers.LayerNormalization(name="norm")(hidden)
    hidden = api.layers.Dropout(0.3, name="drop")(hidden)
    return api.Model(
        [x, y], api.layers.Dense(2, activation="softmax", name="scores")(api.layers.Add(name="sum")([hidden, difference])), name="shared"
    )


def nested(api):
    inner = api.Sequential([api.Input((5,)), api.layers.Dense(3, activation="relu", name="a"), api.layers.Dense(2, name="b")], name="inner")
    inner.trainable = False
    x = api.Input((5,), name="x")
    return api.Model(x, api.layers.Dense(1, name="head")(inner(x)), name="nested")


def attention(api):
    x = api.Input((None, 5), name="x")
    attended = api.layers.MultiHeadAttention(2, 3, name="heads")(x, x, use_causal_mask=True)
    return api.Model(x, api.layers.GlobalAveragePooling1D(name="pool")(api.layers.Add(name="residual")([x, attended])), name="attention")


def unbuilt(api):
    return api.Sequential([api.layers.Dense(3, name="first"), api.layers.Dense(2, name="second")], name="unbuilt")


MODELS = {model.__name__: model for model in [dense, convolution, recurrent, branched, shared, nested, attention, unbuilt]}
SUMMARIES = {"dense": {}, "convolution": {}, "shared": {}, "branched": {}, "nested": {"expand_nested": True, "show_trainable": True}, "unbuilt": {}}


def random_weights(model, random):
    """Weights that differ from zero and one; variances positive; small enough to train on."""
    return [
        (random.uniform(0.5, 2.0, size=v.shape) if "variance" in v.name else random.normal(scale=0.4, size=v.shape)).astype("float32")
        for v in model.weights
    ]


def regression_data(random, n):
    x = random.normal(size=(n, 5)).astype("float32")
    return x, (np.sin(x[:, :2]) + 0.3 * x[:, 2:4]).astype("float32")


def image_data(random, n):
    return random.normal(size=(n, 7, 5, 1)).astype("float32"), random.integers(0, 3, size=n).astype("int32")


def text_data(random, n):
    x = random.integers(1, 13, size=(n, 7)).astype("int32")
    x[random.uniform(size=x.shape) < 0.2] = 0
    x[:, 0] = np.maximum(x[:, 0], 1)
    return x, (x.sum(1) % 2).astype("float32")[:, None]


def weights_of(random, n):
    return random.uniform(0.2, 2.0, size=n).astype("float32")


# name: model, data, samples, compile arguments, optimizer (name, arguments), extras of fit
FITS = {
    "dense_plain": (dense, regression_data, 23, {"loss": "mse", "metrics": ["mae"]}, ("SGD", {"learning_rate": 0.05, "momentum": 0.9}), ()),
    "dense_sample_weight": (
        dense,
        regression_data,
        23,
        {"loss": "mse", "metrics": ["mae"], "weighted_metrics": ["mse"]},
        ("Adam", {"learning_rate": 0.01}),
        ("sample_weight", "validation_weight"),
    ),
    "dense_regularized": (
        dense,
        regression_data,
        23,
        {"loss": "huber", "metrics": ["mae", "cosine_similarity"]},
        ("RMSprop", {"learning_rate": 0.01}),
        ("validation", "regularized"),
    ),
    "convolution": (
        convolution,
        image_data,
        17,
        {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]},
        ("Adam", {"learning_rate": 0.01}),
        ("class_weight", "validation"),
    ),
    "recurrent": (
        recurrent,
        text_data,
        19,
        {"loss": "binary_crossentropy", "metrics": ["accuracy", "auc"]},
        ("Adam", {"learning_rate": 0.02, "clipnorm": 1.0}),
        ("validation",),
    ),
    "recurrent_split": (
        recurrent,
        text_data,
        19,
        {"loss": "binary_crossentropy", "metrics": ["accuracy"]},
        ("AdamW", {"learning_rate": 0.02}),
        ("validation_split",),
    ),
}
BATCH, EPOCHS = 5, 3


def fit(api, name):
    """Train one model of FITS and return everything that it says, as a tree of arrays and floats."""
    make, data, n, compiled, (optimizer, arguments), extras = FITS[name]
    random = generator(f"fit/{name}")
    model = make(api)
    if "regularized" in extras:
        model = api.Sequential(
            [
                api.Input((5,)),
                api.layers.Dense(7, activation="tanh", kernel_regularizer=api.regularizers.L2(0.02)),
                api.layers.Dense(2, activity_regularizer=api.regularizers.L1(0.03)),
            ]
        )
    (x, y), (x_held, y_held) = data(random, n), data(random, 11)
    start = random_weights(model, random)
    model.set_weights(start)
    metrics = [api.metrics.AUC(num_thresholds=20, name="auc") if metric == "auc" else metric for metric in compiled.get("metrics", [])]
    model.compile(optimizer=getattr(api.optimizers, optimizer)(**arguments), **(compiled | {"metrics": metrics}))
    options, evaluation = {}, {}
    if "sample_weight" in extras:
        options["sample_weight"] = weights_of(random, n)
    if "validation_weight" in extras:
        evaluation["sample_weight"] = weights_of(random, 11)
        options["validation_data"] = (x_held, y_held, evaluation["sample_weight"])
    if "validation" in extras:
        options["validation_data"] = (x_held, y_held)
    if "class_weight" in extras:
        options["class_weight"] = {0: 0.5, 1: 1.0, 2: 2.5}
    if "validation_split" in extras:
        options["validation_split"] = 0.3
    before = model.evaluate(x_held, y_held, batch_size=BATCH, verbose=0, return_dict=True, **evaluation)
    history = model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0, **options)
    after = model.evaluate(x_held, y_held, batch_size=BATCH, verbose=0, return_dict=True, **evaluation)
    return {
        "start": start,
        "before": {k: float(v) for k, v in before.items()},
        "after": {k: float(v) for k, v in after.items()},
        "history": {k: [float(v) for v in values] for k, values in history.history.items()},
        "epochs": list(history.epoch),
        "prediction": np.asarray(model.predict(x_held, batch_size=BATCH, verbose=0)),
        "train_on_batch": [float(v) for v in model.train_on_batch(x[:BATCH], y[:BATCH])],
        "test_on_batch": [float(v) for v in model.test_on_batch(x[:BATCH], y[:BATCH])],
        "weights": [np.asarray(w) for w in model.get_weights()],
        "iterations": int(model.optimizer.iterations),
    }
