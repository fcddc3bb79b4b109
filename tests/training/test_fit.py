# SPDX-License-Identifier: Apache-2.0
"""fit against a loop written by hand in float64, and everything it can be fed with."""

import collections

import numpy as np
import pytest

import nyala
from nyala import layers, ops
from nyala.training import loop
from tests.training.tools import IDS, X, Y, linear, numbers, two_outputs

WEIGHTS = np.abs(numbers(11, seed=9))


def by_hand(x, y, *, epochs, batch, rate=0.05, weights=None, held=None):
    """Gradient descent on the mean square error of `linear`: history and final weights, float64."""
    kernel, bias = (w.astype("float64") for w in linear().get_weights())
    x, y, weights = x.astype("float64"), y.astype("float64"), np.ones(len(x)) if weights is None else weights.astype("float64")
    history = collections.defaultdict(list)
    for _ in range(epochs):
        losses, maes, sizes = [], [], []
        for start in range(0, len(x), batch):
            xb, yb, wb = x[start : start + batch], y[start : start + batch], weights[start : start + batch, None]
            error = xb @ kernel + bias - yb
            losses.append(np.mean(wb * error**2))
            maes.append(np.mean(np.abs(error)))
            sizes.append(len(xb))
            kernel = kernel - rate * xb.T @ (2 * wb * error) / len(xb)
            bias = bias - rate * np.sum(2 * wb * error, axis=0) / len(xb)
        history["loss"].append(np.average(losses, weights=sizes))
        history["mae"].append(np.average(maes, weights=sizes))
        if held is not None:
            history["val_loss"].append(np.mean((held[0] @ kernel + bias - held[1]) ** 2))
            history["val_mae"].append(np.mean(np.abs(held[0] @ kernel + bias - held[1])))
    return history, kernel, bias


def trained(x=X, y=Y, loss="mse", metrics=("mae",), rate=0.05, run_eagerly=False, **kwargs):
    model = linear()
    model.compile(nyala.optimizers.SGD(rate), loss, metrics=list(metrics), run_eagerly=run_eagerly)
    options = {"verbose": 0, "shuffle": False, **kwargs}
    return model, model.fit(x, y, **options).history if y is not None else model.fit(x, **options).history


def same(model, history, expected):
    want, kernel, bias = expected
    assert sorted(history) == sorted(want)
    for name, values in want.items():
        np.testing.assert_allclose(history[name], values, rtol=3e-5, err_msg=name)
    np.testing.assert_allclose(model.get_weights()[0], kernel, rtol=3e-5)
    np.testing.assert_allclose(model.get_weights()[1], bias, rtol=3e-5)


def test_equal_to_a_loop_by_hand(each_engine):
    held = numbers(7, 3, seed=4), numbers(7, 1, seed=5)
    model, history = trained(epochs=5, batch_size=4, sample_weight=WEIGHTS, validation_data=held)
    same(model, history, by_hand(X, Y, epochs=5, batch=4, weights=WEIGHTS, held=held))
    assert int(model.optimizer.iterations) == 15


def test_streamed_resident_and_eager_are_equal(each_engine, monkeypatch):
    expected = by_hand(X, Y, epochs=3, batch=4)
    same(*trained(epochs=3, batch_size=4), expected)
    same(*trained(epochs=3, batch_size=4, run_eagerly=True), expected)
    monkeypatch.setattr(loop, "RESIDENT_BYTES", 100)
    same(*trained(epochs=3, batch_size=4), expected)
    other = trained(epochs=2, batch_size=4, shuffle=True)[1]
    nyala.utils.set_random_seed(1)
    streamed = trained(epochs=2, batch_size=4, shuffle=True)[1]
    monkeypatch.undo()
    nyala.utils.set_random_seed(1)
    np.testing.assert_allclose(trained(epochs=2, batch_size=4, shuffle=True)[1]["loss"], streamed["loss"], rtol=1e-5)
    assert other["loss"] != streamed["loss"]


def batches(x=X, y=Y, size=4):
    return [(x[i : i + size], y[i : i + size]) for i in range(0, len(x), size)]


class Batches(nyala.utils.PyDataset):
    """Batches of 4, and a note of what was asked."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def __len__(self):
        return 3

    def __getitem__(self, index):
        self.asked.append(index)
        return batches()[index]

    def on_epoch_begin(self):
        self.asked.append("begin")

    def on_epoch_end(self):
        self.asked.append("end")


class Old:
    """What old programs call a Sequence, without a base class, whose constructor nobody called."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return batches()[index]


