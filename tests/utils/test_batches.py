# SPDX-License-Identifier: Apache-2.0
"""Dataset: order, shuffling, batches, threads; split_dataset and timeseries_dataset_from_array beside Keras's recorded answers."""

import threading
import time

import numpy as np
import pytest

import nyala
from nyala import layers, utils
from nyala.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from nyala.testing import installed_engines
from nyala.utils.batches import Dataset
from tests.training.tools import numbers, raises

X, Y = numbers(23, 3), np.arange(23)


def values(data):
    return [np.asarray(element).tolist() for element in data]


def test_elements_come_in_order_however_long_they_take():
    def load(i):
        time.sleep((7 - i % 7) / 1000)
        return i

    data = Dataset(lambda epoch: [lambda i=i: load(i) for i in range(29)], 29)
    assert list(data) == list(range(29))


def test_loading_is_done_by_other_threads_and_functions_are_not():
    threads = set()

    def load():
        threads.add(threading.get_ident())
        return 1

    here = []
    data = Dataset(lambda epoch: [load] * 5, 5).map(lambda x: here.append(threading.get_ident()))
    list(data)
    assert threading.get_ident() not in threads
    assert set(here) == {threading.get_ident()}
    with nyala.backend("numpy"):
        elsewhere = list(Dataset.from_arrays(X).map(lambda x: (threading.get_ident(), nyala.backend.backend()), num_parallel_calls=2))
    assert {name for _, name in elsewhere} == {"numpy"}
    assert threading.get_ident() not in {thread for thread, _ in elsewhere}


def test_only_a_few_elements_are_loaded_ahead_and_none_after_a_break():
    loaded = []
    data = Dataset(lambda epoch: [lambda i=i: loaded.append(i) for i in range(1000)], 1000)
    for _ in data:
        break
    time.sleep(0.05)
    assert len(loaded) < 30


def test_shuffling_is_another_order_each_epoch_and_the_same_for_a_seed():
    def epochs():
        data = Dataset.from_arrays(Y).shuffle(seed=5)
        return [values(data) for _ in range(3)]

    first = epochs()
    assert first == epochs()
    assert len(set(map(tuple, first))) == 3
    assert all(sorted(epoch) == Y.tolist() for epoch in first)
    fixed = Dataset.from_arrays(Y).shuffle(100, seed=5, reshuffle_each_iteration=False)
    assert values(fixed) == values(fixed)


def test_batches_keep_the_structure():
    data = Dataset.from_arrays({"x": X, "y": (Y, Y * 2)}).batch(5)
    assert len(data) == data.cardinality() == 5
    batches = list(data)
    assert [len(batch["y"][1]) for batch in batches] == [5, 5, 5, 5, 3]
    np.testing.assert_array_equal(np.concatenate([batch["x"] for batch in batches]), X)
    assert len(Dataset.from_arrays(Y).batch(5, drop_remainder=True)) == 4
    assert values(data.unbatch().map(lambda row: row["y"][0])) == Y.tolist()
    assert values(data.map(lambda batch: batch["y"][0] + 1).unbatch()) == (Y + 1).tolist()
    with raises(ArgumentError, "batch(batch_size) needs a positive integer, got 0."):
        Dataset.from_arrays(Y).batch(0)
    with raises(ShapeError, "a batch needs elements of one shape, got (1,) and (2,).\n  fix: use batch_size=None, or make them equal"):
        list(Dataset(lambda epoch: [lambda: np.zeros(1), lambda: np.zeros(2)], 2).batch(2))


def test_parts_and_repeats():
    data = Dataset.from_arrays(Y)
    assert values(data.take(3)) == [0, 1, 2]
    assert values(data.skip(20)) == [20, 21, 22]
    assert (len(data.take(-1)), len(data.skip(-1)), len(data.skip(99))) == (23, 0, 0)
    assert values(data.take(2).repeat(2)) == [0, 1, 0, 1]
    assert values(data.take(2).prefetch(4).as_numpy_iterator()) == [0, 1]
    with raises(
        ArgumentError, "repeat(count) needs a number of times, got None.\n  fix: leave repeat out: fit begins again by itself after each epoch"
    ):
        data.repeat()


def test_what_is_cached_is_loaded_once():
    loaded, mapped = [], []
    data = Dataset(lambda epoch: [lambda i=i: loaded.append(i) or i for i in range(5)], 5).map(lambda i: mapped.append(i) or i * 10).cache()
    assert list(data) == list(data) == [0, 10, 20, 30, 40]
    assert sorted(data.shuffle(seed=1)) == [0, 10, 20, 30, 40]
    assert (sorted(loaded), mapped) == ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4])


def test_shapes_of_elements():
    x, y = Dataset.from_arrays((X, Y)).batch(4).element_spec
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((None, 3), "float32", (None,), "int64")
    assert Dataset.from_arrays(np.array(["a", "b"])).element_spec.dtype == "string"
    with raises(ArgumentError, "element_spec needs at least one element, got an empty dataset."):
        Dataset.from_arrays(X).take(0).element_spec  # noqa: B018
    assert repr(Dataset.from_arrays(X).batch(4)) == "<Dataset of 6 batches>"


def test_an_error_of_a_loader_reaches_the_loop():
    def fail():
        raise OSError("no such row")

    with pytest.raises(OSError, match="no such row"):
        list(Dataset(lambda epoch: [lambda: 1, fail], 2))


