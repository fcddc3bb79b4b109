# SPDX-License-Identifier: Apache-2.0
"""Texts for programs of Keras 1 and 2: words to numbers. New programs use layers.TextVectorization. Start at Tokenizer."""

from __future__ import annotations

import collections
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from nyala.core.errors import ArgumentError, StateError
from nyala.layers.arguments import as_choice

FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
MODES = ("binary", "count", "tfidf", "freq")


def text_to_word_sequence(input_text: str, filters: str = FILTERS, lower: bool = True, split: str = " ") -> list[str]:
    """The words of a text.

    Args:
        filters: characters that are taken for `split`.
        lower: make letters small first.
        split: stands between words.

    >>> text_to_word_sequence("The cat sat, on the mat!")
    ['the', 'cat', 'sat', 'on', 'the', 'mat']
    """
    text = input_text.lower() if lower else input_text
    return [word for word in text.translate(str.maketrans(dict.fromkeys(filters, split))).split(split) if word]


def hashing_trick(
    text: str,
    n: int,
    hash_function: str | Callable[[str], int] | None = None,
    filters: str = FILTERS,
    lower: bool = True,
    split: str = " ",
    analyzer: Callable[[str], list[str]] | None = None,
) -> list[int]:
    """Numbers from 1 to n - 1 for the words of a text, by their hashes: different words may share one.

    Args:
        hash_function: "md5" (also for None), or a function of a word.
        analyzer: makes words of the text, instead of filters, lower and split.

    Differs from Keras: None means md5, which is the same in every process, as Python's hash is not.

    >>> hashing_trick("a b a", 50)
    [15, 33, 15]
    """
    number = hash_function if callable(hash_function) else _md5
    if not callable(hash_function):
        as_choice("hashing_trick(hash_function)", hash_function, ("md5", None))  # type: ignore[arg-type]
    words = text_to_word_sequence(text, filters, lower, split) if analyzer is None else analyzer(text)
    return [number(word) % (n - 1) + 1 for word in words]


def _md5(word: str) -> int:
    return int(hashlib.md5(word.encode(), usedforsecurity=False).hexdigest(), 16)


def one_hot(
    input_text: str, n: int, filters: str = FILTERS, lower: bool = True, split: str = " ", analyzer: Callable[[str], list[str]] | None = None
) -> list[int]:
    """hashing_trick under its old name: numbers, not rows."""
    return hashing_trick(input_text, n, None, filters, lower, split, analyzer)


