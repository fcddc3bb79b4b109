# SPDX-License-Identifier: Apache-2.0
"""Asks Keras about metrics: three updates, plain and weighted, and the result after each. Start at CASES."""

import keras
import numpy as np

from tests.golden.make_losses import bits, classes, moved, normal, one_hot, positive, signs, simplex, uniform
from tests.golden.store import Store, build, generator, map_tree, new
from tests.golden.tools import config_of

CASES = {}


def case(name, label, arguments, y_true, y_pred=None, weighted=True):
    CASES[f"{name}/{label}"] = (new(f"metrics.{name}", **arguments), y_true, y_pred, weighted)


case("Mean", "vector", {}, normal(5))
case("Mean", "matrix", {}, normal(5, 3))
case("Mean", "scalar", {}, lambda random: np.float32(random.normal()), weighted=False)
case("Sum", "vector", {}, normal(5))
case("Sum", "matrix", {}, normal(5, 3))
case("MeanMetricWrapper", "function", {"fn": {"function": "losses.mean_squared_error"}}, normal(5, 3), normal(5, 3))
case("MeanMetricWrapper", "function_with_argument", {"fn": {"function": "losses.huber"}, "name": "robust", "delta": 0.3}, normal(5, 3), normal(5, 3))
for name in ["MeanSquaredError", "MeanAbsoluteError", "RootMeanSquaredError", "MeanAbsolutePercentageError", "LogCoshError", "CosineSimilarity"]:
    case(name, "rank_2", {}, normal(5, 3), normal(5, 3))
    case(name, "rank_3", {}, normal(5, 2, 3), normal(5, 2, 3), weighted=False)
for name in ["MeanSquaredError", "MeanAbsoluteError", "RootMeanSquaredError"]:
    case(name, "squeeze", {}, normal(5), normal(5, 1))
case("CosineSimilarity", "axis_1", {"axis": 1}, normal(5, 2, 3), normal(5, 2, 3), weighted=False)
case("MeanSquaredLogarithmicError", "rank_2", {}, positive(5, 3), positive(5, 3))
case("Hinge", "signs", {}, signs(5, 3), normal(5, 3))
case("SquaredHinge", "bits", {}, bits(5, 3), normal(5, 3))
case("CategoricalHinge", "rank_2", {}, one_hot(5, 3), normal(5, 3))
case("KLDivergence", "rank_2", {}, simplex(5, 3), simplex(5, 3))
case("Poisson", "rank_2", {}, positive(5, 3), positive(5, 3))
case("Accuracy", "classes", {}, classes(3, 7), classes(3, 7))
case("Accuracy", "matrix", {}, classes(2, 7, 3), classes(2, 7, 3), weighted=False)
case("BinaryAccuracy", "plain", {}, bits(7), uniform(7))
case("BinaryAccuracy", "matrix", {}, bits(7, 3), uniform(7, 3))
case("BinaryAccuracy", "threshold", {"threshold": 0.3}, bits(7), uniform(7, 1))
case("CategoricalAccuracy", "plain", {}, one_hot(7, 5), simplex(7, 5))
case("CategoricalAccuracy", "rank_3", {}, one_hot(2, 7, 5), simplex(2, 7, 5), weighted=False)
case("SparseCategoricalAccuracy", "plain", {}, classes(3, 7), simplex(7, 3))
case("SparseCategoricalAccuracy", "column", {}, classes(3, 7, 1), simplex(7, 3))
case("SparseCategoricalAccuracy", "rank_3", {}, classes(3, 2, 7), simplex(2, 7, 3), weighted=False)
for k in [1, 3]:
    case("TopKCategoricalAccuracy", f"k_{k}", {"k": k}, one_hot(7, 11), simplex(7, 11))
    case("SparseTopKCategoricalAccuracy", f"k_{k}", {"k": k}, classes(11, 7), simplex(7, 11))
