# SPDX-License-Identifier: Apache-2.0
"""nyala.activations: what differs from ops of the same names, and finding one by name."""

import numpy as np
import pytest
from scipy import special

import nyala
from nyala import activations, ops
from nyala.engines import backend, current
from tests.ops.table import engines

X = np.array([-np.inf, -1000.0, -1.5, -0.5, -0.0, 0.0, 0.3, 0.5, 0.7, 1.5, 1000.0, np.inf], "float32")
each_engine = pytest.mark.parametrize("name", engines())


@each_engine
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, lambda x: np.maximum(x, 0)),
        ({"negative_slope": 0.1}, lambda x: np.where(x > 0, x, 0.1 * x)),
        ({"max_value": 0.6}, lambda x: np.clip(x, 0, 0.6)),
        ({"threshold": 0.4}, lambda x: np.where(x > 0.4, x, 0)),
        ({"threshold": -1.0}, lambda x: np.where(x > -1, x, 0)),
        ({"negative_slope": 0.1, "max_value": 1.2, "threshold": 0.4}, lambda x: np.minimum(np.where(x > 0.4, x, 0.1 * (x - 0.4)), 1.2)),
    ],
)
def test_relu(name, options, expected):
    with backend(name):
        np.testing.assert_allclose(ops.convert_to_numpy(activations.relu(X, **options)), expected(X.astype("float64")), rtol=1e-6)


@each_engine
def test_values(name):
    x = X[1:-2].astype("float64")
    table = {
        "exponential": np.exp(x),
        "linear": x,
        "mish": x * np.tanh(np.logaddexp(x, 0)),
        "tanh": np.tanh(x),
        "gelu": x * special.ndtr(x),
        "swish": x * special.expit(x),
        "softmax": special.softmax(x),
        "hard_swish": x * np.clip(x / 6 + 0.5, 0, 1),
    }
    with backend(name):
        for activation, expected in table.items():
            np.testing.assert_allclose(ops.convert_to_numpy(activations.get(activation)(x.astype("float32"))), expected, rtol=1e-5, atol=1e-6)
        assert ops.dtype(activations.relu(ops.array([1, -2]))) == "int32"
        assert ops.dtype(activations.exponential(ops.array([1, -2]))) == "float32"


@pytest.mark.parametrize("name", [name for name in engines() if name != "numpy"])
@pytest.mark.parametrize("activation", [n for n in activations.__all__ if n not in ("get", "serialize", "deserialize", "threshold", "glu")])
def test_gradients_are_finite(name, activation):
    values = np.array([[-100.0, -1.0, 0.0, 1.0, 50.0]], "float32")
    with backend(name):
        engine = current()
        _, (gradient,) = engine.value_and_grad(lambda xs: (ops.sum(getattr(activations, activation)(xs[0])), None))([engine.asarray(values)])
        assert np.isfinite(engine.to_numpy(gradient)).all()


def test_every_name_is_found_and_named():
    names = [n for n in activations.__all__ if n not in ("get", "serialize", "deserialize")]
    for name in names:
        function = activations.get(name)
        assert function is getattr(activations, name)
        assert activations.serialize(function) == {"swish": "silu", "hard_swish": "hard_silu"}.get(name, name)
        assert activations.get(activations.serialize(function)) is function
    assert len(names) == 32


def test_get():
    def mine(x):
        return x * 2

    assert activations.get(None) is activations.linear
    assert activations.get(mine) is mine
    assert activations.deserialize("mine", {"mine": mine}) is mine
    assert activations.get({"module": "builtins", "class_name": "function", "config": "relu", "registered_name": "function"}) is activations.relu
    with pytest.raises(ValueError) as caught:
        activations.get("rleu")
    assert (
        str(caught.value)
        == "activation needs a name known in nyala.activations, or a registered one, got 'rleu'.\n  fix: did you mean 'relu' or 'relu6'?"
    )
    with pytest.raises(TypeError) as caught:
        activations.get(3)
    assert str(caught.value) == "activation needs a name, a function, a layer or None, got 3."
    with pytest.raises(TypeError, match="a function with a name, got a lambda"):
        activations.serialize(lambda x: x)


def test_on_symbolic_tensors():
    x = nyala.KerasTensor((None, 6))
    for name in activations.__all__:
        if name not in ("get", "serialize", "deserialize", "threshold"):
            assert getattr(activations, name)(x).shape == ((None, 3) if name == "glu" else (None, 6)), name
    assert activations.relu(x, 0.1, 2.0, 0.5).shape == (None, 6)
