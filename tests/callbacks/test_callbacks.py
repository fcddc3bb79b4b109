# SPDX-License-Identifier: Apache-2.0
"""EarlyStopping, ReduceLROnPlateau, LearningRateScheduler, ModelCheckpoint, CSVLogger, TerminateOnNaN.

Decisions by values are driven with made-up logs on a stand-in for a model; what touches a model is tried in fit.
"""

import math
import subprocess
import sys
import time

import numpy as np
import pytest

import nyala
from nyala import callbacks
from nyala.callbacks.monitor import Monitor
from nyala.core.errors import ArgumentError, ArgumentTypeError, StateError
from tests.training.tools import X, Y, linear, raises


class Optimizer:
    learning_rate = 0.1


class Model:
    """As much of a model as these callbacks touch; its weight is the number of the epoch."""

    def __init__(self):
        self.epoch, self.stop_training, self.optimizer = 0, False, Optimizer()

    def get_weights(self):
        return [self.epoch]

    def set_weights(self, weights):
        self.epoch = weights[0]


def drive(callback, values, name="val_loss"):
    """Epochs with these values until the callback stops training; returns the model."""
    callback.set_model(Model())
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        callback.model.epoch = epoch
        callback.on_epoch_end(epoch, {name: value})
        if callback.model.stop_training:
            break
    callback.on_train_end()
    return callback.model


def compiled(loss="mse", rate=0.05):
    model = linear()
    model.compile(nyala.optimizers.SGD(rate), loss, metrics=["mae"])
    return model


# EarlyStopping -------------------------------------------------------------------------------------------------------------------------

# arguments, values -> the last epoch run, the best epoch
STOPS = {
    "patience 0": ({}, [3, 2, 1, 1, 0], 3, 2),
    "patience 2": ({"patience": 2}, [3, 2, 2.5, 2.2, 0], 3, 1),
    "improves in time": ({"patience": 2}, [3, 2, 2.5, 1, 2, 2, 0], 5, 3),
    "never": ({"patience": 3}, [3, 2, 1, 0], 3, 3),
    "min_delta": ({"min_delta": 0.5}, [3, 2, 1.8, 0], 2, 1),
    "max": ({"mode": "max"}, [1, 2, 1, 3], 2, 1),
    "auto max": ({"monitor": "val_accuracy"}, [1, 2, 1, 3], 2, 1),
    "not at the first epoch": ({"baseline": 0.0}, [3, 4, 0], 1, 0),
    "baseline missed": ({"baseline": 1.0, "patience": 2}, [3, 2, 2.5, 0], 2, 1),
    "baseline beaten": ({"baseline": 1.0, "patience": 1}, [0.9, 0.8, 0.7, 0.9], 3, 2),
    "start_from_epoch": ({"start_from_epoch": 3}, [1, 2, 3, 4, 3, 5], 5, 4),
    "nan": ({"patience": 1}, [3, math.nan, 1], 1, 0),
}


@pytest.mark.parametrize("name", STOPS)
@pytest.mark.parametrize("restore", [False, True])
def test_early_stopping(name, restore):
    """The decisions of Keras (checked against it on hundreds of random runs)."""
    arguments, values, last, best = STOPS[name]
    callback = callbacks.EarlyStopping(**{"monitor": "val_loss", **arguments}, restore_best_weights=restore)
    model = drive(callback, values, arguments.get("monitor", "val_loss"))
    assert model.epoch == (best if restore else last)
    assert callback.best_epoch == best
    assert callback.best == values[best]
    assert callback.stopped_epoch == (last if model.stop_training else 0)


def test_early_stopping_in_fit(capsys):
    model = compiled()
    kept = []
    watch = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: kept.append(model.get_weights()))
    stop = callbacks.EarlyStopping("val_loss", patience=1, restore_best_weights=True, verbose=1)
    model.optimizer.learning_rate = 1.5  # too high: it only gets worse
    history = model.fit(X, Y, epochs=9, batch_size=11, validation_data=(X, Y), verbose=0, callbacks=[watch, stop])
    assert history.epoch == [0, 1]
    np.testing.assert_array_equal(model.get_weights()[0], kept[0][0])
    assert capsys.readouterr().out == "Epoch 2: early stopping; the best was epoch 1\n"
    again = model.fit(X, Y, epochs=9, batch_size=11, validation_data=(X, Y), verbose=0, callbacks=[stop])  # it begins anew
    assert again.epoch == [0, 1]


