# SPDX-License-Identifier: Apache-2.0
"""Strings as inputs of models: looked up on the host, and equal to looking them up by hand in front."""

import pickle

import numpy as np
import pytest

import nyala
from nyala import layers
from nyala.core.errors import ArgumentTypeError, StructureError
from tests.layers.tools import raises

TEXTS = ["the cat sat", "a dog", "the mat", "cat dog mat sat", "dog"]
LABELS = np.array([0.0, 1.0, 0.0, 1.0, 1.0], "float32")


def words():
    layer = layers.TextVectorization(output_sequence_length=3)
    layer.adapt(TEXTS)
    return layer


def tail(size):
    return [layers.Embedding(size, 4), layers.GlobalAveragePooling1D(), layers.Dense(1, activation="sigmoid")]


def functional(vectorize, after):
    x = inputs = nyala.Input((1,), dtype="string", name="text")
    for layer in (vectorize, *after):
        x = layer(x)
    return nyala.Model(inputs, x)


def sequential(vectorize, after):
    return nyala.Sequential([vectorize, *after])


@pytest.fixture(params=["jax", "torch"])
def engine(request):
    with nyala.backend(request.param):
        yield request.param


class Batches(nyala.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return np.array(TEXTS[2 * index : 2 * index + 2]), LABELS[2 * index : 2 * index + 2]


def forever():
    while True:
        yield np.array(TEXTS), LABELS


@pytest.mark.parametrize("make", [functional, sequential])
def test_strings_are_what_their_numbers_are(make, engine):
    vectorize = words()
    after = tail(vectorize.vocabulary_size())
    model, plain = make(vectorize, after), nyala.Sequential(after)
    ids = nyala.ops.convert_to_numpy(vectorize(TEXTS))
    expected = plain.predict(ids)
    for given in (TEXTS, np.array(TEXTS), np.array(TEXTS)[:, None]):
        np.testing.assert_allclose(model.predict(given), expected, rtol=1e-6)
        np.testing.assert_allclose(nyala.ops.convert_to_numpy(model(given)), expected, rtol=1e-6)
    np.testing.assert_allclose(model.predict(TEXTS[:1]), expected[:1], rtol=1e-6)
    np.testing.assert_allclose(model.predict_on_batch(TEXTS), expected, rtol=1e-6)
    for each in (plain, model):
        each.compile("sgd", "binary_crossentropy")
    weights = plain.get_weights()
    plain.fit(ids, LABELS, epochs=2, batch_size=2, shuffle=False, validation_split=0.4, verbose=0)
    after_fit = plain.get_weights()
    plain.set_weights(weights)
    logs = model.fit(TEXTS, LABELS, epochs=2, batch_size=2, shuffle=False, validation_split=0.4, verbose=0).history
    assert sorted(logs) == ["loss", "val_loss"]
    for weight, expected in zip(model.get_weights(), after_fit, strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-5)
    assert np.isclose(model.evaluate(TEXTS, LABELS, verbose=0), plain.evaluate(ids, LABELS, verbose=0))
    assert np.isclose(model.test_on_batch(TEXTS, LABELS), plain.test_on_batch(ids, LABELS))
    model.train_on_batch(TEXTS, LABELS)


def test_streams_are_encoded_batch_by_batch():
    vectorize = words()
    model = functional(vectorize, tail(vectorize.vocabulary_size()))
    model.compile("sgd", "binary_crossentropy")
    seen = model.fit(Batches(), validation_data=Batches(), epochs=2, verbose=0).history
    assert len(seen["val_loss"]) == 2
    model.fit(forever(), steps_per_epoch=2, validation_data=(TEXTS, LABELS), verbose=0)
    np.testing.assert_allclose(model.predict(Batches()), model.predict(TEXTS[:4]), rtol=1e-6)


def test_strings_beside_numbers_and_a_layer_called_twice():
    color, other, number = (nyala.Input((), dtype="string", name=name) for name in ("color", "other", "number"))
    number = nyala.Input((3,), name="number")
    look_up = layers.StringLookup(vocabulary=["red", "green"], output_mode="one_hot")
    crossed = layers.HashedCrossing(5, output_mode="one_hot")((color, other))
    outputs = layers.Dense(2)(layers.Concatenate()([look_up(color), look_up(other), crossed, number]))
    model = nyala.Model({"color": color, "other": other, "number": number}, outputs)
    data = {"color": ["red", "blue"], "other": ["green", "green"], "number": np.arange(6.0).reshape(2, 3)}
    rows = [look_up(data["color"]), look_up(data["other"]), layers.HashedCrossing(5, output_mode="one_hot")((data["color"], data["other"]))]
    expected = np.concatenate([nyala.ops.convert_to_numpy(row) for row in rows] + [data["number"]], axis=1) @ model.layers[-1].kernel.numpy()
    np.testing.assert_allclose(model.predict(data), expected, rtol=1e-5)
    in_a_list = nyala.Model([color, other, number], outputs)
    np.testing.assert_allclose(in_a_list.predict([*map(data.get, ("color", "other", "number"))]), expected, rtol=1e-5)
    again = nyala.Model.from_config(model.get_config())
    again.set_weights(model.get_weights())
    np.testing.assert_allclose(again.predict(data), expected, rtol=1e-5)
    np.testing.assert_allclose(pickle.loads(pickle.dumps(model)).predict(data), expected, rtol=1e-5)


def test_what_strings_refuse():
    text, number = nyala.Input((), dtype="string", name="text"), nyala.Input((), dtype="int32", name="number")
    fix = "fix: put StringLookup, Hashing or TextVectorization between them"
    with raises(ArgumentTypeError, f"a model needs a layer that reads strings, got another on 'text', a string input.\n  {fix}"):
        layers.Activation("relu")(text)
    look_up = layers.StringLookup(vocabulary=["a"], name="look_up")
    model = nyala.Model(text, look_up(text), name="model")
    with raises(ArgumentTypeError, "Model 'model', input 'text' needs strings, got an array of int64."):
        model.predict(np.array([1, 2]))
    more = nyala.layers.Lambda(lambda x: x + 1, name="more")(number)
    more.name = "more"
    crossed = layers.HashedCrossing(5, name="crossing")((text, more))
    got = "got 'more', which is computed.\n  fix: look it up apart"
    with raises(ArgumentTypeError, f"Model 'model': 'crossing' needs inputs of the model beside strings, {got}"):
        nyala.Model([text, number], crossed, name="model")
    several = nyala.Model({"text": text, "number": number}, [look_up(text), number], name="model")
    with raises(StructureError, "Model 'model' needs inputs named ['text', 'number'], got ['text'].\n  fix: rename the keys to these"):
        several.predict({"text": ["a"]})
