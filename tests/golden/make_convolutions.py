# SPDX-License-Identifier: Apache-2.0
"""Asks Keras about convolutions and ConvLSTM in more configurations, and about ops that rearrange or pool images. Start at make."""

import inspect

import jax
import jax.numpy as jnp
import keras
import numpy as np

from tests.golden import layer_cases
from tests.golden.layer_cases import FIRST, call, normal
from tests.golden.make_layers import ask
from tests.golden.store import Store, generator

FILM = {"filters": 3, "kernel_size": 2}
LAYERS = {
    "Conv1DTranspose/valid_output_padding": ({"filters": 3, "kernel_size": 2, "strides": 3, "output_padding": 2}, [call(normal(2, 5, 2))]),
    "Conv2DTranspose/first_output_padding_same": (
        {"filters": 3, "kernel_size": [3, 4], "strides": [2, 3], "output_padding": [1, 0], "padding": "same", "data_format": FIRST},
        [call(normal(2, 2, 3, 5))],
    ),
    "Conv2DTranspose/dilation_same": ({"filters": 3, "kernel_size": [2, 3], "dilation_rate": [3, 2], "padding": "same"}, [call(normal(2, 5, 7, 2))]),
    "Conv3DTranspose/output_padding": ({"filters": 2, "kernel_size": [2, 3, 1], "strides": 2, "output_padding": 1}, [call(normal(2, 3, 2, 2, 2))]),
    "DepthwiseConv2D/strides_and_dilation": ({"kernel_size": 2, "strides": [1, 2], "dilation_rate": [2, 1]}, [call(normal(2, 5, 7, 3))]),
    "SeparableConv2D/strides_apart": ({"filters": 3, "kernel_size": [3, 2], "strides": [1, 2]}, [call(normal(2, 5, 7, 3))]),
    "ConvLSTM1D/stateful": (FILM | {"stateful": True}, [call(normal(2, 3, 5, 2)), call(normal(2, 5, 5, 2))]),
    "ConvLSTM1D/initial_state": (
        FILM | {"return_state": True, "padding": "same"},
        [call(normal(2, 3, 5, 2), initial_state=[normal(2, 5, 3), normal(2, 5, 3)])],
    ),
    "ConvLSTM2D/backwards_dilation": (FILM | {"go_backwards": True, "dilation_rate": 2, "return_sequences": True}, [call(normal(2, 3, 5, 3, 2))]),
    "ConvLSTM2D/no_forget_bias": (
        FILM | {"unit_forget_bias": False, "recurrent_activation": "hard_sigmoid", "dropout": 0.3, "seed": 7},
        [call(normal(2, 3, 3, 5, 2), training=False)],
    ),
    "ConvLSTM3D/first": (FILM | {"data_format": FIRST, "return_state": True, "strides": 2}, [call(normal(2, 3, 2, 5, 3, 2))]),
}
OPS = {
    "adaptive_average_pool/overlap": ("adaptive_average_pool", [normal(2, 7, 3), 3], {}),
    "adaptive_average_pool/first": ("adaptive_average_pool", [normal(2, 3, 7, 5), (2, 5)], {"data_format": FIRST}),
    "adaptive_average_pool/more_than_places": ("adaptive_average_pool", [normal(2, 3, 5, 2, 2), (5, 2, 1)], {}),
    "adaptive_max_pool/overlap": ("adaptive_max_pool", [normal(2, 7, 5, 3), (3, 2)], {}),
    "adaptive_max_pool/first": ("adaptive_max_pool", [normal(2, 3, 7), 4], {"data_format": FIRST}),
    "depth_to_space/last": ("depth_to_space", [normal(2, 3, 5, 18), 3], {}),
    "depth_to_space/first": ("depth_to_space", [normal(2, 12, 3, 5), 2], {"data_format": FIRST}),
    "space_to_depth/last": ("space_to_depth", [normal(2, 6, 9, 2), 3], {}),
    "space_to_depth/first": ("space_to_depth", [normal(2, 3, 4, 10), 2], {"data_format": FIRST}),
    "unfold/plain": ("unfold", [normal(2, 3, 7, 5), (2, 3)], {}),
    "unfold/all": ("unfold", [normal(2, 3, 7, 5), (3, 2)], {"dilation": (1, 3), "padding": (2, 1), "stride": (2, 1)}),
    "fold/plain": ("fold", [normal(2, 18, 18), (7, 5), (2, 3)], {}),
    "fold/all": ("fold", [normal(2, 6, 20), (7, 5), (3, 2)], {"dilation": (1, 3), "padding": (2, 1), "stride": (2, 1)}),
}


def make():
    store = Store("convolutions")
    for name, (arguments, calls) in LAYERS.items():
        layer_cases.case(*name.split("/"), arguments, calls=calls)
        store.add(f"layers/{name}", **ask(name, layer_cases.CASES[name]))
    for name, (op, inputs, options) in OPS.items():
        random = generator(name)
        x, *others = (value(random) if inspect.isfunction(value) else value for value in inputs)
        function = lambda x, op=op, others=others, options=options: getattr(keras.ops, op)(x, *others, **options)  # noqa: E731
        y = np.asarray(function(x))
        cotangent = random.normal(size=y.shape).astype("float32")
        gradient = jax.grad(lambda x, f=function, c=cotangent: jnp.sum(f(x) * c))(jnp.asarray(x))
        store.add(f"ops/{name}", op=op, x=x, others=others, options=options, y=y, cotangent=cotangent, gradient=np.asarray(gradient))
    return store
