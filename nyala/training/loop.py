# SPDX-License-Identifier: Apache-2.0
"""Running a step over data: arrays stay on the device and several steps go in one dispatch; streams go batch by batch.

A `Runner` belongs to a model and a mode ("train", "test"). `epoch` yields the number of steps done so far, about twenty times a second, or after each
step if a callback wants every batch. Nothing in between waits for the device but the end of a dispatch.
"""

from __future__ import annotations

import collections
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nyala.core import dtypes, sharding, tree
from nyala.core.recompiles import Recompiles
from nyala.core.transforms import Program, repeat
from nyala.engines import current, engine
from nyala.engines.spec import Spec
from nyala.training.data import ArrayData, LazyRows, StreamData, closing
from nyala.training.recorded import RecordedStep

QUEUED_STEPS = 4  # of a stream: enough to hide a pause of the host; each holds its batch
DISPATCH_SECONDS = 0.05  # so that the progress bar stays alive and the cost of Python vanishes
RESIDENT_BYTES = 2**31  # arrays beyond this are fed batch by batch
READ_WHOLE_BYTES = 2**26  # arrays on disk, and sparse ones, beyond this are not read at once


def bucket(rows: int) -> int:
    """rows rounded up to one of four sizes per power of two, so that data sets of similar length share a compiled program.

    >>> bucket(1000), bucket(1025), bucket(6)
    (1024, 1280, 6)
    """
    step = max(2 ** (max(rows, 1).bit_length() - 3), 1)
    return -(-rows // step) * step


def _rows_for(data: ArrayData) -> int:
    """How many rows the data take on the device: with some to spare on engines that compile a program for each number."""
    return bucket(data.rows) if current().compiles else data.rows


def padded(array: np.ndarray, rows: int) -> np.ndarray:
    """The array with zero rows added up to `rows`; they are never addressed."""
    if len(array) == rows:
        return array
    result = np.zeros((rows, *array.shape[1:]), array.dtype)
    result[: len(array)] = array
    return result


def distinct(parts: Any, shared: bool = True) -> tuple[list[Any], Any]:
    """The arrays of a batch, those that share their memory once if that is wanted, and the parts with the number of an array in the place of each.

    >>> x = np.zeros(3)
    >>> arrays, numbers = distinct((x, {"a": x[:], "b": None}, np.zeros(3)))
    >>> len(arrays), numbers
    (2, (0, {'a': 0, 'b': None}, 1))
    """
    arrays: list[Any] = []
    known: dict[Any, int] = {}

    def number(leaf: Any) -> int | None:
        if leaf is None:
            return None
        place = leaf.__array_interface__ if isinstance(leaf, np.ndarray) else None
        key = (id(leaf) if place is None else (place["data"][0], leaf.shape, leaf.strides, leaf.dtype)) if shared else len(arrays)
        if key not in known:
            known[key] = len(arrays)
            arrays.append(leaf)
        return known[key]

    return arrays, tree.map_structure(number, parts)


def specs_of(batch: Any) -> Any:
    """A batch of tensors or arrays as Specs of the engine in force."""
    return tree.map_structure(lambda leaf: None if leaf is None else Spec(tuple(leaf.shape), engine.canonical_dtype(_dtype(leaf))), batch)


def _dtype(leaf: Any) -> str:
    return leaf.dtype.name if isinstance(leaf, (np.ndarray, LazyRows)) else dtypes.standardize_dtype(leaf.dtype)


def to_device(batch: Any) -> Any:
    """A batch of host arrays as tensors."""
    if sharding.current is not None:
        return tree.map_structure(lambda leaf: None if leaf is None else sharding.placed(leaf), batch)
    return tree.map_structure(lambda leaf: None if leaf is None else engine.asarray(leaf) if isinstance(leaf, np.ndarray) else leaf, batch)


def _fits(data: ArrayData) -> bool:
    """Whether the data may be put on the device whole; on each, if they are several."""
    if sharding.current is not None and sharding.processes() > 1 and not sharding.current.auto_shard_dataset:
        return False  # no device has all of it
    copies = sharding.copies()
    return data.bytes * copies < min(RESIDENT_BYTES, READ_WHOLE_BYTES if data.lazy else RESIDENT_BYTES)


def ready(batch: Any) -> tuple[Any, tuple]:
    """A batch on the device, and its signature."""
    return to_device(batch), signature(batch)


def signature(batch: Any) -> tuple:
    """Shapes and dtypes of a batch, hashable."""
    paths = tree.flatten_with_path(batch)
    return tuple((path, None if leaf is None else (tuple(leaf.shape), _dtype(leaf))) for path, leaf in paths)


class Programs:
    """The compiled programs of a model, by mode, engine and signature; forgotten when the model changes."""

    def __init__(self) -> None:
        self.table: dict[tuple, Any] = {}
        self.seconds: dict[tuple, float] = {}  # per step, as measured
        self.row_wise: bool | None = None  # see prediction.py
        self.recordings: dict[tuple, Any] = {}  # see recorded.py
        self.structure: Any = None  # see Steps._structure
        self.direct: dict[tuple, Any] = {}  # by engine, shape and dtype of one host array
        self.recompiles = Recompiles()
        self.accumulated: dict[tuple, Any] = {}  # see accumulation.py

    def get(self, key: tuple, function: Callable, specs: list, shapes: tuple | None = None) -> Callable:
        """The program for this key; eager engines run the function itself. shapes: the signature in the key, if users choose it batch by batch."""
        here, mode = current(), key[0]
        key = self.name(key)
        if key not in self.table:
            if here.compiles and shapes is not None:
                what = f"the {mode} step"
                fix = "pad to a few lengths (nyala.utils.pad_sequences), use batches of equal size, or pass run_eagerly=True to compile"
                self.recompiles.note((here.name, mode), shapes, what, fix)
            self.table[key] = Program(here, function, specs) if here.compiles else here.compile(function)
        return self.table[key]

    def name(self, key: tuple) -> tuple:
        """The full key of a program, in the engine and the distribution in force."""
        return (current().name, *key) if sharding.current is None else (current().name, sharding.current, *key)

    def remember(self, x: Any, key: tuple) -> None:
        """Find the program for this key by the host array x alone from now on, if engines that compile or record may take it as it is."""
        here = current()
        program = self.table.get(self.name(key))
        takes = program is not None and (here.compiles or here.records) and sharding.current is None
        if takes and isinstance(x, np.ndarray) and here.canonical_dtype(x.dtype.name) == x.dtype.name:
            self.direct[here, x.shape, x.dtype] = program


class Runner:
    """Epochs of one mode of a model over data."""

    def __init__(self, model: Any, mode: str, data: ArrayData | StreamData, step: Callable[[tuple], Any], kind: str = "") -> None:
        self.model, self.mode, self.data, self.step = model, mode, data, step
        self.kind = kind or mode  # of its programs
        self.results: Callable[[], Any] = model.get_metrics_result
        self.programs: Programs = model._programs
        self.logs: Any = None  # what the last step returned; results of the metrics if it returns nothing and was compiled
        self.prepared = isinstance(data, ArrayData)
        self.resident = isinstance(data, ArrayData) and data.steps > 1 and _fits(data) and not model.run_eagerly
        self._placed: Any = None
        self._placed_for: Any = None
        self._recorded = RecordedStep(model, step, self.kind)
        if sharding.current is not None and isinstance(data, ArrayData) and data.steps > 1:
            sharding.warn_of_uneven(data.batch_size)
        self.specs: Any = None  # of the first batch of a stream, from which all can be built again
        self.skip: int | None = 0  # steps that the next epoch leaves out, since they are done; None leaves out all
        self.last: Any = None  # the batch of a stream that was trained on last
        self._queued: collections.deque[Any] = collections.deque()  # a result of each step that may not be done
        self.replay = False  # whether batches of skipped steps must be read once more

    @property
    def steps(self) -> int | None:
        """Batches in this epoch, None if that is found out by reading."""
        return self.data.steps

    def epoch(
        self, each: int | None = None, before: Callable[[int], Any] | None = None, room: Callable[[int], int] | None = None
    ) -> Iterator[tuple[int, int]]:
        """One epoch; yields (first step, number of steps done) after each dispatch.

        Args:
            each: steps per dispatch, chosen by time if None.
            before: called with the number of steps done, before each dispatch.
            room: number of steps done -> how many more may go in one dispatch, where time chooses.
        """
        before = before or (lambda done: None)
        self._recorded.begin_epoch()
        skip, self.skip = self.skip, 0
        if skip is None:
            return iter(())
        if self.resident and isinstance(self.data, ArrayData):
            return self._resident_epoch(self.data, each, before, room, skip)
        return self._streamed_epoch(each or 1, before, skip)

    # Batch by batch -----------------------------------------------------------------------------------------------------------------

    def run_batch(self, batch: tuple) -> Any:
        """One step on one batch of host arrays or tensors."""
        return self._run_ready(*ready(batch))

    def _run_ready(self, batch: tuple, shapes: tuple) -> Any:
        if not self.prepared:
            self.model._prepare_batch(batch, self.mode == "train")
            self.prepared = True
            self.specs = specs_of(batch)
        if self.model.run_eagerly:
            self.logs = self.step(batch)
            return self.logs
        if not current().compiles:
            self.logs = current().compile(self._recorded)(batch)
            return self.logs
        program = self.programs.get((self.kind, "batch", shapes), self._with_results(self.step), [specs_of(batch)], shapes)
        self.logs = program(batch)
        if current().runs_ahead:
            self._keep_pace()
        return self.logs

    def _keep_pace(self) -> None:
        """Wait for the step before the last few: batches would pile up in memory where the device is slower than the host."""
        logs = self.logs
        first = next(iter(logs.values()), None) if isinstance(logs, dict) else None
        if engine.is_tensor(first):
            self._queued.append(first)
            self._wait(QUEUED_STEPS)

    def _wait(self, queued: int) -> None:
        """Wait until only so many steps of a stream are queued."""
        while len(self._queued) > queued:
            current().block(self._queued.popleft())

    def _with_results(self, function: Callable) -> Callable:
        """The same function; compiled ones return the results of the metrics where it returns nothing: another dispatch for them would cost more."""
        if not current().compiles:
            return function
        results = self.results  # the program is kept: it must not hold this runner, whose data would stay with it

        def call(*args: Any) -> Any:
            logs = function(*args)
            return results() if logs is None else logs

        return call

    def _streamed_epoch(self, each: int, before: Callable[[int], Any], skip: int = 0) -> Iterator[tuple[int, int]]:
        first = done = skip
        with closing(self.data.batches(ready)) as batches:
            for done, (batch, shapes) in enumerate(itertools.islice(batches, skip if self.replay else 0, None), skip + 1):
                self.last = batch
                if done == first + 1:
                    before(first)
                self._run_ready(batch, shapes)
                if done - first >= each:
                    yield first, done
                    first = done
        self._wait(0)
        if done > first:
            yield first, done

    # Arrays on the device -------------------------------------------------------------------------------------------------------------

    def _place(self, data: ArrayData) -> tuple[list[Any], Any]:
        """The arrays on the device, put there once per engine, and which of them the parts of a batch are taken from. Data that are their own
        targets are one array: their rows are taken once."""
        if self._placed_for is not current():
            rows = _rows_for(data)
            put = engine.asarray if sharding.current is None else sharding.everywhere
            arrays, numbers = distinct(data.parts, current().compiles)  # a recording of a step would take one tensor in two places for one argument
            self._placed = [put(padded(array[:], rows)) for array in arrays], numbers
            self._placed_for = current()
        return self._placed

    def _resident_epoch(
        self, data: ArrayData, each: int | None, before: Callable[[int], Any], room: Callable[[int], int] | None, done: int
    ) -> Iterator[tuple[int, int]]:
        size = data.batch_size
        placed, numbers = self._place(data)
        shuffled = data.shuffle
        put = engine.asarray if sharding.current is None else sharding.everywhere
        order = put(padded(data.order(), _rows_for(data))) if shuffled else None
        key = (self.kind, size, shuffled, signature(placed), tuple(tree.flatten_with_path(numbers)))
        first, steps = data.first, data.steps
        full = min(steps, data.rows // size - first)
        while done < full:
            count = min(each or self._steps_per_dispatch(key), full - done)
            if room is not None and not each:
                count = max(1, min(count, room(done)))
            count = sharding.agreed(count)
            before(done)
            began = time.perf_counter()
            fresh = self._dispatch(key, placed, numbers, order, done, count, size, first * size)
            if not each and not fresh:
                self.programs.seconds[key] = (time.perf_counter() - began) / count
            data.step = done + count
            yield done, done + count
            done += count
        rest = data.rows - (first + full) * size
        if done < steps and rest:
            before(done)
            self._dispatch((*key, rest), placed, numbers, order, 0, 1, rest, (first + full) * size)
            data.step = done + 1
            yield done, done + 1
        data.end_epoch()

    def _steps_per_dispatch(self, key: tuple) -> int:
        seconds = self.programs.seconds.get(key)
        return 1 if seconds is None else max(1, min(int(DISPATCH_SECONDS / max(seconds, 1e-7)), 100_000))

    def _dispatch(self, key: tuple, placed: list[Any], numbers: Any, order: Any, start: int, count: int, size: int, offset: int = 0) -> bool:
        """Run `count` steps on consecutive batches of `size` rows, the first at row offset + start * size. True if it was compiled for this."""
        here = current()
        step = self.step if here.compiles else self._recorded

        def steps(placed: Any, order: Any, start: Any, count: Any, offset: Any) -> Any:
            def one(i: Any) -> Any:
                row = offset + i * size if isinstance(i, int) else engine.add(offset, engine.multiply(i, size))
                rows = rows_at(placed, order, row, size)
                return step(tree.map_structure(lambda number: None if number is None else rows[number], numbers))

            return repeat(one, start, count)

        if here.compiles:
            fresh = self.programs.name(key) not in self.programs.table
            scalar = Spec((), "int32")
            specs = [specs_of(placed), None if order is None else specs_of(order), scalar, scalar, scalar]
            program = self.programs.get(key, self._with_results(steps), specs)
            self.logs = program(placed, order, *(np.int32(n) for n in (start, count, offset)))
            here.block([v.stored() for v in program.written[:1]])  # type: ignore[attr-defined]
            return fresh
        self.logs = here.compile(steps)(placed, order, start, count, offset)
        return False


def rows_at(placed: Any, order: Any, row: Any, size: int) -> Any:
    """`size` rows that begin at `row`: of the data itself, or of those that the order names."""
    here = current()
    if here.abstract:
        return tree.map_structure(lambda leaf: None if leaf is None else here.full((size, *leaf.shape[1:]), 0, leaf.dtype), placed)
    if order is not None:
        index = here.dynamic_slice(order, [row], (size,))
        return tree.map_structure(lambda leaf: None if leaf is None else here.take(leaf, index, 0), placed)
    return tree.map_structure(
        lambda leaf: None if leaf is None else here.dynamic_slice(leaf, [row, *[0] * (leaf.ndim - 1)], (size, *leaf.shape[1:])), placed
    )
