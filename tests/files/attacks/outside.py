# SPDX-License-Identifier: Apache-2.0
"""Files that point at other files (rows R2 to R8) and names that lead elsewhere (P1 to P6). Each poison changes one thing in a good file."""

from __future__ import annotations

import io
import json
import os
import pathlib
import stat
import struct
import tarfile
import zipfile
from typing import Any

import h5py
import numpy as np

from tests.files.attacks.attack import LOADS, VALUE, Attack
from tests.files.attacks.packing import unzipped, zipped

VOCABULARY = "assets/look/vocabulary.txt"


def _vocabulary(content: bytes | None) -> Any:
    def poison(members: dict[str, bytes]) -> None:
        name = next(name for name in members if name.endswith("vocabulary.txt"))
        if content is None:
            del members[name]
        else:
            members[name] = content

    return poison


R2 = [
    *(
        Attack("R2", f"vocabulary {what}", "members", _vocabulary(content), rules, twin="words", doors=("keras:load_model",), memory=memory)
        for what, content, rules, memory in (
            ("that is no text", b"[UNK]\nblue\n\xff\xfe", ("keras-assets",), 64 << 20),
            ("with a word twice", b"[UNK]\nblue\nblue", ("keras-assets",), 64 << 20),
            ("without words", b"", ("keras-assets", LOADS), 64 << 20),
            ("with a long line", b"[UNK]\n" + b"x" * (300 << 20), ("keras-assets", "zip-size"), 64 << 20),
            ("with too many lines", b"[UNK]\n" + b"".join(b"%d\n" % i for i in range(100)) * 10_000, ("keras-assets",), 600 << 20),
        )
    ),
    Attack("R2", "a file that is none of its own", "members", lambda m: m.update({"assets/look/evil.py": b"open('MARKER', 'w')",
        "assets/nobody/x.txt": b"x"}),
           (LOADS,), twin="words"),
    Attack("R2", "an asset whose name leads away", "members", lambda m: m.update({"assets/../../x.txt": b"x"}), ("zip-name",), twin="words"),
]  # fmt: skip

# HDF5 ------------------------------------------------------------------------------------------------------------------------------


def replaced(where: str, link: Any) -> Any:
    """A poison that puts something in the place of what is at `where`: "leaf", "holder" or "top"."""

    def poison(file: Any, places: Any, canary: pathlib.Path) -> None:
        path = getattr(places, where)
        del file[path]
        file[path] = link(canary)

    return poison


def added(name: str, make: Any) -> Any:
    """A poison that adds something beside the arrays of a layer; name may begin with the group, "/"."""

    def poison(file: Any, places: Any, canary: pathlib.Path) -> None:
        make(file if name.startswith("/") else file[places.holder], name.strip("/"), canary)

    return poison


LINK, TREE_ONLY = ("hdf5-link",), None
TARGETS = {
    "another file": lambda canary: h5py.ExternalLink(str(canary / "secret.h5"), "/x"),
    "a pipe": lambda canary: h5py.ExternalLink(str(canary / "pipe"), "/x"),
    "nothing": lambda canary: h5py.ExternalLink("nowhere.h5", "/x"),
    "itself": lambda canary: h5py.ExternalLink(".", "/x"),
}  # fmt: skip
R3 = [
    *(
        Attack("R3", f"{where} in {what}", "tree", replaced(where, link), LINK)
        for where in ("leaf", "holder", "top")
        for what, link in TARGETS.items()
    ),
    Attack("R3", "one more link at the root", "tree", added("/evil", lambda group, name, canary: group.__setitem__(name,
        TARGETS["a pipe"](canary))), LINK),
    Attack("R3", "one more link in a layer", "tree", added("evil", lambda group, name, canary: group.__setitem__(name, TARGETS["a pipe"](canary))),
        LINK),
]  # fmt: skip


def _loop(file: Any, places: Any, canary: pathlib.Path) -> None:
    file[places.holder]["up"] = file[places.top]


def _root_in_itself(file: Any, places: Any, canary: pathlib.Path) -> None:
    file[places.holder]["up"] = file["/"]


