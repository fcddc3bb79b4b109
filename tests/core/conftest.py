# SPDX-License-Identifier: Apache-2.0
"""Every installed engine that computes values, in turn."""

import pytest

import nyala
from nyala.testing import installed_engines


@pytest.fixture(params=[engine.name for engine in installed_engines() if not engine.abstract])
def each_engine(request):
    with nyala.backend(request.param):
        yield request.param


@pytest.fixture(params=[engine.name for engine in installed_engines() if engine.differentiable])
def training_engine(request):
    with nyala.backend(request.param):
        yield request.param


@pytest.fixture
def on_numpy():
    with nyala.backend("numpy"):
        yield
