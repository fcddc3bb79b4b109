# SPDX-License-Identifier: Apache-2.0
"""What lies free while a program runs goes back to the system, and comes back less often where it is needed again."""

import json
import subprocess
import sys

import pytest

from nyala.engines import _memory

FREE = """
import ctypes, json, sys
import numpy as np
from nyala.core.alignment import resident
from nyala.engines._memory import Leftovers, keep_freed_memory

keep_freed_memory()
watcher = Leftovers()
if watcher._usage is None:
    print("null")
    sys.exit()
SIZE = int(sys.argv[1]) << 20
waits = iter([False] * (3 if sys.argv[2] == "short" else 60))
in_use = [np.ones(SIZE, "uint8")]
leftover = np.ones(SIZE, "uint8")
in_use.append(np.ones(1 << 20, "uint8"))  # above the gap, so that it is not at the end
del leftover
before = resident()
watcher.watch(lambda: next(waits, True))
gone, kept = before - resident(), in_use[0].all()
print(json.dumps([gone / SIZE, bool(kept), watcher._least / watcher.LEAST]))
"""


def free(size, wait):
    done = subprocess.run([sys.executable, "-c", FREE, str(size), wait], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) or pytest.skip("memory of glibc 2.33 and newer")


@pytest.mark.skipif(sys.platform != "linux", reason="memory of glibc")
def test_large_gaps_go_back_while_a_program_runs():
    gone, kept, patience = free(300, "long")
    assert 0.98 < gone < 1.05
    assert kept
    assert patience == pytest.approx(1.5)


@pytest.mark.skipif(sys.platform != "linux", reason="memory of glibc")
@pytest.mark.parametrize(("size", "wait"), [(60, "long"), (300, "short")], ids=["small gaps", "short programs"])
def test_what_is_not_worth_it_stays(size, wait):
    gone, kept, patience = free(size, wait)
    assert gone < 0.1
    assert kept
    assert patience == 1


class Library:
    """Stands for the C library: every call of malloc_trim gives back what lies free."""

    def __init__(self, monkeypatch):
        self.resident = self.used = 1 << 30
        self.trims = 0
        monkeypatch.setattr(_memory, "resident", lambda: self.resident)
        monkeypatch.setattr(_memory.time, "sleep", lambda seconds: None)

    def malloc_trim(self, pad):
        self.trims += 1
        self.resident = self.used

    def usage(self):
        return _memory._Usage(fordblks=1 << 40)

    def run(self, watcher, free=0, more=0):
        """A run that leaves `free` bytes lying about and takes `more` for good."""
        self.used += more
        self.resident = max(self.resident, self.used) + free
        waits = iter([False] * 30)
        watcher.watch(lambda: next(waits, True))


def test_memory_that_is_in_use_is_asked_for_once(monkeypatch):
    library, watcher = Library(monkeypatch), _memory.Leftovers()
    watcher._usage = (library, library.usage)
    library.run(watcher)
    assert (library.trims, watcher._least) == (1, watcher.LEAST)  # the first look cannot know
    for _ in range(5):
        library.run(watcher)
    assert library.trims == 1
    library.run(watcher, more=600 << 20)
    assert (library.trims, watcher._least) == (2, watcher.LEAST)
    library.run(watcher)
    assert library.trims == 2


def test_what_comes_back_each_time_is_left_in_the_end(monkeypatch):
    library, watcher = Library(monkeypatch), _memory.Leftovers()
    watcher._usage = (library, library.usage)
    library.run(watcher)
    for _ in range(30):
        library.run(watcher, free=300 << 20)
    assert 3 < library.trims < 12
    assert watcher._least > watcher.LEAST * 8


def test_others_are_left_alone(monkeypatch):
    monkeypatch.setenv("NYALA_MALLOC", "default")
    watcher = _memory.Leftovers()
    watcher.watch(lambda: pytest.fail("asked for what nobody will do"))


def test_short_waits_are_not_watched_all_the_time(monkeypatch):
    library, watcher = Library(monkeypatch), _memory.Leftovers()
    watcher._usage = (library, library.usage)
    asked = []

    def done():
        asked.append(True)
        return len(asked) > 1

    watcher.watch(done)
    first = len(asked)
    assert first > 1
    watcher.watch(done)
    assert len(asked) == first
