# SPDX-License-Identifier: Apache-2.0
"""What all optimizers share: laws of clipping, decay, accumulation and averages; variables, configs, files, own optimizers, errors."""

import copy
import json
import pickle

import numpy as np
import pytest

import nyala
from nyala import constraints, optimizers
from nyala.engines import get_engine
from nyala.testing import installed_engines

ENGINES = [engine.name for engine in installed_engines()]
KINDS = [
    "SGD",
    "RMSprop",
    "Adam",
    "AdamW",
    "Adagrad",
    "Adadelta",
    "Adamax",
    "Nadam",
    "Ftrl",
    "Lion",
    "Lamb",
    "Adafactor",
    "Muon",
    "ScheduleFreeAdamW",
]
RANDOM = np.random.default_rng(5)
START = [RANDOM.normal(size=shape).astype("float32") for shape in [(2, 3), (5,)]]
GRADIENTS = [[RANDOM.normal(size=w.shape).astype("float32") for w in START] for _ in range(7)]


@pytest.fixture(params=ENGINES)
def engine(request):
    with nyala.backend(request.param):
        yield get_engine(request.param)


@pytest.fixture(params=[False, True], ids=["eager", "jit"])
def compiled(request):
    return request.param


def run(optimizer, gradients=GRADIENTS, start=START, compiled=False, prepare=None):
    """Values of the variables after steps with these gradients."""
    variables = [nyala.Variable(w, name=f"v{i}") for i, w in enumerate(start)]
    for variable in variables if prepare else []:
        prepare(variable)
    apply = lambda *values: optimizer.apply(values, variables)  # noqa: E731
    step = nyala.jit(apply) if compiled else apply
    for values in gradients:
        step(*map(nyala.ops.convert_to_tensor, values))
    return [v.numpy() for v in variables]


def close(got, wanted, rtol=1e-5, atol=1e-6):
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


def differ(got, other):
    assert not all(np.allclose(a, b, rtol=1e-4) for a, b in zip(got, other, strict=True))


# Laws -------------------------------------------------------------------------------------------------------------------------------------


def test_momentum_0_is_plain_descent(engine):
    close(run(optimizers.SGD(0.1, momentum=0.0)), run(optimizers.SGD(0.1)), rtol=0)
    close(run(optimizers.SGD(0.1)), [w - 0.1 * sum(g[i] for g in GRADIENTS) for i, w in enumerate(START)])


def test_adam_does_not_see_the_scale_of_gradients(engine):
    close(run(optimizers.Adam(0.1, epsilon=0.0), [[100 * g for g in gs] for gs in GRADIENTS]), run(optimizers.Adam(0.1, epsilon=0.0)), rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_accumulated_batches_are_one_step(kind, engine, compiled):
    """k calls with parts of a batch equal one call with their mean, and the calls between move nothing."""
    make = getattr(optimizers, kind)
    means = [[np.mean([GRADIENTS[3 * i + j][n] for j in range(3)], axis=0) for n in range(2)] for i in range(2)]
    close(run(make(0.1, gradient_accumulation_steps=3), GRADIENTS[:6], compiled=compiled), run(make(0.1), means), rtol=1e-4)
    optimizer = make(0.1, gradient_accumulation_steps=3)
    close(run(optimizer, GRADIENTS[:2], compiled=compiled), START, rtol=0)
    assert int(optimizer.iterations) == 0 and int(optimizer.variables[0]) == 2


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind not in ("Muon", "ScheduleFreeAdamW")]
)  # one has two decays, one keeps a second weight
def test_weight_decay_is_apart_from_the_gradient(kind, engine):
    make = getattr(optimizers, kind)
    once = run(make(0.1, weight_decay=None), GRADIENTS[:1], [w * (1 - 0.1 * 0.3) for w in START])
    decayed = run(make(0.1, weight_decay=0.3), GRADIENTS[:1])
    close(decayed, once)
    differ(decayed, run(make(0.1, weight_decay=None), GRADIENTS[:1]))


