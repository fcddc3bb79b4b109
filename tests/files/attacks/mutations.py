# SPDX-License-Identifier: Apache-2.0
"""Random damage that knows what it damages: configs, zip files, HDF5 files. Equal seeds make equal files.

A case is a good file and a list of edits, each a function of a number and of what the edits before it left, so that a case that fails can be made
smaller by leaving edits out. Start at make.
"""

from __future__ import annotations

import copy
import functools
import io
import json
import pathlib
import struct
import tempfile
import zipfile
from typing import Any, NamedTuple

import h5py
import numpy as np

from tests.files.attacks import outside
from tests.files.attacks.packing import Places, twin, zipped
from tests.golden.store import FOLDER

Random = np.random.Generator


class Case(NamedTuple):
    """What to make: kind of damage, the number of the good file among BASES, and a seed for each edit."""

    kind: str
    base: int
    edits: tuple[int, ...]


def cases(kind: str, seed: int, count: int) -> list[Case]:
    """Cases of one kind."""
    random = np.random.default_rng([seed, sorted(KINDS).index(kind)])
    most = 12 if kind == "hdf5" else 4
    return [
        Case(kind, int(random.integers(1 << 30)), tuple(int(n) for n in random.integers(1 << 40, size=random.integers(1, most))))
        for _ in range(count)
    ]  # fmt: skip


def make(case: Case, folder: pathlib.Path) -> tuple[pathlib.Path, tuple[str, ...]]:
    """Write the file of a case; also the doors through which to try it."""
    return KINDS[case.kind](case, folder)


def pick(random: Random, values: Any) -> Any:
    return values[int(random.integers(len(values)))]


# JSON -----------------------------------------------------------------------------------------------------------------------------


@functools.cache
def configs() -> list[dict[str, Any]]:
    """Configs of real models: of Keras 3, and of Keras 0, 1, 2 and tf.keras."""
    found = []
    with zipfile.ZipFile(FOLDER / "files.zip") as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(".keras"):
                with zipfile.ZipFile(io.BytesIO(archive.read(name))) as inner:
                    found.append(json.loads(inner.read("config.json")))
    for era in ("zero", "one", "two", "tf", "three"):
        with zipfile.ZipFile(FOLDER / f"legacy_{era}.zip") as archive:
            for name in sorted(archive.namelist()):
                if name.endswith(".json"):
                    found.append(json.loads(archive.read(name)))
                elif name.endswith(".h5"):
                    with h5py.File(io.BytesIO(archive.read(name))) as file:
                        if "model_config" in file.attrs:
                            found.append(json.loads(file.attrs["model_config"]))
    return [config for config in found if len(json.dumps(config)) < 20_000]


VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 7, 1.5, -0.0, 1e308, 10**6, 10**9, 10**12, 2**63, -(2**63), 10**30, "", "x", "x" * 5000, "a/../b", "..",
        "e\u0301\u200b",
    "\U0001f600", "float32", "float8_e4m3fn", "relu", "same", "channels_first", "__lambda__", [], {}, [None], [0], [1, 2, 3], [[]], [-1, 10**9],
        [None, 10**9, 10**9],
    {"class_name": "Dense", "config": {}}, {"class_name": "Dense", "config": {"units": 3}}, {"class_name": "__tuple__", "items": [1, 2]},
    {"class_name": "__numpy__", "config": {"value": [1.0], "dtype": "float32"}}, {"class_name": "__keras_tensor__", "config": {"shape": [None],
        "dtype": "float32", "keras_history": ["x", 0, 0]}},
    {"class_name": "function", "config": "relu", "module": "builtins", "registered_name": "function"}, {"class_name": "__slice__",
        "config": {"start": 0, "stop": None, "step": 0}},
    {"class_name": "__lambda__", "config": {"code": "4wEA"}}, {"class_name": "Sequential", "config": []}, {"module": "keras.ops",
        "class_name": "Reshape", "config": {"newshape": [-1]}},
)  # fmt: skip
CLASSES = (
    "Dense", "LSTM", "Conv2D", "Embedding", "Bidirectional", "TimeDistributed", "MultiHeadAttention", "BatchNormalization", "Reshape", "Flatten",
        "Lambda", "InputLayer",
    "Functional", "Sequential", "Model", "StringLookup", "RNN", "LSTMCell", "Add", "Concatenate", "Normalization", "RandomFlip", "Discretization",
        "SeparableConv1D",
    "EinsumDense", "TextVectorization", "Hashing", "GroupNormalization", "SpectralNormalization", "Conv1DTranspose", "Cropping2D", "ConvLSTM2D",
        "Pipeline", "Permute",
)  # fmt: skip


