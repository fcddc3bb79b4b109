# SPDX-License-Identifier: Apache-2.0
"""The conventions are rows that say something, each can fail, and engines may be excused from a check only if they fail it."""

import copy
import dataclasses
import operator

import numpy as np
import pytest

from nyala import ops
from nyala.engines import PRIMITIVES, get_engine, using
from nyala.testing import check_engine, conventions, features, installed_engines
from nyala.testing.compare import ContractError
from nyala.testing.rules import KINDS, all_rules, rules

pytest.importorskip("scipy", reason="the oracles need SciPy")
EAGER = next((engine.name for engine in installed_engines() if engine.differentiable and not engine.compiles), None)


def test_rows_say_what_they_are_about():
    for rule in all_rules():
        assert rule.kind in KINDS and rule.situation and rule.rule and rule.why, rule
        assert rule.of in PRIMITIVES or callable(operator.attrgetter(rule.of.removeprefix("ops."))(ops)), rule
        assert any(x is not None for x in (rule.gives, rule.gradients, rule.holds, rule.raises)), rule
    assert sum(map(len, rules().values())) == len(all_rules()) > 150


def _changed(x):
    """Other values, nan and infinity included."""
    x = np.asarray(x)
    return ~x if x.dtype == bool else np.where(np.isnan(x), 1, 3 * x + 1).astype(x.dtype) if x.dtype.kind == "f" else x + x.dtype.type(1)


def _damages(rule, gradients):
    """The rule with other expectations, one at a time."""
    if rule.gives is not None and np.size(rule.gives if not isinstance(rule.gives, tuple) else rule.gives[0]):
        gives = tuple(map(_changed, rule.gives)) if isinstance(rule.gives, tuple) else _changed(rule.gives)
        finite = np.isfinite(np.asarray(rule.gives[0] if isinstance(rule.gives, tuple) else rule.gives, "float64")).all()
        yield dataclasses.replace(rule, gives=gives if finite or isinstance(gives, tuple) else np.zeros_like(rule.gives))
    if rule.gradients is not None and gradients and all(np.size(g) for g in rule.gradients):
        yield dataclasses.replace(rule, gradients=tuple(np.where(np.isfinite(g), np.add(g, 1), 0) for g in rule.gradients))


@pytest.mark.skipif(EAGER is None, reason="needs an engine with gradients that does not compile")
def test_each_row_can_fail():
    engine, checked = get_engine(EAGER), set()
    with using(engine):
        for rule in all_rules():
            if rule.raises is not None:
                continue
            [(values, gradients)] = conventions._results(engine, [rule], False)
            conventions._check_rule(engine, rule, values, gradients, "")
            for wrong in _damages(rule, gradients):
                checked.add(rule.what)
                with pytest.raises(ContractError):
                    conventions._check_rule(engine, wrong, values, gradients, "")
    assert len(checked) > 120


@pytest.mark.parametrize(
    ("primitive", "wrong", "told"),
    [
        ("maximum", lambda x, y: np.asarray(np.fmax(x, y)), "maximum (nan on either side): maximum(float32(3,), float32(3,)): 2 of 3 values differ"),
        ("floor_divide", lambda x, y: np.asarray(np.trunc(x / y).astype(x.dtype)), "floor_divide (signs that differ)"),
        ("cast", lambda x, dtype: np.asarray(np.nan_to_num(x)).astype(dtype), "cast (to bool)"),
        ("sum", lambda x, axes, keepdims: np.sum(x, axes, keepdims=keepdims), "sum (beyond the range): sum(int8(2,), (0), False): got ('int64', ())"),
        ("take", lambda x, indices, axis: np.take(x, indices, axis, mode="clip"), "take (an index beyond the end)"),
    ],
)
def test_an_engine_that_breaks_a_convention_is_told_which(primitive, wrong, told):
    broken = copy.copy(get_engine("numpy"))
    setattr(broken, primitive, wrong)
    with np.errstate(all="ignore"):
        failures = check_engine(broken, only=primitive).failures
    assert told in failures[f"{primitive}-conventions"]


def test_what_must_raise_must_raise(monkeypatch):
    monkeypatch.setattr(ops, "max", lambda x: x, raising=False)
    failures = check_engine("numpy", only="ops.max").failures
    assert "ops.max (over nothing): max(float32(0,)): expected an error" in failures["ops.max-conventions"]


def test_an_engine_is_excused_only_from_what_it_fails():
    broken = copy.copy(get_engine("numpy"))
    broken.maximum = lambda x, y: np.asarray(np.fmax(x, y))
    broken.excused = {"maximum-conventions": "its library hides nan", "maximum-edges": "its library hides nan", "minimum-edges": "by mistake"}
    report = check_engine(broken, only=["maximum", "minimum"])
    assert report.excused == {"maximum-conventions": "its library hides nan", "maximum-edges": "its library hides nan"}
    assert not any(id in report.failures for id in broken.excused if id.startswith("maximum"))
    assert report.failures["minimum-edges"] == "is excused (by mistake), but passes: take it out of the engine's `excused`"
    assert "excused maximum-edges: its library hides nan" in str(report) and ", 2 excused, in " in str(report)


def test_an_excuse_for_no_check_is_a_failure():
    broken = copy.copy(get_engine("numpy"))
    broken.excused = {"maximum-gradient": "it has no gradients"}
    assert "names 'maximum-gradient', which is no check of it" in check_engine(broken, only="maximum-gradient").failures["maximum-gradient-excuse"]


def test_the_report_says_what_the_engine_can_do():
    report = check_engine("numpy", only="features")
    assert report and not report.passed and report.features["Predicts"] == features.Feature("yes")
    assert "\nTrains                                          no: fit needs an engine with gradients" in str(report)
    assert not check_engine("numpy", only="floor").features and not check_engine("spec", only="features").features


def test_features_are_found_by_trying():
    young = copy.copy(get_engine("numpy"))
    young.random_bits = lambda key, shape: np.zeros(shape, np.uint32)

    def fft(x, axis):
        raise NotImplementedError("fft needs a library, got none.\n  why: none was written\n  fix: write one")

    young.fft = fft
    found = features.features(young)
    assert found["Random bits, the same on every engine"] == features.Feature("no", "other bits")
    assert found["Complex numbers and FFT, with gradients"] == features.Feature("no", "none was written")
    assert str(found["Vectorized functions (vmap)"]) == "partly: a loop in Python"
