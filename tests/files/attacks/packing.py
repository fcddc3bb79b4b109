# SPDX-License-Identifier: Apache-2.0
"""Good files, and how a poison gets into each kind of file. Runs in the process of the tests, never in the one that opens the files.

TWINS are good models, CARRIERS say which kinds of files hold what is poisoned and through which doors each goes. Start at pack.
"""

from __future__ import annotations

import functools
import io
import json
import pathlib
import shutil
import tempfile
import warnings
import zipfile
from typing import Any

import h5py
import numpy as np

import nyala
from nyala import layers
from nyala.core.serialization import serialize_keras_object
from nyala.files.legacy_hdf5 import stored_config
from tests.training.tools import numbers

ARCHIVE_DOORS = ("get_file", "get_file_from_the_root", "untar")
# What is poisoned -> kind of file -> doors.
CARRIERS: dict[str, dict[str, tuple[str, ...]]] = {
    "config": {  # plain values
        "keras": (
            "load_model",
            "load_model_of_a_file",
            "load_model_in_a_thread",
            "load_model_safe_mode_off",
            "load_model_uncompiled",
            "inspect",
            "convert",
        ),
        "folder": ("load_model",),
        "h5": ("load_model", "inspect", "convert"),
        "json": ("load_model", "model_from_json", "inspect"),
        "object": ("deserialize", "deserialize_in_a_thread", "deserialize_after_an_error", "from_config", "layers_deserialize"),
    },
    "text": {  # the text of it
        "keras": ("load_model", "inspect", "editor"),
        "folder": ("load_model",),
        "h5": ("load_model", "inspect"),
        "json": ("load_model", "model_from_json", "inspect"),
    },
    "tree": {  # an HDF5 file
        "weights": ("load_weights", "saving_load_weights", "load_weights_of_a_file", "load_weights_skipping", "editor", "inspect"),
        "keras": ("load_model", "load_weights", "editor", "inspect", "convert"),
        "folder": ("load_model", "load_weights"),
        "shards": ("load_weights", "inspect"),
        "h5": ("load_model", "load_weights", "load_weights_by_name", "inspect", "convert"),
    },
    "attributes": {"h5": ("load_model", "load_model_of_a_file", "inspect", "convert"), "hdf5": ("load_model",)},
    "zip": {"keras": ("load_model", "load_model_of_a_file", "load_weights", "editor", "inspect", "convert")},
    "members": {"keras": ("load_model", "inspect")},
    "npz": {"npz": ("load_weights", "saving_load_weights", "inspect")},
    "safetensors": {"safetensors": ("load_weights", "saving_load_weights", "inspect")},
    "index": {"shards": ("load_weights", "saving_load_weights", "inspect")},
    "files": {"folder": ("load_model", "load_weights", "editor", "inspect", "convert")},
    "saved_model": {"saved_model": ("load_model", "convert")},
    "checkpoint": {"checkpoint": ("newest",)},
    "archive": {"tar": ARCHIVE_DOORS, "zip": ARCHIVE_DOORS},
    "url": {"url": ("get_file",)},
    "pickle": {"pickle": ("read_pickle",)},
    "raw": {"any": ("load_model", "load_weights", "inspect", "convert", "editor")},
    "name": {"name": ("save_and_load", "save_weights_and_load", "save_h5_and_load")},
}


class Twin:
    """A good model: its files, what it computes, and how many numbers it has."""

    def __init__(self, model: Any, inputs: Any) -> None:
        self.model, self.inputs = model, inputs
        with nyala.backend("numpy"):
            self.outputs = np.asarray(model(inputs)).astype("float64").ravel().tolist()
        self.count = int(model.count_params())
        self.config = json.loads(json.dumps(serialize_keras_object(model)))
        self.old_config = json.loads(json.dumps(stored_config(model)))
        file = io.BytesIO()
        model.save(file)
        with zipfile.ZipFile(file) as archive:
            self.members = {name: archive.read(name) for name in archive.namelist()}
        metadata = json.loads(self.members["metadata.json"])
        metadata["date_saved"] = "2026-01-01@00:00:00"
        del metadata["sha256"]  # whoever changes a file can change its sums, too
        self.members["metadata.json"] = json.dumps(metadata).encode()

    @functools.cached_property
    def h5(self) -> bytes:
        return self._saved("x.h5", self.model.save)

    @functools.cached_property
    def npz(self) -> bytes:
        return self._saved("x.npz", self.model.save_weights)

    @functools.cached_property
    def safetensors(self) -> bytes:
        return self._saved("x.safetensors", self.model.save_weights)

    @functools.cached_property
    def shards(self) -> dict[str, bytes]:
        with tempfile.TemporaryDirectory() as folder:
            self.model.save_weights(f"{folder}/x.weights.json", max_shard_size=6e-8)  # gigabytes: a shard for each array of 60 bytes
            found = {path.name: path.read_bytes() for path in pathlib.Path(folder).iterdir()}
        index = json.loads(found["x.weights.json"])
        index["metadata"].pop("sha256", None)
        return {**found, "x.weights.json": json.dumps(index).encode()}

    def _saved(self, name: str, save: Any) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, name)
            save(path)
            return path.read_bytes()


