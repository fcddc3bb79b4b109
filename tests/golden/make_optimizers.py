# SPDX-License-Identifier: Apache-2.0
"""Asks Keras about optimizers (20 steps on three variables, recorded gradients) and learning-rate schedules. Start at CASES."""

import keras
import numpy as np

from tests.golden.store import Store, build, generator, new
from tests.golden.tools import config_of

STEPS = 20
SHAPES = {"matrix": (2, 3), "vector": (5,), "scalar": ()}
CASES, SCHEDULES = {}, {}


def case(name, label, **arguments):
    CASES[f"{name}/{label}"] = new(f"optimizers.{name}", **arguments)


case("SGD", "plain", learning_rate=0.1)
case("SGD", "momentum", learning_rate=0.1, momentum=0.9)
case("SGD", "nesterov", learning_rate=0.1, momentum=0.8, nesterov=True)
case("RMSprop", "plain", learning_rate=0.01)
case("RMSprop", "centered", learning_rate=0.01, centered=True, rho=0.8)
case("RMSprop", "momentum", learning_rate=0.01, momentum=0.7)
case("RMSprop", "centered_momentum", learning_rate=0.01, momentum=0.7, centered=True, epsilon=1e-4)
case("Adam", "plain", learning_rate=0.01)
case("Adam", "amsgrad", learning_rate=0.01, amsgrad=True, beta_2=0.9)
case("Adam", "betas", learning_rate=0.05, beta_1=0.5, beta_2=0.8, epsilon=1e-3)
case("AdamW", "plain", learning_rate=0.01)
case("AdamW", "decay", learning_rate=0.01, weight_decay=0.1, amsgrad=True)
case("Adagrad", "plain", learning_rate=0.1)
case("Adagrad", "start", learning_rate=0.1, initial_accumulator_value=0.5, epsilon=1e-3)
case("Adadelta", "plain", learning_rate=1.0)
case("Adadelta", "rho", learning_rate=1.0, rho=0.7, epsilon=1e-3)
case("Adamax", "plain", learning_rate=0.01)
case("Adamax", "betas", learning_rate=0.01, beta_1=0.6, beta_2=0.7)
case("Nadam", "plain", learning_rate=0.01)
case("Nadam", "betas", learning_rate=0.01, beta_1=0.6, beta_2=0.7)
case("Ftrl", "plain", learning_rate=0.1)
case(
    "Ftrl",
    "all",
    learning_rate=0.1,
    l1_regularization_strength=0.01,
    l2_regularization_strength=0.02,
    l2_shrinkage_regularization_strength=0.03,
    beta=0.1,
    learning_rate_power=-0.4,
)
case("Lion", "plain", learning_rate=0.01)
case("Lion", "decay", learning_rate=0.01, beta_1=0.7, weight_decay=0.1)
case("Lamb", "plain", learning_rate=0.01)
case("Adafactor", "plain", learning_rate=0.01)
case("Adafactor", "absolute", learning_rate=0.01, relative_step=False, clip_threshold=0.5)
case("ScheduleFreeAdamW", "plain", learning_rate=0.01)
case("ScheduleFreeAdamW", "warmup", learning_rate=0.01, warmup_steps=5, weight_decay=0.01)
case("Muon", "plain", learning_rate=0.01)
for name in ["SGD", "Adam", "RMSprop"]:
    rate = 0.1 if name == "SGD" else 0.01
    case(name, "weight_decay", learning_rate=rate, weight_decay=0.05)
    case(name, "clipnorm", learning_rate=rate, clipnorm=0.7)
    case(name, "clipvalue", learning_rate=rate, clipvalue=0.3)
    case(name, "global_clipnorm", learning_rate=rate, global_clipnorm=0.9)
    case(name, "ema", learning_rate=rate, use_ema=True, ema_momentum=0.8)
    case(name, "ema_overwrite", learning_rate=rate, use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=3)
    case(name, "accumulation", learning_rate=rate, gradient_accumulation_steps=3)
    case(
        name,
        "accumulation_all",
        learning_rate=rate,
        gradient_accumulation_steps=2,
        weight_decay=0.05,
        clipnorm=0.7,
        use_ema=True,
        ema_momentum=0.8,
        ema_overwrite_frequency=2,
    )
    case(name, "schedule", learning_rate=new("optimizers.schedules.ExponentialDecay", initial_learning_rate=rate, decay_steps=4, decay_rate=0.7))
    case(
        name,
        "schedule_weight_decay",
        weight_decay=0.05,
        learning_rate=new("optimizers.schedules.PiecewiseConstantDecay", boundaries=[3, 7], values=[rate, rate / 2, rate / 5]),
    )
    case(name, "loss_scale_factor", learning_rate=rate, loss_scale_factor=8.0)
