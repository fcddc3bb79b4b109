# SPDX-License-Identifier: Apache-2.0
"""Asks Keras about masks and uneven batches: each loss under a mask with every reduction, each metric over batches of 1 to all rows, some weighted.

Start at make.
"""

import keras
import numpy as np

from tests.golden import make_losses, make_metrics
from tests.golden.make_losses import bits, classes, normal, one_hot, positive, signs, simplex, uniform
from tests.golden.store import Store, build, generator, map_tree, new

MASKED = {  # loss: (arguments, targets, predictions); values of shape (5, 4), masks and weights too
    "MeanSquaredError": ({}, normal(5, 4, 3), normal(5, 4, 3)),
    "MeanAbsoluteError": ({}, normal(5, 4, 3), normal(5, 4, 3)),
    "MeanAbsolutePercentageError": ({}, normal(5, 4, 3), normal(5, 4, 3)),
    "MeanSquaredLogarithmicError": ({}, positive(5, 4, 3), positive(5, 4, 3)),
    "Huber": ({"delta": 0.4}, normal(5, 4, 3), normal(5, 4, 3)),
    "LogCosh": ({}, normal(5, 4, 3), normal(5, 4, 3)),
    "CosineSimilarity": ({}, normal(5, 4, 3), normal(5, 4, 3)),
    "Hinge": ({}, signs(5, 4, 3), normal(5, 4, 3)),
    "SquaredHinge": ({}, signs(5, 4, 3), normal(5, 4, 3)),
    "CategoricalHinge": ({}, one_hot(5, 4, 3), normal(5, 4, 3)),
    "KLDivergence": ({}, simplex(5, 4, 3), simplex(5, 4, 3)),
    "Poisson": ({}, positive(5, 4, 3), positive(5, 4, 3)),
    "BinaryCrossentropy": ({"from_logits": True}, bits(5, 4, 3), normal(5, 4, 3)),
    "BinaryFocalCrossentropy": ({}, bits(5, 4, 3), uniform(5, 4, 3)),
    "CategoricalCrossentropy": ({"label_smoothing": 0.1}, one_hot(5, 4, 3), simplex(5, 4, 3)),
    "CategoricalFocalCrossentropy": ({}, one_hot(5, 4, 3), simplex(5, 4, 3)),
    "SparseCategoricalCrossentropy": ({"ignore_class": 0}, classes(3, 5, 4), simplex(5, 4, 3)),
    "CategoricalGeneralizedCrossEntropy": ({}, classes(3, 5, 4), simplex(5, 4, 3)),
    "Dice": ({"axis": [2]}, bits(5, 4, 3), uniform(5, 4, 3)),
    "Tversky": ({"axis": [2]}, bits(5, 4, 3), uniform(5, 4, 3)),
}
BY_ROW = {  # the same, with values, masks and weights of shape (7,)
    "Dice": ({"axis": [1, 2]}, bits(7, 5, 3), uniform(7, 5, 3)),
    "Tversky": ({"axis": [1, 2], "alpha": 0.3}, bits(7, 5, 3), uniform(7, 5, 3)),
    "Circle": ({"gamma": 3.0}, lambda random: np.array([0, 1, 0, 2, 1, 2, 0], "int32"), lambda random: make_losses.unit(random.normal(size=(7, 3)))),
    "CTC": ({}, lambda random: random.integers(1, 5, size=(7, 3)).astype("int32"), normal(7, 11, 5)),
}
MASKED_METRICS = ["MeanSquaredError", "MeanAbsoluteError", "LogCoshError", "Hinge", "KLDivergence", "Poisson", "BinaryAccuracy",
                  "CategoricalAccuracy", "SparseCategoricalAccuracy", "TopKCategoricalAccuracy"]  # fmt: skip

DRAWS = {
    "CategoricalAccuracy": (one_hot, simplex),
    "TopKCategoricalAccuracy": (one_hot, simplex),
    "Poisson": (positive, positive),
    "Hinge": (signs, normal),
    "KLDivergence": (simplex, simplex),
    "BinaryAccuracy": (bits, uniform),
}