def test_the_best_weights_come_back_when_nothing_stopped():
    """Where Keras keeps the last ones."""
    model = drive(callbacks.EarlyStopping(patience=9, restore_best_weights=True), [3, 1, 2])
    assert (model.stop_training, model.epoch) == (False, 1)


def test_a_value_that_is_not_there():
    for callback in (
        callbacks.EarlyStopping("val_los"),
        callbacks.ReduceLROnPlateau("val_los"),
        callbacks.ModelCheckpoint(monitor="val_los", save_best_only=True),
    ):
        kind = type(callback).__name__
        with pytest.warns(UserWarning) as warned:
            model = compiled()
            start = model.optimizer.learning_rate
            history = model.fit(X, Y, epochs=1, validation_data=(X, Y), verbose=0, callbacks=[callback])
        names = sorted(["loss", "mae", "val_loss", "val_mae", *(["learning_rate"] if kind == "ReduceLROnPlateau" else [])])
        then = "everything is kept" if kind == "ModelCheckpoint" else "it does nothing"
        assert [str(w.message) for w in warned] == [f"{kind} watches 'val_los', which is not among the logs {names}: {then}"]
        assert history.epoch == [0]
        assert float(model.optimizer.learning_rate) == float(start)


def test_the_two_names_of_accuracy():
    for watched, logged in (("val_acc", "val_accuracy"), ("accuracy", "acc")):
        assert drive(callbacks.EarlyStopping(watched), [1, 2, 1], logged).epoch == 2


@pytest.mark.parametrize(
    ("name", "mode", "larger"),
    [
        ("loss", "auto", False),
        ("val_loss", "auto", False),
        ("val_accuracy", "auto", True),
        ("acc", "auto", True),
        ("val_auc", "auto", True),
        ("f1_score", "auto", True),
        ("mae", "auto", False),
        ("val_precision", "auto", True),
        ("val_recall", "auto", True),
        ("mean_io_u", "max", True),
        ("accuracy", "min", False),
        ("val_accent_loss", "auto", False),
    ],
)
def test_which_direction_is_better(name, mode, larger):
    assert Monitor(name, mode, 0, "x").larger is larger


@pytest.mark.parametrize("kind", [callbacks.EarlyStopping, callbacks.ReduceLROnPlateau, callbacks.ModelCheckpoint])
def test_metrics_know_which_direction_is_better(kind):
    """Names that users choose say nothing, or the contrary."""
    model = linear(1, "sigmoid")
    ranking, misses = nyala.metrics.AUC(name="ranking"), nyala.metrics.FalsePositives(name="recalled_wrongly")
    model.compile("sgd", "binary_crossentropy", metrics=[ranking, misses])
    model.evaluate(X, Y > 0, verbose=0)
    for name, larger in (("val_ranking", True), ("val_recalled_wrongly", False)):
        callback = kind(monitor=name, **({"save_best_only": True} if kind is callbacks.ModelCheckpoint else {}))
        callback.set_model(model)
        callback.on_train_begin()
        for epoch, value in enumerate((0.5, 0.6, 0.4)):
            callback.on_epoch_end(epoch, {name: value})
        assert callback.best == (0.6 if larger else 0.4)


def test_a_schedule_is_refused_before_training():
    model = linear()
    model.compile(nyala.optimizers.SGD(nyala.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)), "mse")
    text = "ReduceLROnPlateau needs an optimizer with a number as learning rate, got one with a schedule.\n"
    with raises(StateError, text + "  fix: make the optimizer with a number, or leave the schedule alone"):
        model.fit(X, Y, verbose=0, callbacks=[callbacks.ReduceLROnPlateau("loss")])
    assert int(model.optimizer.iterations) == 0


