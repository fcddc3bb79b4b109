# SPDX-License-Identifier: Apache-2.0
"""LearningRateFinder, Timer, PlotHistory and History.plot: what they measure and draw, and that they leave training as it was."""

import sys
import time
import types

import numpy as np
import pytest

import nyala
from nyala import callbacks
from nyala.core.errors import ArgumentError, LookupFailed, StateError
from nyala.testing import installed_engines
from tests.training.tools import X, Y, linear, raises


def compiled(rate=0.01, **kwargs):
    model = linear()
    model.compile(nyala.optimizers.Adam(rate), "mse", metrics=["mae"], **kwargs)
    return model


# LearningRateFinder ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [engine.name for engine in installed_engines() if engine.differentiable])
def test_the_finder_sweeps_suggests_and_puts_everything_back(name):
    with nyala.backend(name):
        nyala.utils.set_random_seed(5)
        sweep(compiled(0.123))


def sweep(model):
    model.fit(X, Y, verbose=0)
    before = [variable.numpy() for variable in (*model.variables, *model.optimizer.variables)]
    finder = callbacks.LearningRateFinder(1e-4, 1e3, steps=40)
    model.fit(X, Y, batch_size=11, epochs=40, verbose=0, callbacks=[finder])
    assert len(finder.rates) == len(finder.losses) <= 40
    np.testing.assert_allclose(np.diff(np.log(finder.rates)), np.log(1e7) / 39, rtol=1e-6)
    assert finder.rates[0] == pytest.approx(1e-4)
    assert 1e-3 < finder.suggestion < 10
    for variable, value in zip((*model.variables, *model.optimizer.variables), before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    rate = finder.suggestion
    model.optimizer.learning_rate = rate
    losses = model.fit(X, Y, batch_size=4, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < 0.3 * losses[0]


def test_the_finder_stops_when_the_loss_explodes(eager):
    model = linear()
    model.compile(nyala.optimizers.SGD(0.1), "mse")
    finder = callbacks.LearningRateFinder(1e-3, 1e6, steps=60, smoothing=0.0)
    history = model.fit(X, Y, batch_size=11, epochs=60, verbose=0, callbacks=[finder])
    assert len(history.epoch) < 60
    assert finder.rates[-1] < 1e3
    assert np.isfinite(finder.losses).all()
    assert finder.losses[-1] <= 4 * min(finder.losses)
    np.testing.assert_array_equal(model.get_weights()[0], linear().get_weights()[0])


def test_the_suggestion_is_the_steepest_place(eager):
    finder = callbacks.LearningRateFinder()
    finder.rates = list(np.logspace(-4, 1, 51))
    finder.losses = list(2 - np.tanh(np.log10(finder.rates) + 2) + (np.array(finder.rates) > 1) * 3)
    assert finder.suggestion == pytest.approx(1e-2)


def test_what_the_finder_refuses(eager):
    with raises(ArgumentError, "LearningRateFinder needs 0 < min_rate < max_rate, got 1.0 and 0.1."):
        callbacks.LearningRateFinder(1.0, 0.1)
    with raises(ArgumentError, "LearningRateFinder needs at least 4 steps, and smoothing from 0 to below 1, got 3 and 0.8."):
        callbacks.LearningRateFinder(steps=3)
    text = "LearningRateFinder.suggestion needs a loss that stays finite for at least 4 batches, got 0."
    with raises(StateError, text + "\n  fix: pass it to the callbacks of fit first"):
        callbacks.LearningRateFinder().suggestion  # noqa: B018  a property
    model = linear()
    model.compile(nyala.optimizers.SGD(nyala.optimizers.schedules.CosineDecay(0.1, 9)), "mse")
    with raises(StateError, "LearningRateFinder needs an optimizer with a number as learning rate, got one with a schedule, or without a rate."):
        model.fit(X, Y, verbose=0, callbacks=[callbacks.LearningRateFinder()])


# Timer -----------------------------------------------------------------------------------------------------------------------------------


class Sleepy(callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        time.sleep(0.05)


class SlowBatches:
    def __iter__(self):
        for i in range(0, 8, 4):
            time.sleep(0.04)
            yield X[i : i + 4], Y[i : i + 4]


def test_the_timer_tells_who_took_the_time(eager, capsys):
    timer, sleepy = callbacks.Timer(), Sleepy()
    began = time.perf_counter()
    compiled().fit(SlowBatches(), epochs=3, validation_data=(X, Y), verbose=0, callbacks=[sleepy, timer])
    total = time.perf_counter() - began
    assert timer.callbacks["Sleepy"] == pytest.approx(timer.seconds["callbacks"], abs=0.02)
    assert timer.callbacks["Sleepy"] >= 0.15
    assert timer.seconds["data"] >= 6 * 0.04 * 0.9
    assert min(timer.seconds.values()) >= 0
    assert sum(timer.seconds.values()) <= total
    assert timer.steps == 6
    assert not {name for name in sleepy.__dict__ if name.startswith("on_")}  # unwrapped again
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in shown[:-1]] == ["compilation", "data", "steps", "validation", "callbacks", "Sleepy", "History", "rest"]
    assert shown[-1].startswith("6 steps of ")


def test_a_timer_makes_nobody_else_ask_for_batches(eager):
    sleepy, timer = Sleepy(), callbacks.Timer(verbose=0)
    compiled().fit(X, Y, verbose=0, callbacks=[sleepy, timer])
    from nyala.callbacks.callback import wants_batches

    assert not wants_batches(sleepy, "train")
    assert wants_batches(timer, "train")


# Pictures --------------------------------------------------------------------------------------------------------------------------------


def test_history_plots_itself(eager, tmp_path):
    pytest.importorskip("matplotlib")
    history = compiled().fit(X, Y, epochs=4, validation_data=(X, Y), validation_freq=2, verbose=0)
    figure = history.plot(path=tmp_path / "history.png")
    assert (tmp_path / "history.png").read_bytes().startswith(b"\x89PNG")
    assert [axis.get_title() for axis in figure.axes] == ["loss", "mae"]
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    np.testing.assert_array_equal(lines["training"].get_xydata(), np.stack([[1, 2, 3, 4], history.history["loss"]], 1))
    np.testing.assert_array_equal(lines["validation"].get_xydata(), np.stack([[2, 4], history.history["val_loss"]], 1))
    assert [axis.get_title() for axis in history.plot(["mae"]).axes] == ["mae"]
    with raises(LookupFailed, "History.plot(metrics) needs names among ['loss', 'mae'], got ['acc']."):
        history.plot(["acc"])


def test_curves_are_drawn_while_training_goes_on(eager, tmp_path):
    pytest.importorskip("matplotlib")
    path, sizes = tmp_path / "live.png", []
    watch = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: sizes.append(path.stat().st_mtime_ns if path.exists() else 0))
    compiled().fit(X, Y, epochs=3, verbose=0, callbacks=[callbacks.PlotHistory(path, every=2), watch])
    assert sizes[0] == 0
    assert sizes[1] == sizes[2] < path.stat().st_mtime_ns  # the last epoch is drawn at the end


def test_a_notebook_shows_one_picture_that_changes(eager, monkeypatch):
    pytest.importorskip("matplotlib")
    shown = []

    class Handle:
        def update(self, picture):
            shown.append(("update", picture[:4]))

    def display(picture, display_id):
        shown.append(("display", picture[:4], display_id))
        return Handle()

    module = types.ModuleType("IPython.display")
    module.display, module.Image = display, lambda data: data
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
    compiled().fit(X, Y, epochs=3, verbose=0, callbacks=[callbacks.PlotHistory()])
    assert shown == [("display", b"\x89PNG", True), ("update", b"\x89PNG"), ("update", b"\x89PNG")]


def test_the_finder_draws(eager, tmp_path):
    pytest.importorskip("matplotlib")
    finder = callbacks.LearningRateFinder(steps=20)
    compiled().fit(X, Y, batch_size=4, epochs=7, verbose=0, callbacks=[finder])
    figure = finder.plot(tmp_path / "rates.png")
    assert (tmp_path / "rates.png").read_bytes().startswith(b"\x89PNG")
    assert figure.axes[0].get_xscale() == "log"
    np.testing.assert_allclose(figure.axes[0].lines[1].get_xdata(), finder.suggestion)


def test_an_instrument_costs_nothing_where_it_is_not_used():
    """A CallbackList without batch hooks asks for none, whatever else is in it."""
    quiet = callbacks.CallbackList([callbacks.EarlyStopping("loss"), Sleepy(), callbacks.PlotHistory()], add_history=True, add_progbar=True)
    assert not quiet.wants_batches("train")
    assert not quiet.wants_batches("test")


def test_the_finder_and_the_timer_go_on_after_an_interruption(tmp_path):
    x = np.random.default_rng(3).normal(size=(24, 3)).astype("float32")

    class Stop(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    def run(resume, *others):
        nyala.utils.set_random_seed(2)
        model = nyala.Sequential([nyala.Input((3,)), nyala.layers.Dense(1)])
        model.compile("sgd", "mse")
        finder, timer = callbacks.LearningRateFinder(1e-3, 0.1, steps=12), callbacks.Timer(verbose=0)
        model.fit(x, x[:, :1], batch_size=6, epochs=3, verbose=0, callbacks=[finder, timer, *others], resume=resume)
        return finder, timer, model.get_weights()

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", Stop())
    finder, timer, weights = run(tmp_path / "run")
    whole, _, first = run(None)
    assert (finder.rates, finder.losses, timer.steps) == (whole.rates, whole.losses, 12)
    for a, b in zip(weights, first, strict=True):
        np.testing.assert_array_equal(a, b)