class Given(keras.layers.Layer):
    """A layer whose outputs carry the mask that it was given."""

    def __init__(self, mask):
        super().__init__()
        self.mask, self.supports_masking = mask, True

    def call(self, x):
        return x

    def compute_mask(self, inputs, previous_mask=None):
        return keras.ops.convert_to_tensor(self.mask)


def loss_cases(store, table, size, suffix):
    for name, (arguments, y_true, y_pred) in table.items():
        label = f"losses/{name}/{suffix}"
        random = generator(label)
        y_true, y_pred = y_true(random), y_pred(random)
        mask = random.uniform(size=size) > 0.4
        shapes = {"row": (size[0], *[1 for _ in size[1:]]), "value": size}
        weights = {"none": None} | {kind: random.uniform(0.1, 2.0, size=shape).astype("float32") for kind, shape in shapes.items()}
        values = {}
        for reduction in ["sum_over_batch_size", "sum", "mean_with_sample_weight", None]:
            loss = build(keras, new(f"losses.{name}", reduction=reduction, **arguments))
            for kind, weight in weights.items():
                values[f"{reduction}/{kind}"] = np.asarray(loss(y_true, Given(mask)(y_pred), weight))
        store.add(label, loss=name, arguments=arguments, y_true=y_true, y_pred=y_pred, mask=mask, weights=weights, values=values)


def metric_cases(store):
    first = {}
    for label, case in make_metrics.CASES.items():
        first.setdefault(label.split("/")[0], []).append((label, case))
    for label, (spec, y_true, y_pred, _) in [pair for cases in first.values() for pair in cases[:2]]:
        if label in (
            "Mean/scalar",
            "MeanIoU/rank_3",
            "PearsonCorrelation/axis_0",
            "MeanMetricWrapper/function",
            "MeanMetricWrapper/function_with_argument",
            "Precision/empty",
            "Recall/empty",
        ):
            continue
        random, updates = generator(f"streams/{label}"), []
        for rows, is_weighted in [(None, False), (3, True), (1, True), (4, False)]:
            args = [draw(random)[:rows] for draw in (y_true, y_pred) if draw is not None]
            is_weighted = is_weighted and "Correlation" not in label and args[-1].ndim < 3
            size = args[-1].shape[0]
            weight = random.integers(1, 5, size=size).astype("int32") if "IoU" in label else random.uniform(0.1, 2.0, size=size).astype("float32")
            updates.append({"args": args, "kwargs": {"sample_weight": weight} if is_weighted else {}})
        _, results = make_metrics.run(spec, updates)
        store.add(f"metrics/{label}", metric=spec, updates=updates, result=map_tree(np.asarray, results[-1]))
    for name in MASKED_METRICS:
        draws = DRAWS.get(name, (normal, normal))
        random, updates = generator(f"masked/{name}"), []
        for rows in (5, 2):
            target = classes(3, rows, 4) if name.startswith("Sparse") else draws[0](rows, 4, 3)
            y_true, y_pred = target(random), draws[1](rows, 4, 3)(random)
            mask, weight = random.uniform(size=(rows, 4)) > 0.4, random.uniform(0.1, 2.0, size=(rows, 4)).astype("float32")
            updates.append({"args": [y_true, y_pred], "kwargs": {"sample_weight": weight}, "mask": mask})
        spec = new(f"metrics.{name}", **({"k": 2} if name.startswith("TopK") else {}))
        keras.utils.clear_session()
        metric = build(keras, spec)
        for update in updates:
            metric.update_state(update["args"][0], Given(update["mask"])(update["args"][1]), **update["kwargs"])
        store.add(f"masked_metrics/{name}", metric=spec, updates=updates, result=map_tree(np.asarray, metric.result()))


def make():
    store = Store("streams")
    loss_cases(store, MASKED, (5, 4), "steps")
    loss_cases(store, BY_ROW, (7,), "rows")
    metric_cases(store)
    return store
