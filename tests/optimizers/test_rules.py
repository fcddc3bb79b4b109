# SPDX-License-Identifier: Apache-2.0
"""Every rule against its formula in float64, for 20 steps, eager and compiled, on every engine."""

import numpy as np
import pytest

import nyala
from nyala import optimizers
from nyala.engines import get_engine
from nyala.testing import installed_engines

ENGINES = [engine.name for engine in installed_engines()]
RANDOM = np.random.default_rng(11)
SHAPES = [(2, 3), (5,), ()]
START = [RANDOM.normal(size=shape) for shape in SHAPES]
GRADIENTS = [[RANDOM.normal(size=shape) for shape in SHAPES] for _ in range(20)]


def sgd(lr, momentum=0.0, nesterov=False):
    def rule(w, g, s, t):
        s["m"] = momentum * s.get("m", 0) - lr * g
        return w + (momentum * s["m"] - lr * g if nesterov else s["m"])

    return rule


def rmsprop(lr, rho=0.9, momentum=0.0, epsilon=1e-7, centered=False):
    def rule(w, g, s, t):
        s["v"] = rho * s.get("v", 0) + (1 - rho) * g**2
        s["a"] = rho * s.get("a", 0) + (1 - rho) * g
        s["b"] = momentum * s.get("b", 0) + lr * g / np.sqrt(s["v"] - centered * s["a"] ** 2 + epsilon)
        return w - s["b"]

    return rule


def adam(lr, b1=0.9, b2=0.999, epsilon=1e-7, amsgrad=False, decay=0.0):
    def rule(w, g, s, t):
        w = w - lr * decay * w
        s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
        s["v"] = b2 * s.get("v", 0) + (1 - b2) * g**2
        s["top"] = np.maximum(s.get("top", 0), s["v"])
        root = np.sqrt((s["top"] if amsgrad else s["v"]) / (1 - b2**t))
        return w - lr * s["m"] / (1 - b1**t) / (root + epsilon / np.sqrt(1 - b2**t))

    return rule


def adamax(lr, b1=0.9, b2=0.999, epsilon=1e-7):
    def rule(w, g, s, t):
        s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
        s["u"] = np.maximum(b2 * s.get("u", 0), abs(g))
        return w - lr / (1 - b1**t) * s["m"] / (s["u"] + epsilon)

    return rule


def nadam(lr, b1=0.9, b2=0.999, epsilon=1e-7):
    def momentum(t):
        return b1 * (1 - 0.5 * 0.96**t)

    def rule(w, g, s, t):
        s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
        s["v"] = b2 * s.get("v", 0) + (1 - b2) * g**2
        product = np.prod([momentum(i) for i in range(1, t + 1)])
        ahead = momentum(t + 1) * s["m"] / (1 - product * momentum(t + 1)) + (1 - momentum(t)) * g / (1 - product)
        return w - lr * ahead / (np.sqrt(s["v"] / (1 - b2**t)) + epsilon)

    return rule


def adagrad(lr, start=0.1, epsilon=1e-7):
    def rule(w, g, s, t):
        s["a"] = s.get("a", start) + g**2
        return w - lr * g / np.sqrt(s["a"] + epsilon)

    return rule


def adadelta(lr, rho=0.95, epsilon=1e-7):
    def rule(w, g, s, t):
        s["a"] = rho * s.get("a", 0) + (1 - rho) * g**2
        d = g * np.sqrt((s.get("b", 0) + epsilon) / (s["a"] + epsilon))
        s["b"] = rho * s.get("b", 0) + (1 - rho) * d**2
        return w - lr * d

    return rule


def lion(lr, b1=0.9, b2=0.99):
    def rule(w, g, s, t):
        move = np.sign(b1 * s.get("m", 0) + (1 - b1) * g)
        s["m"] = b2 * s.get("m", 0) + (1 - b2) * g
        return w - lr * move

    return rule


