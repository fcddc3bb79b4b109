# SPDX-License-Identifier: Apache-2.0
"""Asks Keras about activations: values on ordinary and edge numbers, gradients on ordinary ones. Start at ROWS."""

import jax
import jax.numpy as jnp
import keras
import numpy as np

from tests.golden.store import Store, generator

ROWS = {
    name: [{}]
    for name in [
        "exponential",
        "hard_sigmoid",
        "hard_silu",
        "hard_swish",
        "hard_tanh",
        "linear",
        "log_sigmoid",
        "mish",
        "relu6",
        "selu",
        "sigmoid",
        "silu",
        "swish",
        "softplus",
        "softsign",
        "sparse_plus",
        "sparse_sigmoid",
        "tanh",
        "tanh_shrink",
    ]
}
ROWS |= {
    "celu": [{}, {"alpha": 0.3}],
    "elu": [{}, {"alpha": 0.3}],
    "gelu": [{}, {"approximate": True}, {"approximate": False}],
    "hard_shrink": [{}, {"threshold": 0.9}],
    "soft_shrink": [{}, {"threshold": 0.9}],
    "leaky_relu": [{}, {"negative_slope": 0.07}],
    "relu": [{}, {"negative_slope": 0.1}, {"max_value": 1.5}, {"threshold": 0.4}, {"negative_slope": 0.1, "max_value": 1.5, "threshold": 0.4}],
    "squareplus": [{}, {"b": 2}],
    "threshold": [{"threshold": 0.3, "default_value": -2.0}],
}
ALONG_AXIS = {"softmax": [{}, {"axis": 1}], "log_softmax": [{}, {"axis": 1}], "glu": [{}, {"axis": 1}]}
EDGES = np.array([-np.inf, -1e3, -100.0, -30.0, -10.0, -3.0, -1.0, -0.0, 0.0, 1.0, 3.0, 6.0, 10.0, 30.0, 100.0, 1e3, np.inf, np.nan], "float32")
GRID = (np.linspace(-7.0, 7.0, 41) + 0.0123).astype("float32")  # off every kink


def make():
    store = Store("activations")
    for table, random_input in [(ROWS, False), (ALONG_AXIS, True)]:
        for name, options in table.items():
            for arguments in options:
                label = "/".join([name, ",".join(f"{k}={v}" for k, v in arguments.items()) or "plain"])
                function = getattr(keras.activations, name)
                random = generator(label)
                x = random.normal(scale=2.0, size=(3, 4, 6)).astype("float32") if random_input else GRID
                cotangent = random.normal(size=np.shape(function(x, **arguments))).astype("float32")
                gradient = jax.grad(lambda x, f=function, c=cotangent, a=arguments: jnp.sum(f(x, **a) * c))(jnp.asarray(x))
                edges = np.array([[-1e3, 0.0, 1e3, 1.0], [5.0, 5.0, 5.0, 5.0], [1e3, 1e3, -0.0, -1e3]], "float32") if random_input else EDGES
                store.add(
                    label,
                    name=name,
                    arguments=arguments,
                    x=x,
                    y=np.asarray(function(x, **arguments)),
                    cotangent=cotangent,
                    gradient=np.asarray(gradient),
                    edges=edges,
                    edge_values=np.asarray(function(edges, **arguments)) if arguments.get("axis") is None else None,
                )
    return store
