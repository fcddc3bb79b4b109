# SPDX-License-Identifier: Apache-2.0
"""Asks Keras about small layers in more configurations, so that each has three. Start at make."""

from tests.golden import layer_cases
from tests.golden.layer_cases import call, normal
from tests.golden.make_layers import ask
from tests.golden.store import Store, new

LAYERS = {
    "ActivityRegularization/first": ({"l1": 0.3}, [call(normal(3, 5))]),
    "ActivityRegularization/second": ({"l2": 0.3}, [call(normal(2, 3, 5))]),
    "AutoContrast/small": ({"value_range": [0, 1]}, [call(normal(2, 3, 5, 3))]),
    "CenterCrop/larger": ({"height": 5, "width": 7}, [call(normal(2, 3, 5, 2))]),
    "Concatenate/middle": ({"axis": 1}, [call([normal(2, 3, 5), normal(2, 4, 5)])]),
    "ELU/rank_3": ({"alpha": 2.0}, [call(normal(2, 3, 5))]),
    "GRUCell/plain": ({"units": 3}, [call(normal(5, 2), [normal(5, 3)])]),
    "GRUCell/no_bias": ({"units": 4, "use_bias": False, "activation": "relu"}, [call(normal(2, 3), [normal(2, 4)])]),
    "Identity/plain": ({}, [call(normal(3, 5))]),
    "Identity/several": ({}, [call([normal(2, 3), normal(2, 5)])]),
    "Identity/rank_3": ({}, [call(normal(2, 3, 5))]),
    "LSTMCell/plain": ({"units": 3}, [call(normal(5, 2), [normal(5, 3), normal(5, 3)])]),
    "LSTMCell/no_bias": ({"units": 4, "use_bias": False, "activation": "relu"}, [call(normal(2, 3), [normal(2, 4), normal(2, 4)])]),
    "LSTMCell/forget": (
        {"units": 3, "unit_forget_bias": False, "recurrent_activation": "hard_sigmoid", "kernel_regularizer": "l2"},
        [call(normal(2, 5), [normal(2, 3), normal(2, 3)])],
    ),
    "LeakyReLU/rank_3": ({"negative_slope": 0.7}, [call(normal(2, 3, 5))]),
    "Masking/rank_4": ({"mask_value": 0.0}, [call(normal(2, 3, 5, 2))]),
    "Permute/rank_4": ({"dims": [3, 1, 2]}, [call(normal(2, 3, 5, 7))]),
    "Pipeline/plain": ({"layers": [new("layers.Rescaling", scale=0.3), new("layers.CenterCrop", height=2, width=3)]}, [call(normal(2, 3, 5, 2))]),
    "RNN/state": ({"cell": new("layers.GRUCell", units=3), "return_state": True}, [call(normal(2, 5, 3), initial_state=[normal(2, 3)])]),
    "RepeatVector/once": ({"n": 1}, [call(normal(2, 5))]),
    "RepeatVector/often": ({"n": 7}, [call(normal(3, 2))]),
    "Resizing/bicubic": ({"height": 5, "width": 4, "interpolation": "bicubic"}, [call(normal(2, 3, 5, 2))]),
    "SimpleRNNCell/plain": ({"units": 3}, [call(normal(5, 2), [normal(5, 3)])]),
    "SimpleRNNCell/no_bias": ({"units": 4, "use_bias": False, "activation": "relu"}, [call(normal(2, 3), [normal(2, 4)])]),
    "SimpleRNNCell/regularized": ({"units": 2, "recurrent_regularizer": "l1"}, [call(normal(3, 5), [normal(3, 2)])]),
    "SpatialDropout1D/inference": ({"rate": 0.3}, [call(normal(2, 3, 5), training=False)]),
    "SpatialDropout2D/plain": ({"rate": 0.5}, [call(normal(2, 3, 5, 2), training=False)]),
    "SpatialDropout2D/first": ({"rate": 0.3, "data_format": "channels_first"}, [call(normal(2, 3, 5, 2), training=False)]),
    "SpatialDropout2D/none": ({"rate": 0.0}, [call(normal(2, 3, 5, 2))]),
    "SpatialDropout3D/plain": ({"rate": 0.5}, [call(normal(2, 3, 5, 2, 2), training=False)]),
    "SpatialDropout3D/first": ({"rate": 0.3, "data_format": "channels_first"}, [call(normal(2, 3, 5, 2, 2), training=False)]),
    "SpatialDropout3D/none": ({"rate": 0.0}, [call(normal(2, 3, 5, 2, 2))]),
    "StackedRNNCells/one": ({"cells": [new("layers.SimpleRNNCell", units=3)]}, [call(normal(2, 5), [[normal(2, 3)]])]),
    "Subtract/broadcast": ({}, [call([normal(2, 3, 5), normal(2, 1, 5)])]),
    "UpSampling1D/often": ({"size": 5}, [call(normal(2, 3, 5))]),
}


def make():
    store = Store("more_layers")
    for name, (arguments, calls) in LAYERS.items():
        layer_cases.case(*name.split("/"), arguments, calls=calls)
        store.add(name, **ask(name, layer_cases.CASES[name]))
    return store
