# SPDX-License-Identifier: Apache-2.0
"""Arrays where engines want them, and memory that goes back to the system when the gaps of old arrays do not fit the new ones."""

import json
import subprocess
import sys

import numpy as np
import pytest

from nyala.core import alignment
from nyala.core.alignment import ALIGNMENT, aligned


@pytest.mark.parametrize("shape", [(), (0,), (7,), (3, 5), (2, 0, 3), (1023, 257)])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "complex64"])
def test_arrays_begin_at_a_multiple(shape, dtype):
    array = aligned(shape, np.dtype(dtype))
    assert (array.shape, array.dtype) == (shape, dtype) and array.flags.c_contiguous and array.flags.writeable
    assert array.ctypes.data % ALIGNMENT == 0 or not array.size
    array[...] = 3
    assert array.sum() == 3 * array.size


@pytest.mark.parametrize("usual", [True, False])
def test_pages_are_small_and_the_setting_is_put_back(usual, monkeypatch):
    state = [usual]

    def switch(wanted):
        state.append(wanted)
        return state[-2]

    monkeypatch.setattr(alignment, "_huge_pages", switch)
    aligned((3, 5), np.dtype("float32"))
    assert state == [usual, False, usual]
    with pytest.raises((MemoryError, ValueError)):
        aligned((1 << 61,), np.dtype("float64"))
    assert state[-2:] == [False, usual]


GROWTH = """
import ctypes, json, sys
import numpy as np
from nyala.core.alignment import Replacing, resident
from nyala.engines._memory import keep_freed_memory

keep_freed_memory()
SIZE, COUNT = 1 << 21, 100
old = [np.ones(SIZE, "uint8") for _ in range(COUNT)]  # one after the other
before = most = resident()
replacing = Replacing()
for i in reversed(range(COUNT)):
    new = np.ones(SIZE + 64, "uint8")  # a little too large for the gap that the last one left
    old[i] = new
    most = max(most, resident())
    if sys.argv[1] == "told":
        replacing.replaced(SIZE)
print(json.dumps((most - before) / 2**20))
"""


def growth(how):
    done = subprocess.run([sys.executable, "-c", GROWTH, how], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="memory of glibc")
def test_gaps_that_do_not_fit_go_back_to_the_system():
    assert growth("told") < 32 + 2 + 4  # what may be left, one array, and what else the process does
    assert growth("not told") > 60  # the test sees what it is about
