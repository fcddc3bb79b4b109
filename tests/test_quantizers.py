# SPDX-License-Identifier: Apache-2.0
"""Quantizers, quantized layers, LoRA and their dtype policies against recorded answers of Keras, on each engine; laws and errors beside them."""

import numpy as np
import pytest

import nyala
from nyala import dtype_policies, layers, ops, optimizers, quantizers
from nyala.core.errors import ArgumentError, ArgumentTypeError, DTypeError, StateError
from nyala.quantizers.configs import UnsupportedMode
from tests.golden.store import build, read
from tests.layers.tools import raises
from tests.test_golden import check_config, gradients_of, plain, same_config

CASES = read("quantizers")
ENGINES = ["jax", "torch", "numpy"]


def of(kind):
    return {name.removeprefix(f"{kind}/"): case for name, case in CASES.items() if name.startswith(f"{kind}/")}


def close(actual, expected, tolerance=1e-5):
    expected = np.asarray(expected)
    actual = ops.convert_to_numpy(actual)
    assert actual.shape == expected.shape
    if expected.dtype.kind in "iu":
        assert actual.dtype == expected.dtype
        np.testing.assert_array_equal(actual, expected)
    else:
        largest = float(np.max(np.abs(expected), initial=1.0))
        np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance * largest)


@pytest.fixture(params=ENGINES)
def engine(request):
    with nyala.backend(request.param):
        yield request.param


@pytest.mark.parametrize("name", of("ops"))
def test_functions(name, engine):
    case = of("ops")[name]
    outputs = getattr(quantizers, name.split("/")[0])(*case["inputs"], **case["options"])
    for output, expected in zip(outputs if isinstance(outputs, tuple) else [outputs], case["outputs"], strict=True):
        close(output, expected)


def test_fake_quantization_and_its_gradients(engine):
    case = CASES["fake"]
    close(quantizers.fake_quant_with_min_max_vars(*case["inputs"], axis=1), case["output"])
    if engine != "numpy":
        variables = [nyala.Variable(x) for x in case["inputs"]]
        loss = lambda: ops.sum(quantizers.fake_quant_with_min_max_vars(*variables, axis=1) * ops.convert_to_tensor(case["cotangent"]))  # noqa: E731
        for gradient, expected in zip(gradients_of(loss, variables), case["gradients"], strict=True):
            close(gradient, expected)


def test_float8_scales(engine):
    for amax, scale, margin, expected in CASES["scales"]["rows"]:
        close(quantizers.compute_float8_scale(np.float32(amax), np.float32(scale), 448.0, int(margin)), np.float32(expected))


@pytest.mark.parametrize("name", of("pack"))
def test_packing(name, engine):
    case = of("pack")[name]
    packed, shape, length = quantizers.pack_int4(case["values"], axis=case["axis"], dtype=case["dtype"])
    close(packed, case["packed"])
    assert ([*shape], length) == (case["shape"], case["length"])
    close(quantizers.unpack_int4(packed, length, case["axis"], case["dtype"]), case["values"])


@pytest.mark.parametrize("name", of("configs"))
def test_configs(name):
    case, made = of("configs")[name], build(nyala, of("configs")[name]["spec"])
    check_config(made, case["config"], name)
    whole = plain(nyala.saving.serialize_keras_object(made))
    assert {key: whole[key] for key in ("module", "class_name")} == {key: case["whole"][key] for key in ("module", "class_name")}
    check_config(nyala.saving.deserialize_keras_object(whole), case["config"], name)


@pytest.mark.parametrize("name", of("policies"))
def test_policies(name):
    case = of("policies")[name]
    policy = dtype_policies.get(build(nyala, case["spec"]))
    assert [policy.name, policy.compute_dtype, policy.variable_dtype, policy.quantization_mode] == case["facts"]
    whole = plain(dtype_policies.serialize(policy))
    same_config(whole, case["whole"], name)
    assert whole["module"] == case["whole"]["module"]
    assert dtype_policies.deserialize(whole) == policy


