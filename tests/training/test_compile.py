# SPDX-License-Identifier: Apache-2.0
"""What compile understands: names, objects and functions, for one output and for several, and what the values are called afterwards."""

import numpy as np
import pytest

import nyala
from nyala import layers, losses, metrics, ops, optimizers
from tests.training.tools import IDS, X, Y, linear, numbers, two_outputs

Y2 = np.eye(2, dtype="float32")[IDS % 2]


def half_squares(y_true, y_pred):
    return ops.sum(ops.square(y_true - y_pred), axis=-1) / 2


def first_loss(model, y=Y, **kwargs):
    return model.fit(X, y, batch_size=11, verbose=0, shuffle=False, **kwargs).history["loss"][0]


def test_names_objects_and_functions_mean_the_same(eager):
    found = []
    for optimizer, loss in [
        ("sgd", "mse"),
        ("SGD", "mean_squared_error"),
        (optimizers.SGD(0.01), losses.MeanSquaredError()),
        (optimizers.SGD(), losses.mean_squared_error),
        ({"class_name": "SGD", "config": {"learning_rate": 0.01}}, "MeanSquaredError"),
        ("sgd", lambda a, b: 2 * half_squares(a, b)),
        (optimizers.SGD(0.01), [losses.MeanSquaredError()]),
        ("sgd", {"out": "mse"}),
    ]:
        model = linear()
        model.compile(optimizer, loss)
        found.append([first_loss(model), *model.get_weights()[0].ravel()])
    np.testing.assert_allclose(found, [found[0]] * len(found), rtol=1e-6)
    prediction = X @ linear().get_weights()[0] + linear().get_weights()[1]
    assert found[0][0] == pytest.approx(np.mean((prediction - Y) ** 2), rel=1e-5)


def test_the_third_position_is_metrics_as_in_keras_1_and_2(eager):
    model = linear()
    model.compile("sgd", "mse", ["mae"])
    assert list(model.fit(X, Y, verbose=0).history) == ["loss", "mae"]
    model.compile("sgd", "mse", [0.5])
    assert list(model.fit(X, Y, verbose=0).history) == ["loss"]


@pytest.mark.parametrize(
    "given",
    [
        ["mae"],
        ["MAE"],
        ["mean_absolute_error"],
        ["acc"],
        ["accuracy"],
        ["mae", "mse"],
        "mae",
        {"out": "mae"},
        {"out": ["mae", "mse"]},
        [["mae", "mse"]],
    ],
)
def test_a_metric_is_called_what_it_was_called(given, eager):
    model = linear()
    model.compile("sgd", "mse", metrics=given)
    history = model.fit(X, Y, validation_data=(X, Y), verbose=0).history
    names = np.ravel(next(iter(given.values())) if isinstance(given, dict) else given).tolist()
    assert list(history) == ["loss", *names, "val_loss", *(f"val_{name}" for name in names)]
    assert model.metrics_names == ["loss", *names]


def test_names_of_objects_functions_and_doubles(eager):
    model = linear()
    model.compile(
        "sgd", "mse", metrics=[metrics.MeanAbsoluteError(name="q"), half_squares, lambda y, p: y - p, "mae", "mae"], weighted_metrics=["mae", "mse"]
    )
    assert list(model.fit(X, Y, verbose=0).history) == ["loss", "q", "half_squares", "lambda", "mae", "mae_1", "weighted_mae", "mse"]


SIGMOID, LABELS = ("sigmoid", 1), (Y > 0).astype("float32")


@pytest.mark.parametrize(
    ("units", "activation", "loss", "y", "accuracy"),
    [
        (1, "sigmoid", "binary_crossentropy", LABELS, lambda p: np.mean((p > 0.5) == (LABELS > 0))),
        (1, "sigmoid", "binary_crossentropy", LABELS[:, 0], lambda p: np.mean((p > 0.5) == (LABELS > 0))),
        (5, "softmax", "sparse_categorical_crossentropy", IDS, lambda p: np.mean(p.argmax(-1) == IDS)),
        (5, "softmax", "sparse_categorical_crossentropy", IDS[:, None], lambda p: np.mean(p.argmax(-1) == IDS)),
        (5, "softmax", "categorical_crossentropy", np.eye(5)[IDS], lambda p: np.mean(p.argmax(-1) == IDS)),
    ],
)
def test_accuracy_and_crossentropy_by_shapes(units, activation, loss, y, accuracy, eager):
    model = linear(units, activation)
    prediction = model.predict(X)
    model.compile("sgd", loss, metrics=["accuracy", "acc", "crossentropy", "ce"])
    values = model.evaluate(X, y, batch_size=4, verbose=0, return_dict=True)
    assert list(values) == ["loss", "accuracy", "acc", "crossentropy", "ce"]
    assert values["accuracy"] == values["acc"] == pytest.approx(accuracy(prediction), abs=1e-6)
    assert values["crossentropy"] == values["ce"] == pytest.approx(values["loss"], rel=1e-5)