def _user_link(file: Any, places: Any, canary: pathlib.Path) -> None:
    """A link of a kind that no library knows: the number of an external one is changed in the bytes."""
    file[places.holder]["evil"] = h5py.SoftLink("/evilevilevil")


def _reference(kind: Any) -> Any:
    def make(group: Any, name: str, canary: pathlib.Path) -> None:
        dataset = group.create_dataset(name, (2,), kind)
        leaf = next(iter(item for item in group.values() if isinstance(item, h5py.Dataset)))
        dataset[0] = leaf.ref if kind is h5py.ref_dtype else leaf.regionref[0:2]

    return make


R4 = [
    Attack("R4", "soft link at a leaf", "tree", replaced("leaf", lambda canary: h5py.SoftLink("/x")), LINK),
    Attack("R4", "soft link at a group", "tree", replaced("holder", lambda canary: h5py.SoftLink("/")), LINK),
    Attack("R4", "soft link to itself", "tree", added("evil", lambda group, name, canary: group.__setitem__(name,
        h5py.SoftLink(f"{group.name}/evil"))), LINK),
    Attack("R4", "hard link that makes a circle", "tree", _loop, ("hdf5-cycle",)),
    Attack("R4", "hard link to the root", "tree", _root_in_itself, ("hdf5-cycle",)),
    Attack("R4", "two names of one array", "tree", added("evil", lambda group, name, canary: group.__setitem__(name, next(iter(group.values())))),
        ("hdf5-cycle",)),
    Attack("R4", "references to objects", "tree", added("evil", _reference(h5py.ref_dtype)), ("hdf5-dtype",)),
    Attack("R4", "references to regions", "tree", added("evil", _reference(h5py.regionref_dtype)), ("hdf5-dtype",)),
    Attack("R4", "groups too deep", "tree", added("/deep", lambda group, name, canary: group.create_group("/".join("g" * 70))), ("hdf5-depth",)),
]  # fmt: skip


def _external(canary: pathlib.Path) -> Any:
    def poison(file: Any, places: Any, canary: pathlib.Path) -> None:
        del file[places.leaf]
        file.create_dataset(places.leaf, (5, 3), "float32", external=[(str(canary / "secret.txt"), 0, 60)])

    return poison


def _virtual(source: str) -> Any:
    def poison(file: Any, places: Any, canary: pathlib.Path) -> None:
        array = file[places.leaf][:]
        del file[places.leaf]
        if source == ".":
            file.create_dataset("real", data=array)
        layout = h5py.VirtualLayout((5, 3), "float32")
        layout[:] = h5py.VirtualSource(source.replace("CANARY", str(canary)), "real" if source == "." else "x", (5, 3))
        file.create_virtual_dataset(places.leaf, layout)

    return poison


STORAGE = ("hdf5-storage",)
R5 = [
    Attack("R5", "numbers in another file", "tree", _external(pathlib.Path()), STORAGE),
    Attack("R5", "a virtual array over another file", "tree", _virtual("CANARY/secret.h5"), STORAGE),
    Attack("R5", "a virtual array over a pipe", "tree", _virtual("CANARY/pipe"), STORAGE),
    Attack("R5", "a virtual array over itself", "tree", _virtual("."), STORAGE),
    Attack("R5", "a virtual array over nothing", "tree", _virtual("nowhere.h5"), STORAGE),
]  # fmt: skip


def leaf(make: Any) -> Any:
    """A poison that puts another dataset in the place of the first kernel: make(file, path)."""

    def poison(file: Any, places: Any, canary: pathlib.Path) -> None:
        del file[places.leaf]
        make(file, places.leaf)

    return poison


def _filter(number: int) -> Any:
    """A filter that this machine has not, in the list of a dataset: HDF5 takes it as optional."""

    def make(file: Any, path: str) -> None:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((5, 3))
        properties.set_filter(number, h5py.h5z.FLAG_OPTIONAL, ())
        dataset = h5py.h5d.create(file.id, path.encode(), h5py.h5t.NATIVE_FLOAT, h5py.h5s.create_simple((5, 3)), properties)
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ones((5, 3), "float32"))

    return make


