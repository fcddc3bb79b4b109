# SPDX-License-Identifier: Apache-2.0
"""Asks Keras about layers: outputs, states, gradients, configs, shapes, masks. Start at make."""

import re

import jax
import jax.numpy as jnp
import keras
import numpy as np

from tests.golden.layer_cases import CASES
from tests.golden.store import Store, build, generator, leaves, map_tree
from tests.golden.tools import config_of, describe, plain


def is_float(array):
    return np.issubdtype(array.dtype, np.floating)


def random_weights(layer, random):
    """Weights that would betray a swap or a forgotten term: all different, no zero, no one; variances positive."""
    for variable in layer.weights:
        if not re.match("float", str(variable.dtype)):
            continue
        if "variance" in variable.name or "stddev" in variable.name:
            value = random.uniform(0.5, 2.0, size=variable.shape)
        else:
            value = random.normal(scale=0.5, size=variable.shape)
        variable.assign(value.astype("float32"))


def symbolic(layer, one):
    """Output shapes and dtypes for inputs of unknown batch size, or None where the layer refuses them."""
    spec = map_tree(lambda a: keras.KerasTensor((None, *a.shape[1:]), a.dtype.name) if isinstance(a, np.ndarray) else a, one)
    try:
        output = layer(*spec["args"], **spec["kwargs"])
    except Exception as error:
        print("   no symbolic call:", type(error).__name__, str(error).splitlines()[0][:100])
        return None
    return describe(output)


def output_shape(layer, one):
    shapes = [map_tree(lambda a: (None, *a.shape[1:]), arg) for arg in one["args"]]
    try:
        return plain(layer.compute_output_shape(*shapes))
    except Exception as error:
        print("   no compute_output_shape:", type(error).__name__, str(error).splitlines()[0][:100])
        return None


def output_mask(layer, one):
    inputs = one["args"][0]
    mask = one["kwargs"].get("mask")
    if type(layer).__name__ in ("Attention", "AdditiveAttention", "MultiHeadAttention", "GroupQueryAttention", "Softmax"):
        return None
    tensors = map_tree(jnp.asarray, inputs)
    result = layer.compute_mask(tensors, map_tree(jnp.asarray, mask))
    return map_tree(np.asarray, result)


def gradients(layer, one, random):
    """Gradients of sum(output * cotangent) by each trainable weight and each float input."""
    state = [v.value for v in layer.non_trainable_variables]
    weights = [v.value for v in layer.trainable_variables]
    floats = [a for a in leaves(one) if isinstance(a, np.ndarray) and is_float(a)]
    if not weights and not floats:
        return None, None, None

    def rebuild(values):
        values = iter(values)
        return map_tree(lambda a: next(values) if isinstance(a, np.ndarray) and is_float(a) else a, one)

    def outputs(weights, values):
        rebuilt = rebuild(values)
        return layer.stateless_call(weights, state, *rebuilt["args"], **rebuilt["kwargs"])[0]

    shapes = jax.eval_shape(outputs, weights, [jnp.asarray(a) for a in floats])
    cotangents = [random.normal(size=s.shape).astype("float32") for s in leaves(shapes) if jnp.issubdtype(s.dtype, jnp.floating)]
    if not cotangents:
        return None, None, None

    def loss(weights, values):
        tensors = [t for t in leaves(outputs(weights, values)) if jnp.issubdtype(t.dtype, jnp.floating)]
        return sum(jnp.sum(t * c) for t, c in zip(tensors, cotangents, strict=True))

    by_weight, by_input = jax.grad(loss, argnums=(0, 1))(weights, [jnp.asarray(a) for a in floats])
    return cotangents, [np.asarray(g) for g in by_weight], [np.asarray(g) for g in by_input]


def ask(name, row):
    random = generator(name)
    keras.utils.clear_session()
    calls = map_tree(lambda leaf: leaf(random) if callable(leaf) else leaf, row["calls"])
    layer = build(keras, row["layer"])
    layer(*calls[0]["args"], **calls[0]["kwargs"])
    if getattr(layer, "stateful", False):
        layer.reset_state()
    random_weights(layer, random)
    answer = {
        "layer": row["layer"],
        "calls": calls,
        "weights": [np.asarray(w) for w in layer.get_weights()],
        "variables": [{"name": v.name, "path": v.path, "shape": list(v.shape), "trainable": bool(v.trainable)} for v in layer.weights],
        "config": config_of(layer),
        "symbolic": symbolic(layer, calls[0]),
        "output_shape": output_shape(layer, calls[0]),
        "output_mask": output_mask(layer, calls[0]),
    }
    start = [v.value for v in layer.variables]
    cotangents, by_weight, by_input = gradients(layer, calls[0], random)
    for variable, value in zip(layer.variables, start, strict=True):
        variable.assign(value)
    outputs = []
    for one in calls:
        outputs.append(map_tree(np.asarray, layer(*one["args"], **one["kwargs"])))
    for array in leaves([outputs, by_weight or [], by_input or []]):
        assert np.isfinite(array).all() or np.issubdtype(array.dtype, np.bool_), f"{name}: not finite"
    regular = [float(loss) for loss in layer.losses]
    return answer | {
        "outputs": outputs,
        "cotangents": cotangents,
        "weight_gradients": by_weight,
        "input_gradients": by_input,
        "weights_after": [np.asarray(w) for w in layer.get_weights()] if by_weight is not None else None,
        "losses": regular,
    }


def make(only=""):
    store = Store("layers")
    for name, row in CASES.items():
        if only not in name:
            continue
        try:
            store.add(name, **ask(name, row))
        except Exception as error:
            print("FAILED", name, type(error).__name__, str(error)[:300].replace("\n", " "), flush=True)
    return store
