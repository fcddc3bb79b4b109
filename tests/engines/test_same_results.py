# SPDX-License-Identifier: Apache-2.0
"""One seed, ten models, every engine that trains: the same first weights and shuffles to the bit, the same losses over 30 steps, and models that
begin on one engine and go on on another.

The first engine of the list is the one that the others are compared with; the header of the run and the names of the tests say which there are.
"""

import functools

import numpy as np
import pytest

import nyala
from nyala import layers, ops
from nyala.engines import available_engines, get_engine
from tests.usual import every_engine

TRAIN = [engine.name for engine in every_engine() if engine.differentiable]
FIRST, OTHERS = TRAIN[0], TRAIN[1:]
ROWS, BATCH, EPOCHS = 35, 7, 6  # 30 steps
TOLERANCE = 1e-4


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def labels(size, *shape, seed=0):
    return np.random.default_rng(seed).integers(0, size, shape).astype("int32")


def dense():
    model = nyala.Sequential([layers.Dense(7, activation="gelu", kernel_regularizer="l2"), layers.Dense(3, activation="softmax")])
    return model, numbers(ROWS, 5), labels(3, ROWS), "sparse_categorical_crossentropy", "adam"


def convolutional():
    first = layers.Conv2D(4, 3, padding="same", activation="relu")
    model = nyala.Sequential(
        [nyala.Input((7, 5, 2)), first, layers.MaxPooling2D(2), layers.Conv2D(3, 2, strides=2), layers.Flatten(), layers.Dense(2)]
    )
    return model, numbers(ROWS, 7, 5, 2), numbers(ROWS, 2, seed=1), "mse", "sgd"


def separable():
    model = nyala.Sequential(
        [
            nyala.Input((11, 4)),
            layers.SeparableConv1D(6, 3, padding="causal", activation="swish"),
            layers.Conv1D(6, 3, dilation_rate=2, groups=2),
            layers.AveragePooling1D(2),
            layers.Conv1DTranspose(3, 2),
            layers.GlobalMaxPooling1D(),
        ]
    )
    return model, numbers(ROWS, 11, 4), numbers(ROWS, 3, seed=1), "huber", nyala.optimizers.RMSprop(0.003)


def lstm():
    model = nyala.Sequential([layers.Embedding(11, 5, mask_zero=True), layers.Bidirectional(layers.LSTM(3)), layers.Dense(1, activation="sigmoid")])
    return model, labels(11, ROWS, 6), labels(2, ROWS, 1, seed=3), "binary_crossentropy", "adam"


def gru():
    model = nyala.Sequential([nyala.Input((6, 3)), layers.GRU(4, return_sequences=True), layers.SimpleRNN(3), layers.Dense(2)])
    return model, numbers(ROWS, 6, 3), numbers(ROWS, 2, seed=1), "mae", nyala.optimizers.SGD(0.05, momentum=0.9, nesterov=True)


def attention():
    inputs = nyala.Input((5, 8))
    x = layers.LayerNormalization()(inputs + layers.MultiHeadAttention(2, 4)(inputs, inputs, use_causal_mask=True))
    model = nyala.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling1D()(x + layers.Dense(8, activation="relu")(x))))
    loss = nyala.losses.SparseCategoricalCrossentropy(from_logits=True)
    return model, numbers(ROWS, 5, 8), labels(3, ROWS), loss, nyala.optimizers.AdamW(0.003, weight_decay=0.01)


def normalized():
    parts = [layers.Dense(8), layers.BatchNormalization(), layers.PReLU(), layers.Dropout(0.3), layers.Dense(8), layers.GroupNormalization(2)]
    model = nyala.Sequential([nyala.Input((6,)), *parts, layers.GaussianNoise(0.1), layers.UnitNormalization(), layers.Dense(2)])
    return model, numbers(ROWS, 6), numbers(ROWS, 2, seed=1), "mse", nyala.optimizers.Adagrad(0.05)


def outputs():
    inputs = nyala.Input((5,))
    x = layers.Dense(6, activation="tanh")(inputs)
    model = nyala.Model(inputs, {"kind": layers.Dense(3, activation="softmax")(x), "size": layers.Dense(1)(x)})
    loss = {"kind": "categorical_crossentropy", "size": "log_cosh"}
    return model, numbers(ROWS, 5), {"kind": np.eye(3, dtype="float32")[labels(3, ROWS)], "size": numbers(ROWS, 1, seed=2)}, loss, "nadam"


