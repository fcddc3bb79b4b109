# SPDX-License-Identifier: Apache-2.0
"""Stored numbers and the objects they belong to: compared first, all of them, and only then set.

Knows no file format: what is stored comes as {path: {key: Source}}, where a Source has shape and dtype, and reads itself.
Start at plan; nothing is changed before Plan.carry_out.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from nyala.core.alignment import Replacing
from nyala.core.dtypes import is_float, numpy_dtype
from nyala.core.errors import NyalaError
from nyala.core.variable import Scope, Variable, state
from nyala.files.errors import CorruptFileError, FileError, ResourceLimitError, WeightsMismatchError
from nyala.files.places import Place
from nyala.layers.adaptable import Adaptable
from nyala.layers.tracking import Tracking
from nyala.optimizers.optimizer import Optimizer

ALLOWANCE = 64 << 20  # bytes that variables may have beside what is stored for them
LEAST = -(1 << 63)
# Left over without loss: what this or earlier versions of Keras keep beside weights.
LEFT_ALONE = re.compile(r"(^|/)(optimizer|seed_generator\w*|random_generator|_?metrics|compile_metrics|_?loss_tracker)(/|$)")


class Source(NamedTuple):
    """One stored array, not read yet."""

    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], np.ndarray]
    check: Callable[[], Any] = lambda: None  # read it once for its checksums, where it has some
    pieces: Callable[[], Iterable[Any]] = tuple  # its bytes as they are stored, one after the other


Stored = dict[str, dict[str, Source]]


class Report(NamedTuple):
    """What of a file fits a model, each a list of sentences."""

    loaded: list[str]
    missing: list[str]
    unexpected: list[str]
    mismatched: list[str]

    @property
    def fits(self) -> bool:
        return not (self.missing or self.unexpected or self.mismatched)

    def __str__(self) -> str:
        parts = [f"{len(self.loaded)} loaded"]
        for name in ("mismatched", "missing", "unexpected"):
            found = getattr(self, name)
            if found:
                parts.append(f"{len(found)} {name} ({'; '.join(found[:3])}{'; ...' if len(found) > 3 else ''})")
        return ", ".join(parts)


class _View(Mapping):
    """The arrays of one object as the mapping that load_own_variables takes; each is read when it is asked for."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._sources = sources

    def __getitem__(self, key: str) -> np.ndarray:
        return self._sources[key].read()

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)


class Plan:
    """What is to be set once everything has been compared."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.report = Report([], [], [], [])
        self.variables: list[tuple[Variable, Source]] = []
        self.calls: list[tuple[Any, Mapping[str, Source]]] = []  # objects that read their store themselves
        self.later: list[tuple[Any, list[Source]]] = []  # layers that are not built yet, with their weights in order
        self.whole: list[tuple[Variable, Source, int]] = []  # whole numbers that may be too large for their variable, with the least they may be
        self._verified = False

    def check(self, skip_mismatch: bool | None = False) -> None:
        """Raise unless everything fits; skip_mismatch is None where nobody can pass it."""
        report = self.report
        if report.fits or (skip_mismatch and (report.loaded or not report.mismatched)):
            return
        first = (report.mismatched or report.missing or report.unexpected)[0]
        other = "" if skip_mismatch is None else ", or pass skip_mismatch=True to take what fits"
        raise WeightsMismatchError(
            self.where,
            need="the weights of the model, each of its shape",
            got=str(report),
            why=f"the first difference: {first}",
            fix=f"use the architecture with which they were saved{other}; no weight was changed",
            rule="weights-mismatch",
        )

    def verify(self) -> None:
        """Raise for numbers that are damaged, or that their variables cannot hold. Changes nothing."""
        several = [*(sources.values() for _, sources in self.calls), *(sources for _, sources in self.later)]
        with ThreadPoolExecutor(2) as pool:  # sums are computed outside of Python's lock; more would hold more arrays at a time
            sources = [*(source for _, source in self.variables), *(source for group in several for source in group)]
            for _ in pool.map(lambda source: source.check(), sources):
                pass
        for variable, source, least in self.whole:
            check_range(variable, source.read(), self.where, least)
        self._verified = True

    def carry_out(self) -> None:
        """Set everything. What can still go wrong, a disk that fails, or code of the user's, goes wrong before the first variable is set."""
        if not self._verified:
            self.verify()
        assigned: list[tuple[Variable, Any]] = []
        for target, sources in self.calls:
            if not _is_ours(target):
                with Scope() as inside:
                    target.load_own_variables(_View(sources))
                assigned += [(variable, inside.values[key]) for key, variable in inside.touched.items()]
        for target, kept in self.later:
            target._first_weights = [source.read() for source in kept]
        for target, sources in self.calls:
            if _is_ours(target):  # compared already: its arrays need not be held together
                target.load_own_variables(_View(sources))
        set_values((variable, source.read) for variable, source in self.variables)
        for variable, value in assigned:
            variable.assign(value)


