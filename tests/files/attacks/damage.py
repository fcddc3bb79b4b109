# SPDX-License-Identifier: Apache-2.0
"""Damaged files and files of other models (rows K1 to K3), checkpoints, and folders of TensorFlow. Each poison changes one thing in a good file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pathlib
from typing import Any

import numpy as np

from tests.files.attacks.attack import LOADS, VALUE, Attack
from tests.files.attacks.bounds import TENSORS, member
from tests.files.attacks.objects import OBJECT as OBJECTS
from tests.files.attacks.objects import argument
from tests.files.attacks.packing import twin

PARTS = 16
ZIP_DAMAGE = (
    "zip-end",
    "zip-damaged",
    "zip-gap",
    "zip-header",
    "zip-method",
    "zip-name",
    "zip-kind",
    "zip-duplicate",
    "zip-members",
    "file-unknown",
    "zip-size",
)


def _cut(part: int) -> Any:
    return lambda data: data[: len(data) * part // PARTS]


def _cut_weights(part: int) -> Any:
    return member("model.weights.h5", lambda old: old[: len(old) * part // PARTS])


K1 = [
    *(Attack("K1", f"zip cut at {part}/{PARTS}", "zip", _cut(part), ZIP_DAMAGE) for part in range(PARTS)),
    *(Attack("K1", f"weights cut at {part}/{PARTS}", "members", _cut_weights(part), ("hdf5-size", "hdf5-signature", "hdf5-version", "hdf5-driver",
        "hdf5-damaged")) for part in range(PARTS)),
    *(Attack("K1", f"npz cut at {part}/{PARTS}", "npz", _cut(part), ZIP_DAMAGE) for part in range(0, PARTS, 3)),
    *(Attack("K1", f"safetensors cut at {part}/{PARTS}", "safetensors", _cut(part), (*TENSORS, "file-unknown")) for part in range(0, PARTS, 3)),
    Attack("K1", "nothing", "raw", lambda folder, canary: _put(folder / "x.keras", b""), ("file-unknown",)),
    Attack("K1", "text", "raw", lambda folder, canary: _put(folder / "x.h5", b"hello there"), ("file-unknown",)),
    Attack("K1", "zeros", "raw", lambda folder, canary: _put(folder / "x.h5", bytes(5000)), ("file-unknown",)),
    Attack("K1", "no file", "raw", lambda folder, canary: folder / "nothing.keras", (VALUE, "file-missing")),
    Attack("K1", "an empty folder", "raw", lambda folder, canary: folder, ("keras-member", VALUE, "folder-kind")),
]  # fmt: skip


def _put(path: pathlib.Path, content: bytes) -> pathlib.Path:
    path.write_bytes(content)
    return path


def _flipped(place: float) -> Any:
    """A poison of one bit, and of the sums of zip: what the metadata say of the member finds it."""

    def poison(members: dict[str, bytes]) -> None:
        content = members["model.weights.h5"]
        metadata = json.loads(members["metadata.json"])
        metadata["sha256"] = {name: hashlib.sha256(members[name]).hexdigest() for name in ("config.json", "model.weights.h5")}
        at = int(place * len(content))
        members["metadata.json"] = json.dumps(metadata).encode()
        members["model.weights.h5"] = content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :]

    return poison


K2 = [
    *(Attack("K2", f"a flipped bit of the weights, {i}/16", "members", _flipped(i / 16), ("file-sum",)) for i in range(16)),
    *(Attack("K2", f"a flipped bit of the file, {i}/16", "zip", lambda data,
        i=i: data[: (at := len(data) * i // 16)] + bytes([data[at] ^ 4]) + data[at + 1 :],
             (*ZIP_DAMAGE, "keras-member"), but={"load_weights": (*ZIP_DAMAGE, "keras-member", LOADS)}) for i in range(16)),
]  # fmt: skip


def _swapped(file: Any, places: Any, canary: pathlib.Path) -> None:
    array = file[places.leaf][:]
    del file[places.leaf]
    file[places.leaf] = array.T.copy()


def _gone(file: Any, places: Any, canary: pathlib.Path) -> None:
    del file[places.leaf]


def _both_kinds(file: Any, places: Any, canary: pathlib.Path) -> None:
    file.create_dataset("layers/x/y", data=np.ones(3, "f4"))
    file.create_dataset("layers/x/vars/y/z", data=np.ones(3, "f4"))


MISMATCH = ("weights-mismatch", "weights-layout", "weights-declared", VALUE)
SKIPS = {"editor": (LOADS,), "inspect": (LOADS,), "load_weights_skipping": (LOADS, "weights-mismatch")}
K3 = [
    Attack("K3", "a kernel turned", "tree", _swapped, MISMATCH, but=SKIPS),
    Attack("K3", "a kernel missing", "tree", _gone, MISMATCH, but={**SKIPS, "weights:editor": (LOADS,)}),
    Attack("K3", "one array more", "tree", lambda f, p, c: f[p.holder].create_dataset("7", data=np.ones(3, "f4")) and None, (*MISMATCH, LOADS),
        but=SKIPS),
    Attack("K3", "a layer more", "tree", lambda f, p, c: f.create_dataset(f"{p.top}/other/vars/0", data=np.ones(3, "f4")) and None, (*MISMATCH,
        LOADS), but=SKIPS),
    Attack("K3", "units of another model", "config", argument("units", 4), MISMATCH, but={"inspect": (LOADS,), "object": (LOADS, VALUE),
        "json": (LOADS, VALUE)}),
]  # fmt: skip


def _named_by(group: str, name: str, value: Any) -> Any:
    """A poison that gives an attribute of an .h5 file another value."""

    def poison(file: Any) -> None:
        file[group].attrs[name] = value

    return poison


LISTS = ("h5:load_model", "h5:load_weights", "h5:inspect")
K3 += [
    *(
        Attack("K3", f"{name} is {what}", "attributes", _named_by("model_weights", name, value), ("hdf5-model", *MISMATCH), doors=LISTS,
            but={"inspect": (LOADS,)})
        for name in ("layer_names",)
        for what, value in {"a number": 3, "an array of numbers": np.ones(3), "another name": [b"nobody"], "nothing": [], "a name twice": [b"a",
            b"a"]}.items()
    ),
    *(
        Attack("K3", f"weight_names is {what}", "attributes", _named_by("model_weights/a", "weight_names", value), ("hdf5-model", *MISMATCH),
            doors=LISTS, but={"inspect": (LOADS,)})
        for what, value in {"a number": 3.5, "a path": [b"../../optimizer_weights", b"x"], "the root": [b"/", b"/"]}.items()
    ),
    *(
        Attack("K3", f"{name} is {what}", "attributes", _named_by("/", name, value), (LOADS, "hdf5-model", *MISMATCH), doors=LISTS)
        for name in ("keras_version", "backend")
        for what, value in {"a number": 3, "an array": np.ones(3), "long": "9" * 10_000}.items()
    ),
    Attack("K3", "a number of layers that is text", "attributes", lambda f: f["model_weights"].attrs.update(nb_layers="x" * 9), (LOADS, *MISMATCH),
        doors=LISTS),
    Attack("K3", "an array called by a small number", "tree", lambda f, p, c: f[p.holder].create_dataset("\u00b2", data=np.ones(3, "f4")) and None,
        (*MISMATCH, LOADS), but=SKIPS),
    Attack("K3", "arrays of one object in two groups", "tree", lambda f, p, c: f[p.holder].create_dataset("vars/0", data=np.ones(3, "f4")) and None,
           (*MISMATCH, LOADS), but=SKIPS),
    Attack("K3", "an array and a group of one name", "tree", _both_kinds, (*MISMATCH, LOADS), but={"inspect": (LOADS,),
        "load_weights_skipping": (LOADS, "weights-mismatch")}),
]  # fmt: skip

# Checkpoints, and folders of TensorFlow ---------------------------------------------------------------------------------------------


def _state(change: Any) -> Any:
    """A poison of the state of a checkpoint, with the sums made right."""

    def poison(path: pathlib.Path, canary: pathlib.Path) -> None:
        content = json.loads((path / "state.json").read_bytes())
        (path / "state.json").write_bytes(json.dumps(change(content) or content).encode())
        sums = {}
        for name in ("arrays.bin", "state.json"):
            data = (path / name).read_bytes()
            sums[name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        (path / "manifest.json").write_bytes(json.dumps({"files": sums}, sort_keys=True, separators=(",", ":")).encode())

    return poison


def _elsewhere(name: str, target: str) -> Any:
    """A poison that makes a file a link to a canary, or a pipe."""

    def poison(path: pathlib.Path, canary: pathlib.Path) -> None:
        (path / name).unlink()
        if target:
            os.symlink(canary / target, path / name)
        else:
            os.mkfifo(path / name)

    return poison


ASIDE = ("checkpoint-set-aside",)
CHECKPOINTS = [
    *(Attack("R8", f"{name} of a checkpoint is {what}", "checkpoint", _elsewhere(name, target), ASIDE)
      for name in ("state.json", "arrays.bin", "manifest.json") for what, target in {"a link": "secret.txt", "a pipe": ""}.items()),
    *(
        Attack("B3", f"a checkpoint with {what}", "checkpoint", _state(change), ASIDE)
        for what, change in {
            "an array of 2^60": lambda s: s["arrays"][0].update(shape=[1 << 60]), "sizes below zero": lambda s: s["arrays"][0].update(shape=[-5, -3]),
            "sizes that are text": lambda s: s["arrays"][0].update(shape="53"), "sizes of floats": lambda s: s["arrays"][0].update(shape=[5.0, 3]),
            "objects": lambda s: s["arrays"][0].update(dtype="object"), "no dtype": lambda s: s["arrays"][0].pop("dtype") and None,
            "a number for an array": lambda s: s.update(arrays=[3]), "more arrays": lambda s: s["arrays"].append({"dtype": "float32", "shape": [7]}),
            "an array that is not there": lambda s: s.update(state={"array": 9}), "arrays by text": lambda s: s.update(state={"array": "0"}),
            "a class": lambda s: s.update(state={"object": "os.system"}), "depth": lambda s: s.update(state=_nested_lists(300)),
            "floats of text": lambda s: s.update(state={"float": "1e5"}), "a list": lambda s: [1, 2],
        }.items()
    ),
    Attack("K1", "a checkpoint cut off", "checkpoint", lambda path, canary: (path / "arrays.bin").write_bytes(b"x") and None, ASIDE),
    Attack("K1", "a checkpoint without a manifest", "checkpoint", lambda path, canary: (path / "manifest.json").unlink(), ASIDE),
]  # fmt: skip


def _nested_lists(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def _replaced(name: str, old: bytes, new: bytes) -> Any:
    def poison(path: pathlib.Path, canary: pathlib.Path) -> None:
        content = (path / name).read_bytes()
        assert len(old) == len(new) and old in content
        (path / name).write_bytes(content.replace(old, new))

    return poison


METADATA, INDEX, DATA = "keras_metadata.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"
TENSORFLOW = ("saved-model", "checkpoint-format", "checkpoint-file", "json-text", "keras-config", VALUE)
FOLDERS = [
    *(Attack("R8", f"{name.rpartition('/')[2]} of a SavedModel is {what}", "saved_model", _elsewhere(name, target), ("checkpoint-file",
        "saved-model"))
      for name in (METADATA, INDEX, DATA) for what, target in {"a link": "secret.txt", "a pipe": ""}.items()),
    Attack("C3", "a SavedModel with a class of nobody", "saved_model", _replaced(METADATA, b'"class_name": "Dense"', b'"class_name": "Evils"'),
        (*OBJECTS, VALUE)),
    *(Attack("K1", f"{name.rpartition('/')[2]} of a SavedModel cut off", "saved_model",
             lambda path, canary, name=name: (path / name).write_bytes((path / name).read_bytes()[:99]) and None, TENSORFLOW) for name in (METADATA,
                 INDEX, DATA)),
]  # fmt: skip

FOLDERS = [dataclasses.replace(attack, twin="none") for attack in FOLDERS]  # their model is none of the others


def _round(folder: pathlib.Path, canary: pathlib.Path) -> pathlib.Path:
    """A heap of texts whose free rest has no size: HDF5 goes on to the next one for ever."""
    data = bytearray(twin("mlp").h5)
    at = data.index(b"GCOL") + 16
    while data[at : at + 2] != b"\0\0":
        at += 16 + (int.from_bytes(data[at + 8 : at + 16], "little") + 7) // 8 * 8
    data[at + 8 : at + 16] = bytes(8)
    return _put(folder / "x.h5", bytes(data))


B6 = [Attack("B6", "a heap of texts that goes round", "raw", _round, ("hdf5-damaged",))]
ATTACKS = [*K1, *K2, *K3, *CHECKPOINTS, *FOLDERS, *B6]
