# SPDX-License-Identifier: Apache-2.0
"""OrbaxCheckpoint, against models it is read back into."""

import os

import pytest

import nyala
from nyala import callbacks
from nyala.core.errors import ArgumentError, StateError
from tests.training.tools import X, Y, linear, numbers, raises

pytest.importorskip("orbax.checkpoint")


def compiled(units=1):
    model = linear(units)
    model.compile(nyala.optimizers.Adam(0.05), "mse", metrics=["mae"])
    return model


def values(model):
    return [v.numpy().tobytes() for v in (*model.variables, *model.optimizer.variables)]


def test_what_is_kept_comes_back(tmp_path, capsys):
    model = compiled()
    keep = callbacks.OrbaxCheckpoint(tmp_path / "o", max_to_keep=2, verbose=1)
    model.fit(X, Y, epochs=3, batch_size=4, verbose=0, callbacks=[keep])
    steps = [3, 6, 9]  # updates, not epochs
    assert capsys.readouterr().out.splitlines() == [f"Epoch {i + 1}: checkpoint {s} in {tmp_path / 'o'}" for i, s in enumerate(steps)]
    assert sorted(os.listdir(tmp_path / "o")) == ["6", "9"]
    other = compiled()
    other.fit(X, Y, epochs=1, verbose=0)
    reader = callbacks.OrbaxCheckpoint(tmp_path / "o")
    assert reader.restore(other) == 2
    assert values(other) == values(model)
    assert reader.restore(other, step=6) == 1
    assert int(other.optimizer.iterations) == 6
    assert (keep.is_multihost_enabled(), keep.is_primary_host()) == (False, True)
    model.fit(X, Y, epochs=1, batch_size=4, verbose=0, callbacks=[keep])  # a second fit begins at epoch 0, and meets no number again
    assert sorted(os.listdir(tmp_path / "o"), key=int) == ["9", "12"]


def test_weights_of_the_best_alone(tmp_path):
    model = compiled()
    keep = callbacks.OrbaxCheckpoint(tmp_path, "mae", save_best_only=True, save_on_background=False, save_weights_only=True)
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[keep])
    best = min(model.history.history["mae"])
    assert keep.get_state()["best"] == best
    other = linear()
    other.set_weights([numbers(3, 1, seed=8), numbers(1, seed=9)])
    callbacks.OrbaxCheckpoint(tmp_path, save_weights_only=True).restore(other)
    assert [w.tobytes() for w in other.get_weights()] == [w.tobytes() for w in model.get_weights()]


def test_refusals(tmp_path):
    with raises(ArgumentError, "OrbaxCheckpoint(max_to_keep) needs an integer of at least 1, or None, got 0."):
        callbacks.OrbaxCheckpoint(tmp_path, max_to_keep=0)
    with raises(ArgumentError, "OrbaxCheckpoint(save_freq) needs 'epoch' or a number of batches, got True."):
        callbacks.OrbaxCheckpoint(tmp_path, save_freq=True)
    with raises(StateError, f"OrbaxCheckpoint({str(tmp_path)!r}) needs a finished checkpoint, got none."):
        callbacks.OrbaxCheckpoint(tmp_path).restore(compiled())
    compiled().fit(X, Y, verbose=0, callbacks=[callbacks.OrbaxCheckpoint(tmp_path / "o")])
    model = compiled(2)
    model.fit(X, Y[:, [0, 0]], verbose=0)
    before = values(model)
    with pytest.raises(StateError, match=r"here net/out/kernel \(3, 1\) float32, got net/out/kernel \(3, 2\) float32"):
        callbacks.OrbaxCheckpoint(tmp_path / "o").restore(model)
    assert values(model) == before
