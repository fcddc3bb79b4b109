# SPDX-License-Identifier: Apache-2.0
"""Dataset: batches that are loaded while the model trains, in threads, and can be iterated again and again.

A dataset is a list of functions, one for each element, made anew for each epoch: to shuffle, cut or batch it is to rearrange
that list, and nothing is loaded for it. Knows NumPy only. Start at Dataset.__iter__.
"""

from __future__ import annotations

import collections
import functools
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from nyala.core import seeds, tree
from nyala.core.errors import ArgumentError, ShapeError
from nyala.engines import current, using

Load = Callable[[], Any]
WORKERS = min(8, os.cpu_count() or 1)
AHEAD = 2  # elements that wait, loaded, beside those that the workers are at


class Dataset:
    """Elements in order: samples, or batches of them, as trees of arrays.

    `fit`, `evaluate`, `predict` and `adapt` take it as it is when its elements are batches. Each iteration is an epoch.

    Args:
        loads: gives, for the number of an epoch, a function per element that loads it; they run in worker threads.
        length: number of elements.
        finish: made of what was loaded, in order and in the thread that iterates.
        batched: whether elements are batches.

    Attributes:
        class_names, file_paths: where a folder was read.

    >>> rows = Dataset.from_arrays(np.arange(5))
    >>> [batch.tolist() for batch in rows.map(lambda x: 10 * x).batch(2)]
    [[0, 10], [20, 30], [40]]
    """

    def __init__(
        self, loads: Callable[[int], Sequence[Load]], length: int, finish: Callable[[Any], Any] | None = None, batched: bool = False
    ) -> None:
        self._loads, self._length, self._finish, self.batched = loads, length, finish, batched
        self._samples: tuple[Dataset, int] | None = None  # what was batched, by how many
        self._epochs = 0
        self._seeds: list[list[int]] = []  # a cell for each shuffling, shared with what this was made from
        self._ahead = AHEAD
        self.class_names: list[str] | None = None
        self.file_paths: list[str] | None = None

    @classmethod
    def from_arrays(cls, arrays: Any) -> Dataset:
        """The rows of a tree of arrays."""
        arrays = tree.map_structure(np.asarray, arrays)
        length = len(tree.flatten(arrays)[0])
        loads = [functools.partial(_row, arrays, i) for i in range(length)]
        return cls(lambda epoch: loads, length)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> _Epoch:
        epoch, self._epochs = self._epochs, self._epochs + 1
        return _Epoch(self, epoch)

    stateful_iterators = True  # see _Epoch

    def _run(self, loads: Sequence[Load]) -> Iterator[Any]:
        """Load in threads, a few ahead, and give in order."""
        waiting: collections.deque = collections.deque()
        pool = ThreadPoolExecutor(WORKERS, "nyala-data")
        try:
            for load in loads:
                waiting.append(pool.submit(load))
                if len(waiting) > WORKERS + self._ahead:
                    yield self._finished(waiting.popleft().result())
            while waiting:
                yield self._finished(waiting.popleft().result())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _finished(self, loaded: Any) -> Any:
        return loaded if self._finish is None else self._finish(loaded)

    def _derived(
        self, loads: Callable[[int], Sequence[Load]], length: int, finish: Callable[[Any], Any] | None, batched: bool | None = None
    ) -> Dataset:
        made = Dataset(loads, length, finish, self.batched if batched is None else batched)
        made._ahead, made.class_names, made.file_paths, made._seeds = self._ahead, self.class_names, self.file_paths, [*self._seeds]
        return made

    def map(self, fn: Callable, num_parallel_calls: int | None = None, deterministic: bool | None = None) -> Dataset:
        """fn of each element; the parts of a tuple are separate arguments.

        fn runs in the thread that iterates and in order, so that it may draw random numbers. With num_parallel_calls it runs in the
        workers, unless an earlier function does not.
        """
        if num_parallel_calls is not None and self._finish is None:
            engine = current()

            def apply(load: Load) -> Any:
                with using(engine):
                    return _call(fn, load())

            return self._derived(lambda epoch: [functools.partial(apply, load) for load in self._loads(epoch)], len(self), None)
        return self._derived(self._loads, len(self), lambda loaded: _call(fn, self._finished(loaded)))

    def batch(
        self,
        batch_size: int,
        drop_remainder: bool = False,
        num_parallel_calls: int | None = None,
        collate: Callable[[list], Any] | None = None,
    ) -> Dataset:
        """Batches of so many elements, the last one with what is left unless drop_remainder. collate makes one of a list; by default stacks it."""
        size = _count("batch(batch_size)", batch_size)
        length = len(self) // size if drop_remainder else -(-len(self) // size)
        stack, in_workers = collate or stacked, self._finish is None

        def loads(epoch: int) -> list[Load]:
            parts = self._loads(epoch)
            return [functools.partial(_load_all, parts[i * size : (i + 1) * size], stack if in_workers else None) for i in range(length)]

        finish = None if in_workers else lambda rows: stack([self._finished(row) for row in rows])
        made = self._derived(loads, length, finish, True)
        if not drop_remainder:
            made._samples = (self, size)
        return made

    def unbatch(self) -> Dataset:
        """The samples of batches. Where a function of batches came between, everything is loaded for it."""
        if self._samples is not None:
            return self._samples[0]
        rows = [row for batch in self for row in _rows_of(batch)]
        return self._derived(lambda epoch: [functools.partial(lambda row: row, row) for row in rows], len(rows), None, False)

    def shuffle(self, buffer_size: int | None = None, seed: int | None = None, reshuffle_each_iteration: bool = True) -> Dataset:
        """Elements in another order each epoch, drawn from NumPy's Philox: all of them, whatever buffer_size is."""
        cell = [seeds.draw_seed() if seed is None else int(seed)]

        def loads(epoch: int) -> list[Load]:
            parts = self._loads(epoch)
            order = seeds.host_generator(cell[0] + (epoch << 64) * reshuffle_each_iteration).permutation(len(parts))
            return [parts[i] for i in order]

        made = self._derived(loads, len(self), self._finish)
        made._seeds.append(cell)
        return made

    def take(self, count: int) -> Dataset:
        """The first elements; -1 takes all."""
        count = len(self) if count < 0 else min(count, len(self))
        return self._derived(lambda epoch: self._loads(epoch)[:count], count, self._finish)

    def skip(self, count: int) -> Dataset:
        """All but the first elements; -1 skips all."""
        count = len(self) if count < 0 else min(count, len(self))
        return self._derived(lambda epoch: self._loads(epoch)[count:], len(self) - count, self._finish)

    def repeat(self, count: int | None = None) -> Dataset:
        """The elements so many times."""
        if count is None or count < 0:
            raise ArgumentError(
                "repeat(count)", need="a number of times", got=repr(count), fix="leave repeat out: fit begins again by itself after each epoch"
            )
        times = range(count)
        return self._derived(
            lambda epoch: list(itertools.chain.from_iterable(self._loads(epoch * count + i) for i in times)), len(self) * count, self._finish
        )

    def cache(self) -> Dataset:
        """Keep in memory what was loaded and made of it; the order of the first epoch stays."""
        loads = self._loads(0)
        kept: dict[int, Any] = {}

        def load(i: int) -> tuple[int, Any]:
            return i, None if i in kept else loads[i]()

        def finish(loaded: tuple[int, Any]) -> Any:
            i, raw = loaded
            if i not in kept:
                kept[i] = self._finished(raw)
            return kept[i]

        return self._derived(lambda epoch: [functools.partial(load, i) for i in range(len(loads))], len(self), finish)

    def prefetch(self, buffer_size: int = -1) -> Dataset:
        """Load so many elements ahead; -1 leaves it as it is."""
        made = self._derived(self._loads, len(self), self._finish)
        made._ahead, made._samples = self._ahead if buffer_size < 0 else buffer_size, self._samples
        return made

    def fixed(self, indices: Sequence[int]) -> Dataset:
        """These elements of the first epoch, in this order, in every epoch."""
        loads = self._loads(0)
        chosen = [loads[i] for i in indices]
        return self._derived(lambda epoch: chosen, len(chosen), self._finish)

    def cardinality(self) -> int:
        """Number of elements."""
        return len(self)

    def as_numpy_iterator(self) -> Iterator[Any]:
        """The elements: they are NumPy arrays anyway."""
        return iter(self)

    @property
    def element_spec(self) -> Any:
        """Shapes and dtypes of an element as KerasTensors, from loading the first one; the batch axis is None."""
        from nyala.core.symbolic import Symbolic

        if not len(self):
            raise ArgumentError("element_spec", need="at least one element", got="an empty dataset")

        def spec(leaf: Any) -> Any:
            shape = np.shape(leaf)
            dtype = leaf.dtype if hasattr(leaf, "dtype") else np.asarray(leaf).dtype
            return Symbolic((None, *shape[1:]) if self.batched else shape, "string" if getattr(dtype, "kind", None) in ("O", "U", "S") else dtype)

        return tree.map_structure(spec, self._finished(self._loads(0)[0]()))

    def __repr__(self) -> str:
        return f"<Dataset of {len(self)} {'batches' if self.batched else 'elements'}>"


