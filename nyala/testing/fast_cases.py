# SPDX-License-Identifier: Apache-2.0
"""Cases for shortcuts: name of an op -> functions of a random generator that make (arguments, options) for a call. A shortcut without cases fails.

The float arrays among the arguments are also those whose gradients are compared. Cover what a shortcut may
decide by: ranks, axes, dtypes, masks, None.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Random = np.random.Generator
Case = Callable[[Random], tuple[tuple, dict]]


def _normal(random: Random, *shape: int, dtype: str = "float32") -> np.ndarray:
    return random.normal(size=shape).astype(dtype)


def _unary(**options: object) -> list[Case]:
    """One array of several shapes and dtypes."""
    return [
        lambda random: ((_normal(random, 2, 3, 5),), options),
        lambda random: ((_normal(random, 7) * 30,), options),
        lambda random: ((_normal(random, 3, 5, dtype="float16"),), options),
    ]


def _normalization(random: Random, *shape: int) -> tuple:
    return _normal(random, *shape) + 1.5, _normal(random, shape[-1]), _normal(random, shape[-1])


def _recurrence(random: Random, gates: int, states: int, *biases: int) -> tuple:
    """Inputs (2, 5, 3) and first states and weights for 4 units."""
    weights = _normal(random, 3, gates * 4) / 2, _normal(random, 4, gates * 4) / 2
    return _normal(random, 2, 5, 3), *(_normal(random, 2, 4) for _ in range(states)), *weights, *(_normal(random, size) for size in biases)


SEEN = np.array([[True, False, True, True, False], [False, True, True, False, True]])


def _attention(random: Random, **options: object) -> tuple[tuple, dict]:
    return (_normal(random, 2, 5, 3, 7), _normal(random, 2, 11, 3, 7), _normal(random, 2, 11, 3, 7)), options


def _heads(random: Random, *lead: int, keys: int = 3) -> tuple:
    """Queries, keys and values behind these axes: 6 heads of 5 queries, some heads of 11 keys."""
    return _normal(random, *lead, 6, 5, 7), _normal(random, *lead, keys, 11, 7), _normal(random, *lead, keys, 11, 3)


CASES: dict[str, list[Case]] = {
    **{name: _unary() for name in ("relu", "relu6", "elu", "selu", "silu", "softplus", "softsign", "log_sigmoid", "hard_sigmoid", "hard_silu",
        "leaky_relu", "logsumexp")},
    "gelu": [*_unary(approximate=True), *_unary(approximate=False)],
    "softmax": [*_unary(axis=-1), lambda random: ((_normal(random, 3, 5, 2),), {"axis": 1}),
    lambda random: ((_normal(random, 3, 5, 2),), {"axis": (0, 2)})],
    "log_softmax": [*_unary(axis=-1), lambda random: ((_normal(random, 3, 5, 2),), {"axis": 0})],
    "layer_normalization": [
        lambda random: (_normalization(random, 2, 3, 5), {}),
        lambda random: ((_normal(random, 2, 3, 5),), {"epsilon": 1e-2}),
        lambda random: (_normalization(random, 2, 3, 5), {"epsilon": 1e-2}),
        lambda random: ((_normal(random, 2, 3, 5), _normal(random, 3, 5), None), {"axis": (1, 2)}),
        lambda random: ((_normal(random, 2, 3, 5, dtype="float16"),), {}),
    ],
    "rms_normalization": [lambda random: ((_normal(random, 2, 3, 5), _normal(random, 5)), {}),
    lambda random: ((_normal(random, 2, 3, 5), _normal(random, 5)), {"epsilon": 1e-2}), lambda random: ((_normal(random, 2, 3, 5),), {"axis": 1})],
    "batch_normalization": [
        lambda random: ((_normal(random, 2, 3, 5), _normal(random, 5), np.abs(_normal(random, 5)) + 0.5), {"axis": -1}),
        lambda random: ((_normal(random, 2, 3, 5), _normal(random, 3), np.abs(_normal(random, 3)) + 0.5, 1, *_normal(random, 2, 3)), {}),
        lambda random: ((_normal(random, 2, 7, 5, 3), _normal(random, 3), np.abs(_normal(random, 3)) + 0.5, 3, *_normal(random, 2, 3)), {}),
        lambda random: ((_normal(random, 2, 3, 7, 5), _normal(random, 3), np.abs(_normal(random, 3)), 1, None, _normal(random, 3)), {}),
        lambda random: ((_normal(random, 7, 3), _normal(random, 3), np.abs(_normal(random, 3)) + 0.5, 1, _normal(random, 3)), {}),
    ],
    "normalize_batch": [
        lambda random: ((_normal(random, 7, 3), -1), {}),
        lambda random: ((_normal(random, 7, 3), 1, *_normal(random, 2, 3)), {"epsilon": 1e-5}),
        lambda random: ((_normal(random, 4, 5, 3), 2, *_normal(random, 2, 3)), {}),
        lambda random: ((_normal(random, 2, 7, 5, 3) * 3 + 1, 3, *_normal(random, 2, 3)), {}),
        lambda random: ((_normal(random, 2, 3, 7, 5), 1, None, _normal(random, 3)), {}),
        lambda random: ((_normal(random, 2, 3, 7, 5), 2, _normal(random, 7)), {}),
        lambda random: ((_normal(random, 2, 4, 3, 5, 6), -1, *_normal(random, 2, 6)), {}),
        lambda random: ((_normal(random, 2, 7, 3, dtype="float16"), -1), {}),
        lambda random: ((_normal(random, 1, 3), -1), {}),
    ],
    "conv": [
        lambda random: ((_normal(random, 2, 7, 5, 3), _normal(random, 3, 2, 3, 4)), {"padding": "same", "data_format": "channels_last"}),
        lambda random: ((_normal(random, 2, 11, 4), _normal(random, 3, 2, 6)), {"strides": 2, "padding": "valid", "data_format": "channels_last"}),
        lambda random: ((_normal(random, 2, 3, 7, 5), _normal(random, 3, 3, 3, 2)),
        {"padding": "valid", "data_format": "channels_first", "dilation_rate": 2}),
    ],
    "windows_with_bias": [
        lambda random: ((_normal(random, 2, 7, 5, 3), _normal(random, 3, 2, 3, 4), _normal(random, 4), (1, 2), ((1, 1), (0, 1)), (1, 1), 1), {}),
        lambda random: ((_normal(random, 2, 11, 6), _normal(random, 3, 2, 9), _normal(random, 9), (2,), ((1, 1),), (1,), 3), {}),
        lambda random: ((_normal(random, 1, 5, 4, 6, 2), _normal(random, 2, 3, 2, 2, 5), _normal(random, 5), (1, 1, 1), ((0, 0),) * 3,
        (1, 1, 2), 1), {}),
        lambda random: ((_normal(random, 0, 7, 5, 3), _normal(random, 3, 2, 3, 4), _normal(random, 4), (1, 1), ((0, 0), (0, 0)), (1, 1), 1), {}),
    ],
    "lstm_sequence": [
        lambda random: (_recurrence(random, 4, 2), {}),
        lambda random: (_recurrence(random, 4, 2, 16), {"go_backwards": True}),
        lambda random: ((*_recurrence(random, 4, 2, 16), SEEN), {}),
        lambda random: ((*_recurrence(random, 4, 2, 16), SEEN), {"go_backwards": True}),
        lambda random: (_recurrence(random, 4, 2, 16), {"activation": "sigmoid", "recurrent_activation": "tanh"}),
    ],
    "gru_sequence": [
        lambda random: (_recurrence(random, 3, 1), {}),
        lambda random: (_recurrence(random, 3, 1, 12), {"go_backwards": True}),
        lambda random: (_recurrence(random, 3, 1, 12, 12), {}),
        lambda random: ((*_recurrence(random, 3, 1, 12, 12), SEEN), {}),
        lambda random: ((*_recurrence(random, 3, 1, 12, 12), SEEN), {"go_backwards": True}),
        lambda random: (_recurrence(random, 3, 1, 12), {"reset_after": False}),
    ],
    "binary_crossentropy_of_logits": [
        lambda random: ((random.random((3, 5), "float32"), _normal(random, 3, 5)), {}),
        lambda random: ((np.eye(3, 5, dtype="float32"), _normal(random, 3, 5) * 20), {}),
        lambda random: ((random.random((7,)).astype("float16"), _normal(random, 7, dtype="float16")), {}),
    ],
    "chosen_class": [
        lambda random: ((random.integers(0, 5, (2, 3)).astype("int32"), _normal(random, 2, 3, 5)), {"axis": -1}),
        lambda random: ((random.integers(-2, 7, (2, 5)).astype("int32"), _normal(random, 2, 3, 5)), {"axis": 1}),
        lambda random: ((np.array([4, 0, -1], "int32"), _normal(random, 3, 5, dtype="float16")), {"axis": -1}),
    ],
    "binary_crossentropy_within": [
        lambda random: (((random.random((5, 7)) < 0.5).astype("float32"), random.uniform(-0.2, 1.2, (5, 7)).astype("float32"), 1e-3), {}),
        lambda random: ((random.random((3, 2)) < 0.5, random.random((3, 2)).astype("float32"), 1e-7), {}),
        lambda random: (((random.random(7) < 0.5).astype("float16"), random.random(7).astype("float16"), 1e-2), {}),
    ],
    "attend": [
        lambda random: (_heads(random, 2, keys=6), {}),
        lambda random: (_heads(random, 2, keys=3), {}),
        lambda random: ((*_heads(random, 2, keys=6), random.random((2, 1, 5, 11)) < 0.5), {}),
        lambda random: ((*_heads(random, 2, keys=6), np.arange(5)[:, None] + np.zeros((5, 11)) > 2), {}),
        lambda random: ((*_heads(random, 2, 3, keys=6), np.tril(np.ones((5, 11), bool))), {}),
        lambda random: ((*_heads(random, 2, keys=2), np.tril(np.ones((5, 11), bool))), {}),
    ],
    "dot_product_attention": [
        _attention,
        lambda random: _attention(random, scale=0.5),
        lambda random: ((_normal(random, 2, 5, 3, 7), _normal(random, 2, 5, 3, 7), _normal(random, 2, 5, 3, 7)), {"is_causal": True}),
        lambda random: _attention(random, mask=np.tril(np.ones((2, 1, 5, 11), bool))),
        lambda random: _attention(random, mask=np.arange(5)[:, None] + np.zeros((1, 1, 5, 11)) > 2, is_causal=True),
        lambda random: _attention(random, bias=_normal(random, 2, 3, 5, 11)),
    ],
}  # fmt: skip
