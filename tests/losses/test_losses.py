# SPDX-License-Identifier: Apache-2.0
"""Losses against formulas in float64: values, gradients, reductions, weights, masks, shapes, names, configs, errors. Start at TABLE."""

import json
import zlib

import numpy as np
import pytest
from scipy import special

import nyala
from nyala import losses
from nyala.core.errors import ArgumentError, ArgumentTypeError, LookupFailed, ShapeError
from nyala.core.masks import get_mask, set_mask
from nyala.engines.spec import Spec, infer
from tests.ops.table import engines

EPSILON = 1e-7


@pytest.fixture(params=engines(), autouse=True)
def engine(request):
    with nyala.backend(request.param):
        yield request.param


def host(x):
    return np.asarray(nyala.ops.convert_to_numpy(x), "float64")


def simplex(g, *shape):
    x = g.uniform(0.1, 1.0, shape)
    return x / x.sum(-1, keepdims=True)


def one_hot(g, *shape):
    return np.eye(shape[-1])[g.integers(0, shape[-1], shape[:-1])]


def normal(g, *shape):
    return g.normal(size=shape)


def positive(g, *shape):
    return g.uniform(0.1, 3.0, shape)


def uniform(g, *shape):
    return g.uniform(0.02, 0.98, shape)


def bits(g, *shape):
    return g.integers(0, 2, shape).astype("float64")


def ids(classes):
    return lambda g, *shape: g.integers(0, classes, shape[:-1])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def normalized(y):
    return y / np.linalg.norm(y, axis=-1, keepdims=True)


def bce(y, p):
    p = np.clip(p, EPSILON, 1 - EPSILON)
    return -(y * np.log(p) + (1 - y) * np.log(1 - p))


def focal(y, p, alpha=None, gamma=2.0):
    right = y * p + (1 - y) * (1 - p)
    balance = 1.0 if alpha is None else y * alpha + (1 - y) * (1 - alpha)
    return (balance * (1 - right) ** gamma * bce(y, p)).mean(-1)


def shares(p):
    return p / p.sum(-1, keepdims=True)


def chosen(y, p):
    return np.take_along_axis(p, y[..., None], -1)[..., 0]


def signs(y):
    return 2 * y - 1


def circle_oracle(y, p, gamma, margin):
    s, result = p @ p.T, []
    for i in range(len(y)):
        same = [j for j in range(len(y)) if y[j] == y[i] and j != i]
        other = [j for j in range(len(y)) if y[j] != y[i]]
        plus = [gamma * max(1 + margin - s[i, j], 0) * (1 - margin - s[i, j]) for j in same]
        minus = [gamma * max(s[i, j] + margin, 0) * (s[i, j] - margin) for j in other]
        result.append(np.logaddexp(0, special.logsumexp(plus) + special.logsumexp(minus)) if same and other else 0.0)
    return np.array(result)


def ctc_oracle(y, p):
    """Probabilities of all alignments added up one by one."""
    logs, result = special.log_softmax(p, -1), []
    for label, sample in zip(y, logs, strict=True):
        wanted, total = [int(n) for n in label if n], []
        for path in np.ndindex(*(p.shape[-1] for _ in sample)):
            spelled = [n for i, n in enumerate(path) if n and (i == 0 or path[i - 1] != n)]
            if spelled == wanted:
                total.append(sum(sample[t, n] for t, n in enumerate(path)))
        result.append(-special.logsumexp(total))
    return np.array(result)