def test_unknown_modes():
    for kind in (callbacks.EarlyStopping, callbacks.ReduceLROnPlateau, callbacks.ModelCheckpoint):
        with raises(ArgumentError, f"{kind.__name__}(mode) needs 'auto', 'min' or 'max', got 'best'."):
            kind(mode="best")


# Learning rates ------------------------------------------------------------------------------------------------------------------------

PLATEAUS = {
    "patience 1": ({"patience": 1, "factor": 0.5}, [3, 3, 3, 2, 2], [0.1, 0.05, 0.025, 0.025, 0.0125]),
    "patience 2": ({"patience": 2, "factor": 0.5}, [3, 3, 3, 3, 3], [0.1, 0.1, 0.05, 0.05, 0.025]),
    "cooldown": ({"patience": 1, "factor": 0.5, "cooldown": 2}, [3, 3, 3, 3, 3, 3], [0.1, 0.05, 0.05, 0.025, 0.025, 0.0125]),
    "min_lr": ({"patience": 1, "factor": 0.5, "min_lr": 0.04}, [3, 3, 3, 3], [0.1, 0.05, 0.04, 0.04]),
    "min_delta": ({"patience": 1, "factor": 0.5, "min_delta": 0.5}, [3, 2.8, 2.6], [0.1, 0.05, 0.025]),
    "max": ({"patience": 1, "factor": 0.5, "mode": "max"}, [1, 2, 2, 3], [0.1, 0.1, 0.05, 0.05]),
}


@pytest.mark.parametrize("name", PLATEAUS)
def test_reduce_on_plateau(name):
    """The decisions of Keras (checked against it on hundreds of random runs)."""
    arguments, values, rates = PLATEAUS[name]
    callback, model = callbacks.ReduceLROnPlateau(**arguments), Model()
    callback.set_model(model)
    callback.on_train_begin()
    got = []
    for epoch, value in enumerate(values):
        logs = {"val_loss": value}
        before = model.optimizer.learning_rate
        callback.on_epoch_end(epoch, logs)
        assert logs["learning_rate"] == before
        got.append(model.optimizer.learning_rate)
    np.testing.assert_allclose(got, rates)


def test_rates_in_fit(capsys):
    model = compiled(rate=0.0)
    history = model.fit(X, Y, epochs=3, verbose=0, callbacks=[callbacks.ReduceLROnPlateau("loss", patience=1, verbose=1)]).history
    assert history["learning_rate"] == [0.0, 0.0, 0.0]
    model = compiled()
    history = model.fit(
        X, Y, epochs=3, verbose=0, callbacks=[callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1e9, verbose=1)]
    ).history
    np.testing.assert_allclose(history["learning_rate"], [0.05, 0.05, 0.025])
    assert capsys.readouterr().out == "Epoch 2: learning rate reduced to 0.025\nEpoch 3: learning rate reduced to 0.0125\n"
    with raises(ArgumentError, "ReduceLROnPlateau(factor) needs a number below 1, got 1.5."):
        callbacks.ReduceLROnPlateau(factor=1.5)


def test_schedules(capsys):
    model = compiled()
    history = model.fit(X, Y, epochs=3, verbose=0, callbacks=[callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2, verbose=1)]).history
    np.testing.assert_allclose(history["learning_rate"], [0.025, 0.0125, 0.00625], rtol=1e-6)
    assert capsys.readouterr().out.splitlines()[0] == "Epoch 1: learning rate 0.025"
    model = compiled()
    history = model.fit(X, Y, epochs=2, verbose=0, callbacks=[callbacks.LearningRateScheduler(lambda epoch: 0.0 if epoch else 0.1)]).history
    np.testing.assert_allclose(history["learning_rate"], [0.1, 0.0])
    error = (X @ linear().get_weights()[0] + linear().get_weights()[1]) - Y
    np.testing.assert_allclose(model.get_weights()[1], linear().get_weights()[1] - 0.2 * error.mean(0), rtol=1e-4)
    with raises(ArgumentTypeError, "LearningRateScheduler(schedule) needs a function (epoch, learning_rate) -> learning rate, got float."):
        callbacks.LearningRateScheduler(0.1)
    with raises(ArgumentTypeError, "LearningRateScheduler(schedule) needs a function that returns a number, got None."):
        compiled().fit(X, Y, verbose=0, callbacks=[callbacks.LearningRateScheduler(lambda epoch: None)])


