# SPDX-License-Identifier: Apache-2.0
"""TorchModuleWrapper, JaxLayer and FlaxLayer: the same numbers as the library's own call, training, states, configs, other engines."""

import json

import numpy as np
import pytest

import nyala
from nyala import layers, ops
from nyala.core.errors import ArgumentError, ArgumentTypeError, StateError, StructureError
from tests.layers.tools import array, close, normals, raises

X, Y = normals(0, (64, 5), (64, 1))


@pytest.fixture
def on_torch():
    torch = pytest.importorskip("torch")
    nyala.utils.set_random_seed(1)
    with nyala.backend("torch"):
        yield torch


@pytest.fixture
def on_jax():
    jax = pytest.importorskip("jax")
    nyala.utils.set_random_seed(1)
    with nyala.backend("jax"):
        yield jax


def trained(model):
    """The losses of a short training, and whether the weights moved."""
    before = model.get_weights()
    model.compile("adam", "mse")
    losses = model.fit(X, Y, epochs=4, batch_size=16, verbose=0).history["loss"]
    return losses, [not np.allclose(a, b) for a, b in zip(before, model.get_weights(), strict=True)]


# PyTorch


def test_a_module_is_a_layer(on_torch):
    torch = on_torch
    module = torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2))
    expected = module(torch.tensor(X)).detach().numpy()
    layer = layers.TorchModuleWrapper(module)
    close(layer(X), expected)
    assert [(w.name, w.shape, w.trainable) for w in layer.weights] == [
        ("0_weight", (3, 5), True), ("0_bias", (3,), True), ("2_weight", (2, 3), True), ("2_bias", (2,), True),
    ]  # fmt: skip
    assert layer(nyala.Input((5,))).shape == (None, 2)
    assert layer(nyala.Input((None, 5))).shape == (None, None, 2)
    layer.set_weights([0 * w for w in layer.get_weights()])
    close(layer(X), np.zeros((64, 2)))
    assert all(float(p.detach().abs().sum()) == 0 for p in layer.parameters())
    assert layer.module is module


def test_gradients_of_a_module(on_torch):
    torch = on_torch
    module = torch.nn.Linear(5, 3)
    torch.sum(torch.square(module(torch.tensor(X)))).backward()
    layer = layers.TorchModuleWrapper(module)
    gradients = nyala.grad(lambda: ops.sum(ops.square(layer(X))), layer.trainable_variables)()
    for gradient, parameter in zip(gradients, module.parameters(), strict=True):
        close(gradient, parameter.grad.numpy(), 1e-4)


def test_a_module_trains_with_its_buffers(on_torch):
    torch = on_torch
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.BatchNorm1d(7), torch.nn.ReLU())
    model = nyala.Sequential([nyala.Input((5,)), layers.TorchModuleWrapper(module), layers.Dense(1)])
    losses, moved = trained(model)
    assert losses[-1] < losses[0]
    assert all(moved)
    wrapper = model.layers[0]
    names = {w.name: w for w in wrapper.weights}
    assert [name for name, w in names.items() if not w.trainable] == ["1_running_mean", "1_running_var", "1_num_batches_tracked"]
    assert int(names["1_num_batches_tracked"]) == 16
    hidden = wrapper.module.eval()(torch.tensor(X)).detach()
    close(model.predict(X, verbose=0), array(model.layers[1](hidden)))
    assert not wrapper._module.training
    wrapper(X, training=True)
    assert wrapper._module.training


def test_frozen_parameters_stay_frozen(on_torch):
    module = on_torch.nn.Linear(5, 3)
    module.bias.requires_grad_(False)
    layer = layers.TorchModuleWrapper(module)
    assert [w.trainable for w in layer.weights] == [True, False]


@nyala.saving.register_keras_serializable("tests")
def two_layers():
    import torch

    return torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.Linear(3, 2))


