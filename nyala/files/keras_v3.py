# SPDX-License-Identifier: Apache-2.0
"""Whole models in .keras files, as Keras 3 writes them: metadata.json, config.json, model.weights.h5 and assets in a zip file or a folder.

Reading goes in four steps: the members are checked, the config is audited, the model is made without taking memory for its weights, and only
when what is stored fits are they read. Nothing in a file is run or imported, and none opens another. Start at load and save.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import pathlib
import shutil
import stat
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np

from nyala.core.audit import findings, looked_through, problems_of_compiling
from nyala.core.errors import ArgumentTypeError, NyalaError, StateError, placed
from nyala.core.serialization import revive, serialize_keras_object, sharing_objects, without_compiling
from nyala.core.variable import Plan as Blank
from nyala.files import archive, hdf5, json_text
from nyala.files.atomic import replacing_folder
from nyala.files.errors import CorruptFileError, FileError, ResourceLimitError, UnknownObjectError, UnsafePathError
from nyala.files.legacy_training import compile_as, training_of, within_bounds
from nyala.files.loading import Plan, Source, Stored, check_backed, is_number, named, plan
from nyala.files.places import Place, places
from nyala.files.stores import check_sum, stored_in, write_tree
from nyala.legacy import modernize
from nyala.legacy.era import Era
from nyala.optimizers.optimizer import Optimizer

METADATA, CONFIG, WEIGHTS, ASSETS = "metadata.json", "config.json", "model.weights.h5", "assets/"
KERAS_VERSION = "3.15.1"  # whose layout is written
MAX_METADATA, MAX_CONFIG, MAX_ASSETS = 1 << 20, 64 << 20, 256 << 20


# Writing --------------------------------------------------------------------------------------------------------------------------


def save(model: Any, path: Any, zipped: bool = True, include_optimizer: bool = True) -> None:
    """Write a whole model; what was at path stays until the new file is whole and was read once more.

    Args:
        model: a built model.
        path: of the file, or a binary file to write to.
        zipped: False writes a folder.
        include_optimizer: whether the state of the optimizer and the words of compile go along.
    """
    from nyala import __version__

    if not model.built:
        raise StateError(
            f"saving {type(model).__name__} {model.name!r}", need="a built model", got="one without weights yet",
            fix="call it once, or build(input_shape)",
        )  # fmt: skip
    with sharing_objects(), contextlib.nullcontext() if include_optimizer else without_compiling():
        config = json_text.write(serialize_keras_object(model))
    found = [place for place in places(model) if include_optimizer or place.path != "optimizer"]

    def weights(file: BinaryIO) -> None:
        with hdf5.writing(file) as root:
            write_tree(root, found)

    with tempfile.TemporaryDirectory() as assets:
        members: dict[str, Any] = {CONFIG: config, **_assets(found, pathlib.Path(assets)), WEIGHTS: weights}
    sums: dict[str, str] = {}
    with _adding(path, zipped) as add:
        for name, content in members.items():
            digest = hashlib.sha256()
            add(name, content, digest.update)
            sums[name] = digest.hexdigest()
        metadata = {
            "keras_version": KERAS_VERSION,
            "date_saved": datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S"),
            "nyala_version": __version__,
            "sha256": sums,
        }
        add(METADATA, json_text.write(metadata))


@contextlib.contextmanager
def _adding(target: Any, zipped: bool) -> Iterator[Callable[..., None]]:
    """A function (name, content, seen) that adds members to a zip file, a folder or an open file, as that of archive.writing does."""
    if not zipped:
        with replacing_folder(target) as folder:
            yield lambda name, content, seen=None: _put(folder / name, content, seen)
    elif hasattr(target, "write"):
        with tempfile.TemporaryFile() as file:
            with archive.writing(file) as add:
                yield add
            file.seek(0)
            shutil.copyfileobj(file, target, archive.CHUNK)
    else:
        with archive.writing(target) as add:
            yield add


def _put(path: pathlib.Path, content: Any, seen: Callable[[bytes], Any] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x+b") as file:
        if callable(content):
            content(file)
        else:
            file.write(content)
        file.seek(0)
        while seen is not None and (chunk := file.read(archive.CHUNK)):
            seen(chunk)


def _assets(found: list[Place], folder: pathlib.Path) -> dict[str, bytes]:
    """The files that objects keep beside their numbers, a vocabulary: {"assets/<path of the object>/<file>": bytes}."""
    files: dict[str, bytes] = {}
    for number, (path, target) in enumerate(found):
        if hasattr(target, "save_assets"):
            own = folder / str(number)
            own.mkdir()
            target.save_assets(str(own))
            for file in sorted(own.rglob("*")):
                if file.is_file():
                    files[f"{ASSETS}{path}/{file.relative_to(own).as_posix()}"] = file.read_bytes()
    return files


# Reading --------------------------------------------------------------------------------------------------------------------------


class Opened:
    """An open .keras file or folder: its members, and what the metadata says of them."""

    def __init__(self, members: Mapping[str, Any], where: str, size: int, verify: bool) -> None:
        self.members, self.where, self.size, self.verify = members, where, size, verify
        self.metadata: dict[str, Any] = {}
        if METADATA in members:
            read = json_text.read(members[METADATA].bytes(MAX_METADATA), f"{METADATA!r} in {where}", MAX_METADATA)
            self.metadata = read if isinstance(read, dict) else {}
        sums = self.metadata.get("sha256")
        self.sums: dict[str, Any] = sums if verify and isinstance(sums, dict) else {}
        for name in self.sums:
            if name not in members:
                raise CorruptFileError(where, need=f"the member {name!r:.80} that its metadata lists", got="none of that name", rule="keras-member")

    def bytes(self, name: str, max_bytes: int) -> bytes:
        """A whole member."""
        if name not in self.members:
            raise CorruptFileError(
                self.where, need=f"a member {name!r}", got=f"{sorted(self.members)[:5]}", why="a .keras file has one", rule="keras-member"
            )
        content = self.members[name].bytes(max_bytes)
        if name in self.sums:
            check_sum(hashlib.sha256(content).hexdigest(), self.sums[name], f"{name!r} in {self.where}")
        return content

    def config(self) -> dict[str, Any]:
        """The config of the model, as plain values."""
        value = json_text.read(self.bytes(CONFIG, MAX_CONFIG), f"{CONFIG!r} in {self.where}")
        if not isinstance(value, dict) or "class_name" not in value:
            raise CorruptFileError(self.where, need="the config of a model in config.json", got=f"{str(value)[:60]}", rule="keras-config")
        return value

    @contextlib.contextmanager
    def stored(self) -> Iterator[Stored]:
        """The numbers of the model."""
        if WEIGHTS not in self.members:
            raise CorruptFileError(self.where, need=f"a member {WEIGHTS!r}", got=f"{sorted(self.members)[:5]}", rule="keras-member")
        member, where = self.members[WEIGHTS], f"{WEIGHTS!r} in {self.where}"
        digest = hashlib.sha256() if WEIGHTS in self.sums else None
        room = max(MAX_ASSETS, 4 * self.size) if member.packed else member.size
        with member.open(room, digest and digest.update) as file:
            if digest is not None:
                check_sum(digest.hexdigest(), self.sums[WEIGHTS], where)
            with hdf5.reading(file, where) as root:
                yield stored_in(root)

    def load_assets(self, found: list[Place]) -> None:
        """Give objects the files that they kept."""
        room = max(MAX_ASSETS, 4 * self.size)
        for path, target in found:
            prefix = f"{ASSETS}{path}/"
            own = [name for name in self.members if name.startswith(prefix)] if hasattr(target, "load_assets") else []
            if not own:
                continue
            with tempfile.TemporaryDirectory() as folder:
                for name in own:
                    room -= self.members[name].size
                    if room < 0:
                        raise ResourceLimitError(
                            self.where, need="assets of at most 256 MiB, or four times the file", got="more", rule="keras-assets"
                        )
                    place = pathlib.Path(folder, *archive.check_name(name.removeprefix(prefix), self.where))
                    _put(place, self.bytes(name, max(MAX_ASSETS, 4 * self.size)))
                try:
                    target.load_assets(folder)
                except (UnicodeDecodeError, ValueError) as error:
                    if isinstance(error, FileError):
                        raise
                    raise CorruptFileError(
                        f"{prefix!r} in {self.where}",
                        need=f"what {target.name!r} keeps beside its weights",
                        got=f"{str(error)[:200]}",
                        rule="keras-assets",
                    ) from error


@contextlib.contextmanager
def opening(source: Any, where: str, verify: bool = True) -> Iterator[Opened]:
    """A .keras file, or the folder that save(zipped=False) writes."""
    if not hasattr(source, "read") and os.path.isdir(source):
        members = _folder(pathlib.Path(os.fspath(source)), where)
        yield Opened(members, where, sum(member.size for member in members.values()), verify)
        return
    with hdf5.open_regular(source, where) as file, archive.reading(file, where) as members:
        yield Opened(members, where, file.seek(0, os.SEEK_END), verify)


class _FolderMember:
    """A file in a folder, with the ways of a member of an archive."""

    packed = False

    def __init__(self, path: pathlib.Path, where: str) -> None:
        self.path, self.where = path, where
        self.size = path.stat().st_size

    def bytes(self, max_bytes: int) -> bytes:
        if self.size > max_bytes:
            raise ResourceLimitError(self.where, need=f"at most {max_bytes:,} bytes", got=f"{self.size:,}", rule="zip-size")
        return self.path.read_bytes()

    @contextlib.contextmanager
    def open(self, max_bytes: int, seen: Callable[[bytes], Any] | None = None) -> Iterator[BinaryIO]:
        with self.path.open("rb") as file:
            while seen is not None and (chunk := file.read(1 << 20)):
                seen(chunk)
            yield file


def _folder(root: pathlib.Path, where: str) -> dict[str, Any]:
    """The files in a folder; links are followed only from a snapshot of a Hugging Face cache to the blobs beside it."""
    blobs = root.parent.parent / "blobs" if root.parent.name == "snapshots" else None
    members: dict[str, Any] = {}
    for folder, folders, files in os.walk(root):
        for name in [*files, *folders]:
            path = pathlib.Path(folder, name)
            mode = path.lstat().st_mode
            linked = stat.S_ISLNK(mode) and blobs is not None and pathlib.Path(os.path.realpath(path)).parent == pathlib.Path(os.path.realpath(blobs))
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or (linked and path.is_file())):
                raise UnsafePathError(where, need="regular files", got=f"a link, a pipe or a device: {name!r}", rule="folder-kind")
            if not stat.S_ISDIR(mode):
                members[path.relative_to(root).as_posix()] = _FolderMember(path, f"{name!r} in {where}")
        if len(members) > archive.MAX_MEMBERS:
            raise ResourceLimitError(where, need=f"at most {archive.MAX_MEMBERS:,} files", got="more", rule="zip-members")
    return members


def load(source: Any, compile: bool = True, where: str = "", verify: bool = True) -> Any:
    """The model in a .keras file or folder. What it may name beside the public objects is in the scope of custom objects in force."""
    where = where or ("the file" if hasattr(source, "read") else f"the file {os.fspath(source)!r}")
    with opening(source, where, verify) as opened:
        config = opened.config()
        era = Era.of(config, str(opened.metadata.get("keras_version", ""))[:80], "tensorflow")
        told = config.get("compile_config")
        training = None
        if era.generation < 3:  # tf.keras wrote its own configs into files of this layout
            if compile and isinstance(told, dict):
                training = training_of({**told, "optimizer_config": told.get("optimizer")}, era, where)
            config = modernize(config, era)
        check_config(config, where)
        with opened.stored() as stored:
            model, blank = make(config, where)
            found = places(model)
            opened.load_assets(found)
            check_backed(blank.unfilled(), stored, where)
            planned = plan([place for place in found if place.path != "optimizer"], stored, where)
            planned.check()
            with named(where):
                planned.carry_out()
            blank.fill()
            if era.generation < 3:
                if training and compile_as(model, training, where):
                    load_optimizer(model, _with_rate(stored, model.optimizer), where)
            elif compile and told:
                compile_as_saved(model, told, stored, where)
    return model


def _with_rate(stored: Stored, optimizer: Any) -> Stored:
    """The state of an optimizer of tf.keras, which did not count its learning rate among it, with the one it has."""
    held = stored.get("optimizer", {})
    if "0" not in held:
        return stored
    rate = np.asarray(optimizer.learning_rate, "float32")
    later = {str(int(key) + 1): source for key, source in held.items() if key != "0" and is_number(key)}
    return {**stored, "optimizer": {"0": held["0"], "1": Source((), "float32", lambda: rate), **later}}


def check_config(config: dict[str, Any], where: str, weights: bool = True) -> None:
    """Raise for the first object that may not be where it is; nothing has been made of the config. Weights: whether the file holds some, too."""
    for finding in findings(config, where):
        problem = finding.problem
        if isinstance(problem, UnknownObjectError) and weights:
            offer = f"{problem.fix}; or make the model in code, and take the weights alone: model.load_weights(file)"
            problem = type(problem)(problem.where, need=problem.need, got=problem.got, why=problem.why, fix=offer, rule=problem.rule)
        if problem is not None:
            raise problem
    if (problem := problems_of_compiling(config.get("compile_config"), where)) is not None:
        raise problem


def make(config: dict[str, Any], where: str) -> tuple[Any, Blank]:
    """A model from its config, whose weights have shapes but no memory yet, and the plan that can fill them."""
    from nyala.layers.layer import Layer

    with _translated(where), Blank() as blank, sharing_objects(), without_compiling(), looked_through():
        model = revive(config)
    if not isinstance(model, Layer):
        raise CorruptFileError(where, need="a model", got=f"a {type(model).__name__}", rule="keras-config")
    return model, blank


def make_new(config: dict[str, Any], where: str) -> Any:
    """A model from its config alone, whose weights are new; compiled if the config says how. It is looked through before anything is made of it."""
    check_config(config, where, weights=False)
    model, blank = make(config, where)
    with _translated(where):
        blank.fill()
        if config.get("compile_config"):
            model.compile_from_config(config["compile_config"])
    return model


@contextlib.contextmanager
def _translated(where: str) -> Iterator[None]:
    """What the making of a model raises, as errors that say of which config."""
    try:
        yield
    except NyalaError as error:
        if isinstance(error, ValueError):
            if not isinstance(error, FileError):
                placed(error, where, "config-argument")
            raise
        raise _not_made(where, error) from error  # for the caller of load_model it is the file that is wrong, not an argument
    except (ValueError, OverflowError, MemoryError, RecursionError) as error:
        if "too big" in str(error) or "too large" in str(error) or "Maximum allowed" in str(error) or not isinstance(error, ValueError):
            raise ResourceLimitError(where, need="weights that fit into memory", got=f"{str(error)[:200]}", rule="weights-declared") from error
        raise _not_made(where, error) from error
    except Exception as error:
        raise _not_made(where, error) from error


def _not_made(where: str, error: Exception) -> CorruptFileError:
    got = f"one that raises {type(error).__name__}: {str(error)[:300]}"
    return CorruptFileError(where, need="a config from which the model can be made", got=got, rule="keras-config")


def compile_as_saved(model: Any, config: dict[str, Any], stored: Stored, where: str) -> None:
    """Compile a model as its file says. The weights are there already: what cannot be understood leaves a warning and an uncompiled model."""
    try:
        with within_bounds(where):
            model.compile_from_config(config)
        if not isinstance(getattr(model, "optimizer", None), (Optimizer, type(None))):
            raise ArgumentTypeError("compile(optimizer)", need="an optimizer", got=type(model.optimizer).__name__)
    except Exception as error:  # a loss of the user's that was not given, an optimizer of another library
        model.compiled = False
        warnings.warn(f"{where} was loaded, but not compiled, as its loss, metrics or optimizer cannot be made: {error}", stacklevel=4)
        return
    load_optimizer(model, stored, where)


def load_optimizer(model: Any, stored: Stored, where: str) -> None:
    """Restore what the optimizer had learned, or say why not: never half, never silently."""
    if (planned := plan_optimizer(model, stored, where)) is not None:
        planned.carry_out()


def plan_optimizer(model: Any, stored: Stored, where: str) -> Plan | None:
    """What is to be set of an optimizer; None if the file holds nothing of it, or, with a warning, the state of another one."""
    held = {path: arrays for path, arrays in stored.items() if path == "optimizer" or path.startswith("optimizer/")}
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None or not held:
        return None
    found = [Place((path and f"optimizer/{path}") or "optimizer", target) for path, target in places(optimizer)]
    if max(map(len, held.values())) > 2 or optimizer.built:  # an optimizer that never made a step has no slots
        optimizer.know(model.trainable_variables)
    planned: Plan = plan(found, held, where)
    if not planned.report.fits:
        warnings.warn(f"{where}: the optimizer begins anew, since what is stored is not its state: {planned.report}", stacklevel=5)
        return None
    return planned
