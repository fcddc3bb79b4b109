# SPDX-License-Identifier: Apache-2.0
"""Tokenizer, TimeseriesGenerator, skipgrams: what Keras's recorded answers do not say, and errors."""

import collections

import numpy as np
import pytest

import nyala
from nyala import layers
from nyala.core.errors import ArgumentError, StateError
from nyala.preprocessing import sequence, text
from tests.training.tools import raises


def test_pairs_are_neighbours_or_random():
    words = [5, 2, 0, 7, 3, 2, 11]
    pairs, labels = sequence.skipgrams(words, 13, window_size=2, negative_samples=2.0)
    near = {(words[i], words[j]) for i in range(7) for j in range(7) if 0 < abs(i - j) <= 2 and words[i] and words[j]}
    true = [tuple(pair) for pair, label in zip(pairs, labels, strict=True) if label]
    assert set(true) == near
    assert labels.count(0) == 2 * len(true)
    assert all(0 < b < 13 for _, b in pairs)
    assert sequence.skipgrams(words, 13, sampling_table=np.zeros(13)) == ([], [])


def test_frequent_words_are_kept_less_often():
    table = sequence.make_sampling_table(10**6, 1e-3)
    assert (np.diff(table[1:]) >= 0).all()
    assert table.max() == 1


def test_windows_train_a_model():
    series = np.sin(np.arange(60) / 5)[:, None]
    windows = sequence.TimeseriesGenerator(series, series[:, 0], length=7, batch_size=11)
    model = nyala.Sequential([nyala.Input((7, 1)), layers.Flatten(), layers.Dense(1)])
    model.compile("sgd", "mse")
    assert len(model.fit(windows, epochs=2, verbose=0).history["loss"]) == 2
    assert model.predict(windows, verbose=0).shape == (53, 1)
    assert '"length": 7' in windows.to_json()
    shuffled = sequence.TimeseriesGenerator(np.arange(30), np.arange(30), 3, shuffle=True, batch_size=5)[0]
    assert (shuffled[0][:, -1] + 1 == shuffled[1]).all()


def test_errors_of_windows():
    with raises(ArgumentError, "TimeseriesGenerator(batch_size) needs a positive integer, got 0."):
        sequence.TimeseriesGenerator(np.arange(20), np.arange(20), 4, batch_size=0)
    with raises(ArgumentError, "TimeseriesGenerator(stride) needs a positive integer, got 0."):
        sequence.TimeseriesGenerator(np.arange(20), np.arange(20), 4, stride=0)
    with raises(ArgumentError, "TimeseriesGenerator needs data and targets of equal length, got lengths 20 and 19."):
        sequence.TimeseriesGenerator(np.arange(20), np.arange(19), 4)
    with raises(
        ArgumentError,
        "TimeseriesGenerator(length) needs a window with a target after it, got length 4 between 0 and 2.\n"
        "  fix: pass more data, or a shorter length",
    ):
        sequence.TimeseriesGenerator(np.arange(3), np.arange(3), 4)


def test_words_of_lists_analyzers_and_old_names():
    tokenizer = text.Tokenizer(nb_words=4)
    tokenizer.fit_on_texts([["A", "b"], ["b"]])
    assert (tokenizer.word_index, tokenizer.num_words) == ({"b": 1, "a": 2}, 4)
    tokenizer = text.Tokenizer(analyzer=lambda line: line.split("-"))
    tokenizer.fit_on_texts(["x-y", "y"])
    assert tokenizer.texts_to_sequences(["y-x-z"]) == [[1, 2]]
    tokenizer = text.Tokenizer(4)
    tokenizer.fit_on_sequences([[1, 2, 2], [2, 3]])
    assert (tokenizer.document_count, tokenizer.index_docs) == (2, collections.defaultdict(int, {1: 1, 2: 2, 3: 1}))
    assert tokenizer.sequences_to_matrix([[1, 2, 2, 9]], "count").tolist() == [[0, 1, 2, 0]]


def test_errors_of_the_tokenizer():
    with raises(StateError, "Tokenizer needs num_words, or texts it was fitted on, got neither.\n  fix: call fit_on_texts first"):
        text.Tokenizer().texts_to_matrix(["a"])
    with raises(StateError, 'Tokenizer(mode="tfidf") needs texts it was fitted on, got none.\n  fix: call fit_on_texts first'):
        text.Tokenizer(4).sequences_to_matrix([[1, 2]], "tfidf")
    with raises(ArgumentError, "Tokenizer.sequences_to_matrix(mode) needs one of 'binary', 'count', 'tfidf', 'freq', got 'tf'."):
        text.Tokenizer(4).sequences_to_matrix([[1, 2]], "tf")
    with raises(ArgumentError, "tokenizer_from_json(json_string) needs what Tokenizer.to_json writes, got something else ('config')."):
        text.tokenizer_from_json("{}")
    with pytest.raises(TypeError, match="Tokenizer has no argument 'words'"):
        text.Tokenizer(words=3)


def test_hashes():
    assert text.hashing_trick("aa b cccc", 3, len) == [1, 2, 1]
    assert text.hashing_trick("a,b", 50, analyzer=lambda line: ["a", "a"]) == text.one_hot("a a", 50)
    with raises(ArgumentError, "hashing_trick(hash_function) needs one of 'md5', None, got 'sha'."):
        text.hashing_trick("a", 5, "sha")