class _Epoch(Iterator):
    """One iteration over a data set, which says where it stands and can go there."""

    def __init__(self, data: Dataset, epoch: int) -> None:
        self._data, self._epoch, self._index = data, epoch, 0
        self._elements = data._run(data._loads(epoch))

    def __next__(self) -> Any:
        element = next(self._elements)
        self._index += 1
        return element

    def close(self) -> None:
        """Stop loading ahead."""
        self._elements.close()  # type: ignore[attr-defined]  it is a generator

    def get_state(self) -> dict[str, Any]:
        """The number of the epoch, and of the next element in it; seeds are part of the data set."""
        return {"epoch": self._epoch, "index": self._index, "seeds": [cell[0] for cell in self._data._seeds]}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go where get_state was called; functions of elements are not called for those before."""
        self.close()
        for cell, seed in zip(self._data._seeds, state["seeds"], strict=True):
            cell[0] = seed
        self._epoch, self._index = state["epoch"], state["index"]
        self._data._epochs = self._epoch + 1
        self._elements = self._data._run(self._data._loads(self._epoch)[self._index :])


def _count(where: str, value: Any) -> int:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
        raise ArgumentError(where, need="a positive integer", got=repr(value))
    return int(value)


def _row(arrays: Any, i: int) -> Any:
    return tree.map_structure(lambda array: array[i], arrays)


def _load_all(loads: Sequence[Load], stack: Callable[[list], Any] | None) -> Any:
    rows = [load() for load in loads]
    return rows if stack is None else stack(rows)


def _call(fn: Callable, element: Any) -> Any:
    return fn(*element) if isinstance(element, tuple) else fn(element)


def stacked(rows: list[Any]) -> Any:
    return tree.map_structure(lambda *leaves: _stack(leaves), *rows)


def _stack(leaves: tuple[Any, ...]) -> np.ndarray:
    """Arrays of one shape as one array; strings as an array of objects."""
    if isinstance(leaves[0], (str, bytes)):
        return np.array(leaves, object)
    shapes = sorted({tuple(np.shape(leaf)) for leaf in leaves})
    if len(shapes) > 1:
        raise ShapeError(
            "a batch", need="elements of one shape", got=" and ".join(map(str, shapes[:2])), fix="use batch_size=None, or make them equal"
        )
    return np.stack([_as_numpy(leaf) for leaf in leaves])


def _as_numpy(leaf: Any) -> np.ndarray:
    return current().to_numpy(leaf) if current().is_tensor(leaf) else np.asarray(leaf)


def _rows_of(batch: Any) -> list[Any]:
    batch = tree.map_structure(_as_numpy, batch)
    return [_row(batch, i) for i in range(len(tree.flatten(batch)[0]))]
