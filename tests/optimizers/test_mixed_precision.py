# SPDX-License-Identifier: Apache-2.0
"""Training in float16: the loss is scaled by itself, steps with infinite gradients are left out, and scales and weights are those of Keras."""

import numpy as np
import pytest

import nyala
from nyala import layers, optimizers
from nyala.testing import installed_engines

ENGINES = [engine.name for engine in installed_engines() if engine.differentiable]
X = np.random.default_rng(2).normal(size=(64, 3)).astype("float32")
Y = np.random.default_rng(3).normal(size=(64, 2)).astype("float32")


@pytest.fixture(params=ENGINES, autouse=True)
def engine(request):
    with nyala.backend(request.param):
        yield


@pytest.fixture
def half():
    before = nyala.config.dtype_policy()
    nyala.config.set_dtype_policy("mixed_float16")
    yield
    nyala.config.set_dtype_policy(before)


def test_a_fit_in_float16(half):
    """Recorded with Keras 3.15.1 on JAX: losses and scale after 3 epochs of 4 steps from kernels of ones, then a batch with an infinite gradient."""
    hidden = layers.Dense(8, activation="tanh", kernel_initializer="ones")
    model = nyala.Sequential([layers.Input((3,)), hidden, layers.Dense(2, kernel_initializer="ones")])
    model.compile(optimizers.Adam(0.01), "mse")
    assert isinstance(model.optimizer, optimizers.LossScaleOptimizer) and model.optimizer.name == "loss_scale_optimizer"
    losses = model.fit(X, Y, batch_size=16, epochs=3, shuffle=False, verbose=0).history["loss"]
    assert losses == pytest.approx([35.33141, 32.97531, 29.89956], rel=3e-3)
    assert (float(model.optimizer.dynamic_scale), int(model.optimizer.step_counter), int(model.optimizer.iterations)) == (8192.0, 9, 10)
    x = np.array(X[16:32])
    x[4] = np.inf
    before = model.get_weights()
    model.fit(x, Y[16:32], batch_size=16, shuffle=False, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert (float(model.optimizer.dynamic_scale), int(model.optimizer.step_counter), int(model.optimizer.iterations)) == (4096.0, 0, 10)
    assert model.get_compile_config()["optimizer"]["class_name"] == "Adam"  # wrapped again where it is compiled again


def test_what_is_wrapped(half):
    model = nyala.Sequential([layers.Dense(2)])
    model.compile("sgd", "mse", auto_scale_loss=False)
    assert type(model.optimizer) is optimizers.SGD
    own = optimizers.LossScaleOptimizer(optimizers.SGD(), initial_scale=4.0)
    model.compile(own, "mse")
    assert model.optimizer is own
    nyala.config.set_dtype_policy("mixed_bfloat16")
    model = nyala.Sequential([layers.Dense(2)])
    model.compile("sgd", "mse")
    assert type(model.optimizer) is optimizers.SGD


@pytest.mark.parametrize("auto_scale_loss", [True, False])
def test_a_loss_scale_changes_no_number(auto_scale_loss):
    """A LossScaleOptimizer scales the loss itself, whatever compile wraps."""
    kernels = []
    for scale in (None, 64.0):
        optimizer = optimizers.SGD(0.1) if scale is None else optimizers.LossScaleOptimizer(optimizers.SGD(0.1), initial_scale=scale)
        model = nyala.Sequential([layers.Input((3,)), layers.Dense(2, kernel_initializer="ones")])
        model.compile(optimizer, "mse", auto_scale_loss=auto_scale_loss)
        model.fit(X, Y, batch_size=16, shuffle=False, verbose=0)
        kernels.append(model.get_weights()[0])
    np.testing.assert_allclose(kernels[1], kernels[0], rtol=1e-5)
    np.testing.assert_allclose(kernels[0].ravel()[:3], [0.6840641, 0.6469095, 0.6837293], rtol=1e-5)