def test_configs_of_modules(on_torch):
    layer = layers.TorchModuleWrapper(two_layers, name="t")
    config = json.loads(json.dumps(layer.get_config()))
    assert config["module"]["config"] == "tests>two_layers"
    twin = layers.TorchModuleWrapper.from_config(config)
    twin.set_weights(layer.get_weights())
    close(twin(X), array(layer(X)))
    with pytest.raises(ArgumentTypeError, match="the config of TorchModuleWrapper 't' needs a function that makes the module, got the module itself"):
        layers.TorchModuleWrapper(on_torch.nn.Linear(5, 3), name="t").get_config()
    with raises(ArgumentTypeError, "TorchModuleWrapper(module) needs a torch.nn.Module, or a function that makes one, got 3."):
        layers.TorchModuleWrapper(3)


OTHER = "got the engine 'numpy'.\n  fix: call nyala.set_backend({0!r}) first"


def test_other_engines(on_torch):
    layer = layers.TorchModuleWrapper(on_torch.nn.Linear(5, 3), name="t")
    with nyala.backend("numpy"):
        with raises(StateError, f"TorchModuleWrapper 't' needs the engine 'torch', whose functions it calls, {OTHER.format('torch')}"):
            layer(X)
        with raises(StateError, f"TorchModuleWrapper needs the engine 'torch', whose functions it calls, {OTHER.format('torch')}"):
            layers.TorchModuleWrapper(on_torch.nn.Linear(5, 3))
        with raises(StateError, f"JaxLayer needs the engine 'jax', whose functions it calls, {OTHER.format('jax')}"):
            layers.JaxLayer(dense, make_dense)


# JAX


@nyala.saving.register_keras_serializable("tests")
def dense(params, inputs):
    import jax.numpy as jnp

    return jnp.tanh(inputs @ params["in"]["w"] + params["in"]["b"]) @ params["out"][0]


@nyala.saving.register_keras_serializable("tests")
def make_dense(rng, inputs):
    import jax

    one, two = jax.random.split(rng)
    size = inputs.shape[-1]
    return {"in": {"w": jax.random.normal(one, (size, 3)), "b": jax.numpy.zeros(3)}, "out": [jax.random.normal(two, (3, 2))]}


def counting(params, state, rng, inputs, training):
    import jax

    noise = jax.random.normal(rng, inputs.shape) if training else 0.0
    return (inputs + noise) @ params["w"], {"calls": state["calls"] + (1 if training else 0)}


def make_counting(rng, inputs, training):
    return {"w": np.ones((inputs.shape[-1], 1), "float32")}, {"calls": np.zeros((), "int32")}


def test_a_function_is_a_layer(on_jax):
    layer = layers.JaxLayer(dense, make_dense, seed=3)
    y = layer(X)
    params = make_dense(on_jax.random.PRNGKey(3), X)
    close(y, array(dense(params, X)))
    assert [(w.name, w.shape, w.trainable) for w in layer.weights] == [("in_b", (3,), True), ("in_w", (5, 3), True), ("out_0", (3, 2), True)]
    expected = on_jax.grad(lambda p: on_jax.numpy.sum(dense(p, X) ** 2))(params)
    gradients = nyala.jit(lambda: nyala.grad(lambda: ops.sum(ops.square(layer(X))), layer.trainable_variables)())()
    for gradient, wanted in zip(gradients, on_jax.tree.leaves(expected), strict=True):
        close(gradient, array(wanted), 1e-4)
    assert layers.JaxLayer(dense, make_dense)(nyala.Input((None, 5))).shape == (None, None, 2)


def test_functions_train_in_a_model(on_jax):
    for layer in (layers.JaxLayer(dense, make_dense), layers.JaxLayer(counting, make_counting)):
        losses, moved = trained(nyala.Sequential([nyala.Input((5,)), layer, layers.Dense(1)]))
        assert all(moved)
        assert losses[-1] < losses[0] or layer.call_fn is counting  # which adds noise
    assert int(layer.non_trainable_weights[0]) == 16
    draws = [array(layer(X, training=True)) for _ in range(2)]
    assert np.abs(draws[0] - draws[1]).max() > 0.1
    close(layer(X), array(layer(X)))
    assert int(layer.non_trainable_weights[0]) == 18