def _mlp() -> Twin:
    model = nyala.Sequential([nyala.Input((5,)), layers.Dense(3, activation="relu", name="a"), layers.Dense(2, name="b")], name="m")
    model.compile(nyala.optimizers.Adam(0.01), "mse")
    _fill(model)
    return Twin(model, numbers(4, 5))


def _nested() -> Twin:
    """Layers in layers, a model in a model, and an op in the graph."""
    start = nyala.Input((4, 5), name="start")
    x = layers.TimeDistributed(layers.Dense(3, name="each"), name="time")(start)
    x = layers.Bidirectional(layers.LSTM(2, name="lstm"), name="both")(x)
    inner_start = nyala.Input((4,), name="inner_start")
    inner = nyala.Model(inner_start, layers.Dense(3, name="inside")(inner_start), name="inner")
    model = nyala.Model(start, layers.Dense(2, name="end")(nyala.ops.tanh(inner(x))), name="n")
    _fill(model)
    return Twin(model, numbers(2, 4, 5))


def _words() -> Twin:
    """A vocabulary as a file of the archive, and one in the config."""
    start = nyala.Input((1,), dtype="string", name="start")
    found = layers.StringLookup(name="look")
    found.adapt(np.array([["blue"], ["red"], ["blue"]]))
    model = nyala.Model(start, found(start), name="w")
    return Twin(model, np.array([["red"], ["green"]]))


def _fill(model: Any) -> None:
    for i, weight in enumerate(model.weights):
        weight.assign(numbers(*weight.shape, seed=i) if weight.dtype == "float32" else weight)


MAKERS = {"mlp": _mlp, "nested": _nested, "words": _words}


@functools.cache
def twin(name: str) -> Twin:
    return MAKERS[name]()


def zipped(members: dict[str, bytes] | list[tuple[Any, bytes]], packed: bool = False) -> bytes:
    """A zip file of members; a list may name one twice."""
    file = io.BytesIO()
    packing = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(file, "w", packing) as archive:  # of names that come twice
        for name, content in members.items() if isinstance(members, dict) else members:
            info = name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name)  # of a fixed date
            info.compress_type = archive.compression
            archive.writestr(info, content)
    return file.getvalue()