class Reconstruction(nyala.Model):
    """A train_step of its own, with two terms of a loss and a metric."""

    def __init__(self):
        super().__init__()
        self.code, self.back = layers.Dense(3, activation="tanh"), layers.Dense(6)
        self.tracker = nyala.metrics.Mean(name="loss")

    def call(self, x):
        return self.back(self.code(x))

    @property
    def metrics(self):
        return [self.tracker]

    def train_step(self, data):
        x, y = data

        def loss():
            return ops.mean(ops.square(self(x) - y)) + 0.01 * ops.mean(ops.abs(self.code(x))), None

        (value, _), gradients = nyala.value_and_grad(loss, self.trainable_variables)()
        self.optimizer.apply(gradients, self.trainable_variables)
        self.tracker.reset_state()
        self.tracker.update_state(value)
        return {"loss": self.tracker.result()}


def custom():
    x = numbers(ROWS, 6)
    return Reconstruction(), x, x, None, "adam"


def mixed():
    inputs = nyala.Input((4, 4, 3))
    x = layers.ZeroPadding2D(1)(layers.RandomFlip(seed=3)(inputs))
    x = ops.maximum(layers.DepthwiseConv2D(3, depth_multiplier=2)(x), 0.1)
    x = layers.Concatenate()([layers.UpSampling2D(2)(layers.AveragePooling2D(2)(x)), inputs])
    model = nyala.Model(inputs, layers.Dense(2)(ops.max(x, axis=(1, 2))))
    return model, numbers(ROWS, 4, 4, 3), numbers(ROWS, 2, seed=1), "mse", nyala.optimizers.Lion(0.001)


MODELS = [dense, convolutional, separable, lstm, gru, attention, normalized, outputs, custom, mixed]


def train(make, *engines):
    """First weights, and the losses of 30 steps, the same number on each of these engines; each epoch has a shuffle of its own."""
    losses = []
    note = nyala.callbacks.LambdaCallback(on_train_batch_end=lambda i, logs: losses.append(logs["loss"]))
    with nyala.backend(engines[0]):
        nyala.utils.set_random_seed(7)
        model, x, y, loss, optimizer = make()
        model.compile(optimizer, loss)
        model.predict(x[:1], verbose=0)
        start = model.get_weights()
    for i, name in enumerate(engines):
        with nyala.backend(name):
            first, last = (EPOCHS * part // len(engines) for part in (i, i + 1))
            model.fit(x, y, batch_size=BATCH, initial_epoch=first, epochs=last, verbose=0, callbacks=[note])
    return start, np.array(losses)


alone = functools.cache(lambda make: train(make, FIRST))  # the losses that all others are compared with


def test_which_engines_are_compared(record_property):
    """The list is in the report of the run; an engine whose library is missing is named, and so is what it lacks."""
    missing = {}
    for name in available_engines():
        try:
            get_engine(name)
        except ImportError as error:
            missing[name] = str(error).splitlines()[0]
    record_property("engines", ", ".join(TRAIN))
    print(f"\ncompared: {', '.join(TRAIN)}; missing: {missing or 'none'}")
    assert all("needs the package" in text for text in missing.values())
    assert TRAIN, "no engine here can train"


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("make", MODELS)
def test_equal_losses_and_first_weights(make, other):
    start, losses = alone(make)
    other_start, other_losses = train(make, other)
    assert len(losses) == len(other_losses) == 30 and np.mean(losses[-5:]) < np.mean(losses[:5])
    for weight, other_weight in zip(start, other_start, strict=True):
        np.testing.assert_array_equal(weight, other_weight)
    np.testing.assert_allclose(other_losses, losses, rtol=TOLERANCE, atol=TOLERANCE / 10)


@pytest.mark.skipif(not OTHERS, reason="needs two engines that train")
@pytest.mark.parametrize("make", [normalized])
def test_a_model_goes_on_where_another_engine_left_it(make):
    """A third of the steps on each engine in turn, and the other way round: dropout, averages and the optimizer go along."""
    _, losses = train(make, FIRST, FIRST, FIRST)
    for name in OTHERS:
        for order in ((FIRST, name, FIRST), (name, FIRST, name)):
            np.testing.assert_allclose(train(make, *order)[1], losses, rtol=TOLERANCE, atol=TOLERANCE / 10, err_msg=" -> ".join(order))


class Noting(nyala.Model):
    """Learns nothing, and keeps what it was shown."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def call(self, x):
        return x

    def train_step(self, data):
        self.seen.append(ops.convert_to_numpy(data[0]))
        return {"loss": 0.0}


def test_shuffles_are_equal():
    orders = {}
    for name in TRAIN:
        with nyala.backend(name):
            nyala.utils.set_random_seed(3)
            model = Noting()
            model.compile("sgd", "mse", run_eagerly=True)
            model.fit(np.arange(11, dtype="float32")[:, None], np.zeros((11, 1), "float32"), batch_size=4, epochs=2, verbose=0)
            orders[name] = np.concatenate(model.seen).ravel()
    assert sorted(orders[FIRST][:11]) == list(range(11)) and list(orders[FIRST][:11]) != list(range(11))
    for name in OTHERS:
        np.testing.assert_array_equal(orders[name], orders[FIRST])