def _nodes(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a tree."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        here = waiting.pop()
        for key, inner in here.items() if isinstance(here, dict) else enumerate(here):
            found.append((here, key))
            if isinstance(inner, (dict, list)) and len(found) < 5000:
                waiting.append(inner)
    return found


def edit_config(random: Random, config: Any) -> Any:
    """One change of a config."""
    nodes = _nodes(config)
    if not nodes:
        return config
    named = [
        (holder, key)
        for holder, key in nodes
        if key in ("class_name", "units", "shape", "batch_shape", "axis", "config", "inbound_nodes", "layers", "dtype")
    ]
    holder, key = pick(random, named if named and random.random() < 0.3 else nodes)
    match int(random.integers(10)):
        case 0 | 1 | 2:
            holder[key] = copy.deepcopy(pick(random, VALUES))
        case 3:
            del holder[key]
        case 4:
            other, name = pick(random, nodes)
            holder[key] = copy.deepcopy(other[name]) if _small(other[name]) else None
        case 5:
            other, name = pick(random, nodes)
            if _small(other[name]) and _small(holder[key]):
                holder[key], other[name] = copy.deepcopy(other[name]), copy.deepcopy(holder[key])
        case 6:
            if isinstance(holder, list):
                holder.insert(int(random.integers(len(holder) + 1)), copy.deepcopy(holder[key]))
            else:
                holder[pick(random, ("name", "extra", "é\u0301", "", "trainable", "shared_object_id", "build_config", "registered_name"))] = (
                    copy.deepcopy(holder[key])
                )
        case 7:
            value = holder[key]
            for _ in range(int(random.integers(1, 220))):
                value = [value] if random.random() < 0.5 else {"config": value, "class_name": "Sequential"}
            holder[key] = value
        case 8:
            value = holder[key]
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                holder[key] = value[: len(value) // 2] if isinstance(value, (str, list)) else value
            else:
                holder[key] = pick(random, (-value, value + 1, value * 1000, value / 3, 0, str(value), [value], value * 10**9))
        case _:
            places = [(holder, key) for holder, key in nodes if key == "class_name"]
            if places:
                holder, key = pick(random, places)
                holder[key] = pick(random, CLASSES)
    return config


def _small(value: Any) -> bool:
    return len(json.dumps(value)) < 20_000


def _json(case: Case, folder: pathlib.Path) -> tuple[pathlib.Path, tuple[str, ...]]:
    config = copy.deepcopy(configs()[case.base % len(configs())])
    for edit in case.edits:
        config = edit_config(np.random.default_rng(edit), config)
    text = json.dumps(config)
    last = np.random.default_rng(case.edits[-1] + 1)
    if last.random() < 0.1 and '"name"' in text:
        text = text.replace('"name"', '"name": "again", "name"', 1)
    path = folder / "x.json"
    path.write_text(text, encoding="utf-8")
    return path, ("model_from_json", "inspect") if last.random() < 0.3 else ("model_from_json",)


def _keras(case: Case, folder: pathlib.Path) -> tuple[pathlib.Path, tuple[str, ...]]:
    """A whole model with a damaged config, over good weights."""
    good = twin(("mlp", "nested", "words")[case.base % 3])
    config = json.loads(json.dumps(good.config))
    for edit in case.edits:
        config = edit_config(np.random.default_rng(edit), config)
    path = folder / "x.keras"
    path.write_bytes(zipped({**good.members, "config.json": json.dumps(config).encode()}))
    return path, ("load_model_alone",)


# Bytes ----------------------------------------------------------------------------------------------------------------------------

INTERESTING = (0, 1, 2, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x100000000, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF)


def edit_bytes(random: Random, data: bytes) -> bytes:
    """One change of some bytes anywhere."""
    if len(data) < 16:
        return data
    at = int(random.integers(len(data) - 8))
    changed = bytearray(data)
    match int(random.integers(7)):
        case 0 | 1 | 2:
            changed[at] ^= 1 << int(random.integers(8))
        case 3:
            changed[at] = int(random.integers(256))
        case 4:
            width = pick(random, (1, 2, 4, 8))
            changed[at : at + width] = (pick(random, INTERESTING) & ((1 << 8 * width) - 1)).to_bytes(width, "little")
        case 5:
            size, other = int(random.integers(1, 64)), int(random.integers(len(data) - 8))
            changed[at : at + size] = changed[other : other + len(changed[at : at + size])]
        case _:
            size = int(random.integers(1, 16))
            changed[at : at + size] = random.integers(256, size=len(changed[at : at + size]), dtype="uint8").tobytes()
    return bytes(changed[: len(data)])


LOCAL = {4: "<H", 6: "<H", 8: "<H", 10: "<H", 14: "<L", 18: "<L", 22: "<L", 26: "<H", 28: "<H"}
CENTRAL = {6: "<H", 8: "<H", 10: "<H", 16: "<L", 20: "<L", 24: "<L", 28: "<H", 30: "<H", 32: "<H", 34: "<H", 38: "<L", 42: "<L"}
END = {4: "<H", 6: "<H", 8: "<H", 10: "<H", 12: "<L", 16: "<L", 20: "<H"}


def edit_zip(random: Random, data: bytes) -> bytes:
    """One change of a field of a header, of a name, of what stands around, or of any byte."""
    kind = int(random.integers(10))
    if kind < 6:
        mark, fields = pick(random, ((b"PK\3\4", LOCAL), (b"PK\1\2", CENTRAL), (b"PK\5\6", END)))
        places = [at for at in range(len(data) - 22) if data[at : at + 4] == mark] if len(data) < 200_000 else []
        if places:
            at = pick(random, places)
            offset = pick(random, sorted(fields))
            form = fields[offset]
            old = struct.unpack_from(form, data, at + offset)[0] if at + offset + 4 <= len(data) else 0
            top = (1 << 8 * struct.calcsize(form)) - 1
            new = pick(random, (*INTERESTING, old + 1, old - 1, old ^ 8, old ^ 0x800, old + 30)) & top
            changed = bytearray(data)
            changed[at + offset : at + offset + struct.calcsize(form)] = struct.pack(form, new)
            return bytes(changed[: len(data)])
    if kind == 6:
        name = pick(random, (b"config.json", b"metadata.json", b"model.weights.h5"))
        return data.replace(
            name, pick(random, (b"../" + name[3:], name.upper(), b"\0" + name[1:], b"/" + name[1:], name[:-1] + b"\xff")), pick(random, (1, -1))
        )
    if kind == 7:
        cut = int(random.integers(len(data)))
        return pick(random, (data[:cut], data[cut:], data + data[cut:], data[:cut] + b"\0" * 9 + data[cut:], data + b"PK\5\6" + bytes(18)))
    if kind == 8:
        extra = struct.pack("<2H3Q", 1, 24, *(pick(random, INTERESTING) for _ in range(3)))
        at = data.find(b"PK\1\2")
        size = struct.unpack_from("<H", data, at + 28)[0] if 0 <= at < len(data) - 46 else 0
        return data[: at + 30] + struct.pack("<H", len(extra)) + data[at + 32 : at + 46 + size] + extra + data[at + 46 + size :]
    return edit_bytes(random, data)


@functools.cache
def zips() -> list[bytes]:
    members = twin("mlp").members
    return [zipped(members), zipped(members, packed=True), zipped(twin("words").members), _streamed(members), twin("mlp").npz]


def _streamed(members: dict[str, bytes]) -> bytes:
    """A zip file whose sizes come after the bytes."""

    class Stream(io.RawIOBase):
        data = b""

        def writable(self) -> bool:
            return True

        def write(self, part: Any) -> int:
            self.data += bytes(part)
            return len(part)

    stream = Stream()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return stream.data


def _zip(case: Case, folder: pathlib.Path) -> tuple[pathlib.Path, tuple[str, ...]]:
    base = case.base % len(zips())
    data = zips()[base]
    for edit in case.edits:
        data = edit_zip(np.random.default_rng(edit), data)
    path = folder / ("x.npz" if base == 4 else "x.keras")
    path.write_bytes(data)
    return path, ("load_weights", "inspect") if base in (2, 4) else ("load_model_alone", "load_weights")


# HDF5 -----------------------------------------------------------------------------------------------------------------------------


@functools.cache
def trees() -> list[tuple[bytes, str]]:
    """Files of weights, of a model as Keras 2 wrote them, packed ones, and in the newest layout; with their suffixes."""
    mlp = twin("mlp")
    weights = mlp.members["model.weights.h5"]
    return [
        (weights, ".weights.h5"),
        (mlp.h5, ".h5"),
        (_repacked(weights), ".weights.h5"),
        (_repacked(weights, "latest"), ".weights.h5"),
        (_repacked(mlp.h5, "latest"), ".h5"),
    ]


def _repacked(content: bytes, version: str = "earliest") -> bytes:
    file = io.BytesIO()
    with h5py.File(io.BytesIO(content)) as old, h5py.File(file, "w", libver=version) as new:
        for name, value in old.attrs.items():
            new.attrs[name] = value

        def copy_one(path: str, item: Any) -> None:
            if isinstance(item, h5py.Group):
                made = new.require_group(path)
            else:
                packing = (
                    {"chunks": tuple(max(1, n // 2) for n in item.shape), "compression": "gzip", "shuffle": True, "fletcher32": True}
                    if item.shape
                    else {}
                )
                made = new.create_dataset(path, data=item[()], **packing)
            for name, value in item.attrs.items():
                made.attrs[name] = value

        old.visititems(copy_one)
    return file.getvalue()


POISONS = [attack.poison for attack in outside.ATTACKS if attack.carrier == "tree"]


def _hdf5(case: Case, folder: pathlib.Path) -> tuple[pathlib.Path, tuple[str, ...]]:
    data, suffix = trees()[case.base % len(trees())]
    random = np.random.default_rng(case.edits[0])
    if random.random() < 0.15:  # something that HDF5 itself allows, and then damage
        from tests.files.attacks.bounds import B1

        data = _poisoned(data, pick(random, [*POISONS, *(attack.poison for attack in B1[:7])]))
    for edit in case.edits:
        data = edit_bytes(np.random.default_rng(edit), data)
    if random.random() < 0.05:
        cut = int(random.integers(100, len(data)))
        data = _with_end(data[:cut])
    path = folder / f"x{suffix}"
    path.write_bytes(data)
    return path, ("load_weights",) if suffix != ".h5" else pick(random, (("load_model_alone",), ("load_weights",), ("inspect",)))


def _poisoned(data: bytes, poison: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "x.h5")
        path.write_bytes(data)
        try:
            with h5py.File(path, "a") as file:
                poison(file, Places(file), pathlib.Path(folder))
        except (KeyError, ValueError, OSError, RuntimeError, TypeError):
            return data
        return path.read_bytes()


def _with_end(data: bytes) -> bytes:
    """A file that says that it ends where it was cut."""
    at = 40 if data[8] == 0 else 28
    return data[:at] + struct.pack("<Q", len(data)) + data[at + 8 :]


def _others(case: Case, folder: pathlib.Path) -> tuple[pathlib.Path, tuple[str, ...]]:
    """SavedModel folders, .safetensors and .npz files."""
    random = np.random.default_rng(case.edits[0])
    if case.base % 2:
        from tests.files.test_legacy_saved_model import NAMES, unpack

        path, _ = unpack(pick(random, NAMES), folder)
        name, door = pick(random, ("keras_metadata.pb", "variables/variables.index", "variables/variables.index")), "load_model_alone"
        damaged = path / name
        data = damaged.read_bytes()
    else:
        path = damaged = folder / pick(random, ("x.safetensors", "x.npz"))
        data, door = (twin("mlp").safetensors if path.suffix == ".safetensors" else twin("mlp").npz), "load_weights"
    for edit in case.edits:
        data = edit_bytes(np.random.default_rng(edit), data)
    damaged.write_bytes(data)
    return path, (door,)


KINDS = {"json": _json, "keras": _keras, "zip": _zip, "hdf5": _hdf5, "others": _others}
