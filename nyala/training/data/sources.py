# SPDX-License-Identifier: Apache-2.0
"""What gives batches: generators, objects that can be iterated again, loaders of other libraries, PyDatasets. One class for each way of reading.

A source is read by one thread at a time. It says where the reading stands (`position`) in plain values, and can begin there (`rewind`), or says
why not. Start at open_source.
"""

from __future__ import annotations

import inspect
import itertools
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from nyala.core import seeds
from nyala.core.errors import ArgumentError, ArgumentTypeError, missing_method
from nyala.training.data.base import as_plain, from_plain
from nyala.training.data.lazy import check_column, module_of, split_columns
from nyala.training.data.workers import Processes, Team, Threads

END = object()  # what take() gives when a pass is over
ENDLESS = -1  # as a number of batches
STATES = (("state_dict", "load_state_dict"), ("get_state", "set_state"))  # how objects call giving and taking their state


class Workers(NamedTuple):
    """Who makes batches. None: as the data say (attributes of these names), else one thread.

    workers: threads, or processes; 0 makes batches in the thread that trains, where generators that need the main thread belong.
    """

    workers: int | None = None
    use_multiprocessing: bool | None = None
    max_queue_size: int | None = None

    def for_source(self, source: Any) -> Workers:
        """The same with what the source says, checked."""
        said = [getattr(source, name, None) for name in self._fields]
        workers, processes, queue = (
            given if given is not None else found if _is_count(found) or isinstance(found, bool) else default
            for given, found, default in zip(self, said, (1, False, 10), strict=True)
        )
        for name, value in (("workers", workers), ("max_queue_size", queue)):
            if not _is_count(value):
                raise ArgumentError(name, need="an integer of at least 0", got=repr(value))
        return Workers(int(workers or 0), bool(processes), int(queue or 0))