def _is_ours(target: Any) -> bool:
    """Whether it is the package's own code that reads its store."""
    return type(target).load_own_variables.__module__.startswith("nyala.")


def is_plain(target: Any, method: str) -> bool:
    """Whether a method of an object, load_own_variables or save_own_variables, means its numbered variables and nothing else."""
    plain = [Tracking, Optimizer, *([] if getattr(target, "lora_enabled", False) else [Adaptable])]
    return getattr(getattr(target, method), "__func__", None) in [getattr(kind, method) for kind in plain]


def variables_of(target: Any) -> list[Variable]:
    """The variables that an object saves as "0", "1", ..."""
    return target.variables if isinstance(target, Optimizer) else target._saved_variables()


def set_values(pairs: Iterable[tuple[Variable, Callable[[], np.ndarray]]]) -> None:
    """Give variables what is read for each, one after the other; large ones first, as small ones would break up their gaps."""
    replacing = Replacing()
    for variable, read in sorted(pairs, key=lambda pair: -pair[0].size):
        set_value(variable, read(), replacing)


def check_range(variable: Variable, array: np.ndarray, where: str, least: int = LEAST) -> None:
    """Raise for whole numbers that the variable they are for cannot hold: in it they would be others."""
    dtype = numpy_dtype(variable._dtype)
    if is_float(variable._dtype) or array.dtype.kind not in "biuf" or not array.size:
        return
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    low, found = max(low, least), [array.min(), array.max()]
    if not (low <= found[0] and found[1] <= high):  # neither is nan
        raise CorruptFileError(
            where,
            need=f"whole numbers from {low:,} to {high:,} for {variable.path!r}",
            got=f"{found[0] if not low <= found[0] else found[1]}",
            why=f"it is {variable._dtype}, and would hold another number",
            fix="nothing was changed; save the file anew, or get it again",
            rule="weights-range",
        )


def is_narrower(dtype: str, other: str) -> bool:
    """Whether whole numbers of one dtype may be too large for another.

    >>> is_narrower("int32", "int64"), is_narrower("int32", "uint8"), is_narrower("float32", "float64")
    (True, False, False)
    """
    return not is_float(dtype) and not np.can_cast(numpy_dtype(other), numpy_dtype(dtype), "safe")


def set_value(variable: Variable, array: np.ndarray, replacing: Replacing | None = None) -> None:
    """Give a variable an array of its shape that nobody else holds: on the engine where it is, or on the host, until it is used on one."""
    array = np.asarray(array, numpy_dtype(variable._dtype))
    if state.scopes or variable._lent is not None:
        variable.assign(array)
        return
    engine = variable._owner
    variable._stored, variable._owner = np.require(array, requirements=["C", "W"]).reshape(variable.shape), None
    if engine is not None:  # only now, as JAX gives back the memory of an old value when it gets the next array
        divided = variable.layout is not None and engine.shards
        placed = variable._placed(engine) if divided else variable.arranged(engine.adopt(variable._stored, variable._dtype), engine)
        variable._stored, variable._owner = placed, engine
        if replacing is not None:
            replacing.replaced(array.nbytes)


def plan(found: list[Place], stored: Stored, where: str) -> Plan:
    """Compare places of a model with what is stored.

    Args:
        found: objects with their paths.
        stored: path -> arrays by key.
        where: what to call the file in errors.
    """
    made = Plan(where)
    left = dict(stored)
    for path, target in found:
        sources = _take(left, path)
        if isinstance(target, Optimizer) and not sources:
            continue  # a file of weights alone
        _plan_one(made, path, target, sources)
    for path, sources in left.items():
        if sources and not LEFT_ALONE.search(path):
            made.report.unexpected.append(f"{path!r} with shapes {[source.shape for source in sources.values()]}, which the model does not have")
    return made


