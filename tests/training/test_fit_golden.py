# SPDX-License-Identifier: Apache-2.0
"""Whole trainings against those of Keras, from equal first weights: losses, metrics, validation, evaluations, predictions and weights."""

import numpy as np
import pytest

import nyala
from nyala.testing import installed_engines
from tests.golden.fit_cases import FITS, train, weights_of_pixels
from tests.golden.store import generator, leaves, read
from tests.training.conftest import TRAIN

GOLDEN = read("fits")


def test_every_training_was_recorded():
    assert GOLDEN.keys() == FITS.keys()


QUICK = next((engine.name for engine in installed_engines() if engine.differentiable and not engine.compiles), None)
COMPILED = ["heads_by_name", "separable", "added_losses", "averaged"]  # the others only where no step is compiled: it takes seconds each
ASKED = [(name, engine) for engine in TRAIN for name in (FITS if engine == QUICK or QUICK is None else COMPILED)]


@pytest.mark.parametrize(("name", "engine"), ASKED)
def test_a_training_goes_as_in_keras(name, engine):
    with nyala.backend(engine):
        compare(name)


FORGOTTEN = {"weights_of_steps": ["accuracy", "sparse_categorical_accuracy"]}  # metrics of fit from which Keras on JAX leaves out the mask


def compare(name):
    got, want = train(nyala, name), GOLDEN[name]
    for part in ("history", "before", "after"):
        assert got[part].keys() == want[part].keys()
        for key in want[part].keys() - (FORGOTTEN.get(name, []) if part == "history" else []):
            values = want[part][key]
            np.testing.assert_allclose(got[part][key], values, rtol=1e-4, atol=1e-6, err_msg=f"{part} {key}")
    for part in ("prediction", "weights"):
        for i, (a, b) in enumerate(zip(leaves(got[part]), leaves(want[part]), strict=True)):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4, err_msg=f"{part} {i}")


def test_masks_count_in_the_metrics_of_fit_as_in_those_of_evaluate(each_engine):
    random = generator("masks in fit")
    words = nyala.Input((7,), dtype="int32")
    states = nyala.layers.SimpleRNN(3, return_sequences=True)(nyala.layers.Embedding(11, 5, mask_zero=True)(words))
    model = nyala.Model(words, nyala.layers.Dense(4, activation="softmax")(states))
    weighted = ["sparse_categorical_accuracy"]
    model.compile(nyala.optimizers.SGD(0.0), "sparse_categorical_crossentropy", metrics=["accuracy"], weighted_metrics=weighted)
    x, y, weight = random.integers(1, 11, (23, 7)), random.integers(0, 4, (23, 7)), random.uniform(0.5, 2.0, (23, 7))
    x[:, 5:][random.uniform(size=(23, 2)) < 0.5] = 0
    for options in ({}, {"accumulate": 2}):
        history = model.fit(x, y, sample_weight=weight, batch_size=8, epochs=1, shuffle=False, verbose=0, **options).history
        expected = model.evaluate(x, y, sample_weight=weight, batch_size=8, verbose=0, return_dict=True)
        for name in ("accuracy", "sparse_categorical_accuracy"):
            np.testing.assert_allclose(history[name][0], expected[name], rtol=1e-5, err_msg=name)


def test_class_weights_of_pixels_are_weights_of_pixels(eager):
    """What Keras refuses, labels of more than two axes, means what the same weights per pixel mean."""
    table, found = {0: 0.3, 2: 2.5}, []
    for form in ("class_weight", "sample_weight"):
        model, x, y, _, compiled, _ = weights_of_pixels(nyala, generator("pixels"), 11)
        nyala.utils.set_random_seed(1)
        model.set_weights([np.random.default_rng(i).normal(scale=0.3, size=v.shape) for i, v in enumerate(model.weights)])
        model.compile(**compiled)
        given = {"class_weight": table} if form == "class_weight" else {"sample_weight": np.array([0.3, 1.0, 2.5], "float32")[y]}
        found.append(model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0, **given).history["loss"])
    assert found[0] == found[1]
