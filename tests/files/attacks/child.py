# SPDX-License-Identifier: Apache-2.0
"""The limited process in which files of the table are opened: little memory, an empty folder, no network, and everything it does is written down.

Reads jobs as JSON from standard input, one a line, and answers each with one line: what came out and what was done on the way. What would run code,
start a process or connect is stopped as well. Start at main.
"""

from __future__ import annotations

import gc
import importlib
import json
import mimetypes
import os
import pathlib
import pkgutil
import sys
import time
import warnings
from typing import Any

ROOM = 512 << 20  # bytes of address space beside what the process has when it begins
LARGEST_FILE = 64 << 20
SECONDS = 20  # of computing, for one file
WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
FORBIDDEN = frozenset({
    "marshal.loads", "marshal.load", "pickle.find_class", "socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto",
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.startfile", "ctypes.dlopen", "ctypes.dlsym",
    "code.__new__", "import", "os.link", "os.symlink", "os.putenv", "os.unsetenv", "os.chown", "webbrowser.open", "ftplib.connect",
    "smtplib.connect", "os.kill", "builtins.input",
})  # fmt: skip
CHANGES = {"os.rename": 2, "os.mkdir": 1, "os.remove": 1, "os.rmdir": 1, "os.chmod": 1, "os.truncate": 1, "shutil.rmtree": 1, "os.utime": 1}
FOLDERS = {"os.rename": 2, "os.mkdir": 2, "os.remove": 1, "os.rmdir": 1}  # which arguments are open folders that names begin at
LIBRARY = tuple(os.path.realpath(path) + os.sep for path in {sys.prefix, sys.base_prefix, *sys.path, __file__.partition("attacks")[0]} if path)


class Recorder:
    """An audit hook that keeps what an honest reader never does."""

    def __init__(self) -> None:
        self.on = False
        self.seen: list[str] = []
        self.writable: tuple[str, ...] = ()
        self.readable: tuple[str, ...] = ()
        self.canary = ""
        sys.addaudithook(self.hook)

    def hook(self, event: str, arguments: tuple) -> None:
        if not self.on:
            return
        if event == "open":
            self.opened(*arguments)
        elif event in FORBIDDEN:
            self.note(f"{event} {str(arguments)[:120]}")
            raise PermissionError(f"{event} {str(arguments)[:60]} is forbidden here")
        elif event in CHANGES:
            for path, folder in zip(arguments[: CHANGES[event]], (*arguments[FOLDERS.get(event, len(arguments)) :], -1, -1), strict=False):
                place = os.path.join(f"/proc/self/fd/{folder}", os.fsdecode(path)) if isinstance(folder, int) and folder >= 0 else path
                if not self.inside(place, self.writable):
                    self.note(f"{event} {path!r}")
        elif event == "exec":
            code = arguments[0]
            if not code.co_filename.startswith(LIBRARY):
                self.note(f"exec of {code.co_filename!r}")
                raise PermissionError(f"exec of {code.co_filename!r} is forbidden here")
        elif event == "compile" and arguments[1] not in ("<unknown>", b"<unknown>"):  # literals, as in the header of an array
            self.note(f"compile {arguments[1]!r}")

    def opened(self, path: Any, mode: Any, flags: Any) -> None:
        if isinstance(path, int) or path == "/proc/self/statm":  # a file that is open already; what the system tells of this process
            return
        if mode is None and not flags & WRITE and os.sep not in os.fsdecode(path):  # below a folder that is open, as shutil.rmtree does
            return
        allowed = self.writable if flags & WRITE else self.writable + self.readable + LIBRARY
        if not self.inside(path, allowed) or (self.canary and os.path.realpath(os.fsdecode(path)).startswith(self.canary)):
            self.note(f"open {os.fsdecode(path)!r} {mode}")

    def inside(self, path: Any, folders: tuple[str, ...]) -> bool:
        place = os.path.realpath(os.fsdecode(path)) + os.sep
        return place.startswith(folders)

    def note(self, what: str) -> None:
        if len(self.seen) < 20:
            self.seen.append(what)


def load_everything() -> None:
    """Import all modules of the package, so that an import later is one that a file asked for."""
    import nyala

    for name in (
        "mimetypes",
        "ftplib",
        "email.utils",
        "nturl2path",
        "encodings.idna",
        "bz2",
        "lzma",
        "stringprep",
    ):  # what the library of Python loads late
        importlib.import_module(name)
    mimetypes.init()  # reads the lists of the system
    for module in pkgutil.walk_packages(nyala.__path__, "nyala."):
        if not module.name.startswith(("nyala.engines.", "nyala.testing", "nyala.export")):
            try:
                importlib.import_module(module.name)
            except ImportError:
                continue


