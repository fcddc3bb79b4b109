# SPDX-License-Identifier: Apache-2.0
"""Finds the library of kernels for this CPU: the one that was installed, or one that the compiler of this machine makes once, in the user's cache.

Installed wheels bring a library for each level of processors (`LEVELS`); whoever builds a wheel makes them with `make_installed`.
A library of the cache lies there under a name made of its source, the compiler, its flags, the processor and XLA's version, so that what is found
under it fits, and of a hash of what is in it, so that a damaged one is noticed before it is loaded.
A folder or file there that others can write to is not trusted. Where there is no compiler, or it fails, there are no kernels, and XLA computes.
Knows no array library, and imports nothing of Nyala. Start at Build.
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
INSTALLED = SOURCE.with_name("_kernels")  # the folder of libraries in an installed package
LEVELS = {  # of processors, the best first: what compilers call them, whose they are, and what /proc/cpuinfo shows of them
    "x86-64-v4": ("x86_64", "avx512f avx512bw avx512cd avx512dq avx512vl avx2 bmi1 bmi2 f16c fma abm movbe"),
    "x86-64-v3": ("x86_64", "avx2 bmi1 bmi2 f16c fma abm movbe"),
    "armv8-a": ("aarch64", ""),
}


def user_cache() -> pathlib.Path:
    """The folder in which programs of this user keep what they can make again."""
    if sys.platform == "win32":
        return pathlib.Path(os.environ.get("LOCALAPPDATA") or pathlib.Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return pathlib.Path.home() / "Library" / "Caches"
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")


class Build:
    """The library of kernels, being made by a thread if it is not there yet.

    Args:
        installed: whether one that came with the package may be it.

    Attributes:
        key: the part of its name that is made of all that it depends on; "" if there cannot be one.
        installed: whether it came with the package.
        fresh: whether nobody on this machine has looked at its results.
        problem: why there is none, as `nyala info` shows; "" if there is one.
    """

    def __init__(self, installed: bool = True) -> None:
        self.key, self.installed, self.fresh, self.problem = "", False, False, ""
        self._folder: pathlib.Path | None = None
        self._command: list[str] = []
        self._thread: threading.Thread | None = None
        try:
            if os.environ.get("NYALA_KERNELS", "").lower() in ("off", "0", "no", "false"):
                raise ValueError("NYALA_KERNELS says so")
            if not installed or not self._take_installed():
                self._start()
        except ValueError as error:
            self.problem = str(error)
        except (OSError, RuntimeError, ImportError) as error:  # RuntimeError: no home
            self.problem = f"{type(error).__name__}: {error}"

    def _take_installed(self) -> bool:
        path = _installed()
        if path is None:
            return False
        self.key = hashlib.sha256(b"\0".join([path.read_bytes(), importlib.metadata.version("jaxlib").encode()])).hexdigest()[:16]
        with contextlib.suppress(OSError, RuntimeError, ValueError):
            self._folder = _own_folder(user_cache() / "nyala" / "kernels")
        if self._marked("refused"):
            return False
        self.installed, self.fresh = True, not self._marked("tried")
        return True

    def _start(self) -> None:
        self._command = command()
        status = os.stat(self._command[0])
        facts = [*self._command, str(status.st_size), str(status.st_mtime_ns), importlib.metadata.version("jaxlib"), _processor()]
        self.key = hashlib.sha256(b"\0".join([SOURCE.read_bytes(), *(fact.encode() for fact in facts)])).hexdigest()[:16]
        self._folder = _own_folder(user_cache() / "nyala" / "kernels")
        refused = self._folder / f"{self.key}.refused"
        if refused.is_file():
            raise ValueError(f"{refused.read_text(encoding='utf-8', errors='replace').strip()} (delete {refused} to try again)")
        if self._found() is None:
            self._thread = threading.Thread(target=self._compile, args=(self._folder,), daemon=True, name="nyala-kernels")
            self._thread.start()

    def _marked(self, mark: str) -> bool:
        return self._folder is not None and (self._folder / f"{self.key}.{mark}").is_file()

    def _mark(self, mark: str, text: str) -> None:
        if self._folder is not None:
            with contextlib.suppress(OSError):
                (self._folder / f"{self.key}.{mark}").write_text(text, encoding="utf-8")

    def _found(self) -> pathlib.Path | None:
        """The library that came with the package, or the one of the cache, whole and written by this user."""
        if self.installed:
            return _installed()
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
                made = pathlib.Path(place) / "kernels.so"
                self.problem = _make(self._command, made)
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
            if not self.installed:
                os.utime(path)  # in use
            return library
        except OSError as error:
            self.problem = f"{type(error).__name__}: {error}"
            return None

    def accept(self) -> None:
        """Remember that the results of this library were those they should be."""
        if self.installed and self.fresh:
            self._mark("tried", "")
        self.fresh = False

    def refuse(self, problem: str) -> None:
        """Take away a library whose results are wrong, and do not take or make it again."""
        self.problem = problem
        path = self._found()
        if path is not None:
            self._mark("refused", problem)
            if not self.installed:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)


def command(level: str = "native") -> list[str]:
    """How to compile the source for a level of processors, but for which half of it and the place of the result. ValueError if that cannot be."""
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
    flag = "-mcpu" if level == "native" and _machine() == "aarch64" else "-march"
    return [compiler, *FLAGS, f"{flag}={level}", f"-I{headers}", str(SOURCE)]


def can_make() -> bool:
    """Whether there is a compiler, and something to compile for machines like this one. The headers are not asked for."""
    return os.name == "posix" and _compiler() is not None and any(machine == _machine() for machine, _ in LEVELS.values())


def make_installed(folder: pathlib.Path) -> list[pathlib.Path]:
    """Make the libraries of a wheel for machines like this one. ValueError if a compiler fails."""
    made = []
    for level, (machine, _) in LEVELS.items():
        if machine == _machine():
            made.append(folder / _installed_name(level))
            problem = _make(command(level), made[-1])
            if problem:
                raise ValueError(problem)
    return made


def _installed() -> pathlib.Path | None:
    """The best library in the installed package that this processor can run, made from this very source."""
    if not INSTALLED.is_dir():
        return None
    features = _features()
    fits = (level for level, (machine, needed) in LEVELS.items() if machine == _machine() and features.issuperset(needed.split()))
    return next((path for path in (INSTALLED / _installed_name(level) for level in fits) if path.is_file()), None)


def _installed_name(level: str) -> str:
    return f"{level}-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]}.so"


def _machine() -> str:
    return {"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())


def _make(command: list[str], made: pathlib.Path) -> str:
    """Compile both halves, and join them. Why that failed; "" if it did not."""
    halves = [f"{made}.{half}.o" for half in (1, 2)]
    try:
        problem = _run_all([[*command, "-c", f"-DPART={i}", "-o", half] for i, half in enumerate(halves, 1)])
        return problem or _run_all([[command[0], "-shared", *halves, "-o", str(made)]])
    finally:
        for half in halves:
            pathlib.Path(half).unlink(missing_ok=True)


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


def _features() -> set[str]:
    """What this processor has, as Linux names it; empty where nothing says so."""
    with contextlib.suppress(OSError):
        for line in pathlib.Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("flags"):
                return set(line.split())
    return set()


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
        for kind in ("*.so", "*.tried"):
            for path in sorted(folder.glob(kind), key=lambda path: path.stat().st_mtime, reverse=True)[KEPT:]:
                path.unlink(missing_ok=True)
        for path in folder.glob("build-*"):  # of processes that ended before their compiler
            if time.time() - path.stat().st_mtime > 2 * SECONDS:
                shutil.rmtree(path, ignore_errors=True)
