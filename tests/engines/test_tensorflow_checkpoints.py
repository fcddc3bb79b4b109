# SPDX-License-Identifier: Apache-2.0
"""tf.train.Checkpoint and tf.saved_model.save around what is built on the engine tensorflow."""

import re

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import nyala  # noqa: E402
from nyala import layers  # noqa: E402
from nyala.core.errors import ArgumentError, ShapeError, StateError  # noqa: E402
from nyala.files.errors import WeightsMismatchError  # noqa: E402


@pytest.fixture(autouse=True)
def on_tensorflow():
    with nyala.backend("tensorflow"):
        nyala.ops.ones(1)
        yield


@pytest.fixture
def random():
    return np.random.default_rng(11)


class Network(nyala.Model):
    """Layers that are built as they are called, one of them in a list, with weights that no gradient moves."""

    def __init__(self):
        super().__init__()
        self.first = layers.Dense(4, activation="tanh")
        self.rest = [layers.Dense(3), layers.BatchNormalization()]

    def call(self, x, training=False):
        x = self.first(x)
        for layer in self.rest:
            x = layer(x, training=training) if isinstance(layer, layers.BatchNormalization) else layer(x)
        return x


def run(x, y, optimizer="Adam"):
    """A loop of one's own: what a step returns, and the checkpoint around all of its state."""
    model, mean, steps, count = Network(), nyala.metrics.Mean(), tf.Variable(0), tf.Variable(0)
    optimizer = getattr(nyala.optimizers, optimizer)(0.05)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(x, training=True) - y) ** 2)
        count.assign(tf.cast(optimizer.iterations, "int32"))  # from now on they live in TensorFlow
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        mean.update_state(loss)
        steps.assign_add(1)
        return loss

    return lambda: float(step()), tf.train.Checkpoint(model=model, optimizer=optimizer, mean=mean, steps=steps, count=count)


@pytest.mark.parametrize("optimizer", ["Adam", "SGD", "RMSprop"])
def test_a_run_goes_on(optimizer, random, tmp_path):
    """By a manager, in objects that are not built; and once more in those that are, whose graph is made already."""
    x, y = random.normal(size=(7, 5)).astype("float32"), random.normal(size=(7, 3)).astype("float32")
    step, checkpoint = run(x, y, optimizer)
    manager = tf.train.CheckpointManager(checkpoint, str(tmp_path), max_to_keep=2)
    for _ in range(3):
        step()
        saved = manager.save()
    assert saved == manager.latest_checkpoint == tf.train.latest_checkpoint(tmp_path) and len(manager.checkpoints) == 2
    expected = [step() for _ in range(3)]
    assert len(set(expected)) == 3

    other, again = run(x, y, optimizer)
    again.restore(saved).assert_consumed()
    assert [other() for _ in range(3)] == expected
    assert int(again.steps) == int(again.count) + 1 == int(again.optimizer.iterations) == 6
    assert float(again.mean.result()) == float(checkpoint.mean.result())
    for one, two in zip(checkpoint.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)

    checkpoint.restore(saved)
    assert [step() for _ in range(3)] == expected


def test_models_that_are_compiled_keep_their_optimizer(random, tmp_path):
    x, y = random.normal(size=(12, 4)).astype("float32"), random.normal(size=(12, 2)).astype("float32")

    def compiled():
        model = nyala.Sequential([nyala.Input((4,)), layers.Dense(2)])
        model.compile(nyala.optimizers.Adam(0.1), "mse")
        return model

    model = compiled()
    model.fit(x, y, epochs=2, verbose=0, shuffle=False)
    path = tf.train.Checkpoint(model).save(str(tmp_path / "whole"))
    other = compiled()
    tf.train.Checkpoint(other).restore(path)
    assert int(other.optimizer.iterations) == 2
    for one in (model, other):
        one.fit(x, y, verbose=0, shuffle=False)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_lists_dicts_layers_and_variables(random, tmp_path):
    def objects():
        dense = layers.Dense(3)
        dense.build((None, 2))
        return {"parts": [dense, {"v": nyala.Variable(random.normal(size=(2, 5)).astype("float32"))}], "seed": nyala.Variable(7, dtype="int32")}

    one, two = objects(), objects()
    path = tf.train.Checkpoint(**one).save(str(tmp_path / "c"))
    tf.train.Checkpoint(**two).restore(path).assert_consumed()
    np.testing.assert_array_equal(one["parts"][0].kernel, two["parts"][0].kernel)
    np.testing.assert_array_equal(one["parts"][1]["v"], two["parts"][1]["v"])