def test_exclusion_from_weight_decay(engine):
    optimizer = optimizers.SGD(0.1, weight_decay=0.3)
    optimizer.exclude_from_weight_decay(var_names=["v[1-3]"])
    close(run(optimizer, [[0 * w for w in START]]), [START[0] * 0.97, START[1]])
    variable = nyala.Variable(START[0])
    optimizer = optimizers.SGD(0.1, weight_decay=0.3)
    optimizer.exclude_from_weight_decay(var_list=[variable])
    optimizer.apply([0 * START[0]], [variable])
    close([variable.numpy()], [START[0]], rtol=0)


def norm(*values):
    return np.sqrt(sum(np.sum(np.square(v)) for v in values))


def test_clips(engine, compiled):
    moves = lambda **clip: [w - v for v, w in zip(run(optimizers.SGD(1.0, **clip), GRADIENTS[:1], compiled=compiled), START, strict=True)]  # noqa: E731
    plain = GRADIENTS[0]
    close(moves(clipvalue=0.3), [np.clip(g, -0.3, 0.3) for g in plain], rtol=1e-4)
    close(moves(clipnorm=0.7), [g * min(1, 0.7 / norm(g)) for g in plain], rtol=1e-4)
    close(moves(global_clipnorm=0.7), [g * 0.7 / norm(*plain) for g in plain], rtol=1e-4)
    for clip in ("clipvalue", "clipnorm", "global_clipnorm"):
        close(moves(**{clip: 100.0}), plain, rtol=1e-4)


def test_clipping_float16_does_not_overflow(engine):
    variable = nyala.Variable(np.zeros(3, "float16"))
    optimizers.SGD(1.0, clipnorm=3.0).apply([np.array([400.0, 0.0, 300.0], "float16")], [variable])
    np.testing.assert_allclose(variable.numpy(), [-2.4, 0.0, -1.8], rtol=2e-3)


def test_averages(engine, compiled):
    optimizer = optimizers.SGD(0.1, use_ema=True, ema_momentum=0.8)
    variables = [nyala.Variable(w) for w in START]
    step = nyala.jit(lambda *g: optimizer.apply(g, variables)) if compiled else lambda *g: optimizer.apply(g, variables)
    averages = None
    for values in GRADIENTS:
        step(*map(nyala.ops.convert_to_tensor, values))
        now = [v.numpy() for v in variables]
        averages = now if averages is None else [0.8 * a + 0.2 * w for a, w in zip(averages, now, strict=True)]
    close([v.numpy() for v in variables], run(optimizers.SGD(0.1)))
    optimizer.finalize_variable_values(variables)
    close([v.numpy() for v in variables], averages, rtol=1e-4)


def test_averages_are_copied_now_and_then(engine, compiled):
    w, average = [np.array(w, "float64") for w in START], None
    for t, values in enumerate(GRADIENTS, 1):
        w = [v - 0.1 * g for v, g in zip(w, values, strict=True)]
        average = w if average is None else [0.8 * a + 0.2 * v for a, v in zip(average, w, strict=True)]
        w = average if t % 3 == 0 else w
    close(run(optimizers.SGD(0.1, use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=3), compiled=compiled), w)


@pytest.mark.parametrize("every", [None, 2])
def test_averages_of_variables_without_a_gradient(engine, every):
    optimizer = optimizers.SGD(0.1, use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=every)
    used, unused = nyala.Variable(np.array([1.0, 2.0, 3.0])), nyala.Variable(np.array([5.0, -7.0]))
    with pytest.warns(UserWarning, match="got no gradient for"):
        for _ in range(3):
            optimizer.apply([np.ones(3), None], [used, unused])
    assert unused.numpy().tolist() == [5.0, -7.0]
    optimizer.finalize_variable_values([used, unused])
    np.testing.assert_allclose(unused.numpy(), [5.0, -7.0], rtol=1e-6)


