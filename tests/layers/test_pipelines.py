# SPDX-License-Identifier: Apache-2.0
"""Layers that tf.data maps over its elements, on engines that know nothing of TensorFlow: as called on the same arrays."""

import numpy as np
import pytest

import nyala
from nyala import layers
from nyala.testing import installed_engines
from nyala.utils import FeatureSpace
from tests.ops.table import host

tf = pytest.importorskip("tensorflow")
ENGINES = [engine.name for engine in installed_engines() if engine.name in ("jax", "torch", "numpy")]
IMAGES = np.random.default_rng(1).uniform(0, 255, (5, 7, 4, 3)).astype("float32")
WORDS = np.array(["b a", "c", "a a", "", "b"])
COLUMNS = {
    "size": np.random.default_rng(2).normal(3, 2, 7).astype("float32"),
    "count": np.arange(7, dtype="int32") % 3,
    "name": np.array(list("abcabda")),
}


def same(layer, x, batch=2):
    data = tf.data.Dataset.from_tensor_slices(x)
    whole = layer(x)
    mapped = data.batch(batch).map(layer)
    assert mapped.element_spec.shape[0] is None
    np.testing.assert_allclose(np.concatenate([part.numpy() for part in mapped]), host(whole), 1e-5)
    return data.map(layer)


@pytest.mark.parametrize("engine", ENGINES)
def test_images(engine):
    with nyala.backend(engine):
        for layer in (layers.Rescaling(0.5), layers.Resizing(3, 5), nyala.Sequential([layers.CenterCrop(3, 2), layers.Rescaling(2.0)])):
            single = same(layer, IMAGES)
            np.testing.assert_allclose(np.stack([image.numpy() for image in single]), host(layer(IMAGES)), 1e-5)
        turned = layers.RandomFlip("horizontal", seed=3)
        for image in tf.data.Dataset.from_tensor_slices((IMAGES, np.arange(5))).map(lambda x, y: (turned(x, training=True), y)):
            assert any(np.array_equal(image[0], IMAGES[image[1]][:, ::step]) for step in (1, -1))


def test_random_images_in_batches_of_unknown_size_on_tensorflow():
    with nyala.backend("tensorflow"):
        turned = layers.RandomFlip("horizontal", seed=3)
        mapped = tf.data.Dataset.from_tensor_slices((IMAGES, np.arange(5))).batch(2).map(lambda x, y: (turned(x, training=True), y))
        assert mapped.element_spec[0].shape[0] is None
        for images, places in mapped:
            for image, place in zip(images.numpy(), places.numpy(), strict=True):
                assert any(np.array_equal(image, IMAGES[place][:, ::step]) for step in (1, -1))


@pytest.mark.parametrize("engine", ENGINES)
def test_words_and_numbers(engine):
    with nyala.backend(engine):
        texts = layers.TextVectorization(vocabulary=["a", "b"], output_sequence_length=3)
        assert same(texts, WORDS).element_spec.shape == (3,)
        assert same(layers.StringLookup(vocabulary=["a", "b"], output_mode="int"), np.array(list("abcab"))).element_spec.shape == ()
        same(layers.Discretization([1.0, 3.0]), COLUMNS["size"])
        same(layers.CategoryEncoding(3, "one_hot"), COLUMNS["count"])


@pytest.mark.parametrize("engine", ENGINES)
def test_feature_spaces(engine):
    kinds = {"size": "float_normalized", "count": "integer_categorical", "name": "string_categorical"}
    with nyala.backend(engine):
        space = FeatureSpace(kinds, crosses=[("count", "name")], crossing_dim=5)
        data = tf.data.Dataset.from_tensor_slices(COLUMNS)
        space.adapt(data.batch(3))
        wanted = host(space(COLUMNS))
        for elements, joined in ((data.batch(3).map(space), np.concatenate), (data.map(space), np.stack)):
            assert elements.element_spec.shape[-1] == wanted.shape[-1]
            np.testing.assert_allclose(joined([part.numpy() for part in elements]), wanted, 1e-5)