# ModelCheckpoint -----------------------------------------------------------------------------------------------------------------------


def test_checkpoint_of_every_epoch(tmp_path, capsys):
    model = compiled()
    kept = []
    watch = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: kept.append((model.get_weights(), logs["val_loss"])))
    path = tmp_path / "new" / "w.{epoch:02d}-{val_loss:.3f}.npz"
    model.fit(X, Y, epochs=2, validation_data=(X, Y), verbose=0, callbacks=[watch, callbacks.ModelCheckpoint(path, verbose=1)])
    names = [f"w.{i + 1:02d}-{loss:.3f}.npz" for i, (_, loss) in enumerate(kept)]
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == sorted(names)
    assert capsys.readouterr().out.splitlines() == [f"Epoch {i + 1}: weights written to {tmp_path / 'new' / name}" for i, name in enumerate(names)]
    other = linear()
    other.load_weights(tmp_path / "new" / names[0])
    np.testing.assert_array_equal(other.get_weights()[0], kept[0][0][0])


def test_checkpoint_of_the_best(tmp_path):
    model = compiled()
    kept = []
    watch = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: kept.append(model.get_weights()))
    rates = callbacks.LearningRateScheduler(lambda epoch: 0.05 if epoch < 2 else 5.0)
    memory, file = callbacks.ModelCheckpoint(save_best_only=True), callbacks.ModelCheckpoint(tmp_path / "best.npz", save_best_only=True)
    history = model.fit(X, Y, epochs=4, validation_data=(X, Y), verbose=0, callbacks=[watch, rates, memory, file]).history
    best = int(np.argmin(history["val_loss"]))
    assert best == 1
    assert memory.best == history["val_loss"][1]
    np.testing.assert_array_equal(memory.weights[0], kept[1][0])
    model.load_weights(tmp_path / "best.npz")
    np.testing.assert_array_equal(model.get_weights()[0], kept[1][0])
    never = callbacks.ModelCheckpoint(save_best_only=True, initial_value_threshold=-1.0)
    model.fit(X, Y, epochs=1, validation_data=(X, Y), verbose=0, callbacks=[never])
    assert never.weights is None


def test_checkpoint_every_so_many_batches(tmp_path):
    model = compiled()
    model.fit(X, Y, batch_size=2, epochs=2, verbose=0, callbacks=[callbacks.ModelCheckpoint(tmp_path / "{epoch}-{batch}.npz", save_freq=5)])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["1-5.npz", "2-4.npz"]


def test_checkpoint_refusals(tmp_path):
    text = (
        "ModelCheckpoint(filepath) needs a path that ends in .npz, .weights.h5, .keras, .h5, .hdf5, or None for memory, got 'm.txt'.\n"
        "  fix: change the suffix"
    )
    with raises(ArgumentError, text):
        callbacks.ModelCheckpoint("m.txt")
    text = (
        "ModelCheckpoint(filepath) needs a path that ends in .npz, .weights.h5, .h5, .hdf5, or None for memory, got 'm.keras'.\n"
        "  why: the suffix says what is written, and save_weights_only=True wants weights\n  fix: change the suffix"
    )
    with raises(ArgumentError, text):
        callbacks.ModelCheckpoint("m.keras", save_weights_only=True)
    with raises(ArgumentError, "ModelCheckpoint(save_freq) needs 'epoch' or a number of batches, got 0."):
        callbacks.ModelCheckpoint("m.npz", save_freq=0)
    name = str(tmp_path / "{val_loss}.npz")
    with raises(ArgumentError, f"ModelCheckpoint(filepath) needs names among ['epoch', 'loss', 'mae'], got {name!r}."):
        compiled().fit(X, Y, verbose=0, callbacks=[callbacks.ModelCheckpoint(name)])