def _take(left: Stored, path: str) -> dict[str, Source]:
    """The arrays at a path; attributes have lost or gained an underscore from one version of Keras to the next."""
    if path in left:
        return left.pop(path)
    front, slash, last = path.rpartition("/")
    other = f"{front}{slash}{last[1:] if last.startswith('_') else '_' + last}"
    return left.pop(other) if path and other in left else {}


def is_number(key: str) -> bool:
    """Whether a key is the number of an array: as it is written, in one way alone.

    >>> [is_number(key) for key in ("0", "17", "00", "-1", "\u0661", "9" * 5000)]
    [True, True, False, False, False, False]
    """
    return len(key) < 10 and key.isascii() and key.isdecimal() and (key == "0" or key[0] != "0")


def _plan_one(made: Plan, path: str, target: Any, sources: dict[str, Source]) -> None:
    shown = path or "the model itself"
    own = not is_plain(target, "load_own_variables")
    if own and not _is_ours(target):
        made.calls.append((target, sources))
        made.report.loaded.append(shown)
        return
    variables = variables_of(target)
    if not variables and sources and isinstance(target, Tracking) and not target.built and not target._sublayers() and all(map(is_number, sources)):
        made.later.append((target, [sources[key] for key in sorted(sources, key=lambda key: (len(key), key))]))
        made.report.loaded.append(shown)
        return
    beside = {key for key in sources if not is_number(key)}
    differences = False
    pairs = []
    for i, variable in enumerate(variables):
        source = sources.get(str(i))
        if source is None:
            made.report.missing.append(f"{variable.path!r} of shape {variable.shape}, at {shown!r}")
            differences = True
        elif source.shape != variable.shape:
            made.report.mismatched.append(f"{variable.path!r} has shape {variable.shape}, the file has {source.shape} at {shown!r}")
            differences = True
        elif is_float(variable._dtype) != (is_float(source.dtype) or source.dtype.startswith("void")):
            made.report.mismatched.append(f"{variable.path!r} is {variable._dtype}, the file has {source.dtype} at {shown!r}")
            differences = True
        else:
            pairs.append((variable, source))
            counts = isinstance(target, Optimizer) and variable is target._iterations
            if counts or is_narrower(variable._dtype, source.dtype):
                made.whole.append((variable, source, 0 if counts else LEAST))
    extra = [key for key in sources if is_number(key) and int(key) >= len(variables)]
    if extra and isinstance(target, Tracking) and not target.built:
        made.report.missing.append(f"the weights of {target.name!r}, which is not built yet: call the model once, or build(input_shape)")
    elif extra:
        made.report.unexpected.append(f"{len(extra)} more arrays at {shown!r}, the first of shape {sources[extra[0]].shape}")
    if own and not differences:
        made.calls.append((target, sources))
    elif not beside or own:
        made.variables += pairs
    if beside and not own:
        made.report.unexpected.append(f"{sorted(beside)[0]!r} at {shown!r}")
    made.report.loaded.extend(variable.path for variable, _ in pairs)


def check_backed(variables: list[Variable], stored: Stored, where: str) -> None:
    """Raise if a model declares more bytes than a file has for it: memory is given only for what is there."""
    declared = sum(variable.size * numpy_dtype(variable._dtype).itemsize for variable in variables)
    there = sum(nbytes(source) for sources in stored.values() for source in sources.values())
    if declared > 2 * there + ALLOWANCE:  # twice: files may hold half the bits
        raise ResourceLimitError(
            where, need=f"the numbers of all its weights, {declared:,} bytes", got=f"{there:,}", why="memory is given only for what is there",
            rule="weights-declared",
        )  # fmt: skip


def nbytes(source: Source) -> int:
    """How many bytes a stored array has, unpacked."""
    width = int(source.dtype[4:]) // 8 if source.dtype.startswith("void") else numpy_dtype(source.dtype).itemsize
    return int(np.prod(source.shape, dtype=object)) * width


@contextlib.contextmanager
def named(where: str) -> Iterator[None]:
    """Errors of objects that read their own store say of which file."""
    try:
        yield
    except NyalaError as error:
        if not isinstance(error, FileError):
            error.add_note(f"while reading {where}; no weight was changed")
        raise