@pytest.mark.parametrize("name", of("layers"))
def test_layers(name, engine):
    case = of("layers")[name]
    layer = build(nyala, case["layer"])
    layer(case["inputs"])
    layer.set_weights(case["weights"])
    mode = case["mode"]
    if mode is not None:
        layer.quantize(mode) if isinstance(mode, str) else layer.quantize(config=build(nyala, mode))
    if case["lora"]:
        layer.enable_lora(**case["lora"])
        for variable, value in zip([v for v in layer.weights if v.name.startswith("lora_")], case["thin"], strict=True):
            variable.assign(value)
    assert [[w.name, list(w.shape), w.dtype, w.trainable] for w in layer.weights] == case["names"]
    for weight, expected in zip([w for w in layer.weights if w.shape != (1024,)], case["values"], strict=True):
        close(weight, expected)
    assert layer.dtype_policy.name == case["policy"]
    check_config(layer, {key: value for key, value in case["config"].items() if key != "lora_alpha"} | _alpha(case), name)
    close(layer(case["inputs"]), case["output"])
    if case.get("scores") is not None and not (mode and case["lora"]):  # there Keras leaves the low-rank part out on the way back
        close(layer(case["rows"], reverse=True), case["scores"])
    if "saved" in case:
        store = {}
        layer.save_own_variables(store)
        assert sorted(store) == sorted(case["saved"])
        for key, expected in case["saved"].items():
            close(store[key], expected, 1e-4 if case["lora"] else 1e-5)
    if "gradient" in case and engine != "numpy":
        check_gradients(layer, case)


@pytest.mark.parametrize("name", of("attention"))
def test_attention_is_quantized_inside_a_model(name, engine):
    case, x = of("attention")[name], nyala.Input((3, 10))
    layer = build(nyala, case["layer"])
    model = nyala.Model(x, layer(x, x))
    layer.set_weights(case["weights"])
    model.quantize(case["mode"]) if isinstance(case["mode"], str) else model.quantize(config=build(nyala, case["mode"]))
    for again in (model, nyala.Model.from_config(plain(model.get_config()))):  # Keras makes it of floats again
        again.set_weights(model.get_weights())
        assert [[w.path, list(w.shape), w.dtype, w.trainable] for w in again.weights] == case["names"]
        for weight, expected in zip([w for w in again.weights if w.shape != (1024,)], case["values"], strict=True):
            close(weight, expected)
        close(again(case["inputs"]), case["output"])
        assert plain(again.get_config()) == plain(model.get_config())
    if engine != "numpy":
        inputs = nyala.Variable(case["inputs"])
        loss = lambda: ops.sum(model(inputs, training=False) * ops.convert_to_tensor(case["cotangent"]))  # noqa: E731
        close(gradients_of(loss, [inputs])[0], case["gradient"])


def test_attention_of_a_quantized_policy_is_quantized_from_the_start():
    for policy in ("int8_from_float32", dtype_policies.DTypePolicyMap("float32", {"heads/query": "int8_from_float32"})):
        layer = layers.MultiHeadAttention(2, 3, name="heads", dtype=policy)
        layer(np.ones((2, 3, 5), "float32"), np.ones((2, 3, 5), "float32"))
        modes = [p.quantization_mode for p in (layer.query_dense, layer.key_dense)]
        assert modes == (["int8", "int8"] if isinstance(policy, str) else ["int8", None])


def _alpha(case):
    return {"lora_alpha": 3.0} if case["lora"] else {}


def check_gradients(layer, case):
    x, variables = nyala.Variable(case["inputs"]), layer.trainable_variables
    training = case["mode"] == "float8"
    loss = lambda: ops.sum(layer(x, training=training) * ops.convert_to_tensor(case["cotangent"]))  # noqa: E731
    gradients = gradients_of(loss, [x, *variables])
    close(gradients[0], case["gradient"])
    for variable, gradient, expected in zip(variables, gradients[1:], case["gradients"], strict=True):
        close(gradient[:3] if variable.shape == (1024,) else gradient, expected)


@pytest.mark.parametrize("engine_name", ["jax", "torch"])
def test_low_rank_weights_learn_and_the_kernel_stays(engine_name):
    x = np.random.default_rng(0).normal(size=(13, 5)).astype("float32")
    with nyala.backend(engine_name):
        nyala.utils.set_random_seed(3)
        model = nyala.Sequential([nyala.Input((5,)), layers.Dense(7, activation="tanh", name="one"), layers.Dense(3, name="two")])
        model.get_layer("one").enable_lora(2)
        model.trainable = False
        model.trainable = True
        model.get_layer("two").quantize("float8")
        model.compile("adam", "mse")
        before = {w.path: w.numpy() for w in model.weights}
        losses = model.fit(x, x[:, :3], epochs=30, verbose=0).history["loss"]
        changed = {w.path.split("/", 1)[-1] for w in model.weights if not np.array_equal(w.numpy(), before[w.path])}
    assert losses[-1] < losses[0]
    assert not any(path.endswith("one/kernel") for path in changed)
    assert sum("lora_kernel" in path for path in changed) == 2
    assert sum("scale" in path or "history" in path for path in changed) == 6


