# SPDX-License-Identifier: Apache-2.0
"""The page about extending Nyala is run as it stands, on each engine; what it defines is short."""

import ast
import pathlib
import re
import sys
import types

import numpy as np
import pytest

import nyala

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "extending.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
CODE = "\n".join(BLOCKS)
KINDS = ["softclip", "snake", "Gated", "Orthant", "Spread", "Box", "Pinball", "Worst"]


@pytest.fixture
def clean_names():
    from nyala.core import serialization

    before = dict(serialization._registered), dict(serialization._registered_names)
    yield
    for table, old in zip((serialization._registered, serialization._registered_names), before, strict=True):
        table.clear()
        table.update(old)


@pytest.mark.parametrize("engine", ["jax", "torch", "numpy"])
def test_the_page_runs(engine, clean_names, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with nyala.backend(engine):
        space = {"__name__": "the_page"}
        exec(compile(CODE, str(PAGE), "exec"), space)
        model, data = space["model"], space["data"]
        changed = not np.allclose(space["before"], model.predict(data))
        assert changed == (engine != "numpy")
        kernel = model.layers[-1].kernel if hasattr(model.layers[-1], "kernel") else next(w for w in model.weights if w.name == "kernel")
        assert np.abs(kernel.numpy()).max() <= 0.5
        again = nyala.Model.from_config(model.get_config())
        dense = next(layer for layer in again.layers if isinstance(layer, nyala.layers.Dense))
        assert (dense.kernel_constraint.limit, dense.kernel_regularizer.strength, dense.kernel_initializer.seed) == (0.5, 0.01, 1)
        for made in (space["Pinball"](0.9), space["Worst"]()):
            config = nyala.saving.serialize_keras_object(made)
            assert nyala.saving.deserialize_keras_object(config).get_config() == made.get_config()


def test_what_it_computes(clean_names, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    space = {"__name__": "the_page"}
    exec(compile(CODE, str(PAGE), "exec"), space)
    x, y = np.array([[0.5, -3.0, 2.0]], "float32"), np.array([[1.0, 1.0, 1.5]], "float32")
    np.testing.assert_allclose(space["softclip"](x, 2.0), 2 * np.tanh(x / 2), rtol=1e-6)
    np.testing.assert_allclose(space["snake"](x), x + np.sin(x) ** 2, rtol=1e-6)
    np.testing.assert_allclose(space["Box"](0.7)(x), np.clip(x, -0.7, 0.7))
    np.testing.assert_allclose(space["Spread"](0.1)(x), 0.1 * x.var(), rtol=1e-6)
    np.testing.assert_allclose(space["Pinball"](0.9)(y, x), np.mean([0.9 * 0.5, 0.9 * 4.0, 0.1 * 0.5]), rtol=1e-6)
    worst = space["Worst"]()
    worst.update_state(y, x)
    assert float(worst.result()) == 4.0
    assert (np.asarray(space["Orthant"](0.1)((200,))) >= 0).all()


def test_each_is_under_15_lines():
    defined = {node.name: node for node in ast.parse(CODE).body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    assert sorted(defined) == sorted(KINDS)
    for name, node in defined.items():
        lines = CODE.splitlines()[node.lineno - 1 : node.end_lineno]
        assert len([line for line in lines if line.strip()]) < 15, name


def test_the_layer_keeps_the_contract(clean_names, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    page = types.ModuleType("the_page")  # where pickle finds the class
    monkeypatch.setitem(sys.modules, "the_page", page)
    exec(compile(CODE, str(PAGE), "exec"), page.__dict__)
    nyala.testing.check_layer(page.Gated, {"units": 7, "activation": "tanh"}, page.data[:3])