def lamb(lr, b1=0.9, b2=0.999, epsilon=1e-7):
    def rule(w, g, s, t):
        s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
        s["v"] = b2 * s.get("v", 0) + (1 - b2) * g**2
        d = s["m"] / (1 - b1**t) / (np.sqrt(s["v"] / (1 - b2**t)) + epsilon)
        return w - lr * d * np.sqrt(np.sum(w**2)) / np.sqrt(np.sum(d**2))

    return rule


def ftrl(lr, power=-0.5, start=0.1, l1=0.0, l2=0.0, shrinkage=0.0, beta=0.0):
    def rule(w, g, s, t):
        n = s.get("n", start)
        s["n"] = n + g**2
        s["z"] = s.get("z", 0) + g + 2 * shrinkage * w - (s["n"] ** -power - n**-power) / lr * w
        return (np.clip(s["z"], -l1, l1) - s["z"]) / ((s["n"] ** -power + beta) / lr + 2 * l2)

    return rule


def adafactor(lr, relative=True, threshold=1.0):
    def rms(x):
        return np.sqrt(np.mean(x**2))

    def rule(w, g, s, t):
        b, square = 1 - t**-0.8, g**2 + 1e-30
        if w.ndim < 2:
            v = s["v"] = b * s.get("v", 0) + (1 - b) * square
        else:
            s["r"] = b * s.get("r", 0) + (1 - b) * square.mean(-1)
            s["c"] = b * s.get("c", 0) + (1 - b) * square.mean(-2)
            v = np.outer(s["r"], s["c"]) / s["r"].mean()
        u = g / np.sqrt(v)
        rate = min(lr, t**-0.5) if relative else lr
        return w - rate * max(1e-3, rms(w)) * u / max(1, rms(u) / threshold)

    return rule


def schedule_free(lr, b1=0.9, b2=0.999, epsilon=1e-8, warmup=0):
    def rule(w, g, s, t):
        z, x = s.get("z", w), s.get("x", w)
        s["v"] = b2 * s.get("v", 0) + (1 - b2) * g**2
        rate = lr * min(1, t / warmup) if warmup else lr
        s["z"] = z - rate * g / (np.sqrt(s["v"] / (1 - b2**t)) + epsilon)
        s["x"] = (1 - 1 / t) * x + s["z"] / t
        return b1 * s["x"] + (1 - b1) * s["z"]

    return rule


def muon(lr, momentum=0.95, nesterov=True, steps=5, rms=0.2, ratio=1.0):
    def orthogonal(x):
        u, values, v = np.linalg.svd(x, full_matrices=False)
        values = values / np.linalg.norm(x)
        for _ in range(steps):
            values = 3.4445 * values - 4.775 * values**3 + 2.0315 * values**5
        return (u * values) @ v

    other = adam(lr * ratio, decay=0.004 / ratio)

    def rule(w, g, s, t):
        if w.ndim != 2:
            return other(w, g, s, t)
        w = w - lr * 0.004 * w
        s["m"] = momentum * s.get("m", 0) + g
        return w - lr * (1.0 if rms is None else rms * max(w.shape) ** 0.5) * orthogonal(g + momentum * s["m"] if nesterov else s["m"])

    return rule


