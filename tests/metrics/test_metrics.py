# SPDX-License-Identifier: Apache-2.0
"""Metrics against formulas in float64 over all data at once: accumulation, weights, masks, edges, states, names, configs, errors. Start at TABLE."""

import json
import zlib

import numpy as np
import pytest
from scipy import stats

import nyala
from nyala import metrics
from nyala.core.errors import ArgumentError, ArgumentTypeError, LookupFailed, ShapeError
from nyala.core.masks import set_mask
from nyala.engines.spec import Spec, infer
from tests.losses.test_losses import as32, bce, bits, chosen, host, ids, normal, normalized, one_hot, positive, shares, signs, simplex, uniform
from tests.ops.table import engines


@pytest.fixture(params=engines(), autouse=True)
def engine(request):
    with nyala.backend(request.param):
        yield request.param


def mean_of(values):
    """The oracle of a mean of per-sample values: weighted average over the first axis of their means."""

    def oracle(y, p, w):
        v = values(y, p)
        return np.average(v.reshape(len(v), -1).mean(1), weights=w)

    return oracle


def cells(y, p, w, threshold):
    yes, said, w = y != 0, p > threshold, np.broadcast_to(w.reshape(len(w), *(1 for _ in y.shape[1:])), y.shape)
    return [(w * cell).sum() for cell in (yes & said, ~yes & said, ~yes & ~said, yes & ~said)]


def precision(y, p, w, threshold=0.5):
    tp, fp, _, _ = cells(y, p, w, threshold)
    return tp / (tp + fp)


def recall(y, p, w, threshold=0.5):
    tp, _, _, fn = cells(y, p, w, threshold)
    return tp / (tp + fn)


def best(p, k):
    return np.where(p >= np.sort(p, -1)[..., -k:][..., :1], p, -np.inf)


def curve(y, p, w, number):
    return np.array([cells(y, p, w, t) for t in (-1, *np.arange(1, number - 1) / (number - 1), 2)]).T


def roc_area(y, p, w):
    """Share of pairs of a yes and a no that are in the right order, ties half: the area under the curve of all thresholds."""
    yes = y != 0
    right = (p[yes][:, None] > p[~yes]) + (p[yes][:, None] == p[~yes]) / 2
    return (right * np.outer(w[yes], w[~yes])).sum() / np.outer(w[yes], w[~yes]).sum()


def at_least(limited, wanted, value, number):
    def oracle(y, p, w):
        points = [dict(zip(("tp", "fp", "tn", "fn"), cells(y, p, w, i / (number - 1)), strict=True)) for i in range(number)]
        share = lambda c, a, b: c[a] / (c[a] + c[b]) if c[a] + c[b] else 0.0  # noqa: E731
        return max((share(c, *wanted) for c in points if share(c, *limited) >= value), default=0.0)

    return oracle


def f_scores(y, said, w, beta):
    tp, fp, fn = ((w[:, None] * x).sum(0) for x in (y * said, (1 - y) * said, y * (1 - said)))
    with np.errstate(invalid="ignore"):
        return np.nan_to_num((1 + beta**2) * tp / ((1 + beta**2) * tp + beta**2 * fn + fp))


def ious(y, p, w, classes, chosen_classes=None):
    pairs = [((w * ((y == c) & (p == c))).sum(), (w * ((y == c) | (p == c))).sum()) for c in chosen_classes or range(classes)]
    return np.mean([both / either for both, either in pairs if either])


def correlations(function):
    return mean_of(lambda y, p: np.array([function(a, b) for a, b in zip(y, p, strict=True)]))


def concordance(a, b):
    return 2 * np.cov(a, b, ddof=0)[0, 1] / (a.var() + b.var() + (a.mean() - b.mean()) ** 2)


def r2(y, p, w):
    w = w[:, None]
    mean = (y * w).sum(0) / w.sum()
    return 1 - (w * (y - p) ** 2).sum(0) / (w * (y - mean) ** 2).sum(0)


TENTHS = lambda g, *shape: g.permutation(np.arange(1, 30))[: shape[0]] / 30  # noqa: E731
SEN, SPE, PRE = ("tp", "fn"), ("tn", "fp"), ("tp", "fp")

