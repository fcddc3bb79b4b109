# SPDX-License-Identifier: Apache-2.0
"""Optimizers for TensorFlow inside Nyala: the numbers of a loop by hand, their state in files, compiled steps, clear errors."""

import numpy as np
import pytest

import nyala
from nyala import optimizers
from nyala.core.errors import ArgumentError, ArgumentTypeError, StateError

tf = pytest.importorskip("tensorflow")
RANDOM = np.random.default_rng(17)
START = [RANDOM.normal(size=shape).astype("float32") for shape in [(2, 3), (5,)]]
GRADIENTS = [[RANDOM.normal(size=w.shape).astype("float32") for w in START] for _ in range(6)]
X, Y = RANDOM.normal(size=(44, 3)).astype("float32"), RANDOM.normal(size=(44, 2)).astype("float32")


@pytest.fixture(autouse=True)
def engine():
    with nyala.backend("tensorflow"):
        yield


def of_version_1(name, *settings):
    return lambda: getattr(tf.compat.v1.train, f"{name}Optimizer")(0.1, *settings)


def variables(values=START):
    return [nyala.Variable(w, name=f"v{i}") for i, w in enumerate(values)]


def by_hand(rule, gradients=GRADIENTS):
    places = [tf.Variable(w) for w in START]
    for values in gradients:
        rule.apply_gradients([(tf.constant(g), v) for g, v in zip(values, places, strict=True) if g is not None])
    return [v.numpy() for v in places]


def close(got, expected, tolerance=1e-6):
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


RULES = {"GradientDescent": (), "Momentum": (0.9,), "Adam": (), "RMSProp": (0.8, 0.5)}


@pytest.mark.parametrize("name", RULES)
def test_rules_of_version_1_and_their_files(name):
    """A compiled step and, after the state went through a file, eager ones."""
    make = of_version_1(name, *RULES[name])
    expected = by_hand(make())
    first, second, targets = optimizers.get(make()), optimizers.get(make), variables()
    assert isinstance(first, optimizers.NativeOptimizer)
    step = nyala.jit(lambda *gradients: first.apply(gradients, targets))
    for values in GRADIENTS[:3]:
        step(*map(nyala.ops.convert_to_tensor, values))
    store = {}
    first.save_own_variables(store)
    others = variables([v.numpy() for v in targets])
    second.build(others)
    second.load_own_variables(store)
    for values in GRADIENTS[3:]:
        step(*map(nyala.ops.convert_to_tensor, values))
        second.apply(list(map(nyala.ops.convert_to_tensor, values)), others)
    assert step.traces == 1
    close([v.numpy() for v in targets], expected)
    close([v.numpy() for v in others], expected)


def test_fit_takes_several_steps_in_one_program():
    """Two epochs of three batches, the last one short, as a tape and the rule by hand do them."""
    nyala.utils.set_random_seed(4)
    model = nyala.Sequential([nyala.Input((3,)), nyala.layers.Dense(4, activation="tanh"), nyala.layers.Dense(2)])
    places = [tf.Variable(w) for w in model.get_weights()]
    rule = of_version_1("Adam")()
    for _ in range(2):
        for i in range(0, len(X), 16):
            with tf.GradientTape() as tape:
                hidden = tf.tanh(X[i : i + 16] @ places[0] + places[1])
                loss = tf.reduce_mean((hidden @ places[2] + places[3] - Y[i : i + 16]) ** 2)
            rule.apply_gradients(zip(tape.gradient(loss, places), places, strict=True))
    model.compile(of_version_1("Adam")(), "mse")
    model.fit(X, Y, batch_size=16, epochs=2, shuffle=False, verbose=0)
    close(model.get_weights(), [v.numpy() for v in places], 5e-6)


def test_what_is_around_a_rule():
    common = {"clipnorm": 0.5, "gradient_accumulation_steps": 2, "use_ema": True, "ema_momentum": 0.8, "loss_scale_factor": 4.0}
    weights = []
    for optimizer in (optimizers.SGD(0.1, **common), optimizers.NativeOptimizer(of_version_1("GradientDescent")(), **common)):
        targets = variables()
        for values in GRADIENTS:
            optimizer.apply(values, targets)
        optimizer.finalize_variable_values(targets)
        weights.append([v.numpy() for v in targets])
    close(*weights)


def test_a_missing_gradient_leaves_the_variable_and_its_state():
    gaps = [[None, g[1]] if i < 2 else g for i, g in enumerate(GRADIENTS)]
    optimizer, targets = optimizers.get(of_version_1("Momentum", 0.9)), variables()
    with pytest.warns(UserWarning, match="got no gradient for v0"):
        for values in gaps:
            optimizer.apply(values, targets)
    close([v.numpy() for v in targets], by_hand(of_version_1("Momentum", 0.9)(), gaps))