def _attribute(value: Any, **options: Any) -> Any:
    def poison(file: Any, places: Any, canary: pathlib.Path) -> None:
        file[places.holder].attrs.create("evil", value(file[places.leaf]) if callable(value) else value, **options)

    return poison


DTYPE = ("hdf5-dtype",)


def _beside(name: str) -> Any:
    """A poison that puts an array beside those of the first layer, whose name is no number, or not as numbers are written."""

    def poison(file: Any, place: Any, canary: Any) -> None:
        file[place.holder][name] = np.ones((5, 3), "f4")

    return poison


R6 = [
    *(
        Attack("R6", f"an array of {what}", "tree", leaf(make), DTYPE)
        for what, make in {
            "text": lambda f, p: f.create_dataset(p, data=[["x"] * 3] * 5, dtype=h5py.string_dtype()),
            "fixed text": lambda f, p: f.create_dataset(p, data=np.full((5, 3), b"fixed")),
            "lists": lambda f, p: f.create_dataset(p, (5, 3), h5py.vlen_dtype("f4")),
            "records": lambda f, p: f.create_dataset(p, data=np.zeros((5, 3), [("a", "f4"), ("b", "i4")])),
            "references": lambda f, p: f.create_dataset(p, (5, 3), h5py.ref_dtype),
            "names of numbers": lambda f, p: f.create_dataset(p, data=np.zeros((5, 3), h5py.enum_dtype({"a": 0, "b": 1}))),
            "bytes": lambda f, p: f.create_dataset(p, data=np.zeros((5, 3), "V7")),
            "arrays": lambda f, p: f.create_dataset(p, (5,), np.dtype(("f4", (3,)))),
            "nothing": lambda f, p: f.create_dataset(p, data=h5py.Empty("f4")),
        }.items()
    ),
    Attack("R6", "a filter of others", "tree", leaf(_filter(32_100)), ("hdf5-filter",)),
    Attack("R6", "packed by lzf", "tree", leaf(lambda f, p: f.create_dataset(p, data=np.ones((5, 3), "f4"), chunks=(5, 3), compression="lzf")),
        ("hdf5-filter",)),
    Attack("R6", "scaled numbers", "tree", leaf(lambda f, p: f.create_dataset(p, data=np.ones((5, 3), "i4"), chunks=(5, 3), scaleoffset=0)),
        ("hdf5-filter",)),
    Attack("R6", "a stored type", "tree", leaf(lambda f, p: f.__setitem__(p, np.dtype("f8"))), ("hdf5-object",)),
    Attack("R6", "an attribute of references", "tree", _attribute(lambda dataset: dataset.ref, dtype=h5py.ref_dtype), ("hdf5-attribute",)),
    Attack("R6", "an attribute of records", "tree", _attribute(np.zeros(3, [("a", "f4"), ("b", "i4")])), ("hdf5-attribute",)),
    Attack("R6", "an attribute of lists", "tree", _attribute(np.array([np.zeros(3), np.zeros(2)], object), dtype=h5py.vlen_dtype("f8")),
        ("hdf5-attribute",)),
    Attack("R6", "many attributes", "tree", lambda f, p, c: [f[p.holder].attrs.__setitem__(f"a{i}", i) for i in range(1001)] and None,
        ("hdf5-attributes", "hdf5-damaged")),
    *(Attack("R6", f"an array more, called {name[:9]!r}", "tree", _beside(name), ("weights-mismatch", "hdf5-name"),
        but={"editor": (LOADS, "hdf5-name"), "inspect": (LOADS,), "load_weights_skipping": (LOADS,), "h5": (LOADS,),
            "load_weights_by_name": (LOADS, "weights-mismatch", VALUE)})
        for name in ("00", "\u0661", "9" * 5000, "-1")),
    Attack("R6", "another kernel than numbers of its kind", "tree", leaf(lambda f, p: f.create_dataset(p, data=np.ones((5, 3), "int32"))),
        ("weights-mismatch",),
           but={"editor": (LOADS,), "inspect": (LOADS,), "load_weights_skipping": (LOADS, "weights-mismatch"), "h5": (LOADS,)}),
]  # fmt: skip