def test_averages_of_variables_that_take_turns(engine):
    optimizer = optimizers.SGD(0.1, use_ema=True, ema_momentum=0.8)
    first, second = nyala.Variable(np.array([1.0, 2.0, 3.0])), nyala.Variable(np.array([5.0, -7.0]))
    optimizer.build([first, second])
    optimizer.apply([np.ones(3)], [first])
    optimizer.apply([np.ones(2)], [second])
    optimizer.finalize_variable_values([first, second])
    np.testing.assert_allclose(first.numpy(), [0.9, 1.9, 2.9], rtol=1e-6)
    np.testing.assert_allclose(second.numpy(), [5.0 - 0.02, -7.0 - 0.02], rtol=1e-6)


def test_loss_scale_is_undone(engine):
    optimizer = optimizers.SGD(0.1, loss_scale_factor=8.0)
    assert optimizer.scale_loss(2.0) == 16.0 and optimizers.SGD().scale_loss(2.0) == 2.0
    close(run(optimizer, [[8 * g for g in gs] for gs in GRADIENTS]), run(optimizers.SGD(0.1)))


def test_constraints_hold_after_each_step(engine, compiled):
    def constrain(variable):
        variable.constraint = constraints.NonNeg()

    free = run(optimizers.SGD(0.1), GRADIENTS[:1])
    close(run(optimizers.SGD(0.1), GRADIENTS[:1], compiled=compiled, prepare=constrain), [np.maximum(v, 0) for v in free])


def test_a_variable_that_takes_its_gradient_as_value(engine):
    def overwrite(variable):
        variable.overwrite_with_gradient = True

    optimizer = optimizers.Adam(0.1)
    close(run(optimizer, GRADIENTS[:1], prepare=overwrite), GRADIENTS[0], rtol=0)
    assert len(optimizer.variables) == 2
    largest = [np.maximum(0, np.maximum(a, b)) for a, b in zip(*GRADIENTS[:2], strict=True)]
    close(run(optimizers.Adam(0.1, gradient_accumulation_steps=2), GRADIENTS[:2], prepare=overwrite), largest, rtol=0)


# Learning rate ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_lr_and_decay_are_not_ignored(kind, engine, compiled):
    make = getattr(optimizers, kind)
    close(run(make(lr=0.05), compiled=compiled), run(make(learning_rate=0.05)), rtol=0 if not compiled else 1e-4)
    differ(run(make(lr=0.05)), run(make(learning_rate=0.02)))
    differ(run(make(lr=0.05, decay=0.5), compiled=compiled), run(make(lr=0.05)))


def test_decay(engine):
    close(run(optimizers.SGD(lr=0.1, decay=0.5)), [w - sum(0.1 / (1 + 0.5 * t) * g[i] for t, g in enumerate(GRADIENTS)) for i, w in enumerate(START)])


def test_the_learning_rate_can_be_set_between_compiled_steps(engine):
    variable = nyala.Variable(0.0)
    optimizer = optimizers.SGD(0.5)
    step = nyala.jit(lambda g: optimizer.apply([g], [variable]))
    one = nyala.ops.convert_to_tensor(1.0)
    step(one)
    optimizer.learning_rate = 0.25
    step(one)
    optimizer.lr = 0.125
    step(one)
    optimizer.learning_rate.assign(0.0625)
    step(one)
    assert float(variable) == -0.9375 and float(optimizer.lr) == float(optimizer.learning_rate) == 0.0625


def test_functions_as_learning_rate(engine):
    close(run(optimizers.SGD(lambda: 0.1)), run(optimizers.SGD(0.1)))
    close(
        run(optimizers.SGD(lambda step: 0.1 / (nyala.ops.cast(step, "float32") + 1)), GRADIENTS[:3]),
        run(optimizers.SGD(0.1, decay=1.0), GRADIENTS[:3]),
    )
    optimizer = optimizers.SGD(0.3)
    optimizer.learning_rate = lambda: 0.1
    assert len(optimizer.variables) == 1
    close(run(optimizer), run(optimizers.SGD(0.1)))


# Variables --------------------------------------------------------------------------------------------------------------------------------


