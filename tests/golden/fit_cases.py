# SPDX-License-Identifier: Apache-2.0
"""Whole trainings of models with several outputs, weights per step and pixel, losses that layers add, schedules and averages: written once
for both libraries, every function takes api (keras or nyala). Start at FITS; train runs one. Simpler ones are in model_cases.py.
"""

import numpy as np

from tests.golden.model_cases import random_weights
from tests.golden.store import generator, leaves

BATCH, EPOCHS = 5, 3


def normal(random, *shape):
    return random.normal(size=shape).astype("float32")


def positive(random, *shape):
    return random.uniform(0.2, 2.0, size=shape).astype("float32")


def heads_by_name(api, random, n):
    """Outputs of two shapes in a dict whose keys are not written in order; losses, factors, metrics and weights by name."""
    left, right = api.Input((5,), name="left"), api.Input((3,), name="right")
    joined = api.layers.Concatenate()([api.layers.Dense(4, activation="relu")(left), right])
    outputs = {"size": api.layers.Dense(2, name="size")(joined), "kind": api.layers.Dense(3, activation="softmax", name="kind")(joined)}
    model = api.Model({"right": right, "left": left}, outputs)
    x, y = {"left": normal(random, n, 5), "right": normal(random, n, 3)}, {"size": normal(random, n, 2), "kind": random.integers(0, 3, n)}
    compiled = {
        "optimizer": api.optimizers.Adam(0.02),
        "loss": {"size": "huber", "kind": "sparse_categorical_crossentropy"},
        "loss_weights": {"size": 0.3, "kind": 1.7},
        "metrics": {"size": ["mae"], "kind": ["accuracy"]},
    }
    return model, x, y, {"size": positive(random, n), "kind": positive(random, n)}, compiled, {}


def heads_in_a_list(api, random, n):
    """Outputs of two ranks in a list."""
    x = api.Input((7, 3))
    steps = api.layers.GRU(4, return_sequences=True, name="gru")(x)
    outputs = [
        api.layers.Dense(2, name="each")(steps),
        api.layers.Dense(1, activation="sigmoid", name="last")(api.layers.GlobalMaxPooling1D()(steps)),
    ]
    compiled = {
        "optimizer": api.optimizers.RMSprop(0.01),
        "loss": ["mse", "binary_crossentropy"],
        "metrics": [["mae"], ["accuracy"]],
        "weighted_metrics": [[], ["mse"]],
    }
    y = [normal(random, n, 7, 2), random.integers(0, 2, (n, 1)).astype("float32")]
    return api.Model(x, outputs), normal(random, n, 7, 3), y, [positive(random, n, 7), positive(random, n)], compiled, {}


