# SPDX-License-Identifier: Apache-2.0
"""What a model keeps after training: its compiled steps, and not the data they ran over; and what it keeps while a stream is trained on."""

import gc
import weakref

import numpy as np
import pytest

import nyala
from nyala.training import loop, trainer


def test_data_goes_when_fit_is_done(monkeypatch):
    runners = []

    class Watched(trainer.Runner):
        def __init__(self, *args):
            super().__init__(*args)
            runners.append(weakref.ref(self))

    monkeypatch.setattr(trainer, "Runner", Watched)
    model = nyala.Sequential([nyala.Input((3,)), nyala.layers.Dense(2)])
    model.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(21, 3)), rng.normal(size=(21, 2))
    model.fit(x, y, batch_size=5, epochs=2, validation_split=0.3, verbose=0)
    model.evaluate(x, y, batch_size=5, verbose=0)
    gc.collect()
    assert len(runners) == 3
    assert [runner() for runner in runners] == [None, None, None]


def test_a_stream_is_not_queued_without_end(monkeypatch):
    """Where the device is slower than the host, at most a few batches wait for it."""
    if not nyala.engines.current().runs_ahead:
        pytest.skip("an engine that runs each step at once")
    most = 0
    waited = loop.Runner._wait

    def wait(self, queued):
        nonlocal most
        waited(self, queued)
        most = max(most, len(self._queued))

    monkeypatch.setattr(loop.Runner, "_wait", wait)
    blocked = []
    block = type(nyala.engines.current()).block
    monkeypatch.setattr(type(nyala.engines.current()), "block", lambda self, tree: blocked.append(tree) or block(self, tree))
    model = nyala.Sequential([nyala.Input((3,)), nyala.layers.Dense(2)])
    model.compile("sgd", "mse")
    rng = np.random.default_rng(1)
    batches = [(rng.normal(size=(5, 3)), rng.normal(size=(5, 2))) for _ in range(11)]
    model.fit(iter(batches), verbose=0)
    assert most == loop.QUEUED_STEPS
    assert len(blocked) == 11  # each step once: the last ones when the epoch ends