class Iterable:
    def __iter__(self):
        return iter(batches())


def forever():
    while True:
        yield from batches()


def tensors():
    torch = pytest.importorskip("torch")
    return torch.tensor(X), torch.tensor(Y)


# name -> (x, y) and options of fit, all of which mean the same data in batches of 4, three epochs
FEEDS = {
    "lists": lambda: (X.tolist(), Y.tolist(), {}),
    "float64": lambda: (X.astype("float64"), Y.astype("float64"), {}),
    "list of one": lambda: ([X], [Y], {}),
    "targets by name": lambda: (X, {"out": Y}, {}),
    "torch tensors": lambda: (*tensors(), {}),
    "tensors of the engine": lambda: (ops.convert_to_tensor(X), ops.convert_to_tensor(Y), {}),
    "endless generator": lambda: (forever(), None, {"steps_per_epoch": 3}),
    "generator": lambda: ((b for b in batches() * 3), None, {"steps_per_epoch": 3}),
    "iterable": lambda: (Iterable(), None, {}),
    "batches by number": lambda: (Batches(), None, {}),
    "old batches by number": lambda: (Old(), None, {}),
    "batches as lists": lambda: ((list(b) for b in batches() * 3), None, {"steps_per_epoch": 3}),
    "batches of lists": lambda: (((x.tolist(), y.tolist()) for x, y in batches() * 3), None, {"steps_per_epoch": 3}),
    "batches of torch tensors": lambda: (
        ((tensors()[0][s], tensors()[1][s]) for s in [slice(0, 4), slice(4, 8), slice(8, 11)] * 3),
        None,
        {"steps_per_epoch": 3},
    ),
}


@pytest.mark.parametrize("feed", FEEDS)
def test_feeds(feed, eager):
    x, y, options = FEEDS[feed]()
    options = options if y is None else {"batch_size": 4}
    same(*trained(x, y, epochs=3, **options), by_hand(X, Y, epochs=3, batch=4))


def test_a_stream_on_each_engine(each_engine):
    same(*trained(Iterable(), None, epochs=2), by_hand(X, Y, epochs=2, batch=4))


def test_memmap_and_data_frames(eager, tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, X)
    expected = by_hand(X, Y, epochs=2, batch=4)
    same(*trained(np.load(path, mmap_mode="r"), Y, epochs=2, batch_size=4), expected)
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "y": Y[:, 0]})
    same(*trained(frame[["a", "b", "c"]], frame["y"], epochs=2, batch_size=4), expected)


def test_things_that_look_like_data_frames(eager):
    """Whatever has to_numpy, columns and to_dict is one array of its columns."""

    class Frame:
        columns = ["a", "b", "c"]

        def to_dict(self):
            raise AssertionError

        def to_numpy(self):
            return X

    same(*trained(Frame(), Y, epochs=2, batch_size=4), by_hand(X, Y, epochs=2, batch=4))


def test_batches_by_number_hear_of_epochs(eager):
    data = Batches()
    trained(data, None, epochs=2)
    assert data.asked == ["begin", 0, 1, 2, "end"] * 2
    data.asked.clear()
    trained(data, None, epochs=3, shuffle=True)
    orders = [data.asked[i : i + 5] for i in (0, 5, 10)]
    assert all(sorted(order[1:4]) == [0, 1, 2] for order in orders)


def test_inputs_in_lists_and_dicts(eager):
    a, b = nyala.Input((3,), name="a"), nyala.Input((2,), name="b")
    model = nyala.Model({"a": a, "b": b}, layers.Dense(1)(layers.Concatenate()([a, b])))
    x, weights = {"b": numbers(11, 2, seed=6), "a": X}, model.get_weights()
    expected = model.predict(x)
    np.testing.assert_allclose(expected, np.concatenate([x["a"], x["b"]], -1) @ weights[0] + weights[1], rtol=1e-5)
    both = nyala.Model([a, b], model({"a": a, "b": b}))
    np.testing.assert_allclose(both.predict([x["a"], x["b"]]), expected, rtol=1e-6)
    np.testing.assert_allclose(both.predict((x["a"], x["b"])), expected, rtol=1e-6)
    histories = []
    for net, data in ((model, x), (both, [x["a"], x["b"]])):
        net.set_weights(weights)
        net.compile("sgd", "mse")
        histories.append(net.fit(data, Y, batch_size=4, shuffle=False, verbose=0).history["loss"])
    assert histories[0] == histories[1]


