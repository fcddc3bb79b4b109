# SPDX-License-Identifier: Apache-2.0
"""The tests of callbacks run on the first engine that trains without compiling, where there is one: callbacks do not care."""

import pytest

import nyala
from nyala.testing import installed_engines


@pytest.fixture(autouse=True)
def eager():
    names = [engine.name for engine in installed_engines() if engine.differentiable]
    eager = [engine.name for engine in installed_engines() if engine.differentiable and not engine.compiles]
    with nyala.backend((eager or names)[0]):
        nyala.utils.set_random_seed(5)
        yield
