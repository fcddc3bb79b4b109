# SPDX-License-Identifier: Apache-2.0
"""What holds for all names, sizes and doors at once: what a position can name, that time is linear, that no door was forgotten."""

import inspect
import io
import json
import os
import pathlib
import time

import h5py
import numpy as np
import pytest

import nyala
from nyala.core import known
from nyala.core.audit import audit
from nyala.core.errors import NyalaError, StateError
from nyala.files import archive, hdf5, json_text
from nyala.saving import load_model
from tests.files.attacks import packing
from tests.training.tools import numbers

PACKAGES = (
    "activations", "applications", "callbacks", "config", "constraints", "datasets", "distillation", "dtype_policies", "export", "initializers",
        "layers", "legacy",
    "losses", "metrics", "models", "ops", "optimizers", "preprocessing", "quantizers", "random", "regularizers", "saving", "training", "tree",
        "utils", "visualization",
)  # fmt: skip


def public_names():
    found = set()
    for package in PACKAGES:
        module = getattr(nyala, package, None)
        found |= {name for name in dir(module) if module is not None}
    return sorted(found)


# Positions in which a config can name classes and no function; and those in which it can name nothing.
CLASSES_ALONE = (
    "layers", "initializer", "regularizer", "constraint", "optimizer", "learning_rate", "dtype", "seed", "quantization_config", "input_spec",
    "metrics",
)  # fmt: skip
NOTHING = ("output_shape", "mask", "arguments", "vocabulary", "idf_weights", "call_fn", "init_fn")


def test_what_each_position_can_name():
    names = public_names()
    assert len(names) > 900
    for position in NOTHING:
        assert not any(known.member(kind, name) is not None for kind in known.POSITIONS[position] for name in names), position
    for position in CLASSES_ALONE:
        found = {name: known.member(kind, name) for kind in known.POSITIONS[position] if kind != "metric" for name in names}
        functions = {name for name, value in found.items() if value is not None and not isinstance(value, type)}
        assert not functions, (position, functions)
    functions = {name for kind in known.POSITIONS["function"] for name in names if known.member(kind, name, function=True) is not None}
    for word in (
        "file", "load", "save", "open", "read", "write", "path", "set_", "enable", "disable", "register", "download", "url", "exec", "eval",
        "import",
    ):  # fmt: skip
        assert not {name for name in functions if word in name.lower()} - {"isneginf"}, word
    ours = [known.member(kind, name) for kind in known.KINDS for name in names]
    modules = {value.__module__.partition(".")[0] for value in ours if value is not None}
    assert modules == {"nyala"}


def test_nothing_that_opens_files_can_be_named():
    """No class or function that a config can name takes a path, but for layers whose configs are refused with one."""
    words = {"path", "filepath", "file", "filename", "fname", "url", "folder", "directory", "origin"}
    takes = {}
    for kind in known.KINDS:
        for name in known.known_names(kind):
            value = known.member(kind, name)
            try:
                parameters = inspect.signature(value).parameters
            except (TypeError, ValueError):
                continue
            found = {p for p in parameters if words & set(p.split("_"))}
            if found:
                takes[name] = found
    assert takes == {"TFSMLayer": {"filepath"}}


# Doors ----------------------------------------------------------------------------------------------------------------------------

# Public functions that take a path, a file or a config -> the doors of the table that go through them, or why there is none.
BY_DOOR = {
    "load_model": "load_model", "load_weights": "saving_load_weights", "Model.load_weights": "load_weights", "Model.from_config": "from_config",
    "deserialize_keras_object": "deserialize", "model_from_json": "model_from_json", "get_file": "get_file", "KerasFileEditor": "editor",
    "deserialize": "layers_deserialize", "Layer.from_config": "deserialize", "Sequential.from_config": "from_config",
        "Functional.from_config": "from_config",
}  # fmt: skip
WRITES = frozenset({"save_model", "save_weights", "Model.save", "Model.save_weights", "Model.export", "save_img", "plot_model", "summary", "to_json"})
ELSEWHERE = {
    "load_img": "pictures go through Pillow", "image_dataset_from_directory": "pictures and folders of the caller",
        "audio_dataset_from_directory": "sounds of the caller",
    "text_dataset_from_directory": "texts of the caller", "load_data": "addresses and sums that are written here",
        "TFSMLayer": "refused in configs", "BackupAndRestore": "checkpoints",
    "clone_model": "takes a model", "CSVLogger": "writes", "ModelCheckpoint": "writes", "TensorBoard": "writes", "build": "model_from_json",
        "modernize": "model_from_json", "modernize_training": "load_model of .h5 files",
}  # fmt: skip


