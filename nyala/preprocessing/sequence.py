# SPDX-License-Identifier: Apache-2.0
"""Sequences for programs of Keras 1 and 2: padding, windows of a series, pairs of words for word vectors."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from nyala.core.errors import ArgumentError
from nyala.layers.arguments import as_count
from nyala.utils.dataset import PyDataset
from nyala.utils.sequences import pad_sequences

__all__ = ["TimeseriesGenerator", "make_sampling_table", "pad_sequences", "skipgrams"]


def make_sampling_table(size: int, sampling_factor: float = 1e-5) -> np.ndarray:
    """With what probability to keep the word of each rank, so that frequent words are seen less often.

    Args:
        size: number of words; the most frequent is number 1, and 0 is no word.
        sampling_factor: smaller keeps fewer.
    Source: Mikolov et al. 2013, Distributed representations of words and phrases; frequencies by Zipf's law.

    >>> make_sampling_table(3).round(6).tolist()
    [0.003152, 0.003152, 0.005476]
    """
    rank = np.maximum(np.arange(size), 1)
    harmonic = np.log(rank) + 0.577 + 1 / (2 * rank) - 1 / (12 * rank**2)  # sum of 1/1 ... 1/rank, by Euler and Maclaurin
    return np.minimum(1.0, np.sqrt(sampling_factor * rank * harmonic))


def skipgrams(
    sequence: Sequence[int],
    vocabulary_size: int,
    window_size: int = 4,
    negative_samples: float = 1.0,
    shuffle: bool = True,
    categorical: bool = False,
    sampling_table: Any = None,
    seed: int | None = None,
) -> tuple[list[list[int]], list[Any]]:
    """Pairs of words that stand close together, label 1, and random pairs, label 0.

    Args:
        sequence: numbers of words; 0 is no word.
        vocabulary_size: random words are below it.
        window_size: largest distance.
        negative_samples: random pairs per true pair.
        shuffle, seed: mix the pairs.
        categorical: labels [0, 1] and [1, 0].
        sampling_table: probability to keep each word, see make_sampling_table.

    >>> skipgrams([1, 2, 3], 5, window_size=1, negative_samples=0, shuffle=False)
    ([[1, 2], [2, 1], [2, 3], [3, 2]], [1, 1, 1, 1])
    """
    pairs = []
    for i, word in enumerate(sequence):
        if not word or (sampling_table is not None and sampling_table[word] < random.random()):
            continue
        near = range(max(0, i - window_size), min(len(sequence), i + window_size + 1))
        pairs += [[word, sequence[j]] for j in near if j != i and sequence[j]]
    labels: list[Any] = [[0, 1] if categorical else 1] * len(pairs)
    count = int(len(pairs) * negative_samples)
    if count:
        words = [word for word, _ in pairs]
        random.shuffle(words)
        pairs += [[words[i % len(words)], random.randint(1, vocabulary_size - 1)] for i in range(count)]
        labels += [[1, 0] if categorical else 0] * count
    if shuffle:
        order = list(range(len(pairs)))
        random.Random(random.randint(0, 10**7) if seed is None else seed).shuffle(order)
        pairs, labels = [pairs[i] for i in order], [labels[i] for i in order]
    return pairs, labels


class TimeseriesGenerator(PyDataset):
    """Batches of windows of a series, each with the target that follows it.

    Args:
        data, targets: of equal length.
        length: of a window, in samples of data.
        sampling_rate: samples from one of a window to the next.
        stride: samples from one window to the next.
        start_index, end_index: the part of data to use; end_index is in it.
        shuffle: draw windows at random.
        reverse: windows run backwards.
        batch_size: windows of a batch.

    >>> x, y = TimeseriesGenerator(np.arange(6), np.arange(10, 16), length=3)[0]
    >>> x.tolist(), y.tolist()
    ([[0, 1, 2], [1, 2, 3], [2, 3, 4]], [13, 14, 15])
    """

    def __init__(
        self,
        data: Any,
        targets: Any,
        length: int,
        sampling_rate: int = 1,
        stride: int = 1,
        start_index: int = 0,
        end_index: int | None = None,
        shuffle: bool = False,
        reverse: bool = False,
        batch_size: int = 128,
    ) -> None:
        super().__init__()
        if len(data) != len(targets):
            raise ArgumentError("TimeseriesGenerator", need="data and targets of equal length", got=f"lengths {len(data)} and {len(targets)}")
        self.data, self.targets, self.length, self.sampling_rate = np.asarray(data), np.asarray(targets), length, sampling_rate
        self.stride = as_count("TimeseriesGenerator(stride)", stride)
        self.start_index = start_index + length
        self.end_index = len(data) - 1 if end_index is None else end_index
        self.shuffle, self.reverse, self.batch_size = shuffle, reverse, as_count("TimeseriesGenerator(batch_size)", batch_size)
        if self.start_index > self.end_index:
            raise ArgumentError(
                "TimeseriesGenerator(length)",
                need="a window with a target after it",
                got=f"length {length} between {start_index} and {self.end_index}",
                fix="pass more data, or a shorter length",
            )

    def __len__(self) -> int:
        return -(-(self.end_index - self.start_index + 1) // (self.batch_size * self.stride))

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if self.shuffle:
            rows = np.random.randint(self.start_index, self.end_index + 1, size=self.batch_size)
        else:
            first = self.start_index + self.batch_size * self.stride * index
            rows = np.arange(first, min(first + self.batch_size * self.stride, self.end_index + 1), self.stride)
        windows = self.data[rows[:, None] + np.arange(-self.length, 0, self.sampling_rate)]
        return windows[:, ::-1] if self.reverse else windows, self.targets[rows]

    def get_config(self) -> dict[str, Any]:
        """The arguments, data and targets as JSON."""
        names = ("length", "sampling_rate", "stride", "start_index", "end_index", "shuffle", "reverse", "batch_size")
        return {"data": json.dumps(self.data.tolist()), "targets": json.dumps(self.targets.tolist()), **{name: getattr(self, name) for name in names}}

    def to_json(self, **kwargs: Any) -> str:
        """The class and its arguments as JSON."""
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **kwargs)
