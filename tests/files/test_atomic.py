# SPDX-License-Identifier: Apache-2.0
"""Old or new, never half: every writer fails at its n-th write, flush and rename, for every n, by an error and by the death of the process."""

import contextlib
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import nyala
from nyala.files import atomic, safetensors
from nyala.files.archive import writing as writing_zip
from nyala.files.atomic import replacing, replacing_folder, write_bytes
from nyala.files.hdf5 import writing as writing_hdf5
from nyala.files.npz import write_npz
from tests.training.tools import numbers


class Failing:
    """Counts writes, flushes and renames, and lets the n-th fail."""

    def __init__(self, monkeypatch, at, act):
        self.count, self.at, self.act = 0, at, act
        create, fsync, replace = atomic._create, os.fsync, os.replace
        outer = self

        class File:
            def __init__(self, file):
                self._file = file

            def __getattr__(self, name):
                return getattr(self._file, name)

            def write(self, data):
                outer.event()
                return self._file.write(data)

            def __enter__(self):
                return self

            def __exit__(self, *error):
                self._file.close()

        monkeypatch.setattr(atomic, "_create", lambda path: File(create(path)))
        monkeypatch.setattr(os, "fsync", lambda number: (self.event(), fsync(number))[1])
        monkeypatch.setattr(os, "replace", lambda one, other: (self.event(), replace(one, other))[1])

    def event(self):
        self.count += 1
        if self.count == self.at:
            self.act()


def full():
    raise OSError(28, "No space left on device")


def model_of(units):
    nyala.utils.set_random_seed(units)
    return nyala.Sequential([nyala.Input((3,), name="x"), nyala.layers.Dense(units, name="d"), nyala.layers.Dense(2, name="e")], name="m")


def hdf5(path, version):
    with writing_hdf5(path) as root:
        root.group("a").dataset("0", numbers(7, version))


def zipped(path, version):
    with writing_zip(path) as add:
        add("a", bytes([version]) * 3000)
        add("b", b"x" * version)


WRITERS = {
    "write_bytes": lambda path, version: write_bytes(path, bytes([version]) * 99),
    "hdf5": hdf5,
    "zip": zipped,
    "npz": lambda path, version: write_npz(path, {"a": numbers(5, version)}),
    "safetensors": lambda path, version: safetensors.write(path, {"a": numbers(5, version), "b": numbers(2)}),
    "model": lambda path, version: model_of(version).save(path.with_suffix(".keras")),
    "weights": lambda path, version: model_of(version).save_weights(path.with_suffix(".weights.h5")),
    "shards": lambda path, version: model_of(version).save_weights(path.with_suffix(".weights.json"), max_shard_size=6e-8),
}


def state(folder, name):
    """What a reader sees: for shards what load_weights makes of them, else the bytes of all files but those on their way."""
    if name == "shards":
        for version in (4, 5):
            model = model_of(version)
            with contextlib.suppress(ValueError):
                model.load_weights(folder / "x.weights.json")
                return version
        return None
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if not path.name.startswith(".")}
    return {key: value for key, value in files.items() if not _dated(key)} or files


def _dated(name):
    return False


@pytest.mark.parametrize("name", WRITERS)
def test_old_or_new_at_every_point(name, tmp_path, monkeypatch):
    if name == "model":  # its metadata hold the time
        import datetime

        class Fixed(datetime.datetime):
            @classmethod
            def now(cls, tz=None):
                return cls(2020, 1, 1)

        monkeypatch.setattr(datetime, "datetime", Fixed)
    write = WRITERS[name]
    path = tmp_path / "x.bin"
    write(path, 5)
    new = state(tmp_path, name)
    write(path, 4)
    old = state(tmp_path, name)
    assert old != new
    at, seen = 0, set()
    while True:
        at += 1
        with monkeypatch.context() as patch:
            failing = Failing(patch, at, full)
            try:
                write(path, 5)
                failed = False
            except OSError as error:
                failed = True
                assert "No space left" in str(error)
        if not failed:
            break
        now = state(tmp_path, name)
        assert now in (old, new), f"half a file after failure {at}"
        if name != "shards":
            assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")], "something was left behind"
        seen.add(now == new)
        if now == new:
            write(path, 4)
    assert failing.count >= 2
    assert state(tmp_path, name) == new


CHILD = """
import os, pathlib, sys
sys.path.insert(0, {root!r})
import pytest
from tests.files.test_atomic import Failing, WRITERS
patch = pytest.MonkeyPatch()
Failing(patch, int(sys.argv[2]), lambda: os._exit(9))
WRITERS["zip"](pathlib.Path(sys.argv[1]), 5)
"""


