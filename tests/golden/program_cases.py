# SPDX-License-Identifier: Apache-2.0
"""Trainings and calculations in the words of Keras 1, 2 and tf.keras: functions of `put`, which gives a layer its weights in the order of today.

make_programs.py runs them with the Keras of the time (Python 3.7 there), tests/legacy/test_programs_golden.py with Nyala in its place.
"""

import numpy as np


def draws(seed):
    return np.random.RandomState(seed)


def near(rng, *shape):
    return rng.normal(scale=0.3, size=shape).astype("float32")


def trained(model, x, y, put_fit, **arguments):
    history = model.fit(x, y, batch_size=8, shuffle=False, verbose=0, **{put_fit: 3}, **arguments)
    last = model.evaluate(x, y, verbose=0)
    return {"losses": history.history["loss"], "last": last, "outputs": model.predict(x)}


# Keras 1 ----------------------------------------------------------------------------------------------------------------------------


def one_mlp(put):
    from keras.layers.core import Activation, Dense
    from keras.models import Sequential
    from keras.optimizers import SGD
    from keras.regularizers import l2
    from keras.utils import np_utils

    rng = draws(1)
    x, y = near(rng, 32, 6), np_utils.to_categorical(rng.randint(0, 3, 32), 3)
    model = Sequential()
    model.add(Dense(output_dim=7, input_dim=6, init="uniform", W_regularizer=l2(0.01)))
    model.add(Activation("tanh"))
    model.add(Dense(3, init="normal", b_regularizer=l2(0.1)))
    model.add(Activation("softmax"))
    put(model.layers[0], near(rng, 6, 7), near(rng, 7))
    put(model.layers[2], near(rng, 7, 3), near(rng, 3))
    model.compile(loss="categorical_crossentropy", optimizer=SGD(lr=0.1, decay=0.01, momentum=0.9, nesterov=True), metrics=["accuracy"])
    return trained(model, x, y, "nb_epoch", validation_split=0.25)


def one_cnn(put):
    from keras.layers import Activation, Convolution2D, Dense, Flatten, MaxPooling2D, ZeroPadding2D
    from keras.layers.advanced_activations import LeakyReLU
    from keras.models import Sequential

    rng = draws(2)
    x, y = near(rng, 24, 9, 8, 2), near(rng, 24, 2)
    model = Sequential()
    model.add(Convolution2D(4, 3, 3, border_mode="same", input_shape=(9, 8, 2), dim_ordering="tf"))
    model.add(Activation("relu"))
    model.add(MaxPooling2D(pool_size=(2, 2), dim_ordering="tf"))
    model.add(ZeroPadding2D((1, 1), dim_ordering="tf"))
    model.add(Convolution2D(3, 2, 3, border_mode="valid", subsample=(2, 1), dim_ordering="tf"))
    model.add(LeakyReLU(alpha=0.2))
    model.add(Flatten())
    model.add(Dense(2))
    put(model.layers[0], near(rng, 3, 3, 2, 4), near(rng, 4))
    put(model.layers[4], near(rng, 2, 3, 4, 3), near(rng, 3))
    put(model.layers[7], near(rng, model.layers[7].input_shape[1], 2), near(rng, 2))
    model.compile(loss="mse", optimizer="adam")
    return trained(model, x, y, "nb_epoch")


def one_lstm(put):
    from keras.layers import LSTM, Dense, Embedding
    from keras.models import Sequential
    from keras.optimizers import Adam

    rng = draws(3)
    x, y = rng.randint(0, 11, (24, 5)), (rng.uniform(size=(24, 1)) > 0.5).astype("float32")
    model = Sequential()
    model.add(Embedding(11, 4, input_length=5, init="uniform"))
    model.add(LSTM(output_dim=6, return_sequences=True, consume_less="mem"))
    model.add(LSTM(5, inner_activation="hard_sigmoid", forget_bias_init="one"))
    model.add(Dense(1, activation="sigmoid"))
    put(model.layers[0], near(rng, 11, 4))
    put(model.layers[1], near(rng, 4, 24), near(rng, 6, 24), near(rng, 24))
    put(model.layers[2], near(rng, 6, 20), near(rng, 5, 20), near(rng, 20))
    put(model.layers[3], near(rng, 5, 1), near(rng, 1))
    model.compile(loss="binary_crossentropy", optimizer=Adam(lr=0.01, beta_1=0.8), metrics=["accuracy"])
    return trained(model, x, y, "nb_epoch")


