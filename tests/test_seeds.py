# SPDX-License-Identifier: Apache-2.0
"""Programs as their readers would type them: from texts that introduce Keras, whole, with their typos mended; and three uses that they name.

`import nyala as keras` stands for the import of Keras; the old spellings in the texts (module paths, lr=, input_dim=) are kept.
"""

import numpy as np
import pytest

import nyala
import nyala as keras


@pytest.fixture(autouse=True)
def seeded():
    nyala.utils.set_random_seed(11)


def table(rows=120, columns=9, seed=3):
    """Numbers that depend on their columns in a way a small network can learn."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, columns)).astype("float32")
    return x, (x[:, :1] * 2 - x[:, 1:2] + 0.5 * x[:, 2:3] ** 2).astype("float32")


# A high-level framework in a few lines ---------------------------------------------------------------------------------------------


def test_creating_training_testing_and_using_a_model():
    from nyala.layers import Dense

    training_data, expected_output = table(seed=1)
    testing_data, expected_test_output = table(rows=40, seed=2)

    model = keras.models.Sequential()
    model.add(Dense(32, input_dim=9))
    model.add(Dense(128))
    model.add(Dense(1))
    model.compile(loss="mean_squared_error", optimizer="adam")

    before = model.evaluate(testing_data, expected_test_output)
    model.fit(training_data, expected_output, epochs=20)
    error_rate = model.evaluate(testing_data, expected_test_output)
    assert error_rate < before / 2

    predictions = model.predict(testing_data)
    assert predictions.shape == (40, 1)
    assert np.isclose(np.mean((predictions - expected_test_output) ** 2), error_rate, rtol=1e-4)
    assert model.count_params() == (9 * 32 + 32) + (32 * 128 + 128) + (128 + 1)


def test_customizing_layers():
    from nyala.layers import Dense

    number_of_neurons = 12
    model = keras.models.Sequential()
    model.add(Dense(number_of_neurons, activation="relu", kernel_initializer="lecun_uniform", kernel_regularizer="l2"))
    assert model.layers[0].activation is keras.activations.relu
    model.add(Dense(1, activation="sigmoid"))
    x, _ = table()
    values = model.predict(x)
    assert values.min() >= 0 and values.max() <= 1
    assert len(model.losses) == 1


def test_layers_at_their_old_paths():
    assert keras.layers.convolutional.Conv2D is keras.layers.Conv2D
    assert keras.layers.recurrent.LSTM is keras.layers.LSTM


def test_numpy_as_the_text_shows_it():
    a = np.array([5, 6, 3, 1])
    assert a.sum() == 15
    assert float(keras.ops.sum(a)) == 15


# The art of training neural networks ----------------------------------------------------------------------------------------------------


def test_a_layer_with_its_own_import_path():
    from nyala.layers.core import Dense

    layer1 = Dense(units=32, activation="sigmoid")
    x, _ = table()
    weights, bias = layer1(x[:2]) is not None and layer1.get_weights()
    expected = 1 / (1 + np.exp(-(x @ weights + bias)))
    np.testing.assert_allclose(np.asarray(layer1(x)), expected, rtol=1e-5, atol=1e-6)


def test_sequential_api_summary_and_training(capsys):
    from nyala.layers import Dense
    from nyala.models import Sequential
    from nyala.optimizers import SGD

    model = Sequential([
        Dense(32, input_shape=(784,), activation="sigmoid"),
        Dense(10, activation="sigmoid"),
        Dense(1, activation="sigmoid"),
    ])  # fmt: skip

    neural_network = Sequential()
    neural_network.add(Dense(32, input_dim=784, activation="sigmoid"))
    neural_network.add(Dense(10, activation="sigmoid"))
    neural_network.add(Dense(1, activation="sigmoid"))
    neural_network.summary()

    shown = capsys.readouterr().out
    for text in ("Layer (type)", "Output Shape", "Param #", "(None, 32)", "25,120", "330", "11", "25,461"):
        assert text in shown
    assert model.count_params() == neural_network.count_params() == 25461

    customized_optimizer = SGD(lr=0.0001)
    assert np.isclose(float(np.asarray(customized_optimizer.learning_rate)), 0.0001)

    neural_network.compile(loss="binary_crossentropy", optimizer="sgd", metrics=["accuracy"])
    neural_network.compile(loss="binary_crossentropy", optimizer=customized_optimizer, metrics=["accuracy"])

    rng = np.random.default_rng(5)
    images, labels = rng.normal(size=(64, 784)), rng.integers(0, 2, 64)
    history = neural_network.fit(images, labels, epochs=2, batch_size=16, verbose=0)
    assert set(history.history) == {"loss", "accuracy"} and len(history.history["loss"]) == 2
    loss, accuracy = neural_network.evaluate(images, labels, verbose=0)
    probabilities = neural_network.predict(images)[:, 0]
    expected = -np.mean(np.where(labels == 1, np.log(probabilities), np.log(1 - probabilities)))  # the formula of the text
    assert np.isclose(loss, expected, rtol=1e-4)
    assert np.isclose(accuracy, np.mean((probabilities > 0.5) == labels))


# A convolutional network ---------------------------------------------------------------------------------------------------------------------


def test_a_stack_of_convolutions_and_pooling(capsys):
    from nyala import layers, models

    model = models.Sequential()  # linear stack of layers
    model.add(layers.Conv2D(32, (3, 3), activation="relu", input_shape=(28, 28, 1)))
    model.add(layers.MaxPooling2D((2, 2)))
    model.add(layers.Conv2D(64, (3, 3), activation="relu"))
    model.add(layers.MaxPooling2D((2, 2)))
    model.add(layers.Conv2D(64, (3, 3), activation="relu"))
    model.summary()
    shown = capsys.readouterr().out
    for shape in ("(None, 26, 26, 32)", "(None, 13, 13, 32)", "(None, 11, 11, 64)", "(None, 5, 5, 64)", "(None, 3, 3, 64)"):
        assert shape in shown
    assert model.count_params() == 320 + 18496 + 36928

    model.add(layers.Flatten())
    model.add(layers.Dense(10, activation="softmax"))
    model.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["mae"])
    images = np.random.default_rng(0).normal(size=(6, 28, 28, 1))
    labels = keras.utils.to_categorical([0, 1, 2, 3, 4, 5], 10)
    history = model.fit(images, labels, epochs=8, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    np.testing.assert_allclose(model.predict(images).sum(1), 1, rtol=1e-5)


def test_network_summary_of_an_empty_model(capsys):
    from nyala import models

    network = models.Sequential()
    network.summary()
    assert "Total params: 0" in capsys.readouterr().out


def test_the_eight_steps_of_building_a_network():
    rng = np.random.default_rng(9)
    x = rng.normal(size=(200, 2)).astype("float32")
    y = (x[:, 0] * x[:, 1] > 0).astype("int32")

    network = keras.models.Sequential()  # 1 initialize the model
    network.add(keras.Input((2,)))  # 2 add the input layer
    network.add(keras.layers.Dense(16, activation="tanh"))  # 3 add the hidden layers
    network.add(keras.layers.Dense(1, activation="sigmoid"))  # 4 add the output layer
    network.compile(loss="binary_crossentropy", optimizer="RMSprop", metrics=["acc"])  # 5 choose loss function and optimizer
    network.fit(x, y, epochs=5, verbose=0)  # 6 train
    first = network.evaluate(x, y, return_dict=True, verbose=0)  # 7 test

    better = keras.models.Sequential([  # 8 more hidden layers, other initializers, more neurons, an improved optimizer
        keras.layers.Dense(32, activation="relu", kernel_initializer="he_normal"),
        keras.layers.Dense(32, activation="relu", kernel_initializer="he_normal"),
        keras.layers.Dense(1, activation="sigmoid"),
    ])  # fmt: skip
    better.compile(loss="binary_crossentropy", optimizer=keras.optimizers.Adam(0.01), metrics=["acc"])
    better.fit(x, y, epochs=30, verbose=0)
    second = better.evaluate(x, y, return_dict=True, verbose=0)
    assert second["acc"] > max(first["acc"], 0.9)


def test_flatten_as_the_text_says():
    x = keras.Input((3, 16))
    assert keras.layers.Flatten()(x).shape == (None, 48)


def test_everything_the_texts_list_exists():
    for name in ("sigmoid", "tanh", "softmax", "relu", "elu", "selu", "gelu", "softplus", "softsign", "swish", "linear"):
        assert callable(keras.activations.get(name)), name
    for name in ("sgd", "rmsprop", "adam", "adagrad", "adadelta", "adamax", "nadam"):
        assert isinstance(keras.optimizers.get(name), keras.optimizers.Optimizer), name
    for name in ("mse", "mae", "mape", "msle", "mean_squared_error", "categorical_crossentropy", "sparse_categorical_crossentropy",
    "binary_crossentropy",
                 "cosine_proximity", "hinge", "kullback_leibler_divergence", "poisson", "logcosh", "huber"):  # fmt: skip
        assert callable(keras.losses.get(name)), name
    for name in ("uniform", "normal", "lecun_uniform", "glorot_normal", "he_uniform", "orthogonal", "zeros", "ones"):
        values = np.asarray(keras.initializers.get(name)((5, 7)))
        assert values.shape == (5, 7), name


def test_own_activation_optimizer_loss_initializer_layer_and_metric():
    def step(x):
        return keras.ops.where(x > 0, 1.0, 0.1) * x

    class SignDescent(keras.optimizers.Optimizer):
        def update_step(self, gradient, variable, learning_rate):
            self.assign_sub(variable, keras.ops.multiply(learning_rate, keras.ops.sign(gradient)))

    def cubic(y_true, y_pred):
        return keras.ops.mean(keras.ops.power(keras.ops.absolute(y_true - y_pred), 3), axis=-1)

    def halves(shape, dtype=None):
        return keras.ops.full(shape, 0.5, dtype=dtype)

    class Scale(keras.layers.Layer):
        def build(self, input_shape):
            self.factor = self.add_weight(shape=(input_shape[-1],), initializer=halves, name="factor")

        def call(self, inputs):
            return inputs * self.factor

    def worst(y_true, y_pred):
        return keras.ops.max(keras.ops.absolute(y_true - y_pred), axis=-1)

    x, y = table()
    model = keras.Sequential([Scale(), keras.layers.Dense(4, activation=step), keras.layers.Dense(1)])
    model.compile(optimizer=SignDescent(0.01), loss=cubic, metrics=[worst])
    history = model.fit(x, y, epochs=10, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert "worst" in history
    assert not np.allclose(model.layers[0].get_weights()[0], 0.5)


# Uses the texts name: regression, feature extractors, autoencoders ------------------------------------------------------------------------


def test_regression():
    x, y = table(rows=400, columns=5)
    mean, spread = x[:300].mean(0), x[:300].std(0)
    model = keras.Sequential(
        [keras.Input((5,)), keras.layers.Dense(32, activation="relu"), keras.layers.Dense(32, activation="relu"), keras.layers.Dense(1)]
    )
    model.compile(optimizer="adam", loss="mse", metrics=["mae"])
    stop = keras.callbacks.EarlyStopping(patience=15, restore_best_weights=True)
    history = model.fit((x[:300] - mean) / spread, y[:300], validation_split=0.2, epochs=80, callbacks=[stop], verbose=0)
    mse, mae = model.evaluate((x[300:] - mean) / spread, y[300:], verbose=0)
    assert mse < 0.15 * y.var() and mae < 0.8
    assert min(history.history["val_loss"]) < history.history["val_loss"][0] / 5


def test_feature_extractor_on_top_of_a_trained_network():
    (x_train, y_train), (x_test, y_test) = keras.datasets.digits.load_data()
    x_train, x_test = x_train[..., None] / 16, x_test[..., None] / 16
    low, high = y_train < 5, y_train >= 5

    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(16, 3, activation="relu", padding="same")(inputs)
    x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Conv2D(32, 3, activation="relu", padding="same")(x)
    features = keras.layers.Flatten(name="features")(x)
    outputs = keras.layers.Dense(5, activation="softmax")(features)
    network = keras.Model(inputs, outputs)
    network.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    network.fit(x_train[low], y_train[low], epochs=8, verbose=0)

    extractor = keras.Model(network.input, network.get_layer("features").output)
    extractor.trainable = False
    before = extractor.get_weights()
    head = keras.Sequential([extractor, keras.layers.Dense(5, activation="softmax")])
    head.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    head.fit(x_train[high], y_train[high] - 5, epochs=8, verbose=0)
    _, accuracy = head.evaluate(x_test[y_test >= 5], y_test[y_test >= 5] - 5, verbose=0)
    assert accuracy > 0.9
    for old, new in zip(before, extractor.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_autoencoder():
    (x_train, _), (x_test, _) = keras.datasets.digits.load_data()
    x_train, x_test = x_train.reshape(-1, 64) / 16, x_test.reshape(-1, 64) / 16

    inputs = keras.Input((64,))
    code = keras.layers.Dense(16, activation="relu", name="code")(keras.layers.Dense(64, activation="relu")(inputs))
    outputs = keras.layers.Dense(64, activation="sigmoid")(keras.layers.Dense(64, activation="relu")(code))
    autoencoder = keras.Model(inputs, outputs)
    autoencoder.compile("adam", "mse")
    autoencoder.fit(x_train, x_train, epochs=40, batch_size=64, validation_data=(x_test, x_test), verbose=0)

    encoder = keras.Model(inputs, code)
    assert encoder.predict(x_test).shape == (len(x_test), 16)
    error = np.mean((autoencoder.predict(x_test) - x_test) ** 2)
    assert error < 0.4 * np.mean((x_test - x_train.mean(0)) ** 2)  # much better than the mean image
