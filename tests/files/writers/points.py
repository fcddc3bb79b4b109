# SPDX-License-Identifier: Apache-2.0
"""Lets each writer fail, or its process die, at its n-th write, flush and rename, for every n, and looks at what is there then: old or new.

Run with a folder and names of WRITERS; prints how many points each has. A process is forked for each point. Start at check.
"""

from __future__ import annotations

import builtins
import contextlib
import datetime
import functools
import io
import json
import os
import pathlib
import shutil
import sys
import tarfile
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import nyala
from nyala import layers, saving
from nyala.__main__ import main as command
from nyala.callbacks import CSVLogger, ModelCheckpoint, TensorBoard
from nyala.files import atomic, unpacking

OLD, NEW = 3, 4


class Points:
    """Counts what a writer does to the disk, and acts at one of these points."""

    def __init__(self, at: int, act: Callable[[], Any]) -> None:
        self.count, self.at, self.act = 0, at, act

    def point(self) -> None:
        self.count += 1
        if self.count == self.at:
            self.act()

    def before(self, function: Callable) -> Callable:
        def watched(*arguments: Any, **options: Any) -> Any:
            self.point()
            return function(*arguments, **options)

        return watched

    def watch(self) -> None:
        """From here on all is counted; only in a process that ends soon."""
        real, create = io.open, atomic._create

        def opened(path: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
            file = real(path, mode, *arguments, **options)
            return Counted(file, self) if set(mode) & set("wxa") else file

        io.open = builtins.open = opened
        atomic._create = lambda path: Counted(create(path), self)
        atomic._swap = self.before(atomic._swap)
        for name in ("replace", "rename", "mkdir"):
            setattr(os, name, self.before(getattr(os, name)))
        os.fsync = os.sync = self.before(lambda *number: None)  # processes die here, not machines: the disk need not hurry


class Counted:
    """A file of which each write is a point; what was written before is on its way to the disk."""

    def __init__(self, file: Any, points: Points) -> None:
        self._file, self._points = file, points

    def __enter__(self) -> Counted:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def __iter__(self) -> Any:
        return iter(self._file)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, data: Any) -> Any:
        self._file.flush()
        self._points.point()
        return self._file.write(data)


@functools.cache
def model_of(version: int) -> Any:
    nyala.utils.clear_session()
    nyala.utils.set_random_seed(version)
    model = nyala.Sequential([nyala.Input((3,), name="x"), layers.Dense(version, name="d"), layers.Dense(2, name="e")], name="m")
    model.compile("sgd", "mse")
    return model


@functools.cache
def lookup(version: int) -> Any:
    nyala.utils.clear_session()
    layer = layers.StringLookup()
    layer.adapt(np.array(["a", "b", "c", "d"][:version]))
    return layer


@functools.cache
def around(version: int) -> Any:
    return nyala.Sequential([nyala.Input((1,), dtype="string"), lookup(version)], name="m")


def strings(path: pathlib.Path, version: int) -> None:
    around(version).save(path.with_suffix(".keras"))


def edit(path: pathlib.Path, version: int) -> None:
    editor = saving.KerasFileEditor(path.parent.parent / "source.weights.h5")
    editor.add_weights("layers/dense", {"1": np.full(3, version, "float32")})
    editor.save(path.with_suffix(".weights.h5"))


def checkpoint(path: pathlib.Path, version: int) -> None:
    callback = ModelCheckpoint(path.with_suffix(".keras"))
    callback.set_model(model_of(version))
    callback.on_train_begin()
    callback.on_epoch_end(0, {"loss": 1.0})


def convert(path: pathlib.Path, version: int) -> None:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
        if command(["convert", "--force", str(path.parent.parent / f"{version}.keras"), str(path.with_suffix(".safetensors"))]):
            raise OSError(said.getvalue())


@functools.cache
def space_of(version: int) -> Any:
    nyala.utils.clear_session()
    feature = nyala.utils.FeatureSpace.float()
    made = nyala.utils.FeatureSpace({"f": feature}, output_mode="concat", name=f"space_{version}")
    made.adapt([{"f": np.ones((2, 1), "float32")}])
    return made


def row(path: pathlib.Path, version: int) -> None:
    """The old one has one row, the new one two."""
    file = path.with_suffix(".csv")
    if version == OLD or not file.exists():
        file.unlink(missing_ok=True)
        _log(file, 1.5)
    if version == NEW:
        _log(file, 0.25)


def _log(file: pathlib.Path, loss: float) -> None:
    logger = CSVLogger(file, append=True)
    logger.on_train_begin()
    logger.on_epoch_end(0, {"loss": loss})


def projector(path: pathlib.Path, version: int) -> None:
    nyala.utils.set_random_seed(version)
    board = TensorBoard(path.parent, write_graph=False)
    board.model = nyala.Sequential([nyala.Input((3,), dtype="int32"), layers.Embedding(3, 2, name="e")], name="m")
    board._embeddings()