def test_order_of_variables():
    optimizer = optimizers.Adam(amsgrad=True, use_ema=True, gradient_accumulation_steps=2, name="o")
    with nyala.name_scope("layer"):
        optimizer.build([nyala.Variable(w, name=n) for w, n in zip(START, "ab", strict=True)])
    slots = ["average", "gradient_accumulator"]
    names = [f"layer_{v}_{slot}" for slot in slots for v in "ab"] + [f"layer_{v}_{slot}" for v in "ab" for slot in ("momentum", "velocity")]
    assert [v.name for v in optimizer.variables] == ["iteration", "learning_rate", *names, "layer_a_velocity_hat", "layer_b_velocity_hat"]
    assert not any(v.trainable for v in optimizer.variables)


@pytest.mark.parametrize("options", [{}, {"use_ema": True}, {"gradient_accumulation_steps": 2}])
@pytest.mark.parametrize("kind", KINDS)
def test_a_variable_seen_late_gets_its_slots(kind, options, engine, compiled):
    optimizer = getattr(optimizers, kind)(0.1, **options)
    first, late = nyala.Variable(START[0]), nyala.Variable(START[1])
    for gradients in GRADIENTS[:2]:
        optimizer.apply(gradients[:1], [first])
    before = first.numpy()
    both = lambda *gradients: optimizer.apply(gradients, [first, late])  # noqa: E731
    both = nyala.jit(both) if compiled else both
    for gradients in GRADIENTS[2:4]:
        both(*gradients)
    assert not np.allclose(late.numpy(), START[1]) and not np.allclose(first.numpy(), before)
    optimizer.finalize_variable_values([late])
    assert np.all(np.abs(late.numpy() - START[1]) < 1)


def test_a_missing_gradient_leaves_the_variable(engine):
    variables = [nyala.Variable(w, name=f"w{i}") for i, w in enumerate(START)]
    with pytest.warns(UserWarning, match="SGD.apply got no gradient for w0: the loss does not depend on them"):
        optimizers.SGD(0.1).apply([None, GRADIENTS[0][1]], variables)
    close([v.numpy() for v in variables], [START[0], START[1] - 0.1 * GRADIENTS[0][1]])


def test_apply_gradients_and_stateless_apply(engine):
    variables = [nyala.Variable(w) for w in START]
    optimizer = optimizers.Adam(0.1)
    assert int(optimizer.apply_gradients(zip(GRADIENTS[0], variables, strict=True))) == 1
    one = optimizers.Adam(0.1)
    other = [nyala.Variable(w) for w in START]
    one.build(other)
    values, state = one.stateless_apply([v.value for v in one.variables], GRADIENTS[0], [v.value for v in other])
    close([engine.to_numpy(v) for v in values], [v.numpy() for v in variables])
    close([engine.to_numpy(v) for v in state], [v.numpy() for v in optimizer.variables])
    close([v.numpy() for v in other], START, rtol=0)
    assert int(one.iterations) == 0


def test_state_survives_saving_copying_and_pickling(engine):
    whole = run(optimizers.Adam(0.1))
    for move in ("store", "weights", "deepcopy", "pickle"):
        optimizer = optimizers.Adam(0.1)
        variables = [nyala.Variable(w) for w in START]
        for values in GRADIENTS[:3]:
            optimizer.apply(values, variables)
        if move == "deepcopy":
            optimizer, variables = copy.deepcopy((optimizer, variables))
        elif move == "pickle":
            optimizer, variables = pickle.loads(pickle.dumps((optimizer, variables)))
        else:
            store = {}
            optimizer.save_own_variables(store)
            assert list(store) == [str(i) for i in range(len(optimizer.variables))]
            weights = optimizer.get_weights()
            optimizer = optimizers.Adam(0.5)
            optimizer.build(variables)
            optimizer.load_own_variables(store) if move == "store" else optimizer.set_weights(weights)
        for values in GRADIENTS[3:]:
            optimizer.apply(values, variables)
        close([v.numpy() for v in variables], whole)