def test_no_door_is_forgotten():
    """A new public function that takes a path or a config is in the table of doors, or its reason is here."""
    words = ("filepath", "path", "fname", "origin", "json_string", "config", "directory")
    forgotten = []
    for package in (
        "saving",
        "models",
        "layers",
        "utils",
        "legacy",
        "datasets",
        "activations",
        "initializers",
        "losses",
        "metrics",
        "optimizers",
        "regularizers",
        "constraints",
    ):
        module = getattr(nyala, package, None)
        for name in dir(module) if module is not None else ():
            value = getattr(module, name, None)
            if name.startswith("_") or not callable(value) or inspect.isclass(value):
                continue
            try:
                parameters = set(inspect.signature(value).parameters)
            except (TypeError, ValueError):
                continue
            known_door = name in BY_DOOR or name in WRITES or name in ELSEWHERE or name in ("serialize", "get", "op")
            if parameters & set(words) and not known_door:
                forgotten.append(f"{package}.{name}")
    assert not forgotten
    doors = {door for kinds in packing.CARRIERS.values() for names in kinds.values() for door in names}
    assert set(BY_DOOR.values()) <= doors


# Time and memory ------------------------------------------------------------------------------------------------------------------


def _seconds(work):
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def _names(count):
    layers = [
        {"module": "keras.layers", "class_name": "Dense", "config": {"name": f"d{i}", "units": 3, "kernel_initializer": "zeros"}}
        for i in range(count)
    ]
    return {"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": layers}}


def _zip(count):
    return packing.zipped({f"assets/a{i}": b"x" for i in range(count)})


def _tree(count):
    file = io.BytesIO()
    with h5py.File(file, "w") as root:
        for i in range(count):
            root[f"layers/d{i}/vars/0"] = np.zeros(3, "float32")
    return file.getvalue()


def _read_zip(data):
    with archive.reading(io.BytesIO(data)):
        pass


def _read_tree(data):
    with hdf5.reading(io.BytesIO(data)):
        pass


@pytest.mark.parametrize(
    "make, work",
    [
        (lambda n: json.dumps(_names(n)).encode(), lambda text: json_text.read(text, "x")),
        (_names, lambda config: audit(config, "x")),
        (_zip, _read_zip),
        (_tree, _read_tree),
        (lambda n: b'{"a": "' + b'\\\\\\"' * n * 20 + b'"}', lambda text: json_text.read(text, "x")),
    ],
    ids=["config", "audit", "zip", "hdf5", "quotes"],
)
def test_time_is_linear(make, work):
    """Ten times the file takes at most about ten times as long."""
    small, large = make(200), make(2000)
    assert _seconds(lambda: work(large)) < 25 * _seconds(lambda: work(small)) + 0.05


def test_many_objects_that_nobody_knows_are_refused_at_the_first(tmp_path):
    twin = packing.twin("mlp")
    config = json.loads(json.dumps(twin.config))
    config["config"]["layers"] += [{"module": "x", "class_name": f"Unknown{i}", "config": {}} for i in range(15_000)]
    path = tmp_path / "x.keras"
    path.write_bytes(packing.zipped({**twin.members, "config.json": json.dumps(config).encode()}))
    start = time.process_time()
    with pytest.raises(NyalaError, match="Unknown0"):
        load_model(path)
    assert time.process_time() - start < 5


# What happens meanwhile -----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="open files cannot be replaced there")
def test_a_file_that_is_replaced_while_it_is_read(tmp_path, monkeypatch):
    """What was opened is read to its end: another file of the name counts from the next time on."""
    from nyala.files import keras_v3

    twin, path = packing.twin("mlp"), tmp_path / "x.keras"
    path.write_bytes(packing.zipped(twin.members))
    (tmp_path / "evil").write_bytes(b"PK" + bytes(5000))
    before = keras_v3.Opened.config

    def replaced(self):
        os.replace(tmp_path / "evil", path)
        return before(self)

    monkeypatch.setattr(keras_v3.Opened, "config", replaced)
    model = load_model(path)
    with nyala.backend("numpy"):
        np.testing.assert_allclose(np.asarray(model(twin.inputs)).ravel(), twin.outputs, rtol=1e-5)
    monkeypatch.undo()
    with pytest.raises(NyalaError):
        load_model(path)


def test_fit_does_not_resume_from_a_checkpoint_that_leads_elsewhere(tmp_path):
    """Through the door of fit: damaged or hostile checkpoints are set aside, and a run does not begin anew in silence."""
    model = nyala.Sequential([nyala.Input((3,)), nyala.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = numbers(8, 3), numbers(8, 1)
    model.fit(x, y, epochs=1, verbose=0, resume=str(tmp_path / "run"))
    found = sorted((tmp_path / "run").glob("checkpoint-*"))
    assert found
    for path in found:
        state = path / "state.json"
        (tmp_path / "secret").write_bytes(state.read_bytes())
        state.unlink()
        state.symlink_to(tmp_path / "secret")
    before = model.get_weights()
    with pytest.warns(UserWarning, match="is damaged, set aside"), pytest.raises(StateError, match="needs a whole checkpoint"):
        model.fit(x, y, epochs=2, verbose=0, resume=str(tmp_path / "run"))
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
    assert pathlib.Path(tmp_path, "secret").is_file()