case("TopKCategoricalAccuracy", "plain", {}, one_hot(7, 11), simplex(7, 11))
case(
    "SparseTopKCategoricalAccuracy",
    "sorted_ids",
    {"k": 2, "from_sorted_ids": True},
    classes(5, 7),
    lambda random: np.stack([random.permutation(5)[:3] for _ in range(7)]).astype("int32"),
)
case("BinaryCrossentropy", "plain", {}, bits(7, 3), uniform(7, 3))
case("BinaryCrossentropy", "logits_smooth", {"from_logits": True, "label_smoothing": 0.2}, bits(7, 3), normal(7, 3))
case("CategoricalCrossentropy", "plain", {}, one_hot(7, 3), simplex(7, 3))
case("CategoricalCrossentropy", "logits_smooth", {"from_logits": True, "label_smoothing": 0.2}, one_hot(7, 3), normal(7, 3))
case("CategoricalCrossentropy", "axis_1", {"axis": 1}, moved(one_hot(2, 5, 3)), moved(simplex(2, 5, 3)), weighted=False)
case("SparseCategoricalCrossentropy", "plain", {}, classes(3, 7), simplex(7, 3))
case("SparseCategoricalCrossentropy", "logits_ignore", {"from_logits": True, "ignore_class": 1}, classes(3, 7), normal(7, 3))

COARSE = lambda *shape: lambda random: (random.integers(0, 11, size=shape) / 10).astype("float32")  # noqa: E731  ties and ends of [0, 1]
for curve in ["ROC", "PR"]:
    for method in ["interpolation", "minoring", "majoring"]:
        case("AUC", f"{curve}_{method}", {"curve": curve, "summation_method": method, "num_thresholds": 23}, bits(31), uniform(31))
    case("AUC", f"{curve}_default", {"curve": curve}, bits(31), uniform(31))
    case("AUC", f"{curve}_ties", {"curve": curve}, bits(31), COARSE(31))
    case(
        "AUC",
        f"{curve}_multi_label",
        {"curve": curve, "multi_label": True, "num_labels": 3, "num_thresholds": 11},
        bits(31, 3),
        uniform(31, 3),
        weighted=False,
    )
case("AUC", "PRGAIN", {"curve": "PRGAIN", "num_thresholds": 23}, bits(31), uniform(31))
case("AUC", "thresholds", {"thresholds": [0.2, 0.5, 0.7]}, bits(31), uniform(31))
case("AUC", "thresholds_uneven", {"thresholds": [0.1, 0.15, 0.9]}, bits(31), uniform(31))
case("AUC", "logits", {"from_logits": True, "num_thresholds": 23}, bits(31), normal(31))
case(
    "AUC",
    "label_weights",
    {"multi_label": True, "num_labels": 3, "label_weights": [0.2, 1.0, 2.0], "num_thresholds": 11},
    bits(31, 3),
    uniform(31, 3),
    weighted=False,
)
case("AUC", "matrix", {"num_thresholds": 11}, bits(31, 3), uniform(31, 3), weighted=False)
for name in ["Precision", "Recall"]:
    case(name, "plain", {}, bits(11), uniform(11))
    case(name, "threshold", {"thresholds": 0.3}, bits(11), uniform(11))
    case(name, "thresholds", {"thresholds": [0.0, 0.3, 0.55, 1.0]}, bits(11), uniform(11))
    case(name, "top_k", {"top_k": 2}, bits(11, 5), uniform(11, 5), weighted=False)
    case(name, "class_id", {"class_id": 2}, bits(11, 5), uniform(11, 5), weighted=False)
    case(name, "top_k_class_id", {"top_k": 2, "class_id": 1}, bits(11, 5), uniform(11, 5), weighted=False)
    case(name, "matrix", {}, bits(11, 3), uniform(11, 3))
    case(name, "empty", {}, lambda random: np.zeros(5, "float32"), lambda random: np.zeros(5, "float32"))
for name in ["TruePositives", "TrueNegatives", "FalsePositives", "FalseNegatives"]:
    case(name, "plain", {}, bits(11), uniform(11))
    case(name, "ties", {}, bits(11), COARSE(11))
    case(name, "thresholds", {"thresholds": [0.2, 0.5, 0.8]}, bits(11, 3), uniform(11, 3), weighted=False)
