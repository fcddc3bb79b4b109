# SPDX-License-Identifier: Apache-2.0
"""What lies free while a program runs goes back to the system, and comes back less often where it is needed again."""

import json
import subprocess
import sys
import threading

import pytest

from nyala.engines import _memory

FREE = """
import json, sys, time
import numpy as np
from nyala.core.alignment import resident
from nyala.engines._memory import Leftovers, keep_freed_memory

keep_freed_memory()
watcher = Leftovers()
if watcher._usage is None:
    print("null")
    sys.exit()
SIZE = int(sys.argv[1]) << 20
in_use = [np.ones(SIZE, "uint8")]
leftover = np.ones(SIZE, "uint8")
in_use.append(np.ones(1 << 20, "uint8"))  # above the gap, so that it is not at the end
del leftover
before = resident()
with watcher.watching():
    time.sleep(0.005 if sys.argv[2] == "short" else 0.3)
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
    """Stands for the C library, where a trim gives back what lies free."""

    def __init__(self, monkeypatch):
        self.resident = self.used = 1 << 30
        self.trims, self.looks = 0, []
        monkeypatch.setattr(_memory, "resident", lambda: self.resident)
        monkeypatch.setattr(_memory, "trim", self.trim)
        self.watcher = _memory.Leftovers()
        self.watcher._usage = lambda: _memory._Usage(fordblks=1 << 40)

    def trim(self, pad):
        self.trims += 1
        self.resident = self.used

    def run(self, seconds=0.1, free=0, more=0, late=0):
        """A run that leaves `free` bytes lying about and takes `more` for good, and leaves `late` bytes after 0.3 s; notes when it was looked at."""
        self.used += more
        self.resident = max(self.resident, self.used) + free
        time, self.looks = 0.0, []

        def ended(longest):
            nonlocal time, late
            time += longest
            if time > 0.3:
                self.resident, late = self.resident + late, 0
            if time < seconds:
                self.looks.append(round(time, 3))
            return time >= seconds

        self.watcher.watch(ended)


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


def test_looks_find_what_comes_late(library):
    library.run(0.015)
    assert (library.looks, library.trims) == ([], 0)
    library.run(0.81)
    assert (library.looks, library.trims) == ([round(0.02 * i, 3) for i in range(1, 41)], 1)
    library.run(0.8, late=300 << 20)
    assert library.trims == 2


class Threads:
    """Notes the names of the threads that are started, and runs them."""

    def __init__(self, monkeypatch):
        self.started, thread = [], threading.Thread

        def made(*arguments, name, **options):
            self.started.append(name)
            return thread(*arguments, name=name, **options)

        monkeypatch.setattr(_memory.threading, "Thread", made)


def test_waits_that_follow_each_other_closely_are_not_watched(library, monkeypatch):
    threads, times = Threads(monkeypatch), iter([10.0, 10.03, 10.06, 10.2, 10.24, 11.0])
    monkeypatch.setattr(_memory.time, "monotonic", lambda: next(times))
    seen = []
    for _ in range(6):
        before = len(threads.started)
        with library.watcher.watching():
            seen.append(len(threads.started) - before)
    assert seen == [1, 0, 0, 1, 0, 1]


def test_who_watches_stops_with_the_run_also_if_it_fails(library, monkeypatch):
    Threads(monkeypatch)
    with pytest.raises(ZeroDivisionError), library.watcher.watching():
        raise ZeroDivisionError
    assert not [thread for thread in threading.enumerate() if thread.name == "nyala-leftovers"]


def test_others_are_left_alone(monkeypatch):
    monkeypatch.setenv("NYALA_MALLOC", "default")
    threads, watcher = Threads(monkeypatch), _memory.Leftovers()
    with watcher.watching():
        pass
    assert threads.started == []
