# SPDX-License-Identifier: Apache-2.0
"""Folders of checkpoints: whole or not there at every point of failure, damage found out, nothing of others' deleted, one writer."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading

import ml_dtypes
import numpy as np
import pytest

from nyala.core.errors import ArgumentTypeError, StateError
from nyala.files import checkpoint_lock
from nyala.files.checkpoint_state import decode, encode
from nyala.files.checkpoints import ARRAYS, MANIFEST, STATE, CheckpointFolder, read
from nyala.files.errors import CorruptFileError
from tests.training.tools import raises


def state(number):
    return {
        "number": number,
        "values": np.random.default_rng(number).normal(size=(3, 5)).astype("float32"),
        "history": [0.1, float("inf"), (None, True)],
    }


def same(a, b):
    return a["number"] == b["number"] and a["history"] == b["history"] and a["values"].tobytes() == b["values"].tobytes()


@pytest.fixture
def folder(tmp_path):
    """A folder with a space and a letter beyond ASCII in its name, with two checkpoints."""
    with CheckpointFolder(tmp_path / "a rün") as folder:
        folder.write(state(1))
        folder.write(state(2))
    return folder


def names(folder):
    return sorted(os.listdir(folder.path))


# States -------------------------------------------------------------------------------------------------------------------------------


def test_values_come_back_as_they_were(tmp_path):
    random = np.random.default_rng(0)
    value = {
        "floats": [0.1, -0.0, 5e-324, float("nan"), float("-inf"), 1e308],
        "integers": (2**70, -3, True, None),
        "text": 'ä "quoted" \\',
        "empty": [{}, [], (), np.zeros((0, 3), "int8")],
        "arrays": {
            dtype: (random.normal(size=(2, 3)) * 50).astype(dtype)
            for dtype in ("bool", "uint8", "int16", "uint64", "float16", "float64", "complex64")
        },
        "order": np.asfortranarray(random.normal(size=(3, 4))),
        "big end first": np.arange(5, dtype=">i4"),
        "scalars": [np.float32(0.3), np.int64(-(2**40)), np.array(1.5)],
        "bfloat16": random.normal(size=7).astype(ml_dtypes.bfloat16),
        "float8": random.normal(size=4).astype(ml_dtypes.float8_e4m3fn),
    }
    with CheckpointFolder(tmp_path) as folder:
        got = read(folder.write(value))
    assert repr(got["floats"]) == repr(value["floats"])
    for name in ("integers", "text"):
        assert got[name] == value[name]
        assert type(got[name]) is type(value[name])
    assert got["empty"][:3] == [{}, [], ()]
    assert got["empty"][3].shape == (0, 3)
    pairs = [(got["arrays"][d], a) for d, a in value["arrays"].items()]
    pairs += [(got[n], value[n]) for n in ("order", "bfloat16", "float8")] + list(zip(got["scalars"], value["scalars"], strict=True))
    for new, old in pairs:
        assert new.dtype == old.dtype
        assert type(new) is type(old)
        np.testing.assert_array_equal(new, old)
    assert got["big end first"].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("value", [object(), {1: 2}, np.array(["a"]), np.array([None]), b"ab", {"deep": [set()]}, np.array(["2020"], "M8[Y]")])
def test_what_is_no_plain_value_is_refused(value):
    with pytest.raises(ArgumentTypeError, match=r"^the state needs numbers, strings, None, arrays of numbers, and lists"):
        encode({"a": value})


@pytest.mark.parametrize("value", [{"list": []}, {"dict": [], "tuple": []}, {"float": "1.0"}, {"array": "0"}, {"tuple": {}}])
def test_what_encode_does_not_make_is_not_decoded(value):
    with pytest.raises(CorruptFileError):
        decode(value, lambda i: np.zeros(1))


# Old or new, never half ------------------------------------------------------------------------------------------------------------------

CRASHES = """
import errno, io, os, pathlib, shutil, sys, warnings
sys.path.insert(0, os.getcwd())
from tests.files.test_checkpoints import CheckpointFolder, same, state

mode, root = sys.argv[1], pathlib.Path(sys.argv[2])
count = limit = 0

def point(*_):
    global count
    count += 1
    if count == limit:
        if mode == "die":
            os._exit(7)
        raise OSError(errno.EIO, "made up")

def before(function):
    def call(*args, **kwargs):
        point()
        return function(*args, **kwargs)
    return call