def one_merged(put):
    from keras.layers import GRU, Dense, Input, MaxoutDense, merge
    from keras.models import Model
    from keras.optimizers import Adamax

    rng = draws(4)
    x, y = [near(rng, 16, 5, 3), near(rng, 16, 4)], near(rng, 16, 2)
    a, b = Input(shape=(5, 3)), Input(shape=(4,))
    gru = GRU(output_dim=4, inner_init="orthogonal")
    maxout = MaxoutDense(output_dim=4, nb_feature=2, input_dim=4)
    dense = Dense(2, activation="linear")
    left, right = gru(a), maxout(b)
    both = [merge([left, right], mode=mode) for mode in ("sum", "mul", "ave", "max")]
    cosine = merge([left, right], mode="dot", dot_axes=1)
    out = dense(merge([*both, cosine], mode="concat", concat_axis=-1))
    model = Model(input=[a, b], output=out)
    put(gru, near(rng, 3, 12), near(rng, 4, 12), near(rng, 12))
    put(maxout, near(rng, 2, 4, 4), near(rng, 2, 4))
    put(dense, near(rng, 17, 2), near(rng, 2))
    model.compile(optimizer=Adamax(lr=0.01), loss="mean_squared_error")
    return trained(model, x, y, "nb_epoch")


def one_own_layer(put):
    from keras import backend as K
    from keras.engine.topology import Layer
    from keras.layers import BatchNormalization, Dense
    from keras.models import Sequential

    class Squares(Layer):
        def build(self, input_shape):
            self.W = K.variable(np.full((input_shape[1],), 0.5, "float32"))
            self.trainable_weights = [self.W]

        def call(self, x, mask=None):
            return K.square(x) * self.W + K.sum(x, axis=-1, keepdims=True)

        def get_output_shape_for(self, input_shape):
            return input_shape

    def loss(y_true, y_pred):
        return K.mean(K.abs(y_true - y_pred) + K.square(y_true - y_pred), axis=-1)

    rng = draws(5)
    x, y = near(rng, 16, 4), near(rng, 16, 3)
    model = Sequential()
    model.add(Squares(input_shape=(4,)))
    model.add(BatchNormalization(mode=0, axis=-1, momentum=0.9))
    model.add(Dense(3, bias=False))
    put(model.layers[2], near(rng, 4, 3))
    model.compile(optimizer="sgd", loss=loss)
    return trained(model, x, y, "nb_epoch")


# Keras 2.2.4 ------------------------------------------------------------------------------------------------------------------------


def two_mlp(put):
    from keras.layers import Dense, LeakyReLU
    from keras.models import Sequential
    from keras.optimizers import SGD
    from keras.utils import to_categorical

    rng = draws(11)
    x, y = near(rng, 32, 6), to_categorical(rng.randint(0, 3, 32), num_classes=3)
    model = Sequential([Dense(8, activation="elu", input_dim=6, kernel_regularizer="l2"), LeakyReLU(alpha=0.1), Dense(3, activation="softmax")])
    put(model.layers[0], near(rng, 6, 8), near(rng, 8))
    put(model.layers[2], near(rng, 8, 3), near(rng, 3))
    model.compile(SGD(lr=0.1, momentum=0.5, decay=1e-2), "categorical_crossentropy", ["accuracy"])
    return trained(model, x, y, "epochs", class_weight={0: 1.0, 1: 2.0, 2: 0.5})


def two_cnn(put):
    from keras.layers import Conv2D, Dense, GlobalAveragePooling2D, MaxPooling2D, SeparableConv2D
    from keras.models import Sequential
    from keras.optimizers import SGD

    rng = draws(12)
    x, y = near(rng, 24, 11, 9, 3), (rng.uniform(size=(24, 1)) > 0.5).astype("float32")
    model = Sequential()
    model.add(Conv2D(4, (3, 3), strides=(2, 1), activation="relu", input_shape=(11, 9, 3)))
    model.add(MaxPooling2D((2, 2)))
    model.add(SeparableConv2D(5, 3, padding="same", activation="tanh"))
    model.add(GlobalAveragePooling2D())
    model.add(Dense(1, activation="sigmoid"))
    put(model.layers[0], near(rng, 3, 3, 3, 4), near(rng, 4))
    put(model.layers[2], near(rng, 3, 3, 4, 1), near(rng, 1, 1, 4, 5), near(rng, 5))
    put(model.layers[4], near(rng, 5, 1), near(rng, 1))
    model.compile(SGD(lr=0.05, momentum=0.9, nesterov=True, clipvalue=0.5), "binary_crossentropy")
    return trained(model, x, y, "epochs")


