# SPDX-License-Identifier: Apache-2.0
"""Activation functions, and get() that finds one by its name."""

from nyala.core.lazy import lazy

_OPS = [
    "celu",
    "elu",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh_shrink",
    "threshold",
]

FUNCTIONS = {
    **dict.fromkeys(_OPS, "nyala.ops.nn_activations:"),
    "tanh": "nyala.ops:",
    **dict.fromkeys(("exponential", "gelu", "linear", "mish", "relu"), "nyala.activations.functions:"),
}

__getattr__, __dir__, __all__ = lazy(__name__, {**FUNCTIONS, **dict.fromkeys(("deserialize", "get", "serialize"), "nyala.activations.table:")})
