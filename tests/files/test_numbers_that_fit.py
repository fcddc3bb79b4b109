# SPDX-License-Identifier: Apache-2.0
"""Whole numbers that a variable cannot hold, as a count of steps beyond int32, are refused before anything is changed; arrays come one at a time."""

import io
import json
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest

import nyala
from nyala import layers
from nyala.files.errors import CorruptFileError
from nyala.files.npz import write_npz
from nyala.files.safetensors import write as write_safetensors
from nyala.saving import KerasFileEditor, load_model
from tests.training.tools import numbers

STEPS = {"too many": 1 << 31, "far too many": 1 << 40, "below none": -1}
GOOD = (1 << 31) - 1


def trained():
    nyala.utils.set_random_seed(3)
    model = nyala.Sequential([nyala.Input((3,)), layers.Dense(2, name="a")], name="m")
    model.compile("adam", "mse")
    model.train_on_batch(numbers(4, 3), numbers(4, 2))
    return model


def text(name):
    """A name in a list of h5py, whose versions differ."""
    return name.decode() if isinstance(name, bytes) else str(name)


def with_steps(content, steps, path="optimizer/vars/0"):
    """An HDF5 file with another count of steps, in 64 bits as TensorFlow counts them."""
    file = io.BytesIO(content)
    with h5py.File(file, "a") as opened:
        del opened[path]
        opened[path] = np.int64(steps)
        opened[path.rpartition("/")[0]].attrs.pop("crc32", None)
    return file.getvalue()


def keras(model, path, steps):
    model.save(path.with_suffix(".whole"))
    with zipfile.ZipFile(path.with_suffix(".whole")) as old, zipfile.ZipFile(path, "w") as new:
        new.writestr("config.json", old.read("config.json"))
        new.writestr("model.weights.h5", with_steps(old.read("model.weights.h5"), steps))


def weights(model, path, steps):
    model.save_weights(path)
    path.write_bytes(with_steps(path.read_bytes(), steps))