def test_a_process_that_dies_leaves_the_old_file(tmp_path):
    """Killed at each of the first events in turn; what it leaves beside the file is a hidden part."""
    path = tmp_path / "x.bin"
    zipped(path, 4)
    old = path.read_bytes()
    root = str(pathlib.Path(__file__).parent.parent.parent)
    for at in (1, 4):
        done = subprocess.run([sys.executable, "-c", CHILD.format(root=root), str(path), str(at)], capture_output=True, timeout=300, check=False)
        assert done.returncode == 9, done.stderr
        assert path.read_bytes() == old
    assert all(p.name.endswith(".part") for p in tmp_path.iterdir() if p != path)


def test_folders(tmp_path):
    target = tmp_path / "model"
    for version in ("old", "new"):
        with replacing_folder(target) as folder:
            (folder / "inner").mkdir()
            (folder / "inner" / "a").write_text(version)
        assert (target / "inner" / "a").read_text() == version
    with pytest.raises(ZeroDivisionError), replacing_folder(target) as folder:
        (folder / "a").write_text("half")
        raise ZeroDivisionError
    assert (target / "inner" / "a").read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_verify_and_notes(tmp_path):
    path = tmp_path / "x"
    write_bytes(path, b"old")

    def wrong(file):
        assert file.read() == b"new"
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output") as info, replacing(path, verify=wrong) as file:
        file.write(b"new")
    assert info.value.__notes__ == [f"{str(path)!r} is as it was before"]
    assert path.read_bytes() == b"old"


def test_large_pieces_set_out_for_the_disk_at_once(tmp_path, monkeypatch):
    """Those alone, each where it lies; whatever becomes of the hint, the file is flushed and whole."""
    hints, flushed, fsync = [], [], os.fsync
    monkeypatch.setattr(os, "posix_fadvise", lambda number, *rest: (hints.append(rest), full()), raising=False)
    monkeypatch.setattr(os, "POSIX_FADV_DONTNEED", 4, raising=False)
    monkeypatch.setattr(os, "fsync", lambda number: (flushed.append(len(hints)), fsync(number))[1])
    pieces = [numbers(5).tobytes(), bytes(range(256)) * 8192, b"x" * 3, b"y" * atomic.LARGE]
    with replacing(tmp_path / "x") as file:
        for piece in pieces:
            file.write(piece)
    assert (tmp_path / "x").read_bytes() == b"".join(pieces)
    first, _, third, fourth = (len(piece) for piece in pieces)
    assert len(hints) == 2 and sum(size for _, size, _ in hints) <= 2 * atomic.LARGE + third + fourth
    for (place, size, begin), begins in zip(hints, (first, first + 2 * atomic.LARGE), strict=True):
        assert size >= atomic.LARGE - 10_000 and begins - 10_000 <= place <= begins + 10_000 and begin == 4
    assert flushed[0] == 2, "the flush comes after them"


def test_the_largest_pieces_are_written_in_parts(tmp_path, monkeypatch):
    """So that the first of them is on its way to the disk while the next is copied; nothing is lost at the seams."""
    hints, whole = [], np.random.default_rng(2).integers(0, 1 << 32, atomic.MOST // 2 + 3, "uint32")  # two parts, and 12 bytes
    monkeypatch.setattr(os, "posix_fadvise", lambda number, *rest: hints.append(rest), raising=False)
    monkeypatch.setattr(os, "POSIX_FADV_DONTNEED", 4, raising=False)
    with replacing(tmp_path / "x") as file:
        assert file.write(whole.data) == whole.nbytes
        assert file.tell() == whole.nbytes
    assert (tmp_path / "x").read_bytes() == whole.tobytes()
    assert hints == [(0, atomic.MOST, 4), (atomic.MOST, atomic.MOST, 4)]


@pytest.mark.skipif(os.name == "nt", reason="links and permissions of POSIX")
def test_links_and_permissions_stay(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    os.chmod(tmp_path / "real", 0o640)
    (tmp_path / "link").symlink_to("real")
    write_bytes(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o640


def test_names_with_spaces_and_other_letters(tmp_path):
    path = tmp_path / "mein Modell é.keras"
    model = model_of(3)
    model.save(path)
    np.testing.assert_array_equal(nyala.saving.load_model(path).get_weights()[0], model.get_weights()[0])


def test_places_that_cannot_be_written(tmp_path):
    model = model_of(3)
    with pytest.raises(ValueError, match="needs a path in a folder that exists"):
        model.save(tmp_path / "no" / "x.keras")
    (tmp_path / "folder.weights.h5").mkdir()
    with pytest.raises(ValueError, match="needs the path of a file, got the folder"):
        model.save_weights(tmp_path / "folder.weights.h5")
    model.save(tmp_path / "x.keras")
    with pytest.raises(ValueError, match="needs a path where no file is"):
        model.save(tmp_path / "x.keras", overwrite=False)