def test_what_does_not_fit_changes_nothing(random, tmp_path):
    def model(units):
        return nyala.Sequential([nyala.Input((4,)), layers.Dense(units)])

    path = tf.train.Checkpoint(model=model(2), mean=nyala.Variable(random.normal(size=3))).save(str(tmp_path / "c"))
    other = model(3)
    before = other.get_weights()
    with pytest.raises(WeightsMismatchError, match="has shape \\(4, 3\\), the file has \\(4, 2\\)") as caught:
        tf.train.Checkpoint(model=other).restore(path)
    assert "skip_mismatch" not in str(caught.value)
    for a, b in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    text = "tf.train.Checkpoint.restore, 'mine' needs arrays of shapes [(2,)], got [(3,)].\n  fix: restore what was saved of the same object"
    with pytest.raises(ShapeError, match=f"^{re.escape(text)}$"):
        tf.train.Checkpoint(mean=nyala.Variable([1.0, 2.0], name="mine")).restore(path)


def test_checkpoints_of_other_models_are_refused(random, tmp_path):
    """Their weights stand one by one; TensorFlow would pass them over in silence."""
    module = tf.Module()
    module.kernel = tf.Variable(random.normal(size=(4, 2)).astype("float32"))
    path = tf.train.Checkpoint(model=module, steps=tf.Variable(3)).save(str(tmp_path / "c"))
    model, steps = nyala.Sequential([nyala.Input((4,)), layers.Dense(2)]), tf.Variable(0)
    text = (
        "tf.train.Checkpoint.restore needs a checkpoint in which 'model' was saved by Nyala, got one with 1 variables of TensorFlow, "
        f"as 'model/kernel/.ATTRIBUTES/VARIABLE_VALUE', in {path!r}.\n"
        "  fix: have Keras write the model as .keras or .weights.h5, which Nyala reads; nothing was changed"
    )
    with pytest.raises(StateError, match=f"^{re.escape(text)}$"):
        tf.train.Checkpoint(model=model, steps=steps).restore(path)
    assert int(steps) == 0
    tf.train.Checkpoint(steps=steps, new=model).restore(path)  # a part that is new begins as it is
    assert int(steps) == 3


def test_what_is_not_ours_is_as_before(tmp_path):
    v = tf.Variable([1.0, 2.0])
    path = tf.train.Checkpoint(v=v).write(str(tmp_path / "c"))
    w = tf.Variable([0.0, 0.0])
    tf.train.Checkpoint(v=w).read(path).assert_consumed()
    np.testing.assert_array_equal(w, v)
    with pytest.raises(ValueError, match="expecting x to be a trackable object"):
        tf.train.Checkpoint(x="text")


@pytest.mark.parametrize("kind", ["functional", "subclass"])
def test_saved_model_save(kind, random, tmp_path):
    """Of any number of rows; the shapes are those the model was made for, or built with."""
    x = random.normal(size=(6, 5)).astype("float32")
    model = Network() if kind == "subclass" else nyala.Sequential([nyala.Input((5,)), layers.Dense(3)])
    expected = model.predict(x, verbose=0)
    tf.saved_model.save(model, str(tmp_path / "model"))
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    for rows in (6, 2):
        np.testing.assert_allclose(loaded.serve(x[:rows]), expected[:rows], rtol=1e-5, atol=1e-6)
    with pytest.raises(ArgumentError, match=r"^tf.saved_model.save\(model, signatures\) needs no signatures for a model, got some for "):
        tf.saved_model.save(model, str(tmp_path / "other"), signatures={})
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("built, got", [(False, "a model that is not built"), (True, "a model whose call takes 2 arguments")])
def test_models_whose_inputs_are_not_known(built, got, random, tmp_path):
    class Two(nyala.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, x, y):
            return self.dense(x) + self.dense(y)

    model = Two() if built else Network()
    if built:
        model(random.normal(size=(2, 3)), random.normal(size=(2, 3)))
    text = (
        f"Model.export needs to know the shapes of the inputs, got {got}.\n"
        "  fix: pass input_signature=[nyala.InputSpec(shape=(None, 3), dtype='float32')], one for each argument"
    )
    with pytest.raises(StateError, match=f"^{re.escape(text)}$"):
        model.export(tmp_path / "m")
