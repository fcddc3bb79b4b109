# SPDX-License-Identifier: Apache-2.0
"""Labels, rows, sequences, seeds, data sets, graphs and batches."""

import random

import numpy as np
import pytest

import nyala
from nyala import layers, ops, utils
from nyala.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from nyala.testing import installed_engines
from tests.training.tools import numbers, raises


def test_to_categorical():
    ids = np.array([[1, 0, 4], [2, 1, 3]])
    np.testing.assert_array_equal(utils.to_categorical(ids), np.eye(5)[ids])
    np.testing.assert_array_equal(utils.to_categorical(ids[..., None], 7), np.eye(7)[ids])
    np.testing.assert_array_equal(utils.to_categorical([0.0, 2.0]), np.eye(3)[[0, 2]])
    assert utils.to_categorical(ids).dtype == np.float64
    assert utils.to_categorical([], 3).shape == (0, 3)
    with raises(ArgumentError, "to_categorical(x) needs class ids from 0 to 1, got 0 to 2.\n  fix: raise num_classes, or number the classes from 0"):
        utils.to_categorical([0, 2], 2)
    with raises(ArgumentError, "to_categorical(x) needs class ids from 0 to 2, got -1 to 2.\n  fix: raise num_classes, or number the classes from 0"):
        utils.to_categorical([-1, 2])
    with raises(ArgumentError, "to_categorical(x) needs whole numbers, got values like 0.5."):
        utils.to_categorical([1.0, 0.5])


@pytest.mark.parametrize("engine", [engine.name for engine in installed_engines()])
def test_labels_and_rows_as_tensors(engine):
    with nyala.backend(engine):
        ids, x = np.array([[1], [0], [2]]), numbers(3, 5)
        np.testing.assert_array_equal(ops.convert_to_numpy(utils.to_categorical(ops.convert_to_tensor(ids), 3)), np.eye(3)[ids[:, 0]])
        want = x / np.linalg.norm(x, axis=0, keepdims=True)
        np.testing.assert_allclose(ops.convert_to_numpy(utils.normalize(ops.convert_to_tensor(x), axis=0)), want, rtol=1e-5)


def test_normalize():
    x = numbers(2, 3, 5)
    for axis in (-1, 0, 1):
        for order in (1, 2, 3):
            want = x / np.linalg.norm(x, order, axis, keepdims=True)
            np.testing.assert_allclose(utils.normalize(x, axis, order), want, rtol=1e-6)
    np.testing.assert_array_equal(utils.normalize(np.array([[0.0, 0.0], [3.0, 4.0]])), [[0, 0], [0.6, 0.8]])
    np.testing.assert_array_equal(utils.normalize(np.array([3.0, 4.0])), [[0.6, 0.8]])  # Keras, too, adds an axis
    for given in ([3.0, 4.0], (3.0, 4.0), [[3.0, 4.0], [0.0, 0.0], [5.0, 12.0]]):  # only to arrays
        x = np.array(given)
        want = x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-9)
        np.testing.assert_allclose(utils.normalize(given), want, rtol=1e-12)
        assert np.shape(utils.normalize(given)) == x.shape


PADDED = [
    ({}, [[0, 0, 1], [0, 2, 3], [4, 5, 6]]),
    ({"maxlen": 2}, [[0, 1], [2, 3], [5, 6]]),
    ({"maxlen": 2, "truncating": "post", "padding": "post", "value": 9}, [[1, 9], [2, 3], [4, 5]]),
    ({"maxlen": 5, "padding": "post"}, [[1, 0, 0, 0, 0], [2, 3, 0, 0, 0], [4, 5, 6, 0, 0]]),
    ({"maxlen": 0}, np.zeros((3, 0))),
]


@pytest.mark.parametrize(("arguments", "want"), PADDED)
def test_pad_sequences(arguments, want):
    got = utils.pad_sequences([[1], [2, 3], [4, 5, 6]], **arguments)
    np.testing.assert_array_equal(got, want)
    assert got.dtype == np.int32