# Weights ----------------------------------------------------------------------------------------------------------------------------


def test_class_weight(each_engine):
    labels = IDS % 2
    table = {0: 0.3, 1: 1.7}
    weights = np.where(labels == 0, 0.3, 1.7)
    target = labels[:, None].astype("float32")
    expected = by_hand(X, target, epochs=2, batch=4, weights=weights)
    same(*trained(X, target, epochs=2, batch_size=4, class_weight=table), expected)
    both = by_hand(X, target, epochs=2, batch=4, weights=weights * WEIGHTS)
    same(*trained(X, target, epochs=2, batch_size=4, class_weight=table, sample_weight=WEIGHTS), both)
    same(*trained(iter(batches(X, target) * 2), None, epochs=2, steps_per_epoch=3, class_weight=table), expected)


@pytest.mark.parametrize("kind", ["ids", "ids in a column", "one-hot", "ids as floats"])
def test_class_weight_of_maps_and_sequences(kind, eager):
    """A weight for each pixel or step."""
    ids = np.random.default_rng(2).integers(0, 3, (5, 7, 2))
    table = {0: 0.5, 2: 3.0}  # 1 counts once
    model = nyala.Sequential([nyala.Input((7, 2, 3)), layers.Dense(3, activation="softmax")])
    y = {"ids": ids, "ids in a column": ids[..., None], "one-hot": np.eye(3)[ids], "ids as floats": ids.astype("float32")}[kind]
    model.compile("sgd", "categorical_crossentropy" if kind == "one-hot" else "sparse_categorical_crossentropy")
    x = numbers(5, 7, 2, 3)
    prediction = model.predict(x)
    nll = -np.log(np.take_along_axis(prediction, ids[..., None], -1)[..., 0])
    want = np.mean(nll * np.array([0.5, 1.0, 3.0])[ids])
    history = model.fit(x, y, class_weight=table, verbose=0).history
    assert history["loss"][0] == pytest.approx(want, rel=1e-5)


def test_class_weight_of_one_hot_rows_and_negative_labels(eager):
    model = linear(5, "softmax")
    model.compile("sgd", "categorical_crossentropy")
    nll = -np.log(model.predict(X)[np.arange(11), IDS])
    got = model.fit(X, np.eye(5)[IDS], class_weight={1: 2.0, 4: 0.25}, verbose=0).history["loss"][0]
    assert got == pytest.approx(np.mean(nll * np.array([1, 2, 1, 1, 0.25])[IDS]), rel=1e-5)
    signs = np.where(IDS > 1, 1, -1)[:, None]
    model = linear()
    model.compile("sgd", "hinge")
    hinge = np.maximum(1 - signs * model.predict(X), 0)[:, 0]
    got = model.fit(X, signs, class_weight={-1: 3.0, 1: 0.5}, verbose=0).history["loss"][0]
    assert got == pytest.approx(np.mean(hinge * np.where(signs[:, 0] == 1, 0.5, 3.0)), rel=1e-5)


def test_sample_weight_of_steps(eager):
    model = nyala.Sequential([nyala.Input((5, 3)), layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y, weights = numbers(7, 5, 3), numbers(7, 5, 1, seed=1), np.abs(numbers(7, 5, seed=2))
    want = np.mean((model.predict(x) - y)[..., 0] ** 2 * weights)
    assert model.evaluate(x, y, sample_weight=weights, verbose=0) == pytest.approx(want, rel=1e-5)


# Epochs, steps, validation, order ----------------------------------------------------------------------------------------------------


def test_validation_split_takes_the_last_samples_unshuffled(eager):
    same(*trained(epochs=2, batch_size=4, validation_split=0.3), by_hand(X[:7], Y[:7], epochs=2, batch=4, held=(X[7:], Y[7:])))
    _, history = trained(epochs=1, batch_size=4, validation_split=0.3, shuffle=True, rate=0.0)
    kernel, bias = linear().get_weights()
    assert history["val_loss"][0] == pytest.approx(np.mean((X[7:] @ kernel + bias - Y[7:]) ** 2), rel=1e-5)
    _, history = trained(epochs=1, batch_size=4, validation_split=0.3, sample_weight=WEIGHTS, rate=0.0)
    assert history["val_loss"][0] == pytest.approx(np.mean(((X[7:] @ kernel + bias - Y[7:])[:, 0] ** 2) * WEIGHTS[7:]), rel=1e-5)


def test_validation_data_of_every_kind(eager):
    want = trained(epochs=2, validation_data=(X, Y), validation_batch_size=4)[1]["val_loss"]
    for held in ([X, Y], Batches(), Iterable(), Old()):
        np.testing.assert_allclose(trained(epochs=2, validation_data=held)[1]["val_loss"], want, rtol=1e-6)
    got = trained(epochs=2, validation_data=forever(), validation_steps=3)[1]["val_loss"]
    np.testing.assert_allclose(got, want, rtol=1e-6)
    first = trained(epochs=1, rate=0.0, validation_data=(X, Y), validation_batch_size=4, validation_steps=2)[1]["val_loss"]
    kernel, bias = linear().get_weights()
    assert first[0] == pytest.approx(np.mean((X[:8] @ kernel + bias - Y[:8]) ** 2), rel=1e-5)


@pytest.mark.parametrize(("freq", "epochs"), [(1, [0, 1, 2, 3, 4]), (2, [1, 3]), ([1, 4], [0, 3]), (np.int64(3), [2])])
def test_validation_freq(freq, epochs, eager):
    seen = []
    watch = nyala.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch) if "val_loss" in logs else None)
    _, history = trained(epochs=5, validation_data=(X, Y), validation_freq=freq, callbacks=[watch])
    assert seen == epochs
    assert len(history["val_loss"]) == len(epochs)