# label: (class, options, oracle of (targets, predictions, weights) over all data, targets, predictions, shape)
TABLE = {
    "mse": ("MeanSquaredError", {}, mean_of(lambda y, p: (y - p) ** 2), normal, normal, (7, 2, 3)),
    "rmse": ("RootMeanSquaredError", {}, lambda y, p, w: np.sqrt(np.average(((y - p) ** 2).mean(1), weights=w)), normal, normal, (7, 3)),
    "mae": ("MeanAbsoluteError", {}, mean_of(lambda y, p: abs(y - p)), normal, normal, (7, 3)),
    "mape": ("MeanAbsolutePercentageError", {}, mean_of(lambda y, p: 100 * abs(y - p) / y), positive, normal, (7, 3)),
    "msle": ("MeanSquaredLogarithmicError", {}, mean_of(lambda y, p: (np.log1p(y) - np.log1p(p)) ** 2), positive, positive, (7, 3)),
    "logcosh": ("LogCoshError", {}, mean_of(lambda y, p: np.log(np.cosh(y - p))), normal, normal, (7, 3)),
    "cosine": ("CosineSimilarity", {}, mean_of(lambda y, p: (normalized(y) * normalized(p)).sum(-1)), normal, normal, (7, 3)),
    "pearson": ("PearsonCorrelation", {}, correlations(lambda a, b: stats.pearsonr(a, b)[0]), normal, normal, (7, 5)),
    "concordance": ("ConcordanceCorrelation", {}, correlations(concordance), normal, normal, (7, 5)),
    "r2": ("R2Score", {}, lambda y, p, w: r2(y, p, w).mean(), normal, normal, (11, 3)),
    "r2_each": ("R2Score", {"class_aggregation": None}, r2, normal, normal, (11, 3)),
    "r2_adjusted": ("R2Score", {"num_regressors": 2}, lambda y, p, w: 1 - (1 - r2(y, p, w)[0]) * 10 / 8, normal, normal, (11, 1)),
    "accuracy": ("Accuracy", {}, mean_of(lambda y, p: y == p), ids(3), ids(3), (11, 3)),
    "binary_accuracy": ("BinaryAccuracy", {"threshold": 0.3}, mean_of(lambda y, p: y == (p > 0.3)), bits, uniform, (11, 3)),
    "categorical_accuracy": ("CategoricalAccuracy", {}, mean_of(lambda y, p: y.argmax(-1) == p.argmax(-1)), one_hot, simplex, (11, 2, 3)),
    "sparse_accuracy": ("SparseCategoricalAccuracy", {}, mean_of(lambda y, p: y == p.argmax(-1)), ids(3), simplex, (11, 2, 3)),
    "top_k": ("TopKCategoricalAccuracy", {"k": 2}, mean_of(lambda y, p: (y * np.isfinite(best(p, 2))).sum(-1)), one_hot, simplex, (11, 5)),
    "sparse_top_k": (
        "SparseTopKCategoricalAccuracy", {"k": 3}, mean_of(lambda y, p: np.isfinite(chosen(y, best(p, 3)))), ids(7), simplex, (11, 7)),
    "sorted_ids": (
        "SparseTopKCategoricalAccuracy", {"k": 2, "from_sorted_ids": True}, mean_of(lambda y, p: (y[:, None] == p[:, :2]).any(-1)), ids(5),
        lambda g, *s: np.array([g.permutation(5) for _ in range(s[0])]), (11, 5)),
    "bce": ("BinaryCrossentropy", {}, mean_of(bce), bits, uniform, (7, 3)),
    "cce": ("CategoricalCrossentropy", {}, mean_of(lambda y, p: -(y * np.log(shares(p))).sum(-1)), one_hot, simplex, (7, 3)),
    "scce": ("SparseCategoricalCrossentropy", {}, mean_of(lambda y, p: -np.log(chosen(y, p))), ids(3), simplex, (7, 3)),
    "kld": ("KLDivergence", {}, mean_of(lambda y, p: (y * np.log(y / p)).sum(-1)), simplex, simplex, (7, 3)),
    "poisson": ("Poisson", {}, mean_of(lambda y, p: p - y * np.log(p)), positive, positive, (7, 3)),
    "hinge": ("Hinge", {}, mean_of(lambda y, p: np.maximum(1 - y * p, 0)), lambda g, *s: signs(bits(g, *s)), normal, (7, 3)),
    "squared_hinge": ("SquaredHinge", {}, mean_of(lambda y, p: np.maximum(1 - y * p, 0) ** 2), lambda g, *s: signs(bits(g, *s)),
        normal, (7, 3)),
    "categorical_hinge": (
        "CategoricalHinge", {}, mean_of(lambda y, p: np.maximum(1 + np.max((1 - y) * p, -1) - (y * p).sum(-1), 0)),
        one_hot, normal, (7, 3)),
    "true_positives": ("TruePositives", {}, lambda y, p, w: cells(y, p, w, 0.5)[0], bits, uniform, (13, 2)),
    "false_positives": ("FalsePositives", {"thresholds": 0.3}, lambda y, p, w: cells(y, p, w, 0.3)[1], bits, uniform, (13, 2)),
    "true_negatives": ("TrueNegatives", {"thresholds": 0.6}, lambda y, p, w: cells(y, p, w, 0.6)[2], bits, uniform, (13, 2)),
    "false_negatives": (
        "FalseNegatives", {"thresholds": [0.7, 0.2]}, lambda y, p, w: np.array([cells(y, p, w, t)[3] for t in (0.7, 0.2)]),
        bits, uniform, (13, 2)),
    "precision": ("Precision", {}, precision, bits, uniform, (13, 2)),
    "precision_top_k": ("Precision", {"top_k": 2}, lambda y, p, w: precision(y, best(p, 2), w, -1), bits, uniform, (13, 5)),
    "precision_class": ("Precision", {"class_id": 1}, lambda y, p, w: precision(y[:, 1], p[:, 1], w), bits, uniform, (13, 3)),
    "recall": ("Recall", {"thresholds": [0.2, 0.6]}, lambda y, p, w: np.array([recall(y, p, w, t) for t in (0.2, 0.6)]),
        bits, uniform, (13, 2)),
    "recall_both": ("Recall", {"top_k": 1, "class_id": 2}, lambda y, p, w: recall(y[:, 2], best(p, 1)[:, 2], w, -1),
        bits, uniform, (13, 3)),
    "sensitivity_at": ("SensitivityAtSpecificity", {"specificity": 0.6, "num_thresholds": 11}, at_least(SPE, SEN, 0.6, 11),
        bits, uniform, (23,)),
    "specificity_at": ("SpecificityAtSensitivity", {"sensitivity": 0.6, "num_thresholds": 11}, at_least(SEN, SPE, 0.6, 11),
        bits, uniform, (23,)),
    "precision_at": ("PrecisionAtRecall", {"recall": 0.6, "num_thresholds": 11}, at_least(SEN, PRE, 0.6, 11), bits, uniform, (23,)),
    "recall_at": ("RecallAtPrecision", {"precision": 0.5, "num_thresholds": 11}, at_least(PRE, SEN, 0.5, 11), bits, uniform, (23,)),
    "auc": ("AUC", {"num_thresholds": 61}, roc_area, bits, TENTHS, (23,)),
    "auc_labels": (
        "AUC", {"num_thresholds": 61, "multi_label": True, "label_weights": [1.0, 3.0]},
        lambda y, p, w: np.average([roc_area(y[:, i], p[:, i], w) for i in (0, 1)], weights=[1, 3]), bits,
        lambda g, *s: np.stack([TENTHS(g, *s), TENTHS(g, *s)], 1), (23, 2)),
    "auc_logits": ("AUC", {"thresholds": [0.5], "from_logits": True}, lambda y, p, w: roc_area(y, p > 0, w), bits, normal, (23,)),
    "f1": ("F1Score", {"threshold": 0.4}, lambda y, p, w: f_scores(y, p > 0.4, w, 1), bits, uniform, (11, 3)),
    "f2_largest": ("FBetaScore", {"beta": 2.0}, lambda y, p, w: f_scores(y, np.isfinite(best(p, 1)), w, 2), one_hot, simplex, (11, 3)),
    "f1_macro": ("F1Score", {"average": "macro"}, lambda y, p, w: f_scores(y, np.isfinite(best(p, 1)), w, 1).mean(),
        one_hot, simplex, (11, 3)),
    "f1_micro": (
        "F1Score", {"average": "micro", "threshold": 0.5},
        lambda y, p, w: f_scores(y.reshape(-1, 1), p.reshape(-1, 1) > 0.5, np.repeat(w, 3), 1)[0], bits, uniform, (11, 3)),
    "f1_weighted": (
        "F1Score", {"average": "weighted", "threshold": 0.5}, lambda y, p, w: np.average(f_scores(y, p > 0.5, w, 1),
        weights=(y * w[:, None]).sum(0)), bits, uniform, (11, 3)),
    "iou": ("IoU", {"num_classes": 3, "target_class_ids": [0, 2], "dtype": "float32"}, lambda y, p, w: ious(y, p, w, 3, [0, 2]), ids(3),
        ids(3), (17, 1)),
    "mean_iou": ("MeanIoU", {"num_classes": 5, "dtype": "float32"}, lambda y, p, w: ious(y, p, w, 5), ids(4), ids(4), (17, 1)),
    "mean_iou_ignore": (
        "MeanIoU", {"num_classes": 3, "ignore_class": 255, "dtype": "float32"}, lambda y, p, w: ious(y[y < 3], p[y < 3], w[y < 3], 3),
        lambda g, *s: g.choice([0, 1, 2, 255], s[0]), ids(3), (17, 1)),
    "binary_iou": (
        "BinaryIoU", {"threshold": 0.3, "dtype": "float32"}, lambda y, p, w: ious(y, p >= 0.3, w, 2), lambda g, *s: g.integers(0, 2, s),
        uniform, (17,)),
    "one_hot_iou": (
        "OneHotIoU", {"num_classes": 3, "target_class_ids": [1], "dtype": "float32"}, lambda y, p, w: ious(y.argmax(-1), p.argmax(-1),
        w, 3, [1]), one_hot, simplex, (17, 3)),
    "one_hot_mean_iou": (
        "OneHotMeanIoU", {"num_classes": 3, "dtype": "float32"}, lambda y, p, w: ious(y.argmax(-1), p.argmax(-1), w, 3),
        one_hot, simplex, (17, 3)),
}  # fmt: skip


