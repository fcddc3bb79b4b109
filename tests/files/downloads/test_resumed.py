# SPDX-License-Identifier: Apache-2.0
"""Downloads that break off, by the network or by the death of a process, and go on where they stopped."""

import contextlib
import email.utils
import hashlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time

import pytest

from nyala.files import transfers
from nyala.files.downloads import DownloadError
from tests.files.downloads.served import BODY, CHANGED, OTHER, SHA, Server, files, held, noted, start, until, whole
from tests.training.tools import raises

# Going on


def reset(handler):
    """Half an answer, and then no end but an abort."""
    handler.answer(cut=300_000)
    handler.wfile.flush()
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.rfile.close()


@pytest.mark.parametrize("tags", [{"ETag": '"a-1"'}, {"Last-Modified": CHANGED}, {"ETag": 'W/"weak"', "Last-Modified": CHANGED}], ids=str)
def test_a_broken_connection_is_gone_on_with(tags, get, capsys):
    Server.tags, Server.plan = tags, [500_000, 200_000]
    validator = tags.get("Last-Modified") or tags["ETag"]
    assert whole(get(file_hash=SHA))
    assert Server.asked == [(None, None), ("bytes=500000-", validator), ("bytes=700000-", validator)]
    assert Server.sent == [500_000, 200_000, 300_003]
    assert capsys.readouterr().out.splitlines()[1:] == ["Going on after 500,000 of 1,000,003 bytes", "Going on after 700,000 of 1,000,003 bytes"]


@pytest.mark.skipif(sys.platform == "win32", reason="aborts differ there")
def test_an_aborted_connection_is_gone_on_with(get):
    Server.plan = [reset]
    with contextlib.suppress(OSError):
        assert whole(get(file_hash=SHA))
    assert len(Server.asked) == 2  # how much came before the abort is for the system to say


def test_it_is_tried_a_few_times_and_then_by_the_next_call(get, server, tmp_path):
    Server.plan = [1000] * 5
    with raises(
        DownloadError,
        f"get_file({server!r}) needs the file, got no answer, or half of one: 5,000 of 1,000,003 bytes came.\n"
        "  why: 5,000 of 1,000,003 bytes are kept; the next call goes on after them\n"
        f"  fix: check the connection, or put the file at {str(tmp_path / 'x.bin')!r} yourself",
    ):
        get()
    assert len(Server.asked) == 5
    assert not (tmp_path / "x.bin").exists()
    assert whole(get())
    assert Server.asked[5:] == [("bytes=5000-", '"one"')]
    assert Server.sent[5:] == [len(BODY) - 5000]


def test_busy_servers_are_asked_again_once_something_came(get, interrupted):
    interrupted(file_hash=SHA)
    Server.plan = [lambda s: s.send_error(503)]
    with pytest.raises(DownloadError, match=r"needs the file, got the answer 503 Service Unavailable\.\n  why: 400,000 of 1,000,003 bytes are kept"):
        get(file_hash=SHA)
    assert len(Server.asked) == 1
    Server.plan = [100_000, lambda s: s.send_error(503), lambda s: s.send_error(429)]
    assert whole(get(file_hash=SHA))
    assert [span for span, _ in Server.asked[1:]] == ["bytes=400000-"] + ["bytes=500000-"] * 3


def test_ctrl_c_keeps_what_came(get, tmp_path, monkeypatch):
    read, count = transfers._read, 0

    def stopped(source):
        nonlocal count
        if count > 200_000:
            raise KeyboardInterrupt
        count += len(chunk := read(source))
        return chunk

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(transfers, "_read", stopped)
        get()
    assert not (tmp_path / "x.bin").exists()
    assert whole(get())
    assert Server.asked == [(None, None), (f"bytes={count}-", '"one"')]