def _is_count(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and int(value) >= 0


class Source:
    """A way of reading batches.

    Attributes:
        batches: number of batches in a pass; None if unknown, ENDLESS.
        once: whether it can be passed over once only.
        why_not: why it cannot be rewound; "" if it can.
    """

    once = False
    why_not = ""

    def __init__(self, stream: Any, options: Workers) -> None:
        self.stream, self.options = stream, options
        self.name = type(stream).__name__
        self.batches = _number_of_batches(stream)
        self.fresh = False  # whether nothing of this pass was ever taken
        self._rewound = False
        self._iterator: Iterator | None = None

    def begin_epoch(self, anew: bool) -> None:
        """An epoch begins; anew: with a new pass, even if the last one is not over."""
        _call(self.stream, "on_epoch_begin")
        if anew and not self.fresh:
            self.close_pass()

    def end_epoch(self) -> None:
        _call(self.stream, "on_epoch_end")

    def take(self) -> Any:
        """The next batch of this pass, END behind the last one; a pass begins with the first."""
        if self._iterator is None:
            self._iterator, self.fresh, self._rewound = self._start(), not self._rewound, False
        item = next(self._iterator, END)
        self.fresh = False if item is not END else self.fresh
        return item

    def close_pass(self) -> None:
        """Let go of the pass: the next batch is the first of a new one. A generator that a thread is in the middle of, and was left alone with, ends
        by itself."""
        if self._iterator is not None and not self.once and hasattr(self._iterator, "close") and not getattr(self._iterator, "gi_running", False):
            self._iterator.close()  # type: ignore[attr-defined]
        if not self.once:
            self._iterator = None

    def close(self) -> None:
        """Let go of everything that was opened for reading."""
        self.close_pass()

    def report(self) -> str:
        """What workers are at."""
        return ""

    def same(self) -> dict[str, Any]:
        """What must be equal in a source that goes on where this one stands."""
        return {"kind": type(self).__name__, "batches": self.batches}

    def position(self) -> Any:
        """Where the reading stands, behind the last batch that was taken."""
        return None

    def first_position(self) -> Any:
        """The position before anything was taken; None where beginning anew is as good."""
        return None

    def rewind(self, position: Any, epochs: int, inside: bool, over: bool) -> None:
        """Go on behind the batch after which `position` was asked for.

        Args:
            epochs: so many are done; inside: and part of another one.
            over: the position is before the end of the last of them was announced.
        """
        raise missing_method(self, "rewind(self, position, epochs, inside, over)")

    def _start(self) -> Iterator:
        raise missing_method(self, "_start(self)")


class Iterated(Source):
    """Something that gives an iterator: read again from the beginning, unless it is an iterator itself."""

    def __init__(self, stream: Any, options: Workers) -> None:
        super().__init__(stream, options)
        self.once = inspect.isgenerator(stream) or (hasattr(stream, "__next__") and iter(stream) is stream)
        if isinstance(stream, (itertools.cycle, itertools.repeat, itertools.count)):
            self.batches = ENDLESS
        if options.use_multiprocessing and self.once:
            why = f"a {self.name} cannot be sent to another process, one thread reads it. A nyala.utils.PyDataset can"
            warnings.warn(f"use_multiprocessing=True: {why}", stacklevel=6)
        self._names = _state_methods(stream)
        if self._names is None:
            self.why_not = self._reason()

    def _reason(self) -> str:
        if inspect.isgenerator(self.stream):
            return "a generator can be read once only, and does not say where it stands: use a nyala.utils.PyDataset"
        if self.once:
            return f"a {self.name} can be read once only, and has no state_dict or get_state: use a nyala.utils.PyDataset"
        return (
            f"a {self.name} does not say where it stands: give it (or its iterator) state_dict and load_state_dict, or get_state and set_state, "
            "or use a nyala.utils.PyDataset"
        )

    def _start(self) -> Iterator:
        return iter(self.stream)

    def position(self) -> Any:
        return None if self._names is None else as_plain(getattr(self.stream, self._names[0])())

    def rewind(self, position: Any, epochs: int, inside: bool, over: bool) -> None:
        if position is None:  # before the first batch
            return
        self.close_pass()
        self._rewound, self.fresh = True, False
        self._set_state(from_plain(position))

    def _set_state(self, state: Any) -> None:
        getattr(self.stream, self._names[1])(state)  # type: ignore[index]


class WithState(Iterated):
    """Something whose iterators have the state."""

    _last: Any = None  # the position at the end of the pass before

    def __init__(self, stream: Any, options: Workers, probe: Iterator) -> None:
        super().__init__(stream, options)
        self._names, self.why_not = _state_methods(probe), ""
        self._iterator, self.fresh = probe, True

    def first_position(self) -> Any:
        return self.position()

    def position(self) -> Any:
        return as_plain(getattr(self._iterator, self._names[0])()) if self._iterator is not None else self._last  # type: ignore[index]

    def close_pass(self) -> None:
        self._last = self.position()
        super().close_pass()

    def _set_state(self, state: Any) -> None:
        self._iterator = iter(self.stream)
        getattr(self._iterator, self._names[1])(state)  # type: ignore[index]


class Rows(Iterated):
    """A stream of rows, dicts of columns, which are put together into batches."""

    def __init__(self, stream: Any, options: Workers, batch_size: int) -> None:
        super().__init__(stream, options)
        self._batch_size, self.batches = batch_size, None
        self._beginning: Any = None  # the state of the stream there, once it was put elsewhere

    def _set_state(self, state: Any) -> None:
        self._beginning = getattr(self.stream, self._names[0])()  # type: ignore[index]
        super()._set_state(state)

    def _start(self) -> Iterator:
        if self._beginning is not None and not self._rewound:  # such streams would begin each pass where they were put
            super()._set_state(self._beginning)
        return map(self._as_batch, self.stream.iter(self._batch_size))

    def _as_batch(self, columns: Mapping[str, Any]) -> Any:
        x, y = split_columns(columns, lambda name: check_column(columns[name], name))
        return x if y is None else (x, y)


class Indexed(Source):
    """Batches by number: a PyDataset or what is like one.

    Args:
        shuffle: take the batches in another order in each pass, drawn from a seed.
        convert: applied to a batch by the worker that makes it.
    """

    def __init__(self, stream: Any, options: Workers, shuffle: bool, convert: Callable[[Any], Any]) -> None:
        super().__init__(stream, options)
        self._convert = convert
        self.seed = seeds.draw_seed() if shuffle and self.batches not in (None, ENDLESS) else None
        self._passes, self._index = 0, 0
        self._team: Team | None = None
        self._changed = False
        self._state_of = _state_methods(stream)

    def _start(self) -> Iterator:
        first = self._index
        if self.batches in (None, ENDLESS):
            indices: Iterator[int] = itertools.count(first)
        elif self.seed is None:
            indices = iter(range(first, self.batches))
        else:
            order = seeds.host_generator(self.seed + (self._passes << 64)).permutation(self.batches)
            indices = iter(order[first:].tolist())
        if self.options.workers in (0, 1) and not self.options.use_multiprocessing:
            return (self._make(index) for index in indices)
        return self._made_by_team(indices)

    def _make(self, index: int) -> Any:
        return self._convert(self.stream[index])

    def _made_by_team(self, indices: Iterator[int]) -> Iterator[Any]:
        workers, processes, ahead = self.options
        if self._team is None:
            if processes:
                self._team = Processes(self.stream, max(workers or 1, 1), ahead or 1, self.name)
            else:
                self._team = Threads(self._make, workers or 1, ahead or 1, self.name)
        elif self._changed:
            self._team.renew()
        self._changed = False
        made = self._team.run(indices)
        try:
            for batch in made:
                yield self._convert(batch) if processes else batch
        finally:
            made.close()  # type: ignore[attr-defined]

    def take(self) -> Any:
        item = super().take()
        if item is END:
            self._passes, self._index = self._passes + 1, 0
        else:
            self._index += 1
        return item

    def close_pass(self) -> None:
        if self._iterator is not None and self._index:
            self._passes, self._index = self._passes + 1, 0
        super().close_pass()

    def end_epoch(self) -> None:
        super().end_epoch()
        self._changed = self._changed or _has_hook(self.stream, "on_epoch_end") or _has_hook(self.stream, "on_epoch_begin")

    def close(self) -> None:
        super().close()
        if self._team is not None:
            self._team.close()
            self._team = None

    def report(self) -> str:
        return self._team.report() if self._team is not None else ""

    def same(self) -> dict[str, Any]:
        return {**super().same(), "shuffle": self.seed is not None}

    def first_position(self) -> Any:
        return self.position()

    def position(self) -> Any:
        own = None if self._state_of is None else as_plain(getattr(self.stream, self._state_of[0])())
        return {"seed": self.seed, "pass": self._passes, "index": self._index, "own": own}

    def rewind(self, position: Any, epochs: int, inside: bool, over: bool) -> None:
        if position is None:
            return
        self.close_pass()
        self._rewound = True
        if self._state_of is not None:
            getattr(self.stream, self._state_of[1])(from_plain(position["own"]))
            if over:
                _call(self.stream, "on_epoch_end")
        else:  # a data set that counts or shuffles by itself hears of the epochs that went by
            for epoch in range(epochs + inside):
                _call(self.stream, "on_epoch_begin")
                if epoch < epochs:
                    _call(self.stream, "on_epoch_end")
        self.seed, self._passes, self._index = position["seed"], position["pass"], position["index"]
        if self.batches not in (None, ENDLESS) and self._index >= self.batches:
            self._passes, self._index = self._passes + 1, 0


def open_source(stream: Any, options: Workers, shuffle: bool, batch_size: int | None, convert: Callable[[Any], Any], where: str) -> Source:
    """The source for what a user passed. Raises for data that give samples where batches are needed."""
    options = options.for_source(stream)
    if hasattr(stream, "column_names") and hasattr(stream, "iter") and hasattr(stream, "with_format"):
        return Rows(stream, options, batch_size or 32)
    _refuse_samples(stream, where)
    if _is_indexed(stream):
        return Indexed(stream, options, shuffle, convert)
    source = Iterated(stream, options)
    if source.why_not and not source.once and type(stream).__module__ != "builtins" and _gives_iterators_with_state(stream):
        return WithState(stream, options, iter(stream))
    return source


def _is_indexed(stream: Any) -> bool:
    if module_of(stream) == "grain":  # their iterators have state
        return False
    return hasattr(stream, "__getitem__") and (hasattr(stream, "__len__") or hasattr(stream, "num_batches"))


def _gives_iterators_with_state(stream: Any) -> bool:
    """Whether a stream says so (`stateful_iterators`), or is of a library whose iterators have a state."""
    return bool(getattr(stream, "stateful_iterators", module_of(stream) == "grain"))


def _refuse_samples(stream: Any, where: str) -> None:
    """A data set of single samples would train on their first axis."""
    data = sys.modules.get("torch.utils.data")
    if data is not None and isinstance(stream, data.Dataset):
        raise ArgumentTypeError(
            f"{where}(x)",
            need="batches",
            got=f"{type(stream).__name__}, a torch Dataset of single samples",
            fix="pass torch.utils.data.DataLoader(dataset, batch_size=32, shuffle=True)",
        )


def _state_methods(value: Any) -> tuple[str, str] | None:
    return next((names for names in STATES if all(callable(getattr(value, name, None)) for name in names)), None)


def _number_of_batches(stream: Any) -> int | None:
    """How many batches a pass has: None if it does not say, ENDLESS if it never ends."""
    if hasattr(stream, "num_batches") and not callable(stream.num_batches):
        found = stream.num_batches
        return ENDLESS if found is None else int(found)
    try:
        found = len(stream) if hasattr(stream, "__len__") else _cardinality(stream)
    except (TypeError, NotImplementedError):
        found = _cardinality(stream)
    return ENDLESS if found is not None and found >= sys.maxsize // 2 else found


def _cardinality(stream: Any) -> int | None:
    """Of tf.data: -1 is endless, -2 unknown."""
    found = int(stream.cardinality()) if hasattr(stream, "cardinality") else -2
    return None if found == -2 else ENDLESS if found == -1 else found


def _has_hook(stream: Any, name: str) -> bool:
    """Whether a class of the user's defines this hook."""
    defined = getattr(type(stream), name, None)
    return defined is not None and getattr(defined, "__module__", "") != "nyala.utils.dataset"


def _call(stream: Any, name: str) -> None:
    if hasattr(stream, name):
        getattr(stream, name)()