def inputs(label):
    name, options, oracle, target, prediction, shape = TABLE[label]
    g = np.random.default_rng(zlib.crc32(label.encode()))
    y, p = target(g, *shape), prediction(g, *shape)
    return getattr(metrics, name)(**options), oracle, y, p, g.uniform(0.2, 2.0, len(y))


def close(result, expected):
    np.testing.assert_allclose(host(result), expected, rtol=5e-5, atol=5e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("label", TABLE)
def test_batches_add_up_to_the_formula_over_all_data(label, weighted):
    metric, oracle, y, p, w = inputs(label)
    expected = oracle(y, p, w if weighted else np.ones(len(y)))
    for part in (slice(0, 2), slice(2, 5), slice(5, None)):
        metric.update_state(as32(y[part]), as32(p[part]), sample_weight=w[part] if weighted else None)
    close(metric.result(), expected)
    assert metric.updates == 3
    metric.reset_state()
    assert all(not host(v).any() for v in metric.variables)
    close(metric(as32(y), as32(p), sample_weight=w if weighted else None), expected)


@pytest.mark.parametrize("label", TABLE)
def test_compiled_and_inferred(label):
    metric, oracle, y, p, w = inputs(label)
    if hasattr(metric, "built") and not metric.built:
        metric.update_state(as32(y), as32(p))
        metric.reset_state()
    nyala.jit(lambda y, p, w: metric.update_state(y, p, sample_weight=w))(as32(y), as32(p), as32(w))
    close(nyala.jit(metric.result)(), oracle(y, p, w))
    real = metric.result()

    def step(y, p, w):
        metric.update_state(y, p, sample_weight=w)
        return metric.result()

    spec = infer(step, *(Spec(x.shape, str(as32(x).dtype)) for x in (y, p, w)))
    assert (tuple(spec.shape), spec.dtype) == (tuple(real.shape), "float32")


@pytest.mark.parametrize("label", TABLE)
def test_stateless_equals_stateful(label):
    metric, oracle, y, p, w = inputs(label)
    metric(as32(y), as32(p))
    kept = [host(v) for v in metric.variables]
    state = metric.stateless_reset_state()
    for part in (slice(0, 3), slice(3, None)):
        state = metric.stateless_update_state(state, as32(y[part]), as32(p[part]), sample_weight=w[part])
    close(metric.stateless_result(state), oracle(y, p, w))
    for variable, value in zip(metric.variables, kept, strict=True):
        np.testing.assert_array_equal(host(variable), value)


@pytest.mark.parametrize("label", TABLE)
def test_configs_round_trip(label):
    metric, oracle, y, p, w = inputs(label)
    config = json.loads(json.dumps(metrics.serialize(metric)))
    again = metrics.deserialize(config)
    assert config["module"] == "keras.metrics"
    assert again.get_config() == metric.get_config()
    close(again(as32(y), as32(p), sample_weight=w), oracle(y, p, w))


# Means and sums ---------------------------------------------------------------------------------------------------------------------------------


def test_mean_and_sum_of_values():
    g = np.random.default_rng(4)
    values, w = g.normal(size=(3, 5)), g.uniform(0.5, 2.0, 3)
    for weight, whole in ((None, np.ones(3)), (w, w), (w[:, None], w), (2.0, np.full(3, 2.0))):
        mean, total = metrics.Mean(), metrics.Sum()
        mean.update_state(as32(values), weight)
        total.update_state(as32(values), weight)
        close(mean.result(), np.average(values.mean(1), weights=whole))
        close(total.result(), (values * whole[:, None]).sum())
        assert float(mean.count) == pytest.approx(whole.sum())
    assert float(metrics.Mean().result()) == 0.0
    assert float(metrics.Mean()(3.0)) == 3.0
    assert float(metrics.Mean()([1.0, 5.0], sample_weight=[0.0, 0.0])) == 0.0


def test_scalar_metric_functions_count_as_often_as_they_are_weighted():
    metric = metrics.MeanMetricWrapper(lambda y, p: nyala.ops.max(p))
    metric.update_state(np.zeros((2, 3)), np.full((2, 3), 5.0), sample_weight=np.array([1.0, 2.0]))
    metric.update_state(np.zeros((1, 3)), np.full((1, 3), 9.0), sample_weight=np.array([1.0]))
    assert float(metric.result()) == 6.0


def test_mean_tensor():
    metric = metrics.MeanTensor(shape=(2, 3))
    a, b = np.arange(6.0).reshape(2, 3), np.ones((2, 3))
    metric.update_state(a)
    metric.update_state(b, sample_weight=np.array([3.0, 1.0]))
    close(metric.result(), (a + b * [[3], [1]]) / [[4], [2]])
    assert metrics.MeanTensor.from_config(metric.get_config()).shape == (2, 3)


def masked(p, mask):
    p = nyala.ops.convert_to_tensor(as32(p))
    set_mask(p, nyala.ops.convert_to_tensor(mask))
    return p


@pytest.mark.parametrize("name", ["MeanSquaredError", "RootMeanSquaredError"])
def test_masks(name):
    g = np.random.default_rng(6)
    y, p, w = g.normal(size=(2, 5, 3)), g.normal(size=(2, 5, 3)), np.array([2.0, 3.0])
    mask = np.array([[1, 0, 1, 1, 0], [1, 1, 0, 0, 0]], bool)
    values = ((y - p) ** 2).mean(-1)
    root = np.sqrt if name.startswith("Root") else lambda x: x
    close(getattr(metrics, name)()(as32(y), masked(p, mask)), root(values[mask].mean()))
    close(getattr(metrics, name)()(as32(y), masked(p, mask), sample_weight=w), root(np.average(values, weights=mask * w[:, None])))
    assert float(getattr(metrics, name)()(as32(y), masked(p, np.zeros_like(mask)))) == 0.0


def test_masked_steps_with_a_last_axis_of_one():
    mask = np.array([[True, True, False]])
    metric = metrics.BinaryAccuracy()
    assert float(metric(np.array([[1, 0, 1]]), masked(np.array([[[0.9], [0.9], [0.1]]]), mask))) == 0.5


def test_ignored_classes_count_as_zero_unless_weighted():
    y, p = np.array([0, 1, 2]), simplex(np.random.default_rng(2), 3, 3)
    values = np.where(y == 1, 0, -np.log(chosen(y, p)))
    metric = metrics.SparseCategoricalCrossentropy(ignore_class=1)
    close(metric(y, as32(p)), values.mean())
    metric.reset_state()
    close(metric(y, as32(p), sample_weight=np.ones(3)), values.sum() / 2)


# Edges ------------------------------------------------------------------------------------------------------------------------------------------


def test_nothing_counted_gives_zero():
    zeros = np.zeros((5, 3), "float32")
    for name in ("Precision", "Recall"):
        assert float(getattr(metrics, name)()(zeros, zeros)) == 0.0
    assert host(metrics.F1Score()(zeros, zeros)).tolist() == [0.0, 0.0, 0.0]
    assert float(metrics.F1Score().result()) == float(metrics.R2Score().result()) == float(metrics.AUC(multi_label=True).result()) == 0.0
    assert float(metrics.AUC()(zeros[:, 0], zeros[:, 0])) == 0.0
    assert float(metrics.MeanIoU(3).result()) == 0.0


def test_a_perfect_curve_has_area_one():
    y, p = np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.0, 0.3, 0.6, 1.0])
    for curve in ("ROC", "PR", "PRGAIN"):
        for method in ("interpolation", "majoring") if curve != "ROC" else ("interpolation", "minoring", "majoring"):
            metric = metrics.AUC(curve=curve, summation_method=method)
            assert float(metric(y, p)) == pytest.approx(1.0, abs=1e-6), (curve, method)


