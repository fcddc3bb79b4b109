# SPDX-License-Identifier: Apache-2.0
"""`nyala inspect` and `nyala convert`, and the editor of files: they show what is there and build nothing."""

import json
import zipfile

import numpy as np
import pytest

import nyala
from nyala.__main__ import main
from nyala.core.errors import ArgumentError, LookupFailed
from nyala.files.inspection import inspect
from nyala.saving import KerasFileEditor
from tests.training.tools import numbers


@pytest.fixture
def saved(tmp_path):
    model = nyala.Sequential([nyala.Input((5,)), nyala.layers.Dense(3, name="a"), nyala.layers.Dense(2, name="b")], name="m")
    model.save(tmp_path / "m.keras")
    return model, tmp_path / "m.keras"


def test_inspect(saved, capsys):
    _, path = saved
    assert main(["inspect", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "whole model, .keras of Keras 3"
    assert "3 layers" in lines
    assert "    a  (Dense)" in lines or "  a  (Dense)" in lines
    assert "  layers/dense/0  (5, 3) float32" in lines
    assert "  Dense  keras.layers" in lines
    assert lines[-1] == "nothing speaks against opening it"


def test_inspect_says_why_a_file_is_refused(saved, capsys):
    _, path = saved
    evil = path.with_name("evil.keras")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(evil, "w") as new:
        config = json.loads(old.read("config.json"))
        config["config"]["layers"][1]["config"]["activation"] = {"class_name": "__lambda__", "config": {"code": "4wEA"}}
        config["config"]["layers"][2]["module"] = "os"
        new.writestr("config.json", json.dumps(config))
        new.writestr("model.weights.h5", old.read("model.weights.h5"))
    assert main(["inspect", str(evil)]) == 1
    text = capsys.readouterr().out
    assert "it would be refused, for 2 reasons" in text
    assert "rule: object-lambda" in text
    assert "at /config/layers/2" in text
    assert [problem.rule for problem in inspect(evil).problems] == ["object-lambda", "object-unknown"]
    (path.parent / "empty").write_bytes(b"")
    assert [problem.rule for problem in inspect(path.parent / "empty").problems] == ["file-unknown"]


def test_names_in_a_file_cannot_steer_a_terminal(saved, capsys):
    _, path = saved
    evil = path.with_name("evil.keras")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(evil, "w") as new:
        config = json.loads(old.read("config.json"))
        config["config"]["layers"][1]["config"]["name"] = "\x1b[31mred\x07\u202e\x9b"
        config["config"]["layers"][2]["module"] = "\x1b]0;title\x07"
        new.writestr("metadata.json", json.dumps({"keras_version": "3\x1b[2J"}))
        new.writestr("config.json", json.dumps(config))
        new.writestr("model.weights.h5", old.read("model.weights.h5"))
    main(["inspect", str(evil)])
    text = capsys.readouterr().out
    assert "\\x1b[31mred\\x07\\u202e\\x9b" in text and "\\x1b[2J" in text
    assert all(letter.isprintable() or letter == "\n" for letter in text)


@pytest.mark.parametrize("version", ["3\x1b[2J", "x", "", "\u0663.1", "\u00b2", "9" * 5000, ["3"], None, 3])
def test_a_version_that_is_none_is_no_reason(saved, version):
    model, path = saved
    odd = path.with_name("odd.keras")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(odd, "w") as new:
        new.writestr("metadata.json", json.dumps({"keras_version": version}))
        for name in ("config.json", "model.weights.h5"):
            new.writestr(name, old.read(name))
    assert nyala.saving.load_model(odd).count_params() == model.count_params()
    assert not inspect(odd).problems


@pytest.mark.parametrize("target", ["w.weights.h5", "w.npz", "w.safetensors", "m.h5", "again.keras"])
def test_convert(saved, target, capsys):
    model, path = saved
    target = path.with_name(target)
    assert main(["convert", str(path), str(target)]) == 0
    assert capsys.readouterr().out == f"{target}: 26 parameters\n"
    fresh = nyala.models.clone_model(model)
    if target.suffix in (".keras", ".h5") and ".weights" not in target.name:
        fresh = nyala.saving.load_model(target)
    else:
        fresh.load_weights(target)
    np.testing.assert_array_equal(fresh.get_weights()[0], model.get_weights()[0])
    assert main(["convert", str(path), str(target)]) == 1
    assert "needs a path where no file is" in capsys.readouterr().err
    assert inspect(target).arrays


def test_editor(saved, tmp_path, capsys):
    model, path = saved
    editor = KerasFileEditor(path)
    assert editor.config["class_name"] == "Sequential"
    editor.summary()
    assert "0: shape (5, 3), float32" in capsys.readouterr().out
    assert editor.compare(model) == {"status": "success", "error_count": 0, "match_count": 4}
    editor.rename_object("dense_1", "last")
    editor.add_object("layers/more", {"0": numbers(2, 2)})
    editor.delete_object("more")
    editor.add_weights("last", {"1": numbers(2)})
    assert editor.compare(model)["error_count"] == 4
    editor.rename_object("layers/last", "dense_1")
    editor.save(tmp_path / "w.weights.h5")
    model.load_weights(tmp_path / "w.weights.h5")
    np.testing.assert_array_equal(model.get_weights()[3], numbers(2))
    editor.delete_weight("dense", "1")
    with pytest.raises(LookupFailed, match="needs the name of an array of 'layers/dense', got '1'"):
        editor.delete_weight("dense", "1")
    with pytest.raises(LookupFailed, match="needs the name or path of an object in the file, got 'nothing'"):
        editor.delete_object("nothing")
    with pytest.raises(ArgumentError, match=r"a path that ends in \.weights\.h5"):
        editor.save(tmp_path / "w.keras")


@pytest.mark.parametrize(
    "thing",
    [
        nyala.layers.Bidirectional(nyala.layers.LSTM(3), name="b"), nyala.layers.RNN([nyala.layers.GRUCell(2), nyala.layers.LSTMCell(2)], name="r"),
        nyala.layers.MultiHeadAttention(2, 3, name="h"), nyala.layers.RandomRotation(0.2, name="q"), nyala.losses.Huber(0.3),
        nyala.metrics.AUC(name="a"),
        nyala.optimizers.AdamW(0.01), nyala.optimizers.LossScaleOptimizer(nyala.optimizers.SGD(0.1)), nyala.initializers.Orthogonal(seed=2),
        nyala.regularizers.L1L2(0.1, 0.2), nyala.constraints.MinMaxNorm(0.1, 1.0), nyala.optimizers.schedules.CosineDecay(0.1, 10),
        nyala.dtype_policies.get("mixed_bfloat16"), nyala.random.SeedGenerator(3), nyala.quantizers.AbsMaxQuantizer(axis=-1),
        nyala.applications.convnext.LayerScale(0.1, 3, name="s"),
    ],
    ids=lambda thing: type(thing).__name__,
)  # fmt: skip
def test_public_objects_come_back(thing):
    """deserialize(serialize(x)), through JSON, has the config of x."""
    from nyala.saving import deserialize_keras_object, serialize_keras_object

    config = serialize_keras_object(thing)
    again = deserialize_keras_object(json.loads(json.dumps(config)))
    assert type(again) is type(thing)
    assert json.dumps(serialize_keras_object(again)) == json.dumps(config)
    assert config["module"].startswith("keras")