# Configs ----------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*KINDS])
def test_configs_round_trip(kind):
    optimizer = getattr(optimizers, kind)(0.25, weight_decay=0.5, clipnorm=2.0, use_ema=True, name="o", decay=0.125)
    config = json.loads(json.dumps(optimizers.serialize(optimizer)))
    assert config["module"] == "keras.optimizers" and config["class_name"] == kind
    restored = optimizers.deserialize(config)
    assert restored.get_config() == optimizer.get_config()
    assert restored.get_config()["decay"] == 0.125 and "decay" not in getattr(optimizers, kind)(0.25).get_config()


def test_config_has_the_keys_of_keras():
    assert optimizers.Adam(0.25, name="a").get_config() == {
        "name": "a", "learning_rate": 0.25, "weight_decay": None, "clipnorm": None, "global_clipnorm": None, "clipvalue": None, "use_ema": False,
        "ema_momentum": 0.99, "ema_overwrite_frequency": None, "loss_scale_factor": None, "gradient_accumulation_steps": None,
        "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-07, "amsgrad": False,
    }  # fmt: skip


def test_names():
    for name in ["sgd", "SGD", "rmsprop", "RMSprop", "ADAM", *(kind.lower() for kind in KINDS)]:
        assert isinstance(optimizers.get(name), optimizers.Optimizer)
    assert optimizers.legacy.Adam is optimizers.Adam
    assert isinstance(optimizers.get({"class_name": "adam", "config": {"lr": 0.5, "decay": 0.25}}), optimizers.Adam)
    assert float(optimizers.get({"class_name": "SGD", "config": {"learning_rate": 0.5, "is_legacy_optimizer": False, "jit_compile": True}}).lr) == 0.5
    assert optimizers.get(None) is None
    optimizer = optimizers.SGD()
    assert optimizers.get(optimizer) is optimizer
    nyala.core.names.reset()
    assert [optimizers.AdamW().name, optimizers.AdamW().name, optimizers.RMSprop().name] == ["adam_w", "adam_w_1", "rm_sprop"]


def test_common_arguments_by_position_and_in_the_signature():
    import inspect

    assert list(inspect.signature(optimizers.SGD).parameters) == [
        "learning_rate", "momentum", "nesterov", "weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "use_ema", "ema_momentum",
        "ema_overwrite_frequency", "loss_scale_factor", "gradient_accumulation_steps", "name", "kwargs",
    ]  # fmt: skip
    optimizer = optimizers.SGD(0.5, 0.9, True, 0.25, 2.0)
    assert (optimizer.weight_decay, optimizer.clipnorm) == (0.25, 2.0)
    assert list(inspect.signature(optimizers.AdamW).parameters)[:3] == ["learning_rate", "weight_decay", "beta_1"]


# Optimizers of one's own ----------------------------------------------------------------------------------------------------------------------