class Counting:
    def __init__(self, file): self.file = file
    def write(self, part):
        half = memoryview(part)[: len(part) // 2]
        self.file.write(half); self.file.flush()
        point()
        self.file.write(memoryview(part)[len(half):])
    def __enter__(self): return self
    def __exit__(self, *_): self.file.close()
    def __getattr__(self, name): return getattr(self.file, name)

real_open = io.open
def opened(path, mode="r", *args, **kwargs):
    file = real_open(path, mode, *args, **kwargs)
    return Counting(file) if "x" in mode and "checkpoint" in str(path) else file

def attempt(place):
    global count
    with CheckpointFolder(place) as folder:
        count = 0
        io.open = opened
        for name in ("fsync", "replace", "rename", "unlink", "rmdir", "mkdir"):
            setattr(os, name, before(getattr(os, name)))
        folder.write(state(3))
        folder.retain(2)

seen = set()
for limit in range(1, 1000):
    place = root / f"{mode}-{limit}"
    with CheckpointFolder(place) as folder:
        folder.write(state(1)); folder.write(state(2))
    (place / "mine.txt").write_text("mine")
    child = os.fork()
    if child == 0:
        try:
            attempt(place)
        except OSError as error:
            os._exit(5 if "made up" in str(error) else 6)
        except BaseException:
            import traceback; traceback.print_exc()
            os._exit(6)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 7 if mode == "die" else 5), (limit, code)
    with CheckpointFolder(place) as folder:
        path, found = folder.newest()
        assert any(same(found, state(n)) for n in (2, 3)), limit
        seen.add(found["number"])
        assert (place / "mine.txt").read_text() == "mine"
        left = [n for n in os.listdir(place) if not n.startswith("checkpoint-")]
        assert sorted(left) in (["lock.json", "mine.txt"],), (limit, left)
        assert len(folder.paths()) >= 2
        folder.write(state(4)); folder.retain(2)
        assert folder.newest()[1]["number"] == 4
    shutil.rmtree(place)
    if code == 0:
        break