def test_ctrl_c_while_the_old_part_is_read_keeps_it(get, interrupted, monkeypatch):
    class Stopped:
        def update(self, chunk):
            raise KeyboardInterrupt

    interrupted(file_hash=SHA)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(hashlib, "new", lambda *args, **options: Stopped())
        get(file_hash=SHA)
    assert whole(get(file_hash=SHA))
    assert Server.asked == [("bytes=400000-", '"one"')]


def test_ctrl_c_on_a_full_disk_is_still_ctrl_c(get, tmp_path, monkeypatch):
    def full(number):
        raise OSError(28, "No space left on device")

    def stopped(source):
        if asked:
            monkeypatch.setattr(os, "fsync", full)
            raise KeyboardInterrupt
        asked.append(1)
        return read(source)

    read, asked = transfers._read, []
    monkeypatch.setattr(transfers, "_read", stopped)
    with pytest.raises(KeyboardInterrupt):
        get()
    assert files(tmp_path) == []


WITHOUT_VERSION = {
    "nothing said": dict,
    "a weak tag": lambda: {"ETag": 'W/"one"'},
    "a tag that is none": lambda: {"ETag": "one"},
    "a tag that is too long": lambda: {"ETag": f'"{"a" * 300}"'},
    "changed just now": lambda: {"Last-Modified": email.utils.formatdate(usegmt=True)},
    "changed in the future": lambda: {"Last-Modified": "Sat, 01 Jan 2101 00:00:00 GMT"},
    "no date": lambda: {"Last-Modified": "yesterday"},
}


@pytest.mark.parametrize("tags", WITHOUT_VERSION.values(), ids=WITHOUT_VERSION)
def test_without_a_version_nothing_is_kept(tags, get, tmp_path):
    Server.tags, Server.plan = tags(), [500_000]
    with pytest.raises(DownloadError, match=r"500,000 of 1,000,003 bytes came\.\n  fix: check the connection"):
        get(file_hash=SHA)
    assert len(Server.asked) == 1
    assert files(tmp_path) == []
    assert whole(get(file_hash=SHA))
    assert Server.asked[1:] == [(None, None)]


@pytest.mark.parametrize("length", [None, "many", "-5", "\u00b2", "9" * 5000])
def test_lengths_that_are_none(length, get, tmp_path):
    Server.plan = [lambda s: s.answer(cut=500_000, Content_Length=length)]
    with pytest.raises(DownloadError, match="got one of 500,000 bytes whose sha256 is"):
        get(file_hash=SHA)
    assert len(Server.sent) == 1
    assert files(tmp_path) == []


# Processes


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
@pytest.mark.parametrize("digest", [[SHA], []], ids=["hash", "no hash"])
def test_a_killed_download_is_gone_on_with(digest, server, get, gate, tmp_path):
    Server.plan = [held(gate, 600_000)]
    with start(server, tmp_path, *digest) as process:
        until(lambda: noted(tmp_path) == 600_000)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "x.bin").exists()
    assert whole(get(file_hash=digest[0] if digest else None))
    assert Server.asked == [(None, None), ("bytes=600000-", '"one"')]
    assert Server.sent == [600_000, len(BODY) - 600_000]


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_who_waits_goes_on_where_the_killed_one_stopped(server, gate, tmp_path):
    Server.plan = [held(gate, 600_000)]
    with start(server, tmp_path, SHA) as first:
        until(lambda: noted(tmp_path) == 600_000)
        waiting = [start(server, tmp_path, SHA) for _ in range(2)]
        time.sleep(0.5)
        first.send_signal(signal.SIGKILL)
    said = [process.communicate(timeout=200) for process in waiting]
    assert [process.returncode for process in waiting] == [0, 0], said
    assert whole(tmp_path / "x.bin")
    assert Server.asked == [(None, None), ("bytes=600000-", '"one"')]  # one of them; the other found the file


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_a_note_is_gone_before_bytes_of_another_version_come(server, get, gate, interrupted, tmp_path):
    """A server that goes back to the old version after a death in the middle of the new one must not have the two joined."""
    part, _ = interrupted(300_000)

    def change(handler):
        Server.body, Server.tags = OTHER, {}
        held(gate, 600_000)(handler)

    Server.plan = [change]
    with start(server, tmp_path) as process:
        until(lambda: part.stat().st_size > 300_000 and part.read_bytes()[:999] == OTHER[:999])
        process.send_signal(signal.SIGKILL)
    Server.body, Server.tags = BODY, {"ETag": '"one"'}
    assert whole(get())
    assert Server.asked[1:] == [(None, None)]


