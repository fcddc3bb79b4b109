# SPDX-License-Identifier: Apache-2.0
"""Settings: limits that bound fit, wishes that are kept, callbacks' small methods, utils.Config, shapes in trees."""

import json

import numpy as np
import pytest

import nyala
from nyala import config, layers
from nyala.core.errors import ArgumentError, StateError
from tests.layers.tools import normals, raises


@pytest.fixture
def limits():
    yield config
    config.set_max_epochs(None)
    config.set_max_steps_per_epoch(None)


class Counts(nyala.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_begin(self, epoch, logs=None):
        self.seen.append(f"epoch {epoch}")

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(batch)

    def on_test_batch_end(self, batch, logs=None):
        self.seen.append(f"test {batch}")


class Batches(nyala.utils.PyDataset):
    def __init__(self, x):
        super().__init__()
        self.x = x

    def __len__(self):
        return 10

    def __getitem__(self, i):
        return self.x[2 * i : 2 * i + 2], self.x[2 * i : 2 * i + 2, :1]


class Unknown:
    def __init__(self, x, number):
        self.x, self.number = x, number

    def __iter__(self):
        return iter([(self.x[:2], self.x[:2, :1])] * self.number)


X = normals(0, (20, 3))


def model():
    made = nyala.Sequential([nyala.Input((3,)), layers.Dense(1)])
    made.compile("sgd", "mse")
    return made


@pytest.mark.parametrize("data", [(X, X[:, :1]), (Batches(X),), (Unknown(X, 10),), (Unknown(X, 3),)], ids=["arrays", "dataset", "long", "short"])
def test_limits_bound_everything(limits, data):
    limits.set_max_epochs(2)
    limits.set_max_steps_per_epoch(3)
    made, calls = model(), Counts()
    arrays = {"batch_size": 2} if len(data) == 2 else {}
    history = made.fit(*data, epochs=5, verbose=0, callbacks=[calls], validation_data=data if len(data) == 2 else data[0], **arrays)
    assert len(history.history["loss"]) == 2
    assert calls.seen == [*("epoch 0", 0, 1, 2, "test 0", "test 1", "test 2"), *("epoch 1", 0, 1, 2, "test 0", "test 1", "test 2")]
    assert made.predict(X, batch_size=2, verbose=0).shape == (6, 1)
    calls.seen.clear()
    made.evaluate(*data, verbose=0, callbacks=[calls], **arrays)
    assert calls.seen == ["test 0", "test 1", "test 2"]
    assert (config.max_epochs(), config.max_steps_per_epoch()) == (2, 3)


def test_limits_without_callbacks(limits):
    """The compiled loop of many steps stops there, too, and the next epoch goes on there: SGD without momentum is easy to follow."""
    limits.set_max_steps_per_epoch(3)
    made, other = model(), model()
    other.set_weights(made.get_weights())
    made.fit(X, X[:, :1], batch_size=2, epochs=2, shuffle=False, verbose=0)
    limits.set_max_steps_per_epoch(None)
    other.fit(X[:12], X[:12, :1], batch_size=2, shuffle=False, verbose=0)
    for one, two in zip(made.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5)


def test_smaller_wishes_stay(limits):
    limits.set_max_epochs(7)
    limits.set_max_steps_per_epoch(7)
    calls = Counts()
    model().fit(X, X[:, :1], batch_size=2, epochs=2, initial_epoch=1, steps_per_epoch=2, verbose=0, callbacks=[calls])
    assert calls.seen == ["epoch 1", 0, 1]


@pytest.mark.parametrize("value", [0, -1, 2.5, "3", True])
def test_limits_refuse(limits, value):
    with raises(ArgumentError, f"set_max_epochs(max_epochs) needs an integer from 1, or None, got {value!r}."):
        limits.set_max_epochs(value)
    with raises(ArgumentError, f"set_max_steps_per_epoch(max_steps_per_epoch) needs an integer from 1, or None, got {value!r}."):
        limits.set_max_steps_per_epoch(value)


def test_wishes():
    assert config.is_flash_attention_enabled() is None
    for name, first in (("flash_attention", None), ("traceback_filtering", True)):
        asked = getattr(config, f"is_{name}_enabled")
        assert asked() is first
        for verb, value in (("disable", False), ("enable", True)):
            getattr(config, f"{verb}_{name}")()
            assert asked() is value
    config._flash_attention = None
    assert config.is_nnx_enabled() is False
    with pytest.warns(UserWarning, match="enable_unsafe_deserialization adds no powers: a model file cannot run code here"):
        config.enable_unsafe_deserialization()
    before = config.backend()
    config.set_backend("numpy")
    assert config.backend() == "numpy"
    config.set_backend(before)


# Callbacks


def test_terminate_on_nan_raises_if_asked():
    made = model()
    for raise_error in (False, True):
        callback = nyala.callbacks.TerminateOnNaN(raise_error=raise_error)
        callback.set_model(made)
        made.stop_training = False
        callback.on_train_batch_end(2, {"loss": 1.0})
        assert not made.stop_training
        if raise_error:
            with raises(StateError, "batch 3 needs a finite loss, got nan.\n  fix: lower the learning rate, and look for nan in the data"):
                callback.on_train_batch_end(3, {"loss": float("nan")})
            assert issubclass(StateError, RuntimeError)
        else:
            callback.on_train_batch_end(3, {"loss": float("nan")})
            assert made.stop_training


def test_what_callbacks_tell():
    stopping = nyala.callbacks.EarlyStopping()
    assert stopping.get_monitor_value({"val_loss": 3.0}) == 3
    with pytest.warns(UserWarning, match="EarlyStopping watches 'val_loss', which is not among the logs"):
        assert stopping.get_monitor_value({}) is None
    plateau = nyala.callbacks.ReduceLROnPlateau(cooldown=2)
    assert not plateau.in_cooldown()
    plateau.cooldown_counter = 2
    assert plateau.in_cooldown()


# utils.Config, tree


def test_config_objects():
    c = nyala.utils.Config(a=1, b="x")
    c.c = [3]
    assert (c.a, c["b"], c.get("z", 5), "a" in c, len(c), list(c), json.loads(c.to_json())) == (
        1, "x", 5, True, 3, ["a", "b", "c"], {"a": 1, "b": "x", "c": [3]},
    )  # fmt: skip
    assert c.pop("a") == 1
    c.update({"d": 4}, e=5)
    del c.d
    assert c.as_dict() == {"b": "x", "c": [3], "e": 5}
    assert repr(c) == "<Config {'b': 'x', 'c': [3], 'e': 5}>"
    c.freeze()
    assert c.frozen
    text = "Config['q'] needs a config that is not frozen, got a frozen one.\n  fix: call unfreeze() first"
    with raises(StateError, text):
        c.q = 1
    with raises(StateError, text):
        c["q"] = 1
    with raises(StateError, text.replace("'q'", "'b'")):
        del c["b"]
    c.unfreeze()
    c.q = 1
    with raises(AttributeError, "this Config has no 'nope'; it has ['b', 'c', 'e', 'q']"):
        _ = c.nope
    with raises(ArgumentError, "Config needs names that are no methods of it, got 'get'."):
        c.get = 1


def test_config_objects_are_copied_and_pickled():
    import copy
    import pickle

    c = nyala.utils.Config(a=[1])
    for twin in (copy.copy(c), copy.deepcopy(c), pickle.loads(pickle.dumps(c))):
        assert twin.as_dict() == {"a": [1]}


def test_trees_of_shapes():
    f = nyala.tree.map_shape_structure
    assert f(lambda s: ("S", s), {"a": (2, 3), "b": [(None, 1), (4,)], "c": [2, 3]}) == {
        "a": ("S", (2, 3)), "b": [("S", (None, 1)), ("S", (4,))], "c": ("S", [2, 3]),
    }  # fmt: skip
    assert f(lambda s: s, (2, 3)) == (2, 3)
    assert f(lambda s: s, None) is None
    assert f(lambda s: s and tuple(s), ((2, 3), [None, 4], None)) == ((2, 3), (None, 4), None)