# Shards ---------------------------------------------------------------------------------------------------------------------------


def named(name: Any) -> Any:
    """A poison that gives the first group of an index another file."""

    def poison(index: Any, folder: pathlib.Path, canary: pathlib.Path) -> None:
        group = next(iter(index["weight_map"]))
        value = name(folder, canary) if callable(name) else name
        index["weight_map"][group] = value if isinstance(value, (list, dict, int)) or value is None else [value]

    return poison


def _linked(folder: pathlib.Path, canary: pathlib.Path) -> str:
    os.symlink(canary / "secret.h5", folder / "x_link.weights.h5")
    return "x_link.weights.h5"


def _pipe(folder: pathlib.Path, canary: pathlib.Path) -> str:
    os.mkfifo(folder / "x_pipe.weights.h5")
    return "x_pipe.weights.h5"


def _twice(folder: pathlib.Path, canary: pathlib.Path) -> list[str]:
    first = sorted(folder.glob("*.h5"))
    for i, one in enumerate(first):
        (folder / f"x_9000{i}.weights.h5").write_bytes(one.read_bytes())
    return [name for i, one in enumerate(first) for name in (one.name, f"x_9000{i}.weights.h5")]


SHARD_NAME = ("shard-name",)
R7 = [
    *(
        Attack("R7", f"a shard called {name[:20]!r}", "index", named(name), SHARD_NAME)
        for name in ("../canary/secret.h5", "/etc/x.h5", "..", ".", "C:x.h5", "a\\b.h5", "", "x.h5\0.h5", "file://x.h5", "x" * 300 + ".h5", "x.txt",
            "~/x.h5", "x.h5 ", "x.h5.")
    ),
    Attack("R7", "a shard in a folder above", "index", named(lambda folder, canary: str(canary / "secret.h5")), SHARD_NAME),
    Attack("R7", "a shard that is a link", "index", named(_linked), ("shard-kind",)),
    Attack("R7", "a shard that is a pipe", "index", named(_pipe), ("shard-kind",)),
    Attack("R7", "a shard that is not there", "index", named("x_99999.weights.h5"), ("shard-missing",)),
    Attack("R7", "arrays in two shards", "index", named(_twice), ("shard-twice",)),
    *(Attack("R7", f"a shard that is {kind}", "index", named(value), SHARD_NAME) for kind, value in {"a number": 3, "a dict": {"x": 1},
        "a number in a list": [3]}.items()),
    Attack("R7", "a shard that is null", "index", named(lambda *_: [None]), SHARD_NAME),
    Attack("R7", "a hundred thousand shards", "index", lambda i, f,
        c: i["weight_map"].update({f"/x{n}": f"x_{n}.weights.h5" for n in range(100_000)}), ("shard-index", "shard-missing")),
    *(Attack("R7", f"an index that is {kind}", "index", lambda i, f, c, value=value: value, ("shard-index", "json-text", "file-unknown",
        "")) for kind, value in {
        "empty": {"metadata": {}}, "without shapes": {"metadata": 3, "weight_map": []}, "a list": {"metadata": {}, "weight_map": [1]}}.items()),
    Attack("R7", "moves to elsewhere", "index", lambda i, f, c: i.update({"moves": {"x_00000.weights.h5": "../canary/secret.h5"}}), (LOADS,)),
]  # fmt: skip


# Folders ----------------------------------------------------------------------------------------------------------------------------


def _link_member(name: str, target: str) -> Any:
    def poison(path: pathlib.Path, canary: pathlib.Path) -> None:
        (path / name).unlink(missing_ok=True)
        os.symlink(str(canary / target), path / name)

    return poison


def _pipe_member(name: str) -> Any:
    def poison(path: pathlib.Path, canary: pathlib.Path) -> None:
        (path / name).unlink(missing_ok=True)
        os.mkfifo(path / name)

    return poison


