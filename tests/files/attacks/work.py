# SPDX-License-Identifier: Apache-2.0
"""Configs that are short and want long work or much memory: patterns, thresholds, constants; and weights that are converted. Start at ATTACKS."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

from tests.files.attacks import bounds, outside
from tests.files.attacks.attack import LOADS, VALUE, Attack
from tests.files.attacks.objects import WITH_COMPILE, argument, as_layer, compiling

SLOW = "(a+)+$"
FLOAT = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None}


def of(module: str, kind: str, **config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": kind, "config": config, "registered_name": None}


def policies(*patterns: str) -> Any:
    """A poison that gives the first Dense layer a map of policies by patterns, and a name on which a slow one takes for ever."""
    table = of("keras.dtype_policies", "DTypePolicyMap", default_policy="float32", policy_map=dict.fromkeys(patterns, FLOAT))

    def poison(config: Any, canary: pathlib.Path) -> None:
        argument("dtype", table)(config, canary)
        if SLOW in patterns:
            argument("name", "a" * 40 + "!")(config, canary)

    return poison


def optimizers(pattern: str) -> Any:
    inner = of("keras.optimizers", "SGD", learning_rate=0.1)
    table = of("keras.optimizers", "OptimizerMap", default_optimizer=inner, optimizer_map={pattern: inner})
    return compiling(optimizer=of("keras.optimizers", "MultiOptimizer", optimizer_map=table))


def measured(kind: str, **config: Any) -> Any:
    return compiling(metrics=[of("keras.metrics", kind, **config)])


def graph(kind: str, *arguments: Any, module: str = "keras.src.ops.numpy") -> Any:
    """A poison: a model that adds what an op makes of numbers alone to its input."""

    def tensor(name: str) -> dict[str, Any]:
        return {"class_name": "__keras_tensor__", "config": {"shape": [None, 5], "dtype": "float32", "keras_history": [name, 0, 0]}}

    def op(kind: str, name: str, args: list[Any], module: str) -> dict[str, Any]:
        node = {"args": args, "kwargs": {}}
        return {**of(module, kind, name=name), "registered_name": kind, "name": name, "inbound_nodes": [node]}

    first = {**of("keras.layers", "InputLayer", batch_shape=[None, 5], dtype="float32", name="x"), "name": "x", "inbound_nodes": []}
    layers = [first, op(kind, "made", list(arguments), module), op("Add", "sum", [tensor("x"), tensor("made")], "keras.src.ops.numpy")]
    inner = {"name": "m", "trainable": True, "layers": layers, "input_layers": [["x", 0, 0]], "output_layers": [["sum", 0, 0]]}
    return lambda config, canary: {**of("keras.src.models.functional", "Functional", **inner), "registered_name": "Functional"}


PATTERN = ("config-pattern",)
NOT_MADE = {"inspect": (LOADS,), "from_config": ("object-unknown",)}  # what is only looked at, and a Sequential of a graph
B6 = [
    Attack("B6", "a policy by a pattern that repeats what it repeats", "config", policies(SLOW), PATTERN),
    Attack("B6", "a policy by a pattern that looks ahead", "config", policies("(?=a*b)a"), PATTERN),
    Attack("B6", "a policy by a pattern that repeats much", "config", policies("a*a*a*b"), PATTERN),
    Attack("B6", "a policy by a pattern that refers to itself", "config", policies(r"(a|b)\1*"), PATTERN),
    Attack("B6", "a policy by a long pattern", "config", policies("a|" * 200), PATTERN),
    Attack("B6", "policies by many patterns", "config", policies(*(f"a{i}.*" for i in range(600))), PATTERN),
    Attack("B6", "policies by patterns of people", "config", policies("encoder_[0-9]+/.*", "head", "b.*", r"c\(x\)\*\+"), (LOADS,)),
    Attack("B6", "an optimizer by a slow pattern", "config", optimizers(SLOW), PATTERN, doors=WITH_COMPILE),
    Attack("B6", "an optimizer by a pattern of people", "config", optimizers("m/a/.*"), (LOADS,), doors=WITH_COMPILE),
    Attack("B6", "layers left out by a slow pattern", "config", compiling(optimizer=of("keras.optimizers", "Muon", exclude_layers=[SLOW])), PATTERN,
        doors=WITH_COMPILE),
    Attack("B6", "layers left out by a pattern that begins anywhere", "config",
        compiling(optimizer=of("keras.optimizers", "Muon", exclude_layers=["a*a*b"])), PATTERN, doors=WITH_COMPILE),
    Attack("B6", "layers left out by a pattern that begins with nothing 100,000 times", "config",
        compiling(optimizer=of("keras.optimizers", "Muon", exclude_layers=[".*" * 100_000 + "a"])), PATTERN, doors=WITH_COMPILE),
    Attack("B6", "layers left out by patterns of people", "config",
        compiling(optimizer=of("keras.optimizers", "Muon", exclude_layers=[".*embed.*", "head", "block_[0-9]+/.*", r"norm\.*"])), (LOADS,),
        doors=WITH_COMPILE),
]  # fmt: skip
B4 = [
    Attack("B4", "10^10 thresholds of a metric", "config", measured("AUC", num_thresholds=10**10), ("config-work",), doors=WITH_COMPILE),
    Attack("B4", "10^8 thresholds of another metric", "config", measured("PrecisionAtRecall", recall=0.5, num_thresholds=10**8), ("config-work",),
        doors=WITH_COMPILE),
    Attack("B4", "a metric of 10^4 times 10^4 classes", "config", measured("MeanIoU", num_classes=10**4), (LOADS,), doors=WITH_COMPILE),
    Attack("B4", "1,000 thresholds", "config", measured("AUC", num_thresholds=1000), (LOADS,), doors=WITH_COMPILE),
    *(
        Attack("B4", f"a graph with {what}", "config", graph(*call), (VALUE, "keras-config"), but=NOT_MADE)
        for what, call in {
            "10^8 numbers": ("Arange", 10**8), "10^4 times 10^4 zeros": ("Zeros", [10**4, 10**4]), "10^4 times 10^4 ones": ("Ones", [10**4, 10**4]),
            "a matrix of 10^4": ("Eye", 10**4), "a constant of its own": ("Full", [10**4, 10**4], 3.0),
        }.items()
    ),
]  # fmt: skip
B4 += [
    Attack("B4", f"{kind} of {config}", "config", as_layer(kind, **config), ("config-work",))
    for kind, config in (
        ("Resizing", {"height": 10**8, "width": 10}), ("RandomCrop", {"height": 10, "width": 10**8}), ("MelSpectrogram", {"num_mel_bins": 10**7}),
        ("RandomGaussianBlur", {"kernel_size": 10**8 + 1}), ("AdaptiveAveragePooling2D", {"output_size": [3, 10**8]}),
        ("AdaptiveMaxPooling1D", {"output_size": 10**9}),
    )
]  # fmt: skip
B4 += [Attack("B4", "10^8 numbers in equal steps", "config", graph("Linspace", 0.0, 1.0, 10**8), ("config-work",))]
CONVERTED = [
    dataclasses.replace(attack, name=f"{attack.name}, converted", doors=(f"{kind}:convert_weights",), but={})
    for kind, carrier, attacks in (
        ("weights", "tree", [*outside.R3, *outside.R4, *outside.R5, *bounds.B1]),
        ("safetensors", "safetensors", bounds.B3),
        ("shards", "index", outside.R7),
    )
    for attack in attacks
    if attack.carrier == carrier and LOADS not in attack.rules and "packed into" not in attack.name  # which is as much as it says
]
CONVERSION = ("weights:convert_weights", "safetensors:convert_weights")


def _named(name: str) -> Any:
    """A poison of the header of a .safetensors file: one more array, of no bytes, of this name."""

    def more(header: dict[str, Any]) -> None:
        ends = [entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"]
        header[name] = {"dtype": "F32", "shape": [0], "data_offsets": [max(ends)] * 2}

    return bounds._header(more)


def _shaped(shape: list[int]) -> Any:
    return bounds._header(lambda header: bounds._first(header).update(shape=shape, data_offsets=[0, 0]))


P4 = [
    Attack("P4", f"weights called {name[:20]!r}, converted", "safetensors", _named(name), ("convert-name", "file-sum"), doors=CONVERSION[1:])
    for name in ("../x", "/x", "a//vars/0", "a/./vars/0", "", "a\0b/vars/0", "/".join("a" * 100), "a" * 2000, "..")
]
B3 = [
    Attack("B3", f"{what} in safetensors", "safetensors", _shaped(shape), ("safetensors-array",))
    for what, shape in {"nothing, 2^62 times": [0, 1 << 62], "nothing, of rank 1,000": [0] * 1000}.items()
]  # fmt: skip
ATTACKS = [*P4, *B3, *B6, *B4, *CONVERTED]
