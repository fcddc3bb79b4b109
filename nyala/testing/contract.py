# SPDX-License-Identifier: Apache-2.0
"""The contract of `nyala.engines.protocol` as checks that any engine can be put through. Start at check_engine.

Knows no array library: it calls primitives by name. The rows are in table.py, the laws in laws.py, the conventions in rules.py, the transforms in
transforms.py; what an engine can do beyond them, features.py finds out.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from nyala.engines import get_engine, using
from nyala.engines.protocol import PRIMITIVES, Engine, Tensor, Tree
from nyala.testing import conventions, fast, transforms
from nyala.testing.compare import arrays_of, check_gradient, check_values, is_free, kept, map_arrays, require
from nyala.testing.features import Feature, features
from nyala.testing.rules import rules
from nyala.testing.table import Row, table


@dataclass(frozen=True)
class Check:
    """One thing an engine must do.

    Attributes:
        id: what is checked: "exp-values", "conv-adjoints_of_conv", "transform-gradients_nest", "fast-softmax".
        primitive: the primitive it is about, or "".
        run: raises, ContractError as a rule, if the engine does not do it.
        excuse: why the engine need not do it (`Engine.excused`), or "".
    """

    id: str
    primitive: str
    run: Callable[[], None]
    excuse: str = ""


@dataclass
class Report:
    """What came out: `passed` ids, `failures` (id -> message), `excused` (id -> why), `features` (title -> what the engine can do of it), `seconds`.

    str() is a table of them; it is true if nothing failed."""

    engine: str
    passed: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    excused: dict[str, str] = field(default_factory=dict)
    features: dict[str, Feature] = field(default_factory=dict)
    seconds: float = 0.0

    def __bool__(self) -> bool:
        return not self.failures

    def __str__(self) -> str:
        groups: dict[str, list[str]] = {}
        for id in (*self.passed, *self.failures):
            name, _, what = id.partition("-")
            groups.setdefault(name, []).append(f"{what} FAILED" if id in self.failures else what)
        lines = [f"{name:24}{', '.join(sorted(set(found)))}" for name, found in groups.items()]
        lines += ["", *(f"{title:48}{feature}" for title, feature in self.features.items())] if self.features else []
        lines += ["", *(f"excused {id}: {why}" for id, why in self.excused.items())] if self.excused else []
        lines += [f"\nFAILED {id}\n  {message}" for id, message in self.failures.items()]
        counts = f"{len(self.passed)} passed, {len(self.failures)} failed{f', {len(self.excused)} excused' if self.excused else ''}"
        return "\n".join([*lines, f"\nengine {self.engine}: {counts}, in {self.seconds:.0f} s"])


def check_engine(engine: str | Engine, only: str | Iterable[str] | None = None, verbose: bool = False) -> Report:
    """Put an engine through the contract.

    Whoever brings a new engine writes one file with one subclass of `nyala.engines.Engine`, and lets this function say what is left to do.
    An object will do: it need not be installed or registered. Values are compared with NumPy and SciPy in float64, gradients with finite
    differences, shapes and dtypes with the spec engine. What the engine says it cannot do (`differentiable`, `canonical_dtype`) is left out;
    what it is excused from (`excused`) must really fail. Last, each feature is tried.
    `python -m nyala.testing NAME` does the same from the command line; in pytest, parametrize a test over `engine_checks(name)`.

    Args:
        engine: its name, or the object.
        only: a primitive, the beginning of ids of checks ("transform"), "features", or several of them.
        verbose: print each check as it ends.
    Returns: a Report; nothing is raised for a failure.

    Example:
    >>> report = check_engine("numpy", only=["exp", "scatter"])
    >>> report.failures
    {}
    """
    chosen = get_engine(engine) if isinstance(engine, str) else engine
    wanted = None if only is None else (only,) if isinstance(only, str) else tuple(only)
    report, start = Report(chosen.name), time.perf_counter()
    for check in engine_checks(chosen):
        if wanted and check.primitive not in wanted and not any(check.id.startswith(f"{name}-") for name in wanted):
            continue
        _settle(check, report)
        if verbose:
            outcome = "FAILED" if check.id in report.failures else "excused" if check.id in report.excused else "ok"
            print(f"{outcome:7}{check.id}", flush=True)
    if not chosen.abstract and (wanted is None or "features" in wanted):
        report.features = features(chosen)
    report.seconds = time.perf_counter() - start
    return report


def _settle(check: Check, report: Report) -> None:
    try:
        check.run()
    except Exception as error:  # whatever a new engine raises is a finding
        if check.excuse:
            report.excused[check.id] = check.excuse
        else:
            report.failures[check.id] = f"{type(error).__name__}: {error}"
    else:
        if check.excuse:
            report.failures[check.id] = f"is excused ({check.excuse}), but passes: take it out of the engine's `excused`"
        else:
            report.passed.append(check.id)


def _within(engine: Engine, function: Callable[[], None]) -> None:
    with using(engine):
        function()


def engine_checks(engine: str | Engine) -> Iterator[Check]:
    """The checks for one engine, to be run in any order, for example by pytest:

    @pytest.mark.parametrize("check", list(engine_checks("numpy")), ids=lambda check: check.id)
    def test_contract(check): check.run()
    """
    chosen = get_engine(engine) if isinstance(engine, str) else engine
    excused = dict(chosen.excused)
    for check in _checks(chosen):
        yield dataclasses.replace(check, run=functools.partial(_within, chosen, check.run), excuse=excused.pop(check.id, ""))
    for id in excused:
        yield Check(f"{id}-excuse", "", functools.partial(require, False, f"{chosen.name}.excused names {id!r}, which is no check of it"))


def _checks(chosen: Engine) -> Iterator[Check]:
    for name in PRIMITIVES:
        if (row := table().get(name)) is None:
            yield Check(f"{name}-row", name, functools.partial(require, False, f"the table has no row for the primitive {name!r}"))
        else:
            yield from _row_checks(chosen, name, row)
    for of in rules():
        if not (chosen.abstract and of in conventions.EAGER):
            yield Check(f"{of}-conventions", of if of in PRIMITIVES else "", functools.partial(conventions.check_rules, chosen, of))
    for id, (needs, function) in transforms.CHECKS.items():
        if needs == "" or (needs == "values" and not chosen.abstract) or (needs == "gradients" and _has_gradients(chosen)):
            yield Check(f"transform-{id}", "", functools.partial(function, chosen))
    for name in chosen.fast:
        yield Check(f"fast-{name}", "", functools.partial(fast.check_shortcut, chosen, name))


def _has_gradients(engine: Engine) -> bool:
    return engine.differentiable and not engine.abstract


def _row_checks(engine: Engine, name: str, row: Row) -> Iterator[Check]:
    if name == "nonzero" and engine.abstract:
        return
    if row.oracle is not None:
        yield Check(f"{name}-values", name, functools.partial(_values, engine, name, row))
    if len(kept(engine, row.dtypes)) > 1 and row.oracle is not None:
        yield Check(f"{name}-dtypes", name, functools.partial(_dtypes, engine, name, row))
    if row.edges:
        yield Check(f"{name}-edges", name, functools.partial(_edges, engine, name, row))
    if row.scalars:
        yield Check(f"{name}-scalars", name, functools.partial(_scalars, engine, name, row))
    if row.gradient and _has_gradients(engine):
        yield Check(f"{name}-gradient", name, functools.partial(_gradient, engine, name, row))
    for law in row.laws:
        function = law.func if isinstance(law, functools.partial) else law
        yield Check(f"{name}-{function.__name__}", name, functools.partial(law, engine))


def _values(engine: Engine, name: str, row: Row) -> None:
    """All cases in one dtype."""
    dtype = kept(engine, row.dtypes)[0]
    _check(engine, name, row, [(case, dtype) for case in row.cases], compiled=True)


def _dtypes(engine: Engine, name: str, row: Row) -> None:
    """The first case in every other dtype."""
    _check(engine, name, row, [(row.cases[0], dtype) for dtype in kept(engine, row.dtypes)[1:]], compiled=True)


def _edges(engine: Engine, name: str, row: Row) -> None:
    _check(engine, name, row, [(case, "float32") for case in row.edges])


def _scalars(engine: Engine, name: str, row: Row) -> None:
    """Python numbers as operands, in the first dtype and in narrow ones."""
    dtypes = kept(engine, row.dtypes)
    for case in row.scalars:
        numbers = [x for x in case if isinstance(x, float)]
        for dtype in dict.fromkeys((dtypes[0], *(narrow for narrow in ("bfloat16", "int8") if narrow in dtypes))):
            if not (dtype == "int8" and numbers):  # an integer cannot hold a float
                _check(engine, name, row, [(tuple(bool(x) if dtype == "bool" and isinstance(x, float) else x for x in case), dtype)])


def _check(engine: Engine, name: str, row: Row, calls: list[tuple[tuple, str]], compiled: bool = False) -> None:
    compiled = compiled and engine.compiles and name != "nonzero"
    check_values(engine, name, row.oracle, calls, row.result, compiled, scale=row.scale, floor=row.floor, signed_zero=row.signed_zero)


def _gradient(engine: Engine, name: str, row: Row) -> None:
    for case in row.gradient:
        _gradient_of_case(engine, name, row, case)


def _gradient_of_case(engine: Engine, name: str, row: Row, case: tuple) -> None:
    """In all its float arrays at once."""

    def fill(values: tuple, convert: Callable) -> tuple:
        rest = iter(values)
        return map_arrays(lambda x: next(rest) if is_free(x) else convert(x), case)

    def function(*values: Tensor) -> Tree:
        return getattr(engine, name)(*fill(values, lambda x: engine.asarray(x, str(x.dtype))))

    def oracle(*values: np.ndarray) -> Tree:
        return row.oracle(*fill(values, lambda x: x))

    check_gradient(engine, function, oracle, [x for x in arrays_of(case) if is_free(x)], scale=row.scale, what=name)
