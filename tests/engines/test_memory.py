# SPDX-License-Identifier: Apache-2.0
"""What lies free while a program runs goes back to the system, and comes back less often where it is needed again."""

import json
import subprocess
import sys

import pytest

from nyala.engines import _memory

FREE = """
import json, sys
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
    """Stands for the C library, where a trim gives back what lies free, and for a clock that goes on when somebody sleeps."""

    def __init__(self, monkeypatch):
        self.resident = self.used = 1 << 30
        self.trims, self.time = 0, 100.0
        monkeypatch.setattr(_memory, "resident", lambda: self.resident)
        monkeypatch.setattr(_memory, "trim", self.trim)
        monkeypatch.setattr(_memory.time, "sleep", self.sleep)
        monkeypatch.setattr(_memory.time, "monotonic", lambda: self.time)
        self.watcher = _memory.Leftovers()
        self.watcher._usage = lambda: _memory._Usage(fordblks=1 << 40)

    def trim(self, pad):
        self.trims += 1
        self.resident = self.used

    def sleep(self, seconds):
        self.time += seconds

    def run(self, seconds=0.1, free=0, more=0):
        """A run that leaves `free` bytes lying about and takes `more` for good; how long it was watched, and how late it was seen to end."""
        self.used += more
        self.resident = max(self.resident, self.used) + free
        begin = self.time
        self.watcher.watch(lambda: self.time >= begin + seconds)
        watched, self.time = self.time - begin, max(self.time, begin + seconds)
        return watched


@pytest.fixture
def library(monkeypatch):
    return Library(monkeypatch)


def test_memory_that_is_in_use_is_asked_for_once(library):
    library.run()
    assert (library.trims, library.watcher._least) == (1, library.watcher.LEAST)  # the first look cannot know
    for _ in range(5):
        library.run()
    assert library.trims == 1
    library.run(more=600 << 20)
    assert (library.trims, library.watcher._least) == (2, library.watcher.LEAST)
    library.run()
    assert library.trims == 2


def test_what_comes_back_each_time_is_left_in_the_end(library):
    library.run()
    for _ in range(30):
        library.run(free=300 << 20)
    assert 3 < library.trims < 12
    assert library.watcher._least > library.watcher.LEAST * 8


def test_runs_that_take_little_time_are_hardly_watched(library):
    """Those that end before a look: once in a while; those of a dispatch: to the first look, so that their end is not seen late."""
    assert library.run(0.005) == pytest.approx(0.005, abs=1e-3)
    assert [library.run(0.005) for _ in range(40)] == [0.0] * 40  # 0.2 s
    assert [library.run(0.05) for _ in range(2)] == [0.0, pytest.approx(0.02)]
    assert library.run(0.05) == pytest.approx(0.02)


def test_long_runs_are_watched_to_their_end(library):
    library.run(0.8)
    assert library.run(0.8) == pytest.approx(0.8, abs=2e-3)
    begin, library.trims = library.time, 0

    def ended():  # it grows in the middle of a run
        if library.time > begin + 0.3 and not library.trims:
            library.resident = library.used + (300 << 20)
        return library.time > begin + 0.8

    library.watcher.watch(ended)
    assert library.trims == 1


def test_others_are_left_alone(monkeypatch):
    monkeypatch.setenv("NYALA_MALLOC", "default")
    watcher = _memory.Leftovers()
    watcher.watch(lambda: pytest.fail("asked for what nobody will do"))