@pytest.mark.parametrize("curve", ["ROC", "PR"])
def test_lower_middle_and_higher_sums_are_in_order(curve):
    g = np.random.default_rng(1)
    y, p = bits(g, 41), uniform(g, 41)
    low, middle, high = (float(metrics.AUC(7, curve, method)(y, p)) for method in ("minoring", "interpolation", "majoring"))
    assert low < middle < high


def test_interpolated_precision_is_the_integral():
    """Positives grow in proportion between thresholds: many small trapezoids of tp / p over recall give the same."""
    g = np.random.default_rng(11)
    y, p = bits(g, 41), uniform(g, 41)
    tp, fp, _, fn = curve(y, p, np.ones(41), 7)
    area = 0.0
    for i in range(6):
        t = np.linspace(0, 1, 2001)
        at, positives = tp[i + 1] + t * (tp[i] - tp[i + 1]), tp[i + 1] + fp[i + 1] + t * (tp[i] + fp[i] - tp[i + 1] - fp[i + 1])
        with np.errstate(invalid="ignore"):
            height = np.where(positives > 0, at / positives, (tp[i] / max(tp[i] + fp[i], 1)))
        area += np.trapezoid(height, at / (tp[0] + fn[0]))
    close(metrics.AUC(7, "PR")(y, p), area) if tp[-2] == 0 else np.testing.assert_allclose(float(metrics.AUC(7, "PR")(y, p)), area, rtol=1e-3)


