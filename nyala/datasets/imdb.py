# SPDX-License-Identifier: Apache-2.0
"""IMDB: film reviews, good or bad. Start at load_data."""

from __future__ import annotations

from typing import Any

from nyala.core.errors import ArgumentTypeError
from nyala.datasets.official import fetch
from nyala.datasets.sequences import Options, prepare, read_texts, word_index
from nyala.datasets.tables import Splits, generator, shuffled


def load_data(
    path: str = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int | None = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int | None = 3,
    **kwargs: Any,
) -> Splits:
    """50,000 reviews as `((x_train, y_train), (x_test, y_test))`; a download of 17 MB.

    A review is a list of numbers of words: 1 is the most frequent word, plus index_from.

    Args:
        path: name of the file in the folder of data sets, or a path.
        num_words: numbers from this one on become oov_char; None: the largest number of all does.
        skip_top: so do numbers below this one, start_char included.
        maxlen: only reviews shorter than this, start_char included.
        seed: of the order of the reviews.
        start_char: the number before each review, or None.
        oov_char: the number in place of words that are left out, or None to drop them.
        index_from: added to each number, so that smaller ones are free for the marks.
        **kwargs: nb_words, the old name of num_words.
    Returns: lists (25000,) and int64 labels (25000,), 0 bad and 1 good, twice.
    Source: A. L. Maas and others, 2011, Learning word vectors for sentiment analysis. Licence: not stated.
    """
    where = "imdb.load_data"
    num_words = kwargs.pop("nb_words", num_words)
    if kwargs:
        raise ArgumentTypeError(where, need="arguments that it knows", got=", ".join(map(repr, sorted(kwargs))))
    options = Options(num_words, skip_top, maxlen, start_char, oov_char, index_from).check(where)
    random = generator(where, seed)
    pairs = read_texts(fetch("imdb", path=path), where, ("x_train", "y_train"), ("x_test", "y_test"))
    train, test = prepare(where, options, *(shuffled(random, *pair) for pair in pairs))
    return train, test


def get_word_index(path: str = "imdb_word_index.json") -> dict[str, int]:
    """The number of each word before index_from is added, from 1; a download of 1.6 MB.

    Args:
        path: name of the file in the folder of data sets, or a path.
    """
    return word_index("imdb", path)
