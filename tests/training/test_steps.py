# SPDX-License-Identifier: Apache-2.0
"""Steps: one batch at a time, evaluate and predict, steps that users write, losses that layers add, and how often anything is traced."""

import re
import warnings

import numpy as np
import pytest

import nyala
from nyala import layers, ops
from nyala.core.errors import StateError
from nyala.testing import installed_engines
from nyala.training.data import unpack_x_y_sample_weight
from tests.training.tools import X, Y, linear, numbers, two_outputs

WEIGHTS = np.abs(numbers(11, seed=9))
COMPILING = [engine.name for engine in installed_engines() if engine.differentiable and engine.compiles]


def mse(model, x=X, y=Y):
    kernel, bias = model.get_weights()
    return np.mean((x @ kernel + bias - y) ** 2)


# One batch --------------------------------------------------------------------------------------------------------------------------


def test_train_and_test_on_batch(each_engine):
    """Each call speaks of its own batch, whatever ran before."""
    model = linear()
    model.compile(nyala.optimizers.SGD(0.05), "mse", metrics=["mae"])
    for batch in (slice(0, 11), slice(0, 4), slice(4, 11)):
        before = mse(model, X[batch], Y[batch])
        logs = model.train_on_batch(X[batch], Y[batch], return_dict=True)
        assert list(logs) == ["loss", "mae"]
        assert logs["loss"] == pytest.approx(before, rel=1e-5)
        assert mse(model, X[batch], Y[batch]) < before
    after = mse(model)
    loss, mae = model.test_on_batch(X, Y)
    assert (type(loss), type(mae), loss) == (float, float, pytest.approx(after, rel=1e-5))
    assert mse(model) == after
    model.evaluate(X, Y, verbose=0)
    assert model.test_on_batch(X[:4], Y[:4])[0] == pytest.approx(mse(model, X[:4], Y[:4]), rel=1e-5)
    np.testing.assert_allclose(model.predict_on_batch(X), model.predict(X), rtol=1e-6)
    model.reset_metrics()
    assert [float(metric.result()) for metric in model.metrics] == [0.0, 0.0]


def test_weights_of_one_batch(eager):
    model = linear()
    model.compile("sgd", "mse")
    errors = (model.predict(X) - Y)[:, 0] ** 2
    assert model.train_on_batch(X, Y, sample_weight=WEIGHTS) == pytest.approx(np.mean(errors * WEIGHTS), rel=1e-5)
    model = linear()
    model.compile("sgd", "mse")
    labels = (Y > 0).astype("float32")
    errors = (model.predict(X) - labels)[:, 0] ** 2
    assert model.train_on_batch(X, labels, class_weight={1: 5.0}) == pytest.approx(np.mean(errors * (1 + 4 * labels[:, 0])), rel=1e-5)


# evaluate and predict -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [engine.name for engine in installed_engines()])
def test_evaluate_and_predict_on_every_engine(name):
    with nyala.backend(name):
        model = linear()
        model.compile("sgd", "mse")
        want = mse(model)
        assert model.evaluate(X, Y, batch_size=4, verbose=0) == pytest.approx(want, rel=1e-5)
        assert isinstance(model.evaluate(X, Y, verbose=0), float)
        model.compile("sgd", "mse", metrics=["mae"])
        result = model.evaluate(X, Y, batch_size=4, verbose=0)
        assert [type(value) for value in result] == [float, float]
        assert list(model.evaluate(X, Y, verbose=0, return_dict=True)) == ["loss", "mae"]
        prediction = model.predict(X, batch_size=4)
        assert type(prediction) is np.ndarray
        assert prediction.dtype == np.float32
        np.testing.assert_allclose(prediction, X @ model.get_weights()[0] + model.get_weights()[1], rtol=1e-5)


def test_evaluate_streams_and_steps(eager):
    model = linear()
    model.compile("sgd", "mse")
    batches = [(X[:4], Y[:4]), (X[4:8], Y[4:8]), (X[8:], Y[8:])]
    assert model.evaluate(iter(batches), verbose=0) == pytest.approx(mse(model), rel=1e-5)
    assert model.evaluate(X, Y, batch_size=4, steps=2, verbose=0) == pytest.approx(mse(model, X[:8], Y[:8]), rel=1e-5)
    weighted = model.evaluate(X, Y, sample_weight=WEIGHTS, verbose=0)
    assert weighted == pytest.approx(np.mean((model.predict(X) - Y)[:, 0] ** 2 * WEIGHTS), rel=1e-5)


