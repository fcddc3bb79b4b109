# SPDX-License-Identifier: Apache-2.0
"""Asks Keras about losses: classes with every reduction and weight shape, functions, gradients. Start at CASES."""

import jax
import jax.numpy as jnp
import keras
import numpy as np

from tests.golden.store import Store, build, generator, new
from tests.golden.tools import config_of


def normal(*shape):
    return lambda random: random.normal(size=shape).astype("float32")


def uniform(*shape):
    return lambda random: random.uniform(0.05, 0.95, size=shape).astype("float32")


def positive(*shape):
    return lambda random: random.uniform(0.2, 3.0, size=shape).astype("float32")


def bits(*shape):
    return lambda random: random.integers(0, 2, size=shape).astype("float32")


def signs(*shape):
    return lambda random: (2 * random.integers(0, 2, size=shape) - 1).astype("float32")


def classes(high, *shape):
    return lambda random: random.integers(0, high, size=shape).astype("int32")


def simplex(*shape):
    def draw(random):
        return (lambda p: p / p.sum(-1, keepdims=True))(random.uniform(0.1, 1.0, size=shape)).astype("float32")

    return draw


def one_hot(*shape):
    return lambda random: np.eye(shape[-1], dtype="float32")[random.integers(0, shape[-1], size=shape[:-1])]


def moved(draw):
    """The last axis of a draw moved to place 1."""
    return lambda random: np.moveaxis(draw(random), -1, 1)


CASES = {}


def case(name, function, label, arguments, y_true, y_pred):
    CASES[f"{name}/{label}"] = (name, function, arguments, y_true, y_pred)


for name, function in [
    ("MeanSquaredError", "mean_squared_error"),
    ("MeanAbsoluteError", "mean_absolute_error"),
    ("MeanAbsolutePercentageError", "mean_absolute_percentage_error"),
    ("Huber", "huber"),
    ("LogCosh", "log_cosh"),
    ("CosineSimilarity", "cosine_similarity"),
]:
    case(name, function, "rank_2", {}, normal(5, 3), normal(5, 3))
    case(name, function, "rank_3", {}, normal(2, 5, 3), normal(2, 5, 3))
for name, function in [("MeanSquaredError", "mean_squared_error"), ("MeanAbsoluteError", "mean_absolute_error")]:
    case(name, function, "squeeze_target", {}, normal(5), normal(5, 1))
    case(name, function, "squeeze_prediction", {}, normal(5, 1), normal(5))
    case(name, function, "integer_target", {}, classes(5, 7, 3), normal(7, 3))
    case(name, function, "rank_1", {}, normal(5), normal(5))
case("MeanSquaredLogarithmicError", "mean_squared_logarithmic_error", "rank_2", {}, positive(5, 3), positive(5, 3))
case("MeanSquaredLogarithmicError", "mean_squared_logarithmic_error", "negative", {}, normal(5, 3), normal(5, 3))
case("Huber", "huber", "delta", {"delta": 0.3}, normal(5, 3), normal(5, 3))
case("CosineSimilarity", "cosine_similarity", "axis_1", {"axis": 1}, normal(2, 5, 3), normal(2, 5, 3))
for name, function in [("Hinge", "hinge"), ("SquaredHinge", "squared_hinge")]:
    case(name, function, "signs", {}, signs(5, 3), normal(5, 3))
    case(name, function, "bits", {}, bits(5, 3), normal(5, 3))
case("CategoricalHinge", "categorical_hinge", "rank_2", {}, one_hot(5, 3), normal(5, 3))
case("CategoricalHinge", "categorical_hinge", "rank_3", {}, one_hot(2, 5, 3), normal(2, 5, 3))
case("KLDivergence", "kl_divergence", "rank_2", {}, simplex(5, 3), simplex(5, 3))
case("KLDivergence", "kl_divergence", "zeros", {}, one_hot(5, 3), one_hot(5, 3))
case("Poisson", "poisson", "rank_2", {}, positive(5, 3), positive(5, 3))
case("Poisson", "poisson", "counts", {}, classes(7, 5, 3), positive(5, 3))
for label, arguments in {"plain": {}, "smooth": {"label_smoothing": 0.2}, "axis_1": {"axis": 1}}.items():
    case("BinaryCrossentropy", "binary_crossentropy", label, arguments, bits(5, 3), uniform(5, 3))
    case("BinaryCrossentropy", "binary_crossentropy", label + "_logits", arguments | {"from_logits": True}, bits(5, 3), normal(5, 3))
