# SPDX-License-Identifier: Apache-2.0
"""A loss that is nan: the row, the layer, the loss or the gradient that made it, by name, and that training stops there."""

import numpy as np
import pytest

import nyala
from nyala import layers, ops
from nyala.callbacks import TerminateOnNaN
from nyala.core.errors import StateError
from tests.training.tools import X, Y, numbers, raises

LAYER = "gives nan or infinity{}: look for a division by zero, a log of zero or an overflow there"
ROOT = "look for sqrt(0), a norm of zeros or 0 / 0 above it, and move them away from zero"


def network(*middle, loss="mse", rate=0.01):
    model = nyala.Sequential([nyala.Input((3,)), layers.Dense(4, name="first"), *middle, layers.Dense(1, name="last")], name="net")
    model.set_weights([numbers(*v.shape, seed=i) for i, v in enumerate(model.weights)])
    model.compile(nyala.optimizers.SGD(rate), loss)
    return model


def with_nan(array, row):
    array = array.copy()
    array[row, 0] = np.nan
    return array


def shifted(y_true, y_pred):
    """A loss that divides by what one target is."""
    return ops.mean(ops.square(y_true - y_pred) / (y_true - 7.0), axis=-1)


TARGETS = np.where(np.arange(11)[:, None] == 9, 7.0, Y).astype("float32")

CASES = {
    "a row of x": (lambda: (network(), with_nan(X, 6), Y), "x holds nan or infinity, first in row 6: clean the data"),
    "a row of y": (lambda: (network(), X, with_nan(Y, 8)), "y holds nan or infinity, first in row 8: clean the data"),
    "a layer": (
        lambda: (network(layers.Lambda(lambda t: t / (ops.abs(t[:, :1] - t[:, :1]) * 0.0), name="bad")), X, Y),
        "layer 'bad' " + LAYER.format(" for row 0"),
    ),
    "a layer, for one row": (
        lambda: (
            nyala.Sequential([nyala.Input((3,)), layers.Lambda(ops.log, name="log"), layers.Dense(1)]),
            np.where(np.arange(33).reshape(11, 3) == 22, 0.0, np.abs(X) + 0.1).astype("float32"),
            Y,
        ),
        "layer 'log' " + LAYER.format(" for row 7"),
    ),
    "a loss": (
        lambda: (network(loss=shifted), X, TARGETS),
        "the loss 'shifted' of the output 'last' is nan or infinite for row 9, though the output is finite: "
        "look for a log of zero, a division by zero or an overflow in it",
    ),
    "a gradient": (
        lambda: (network(layers.Lambda(lambda t: ops.sqrt(ops.square(t - ops.stop_gradient(t)))), layers.Dense(2)), X, Y),
        f"the gradient by 'net/first/kernel' is nan or infinite, though the loss is finite: {ROOT}",
    ),
    "too large a step": (
        lambda: (network(rate=1e20), X, Y),
        "data, outputs, losses and gradients were finite at the start of the epoch: the updates were too large "
        "(lower the learning rate, scale the inputs, or pass clipnorm=1.0 to the optimizer)",
    ),
}


@pytest.mark.filterwarnings("ignore:the loss is:UserWarning")
@pytest.mark.parametrize("name", CASES)
def test_the_cause_of_a_nan(name, eager, capsys):
    model, x, y = CASES[name][0]()
    if not getattr(model, "compiled", False):
        model.compile("sgd", "mse")
    stop = TerminateOnNaN()
    history = model.fit(x, y, batch_size=4, epochs=5, shuffle=False, verbose=0, callbacks=[stop])
    cause = CASES[name][1]
    assert stop.cause == cause
    assert len(history.epoch) < 5
    assert capsys.readouterr().out.endswith(f"training stops. {cause[0].upper()}{cause[1:]}\n")


@pytest.mark.filterwarnings("ignore:the loss is:UserWarning")
def test_it_stops_at_the_very_batch_and_may_raise(each_engine):
    y = with_nan(Y, 5)
    model = network()
    model.fit(X, y, batch_size=4, epochs=3, shuffle=False, verbose=0, callbacks=[TerminateOnNaN()])
    assert int(model.optimizer.iterations) == 2
    model = network()
    with raises(StateError, "batch 1 needs a finite loss, got nan.\n  why: y holds nan or infinity, first in row 5: clean the data"):
        model.fit(X, y, batch_size=4, epochs=3, shuffle=False, verbose=0, callbacks=[TerminateOnNaN(raise_error=True)])


@pytest.mark.filterwarnings("ignore:the loss is:UserWarning")
def test_looking_changes_nothing(eager):
    """Not the weights, not the averages, not the state of seeds."""
    model = nyala.Sequential([nyala.Input((3,)), layers.BatchNormalization(), layers.Dropout(0.5), layers.Dense(1)])
    model.compile("sgd", "mse")
    before = model.get_weights()
    from nyala.training.data import ArrayData
    from nyala.training.diagnosis import explain_nan

    model.fit(X, Y, verbose=0)
    model.set_weights(before)
    assert explain_nan(model, ArrayData(X, Y), before).startswith("data, weights and outputs are finite")
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.filterwarnings("ignore:the loss is:UserWarning")
def test_streams_are_looked_at_batch_by_batch(eager):
    """The batch that made the loss nan is at hand; of others nothing is claimed."""

    def batches(x):
        return [(x[i : i + 4], Y[i : i + 4]) for i in (0, 4, 8)]

    class Batches(nyala.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return batches(with_nan(X, 6))[index]

    stop = TerminateOnNaN()
    network().fit(Batches(), shuffle=False, verbose=0, callbacks=[stop])
    assert stop.cause == "x holds nan or infinity, first in row 2 of that batch: clean the data"
    with pytest.warns(UserWarning, match=r"no longer finite: the data of an earlier batch hold nan \(pass nyala.callbacks.TerminateOnNaN"):
        network().fit(Batches(), shuffle=False, verbose=0)
    network(rate=1e20).fit(iter(batches(X)), verbose=0, callbacks=[stop])
    assert stop.cause == CASES["too large a step"][1]


def test_the_cause_is_said_once(eager, recwarn):
    network().fit(with_nan(X, 6), Y, batch_size=4, verbose=0, callbacks=[TerminateOnNaN()])
    assert not [w for w in recwarn if "the loss is" in str(w.message)]


def test_ids_that_an_embedding_does_not_know():
    """JAX gives nan for them: the weights are not to blame. Other engines raise."""
    with nyala.backend("jax"):
        model = nyala.Sequential([nyala.Input((3,)), layers.Embedding(5, 2, name="words"), layers.Flatten(), layers.Dense(1)])
        model.compile("sgd", "mse")
        ids = np.array([[1, 2, 0], [3, 4, 1], [1, 9, 2], [7, 0, 0]])
        text = "layer 'words' has rows for ids from 0 to 4, and got 9 for row 2: make it Embedding(10, 2), or map rare ids to one that it has"
        with pytest.warns(UserWarning, match="the loss is nan") as caught:
            model.fit(ids, np.zeros((4, 1)), batch_size=2, verbose=0, shuffle=False)
    assert str(caught[0].message).endswith(text)
