# SPDX-License-Identifier: Apache-2.0
"""The state of a model as values: taken, put back whole or not at all, and the loss as a pure function."""

import numpy as np
import pytest

import nyala
from nyala import layers
from nyala.core.errors import ArgumentError, ShapeError, StructureError
from tests.training.tools import raises

random = np.random.default_rng(7)
X, Y = random.normal(size=(13, 2)).astype("float32"), random.normal(size=(13, 3)).astype("float32")


def trained():
    model = nyala.Sequential([nyala.Input((2,)), layers.Dense(3, name="a"), layers.BatchNormalization(name="b")], name="m")
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(X, Y, batch_size=5, shuffle=False, verbose=0)
    return model


def test_a_state_that_is_put_back_goes_on_as_before(each_engine):
    model = trained()
    state = model.get_state_tree("numpy_array")
    assert list(state) == ["trainable_variables", "non_trainable_variables", "optimizer_variables", "metrics_variables"]
    (optimizer,) = state["optimizer_variables"].values()
    assert set(optimizer) >= {"iteration", "learning_rate", "m_a_kernel_momentum"}
    assert state["metrics_variables"]["loss"]["count"] == 13
    once = model.fit(X, Y, batch_size=5, shuffle=False, verbose=0).history["loss"]
    assert not np.array_equal(model.layers[0].kernel.numpy(), state["trainable_variables"]["m"]["a"]["kernel"])
    model.set_state_tree(state)
    np.testing.assert_array_equal(model.layers[0].kernel.numpy(), state["trainable_variables"]["m"]["a"]["kernel"])
    assert model.fit(X, Y, batch_size=5, shuffle=False, verbose=0).history["loss"] == once


def test_tensors_are_what_they_are_by_default(each_engine):
    kernel = trained().get_state_tree()["trainable_variables"]["m"]["a"]["kernel"]
    assert nyala.ops.is_tensor(kernel)


def test_what_does_not_fit_changes_nothing(each_engine):
    model = trained()
    before = model.get_weights()
    state = model.get_state_tree("numpy_array")
    state["trainable_variables"]["m"]["a"]["kernel"] += 1
    for part, error, text in (
        ({"weights": {}}, ArgumentError, None),
        ({"non_trainable_variables": {"m": {"b": {"moving_mean": np.zeros(5)}}}}, ShapeError, None),
        ({"optimizer_variables": {"adam": {"moment": np.zeros(3)}}}, StructureError,
         "set_state_tree('optimizer_variables') needs paths of variables of the model, got ['adam/moment'], too."),
    ):  # fmt: skip
        wrong = {"trainable_variables": state["trainable_variables"], **part}
        with raises(error, text) if text else pytest.raises(error):
            model.set_state_tree(wrong)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    with pytest.raises(ArgumentError, match="did you mean 'numpy_array'"):
        model.get_state_tree("numpy")


def test_the_loss_of_given_values(each_engine):
    model = trained()
    groups = [[v.numpy() for v in group] for group in (model.trainable_variables, model.non_trainable_variables, model.metrics_variables)]
    pred = random.normal(size=(13, 3)).astype("float32")
    loss, after = model.stateless_compute_loss(*groups, x=X, y=Y, y_pred=nyala.ops.convert_to_tensor(pred))
    assert float(loss) == pytest.approx(float(np.mean((pred - Y) ** 2)), rel=1e-5)
    assert [len(part) for part in after] == [4, 2, 4]
    with pytest.raises(ArgumentError, match="needs 4 values of trainable variables"):
        model.stateless_compute_loss(groups[0][1:], *groups[1:], x=X, y=Y, y_pred=pred)
