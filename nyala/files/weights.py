# SPDX-License-Identifier: Apache-2.0
"""Weights of a model to a file and back, in the format that the suffix says when writing, and the first bytes say when reading.

    .weights.h5 and anything else   HDF5 as Keras 3 lays it out     .weights.json   the same in shards
    .h5 .hdf5                       HDF5 as Keras 1 and 2 did       .npz .safetensors

Start at save_weights and load_weights.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import pathlib
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from nyala.core.errors import ArgumentError, ArgumentTypeError, StateError, placed
from nyala.files import hdf5, keras_v3, npz, safetensors
from nyala.files.errors import CorruptFileError
from nyala.files.loading import Report, Stored, named, plan
from nyala.files.places import Place, places
from nyala.files.stores import Owned, reading_shards, stored_in, sum_of, with_sum, write_shards, write_tree

LEGACY = (".h5", ".hdf5", ".hdf")


def save_weights(model: Any, filepath: Any, overwrite: bool = True, max_shard_size: float | None = None) -> None:
    """Write the weights of a model and, if it is compiled, the state of its optimizer."""
    path = pathlib.Path(os.fspath(filepath))
    if max_shard_size is not None:
        if not isinstance(max_shard_size, (int, float)) or isinstance(max_shard_size, bool) or max_shard_size <= 0:
            raise ArgumentError("save_weights(max_shard_size)", need="gigabytes, above 0", got=repr(max_shard_size))
        if not path.name.endswith((".weights.h5", ".weights.json")):
            fix = "the file of that name is the index of the shards beside it"
            raise ArgumentError("save_weights(max_shard_size)", need="a path that ends in .weights.json", got=repr(str(path)), fix=fix)
        path = path.with_name(path.name.removesuffix(".weights.h5").removesuffix(".weights.json") + ".weights.json")
    check_target("save_weights(filepath)", path, overwrite)
    if not model.built and not model.weights:
        raise StateError(
            f"save_weights of {model.name!r}", need="a built model", got="one without weights yet", fix="call it once, or build(input_shape)"
        )
    if path.suffix == ".npz":
        npz.save_npz(model, path)
    elif path.suffix in LEGACY and not path.name.endswith(".weights" + path.suffix):
        from nyala.files.legacy_hdf5 import save_weights_hdf5

        save_weights_hdf5(model, path)
    else:
        write_places(places(model), path, max_shard_size)


def write_places(found: list[Place], path: pathlib.Path, max_shard_size: float | None = None) -> None:
    """Write the numbers of objects in the format that the suffix says, of those that name what they hold."""
    if path.name.endswith(".weights.json"):
        write_shards(path, found, 1 << 20 if max_shard_size is None else max_shard_size)
    elif path.suffix == ".safetensors":
        arrays = Owned(found)
        safetensors.write(path, arrays, {"format": "nyala", "crc32": sum_of(arrays)})
    else:
        with hdf5.writing(path) as root:
            write_tree(root, found, sums=True)


def check_target(where: str, path: pathlib.Path, overwrite: bool) -> None:
    """Raise before any work if a file cannot be written at path."""
    if path.is_dir() and where.startswith("save_weights"):
        raise ArgumentError(where, need="the path of a file", got=f"the folder {str(path)!r}", fix="add a name, as model.weights.h5")
    if not path.absolute().parent.is_dir():
        raise ArgumentError(where, need="a path in a folder that exists", got=repr(str(path)), fix=f"make {str(path.parent)!r} first")
    if not overwrite and path.exists():
        raise ArgumentError(where, need="a path where no file is", got=str(path), fix="pass overwrite=True, or another path")


def load_weights(
    model: Any, filepath: Any, skip_mismatch: bool = False, by_name: bool = False, objects_to_skip: Iterable[Any] | None = None
) -> Report | None:
    """Set the weights of a model from a file of any of the formats, or from a whole model: all of them or, if one does not fit, none.

    Args:
        model: with the architecture that was saved.
        filepath: of the file, or an open binary file.
        skip_mismatch: take what fits, and leave the rest as it is.
        by_name: for files of Keras 1 and 2: find layers by their names instead of their order.
        objects_to_skip: layers of the model that keep what they have, with all below them, whatever the file holds for them.
    Returns: what was loaded, for formats that name their arrays.
    """
    where = called("load_weights", filepath)
    kind = kind_of(filepath, where)
    skipped = list(objects_to_skip or ())
    if kind == "hdf5":
        with hdf5.reading(filepath, where) as root:
            if is_legacy(root):
                kind = "legacy"
            elif by_name:
                raise _by_name(where)
            else:
                return _set(model, stored_in(root), skip_mismatch, where, skipped)
    if skipped and kind in ("legacy", "npz"):
        why, fix = "its arrays go by their order", "save it as .weights.h5 first"
        raise ArgumentError(where, need="no objects_to_skip for this file", got=f"{len(skipped)}", why=why, fix=fix)
    if kind == "legacy":
        from nyala.files.legacy_hdf5 import load_weights_hdf5

        return load_weights_hdf5(model, filepath, by_name, skip_mismatch)
    if by_name:
        raise _by_name(where)
    if kind == "npz":
        return npz.load_npz(model, filepath, skip_mismatch, where)
    return set_stored(model, filepath, kind, where, skip_mismatch, skipped)


def set_stored(model: Any, filepath: Any, kind: str, where: str, skip_mismatch: bool | None = False, skipped: Sequence[Any] = ()) -> Report:
    """Set the weights of a layer or model from a file that names the objects they belong to: all of them or, if one does not fit, none."""
    with reading_stored(filepath, kind, where) as stored:
        return _set(model, stored, skip_mismatch, where, skipped)


@contextlib.contextmanager
def reading_stored(filepath: Any, kind: str, where: str) -> Iterator[Stored]:
    """The arrays of a file that names the objects they belong to; kind is what kind_of says of it."""
    if kind == "hdf5":
        with hdf5.reading(filepath, where) as root:
            yield stored_in(root)
    elif kind == "safetensors":
        with safetensors.reading(filepath, where) as (arrays, metadata):
            stored: Stored = {}
            for name, source in with_sum(arrays, metadata.get("crc32"), where).items():
                front, _, key = name.rpartition("/")
                stored.setdefault(front.removesuffix("vars").rstrip("/"), {})[key] = source
            yield stored
    elif kind == "shards":
        with reading_shards(pathlib.Path(os.fspath(filepath)), where) as stored:
            yield stored
    else:
        with keras_v3.opening(filepath, where) as opened, opened.stored() as stored:
            yield stored


def _set(model: Any, stored: Stored, skip_mismatch: bool | None, where: str, skipped: Sequence[Any] = ()) -> Report:
    found = [place for place in places(model) if not place.path.startswith("optimizer")]
    if skipped:
        aside = {id(place.target) for one in skipped for place in places(one)}
        ways = tuple(f"{place.path}/" for place in found if id(place.target) in aside)
        found = [place for place in found if id(place.target) not in aside]
        stored = {path: sources for path, sources in stored.items() if not f"{path}/".startswith(ways)}
    planned = plan(found, stored, where)
    planned.check(skip_mismatch)
    if not planned.report.fits:
        warnings.warn(f"{where}: not everything fits, and what does not was left alone: {planned.report}", stacklevel=4)
    trained = getattr(model, "compiled", False) and not skip_mismatch and not skipped and model.built
    optimizer = keras_v3.plan_optimizer(model, stored, where) if trained else None
    with named(where):
        for one in (planned, optimizer):  # both are looked at before either changes anything
            if one is not None:
                one.verify()
        planned.carry_out()
        if optimizer is not None:
            optimizer.carry_out()
    return planned.report


def _by_name(where: str) -> ArgumentError:
    return ArgumentError(where, need="by_name=False for this file", got="by_name=True", why="only files of Keras 1 and 2 go by the names of layers")


def _near(source: Any) -> str:
    """The path of the file whose name is most like that of one that is not there; "" if there is none."""
    path = pathlib.Path(os.fsdecode(source))
    try:
        found = difflib.get_close_matches(path.name, os.listdir(path.parent), n=1)
    except OSError:
        return ""
    return str(path.with_name(found[0])) if found else ""


def is_legacy(root: hdf5.Group) -> bool:
    """Whether an HDF5 file is laid out as by Keras 1 and 2, or by Keras 3 for .h5."""
    return bool({"layer_names", "layer_names0", "nb_layers", "model_config"} & set(root.attributes)) or "model_weights" in root.groups


def called(function: str, filepath: Any) -> str:
    """What to call a call in errors: "load_weights('m.weights.h5')". Raises for what is neither a path nor a file."""
    if hasattr(filepath, "read"):
        return f"{function}(file)"
    if not isinstance(filepath, (str, bytes, os.PathLike)):
        raise ArgumentTypeError(f"{function}(filepath)", need="a path, or an open binary file", got=repr(filepath))
    return f"{function}({os.fspath(filepath)!r})"


def kind_of(source: Any, where: str) -> str:
    """What a file is, by its first bytes: "hdf5", "keras", "npz", "safetensors", "shards" or "json"; a folder is "folder" or "savedmodel"."""
    if not hasattr(source, "read"):
        path = pathlib.Path(os.fspath(source))
        if not str(source).strip():
            raise ArgumentError(where, need="a path", got="an empty one")
        if path.is_dir():
            return "savedmodel" if (path / "saved_model.pb").is_file() else _folder(path, where)
    with _start(source, where) as head:
        if head.startswith(hdf5.SIGNATURE):
            return "hdf5"
        if head.startswith(b"PK"):
            return "npz" if head[30 : 30 + int.from_bytes(head[26:28], "little")].endswith(b".npy") else "keras"  # the name of the first member
        if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 100 << 20:
            return "safetensors"
        if head.lstrip().startswith(b"{"):
            return "shards" if b"weight_map" in head or str(source).endswith(".weights.json") else "json"
    raise CorruptFileError(
        where,
        need="a file of a model or of weights",
        got="an empty file" if not head else f"one that begins with {head[:8]!r}",
        why="it is none of HDF5, zip, safetensors and JSON",
        fix="get the file again",
        rule="file-unknown",
    )


def _folder(path: pathlib.Path, where: str) -> str:
    """ "folder", if it may be that of a model."""
    names = sorted(os.listdir(path))
    if keras_v3.CONFIG in names or keras_v3.WEIGHTS in names:
        return "folder"
    inside = [name for name in names if name.endswith((".keras", ".h5", ".hdf5", ".json", ".npz", ".safetensors"))]
    fix = f"name a file in it: {str(path / inside[0])!r}" if inside else "name the file, or the folder that holds config.json or saved_model.pb"
    got = f"one of {len(names)} other files, as {names[0]!r}" if names else "an empty one"
    raise CorruptFileError(where, need="a folder with a model in it", got=got, fix=fix, rule="keras-member")


@contextlib.contextmanager
def _start(source: Any, where: str) -> Iterator[bytes]:
    try:
        with hdf5.open_regular(source, where) as file:
            file.seek(0)
            head = file.read(4096)
            file.seek(0)
    except CorruptFileError as error:
        near = _near(source)
        fix = f"did you mean {near!r}?" if near else ""
        raise placed(ArgumentError(where, need="a file", got="nothing at that path", fix=fix), where, "file-missing") from error
    yield head
