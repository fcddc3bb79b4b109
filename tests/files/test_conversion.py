# SPDX-License-Identifier: Apache-2.0
"""`nyala convert` between all pairs of formats: equal to the last bit where both hold the same, else a clear error."""

import zipfile

import h5py
import numpy as np
import pytest

import nyala
from nyala import layers
from nyala.__main__ import main
from nyala.core.errors import ArgumentError, FileError
from nyala.files.conversion import convert
from nyala.models import model_from_json
from nyala.saving import load_model
from tests.golden.store import FOLDER
from tests.training.tools import numbers

WHOLE = ("m.keras", "m.h5", "m.hdf5", "folder")
NAMED = ("w.weights.h5", "w.weights.json", "w.safetensors")
OTHER = ("w.npz", "w.h5", "a.json")  # weights in order, weights by layers, an architecture
TARGETS = ("new.keras", "new.h5", *(f"new_{name}" for name in NAMED), "new.npz", "new.json")


def model_of(trained=True):
    nyala.utils.clear_session()
    nyala.utils.set_random_seed(3)
    inner = nyala.Sequential([nyala.Input((4,)), layers.Dense(3, name="a", dtype="bfloat16"), layers.BatchNormalization(name="n")], name="inner")
    model = nyala.Sequential([nyala.Input((4,)), inner, layers.Dense(2, activation="tanh", name="b")], name="m")
    if trained:
        model.compile("adam", "mse")
        model.train_on_batch(numbers(5, 4), numbers(5, 2))
    return model


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A file of each kind, of one model that was being trained."""
    folder, model = tmp_path_factory.mktemp("sources"), model_of()
    for name in ("m.keras", "m.h5", "m.hdf5"):
        model.save(folder / name)
    model.save(folder / "folder", zipped=False)
    for name in (*NAMED, "w.npz", "w.h5"):
        model.save_weights(folder / name)
    (folder / "a.json").write_text(model.to_json())
    return folder, model


def bits(variables):
    return [np.array(variable).tobytes() for variable in variables]


def loaded(path, model):
    """The model in a file, or another one with the weights in it."""
    if path.name.endswith((".keras", "new.h5")):
        return load_model(path)
    fresh = model_of()
    fresh.set_weights([weight * 0 for weight in fresh.get_weights()])
    fresh.load_weights(path)
    return fresh


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("source", [*WHOLE, *NAMED, *OTHER])
def test_each_pair(source, target, sources, tmp_path, capsys):
    folder, model = sources
    path = tmp_path / target
    weights_alone = target.endswith((".weights.h5", ".weights.json", ".safetensors", ".npz"))
    fits = source in WHOLE or (source in NAMED and target.removeprefix("new_") in NAMED) or (source == "a.json" and target == "new.json")
    if not fits:
        assert main(["convert", str(folder / source), str(path)]) == 1
        said = capsys.readouterr().err
        assert "needs a source that holds" in said and "\n  why: " in said and "\n  fix: " in said
        assert list(tmp_path.iterdir()) == []
        return
    assert main(["convert", str(folder / source), str(path)]) == 0
    count = 0 if source == "a.json" else model.count_params()
    assert capsys.readouterr().out == f"{path}: {count:,} parameters\n"
    if target == "new.json":
        assert model_from_json(path.read_text()).get_config() == model.get_config()
        return
    again = loaded(path, model)
    assert bits(again.weights) == bits(model.weights)
    if source in NAMED or not weights_alone:  # the state of the optimizer went along
        assert bits(again.optimizer.variables) == bits(model.optimizer.variables)
    assert main(["convert", str(folder / source), str(path)]) == 1
    assert "needs a path where no file is" in capsys.readouterr().err
    assert main(["convert", "--force", str(folder / source), str(path)]) == 0


@pytest.mark.parametrize("ways", [NAMED, NAMED[::-1], (NAMED[1], NAMED[0], NAMED[2])], ids=str)
def test_round_trips_of_weights(ways, sources, tmp_path):
    """From format to format and back to the first one: what is in it is the same, name by name."""
    folder, model = sources
    last = folder / ways[0]
    for number, name in enumerate([*ways[1:], ways[0]]):
        convert(last, tmp_path / f"{number}{name}")
        last = tmp_path / f"{number}{name}"
    fresh = loaded(last, model)
    assert bits(fresh.weights) == bits(model.weights)
    assert bits(fresh.optimizer.variables) == bits(model.optimizer.variables)


def test_files_of_keras(tmp_path):
    """Weights that Keras wrote. Numbers of 16 bits that do not say which are not given a meaning."""
    with zipfile.ZipFile(FOLDER / "files.zip") as archive:
        for name in ("attention", "bfloat16"):
            for end in ("weights.h5", "keras"):
                (tmp_path / f"{name}.{end}").write_bytes(archive.read(f"{name}.{end}"))
            convert(tmp_path / f"{name}.weights.h5", tmp_path / f"{name}.safetensors")
            model = load_model(tmp_path / f"{name}.keras")
            wanted = bits(model.weights)
            model.set_weights([weight * 0 for weight in model.get_weights()])
            model.load_weights(tmp_path / f"{name}.safetensors")
            assert bits(model.weights) == wanted
    with h5py.File(tmp_path / "bfloat16.weights.h5", "a") as file:
        del file["layers/dense/vars/0"].attrs["dtype"]
    with pytest.raises(FileError, match="needs arrays of numbers that the target can hold, got void16 at") as caught:
        convert(tmp_path / "bfloat16.weights.h5", tmp_path / "b.safetensors")
    assert caught.value.rule == "convert-dtype"
    assert not (tmp_path / "b.safetensors").exists()


def test_what_unpacks_to_very_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("nyala.files.conversion.MAX_UNPACKED", 1 << 20)
    for name, values in (("good", numbers(1 << 19)), ("bad", np.zeros(1 << 19, "float32"))):
        with h5py.File(tmp_path / f"{name}.weights.h5", "w") as file:
            file.create_dataset("layers/dense/vars/0", data=values, compression="gzip", compression_opts=9)
    assert convert(tmp_path / "good.weights.h5", tmp_path / "good.safetensors") == 1 << 19
    with pytest.raises(FileError, match="needs arrays of at most 256 MiB, or 16 times the file, got 2,097,152 bytes in") as caught:
        convert(tmp_path / "bad.weights.h5", tmp_path / "bad.safetensors")
    assert caught.value.rule == "weights-declared"
    assert not (tmp_path / "bad.safetensors").exists()


def test_a_file_is_not_converted_into_itself(sources):
    folder, _ = sources
    with pytest.raises(ArgumentError, match="needs two paths, got one file"):
        convert(folder / "w.safetensors", folder / "w.safetensors", overwrite=True)