def test_predictions_that_are_not_numbers_mean_no():
    metric = metrics.TruePositives()
    assert float(metric(np.ones(3), np.array([0.9, np.nan, 0.1]))) == 1.0


def test_top_k_ties_and_large_k():
    p = np.full((4, 4), 0.25, "float32")
    assert float(metrics.TopKCategoricalAccuracy(k=1)(np.eye(4), p)) == 1.0
    assert float(metrics.TopKCategoricalAccuracy(k=9)(np.eye(4), np.arange(16.0).reshape(4, 4))) == 1.0


def test_r2_of_a_constant_target():
    y = np.ones((5, 1))
    assert float(metrics.R2Score()(y, y)) == 1.0
    assert float(metrics.R2Score()(y, y * [[1], [2], [3], [4], [5]])) == 0.0


def test_weights_of_iou_are_whole_unless_its_dtype_is_a_float():
    y = np.array([0, 1, 1])
    metric = metrics.MeanIoU(2)
    metric.update_state(y, y, sample_weight=np.array([2.7, 1.2, 0.6]))
    assert host(metric.total_confusion_matrix).tolist() == [[2, 0], [0, 1]]
    assert metric.dtype == "int32"


# States, names, own metrics ---------------------------------------------------------------------------------------------------------------------


def test_states_are_named_and_listed():
    metric = metrics.AUC(num_thresholds=5, name="area")
    assert [v.path for v in metric.variables] == [f"area/{n}" for n in ("true_positives", "false_positives", "true_negatives", "false_negatives")]
    assert not any(v.trainable for v in metric.variables)
    assert metrics.Mean(dtype="float16").variables[0].dtype == "float16"


