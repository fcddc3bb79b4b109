# SPDX-License-Identifier: Apache-2.0
"""Asks Keras about quantizers, quantized layers, low-rank weights, dtype policies and MultiOptimizer. Start at make."""

import jax
import jax.numpy as jnp
import keras
import numpy as np

from tests.golden.store import Store, build, find, generator, new
from tests.golden.tools import config_of, plain


def normals(name, *shape):
    return generator(name).normal(size=shape).astype("float32")


OPS = {
    "abs_max_quantize/axis_0": ([(5, 7)], {"axis": 0}),
    "abs_max_quantize/axes": ([(2, 3, 5)], {"axis": [0, 2], "value_range": [-8, 7]}),
    "abs_max_quantize/all": ([(5, 7)], {"axis": None}),
    "abs_max_quantize_grouped_with_zero_point/uneven": ([(5, 7)], {"block_size": 2}),
    "abs_max_quantize_grouped_with_zero_point/one_block": ([(5, 3)], {"block_size": 7}),
    "compute_float8_amax_history/long": ([(3, 5), (7,)], {}),
    "compute_float8_amax_history/short": ([(2, 3), (2,)], {}),
    "quantize_and_dequantize/fine": ([(5, 7)], {"scale": 0.01, "quantized_dtype": "float8_e4m3fn", "compute_dtype": "float32"}),
    "quantize_and_dequantize/far": ([(5, 7)], {"scale": 1e-5, "quantized_dtype": "float8_e5m2", "compute_dtype": "float32"}),
    "fake_quant_with_min_max_vars/one": ([(5, 7)], {"min_vals": -0.8, "max_vals": 1.3}),
    "fake_quant_with_min_max_vars/narrow": ([(5, 7)], {"min_vals": 0.3, "max_vals": 1.3, "num_bits": 3, "narrow_range": True}),
}
X, WIDE, IDS = (2, 3, 10), (2, 3, 4, 5), [[1, 5, 10], [0, 7, 1]]
DENSE = new("layers.Dense", units=7, activation="relu")
LAYERS = {
    "dense": (DENSE, X),
    "dense_without_bias": (new("layers.Dense", units=7, use_bias=False), X),
    "heads": (new("layers.EinsumDense", equation="abc,cde->abde", output_shape=[None, 4, 3], bias_axes="de"), X),
    "merge": (new("layers.EinsumDense", equation="abcd,cde->abe", output_shape=[None, 7], bias_axes="e"), WIDE),
    "turned": (new("layers.EinsumDense", equation="abc,dce->aebd", output_shape=[3, None, 4]), (2, 7, 5)),
    "embedding": (new("layers.Embedding", input_dim=11, output_dim=5), IDS),
    "tied": (new("layers.ReversibleEmbedding", input_dim=11, output_dim=5), IDS),
    "untied": (new("layers.ReversibleEmbedding", input_dim=11, output_dim=5, tie_weights=False, logit_soft_cap=2.0), IDS),
    "convolution": (new("layers.Conv1D", filters=4, kernel_size=2), X),
}
QUIET = new("quantizers.Int8QuantizationConfig", activation_quantizer=None)
NARROW = new("quantizers.Int8QuantizationConfig", weight_quantizer=new("quantizers.AbsMaxQuantizer", axis=0, value_range=[-100, 100]))
BLOCKS, ROWS = (new("quantizers.Int4QuantizationConfig", block_size=size) for size in (4, None))
MODES = {"int8": "int8", "int8_weights": QUIET, "int8_narrow": NARROW, "int4": "int4", "int4_blocks": BLOCKS, "int4_rows": ROWS, "float8": "float8"}
ATTENTION = {
    "multi_head": new("layers.MultiHeadAttention", num_heads=2, key_dim=4, output_shape=5, name="attention"),
    "group_query": new("layers.GroupQueryAttention", head_dim=3, num_query_heads=4, num_key_value_heads=2, use_gate=True, name="attention"),
}
POLICIES = {
    "int8_from_float32": "int8_from_float32",
    "int4_from_bfloat16": "int4_from_bfloat16",
    "int4/64_from_mixed_bfloat16": "int4/64_from_mixed_bfloat16",
    "float8_from_mixed_float16": "float8_from_mixed_float16",
    "awq/4/128_from_float32": "awq/4/128_from_float32",
    "gptq/3/-1_from_bfloat16": "gptq/3/-1_from_bfloat16",
    "history": new("dtype_policies.QuantizedFloat8DTypePolicy", mode="float8", source_name="float32", amax_history_length=12),
    "map": new(
        "dtype_policies.DTypePolicyMap", default_policy="mixed_bfloat16", policy_map={"head/.*": new("dtype_policies.DTypePolicy", name="float16")}
    ),
}
CONFIGS = {
    "quantizer": new("quantizers.AbsMaxQuantizer", axis=-1, epsilon=1e-3),
    "quantizer/plain": new("quantizers.AbsMaxQuantizer"),
    "int8": new("quantizers.Int8QuantizationConfig"),
    "int8/narrow": NARROW,
    "int4": new("quantizers.Int4QuantizationConfig"),
    "float8": new("quantizers.Float8QuantizationConfig"),
    "awq": new("quantizers.AWQConfig", dataset=["a"], tokenizer="words", group_size=-1),
    "gptq": new("quantizers.GPTQConfig", dataset=["a"], tokenizer="words", weight_bits=3, symmetric=True),
}


