# SPDX-License-Identifier: Apache-2.0
"""What the tests of models share: random inputs, and names that begin anew in each test."""

import numpy as np
import pytest

import nyala


@pytest.fixture(autouse=True)
def fresh_names():
    nyala.utils.clear_session(free_memory=False)


@pytest.fixture
def normal():
    """normal(2, 3): float32 of a normal distribution, others at each call."""
    random = np.random.default_rng(23)
    return lambda *shape: random.normal(size=shape).astype("float32")