def test_own_metrics():
    class Range(metrics.Metric):
        def __init__(self, scale=1.0, name="range", **kwargs):
            super().__init__(name=name, **kwargs)
            self.scale = scale
            self.low, self.high = self.add_weight("low", initializer="zeros"), self.add_variable((), name="high")
            self.inner = metrics.Mean()
            self.extra = nyala.Variable(1.0, name="extra", trainable=False)

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.low.assign(nyala.ops.minimum(self.low, nyala.ops.min(y_pred)))
            self.high.assign(nyala.ops.maximum(self.high, nyala.ops.max(y_pred)))
            self.inner.update_state(y_pred)

        def result(self):
            return {"range": (self.high - self.low) * self.scale, "mean": self.inner.result()}

    class Twice(Range):
        def update_state(self, *args, **kwargs):
            super().update_state(*args, **kwargs)
            super().update_state(*args, **kwargs)

    metric = Twice(scale=2.0)
    result = metric(None, np.array([-1.0, 4.0], "float32"))
    assert (float(result["range"]), float(result["mean"])) == (10.0, 1.5)
    assert metric.updates == 1
    assert metric.inner.updates == 2
    assert {v.name for v in metric.variables} == {"low", "high", "total", "count", "extra"}
    metric.reset_states()
    assert float(metric.high) == 0.0
    again = metrics.deserialize(json.loads(json.dumps(metrics.serialize(metric))), {"Twice": Twice})
    assert again.scale == 2.0