def unzipped(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


class Places:
    """Where things are in the HDF5 file of a kind: paths of an array, of the group that holds it, and of groups above."""

    def __init__(self, file: Any) -> None:
        found: list[str] = []
        file.visititems(lambda path, item: found.append(path) if isinstance(item, h5py.Dataset) and item.shape == (5, 3) else None)
        self.leaf = found[0]
        self.holder = self.leaf.rpartition("/")[0]
        self.top = self.leaf.partition("/")[0]


def changed_tree(content: bytes, poison: Any, canary: pathlib.Path) -> bytes:
    """An HDF5 file after poison(file, places, canary)."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "x.h5")
        path.write_bytes(content)
        with h5py.File(path, "a") as file:
            poison(file, Places(file), canary)
        return path.read_bytes()


def pack(carrier: str, kind: str, name: str, poison: Any, folder: pathlib.Path, canary: pathlib.Path) -> str:
    """Write a poisoned file into a folder, or with poison None its twin. Returns its path, or the text that the doors of this kind take."""
    folder.mkdir(parents=True)
    good = twin(name) if name in MAKERS else None
    return str(PACKERS[carrier](kind, good, poison, folder, canary))


def _config(kind: str, good: Twin, poison: Any, folder: pathlib.Path, canary: pathlib.Path) -> Any:
    config = json.loads(json.dumps(good.old_config if kind == "h5" and poison is None else good.config))
    if poison is not None:
        config = poison(config, canary) or config
    return _with_config(kind, good, json.dumps(config).encode(), folder)


def _text(kind: str, good: Twin, poison: Any, folder: pathlib.Path, canary: pathlib.Path) -> Any:
    text = json.dumps(good.config).encode()
    return _with_config(kind, good, text if poison is None else poison(text), folder)


def _with_config(kind: str, good: Twin, text: bytes, folder: pathlib.Path) -> pathlib.Path:
    members = {**good.members, "config.json": text}
    if kind == "keras":
        return _written(folder / "x.keras", zipped(members))
    if kind == "folder":
        return _folder(folder / "model", members)
    if kind in ("h5", "hdf5"):
        path = _written(folder / f"x.{kind}", good.h5)
        with h5py.File(path, "a") as file:
            del file.attrs["model_config"]
            file.attrs["model_config"] = text  # of variable length, so that it may be long
        return path
    return _written(folder / "x.json", text)


def _folder(path: pathlib.Path, members: dict[str, bytes]) -> pathlib.Path:
    for name, content in members.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def _written(path: pathlib.Path, content: bytes) -> pathlib.Path:
    path.write_bytes(content)
    return path


def _tree(kind: str, good: Twin, poison: Any, folder: pathlib.Path, canary: pathlib.Path) -> Any:
    change = poison or (lambda *_: None)
    if kind == "h5":
        return _written(folder / "x.h5", changed_tree(good.h5, change, canary))
    if kind == "shards":
        files = dict(good.shards)
        name = next(name for name in sorted(files) if name.endswith(".h5") and _holds_leaf(files[name]))
        files[name] = changed_tree(files[name], change, canary)
        return _folder(folder, files) / "x.weights.json"
    weights = changed_tree(good.members["model.weights.h5"], change, canary)
    if kind == "weights":
        return _written(folder / "x.weights.h5", weights)
    members = {**good.members, "model.weights.h5": weights}
    return _folder(folder / "model", members) if kind == "folder" else _written(folder / "x.keras", zipped(members))


def _holds_leaf(content: bytes) -> bool:
    with h5py.File(io.BytesIO(content)) as file:
        found: list[str] = []
        file.visititems(lambda path, item: found.append(path) if isinstance(item, h5py.Dataset) and item.shape == (5, 3) else None)
    return bool(found)


def _attributes(kind: str, good: Twin, poison: Any, folder: pathlib.Path, canary: pathlib.Path) -> Any:
    path = _written(folder / f"x.{kind}", good.h5)
    if poison is not None:
        with h5py.File(path, "a") as file:
            poison(file)
    return path


def _bytes(kind: str, good: Twin, poison: Any, folder: pathlib.Path, canary: pathlib.Path) -> Any:
    content = {"keras": lambda: zipped(good.members), "npz": lambda: good.npz, "safetensors": lambda: good.safetensors}[kind]()
    return _written(folder / f"x.{kind}", content if poison is None else poison(content))


def _members(kind: str, good: Twin, poison: Any, folder: pathlib.Path, canary: pathlib.Path) -> Any:
    members = dict(good.members)
    members = (poison(members) or members) if poison is not None else members
    return _written(folder / "x.keras", zipped(members, packed=True))


def _index(kind: str, good: Twin, poison: Any, folder: pathlib.Path, canary: pathlib.Path) -> Any:
    path = _folder(folder, good.shards) / "x.weights.json"
    if poison is not None:
        index = json.loads(path.read_bytes())
        index = poison(index, folder, canary) or index
        path.write_bytes(json.dumps(index).encode())
    return path


def _files(kind: str, good: Twin, poison: Any, folder: pathlib.Path, canary: pathlib.Path) -> Any:
    path = _folder(folder / "model", good.members)
    return (poison(path, canary) or path) if poison is not None else path


def _saved_model(kind: str, good: Any, poison: Any, folder: pathlib.Path, canary: pathlib.Path) -> Any:
    from tests.files.test_legacy_saved_model import unpack

    path, _ = unpack("sgd_trained_2", folder)
    if poison is not None:
        poison(path, canary)
    return path


def _checkpoint(kind: str, good: Any, poison: Any, folder: pathlib.Path, canary: pathlib.Path) -> Any:
    from nyala.files.checkpoints import CheckpointFolder

    with CheckpointFolder(folder / "run") as opened:
        opened.write({"epoch": 3, "weights": [numbers(5, 3)]})
    (folder / "run" / "lock.json").unlink(missing_ok=True)
    if poison is not None:
        poison(folder / "run" / "checkpoint-00000001", canary)
    return folder / "run"


def _archive(kind: str, good: Any, poison: Any, folder: pathlib.Path, canary: pathlib.Path) -> Any:
    from tests.files.test_downloads import MEMBERS, tar_of, zip_of

    make = {"tar": tar_of, "zip": zip_of}[kind]
    path = folder / f"x.{kind}"
    if poison is None:
        make(path, *MEMBERS)
    else:
        poison(path, make)
    return path.as_uri()


def _raw(kind: str, good: Any, poison: Any, folder: pathlib.Path, canary: pathlib.Path) -> Any:
    return poison(folder, canary)


def _url(kind: str, good: Any, poison: Any, folder: pathlib.Path, canary: pathlib.Path) -> Any:
    (folder / "plain.txt").write_bytes(b"text")
    return json.dumps({"origin": (folder / "plain.txt").as_uri()} if poison is None else poison(folder))


def _pickle(kind: str, good: Any, poison: Any, folder: pathlib.Path, canary: pathlib.Path) -> Any:
    import pickle

    return _written(folder / "x.pkl", pickle.dumps({"data": [1, 2, 3]}, protocol=2) if poison is None else poison(canary))


def _name(kind: str, good: Any, poison: Any, folder: pathlib.Path, canary: pathlib.Path) -> Any:
    return json.dumps({"folder": str(folder), "name": "plain" if poison is None else poison()})


PACKERS = {
    "config": _config, "text": _text, "tree": _tree, "attributes": _attributes, "zip": _bytes, "npz": _bytes, "safetensors": _bytes,
    "members": _members, "index": _index, "files": _files, "saved_model": _saved_model, "checkpoint": _checkpoint, "archive": _archive,
    "raw": _raw, "url": _url, "pickle": _pickle, "name": _name,
}  # fmt: skip


def clear(folder: pathlib.Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
