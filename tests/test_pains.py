# SPDX-License-Identifier: Apache-2.0
"""Forty lines that programs of Keras 1, 2 and tf.keras hold: those that run here as they stand, and what the others are told.

`import nyala as keras` is the one change. A line that is refused here says what to write; the day it runs it moves up. Numbers in comments count the
lines as docs/migrating.md does.
"""

import importlib
import pathlib
import warnings

import numpy as np
import pytest

import nyala as keras
from nyala import backend, layers
from nyala.core.errors import ArgumentTypeError
from nyala.testing import installed_engines

EAGER = next((engine.name for engine in installed_engines() if engine.differentiable and not engine.compiles), "jax")
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(12, 4)).astype("float32")
Y = np.eye(3, dtype="float32")[RANDOM.integers(0, 3, 12)]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with keras.backend(EAGER), warnings.catch_warnings():
        warnings.simplefilter("error")
        yield tmp_path


def compiled(metrics=None, loss="categorical_crossentropy"):
    model = keras.models.Sequential([layers.Dense(5, input_shape=(4,)), layers.Dense(3, activation="softmax")])  # 10
    model.compile(loss=loss, optimizer="sgd", metrics=metrics)
    return model


def test_layers_at_their_old_places():  # 1
    from nyala.layers.core import Activation, Dense, Dropout, Flatten

    assert (Dense, Dropout, Activation, Flatten) == (layers.Dense, layers.Dropout, layers.Activation, layers.Flatten)
    for place, name in {
        "convolutional": "Conv2D", "recurrent": "LSTM", "normalization": "BatchNormalization", "pooling": "MaxPooling2D", "merging": "Concatenate",
    }.items():  # fmt: skip
        assert getattr(importlib.import_module(f"nyala.layers.{place}"), name) is getattr(layers, name)


def test_utilities_by_their_short_names():  # 3, 4
    from nyala.utils import CustomObjectScope, Sequence, get_custom_objects, get_file, to_categorical

    np.testing.assert_array_equal(to_categorical([2, 0], 3), [[0, 0, 1], [1, 0, 0]])
    with CustomObjectScope({"pain": len}):
        assert keras.losses.get("pain") is len
    get_custom_objects()["pain"] = abs
    assert keras.losses.get("pain") is get_custom_objects().pop("pain") is abs
    assert callable(get_file) and Sequence is keras.utils.PyDataset


def test_first_layers_say_what_comes_in():  # 10, 11
    for arguments in ({"input_shape": (4,)}, {"input_dim": 4}, {"batch_input_shape": (None, 4)}):
        assert keras.models.Sequential([layers.Dense(8, **arguments)]).output_shape == (None, 8)
    model = keras.models.Sequential([layers.LSTM(4, batch_input_shape=(1, 10, 3), stateful=True)])
    first, second = (model.predict(np.ones((1, 10, 3), "float32")) for _ in range(2))
    model.reset_states()
    np.testing.assert_allclose(model.predict(np.ones((1, 10, 3), "float32")), first, rtol=1e-6)
    assert not np.allclose(first, second)


def test_layers_take_their_weights():  # 12
    kernel, bias, table = RANDOM.normal(size=(4, 3)), RANDOM.normal(size=3), RANDOM.normal(size=(10, 6))
    model = keras.models.Sequential([layers.Dense(3, weights=[kernel, bias], input_shape=(4,))])
    np.testing.assert_allclose(model.predict(X), X @ kernel + bias, rtol=1e-4, atol=1e-5)
    model = keras.models.Sequential([layers.Embedding(10, 6, weights=[table], input_length=5, trainable=False)])
    np.testing.assert_allclose(model.predict(np.arange(10).reshape(2, 5)), table.reshape(2, 5, 6), rtol=1e-6)
    assert not model.trainable_weights


def test_optimizers_by_the_words_of_then():  # 13, 15
    adam, sgd = keras.optimizers.Adam(lr=1e-2, decay=1e-6), keras.optimizers.SGD(lr=0.01, momentum=0.9, decay=1e-6, nesterov=True)
    assert np.allclose([float(adam.learning_rate), float(sgd.lr)], 0.01)
    adam.lr = 0.5
    assert float(adam.learning_rate) == 0.5
    assert type(keras.optimizers.legacy.Adam(learning_rate=1e-3)) is keras.optimizers.Adam
    sgd.build([keras.Variable(np.ones(3, "float32"))])
    state = [value + 1 for value in sgd.get_weights()]
    sgd.set_weights(state)
    for have, want in zip(sgd.get_weights(), state, strict=True):
        np.testing.assert_array_equal(have, want)