def safetensors(model, path, steps):
    model.save_weights(path.with_suffix(".weights.h5"))
    with h5py.File(path.with_suffix(".weights.h5")) as file:
        arrays = {}
        file.visititems(lambda name, item: arrays.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    write_safetensors(path, {**arrays, "optimizer/vars/0": np.asarray(steps, "int64")}, {"format": "nyala"})


def whole_h5(model, path, steps):
    model.save(path)
    with h5py.File(path) as file:
        first = text(file["optimizer_weights"].attrs["weight_names"][0])
    path.write_bytes(with_steps(path.read_bytes(), steps, f"optimizer_weights/{first}"))


def tf_h5(model, path, steps):
    """As tf.keras counted: among the state of its optimizers, under the name iter."""
    model.save(path)
    with h5py.File(path, "a") as file:
        file.attrs["keras_version"] = file["model_weights"].attrs["keras_version"] = "2.4.0"
        file.attrs["backend"] = file["model_weights"].attrs["backend"] = "tensorflow"
        config = {"class_name": "Sequential", "config": {"name": "m", "layers": [
            {"class_name": "Dense", "config": {"name": "a", "units": 2, "batch_input_shape": [None, 3]}}]}}  # fmt: skip
        file.attrs["model_config"] = json.dumps(config)
        told = {"loss": "mse", "metrics": [], "optimizer_config": {"class_name": "Adam", "config": {"learning_rate": 0.1}}}
        file.attrs["training_config"] = json.dumps(told)
        del file["optimizer_weights"]
        state = file.create_group("optimizer_weights")
        state["Adam/iter:0"] = np.int64(steps)
        state.attrs["weight_names"] = [b"Adam/iter:0"]


FILES = {"m.keras": keras, "w.weights.h5": weights, "w.safetensors": safetensors, "m.h5": whole_h5, "tf.h5": tf_h5}


def loaded(name, path, model):
    if name.startswith("m.") or name == "tf.h5":
        return load_model(path)
    model.load_weights(path)
    return model


@pytest.mark.parametrize("name", FILES)
def test_a_count_of_steps_that_no_optimizer_has(name, tmp_path):
    model, path = trained(), tmp_path / name
    FILES[name](model, path, GOOD)
    assert int(loaded(name, path, trained()).optimizer.iterations) == GOOD
    other = trained()
    other.set_weights([weight * 2 for weight in other.get_weights()])
    before = [np.array(v) for v in [*other.weights, *other.optimizer.variables]]
    for what, steps in STEPS.items():
        FILES[name](model, path, steps)
        with pytest.raises(CorruptFileError, match="needs whole numbers from 0 to 2,147,483,647") as caught:
            loaded(name, path, other)
        assert caught.value.rule == "weights-range", what
        assert f"got {steps}" in str(caught.value)
        for one, now in zip(before, [*other.weights, *other.optimizer.variables], strict=True):
            np.testing.assert_array_equal(one, np.array(now))


class Counting(layers.Layer):
    def build(self, input_shape):
        self.table = self.add_weight((3,), "zeros", "int8", trainable=False, name="table")

    def call(self, x):
        return x


def test_whole_numbers_of_a_layer(tmp_path):
    """The same for the numbers of a layer, in the formats of weights: those that fit come, in whatever dtype they are."""

    def make(old):
        found = nyala.Sequential([nyala.Input((3,)), layers.Dense(3, name="a"), Counting(name="c")], name="m")
        found.get_layer("c").table.assign(old)
        return found

    old, model = np.array([1, 2, 3], "int8"), make([1, 2, 3])
    model.save_weights(tmp_path / "w.weights.h5")
    model.save_weights(tmp_path / "w.h5")

    def in_h5(values):
        editor = KerasFileEditor(tmp_path / "w.weights.h5")
        editor.add_weights("layers/counting", {"0": values})
        editor.save(tmp_path / "new.weights.h5")
        return tmp_path / "new.weights.h5"

    def in_legacy(values):
        with h5py.File(tmp_path / "w.h5", "a") as file:
            place = f"c/{text(file['c'].attrs['weight_names'][0])}"
            del file[place]
            file[place] = values
        return tmp_path / "w.h5"

    def in_npz(values):
        found = [np.array(weight) for weight in model.weights]
        write_npz(tmp_path / "w.npz", {f"{i}:{w.path}:{w._dtype}": values if w.shape == (3,) and "table" in w.path else array
            for i, (w, array) in enumerate(zip(model.weights, found, strict=True))})  # fmt: skip
        return tmp_path / "w.npz"

    for put in (in_h5, in_legacy, in_npz):
        with pytest.raises(CorruptFileError, match=r"needs whole numbers from -128 to 127 for .*table.*, got 300\.") as caught:
            model.load_weights(put(np.array([5, 300, 7], "int32")))
        assert caught.value.rule == "weights-range"
        np.testing.assert_array_equal(np.array(model.get_layer("c").table), old)
        model.load_weights(put(np.array([-128, 127, 7], "int64")))
        np.testing.assert_array_equal(np.array(model.get_layer("c").table), [-128, 127, 7])
        model.get_layer("c").table.assign(old)


PEAKS = """
import gc, pathlib, sys, tracemalloc
import numpy as np
import nyala
from nyala import layers

inner = nyala.Sequential([nyala.Input((256,)), *(layers.Dense(256) for _ in range(32))], name="inner")  # 8 MiB in arrays of 256 KiB
deep = nyala.Sequential([nyala.Input((256,)), inner, layers.Dense(2)], name="deep")
model = nyala.Sequential([nyala.Input((256,)), deep, layers.Dense(3)], name="m")
model(np.ones((1, 256), "float32"))
model.save_weights(sys.argv[1])
other = sys.argv[1] + ".h5"  # whose names say nothing of the layers inside
model.get_layer("deep").save_weights(other)
import h5py
with h5py.File(sys.argv[1]) as old, h5py.File(other, "w") as new:
    old.copy("top_level_model_weights", new) if "top_level_model_weights" in old else None
    for key, value in old.attrs.items():
        new.attrs[key] = value
    for name in old.attrs["layer_names"]:
        group = new.create_group(name)
        names = list(old[name].attrs["weight_names"])
        group.attrs["weight_names"] = [f"array_{i}".encode() for i in range(len(names))]
        for i, one in enumerate(names):
            group[f"array_{i}"] = old[name][one][()]

for path in (sys.argv[1], other):
    wanted = [np.array(weight) for weight in model.get_weights()]
    model.set_weights([weight + 1 for weight in wanted])
    model.load_weights(path)  # what is imported or made once
    assert all((a == b).all() for a, b in zip(model.get_weights(), wanted)), path
    gc.collect()
    tracemalloc.start()
    model.load_weights(path)
    print(tracemalloc.get_traced_memory()[1] / 2**20)
    tracemalloc.stop()
"""


def test_models_inside_models_are_read_one_array_at_a_time(tmp_path):
    done = subprocess.run([sys.executable, "-c", PEAKS, str(tmp_path / "w.h5")], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    peaks = [float(line) for line in done.stdout.splitlines()]
    assert len(peaks) == 2
    assert max(peaks) < 8 + 3  # the new weights; the old ones were there before
