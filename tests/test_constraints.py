# SPDX-License-Identifier: Apache-2.0
"""Constraints: values against float64, laws, names and configs, on every engine."""

import numpy as np
import pytest

import nyala
from nyala import constraints
from nyala.engines import get_engine
from nyala.testing import installed_engines

ENGINES = [engine.name for engine in installed_engines()]
RANDOM = np.random.default_rng(7)
MATRIX, KERNEL = RANDOM.normal(size=(5, 3)), RANDOM.normal(size=(3, 2, 5, 7))


def norm(w, axis):
    return np.sqrt(np.sum(w**2, axis=tuple(axis) if isinstance(axis, (list, tuple)) else axis, keepdims=True))


def min_max(w, low, high, rate, axis):
    n = norm(w, axis)
    return w * (rate * np.clip(n, low, high) + (1 - rate) * n) / n


ROWS = [
    (constraints.NonNeg(), MATRIX, lambda w: np.maximum(w, 0)),
    (constraints.MaxNorm(1.3), MATRIX, lambda w: w * np.minimum(1, 1.3 / norm(w, 0))),
    (constraints.MaxNorm(1.3, axis=1), MATRIX, lambda w: w * np.minimum(1, 1.3 / norm(w, 1))),
    (constraints.MaxNorm(5.1, axis=[0, 1, 2]), KERNEL, lambda w: w * np.minimum(1, 5.1 / norm(w, (0, 1, 2)))),
    (constraints.UnitNorm(), MATRIX, lambda w: w / norm(w, 0)),
    (constraints.UnitNorm(axis=(0, 1)), KERNEL, lambda w: w / norm(w, (0, 1))),
    (constraints.MinMaxNorm(1.0, 1.5), MATRIX, lambda w: min_max(w, 1.0, 1.5, 1.0, 0)),
    (constraints.MinMaxNorm(1.5, 1.9, 0.7, axis=1), MATRIX, lambda w: min_max(w, 1.5, 1.9, 0.7, 1)),
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("constraint", "w", "oracle"), ROWS)
def test_values(constraint, w, oracle, engine):
    with nyala.backend(engine):
        value = get_engine(engine).to_numpy(constraint(get_engine(engine).asarray(w.astype("float32"))))
    assert value.dtype == np.float32
    np.testing.assert_allclose(value, oracle(w), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("constraint", "w"), [row[:2] for row in ROWS if getattr(row[0], "rate", 1.0) == 1.0])
def test_a_weight_that_obeys_stays(constraint, w):
    with nyala.backend("numpy"):
        once = constraint(w.astype("float32"))
        np.testing.assert_allclose(constraint(once), once, rtol=1e-5)


def test_zero_weights_stay_zero():
    with nyala.backend("numpy"):
        for constraint in [constraints.MaxNorm(), constraints.UnitNorm(), constraints.MinMaxNorm(0.5, 1.0)]:
            assert not np.any(constraint(np.zeros((3, 2), "float32")))


def test_names_and_configs():
    for name in ["max_norm", "maxnorm", "MaxNorm"]:
        assert isinstance(constraints.get(name), constraints.MaxNorm)
    assert isinstance(constraints.get("nonneg"), constraints.NonNeg) and isinstance(constraints.get("unitnorm"), constraints.UnitNorm)
    assert constraints.max_norm(3).get_config() == {"max_value": 3, "axis": 0}
    assert constraints.get(None) is None
    for constraint, _, _ in ROWS:
        assert constraints.deserialize(constraints.serialize(constraint)).get_config() == {
            k: list(v) if isinstance(v, tuple) else v for k, v in constraint.get_config().items()
        }


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError) as error:
        constraints.get("max_nrm")
    assert (
        str(error.value)
        == "constraint needs a name known in nyala.constraints, got 'max_nrm'.\n  fix: did you mean 'max_norm' or 'maxnorm' or 'min_max_norm'?"
    )
