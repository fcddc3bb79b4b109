# SPDX-License-Identifier: Apache-2.0
"""Rules that run on many variables at once: when they may, in which groups, and that nothing else changes. Their values are in test_rules."""

import numpy as np
import pytest

import nyala
from nyala import ops, optimizers
from nyala.core.variable import scope
from nyala.engines import get_engine
from nyala.optimizers import together
from nyala.testing import installed_engines

GATHERING = [engine.name for engine in installed_engines() if engine.together is not None]
pytestmark = pytest.mark.skipif(not GATHERING, reason="no engine with lists of tensors is installed")


@pytest.fixture(params=GATHERING, autouse=True)
def engine(request):
    with nyala.backend(request.param):
        yield get_engine(request.param)


def variables(*dtypes):
    random = np.random.default_rng(1)
    return [nyala.Variable(random.normal(size=shape).astype(dtype)) for dtype in dtypes for shape in ((2, 3), (5,), ())]


def test_only_rules_that_say_so_and_only_outside_of_scopes():
    assert together.works_together(optimizers.Adam) and together.works_together(optimizers.AdamW)
    assert not together.works_together(optimizers.Lamb) and not together.works_together(optimizers.Muon)
    with scope([], []):
        assert not together.works_together(optimizers.Adam)
    with nyala.backend("numpy"):
        assert not together.works_together(optimizers.Adam)


def test_a_rule_of_the_users_own_sees_single_variables():
    seen = []

    class Mine(optimizers.SGD):
        def update(self, gradient, value, slots, learning_rate):
            seen.append(tuple(gradient.shape))
            return value - learning_rate * gradient / (1.0 + ops.norm(gradient)), slots

    own = variables("float32")
    Mine(0.1).apply([ops.ones(v.shape) for v in own], own)
    assert seen == [(2, 3), (5,), ()]


def test_groups_have_one_dtype_and_a_limit(monkeypatch):
    own = [nyala.Variable(np.zeros(size, dtype)) for size, dtype in ((5, "float32"), (2, "float16"), (3, "float32"), (4, "float32"), (1, "float16"))]
    assert list(together._groups(own)) == [("float32", [0, 2, 3]), ("float16", [1, 4])]
    monkeypatch.setattr(together, "LARGEST", 8)
    assert sorted(together._groups(own)) == [("float16", [1, 4]), ("float32", [0, 2]), ("float32", [3])]
    monkeypatch.setattr(together, "LARGEST", 1)
    assert sorted(place for _, places in together._groups(own) for place in places) == [0, 1, 2, 3, 4]
    assert all(len(places) == 1 for _, places in together._groups(own))


@pytest.mark.parametrize("make", [
    lambda: optimizers.Adam(0.05, amsgrad=True, clipnorm=0.5), lambda: optimizers.Lion(0.05),
    lambda: optimizers.AdamW(0.05, global_clipnorm=1.0, use_ema=True, ema_overwrite_frequency=3),
    lambda: optimizers.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.01), lambda: optimizers.RMSprop(0.05, momentum=0.5, centered=True),
    lambda: optimizers.Nadam(0.05, clipvalue=0.3), lambda: optimizers.Ftrl(0.05, l1_regularization_strength=0.01),
    lambda: optimizers.Adam(optimizers.schedules.ExponentialDecay(0.1, 5, 0.9), gradient_accumulation_steps=2),
])  # fmt: skip
@pytest.mark.parametrize("dtypes", [("float32",), ("float32", "float16", "float64")])
def test_as_one_by_one(engine, make, dtypes, monkeypatch):
    results = []
    for alone in (False, True):
        if alone:
            monkeypatch.setattr("nyala.optimizers.optimizer.works_together", lambda rule: False)
        own, optimizer, random = variables(*dtypes), make(), np.random.default_rng(2)
        for _ in range(20):
            optimizer.apply([engine.asarray(random.normal(size=v.shape), v.dtype) for v in own], own)
        results.append([v.numpy() for v in (*own, *optimizer.variables)])
    for x, y in zip(*results, strict=True):
        tolerance = 2e-2 if x.dtype == np.float16 else 1e-6
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance * np.abs(y).max(initial=0.1))
