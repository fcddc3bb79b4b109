# SPDX-License-Identifier: Apache-2.0
"""Files that ask for more than they are worth (rows B1 to B5). Each poison changes one thing."""

from __future__ import annotations

import io
import json
import pathlib
import struct
import zipfile
import zlib
from typing import Any

import numpy as np

from tests.files.attacks.attack import LOADS, VALUE, Attack
from tests.files.attacks.objects import argument, as_layer, entry, layer
from tests.files.attacks.outside import leaf
from tests.files.attacks.packing import CARRIERS, unzipped, zipped

DECLARED = ("hdf5-declared",)
MB = 1 << 20


def _array(shape: tuple[int, ...], dtype: str = "float32", **options: Any) -> Any:
    return leaf(lambda file, path: file.create_dataset(path, shape, dtype, **options))


def _many(file: Any, places: Any, canary: pathlib.Path) -> None:
    for i in range(2000):
        file[places.holder].create_dataset(f"more{i}", (MB,), "float32")


def _chunk_bomb(file: Any, path: str) -> None:
    dataset = file.create_dataset(path, (5, 3), "float32", chunks=(5, 3), compression="gzip")
    dataset.id.write_direct_chunk((0, 0), zlib.compress(bytes(60 * MB), 9))


def _chunk_cut(file: Any, path: str) -> None:
    dataset = file.create_dataset(path, (5, 3), "float32", chunks=(5, 3), compression="gzip", shuffle=True, fletcher32=True)
    dataset.id.write_direct_chunk((0, 0), b"short")


B1 = [
    Attack("B1", "8 PiB", "tree", _array((1 << 51,)), DECLARED),
    Attack("B1", "8 PiB, packed", "tree", _array((1 << 51,), chunks=(1 << 20,), compression="gzip"), DECLARED),
    Attack("B1", "4 GiB but for 4 bytes", "tree", _array(((1 << 30) - 1,)), DECLARED),
    Attack("B1", "4 GiB but for 4 bytes, packed", "tree", _array(((1 << 30) - 1,), chunks=(1 << 20,), compression="gzip"), DECLARED),
    Attack("B1", "a product beyond 64 bits", "tree", _array((1 << 31, 1 << 31, 1 << 31), chunks=(1, 1, 1 << 10)), DECLARED),
    Attack("B1", "rank 32", "tree", _array((2,) * 32), DECLARED),
    Attack("B1", "chunks of 256 MiB", "tree", _array((5, 3), chunks=(1 << 13, 1 << 13), maxshape=(None, None)), DECLARED),
    Attack("B1", "a chunk that unpacks to 100 MiB", "tree", leaf(_chunk_bomb), DECLARED, but={"inspect": (LOADS,)}),
    Attack("B1", "a chunk of a damaged array", "tree", leaf(_chunk_cut), ("hdf5-damaged",), but={"inspect": (LOADS,)}),
    Attack("B1", "many arrays that are not there", "tree", _many, DECLARED),
    Attack("B1", "64 MiB packed into 64 KiB", "tree", leaf(lambda file, path: file.create_dataset(path, data=np.zeros(16 * MB, "f4"), chunks=(MB,),
        compression="gzip")),
           ("weights-mismatch", "weights-size", "weights-shape", VALUE), doors=("weights:load_weights", "keras:load_model", "h5:load_model",
               "keras:load_weights")),
]  # fmt: skip


def member(name: str, content: bytes | Any) -> Any:
    def poison(members: dict[str, bytes]) -> None:
        members[name] = content(members.get(name, b"")) if callable(content) else content

    return poison


def _crowd(members: dict[str, bytes]) -> None:
    members.update({f"assets/x{i}": b"" for i in range(10_001)})


def _lie(data: bytes) -> bytes:
    """The config unpacks to more than both places say."""
    members = unzipped(data)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content + b" " * (8 * MB) if name == "config.json" else content)
    made = bytearray(file.getvalue())
    for mark, offset in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        place = made.index(mark)
        while not made[place + (30 if offset == 22 else 46) :].startswith(b"config.json"):
            place = made.index(mark, place + 1)
        struct.pack_into("<L", made, place + offset, len(members["config.json"]))
    return bytes(made)


B2 = [
    Attack("B2", "config of 65 MiB", "members", member("config.json", lambda old: old + b" " * (65 * MB)), ("zip-size",)),
    Attack("B2", "metadata of 2 MiB", "members", member("metadata.json", lambda old: old + b" " * (2 * MB)), ("zip-size",)),
    Attack("B2", "weights of 300 MiB of nothing", "members", member("model.weights.h5", lambda old: old + bytes(300 * MB)), ("zip-size",)),
    Attack("B2", "weights with a tail", "members", member("model.weights.h5", lambda old: old + bytes(40 * MB)), ("hdf5-size",)),
    Attack("B2", "vocabulary of 300 MiB", "members", lambda m: m.update({next(n for n in m if n.endswith("vocabulary.txt")): b"x" * (300 * MB)}),
        ("keras-assets", "zip-size"), twin="words",
           doors=("keras:load_model",)),
    Attack("B2", "ten thousand members", "members", _crowd, ("zip-members",)),
    Attack("B2", "a member larger than it says", "zip", _lie, ("zip-damaged", "zip-size"), but={"load_weights": (LOADS,)}),
]  # fmt: skip


