# SPDX-License-Identifier: Apache-2.0
"""SavedModel folders of tf-keras 2.15, read without TensorFlow; see tests/golden/make_legacy_files.py."""

import io
import os
import pathlib
import zipfile

import numpy as np
import pytest

import nyala
from nyala.core.errors import ArgumentError
from nyala.files.errors import FileError
from nyala.files.saved_model import is_saved_model, load_saved_model

ARCHIVE = pathlib.Path(__file__).parents[1] / "golden" / "data" / "legacy_saved.zip"
NAMES = ("nested_2", "recurrent_trained_2", "images_2", "sgd_trained_2", "attention_tf")


def unpack(name, folder):
    """The folder of a case, and its arrays."""
    with zipfile.ZipFile(ARCHIVE) as archive:
        for member in archive.namelist():
            if member.startswith(f"{name}/"):
                target = folder / member
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(member))
        with np.load(io.BytesIO(archive.read(f"{name}.npz"))) as arrays:
            return folder / name, {key: arrays[key] for key in arrays.files}


@pytest.mark.parametrize("name", NAMES)
def test_loads_with_equal_outputs(name, tmp_path):
    path, arrays = unpack(name, tmp_path)
    assert is_saved_model(path)
    model = load_saved_model(path)
    inputs, wanted = ([arrays[key] for key in sorted(arrays) if key[0] == letter] for letter in "xy")
    with nyala.backend("numpy"):
        found = model(inputs if len(inputs) > 1 else inputs[0])
    for a, b in zip(found if isinstance(found, (list, tuple)) else [found], wanted, strict=True):
        np.testing.assert_allclose(np.asarray(a), b, rtol=0, atol=1e-6)
    assert getattr(model, "compiled", False) == (name in ("nested_2", "recurrent_trained_2", "sgd_trained_2"))


def test_a_path_without_a_saved_model_says_what_is_there(tmp_path):
    with pytest.raises(ArgumentError, match=r"load_model\(''\) needs a path, got an empty one"):
        load_saved_model("")
    (tmp_path / "other").mkdir()
    with pytest.raises(ArgumentError, match=r"got nothing there\.\n  fix: in that folder there are \['other'\]"):
        load_saved_model(tmp_path / "othre")
    with pytest.raises(ArgumentError, match=r"with saved_model\.pb in it, got another folder"):
        load_saved_model(tmp_path / "other")
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(ArgumentError, match=r"with saved_model\.pb in it, got a file"):
        load_saved_model(tmp_path / "file")


def test_a_program_of_tensorflow_alone_is_refused_with_advice(tmp_path):
    path, _ = unpack("sgd_trained_2", tmp_path)
    (path / "keras_metadata.pb").unlink()
    with pytest.raises(FileError) as caught:
        load_saved_model(path)
    assert caught.value.rule == "saved-model"
    assert "got one without keras_metadata.pb" in str(caught.value) and "tf_keras.models.load_model(path).save('model.h5')" in str(caught.value)


@pytest.mark.parametrize("member", ["keras_metadata.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"])
def test_what_is_cut_off_or_damaged_is_refused(member, tmp_path):
    path, _ = unpack("sgd_trained_2", tmp_path)
    file = path / member
    content = file.read_bytes()
    for part in range(0, 16, 3):
        file.write_bytes(content[: len(content) * part // 16])
        with pytest.raises(ValueError, match=r"load_model"):
            load_saved_model(path)
    if member.endswith("index"):
        rng = np.random.default_rng(0)
        for _ in range(40):
            damaged = bytearray(content)
            damaged[rng.integers(len(content))] ^= 1 << rng.integers(8)
            file.write_bytes(bytes(damaged))
            try:
                load_saved_model(path)
            except ValueError as error:
                assert "load_model" in str(error)
    file.unlink()
    with pytest.raises(ValueError, match=r"load_model"):
        load_saved_model(path)


@pytest.mark.skipif(not hasattr(os, "symlink") or os.name == "nt", reason="needs links")
def test_links_are_not_followed(tmp_path):
    path, _ = unpack("sgd_trained_2", tmp_path)
    file = path / "variables" / "variables.index"
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileError, match=r"needs a file 'variables\.index', got a link"):
        load_saved_model(path)