def two_functional(put):
    from keras.layers import GRU, LSTM, Dense, Dot, Embedding, Input, Lambda, concatenate
    from keras.models import Model

    rng = draws(13)
    x = [rng.randint(1, 9, (24, 6)), near(rng, 24, 4)]
    y = [near(rng, 24, 2), (rng.uniform(size=(24, 1)) > 0.5).astype("float32")]
    a, b = Input(shape=(6,), dtype="int32", name="words"), Input(shape=(4,), name="numbers")
    embedding = Embedding(9, 5, mask_zero=False)
    lstm, gru = LSTM(4, recurrent_activation="sigmoid"), GRU(4, recurrent_activation="sigmoid", reset_after=False)
    first, second = Dense(2, name="first"), Dense(1, activation="sigmoid", name="second")
    e = embedding(a)
    left, right = lstm(e), gru(e)
    features = concatenate([left, right, Dot(axes=-1, normalize=True)([left, right]), Lambda(lambda t: t * 0.5)(b)])
    model = Model(inputs=[a, b], outputs=[first(features), second(features)])
    put(embedding, near(rng, 9, 5))
    put(lstm, near(rng, 5, 16), near(rng, 4, 16), near(rng, 16))
    put(gru, near(rng, 5, 12), near(rng, 4, 12), near(rng, 12))
    put(first, near(rng, 13, 2), near(rng, 2))
    put(second, near(rng, 13, 1), near(rng, 1))
    model.compile(optimizer="sgd", loss={"first": "mse", "second": "binary_crossentropy"}, loss_weights={"first": 1.0, "second": 0.3})
    history = model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
    outputs = model.predict(x)
    return {"losses": history.history["loss"], "first": history.history["first_loss"], "outputs": outputs[0], "others": outputs[1]}


def two_generator(put):
    from keras.layers import Dense
    from keras.models import Sequential

    rng = draws(14)
    x, y = near(rng, 20, 3), near(rng, 20, 2)

    def batches():
        while True:
            for i in range(0, 20, 5):
                yield x[i : i + 5], y[i : i + 5]

    model = Sequential([Dense(4, activation="relu", input_shape=(3,)), Dense(2)])
    put(model.layers[0], near(rng, 3, 4), near(rng, 4))
    put(model.layers[1], near(rng, 4, 2), near(rng, 2))
    model.compile("adam", "mae")
    history = model.fit_generator(batches(), steps_per_epoch=4, epochs=3, verbose=0)
    last = model.evaluate_generator(batches(), steps=4)
    return {"losses": history.history["loss"], "last": last, "outputs": model.predict_generator(batches(), steps=4)}


def two_backend(put):
    from keras import backend as K
    from keras.layers import Input

    rng = draws(15)
    a, b, c = near(rng, 2, 3, 4), near(rng, 2, 4, 5), near(rng, 2, 3, 4)
    image, kernel = near(rng, 2, 6, 7, 3), near(rng, 3, 2, 3, 4)
    A, B, C, I, W = (K.variable(v) for v in (a, b, c, image, kernel))
    probabilities = K.softmax(A)
    found = {
        "batch_dot": K.batch_dot(A, B), "batch_dot_axes": K.batch_dot(A, C, axes=[2, 2]), "batch_dot_vectors": K.batch_dot(A[:, 0], C[:, 1], axes=1),
        "dot": K.dot(A, B[0]), "l2_normalize": K.l2_normalize(A, axis=-1), "hard_sigmoid": K.hard_sigmoid(A * 5), "mean": K.mean(A, axis=[0, 2]),
        "std": K.std(A, axis=1), "var": K.var(A), "logsumexp": K.logsumexp(A, axis=-1), "clip": K.clip(A, -0.1, 0.2),
        "relu": K.relu(A, alpha=0.1, max_value=0.2), "elu": K.elu(A, 0.5), "softplus": K.softplus(A), "softsign": K.softsign(A),
        "repeat": K.repeat(A[:, 0], 3), "repeat_elements": K.repeat_elements(A, 2, axis=1), "tile": K.tile(A, [1, 2, 1]),
        "permute": K.permute_dimensions(A, (2, 0, 1)), "batch_flatten": K.batch_flatten(A), "concatenate": K.concatenate([A, C]),
        "stack": K.stack([A, C], axis=1), "reverse": K.reverse(A, 1), "cumsum": K.cumsum(A, axis=1), "cumprod": K.cumprod(A), "pow": K.pow(A, 2),
        "argmax": K.argmax(A), "one_hot": K.one_hot(K.argmax(A), 4), "gather": K.gather(A, K.constant([1, 0, 1], dtype="int32")),
        "conv2d": K.conv2d(I, W, strides=(1, 2), padding="same"), "pool2d": K.pool2d(I, (2, 2), strides=(2, 2), padding="same", pool_mode="avg"),
        "padding": K.spatial_2d_padding(I, ((1, 0), (2, 1))), "temporal_padding": K.temporal_padding(A, (1, 2)),
        "resize": K.resize_images(I, 2, 3, "channels_last"), "bias_add": K.bias_add(I, K.constant([1.0, 2.0, 3.0])),
        "batch_normalization": K.batch_normalization(I, K.mean(I, axis=[0, 1, 2]), K.var(I, axis=[0, 1, 2]), K.constant([1.0, 2.0, 3.0]),
                                                     K.constant([0.5, 0.6, 0.7])),
        "categorical_crossentropy": K.categorical_crossentropy(K.softmax(C), probabilities),
        "binary_crossentropy": K.binary_crossentropy(K.sigmoid(C), K.sigmoid(A)),
        "sparse_categorical_crossentropy": K.sparse_categorical_crossentropy(K.argmax(C), probabilities),
        "switch": K.switch(K.greater(A, 0), A, C), "in_test_phase": K.in_train_phase(A, C, training=0), "foldl": K.foldl(lambda s, v: s * 2 + v, A),
        "map_fn": K.map_fn(lambda v: v * 2, A),
        "rnn": K.rnn(lambda v, s: (v + s[0], [v + s[0]]), A, [K.zeros_like(A[:, 0])])[1],
        "ctc": K.ctc_batch_cost(K.constant([[0, 1], [2, 1]], dtype="int32"), probabilities, K.constant([[3], [3]], dtype="int32"),
                                K.constant([[2], [1]], dtype="int32")),
    }  # fmt: skip
    results = {name: np.asarray(K.eval(value), "float32") for name, value in found.items()}
    x = Input(batch_shape=(2, 4))
    y = K.sum(K.tanh(x) * K.constant([1.0, 2.0, 3.0, 4.0]))
    results["gradients"] = K.function([x], K.gradients(y, [x]))([a[:, 0]])[0]
    return results


