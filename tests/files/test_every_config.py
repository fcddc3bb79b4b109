# SPDX-License-Identifier: Apache-2.0
"""deserialize(serialize(x)) for every public class with a config: the same class, and the same config once more."""

import inspect

import pytest

import nyala
from nyala import layers
from nyala.saving import deserialize_keras_object, serialize_keras_object

SPACES = {
    "losses": nyala.losses, "metrics": nyala.metrics, "optimizers": nyala.optimizers, "schedules": nyala.optimizers.schedules,
    "initializers": nyala.initializers, "regularizers": nyala.regularizers, "constraints": nyala.constraints, "quantizers": nyala.quantizers,
    "dtype_policies": nyala.dtype_policies, "layers": layers, "random": nyala.random,
}  # fmt: skip
ARGUMENTS = {  # what a constructor must be given, by the name of its argument
    "activation": "tanh",
    "axes": 1,
    "boundaries": [3, 7],
    "cell": lambda: layers.LSTMCell(3),
    "cells": lambda: [layers.GRUCell(2), layers.GRUCell(3)],
    "decay_rate": 0.7,
    "decay_steps": 11,
    "dims": (2, 1),
    "equation": "ab,bc->ac",
    "factor": 0.2,
    "filters": 3,
    "first_decay_steps": 5,
    "function": lambda: nyala.activations.relu,
    "head_dim": 4,
    "height": 5,
    "height_factor": 0.3,
    "initial_learning_rate": 0.2,
    "inner_optimizer": lambda: nyala.optimizers.Adam(0.03),
    "input_dim": 7,
    "kernel_size": 3,
    "key_dim": 4,
    "learning_rate": 0.04,
    "max_number": 6,
    "mode": "int8",
    "n": 3,
    "name": "mixed_bfloat16",
    "num_bins": 9,
    "num_classes": 3,
    "num_heads": 2,
    "num_key_value_heads": 2,
    "num_query_heads": 4,
    "num_tokens": 6,
    "output_dim": 5,
    "output_shape": 5,
    "output_size": 2,
    "precision": 0.6,
    "rate": 0.25,
    "recall": 0.7,
    "scale": 0.1,
    "sensitivity": 0.8,
    "shape": (3,),
    "specificity": 0.4,
    "stddev": 0.3,
    "target_class_ids": [1],
    "target_shape": (2, 3),
    "units": 4,
    "values": [0.3, 0.2, 0.1],
    "width": 6,
    "width_factor": 0.2,
}
BY_CLASS = {
    "CategoryEncoding": {"num_tokens": 6},
    "Discretization": {"num_bins": 4},
    "InputLayer": {"shape": (3,)},
    "MaxNumBoundingBoxes": {"max_number": 6},
    "RandomPosterization": {"factor": 4},
    "Bidirectional": {"layer": lambda: layers.LSTM(3)},
    "TimeDistributed": {"layer": lambda: layers.Dense(2)},
    "Wrapper": {"layer": lambda: layers.Dense(2)},
    "SpectralNormalization": {"layer": lambda: layers.Dense(2)},
    "Pipeline": {"layers": lambda: [layers.RandomFlip(), layers.Rescaling(0.1)]},
    "Int4DTypePolicy": {"mode": "int4/32"},
    "GPTQDTypePolicy": {"mode": "gptq/4/32"},
    "AWQDTypePolicy": {"mode": "awq/4/32"},
    "QuantizedFloat8DTypePolicy": {"mode": "float8"},
    "QuantizedDTypePolicy": {"mode": "int8"},
}
ELSEWHERE = {  # with a test of their own, or without a config that a file could name
    "LossFunctionWrapper", "MeanMetricWrapper", "Optimizer", "NativeOptimizer", "MultiOptimizer", "OptimizerMap", "GPTQConfig", "AWQConfig",
    "FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper", "InputSpec",
}  # fmt: skip


def public():
    for space, module in SPACES.items():
        for name in sorted(dir(module)):
            kind = getattr(module, name)
            if inspect.isclass(kind) and not name.startswith("_") and hasattr(kind, "get_config") and name not in ELSEWHERE:
                yield pytest.param(kind, id=f"{space}.{name}")


def made(kind):
    """An object of a class, of what its constructor must have."""
    given = dict(BY_CLASS.get(kind.__name__, {}))
    for name, parameter in inspect.signature(kind).parameters.items():
        needed = parameter.default is parameter.empty and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        if needed and name not in given:
            given[name] = ARGUMENTS[name]
    return kind(**{name: value() if callable(value) else value for name, value in given.items()})


@pytest.mark.parametrize("kind", list(public()))
def test_what_is_serialized_comes_back(kind):
    if inspect.isabstract(kind):
        pytest.skip("abstract")
    one = made(kind)
    text = serialize_keras_object(one)
    again = deserialize_keras_object(text)
    assert type(again) is type(one)
    assert serialize_keras_object(again) == text


def test_there_are_many():
    assert len(list(public())) > 300