def _npy(shape: str, descr: str = "'<f4'", pad: int = 0) -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}{' ' * pad}\n".encode()
    return b"\x93NUMPY\x02\x00" + struct.pack("<L", len(header)) + header


def _in_npz(content: bytes) -> Any:
    def poison(data: bytes) -> bytes:
        members = unzipped(data)
        members[next(iter(members))] = content
        return zipped(members)

    return poison


def _pickled() -> bytes:
    from tests.files.attacks.objects import _Marks

    file = io.BytesIO()
    np.save(file, np.array([_Marks(), None], dtype=object), allow_pickle=True)
    return file.getvalue()


def _pickle_file(canary: pathlib.Path) -> bytes:
    import pickle

    from tests.files.attacks.objects import _Marks

    return pickle.dumps({"data": _Marks()}, protocol=2)


def _header(change: Any) -> Any:
    """A poison of the header of a .safetensors file: change(header) or other text for it."""

    def poison(data: bytes) -> bytes:
        size = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8 : 8 + size])
        text = change(header)
        text = text if isinstance(text, bytes) else json.dumps(text or header).encode()
        return struct.pack("<Q", len(text)) + text + data[8 + size :]

    return poison


def _first(header: Any) -> Any:
    return header[next(name for name in header if name != "__metadata__")]


NPZ, TENSORS = (
    ("npz-header",),
    ("safetensors-array", "safetensors-gap", "safetensors-header", "safetensors-size", "safetensors-metadata", "json-duplicate"),
)
B3 = [
    Attack("B3", "2^50 numbers", "npz", _in_npz(_npy(f"({1 << 50},)")), NPZ),
    Attack("B3", "a product beyond 64 bits", "npz", _in_npz(_npy(f"({1 << 33}, {1 << 33})")), NPZ),
    Attack("B3", "sizes below zero", "npz", _in_npz(_npy("(-1, -15)")), NPZ),
    Attack("B3", "a header of 10 MiB", "npz", _in_npz(_npy("(1,)", pad=10 * MB)), NPZ),
    Attack("B3", "objects", "npz", _in_npz(_pickled()), NPZ),
    Attack("B3", "objects without a pickle", "npz", _in_npz(_npy("(1,)", "'|O'") + bytes(8)), NPZ),
    Attack("B3", "records", "npz", _in_npz(_npy("(1,)", "[('a', '<f4'), ('b', '|O')]") + bytes(16)), NPZ),
    Attack("B3", "a header that computes", "npz", _in_npz(_npy("(__import__('os').system('touch MARKER'),)")), NPZ),
    Attack("B3", "a header of brackets", "npz", _in_npz(_npy("(" * 3000 + ")" * 3000)), NPZ),
    Attack("B3", "no array", "npz", _in_npz(b"text"), (*NPZ, "npz-names", "file-unknown")),
    Attack("B3", "other names", "npz", lambda data: zipped({f"x{i}.npy": content for i, content in enumerate(unzipped(data).values())}),
        ("npz-names",), but={"inspect": (LOADS,)}),
    Attack("B3", "160 MiB packed into little", "npz",
        lambda data: zipped({name: _npy(f"({40 * MB},)") + bytes(160 * MB) for name in unzipped(data)}, packed=True),
           ("weights-mismatch", "npz-size"), but={"inspect": (LOADS,)}),
    Attack("B3", "a pickle of its own", "pickle", _pickle_file, ("pickle-instruction",)),
    Attack("B3", "a pickle cut off", "pickle", lambda canary: _pickle_file(canary)[:9], ("pickle-data", "pickle-instruction")),
    Attack("B3", "2^50 numbers in safetensors", "safetensors", _header(lambda h: _first(h).update(shape=[1 << 50])), TENSORS),
    Attack("B3", "a header beyond the file", "safetensors", lambda data: struct.pack("<Q", 1 << 40) + data[8:], (*TENSORS, "file-unknown")),
    Attack("B3", "arrays over each other", "safetensors", _header(lambda h: [v.update(data_offsets=[0,
        v["data_offsets"][1] - v["data_offsets"][0]]) for k, v in h.items() if k != "__metadata__"] and None), TENSORS),
    Attack("B3", "a hole in safetensors", "safetensors", lambda data: data + b"hole", TENSORS),
    Attack("B3", "an unknown dtype", "safetensors", _header(lambda h: _first(h).update(dtype="OBJ")), TENSORS),
    Attack("B3", "sizes that are no integers", "safetensors", _header(lambda h: _first(h).update(shape=[5.0, 3])), TENSORS),
    Attack("B3", "a name twice", "safetensors", _header(lambda h: json.dumps(h).encode()[:-1] + b"," + json.dumps(h).encode()[1:]), TENSORS),
    Attack("B3", "metadata that are no text", "safetensors", _header(lambda h: h.update(__metadata__={"a": 3})), TENSORS),
    Attack("B3", "a list as header", "safetensors", _header(lambda h: b"[1]     "), (*TENSORS, "file-unknown")),
    Attack("B3", "an array that is a list", "safetensors", _header(lambda h: h.update(x=[1])), TENSORS),
]  # fmt: skip