def _cache(poisoned: bool) -> Any:
    """The layout of a Hugging Face cache: snapshots/<number>/file -> ../../blobs/<sum>."""

    def poison(path: pathlib.Path, canary: pathlib.Path) -> pathlib.Path:
        root = path.parent / "hub"
        (root / "blobs").mkdir(parents=True)
        (root / "snapshots" / "abc").mkdir(parents=True)
        for number, name in enumerate(sorted(member.name for member in path.iterdir())):
            (root / "blobs" / f"sum{number}").write_bytes((path / name).read_bytes())
            target = str(canary / "secret.txt") if poisoned and name == "metadata.json" else f"../../blobs/sum{number}"
            os.symlink(target, root / "snapshots" / "abc" / name)
        return root / "snapshots" / "abc"

    return poison


FOLDER = ("folder-kind",)
R8 = [
    *(Attack("R8", f"{name} is a link out", "files", _link_member(name, "secret.txt"), FOLDER) for name in ("config.json", "metadata.json",
        "more.txt")),
    Attack("R8", "weights are a link out", "files", _link_member("model.weights.h5", "secret.h5"), FOLDER),
    Attack("R8", "a folder is a link out", "files", _link_member("assets", ""), FOLDER),
    Attack("R8", "a pipe as config", "files", _pipe_member("config.json"), FOLDER),
    Attack("R8", "one more pipe", "files", _pipe_member("more"), FOLDER),
    Attack("R8", "a cache of Hugging Face", "files", _cache(False), (LOADS,)),
    Attack("R8", "a cache that leads out", "files", _cache(True), FOLDER),
    Attack("R8", "a path that is a pipe", "raw", lambda folder, canary: canary / "pipe", ("file-kind",)),
    Attack("R8", "a path that is a device", "raw", lambda folder, canary: "/dev/zero", ("file-kind",)),
]  # fmt: skip


# Archives -------------------------------------------------------------------------------------------------------------------------

ARCHIVE = ("archive-name",)
NAMES = (
    "../x", "/x", "a/../../x", "C:/x", "a\\..\\x", "a//x", "a/..", "x.", "x ", "y" * 300, "a/con.txt", "nul", "../out_other/x", "....//x", "a" * 2000,
    "/".join(["p" * 200] * 30) + "/../../x",
)  # fmt: skip


def _with(*members: Any) -> Any:
    def poison(path: pathlib.Path, make: Any) -> None:
        make(path, ("ok", b"1"), *members)

    return poison


