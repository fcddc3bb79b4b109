# SPDX-License-Identifier: Apache-2.0
"""split_dataset: a data set in two."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from nyala.core import seeds, tree
from nyala.core.errors import ArgumentError, ArgumentTypeError
from nyala.layers.arguments import is_int
from nyala.utils.batches import Dataset


def split_dataset(
    dataset: Any,
    left_size: int | float | None = None,
    right_size: int | float | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    preferred_backend: str | None = None,
) -> tuple[Dataset, Dataset]:
    """Split a data set into two.

    Args:
        dataset: array, list or tuple of arrays with equal first axes, Dataset, or another iterable of samples.
        left_size, right_size: numbers of samples or shares of them; what is None is the rest.
        shuffle, seed: mix the samples first.
        preferred_backend: accepted for Keras's sake.
    Returns: two Datasets of samples; of batches, as large as before, for a Dataset of batches.

    >>> left, right = split_dataset(np.arange(5), left_size=0.4)
    >>> [int(x) for x in left], [int(x) for x in right]
    ([0, 1], [2, 3, 4])
    """
    samples, batch_size = _samples(dataset)
    left, right = _sizes(len(samples), left_size, right_size)
    order = list(range(len(samples)))
    if shuffle:
        random.Random(seeds.draw_seed() if seed is None else seed).shuffle(order)
    parts = [samples.fixed(order[:left]), samples.fixed(order[len(order) - right :])]
    first, second = (part if batch_size is None else part.batch(batch_size) for part in parts)
    return first, second


def _samples(dataset: Any) -> tuple[Dataset, int | None]:
    """The samples of whatever was passed, and in how large batches they came."""
    if isinstance(dataset, Dataset):
        if not dataset.batched:
            return dataset, None
        return dataset.unbatch(), len(tree.flatten(next(iter(dataset)))[0])
    if isinstance(dataset, np.ndarray):
        return Dataset.from_arrays(dataset), None
    if isinstance(dataset, (list, tuple)):
        if not dataset or not all(hasattr(part, "shape") and len(part.shape) for part in dataset):
            raise ArgumentTypeError(
                "split_dataset(dataset)", need="arrays in a list or tuple", got=repr(dataset)[:80], fix="np.asarray makes one array of numbers"
            )
        lengths = {len(part) for part in dataset}
        if len(lengths) > 1:
            raise ArgumentError("split_dataset(dataset)", need="arrays of equal length", got=f"lengths {sorted(lengths)}")
        return Dataset.from_arrays(tuple(dataset)), None
    if isinstance(dataset, (str, dict)) or not (hasattr(dataset, "__iter__") or hasattr(dataset, "__getitem__")):
        raise ArgumentTypeError("split_dataset(dataset)", need="an array, a list of arrays, or an iterable of samples", got=type(dataset).__name__)
    rows = list(dataset) if hasattr(dataset, "__iter__") else [dataset[i] for i in range(len(dataset))]
    return Dataset(lambda epoch: [lambda row=row: row for row in rows], len(rows)), None


def _sizes(count: int, left_size: Any, right_size: Any) -> tuple[int, int]:
    """How many samples go to the left and to the right."""
    if left_size is None and right_size is None:
        raise ArgumentError("split_dataset", need="left_size or right_size", got="neither")
    for name, size in (("left_size", left_size), ("right_size", right_size)):
        fits = size is None or (is_int(size) and 0 < size < count) or (isinstance(size, float) and 0 < size < 1)
        if not fits:
            raise ArgumentError(f"split_dataset({name})", need=f"an integer from 1 to {count - 1}, or a share between 0 and 1", got=repr(size))
    given = [0 if size is None else int(size) if is_int(size) else round(size * count) for size in (left_size, right_size)]
    left = count - given[1] if left_size is None else given[0]
    right = count - left if right_size is None else given[1]
    if not left or not right or left + right > count:
        raise ArgumentError(
            "split_dataset", need=f"two sizes of at least 1 with a sum of at most {count}", got=f"{left} and {right}", fix="choose other sizes"
        )
    return left, right