def test_quantized_models_answer_nearly_the_same_and_save():
    x = np.random.default_rng(1).normal(size=(7, 5)).astype("float32")
    for mode in ("int8", "int4", "float8"):
        model = nyala.Sequential([nyala.Input((5,)), layers.Dense(11, activation="relu"), layers.Dense(3)])
        before = model.predict(x, verbose=0)
        model.quantize(mode)
        after = model.predict(x, verbose=0)
        assert 0 < np.max(np.abs(after - before)) < 0.5, mode
        assert [layer.quantization_mode for layer in model.layers if isinstance(layer, layers.Dense)] == [mode] * 2
        copy = nyala.Sequential.from_config(model.get_config())
        copy.set_weights(model.get_weights())
        np.testing.assert_allclose(copy.predict(x, verbose=0), after, rtol=1e-6)


def test_filters_choose_layers():
    def quantized(filters):
        model = nyala.Sequential([nyala.Input((5,)), layers.Dense(3, name="one"), layers.Dense(2, name="two")])
        model.quantize("int8", filters=filters)
        return [layer.name for layer in model.layers if layer.quantization_mode]

    assert quantized(None) == ["one", "two"]
    assert quantized("ne") == ["one"]
    assert quantized(["^two", "x"]) == ["two"]
    assert quantized(lambda layer: layer.name == "two") == ["two"]
    with raises(ArgumentTypeError, "quantize(filters) needs a pattern, a list of patterns or a function of a layer, got 3."):
        quantized(3)


def test_what_quantize_refuses():
    why, fix = "it calibrates on text, layer by layer, which is not part of this library", 'use quantize("int4"), whose blocks need no text'
    dense = layers.Dense(3, name="logits")
    with raises(
        StateError, "Dense 'logits'.quantize needs a built layer, got one without weights yet.\n  fix: call it once, or build(input_shape), first"
    ):
        dense.quantize("int8")
    dense.build((None, 5))
    with raises(UnsupportedMode, f"Dense 'logits'.quantize needs one of 'int8', 'int4', 'float8', got 'gptq'.\n  why: {why}\n  fix: {fix}"):
        dense.quantize(config=quantizers.GPTQConfig(["a"], str))
    need = "one of 'int8', 'float8', 'int4', 'gptq', 'awq'"
    with raises(ArgumentError, f"Dense 'logits'.quantize(mode) needs {need}, got 'int9'.\n  fix: did you mean 'int8'?"):
        dense.quantize("int9")
    with raises(ArgumentError, "Dense 'logits'.quantize needs a mode or a config, got neither.\n  fix: say quantize(\"int8\")"):
        dense.quantize()
    dense.quantize("int8")
    got = "got one with the policy 'int8_from_float32'.\n  why: its floats are gone\n  fix: start from the float model"
    with raises(StateError, f"Dense 'logits'.quantize needs a layer that is not quantized, {got}"):
        dense.quantize("int4")
    fix = "quantize the layers in it that can, or the whole model: model.quantize(mode)"
    with raises(UnsupportedMode, f"ReLU 'r'.quantize needs a Dense, EinsumDense, Embedding or ReversibleEmbedding, got a ReLU.\n  fix: {fix}"):
        layers.ReLU(name="r").quantize("int8")
    constrained = layers.Dense(3, kernel_constraint="non_neg", name="c")
    constrained.build((None, 5))
    why, fix = "the constraint would hold for the frozen part alone", "make the layer without kernel_constraint"
    with raises(StateError, f"Dense 'c'.enable_lora needs no constraint, got a kernel_constraint.\n  why: {why}\n  fix: {fix}"):
        constrained.enable_lora(2)
    with raises(DTypeError, 'pack_int4(arr) needs a tensor of int8, got float32.\n  fix: ops.cast it to "int8" first'):
        quantizers.pack_int4(np.zeros((2, 3), "float32"))


