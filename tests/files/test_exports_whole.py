# SPDX-License-Identifier: Apache-2.0
"""model.export writes a SavedModel whole or not at all, and replaces nothing but a SavedModel. Needs TensorFlow."""

import importlib.util
import os

import numpy as np
import pytest

import nyala
from nyala.core.errors import ArgumentError
from tests.training.tools import numbers

pytestmark = pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="no TensorFlow here")


def model_of(seed):
    nyala.utils.set_random_seed(seed)
    return nyala.Sequential([nyala.Input((3,), name="x"), nyala.layers.Dense(2, name="d")], name="m")


def served(path, x):
    with nyala.backend("tensorflow"):
        return np.asarray(nyala.layers.TFSMLayer(str(path), call_endpoint="serve")(x))


def test_a_saved_model_is_replaced_as_a_whole(tmp_path, monkeypatch):
    from nyala.engines import _tensorflow_export

    x, path = numbers(4, 3), tmp_path / "new" / "model"
    old, new = model_of(3), model_of(4)
    old.export(path, verbose=False)
    real = _tensorflow_export.tf.saved_model.save

    def full(module, folder, *arguments):
        real(module, folder, *arguments)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(_tensorflow_export.tf.saved_model, "save", full)
        with pytest.raises(OSError, match="No space left"):
            new.export(path, verbose=False)
    assert os.listdir(path.parent) == ["model"]
    np.testing.assert_allclose(served(path, x), np.asarray(old(x)), atol=1e-6)
    new.export(path, verbose=False)
    assert os.listdir(path.parent) == ["model"]
    np.testing.assert_allclose(served(path, x), np.asarray(new(x)), atol=1e-6)


def test_other_files_are_not_written_over(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ArgumentError, match=r"needs a new folder, or one that holds a SavedModel alone, got .*, which holds 'mine\.txt'\."):
        model_of(3).export(tmp_path, verbose=False)
    assert os.listdir(tmp_path) == ["mine.txt"]
