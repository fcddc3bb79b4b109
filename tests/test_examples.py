# SPDX-License-Identifier: Apache-2.0
"""The examples run, quickly, on each engine that trains, and draw what they did; in full, by hand, they reach what they promise."""

import importlib
import pathlib
import sys
import warnings

import numpy as np
import pytest

import nyala
from nyala.testing import installed_engines

pytest.importorskip("matplotlib")
FOLDER = pathlib.Path(__file__).parent.parent / "examples"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if "def main(" in path.read_text(encoding="utf-8"))
QUICK = next((engine.name for engine in installed_engines() if engine.differentiable and not engine.compiles), None)


@pytest.fixture
def example(monkeypatch):
    """Load an example as its folder's scripts see each other."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module
    for name in (*NAMES, "drawing"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_runs_and_draws(name, example, tmp_path, capsys):
    picture = tmp_path / "picture.png"
    with nyala.backend(QUICK or "jax"), warnings.catch_warnings():
        warnings.simplefilter("error")
        found = example(name).main(["--quick", "--picture", str(picture)])
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert str(picture) in capsys.readouterr().out
    assert all(np.isfinite(np.asarray(value, "float64")).all() for value in found.values())


def test_every_script_is_an_example_or_shared():
    assert {path.stem for path in FOLDER.glob("*.py")} - set(NAMES) <= {"drawing"}
    assert {"contrastive", "gan", "reinforcement", "vae"} <= set(NAMES)


def test_the_loop_of_reinforcement_compiles_once_for_each_function(example, tmp_path):
    if "jax" not in [engine.name for engine in installed_engines()]:
        pytest.skip("needs an engine that compiles")
    with nyala.backend("jax"):
        found = example("reinforcement").main(["--quick", "--picture", str(tmp_path / "picture.png")])
    assert found["traces"] == (1, 1)


def test_the_cart_obeys_mechanics(example):
    """With no pole to speak of, the cart moves as a force moves a mass; an upright pole that is pushed falls to the other side."""
    module = example("reinforcement")
    module.POLE = 1e-9
    state = np.zeros((2, 4), "float32")
    for _ in range(10):
        state = module.moved(state, np.array([True, False]))
    np.testing.assert_allclose(state[:, 1], [10 * 0.02 * 10.0, -10 * 0.02 * 10.0], rtol=1e-5)
    assert state[0, 2] < 0 < state[1, 2]
    stands = np.array([[True, True], [True, False], [True, False]])
    np.testing.assert_allclose(module.returns_of(stands), [[1 + 0.99 * (1 + 0.99), 1], [1 + 0.99, 0], [1, 0]])