CASES = [
    ("SGD", {"learning_rate": 0.1}, sgd(0.1)),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9}, sgd(0.1, 0.9)),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.8, "nesterov": True}, sgd(0.1, 0.8, True)),
    ("RMSprop", {"learning_rate": 0.01}, rmsprop(0.01)),
    ("RMSprop", {"learning_rate": 0.01, "rho": 0.8, "epsilon": 1e-3, "momentum": 0.7}, rmsprop(0.01, 0.8, 0.7, 1e-3)),
    ("RMSprop", {"learning_rate": 0.01, "rho": 0.8, "epsilon": 1e-3, "momentum": 0.7, "centered": True}, rmsprop(0.01, 0.8, 0.7, 1e-3, True)),
    ("Adam", {"learning_rate": 0.01}, adam(0.01)),
    ("Adam", {"learning_rate": 0.05, "beta_1": 0.5, "beta_2": 0.8, "epsilon": 0.1}, adam(0.05, 0.5, 0.8, 0.1)),
    ("Adam", {"learning_rate": 0.01, "beta_2": 0.7, "amsgrad": True}, adam(0.01, b2=0.7, amsgrad=True)),
    ("Adam", {"learning_rate": 0.01, "beta_1": 0.0}, adam(0.01, b1=0.0)),
    ("AdamW", {"learning_rate": 0.01}, adam(0.01, decay=0.004)),
    ("AdamW", {"learning_rate": 0.01, "weight_decay": 0.3}, adam(0.01, decay=0.3)),
    ("Adamax", {"learning_rate": 0.01}, adamax(0.01)),
    ("Adamax", {"learning_rate": 0.01, "beta_1": 0.6, "beta_2": 0.7, "epsilon": 0.1}, adamax(0.01, 0.6, 0.7, 0.1)),
    ("Nadam", {"learning_rate": 0.01}, nadam(0.01)),
    ("Nadam", {"learning_rate": 0.01, "beta_1": 0.6, "beta_2": 0.7, "epsilon": 0.1}, nadam(0.01, 0.6, 0.7, 0.1)),
    ("Adagrad", {"learning_rate": 0.1}, adagrad(0.1)),
    ("Adagrad", {"learning_rate": 0.1, "initial_accumulator_value": 0.5, "epsilon": 0.1}, adagrad(0.1, 0.5, 0.1)),
    ("Adadelta", {"learning_rate": 1.0}, adadelta(1.0)),
    ("Adadelta", {"learning_rate": 0.7, "rho": 0.7, "epsilon": 0.1}, adadelta(0.7, 0.7, 0.1)),
    ("Lion", {"learning_rate": 0.01}, lion(0.01)),
    ("Lion", {"learning_rate": 0.01, "beta_1": 0.6, "beta_2": 0.7}, lion(0.01, 0.6, 0.7)),
    ("Lamb", {"learning_rate": 0.01}, lamb(0.01)),
    ("Lamb", {"learning_rate": 0.01, "beta_1": 0.6, "beta_2": 0.7, "epsilon": 0.1}, lamb(0.01, 0.6, 0.7, 0.1)),
    ("Ftrl", {"learning_rate": 0.1}, ftrl(0.1)),
    (
        "Ftrl",
        {
            "learning_rate": 0.1,
            "learning_rate_power": -0.4,
            "initial_accumulator_value": 0.3,
            "l1_regularization_strength": 0.5,
            "l2_regularization_strength": 0.02,
            "l2_shrinkage_regularization_strength": 0.03,
            "beta": 0.1,
        },
        ftrl(0.1, -0.4, 0.3, 0.5, 0.02, 0.03, 0.1),
    ),
    ("Adafactor", {"learning_rate": 0.01}, adafactor(0.01)),
    ("Adafactor", {"learning_rate": 0.4, "relative_step": False, "clip_threshold": 0.5}, adafactor(0.4, False, 0.5)),
    ("Adafactor", {"learning_rate": 0.4}, adafactor(0.4)),
    ("ScheduleFreeAdamW", {"learning_rate": 0.01}, schedule_free(0.01)),
    ("ScheduleFreeAdamW", {"beta_1": 0.6, "beta_2": 0.7, "epsilon": 0.1, "warmup_steps": 5}, schedule_free(0.0025, 0.6, 0.7, 0.1, 5)),
    ("Muon", {"learning_rate": 0.01}, muon(0.01)),
    ("Muon", {"momentum": 0.5, "nesterov": False, "ns_steps": 3, "rms_rate": None, "adam_lr_ratio": 2.0}, muon(0.001, 0.5, False, 3, None, 2.0)),
]


