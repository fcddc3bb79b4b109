# SPDX-License-Identifier: Apache-2.0
"""Streams: read ahead by a thread that ends with its reader, errors as they were raised, and runs that go on at the next unseen batch."""

import itertools
import json
import threading
import time

import numpy as np
import pytest

import nyala
from nyala.core.errors import ArgumentError, StateError
from nyala.training.data import as_data, closing, prefetch
from nyala.utils.batches import Dataset
from tests.training.tools import X, Y, linear, raises, warned


@pytest.fixture(autouse=True)
def no_thread_stays():
    """After each test there are as many threads as before it."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 5
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not set(threading.enumerate()) - before


def compiled():
    model = linear()
    model.compile("sgd", "mse")
    return model


def batches(number=3):
    return [(X[4 * i % 11 :][:4] + i, Y[4 * i % 11 :][:4]) for i in range(number)]


def firsts(data, count=None):
    """The first number of each batch of an epoch, which tells them apart."""
    with closing(data.batches()) as made:
        return [float(batch[0][0, 0]) for batch in itertools.islice(made, count)]


class Numbered(nyala.utils.PyDataset):
    """Batch i holds the number i."""

    def __init__(self, number=5, **kwargs):
        super().__init__(**kwargs)
        self.number = number

    def __len__(self):
        return self.number

    def __getitem__(self, index):
        return np.full((2, 3), index, "float32"), np.full((2, 1), index, "float32")


# Reading ahead -------------------------------------------------------------------------------------------------------------------------------


def test_batches_are_made_by_another_thread_while_the_step_runs(eager):
    threads, made = set(), []

    def generator():
        for batch in batches(6):
            threads.add(threading.current_thread().name)
            made.append(len(made))
            yield batch

    ahead = []

    class Watch(nyala.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            time.sleep(0.03)
            ahead.append(len(made) - batch - 1)

    compiled().fit(generator(), steps_per_epoch=6, callbacks=[Watch()], verbose=0)
    assert threads == {"nyala-prefetch"}
    assert ahead[0] == 2 and max(ahead) <= prefetch.AHEAD + 1


def test_generators_may_ask_for_the_thread_that_trains(eager):
    threads = set()

    def generator():
        for batch in batches(4):
            threads.add(threading.current_thread())
            yield batch

    class Here:
        workers = 0

        def __iter__(self):
            return generator()

    model = compiled()
    model.fit(generator(), workers=0, verbose=0)
    model.evaluate(generator(), workers=0, verbose=0)
    model.predict(generator(), workers=0)
    model.fit(Here(), verbose=0)
    assert threads == {threading.main_thread()}


def test_the_engine_of_the_reader_is_in_force_in_the_thread():
    names = []

    def generator():
        names.append(nyala.backend.backend())
        yield (X,)

    with nyala.backend("numpy"):
        linear().predict(generator())
    assert names == ["numpy"]


def test_nothing_is_taken_beyond_an_epoch(eager):
    taken = []
    source = (taken.append(i) or batch for i, batch in enumerate(itertools.cycle(batches())))
    compiled().fit(source, steps_per_epoch=3, epochs=2, verbose=0)
    assert taken == list(range(6))


@pytest.mark.parametrize("error", [ValueError("bad file 7"), KeyboardInterrupt(), SystemExit(3)])
def test_errors_come_out_as_they_were_raised(error, eager):
    def deep_inside():
        raise error

    def generator():
        yield from batches(2)
        deep_inside()

    for call in (compiled().fit, compiled().evaluate, compiled().predict):
        with pytest.raises(type(error)) as info:
            call(generator(), verbose=0)
        assert info.value is error
        assert any(entry.name == "deep_inside" for entry in info.traceback)


def test_leaving_early_ends_the_thread(eager):
    class Stop(nyala.callbacks.Callback):
        def __init__(self, error=None):
            super().__init__()
            self.error = error

        def on_train_batch_end(self, batch, logs=None):
            if self.error is not None:
                raise self.error
            self.model.stop_training = True

    closed = []

    class Source:
        def __iter__(self):
            try:
                yield from itertools.cycle(batches())
            finally:
                closed.append(threading.current_thread().name)

    compiled().fit(Source(), steps_per_epoch=100, callbacks=[Stop()], verbose=0)
    for error in (KeyboardInterrupt(), RuntimeError("enough")):
        with pytest.raises(type(error)):
            compiled().fit(Source(), steps_per_epoch=100, callbacks=[Stop(error)], verbose=0)
    assert len(closed) == 3


def test_loaders_of_files_end_with_fit(eager):
    data = Dataset.from_arrays((X, Y)).batch(1)
    compiled().fit(data, steps_per_epoch=3, verbose=0)
    compiled().fit(data, verbose=0)


def test_a_silent_source_is_named_with_the_line_where_it_stands(eager, monkeypatch):
    monkeypatch.setattr(prefetch, "SILENCE_SECONDS", 0.05)

    def slow_disk():
        yield batches()[0]
        time.sleep(0.2)  # the slow line
        yield batches()[1]

    pattern = r"^generator gave no batch for 0 s\. It is still waited for; it stands at\n.*the slow line"
    with warned(pattern):
        compiled().fit(slow_disk(), verbose=0)


def test_a_source_that_never_returns_is_left_alone(eager, monkeypatch):
    monkeypatch.setattr(prefetch, "CLOSE_SECONDS", 0.05)
    go_on = threading.Event()

    def stuck():
        yield batches()[0]
        go_on.wait()

    class Stop(nyala.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = True

    with warned(r"^generator: a thread is still busy with a batch 0 s after the end.*go_on\.wait"):
        compiled().fit(stuck(), callbacks=[Stop()], verbose=0)
    go_on.set()


# Endless, empty, wrong -------------------------------------------------------------------------------------------------------------------------


class Endless(nyala.utils.PyDataset):
    """No number of batches."""

    num_batches = None

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.asked = []

    def __getitem__(self, index):
        self.asked.append(index)
        return batches()[index % 3]


@pytest.mark.parametrize("make", [Endless, lambda: itertools.cycle(batches())])
def test_endless_data(make, eager):
    name = type(make()).__name__
    model = compiled()
    with raises(ArgumentError, f"fit(steps_per_epoch) needs a number of steps, got None.\n  why: this {name} never ends"):
        model.fit(make(), verbose=0)
    with raises(ArgumentError, f"predict(steps) needs a number of steps, got None.\n  why: this {name} never ends"):
        model.predict(make())
    data = make()
    model.fit(data, steps_per_epoch=2, epochs=2, verbose=0)
    assert getattr(data, "asked", [0, 1, 2, 3]) == [0, 1, 2, 3]


def test_batches_go_on_over_epochs_where_steps_are_fewer(eager):
    seen = []

    class Watched(Numbered):
        def __getitem__(self, index):
            seen.append(index)
            return super().__getitem__(index)

    compiled().fit(Watched(), steps_per_epoch=2, epochs=4, shuffle=False, verbose=0)
    assert seen == [0, 1, 2, 3, 4, 0, 1, 2]


def test_old_arguments(eager):
    model = compiled()
    for call in (model.fit, model.evaluate, model.predict):
        call(Numbered(), workers=2, max_queue_size=3, use_multiprocessing=False, verbose=0)
        with raises(ArgumentError, "workers needs an integer of at least 0, got -1."):
            call(Numbered(), workers=-1, verbose=0)
    why = "a generator cannot be sent to another process, one thread reads it. A nyala.utils.PyDataset can"
    with pytest.warns(UserWarning, match=f"^use_multiprocessing=True: {why}$"):
        model.fit((b for b in batches()), use_multiprocessing=True, verbose=0)
    with raises(ArgumentError, "Numbered(max_queue_size) needs an integer of at least 0, got 2.5."):
        Numbered(max_queue_size=2.5)


# Going on at the next unseen batch ---------------------------------------------------------------------------------------------------------------


class Loader:
    """A loader with a state, of itself or of its iterators."""

    def __init__(self):
        self.order, self.place = np.random.default_rng(4), 0

    def __iter__(self):
        while self.place < 5:
            self.place += 1
            yield batches(9)[(self.place * 2) % 9]
        self.place = 0

    def state_dict(self):
        return {"place": self.place, "key": b"\x00\xff", "shape": (1, 2), "table": np.arange(3)}

    def load_state_dict(self, state):
        assert state["key"] == b"\x00\xff" and state["shape"] == (1, 2) and state["table"].tolist() == [0, 1, 2]
        self.place = state["place"]


class StatefulIterator:
    def __init__(self):
        self.place = 0

    def __iter__(self):
        return self

    def __next__(self):
        self.place += 1
        if self.place > 5:
            raise StopIteration
        return batches(9)[self.place]

    def get_state(self):
        return {"place": self.place}

    def set_state(self, state):
        self.place = state["place"]


class OfIterators:
    stateful_iterators = True

    def __iter__(self):
        return StatefulIterator()


class Counting(Numbered):
    """Changes itself between epochs."""

    epoch = 0

    def on_epoch_end(self):
        self.epoch += 1

    def __getitem__(self, index):
        x, y = super().__getitem__(index)
        return x + 100 * self.epoch, y


class Keeping(Counting):
    """The same, with a state of its own."""

    def state_dict(self):
        return {"epoch": self.epoch}

    def load_state_dict(self, state):
        self.epoch = state["epoch"]


SPLIT_X = np.arange(33, dtype="float32").reshape(11, 3)
REWINDABLE = {
    "arrays": lambda: as_data(SPLIT_X, Y, batch_size=2),
    "shuffled arrays": lambda: as_data(SPLIT_X, Y, batch_size=2, shuffle=True),
    "PyDataset": lambda: as_data(Numbered()),
    "shuffled PyDataset": lambda: as_data(Numbered(), shuffle=True),
    "PyDataset with threads": lambda: as_data(Numbered(workers=3), shuffle=True),
    "PyDataset, other steps": lambda: as_data(Numbered(), steps=3, shuffle=True),
    "endless PyDataset": lambda: as_data(Endless(), steps=4),
    "PyDataset that changes": lambda: as_data(Counting(), shuffle=True),
    "PyDataset with a state": lambda: as_data(Keeping()),
    "loader with a state": lambda: as_data(Loader()),
    "iterators with a state": lambda: as_data(OfIterators()),
    "nyala data set": lambda: as_data(Dataset.from_arrays((SPLIT_X, Y)).shuffle().batch(2)),
}


@pytest.mark.parametrize("stop", [(0, 0), (0, 1), (0, 5), (1, 2), (2, 0)])
@pytest.mark.parametrize("kind", REWINDABLE)
def test_going_on(kind, stop, eager):
    """What comes after a state is what would have come, whoever has it, and what was only read ahead is not counted."""
    epochs, steps = stop
    data = REWINDABLE[kind]()
    for _ in range(epochs):
        firsts(data)
    if steps:
        with closing(data.batches()) as made:
            for _ in itertools.islice(made, min(steps, data.steps or 5)):
                state = data.state()
            rest = [float(batch[0][0, 0]) for batch in made]
    else:
        state, rest = data.state(), []
    after = [firsts(data) for _ in range(2)]
    data.close()
    state = json.loads(json.dumps(state))
    nyala.utils.set_random_seed(99)
    other = REWINDABLE[kind]()
    other.restore(state)
    assert (other.epoch, other.step) == (state["epoch"], state["step"])
    got = firsts(other)
    if rest:
        assert got == rest
        got = firsts(other)
    elif not got:  # of an epoch whose length is not known: its end has to be seen
        got = firsts(other)
    assert [got, firsts(other)] == after
    other.close()


def test_orders_of_arrays_are_those_of_the_whole_run(eager):
    """fit in one go, or stopped and taken up again on a new object: equal weights."""
    results = []
    for stop in (None, 1):
        nyala.utils.set_random_seed(8)
        model = compiled()
        data = as_data(X, Y, batch_size=4, shuffle=True)
        seen = [firsts(data) for _ in range(1 if stop else 3)]
        if stop:
            state, data = data.state(), as_data(X, Y, batch_size=4, shuffle=True)
            data.restore(state)
            seen += [firsts(data) for _ in range(2)]
        results.append(seen)
        assert model is not None
    assert results[0] == results[1]


NOT_REWINDABLE = {
    "a generator can be read once only, and does not say where it stands: use a nyala.utils.PyDataset": lambda: (b for b in batches()),
    "a list_iterator can be read once only, and has no state_dict or get_state: use a nyala.utils.PyDataset": lambda: iter(batches()),
    "a Plain does not say where it stands: give it (or its iterator) state_dict and load_state_dict, or get_state and set_state, "
    "or use a nyala.utils.PyDataset": lambda: Plain(),
}


class Plain:
    def __iter__(self):
        return iter(batches())


@pytest.mark.parametrize("why", NOT_REWINDABLE)
def test_data_that_cannot_go_back_say_why(why):
    data = as_data(NOT_REWINDABLE[why]())
    assert data.state() is None and data.unrewindable == why
    with pytest.raises(StateError, match=r"^resuming needs data that can be rewound, got "):
        data.restore({})


def test_other_data_are_refused(eager):
    state = as_data(X, Y, batch_size=4, shuffle=True).state()
    text = "resuming needs data with batch size = 4, as before, got 5.\n  why: batches would not be the same"
    with raises(StateError, text):
        as_data(X, Y, batch_size=5, shuffle=True).restore(state)
    with raises(StateError, "resuming needs data with kind = None, as before, got Indexed.\n  why: batches would not be the same"):
        as_data(Numbered(), steps=3).restore({**state, "steps": 3})
    state = as_data(Numbered()).state()
    with raises(StateError, "resuming needs data with batches = 5, as before, got 4.\n  why: batches would not be the same"):
        as_data(Numbered(4), steps=5).restore(state)


def test_memory_of_mapped_files_is_that_of_a_batch(tmp_path, eager):
    """Peak of what NumPy allocates while a file is trained on, evaluated and predicted."""
    import tracemalloc

    rows, width = 80_000, 256
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", "float32", (rows, width))  # 80 MB, of zeros
    y = np.zeros((rows, 1), "float32")
    model = nyala.Sequential([nyala.Input((width,)), nyala.layers.Dense(1)])
    model.compile(nyala.optimizers.SGD(1e-6), "mse")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nyala.training.loop, "READ_WHOLE_BYTES", 0)
        tracemalloc.start()
        try:
            model.fit(x, y, batch_size=500, verbose=0)
            model.evaluate(x, y, batch_size=500, verbose=0)
            model.predict(x, batch_size=500)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < x.nbytes / 4