def ask_layer(name, spec, inputs, mode, lora):
    """One layer with drawn weights: its answers after quantize, and after enable_lora with drawn thin weights."""
    random, layer = generator(name), build(keras, spec)
    inputs = np.array(inputs) if isinstance(inputs, list) else random.normal(size=inputs).astype("float32")
    layer(inputs)
    weights = [random.normal(size=w.shape).astype("float32") for w in layer.weights]
    layer.set_weights(weights)
    if mode is not None:
        layer.quantize(mode) if isinstance(mode, str) else layer.quantize(config=build(keras, mode))
    thin = None
    if lora:
        layer.enable_lora(**lora)
        pair = [v for v in layer.weights if v.name.startswith("lora_")]
        thin = [random.normal(size=v.shape).astype("float32") for v in pair]
        for variable, value in zip(pair, thin, strict=True):
            variable.assign(value)
    case = {"layer": spec, "inputs": inputs, "weights": weights, "mode": mode, "lora": lora, "thin": thin}
    case["names"] = [[w.name, list(w.shape), str(w.dtype), bool(w.trainable)] for w in layer.weights]
    case["values"] = [np.asarray(w) for w in layer.weights if w.shape != (1024,)]
    case["config"], case["policy"] = config_of(layer), layer.dtype_policy.name
    case["output"] = np.asarray(layer(inputs))
    if inputs.dtype.kind == "f":
        case["cotangent"] = random.normal(size=case["output"].shape).astype("float32")
        trainable, other = [v.value for v in layer.trainable_variables], [v.value for v in layer.non_trainable_variables]

        options = {} if isinstance(layer, keras.layers.Conv1D) else {"training": mode == "float8"}

        def loss(x, trainable):
            return jnp.sum(layer.stateless_call(trainable, other, x, **options)[0] * case["cotangent"])

        gradient, gradients = jax.grad(loss, (0, 1))(inputs, trainable)
        case["gradient"] = np.asarray(gradient)
        case["gradients"] = [np.asarray(g)[:3] if g.shape == (1024,) else np.asarray(g) for g in gradients]
    elif hasattr(layer, "tie_weights"):
        case["rows"] = random.normal(size=(2, 3, 5)).astype("float32")
        case["scores"] = np.asarray(layer(case["rows"], reverse=True))
    if mode != "float8":
        store = {}
        layer.save_own_variables(store)
        case["saved"] = {key: np.asarray(value) for key, value in store.items()}
    return case


def ask_attention(name, spec, mode):
    """A model around one layer, quantized as a whole: the projections inside are."""
    random, layer, inputs = generator(name), build(keras, spec), keras.Input((3, 10))
    model = keras.Model(inputs, layer(inputs, inputs))
    weights = [random.normal(size=w.shape).astype("float32") for w in layer.weights]
    layer.set_weights(weights)
    model.quantize(mode) if isinstance(mode, str) else model.quantize(config=build(keras, mode))
    x = random.normal(size=(2, 3, 10)).astype("float32")
    names = [[w.path, list(w.shape), str(w.dtype), bool(w.trainable)] for w in model.weights]
    values = [np.asarray(w) for w in model.weights if w.shape != (1024,)]
    output, cotangent = np.asarray(model(x)), random.normal(size=model(x).shape).astype("float32")
    trainable, other = [v.value for v in model.trainable_variables], [v.value for v in model.non_trainable_variables]
    loss = lambda x: jnp.sum(model.stateless_call(trainable, other, x, training=False)[0] * cotangent)  # noqa: E731
    case = {"layer": spec, "mode": mode, "weights": weights, "inputs": x, "names": names, "values": values, "output": output}
    return {**case, "cotangent": cotangent, "gradient": np.asarray(jax.grad(loss)(x))}