class Tokenizer:
    """Words to numbers, by how often they are seen: the most frequent is 1, and 0 is no word.

    Args:
        num_words: the numbers that are used are below it; None uses all.
        filters, lower, split: as in text_to_word_sequence.
        char_level: characters instead of words.
        oov_token: stands for unknown words and is number 1; None leaves them out.
        analyzer: makes words of a text, instead of filters, lower and split.
        document_count: texts seen so far.

    Attributes:
        word_index, index_word: numbers of words, and words of numbers.
        word_counts: how often each word was seen. word_docs, index_docs: in how many texts, by word and by number.

    >>> tokenizer = Tokenizer()
    >>> tokenizer.fit_on_texts(["the cat", "the mat"])
    >>> tokenizer.texts_to_sequences(["a mat, the mat"])
    [[3, 1, 3]]
    """

    def __init__(
        self,
        num_words: int | None = None,
        filters: str = FILTERS,
        lower: bool = True,
        split: str = " ",
        char_level: bool = False,
        oov_token: str | None = None,
        analyzer: Callable[[str], list[str]] | None = None,
        **kwargs: Any,
    ) -> None:
        num_words = kwargs.pop("nb_words", num_words)  # its name in Keras 1
        self.document_count: int = kwargs.pop("document_count", 0)
        if kwargs:
            raise TypeError(f"Tokenizer has no argument {next(iter(kwargs))!r}")
        self.num_words, self.filters, self.lower, self.split = num_words, filters, lower, split
        self.char_level, self.oov_token, self.analyzer = char_level, oov_token, analyzer
        self.word_counts: collections.OrderedDict[str, int] = collections.OrderedDict()
        self.word_docs: collections.defaultdict[str, int] = collections.defaultdict(int)
        self.index_docs: collections.defaultdict[int, int] = collections.defaultdict(int)
        self.word_index: dict[str, int] = {}
        self.index_word: dict[int, str] = {}

    def _words(self, text: str | list[str]) -> list[str]:
        if self.char_level or isinstance(text, list):
            return [word.lower() for word in text] if self.lower else list(text)
        return text_to_word_sequence(text, self.filters, self.lower, self.split) if self.analyzer is None else self.analyzer(text)

    def fit_on_texts(self, texts: Iterable[str | list[str]]) -> None:
        """Learn the words of texts, or of lists of words."""
        for text in texts:
            self.document_count += 1
            words = self._words(text)
            for word in words:
                self.word_counts[word] = self.word_counts.get(word, 0) + 1
            for word in set(words):
                self.word_docs[word] += 1
        ordered = sorted(self.word_counts, key=lambda word: -self.word_counts[word])
        ordered = ordered if self.oov_token is None else [self.oov_token, *ordered]
        self.word_index = {word: i for i, word in enumerate(ordered, 1)}
        self.index_word = {i: word for word, i in self.word_index.items()}
        for word, count in self.word_docs.items():
            self.index_docs[self.word_index[word]] = count

    def fit_on_sequences(self, sequences: Iterable[list[int]]) -> None:
        """Learn how often numbers appear, for sequences_to_matrix."""
        for sequence in sequences:
            self.document_count += 1
            for number in set(sequence):
                self.index_docs[number] += 1

    def texts_to_sequences(self, texts: Iterable[str | list[str]]) -> list[list[int]]:
        """The numbers of the words of each text."""
        return list(self.texts_to_sequences_generator(texts))

    def texts_to_sequences_generator(self, texts: Iterable[str | list[str]]) -> Iterator[list[int]]:
        """texts_to_sequences, one by one."""
        unknown = self.word_index.get(self.oov_token) if self.oov_token is not None else None
        for text in texts:
            numbers = (self.word_index.get(word) for word in self._words(text))
            known = (unknown if number is None or (self.num_words and number >= self.num_words) else number for number in numbers)
            yield [number for number in known if number is not None]

    def sequences_to_texts(self, sequences: Iterable[Iterable[int]]) -> list[str]:
        """The words of numbers, with spaces between."""
        return list(self.sequences_to_texts_generator(sequences))

    def sequences_to_texts_generator(self, sequences: Iterable[Iterable[int]]) -> Iterator[str]:
        """sequences_to_texts, one by one."""
        for sequence in sequences:
            numbers = (None if self.num_words and number >= self.num_words else number for number in sequence)
            words = (self.index_word.get(number, self.oov_token) if number is not None else self.oov_token for number in numbers)
            yield " ".join(word for word in words if word is not None)

    def texts_to_matrix(self, texts: Iterable[str | list[str]], mode: str = "binary") -> np.ndarray:
        """A row per text with a column per word; see sequences_to_matrix."""
        return self.sequences_to_matrix(self.texts_to_sequences(texts), mode)

    def sequences_to_matrix(self, sequences: Iterable[list[int]], mode: str = "binary") -> np.ndarray:
        """A row per sequence with a column per number.

        Args:
            mode: "binary" (is it there), "count", "freq" (count by length) or "tfidf" (count, less for what many texts have).
        """
        as_choice("Tokenizer.sequences_to_matrix(mode)", mode, MODES)
        columns = self.num_words or (len(self.word_index) + 1 if self.word_index else 0)
        if not columns:
            raise StateError("Tokenizer", need="num_words, or texts it was fitted on", got="neither", fix="call fit_on_texts first")
        if mode == "tfidf" and not self.document_count:
            raise StateError('Tokenizer(mode="tfidf")', need="texts it was fitted on", got="none", fix="call fit_on_texts first")
        sequences = list(sequences)
        matrix = np.zeros((len(sequences), columns))
        for row, sequence in zip(matrix, sequences, strict=True):
            for number, count in collections.Counter(number for number in sequence if number < columns).items():
                row[number] = self._weight(mode, number, count, len(sequence))
        return matrix

    def _weight(self, mode: str, number: int, count: int, length: int) -> float:
        if mode == "tfidf":
            return (1 + math.log(count)) * math.log(1 + self.document_count / (1 + self.index_docs.get(number, 0)))
        return 1 if mode == "binary" else count if mode == "count" else count / length

    def get_config(self) -> dict[str, Any]:
        """What it was made of and what it has learnt, tables as JSON."""
        names = ("num_words", "filters", "lower", "split", "char_level", "oov_token", "document_count")
        tables = ("word_counts", "word_docs", "index_docs", "index_word", "word_index")
        return {**{name: getattr(self, name) for name in names}, **{name: json.dumps(getattr(self, name)) for name in tables}}

    def to_json(self, **kwargs: Any) -> str:
        """The tokenizer as JSON; tokenizer_from_json reads it."""
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **kwargs)


def tokenizer_from_json(json_string: str) -> Tokenizer:
    """A tokenizer of what its to_json wrote.

    >>> tokenizer = Tokenizer(num_words=3)
    >>> tokenizer.fit_on_texts(["a b c"])
    >>> tokenizer_from_json(tokenizer.to_json()).texts_to_sequences(["b c"])
    [[2]]
    """
    try:
        config = dict(json.loads(json_string)["config"])
        tables = {name: json.loads(config.pop(name)) for name in ("word_counts", "word_docs", "index_docs", "index_word", "word_index")}
    except (ValueError, TypeError, KeyError) as error:
        raise ArgumentError("tokenizer_from_json(json_string)", need="what Tokenizer.to_json writes", got=f"something else ({error})") from error
    tokenizer = Tokenizer(**config)
    tokenizer.word_counts = collections.OrderedDict(tables["word_counts"])
    tokenizer.word_docs.update(tables["word_docs"])
    tokenizer.index_docs.update({int(number): count for number, count in tables["index_docs"].items()})
    tokenizer.index_word = {int(number): word for number, word in tables["index_word"].items()}
    tokenizer.word_index = tables["word_index"]
    return tokenizer