def _tar_entry(name: str, to: str = "", kind: bytes = tarfile.SYMTYPE, mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, to, mode
    return info


def _only_tar(*members: Any) -> Any:
    return {"poison": _with(*members), "doors": tuple(f"tar:{door}" for door in ("get_file", "get_file_from_the_root", "untar"))}


def _keras_names(name: str) -> Any:
    return lambda data: zipped([*unzipped(data).items(), (name, b"x")])


P1 = [
    *(Attack("P1", f"{name[:20]!r} in an archive", "archive", _with((name, b"2")), ARCHIVE) for name in NAMES),
    Attack("P1", "a name twice in an archive", "archive", _with(("a", b"1"), ("A", b"2")), ARCHIVE),
    Attack("P1", "a name twice but for accents", "archive", _with(("\u00e9", b"1"), ("e\u0301", b"2")), ARCHIVE),
    Attack("P1", "a file that is a folder", "archive", _with(("a", b"1"), ("a/b", b"2")), ARCHIVE),
    *(Attack("P1", f"{name[:20]!r} in a model", "zip", _keras_names(name), ("zip-name",)) for name in (*NAMES[:5], "x.", "y" * 300, "a\u200bb",
        "a/../config.json", "./config.json")),
    Attack("P1", "config twice but for case", "zip", _keras_names("Config.json"), ("zip-duplicate",)),
]  # fmt: skip
P2 = [
    Attack("P2", name, "archive", rules=ARCHIVE, **_only_tar(*entries))
    for name, entries in {
        "link out": (_tar_entry("l", "/"), ("l/x", b"2")),
        "link above": (_tar_entry("l", "../.."), ("l/x", b"2")),
        "link to here": (_tar_entry("l", "."), ("l/../x", b"2")),
        "link inside": (_tar_entry("l", "ok"),),
        "hard link out": (_tar_entry("l", "../MARKER", tarfile.LNKTYPE),),
        "hard link inside": (_tar_entry("l", "ok", tarfile.LNKTYPE),),
        "link whose name leads out": (_tar_entry("../l", "ok"),),
        "chain of links": tuple(_tar_entry(f"d{i}", f"d{i + 1}") for i in range(50)),
    }.items()
]  # fmt: skip


def _mode(data: bytes, mode: int, name: str = "more", content: bytes = b"/etc") -> bytes:
    """One more member, of another kind than a file."""
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return zipped([*unzipped(data).items(), (info, content)])


P2 += [Attack("P2", "link in a model", "zip", lambda data: _mode(data, stat.S_IFLNK | 0o777), ("zip-kind",))]
P3 = [
    *(
        Attack("P3", name, "archive", rules=ARCHIVE, **_only_tar(entry))
        for name, entry in {
            "pipe": _tar_entry("p", kind=tarfile.FIFOTYPE), "device": _tar_entry("d", kind=tarfile.CHRTYPE), "disk": _tar_entry("d",
                kind=tarfile.BLKTYPE),
            "sparse file": _tar_entry("s", kind=tarfile.GNUTYPE_SPARSE), "unknown kind": _tar_entry("u", kind=b"Z"),
        }.items()
    ),
    *(Attack("P3", f"{what} in a model", "zip", lambda data, kind=kind: _mode(data, kind | 0o666), ("zip-kind",)) for what, kind in {
        "pipe": stat.S_IFIFO, "device": stat.S_IFCHR, "socket": stat.S_IFSOCK}.items()),
    Attack("P3", "a folder with contents in a model", "zip", lambda data: _mode(data, stat.S_IFDIR | 0o777, "more/"), ("zip-folder",)),
    Attack("P3", "a folder by name alone, with contents", "zip", lambda data: _mode(data, 0, "more/"), ("zip-folder",)),
    Attack("P3", "a folder by its mode alone", "zip", lambda data: _mode(data, stat.S_IFDIR | 0o777), ("zip-folder",)),
    Attack("P3", "an empty folder in a model", "zip", lambda data: _mode(data, stat.S_IFDIR | 0o777, "more/", b""), (LOADS,)),
    Attack("P3", "a folder with contents", "archive", _with(("more/", b"2")), ARCHIVE, doors=("zip:get_file",)),
    Attack("P3", "an empty folder", "archive", _with(("more/", b"")), (LOADS,), doors=("zip:get_file",)),
    Attack("P3", "a file that may act for others", "archive", _with(("tool", b"#!/bin/sh", 0o4777)), (LOADS,), doors=("tar:get_file",)),
]  # fmt: skip
SAVED_NAMES = ("..", ".", "a/../..", "a\\b", "x" * 300, "con", "a:b", "a%2Fb", "\u200b", "vars", "layers", "a\nb", "é", "_", "0")
P4 = [Attack("P4", f"a layer called {name[:20]!r}", "name", lambda name=name: name, (LOADS, "", "hdf5-name")) for name in SAVED_NAMES]


def _end_record(**changes: int) -> Any:
    """A poison of the record at the end of a zip file."""
    order = ("disk", "first", "here", "count", "length", "offset", "comment")

    def poison(data: bytes) -> bytes:
        values = dict(zip(order, struct.unpack("<4H2LH", data[-18:]), strict=True))
        return data[:-18] + struct.pack("<4H2LH", *({**values, **changes}[key] for key in order))

    return poison


def _directory(number: int, offset: int, form: str, value: Any) -> Any:
    """A poison of one field of one member in the directory; value may be a function of the old one."""

    def poison(data: bytes) -> bytes:
        place = -1
        for _ in range(number + 1):
            place = data.index(b"PK\1\2", place + 1)
        old = struct.unpack_from(form, data, place + offset)[0]
        changed = bytearray(data)
        struct.pack_into(form, changed, place + offset, value(old) if callable(value) else value)
        return bytes(changed)

    return poison


def _with_comment(data: bytes) -> bytes:
    file = io.BytesIO(data)
    with zipfile.ZipFile(file, "a") as archive:
        archive.comment = b"x" * 60_000
    return file.getvalue()


def _flip(word: bytes) -> Any:
    def poison(data: bytes) -> bytes:
        place = data.index(word) + 3
        return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]

    return poison