# tf.keras 2.15 ------------------------------------------------------------------------------------------------------------------------


def tf_recurrent(put):
    from tensorflow.keras.layers import GRU, LSTM, Bidirectional, Conv1D, Dense
    from tensorflow.keras.models import Sequential
    from tensorflow.keras.optimizers import Adam

    rng = draws(21)
    x, y = near(rng, 24, 7, 3), rng.randint(0, 3, 24)
    model = Sequential(
        [
            Conv1D(5, 3, padding="causal", activation="relu", input_shape=(7, 3)),
            Bidirectional(LSTM(4, return_sequences=True)),
            GRU(4),
            Dense(3, activation="softmax"),
        ]
    )
    put(model.layers[0], near(rng, 3, 3, 5), near(rng, 5))
    model.layers[1].set_weights([near(rng, *w.shape) for w in model.layers[1].get_weights()])
    model.layers[2].set_weights([near(rng, *w.shape) for w in model.layers[2].get_weights()])
    put(model.layers[3], near(rng, 4, 3), near(rng, 3))
    model.compile(Adam(learning_rate=0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return trained(model, x, y, "epochs")


def tf_subclass(put):
    from tensorflow import keras
    from tensorflow.keras import backend as K
    from tensorflow.keras import layers

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.first = layers.Dense(6, activation="swish")
            self.norm = layers.LayerNormalization()
            self.last = layers.Dense(2)

        def call(self, x, training=False):
            return self.last(self.norm(self.first(x)))

    class Loss(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return K.mean(K.pow(K.abs(y_true - y_pred), 1.5), axis=-1)

    rng = draws(22)
    x, y = near(rng, 24, 5), near(rng, 24, 2)
    model = Net()
    model(x[:1])
    put(model.first, near(rng, 5, 6), near(rng, 6))
    put(model.last, near(rng, 6, 2), near(rng, 2))
    schedule = keras.optimizers.schedules.ExponentialDecay(0.05, 4, 0.8)
    model.compile(keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True), Loss(), metrics=["mae"])
    return trained(model, x, y, "epochs")


def tf_custom_layer(put):
    import tensorflow.keras.backend as K
    from tensorflow.keras.layers import Input, Layer
    from tensorflow.keras.models import Model

    class Attend(Layer):
        def build(self, input_shape):
            self.W = self.add_weight("W", shape=(input_shape[-1], 1), initializer="ones")
            self.b = self.add_weight(name="b", shape=(input_shape[1], 1), initializer="zeros")
            super().build(input_shape)

        def call(self, x):
            weights = K.softmax(K.squeeze(K.tanh(K.dot(x, self.W) + self.b), axis=-1))
            return K.sum(x * K.expand_dims(weights, axis=-1), axis=1)

    rng = draws(23)
    x, y = near(rng, 16, 5, 3), near(rng, 16, 3)
    inputs = Input(shape=(5, 3))
    model = Model(inputs, Attend()(inputs))
    model.layers[1].set_weights([near(rng, 3, 1), near(rng, 5, 1)])
    model.compile("adam", "mse")
    return trained(model, x, y, "epochs")


CASES = {
    "one": [one_mlp, one_cnn, one_lstm, one_merged, one_own_layer],
    "two": [two_mlp, two_cnn, two_functional, two_generator],
    "two_tf": [two_backend],
    "tf": [tf_recurrent, tf_subclass, tf_custom_layer],
}
