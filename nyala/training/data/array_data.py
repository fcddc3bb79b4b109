# SPDX-License-Identifier: Apache-2.0
"""Arrays as batches: in memory, or read batch by batch from where they are."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nyala.core import config, seeds, tree
from nyala.core.errors import ArgumentError
from nyala.engines import current
from nyala.training.data.base import Data
from nyala.training.data.lazy import LazyRows, rows_of
from nyala.training.data.parts import as_parts, number_of_rows, unpack_x_y_sample_weight
from nyala.training.data.prefetch import closing, prefetched

LARGE_BYTES = 2**28  # arrays of this size are cut into batches ahead of time when they are not put on the device whole


class ArrayData(Data):
    """Arrays, cut into batches.

    Attributes:
        parts: (x,), (x, y) or (x, y, sample_weight), trees of arrays (or LazyRows) with equal first axes.
        rows, batch_size: numbers of samples.
        lazy: whether some of the arrays are not in memory.
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int | None = None,
        shuffle: bool = False,
        steps: int | None = None,
        class_weight: Any = None,
        where: str = "fit",
    ) -> None:
        here = current() if where.endswith("_on_batch") else None  # never cut: tensors may stay what they are
        parts = as_parts(x, y, sample_weight, None, here)
        x, y, sample_weight = unpack_x_y_sample_weight(parts)
        self.rows = number_of_rows({"x": x, "y": y, "sample_weight": sample_weight}, where)
        if batch_size is not None and (not isinstance(batch_size, (int, np.integer)) or batch_size < 1):
            raise ArgumentError("batch_size", need="an integer of at least 1, or None", got=repr(batch_size))
        self.batch_size = min(int(batch_size or 32), self.rows) if steps is None or batch_size else -(-self.rows // steps)
        self.parts = as_parts(x, y, sample_weight, class_weight, here) if class_weight else parts
        self.shuffle = bool(shuffle)
        self._known = -(-self.rows // self.batch_size)
        self._most: int = min(self._known, *(n for n in (steps, config.max_steps_per_epoch()) if n is not None), sys.maxsize)
        self._goes_on = where == "fit"  # training goes through all samples before it begins anew; validation begins anew each time
        self.seed = seeds.draw_seed() if self.shuffle else None
        self.lazy = any(isinstance(leaf, LazyRows) for leaf in tree.flatten(self.parts))

    @property
    def first(self) -> int:
        """Which batch of the data this epoch begins with: where the last one ended, if that had fewer steps than the data has batches."""
        return self.epoch % -(-self._known // self._most) * self._most if self._goes_on else 0

    @property
    def steps(self) -> int:  # type: ignore[override]
        """Batches in this epoch, the last one of the data possibly smaller."""
        return min(self._most, self._known - self.first)

    @property
    def bytes(self) -> int:
        return sum(leaf.nbytes for leaf in tree.flatten(self.parts) if leaf is not None)

    def order(self) -> np.ndarray:
        """The order of samples in this passage through the data, int32: of its number and the seed alone."""
        if self.seed is None:
            return np.arange(self.rows, dtype=np.int32)
        passage = self.epoch // -(-self._known // self._most) if self._goes_on else self.epoch
        return seeds.host_generator(self.seed + (passage << 64)).permutation(self.rows).astype(np.int32)

    def batch(self, index: Any) -> tuple:
        """The samples that an index array or slice names, as arrays; all of them where they are tensors already."""
        cut = (np.ndarray, LazyRows)
        return tree.map_structure(lambda leaf: leaf[index] if isinstance(leaf, cut) else leaf, self.parts)

    def batches(self, place: Callable[[tuple], Any] | None = None) -> Iterator[Any]:
        """The batches of this epoch from `step` on; place: applied to each, ahead of time where that is worth a thread."""
        made: Iterator[Any] = (batch if place is None else place(batch) for batch in self._cut())
        with closing(prefetched(made, name="arrays") if self.lazy or self.bytes >= LARGE_BYTES else made) as made:
            for batch in made:
                self.step += 1
                yield batch
        self.end_epoch()

    def _cut(self) -> Iterator[tuple]:
        order = self.order() if self.shuffle else None
        for step in range(self.first + self.step, self.first + self.steps):
            index: Any = slice(step * self.batch_size, (step + 1) * self.batch_size)
            yield self.batch(index if order is None else order[index])

    def end_epoch(self) -> None:
        """The next batch is the first of the next epoch."""
        self.epoch, self.step = self.epoch + 1, 0

    def _same(self) -> dict[str, Any]:
        return {"rows": self.rows, "batch_size": self.batch_size, "steps": self._most, "shuffle": self.shuffle}

    def _place(self, over: bool) -> Any:
        return self.seed

    def _go_to(self, place: Any, epoch: int, step: int) -> None:
        self.seed = place


def split_validation(x: Any, y: Any, sample_weight: Any, share: float) -> tuple[tuple, tuple]:
    """Cut the last share of the samples off for validation, before any shuffling: ((x, y, w), (x, y, w))."""
    if not isinstance(share, (int, float)) or not 0 < share < 1:
        raise ArgumentError("fit(validation_split)", need="a number between 0 and 1", got=repr(share))
    parts = unpack_x_y_sample_weight(as_parts(x, y, sample_weight))
    rows = number_of_rows(dict(zip(("x", "y", "sample_weight"), parts, strict=True)))
    cut = int(rows * (1 - share))
    if cut in (0, rows):
        raise ArgumentError("fit(validation_split)", need="a share that leaves samples on both sides", got=f"{share} of {rows} samples")
    head, tail = (
        tuple(tree.map_structure(lambda a, s=s: None if a is None else rows_of(a, s), part) for part in parts)
        for s in (slice(0, cut), slice(cut, rows))
    )
    return head, tail