case("BinaryCrossentropy", "binary_crossentropy", "edges", {}, bits(7, 5), bits(7, 5))
case("BinaryCrossentropy", "binary_crossentropy", "soft_target", {}, uniform(5, 3), uniform(5, 3))
case(
    "BinaryCrossentropy",
    "binary_crossentropy",
    "far_logits",
    {"from_logits": True},
    bits(5, 3),
    lambda random: (100 * random.normal(size=(5, 3))).astype("float32"),
)
case("BinaryCrossentropy", "binary_crossentropy", "squeeze_target", {}, bits(5), uniform(5, 1))
for label, arguments in {
    "plain": {},
    "balanced": {"apply_class_balancing": True, "alpha": 0.3},
    "gamma": {"gamma": 3.0},
    "smooth": {"label_smoothing": 0.2},
}.items():
    case("BinaryFocalCrossentropy", "binary_focal_crossentropy", label, arguments, bits(5, 3), uniform(5, 3))
    case("BinaryFocalCrossentropy", "binary_focal_crossentropy", label + "_logits", arguments | {"from_logits": True}, bits(5, 3), normal(5, 3))
for name, function, rows in [
    ("CategoricalCrossentropy", "categorical_crossentropy", {"plain": {}, "smooth": {"label_smoothing": 0.2}}),
    (
        "CategoricalFocalCrossentropy",
        "categorical_focal_crossentropy",
        {"plain": {}, "smooth": {"label_smoothing": 0.2}, "alpha_gamma": {"alpha": 0.4, "gamma": 1.5}, "alphas": {"alpha": [0.1, 0.4, 0.7]}},
    ),
]:
    for label, arguments in rows.items():
        case(name, function, label, arguments, one_hot(5, 3), simplex(5, 3))
        case(name, function, label + "_logits", arguments | {"from_logits": True}, one_hot(5, 3), normal(5, 3))
    case(name, function, "rank_3", {}, one_hot(2, 5, 3), simplex(2, 5, 3))
    case(name, function, "axis_1_logits", {"axis": 1, "from_logits": True}, moved(one_hot(2, 5, 3)), normal(2, 3, 5))
