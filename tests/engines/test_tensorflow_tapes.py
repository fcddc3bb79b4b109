# SPDX-License-Identifier: Apache-2.0
"""tf.GradientTape and tf.function of programs around models: the numbers of fit and of value_and_grad, and variables that stay what they are."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

import nyala
from nyala import layers, losses, metrics, optimizers
from nyala.core.variable import as_variable

tf = pytest.importorskip("tensorflow")
RANDOM = np.random.default_rng(23)
X = RANDOM.normal(size=(52, 5)).astype("float32")
Y = (X @ RANDOM.normal(size=(5, 2)) + 0.3).astype("float32")
WORDS = RANDOM.integers(0, 11, (52, 4))


@pytest.fixture(autouse=True)
def engine():
    with nyala.backend("tensorflow"):
        yield


def network(kind=nyala.Model, dropout=0.0):
    nyala.utils.set_random_seed(5)
    inputs = nyala.Input((5,))
    x = layers.Dense(7, activation="tanh")(inputs)
    x = layers.Dropout(dropout)(layers.BatchNormalization()(x))
    return kind(inputs, layers.Dense(2)(x))


class Taped(nyala.Model):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x=x, y=y, y_pred=y_pred)
        variables = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return self.compute_metrics(x, y, y_pred)


def batches():
    return [(X[i : i + 13], Y[i : i + 13]) for i in range(0, 52, 13)]


def weights_close(a, b, tolerance=2e-6):
    for v, w in zip(a.weights, b.weights, strict=True):
        np.testing.assert_allclose(v.numpy(), w.numpy(), rtol=tolerance, atol=tolerance, err_msg=v.path)


def fitted(kind, **settings):
    model = network(kind)
    model.compile(optimizers.Adam(0.01), "mse", metrics=["mae"], **settings)
    return model, model.fit(X, Y, batch_size=13, epochs=3, shuffle=False, verbose=0).history


# Steps of fit -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_a_step_with_a_tape_is_the_step_of_fit(run_eagerly):
    (expected, known), (model, history) = fitted(nyala.Model), fitted(Taped, run_eagerly=run_eagerly)
    weights_close(model, expected)
    for name, values in known.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-5)


def test_sizes_of_tensors_and_layers_that_are_not_built():
    """tf.shape and weights that do not exist before the first call, as generators of images have it."""

    class Noisy(nyala.Model):
        def __init__(self):
            super().__init__()
            self.below, self.above = layers.Dense(3, activation="relu"), layers.Dense(2)

        def call(self, x):
            return self.above(self.below(x))

        def train_step(self, data):
            x, y = data
            noise = tf.random.normal((tf.shape(x)[0], 5)) * 0.0
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(y - self(x + noise)))
            self.optimizer.apply_gradients(zip(tape.gradient(loss, self.trainable_weights), self.trainable_weights, strict=True))
            return {"own": loss}

    nyala.utils.set_random_seed(3)
    model = Noisy()
    model.compile("adam")
    own = model.fit(X, Y, batch_size=52, epochs=20, verbose=0).history["own"]
    assert own == sorted(own, reverse=True) and len(model.trainable_weights) == 4


def test_sizes_from_tf_shape_are_sizes_of_draws():
    class Sampling(layers.Layer):
        def call(self, inputs):
            mean, spread = inputs
            return mean + spread * nyala.random.normal((tf.shape(mean)[0], tf.shape(mean)[1]), seed=3)

    mean, spread = nyala.Input((5,)), nyala.Input((5,))
    model = nyala.Model([mean, spread], Sampling()([mean, spread]))
    draws = model.predict([X[:7], np.ones_like(X[:7])], verbose=0) - X[:7]
    np.testing.assert_allclose(draws, nyala.random.normal((7, 5), seed=3), rtol=1e-4, atol=1e-5)


def test_an_embedding_in_a_graph_with_open_sizes():
    table = layers.Embedding(11, 3)
    table.build()
    looked_up = tf.function(lambda ids: table(ids), input_signature=[tf.TensorSpec((None, None), tf.int64)])
    np.testing.assert_array_equal(looked_up(tf.constant(WORDS)), table.get_weights()[0][WORDS])


# Loops of one's own ----------------------------------------------------------------------------------------------------------------------


def trained_by_loop(wrap, dropout=0.0):
    model, optimizer, mean = network(dropout=dropout), optimizers.Adam(0.01), metrics.Mean()
    loss_fn, traces = losses.MeanSquaredError(), []

    def step(x, y):
        traces.append(x)
        with tf.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True))
        optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_weights), model.trainable_weights, strict=True))
        mean.update_state(loss)
        return loss

    step, means = wrap(step), []
    for _ in range(3):
        for x, y in batches():
            step(tf.constant(x), tf.constant(y))
        means.append(float(mean.result()))
        mean.reset_state()
    return model, optimizer, means, len(traces)


def test_loops_eager_and_in_graphs_are_fit():
    expected, known = fitted(nyala.Model)
    for wrap, traces in ((lambda f: f, 12), (tf.function, 1), (tf.function(jit_compile=True), 1), (tf.function(autograph=False), 1)):
        model, optimizer, means, traced = trained_by_loop(wrap)
        weights_close(model, expected)
        np.testing.assert_allclose(means, known["loss"], rtol=1e-5)
        assert int(optimizer.iterations) == 12 and traced == traces


def test_variables_among_the_arguments_of_a_graph_are_assigned():
    slow, fast, other = network(), network(), network()
    fast.set_weights([w + 1 for w in fast.get_weights()])
    traced = []

    @tf.function
    def follow(targets, sources, rate):
        traced.append(rate)
        for target, source in zip(targets, sources, strict=True):
            target.assign(source * rate + target * (1 - rate))

    for model, graphs in ((slow, 1), (slow, 1), (other, 2)):
        expected = [0.25 * w + 0.75 * v for v, w in zip(model.get_weights(), fast.get_weights(), strict=True)]
        follow(model.variables[: len(expected)], fast.variables[: len(expected)], 0.25)
        assert len(traced) == graphs
        for weight, number in zip(model.get_weights(), expected, strict=True):
            np.testing.assert_allclose(weight, number, rtol=1e-5, atol=1e-6)


def test_random_numbers_differ_from_step_to_step_in_a_graph():
    eager, graph = trained_by_loop(lambda f: f, dropout=0.4), trained_by_loop(tf.function, dropout=0.4)
    weights_close(graph[0], eager[0])
    assert graph[2] == pytest.approx(eager[2], rel=1e-5)


def test_everything_else_sees_what_a_graph_has_assigned(tmp_path):
    model = trained_by_loop(tf.function)[0]
    other = trained_by_loop(lambda f: f)[0]
    x = X[:4]
    np.testing.assert_allclose(model.predict(x), other.predict(x), atol=1e-6)
    np.testing.assert_allclose(model(x), other(x), atol=1e-6)
    path = tmp_path / "w.weights.h5"
    model.save_weights(path)
    kernel = model.weights[0]
    before = kernel.numpy()
    np.testing.assert_array_equal(copy.deepcopy(kernel).numpy(), before)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(kernel)).numpy(), before)
    kernel.assign(before + 1)
    np.testing.assert_array_equal(kernel.numpy(), before + 1)
    model.load_weights(path)
    np.testing.assert_array_equal(kernel.numpy(), before)


def test_a_graph_sees_what_everything_else_has_assigned(tmp_path):
    model, other = network(), network()
    graph = tf.function(lambda x: model(x))
    graph(X)
    path = tmp_path / "other.weights.h5"
    other.save_weights(path)
    for assign in (
        lambda: model.weights[0].assign(model.weights[0] * 2),
        lambda: model.set_weights([w + 0.5 for w in model.get_weights()]),
        lambda: (model.compile("sgd", "mse"), model.fit(X, Y, verbose=0)),
        lambda: model.load_weights(path),
    ):
        before = graph(X).numpy()
        assign()
        assert not np.allclose(graph(X), before)
        np.testing.assert_allclose(graph(X), model.predict(X), atol=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_another_engine_takes_variables_and_graphs_never_see_what_is_past(jit_compile):
    model = network()
    graph = tf.function(lambda x: model(x), jit_compile=jit_compile)
    expected = graph(X).numpy()
    with nyala.backend("jax"):
        np.testing.assert_allclose(np.asarray(model(X)), expected, atol=1e-6)
        model.compile("sgd", "mse")
        model.fit(X, Y, verbose=0)
        now = model.predict(X)
    with pytest.raises(tf.errors.InvalidArgumentError):
        graph(X)
    np.testing.assert_allclose(model.predict(X), now, atol=1e-6)
    np.testing.assert_allclose(graph(X), now, atol=1e-6)
    with nyala.backend("jax"):
        model.predict(X)
    for weight, value in zip(model.weights, model.get_weights(), strict=True):
        weight.assign(value * 0)
    np.testing.assert_allclose(graph(X), 0 * now)
    place = tf.Variable(X[0])
    with nyala.backend("tensorflow"):
        variable = as_variable(place)
    with nyala.backend("jax"):
        variable.assign(variable + 1)
        np.testing.assert_allclose(place.numpy(), X[0] + 1)
        np.testing.assert_allclose(np.asarray(variable.value), X[0] + 1)


def test_loops_of_autograph_and_maps_of_data():
    model, optimizer = network(), optimizers.SGD(0.05)

    @tf.function
    def several(count):
        loss = tf.constant(0.0)
        for _ in tf.range(count):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(model(X) - Y))
            optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_weights), model.trainable_weights, strict=True))
        return loss

    assert float(several(tf.constant(9))) < float(several(tf.constant(1))) * 2 and int(optimizer.iterations) == 10
    scaled = layers.Normalization()
    scaled.adapt(X)
    mapped = tf.data.Dataset.from_tensor_slices(X).batch(20).map(scaled)
    np.testing.assert_allclose(np.concatenate([np.asarray(part) for part in mapped]), scaled(X), atol=1e-6)


def test_a_graph_that_is_gone_leaves_no_memory():
    def place_of_a_kernel():
        model = network()
        tf.function(lambda x: model(x))(X)
        return weakref.ref(model.weights[0]._lent)

    place = place_of_a_kernel()
    gc.collect()
    assert place() is None


# Gradients ---------------------------------------------------------------------------------------------------------------------------------


def loss_of(model):
    return nyala.ops.mean(nyala.ops.square(model(X, training=True) - Y))


@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "graph"])
def test_gradients_of_tapes_are_those_of_value_and_grad(wrap):
    model = network()
    _, expected = nyala.value_and_grad(lambda: (loss_of(model), None), model.trainable_variables)()

    @wrap
    def taped():
        with tf.GradientTape() as tape:
            loss = loss_of(model)
        return tape.gradient(loss, model.trainable_variables)

    for got, known in zip(taped(), expected, strict=True):
        np.testing.assert_allclose(got, known, rtol=1e-5, atol=1e-7)


def test_what_a_tape_leaves_out():
    model = network()
    frozen = model.layers[1]
    frozen.trainable = False
    unused = nyala.Variable(1.0)
    with tf.GradientTape() as tape:
        loss = loss_of(model)
    kernel = frozen.kernel
    assert tape.gradient(loss, {"frozen": kernel, "unused": unused}) == {"frozen": None, "unused": None}
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        loss = loss_of(model)
    assert tape.gradient(loss, model.trainable_variables[0]) is None
    with tf.GradientTape() as tape, tape.stop_recording():
        loss = loss_of(model)
    assert tape.gradient(loss, model.trainable_variables[0]) is None


def test_penalties_on_gradients():
    """A tape in a tape: the derivative of a norm of gradients, against one by finite differences."""
    nyala.utils.set_random_seed(8)
    model = nyala.Sequential([nyala.Input((5,)), layers.Dense(4, activation="tanh"), layers.Dense(1)])
    x = tf.constant(X[:6])

    def penalty():
        with tf.GradientTape() as inner:
            inner.watch(x)
            value = model(x)
        return tf.reduce_mean((tf.norm(inner.gradient(value, x), axis=1) - 1) ** 2)

    with tf.GradientTape() as tape:
        found = penalty()
    gradient = tape.gradient(found, model.weights[0]).numpy()
    kernel, step = model.weights[0].numpy(), 1e-2
    for place in [(0, 0), (3, 2), (4, 1)]:
        moved = []
        for sign in (1, -1):
            other = kernel.copy()
            other[place] += sign * step
            model.weights[0].assign(other)
            moved.append(float(penalty()))
        np.testing.assert_allclose(gradient[place], (moved[0] - moved[1]) / (2 * step), rtol=2e-2, atol=2e-4)


def test_persistent_tapes_and_jacobians():
    model = network()
    x = tf.constant(X[:3])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        value = model(x)
    kernel = model.trainable_weights[-2]
    jacobian = tape.jacobian(value, kernel)
    assert jacobian.shape == (3, 2, 7, 2)
    np.testing.assert_allclose(tf.reduce_sum(jacobian, (0, 1)), tape.gradient(value, kernel), atol=1e-5)
    assert tape.batch_jacobian(value, x).shape == (3, 2, 5)


@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "graph"])
def test_gradients_of_tables_are_sums_over_the_rows_that_were_read(wrap):
    nyala.utils.set_random_seed(4)
    table, optimizer = layers.Embedding(11, 3), optimizers.SGD(1.0)
    table.build()
    before = table.embeddings.numpy()

    @wrap
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.gather(table.embeddings, tf.constant(WORDS)))
        optimizer.apply_gradients([(tape.gradient(loss, table.embeddings), table.embeddings)])

    step()
    counts = np.bincount(WORDS.ravel(), minlength=11)[:, None]
    np.testing.assert_allclose(table.embeddings.numpy(), before - counts, rtol=1e-5)


def test_mixed_precision():
    model = nyala.Sequential([nyala.Input((5,)), layers.Dense(3, dtype="mixed_bfloat16"), layers.Dense(1, dtype="float32")])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(X))
    gradients = tape.gradient(loss, model.trainable_weights)
    assert [g.dtype.name for g in gradients] == ["float32"] * 4
    assert float(tf.reduce_max(tf.abs(gradients[0]))) > 0


# Variables of TensorFlow -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop"])
def test_optimizers_update_variables_of_tensorflow(name):
    place, own = tf.Variable(X[:2]), nyala.Variable(X[:2])
    first, second = getattr(optimizers, name)(0.1), getattr(optimizers, name)(0.1)
    step = tf.function(lambda g: first.apply_gradients([(g, place)]))
    for gradient in (X[2:4], X[4:6], X[6:8]):
        step(tf.constant(gradient))
        second.apply([gradient], [own])
    np.testing.assert_allclose(place.numpy(), own.numpy(), rtol=1e-6)
    assert int(first.iterations) == 3 and len(first.variables) == len(second.variables)


# Code of the user's in graphs -----------------------------------------------------------------------------------------------------------------


class Halting(layers.Layer):
    def call(self, x):
        if tf.reduce_sum(x) > 0:
            x = x * 0
        return x


def test_autograph_rewrites_layers_of_ones_own_and_leaves_the_package_as_it_is(capfd):
    model = nyala.Sequential([nyala.Input((5,)), layers.Dense(3), layers.Dropout(0.5), layers.BatchNormalization()])
    layer, graph = Halting(), tf.function(lambda x: model(x, training=True))
    halting = tf.function(lambda x: layer(x))
    np.testing.assert_array_equal(halting(tf.constant(abs(X))), 0 * X)
    np.testing.assert_array_equal(halting(tf.constant(-abs(X))), -abs(X))
    graph(X)
    assert "AutoGraph" not in capfd.readouterr().err


def test_steps_that_draw_from_tensorflow_follow_its_seed():
    class Noisy(nyala.Sequential):
        def train_step(self, data):
            return {"drawn": tf.reduce_sum(tf.random.uniform((3,)))}

    drawn = []
    for seed in (1, 1, 2):
        model = Noisy([nyala.Input((5,)), layers.Dense(1)])
        model.compile("sgd")
        tf.random.set_seed(seed)
        drawn.append(model.fit(X, X[:, :1], batch_size=13, epochs=3, verbose=0).history["drawn"])
    assert drawn[0] == drawn[1] != drawn[2] and len(set(drawn[0])) == 3


def test_kernels_that_only_xla_has_bring_no_warning_for_each_shape(caplog):
    for size in range(8, 20):
        nyala.ops.depthwise_conv(np.ones((1, size, size, 2), "float32"), np.ones((3, 3, 2, 1), "float32"))
    assert "retracing" not in caplog.text
