# SPDX-License-Identifier: Apache-2.0
"""Every engine that can be found keeps the contract, and the suite that says so can fail."""

import copy
import functools
import importlib.util
import itertools
import pathlib
import sys

import numpy as np
import pytest

import nyala.ops
from nyala.engines import PRIMITIVES, Engine, available_engines, get_engine, using
from nyala.testing import check_engine, compare, engine_checks, fast, fast_cases, laws
from nyala.testing.__main__ import main
from nyala.testing.table import table

SCIPY = importlib.util.find_spec("scipy") is not None


def _parameters():
    for name in available_engines():
        try:
            engine = get_engine(name)
        except ImportError as error:
            yield pytest.param(None, id=name, marks=pytest.mark.skip(reason=str(error).splitlines()[0]))
            continue
        for check in engine_checks(engine):
            excused = [pytest.mark.xfail(reason=check.excuse, strict=True)] if check.excuse else []
            yield pytest.param(check, id=f"{name}-{check.id}", marks=excused)


@pytest.mark.skipif(not SCIPY, reason="the oracles need SciPy")
@pytest.mark.parametrize("check", list(_parameters()))
def test_contract(check):
    check.run()


def test_every_primitive_has_a_row_and_checks():
    assert set(table()) == set(PRIMITIVES)
    checked = {check.primitive for check in engine_checks("numpy")}
    assert set(PRIMITIVES) <= checked


def test_inputs_are_distinct_random_and_of_prime_sizes():
    for name, row in table().items():
        for case in row.cases:
            arrays = [x for x in compare.arrays_of(case) if compare.is_free(x) and x.size > 1]
            for x, y in itertools.combinations(arrays, 2):
                assert x.shape != y.shape or not np.array_equal(x, y), name


@pytest.mark.skipif(not SCIPY, reason="the oracles need SciPy")
def test_other_seeds_pass_too():
    engine = get_engine("numpy")
    for seed, name in itertools.product((1, 2, 3), ("conv", "scatter", "power", "floor_divide", "lgamma", "einsum")):
        row = table(seed)[name]
        with using(engine):
            compare.check_values(engine, name, row.oracle, [(case, "float32") for case in row.cases], row.result, scale=row.scale)


def test_threefry_gives_the_published_words():
    laws.check_threefry()


# The suite can fail ---------------------------------------------------------------------------------------------------------------------------


@functools.cache
def _sabotage():
    path = pathlib.Path(__file__).parents[2] / "tools" / "sabotage.py"
    spec = importlib.util.spec_from_file_location("nyala_tools_sabotage", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(not SCIPY, reason="the oracles need SciPy")
def test_every_damage_to_a_primitive_is_seen():
    assert _sabotage().survivors(get_engine("numpy")) == []


def test_sabotage_reports_what_survives(monkeypatch):
    tool = _sabotage()
    monkeypatch.setattr(tool, "DAMAGES", (lambda engine, x: x,))
    monkeypatch.setattr(tool, "applies", lambda name, damage: True)
    assert tool.survivors(get_engine("numpy"), ["exp"]) == ["exp: <lambda>"]


def test_reports_say_what_failed():
    broken = copy.copy(get_engine("numpy"))
    broken.exp = lambda x: np.asarray(np.exp(x) * np.float32(1.01))
    report = check_engine(broken, only="exp")
    assert not report and "exp-values" in report.failures and "exp-values" not in report.passed
    assert "exp(float64(2, 3, 5)) in float32: 30 of 30 values differ, first at (0, 0, 0): got " in report.failures["exp-values"]
    assert "values FAILED" in str(report) and "engine numpy: " in str(report)


def test_a_primitive_that_is_missing_is_a_failure():
    class Young(Engine):
        name = "young"
        asarray = lambda self, value, dtype=None: np.asarray(value, dtype)  # noqa: E731
        to_numpy = lambda self, x: np.array(x)  # noqa: E731

    assert "does not implement the primitive 'exp'" in check_engine(Young(), only="exp").failures["exp-values"]


def test_changed_arguments_are_seen():
    broken = copy.copy(get_engine("numpy"))

    def negative(x):
        result = -x
        x += 1
        return result

    broken.negative = negative
    assert "it changed its argument" in check_engine(broken, only="negative").failures["negative-values"]


def test_only_chooses_primitives_and_beginnings():
    assert {check.partition("-")[0] for check in check_engine("numpy", only=["floor", "transform"]).passed} == {"floor", "transform"}


def test_command_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["nyala.testing", "numpy", "floor", "-v"])
    assert main() == 0
    out = capsys.readouterr().out
    assert "ok     floor-values" in out and "engine numpy: " in out


# Shortcuts -----------------------------------------------------------------------------------------------------------------------------------


def _shortcut(monkeypatch, name, function):
    """An engine with a shortcut for an op that doubles, and the op."""
    engine = copy.copy(get_engine("numpy"))
    engine.fast = {name: function}

    def op(x):
        return engine.fast[name](x)

    op.composed = lambda x: x + x
    monkeypatch.setattr(nyala.ops, "double", op, raising=False)
    monkeypatch.setitem(fast_cases.CASES, "double", [lambda random: ((random.normal(size=(2, 3)).astype("float32"),), {})])
    return check_engine(engine, only="fast")


def test_a_right_shortcut_passes(monkeypatch):
    assert _shortcut(monkeypatch, "double", lambda x: x * np.float32(2)).passed == ["fast-double"]


def test_a_wrong_shortcut_fails(monkeypatch):
    assert "values differ" in _shortcut(monkeypatch, "double", lambda x: x * np.float32(2.01)).failures["fast-double"]
    assert "dtype float64" in _shortcut(monkeypatch, "double", lambda x: x.astype("float64") * 2).failures["fast-double"]


def test_a_shortcut_without_op_or_cases_fails(monkeypatch):
    assert "which is no op" in _shortcut(monkeypatch, "treble", lambda x: x).failures["fast-treble"]
    monkeypatch.setattr(fast, "CASES", {})
    assert "has no cases for 'double'" in _shortcut(monkeypatch, "double", lambda x: x + x).failures["fast-double"]