WRITERS: dict[str, Callable[[pathlib.Path, int], Any]] = {
    "bytes": lambda path, version: atomic.write_bytes(path, bytes([version]) * 99),
    "keras": lambda path, version: model_of(version).save(path.with_suffix(".keras")),
    "keras folder": lambda path, version: model_of(version).save(path, zipped=False),
    "h5": lambda path, version: model_of(version).save(path.with_suffix(".h5")),
    "weights.h5": lambda path, version: model_of(version).save_weights(path.with_suffix(".weights.h5")),
    "weights in h5": lambda path, version: model_of(version).save_weights(path.with_suffix(".h5")),
    "shards": lambda path, version: model_of(version).save_weights(path.with_suffix(".weights.json"), max_shard_size=6e-8),
    "safetensors": lambda path, version: model_of(version).save_weights(path.with_suffix(".safetensors")),
    "npz": lambda path, version: model_of(version).save_weights(path.with_suffix(".npz")),
    "editor": edit,
    "vocabulary": lambda path, version: lookup(version).save_assets(path.parent),
    "vocabulary in a model": strings,
    "ModelCheckpoint": checkpoint,
    "FeatureSpace": lambda path, version: space_of(version).save(path.with_suffix(".keras")),
    "convert": convert,
    "unpacked": lambda path, version: unpacking.extract(path.parent.parent / f"{version}.tar", path),
    "picture": lambda path, version: nyala.utils.save_img(path.with_suffix(".png"), np.full((3, 4, 3), version * 40, "uint8"), scale=False),
    "row of a log": row,
    "projector": projector,
}


BY_OTHERS = ("ModelCheckpoint", "FeatureSpace", "vocabulary in a model", "convert")  # written by one of the others: errors alone


def state(folder: pathlib.Path, name: str) -> Any:
    """What a reader sees: for shards what load_weights makes of them, else the bytes of all files that are not hidden."""
    if name == "shards":
        for version in (NEW, OLD):
            with contextlib.suppress(ValueError):
                model_of.__wrapped__(version).load_weights(folder / "x.weights.json")
                return version
        return None
    files = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path): (folder / path).read_bytes() for path in files if not any(part.startswith(".") for part in path.parts)}


def full() -> None:
    raise OSError(28, "No space left on device")


def run(name: str, folder: pathlib.Path, mode: str, at: int) -> int:
    """Write the new one in a process of its own: 0 if it has no such point, 9 if it died there, 5 if it said why not, 7 if it did not mind."""
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 6
    try:
        points = Points(at, full if mode == "raise" else lambda: os._exit(9))
        points.watch()
        WRITERS[name](folder / "x", NEW)
        code = 0 if points.count < at else 7
    except OSError as error:
        code = 5 if "No space left" in str(error) else 6
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def check(name: str, folder: pathlib.Path) -> dict[str, int]:
    """How many points a writer has where an error may come, and the same of death; raises if anything but old or new is there after one."""
    folder.mkdir()
    write = WRITERS[name]
    write(folder / "x", NEW)
    new = state(folder, name)
    write(folder / "x", OLD)
    old = state(folder, name)
    assert old and new and old != new, name
    points = {}
    for mode, ends in (("raise", 5), ("die", 9))[: 1 if name in BY_OTHERS else 2]:
        at = 1
        while code := run(name, folder, mode, at):
            now = state(folder, name)
            assert now in (old, new), (name, mode, at, now)
            assert code == ends or (code == 7 and now == new), (name, mode, at, code)
            hidden = [path for path in folder.iterdir() if path.name.startswith(".")]
            assert mode == "die" or name == "shards" or not hidden, (name, at, hidden)
            if now == new:
                write(folder / "x", OLD)
            for path in hidden if name != "shards" else ():
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            at += 1
        assert state(folder, name) == new, (name, mode)
        write(folder / "x", OLD)
        points[mode] = at - 1
    return points


class Fixed(datetime.datetime):
    """Metadata hold the time."""

    @classmethod
    def now(cls, tz: Any = None) -> Fixed:
        return cls(2020, 1, 1)


def main(root: pathlib.Path, names: list[str]) -> None:
    """Prepare what some read, and check each."""
    warnings.simplefilter("ignore")
    datetime.datetime = Fixed  # type: ignore[misc]
    model_of(OLD).save_weights(root / "source.weights.h5")
    for version in (OLD, NEW):
        model_of(version).save(root / f"{version}.keras")
        with tarfile.open(root / f"{version}.tar", "w") as archive:
            for name in ("a", "b/c"):
                info = tarfile.TarInfo(name)
                info.size = 100 * version
                archive.addfile(info, io.BytesIO(bytes([version]) * info.size))
    for name in names:
        print(json.dumps([name, check(name, root / name.replace(" ", "_"))]), flush=True)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2:])