# Configs --------------------------------------------------------------------------------------------------------------------------

WEIGHTS = ("weights-declared", "weights-mismatch", "config-memory", VALUE)
NEW = {"object": ("weights-declared",), "json": ("weights-declared",), "inspect": (LOADS,)}  # where nothing is stored for the weights
WITHOUT_WEIGHTS = dict.fromkeys(("object", "json"), (*WEIGHTS, "keras-config", LOADS)) | {"inspect": (LOADS,)}


def _wide(**arguments: Any) -> Any:
    def poison(config: Any, canary: pathlib.Path) -> None:
        layer(config)["config"].update(arguments)
        del config["config"]["layers"][2]
        layer(config).pop("build_config", None)

    return poison


def _deep(config: Any, canary: pathlib.Path) -> Any:
    for i in range(60):
        config = {"module": "keras", "class_name": "Sequential", "config": {"name": f"s{i}", "layers": [config]}, "registered_name": None}
    return config


def _chain(count: int) -> Any:
    def poison(config: Any, canary: pathlib.Path) -> None:
        one = layer(config)
        config["config"]["layers"] = [layer(config, 0), *({**one, "config": {**one["config"], "name": f"a{i}"}} for i in range(count))]

    return poison


def _fan(config: Any, canary: pathlib.Path) -> Any:
    inner = layer(config)
    for i in range(40):
        node = {"args": [], "kwargs": {}}
        inner = {
            "module": "keras.src.models.functional", "class_name": "Functional", "name": f"f{i}", "registered_name": "Functional",
            "config": {"name": f"f{i}", "layers": [{**inner, "inbound_nodes": [node, node]}], "input_layers": [], "output_layers": []},
        }  # fmt: skip
    return inner


def _unknown(count: int) -> Any:
    def poison(config: Any, canary: pathlib.Path) -> None:
        config["config"]["layers"] += [{"module": "x", "class_name": f"Unknown{i}", "config": {}, "registered_name": None} for i in range(count)]

    return poison