assert seen == {2, 3}, seen
print(limit - 1)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("mode", ["die", "raise"])
def test_every_point_of_failure(mode, tmp_path):
    """A process ends, or the disk fails, at the n-th write, flush, rename or deletion, for every n."""
    done = subprocess.run([sys.executable, "-c", CRASHES, mode, str(tmp_path)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 15


FULL = """
import os, resource, signal, sys
sys.path.insert(0, os.getcwd())
import numpy as np
from nyala.files.checkpoints import CheckpointFolder
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with CheckpointFolder(sys.argv[1]) as folder:
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    try:
        folder.write({"values": np.zeros(10_000)})
    except OSError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of that kind there")
def test_a_file_that_cannot_grow(folder):
    done = subprocess.run([sys.executable, "-c", FULL, str(folder.path)], capture_output=True, text=True, timeout=100)
    assert "File too large" in done.stdout, done.stderr
    assert names(folder) == ["checkpoint-00000001", "checkpoint-00000002"]
    assert same(folder.newest()[1], state(2))


def test_a_full_disk_is_said_before_anything_is_written(folder, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 90, 10))
    with folder, pytest.raises(OSError, match="60 bytes are needed for a checkpoint and 10 are free"):
        folder.write(state(3))
    assert len(folder.paths()) == 2


def test_a_path_that_is_a_file(tmp_path):
    (tmp_path / "f").write_text("x")
    with raises(StateError, f"checkpoints({str(tmp_path / 'f')!r}) needs a folder, got a file."), CheckpointFolder(tmp_path / "f"):
        pass


# Damage -----------------------------------------------------------------------------------------------------------------------------------


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << (position % 8)
    path.write_bytes(content)


def link(path):
    shutil.copy(path, path.parent.parent / "elsewhere")
    path.unlink()
    path.symlink_to(path.parent.parent / "elsewhere")


DAMAGES = {
    "a bit at the start": lambda path: flip(path, 0),
    "a bit in the middle": lambda path: flip(path, path.stat().st_size // 2),
    "a bit at the end": lambda path: flip(path, path.stat().st_size - 1),
    "cut off": lambda path: os.truncate(path, path.stat().st_size - 1),
    "empty": lambda path: os.truncate(path, 0),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b" "),
    "gone": lambda path: path.unlink(),
    "a link": link,
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("file", [MANIFEST, STATE, ARRAYS])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_and_the_one_before_used(damage, file, folder):
    newest = folder.paths()[-1]
    DAMAGES[damage](newest / file)
    with folder:
        with pytest.warns(UserWarning, match="checkpoint-00000002 is damaged, set aside as bad-checkpoint-00000002: "):
            path, found = folder.newest()
        assert path.name == "checkpoint-00000001"
        assert same(found, state(1))
        assert folder.write(state(3)).name == "checkpoint-00000003"  # the number of a bad one is not used again
        folder.retain(1)
        folder.clear()
    assert "bad-checkpoint-00000002" in names(folder)


def test_every_byte_of_a_manifest_counts(folder):
    path = folder.paths()[-1]
    whole = (path / MANIFEST).read_bytes()
    for position in range(len(whole)):
        for bit in (1, 32):  # the second one changes the case of letters
            (path / MANIFEST).write_bytes(whole[:position] + bytes([whole[position] ^ bit]) + whole[position + 1 :])
            with pytest.raises(CorruptFileError):
                read(path)
    (path / MANIFEST).write_bytes(whole)
    assert same(read(path), state(2))


def test_a_run_is_not_begun_anew_when_nothing_is_whole(folder):
    for path in folder.paths():
        flip(path / ARRAYS, 7)
    text = (
        f"checkpoints({str(folder.path)!r}) needs a whole checkpoint, got 2 damaged, the last of them bad-checkpoint-00000002.\n"
        "  why: a run that was under way is not begun again in silence\n"
        "  fix: copy the folder from a backup; or remove them, or name another folder, to begin from the start"
    )
    with folder, pytest.warns(UserWarning, match="is damaged"), raises(StateError, text):
        folder.newest()
    with folder, raises(StateError, text):  # nor the next time
        folder.newest()


def test_checkpoints_of_a_newer_nyala_are_left_as_they_are(folder, monkeypatch):
    monkeypatch.setattr("nyala.files.checkpoints.FORMAT", 2)
    with folder:
        folder.write(state(3))
    monkeypatch.undo()
    with folder, pytest.raises(StateError, match="needs format 1, got 2"):
        folder.newest()
    assert len(folder.paths()) == 3


def test_copies_are_as_good(folder, tmp_path):
    shutil.copytree(folder.path, tmp_path / "copy")  # with other times of the files
    assert same(CheckpointFolder(tmp_path / "copy").newest()[1], state(2))
    assert CheckpointFolder(tmp_path / "nothing").newest() is None
    assert not (tmp_path / "nothing").exists()


# What belongs to others -------------------------------------------------------------------------------------------------------------------


def test_files_of_others_survive(folder):
    mine = [folder.path / "notes.txt", folder.path / "checkpoint-1", folder.path / ".checkpoint-00000009.part"]
    for path in mine:
        path.write_text("mine")
    inside = folder.paths()[0] / "notes.txt"
    inside.write_text("mine, too")
    with folder:
        folder.write(state(3))
        folder.retain(2)
        assert (folder.path / "rest-of-checkpoint-00000001" / "notes.txt").read_text() == "mine, too"
        folder.clear()
        assert folder.paths() == []
    folder.remove_if_empty()
    assert [path.read_text() for path in mine] == ["mine"] * 3
    assert os.listdir(folder.path / "rest-of-checkpoint-00000001") == ["notes.txt"]


# One writer -------------------------------------------------------------------------------------------------------------------------------

HOLDER = """
import os, sys, time
sys.path.insert(0, os.getcwd())
from nyala.files.checkpoints import CheckpointFolder
with CheckpointFolder(sys.argv[1]):
    print("has it", flush=True)
    time.sleep(100)
"""


def test_two_processes(folder):
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(folder.path)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "has it\n"
            text = (
                f"checkpoints({str(folder.path)!r}) needs to be the only writer, got a lock of process {process.pid} on this machine.\n"
                "  fix: wait for it, or use another folder"
            )
            with raises(StateError, text), folder:
                pass
            assert same(folder.newest()[1], state(2))  # looking is allowed
        finally:
            process.kill()
    with folder:  # the lock of a dead process is taken over
        folder.write(state(3))
    assert names(folder) == ["checkpoint-00000001", "checkpoint-00000002", "checkpoint-00000003"]


def test_the_same_process_twice(folder):
    with folder, pytest.raises(StateError, match="got a lock of this process itself, in another fit"), CheckpointFolder(folder.path):
        pass
    with folder:
        pass


def write_lock(folder, **owner):
    text = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "started": None, "token": "0", **owner})
    (folder.path / checkpoint_lock.NAME).write_text(text)


def test_a_process_number_that_was_used_before(folder):
    if checkpoint_lock._started(os.getpid()) is None:
        pytest.skip("this system does not tell when a process began")
    write_lock(folder, started="1")
    with folder:
        folder.write(state(3))


def test_a_lock_of_another_machine(folder):
    write_lock(folder, host="elsewhere", pid=12)
    lock = str(folder.path / checkpoint_lock.NAME)
    text = (
        f"checkpoints({str(folder.path)!r}) needs to be the only writer, got a lock of process 12 on 'elsewhere'.\n"
        f"  why: whether it is alive cannot be seen from here\n  fix: if it is no longer running, delete {lock!r}"
    )
    with raises(StateError, text), folder:
        pass
    (folder.path / checkpoint_lock.NAME).write_text("{")
    with pytest.raises(StateError, match="got a lock of someone unknown"), folder:
        pass


@pytest.mark.skipif(os.name == "nt", reason="no pipes there")
@pytest.mark.parametrize(
    "lock",
    [b"", b"x", b"[]", b"[" * 100_000, *(b'{"pid": %s, "host": "HERE"}' % pid for pid in (b"0", b"-1", b"1" + b"0" * 30, b'"1"', b"null")), "pipe",
        "folder", "link"],
    ids=lambda lock: str(lock)[:20],
)  # fmt: skip
def test_a_lock_that_nobody_here_wrote(lock, folder):
    """It is left as it is, whatever it says, and neither followed nor waited for."""
    path = folder.path / "lock.json"
    if lock == "pipe":
        os.mkfifo(path)
    elif lock == "folder":
        path.mkdir()
    elif lock == "link":
        path.symlink_to("/dev/zero")
    else:
        path.write_bytes(lock.replace(b"HERE", socket.gethostname().encode()))
    with pytest.raises(StateError, match=r"needs to be the only writer, got a lock of someone unknown"), CheckpointFolder(folder.path):
        pass
    assert os.path.lexists(path)


def test_a_lock_that_was_taken_away_stops_the_writer(folder):
    with folder:
        os.remove(folder.path / checkpoint_lock.NAME)
        write_lock(folder)
        with pytest.raises(StateError, match="got a lock that is gone or another's"):
            folder.write(state(3))
    assert len(folder.paths()) == 2
    assert (folder.path / checkpoint_lock.NAME).exists()  # it is another's
    os.remove(folder.path / checkpoint_lock.NAME)


@pytest.mark.skipif(checkpoint_lock.fcntl is None, reason="file locks of the system are needed")
def test_who_takes_a_stale_lock_over_is_waited_for(folder, monkeypatch):
    """One that was slow after it had found the owner dead would take the lock of one that was quick."""
    write_lock(folder, pid=2**22 + 1)
    is_alive, asked, go_on = checkpoint_lock._is_alive, threading.Event(), threading.Event()
    first, second = (checkpoint_lock.Lock(folder.path, "here") for _ in range(2))
    got = {}

    def slow(pid):
        alive = is_alive(pid)
        if threading.current_thread() is taker:
            asked.set()
            assert go_on.wait(60)
        return alive

    def take(lock):
        try:
            lock.acquire()
            got[lock] = "it"
        except StateError as error:
            got[lock] = str(error)

    monkeypatch.setattr(checkpoint_lock, "_is_alive", slow)
    taker, other = (threading.Thread(target=take, args=[lock]) for lock in (first, second))
    taker.start()
    assert asked.wait(60)
    other.start()
    other.join(0.3)
    assert got == {}  # it waits
    go_on.set()
    taker.join()
    other.join()
    winner, loser = (first, second) if got[first] == "it" else (second, first)  # with the old one gone, either may be quicker
    assert got[winner] == "it"
    assert "this process itself, in another fit" in got[loser]
    winner.check()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="processes end otherwise there")
def test_only_one_takes_a_stale_lock_over(folder):
    for _ in range(20):
        write_lock(folder, pid=2**22 + 1)
        winners, losers = [], []

        def take(winners=winners, losers=losers):
            lock = checkpoint_lock.Lock(folder.path, "here")
            try:
                lock.acquire()
                lock.check()
                winners.append(lock)
            except StateError:
                losers.append(lock)

        threads = [threading.Thread(target=take) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(winners) <= 1
        assert len(winners) + len(losers) == 6
        for lock in winners:
            lock.release()
        assert [n for n in names(folder) if not n.startswith("checkpoint")] in ([], [checkpoint_lock.NAME])
