# SPDX-License-Identifier: Apache-2.0
"""PyDataset: batches by number."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from nyala.core.errors import ArgumentError, missing_method


class PyDataset:
    """Batches by number, for fit, evaluate and predict. Subclass it and write __getitem__ and __len__; old programs call it Sequence.

    One thread makes batches ahead, so that a step seldom waits. More workers call __getitem__ at the same time; batches still come in order.
    `num_batches` may be overridden and be None for endless data; fit then needs steps_per_epoch.

    Args:
        workers: threads, or processes, that make batches; 0 makes them in the thread that trains.
        use_multiprocessing: use spawned processes. Each has a pickled copy of this object, renewed after an epoch if on_epoch_end is defined; the
            program must train under `if __name__ == "__main__":`.
        max_queue_size: how many batches are asked for ahead by several workers.

    >>> class Squares(PyDataset):
    ...     def __len__(self):
    ...         return 3
    ...     def __getitem__(self, index):
    ...         return [[float(index)]], [[float(index) ** 2]]
    >>> Squares().num_batches
    3
    """

    workers = 1
    use_multiprocessing = False
    max_queue_size = 10

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        for name, value in (("workers", workers), ("max_queue_size", max_queue_size)):
            if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 0:
                raise ArgumentError(f"{type(self).__name__}({name})", need="an integer of at least 0", got=repr(value))
        self.workers, self.use_multiprocessing, self.max_queue_size = workers, use_multiprocessing, max_queue_size

    def __getitem__(self, index: int) -> Any:
        """Batch number index: (x, y) or (x, y, sample_weight)."""
        raise missing_method(self, "__getitem__(self, index)")

    def __len__(self) -> int:
        """Number of batches."""
        raise missing_method(self, "__len__(self)")

    @property
    def num_batches(self) -> int | None:
        """Number of batches; None if they never end."""
        return len(self)

    def on_epoch_begin(self) -> None:
        """Called before each epoch."""

    def on_epoch_end(self) -> None:
        """Called after each epoch."""

    def __iter__(self) -> Iterator[Any]:
        number = self.num_batches
        return (self[i] for i in (itertools.count() if number is None else range(number)))