def test_epochs_and_steps(eager):
    model, _ = trained(epochs=5, initial_epoch=3, batch_size=4)
    assert model.history.epoch == [3, 4]
    assert int(model.optimizer.iterations) == 6
    model, history = trained(epochs=2, batch_size=4, steps_per_epoch=2)
    assert int(model.optimizer.iterations) == 3  # the second epoch has the one batch that is left
    assert history["loss"][0] == pytest.approx(by_hand(X[:8], Y[:8], epochs=1, batch=4)[0]["loss"][0], rel=1e-5)
    model, history = trained(epochs=0)
    assert (history, int(model.optimizer.iterations)) == ({}, 0)
    model, _ = trained(epochs=2, batch_size=100)
    assert int(model.optimizer.iterations) == 2


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("shuffle", [False, True])
def test_arrays_go_on_where_the_last_epoch_ended(eager, shuffle, accumulate):
    model = nyala.Sequential([nyala.Input((1,)), nyala.layers.Dense(1, use_bias=False)])
    model.compile(nyala.optimizers.SGD(0.0), loss=lambda y, p: y, run_eagerly=eager)
    y = np.arange(11, dtype="float32")[:, None]
    fit = {"batch_size": 4, "steps_per_epoch": 2 // accumulate, "epochs": 6, "verbose": 0, "shuffle": shuffle, "accumulate": accumulate}
    losses = model.fit(np.ones((11, 1)), y, **fit, validation_data=(y, y), validation_steps=1, validation_batch_size=2).history
    assert np.sum(np.reshape(np.array([8, 3] * 3) * losses["loss"], (3, 2)), axis=1) == pytest.approx(
        [55.0] * 3
    )  # each passage sees each sample once
    assert losses["val_loss"] == [0.5] * 6  # validation begins anew
    if not shuffle:
        assert losses["loss"] == [3.5, 9.0] * 3


@pytest.mark.parametrize(("steps", "rows"), [(2, [6, 5]), (3, [4, 4, 3]), (4, [3, 3, 3, 2]), (13, [1] * 11)])
def test_steps_without_a_batch_size_divide_all_samples(steps, rows):
    seen = []

    class Own(nyala.Sequential):
        def call(self, x, training=None):
            if ops.is_tensor(x):
                seen.append(x.shape[0])
            return super().call(x)

    model = Own([nyala.layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    model(np.ones((2, 1)))
    x = np.ones((11, 1))
    for run in (model.fit, model.evaluate):
        seen.clear()
        run(x, x, verbose=0, **{"steps_per_epoch" if run == model.fit else "steps": steps})
        assert seen[-len(rows) :] == rows
    seen.clear()
    assert model.predict(x, steps=steps, verbose=0).shape == (11, 1)
    assert seen[-len(rows) :] == rows


def test_a_generator_goes_on_where_the_last_epoch_ended(eager):
    taken = []

    def endless():
        while True:
            for i in range(3):
                taken.append(i)
                yield batches()[i]

    trained(endless(), None, epochs=3, steps_per_epoch=2)
    assert taken[:6] == [0, 1, 2, 0, 1, 2]


class Notes(nyala.Sequential):
    """Keeps the inputs of each training step; for eager runs."""

    def train_step(self, data):
        self.seen = [*getattr(self, "seen", []), ops.convert_to_numpy(data[0])]
        return super().train_step(data)


def orders(shuffle, **kwargs):
    """Which samples each epoch took, in order."""
    model = Notes([nyala.Input((1,)), layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    model.fit(np.arange(11.0)[:, None], np.zeros((11, 1)), batch_size=4, epochs=3, shuffle=shuffle, verbose=0, **kwargs)
    flat = np.concatenate(model.seen)[:, 0].astype(int)
    return flat.reshape(3, -1).tolist()


def test_every_epoch_takes_every_sample_once_in_a_new_order(eager):
    assert orders(False) == [list(range(11))] * 3
    nyala.utils.set_random_seed(3)
    first = orders(True)
    assert all(sorted(order) == list(range(11)) for order in first)
    assert len({tuple(order) for order in (*first, tuple(range(11)))}) == 4
    nyala.utils.set_random_seed(3)
    assert orders(True) == first
    assert orders(True) != first


def test_the_same_seed_gives_the_same_numbers(each_engine):
    def run(seed):
        nyala.utils.set_random_seed(seed)
        model = nyala.Sequential([layers.Dense(5), layers.Dropout(0.4), layers.Dense(1)])
        model.compile("adam", "mse")
        return model.fit(X, Y, batch_size=4, epochs=2, verbose=0).history["loss"]

    assert run(3) == run(3) != run(4)


def test_fit_goes_on_where_it_stopped(each_engine):
    model = linear()
    model.compile(nyala.optimizers.SGD(0.05), "mse", metrics=["mae"])
    histories = [model.fit(X, Y, batch_size=4, shuffle=False, verbose=0).history for _ in range(3)]
    joined = {name: [h[name][0] for h in histories] for name in histories[0]}
    same(model, joined, by_hand(X, Y, epochs=3, batch=4))
    assert len(model.history.history["loss"]) == 1


@pytest.mark.parametrize("form", ["the same", "a view", "a copy", "float64", "split"])
def test_data_that_are_their_own_targets(form, each_engine, monkeypatch):
    x = numbers(23, 4)
    placed = []
    place = loop.distinct
    monkeypatch.setattr(loop, "distinct", lambda *given: placed.append(place(*given)) or placed[-1])

    def fit(target, **kwargs):
        nyala.utils.set_random_seed(6)
        model = nyala.Sequential([nyala.Input((4,)), layers.Dense(3, "tanh"), layers.Dense(4)])
        model.compile("sgd", "mse", metrics=["mae"])
        return model.fit(x, target, batch_size=5, epochs=2, verbose=0, **kwargs).history

    expected = fit(x.copy(), **({"validation_split": 0.25} if form == "split" else {}))
    placed.clear()
    if form == "float64":
        x = x.astype("float64")
    target = {"a view": x[:], "a copy": x.copy()}.get(form, x)
    found = fit(target, **({"validation_split": 0.25} if form == "split" else {}))
    assert found == expected
    arrays = {len(arrays) for arrays, _ in placed}
    assert arrays == ({2} if form == "a copy" or not nyala.engines.current().compiles else {1})
    x[10:] += 1  # the memory of the caller is not what is trained on
    assert fit(target if target is x else x) != expected


def test_targets_that_differ_late_are_seen(each_engine):
    x = numbers(40, 4)
    other = x.copy()
    other[20:] += 1.0  # the first batches are equal: a recording of steps whose data were their own targets must not be used here
    model = nyala.Sequential([nyala.Input((4,)), layers.Dense(4)])
    model.compile("sgd", "mse")
    fit = lambda target, **kwargs: model.fit(x, target, batch_size=2, shuffle=False, verbose=0, **kwargs).history["loss"]  # noqa: E731
    fit(x, epochs=12)
    weights = model.get_weights()
    (found,) = fit(other)
    model.set_weights(weights)
    model.run_eagerly = True
    np.testing.assert_allclose(found, fit(other)[0], rtol=1e-5)


def test_targets_of_several_outputs_in_every_form(eager):
    second = np.eye(2, dtype="float32")[IDS % 2]
    losses = []
    model = two_outputs()
    start = model.get_weights()
    for y in ([Y, second], (Y, second), {"b": second, "a": Y}):
        model.set_weights(start)
        model.compile("sgd", "mse")
        losses.append(model.fit(X, y, batch_size=4, shuffle=False, verbose=0).history["loss"][0])
    assert losses[0] == losses[1] == losses[2]
