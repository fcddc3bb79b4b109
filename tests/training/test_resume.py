# SPDX-License-Identifier: Apache-2.0
"""Runs that are interrupted and go on: equal in every bit to runs that are not, at every place, or refused with the reason."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest

import nyala
from nyala import callbacks, layers
from nyala.core import seeds
from nyala.core.errors import ArgumentError, StateError
from nyala.files.checkpoints import CheckpointFolder
from nyala.training import loop, resume
from tests.training.kill_and_resume import kill_and_compare
from tests.training.tools import numbers, raises

X = numbers(53, 4)
Y = (X[:, :1] - X[:, 1:2] * 2).astype("float32")
BATCH, STEPS = 8, 6  # of 43 samples, the last batch smaller; 10 are kept for validation


class Interrupted(Exception):
    pass


class Interrupt(callbacks.Callback):
    """Raises, or does something else, when a hook is called for the n-th time."""

    def __init__(self, hook, number, action=None):
        super().__init__()
        self.left, self.action = number, action
        setattr(self, hook, self.call)

    def call(self, *args, **kwargs):
        self.left -= 1
        if self.left == 0:
            if self.action is None:
                raise Interrupted
            self.action()


def network(rate=0.02, units=5, **compiled):
    nyala.utils.set_random_seed(7)
    model = nyala.Sequential([nyala.Input((4,)), layers.Dense(units, "tanh"), layers.BatchNormalization(), layers.Dropout(0.4), layers.Dense(1)])
    model.compile(**{"optimizer": nyala.optimizers.Adam(rate), "loss": "mse", "metrics": ["mae"], **compiled})
    return model


def fit(model, interrupt=None, epochs=3, used=(), **arguments):
    arguments = {"x": X, "y": Y, "batch_size": BATCH, "validation_split": 10 / 53, "verbose": 0, **arguments}
    return model.fit(epochs=epochs, callbacks=[*used, *([interrupt] if interrupt else [])], **arguments)


def outcome(model, history):
    """All that must be equal, as bytes and text."""
    values = [v.numpy().tobytes() for v in (*model.variables, *model.optimizer.variables)]
    return values, {name: [float(v).hex() for v in row] for name, row in history.history.items()}, history.epoch, seeds.draw_seed(), np.random.rand()


def whole(**arguments):
    model = network()
    return outcome(model, fit(model, **arguments))


def interrupted(folder, interrupt, kind=Interrupted, used=lambda: (), **arguments):
    """What comes out of a run that is interrupted, begun again in a new model, and ended."""
    with pytest.raises(kind):
        fit(network(), interrupt, used=used(), resume=folder, **arguments)
    model = network()
    return outcome(model, fit(model, used=used(), resume=folder, **arguments))


# Equal bits -------------------------------------------------------------------------------------------------------------------------------


def test_each_place(each_engine, tmp_path):
    """After each of the first steps, the last one of an epoch, in validation, and between epochs."""
    expected = whole()
    places = [("on_train_batch_end", 9), ("on_test_batch_end", 2)]
    if each_engine == "torch":  # where nothing is compiled
        places += [("on_train_batch_end", n) for n in (2, 7, 12)] + [("on_test_batch_end", 1), ("on_test_batch_end", 3), ("on_epoch_end", 1)]
    for hook, number in places:
        options = callbacks.Resume(tmp_path / f"{hook}-{number}", steps=1)
        assert interrupted(options, Interrupt(hook, number)) == expected, (hook, number)


def test_the_number_of_steps_in_a_dispatch_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "DISPATCH_SECONDS", 0.0)
    one_by_one = whole()
    monkeypatch.setattr(loop, "DISPATCH_SECONDS", 1e9)
    assert interrupted(callbacks.Resume(tmp_path, steps=4), Interrupt("on_epoch_end", 2)) == one_by_one


def best_of(place):
    with np.load(place / "best.npz") as arrays:
        return [array.tobytes() for array in arrays.values()]


def test_callbacks_go_on(eager, tmp_path):
    def used(place):
        place.mkdir(exist_ok=True)
        return [
            callbacks.EarlyStopping("val_mae", patience=2, min_delta=0.5, restore_best_weights=True),
            callbacks.ReduceLROnPlateau("loss", patience=1, factor=0.5, min_delta=0.2),
            callbacks.ModelCheckpoint(place / "best.npz", "val_mae", save_best_only=True),
            callbacks.ModelCheckpoint(None, "val_mae", save_best_only=True),
            callbacks.CSVLogger(place / "log.csv"),
        ]

    model = network()
    expected = outcome(model, fit(model, epochs=9, used=used(tmp_path / "a")))
    assert len(expected[2]) < 9  # it stopped early
    last = len(expected[2])
    for epoch in sorted({1, last - 1, last}):
        place = tmp_path / str(epoch)
        got = interrupted(place / "run", Interrupt("on_epoch_begin" if epoch < last else "on_train_end", epoch + 1 if epoch < last else 1),
                          used=lambda place=place: used(place), epochs=9)  # fmt: skip
        assert got == expected, epoch
        assert (place / "log.csv").read_text() == (tmp_path / "a" / "log.csv").read_text()
        assert best_of(place) == best_of(tmp_path / "a")


def test_averages_that_are_shown_and_a_schedule(eager, tmp_path):
    def model():
        rate = nyala.optimizers.schedules.CosineDecay(0.05, 14)
        return network(optimizer=nyala.optimizers.SGD(rate, momentum=0.9, use_ema=True, ema_momentum=0.8, gradient_accumulation_steps=4))

    def run(interrupt, **arguments):
        made = model()
        return outcome(made, fit(made, interrupt, used=[callbacks.SwapEMAWeights(swap_on_epoch=True)], **arguments))

    expected = run(None)
    for hook, number in (("on_epoch_begin", 2), ("on_test_batch_end", 2), ("on_train_batch_end", 9)):
        options = callbacks.Resume(tmp_path / hook, steps=1)
        with pytest.raises(Interrupted):
            run(Interrupt(hook, number), resume=options)
        assert run(None, resume=options) == expected, hook


def test_a_schedule_that_looks_at_the_rate_before(eager, tmp_path):
    """on_epoch_begin is called again in the middle of an epoch: it must not act twice."""
    used = lambda: [callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5)]  # noqa: E731
    expected = whole(used=used())
    assert interrupted(callbacks.Resume(tmp_path, steps=1), Interrupt("on_train_batch_end", 8), used=used) == expected


def test_generators_of_the_host_and_ops_without_a_seed(each_engine, tmp_path):
    class Noisy(nyala.Sequential):
        def train_step(self, data):  # builds nothing before the first step
            x, y = data
            return super().train_step((x + nyala.random.normal(x.shape, stddev=0.1), y))

    class Draws(callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.optimizer.learning_rate = 0.01 * (1 + np.random.rand())

    def run(interrupt=None, **arguments):
        nyala.utils.set_random_seed(3)
        model = Noisy([layers.Dense(3), layers.Dropout(0.5), layers.Dense(1)])
        model.compile("rmsprop", "mse")
        return outcome(model, fit(model, interrupt, used=[Draws()], validation_split=0.0, **arguments))

    expected = run()
    options = callbacks.Resume(tmp_path, steps=1)
    with pytest.raises(Interrupted):
        run(Interrupt("on_train_batch_end", 9), resume=options)
    assert run(resume=options) == expected


def test_a_finished_run_is_finished_and_more_epochs_go_on(eager, tmp_path):
    expected, longer = whole(), whole(epochs=5)
    model = network()
    assert outcome(model, fit(model, resume=tmp_path)) == expected
    model = network()
    assert outcome(model, fit(model, Interrupt("on_train_batch_end", 1), resume=tmp_path)) == expected  # not one more step
    model = network()
    assert outcome(model, fit(model, epochs=5, resume=tmp_path)) == longer


class Rows(nyala.utils.PyDataset):
    def __len__(self):
        return 5

    def __getitem__(self, index):
        return X[index * 7 : index * 7 + 7], Y[index * 7 : index * 7 + 7]


def test_streams(eager, tmp_path):
    data = {"x": Rows(), "y": None, "validation_split": 0.0, "validation_data": (X, Y)}
    expected = whole(**data)
    for number in (3, 5, 11):
        assert interrupted(callbacks.Resume(tmp_path / str(number), steps=1), Interrupt("on_train_batch_end", number), **data) == expected


def batches():
    for i in range(1000):
        rows = np.arange(i * 5, i * 5 + 5) % 53
        yield X[rows], Y[rows]


def test_generators_are_said_to_begin_anew_or_replayed(eager, tmp_path):
    def data():
        return {"x": batches(), "y": None, "validation_split": 0.0, "steps_per_epoch": 4, "validation_data": (X, Y)}

    expected = whole(**data())
    said = (
        r"After an interruption in the middle of an epoch, that epoch is begun again, with the data that come then; Resume\(directory, replay=True\)"
    )
    with pytest.warns(UserWarning, match=said), pytest.raises(Interrupted):
        fit(network(), Interrupt("on_train_batch_end", 6), resume=callbacks.Resume(tmp_path / "a", steps=1), **data())
    model = network()
    with pytest.warns(UserWarning, match=said):
        history = fit(model, resume=tmp_path / "a", **data())
    assert history.epoch == [0, 1, 2]
    assert int(model.optimizer.iterations) == 12  # the second epoch from its beginning
    options = callbacks.Resume(tmp_path / "b", steps=1, replay=True)
    with pytest.warns(UserWarning, match="its batches are read once more and dropped"):
        with pytest.raises(Interrupted):
            fit(network(), Interrupt("on_train_batch_end", 6), resume=options, **data())
        model = network()
        assert outcome(model, fit(model, resume=options, **data())) == expected


# Being told to stop -----------------------------------------------------------------------------------------------------------------------


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM there")
@pytest.mark.parametrize(
    ("hook", "number"), [("on_train_begin", 1), ("on_train_batch_end", 2), ("on_test_batch_end", 3), ("on_test_batch_end", 4), ("on_epoch_end", 2)]
)
def test_sigterm_saves_and_ends(hook, number, eager, tmp_path, capsys):
    expected = whole()
    before = signal.getsignal(signal.SIGTERM)
    options = callbacks.Resume(tmp_path, epochs=None, seconds=None)
    with pytest.raises(callbacks.Preempted) as info:
        fit(network(), Interrupt(hook, number, terminate), resume=options)
    assert info.value.code == resume.EXIT_CODE == 143
    assert info.value.path == options.latest() is not None
    assert capsys.readouterr().err == f"Stopped as asked; the newest checkpoint is {options.latest()}\n"
    assert signal.getsignal(signal.SIGTERM) == before
    assert not (tmp_path / "lock.json").exists()
    model = network()
    assert outcome(model, fit(model, resume=options)) == expected


PROGRAM = """
import os, signal, sys, time
import numpy as np, nyala
class Slow(nyala.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        print(batch, flush=True)
        if len(sys.argv) > 2:  # a step that does not end
            while True:
                time.sleep(0.01)
        time.sleep(0.02)
model = nyala.Sequential([nyala.Input((2,)), nyala.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(np.ones((999, 2)), np.ones((999, 1)), batch_size=3, verbose=0, resume=sys.argv[1], callbacks=[Slow()])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM there")
@pytest.mark.parametrize("twice", [False, True])
def test_the_exit_code_of_a_process(twice, eager, tmp_path):
    environment = {**os.environ, "NYALA_BACKEND": eager}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), *(["twice"] if twice else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout.readline() == "0\n"
        process.send_signal(signal.SIGTERM)
        if twice:
            time.sleep(0.3)
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
        assert process.wait(300) == (-signal.SIGTERM if twice else 143)  # a shell says 143 to both
        assert ("the newest checkpoint is" in process.stderr.read()) is not twice
    assert len(CheckpointFolder(tmp_path).paths()) == (not twice)


def test_a_request_from_another_thread(eager, tmp_path):
    options = callbacks.Resume(tmp_path, epochs=None)
    asks = Interrupt("on_train_batch_end", 3, options.preempt)
    ended = []

    def work():  # where no handler of signals can be installed
        with nyala.backend(eager), contextlib.suppress(SystemExit):
            fit(network(), asks, resume=options)
        ended.append(options.latest())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended == [CheckpointFolder(tmp_path).paths()[-1]]
    assert CheckpointFolder(tmp_path).newest()[1]["place"] == {"epoch": 0, "mode": "train", "batch": 3, "step": 3}


def test_killed_at_random_moments(tmp_path):
    """`python tests/training/kill_and_resume.py --kills 50` does it more often, and in other ways."""
    assert kill_and_compare(["groups"], 3, 1, tmp_path) >= 3


# Saving ------------------------------------------------------------------------------------------------------------------------------------


def test_in_the_background(eager, tmp_path, monkeypatch):
    expected, write, threads = whole(), CheckpointFolder.write, set()

    def slow(self, state):
        threads.add(threading.current_thread())
        time.sleep(0.02)  # training goes on meanwhile, and must not change what is written
        return write(self, state)

    monkeypatch.setattr(CheckpointFolder, "write", slow)
    options = callbacks.Resume(tmp_path, steps=1, background=True)
    assert interrupted(options, Interrupt("on_train_batch_end", 9)) == expected
    assert threading.main_thread() not in threads
    assert not any(thread.is_alive() for thread in threads)


def test_a_failure_in_the_background_is_raised(eager, tmp_path, monkeypatch):
    write, calls = CheckpointFolder.write, []

    def failing(self, state):
        calls.append(state["place"]["step"])
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        return write(self, state)

    monkeypatch.setattr(CheckpointFolder, "write", failing)
    options = callbacks.Resume(tmp_path, steps=2, epochs=None, background=True)
    seen = []
    watch = callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: seen.append(batch))
    with pytest.raises(StateError) as info:
        fit(network(), used=[watch], resume=options)
    text = (
        f"resume({str(tmp_path)!r}) needs to write its checkpoints, got OSError: [Errno 28] No space left on device.\n  why: the one of step 6 failed"
    )
    assert str(info.value) == text
    assert calls == [2, 4, 6]
    assert len(seen) <= 8  # at the next step, or when the next one was to be written
    assert options.latest().name == "checkpoint-00000002"
    assert CheckpointFolder(tmp_path).newest()[1]["place"]["step"] == 4


def test_a_failure_of_the_last_one_is_raised_at_the_end(eager, tmp_path, monkeypatch):
    def failing(self, state):
        time.sleep(0.05)
        raise OSError("made up")

    monkeypatch.setattr(CheckpointFolder, "write", failing)
    with pytest.raises(StateError, match="the one of step 6 failed"):
        fit(network(), epochs=1, resume=callbacks.Resume(tmp_path, background=True))
    assert not (tmp_path / "lock.json").exists()


def test_a_damaged_one_is_set_aside(eager, tmp_path):
    expected = whole()
    with pytest.raises(Interrupted):
        fit(network(), Interrupt("on_train_batch_end", 9), resume=callbacks.Resume(tmp_path, steps=1))
    newest = CheckpointFolder(tmp_path).paths()[-1]
    (newest / "arrays.bin").write_bytes((newest / "arrays.bin").read_bytes()[:-1])
    model = network()
    with pytest.warns(UserWarning, match=f"{newest.name} is damaged, set aside as bad-{newest.name}"):
        history = fit(model, resume=tmp_path)
    assert outcome(model, history) == expected


def test_how_often(eager, tmp_path, monkeypatch):
    places = []
    write = CheckpointFolder.write
    monkeypatch.setattr(
        CheckpointFolder, "write", lambda self, state: places.append((state["place"]["epoch"], state["place"]["batch"])) or write(self, state)
    )

    def kept(**options):
        places.clear()
        fit(network(), epochs=4, resume=callbacks.Resume(tmp_path / str(len(list(tmp_path.iterdir()))), **options))
        return list(places)

    assert kept() == [(1, 0), (2, 0), (3, 0), (4, 0)]
    assert kept(epochs=3) == [(3, 0), (4, 0)]
    assert kept(epochs=None, steps=5) == [(0, 5), (1, 4), (2, 3), (3, 2), (4, 0)]
    assert kept(epochs=None) == [(4, 0)]
    assert kept(epochs=None, steps=6) == [(0, None), (1, None), (2, None), (3, None), (4, 0)]
    assert kept(epochs=None, seconds=1e-9)[0] == (0, 1)
    assert len(CheckpointFolder(tmp_path / "1").paths()) == 2


# Refusals ---------------------------------------------------------------------------------------------------------------------------------


def test_another_program_is_refused(eager, tmp_path):
    fit(network(), epochs=1, resume=tmp_path)
    where = f"resume({str(tmp_path)!r})"
    start = f"{where} needs the program and machine that it was made with, got another "
    end = (
        ".\n  why: the results would not be those of a run that was never interrupted\n"
        "  fix: Resume(directory, exact=False) goes on all the same; another folder begins anew"
    )
    with raises(StateError, start + "losses and metrics" + end):
        fit(network(loss="mae"), resume=tmp_path)
    with raises(StateError, start + "optimizer" + end):
        fit(network(optimizer="sgd"), resume=tmp_path)
    fit(network(rate=0.5), epochs=2, resume=tmp_path)  # the learning rate is part of the state
    with pytest.warns(UserWarning, match="not the same as at the checkpoint: losses and metrics; results may differ"):
        assert fit(network(loss="mae"), resume=callbacks.Resume(tmp_path, exact=False)).epoch == [0, 1, 2]
    model = network(units=6)
    weights = model.get_weights()
    with (
        pytest.warns(UserWarning, match="architecture"),
        pytest.raises(StateError, match=r"here sequential/dense/kernel \(4, 5\) float32, got sequential/dense/kernel \(4, 6\)"),
    ):
        fit(model, resume=callbacks.Resume(tmp_path, exact=False))
    assert all((a == b).all() for a, b in zip(weights, model.get_weights(), strict=True))
    with raises(StateError, "resuming needs data with batch size = 8, as before, got 9.\n  why: batches would not be the same"):
        fit(network(loss="mae"), batch_size=9, epochs=4, resume=tmp_path)


def test_another_engine_is_refused(tmp_path, each_engine):
    fit(network(), epochs=1, resume=tmp_path)
    other = "numpy" if each_engine != "numpy" else "jax"
    about = CheckpointFolder(tmp_path).newest()[1]["about"]
    assert about["engine"] == each_engine
    changed = {**about, "engine": other, "NumPy": "1.0"}
    text = rf"another NumPy \(1.0 before, .* now\), another engine \({other} before, {each_engine} now\)\.\n"
    with pytest.raises(StateError, match=text):
        resume.run_state.compare(changed, about, "here", True)


def test_arguments():
    for name, value, need in (
        ("epochs", 0, "an integer of at least 1, or None"), ("steps", True, "an integer of at least 1, or None"),
        ("keep", None, "an integer of at least 1"), ("seconds", 0, "a number above 0, or None"),
    ):  # fmt: skip
        with raises(ArgumentError, f"Resume({name}) needs {need}, got {value!r}."):
            callbacks.Resume("a", **{name: value})
    for value in (True, 0, "batch", 1.5):
        with raises(ArgumentError, f"BackupAndRestore(save_freq) needs 'epoch', a number of batches, or False, got {value!r}."):
            callbacks.BackupAndRestore("a", save_freq=value)
    assert callbacks.BackupAndRestore("a", save_freq=False).resume.steps is None


def test_one_folder_for_one_fit(eager, tmp_path):
    backup = callbacks.BackupAndRestore(tmp_path / "a")
    with raises(ArgumentError, "fit(resume) needs one folder of checkpoints, got 2.\n  fix: drop resume=, or all but one BackupAndRestore"):
        fit(network(), used=[backup], resume=tmp_path / "b")
    inner = Interrupt("on_epoch_end", 1, lambda: fit(network(), epochs=1, resume=tmp_path / "a"))
    with pytest.raises(StateError, match="got a lock of this process itself, in another fit"):
        fit(network(), inner, resume=tmp_path / "a")


def test_state_that_no_checkpoint_would_hold_is_named(tmp_path):
    total = nyala.Variable(0.0, trainable=False, name="forgotten")

    class Counts(nyala.Sequential):
        def train_step(self, data):
            total.assign_add(1.0)
            return super().train_step(data)

    with nyala.backend("jax"):
        model = Counts([nyala.Input((4,)), layers.Dense(1)])
        model.compile("sgd", "mse")
        with pytest.warns(UserWarning, match="checkpoints do not hold forgotten: the step assigns them, but they belong to no layer"):
            model.fit(X, Y, verbose=0, resume=tmp_path)


# BackupAndRestore --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("save_freq", ["epoch", 4])
def test_backup_and_restore(save_freq, eager, tmp_path):
    expected = whole()
    (tmp_path / "mine.txt").write_text("mine")
    used = lambda: [callbacks.BackupAndRestore(tmp_path, save_freq, double_checkpoint=True)]  # noqa: E731
    with pytest.raises(Interrupted):
        fit(network(), Interrupt("on_train_batch_end", 11), used=used())
    assert len(CheckpointFolder(tmp_path).paths()) == (1 if save_freq == "epoch" else 2)
    model = network()
    assert outcome(model, fit(model, used=used())) == expected
    assert os.listdir(tmp_path) == ["mine.txt"]  # what was not written by it stays


def test_backup_that_is_kept(eager, tmp_path):
    fit(network(), used=[callbacks.BackupAndRestore(tmp_path / "a" / "b", delete_checkpoint=False)])
    assert len(CheckpointFolder(tmp_path / "a" / "b").paths()) == 1
    fit(network(), used=[callbacks.BackupAndRestore(tmp_path / "c")])
    assert not (tmp_path / "c").exists()


def test_nothing_is_said_without_need(eager, tmp_path, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(network(), resume=tmp_path)
    assert capsys.readouterr() == ("", "")
    fit(network(), epochs=4, verbose=1, resume=tmp_path)
    assert capsys.readouterr().out.splitlines()[0] == f"Resuming at epoch 4, from {tmp_path / 'checkpoint-00000003'}"
