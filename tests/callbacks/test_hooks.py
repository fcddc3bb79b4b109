# SPDX-License-Identifier: Apache-2.0
"""Which hooks are called when, with what; and that stopping works from all of them."""

import numpy as np
import pytest

import nyala
from nyala import callbacks, layers
from nyala.callbacks.callback import BATCH_HOOKS, Callback
from nyala.callbacks.callback_list import CallbackList
from nyala.testing import installed_engines
from tests.training.tools import X, Y, linear

HOOKS = [name for name in vars(Callback) if name.startswith("on_") and not name.startswith("on_batch")]


class Recorder(Callback):
    """Every hook, with its index and the names in its logs. logs has no default: it is always passed."""

    def __init__(self):
        super().__init__()
        self.calls = []


def _record(name):
    def indexed(self, index, logs):
        self.calls.append((name, index, sorted(logs)))

    def plain(self, logs):
        self.calls.append((name, sorted(logs)))

    return indexed if "epoch" in name or "batch" in name else plain


for _name in HOOKS:
    setattr(Recorder, _name, _record(_name))


def compiled(**kwargs):
    model = linear()
    model.compile("sgd", "mse", metrics=["mae"], **kwargs)
    return model


NAMES = ["loss", "mae"]
ALL = ["loss", "mae", "val_loss", "val_mae"]


def steps(mode, count):
    """The calls of `count` steps."""
    return [
        call
        for i in range(count)
        for call in ((f"on_{mode}_batch_begin", i, []), (f"on_{mode}_batch_end", i, NAMES if mode != "predict" else ["outputs"]))
    ]


def test_order_of_fit():
    """As Keras calls them: two epochs of three batches, validation of two."""
    recorder = Recorder()
    compiled().fit(X, Y, batch_size=4, epochs=2, validation_data=(X[:5], Y[:5]), verbose=0, callbacks=[recorder])
    epoch = lambda i: [  # noqa: E731
        ("on_epoch_begin", i, []),
        *steps("train", 3),
        ("on_test_begin", []),
        *steps("test", 2),
        ("on_test_end", NAMES),
        ("on_epoch_end", i, ALL),
    ]
    assert recorder.calls == [("on_train_begin", []), *epoch(0), *epoch(1), ("on_train_end", ALL)]
    assert {k: recorder.params[k] for k in ("verbose", "epochs", "steps")} == {"verbose": 0, "epochs": 2, "steps": 3}


def test_order_on_each_engine():
    for engine in installed_engines():
        if engine.differentiable:
            with nyala.backend(engine.name):
                for data in ((X, Y), (iter([(X[:4], Y[:4]), (X[4:8], Y[4:8]), (X[8:], Y[8:])]),)):
                    recorder = Recorder()
                    compiled().fit(*data, batch_size=4, verbose=0, callbacks=recorder)
                    assert recorder.calls == [
                        ("on_train_begin", []),
                        ("on_epoch_begin", 0, []),
                        *steps("train", 3),
                        ("on_epoch_end", 0, NAMES),
                        ("on_train_end", NAMES),
                    ]


def test_order_of_evaluate_and_predict():
    recorder = Recorder()
    model = compiled()
    model.evaluate(X, Y, batch_size=4, verbose=0, callbacks=[recorder])
    assert recorder.calls == [("on_test_begin", []), *steps("test", 3), ("on_test_end", NAMES)]
    recorder.calls.clear()
    model.predict(X, batch_size=4, verbose=0, callbacks=[recorder])
    assert recorder.calls == [("on_predict_begin", []), *steps("predict", 3), ("on_predict_end", [])]


def test_several_steps_per_execution():
    recorder = Recorder()
    compiled(steps_per_execution=2).fit(X, Y, batch_size=4, verbose=0, callbacks=[recorder])
    batches = [call[:2] for call in recorder.calls if "batch" in call[0]]
    assert batches == [("on_train_batch_begin", 0), ("on_train_batch_end", 1), ("on_train_batch_begin", 2), ("on_train_batch_end", 2)]


def test_stopping_after_a_batch():
    class Stop(Recorder):
        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch, logs)
            self.model.stop_training = batch == 1

    recorder = Stop()
    model = compiled()
    history = model.fit(X, Y, batch_size=4, epochs=3, validation_data=(X[:3], Y[:3]), verbose=0, callbacks=[recorder])
    assert [call[0] for call in recorder.calls].count("on_train_batch_end") == 2
    assert recorder.calls[-2:] == [("on_epoch_end", 0, ALL), ("on_train_end", ALL)]
    assert history.epoch == [0]
    assert int(model.optimizer.iterations) == 2


@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_epoch_end", "on_test_end"])
def test_stopping_elsewhere(hook):
    class Stop(Callback):
        pass

    def stop(self, *args):
        self.model.stop_training = True

    setattr(Stop, hook, stop)
    history = compiled().fit(X, Y, batch_size=4, epochs=3, validation_data=(X, Y), verbose=0, callbacks=[Stop()])
    assert history.epoch == [0]
    assert list(history.history) == ALL


