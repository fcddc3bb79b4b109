# SPDX-License-Identifier: Apache-2.0
"""Layers with vocabularies and statistics, in files: what Keras wrote is read with equal answers, and what is written here comes back."""

import io
import json
import pathlib
import zipfile

import numpy as np
import pytest

import nyala
from nyala import layers
from nyala.core.errors import StateError
from nyala.saving import load_model
from tests.training.tools import numbers

PLACE = pathlib.Path(__file__).parents[1] / "golden" / "data" / "vocabularies.zip"


@pytest.fixture(scope="module")
def zoo():
    with zipfile.ZipFile(PLACE) as archive:
        facts = json.loads(archive.read("facts.json"))
        return archive.read("model.keras"), facts


def check(model, facts):
    inputs = {name: np.array(rows, facts["dtypes"].get(name)) for name, rows in facts["inputs"].items()}
    outputs = model(inputs)
    assert sorted(outputs) == sorted(facts["outputs"])
    for name, value in outputs.items():
        np.testing.assert_allclose(np.asarray(value), facts["outputs"][name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_what_keras_wrote_answers_the_same_and_is_written_again(zoo, tmp_path):
    content, facts = zoo
    model = load_model(io.BytesIO(content))
    check(model, facts)
    path = tmp_path / "again.keras"  # make_vocabularies.py PATH asks Keras about it
    model.save(path)
    check(load_model(path), facts)
    with zipfile.ZipFile(io.BytesIO(content)) as theirs, zipfile.ZipFile(path) as ours:
        kept = [name for name in ours.namelist() if name.startswith("assets/")]
        assert kept
        assert all(ours.read(name) == theirs.read(name) for name in kept)


@pytest.mark.parametrize("mode", ["int", "multi_hot", "count", "tf_idf", "one_hot"])
@pytest.mark.parametrize("kind", ["StringLookup", "IntegerLookup", "TextVectorization"])
def test_a_learned_vocabulary_decides_about_the_shapes_behind_it(kind, mode, tmp_path):
    """A file is read before its vocabularies are: layers behind them are built for as many tokens as the config says."""
    if (kind, mode) == ("TextVectorization", "one_hot"):
        pytest.skip("there is no such mode")
    if kind == "TextVectorization":
        layer = layers.TextVectorization(output_mode=mode, **({"output_sequence_length": 2} if mode == "int" else {}))
        learned = rows = np.array([["a b"], ["b c"]])
    else:
        layer = getattr(layers, kind)(output_mode=mode)
        learned = rows = np.array([["a", "b"], ["b", "c"]]) if kind == "StringLookup" else np.array([[4, 7], [7, 9]])
    layer.adapt(learned)
    x = nyala.Input(rows.shape[1:], dtype="int64" if kind == "IntegerLookup" else "string")
    encoded = layer(x)
    model = nyala.Model(x, layers.Embedding(8, 3)(encoded) if mode == "int" else layers.Dense(3)(encoded))
    model.set_weights([numbers(*w.shape) for w in model.get_weights()])
    for end in ("keras", "h5"):
        model.save(tmp_path / f"m.{end}")
        again = load_model(tmp_path / f"m.{end}")
        np.testing.assert_array_equal(np.asarray(again(rows)), np.asarray(model(rows)))
        assert again.layers[1].get_vocabulary() == layer.get_vocabulary()


def test_a_file_without_its_vocabulary_says_so_when_it_is_used(zoo):
    content, facts = zoo
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            if not name.startswith("assets/layers/integer_lookup"):
                new.writestr(name, old.read(name))
    model = load_model(file)
    with pytest.raises(StateError, match="IntegerLookup 'integer_lookup' needs a vocabulary, got none yet"):
        check(model, facts)
