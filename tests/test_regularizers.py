# SPDX-License-Identifier: Apache-2.0
"""Regularizers: values against float64, gradients, laws, names, configs and errors, on every engine."""

import numpy as np
import pytest

import nyala
from nyala import regularizers
from nyala.engines import get_engine
from nyala.testing import installed_engines

ENGINES = [engine.name for engine in installed_engines()]
X = np.random.default_rng(7).normal(size=(5, 3))


def cosines(x):
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    upper = np.abs(x @ x.T)[np.triu_indices(len(x), 1)]
    return upper.mean()


ROWS = [
    (regularizers.L1(0.3), lambda x: 0.3 * np.abs(x).sum()),
    (regularizers.L2(0.3), lambda x: 0.3 * (x**2).sum()),
    (regularizers.L1L2(0.2, 0.5), lambda x: 0.2 * np.abs(x).sum() + 0.5 * (x**2).sum()),
    (regularizers.L1L2(0.2), lambda x: 0.2 * np.abs(x).sum()),
    (regularizers.L1L2(l2=0.5), lambda x: 0.5 * (x**2).sum()),
    (regularizers.L1L2(), lambda x: 0.0),
    (regularizers.OrthogonalRegularizer(0.2), lambda x: 0.2 * cosines(x)),
    (regularizers.OrthogonalRegularizer(0.2, "columns"), lambda x: 0.2 * cosines(x.T)),
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("regularizer", "oracle"), ROWS)
def test_values_and_gradients(regularizer, oracle, engine):
    with nyala.backend(engine):
        variable = nyala.Variable(X.astype("float32"))
        value = get_engine(engine).to_numpy(regularizer(variable))
        assert value.shape == () and value.dtype == np.float32
        np.testing.assert_allclose(value, oracle(X), rtol=1e-5, atol=1e-7)
        if get_engine(engine).differentiable:
            (gradient,) = nyala.grad(lambda: regularizer(variable), [variable])()
            direction = np.random.default_rng(3).normal(size=X.shape)
            slope = (oracle(X + 1e-6 * direction) - oracle(X - 1e-6 * direction)) / 2e-6
            np.testing.assert_allclose(np.sum(get_engine(engine).to_numpy(gradient) * direction), slope, rtol=1e-4, atol=1e-6)


def test_laws():
    with nyala.backend("numpy"):
        x = nyala.ops.convert_to_tensor(X.astype("float32"))
        assert regularizers.L1(0.1)(x * 3.0) == pytest.approx(3 * regularizers.L1(0.1)(x))
        assert regularizers.L2(0.1)(x * 3.0) == pytest.approx(9 * regularizers.L2(0.1)(x))
        assert regularizers.OrthogonalRegularizer()(x * 3.0) == pytest.approx(regularizers.OrthogonalRegularizer()(x))
        assert regularizers.OrthogonalRegularizer()(x[:1]) == 0.0


def test_names_and_configs():
    assert isinstance(regularizers.get("l1"), regularizers.L1)
    assert isinstance(regularizers.get("L2"), regularizers.L2)
    assert regularizers.get("l1l2").get_config() == {"l1": 0.0, "l2": 0.0}
    assert regularizers.get("l1_l2").get_config() == {"l1": 0.01, "l2": 0.01}
    assert isinstance(regularizers.get("orthogonal_regularizer"), regularizers.OrthogonalRegularizer)
    assert regularizers.l2(0.5).l2 == 0.5 and regularizers.l1_l2 is regularizers.L1L2
    assert regularizers.get(None) is None
    function = lambda x: 0.0  # noqa: E731
    assert regularizers.get(function) is function
    assert regularizers.serialize(regularizers.L2(0.5)) == {
        "module": "keras.regularizers",
        "class_name": "L2",
        "config": {"l2": 0.5},
        "registered_name": None,
    }
    for regularizer, _ in ROWS:
        assert regularizers.deserialize(regularizers.serialize(regularizer)).get_config() == regularizer.get_config()


WHY = "\n  why: a negative or infinite penalty has no minimum"


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: regularizers.L1(-1.0), "L1(l1) needs a finite number from 0, got -1.0." + WHY),
        (lambda: regularizers.L2("a"), "L2(l2) needs a finite number from 0, got 'a'." + WHY),
        (lambda: regularizers.L1L2(0.1, float("nan")), "L1L2(l2) needs a finite number from 0, got nan." + WHY),
        (lambda: regularizers.OrthogonalRegularizer(mode="x"), "OrthogonalRegularizer(mode) needs 'rows' or 'columns', got 'x'."),
        (
            lambda: regularizers.OrthogonalRegularizer()(np.ones(3, "float32")),
            "OrthogonalRegularizer needs a matrix, got shape (3,).\n  why: it compares rows\n  fix: reshape the weight to two axes first",
        ),
        (lambda: regularizers.get("l3"), "regularizer needs a name known in nyala.regularizers, got 'l3'.\n  fix: see dir(nyala.regularizers)"),
    ],
)
def test_errors_teach(call, text):
    with pytest.raises(ValueError) as error:
        call()
    assert str(error.value) == text