def ask_optimizer(name):
    random = generator(name)
    values = {path: random.normal(size=(3,)).astype("float32") for path in ("one", "two", "three")}
    variables = [keras.Variable(value, name=path) for path, value in values.items()]
    table = keras.optimizers.OptimizerMap(
        keras.optimizers.SGD(0.1), {"t.*": keras.optimizers.Adam(0.5), "one": keras.optimizers.SGD(0.2, momentum=0.9)}
    )
    optimizer = keras.optimizers.MultiOptimizer(table, loss_scale_factor=4.0)
    optimizer.build(variables)
    gradients = [[random.normal(size=(3,)).astype("float32") for _ in variables] for _ in range(3)]
    for step in gradients:
        optimizer.apply(step)
    state = [[v.path, np.asarray(v)] for v in optimizer.variables]
    return {"values": values, "gradients": gradients, "after": [np.asarray(v) for v in variables], "state": state, "config": config_of(optimizer)}


def make():
    store = Store("quantizers")
    for name, (shapes, options) in OPS.items():
        inputs = [normals(f"{name}/{i}", *shape) for i, shape in enumerate(shapes)]
        options = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
        outputs = find(keras.quantizers, name.split("/")[0])(*inputs, **options)
        store.add(
            f"ops/{name}", inputs=inputs, options=options, outputs=[np.asarray(x) for x in (outputs if isinstance(outputs, tuple) else [outputs])]
        )
    x, upstream = normals("fake", 5, 7), normals("upstream", 5, 7)
    low, high = -np.abs(normals("low", 7)), np.abs(normals("high", 7))
    fake = lambda *t: keras.quantizers.fake_quant_with_min_max_vars(*t, axis=1)  # noqa: E731
    gradients = jax.grad(lambda *t: jnp.sum(fake(*t) * upstream), (0, 1, 2))(x, low, high)
    store.add("fake", inputs=[x, low, high], output=np.asarray(fake(x, low, high)), cotangent=upstream, gradients=[np.asarray(g) for g in gradients])
    scales = [[a, s, m, float(keras.quantizers.compute_float8_scale(np.float32(a), np.float32(s), 448.0, m))]
              for a in (3.0, 0.0, float("inf")) for s in (2.0, 0.5) for m in (0, 2)]  # fmt: skip
    store.add("scales", rows=np.array(scales))
    for dtype, least in (("int8", -8), ("uint8", 0)):
        for axis in (0, 1, -1):
            values = generator(f"{dtype}{axis}").integers(least, least + 16, size=(5, 3)).astype(dtype)
            packed, shape, length = keras.quantizers.pack_int4(values, axis=axis, dtype=dtype)
            store.add(f"pack/{dtype}/{axis}", values=values, axis=axis, dtype=dtype, packed=np.asarray(packed), shape=list(shape), length=int(length))
    for name, spec in CONFIGS.items():
        store.add(f"configs/{name}", spec=spec, config=config_of(build(keras, spec)), whole=plain(keras.quantizers.serialize(build(keras, spec))))
    for name, spec in POLICIES.items():
        policy = keras.dtype_policies.get(build(keras, spec))
        facts = [policy.name, policy.compute_dtype, policy.variable_dtype, policy.quantization_mode]
        store.add(f"policies/{name}", spec=spec, facts=facts, whole=plain(keras.dtype_policies.serialize(policy)))
    for kind, (spec, inputs) in LAYERS.items():
        for name, mode in MODES.items():
            look_up = kind in ("embedding", "tied", "untied")
            wanted = kind != "convolution" and not (look_up and name == "float8") and (kind == "dense" or name != "int8_narrow")
            if wanted:
                store.add(f"layers/{kind}/{name}", **ask_layer(f"{kind}/{name}", spec, inputs, mode, None))
            if wanted and kind in ("dense", "heads", "tied") and name in ("int8", "int8_weights"):
                store.add(f"layers/{kind}/{name}/lora", **ask_layer(f"{kind}/{name}/lora", spec, inputs, mode, {"rank": 2, "lora_alpha": 3.0}))
        store.add(f"layers/{kind}/lora", **ask_layer(f"{kind}/lora", spec, inputs, None, {"rank": 2, "lora_alpha": 3.0}))
    for kind, spec in ATTENTION.items():
        for mode in ("int8", "int8_weights", "int4_blocks", "float8"):
            store.add(f"attention/{kind}/{mode}", **ask_attention(f"attention/{kind}/{mode}", spec, MODES[mode]))
    store.add("optimizer", **ask_optimizer("optimizer"))
    return store
