# SPDX-License-Identifier: Apache-2.0
"""Recorded steps on PyTorch: the same bits as the step itself, or no recording at all."""

from __future__ import annotations

import numpy as np
import pytest

import nyala
from nyala import layers, optimizers
from nyala.training import recorded

torch = pytest.importorskip("torch")
random = np.random.default_rng(5)
X, Y = random.normal(size=(83, 12)).astype("float32"), random.integers(0, 3, 83)

RANDOM_KERNEL = random.normal(size=(12, 4)).astype("float32")

NETWORKS = {
    "dense": lambda: [layers.Dense(7, activation="relu", kernel_regularizer="l2")],
    "random": lambda: [layers.Dense(7, activation="gelu"), layers.Dropout(0.5), layers.GaussianNoise(0.1)],
    "normalization": lambda: [layers.Dense(7), layers.BatchNormalization(), layers.LayerNormalization()],
    "convolution": lambda: [layers.Reshape((4, 3, 1)), layers.Conv2D(5, 3, padding="same"), layers.MaxPooling2D((2, 1)), layers.Flatten()],
    "bfloat16": lambda: [layers.Dense(7, activation="relu", dtype="mixed_bfloat16")],
    "constraint": lambda: [layers.Dense(7, kernel_constraint="max_norm")],
}
OPTIMIZERS = {
    "adam": lambda: optimizers.Adam(0.01),
    "momentum": lambda: optimizers.SGD(optimizers.schedules.CosineDecay(0.1, 30), momentum=0.9, nesterov=True),
    "average": lambda: optimizers.AdamW(0.01, use_ema=True, clipnorm=1.0),
}


@pytest.fixture(autouse=True)
def on_torch(monkeypatch):
    monkeypatch.setattr(recorded, "QUICK_SECONDS", 60.0)  # machines under tests are slow
    with nyala.backend("torch"):
        yield


@pytest.fixture
def made(monkeypatch):
    """Whether each recording that was tried could be made."""
    found: list[bool] = []
    original = recorded.RecordedStep._recorded

    def counted(self, batch, key):
        found.append((recording := original(self, batch, key)) is not None)
        return recording

    monkeypatch.setattr(recorded.RecordedStep, "_recorded", counted)
    return found