def test_names():
    for name, kind in (("mse", "MeanSquaredError"), ("MSE", "MeanSquaredError"), ("acc", "Accuracy"), ("auc", "AUC"), ("AUC", "AUC"),
        ("precision", "Precision"),
                       ("binary_accuracy", "BinaryAccuracy"), ("f1_score", "F1Score"), ("r2_score", "R2Score"), ("kld", "KLDivergence"),
                       ("rmse", "RootMeanSquaredError"),
                       ("top_k_categorical_accuracy", "TopKCategoricalAccuracy"), ("cosine_proximity", "CosineSimilarity"),
                       ("logcosh", "LogCoshError")):  # fmt: skip
        assert type(metrics.get(name)).__name__ == kind
    assert metrics.get(None) is None
    assert metrics.get(test_names) is test_names
    assert metrics.get("huber") is metrics.huber is nyala.losses.huber
    assert isinstance(metrics.get(metrics.Mean), metrics.Mean)
    assert metrics.get("mse").name == "mean_squared_error"
    wrapper = metrics.MeanMetricWrapper(metrics.huber, name="robust", delta=0.5)
    again = metrics.deserialize(json.loads(json.dumps(metrics.serialize(wrapper))))
    assert (again.fn, again.delta, again.name) == (metrics.huber, 0.5, "robust")


# Errors -----------------------------------------------------------------------------------------------------------------------------------------

