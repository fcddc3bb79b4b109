# SPDX-License-Identifier: Apache-2.0
"""What holds for every test."""

import os
import sys

import pytest

from tests.usual import USUAL

os.environ.setdefault("NYALA_TEST_ENGINES", USUAL)  # what is about engines takes all: tests.usual.every_engine


@pytest.fixture(autouse=True)
def sixty_four_bits_end_with_the_test():
    """A test that asks for float64 turns 64 bits on in JAX for the whole process: they are turned off again."""
    yield
    jax = sys.modules.get("jax")
    if jax is not None and jax.config.jax_enable_x64:
        jax.config.update("jax_enable_x64", False)
