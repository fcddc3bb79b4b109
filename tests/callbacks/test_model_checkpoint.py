# SPDX-License-Identifier: Apache-2.0
"""ModelCheckpoint in each format: names made of logs, the best alone, every so many batches, and the best remembered by a run that goes on."""

import numpy as np
import pytest

import nyala
from nyala import callbacks, layers
from nyala.saving import load_model
from tests.training.tools import numbers

X = numbers(24, 3)
Y = X[:, :1] * 2 - X[:, 1:2]
SUFFIXES = [".keras", ".weights.h5", ".h5", ".hdf5", ".npz"]


def network():
    nyala.utils.set_random_seed(2)
    model = nyala.Sequential([nyala.Input((3,)), layers.Dense(4, "tanh"), layers.Dense(1)])
    model.compile(nyala.optimizers.Adam(0.02), "mse", metrics=["mae"])
    return model


def fit(model, used, **arguments):
    return model.fit(X, Y, **{"batch_size": 8, "epochs": 3, "validation_data": (X, Y), "verbose": 0, "callbacks": used, **arguments}).history


def opened(path):
    """The model that a file holds, or that has its weights."""
    if path.name.endswith((".weights.h5", ".npz")):
        model = network()
        model.load_weights(path)
        return model
    return load_model(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_for_each_epoch(suffix, tmp_path):
    model, kept = network(), []
    watch = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: kept.append(model.get_weights()))
    history = fit(model, [watch, callbacks.ModelCheckpoint(tmp_path / f"new folder/é {{epoch:02d}}-{{val_loss:.2f}}{suffix}")])
    names = [f"é {i + 1:02d}-{loss:.2f}{suffix}" for i, loss in enumerate(history["val_loss"])]
    assert sorted(path.name for path in (tmp_path / "new folder").iterdir()) == sorted(names)
    for name, weights in zip(names, kept, strict=True):
        for one, two in zip(opened(tmp_path / "new folder" / name).get_weights(), weights, strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_whole_model_trains_on(suffix, tmp_path):
    model = network()
    fit(model, [callbacks.ModelCheckpoint(tmp_path / f"m{suffix}")])
    again = opened(tmp_path / f"m{suffix}")
    for one in (model, again):
        one.train_on_batch(X[:8], Y[:8])
    assert int(again.optimizer.iterations) == 10
    for one, two in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5", ".h5"])
def test_every_so_many_batches(suffix, tmp_path):
    model, kept = network(), {}
    watch = callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: kept.update({len(kept) + 1: model.get_weights()}))
    fit(model, [watch, callbacks.ModelCheckpoint(tmp_path / f"{{epoch}}-{{batch}}{suffix}", save_freq=4)])
    found = sorted(path.name for path in tmp_path.iterdir())
    assert found == [f"2-1{suffix}", f"3-2{suffix}"]  # batches 4 and 8 of 9
    for name, batch in zip(found, (4, 8), strict=True):
        np.testing.assert_array_equal(opened(tmp_path / name).get_weights()[0], kept[batch][0])


@pytest.mark.parametrize(("threshold", "mode"), [(None, "auto"), (0.0, "min"), (9.0, "max")])
def test_the_best_of_a_value_that_batches_do_not_have(threshold, mode, tmp_path):
    """val_loss is known at the end of epochs only: better a file that may not be the best than none."""
    keep = callbacks.ModelCheckpoint(tmp_path / "{epoch}-{batch}.npz", save_best_only=True, save_freq=4, mode=mode, initial_value_threshold=threshold)
    model, kept = network(), []
    watch = callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: kept.append(model.get_weights()))
    start = keep.best
    with pytest.warns(UserWarning) as warned:
        fit(model, [watch, keep])
    said = "ModelCheckpoint watches 'val_loss', which is not among the logs ['batch', 'loss', 'mae']: everything is kept"
    assert [str(w.message) for w in warned] == [said] * 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2-1.npz", "3-2.npz"]
    assert keep.best == start
    np.testing.assert_array_equal(opened(tmp_path / "3-2.npz").get_weights()[0], kept[7][0])


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5", ".h5"])
def test_a_run_that_goes_on_remembers_the_best(suffix, tmp_path):
    """The weights get worse after the first epoch; without its memory the second process would take the first of them for the best."""

    def used():
        rates = callbacks.LearningRateScheduler(lambda epoch: 0.02 if epoch == 0 else 3.0)
        return [rates, callbacks.ModelCheckpoint(tmp_path / f"best{suffix}", save_best_only=True)]

    fit(network(), used(), epochs=1, resume=tmp_path / "run")
    best = opened(tmp_path / f"best{suffix}").get_weights()
    model, keeps = network(), used()
    history = fit(model, keeps, epochs=3, resume=tmp_path / "run")
    assert min(history["val_loss"][1:]) > history["val_loss"][0] == keeps[1].best
    for one, two in zip(best, opened(tmp_path / f"best{suffix}").get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