@pytest.mark.parametrize("size", [1, 2, 4, 11, 100, None])
def test_predict_in_batches_of_any_size(size, eager):
    model = linear(2)
    np.testing.assert_allclose(model.predict(X, batch_size=size), X @ model.get_weights()[0] + model.get_weights()[1], rtol=1e-5)


def test_predict_structures_and_streams(eager):
    model = two_outputs()
    a, b = model.predict(X, batch_size=4)
    assert (a.shape, b.shape) == ((11, 1), (11, 2))
    from_stream = model.predict(iter([(X[:4], Y[:4]), (X[4:], Y[4:])]))
    np.testing.assert_array_equal(from_stream[1], b)
    np.testing.assert_array_equal(model.predict(X.tolist())[0], a)
    np.testing.assert_array_equal(model.predict(X, batch_size=4, steps=2)[0], a[:8])
    x = nyala.Input((3,))
    named = nyala.Model(x, {"p": layers.Dense(2)(x), "q": layers.Dense(1)(x)})
    assert {name: values.shape for name, values in named.predict(X, batch_size=4).items()} == {"p": (11, 2), "q": (11, 1)}


def test_predict_leaves_state_alone(each_engine):
    model = nyala.Sequential([nyala.Input((3,)), layers.BatchNormalization(), layers.Dropout(0.5), layers.Dense(2)])
    before = model.get_weights()
    first, second = model.predict(X), model.predict(X, batch_size=4)
    np.testing.assert_allclose(first, second, rtol=1e-6)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


# Steps of one's own ---------------------------------------------------------------------------------------------------------------------


class Custom(nyala.Sequential):
    """Every step written by its user, once for all engines."""

    def train_step(self, data):
        x, y, _ = unpack_x_y_sample_weight(data)

        def loss_fn():
            return ops.mean(ops.abs(self(x, training=True) - y)), None

        (loss, _), gradients = nyala.value_and_grad(loss_fn, self.trainable_variables)()
        self.optimizer.apply(gradients, self.trainable_variables)
        return {"mine": loss * 2}

    def test_step(self, data):
        x, y, _ = unpack_x_y_sample_weight(data)
        return {"worst": ops.max(ops.abs(self(x, training=False) - y))}

    def predict_step(self, data):
        return -self(unpack_x_y_sample_weight(data)[0], training=False)


def custom():
    model = Custom([nyala.Input((3,)), layers.Dense(1)])
    model.set_weights(linear().get_weights())
    model.compile(nyala.optimizers.SGD(0.05))
    return model


def test_steps_of_ones_own(each_engine):
    model = custom()
    kernel, bias = model.get_weights()
    error = X @ kernel + bias - Y
    worst = np.max(np.abs(error))
    assert model.evaluate(X, Y, verbose=0, return_dict=True)["worst"] == pytest.approx(worst, rel=1e-5)
    np.testing.assert_allclose(model.predict(X), -(X @ kernel + bias), rtol=1e-5)
    history = model.fit(X, Y, batch_size=11, epochs=2, validation_data=(X, Y), verbose=0).history
    assert sorted(history) == ["mine", "val_worst"]
    assert history["mine"][0] == pytest.approx(2 * np.mean(np.abs(error)), rel=1e-5)
    kernel = kernel - 0.05 * X.T @ np.sign(error) / 11
    bias = bias - 0.05 * np.mean(np.sign(error), axis=0)
    assert history["val_worst"][0] == pytest.approx(np.max(np.abs(X @ kernel + bias - Y)), rel=1e-5)


