# SPDX-License-Identifier: Apache-2.0
"""What holds for every test and every example: engines that are not installed are left out, and 64 bits in JAX last for one test."""

import importlib.util
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
