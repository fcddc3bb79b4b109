# SPDX-License-Identifier: Apache-2.0
"""Asks Keras for 30 steps of each optimizer with clipping, weight decay and averages on and off, and of loss scaling. Start at cases."""

import itertools

import keras
import numpy as np

from tests.golden.store import Store, build, generator, new

STEPS, SHOWN = 30, [0, 1, 2, 9, 19, 29]
SHAPES = {"matrix": (3, 5), "vector": (7,), "left_alone": (2,)}
RATES = {
    "SGD": {"learning_rate": 0.05, "momentum": 0.8, "nesterov": True},
    "RMSprop": {"learning_rate": 0.01, "centered": True},
    "Adam": {"amsgrad": True},
    "AdamW": {},
    "Adagrad": {"learning_rate": 0.1},
    "Adadelta": {"learning_rate": 1.0},
    "Adamax": {},
    "Nadam": {},
    "Ftrl": {"learning_rate": 0.1, "beta": 0.1},
    "Lion": {},
    "Lamb": {},
    "Adafactor": {},
    "ScheduleFreeAdamW": {"warmup_steps": 4},
    "Muon": {},
}
NEEDS_DECAY = ("AdamW", "ScheduleFreeAdamW", "Muon")  # not None
CLIPS = itertools.cycle([{"clipnorm": 1.5}, {"clipvalue": 0.6}, {"global_clipnorm": 2.5}])


def cases():
    """(label, optimizer); on of the three switches clip, decay, average."""
    for name, arguments in RATES.items():
        for clip, decay, average in itertools.product([False, True], repeat=3):
            extra = next(CLIPS) if clip else {}
            extra |= {"weight_decay": 0.1} if decay else {"weight_decay": 0.0 if name in ("AdamW", "ScheduleFreeAdamW", "Muon") else None}
            extra |= {"use_ema": True, "ema_momentum": 0.7} | ({"ema_overwrite_frequency": 8} if clip else {}) if average else {}
            on = [word for word, switch in [("clip", clip), ("decay", decay), ("average", average)] if switch]
            yield f"{name}/{'_'.join(on) or 'plain'}", new(f"optimizers.{name}", **{"learning_rate": 0.01} | arguments | extra)


def make():
    store = Store("optimizer_runs")
    random = generator("optimizer_runs")
    start = [random.normal(size=shape).astype("float32") for shape in SHAPES.values()]
    gradients = [random.normal(size=(STEPS, *shape)).astype("float32") for shape in SHAPES.values()]
    store.add("given", names=list(SHAPES), start=start, gradients=gradients, shown=SHOWN)

    def variables():
        keras.utils.clear_session()
        return [keras.Variable(value, name=name) for name, value in zip(SHAPES, start, strict=True)]

    for label, spec in cases():
        weights, optimizer, seen = variables(), build(keras, spec), []
        if spec["args"]["weight_decay"]:
            optimizer.exclude_from_weight_decay(var_names=["left"])
        for step in range(STEPS):
            optimizer.apply([keras.ops.convert_to_tensor(g[step]) for g in gradients], weights)
            seen.append([np.asarray(v.value) for v in weights])
        optimizer.finalize_variable_values(weights)
        shown = [np.stack([seen[step][i] for step in SHOWN]) for i in range(len(weights))]
        store.add(label, optimizer=spec, shown=shown, final=[np.asarray(v.value) for v in weights])
    for name, inner in {
        "momentum": new("optimizers.SGD", learning_rate=0.1, momentum=0.9),
        "clip": new("optimizers.Adam", learning_rate=0.1, clipnorm=0.5),
    }.items():
        weights = variables()
        optimizer = keras.optimizers.LossScaleOptimizer(build(keras, inner), initial_scale=64.0, dynamic_growth_steps=3)
        optimizer.build(weights)
        rows, state, values = [], [v.value for v in optimizer.variables], [v.value for v in weights]
        for step in range(STEPS):
            bad = {4: np.inf, 5: np.nan, 15: -np.inf}.get(step, 0.0)
            scaled = [g[step] * np.float32(float(optimizer.dynamic_scale)) + np.float32(bad if i == 1 else 0) for i, g in enumerate(gradients)]
            values, state = optimizer.stateless_apply(state, [keras.ops.convert_to_tensor(g) for g in scaled], values)
            for variable, value in zip(optimizer.variables, state, strict=True):
                variable.assign(value)
            rows.append([float(optimizer.dynamic_scale), int(optimizer.step_counter), int(optimizer.inner_optimizer.iterations)])
        store.add(f"LossScaleOptimizer/{name}", inner=inner, rows=np.array(rows, "float32"), final=[np.asarray(v) for v in values])
    return store