EVENTS = """
import os, pathlib, signal, sys
from nyala import utils
from nyala.files import transfers
import nyala.files.downloads, nyala.utils.progbar
address, folder = sys.argv[1], pathlib.Path(sys.argv[2])
transfers.FLUSH, at, count = -1, int(sys.argv[3]), 0
def counted(function, action):
    def call(*args):
        global count
        count += 1
        if count == at:
            action()
        return function(*args)
    return call
def full():
    raise OSError(28, "No space left on device")
def get():
    return utils.get_file(origin=address, cache_dir=folder, cache_subdir="", force_download=True)
def die():
    os.kill(os.getpid(), signal.SIGKILL)
functions = [(os, "fsync"), (os, "replace"), (os, "unlink"), (transfers.Part, "write")]
functions = [(owner, name, getattr(owner, name)) for owner, name in functions]
path = folder / "x.bin"
new, old, deaths = path.read_bytes(), b"old", 0
while True:
    at += 1
    path.write_bytes(old)
    pid = os.fork() if sys.argv[4] == "die" else 0
    if not pid:
        count = 0
        for owner, name, function in functions:
            setattr(owner, name, counted(function, die if sys.argv[4] == "die" else full))
        try:
            get()
            ended = True
        except OSError as error:
            ended = False
            assert "No space" in str(error), error
        for owner, name, function in functions:
            setattr(owner, name, function)
        if sys.argv[4] == "die":
            os._exit(0)
    else:
        ended = os.waitpid(pid, 0)[1] == 0
    now = path.read_bytes()
    assert now in (old, new), "half a file"
    if ended:
        assert now == new
        break
    deaths += 1
    assert sys.argv[4] == "die" or sorted(os.listdir(folder)) == [".x.bin.lock", "x.bin"], os.listdir(folder)
    get()
    assert path.read_bytes() == new
    assert sorted(os.listdir(folder)) == [".x.bin.lock", "x.bin"], os.listdir(folder)
print("events", deaths)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
@pytest.mark.parametrize("how", ["die", "full"])
def test_old_or_new_at_every_point(how, server, get):
    """The process is killed, or the disk is full, at the n-th write, flush, cut and rename, for every n; the next call goes on, or begins anew."""
    Server.body = BODY[:90_000]
    path = get()
    done = subprocess.run(
        [sys.executable, "-c", EVENTS, server, str(path.parent), "0", how], capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout.split()[-1]) >= 5
    assert all(tag in (None, '"one"') for _, tag in Server.asked)


@pytest.mark.skipif(sys.platform == "win32", reason="no pread there")
def test_the_note_never_says_more_than_was_flushed(get, monkeypatch):
    flushed, fsync, save, seen = {}, os.fsync, transfers.Part.save, []

    def note_size(number):
        flushed[number] = os.fstat(number).st_size
        fsync(number)

    def look(part):
        save(part)
        seen.append((json.loads(os.pread(part.note.fileno(), 4096, 0))["size"], flushed[part.file.fileno()]))

    monkeypatch.setattr(os, "fsync", note_size)
    monkeypatch.setattr(transfers.Part, "save", look)
    monkeypatch.setattr(transfers, "FLUSH", -1)
    assert whole(get())
    assert len(seen) > 2
    assert all(said == on_disk for said, on_disk in seen)
