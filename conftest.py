# SPDX-License-Identifier: Apache-2.0
"""What holds for every test and every example: engines that are not installed are left out, 64 bits in JAX last for one test, memory for one file."""

import ctypes
import gc
import importlib.util
import os
import pathlib
import sys

import pytest

collect_ignore_glob = [f"nyala/engines/*{name}*.py" for name in ("pytensor", "tensorflow") if not importlib.util.find_spec(name)]


@pytest.fixture(autouse=True)
def sixty_four_bits_last_for_one_test():
    """JAX counts in 64 bits or not for the whole process: what turns them on, a test that asks for float64 or PyTensor's own import of JAX
    while examples are collected, does so for no other test."""
    _off()
    yield
    _off()


def _off() -> None:
    jax = sys.modules.get("jax")
    if jax is not None and jax.config.jax_enable_x64:
        jax.config.update("jax_enable_x64", False)


LARGE = 2 * 2**30  # bytes that a process of tests may hold on to


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item, nextitem):
    """Programs that tests have compiled live as long as their process: 12 GB of them, unless they go when another file begins."""
    result = yield
    if (nextitem is None or nextitem.path != item.path) and _resident() > LARGE:
        if jax := sys.modules.get("jax"):
            jax.clear_caches()
        gc.collect()
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
    return result


def _resident() -> int:
    """Bytes of memory of this process; 0 where the system does not say."""
    try:
        return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, AttributeError, ValueError):
        return 0
