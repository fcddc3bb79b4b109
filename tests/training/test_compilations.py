# SPDX-License-Identifier: Apache-2.0
"""How much is compiled over a long life: predictions of all sizes, and models that are built, trained and dropped."""

import numpy as np
import pytest

import nyala
from nyala import layers
from nyala.core.transforms import Program
from nyala.testing import installed_engines

COMPILING = [engine.name for engine in installed_engines() if engine.compiles and engine.differentiable]
RANDOM = np.random.default_rng(7)


@pytest.fixture(params=COMPILING, autouse=True)
def programs(request, monkeypatch):
    """All programs that the test makes, on each engine that compiles."""
    made, initialize = [], Program.__init__

    def note(self, *args):
        made.append(self)
        initialize(self, *args)

    monkeypatch.setattr(Program, "__init__", note)
    with nyala.backend(request.param):
        yield made


def classifier():
    model = nyala.Sequential([nyala.Input((5,)), layers.Dense(7, activation="relu"), layers.Dropout(0.3), layers.Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_200_predictions_of_1_to_32_rows(programs):
    model, x = classifier(), RANDOM.normal(size=(32, 5)).astype("float32")
    for rows in RANDOM.permutation(np.arange(200) % 32 + 1):
        assert model.predict(x[:rows]).shape == (rows, 3)
    assert len(programs) == 6  # 1, 2, 4, 8, 16 and 32 rows
    assert [program.traces for program in programs] == [1] * 6


def test_10_models_built_and_trained(programs):
    x, y = RANDOM.normal(size=(37, 5)).astype("float32"), RANDOM.integers(0, 3, 37)
    for done in range(1, 11):
        model = classifier()
        model.fit(x, y, batch_size=8, epochs=3, verbose=0)
        model.fit(x, y, batch_size=8, verbose=0)
        assert len(programs) <= 2 * done  # batches of 8 rows; the 5 left over
    assert sum(program.traces for program in programs) <= 2  # equal models share what was compiled


def test_data_of_similar_length_share_a_program(programs):
    model = classifier()
    for rows in range(1032, 1281, 64):
        model.fit(RANDOM.normal(size=(rows, 5)).astype("float32"), RANDOM.integers(0, 3, rows), batch_size=8, verbose=0)
    assert [program.traces for program in programs] == [1]
