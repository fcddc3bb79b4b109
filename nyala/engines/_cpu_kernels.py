# SPDX-License-Identifier: Apache-2.0
"""Builds the kernels for CPUs with the compiler of this machine, once, into the user's cache folder.

The library lies there under a name made of its source, the compiler, its flags, the processor and XLA's version, so that what is found under it
fits, and of a hash of what is in it, so that a damaged one is noticed before it is loaded.
A folder or file that others can write to is not trusted. Where there is no compiler, or it fails, there are no kernels, and XLA computes.
Knows no array library. Start at Build.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib.metadata
import importlib.util
import os
import pathlib
import platform
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time

SOURCE = pathlib.Path(__file__).with_name("_jax_kernels.cc")
FLAGS = ["-O3", "-std=c++20", "-fPIC", "-fno-exceptions", "-fno-rtti", "-fvisibility=hidden", "-w", "-x", "c++"]
SECONDS = 120  # after which a compiler is given up
KEPT = 8  # libraries in the folder


def user_cache() -> pathlib.Path:
    """The folder in which programs of this user keep what they can make again."""
    if sys.platform == "win32":
        return pathlib.Path(os.environ.get("LOCALAPPDATA") or pathlib.Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return pathlib.Path.home() / "Library" / "Caches"
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")


class Build:
    """The library of kernels, being made by a thread if it is not there yet.

    Attributes:
        key: the part of its name that is made of all that it depends on; "" if there cannot be one.
        fresh: whether it was compiled just now, and nobody has looked at its results.
        command: how its source is compiled, but for which half of it, and the place of the result.
        problem: why there is none, as `nyala info` shows; "" if there is one.
    """

    def __init__(self) -> None:
        self.key, self.fresh, self.problem = "", False, ""
        self._folder: pathlib.Path | None = None
        self.command: list[str] = []
        self._thread: threading.Thread | None = None
        try:
            self._start()
        except ValueError as error:
            self.problem = str(error)
        except (OSError, RuntimeError, ImportError) as error:  # RuntimeError: no home
            self.problem = f"{type(error).__name__}: {error}"

    def _start(self) -> None:
        if os.environ.get("NYALA_KERNELS", "").lower() in ("off", "0", "no", "false"):
            raise ValueError("NYALA_KERNELS says so")
        if os.name != "posix":
            raise ValueError("they are made on Linux and macOS only")
        compiler = _compiler()
        if compiler is None:
            raise ValueError("no C++ compiler found (c++, g++ or clang++)")
        package = importlib.util.find_spec("jaxlib")
        if package is None or not package.submodule_search_locations:
            raise ValueError("jaxlib is not installed")
        headers = pathlib.Path(package.submodule_search_locations[0]) / "include"
        if not (headers / "xla" / "ffi" / "api" / "c_api.h").is_file():
            raise ValueError("this jaxlib has no headers")
        native = "-mcpu=native" if platform.machine() in ("arm64", "aarch64") else "-march=native"
        status = os.stat(compiler)
        facts = [*FLAGS, native, compiler, str(status.st_size), str(status.st_mtime_ns), importlib.metadata.version("jaxlib"), _processor()]
        self.key = hashlib.sha256(b"\0".join([SOURCE.read_bytes(), *(fact.encode() for fact in facts)])).hexdigest()[:16]
        folder = _own_folder(user_cache() / "nyala" / "kernels")
        self.command = [compiler, *FLAGS, native, f"-I{headers}", str(SOURCE)]
        refused = folder / f"{self.key}.refused"
        if refused.is_file():
            raise ValueError(f"{refused.read_text(encoding='utf-8', errors='replace').strip()} (delete {refused} to try again)")
        self._folder = folder
        if self._found() is None:
            self._thread = threading.Thread(target=self._compile, args=(folder,), daemon=True, name="nyala-kernels")
            self._thread.start()

    def _found(self) -> pathlib.Path | None:
        """The library, whole and written by this user."""
        if self._folder is None:
            return None
        for path in self._folder.glob(f"{self.key}-*.so"):
            with contextlib.suppress(OSError, ValueError):
                _check_ours(path)
                if path.name == self._name(path.read_bytes()):
                    return path
            path.unlink(missing_ok=True)
        return None

    def _name(self, content: bytes) -> str:
        return f"{self.key}-{hashlib.sha256(content).hexdigest()[:16]}.so"

    def _compile(self, folder: pathlib.Path) -> None:
        """Write the library beside its place, then put it there: nobody sees half of one."""
        try:
            with tempfile.TemporaryDirectory(prefix="build-", dir=folder) as place:
                made, halves = pathlib.Path(place) / "kernels.so", [f"{place}/{half}.o" for half in (1, 2)]
                self.problem = _run_all([[*self.command, "-c", f"-DPART={i}", "-o", half] for i, half in enumerate(halves, 1)])
                self.problem = self.problem or _run_all([[self.command[0], "-shared", *halves, "-o", str(made)]])
                if self.problem:
                    return
                made.chmod(0o600)
                self.fresh = True
                made.replace(folder / self._name(made.read_bytes()))
            _forget_old(folder)
        except (OSError, subprocess.SubprocessError) as error:
            self.problem = f"{type(error).__name__}: {error}"

    def library(self) -> ctypes.CDLL | None:
        """The loaded library, once it is made; None, with the attribute `problem`, if there is none."""
        if self._thread is not None:
            self._thread.join()
        path = None if self.problem else self._found()
        if path is None:
            self.problem = self.problem or "the library was deleted as soon as it was made"
            return None
        try:
            library = ctypes.CDLL(str(path))
            os.utime(path)  # in use
            return library
        except OSError as error:
            self.problem = f"{type(error).__name__}: {error}"
            return None

    def refuse(self, problem: str) -> None:
        """Take away a library whose results are wrong, and do not make it again."""
        self.problem = problem
        path = self._found()
        if path is not None:
            with contextlib.suppress(OSError):
                (path.parent / f"{self.key}.refused").write_text(problem, encoding="utf-8")
                path.unlink(missing_ok=True)


def _run_all(commands: list[list[str]]) -> str:
    """Run compilers side by side. Why one failed, in one line; "" if none did."""
    running: list[subprocess.Popen[str]] = []
    try:
        for command in commands:
            running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"))
        for process in running:
            said = process.communicate(timeout=SECONDS)[0].splitlines()
            if process.returncode:
                lines = [line for line in said if "error" in line.lower()] or said or ["it said nothing"]
                return f"{process.args[0]} failed: {lines[0].strip()[:300]}"  # pyright: ignore[reportIndexIssue]
    finally:
        for process in running:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
    return ""


def _compiler() -> str | None:
    """The path of the compiler that the environment names in CXX, or of the first that is found."""
    names = [os.environ["CXX"]] if os.environ.get("CXX") else ["c++", "g++", "clang++"]
    return next((os.path.realpath(path) for path in map(shutil.which, names) if path), None)


def _processor() -> str:
    """What tells processors apart for which code is made; homes may be shared by machines."""
    with contextlib.suppress(OSError):
        lines = pathlib.Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
        wanted = ("vendor_id", "cpu family", "model", "flags", "Features", "CPU part")
        return "\n".join(sorted({line for line in lines if line.partition(":")[0].strip() in wanted}))
    return f"{platform.machine()} {platform.processor()} {platform.release()}"


def _own_folder(folder: pathlib.Path) -> pathlib.Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    _check_ours(folder)
    return folder


def _check_ours(path: pathlib.Path) -> None:
    """ValueError if another user could have written there."""
    status = os.stat(path)
    if status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ValueError(f"{path} can be written by other users; fix: chmod go-w, or name another folder in XDG_CACHE_HOME")


def _forget_old(folder: pathlib.Path) -> None:
    with contextlib.suppress(OSError):
        for path in sorted(folder.glob("*.so"), key=lambda path: path.stat().st_mtime, reverse=True)[KEPT:]:
            path.unlink(missing_ok=True)
        for path in folder.glob("build-*"):  # of processes that ended before their compiler
            if time.time() - path.stat().st_mtime > 2 * SECONDS:
                shutil.rmtree(path, ignore_errors=True)