def weights_of_steps(api, random, n):
    """Tags of words, masked, with a weight for each step."""
    words = api.Input((7,), dtype="int32")
    states = api.layers.Bidirectional(api.layers.LSTM(3, return_sequences=True))(api.layers.Embedding(11, 5, mask_zero=True)(words))
    model = api.Model(words, api.layers.Dense(4, activation="softmax")(states))
    x = random.integers(1, 11, (n, 7)).astype("int32")
    x[:, 5:][random.uniform(size=(n, 2)) < 0.5] = 0
    compiled = {"optimizer": api.optimizers.Adam(0.02, clipnorm=0.5), "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
    return model, x, random.integers(0, 4, (n, 7)), positive(random, n, 7), compiled | {"weighted_metrics": ["sparse_categorical_accuracy"]}, {}


def weights_of_pixels(api, random, n):
    """A class for each pixel, with a weight for each."""
    x = api.Input((5, 7, 2))
    hidden = api.layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    hidden = api.layers.UpSampling2D(2)(api.layers.MaxPooling2D(2, padding="same")(hidden))
    cut = api.layers.Cropping2D(((0, 1), (0, 1)))(hidden)
    model = api.Model(x, api.layers.Conv2D(3, 1, activation="softmax")(api.layers.Concatenate()([cut, x])))
    compiled = {"optimizer": api.optimizers.SGD(0.1, momentum=0.9, nesterov=True), "loss": "sparse_categorical_crossentropy"}
    return model, normal(random, n, 5, 7, 2), random.integers(0, 3, (n, 5, 7)), positive(random, n, 5, 7), compiled, {}


def transformer(api, random, n):
    """Attention and normalization under a schedule that ends within the run."""
    x = api.Input((7, 6))
    hidden = api.layers.LayerNormalization()(api.layers.Add()([x, api.layers.MultiHeadAttention(2, 3)(x, x)]))
    hidden = api.layers.Add()([hidden, api.layers.Dense(6)(api.layers.Dense(8, activation="gelu")(hidden))])
    model = api.Model(x, api.layers.Dense(1)(api.layers.GlobalAveragePooling1D()(hidden)))
    rate = api.optimizers.schedules.CosineDecay(0.003, 8, alpha=0.1, warmup_target=0.02, warmup_steps=3)
    compiled = {"optimizer": api.optimizers.AdamW(rate, weight_decay=0.02), "loss": "mse", "metrics": ["mae", "mse"]}
    return model, normal(random, n, 7, 6), normal(random, n, 1), None, compiled, {}


def separable(api, random, n):
    """Depthwise convolution with class weights; the last samples are for validation."""
    layers = [
        api.Input((6, 5, 2)),
        api.layers.SeparableConv2D(4, 3, padding="same", use_bias=False),
        api.layers.BatchNormalization(momentum=0.8),
        api.layers.LeakyReLU(),
        api.layers.GlobalAveragePooling2D(),
        api.layers.Dense(1, activation="sigmoid"),
    ]
    compiled = {"optimizer": api.optimizers.Nadam(0.01), "loss": "binary_crossentropy", "metrics": ["accuracy", "AUC"]}
    options = {"class_weight": {0: 0.4, 1: 2.5}, "validation_split": 0.3}
    return api.Sequential(layers), normal(random, n, 6, 5, 2), random.integers(0, 2, (n, 1)).astype("float32"), None, compiled, options


def added_losses(api, random, n):
    """Losses of a layer, of weights and of activities, beside frozen weights."""

    class Penalty(api.layers.Layer):
        def call(self, x):
            self.add_loss(0.05 * api.ops.mean(api.ops.square(x)))
            return x

    inner = api.Sequential([api.Input((5,)), api.layers.Dense(4, activation="tanh"), api.layers.Dense(3)])
    inner.trainable = False
    x = api.Input((5,))
    hidden = api.layers.Dense(3, kernel_regularizer=api.regularizers.L1L2(0.01, 0.02), activity_regularizer=api.regularizers.L2(0.03))(inner(x))
    model = api.Model(x, api.layers.Dense(2)(api.layers.ActivityRegularization(l1=0.02)(Penalty()(hidden))))
    compiled = {"optimizer": api.optimizers.Adamax(0.02), "loss": "log_cosh", "metrics": ["mae"]}
    return model, normal(random, n, 5), normal(random, n, 2), positive(random, n), compiled, {}


def averaged(api, random, n):
    """Averages of the weights, accumulated gradients, steps joined, validation in some epochs."""
    layers = [
        api.Input((7, 3)),
        api.layers.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="elu"),
        api.layers.GlobalMaxPooling1D(),
        api.layers.Dense(3, activation="softmax"),
    ]
    optimizer = api.optimizers.Lion(0.003, use_ema=True, ema_momentum=0.8, gradient_accumulation_steps=2, global_clipnorm=1.0)
    compiled = {"optimizer": optimizer, "loss": "categorical_crossentropy", "metrics": ["categorical_accuracy"], "steps_per_execution": 2}
    y = np.eye(3, dtype="float32")[random.integers(0, 3, n)]
    return api.Sequential(layers), normal(random, n, 7, 3), y, None, compiled, {"validation_freq": 2}


FITS = {
    case.__name__: case
    for case in [heads_by_name, heads_in_a_list, weights_of_steps, weights_of_pixels, transformer, separable, added_losses, averaged]
}


def rows(tree, start, stop):
    """The same rows of every array of a dict or list."""
    if tree is None:
        return None
    if isinstance(tree, dict):
        return {key: rows(value, start, stop) for key, value in tree.items()}
    return [rows(value, start, stop) for value in tree] if isinstance(tree, list) else tree[start:stop]


def sorted_by_name(tree):
    return dict(sorted(tree.items())) if isinstance(tree, dict) else tree


def train(api, name):
    """Train one model and return everything that it says, as a tree of arrays and floats."""
    n, held = 23, 9
    random = generator(f"fits/{name}")
    model, x, y, weight, compiled, options = FITS[name](api, random, n + held)
    start = random_weights(model, generator(f"fits/{name}/weights"))
    model.set_weights(start)
    model.compile(**compiled)
    (x, x_held), (y, y_held), (weight, weight_held) = ((rows(part, 0, n), rows(part, n, n + held)) for part in (x, y, weight))
    evaluation = {} if weight is None else {"sample_weight": weight_held}
    if "validation_split" not in options:
        options = options | {"validation_data": (x_held, y_held, *evaluation.values())}
    before = model.evaluate(x_held, y_held, batch_size=BATCH, verbose=0, return_dict=True, **evaluation)
    history = model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, sample_weight=weight, shuffle=False, verbose=0, **options)
    after = model.evaluate(x_held, y_held, batch_size=BATCH, verbose=0, return_dict=True, **evaluation)
    predicted = model.predict(x_held, batch_size=BATCH, verbose=0)
    return {
        "before": {k: float(v) for k, v in sorted(before.items())},
        "after": {k: float(v) for k, v in sorted(after.items())},
        "history": {k: [float(v) for v in values] for k, values in sorted(history.history.items())},
        "prediction": [np.asarray(p) for p in leaves(sorted_by_name(predicted))],
        "weights": [np.asarray(w) for w in model.get_weights()],
    }
