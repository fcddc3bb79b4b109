# SPDX-License-Identifier: Apache-2.0
"""Where models are saved and loaded: paths of any kind work, and what cannot work says what, why and what to do, before anything is written."""

import os
import pathlib
import sys

import numpy as np
import pytest

import nyala
from nyala import layers
from nyala.core.errors import ArgumentError, NyalaError
from nyala.saving import load_model
from tests.training.tools import numbers

WHOLE, WEIGHTS = (".keras", ".h5"), (".weights.h5", ".npz", ".safetensors", ".weights.json")


@pytest.fixture
def model():
    made = nyala.Sequential([nyala.Input((3,)), layers.Dense(2)])
    made.set_weights([numbers(3, 2), numbers(2)])
    return made


def save(model, path):
    name = os.fspath(path)
    (model.save_weights if name.endswith(WEIGHTS) else model.save)(path)


def loaded(model, path):
    if os.fspath(path).endswith(WEIGHTS):
        other = nyala.Sequential([nyala.Input((3,)), layers.Dense(2)])
        other.load_weights(path)
        return other
    return load_model(path)


@pytest.mark.parametrize("suffix", [*WHOLE, *WEIGHTS])
def test_names_of_any_kind(suffix, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "with space" / "ünï").mkdir(parents=True)
    for path in (
        tmp_path / f"a{suffix}", str(tmp_path / f"b.c.d{suffix}"), f"relative{suffix}", pathlib.Path(f"./with space/ünï/名{suffix}"),
        pathlib.Path(f"with space/../up{suffix}"),
    ):  # fmt: skip
        save(model, path)
        np.testing.assert_array_equal(loaded(model, path).get_weights()[0], model.get_weights()[0])
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith((".part", ".new"))]


@pytest.mark.parametrize("suffix", [*WHOLE, *WEIGHTS])
def test_places_that_cannot_be(suffix, model, tmp_path):
    missing = tmp_path / "no" / "such" / f"m{suffix}"
    with pytest.raises(ArgumentError, match=r"needs a path in a folder that exists, got .*\n  fix: make '"):
        save(model, missing)
    folder = tmp_path / f"folder{suffix}"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(ArgumentError, match=r"needs the path of a file.*\n  fix: add a name"):
        save(model, folder)
    for path in (missing, folder, tmp_path / f"none{suffix}", ""):
        with pytest.raises(NyalaError) as info:
            loaded(model, path)
        assert " needs " in str(info.value)
    assert sorted(path.name for path in tmp_path.rglob("*")) == [folder.name, "mine.txt"]


@pytest.mark.skipif(sys.platform == "win32" or getattr(os, "geteuid", lambda: 0)() == 0, reason="everything is permitted here")
@pytest.mark.parametrize("suffix", [*WHOLE, *WEIGHTS])
def test_no_permission(suffix, model, tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError):
            save(model, tmp_path / f"m{suffix}")
    finally:
        tmp_path.chmod(0o700)
    assert list(tmp_path.iterdir()) == []