def train(network, optimizer, **options):
    nyala.utils.set_random_seed(11)
    model = nyala.Sequential([nyala.Input((12,)), *network(), layers.Dense(3, activation="softmax")])
    model.compile(optimizer(), "sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    history = model.fit(X, Y, batch_size=8, epochs=3, verbose=0, validation_data=(X[:20], Y[:20]))
    return history.history, model.get_weights() + [v.numpy() for v in model.optimizer.variables]


@pytest.mark.parametrize(("network", "optimizer"), [*((name, "adam") for name in NETWORKS), ("dense", "momentum"), ("dense", "average")])
def test_a_recording_makes_the_same_bits_as_the_step(network, optimizer, made, monkeypatch):
    history, weights = train(NETWORKS[network], OPTIMIZERS[optimizer])
    assert made and all(made)
    monkeypatch.setattr(recorded, "is_known", lambda *_: False)
    tries = len(made)
    plain = train(NETWORKS[network], OPTIMIZERS[optimizer])
    assert len(made) == tries
    assert history == plain[0]
    for a, b in zip(weights, plain[1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_the_host_changes_between_epochs_counts(made):
    model = nyala.Sequential([nyala.Input((12,)), dropout := layers.Dropout(0.5), layers.Dense(1, use_bias=False)])
    model.compile(optimizers.SGD(0.0), "mse")
    losses = []
    for rate in (0.0, 0.9):
        dropout.rate = rate
        losses.append(model.fit(X, X[:, :1], batch_size=8, epochs=1, shuffle=False, verbose=0).history["loss"][0])
    assert all(made) and len(made) == 2
    assert losses[1] > 1.5 * losses[0]


def test_a_learning_rate_that_a_callback_changes_counts(made):
    model = nyala.Sequential([nyala.Input((12,)), layers.Dense(1)])
    model.compile(optimizers.SGD(0.1), "mse")
    after = []
    watch = nyala.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: after.append(model.get_weights()[0]))
    model.fit(X, X[:, :1], batch_size=8, epochs=3, verbose=0,
              callbacks=[nyala.callbacks.LearningRateScheduler(lambda epoch: 0.0 if epoch == 1 else 0.1), watch])  # fmt: skip
    assert all(made) and made
    assert np.array_equal(after[0], after[1]) and not np.array_equal(after[1], after[2])


def test_memory_that_somebody_looks_at_is_not_written_to(made):
    model = nyala.Sequential([nyala.Input((12,)), layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(X, X[:, :1], batch_size=8, verbose=0)
    seen = model.layers[0].kernel.value
    copy = seen.clone()
    model.fit(X, X[:, :1], batch_size=8, epochs=2, verbose=0)
    assert made and all(made)
    assert torch.equal(seen, copy)


def test_a_step_whose_python_looks_at_numbers_runs_as_it_is(made):
    history, _ = train(NETWORKS["dense"], lambda: optimizers.Adam(0.01, gradient_accumulation_steps=2))
    assert made and not any(made)
    assert history["loss"][-1] < history["loss"][0]


@pytest.mark.parametrize("how", ["layer", "step", "loss", "activation", "eager"])
def test_code_of_users_is_never_recorded(how, made):
    calls = []

    class Counting(layers.Layer):
        def call(self, x):
            calls.append(None)
            return x

    class Model(nyala.Sequential):
        def train_step(self, data):
            calls.append(None)
            return super().train_step(data)

    def loss(y_true, y_pred):
        calls.append(None)
        return nyala.ops.mean((y_true - y_pred) ** 2, axis=-1)

    def activation(x):
        calls.append(None)
        return x

    parts = [Counting()] if how == "layer" else []
    model = (Model if how == "step" else nyala.Sequential)(
        [nyala.Input((12,)), *parts, layers.Dense(1, activation=activation if how == "activation" else None)]
    )
    model.compile("sgd", loss if how == "loss" else "mse", run_eagerly=how == "eager")
    model.fit(X, X[:, :1], batch_size=8, verbose=0)
    before = len(calls)
    model.fit(X, X[:, :1], batch_size=8, epochs=2, verbose=0)
    assert not made
    assert how == "eager" or len(calls) - before >= 2 * 11


@pytest.mark.parametrize("what", ["item", "numpy", "random", "size"])
def test_functions_that_no_list_of_kernels_stands_for_are_refused(what):
    from nyala.engines._torch_replay import record

    total = nyala.Variable(np.zeros(3, "float32"))

    def step(x):
        value = total.value
        if what == "item" and float(x[0]) > 0:
            value = value + x
        if what == "numpy":
            value = value + torch.from_numpy(x.numpy() * 2)
        if what == "random":
            value = value + torch.rand(3)
        if what == "size":
            value = value + x[x > 0].sum()
        total.assign(value)

    assert record(step, [total], [], torch.tensor([1.0, -2.0, 3.0])) is None
    np.testing.assert_array_equal(total.numpy(), np.zeros(3))


PREDICTING = {
    "dense": lambda x: layers.Dense(7, activation="softmax")(layers.LayerNormalization()(layers.Dense(9, activation="gelu")(x))),
    "convolution": lambda x: layers.Flatten()(layers.MaxPooling2D(2)(layers.Conv2D(5, 3, padding="same")(layers.Reshape((4, 3, 1))(x)))),
    "recurrent": lambda x: layers.Bidirectional(layers.LSTM(5))(layers.Reshape((4, 3))(x)),
    "normalization": lambda x: layers.BatchNormalization()(layers.Dropout(0.5)(x)),
    "several": lambda x: {"a": layers.Dense(2)(x), "b": [layers.Identity()(x), layers.Reshape((12, 1))(x), layers.Flatten()(x)]},
    "bfloat16": lambda x: layers.Dense(7, activation="relu", dtype="bfloat16")(x),
    "attention": lambda x: layers.MultiHeadAttention(2, 4)(y := layers.Embedding(9, 8)(layers.Rescaling(0.0)(x)), y),
}


def predictor(build=PREDICTING["dense"]):
    nyala.utils.set_random_seed(12)
    inputs = nyala.Input((12,))
    return nyala.Model(inputs, build(inputs))


def replays(model):
    return [entry.replay is not None for key, entry in model._programs.table.items() if key[1] == "predict"]


@pytest.mark.parametrize("network", PREDICTING)
@pytest.mark.parametrize("rows", [1, 5])
def test_recorded_predictions_are_the_same_bits_in_memory_of_their_own(network, rows):
    model = predictor(PREDICTING[network])
    x = X[:rows].copy()
    plain = model.predict(x)
    for _ in range(10):
        got = model.predict(x)
    assert replays(model) == [True]
    before, weights = x.copy(), [w.copy() for w in model.get_weights()]
    for a, b in zip(nyala.tree.flatten(got), nyala.tree.flatten(plain), strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape and a.flags.writeable and a.flags.c_contiguous
        np.testing.assert_array_equal(a, b)
        a[...] = 7
    np.testing.assert_array_equal(x, before)
    for a, b in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(nyala.tree.flatten(model.predict(x)), nyala.tree.flatten(plain), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", ["read only", "reversed", "float64", "big endian", "columns", "integers"])
def test_recorded_predictions_of_any_array(kind):
    model, x = predictor(), X[:8]
    changed = {
        "reversed": lambda: x[::-1], "float64": lambda: x.astype("float64"), "big endian": lambda: x.astype(">f4"),
        "columns": lambda: np.asfortranarray(x), "integers": lambda: (100 * x).astype("int16"), "read only": x.copy,
    }[kind]()  # fmt: skip
    changed.flags.writeable = kind != "read only"
    plain = model.predict(changed)
    for _ in range(10):
        np.testing.assert_array_equal(model.predict(changed), plain)
    assert replays(model) == [True]


def test_batches_that_are_predicted_in_turn_are_recorded():
    model = predictor()
    expected = np.concatenate([np.asarray(model(X[i : i + 5])) for i in range(0, 83, 5)])
    for _ in range(2):
        np.testing.assert_array_equal(model.predict(X, batch_size=5), expected)
    assert replays(model)[0]


@pytest.mark.parametrize("what", ["weights", "rate", "activation", "sublayer", "trainable", "scope"])
def test_what_changes_between_predictions_counts(what):
    model = nyala.Sequential([nyala.Input((12,)), layers.LeakyReLU(0.1), layer := layers.Dense(4), layers.Dense(3)])
    for _ in range(10):
        before = model.predict(X[:6])
    assert replays(model) == [True]
    if what == "scope":
        kernel = layer.kernel
        with nyala.StatelessScope([(kernel, nyala.ops.zeros(kernel.shape))]):
            assert not np.array_equal(model.predict(X[:6]), before)
        np.testing.assert_array_equal(model.predict(X[:6]), before)
        return
    if what == "weights":
        layer.kernel.assign(layer.kernel * 2)
    elif what == "rate":
        model.layers[0].negative_slope = 0.7
    elif what == "activation":
        layer.activation = nyala.activations.tanh
    elif what == "sublayer":
        layer.kernel = nyala.Variable(RANDOM_KERNEL)
    else:
        layer.trainable = False
    after = model.predict(X[:6])
    assert np.array_equal(after, before) == (what == "trainable")
    np.testing.assert_array_equal(after, np.asarray(model(X[:6])))
    assert replays(model) == [True]


def test_predictions_by_code_of_users_are_never_recorded():
    calls = []

    class Counting(layers.Layer):
        def call(self, x):
            calls.append(None)
            return x

    inputs = nyala.Input((12,))
    patched = layers.Dense(3)
    models = [nyala.Model(inputs, Counting()(inputs)), nyala.Model(inputs, patched(inputs))]
    patched.call = lambda x: calls.append(None) or x
    for model in models:
        model.predict(X[:2])
        before = len(calls)
        for _ in range(12):
            model.predict(X[:2])
        assert len(calls) == before + 12 and replays(model) == [False]


def test_a_recording_by_itself():
    from nyala.engines._torch_replay import record

    total, factor = nyala.Variable(np.ones(3, "float32")), nyala.Variable(2.0)

    def step(args):
        x, _ = args
        parts = torch.split(x * factor.value, [1, 2])
        total.assign(total.value + torch.cat([parts[1], parts[0]]) * float("0.5"))

    run = record(step, [total], [factor], (torch.tensor([1.0, 2.0, 3.0]), None))
    run((torch.tensor([3.0, 4.0, 5.0]), None))
    np.testing.assert_array_equal(total.numpy(), [5.0, 6.0, 4.0])
    factor.assign(0.0)
    run((torch.tensor([3.0, 4.0, 5.0]), None))
    np.testing.assert_array_equal(total.numpy(), [5.0, 6.0, 4.0])