# label: (function, oracle of float64 arrays, targets, predictions, shape, options)
TABLE = {
    "mse": ("mean_squared_error", lambda y, p: ((y - p) ** 2).mean(-1), normal, normal, (5, 2, 3), {}),
    "mae": ("mean_absolute_error", lambda y, p: abs(y - p).mean(-1), normal, normal, (5, 3), {}),
    "mape": ("mean_absolute_percentage_error", lambda y, p: 100 * (abs(y - p) / abs(y)).mean(-1), positive, normal, (5, 3), {}),
    "msle": ("mean_squared_logarithmic_error", lambda y, p: ((np.log1p(y) - np.log1p(p)) ** 2).mean(-1), positive, positive, (5, 3), {}),
    "huber": ("huber", lambda y, p, delta: special.huber(delta, y - p).mean(-1), normal, normal, (7, 5), {"delta": 0.7}),
    "log_cosh": ("log_cosh", lambda y, p: np.log(np.cosh(y - p)).mean(-1), normal, normal, (5, 3), {}),
    "cosine": ("cosine_similarity", lambda y, p: -(normalized(y) * normalized(p)).sum(-1), normal, normal, (5, 3), {}),
    "cosine_axis": ("cosine_similarity", lambda y, p, axis: -(y * p).sum(1) / np.sqrt((y * y).sum(1) * (p * p).sum(1)),
        normal, normal, (5, 2, 3), {"axis": 1}),
    "bce": ("binary_crossentropy", lambda y, p: bce(y, p).mean(-1), bits, uniform, (5, 3), {}),
    "bce_logits": ("binary_crossentropy", lambda y, p, from_logits: bce(y, sigmoid(p)).mean(-1), bits, normal, (5, 3),
        {"from_logits": True}),
    "bce_smooth": ("binary_crossentropy", lambda y, p, label_smoothing: bce(y * 0.8 + 0.1, p).mean(-1), bits, uniform, (5, 3),
        {"label_smoothing": 0.2}),
    "bce_axis": ("binary_crossentropy", lambda y, p, axis: bce(y, p).mean(1), bits, uniform, (5, 2, 3), {"axis": 1}),
    "focal": ("binary_focal_crossentropy", focal, bits, uniform, (5, 3), {"gamma": 1.7}),
    "focal_logits": ("binary_focal_crossentropy", lambda y, p, from_logits: focal(y, sigmoid(p)), bits, normal, (5, 3),
        {"from_logits": True}),
    "focal_balanced": (
        "binary_focal_crossentropy", lambda y, p, apply_class_balancing, alpha: focal(y, p, alpha), bits, uniform, (5, 3),
        {"apply_class_balancing": True, "alpha": 0.3}),
    "cce": ("categorical_crossentropy", lambda y, p: -(y * np.log(shares(p))).sum(-1), one_hot, simplex, (5, 3), {}),
    "cce_unnormalized": ("categorical_crossentropy", lambda y, p: -(y * np.log(shares(p))).sum(-1), one_hot, positive, (5, 3), {}),
    "cce_logits": ("categorical_crossentropy", lambda y, p, from_logits: -(y * special.log_softmax(p, -1)).sum(-1),
        simplex, normal, (5, 2, 3), {"from_logits": True}),
    "cce_smooth": (
        "categorical_crossentropy", lambda y, p, label_smoothing: -((y * 0.7 + 0.1) * np.log(shares(p))).sum(-1),
        one_hot, simplex, (5, 3), {"label_smoothing": 0.3}),
    "categorical_focal": (
        "categorical_focal_crossentropy",
        lambda y, p, alpha, gamma: -(alpha * (1 - shares(p)) ** gamma * y * np.log(shares(p))).sum(-1), one_hot, simplex, (5, 3),
        {"alpha": [0.2, 0.3, 0.7], "gamma": 1.5}),
    "scce": ("sparse_categorical_crossentropy", lambda y, p: -np.log(chosen(y, shares(p))), ids(3), simplex, (5, 2, 3), {}),
    "scce_logits": ("sparse_categorical_crossentropy", lambda y, p, from_logits: -chosen(y, special.log_softmax(p, -1)), ids(3),
        normal, (5, 3), {"from_logits": True}),
    "scce_ignore": (
        "sparse_categorical_crossentropy", lambda y, p, ignore_class: np.where(y == ignore_class, 0, -np.log(chosen(y, shares(p)))),
        ids(3), simplex, (7, 3), {"ignore_class": 1}),
    "gce": ("categorical_generalized_cross_entropy", lambda y, p, q: (1 - chosen(y, p) ** q) / q, ids(3), simplex, (5, 3), {"q": 0.7}),
    "kld": ("kl_divergence", lambda y, p: special.rel_entr(y, p).sum(-1), simplex, simplex, (5, 3), {}),
    "poisson": ("poisson", lambda y, p: (p - y * np.log(p + EPSILON)).mean(-1), positive, positive, (5, 3), {}),
    "hinge": ("hinge", lambda y, p: np.maximum(1 - signs(y) * p, 0).mean(-1), bits, normal, (5, 3), {}),
    "hinge_signs": ("hinge", lambda y, p: np.maximum(1 - y * p, 0).mean(-1), lambda g, *s: signs(bits(g, *s)), normal, (5, 3), {}),
    "squared_hinge": ("squared_hinge", lambda y, p: (np.maximum(1 - signs(y) * p, 0) ** 2).mean(-1), bits, normal, (5, 3), {}),
    "categorical_hinge": (
        "categorical_hinge", lambda y, p: np.maximum(1 + np.max((1 - y) * p, -1) - (y * p).sum(-1), 0), one_hot, normal, (5, 3), {}),
    "dice": ("dice", lambda y, p: 1 - 2 * (y * p).sum() / (y.sum() + p.sum()), bits, uniform, (2, 5, 3), {}),
    "dice_axis": ("dice", lambda y, p, axis: 1 - 2 * (y * p).sum(axis) / (y.sum(axis) + p.sum(axis)), bits, uniform, (2, 5, 3),
        {"axis": (1, 2)}),
    "tversky": (
        "tversky", lambda y, p, alpha, beta: 1 - (y * p).sum() / ((y * p).sum() + alpha * (y * (1 - p)).sum() + beta * ((1 - y) * p).sum()),
        bits, uniform, (5, 3),
        {"alpha": 0.3, "beta": 0.8}),
    "circle": ("circle", circle_oracle, lambda g, *s: np.array([0, 1, 0, 2, 1]), lambda g, *s: normalized(normal(g, *s)), (5, 3),
        {"gamma": 2.0, "margin": 0.2}),
    "ctc": ("ctc", ctc_oracle, lambda g, *s: np.array([[1, 1], [2, 0], [2, 1]]), normal, (3, 5, 3), {}),
}  # fmt: skip


