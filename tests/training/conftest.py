# SPDX-License-Identifier: Apache-2.0
"""What the tests of training share: every installed engine that has gradients, in turn."""

import pytest

import nyala
from nyala.testing import installed_engines

TRAIN = [engine.name for engine in installed_engines() if engine.differentiable]


@pytest.fixture(params=TRAIN)
def each_engine(request):
    """The test runs on each installed engine with gradients, from one seed."""
    with nyala.backend(request.param):
        nyala.utils.set_random_seed(5)
        yield request.param


@pytest.fixture
def eager():
    """The test runs on the first engine that does not compile, where there is one: for what no engine has a part in."""
    name = next((engine.name for engine in installed_engines() if engine.differentiable and not engine.compiles), TRAIN[0])
    with nyala.backend(name):
        nyala.utils.set_random_seed(5)
        yield name