def expected(rule):
    """Values of the three variables after each step."""
    w, slots, history = list(START), [{}, {}, {}], []
    for t, gradients in enumerate(GRADIENTS, 1):
        w = [rule(w[i], gradients[i], slots[i], t) for i in range(3)]
        history.append(w)
    return history


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("name", "arguments", "rule"), CASES, ids=[f"{name}-{i}" for i, (name, _, _) in enumerate(CASES)])
def test_twenty_steps(name, arguments, rule, engine, compiled):
    with nyala.backend(engine):
        variables = [nyala.Variable(w.astype("float32")) for w in START]
        optimizer = getattr(optimizers, name)(**arguments)
        step = (
            nyala.jit(lambda *gradients: optimizer.apply(gradients, variables))
            if compiled
            else lambda *gradients: optimizer.apply(gradients, variables)
        )
        for gradients, wanted in zip(GRADIENTS, expected(rule), strict=True):
            step(*(get_engine(engine).asarray(g.astype("float32")) for g in gradients))
            for variable, w in zip(variables, wanted, strict=True):
                np.testing.assert_allclose(variable.numpy(), w, rtol=1e-4, atol=1e-5)
        assert int(optimizer.iterations) == 20
        if compiled and get_engine(engine).compiles:
            assert step.traces <= 3


def test_a_wrong_rule_is_found():
    """The comparison above sees a change of one part in a thousand."""
    right, wrong = expected(adam(0.01))[-1], expected(adam(0.01, b1=0.901))[-1]
    assert not all(np.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in zip(right, wrong, strict=True))


SLOTS = {
    "SGD": ["v_momentum"],
    "RMSprop": ["v_velocity", "v_momentum", "v_average_gradient"],
    "Adam": ["v_momentum", "v_velocity", "v_velocity_hat"],
    "Adamax": ["v_momentum", "v_norm"],
    "Nadam": ["v_momentum", "v_velocity", "variable"],
    "Adagrad": ["v_accumulator"],
    "Adadelta": ["v_accumulated_grad", "v_accumulated_delta_var"],
    "Lion": ["v_momentum"],
    "Lamb": ["v_momentum", "v_velocity"],
    "Ftrl": ["v_accumulator", "v_linear"],
    "Adafactor": ["v", "v", "v_velocity"],
    "ScheduleFreeAdamW": ["v_momentum", "v_velocity"],
    "Muon": ["v_momentum"],
}


@pytest.mark.parametrize("name", SLOTS)
def test_names_of_slots(name):
    arguments = {"SGD": {"momentum": 0.5}, "RMSprop": {"momentum": 0.5, "centered": True}, "Adam": {"amsgrad": True}}.get(name, {})
    optimizer = getattr(optimizers, name)(name="o", **arguments)
    optimizer.build([nyala.Variable(np.zeros((2, 3), "float32"), name="v")])
    assert [v.path for v in optimizer.variables] == ["o/iteration", "o/learning_rate", *(f"o/{slot}" for slot in SLOTS[name])]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", SLOTS)
def test_half_precision_stays(name, engine):
    with nyala.backend(engine):
        variable = nyala.Variable(np.ones((2, 3), "float16"))
        getattr(optimizers, name)(1.0 if name == "Adadelta" else 0.1).apply([get_engine(engine).asarray(np.full((2, 3), 0.5, "float32"))], [variable])
        assert variable.numpy().dtype == np.float16 and np.isfinite(variable.numpy()).all()
        assert not np.array_equal(variable.numpy(), np.ones((2, 3)))


def test_muon_leaves_embeddings_and_excluded_layers_to_adam():
    optimizer = optimizers.Muon(exclude_layers=["head"], name="o")
    variables = []
    for scope, shape in [("dense", (2, 3)), ("Embedding_1", (2, 3)), ("head", (2, 3)), ("conv", (3, 2, 5))]:
        with nyala.name_scope(scope):
            variables.append(nyala.Variable(np.zeros(shape, "float32"), name="w"))
    optimizer.build(variables)
    assert [v.name for v in optimizer.variables if v.name.endswith("velocity")] == ["Embedding_1_w_velocity", "head_w_velocity", "conv_w_velocity"]
