# SPDX-License-Identifier: Apache-2.0
"""Each layer and each op once on TensorFlow against recorded answers of Keras. Layers run without compiling: how TensorFlow compiles is the
business of the contract. NYALA_BACKEND=tensorflow pytest tests/test_golden.py asks everything, in ten minutes."""

import pytest

import nyala
from tests import test_golden, test_golden_ops

pytest.importorskip("tensorflow")
FIRST: dict[str, str] = {}  # layer -> its first case
for case in test_golden.CASES["layers"]:
    if case not in test_golden.WRONG:
        FIRST.setdefault(case.split("/")[0], case)


@pytest.fixture(autouse=True)
def engine(monkeypatch):
    monkeypatch.setattr(nyala, "jit", lambda function: function)
    nyala.utils.clear_session(free_memory=False)
    with nyala.backend("tensorflow"):
        yield


@pytest.mark.parametrize("name", FIRST.values())
def test_layers(name):
    test_golden.test_layer_outputs(name)


@pytest.mark.parametrize("name", [name for name in FIRST.values() if test_golden.CASES["layers"][name]["cotangents"] is not None])
def test_gradients(name):
    test_golden.test_layer_gradients(name)


@pytest.mark.parametrize("name", test_golden_ops.ASKED)
def test_ops(name):
    test_golden_ops.test_ops(name, "tensorflow")
