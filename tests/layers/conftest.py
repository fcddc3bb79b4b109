# SPDX-License-Identifier: Apache-2.0
"""What the tests of layers share: every installed engine, in turn, and random inputs."""

import numpy as np
import pytest

import nyala
from nyala.testing import installed_engines


@pytest.fixture(params=[engine.name for engine in installed_engines()])
def each_engine(request):
    """The test runs on each engine that is installed."""
    with nyala.backend(request.param):
        yield request.param


@pytest.fixture
def normal():
    """normal(2, 3): float32 of a normal distribution, others at each call."""
    random = np.random.default_rng(17)
    return lambda *shape: random.normal(size=shape).astype("float32")