@pytest.mark.parametrize("engine", [engine.name for engine in installed_engines() if engine.name != "numpy"])
def test_models_take_it_as_it_is(engine):
    with nyala.backend(engine):
        nyala.utils.set_random_seed(3)
        model = nyala.Sequential([nyala.Input((3,)), layers.Dense(1)])
        model.compile("sgd", "mse")
        data = Dataset.from_arrays((X, X.sum(1, keepdims=True))).shuffle(seed=1).batch(5)
        losses = model.fit(data, epochs=4, validation_data=data.take(2), verbose=0).history["loss"]
        assert losses[-1] < losses[0]
        assert isinstance(model.evaluate(data, verbose=0), float)
        assert model.predict(Dataset.from_arrays(X).batch(7), verbose=0).shape == (23, 1)
        assert data._epochs == 5  # four of fit and one of evaluate


def test_split_of_several_arrays_batches_and_iterables():
    left, right = utils.split_dataset((X, Y), left_size=0.25, shuffle=True, seed=3)
    assert (len(left), len(right)) == (6, 17)
    assert sorted(int(y) for _, y in [*left, *right]) == Y.tolist()
    assert all(np.array_equal(x, X[y]) for x, y in left)
    left, right = utils.split_dataset(Dataset.from_arrays(Y).shuffle(seed=2).batch(4), left_size=10)
    assert [len(batch) for batch in left] == [4, 4, 2]
    assert sorted(np.concatenate([*left, *right]).tolist()) == Y.tolist()
    assert values(left) == values(left)
    left, right = utils.split_dataset(Dataset.from_arrays(Y).batch(4).map(lambda y: y * 2), right_size=3)
    assert values(right) == [[40, 42, 44]]
    left, right = utils.split_dataset(iter(range(6)), left_size=2)
    assert (list(left), list(right)) == ([0, 1], [2, 3, 4, 5])


SPLIT_ERRORS = [
    ((Y,), {}, ArgumentError, "split_dataset needs left_size or right_size, got neither."),
    ((Y,), {"left_size": 23}, ArgumentError, "split_dataset(left_size) needs an integer from 1 to 22, or a share between 0 and 1, got 23."),
    ((Y,), {"right_size": 1.0}, ArgumentError, "split_dataset(right_size) needs an integer from 1 to 22, or a share between 0 and 1, got 1.0."),
    ((Y,), {"left_size": "a"}, ArgumentError, "split_dataset(left_size) needs an integer from 1 to 22, or a share between 0 and 1, got 'a'."),
    ((Y,), {"left_size": 0.9, "right_size": 0.2}, ArgumentError,
     "split_dataset needs two sizes of at least 1 with a sum of at most 23, got 21 and 5.\n  fix: choose other sizes"),
    ((Y,), {"left_size": 0.01}, ArgumentError,
     "split_dataset needs two sizes of at least 1 with a sum of at most 23, got 0 and 23.\n  fix: choose other sizes"),
    (([1, 2],), {"left_size": 1}, ArgumentTypeError,
     "split_dataset(dataset) needs arrays in a list or tuple, got [1, 2].\n  fix: np.asarray makes one array of numbers"),
    ((3,), {"left_size": 1}, ArgumentTypeError, "split_dataset(dataset) needs an array, a list of arrays, or an iterable of samples, got int."),
    (([X, Y[:5]],), {"left_size": 1}, ArgumentError, "split_dataset(dataset) needs arrays of equal length, got lengths [5, 23]."),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "options", "kind", "message"), SPLIT_ERRORS)
def test_errors_of_splits(arguments, options, kind, message):
    with raises(kind, message):
        utils.split_dataset(*arguments, **options)


def test_windows_are_shuffled_by_seed_and_of_any_rank():
    data = utils.timeseries_dataset_from_array(X, Y, 4, batch_size=6, shuffle=True, seed=1)
    first, second = ([y for _, y in data] for _ in range(2))
    assert sorted(np.concatenate(first).tolist()) == list(range(20))
    assert np.concatenate(first).tolist() != np.concatenate(second).tolist()
    for x, y in data:
        np.testing.assert_array_equal(x, X[y[:, None] + np.arange(4)])
    assert utils.timeseries_dataset_from_array(X, None, 4).element_spec.shape == (None, 4, 3)


WINDOW_ERRORS = [
    ({"sequence_length": 0}, "(sequence_length) needs a positive integer below the length of the data, 23, got 0."),
    ({"sampling_rate": 0}, "(sampling_rate) needs a positive integer below the length of the data, 23, got 0."),
    ({"sequence_stride": 30}, "(sequence_stride) needs a positive integer below the length of the data, 23, got 30."),
    ({"start_index": 23}, "(start_index) needs an integer from 0 to 22, got 23."),
    ({"start_index": 5, "end_index": 5}, "(end_index) needs an integer from 6 to 23, got 5."),
    ({"batch_size": 0}, "(batch_size) needs a positive integer, got 0."),
    ({"batch_size": -2}, "(batch_size) needs a positive integer, got -2."),
    ({"sequence_length": 30}, "(sequence_length) needs a window that fits into the 23 samples, got 30 samples, 1 apart.\n"
     "  fix: pass more data, or a shorter window"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), WINDOW_ERRORS)
def test_errors_of_windows(arguments, message):
    with raises(ArgumentError, f"timeseries_dataset_from_array{message}"):
        utils.timeseries_dataset_from_array(X, Y, **{"sequence_length": 4, **arguments})