@pytest.mark.parametrize("mode, run", [("train", "fit"), ("test", "fit"), ("test", "evaluate"), ("predict", "predict")])
def test_functions_over_iterators_are_refused(mode, run):
    """Of Keras's own trainers; they were ignored."""
    kind = type("Mine", (nyala.Sequential,), {f"make_{mode}_function": lambda self, force=False: None})
    model = kind([nyala.Input((3,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    text = (
        f"Mine needs its own steps in a method {mode}_step(self, data), got a method make_{mode}_function.\n"
        "  why: what runs the steps differs from engine to engine and is not overridden\n"
        f"  fix: write what it does with one batch as {mode}_step"
    )
    before = model.get_weights()
    with pytest.raises(StateError, match=f"^{re.escape(text)}$"):
        getattr(model, run)(*([X] if run == "predict" else [X, Y]), verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize("name", COMPILING)
def test_steps_are_compiled_anew_on_request(name):
    with nyala.backend(name):
        model = custom()
        factor, traced = [1.0], []

        def train_step(self, data):
            traced.append(factor[0])
            return {"factor": ops.mean(self(data[0])) * 0 + factor[0]}

        model.__class__ = type("Scaled", (Custom,), {"train_step": train_step})
        assert model.fit(X, Y, verbose=0).history["factor"] == [1.0]
        factor[0], count = 2.0, len(traced)
        assert model.make_train_function() is None
        assert model.fit(X, Y, verbose=0).history["factor"] == [1.0] and len(traced) == count
        model.make_train_function(force=True)
        assert model.fit(X, Y, verbose=0).history["factor"] == [2.0]


class Sees(nyala.Sequential):
    """Notes what its steps are given."""

    def note(self, data):
        self.seen = ("x" if not isinstance(data, tuple) else len(data)) if not isinstance(data, dict) else "dict"
        return unpack_x_y_sample_weight(data)[0]

    def train_step(self, data):
        x = self.note(data)
        (loss, _), gradients = nyala.value_and_grad(lambda: (ops.mean(self(x)), None), self.trainable_variables)()
        self.optimizer.apply(gradients, self.trainable_variables)
        return {"loss": loss}

    def test_step(self, data):
        return {"loss": ops.mean(self(self.note(data)))}

    def predict_step(self, data):
        return self(self.note(data))


class Given(nyala.utils.PyDataset):
    def __init__(self, batch):
        super().__init__()
        self.batch = batch

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return self.batch


# what is given -> what a step sees, as in Keras
ALONE = {
    "an array": (lambda: X, "x"),
    "an array in a list": (lambda: [X], 1),
    "x and y": (lambda: Given((X, Y)), 2),
    "a PyDataset of x": (lambda: Given(X), 1),
    "an iterable of x": (lambda: CanBeRead([X, X]), "x"),
    "an iterable of tuples": (lambda: CanBeRead([(X,), (X,)]), 1),
}


class CanBeRead:
    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        return iter(self.batches)


@pytest.mark.parametrize("name", ALONE)
def test_x_that_comes_alone(name, eager):
    """Autoencoders and GANs, whose steps begin with self.encoder(data)."""
    data, seen = ALONE[name]
    model = Sees([nyala.Input((3,)), layers.Dense(1)])
    model.compile("sgd")
    for run in (model.fit, model.evaluate, model.predict):
        run(data(), verbose=0)
        assert model.seen == (seen if seen != 2 or run != model.predict else 1)
        model.seen = None


def test_x_that_comes_alone_is_compiled_apart(each_engine):
    model = Sees([nyala.Input((3,)), layers.Dense(1)])
    model.compile("sgd")
    for data, seen in ((X, "x"), (Given(X), 1), (X, "x")):
        model.seen = seen  # where the step was compiled before
        model.fit(data, batch_size=11, verbose=0, shuffle=False)
        assert model.seen == seen
        np.testing.assert_allclose(model.predict(data)[:11], ops.convert_to_numpy(model(X)), rtol=1e-5)
        assert model.seen == seen


class Counts(nyala.Sequential):
    """A step that computes the loss and leaves the counting to compute_metrics, or forgets to return the logs."""

    returns = True

    def train_step(self, data):
        x, y = data

        def loss_fn():
            prediction = self(x, training=True)
            return self.compute_loss(x, y, prediction), prediction

        (_, prediction), gradients = nyala.value_and_grad(loss_fn, self.trainable_variables)()
        self.optimizer.apply(gradients, self.trainable_variables)
        logs = self.compute_metrics(x, y, prediction)
        return logs if self.returns else None


@pytest.mark.parametrize("returns", [True, False])
def test_the_loss_that_a_step_computes_is_counted(returns, each_engine):
    model, plain = Counts([nyala.Input((3,)), layers.Dense(1)]), linear()
    model.set_weights(plain.get_weights())
    model.returns = returns
    for each in (model, plain):
        each.compile("sgd", "mse", metrics=["mae"])
    ours, theirs = (each.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0).history for each in (model, plain))
    assert ours == {name: pytest.approx(values, rel=1e-5) for name, values in theirs.items()}


class OwnLoss(nyala.Sequential):
    """compute_loss and compute_metrics of the user's, the rest as it is."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return super().compute_loss(x, y, y_pred, sample_weight, training) + 3.0

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        logs = super().compute_metrics(x, y, y_pred, sample_weight)
        return {**logs, "extra": ops.mean(y_pred)}


def test_losses_and_metrics_of_ones_own(each_engine):
    model = OwnLoss([nyala.Input((3,)), layers.Dense(1)])
    model.compile(nyala.optimizers.SGD(0.0), "mse", metrics=["mae"])
    want = mse(model) + 3
    history = model.fit(X, Y, batch_size=11, verbose=0).history
    assert history["loss"][0] == pytest.approx(want, rel=1e-5)
    assert history["extra"][0] == pytest.approx(np.mean(model.predict(X)), rel=1e-4)
    assert history["mae"][0] == pytest.approx(np.mean(np.abs(model.predict(X) - Y)), rel=1e-5)


class Tracked(nyala.Model):
    """A metric kept in the model, as in many examples of GANs and autoencoders."""

    def __init__(self):
        super().__init__(name="tracked")
        self.dense = layers.Dense(1)
        self.tracker = nyala.metrics.Mean(name="gap")

    def call(self, x):
        return self.dense(x)

    @property
    def metrics(self):
        return [self.tracker]

    def train_step(self, data):
        x, y = data

        def loss_fn():
            return ops.mean(ops.square(self(x) - y)), None

        (loss, _), gradients = nyala.value_and_grad(loss_fn, self.trainable_variables)()
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        self.tracker.update_state(loss)
        return {metric.name: metric.result() for metric in self.metrics}


def test_a_model_with_its_own_metric(each_engine):
    model = Tracked()
    model.compile("adam")
    history = model.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0).history
    assert len(history["gap"]) == 2
    assert 0 < history["gap"][1] < history["gap"][0]


# What layers add to the loss --------------------------------------------------------------------------------------------------------------


class Penalty(layers.Layer):
    def call(self, x):
        self.add_loss(0.1 * ops.sum(ops.square(x)))
        return x


def test_losses_that_layers_add(each_engine):
    x = nyala.Input((3,))
    hidden = layers.Dense(2, kernel_regularizer=nyala.regularizers.L2(0.02), activity_regularizer=nyala.regularizers.L1(0.03), name="a")(x)
    model = nyala.Model(x, layers.Dense(1, name="b")(Penalty()(hidden)))
    a, a_bias, b, b_bias = (w.astype("float64") for w in model.get_weights())
    hidden = X @ a + a_bias
    want = np.mean((hidden @ b + b_bias - Y) ** 2) + 0.1 * np.sum(hidden**2) + 0.03 * np.sum(np.abs(hidden)) / 11 + 0.02 * np.sum(a**2)
    model.compile(nyala.optimizers.SGD(0.0), "mse")
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(want, rel=1e-5)
    np.testing.assert_allclose(model.fit(X, Y, batch_size=11, epochs=2, verbose=0).history["loss"], want, rtol=1e-5)
    assert model.train_on_batch(X, Y) == pytest.approx(want, rel=1e-5)
    assert len(model.losses) == 1  # what was added in a step belongs to that step


def test_a_model_whose_only_loss_is_added(each_engine):
    x = nyala.Input((3,))
    model = nyala.Model(x, Penalty()(layers.Dense(2)(x)))
    model.compile(nyala.optimizers.SGD(0.01))
    history = model.fit(X, batch_size=11, epochs=3, verbose=0).history
    assert list(history) == ["loss"]
    assert history["loss"][2] < 0.95 * history["loss"][0]


# What changes between two calls -----------------------------------------------------------------------------------------------------------


def test_freezing_and_thawing(each_engine):
    model = nyala.Sequential([nyala.Input((3,)), layers.Dense(2, name="a"), layers.Dense(1, name="b")])
    model.layers[0].trainable = False
    model.compile("sgd", "mse")
    start = model.get_weights()
    model.fit(X, Y, verbose=0)
    middle = model.get_weights()
    np.testing.assert_array_equal(middle[0], start[0])
    assert (middle[2] != start[2]).all()
    model.layers[0].trainable = True
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0)
    assert (model.get_weights()[0] != middle[0]).all()


def test_an_optimizer_of_two_models(each_engine):
    """What Keras refuses: each model has slots of its own."""
    optimizer = nyala.optimizers.Adam(0.05)
    for units in (1, 1):
        model = linear(units)
        model.compile(optimizer, "mse")
        losses = model.fit(X, Y, epochs=3, verbose=0).history["loss"]
        assert losses[2] < losses[0]


def test_setting_weights_and_rates_between_fits(each_engine):
    model = linear()
    model.compile(nyala.optimizers.SGD(0.05), "mse")
    start = model.get_weights()
    first = model.fit(X, Y, shuffle=False, verbose=0).history["loss"]
    model.set_weights(start)
    assert model.fit(X, Y, shuffle=False, verbose=0).history["loss"] == first
    moved = model.get_weights()
    model.optimizer.learning_rate = 0.0
    model.fit(X, Y, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], moved[0])


def test_a_mask_reaches_the_loss(each_engine):
    x = np.array([[1, 2, 0, 0, 0], [3, 1, 4, 0, 0], [2, 2, 2, 2, 2]], "int32")
    model = nyala.Sequential([layers.Embedding(5, 3, mask_zero=True), layers.Dense(2)])
    y = numbers(3, 5, 2)
    model.compile(nyala.optimizers.SGD(0.0), "mse")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        error = np.mean((model.predict(x) - y) ** 2, axis=-1)
        loss = model.evaluate(x, y, verbose=0)
    assert loss == pytest.approx(np.sum(error * (x > 0)) / np.sum(x > 0), rel=1e-5)


# How often things happen ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMPILING)
def test_nothing_is_traced_twice(name):
    with nyala.backend(name):
        model = linear()
        model.compile("sgd", "mse", metrics=["mae"])

        def traces():
            return {key: program.traces for key, program in model._programs.table.items()}

        model.fit(X, Y, batch_size=4, verbose=0)
        first = traces()
        assert sum(key[1] == "train" for key in first) == 2  # full batches, and the rest
        assert set(first.values()) == {1}
        model.fit(X, Y, batch_size=4, epochs=3, verbose=0)
        model.fit(X[::-1].copy(), Y, batch_size=4, verbose=0)
        assert traces() == first
        model.fit(X[:8], Y[:8], batch_size=4, verbose=0)
        model.evaluate(X, Y, batch_size=4, verbose=0)
        model.evaluate(X, Y, batch_size=4, verbose=0)
        model.predict(X, batch_size=4)
        model.predict(X[::-1].copy(), batch_size=4)
        after = traces()
        assert sum(key[1] == "test" for key in after) == 2
        assert sum(key[1] == "predict" for key in after) == 1  # the rest is filled up
        assert set(after.values()) == {1}


def test_logs_of_batches_are_only_computed_for_those_who_ask(each_engine):
    class Counting(nyala.Sequential):
        asked = 0

        def _logs(self, runner):
            self.asked += 1
            return super()._logs(runner)

    model = Counting([nyala.Input((3,)), layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    model.fit(X, Y, batch_size=2, epochs=2, verbose=0, callbacks=[nyala.callbacks.EarlyStopping("loss")])
    assert model.asked == 2
    model.asked = 0
    model.fit(X, Y, batch_size=2, epochs=2, verbose=0, callbacks=[nyala.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)])
    assert model.asked >= 12


@pytest.mark.parametrize("accumulate", [1, 2])
def test_compute_loss_need_not_take_training(accumulate):
    """It is asked for by place, with `training` only where it has it."""
    seen = []

    class Plain(nyala.Model):
        def compute_loss(self, features, target, y_pred, weight=None, **kwargs):
            seen.append(kwargs)
            return 3.0 * ops.mean(ops.square(target - y_pred))

    inner = linear()
    model = Plain(inner.input, inner.output)
    model.compile(nyala.optimizers.SGD(0.0))
    history = model.fit(X, Y, batch_size=4, epochs=1, accumulate=accumulate, verbose=0).history
    assert history["loss"][0] == pytest.approx(3 * mse(model), rel=1e-5)
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(3 * mse(model), rel=1e-5)
    assert model.train_on_batch(X, Y) == pytest.approx(3 * mse(model), rel=1e-5)
    groups = (model.trainable_variables, model.non_trainable_variables, model.metrics_variables)
    loss, _ = model.stateless_compute_loss(*[[v.numpy() for v in group] for group in groups], x=X, y=Y, y_pred=0 * Y)
    assert float(loss) == pytest.approx(3 * np.mean(Y**2), rel=1e-5)
    assert not any(seen)
