# SPDX-License-Identifier: Apache-2.0
"""Training that an error or Ctrl-C ends: callbacks put back what must not stay, and let go of what they opened."""

import sys

import numpy as np
import pytest

import nyala
from nyala import callbacks
from nyala.callbacks.progbar_logger import ProgbarLogger
from tests.training.tools import X, Y, linear, raises


class Fails(callbacks.Callback):
    """Raises in a hook, at its so many-th call."""

    def __init__(self, hook, at=1, error=None):
        super().__init__()
        self.calls, self.at, self.error = 0, at, error or ValueError("the disk is full")
        setattr(self, hook, self.count)

    def count(self, *args):
        self.calls += 1
        if self.calls == self.at:
            raise self.error


def trained(*more, error=ValueError, optimizer="sgd", **kwargs):
    """A model whose fit with these callbacks ended by an error."""
    model = linear()
    model.compile(optimizer, "mse")
    with pytest.raises(error):
        model.fit(X, Y, batch_size=4, epochs=5, verbose=0, callbacks=list(more), **kwargs)
    return model


def test_the_finder_puts_weights_and_rate_back():
    finder = callbacks.LearningRateFinder(1e-3, 1.0, steps=15)
    model = trained(finder, Fails("on_train_batch_end", 5), optimizer=nyala.optimizers.Adam(0.125))
    assert len(finder.rates) == 5
    for value, first in zip(model.get_weights(), linear().get_weights(), strict=True):
        np.testing.assert_array_equal(value, first)
    assert float(model.optimizer.learning_rate) == 0.125 and int(model.optimizer.iterations) == 0


@pytest.mark.parametrize("error", [ValueError("full"), KeyboardInterrupt(), SystemExit(3)], ids=lambda error: type(error).__name__)
def test_the_best_weights_are_restored(error):
    best = []
    stopping = callbacks.EarlyStopping("loss", mode="max", restore_best_weights=True)  # the first epoch is the best
    keep = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: best.append(stopping.model.get_weights()))
    stopping.patience = 10
    model = trained(stopping, keep, Fails("on_train_batch_begin", 8, error), error=type(error))
    assert stopping.best_epoch == 0 and len(best) == 2
    for value, first in zip(model.get_weights(), best[0], strict=True):
        np.testing.assert_array_equal(value, first)


@pytest.mark.parametrize("hook", ["on_test_batch_begin", "on_predict_batch_begin"])
def test_averages_do_not_stay_in_the_model(hook):
    model = linear()
    model.compile(nyala.optimizers.SGD(0.1, use_ema=True), "mse")
    model.train_on_batch(X, Y)
    model.train_on_batch(X, Y)
    own = model.get_weights()
    run = model.predict if "predict" in hook else lambda x, **kwargs: model.evaluate(x, Y, **kwargs)
    with pytest.raises(ValueError):
        run(X, verbose=0, callbacks=[callbacks.SwapEMAWeights(), Fails(hook)])
    np.testing.assert_array_equal(model.get_weights()[0], own[0])


def test_the_timer_gives_the_hooks_back():
    other = Fails("on_train_batch_end", 2)
    stopping = callbacks.EarlyStopping("loss")
    trained(callbacks.Timer(verbose=0), stopping, other)
    assert "on_epoch_end" not in vars(stopping)


def test_the_bar_is_closed(monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("nyala.callbacks.progbar_logger.is_interactive", lambda: True)
    bar = ProgbarLogger()
    model = linear()
    model.compile("sgd", "mse")
    for _ in range(2):  # the terminal has one live bar: the next fit may draw its own
        with pytest.raises(ValueError):
            model.fit(X, Y, batch_size=4, verbose=1, callbacks=[bar, Fails("on_train_batch_end", 2)])
        assert bar._bar is None and not bar._inside_training


def test_files_of_tensorboard_are_closed(tmp_path):
    pytest.importorskip("tensorboard")
    board = callbacks.TensorBoard(tmp_path, update_freq="batch")
    trained(board, Fails("on_train_batch_end", 2))
    assert board._writers == {} and list((tmp_path / "train").iterdir())


def test_an_error_on_the_way_out_is_told_beside_the_first():
    class Worse(callbacks.Callback):
        def on_exception(self, error):
            raise OSError("no space left")

    after = callbacks.LearningRateFinder(1e-3, 1.0)
    with pytest.raises(ValueError, match="the disk is full") as info:
        model = linear()
        model.compile("sgd", "mse")
        model.fit(X, Y, verbose=0, callbacks=[Worse(), after, Fails("on_train_batch_end")])
    assert info.value.__notes__ == ["and Worse.on_exception raised OSError: no space left"]
    np.testing.assert_array_equal(model.get_weights()[0], linear().get_weights()[0])


def test_a_callback_that_refuses_to_begin():
    model = linear()
    model.compile(nyala.optimizers.SGD(nyala.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)), "mse")
    timer = callbacks.Timer(verbose=0)
    text = "LearningRateFinder needs an optimizer with a number as learning rate, got one with a schedule, or without a rate."
    with raises(nyala.core.errors.StateError, text):
        model.fit(X, Y, verbose=0, callbacks=[callbacks.LearningRateFinder(), timer])
    assert timer.seconds == {}