def test_a_sequence_that_never_calls_super():  # 18
    class Batches(keras.utils.Sequence):
        def __init__(self):
            self.number = 3

        def __len__(self):
            return self.number

        def __getitem__(self, index):
            return X, Y

    history = compiled().fit(Batches(), workers=2, use_multiprocessing=False, max_queue_size=10, epochs=2, verbose=0).history
    assert len(history["loss"]) == 2


def test_accuracy_by_its_short_name():  # 20
    history = compiled(["acc"]).fit(X, Y, validation_split=0.25, verbose=0).history
    assert {"acc", "val_acc"} <= set(history)


@pytest.mark.parametrize(("name", "whole"), [("w.{epoch:02d}-{val_acc:.2f}.hdf5", True), ("w.{epoch:02d}.h5", False)])
def test_checkpoints_of_every_other_epoch(name, whole, place):  # 21
    keep = keras.callbacks.ModelCheckpoint(name, monitor="val_acc", save_weights_only=not whole, period=2)
    model = compiled(["acc"])
    model.fit(X, Y, validation_split=0.25, epochs=5, verbose=0, callbacks=[keep])
    files = sorted(place.iterdir())
    assert [file.name[:4] for file in files] == ["w.02", "w.04"]
    again = keras.models.load_model(files[1]) if whole else compiled()
    if not whole:
        again.load_weights(files[1])
    assert again.predict(X).shape == (12, 3)


def test_period_is_a_number_of_epochs():
    with pytest.raises(ValueError, match=r"^ModelCheckpoint\(period\) needs a number of epochs, got 0\.$"):
        keras.callbacks.ModelCheckpoint("m.keras", period=0)


def test_callbacks_watch_what_they_watched():  # 22, 23
    pytest.importorskip("tensorboard")
    plateau = keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.2, epsilon=1e-4)
    assert plateau.min_delta == 1e-4
    stop = keras.callbacks.EarlyStopping(monitor="val_acc", mode="max")
    board = keras.callbacks.TensorBoard(log_dir="logs", histogram_freq=0, write_graph=True, write_images=False)
    compiled(["acc"]).fit(X, Y, validation_split=0.25, verbose=0, callbacks=[stop, plateau, board])
    assert any(path.is_file() for path in pathlib.Path("logs").rglob("*tfevents*"))


def test_files_of_then():  # 24, 25, 26
    model = compiled(["acc"])
    model.save("m.h5")
    again = keras.models.load_model("m.h5", custom_objects={"f": len})
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    model.save_weights("w.hdf5")
    other = compiled()
    for number, layer in enumerate(model.layers):
        other.layers[number].name = layer.name
    other.load_weights("w.hdf5", by_name=True, skip_mismatch=True)
    np.testing.assert_array_equal(other.predict(X), model.predict(X))

    @keras.saving.register_keras_serializable("pains")
    def doubled_for_pains(t):  # stays registered: a name that no other test knows
        return t * 2

    named = keras.models.Sequential([layers.Input((4,)), layers.Lambda(doubled_for_pains, name="doubled")])
    assert keras.models.model_from_json(named.to_json()).predict(X) == pytest.approx(2 * X)


def test_lambda_layers():  # 30
    scale = layers.Lambda(lambda t: t / 255.0, output_shape=(4,))
    times = layers.Lambda(lambda t, n: t * n, arguments={"n": 2})
    np.testing.assert_allclose(keras.models.Sequential([layers.Input((4,)), scale, times]).predict(X), X * 2 / 255, rtol=1e-5)


def test_layers_of_ones_own():  # 31
    class Project(layers.Layer):
        def build(self, input_shape):
            self.w = self.add_weight(name="w", shape=(input_shape[-1], 2), initializer="uniform", trainable=True)
            super().build(input_shape)

        def call(self, x, mask=None):
            return x @ self.w

        def compute_output_shape(self, input_shape):
            return (input_shape[0], 2)

    model = keras.models.Sequential([layers.Input((4,)), Project()])
    np.testing.assert_allclose(model.predict(X), X @ model.get_weights()[0], rtol=1e-5, atol=1e-6)


def test_layers_that_keras_3_dropped():  # 32
    steps, image = X.reshape(2, 6, 4), X[:, None, :, None].repeat(5, 1)
    assert layers.LocallyConnected1D(8, 3)(steps).shape == (2, 4, 8)
    assert layers.LocallyConnected2D(2, (3, 2))(image).shape == (12, 3, 3, 2)
    np.testing.assert_array_equal(np.asarray(layers.ThresholdedReLU(1.0)(X)), np.where(X > 1, X, 0))
    assert layers.MaxoutDense(3)(X).shape == (12, 3)
    assert layers.Highway()(X).shape == X.shape
    assert layers.Convolution2D(2, (3, 3))(image).shape == (12, 3, 2, 2)