case("CategoricalCrossentropy", "categorical_crossentropy", "edges", {}, one_hot(7, 3), one_hot(7, 3))
case("CategoricalCrossentropy", "categorical_crossentropy", "unnormalized", {}, one_hot(5, 3), positive(5, 3))
case("CategoricalCrossentropy", "categorical_crossentropy", "soft_target", {}, simplex(5, 3), simplex(5, 3))
case("CategoricalCrossentropy", "categorical_crossentropy", "axis_1", {"axis": 1}, moved(one_hot(2, 5, 3)), moved(simplex(2, 5, 3)))
NAME = ("SparseCategoricalCrossentropy", "sparse_categorical_crossentropy")
case(*NAME, "plain", {}, classes(3, 5), simplex(5, 3))
case(*NAME, "logits", {"from_logits": True}, classes(3, 5), normal(5, 3))
case(*NAME, "column", {}, classes(3, 5, 1), simplex(5, 3))
case(*NAME, "rank_3", {}, classes(3, 2, 5), simplex(2, 5, 3))
case(*NAME, "rank_3_logits_ignore", {"from_logits": True, "ignore_class": 1}, classes(3, 2, 5), normal(2, 5, 3))
case(*NAME, "ignore", {"ignore_class": 0}, classes(3, 7), simplex(7, 3))
case(*NAME, "ignore_minus_1", {"ignore_class": -1}, lambda random: random.integers(-1, 3, size=7).astype("int32"), simplex(7, 3))
case(*NAME, "edges", {}, classes(3, 7), one_hot(7, 3))
case(*NAME, "float_target", {}, lambda random: random.integers(0, 3, size=7).astype("float32"), simplex(7, 3))
case("CategoricalGeneralizedCrossEntropy", "categorical_generalized_cross_entropy", "plain", {"q": 0.5}, classes(3, 5), simplex(5, 3))
case("CategoricalGeneralizedCrossEntropy", "categorical_generalized_cross_entropy", "q", {"q": 0.7}, classes(3, 5), simplex(5, 3))
case("Dice", "dice", "plain", {}, bits(2, 5, 3, 1), uniform(2, 5, 3, 1))
case("Dice", "dice", "axes", {"axis": [1, 2, 3]}, bits(2, 5, 3, 1), uniform(2, 5, 3, 1))
case("Tversky", "tversky", "plain", {}, bits(2, 5, 3, 1), uniform(2, 5, 3, 1))
case("Tversky", "tversky", "weights", {"alpha": 0.3, "beta": 0.8}, bits(2, 5, 3, 1), uniform(2, 5, 3, 1))
case("Tversky", "tversky", "axes", {"axis": [1, 2, 3]}, bits(2, 5, 3, 1), uniform(2, 5, 3, 1))
case("Circle", "circle", "plain", {}, lambda random: np.array([0, 1, 0, 2, 1, 2, 0], "int32"), lambda random: unit(random.normal(size=(7, 3))))
case(
    "Circle",
    "circle",
    "soft",
    {"gamma": 2.0, "margin": 0.2},
    lambda random: np.array([0, 1, 0, 2, 1, 2, 0], "int32"),
    lambda random: unit(random.normal(size=(7, 3))),
)
case("CTC", "ctc", "plain", {}, lambda random: np.array([[1, 2, 1], [3, 3, 0], [2, 0, 0]], "int32"), normal(3, 11, 5))


def unit(x):
    return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype("float32")


def make():
    store = Store("losses")
    for label, (name, function_name, arguments, y_true, y_pred) in CASES.items():
        random = generator(label)
        keras.utils.clear_session()
        y_true, y_pred = y_true(random), y_pred(random)
        plain = build(keras, new(f"losses.{name}", reduction=None, **arguments))
        shape = np.shape(plain(y_true, y_pred))
        weights = {"none": None, "scalar": np.float32(0.7)}
        if len(shape) == 1:
            weights["batch"] = random.uniform(0.1, 2.0, size=shape).astype("float32")
            weights["some_zero"] = (np.arange(shape[0]) % 2).astype("float32")
        if shape:
            weights["column"] = random.uniform(0.1, 2.0, size=(shape[0], 1)).astype("float32")
            weights["full"] = random.uniform(0.1, 2.0, size=shape).astype("float32")
        values, gradients = {}, {}
        for reduction in ["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", None]:
            loss = build(keras, new(f"losses.{name}", reduction=reduction, **arguments))
            for kind, weight in weights.items():
                key = f"{reduction}/{kind}"
                try:
                    values[key] = np.asarray(loss(y_true, y_pred, weight))
                except Exception as error:
                    print(label, key, type(error).__name__, str(error)[:100])
                    continue
                if reduction is not None and kind in ("none", "batch", "full"):
                    gradients[key] = np.asarray(jax.grad(lambda p, t=y_true, q=loss, w=weight: jnp.sum(q(t, p, w)))(jnp.asarray(y_pred)))
        try:
            function_value = np.asarray(getattr(keras.losses, function_name)(y_true, y_pred, **arguments))
        except ValueError as error:  # some functions leave the squeezing of ranks to their class
            print(label, "function refuses:", str(error)[:100])
            function_value = None
        store.add(
            label,
            loss=name,
            function=function_name,
            arguments=arguments,
            y_true=y_true,
            y_pred=y_pred,
            weights=weights,
            values=values,
            gradients=gradients,
            function_value=function_value,
            config=config_of(build(keras, new(f"losses.{name}", **arguments))),
        )
    return store