def test_a_subclass_is_quantized_only_on_demand():
    class Mine(layers.Dense):
        pass

    layer = Mine(3)
    layer.build((None, 5))
    with pytest.raises(UnsupportedMode, match="pass type_check=False"):
        layer.quantize("int8")
    layer.quantize("int8", type_check=False)
    assert layer.quantization_mode == "int8"


def test_what_was_saved_with_low_rank_weights_loads_whole():
    layer = layers.Dense(3, lora_rank=2, lora_alpha=3.0)
    layer.build((None, 5))
    layer.lora_kernel_b.assign(np.random.default_rng(2).normal(size=(2, 3)))
    whole, store = ops.convert_to_numpy(layer.kernel), {}
    layer.save_own_variables(store)
    layer.load_own_variables(store)
    close(layer.kernel, whole)
    assert np.any(layer.lora_kernel_a.numpy() != 0)
    assert not np.any(layer.lora_kernel_b.numpy())


def test_multi_optimizer(engine):
    case = CASES["optimizer"]
    variables = [nyala.Variable(value, name=name) for name, value in case["values"].items()]
    table = optimizers.OptimizerMap(optimizers.SGD(0.1), {"t.*": optimizers.Adam(0.5), "one": optimizers.SGD(0.2, momentum=0.9)})
    optimizer = optimizers.MultiOptimizer(table, loss_scale_factor=4.0)
    optimizer.build(variables)
    for gradients in case["gradients"]:
        optimizer.apply(gradients)
    for variable, expected in zip(variables, case["after"], strict=True):
        close(variable, expected)
    assert [v.path.split("/")[-1] for v in optimizer.variables] == [path.split("/")[-1] for path, _ in case["state"]]
    for variable, (_, expected) in zip(optimizer.variables, case["state"], strict=True):
        close(variable, expected)
    check_config(optimizer, case["config"], "multi_optimizer")
    check_config(optimizers.deserialize(optimizers.serialize(optimizer)), case["config"], "multi_optimizer")


def test_multi_optimizer_trains_and_refuses():
    x = np.random.default_rng(3).normal(size=(11, 5)).astype("float32")
    model = nyala.Sequential([nyala.Input((5,)), layers.Dense(3, name="still"), layers.Dense(2, name="moving")])
    model.compile(optimizers.MultiOptimizer(optimizers.OptimizerMap(optimizers.SGD(0.1), {".*still/.*": optimizers.SGD(0.0)})), "mse")
    before = model.get_weights()
    model.fit(x, x[:, :2], epochs=2, verbose=0)
    assert [np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)] == [True, True, False, False]
    table = optimizers.OptimizerMap(optimizers.SGD(), {"a.*": optimizers.SGD(), ".*b": optimizers.SGD()})
    with raises(ArgumentError, "OptimizerMap needs one key that matches 'ab', got 'a.*', '.*b'.\n  fix: make patterns narrower"):
        table["ab"]
    with raises(ArgumentTypeError, "OptimizerMap['c'] needs an optimizer, got 'sgd'.\n  fix: use nyala.optimizers.get(name)"):
        table["c"] = "sgd"


@pytest.mark.parametrize(
    ("make", "name", "x"),
    [
        (lambda **options: layers.Dense(3, kernel_regularizer="l2", **options), "kernel", np.ones((2, 5), "float32")),
        (lambda **options: layers.EinsumDense("abc,cd->abd", (None, 3), kernel_regularizer="l2", **options), "kernel", np.ones((2, 7, 5), "float32")),
        (lambda **options: layers.Embedding(7, 3, embeddings_regularizer="l2", **options), "embeddings", np.ones((2, 5), "int32")),
    ],
)
def test_low_rank_weights_have_the_regularizer_of_the_frozen_one(make, name, x):
    layer = make(lora_rank=2)
    layer(x)
    random = np.random.default_rng(3)
    layer.set_weights([random.normal(size=weight.shape) for weight in layer.weights])
    thin = [getattr(layer, f"lora_{name}_{part}").numpy().astype("float64") for part in "ab"]
    np.testing.assert_allclose([float(loss) for loss in layer.losses], [0.01 * (part**2).sum() for part in thin], rtol=1e-5)