for name, argument in [
    ("SensitivityAtSpecificity", "specificity"),
    ("SpecificityAtSensitivity", "sensitivity"),
    ("PrecisionAtRecall", "recall"),
    ("RecallAtPrecision", "precision"),
]:
    case(name, "half", {argument: 0.5}, bits(31), uniform(31))
    case(name, "high", {argument: 0.8, "num_thresholds": 17}, bits(31), uniform(31))
    case(name, "one_threshold", {argument: 0.4, "num_thresholds": 1}, bits(31), uniform(31))
    case(name, "class_id", {argument: 0.5, "class_id": 1}, bits(31, 3), uniform(31, 3), weighted=False)
case("IoU", "sparse", {"num_classes": 3, "target_class_ids": [0, 2]}, classes(3, 13), classes(3, 13))
case("IoU", "ignore", {"num_classes": 3, "target_class_ids": [0, 1], "ignore_class": 2}, classes(3, 13), classes(3, 13))
case("IoU", "dense_prediction", {"num_classes": 3, "target_class_ids": [1], "sparse_y_pred": False}, classes(3, 13), simplex(13, 3))
case("BinaryIoU", "plain", {}, bits(13), uniform(13))
case("BinaryIoU", "threshold", {"target_class_ids": [1], "threshold": 0.3}, bits(13), uniform(13))
case("MeanIoU", "sparse", {"num_classes": 4}, classes(3, 13), classes(3, 13))
case("MeanIoU", "rank_3", {"num_classes": 3}, classes(3, 2, 5), classes(3, 2, 5), weighted=False)
case("OneHotIoU", "plain", {"num_classes": 3, "target_class_ids": [0, 2]}, one_hot(13, 3), simplex(13, 3))
case("OneHotIoU", "sparse_prediction", {"num_classes": 3, "target_class_ids": [0, 2], "sparse_y_pred": True}, one_hot(13, 3), classes(3, 13))
case("OneHotMeanIoU", "plain", {"num_classes": 3}, one_hot(13, 3), simplex(13, 3))
for average in [None, "micro", "macro", "weighted"]:
    case("F1Score", str(average), {"average": average}, one_hot(13, 3), simplex(13, 3))
    case("FBetaScore", str(average), {"average": average, "beta": 2.0, "threshold": 0.4}, bits(13, 3), uniform(13, 3))
for how in [None, "uniform_average", "variance_weighted_average"]:
    case("R2Score", str(how), {"class_aggregation": how}, normal(13, 3), normal(13, 3))
case("R2Score", "adjusted", {"num_regressors": 2}, normal(13, 1), normal(13, 1))
case("PearsonCorrelation", "plain", {}, normal(5, 7), normal(5, 7), weighted=False)
case("PearsonCorrelation", "axis_0", {"axis": 0}, normal(5, 7), normal(5, 7), weighted=False)
case("ConcordanceCorrelation", "plain", {}, normal(5, 7), normal(5, 7), weighted=False)


def run(spec, updates):
    keras.utils.clear_session()
    metric = build(keras, spec)
    results = []
    for update in updates:
        metric.update_state(*update["args"], **update["kwargs"])
        results.append(map_tree(np.asarray, metric.result()))
    return metric, results


def make():
    store = Store("metrics")
    for label, (spec, y_true, y_pred, weighted) in CASES.items():
        random = generator(label)
        updates = [{"args": [draw(random) for draw in (y_true, y_pred) if draw is not None], "kwargs": {}} for _ in range(3)]
        if label.endswith("/empty"):
            updates = updates[:1]
        for kind in ["plain", "weighted"] if weighted else ["plain"]:
            if kind == "weighted":
                for update in updates:
                    size = np.shape(update["args"][-1])[0]
                    counts = random.integers(1, 5, size=size).astype("int32")  # IoU counts in integers
                    weight = counts if "IoU" in label else random.uniform(0.1, 2.0, size=size).astype("float32")
                    update["kwargs"] = {"sample_weight": weight}
            try:
                metric, results = run(spec, updates)
            except Exception as error:
                print("FAILED", label, kind, type(error).__name__, str(error)[:150].replace("\n", " "))
                continue
            function = any(isinstance(value, dict) and "function" in value for value in spec["args"].values())
            store.add(
                f"{label}/{kind}",
                metric=spec,
                updates=updates,
                results=results,
                config=None if function else config_of(metric),
                variables=[{"name": v.name, "shape": list(v.shape)} for v in metric.variables],
            )
    return store
