# SPDX-License-Identifier: Apache-2.0
"""What a model keeps after training: its compiled steps, and not the data they ran over."""

import gc
import weakref

import numpy as np

import nyala
from nyala.training import trainer


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
