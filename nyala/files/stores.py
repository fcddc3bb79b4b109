# SPDX-License-Identifier: Apache-2.0
"""The numbers of a model in HDF5, in one file or in shards, as Keras 3 lays them out: the arrays of each object under "<path>/vars".

Writing goes object by object, so that no more than one array is copied at a time. Start at write_tree and stored_in.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import re
import stat
import zlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from nyala.core.errors import ArgumentError
from nyala.core.variable import Variable
from nyala.files import hdf5, json_text
from nyala.files.atomic import replacing, sync_folder, write_bytes
from nyala.files.errors import CorruptFileError, UnsafePathError
from nyala.files.loading import Source, Stored, is_plain, variables_of
from nyala.files.places import Place
from nyala.files.raw import bytes_of

VARS = "vars"
GIGABYTE = 1 << 30
MAX_SHARDS = 10_000


def own_arrays(target: Any) -> Mapping[str, np.ndarray]:
    """What save_own_variables of an object puts into its store: arrays to be read at once and then dropped, plain weights without a copy."""
    if is_plain(target, "save_own_variables"):
        return _Borrowed({str(i): variable for i, variable in enumerate(variables_of(target))})
    store: dict[str, Any] = {}
    target.save_own_variables(store)
    return {str(key): _native(np.asarray(value)) for key, value in store.items()}


def _native(array: np.ndarray) -> np.ndarray:
    return array.astype(array.dtype.newbyteorder("="), copy=False)


class _Borrowed(Mapping):
    """The values of variables by name, each when it is asked for."""

    def __init__(self, variables: dict[str, Variable]) -> None:
        self._variables = variables

    def __getitem__(self, key: str) -> np.ndarray:
        return _native(np.asarray(self._variables[key].borrow()))

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)


class Owned(Mapping):
    """The arrays of objects by name, "<path>/vars/<key>". They are made when they are asked for, those of one object at a time."""

    def __init__(self, found: list[Place]) -> None:
        self._targets = {f"{path}/{VARS}/{key}" if path else f"{VARS}/{key}": (target, key) for path, target in found for key in own_arrays(target)}
        self._last: tuple[Any, Mapping[str, np.ndarray]] = None, {}

    def __getitem__(self, name: str) -> np.ndarray:
        target, key = self._targets[name]
        if self._last[0] is not target:
            self._last = None, {}  # gone before the next ones come
            self._last = target, own_arrays(target)
        return self._last[1][key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._targets)

    def __len__(self) -> int:
        return len(self._targets)


def write_tree(root: hdf5.Writer, found: list[Place], sums: bool = False) -> None:
    """Put the arrays of all objects into an open file; with sums, beside those of each object their CRC-32, computed while they are written."""
    with ThreadPoolExecutor(1) as beside:
        for path, target in found:
            group = root.group(f"{path}/{VARS}" if path else VARS)
            group.attributes["name"] = getattr(target, "name", type(target).__name__)
            arrays = own_arrays(target)
            total = beside.submit(sum_of, arrays) if sums and arrays else None
            for key, array in arrays.items():
                group.dataset(key, array)
            if total is not None:
                group.attributes["crc32"] = total.result()
            del arrays, total  # before the next ones come


def sum_of(arrays: Mapping[str, np.ndarray]) -> str:
    """The CRC-32 of named arrays: of their names, dtypes, shapes and bytes. It finds damage, and takes a fifth of the time of a SHA-256."""
    return _sum((name, array.dtype.name, array.shape, [bytes_of(array)]) for name in sorted(arrays) for array in (arrays[name],))


def _sum(parts: Iterable[tuple[str, str, tuple[int, ...], Iterable[Any]]]) -> str:
    total = 0
    for name, dtype, shape, pieces in parts:
        total = zlib.crc32(json_text.write([name, dtype, list(shape)]), total)
        for piece in pieces:
            total = zlib.crc32(piece, total)
    return f"{total:08x}"


def with_sum(sources: dict[str, Source], need: Any, where: str) -> dict[str, Source]:
    """The same arrays, of which the first checks the sum of all that sum_of made."""
    if need is None or not sources:
        return sources
    first = min(sources)

    def check() -> None:
        check_sum(_sum((name, source.dtype, source.shape, source.pieces()) for name, source in sorted(sources.items())), need, where, "CRC-32")

    return {key: source._replace(check=check) if key == first else source for key, source in sources.items()}


def stored_in(root: hdf5.Group) -> Stored:
    """The arrays of an open file by object."""
    stored: Stored = {}
    waiting = [(root, "")]
    while waiting:
        group, path = waiting.pop()
        if group.datasets:
            inner = path.removesuffix(VARS).rstrip("/") if path.rpartition("/")[2] == VARS else path
            inner = inner.replace("_layer_checkpoint_dependencies", "layers")  # as tf.keras 2.12 to 2.15 called it
            sources = {key: _source(dataset) for key, dataset in group.datasets.items()}
            shown, known = f"the arrays of {inner or 'the model itself'!r}", stored.setdefault(inner, {})
            if twice := known.keys() & sources.keys():
                raise CorruptFileError(shown, need="each array in one group", got=f"{min(twice)[:80]!r} in two", rule="weights-layout")
            known.update(with_sum(sources, group.attributes.get("crc32"), shown))
        waiting += [(child, f"{path}/{name}" if path else name) for name, child in group.groups.items()]
    return stored


def _source(dataset: hdf5.Dataset) -> Source:
    return Source(dataset.shape, dataset.dtype, lambda: dataset.read(dataset.shape), dataset.check, dataset.pieces)


# Shards ---------------------------------------------------------------------------------------------------------------------------


def write_shards(path: pathlib.Path, found: list[Place], max_shard_size: float) -> None:
    """Write "<name>.weights.json" and as many "<name>_00000.weights.h5" as it takes, each of at most max_shard_size gigabytes.

    All shards are written beside their places first; then one note says that they count, then they get their names, then the index does, and the note
    goes. A reader that finds the note reads the new ones, whatever has its name by then.
    """
    _finish_earlier(path)
    limit = max_shard_size * GIGABYTE
    stem = path.name.removesuffix(".weights.json")
    shards: list[list[tuple[str, str, str]]] = [[]]  # group, its name or none, else the key of an array
    sizes = [0]
    total, where_are = 0, {}
    for place, target in found:
        group = f"{place}/{VARS}" if place else VARS
        name = getattr(target, "name", type(target).__name__)
        shards[-1].append((group, name, ""))
        for key, array in own_arrays(target).items():
            if array.nbytes > limit:
                raise ArgumentError(
                    "save_weights(max_shard_size)", need=f"at least {array.nbytes / GIGABYTE:.3g}, gigabytes", got=f"{max_shard_size}",
                    why=f"one array of {place!r} has {array.nbytes:,} bytes",
                )  # fmt: skip
            if sizes[-1] + array.nbytes > limit:
                shards.append([])
                sizes.append(0)
            shards[-1].append((group, "", key))
            sizes[-1] += array.nbytes
            total += array.nbytes
            names = where_are.setdefault(f"/{group}", [])
            file = f"{stem}_{len(shards) - 1:05d}.weights.h5"
            if file not in names:
                names.append(file)
    arrays = Owned(found)
    with contextlib.ExitStack() as stack:
        moves, sums = {}, {}
        for number, shard in enumerate(shards):
            file = f"{stem}_{number:05d}.weights.h5"
            beside = path.with_name(f".{file}.new")
            stack.callback(beside.unlink, missing_ok=True)
            with replacing(beside, verify=hdf5.check) as file_of_shard:
                opened: Any = file_of_shard
                _write_shard(opened, shard, arrays)
                opened.seek(0)
                sums[file] = hashlib.file_digest(opened, "sha256").hexdigest()
            moves[file] = beside.name
        index = {"metadata": {"total_size": float(total), "sha256": sums}, "weight_map": where_are}
        note, content = _note(path), json_text.write({**index, "moves": moves})
        try:
            write_bytes(note, content)
        finally:
            if note.is_file() and note.read_bytes() == content:
                stack.pop_all()  # from here on the new ones count, whatever happens
        _finish(path, index, moves)


def _write_shard(target: Any, shard: list[tuple[str, str, str]], arrays: Mapping[str, np.ndarray]) -> None:
    with hdf5.writing(target) as root:
        for group, name, key in shard:
            inside = root.group(group)
            if name:
                inside.attributes["name"] = name
            else:
                inside.dataset(key, arrays[f"{group}/{key}"])


def _note(path: pathlib.Path) -> pathlib.Path:
    return path.with_name(f".{path.name}.new")


def _finish(path: pathlib.Path, index: dict[str, Any], moves: dict[str, str]) -> None:
    for file, beside in moves.items():
        with contextlib.suppress(FileNotFoundError):
            os.replace(path.with_name(beside), path.with_name(file))
    write_bytes(path, json_text.write(index, indent=4))
    _note(path).unlink(missing_ok=True)
    sync_folder(path.parent)


def _finish_earlier(path: pathlib.Path) -> None:
    """Give the shards of a save that was interrupted after it counted their names."""
    note = _note(path)
    if note.is_file():
        index = json_text.read(note.read_bytes(), f"the note {str(note)!r}")
        moves = index.pop("moves", {})
        _finish(path, index, {file: beside for file, beside in moves.items() if beside == f".{file}.new"})


@contextlib.contextmanager
def reading_shards(path: pathlib.Path, where: str, verify: bool = True) -> Iterator[Stored]:
    """The arrays that an index and its shards hold."""
    note = _note(path)
    with hdf5.open_regular(note if note.is_file() else path, where) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        index = json_text.read(file.read(min(size, json_text.MAX_BYTES + 1)), where)  # memory is taken for as many as are asked for
    shape = {"metadata": dict, "weight_map": dict}
    if not isinstance(index, dict) or any(not isinstance(index.get(key), kind) for key, kind in shape.items()):
        raise CorruptFileError(where, need="an index with 'metadata' and 'weight_map'", got=f"{str(index)[:60]}", rule="shard-index")
    moves = index.get("moves")
    moves = moves if isinstance(moves, dict) and note.is_file() else {}
    wanted: dict[str, list[str]] = {}
    for group, files in index["weight_map"].items():
        for file in files if isinstance(files, list) else [files]:
            wanted.setdefault(_plain_name(file, where), []).append(group)
    if len(wanted) > MAX_SHARDS:
        raise CorruptFileError(where, need=f"at most {MAX_SHARDS:,} shards", got=f"{len(wanted):,}", rule="shard-index")
    sums = index["metadata"].get("sha256")
    stored: Stored = {}
    with contextlib.ExitStack() as stack:
        for file in wanted:
            beside = path.with_name(moves[file]) if isinstance(moves.get(file), str) and moves[file] == f".{file}.new" else None
            place = beside if beside is not None and beside.is_file() else path.with_name(file)
            shown = f"the shard {str(place)!r}"
            try:
                mode = os.lstat(place).st_mode
            except OSError as error:
                raise CorruptFileError(where, need=f"the shard {file!r} beside it", got="nothing of that name", rule="shard-missing") from error
            if not stat.S_ISREG(mode):
                raise UnsafePathError(where, need=f"the shard {file!r} as a regular file", got="a link, a pipe or a folder", rule="shard-kind")
            opened: Any = stack.enter_context(hdf5.open_regular(place, shown))
            if verify and isinstance(sums, dict) and file in sums:
                check_sum(hashlib.file_digest(opened, "sha256").hexdigest(), sums[file], shown)
            root = stack.enter_context(hdf5.reading(opened, shown))
            for inner, arrays in stored_in(root).items():
                known = stored.setdefault(inner, {})
                if twice := set(known) & set(arrays):
                    raise CorruptFileError(where, need="each array in one shard", got=f"{inner}/{min(twice)} in two", rule="shard-twice")
                known.update(arrays)
        for group in index["weight_map"]:
            if str(group).strip("/").removesuffix(VARS).rstrip("/") not in stored:
                raise CorruptFileError(where, need=f"the arrays of {str(group)[:80]!r} in its shard", got="none", rule="shard-missing")
        yield stored


def check_sum(got: str, need: Any, where: str, kind: str = "SHA-256") -> None:
    """Raise unless two sums are equal."""
    if got != need:
        raise CorruptFileError(
            where, need=f"the {kind} {str(need)[:64]}", got=got, why="it was damaged, or is another file", fix="get the file again", rule="file-sum"
        )


def _plain_name(file: Any, where: str) -> str:
    if not isinstance(file, str) or not re.fullmatch(r"[^/\\:\0-\x1f<>|\"?*]{1,255}", file) or file.strip(". ") != file or not file.endswith(".h5"):
        raise UnsafePathError(where, need="shards that are plain names in the same folder", got=f"{file!r:.80}", rule="shard-name")
    return file