def test_old_names_of_batch_hooks():
    seen = []

    class Old(Callback):
        def on_batch_begin(self, batch, logs=None):
            seen.append(batch)

        def on_batch_end(self, batch, logs=None):
            seen.append(sorted(logs))

    compiled().fit(X, Y, batch_size=4, verbose=0, callbacks=[Old()])
    assert seen == [0, NAMES, 1, NAMES, 2, NAMES]


def test_a_hook_set_on_the_object_counts():
    seen, callback = [], Callback()
    callback.on_train_batch_end = lambda batch, logs: seen.append(batch)
    compiled().fit(X, Y, batch_size=4, verbose=0, callbacks=[callback])
    assert seen == [0, 1, 2]


def test_who_wants_batches():
    for mode, hooks in BATCH_HOOKS.items():
        for hook in hooks:
            asking = type("Asking", (Callback,), {hook: lambda self, *args: None})()
            assert CallbackList([asking]).wants_batches(mode), hook
            assert not any(CallbackList([asking]).wants_batches(other) for other in BATCH_HOOKS if other != mode)
    quiet = [callbacks.EarlyStopping(), callbacks.ModelCheckpoint(), callbacks.ReduceLROnPlateau(), callbacks.History(), callbacks.ProgbarLogger()]
    assert not any(CallbackList(quiet).wants_batches(mode) for mode in BATCH_HOOKS)
    assert CallbackList([callbacks.ModelCheckpoint(save_freq=2)]).wants_batches("train")


def test_logs_that_a_callback_adds_reach_the_history():
    class Add(Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["extra"] = epoch * 10

    history = compiled().fit(X, Y, epochs=2, verbose=0, callbacks=[Add()]).history
    assert history["extra"] == [0, 10]


def test_lambda_callback_and_history():
    seen = []
    model = compiled()
    watch = callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: seen.append(f"begin {epoch}"), on_epoch_end=lambda epoch, logs: seen.append(f"end {epoch}"),
        on_train_begin=lambda logs: seen.append("start"), on_train_end=lambda logs: seen.append("stop"),
    )  # fmt: skip
    history = model.fit(X, Y, epochs=2, verbose=0, callbacks=[watch])
    assert seen == ["start", "begin 0", "end 0", "begin 1", "end 1", "stop"]
    assert isinstance(history, callbacks.History)
    assert model.history is history
    assert history.epoch == [0, 1]
    assert [type(value) for value in history.history["loss"]] == [float, float]
    assert history.model is model
    own = callbacks.History()
    assert model.fit(X, Y, verbose=0, callbacks=[own]) is own


def test_a_list_of_callbacks_can_be_passed_whole():
    recorder = Recorder()
    model = compiled()
    calls = CallbackList([recorder], add_history=True, model=model, epochs=1, verbose=0)
    model.fit(X, Y, verbose=0, callbacks=calls)
    assert recorder.calls[-1] == ("on_train_end", NAMES)
    assert len(model.history.history["loss"]) == 1
    calls.append(callbacks.History())
    assert len(calls.callbacks) == 3


def test_an_error_in_a_callback_leaves_a_model_that_works():
    class Fail(Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise RuntimeError("mine")

    model = nyala.Sequential([nyala.Input((3,)), layers.Dense(1, kernel_regularizer="l2", activity_regularizer="l1")])
    model.compile("sgd", "mse")
    with pytest.raises(RuntimeError, match="mine"):
        model.fit(X, Y, verbose=0, callbacks=[Fail()])
    assert len(model.fit(X, Y, verbose=0).history["loss"]) == 1


def test_hooks_stop_evaluating_and_predicting():
    class Stop(nyala.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.seen = []

        def on_test_batch_end(self, batch, logs=None):
            self.seen.append(("test", batch))
            self.model.stop_evaluating = batch == 1

        def on_predict_batch_end(self, batch, logs=None):
            self.seen.append(("predict", batch))
            self.model.stop_predicting = batch == 2

    x = np.random.default_rng(0).normal(size=(17, 3))
    y = x[:, :1] * 2
    model = nyala.Sequential([nyala.Input((3,)), nyala.layers.Dense(1)])
    model.compile("sgd", "mse")
    stop = Stop()
    loss = model.evaluate(x, y, batch_size=3, verbose=0, callbacks=[stop])
    assert loss == pytest.approx(model.evaluate(x[:6], y[:6], batch_size=3, verbose=0), rel=1e-5)
    assert model.predict(x, batch_size=3, verbose=0, callbacks=[stop]).shape == (9, 1)
    assert stop.seen == [("test", 0), ("test", 1), ("predict", 0), ("predict", 1), ("predict", 2)]
    assert model.predict(x, batch_size=3, verbose=0).shape == (17, 1)
