# SPDX-License-Identifier: Apache-2.0
"""Asks Keras about attention, normalization and EinsumDense in more configurations, and about polar, rearrange and the ops of CTC. Start at make."""

import inspect

import jax
import jax.numpy as jnp
import keras
import numpy as np

from tests.golden import layer_cases
from tests.golden.layer_cases import call, coin, mask, normal
from tests.golden.make_layers import ask
from tests.golden.store import Store, generator, new

Q_MASK, V_MASK = mask("110", "011"), mask("1101100", "0111110")
GROUPED = {"head_dim": 3, "num_query_heads": 6, "num_key_value_heads": 2}
LAYERS = {
    "Attention/rank_4": ({"use_scale": True}, [[normal(2, 3, 5, 7), normal(2, 3, 2, 7)]], {}),
    "Attention/concat_key_causal": ({"score_mode": "concat"}, [[normal(2, 3, 5), normal(2, 7, 2), normal(2, 7, 5)]], {"use_causal_mask": True}),
    "Attention/dropout_inference": (
        {"dropout": 0.3, "seed": 3},
        [[normal(2, 3, 5), normal(2, 7, 5)]],
        {"training": False, "return_attention_scores": True},
    ),
    "AdditiveAttention/key_scores": ({}, [[normal(2, 3, 5), normal(2, 7, 2), normal(2, 7, 5)]], {"return_attention_scores": True}),
    "AdditiveAttention/causal_dropout": ({"dropout": 0.5}, [[normal(2, 5, 3), normal(2, 5, 3)]], {"use_causal_mask": True}),
    "GroupQueryAttention/key_gate": (GROUPED | {"use_gate": True}, [normal(2, 5, 7), normal(2, 3, 11), normal(2, 3, 2)], {}),
    "GroupQueryAttention/masks": (
        GROUPED | {"dropout": 0.1, "seed": 5},
        [normal(2, 3, 5), normal(2, 7, 5)],
        {"query_mask": Q_MASK, "value_mask": V_MASK, "return_attention_scores": True},
    ),
    "GroupQueryAttention/key_mask_and_window": (
        GROUPED | {"sliding_window": 4, "num_key_value_heads": 1},
        [normal(2, 7, 5), normal(2, 7, 5), normal(2, 7, 2)],
        {"key_mask": V_MASK},
    ),
    "GroupQueryAttention/as_many": (GROUPED | {"num_key_value_heads": 6}, [normal(2, 5, 7)] * 2, {"attention_mask": coin(2, 6, 5, 5)}),
    "GroupNormalization/rank_2": ({"groups": 3}, [normal(2, 6)], {}),
    "SpectralNormalization/three_steps": (
        {"layer": new("layers.Conv1D", filters=3, kernel_size=2), "power_iterations": 3},
        [normal(2, 5, 7)],
        {"training": True},
    ),
    "AlphaDropout/noise_shape": ({"rate": 0.3, "noise_shape": [2, 1, 5], "seed": 7}, [normal(2, 3, 5)], {"training": False}),
    "ReversibleEmbedding/reverse_dtype": ({"input_dim": 11, "output_dim": 3, "reverse_dtype": "float32"}, [normal(2, 3)], {"reverse": True}),
    "EinsumDense/leading": ({"equation": "...x,xy->...y", "output_shape": [7], "bias_axes": "y"}, [normal(2, 3, 5)], {}),
    "EinsumDense/trailing": ({"equation": "ab...,bc->ac...", "output_shape": [7, None], "bias_axes": "c"}, [normal(2, 3, 5)], {}),
    "EinsumDense/along": ({"equation": "abc,bcd->adb", "output_shape": [7, 3], "bias_axes": "db"}, [normal(2, 3, 5)], {}),
}
OPS = {
    "polar/floats": ("polar", [normal(2, 3), normal(2, 3)], {}),
    "polar/broadcast": ("polar", [normal(2, 1), normal(3)], {}),
    "rearrange/move": ("rearrange", [normal(2, 3, 5), "b h w -> w b h"], {}),
    "rearrange/merge": ("rearrange", [normal(2, 3, 5), "b h w -> b (w h)"], {}),
    "rearrange/split": ("rearrange", [normal(2, 6, 5), "b (h k) w -> k b h w"], {"k": 2, "h": 3}),
    "rearrange/both": ("rearrange", [normal(2, 3, 10), "b h (w v) -> (v b) (h w)"], {"v": 2, "w": 5}),
    "ctc_decode/greedy": ("ctc_decode", [normal(3, 11, 5), np.array([11, 7, 0])], {}),
    "ctc_decode/greedy_apart": ("ctc_decode", [normal(3, 11, 3), np.array([11, 7, 1])], {"merge_repeated": False, "mask_index": 2}),
    "ctc_decode/beam": ("ctc_decode", [normal(3, 5, 3), np.array([5, 4, 1])], {"strategy": "beam_search", "beam_width": 200, "top_paths": 3}),
    "ctc_decode/beam_other_blank": (
        "ctc_decode",
        [normal(2, 4, 4), np.array([4, 3])],
        {"strategy": "beam_search", "beam_width": 300, "top_paths": 5, "mask_index": 2},
    ),
}
LABELS, LENGTHS = np.array([[1, 2, 2], [3, 0, 0], [4, 1, 3]]), np.array([3, 1, 2])
LOSSES = {
    "ctc_loss/plain": (LABELS, LENGTHS, np.array([7, 7, 7]), {}),
    "ctc_loss/lengths": (LABELS, LENGTHS, np.array([7, 5, 3]), {}),
    "ctc_loss/no_labels": (LABELS, np.array([0, 1, 2]), np.array([7, 1, 2]), {}),
    "ctc_loss/other_blank": (LABELS - (LABELS == 4), LENGTHS, np.array([7, 6, 5]), {"mask_index": 4}),
}


def draw(random, values):
    return [value(random) if inspect.isfunction(value) else value for value in values]


def make():
    store = Store("attention")
    for name, (arguments, inputs, options) in LAYERS.items():
        layer_cases.case(*name.split("/"), arguments, calls=[call(*inputs, **options)])
        store.add(f"layers/{name}", **ask(name, layer_cases.CASES[name]))
    for name, (op, inputs, options) in OPS.items():
        inputs = draw(generator(name), inputs)
        outputs = getattr(keras.ops, op)(*inputs, **options)
        outputs = [np.asarray(x) for x in (outputs if isinstance(outputs, tuple) else [outputs])]
        split = [np.stack([x.real, x.imag]) if np.iscomplexobj(x) else x for x in outputs]  # the store knows no complex numbers
        store.add(f"ops/{name}", op=op, inputs=inputs, options=options, outputs=split)
    for name, (target, lengths, times, options) in LOSSES.items():
        random = generator(name)
        scores, cotangent = normal(3, 7, 5)(random), normal(3)(random)

        def loss(scores, target=target, lengths=lengths, times=times, options=options):
            return keras.ops.ctc_loss(target, scores, lengths, times, **options)

        gradient = jax.grad(lambda scores, c=cotangent, f=loss: jnp.sum(f(scores) * c))(jnp.asarray(scores))
        inputs = {"target": target, "target_length": lengths, "output_length": times, **options}
        store.add(f"losses/{name}", scores=scores, inputs=inputs, loss=np.asarray(loss(scores)), cotangent=cotangent, gradient=np.asarray(gradient))
    return store