P5 = [
    Attack("P5", "config twice", "zip", lambda data: zipped([*unzipped(data).items(), ("config.json", b"{}")]), ("zip-duplicate",)),
    Attack("P5", "bytes before", "zip", lambda data: b"MZ" + bytes(62) + data, ("zip-gap", "file-unknown")),
    Attack("P5", "bytes after", "zip", lambda data: data + b"after", ("zip-end",)),
    Attack("P5", "another zip after", "zip", lambda data: data + zipped({"config.json": b"{}"}), ("zip-gap",)),
    Attack("P5", "a comment", "zip", _with_comment, ("zip-end",)),
    Attack("P5", "another name at its place", "zip", lambda data: data.replace(b"config.json", b"confih.json", 1), ("zip-header",)),
    Attack("P5", "members that overlap", "zip", _directory(1, 42, "<L", 0), ("zip-gap",)),
    Attack("P5", "a member beyond the end", "zip", _directory(2, 42, "<L", 1 << 30), ("zip-gap", "zip-damaged")),
    Attack("P5", "encrypted", "zip", _directory(1, 8, "<H", 1), ("zip-method",)),
    Attack("P5", "another method", "zip", _directory(1, 10, "<H", 12), ("zip-method", "zip-damaged")),
    Attack("P5", "another checksum in the directory", "zip", _directory(1, 16, "<L", lambda old: old ^ 1), ("zip-header",)),
    Attack("P5", "another size in the directory", "zip", _directory(2, 24, "<L", lambda old: old + 1), ("zip-header",)),
    Attack("P5", "another packed size in the directory", "zip", _directory(2, 20, "<L", lambda old: old + 1), ("zip-header", "zip-gap",
        "zip-damaged")),
    Attack("P5", "flipped bit in the config", "zip", _flip(b'"class_name"'), ("zip-damaged",), but={"load_weights": (LOADS,)}),
    Attack("P5", "sizes of 64 bits that are none", "zip", _directory(2, 24, "<L", 0xFFFFFFFF), ("zip-header", "zip-damaged")),
    Attack("P5", "many disks", "zip", _end_record(disk=1), ("zip-end",)),
    Attack("P5", "more members than there are", "zip", _end_record(here=9, count=9), ("zip-damaged", "zip-end")),
    Attack("P5", "fewer members than there are", "zip", _end_record(here=1, count=1), ("zip-damaged", "zip-gap", "zip-end", "keras-member")),
    Attack("P5", "directory elsewhere", "zip", _end_record(offset=0), ("zip-damaged", "zip-gap")),
]  # fmt: skip


def _url(**arguments: Any) -> Any:
    return lambda folder: json.dumps({"origin": (folder / "plain.txt").as_uri(), **arguments})


P6 = [
    *(Attack("P6", f"fname {name[:20]!r}", "url", _url(fname=name), ("",)) for name in ("..", ".", "../x", "/x", "a/b", "a\\b", "C:x", "x.", "x ",
        "x\0y")),
    *(Attack("P6", f"origin ending in {end!r}", "url", lambda folder, end=end: json.dumps({"origin": "https://localhost" + end}), ("",
        )) for end in ("/..", "/.", "/", "/C:", "/%2e%2e", "/a%2fb", "/a%5cb")),
    *(Attack("P6", f"origin {scheme!r}", "url", lambda folder, scheme=scheme: json.dumps({"origin": f"{scheme}://x/y", "fname": "y"}), ("",
        )) for scheme in ("ftp", "gopher", "data", "jar")),
    Attack("P6", "another sum", "url", _url(file_hash="0" * 64), ("",)),
    Attack("P6", "a sum of another kind", "url", _url(file_hash="0" * 40), ("",)),
    Attack("P6", "too large", "url", _url(max_bytes=2), ("",)),
]  # fmt: skip
ATTACKS = [*R2, *R3, *R4, *R5, *R6, *R7, *R8, *P1, *P2, *P3, *P4, *P5, *P6]