def limit() -> None:
    """Bound address space and files, where the system can."""
    try:
        import resource
    except ImportError:
        return
    size = _status("VmSize")
    if size:
        resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, size + ROOM))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def limit_seconds() -> None:
    """End this process if one more file takes too long."""
    try:
        import resource
    except ImportError:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + SECONDS + 1, resource.RLIM_INFINITY))


def _status(key: str) -> int:
    """A number of bytes that the system tells of this process; 0 where it does not."""
    try:
        text = pathlib.Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith(key + ":")), 0)


def _forget_peak() -> None:
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except OSError:
        pass


def _settings() -> list[Any]:
    """What a file must never change."""
    import nyala
    from nyala.core import serialization

    names = sorted(serialization.get_custom_objects())
    policy = nyala.dtype_policies.dtype_policy().name if hasattr(nyala.dtype_policies, "dtype_policy") else nyala.config.dtype_policy().name
    return [
        nyala.config.floatx(), nyala.config.epsilon(), nyala.config.image_data_format(), policy, names,
        len(serialization._custom.scopes), sorted(os.environ.items()), list(sys.path), os.getcwd(), sys.getrecursionlimit(),
    ]  # fmt: skip


def run(job: dict[str, Any], recorder: Recorder, context: Any) -> dict[str, Any]:
    """Open one file through one door."""
    from nyala.core.errors import NyalaError
    from tests.files.attacks.doors import DOORS, LOADING_WEIGHTS, Refused

    function = job["door"].rpartition(":")[2]
    before = _settings()
    gc.collect()
    _forget_peak()
    size, started = _status("VmRSS"), time.process_time()
    answer: dict[str, Any] = {"id": job["id"]}
    recorder.readable = (os.path.realpath(job["folder"]) + os.sep,)
    recorder.writable = context.writable + (recorder.readable if job.get("writes") else ())
    recorder.on, recorder.seen = True, []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answer |= {"kind": "loaded", "numbers": DOORS[function](job["path"], job["twin"], context)}
    except NyalaError as error:
        answer |= {"kind": "refused", "error": type(error).__name__, "rules": [getattr(error, "rule", "")], "text": str(error)[:600]}
    except Refused as error:
        answer |= {"kind": "refused", "error": "printed", "rules": error.rules, "text": str(error)[:600]}
    except BaseException as error:
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        at = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place is not None else ""
        answer |= {"kind": "raised", "error": type(error).__name__, "text": f"{str(error)[:400]} at {at}"}
    finally:
        recorder.on = False
    answer |= {"seconds": round(time.process_time() - started, 3), "seen": recorder.seen, "grown": max(0, _status("VmHWM") - size)}
    if _settings() != before:
        answer["seen"].append("a setting was changed")
    if answer["kind"] != "loaded" and function in LOADING_WEIGHTS and any(w.numpy().any() for w in context.targets[job["twin"]].weights):
        answer["seen"].append("a model was changed though the file was refused")
    return answer


def main() -> None:
    """Answer jobs until there are no more. The first line says where to work, and which good files the models come from."""
    begin = json.loads(sys.stdin.readline())
    recorder = Recorder()
    load_everything()
    import nyala
    from tests.files.attacks.doors import Context

    os.chdir(begin["folder"])
    os.environ["TMPDIR"] = begin["temporary"]
    context = Context()
    for name, path in begin["targets"].items():
        context.targets[name] = nyala.saving.load_model(path, compile=False)
    recorder.canary = os.path.realpath(begin["canary"])
    context.writable = tuple(os.path.realpath(path) + os.sep for path in (begin["temporary"], pathlib.Path(begin["folder"], "out")))
    sys.path.insert(0, begin["planted"])  # modules that only a file could ask for
    gc.collect()
    gc.freeze()  # so that collecting is quick
    limited = False
    for line in sys.stdin:
        job = json.loads(line)
        if not limited:
            limit()
            limited = True
        limit_seconds()
        print(json.dumps({"begins": job["id"]}), flush=True)
        answer = run(job, recorder, context)
        answer["left"] = sorted(os.listdir(begin["temporary"]))[:5]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