case("SGD", "momentum_decay_accumulation", learning_rate=0.1, momentum=0.9, nesterov=True, weight_decay=0.01, gradient_accumulation_steps=4)


def schedule(name, label, **arguments):
    SCHEDULES[f"schedules.{name}/{label}"] = new(f"optimizers.schedules.{name}", **arguments)


schedule("ExponentialDecay", "plain", initial_learning_rate=0.1, decay_steps=7, decay_rate=0.6)
schedule("ExponentialDecay", "staircase", initial_learning_rate=0.1, decay_steps=7, decay_rate=0.6, staircase=True)
schedule("InverseTimeDecay", "plain", initial_learning_rate=0.1, decay_steps=7, decay_rate=0.6)
schedule("InverseTimeDecay", "staircase", initial_learning_rate=0.1, decay_steps=7, decay_rate=0.6, staircase=True)
schedule("PiecewiseConstantDecay", "plain", boundaries=[3, 10], values=[1.0, 0.5, 0.1])
schedule("PolynomialDecay", "plain", initial_learning_rate=0.1, decay_steps=13)
schedule("PolynomialDecay", "power", initial_learning_rate=0.1, decay_steps=13, end_learning_rate=0.01, power=2.5)
schedule("PolynomialDecay", "cycle", initial_learning_rate=0.1, decay_steps=13, end_learning_rate=0.01, power=0.5, cycle=True)
schedule("CosineDecay", "plain", initial_learning_rate=0.1, decay_steps=13)
schedule("CosineDecay", "alpha", initial_learning_rate=0.1, decay_steps=13, alpha=0.2)
schedule("CosineDecay", "warmup", initial_learning_rate=0.01, decay_steps=13, alpha=0.1, warmup_target=0.1, warmup_steps=5)
schedule("CosineDecayRestarts", "plain", initial_learning_rate=0.1, first_decay_steps=5)
schedule("CosineDecayRestarts", "all", initial_learning_rate=0.1, first_decay_steps=5, t_mul=1.5, m_mul=0.8, alpha=0.1)
schedule("CosineDecayRestarts", "t_mul_1", initial_learning_rate=0.1, first_decay_steps=5, t_mul=1.0, m_mul=0.9)
GRID = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 17, 20, 23, 26, 27, 31, 40, 53, 100, 1000]


def make():
    store = Store("optimizers")
    random = generator("optimizers")
    start = [random.normal(size=shape).astype("float32") for shape in SHAPES.values()]
    gradients = [[random.normal(size=shape).astype("float32") for shape in SHAPES.values()] for _ in range(STEPS)]
    for label, spec in CASES.items():
        keras.utils.clear_session()
        variables = [keras.Variable(value, name=name) for name, value in zip(SHAPES, start, strict=True)]
        try:
            optimizer = build(keras, spec)
            steps = []
            for step in gradients:
                optimizer.apply([keras.ops.convert_to_tensor(g) for g in step], variables)
                steps.append([np.asarray(v.value) for v in variables])
            state = [{"name": v.name, "path": v.path, "shape": list(v.shape), "dtype": v.dtype} for v in optimizer.variables]
            values = [np.asarray(v.value) for v in optimizer.variables]
            optimizer.finalize_variable_values(variables)
            final = [np.asarray(v.value) for v in variables]
            by_variable = [np.stack([step[i] for step in steps]) for i in range(len(variables))]
            store.add(
                label,
                optimizer=spec,
                start=start,
                gradients=gradients,
                steps=by_variable,
                final=final,
                state=state,
                state_values=values,
                iterations=int(optimizer.iterations),
                learning_rate=float(np.asarray(optimizer.learning_rate)),
                config=config_of(optimizer),
            )
        except Exception as error:
            print("FAILED", label, type(error).__name__, str(error)[:200])
    for label, spec in SCHEDULES.items():
        made = build(keras, spec)
        store.add(label, schedule=spec, steps=GRID, values=np.array([np.asarray(made(step)) for step in GRID]), config=config_of(made))
    return store