ZEROS = np.zeros
ERRORS = [
    (lambda: metrics.Precision(thresholds=1.5), ArgumentError,
     "Precision(thresholds) needs a number from 0 to 1, or a list of them, got 1.5.\n  fix: give predictions as probabilities"),
    (lambda: metrics.Recall(top_k=0), ArgumentError, "Recall(top_k) needs None or an integer from 1, got 0."),
    (lambda: metrics.Precision(class_id=3)(ZEROS((5, 3)), ZEROS((5, 3))), ShapeError,
     "Precision(class_id=3) needs predictions with more than 3 classes on the last axis, got shape (5, 3)."),
    (lambda: metrics.Precision(name="p")(ZEROS((5, 3)), ZEROS((5, 2))), ShapeError,
     "Precision 'p' needs y_true and y_pred of one shape, got y_true (5, 3) and y_pred (5, 2).\n"
     "  fix: reshape y_true, or give the output layer as many units as there are targets"),
    (lambda: metrics.AUC(curve="LIFT"), ArgumentError, "AUC(curve) needs one of ('ROC', 'PR', 'PRGAIN'), got 'LIFT'."),
    (lambda: metrics.AUC(summation_method="x"), ArgumentError,
        "AUC(summation_method) needs one of ('interpolation', 'minoring', 'majoring'), got 'x'."),
    (lambda: metrics.AUC(num_thresholds=1), ArgumentError,
        "AUC(num_thresholds) needs an integer above 1, got 1.\n  why: the curve begins at 0 and ends at 1"),
    (lambda: metrics.AUC(thresholds=[2.0]), ArgumentError, "AUC(thresholds) needs numbers from 0 to 1, got [2.0]."),
    (lambda: metrics.AUC(multi_label=True, name="a")(ZEROS(5), ZEROS(5)), ShapeError,
     "AUC 'a' with multi_label needs predictions of shape (samples, labels), got shape (5,)."),
    (lambda: metrics.AUC(multi_label=True, num_labels=3, label_weights=[1.0]), ArgumentError,
        "AUC(label_weights) needs 3 numbers, one for each label, got 1."),
    (lambda: metrics.RecallAtPrecision(1.5), ArgumentError, "RecallAtPrecision(precision) needs a number from 0 to 1, got 1.5."),
    (lambda: metrics.PrecisionAtRecall(0.5, num_thresholds=0), ArgumentError,
        "PrecisionAtRecall(num_thresholds) needs an integer from 1, got 0."),
    (lambda: metrics.F1Score(average="x"), ArgumentError, "F1Score(average) needs one of (None, 'micro', 'macro', 'weighted'), got 'x'."),
    (lambda: metrics.FBetaScore(beta=0), ArgumentError, "FBetaScore(beta) needs a number above 0, got 0."),
    (lambda: metrics.FBetaScore(threshold="a"), ArgumentError, "FBetaScore(threshold) needs None or a number, got 'a'."),
    (lambda: metrics.F1Score(name="f")(ZEROS(5), ZEROS(5)), ShapeError,
     "F1Score 'f' needs inputs of shape (samples, classes), got shape (5,).\n  fix: reshape both to two axes"),
    (lambda: metrics.IoU(3, [0, 3]), ArgumentError, "IoU(target_class_ids) needs ids from 0 to 2, got [0, 3]."),
    (lambda: metrics.MeanIoU(3, name="m")(ZEROS(5), ZEROS((5, 3))), ShapeError,
     "MeanIoU 'm' needs one class id of y_true for each of y_pred, got ids of shapes (5,) and (5, 3).\n"
     "  fix: set sparse_y_true or sparse_y_pred to False where scores are given instead of ids"),
    (lambda: metrics.R2Score(class_aggregation="x"), ArgumentError,
     "R2Score(class_aggregation) needs one of (None, 'uniform_average', 'variance_weighted_average'), got 'x'."),
    (lambda: metrics.R2Score(num_regressors=-1), ArgumentError, "R2Score(num_regressors) needs an integer from 0, got -1."),
    (lambda: metrics.R2Score()(ZEROS(5), ZEROS(5)), ShapeError,
     "R2Score needs y_true and y_pred of shape (samples, outputs), got shape (5,).\n  fix: reshape both to two axes"),
    (lambda: metrics.MeanTensor(shape=(2,), name="t").update_state(ZEROS(3)), ShapeError,
     "MeanTensor 't' needs tensors of shape (2,), got shape (3,).\n  fix: make a metric for each shape"),
    (lambda: metrics.MeanMetricWrapper("mse"), ArgumentTypeError,
        "MeanMetricWrapper(fn) needs a function (y_true, y_pred) -> values, got 'mse'."),
    (lambda: metrics.Mean(name="m").stateless_result([1.0]), ArgumentError,
        "metric 'm' needs 2 values, one for each of ['total', 'count'], got 1."),
    (lambda: metrics.sparse_categorical_accuracy(ZEROS((5, 3)), ZEROS((5, 3))), ShapeError,
     "sparse_categorical_accuracy needs class ids of shape (5,), that of y_pred without its class axis, got y_true (5, 3) and y_pred (5, 3).\n"
     "  fix: these look like one-hot rows: use categorical_accuracy, or pass y_true.argmax(-1)"),
    (lambda: metrics.get("binary_acuracy"), LookupFailed,
     "metric needs a name known in nyala.metrics, got 'binary_acuracy'.\n"
     "  fix: did you mean 'binary_accuracy' or 'BinaryAccuracy' or 'binary_crossentropy'?"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "text"), ERRORS)
def test_errors_teach(call, kind, text):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == text


def test_a_refused_batch_changes_nothing():
    metric = metrics.Precision()
    metric.update_state(np.ones(3), np.ones(3))
    with pytest.raises(ShapeError):
        metric.update_state(np.ones((3, 2)), np.ones((3, 5)))
    assert host(metric.true_positives).tolist() == [3.0]