def test_tools_at_their_old_places():  # 33, 34, 36, 37
    from nyala.applications.vgg16 import VGG16, decode_predictions, preprocess_input
    from nyala.preprocessing.image import ImageDataGenerator, img_to_array, load_img
    from nyala.preprocessing.sequence import pad_sequences
    from nyala.preprocessing.text import Tokenizer
    from nyala.utils import plot_model

    tools = (VGG16, decode_predictions, preprocess_input, img_to_array, load_img, plot_model, ImageDataGenerator.flow_from_directory)
    assert all(map(callable, tools))
    words = Tokenizer(num_words=10)
    words.fit_on_texts(["a horn a horn", "of a nyala"])
    np.testing.assert_array_equal(pad_sequences(words.texts_to_sequences(["a nyala"]), maxlen=3), [[0, 1, 4]])
    backend.clear_session()  # 29
    assert backend.image_data_format() == "channels_last"


# What is refused, and what is said ------------------------------------------------------------------------------------------------

TOLD = {  # number of the line: (what was written, what is said of it)
    "5 Dense": (
        lambda: layers.Dense(output_dim=64, input_dim=100, init="uniform", bias=True),
        "Dense needs arguments that it knows, got output_dim=64, init='uniform', bias=True.\n"
        "  fix: 'output_dim' of old is 'units' today; 'init' of old is 'kernel_initializer' today; 'bias' of old is 'use_bias' today",
    ),
    "5 regularizer": (
        lambda: layers.Dense(64, W_regularizer="l2"),
        "Dense needs arguments that it knows, got W_regularizer='l2'.\n  fix: 'W_regularizer' of old is 'kernel_regularizer' today",
    ),
    "6 Convolution2D": (
        lambda: layers.Convolution2D(32, 3, border_mode="same", subsample=(2, 2), dim_ordering="tf"),
        "Conv2D needs arguments that it knows, got border_mode='same', subsample=(2, 2), dim_ordering='tf'.\n"
        "  fix: 'border_mode' of old is 'padding' today; 'subsample' of old is 'strides' today; 'dim_ordering' of old is 'data_format' today",
    ),
    "6 rows and columns": (
        lambda: layers.Convolution2D(nb_filter=32, nb_row=3, nb_col=3),
        "Conv2D needs arguments that it knows, got nb_filter=32, nb_row=3, nb_col=3.\n"
        "  fix: 'nb_filter' of old is 'filters' today; 'nb_row' of old is 'kernel_size' today; 'nb_col' of old is 'kernel_size' today",
    ),
    "6 MaxPooling2D": (
        lambda: layers.MaxPooling2D(border_mode="valid"),
        "MaxPooling2D needs arguments that it knows, got border_mode='valid'.\n  fix: 'border_mode' of old is 'padding' today",
    ),
    "LSTM": (
        lambda: layers.LSTM(4, inner_activation="sigmoid", dropout_W=0.2),
        "LSTM needs arguments that it knows, got inner_activation='sigmoid', dropout_W=0.2.\n"
        "  fix: 'inner_activation' of old is 'recurrent_activation' today; 'dropout_W' of old is 'dropout' today",
    ),
}


@pytest.mark.parametrize("name", TOLD)
def test_old_arguments_are_told_their_names_of_today(name):
    make, text = TOLD[name]
    with pytest.raises(ArgumentTypeError) as info:
        make()
    assert str(info.value) == text


def test_old_arguments_of_models():  # 8
    x = layers.Input((4,), name="x")
    with pytest.raises(ArgumentTypeError) as info:
        keras.models.Model(input=x, output=layers.Dense(2, name="y")(x))
    assert str(info.value).endswith("fix: 'input' of old is 'inputs' today; 'output' of old is 'outputs' today")


def test_a_lambda_without_a_name_is_not_written():  # 26
    model = keras.models.Sequential([layers.Input((4,)), layers.Lambda(lambda t: t * 2, name="twice")])
    with pytest.raises(ArgumentTypeError, match=r"the config of Lambda 'twice' needs a function with a name, got a lambda") as info:
        model.to_json()
    assert "fix: write it with def, above it @nyala.saving.register_keras_serializable(), and pass its name to Lambda" in str(info.value)


def test_a_class_of_ones_own_may_use_an_old_name():
    class Dense(layers.Layer):
        def __init__(self, output_dim, init="ones", **kwargs):
            super().__init__(**kwargs)
            self.output_dim, self.init = output_dim, init

        def call(self, x):
            return x[:, : self.output_dim]

    assert Dense(output_dim=2)(X).shape == (12, 2)
    with pytest.raises(TypeError, match="output_dim"):
        Dense()