def test_pad_sequences_of_vectors_and_words():
    np.testing.assert_array_equal(utils.pad_sequences([[[1, 2]], [[2, 1], [3, 3]]], dtype="float32"), [[[0, 0], [1, 2]], [[2, 1], [3, 3]]])
    assert utils.pad_sequences([["a"], ["b", "c"]], dtype=object, value="z").tolist() == [["z", "a"], ["b", "c"]]
    assert utils.pad_sequences([[], [7]]).tolist() == [[0], [7]]
    with raises(ArgumentTypeError, "pad_sequences(sequences) needs a list of sequences, got int."):
        utils.pad_sequences(3)
    with raises(ArgumentTypeError, "pad_sequences(sequences[1]) needs a sequence, got 2."):
        utils.pad_sequences([[1], 2])
    with raises(ArgumentError, "pad_sequences(padding) needs 'pre' or 'post', got 'left'."):
        utils.pad_sequences([[1]], padding="left")
    with raises(ArgumentError, "pad_sequences(dtype) needs dtype=object for a string as value, got 'int32'."):
        utils.pad_sequences([[1]], value="z")
    with raises(ShapeError, "pad_sequences(sequences[1]) needs elements of shape (2,), got (3,)."):
        utils.pad_sequences([[[1, 2]], [[1, 2, 3]]])


def test_set_random_seed():
    def draws():
        model = nyala.Sequential([nyala.Input((3,)), layers.Dense(2)])
        return [random.random(), np.random.random(), *model.get_weights()[0].ravel(), float(nyala.random.normal(()))]

    with nyala.backend("numpy"):
        utils.set_random_seed(3)
        first = draws()
        assert first != draws()
        utils.set_random_seed(3)
        assert first == draws()
    for bad in (-1, 2**32, 1.5, "a"):
        with raises(ArgumentError, f"set_random_seed(seed) needs an integer from 0 to 2**32 - 1, got {bad!r}."):
            utils.set_random_seed(bad)


def test_py_dataset():
    class Data(utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return index * 10

    data = Data(workers=3, use_multiprocessing=True, max_queue_size=7)
    assert (list(data), data.num_batches, data.workers, data.use_multiprocessing, data.max_queue_size) == ([0, 10], 2, 3, True, 7)
    assert utils.Sequence is utils.PyDataset
    with pytest.raises(NotImplementedError, match=r"^PyDataset needs a method __getitem__\(self, index\)"):
        utils.PyDataset()[0]
    with pytest.raises(NotImplementedError, match=r"^PyDataset needs a method __len__\(self\)"):
        len(utils.PyDataset())


def test_batches():
    for parts in ((1,), (1, 2), (1, 2, 3)):
        assert utils.unpack_x_y_sample_weight(parts) == (*parts, None, None)[:3]
        assert utils.unpack_x_y_sample_weight(list(parts)) == (*parts, None, None)[:3]
        assert utils.unpack_x_y_sample_weight(utils.pack_x_y_sample_weight(*parts)) == (*parts, None, None)[:3]
    assert utils.pack_x_y_sample_weight([1, 2]) == ([1, 2],)


def test_get_source_inputs():
    a, b = nyala.Input((2,), name="a"), nyala.Input((2,), name="b")
    assert [t.node.operation.name for t in utils.get_source_inputs(layers.Add()([a, layers.Dense(2)(b)]) * a)] == ["a", "b"]
    assert utils.get_source_inputs(a) == [a]


def test_names():
    assert utils.version() == nyala.__version__
    for name in dir(utils):
        assert getattr(utils, name) is not None, name
    with pytest.raises(AttributeError, match=r"module 'nyala.utils' has no attribute 'to_categoricl'; did you mean 'to_categorical'\?"):
        utils.to_categoricl  # noqa: B018