# arguments of compile -> names in the history, for the outputs a and b
SEVERAL = {
    "one loss": ({"loss": "mse"}, ["loss", "a_loss", "b_loss"]),
    "list": ({"loss": ["mse", "mae"], "metrics": [["mae"], ["mse", "mae"]]}, ["loss", "a_loss", "b_loss", "a_mae", "b_mse", "b_mae"]),
    "dict": ({"loss": {"b": "mae", "a": "mse"}, "metrics": {"b": ["acc"], "a": "mae"}}, ["loss", "a_loss", "b_loss", "a_mae", "b_acc"]),
    "one loss of two": ({"loss": {"b": "mse"}, "metrics": {"b": "mae"}}, ["loss", "b_mae"]),
    "none for one": ({"loss": ["mse", None]}, ["loss"]),
    "flat for all": ({"loss": "mse", "metrics": ["mae"]}, ["loss", "a_loss", "b_loss", "a_mae", "b_mae"]),
    "flat by position": ({"loss": "mse", "metrics": ["mae", "mse"]}, ["loss", "a_loss", "b_loss", "a_mae", "b_mse"]),
    "weighted": (
        {"loss": "mse", "metrics": ["mae", "mae"], "weighted_metrics": ["mae", "mse"]},
        ["loss", "a_loss", "b_loss", "a_mae", "b_mae", "a_weighted_mae", "b_mse"],
    ),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_several_outputs(name, eager):
    arguments, names = SEVERAL[name]
    model = two_outputs()
    model.compile("sgd", **arguments)
    assert list(model.fit(X, [Y, Y2], verbose=0).history) == names
    values = model.evaluate(X, {"a": Y, "b": Y2}, verbose=0)
    if len(names) == 1:
        assert isinstance(values, float)
    else:
        assert len(values) == len(names)


def test_values_of_several_outputs(each_engine):
    model = two_outputs()
    a, b = model.predict(X)
    model.compile("sgd", ["mse", "mae"], loss_weights=[0.3, 0.7], metrics=[["mae"], ["mse"]])
    weights = [numbers(11, seed=7) ** 2, numbers(11, seed=8) ** 2]
    got = model.evaluate(X, [Y, Y2], batch_size=4, sample_weight=weights, verbose=0, return_dict=True)
    batches = [slice(0, 4), slice(4, 8), slice(8, 11)]
    a_loss = sum(np.sum(np.mean((a - Y) ** 2, -1)[s] * weights[0][s]) for s in batches) / 11
    b_loss = sum(np.sum(np.mean(np.abs(b - Y2), -1)[s] * weights[1][s]) for s in batches) / 11
    want = {"loss": 0.3 * a_loss + 0.7 * b_loss, "a_loss": a_loss, "b_loss": b_loss, "a_mae": np.mean(np.abs(a - Y)), "b_mse": np.mean((b - Y2) ** 2)}
    assert list(got) == list(want)
    np.testing.assert_allclose([*got.values()], [*want.values()], rtol=2e-5)
    model.compile("sgd", {"a": "mse", "b": "mae"}, loss_weights={"b": 0.7, "a": 0.3})
    assert model.evaluate(X, [Y, Y2], sample_weight=weights, verbose=0)[0] == pytest.approx(want["loss"], rel=2e-5)


def test_outputs_in_a_dict(eager):
    x = nyala.Input((3,))
    model = nyala.Model(x, {"q": layers.Dense(1)(x), "p": layers.Dense(2)(x)})
    model.compile("sgd", {"p": "mse", "q": "mae"}, metrics={"q": ["mse"]})
    history = model.fit(X, {"p": Y2, "q": Y}, verbose=0).history
    assert sorted(history) == ["loss", "p_loss", "q_loss", "q_mse"]
    assert {k: v.shape for k, v in model.predict(X).items()} == {"q": (11, 1), "p": (11, 2)}


def test_weighted_metrics_see_the_weights(eager):
    model = linear()
    model.compile("sgd", "mse", metrics=["mae"], weighted_metrics=["mse"])
    weights = np.abs(numbers(11, seed=9))
    errors = (model.predict(X) - Y)[:, 0]
    got = model.evaluate(X, Y, batch_size=4, sample_weight=weights, verbose=0)
    want = [np.mean(errors**2 * weights), np.mean(np.abs(errors)), np.sum(errors**2 * weights) / weights.sum()]
    np.testing.assert_allclose(got, want, rtol=2e-5)


def test_one_metric_object_for_two_outputs_counts_for_each(eager):
    model, shared = two_outputs(), metrics.MeanAbsoluteError(name="mae")
    model.compile("sgd", "mse", metrics=[[shared], [shared]])
    got = model.evaluate(X, [Y, Y2], verbose=0, return_dict=True)
    a, b = model.predict(X)
    np.testing.assert_allclose([got["a_mae"], got["b_mae"]], [np.mean(np.abs(a - Y)), np.mean(np.abs(b - Y2))], rtol=2e-5)


def test_compile_config_makes_the_same_again(eager):
    model = linear()
    model.compile(optimizers.Adam(0.003), "mse", metrics=["mae"], steps_per_execution=2)
    config = model.get_compile_config()
    other = linear()
    other.compile_from_config(config)
    assert other.optimizer.get_config()["learning_rate"] == pytest.approx(0.003)
    assert (other.steps_per_execution, other.metrics_names[0]) == (2, "loss")
    assert other.fit(X, Y, shuffle=False, verbose=0).history == model.fit(X, Y, shuffle=False, verbose=0).history
    assert linear().get_compile_config() is None