class Heavy(optimizers.Optimizer):
    """Momentum, written as for Keras 3."""

    def __init__(self, learning_rate=0.1, friction=0.5, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.friction = friction

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.speeds = [self.add_variable_from_reference(v, name="speed") for v in variables]

    def update_step(self, gradient, variable, learning_rate):
        speed = self.speeds[self._get_variable_index(variable)]
        self.assign(speed, speed * self.friction - learning_rate * gradient)
        self.assign_add(variable, speed)

    def get_config(self):
        return {**super().get_config(), "friction": self.friction}


def test_an_optimizer_of_ones_own(engine, compiled):
    optimizer = Heavy(0.1, name="heavy")
    close(run(optimizer, compiled=compiled), run(optimizers.SGD(0.1, momentum=0.5)), rtol=1e-4)
    assert [v.path for v in optimizer.variables] == ["heavy/iteration", "heavy/learning_rate", "heavy/v0_speed", "heavy/v1_speed"]
    mean = [np.mean([g[i] for g in GRADIENTS], axis=0) for i in (0, 1)]
    close(run(Heavy(0.1, gradient_accumulation_steps=7), compiled=compiled), run(Heavy(0.1), [mean]), rtol=1e-4)
    assert optimizers.deserialize(optimizers.serialize(Heavy(friction=0.25)), {"Heavy": Heavy}).friction == 0.25
    with pytest.raises(ValueError) as error:
        optimizer.apply([1.0], [nyala.Variable(1.0, name="late")])
    text = "Heavy.apply needs the variables it was built for, got late.\n  why: its own build makes the state of all at once\n  fix: make a new one"
    assert str(error.value) == text


class Forgetful(Heavy):
    """Its build makes the speeds anew whenever it is called, as most do."""

    def build(self, variables):
        optimizers.Optimizer.build(self, variables)
        self.speeds = [self.add_variable_from_reference(v, name="speed") for v in variables]


def test_build_of_ones_own_is_asked_once(tmp_path):
    random = np.random.default_rng(3)
    x, y = random.normal(size=(7, 3)).astype("float32"), random.normal(size=(7, 1)).astype("float32")

    def train(optimizer):
        model = nyala.Sequential([nyala.Input((3,)), nyala.layers.Dense(1, kernel_initializer="ones", name="d")], name="m")
        model.compile(optimizer, "mse")
        for k in (7, 5, 7, 2):  # each size of batch is another program
            model.train_on_batch(x[:k], y[:k])
        model.save(tmp_path / "m.keras")
        model = nyala.saving.load_model(tmp_path / "m.keras", custom_objects={"Forgetful": Forgetful})
        model.fit(x, y, batch_size=3, shuffle=False, verbose=0)
        return model

    own, known = train(Forgetful(0.1, 0.5)), train(optimizers.SGD(0.1, momentum=0.5))
    close(own.get_weights()[0], known.get_weights()[0], rtol=1e-5)
    assert len(own.optimizer.variables) == 4


def test_add_optimizer_variables():
    optimizer = optimizers.SGD(name="o")
    variables = [nyala.Variable(w, name=n) for w, n in zip(START, "ab", strict=True)]
    zeros, ones = optimizer.add_optimizer_variables(variables, ["x", "y"], ["zeros", "ones"])
    (single, _) = optimizer.add_optimizer_variables(variables, "z")
    assert [v.name for v in optimizer.variables[2:]] == ["a_x", "a_y", "b_x", "b_y", "a_z", "b_z"]
    assert zeros[1].numpy().sum() == 0 and ones[1].numpy().sum() == 5 and single.shape == (2, 3)


# Loss scale -------------------------------------------------------------------------------------------------------------------------------


def test_loss_scale_finds_itself(engine, compiled):
    variable = nyala.Variable(0.0)
    optimizer = optimizers.LossScaleOptimizer(optimizers.SGD(1.0), initial_scale=8.0, dynamic_growth_steps=2)
    assert float(optimizer.scale_loss(2.0)) == 16.0
    step = nyala.jit(lambda g: optimizer.apply([g], [variable])) if compiled else lambda g: optimizer.apply([g], [variable])
    seen = []
    for gradient in [8.0, 8.0, 16.0, np.inf, 8.0, 8.0]:
        step(nyala.ops.convert_to_tensor(np.float32(gradient)))
        seen.append((float(variable), float(optimizer.dynamic_scale), int(optimizer.iterations)))
    assert seen == [(-1, 8, 1), (-2, 16, 2), (-3, 16, 3), (-3, 8, 3), (-4, 8, 4), (-5, 16, 5)]
    assert float(optimizer.scale_loss(2.0)) == 32.0
    assert optimizers.deserialize(optimizers.serialize(optimizer)).get_config() == optimizer.get_config()
    weights = optimizer.get_weights()
    assert len(weights) == len(optimizer.variables) == 6
    optimizer.set_weights(weights)


# Errors -----------------------------------------------------------------------------------------------------------------------------------


def built():
    optimizer = optimizers.SGD(0.1)
    optimizer.build([nyala.Variable(np.zeros((2, 3), "float32"), name="w")])
    return optimizer


def scheduled():
    optimizer = optimizers.SGD(optimizers.schedules.ExponentialDecay(0.1, 3, 0.5))
    optimizer.learning_rate = 0.5


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: optimizers.Adam(beta1=0.5), "Adam needs arguments that it knows, got beta1=0.5.\n  fix: did you mean beta_1?"),
        (
            lambda: optimizers.Adam(clipnorm=1.0, clipvalue=2.0),
            "Adam needs at most one of clipnorm, clipvalue and global_clipnorm, got clipnorm=1.0, clipvalue=2.0.",
        ),
        (lambda: optimizers.Adam(clipnorm=-1.0), "Adam(clipnorm) needs a number above 0, got -1.0."),
        (lambda: optimizers.Adam(use_ema=True, ema_momentum=2.0), "Adam(ema_momentum) needs a number from 0 to 1, got 2.0."),
        (
            lambda: optimizers.Adam(use_ema=True, ema_overwrite_frequency=0),
            "Adam(ema_overwrite_frequency) needs a number of steps from 1, or None, got 0.",
        ),
        (lambda: optimizers.Adam(gradient_accumulation_steps=1), "Adam(gradient_accumulation_steps) needs a number of steps from 2, or None, got 1."),
        (lambda: optimizers.Adam("fast"), "Adam(learning_rate) needs a number, a LearningRateSchedule or a function, got 'fast'."),
        (lambda: optimizers.SGD(momentum=2.0), "SGD(momentum) needs a number from 0 to 1, got 2.0."),
        (lambda: optimizers.Lion(beta_1=0.0), "Lion(beta_1) needs a number above 0 and at most 1, got 0.0."),
        (lambda: optimizers.Ftrl(learning_rate_power=0.5), "Ftrl(learning_rate_power) needs a number up to 0, got 0.5."),
        (lambda: optimizers.Ftrl(l1_regularization_strength=-1.0), "Ftrl(l1_regularization_strength) needs a number from 0, got -1.0."),
        (lambda: optimizers.SGD(*range(15)), "SGD needs at most 13 arguments without a name, got 15."),
        (
            scheduled,
            "SGD.learning_rate needs a schedule or function, got 0.5.\n  why: it was made with one, which compiled steps contain\n"
            "  fix: make the optimizer with a number, then set it at any time",
        ),
        (
            lambda: optimizers.SGD().apply([1.0]),
            "SGD.apply needs the variables beside the gradients, got an optimizer that knows none yet.\n  fix: call optimizer.build(variables)",
        ),
        (lambda: built().apply([1.0, 2.0]), "SGD.apply needs 1 gradients, one per variable, got 2."),
        (
            lambda: built().apply([None]),
            "SGD.apply needs a gradient, got None for every variable.\n  why: the loss depends on none of them\n"
            "  fix: compute the loss from the model's outputs",
        ),
        (lambda: built().apply([np.zeros(3, "float32")]), "SGD.apply needs a gradient of shape (2, 3) for 'w', got shape (3,)."),
        (
            lambda: optimizers.SGD().stateless_apply([], [], []),
            "SGD.stateless_apply needs a built optimizer, got one that knows no variables.\n  fix: call optimizer.build(variables)",
        ),
        (lambda: built().set_weights([1]), "SGD.set_weights needs 2 arrays, one per variable, got 1."),
        (
            lambda: built().set_weights([1, np.zeros(2)]),
            "SGD.set_weights needs shape () for 'sgd/learning_rate', got shape (2,).",
        ),
        (
            lambda: optimizers.LossScaleOptimizer("sgd"),
            "LossScaleOptimizer(inner_optimizer) needs an optimizer, got 'sgd'.\n  fix: use nyala.optimizers.get(name)",
        ),
        (
            lambda: optimizers.LossScaleOptimizer(optimizers.SGD(), clipnorm=1.0),
            "LossScaleOptimizer needs arguments that it knows, got clipnorm.\n  fix: give them to the inner optimizer",
        ),
        (
            lambda: optimizers.get("adom"),
            "optimizer needs a name known in nyala.optimizers, got 'adom'.\n  fix: did you mean 'adam' or 'nadam' or 'adamw'?",
        ),
    ],
)
def test_errors_teach(call, text):
    nyala.core.names.reset()
    with pytest.raises((ValueError, TypeError)) as error:
        call()
    assert str(error.value) == text