def test_given_values_and_trees_of_inputs(on_jax):
    layer = layers.JaxLayer(lambda inputs, params: inputs["a"] @ params + inputs["b"][0], params=np.ones((5, 3), "float32"))
    close(layer({"a": X, "b": [X[:, :3]]}), X.sum(1, keepdims=True) + X[:, :3])
    assert [w.name for w in layer.weights] == ["value"]
    assert layers.JaxLayer(lambda inputs: inputs * 2)(X).shape == (64, 5)
    shapes = {}
    made = layers.JaxLayer(lambda inputs, params: inputs[0], lambda inputs: shapes.update(a=[x.shape for x in inputs]) or {})
    made([nyala.Input((3, None)), nyala.Input((2,))])
    assert shapes == {"a": [(1, 3, 1), (1, 2)]}


def test_configs_of_functions(on_jax):
    layer = layers.JaxLayer(dense, make_dense, seed=3, name="j")
    layer(X)
    config = json.loads(json.dumps(layer.get_config()))
    assert (config["call_fn"]["config"], config["seed"]) == ("tests>dense", 3)
    twin = layers.JaxLayer.from_config(config)
    close(twin(X), array(layer(X)))
    given = layers.JaxLayer(dense, params=make_dense(on_jax.random.PRNGKey(0), X))
    twin = layers.JaxLayer.from_config(json.loads(json.dumps(given.get_config())))
    close(twin(X), array(given(X)))


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: layers.JaxLayer(3), ArgumentTypeError, "JaxLayer(call_fn) needs a function, got 3."),
        (lambda: layers.JaxLayer(lambda x: x), ArgumentError,
         "JaxLayer(call_fn) needs arguments with names among params, state, rng, inputs, training, got (x)."),
        (lambda: layers.JaxLayer(dense, lambda key: key), ArgumentError,
         "JaxLayer(init_fn) needs arguments with names among rng, inputs, training, got (key)."),
        (lambda: layers.JaxLayer(dense), ArgumentError,
         "JaxLayer needs init_fn, or params and state, got neither.\n  why: call_fn takes params, inputs"),
        (lambda: layers.JaxLayer(lambda state, inputs: (inputs, []), state=[1.0], name="j")(X), StructureError,
         "JaxLayer 'j' needs a new state like the old one, PyTreeDef([*]), got PyTreeDef([])."),
    ],
)  # fmt: skip
def test_errors(on_jax, make, kind, text):
    with raises(kind, text):
        make()


# Flax


def test_a_module_of_flax(on_jax):
    nn = pytest.importorskip("flax.linen")

    @nyala.saving.register_keras_serializable("tests")
    class Block(nn.Module):
        units: int

        @nn.compact
        def __call__(self, inputs, training):
            x = nn.Dense(self.units)(inputs)
            x = nn.BatchNorm(use_running_average=not training)(x)
            return nn.Dropout(0.5, deterministic=not training)(nn.relu(x))

        def twice(self, inputs):
            return inputs * 2

    module = Block(7)
    layer = layers.FlaxLayer(module, seed=3)
    y = layer(X)
    variables = {"params": {}, "batch_stats": {}}
    for kind, name in (("params", "params"), ("state", "batch_stats")):
        values = on_jax.tree.unflatten(layer._trees[kind], [w.value for w in layer._values[kind]])
        variables[name] = values if kind == "params" else values["batch_stats"]
    close(y, array(module.apply(variables, X, training=False)))
    model = nyala.Sequential([nyala.Input((5,)), layer, layers.Dense(1)])
    losses, moved = trained(model)
    assert np.isfinite(losses).all()
    assert all(moved)
    twin = layers.FlaxLayer.from_config(json.loads(json.dumps(layer.get_config())))
    twin(X)
    twin.set_weights(layer.get_weights())
    close(twin(X), array(layer(X)))
    given = layers.FlaxLayer(nn.Dense(3), variables={"params": {"kernel": np.ones((5, 3), "float32"), "bias": np.zeros(3, "float32")}})
    close(given(X), np.repeat(X.sum(1, keepdims=True), 3, 1), 1e-4)
    assert layers.FlaxLayer(module, method="twice")(X).shape == (64, 5)
