# SPDX-License-Identifier: Apache-2.0
"""ReversibleEmbedding: contract both ways, numbers, dtypes, masks; and AlphaDropout: its moments."""

import numpy as np
import pytest

import nyala
from nyala import layers
from nyala.core.errors import ArgumentError
from nyala.testing import check_layer
from tests.layers.tools import array, close, mask_of, normals, raises

IDS = np.array([[1, 0, 10], [7, 3, 1]], "int32")


@pytest.mark.parametrize("arguments", [{}, {"tie_weights": False, "logit_soft_cap": 2.0, "embeddings_regularizer": "l2"}])
def test_contract(arguments):
    sizes = {"input_dim": 11, "output_dim": 5}
    check_layer(layers.ReversibleEmbedding, {**sizes, **arguments}, IDS, unknown=(1,), gradients=False)
    check_layer(layers.ReversibleEmbedding, {**sizes, **arguments}, normals(1, (2, 3, 5)), call={"reverse": True}, unknown=(1,), mixed=False)


@pytest.mark.parametrize("tied", [True, False])
def test_there_and_back(each_engine, tied):
    layer, x = layers.ReversibleEmbedding(11, 5, tie_weights=tied, logit_soft_cap=0.7), normals(2, (2, 3, 5))
    layer(IDS)
    layer.set_weights([normals(3 + i, w.shape) for i, w in enumerate(layer.weights)])
    table, back = (*layer.get_weights(), layer.get_weights()[0].T)[:2]
    close(layer(IDS), table[IDS])
    close(layer(x, reverse=True), 0.7 * np.tanh(x.astype("float64") @ back / 0.7))


def test_dtypes():
    half = layers.ReversibleEmbedding(11, 5, dtype="mixed_bfloat16")
    wide = layers.ReversibleEmbedding(11, 5, dtype="mixed_bfloat16", reverse_dtype="float32")
    kinds = [nyala.backend.standardize_dtype(layer(layer(IDS), reverse=True).dtype) for layer in (half, wide)]
    assert kinds == ["bfloat16", "float32"]


def test_masks():
    layer = layers.ReversibleEmbedding(11, 5, mask_zero=True)
    rows = layer(IDS)
    np.testing.assert_array_equal(mask_of(rows), IDS != 0)
    np.testing.assert_array_equal(mask_of(layer(rows, reverse=True)), IDS != 0)
    assert mask_of(layers.ReversibleEmbedding(11, 5)(IDS)) is None


def test_one_layer_twice_in_a_model():
    ids = nyala.Input((3,), dtype="int32")
    layer = layers.ReversibleEmbedding(11, 5)
    model = nyala.Model(ids, layer(layer(ids), reverse=True))
    assert model.output_shape == (None, 3, 11)
    table = layer.get_weights()[0].astype("float64")
    close(model(IDS), table[IDS] @ table.T)
    copy = nyala.models.clone_model(model)
    copy.set_weights(model.get_weights())
    close(copy(IDS), array(model(IDS)))


def test_errors():
    with raises(ArgumentError, "ReversibleEmbedding(logit_soft_cap) needs a number above 0, or None, got 0."):
        layers.ReversibleEmbedding(11, 5, logit_soft_cap=0)
    with raises(ArgumentError, "Embedding(output_dim) needs a positive integer, got 0."):
        layers.ReversibleEmbedding(11, 0)
    with raises(ArgumentError, "AlphaDropout(rate) needs a number from 0, below 1, got 1.0.\n  why: nothing would keep the variance"):
        layers.AlphaDropout(1.0)


# AlphaDropout


def test_alpha_dropout_contract():
    check_layer(layers.AlphaDropout, {"rate": 0.3, "noise_shape": (None, 1, 5)}, normals(1, (2, 3, 5)))


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_alpha_dropout_keeps_mean_and_variance(each_engine, rate):
    x = normals(4, (1000, 211))
    y = array(layers.AlphaDropout(rate, seed=3)(x, training=True))
    assert y.mean() == pytest.approx(0, abs=0.01)
    assert y.var() == pytest.approx(1, abs=0.02)
    lowest, scale = -1.7580993408473766, 1 / np.sqrt((1 - rate) * (1 + rate * 1.7580993408473766**2))
    dropped = np.isclose(y, scale * (lowest - rate * lowest), atol=1e-5)
    assert dropped.mean() == pytest.approx(rate, abs=0.01)
    np.testing.assert_allclose(y[~dropped], scale * (x[~dropped] - rate * lowest), atol=1e-5)
    close(layers.AlphaDropout(rate)(x), x)


def test_alpha_dropout_shares_tosses():
    y = array(layers.AlphaDropout(0.5, noise_shape=(None, 1), seed=1)(np.ones((50, 7), "float32"), training=True))
    assert (y == y[:, :1]).all()
    assert len(np.unique(y)) == 2