# What a caller hands over as a dict may take as long as it takes; what comes as a file may not.
FROM_FILES = tuple(f"{kind}:{door}" for kind, doors in CARRIERS["config"].items() if kind != "object" for door in doors)
B4 = [
    Attack("B4", "a layer of 10^12 units", "config", _wide(units=10**12), WEIGHTS, but=NEW),
    Attack("B4", "a layer of 10^8 units", "config", _wide(units=10**8), WEIGHTS, but=NEW),
    Attack("B4", "an embedding of 10^13 words", "config", as_layer("Embedding", input_dim=10**13, output_dim=8), WEIGHTS, but=NEW),
    Attack("B4", "built for 10^6 times 10^6", "config", entry(build_config={"input_shape": [None, 10**12]}), (LOADS,)),
    Attack("B4", "an input of 10^12", "config", lambda c, _: layer(c, 0)["config"].update(batch_shape=[None, 10**12]), WEIGHTS,
        but={"inspect": (LOADS,)}),
    Attack("B4", "an input of 40 axes", "config", lambda c, _: layer(c, 0)["config"].update(batch_shape=[None] + [10**9] * 40), WEIGHTS,
        but={"inspect": (LOADS,)}),
    Attack("B4", "a target shape of 10^18", "config", as_layer("Reshape", target_shape=[10**9, 10**9]), (*WEIGHTS, "keras-config"),
        but={"inspect": (LOADS,)}),
    Attack("B4", "10^12 repetitions", "config", as_layer("RepeatVector", n=10**12), (*WEIGHTS, "keras-config"), but=WITHOUT_WEIGHTS),
    Attack("B4", "10^9 of padding", "config", as_layer("ZeroPadding1D", padding=10**9), (*WEIGHTS, "keras-config"), but={"inspect": (LOADS,)}),
    Attack("B4", "10^9 tokens", "config", as_layer("CategoryEncoding", num_tokens=10**12), (*WEIGHTS, "keras-config", LOADS),
        but={"inspect": (LOADS,)}),
    Attack("B4", "a vocabulary of 10^9 unknown words", "config", as_layer("StringLookup", vocabulary=["a"], num_oov_indices=10**9), (*WEIGHTS,
        "keras-config"), but={"inspect": (LOADS,)}),
    Attack("B4", "a stack of 10^7 cells", "config", as_layer("StackedRNNCells", cells=[{"class_name": "LSTMCell",
        "config": {"units": 1}}] * 10_000), (*WEIGHTS, "keras-config", "object-unknown"), but={"inspect": (LOADS,)}),
    Attack("B4", "10^9 filters of 10^9", "config", as_layer("Conv1D", filters=10**9, kernel_size=10**9), (*WEIGHTS, "keras-config"),
        but={"inspect": (LOADS,)}),
    Attack("B4", "60 models in each other", "config", _deep, ("json-depth", *WEIGHTS, "keras-config", "config-work"), but={"object": (VALUE, LOADS),
        "json": ("json-depth", LOADS), "inspect": ("json-depth", LOADS), "h5": (LOADS, "hdf5-depth")}),
    Attack("B4", "30,000 layers", "config", _chain(30_000), ("config-work",), memory=320 * MB, doors=FROM_FILES),
    Attack("B4", "models in models, 2^40 calls", "config", _fan, ("config-work", "json-depth"), doors=FROM_FILES),
    Attack("B4", "2,000 layers that nobody knows", "config", _unknown(2000), ("object-unknown",), memory=128 * MB),
    Attack("B4", "a name of a megabyte", "config", argument("name", "x" * MB), (LOADS, VALUE, "keras-config"), but={}),
    Attack("B4", "units below zero", "config", _wide(units=-5), ("keras-config", VALUE, "weights-mismatch"), but={"inspect": (LOADS,)}),
    Attack("B4", "units that are text", "config", argument("units", "3" * 1000), ("keras-config", VALUE), but={"inspect": (LOADS,)}),
]  # fmt: skip

B5 = [
    Attack("B5", "200,000 brackets", "text", lambda text: b'{"class_name": ' + b"[" * 200_000, ("json-depth",)),
    Attack("B5", "200,000 objects", "text", lambda text: b'{"a":' * 200_000, ("json-depth",)),
    Attack("B5", "a number of 5,000 digits", "text", lambda text: text.replace(b'"units": 3', b'"units": ' + b"3" * 5000), ("json-digits",)),
    Attack("B5", "a key twice", "text", lambda text: text.replace(b'"units": 3', b'"units": 3, "units": 4'), ("json-duplicate",)),
    *(
        Attack("B5", f"units of {word.decode()}", "text", lambda text, word=word: text.replace(b'"units": 3', b'"units": ' + word), ("json-number",))
        for word in (b"NaN", b"Infinity", b"-Infinity", b"1e999")
    ),
    Attack("B5", "half a letter", "text", lambda text: text.replace(b'"name": "a"', b'"name": "\\ud800"'), ("json-text", VALUE)),
    Attack("B5", "a mark of order", "text", lambda text: b"\xef\xbb\xbf" + text, ("json-text", "file-unknown", VALUE)),
    Attack("B5", "no Unicode", "text", lambda text: text[:-1] + b', "x": "\xff"}', ("json-text", "hdf5-model", VALUE)),
    Attack("B5", "a text of 66 MiB", "text", lambda text: text[:-1] + b', "x": "' + b"y" * (66 * MB) + b'"}', ("json-size", "zip-size",
        "hdf5-attribute"), memory=600 * MB),
    Attack("B5", "a text of 60 MiB", "text", lambda text: text[:-1] + b', "x": "' + b"y\\n" * (20 * MB) + b'"}', (LOADS,),
        doors=("json:model_from_json",), memory=500 * MB),
    Attack("B5", "three million values", "text", lambda text: text[:-1] + b', "x": [' + b"1," * 3_000_000 + b"1]}", ("json-values",),
        memory=256 * MB),
    Attack("B5", "cut off", "text", lambda text: text[: len(text) // 2], ("json-text", VALUE)),
    Attack("B5", "nothing", "text", lambda text: b"", ("json-text", "file-unknown", VALUE)),
    *(
        Attack("B5", f"a config that is {word.decode()}", "text", lambda text, word=word: word,
            ("keras-config", "json-text", "file-unknown", "hdf5-model", VALUE),
            but={"h5:inspect": (LOADS, "keras-config", "hdf5-model", "json-text", VALUE)})
        for word in (b"null", b"3", b'"x"', b"[]", b"{}", b"true")
    ),
]  # fmt: skip

ATTACKS = [*B1, *B2, *B3, *B4, *B5]
