# SPDX-License-Identifier: Apache-2.0
"""One writer at a time: a file that names the process which writes into a folder. Locks of processes that have ended are taken over.

Start at Lock.acquire.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import secrets
import socket
import stat
import sys
from collections.abc import Iterator

from nyala.core.errors import StateError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

NAME = "lock.json"
LARGEST = 4096


class Lock:
    """The right to write into a folder.

    Args:
        folder: that exists.
        where: who wants it, for errors.
    """

    def __init__(self, folder: pathlib.Path, where: str) -> None:
        self.path, self.where = folder / NAME, where
        self._text: bytes | None = None

    def acquire(self) -> None:
        """Take the lock. Raises StateError while another process, or another fit of this one, has it."""
        owner = {"pid": os.getpid(), "host": socket.gethostname(), "started": _started(os.getpid()), "token": secrets.token_hex(8)}
        text = json.dumps(owner).encode()
        own = self.path.with_name(f".{NAME}.{owner['token']}.part")
        try:
            own.write_bytes(text)
            while not self._link(own):
                with _alone(self.path.with_name(f".{NAME}.taking")):  # else a slow taker could remove the lock of a quick one
                    self._remove_stale()
        finally:
            own.unlink(missing_ok=True)
        self._text = text

    def _link(self, own: pathlib.Path) -> bool:
        """Give the file that names this process the name of the lock, unless there is one; it is never seen half written."""
        try:
            os.link(own, self.path)
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            try:
                with self.path.open("xb") as file:
                    file.write(own.read_bytes())
            except FileExistsError:
                return False
        return True

    def _remove_stale(self) -> None:
        """Take away the lock of a process that is no more; raise if it may be alive."""
        text = self._read()
        if text is None:
            return
        owner = _owner(text)
        if owner is None or owner.get("host") != socket.gethostname():
            who = f"process {owner.get('pid')} on {owner.get('host')!r}" if owner else "someone unknown"
            fix = f"if it is no longer running, delete {str(self.path)!r}"
            raise StateError(
                self.where, need="to be the only writer", got=f"a lock of {who}", why="whether it is alive cannot be seen from here", fix=fix
            )
        pid = owner.get("pid")
        if type(pid) is int and _is_alive(pid) and owner.get("started") in (None, _started(pid)):
            who = "this process itself, in another fit" if pid == os.getpid() else f"process {pid} on this machine"
            raise StateError(self.where, need="to be the only writer", got=f"a lock of {who}", fix="wait for it, or use another folder")
        stale = self.path.with_name(f".{NAME}.{secrets.token_hex(8)}.stale")  # only one of several takers can rename it
        with contextlib.suppress(FileNotFoundError):
            os.rename(self.path, stale)
            taken = stale.read_bytes()
            if taken != text and not self._link(stale):  # it was a new one, of someone who was quicker: put it back
                raise StateError(self.where, need="to be the only writer", got="another process that took the folder at this moment")
            stale.unlink()

    def check(self) -> None:
        """Raise StateError if someone else has taken the lock since."""
        if self._text is None or self._read() != self._text:
            raise StateError(self.where, need="to be the only writer", got="a lock that is gone or another's", why="somebody removed it")

    def release(self) -> None:
        """Give the lock back, if it is still this one's."""
        if self._text is not None and self._read() == self._text:
            self.path.unlink(missing_ok=True)
        self._text = None

    def _read(self) -> bytes | None:
        """What the lock says; nothing, if it is no plain file, which is then of someone unknown."""
        try:
            if not stat.S_ISREG(self.path.lstat().st_mode):
                return b""
            with self.path.open("rb") as file:
                return file.read(LARGEST)
        except FileNotFoundError:
            return None


@contextlib.contextmanager
def _alone(path: pathlib.Path) -> Iterator[None]:
    """Inside, nobody else is inside with the same path; who dies is outside. Where the system cannot, everybody is."""
    if fcntl is None:
        yield
        return
    while True:
        number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
        try:
            with contextlib.suppress(OSError):  # a file system without such locks
                fcntl.flock(number, fcntl.LOCK_EX)
            try:
                current = os.path.samestat(os.fstat(number), path.stat())
            except FileNotFoundError:  # who was inside before removed it
                current = False
            if current:
                try:
                    yield
                finally:
                    path.unlink(missing_ok=True)
                return
        finally:
            os.close(number)


def _owner(text: bytes) -> dict | None:
    try:
        owner = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return owner if isinstance(owner, dict) and type(owner.get("pid")) is int and 0 < owner["pid"] < 1 << 31 else None


def _is_alive(pid: int) -> bool:
    """Whether there is a process of this number on this machine."""
    if sys.platform == "win32":  # there, os.kill ends the process whatever the signal
        import ctypes

        query, still_active = 0x1000, 259
        kernel = ctypes.windll.kernel32
        handle = kernel.OpenProcess(query, False, pid)
        if not handle:
            return False
        code = ctypes.c_ulong()
        kernel.GetExitCodeProcess(handle, ctypes.byref(code))
        kernel.CloseHandle(handle)
        return code.value == still_active
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_dead(pid)


def _stat(pid: int) -> list[str]:
    """The fields that Linux tells of a process behind its name; nothing elsewhere."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _started(pid: int) -> str | None:
    """When a process began, by the kernel's count, to know it from a later one of the same number."""
    fields = _stat(pid)
    return fields[19] if len(fields) > 19 else None


def _is_dead(pid: int) -> bool:
    """Whether a process has ended and only waits for its parent to notice."""
    return _stat(pid)[:1] in (["Z"], ["X"])
