# SPDX-License-Identifier: Apache-2.0
"""Batches that come one after the other: how many make an epoch, what happens when they run out, and where training stands in them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

from nyala.core import config
from nyala.core.errors import ArgumentError, StateError
from nyala.engines import current
from nyala.training.data.base import Data
from nyala.training.data.parts import Alone, as_parts, unpack_x_y_sample_weight
from nyala.training.data.prefetch import AHEAD, closing, prefetched
from nyala.training.data.sources import END, ENDLESS, Workers, open_source

RAN_OUT = "pass a nyala.utils.PyDataset or another object that can be iterated again, let the generator loop forever, or ask for fewer steps"


class StreamData(Data):
    """Batches from a generator, an iterator, a loader, or an object that can be iterated again or indexed.

    Args:
        stream: what the user passed.
        steps: batches in an epoch; those of one pass by default. Where they differ, epochs go on where the last one ended.
        class_weight, shuffle: as in fit; only batches by number can be shuffled.
        where: the function that was called, for messages.
        batch_size: for streams of rows.
        workers: who makes the batches.
    """

    def __init__(
        self,
        stream: Any,
        steps: int | None = None,
        class_weight: Any = None,
        shuffle: bool = False,
        where: str = "fit",
        batch_size: int | None = None,
        workers: Workers | None = None,
    ) -> None:
        self.class_weight, self.where, self._engine = class_weight, where, current()
        self.source = open_source(stream, workers or Workers(), shuffle, batch_size, self._parts, where)
        known = self.source.batches
        if known == ENDLESS and steps is None:
            name = {"fit": "fit(steps_per_epoch)", "fit(validation_data)": "fit(validation_steps)"}.get(where, f"{where}(steps)")
            raise ArgumentError(name, need="a number of steps", got="None", why=f"this {self.source.name} never ends")
        self.limit = config.max_steps_per_epoch() or sys.maxsize
        steps = steps if steps is not None else known or None  # 0 batches: found out, and refused, by asking for one
        self.steps = None if steps is None else min(steps, self.limit)
        self._anew = self.steps is None or self.steps == known  # whether each epoch is one pass
        self._position = self.source.first_position()
        self._resumed = False

    @property
    def unrewindable(self) -> str:  # type: ignore[override]
        return self.source.why_not

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def once(self) -> bool:
        """Whether the stream can be passed over once only."""
        return self.source.once

    def batches(self, place: Callable[[tuple], Any] | None = None) -> Iterator[Any]:
        """What is left of this epoch, made ahead by a thread unless the data want none. place: applied to each batch in that thread."""
        source = self.source
        if not (self._resumed and self.step):
            source.begin_epoch(self._anew and not self._resumed)
        self._resumed = False
        made = self._made(place)
        if source.options.workers != 0:
            made = prefetched(made, min(AHEAD, source.options.max_queue_size or 1), source.name, source.report)
        with closing(made):
            for batch, self._position in made:
                self.step += 1
                yield batch
        source.end_epoch()
        self.epoch, self.step, self._position = self.epoch + 1, 0, source.position()

    def _made(self, place: Callable[[tuple], Any] | None) -> Iterator[tuple[Any, Any]]:
        done = self.step
        while done < self.limit and (self.steps is None or done < self.steps):
            batch = self._next(done)
            if batch is END:
                return
            parts = tuple(batch if type(batch) is _Parts else self._parts(batch))
            if len(parts) == 1 and not isinstance(batch, (list, tuple)):
                parts = Alone(*parts)
            yield parts if place is None else place(parts), self.source.position()
            done += 1
        if self._anew:
            self.source.close_pass()

    def _next(self, done: int) -> Any:
        """The next batch; END where an epoch of unknown length is over. Raises if there is none where there should be one."""
        source = self.source
        batch = source.take()
        if batch is END and not source.once and (self.steps is not None or not (done or source.fresh)):
            source.close_pass()
            batch = source.take()
        if batch is END and (self.steps is not None or not done):
            count = f"{self.steps or 'at least 1'} batch{'es' * (self.steps not in (None, 1))}"
            raise StateError(
                self.where,
                need=f"{count} in epoch {self.epoch + 1}",
                got=f"{done} from {'a generator that ran out' if source.once else f'an empty {source.name}'}",
                why="a generator can be read once only" if source.once else "",
                fix=RAN_OUT if source.once else "",
            )
        if batch is END:
            source.close_pass()
        return batch

    def _parts(self, batch: Any) -> _Parts:
        x, y, sample_weight = unpack_x_y_sample_weight(batch)
        if self.where == "predict":
            y = sample_weight = None
        return _Parts(as_parts(x, y, sample_weight, self.class_weight, self._engine))

    def close(self) -> None:
        self.source.close()

    def _same(self) -> dict[str, Any]:
        return {"steps": self.steps, **self.source.same()}

    def _place(self, over: bool) -> Any:
        return {"behind": self._position, "over": over}

    def _go_to(self, place: Any, epoch: int, step: int) -> None:
        self.source.rewind(place["behind"], epoch, step > 0, place["over"])
        self._position, self._resumed = place["behind"], True


class _Parts(tuple):
    """Parts of a batch that a worker has converted already."""