class Plain:
    """A rule of somebody else, that keeps a variable to itself."""

    def __init__(self, shows=True):
        self.seen = tf.Variable(0.0, name="seen")
        self.shows = shows

    def variables(self):
        return [self.seen] if self.shows else []

    def apply_gradients(self, pairs):
        tf.raw_ops.AssignAddVariableOp(resource=self.seen.handle, value=tf.constant(1.0))
        for gradient, variable in pairs:
            variable.assign_sub(gradient * (self.seen if self.shows else 1.0))


def test_a_rule_of_somebody_else():
    optimizer, targets = optimizers.get(Plain()), variables()
    for values in GRADIENTS[:2]:
        optimizer.apply(values, targets)
    close([v.numpy() for v in targets], [w - a - 2 * b for w, a, b in zip(START, *GRADIENTS[:2], strict=True)])
    assert [v.name for v in optimizer.variables] == ["iteration", "seen"] and float(optimizer.variables[1]) == 2
    with pytest.raises(AttributeError, match="its rule keeps it to itself"):
        optimizer.learning_rate  # noqa: B018


def test_what_cannot_be_a_rule():
    class Scaling(Plain):
        loss_scale_factor = 4.0

    class Shell:
        value = np.zeros(2)

        def __init__(self, *args, **kwargs):
            pass

    class Elsewhere(Plain):
        def variables(self):
            return [Shell()]

    cases = [
        (Scaling(), ArgumentError, "needs a rule that does not scale the loss"),
        (Elsewhere(), ArgumentTypeError, "needs an optimizer that updates variables of TensorFlow, got one whose variables hold a ndarray"),
        (lambda: 3, ArgumentTypeError, "needs an optimizer with apply_gradients, got 3"),
    ]
    for rule, kind, text in cases:
        with pytest.raises(kind, match=text):
            optimizers.get(rule).apply(GRADIENTS[0], variables())
    with pytest.raises(StateError, match="needs a rule that shows all its variables"):
        optimizers.get(Plain(shows=False)).apply(GRADIENTS[0], variables())
    with nyala.backend("numpy"), pytest.raises(StateError, match="needs the engine 'tensorflow'"):
        optimizers.get(Plain()).apply(GRADIENTS[0], variables())


def of_keras(name, *settings, **more):
    """TensorFlow brings Keras with it, which runs on what KERAS_BACKEND said at the import."""
    if tf.keras.config.backend() != "tensorflow":
        pytest.skip("Keras runs on another library here")
    return lambda: getattr(tf.keras.optimizers, name)(*settings, **more)


@pytest.mark.parametrize(
    ("name", "settings", "slots"),
    [
        ("SGD", {"learning_rate": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01}, ["momentum"]),
        ("Adam", {"learning_rate": 0.1, "clipnorm": 0.5}, ["momentum", "velocity"]),
        ("RMSprop", {"learning_rate": 0.1, "gradient_accumulation_steps": 2}, ["gradient_accumulator", "velocity"]),
    ],
)
def test_rules_of_keras(name, settings, slots):
    make = of_keras(name, **settings)
    optimizer, targets = optimizers.get(make()), variables()
    step = nyala.jit(lambda *gradients: optimizer.apply(gradients, targets))
    for values in GRADIENTS:
        step(*map(nyala.ops.convert_to_tensor, values))
    assert step.traces == 1
    close([v.numpy() for v in targets], by_hand(make()))
    names = {"iteration", "rule_iteration", "rule_learning_rate", *(f"rule_v{i}_{slot}" for i in (0, 1) for slot in slots)}
    assert {v.name for v in optimizer.variables} == names


def test_fit_with_a_rule_of_keras_whose_rate_is_set():
    rule = of_keras("SGD", 0.1)()
    model = nyala.Sequential([nyala.Input((3,)), nyala.layers.Dense(2)])
    model.compile(rule, "mse")
    model.fit(X, Y, batch_size=16, verbose=0)
    assert float(model.optimizer.learning_rate) == np.float32(0.1)
    assert int(model.optimizer.iterations) == 3 and int(rule.iterations) == 0  # it was copied
    model.optimizer.learning_rate = 0.0
    before = model.get_weights()
    model.fit(X, Y, batch_size=16, verbose=0)
    close(model.get_weights(), before, 0)
    by_schedule = optimizers.get(of_keras("SGD", tf.keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5))())
    by_schedule.build(variables())
    with pytest.raises(AttributeError, match="its rule keeps it to itself"):
        by_schedule.learning_rate  # noqa: B018