WRITER = """
import sys, numpy as np, nyala
nyala.set_backend("numpy")
model = nyala.Sequential([nyala.Input((1500,)), nyala.layers.Dense(1500)])
keep = nyala.callbacks.ModelCheckpoint(sys.argv[1])
keep.set_model(model)
for epoch in range(10**6):
    model.set_weights([np.full((1500, 1500), epoch, "float32"), np.full(1500, epoch, "float32")])
    keep.on_epoch_end(epoch, {})
    print(epoch, flush=True)
"""


def test_a_process_killed_while_it_writes_leaves_a_whole_file(tmp_path):
    path = tmp_path / "w.npz"
    model = nyala.Sequential([nyala.Input((1500,)), nyala.layers.Dense(1500)])
    for delay in (0.011, 0.023, 0.037):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as process:
            try:
                for _ in range(2):
                    assert process.stdout.readline()
                time.sleep(delay)
            finally:
                process.kill()
        model.load_weights(path)
        kernel, bias = model.get_weights()
        assert (kernel == bias[0]).all()  # of one epoch, all of it
        assert bias[0] >= 1


# CSVLogger and TerminateOnNaN ---------------------------------------------------------------------------------------------------------------


def test_csv(tmp_path):
    """The text that Keras writes."""

    def write(name, rows, **kwargs):
        logger = callbacks.CSVLogger(tmp_path / name, **kwargs)
        logger.set_model(Model())
        logger.on_train_begin()
        for epoch, logs in enumerate(rows):
            logger.on_epoch_end(epoch, logs)
            assert (tmp_path / name).read_text().count("\n") >= epoch + 2  # flushed
        logger.on_train_end()
        return (tmp_path / name).read_text()

    rows = [{"loss": 1.5, "acc": 0.5}, {"loss": 1.25, "acc": 0.75}]
    text = "epoch,acc,loss,val_acc,val_loss\n0,0.5,1.5,NA,NA\n1,0.75,1.25,NA,NA\n"
    assert write("a.csv", rows) == text
    assert write("a.csv", [{"acc": 0.25, "loss": 3.0}], append=True) == text + "0,0.25,3.0,NA,NA\n"
    assert write("a.csv", rows[:1]) == "epoch,acc,loss,val_acc,val_loss\n0,0.5,1.5,NA,NA\n"
    assert write("b.csv", rows[:1], append=True) == "epoch,acc,loss,val_acc,val_loss\n0,0.5,1.5,NA,NA\n"
    assert write("c.csv", rows[:1], separator=";") == "epoch;acc;loss;val_acc;val_loss\n0;0.5;1.5;NA;NA\n"
    assert write("d.csv", [{"loss": 1.5}, {"loss": 1.0, "val_loss": 2.0}]) == "epoch,loss,val_loss\n0,1.5,NA\n1,1.0,2.0\n"
    assert write("e.csv", [{"loss": 1.5, "val_loss": 3.0}, {"loss": 1.0}]) == "epoch,loss,val_loss\n0,1.5,3.0\n1,1.0,NA\n"
    assert write("f.csv", [{"loss": 1.5, "v": np.array([1.0, 2.0])}]) == 'epoch,loss,v,val_loss,val_v\n0,1.5,"""[1.0, 2.0]""",NA,NA\n'


def test_csv_in_fit(tmp_path):
    history = (
        compiled()
        .fit(X, Y, epochs=3, validation_data=(X, Y), validation_freq=2, verbose=0, callbacks=[callbacks.CSVLogger(tmp_path / "log.csv")])
        .history
    )
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert lines[0] == "epoch,loss,mae,val_loss,val_mae"
    assert [line.split(",")[3] == "NA" for line in lines[1:]] == [True, False, True]
    assert float(lines[2].split(",")[3]) == history["val_loss"][0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_terminate_on_nan(bad, capsys):
    y = Y.copy()
    y[5] = bad
    model = compiled()
    history = model.fit(X, y, batch_size=4, epochs=3, shuffle=False, verbose=0, callbacks=[callbacks.TerminateOnNaN()])
    assert history.epoch == [0]
    assert int(model.optimizer.iterations) == 2
    assert capsys.readouterr().out == f"Batch 1: the loss is {bad}, training stops. Y holds nan or infinity, first in row 5: clean the data\n"