def inputs(label):
    function, oracle, target, prediction, shape, options = TABLE[label]
    g = np.random.default_rng(zlib.crc32(label.encode()))
    return function, oracle, target(g, *shape), prediction(g, *shape), options


def as32(x):
    return x.astype("float32" if x.dtype.kind == "f" else "int32")


@pytest.mark.parametrize("label", TABLE)
def test_values(label):
    name, oracle, y, p, options = inputs(label)
    result = getattr(losses, name)(as32(y), as32(p), **options)
    np.testing.assert_allclose(host(result), oracle(y, p, **options), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("label", TABLE)
def test_gradients(label, engine):
    name, oracle, y, p, options = inputs(label)
    variable = nyala.Variable(as32(p))
    try:
        gradient = nyala.grad(lambda: nyala.ops.sum(getattr(losses, name)(as32(y), variable, **options)), [variable])()[0]
    except NotImplementedError:
        pytest.skip("no gradients on this engine")
    expected, step = np.zeros_like(p), 1e-6
    for at in np.ndindex(p.shape):
        plus, minus = p.copy(), p.copy()
        plus[at] += step
        minus[at] -= step
        expected[at] = (oracle(y, plus, **options).sum() - oracle(y, minus, **options).sum()) / (2 * step)
    np.testing.assert_allclose(host(gradient), expected, rtol=2e-4, atol=2e-5 * max(1.0, abs(expected).max()))


@pytest.mark.parametrize("label", TABLE)
def test_shapes_are_inferred(label, engine):
    name, _, y, p, options = inputs(label)
    function = getattr(losses, name)
    real = function(as32(y), as32(p), **options)
    spec = infer(lambda y, p: function(y, p, **options), Spec(y.shape, str(as32(y).dtype)), Spec(p.shape, "float32"))
    assert (tuple(spec.shape), spec.dtype) == (tuple(real.shape), "float32")


# Reductions, weights, masks -------------------------------------------------------------------------------------------------------------------


def squared(g):
    y, p = g.normal(size=(5, 3)), g.normal(size=(5, 3))
    return y, p, ((y - p) ** 2).mean(-1)


WEIGHT = np.array([0.5, 2.0, 0.0, 3.0, 1.5])
MASK = np.array([True, False, True, True, False])


@pytest.mark.parametrize(
    ("reduction", "weight", "mask", "oracle"),
    [
        ("sum", None, None, lambda v: v.sum()),
        ("sum", WEIGHT, None, lambda v: (v * WEIGHT).sum()),
        ("sum", WEIGHT, MASK, lambda v: (v * WEIGHT * MASK).sum()),
        ("sum_over_batch_size", None, None, lambda v: v.mean()),
        ("sum_over_batch_size", 2.0, None, lambda v: 2 * v.mean()),
        ("sum_over_batch_size", WEIGHT, None, lambda v: (v * WEIGHT).sum() / 5),
        ("sum_over_batch_size", None, MASK, lambda v: v[MASK].mean()),
        ("sum_over_batch_size", WEIGHT, MASK, lambda v: (v * WEIGHT)[MASK].sum() / 3),
        ("mean", WEIGHT, None, lambda v: (v * WEIGHT).mean()),
        ("mean_with_sample_weight", None, None, lambda v: v.mean()),
        ("mean_with_sample_weight", WEIGHT, None, lambda v: np.average(v, weights=WEIGHT)),
        ("mean_with_sample_weight", WEIGHT, MASK, lambda v: np.average(v, weights=WEIGHT * MASK)),
        ("none", None, None, lambda v: v),
        (None, WEIGHT, None, lambda v: v * WEIGHT),
        (None, WEIGHT, MASK, lambda v: v * WEIGHT * MASK),
        (None, WEIGHT[:, None], None, lambda v: (v * WEIGHT)[:, None]),
        ("mean", None, np.zeros(5, bool), lambda v: 0.0),
        ("mean_with_sample_weight", np.zeros(5), None, lambda v: 0.0),
    ],
)
def test_reductions(reduction, weight, mask, oracle):
    y, p, values = squared(np.random.default_rng(7))
    prediction = nyala.ops.convert_to_tensor(as32(p))
    set_mask(prediction, None if mask is None else nyala.ops.convert_to_tensor(mask))
    result = losses.MeanSquaredError(reduction=reduction)(as32(y), prediction, weight)
    np.testing.assert_allclose(host(result), oracle(values), rtol=1e-5, atol=1e-6)
    assert host(result).shape == np.shape(oracle(values))


@pytest.mark.parametrize("shape", [(2,), (2, 1), (2, 5), (2, 5, 1), ()])
def test_weights_belong_to_the_first_axes(shape):
    g = np.random.default_rng(3)
    y, p, weight = g.normal(size=(2, 5, 3)), g.normal(size=(2, 5, 3)), np.asarray(g.uniform(0.5, 2.0, shape))
    values = ((y - p) ** 2).mean(-1)
    whole = weight.reshape(weight.shape[:2] + (1,) * (2 - min(len(shape), 2)))
    result = losses.MeanSquaredError(reduction=None)(as32(y), as32(p), as32(weight))
    np.testing.assert_allclose(host(result), values * whole, rtol=1e-5)


def test_weights_of_a_square_of_losses_are_per_sample():
    g = np.random.default_rng(3)
    y, p, weight = g.normal(size=(3, 3, 2)), g.normal(size=(3, 3, 2)), np.array([1.0, 2.0, 5.0])
    result = losses.MeanAbsoluteError(reduction=None)(as32(y), as32(p), weight)
    np.testing.assert_allclose(host(result), abs(y - p).mean(-1) * weight[:, None], rtol=1e-5)


@pytest.mark.parametrize("steps", [3, 5])
@pytest.mark.parametrize("shape", [(3, 1), (1, 1), (1,)])
def test_a_weight_of_size_one_counts_for_its_whole_axis(steps, shape):
    g = np.random.default_rng(3)
    y, p, weight = g.normal(size=(3, steps, 7, 2)), g.normal(size=(3, steps, 7, 2)), g.uniform(0.5, 2.0, shape)
    result = losses.MeanAbsoluteError(reduction=None)(as32(y), as32(p), weight)
    np.testing.assert_allclose(host(result), abs(y - p).mean(-1) * weight.reshape(-1, 1, 1), rtol=1e-5)


def test_weighting_twice_is_repeating():
    y, p, _ = squared(np.random.default_rng(8))
    loss = losses.MeanSquaredError(reduction="sum")
    twice = loss(as32(np.concatenate([y, y[:2]])), as32(np.concatenate([p, p[:2]])))
    assert float(loss(as32(y), as32(p), np.array([2.0, 2.0, 1.0, 1.0, 1.0]))) == pytest.approx(float(twice), rel=1e-5)


def test_steps_keep_their_mask_where_the_prediction_has_a_last_axis_of_one():
    g = np.random.default_rng(5)
    y, p = g.normal(size=(2, 5)), g.normal(size=(2, 5, 1))
    mask = np.array([[1, 1, 0, 1, 0], [1, 0, 0, 0, 0]], bool)
    prediction = nyala.ops.convert_to_tensor(as32(p))
    set_mask(prediction, nyala.ops.convert_to_tensor(mask))
    assert float(losses.MeanSquaredError()(as32(y), prediction)) == pytest.approx(((y - p[..., 0]) ** 2)[mask].mean(), rel=1e-5)


def test_masked_nan_does_not_count():
    prediction = nyala.ops.convert_to_tensor(np.array([[1.0], [np.nan]], "float32"))
    set_mask(prediction, nyala.ops.convert_to_tensor(np.array([True, False])))
    assert float(losses.MeanSquaredError()(np.zeros((2, 1), "float32"), prediction)) == 1.0


def test_ignored_classes_are_left_out_of_means():
    y, p = np.array([0, 1, 2, 1, 0]), simplex(np.random.default_rng(2), 5, 3)
    kept = y != 1
    loss = losses.SparseCategoricalCrossentropy(ignore_class=1)
    assert float(loss(y, as32(p))) == pytest.approx(-np.log(chosen(y, p))[kept].mean(), rel=1e-5)
    assert host(get_mask(losses.sparse_categorical_crossentropy(y, as32(p), ignore_class=1))).tolist() == kept.astype(float).tolist()
    assert float(loss(np.full(5, 1), as32(p))) == 0.0


def test_circle_leaves_out_samples_without_partner():
    p = normalized(normal(np.random.default_rng(2), 4, 3))
    y = np.array([0, 0, 1, 2])
    expected = circle_oracle(y, p, 80.0, 0.4)
    assert expected[2:].tolist() == [0.0, 0.0]
    assert float(losses.Circle()(y, as32(p))) == pytest.approx(expected[:2].mean(), rel=1e-4)


def test_circle_of_embeddings_of_any_length():
    p, y = normal(np.random.default_rng(3), 5, 3) * 2.0, np.array([0, 1, 0, 1, 1])
    assert (p @ p.T).min() < -1.4
    s = np.minimum(p @ p.T, 1.0)
    plus, minus = 80 * (1.4 - s) * (0.6 - s), 80 * np.maximum(s + 0.4, 0) * (s - 0.4)
    same, other = (y[:, None] == y) & ~np.eye(5, dtype=bool), y[:, None] != y
    sums = [special.logsumexp(plus[i][same[i]]) + special.logsumexp(minus[i][other[i]]) for i in range(5)]
    np.testing.assert_allclose(host(losses.Circle(reduction=None)(y, as32(p))), np.logaddexp(0, sums), rtol=1e-4)


# Edges ------------------------------------------------------------------------------------------------------------------------------------------


def test_probabilities_of_zero_and_one_stay_finite():
    y, p = np.eye(3, dtype="float32"), np.eye(3, dtype="float32")[[1, 1, 0]]
    crossentropies = [f"{kind}{focal}_crossentropy" for kind in ("binary", "categorical") for focal in ("", "_focal")]
    for name in (*crossentropies, "kl_divergence", "poisson"):
        assert np.isfinite(host(getattr(losses, name)(y, p))).all(), name
    assert host(losses.categorical_crossentropy(y, p))[0] == pytest.approx(-np.log(EPSILON), rel=1e-4)
    assert host(losses.binary_crossentropy(y[:1, :1], p[:1, :1]))[0] == pytest.approx(-np.log(EPSILON), rel=1e-2)


@pytest.mark.parametrize("logit", [-1e4, 0.0, 1e4])
def test_logits_of_any_size_stay_finite(logit):
    y, p = np.array([[0.0, 1.0]], "float32"), np.array([[logit, -logit]], "float32")
    assert host(losses.binary_crossentropy(y, p, from_logits=True))[0] == pytest.approx(np.logaddexp(0, logit))
    assert host(losses.categorical_crossentropy(y, p, from_logits=True))[0] == pytest.approx(np.logaddexp(0, 2 * logit))
    assert np.isfinite(host(losses.log_cosh(y, p))).all()


def test_zero_vectors_have_no_angle():
    assert host(losses.cosine_similarity(np.zeros((1, 3)), np.ones((1, 3)))).tolist() == [0.0]


@pytest.mark.parametrize(("target", "prediction"), [((5,), (5, 1)), ((5, 1), (5,)), ((5, 3), (5, 3, 1)), ((5, 3, 1), (5, 3))])
def test_a_last_axis_of_one_does_not_broadcast(target, prediction):
    g = np.random.default_rng(9)
    y, p = g.normal(size=target), g.normal(size=prediction)
    result = float(losses.MeanSquaredError()(as32(y), as32(p)))
    assert result == pytest.approx(((y.reshape(p.shape) - p) ** 2).mean(), rel=1e-5)


def test_dtypes():
    y, p = np.array([[1, 0]]), np.array([[0.5, 1.0]], "float16")
    assert nyala.ops.dtype(losses.mean_squared_error(y, p)) == "float16"
    assert nyala.ops.dtype(losses.mean_squared_error(y, y)) == "float32"
    assert nyala.ops.dtype(losses.MeanSquaredError()(y, p)) == "float32"
    assert nyala.ops.dtype(losses.MeanSquaredError(dtype="float16")(y, p.astype("float32"))) == "float16"


# Names and configs ------------------------------------------------------------------------------------------------------------------------------

CLASSES = [n for n in losses.__all__ if n[0].isupper() and n not in (*losses.ALIASES, "Loss", "LossFunctionWrapper")]
OPTIONS = {
    "Huber": {"delta": 0.3}, "CosineSimilarity": {"axis": 1}, "SparseCategoricalCrossentropy": {"axis": 1, "ignore_class": 2,
        "from_logits": True},
    "BinaryCrossentropy": {"label_smoothing": 0.1, "axis": 1}, "BinaryFocalCrossentropy": {"alpha": 0.4, "apply_class_balancing": True},
    "CategoricalFocalCrossentropy": {"alpha": [0.1, 0.2], "gamma": 3.0}, "Dice": {"axis": [1, 2]}, "Tversky": {"alpha": 0.1, "axis": [1]},
    "Circle": {"gamma": 2.0, "remove_diagonal": False}, "CategoricalGeneralizedCrossEntropy": {"q": 0.2},
        "CategoricalCrossentropy": {"from_logits": True},
}  # fmt: skip


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("changed", [False, True])
def test_configs_round_trip(name, changed):
    kind, options = getattr(losses, name), {"reduction": "sum", "name": "mine", **OPTIONS.get(name, {})} if changed else {}
    loss = kind(**options)
    config = json.loads(json.dumps(losses.serialize(loss)))
    again = losses.deserialize(config)
    assert config["module"] == "keras.losses"
    assert type(again) is kind
    assert again.get_config() == loss.get_config()
    assert {k: getattr(again, k) for k in options} == options
    assert again._fn_kwargs == loss._fn_kwargs
    assert losses.deserialize({"class_name": name, "config": config["config"]}).get_config() == loss.get_config()


def test_options_that_keras_forgets_are_kept_only_if_changed():
    assert set(losses.Huber().get_config()) == set(losses.CosineSimilarity().get_config()) == {"name", "reduction"}
    assert losses.Huber(delta=2.0).get_config() == {"name": "huber_loss", "reduction": "sum_over_batch_size", "delta": 2.0}
    assert losses.MeanSquaredError(dtype="float16").get_config()["dtype"] == "float16"


def test_names():
    assert losses.get(None) is None
    assert losses.get("mse") is losses.get("MSE") is losses.get("mean_squared_error") is losses.mse is losses.mean_squared_error
    for old, new in losses.ALIASES.items():
        assert losses.get(old) is getattr(losses, new)
    assert isinstance(losses.get("Huber"), losses.Huber)
    assert isinstance(losses.get(losses.Huber), losses.Huber)
    assert losses.get(test_names) is test_names
    assert losses.deserialize(losses.serialize(losses.huber)) is losses.huber
    assert losses.MeanSquaredError().name == "mean_squared_error"


def test_own_losses():
    class Scaled(losses.Loss):
        def __init__(self, factor=2.0, **kwargs):
            super().__init__(**kwargs)
            self.factor = factor

        def call(self, y_true, y_pred):
            return self.factor * nyala.ops.mean(nyala.ops.abs(y_true - y_pred), axis=-1)

    loss = Scaled(3.0, name="scaled", reduction="sum")
    assert float(loss([[0.0, 1.0]], [[2.0, 1.0]])) == 3.0
    assert loss.get_config() == {"name": "scaled", "reduction": "sum", "factor": 3.0}
    assert losses.deserialize(json.loads(json.dumps(losses.serialize(loss))), {"Scaled": Scaled}).factor == 3.0
    both = losses.LossFunctionWrapper(lambda y, p: nyala.ops.mean(y["a"] - p["a"], axis=-1))
    assert float(both({"a": np.ones((2, 3))}, {"a": np.zeros((2, 3))})) == 1.0


# Errors -----------------------------------------------------------------------------------------------------------------------------------------

ZEROS = np.zeros
ERRORS = [
    (lambda: losses.mean_squared_error(ZEROS((5, 3)), ZEROS((5, 2))), ShapeError,
     "mean_squared_error needs y_true and y_pred of one shape, got y_true (5, 3) and y_pred (5, 2).\n"
     "  fix: reshape y_true, or give the output layer as many units as there are targets"),
    (lambda: losses.mean_squared_error(ZEROS(5), ZEROS((5, 3, 1))), ShapeError,
     "mean_squared_error needs y_true and y_pred of one shape, got y_true (5,) and y_pred (5, 3, 1).\n"
     "  fix: reshape y_true, or give the output layer as many units as there are targets"),
    (lambda: losses.binary_crossentropy(ZEROS((5, 1)), ZEROS((5, 3))), ShapeError,
     "binary_crossentropy needs y_true and y_pred of one shape, got y_true (5, 1) and y_pred (5, 3).\n"
     "  fix: reshape y_true, or give the output layer as many units as there are targets"),
    (lambda: losses.categorical_crossentropy(ZEROS(5), ZEROS((5, 3))), ShapeError,
     "categorical_crossentropy needs y_true and y_pred of one shape, got y_true (5,) and y_pred (5, 3).\n"
     "  fix: for class ids use sparse_categorical_crossentropy, or make the targets one-hot with nyala.utils.to_categorical"),
    (lambda: losses.sparse_categorical_crossentropy(ZEROS((5, 3)), ZEROS((5, 3))), ShapeError,
     "sparse_categorical_crossentropy needs class ids of shape (5,), that of y_pred without its class axis, got y_true (5, 3) and y_pred (5, 3).\n"
     "  fix: these look like one-hot rows: use categorical_crossentropy, or pass y_true.argmax(-1)"),
    (lambda: losses.sparse_categorical_crossentropy(ZEROS(3), ZEROS((5, 3))), ShapeError,
     "sparse_categorical_crossentropy needs class ids of shape (5,), that of y_pred without its class axis, got y_true (3,) and y_pred (5, 3).\n"
     "  fix: pass one id for each row of y_pred"),
    (lambda: losses.MeanSquaredError()(ZEROS((5, 3)), ZEROS((5, 3)), np.ones(3)), ShapeError,
     "sample_weight needs the shape (5,) of the values it weights, or that of their first axes, got shape (3,).\n"
     "  fix: pass one number per sample, shape (5,), or one per value"),
    (lambda: losses.ctc(ZEROS(5), ZEROS((5, 3))), ShapeError,
     "ctc needs y_true of shape (batch, labels) and y_pred of shape (batch, time, classes), got (5,) and (5, 3)."),
    (lambda: losses.circle(ZEROS(5), ZEROS(5)), ShapeError, "circle needs embeddings of shape (batch, size), got shape (5,)."),
    (lambda: losses.MeanSquaredError(reduction="average"), ArgumentError,
     "Loss(reduction) needs one of 'sum', 'sum_over_batch_size', 'mean', 'mean_with_sample_weight', 'none', None, got 'average'."),
    (lambda: losses.Huber(delta=-1.0), ArgumentError, "Huber(delta) needs a number above 0, got -1.0."),
    (lambda: losses.CategoricalGeneralizedCrossEntropy(q=1.0), ArgumentError,
     "CategoricalGeneralizedCrossEntropy(q) needs a number strictly between 0 and 1, got 1.0."),
    (lambda: losses.LossFunctionWrapper("mse"), ArgumentTypeError,
        "LossFunctionWrapper(fn) needs a function (y_true, y_pred) -> losses, got 'mse'."),
    (lambda: losses.get("mean_square_error"), LookupFailed,
     "loss needs a name known in nyala.losses, got 'mean_square_error'.\n"
     "  fix: did you mean 'mean_squared_error' or 'MeanSquaredError' or 'mean_squared_logarithmic_error'?"),
    (lambda: losses.get(3), ArgumentError, "loss needs a name, a config, an object or a function, got 3."),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "text"), ERRORS)
def test_errors_teach(call, kind, text):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == text
