# SPDX-License-Identifier: Apache-2.0
"""What optimizers had learned, in .h5 files of Keras 1 to 3: steps made, and for each weight its momentum and the like. Start at plan_optimizer.

Keras 1 and 2 wrote these arrays without names, in the order of the weights they belong to, in the layout of those weights then; so they take the
same way as the weights. tf.keras named them after the weights.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np

from nyala.core.errors import ArgumentError
from nyala.files.hdf5 import Dataset, Group
from nyala.files.legacy_weights import Held, Plan, Stored, attribute, layer_arrays
from nyala.files.loading import check_range
from nyala.legacy.era import Era

# Slots in the order in which Keras 1 and 2 wrote them.
SLOTS: dict[str, tuple[str, ...]] = {
    "Adadelta": ("accumulated_grad", "accumulated_delta_var"),
    "Adagrad": ("accumulator",),
    "Adam": ("momentum", "velocity", "velocity_hat"),
    "Adamax": ("momentum", "norm"),
    "RMSprop": ("velocity",),
    "SGD": ("momentum",),
}
# What tf.keras called them.
NAMES = {
    "m": "momentum", "v": "velocity", "vhat": "velocity_hat", "momentum": "momentum", "velocity": "velocity", "rms": "velocity",
    "mg": "average_gradient",
    "average_gradient": "average_gradient", "accumulator": "accumulator", "accum_grad": "accumulated_grad", "accum_var": "accumulated_delta_var",
    "accumulated_grad": "accumulated_grad", "accumulated_delta_var": "accumulated_delta_var", "u": "norm",
}  # fmt: skip


def plan_optimizer(optimizer: Any, group: Group, pairs: list[tuple[Any, Stored]], era: Era, where: str) -> Plan:
    """New values for the variables of a built optimizer.

    Args:
        optimizer: built for the trainable weights.
        group: optimizer_weights of the file.
        pairs: layers of the model with what the file has of each.
        era: of the Keras that wrote it.
        where: for errors.
    """
    names = attribute(group, "weight_names") or []
    datasets = [group.find(name) for name in names]
    if not all(isinstance(dataset, Dataset) for dataset in datasets):
        raise ArgumentError(where, need="an array for each name of the state of the optimizer", got="fewer")
    found: list[Any] = datasets
    if era.generation >= 3:
        return _in_order(optimizer, found, where)
    entries = _entries(pairs, era, where)
    named = not era.multibackend and not any("/Variable" in name for name in names)
    steps, slots = (_named if named else _unnamed)(optimizer, names, found, entries, era, where)
    plan: Plan = [] if steps is None else [(optimizer._iterations, _counted(optimizer, steps, where))]
    for slot, arrays in slots.items():
        plan += _through_layers(optimizer, slot, arrays, pairs, era, where)
    return plan


def _in_order(optimizer: Any, datasets: list[Dataset], where: str) -> Plan:
    """The variables of Keras 3, one for one."""
    variables = optimizer.variables
    shapes, wanted = [d.shape for d in datasets], [tuple(v.shape) for v in variables]
    if shapes != wanted:
        raise ArgumentError(where, need=f"{len(wanted)} arrays of the optimizer's shapes", got=f"{len(shapes)} others")
    found = [(variable, dataset.read(variable.shape)) for variable, dataset in zip(variables, datasets, strict=True)]
    return [(variable, _counted(optimizer, value, where) if variable is optimizer._iterations else value) for variable, value in found]


def _counted(optimizer: Any, steps: np.ndarray, where: str) -> np.ndarray:
    """A number of steps, in whatever dtype it was stored."""
    check_range(optimizer._iterations, steps, where, least=0)
    return steps.astype("int32")


@dataclasses.dataclass
class _Entry:
    """One stored array of a weight: its place in the file, and whether it was trained."""

    layer: int
    number: int
    name: str
    shape: tuple[int, ...]
    trained: bool


def _entries(pairs: list[tuple[Any, Stored]], era: Era, where: str) -> list[_Entry]:
    """The stored arrays of all layers, in order. What was trained is found by sending the numbers of the arrays the way of their values."""
    entries = []
    for i, (layer, stored) in enumerate(pairs):
        numbered = [Held(np.full(d.shape, k, "float64")) for k, d in enumerate(stored.datasets)]
        weights, arrays = layer_arrays(layer, Stored(stored.name, stored.weight_names, numbered), era, where)  # type: ignore[arg-type]
        trained = {int(k) for weight, array in zip(weights, arrays, strict=True) if weight.trainable for k in np.unique(array)}
        entries += [_Entry(i, k, name, d.shape, k in trained) for k, (name, d) in enumerate(zip(stored.weight_names, stored.datasets, strict=True))]
    return entries


Slots = dict[str, dict[tuple[int, int], np.ndarray]]  # slot -> place of the weight -> values


def _unnamed(optimizer: Any, names: list[str], datasets: list[Dataset], entries: list[_Entry], era: Era, where: str) -> tuple[Any, Slots]:
    """Keras 1 and 2: perhaps the number of steps, then slot after slot, each in the order of the trained weights."""
    kind = type(optimizer).__name__
    trained = [entry for entry in entries if entry.trained]
    if era.generation < 2:
        trained.sort(key=lambda entry: entry.name)
    steps = None
    if datasets and datasets[0].shape == () and (not trained or trained[0].shape != () or len(datasets) % len(trained) == 1):
        steps, datasets = datasets[0].read(()), datasets[1:]
    if kind not in SLOTS or not trained or len(datasets) % len(trained):
        raise ArgumentError(where, need=f"a state of {kind} that is known", got=f"{len(datasets)} arrays for {len(trained)} weights")
    slots: Slots = {}
    for i, slot in enumerate(SLOTS[kind][: len(datasets) // len(trained)]):
        part = datasets[i * len(trained) : (i + 1) * len(trained)]
        if slot == "velocity_hat" and not optimizer.amsgrad:
            continue
        slots[slot] = {(entry.layer, entry.number): dataset.read(entry.shape) for entry, dataset in zip(trained, part, strict=True)}
    return steps, slots


def _named(optimizer: Any, names: list[str], datasets: list[Dataset], entries: list[_Entry], era: Era, where: str) -> tuple[Any, Slots]:
    """tf.keras: "Adam/m/dense/kernel:0", or "Adam/dense/kernel/m:0" before TensorFlow 2.11."""
    places = {re.sub(r":\d+$", "", entry.name): entry for entry in entries}
    steps, slots = None, {}
    for name, dataset in zip(names, datasets, strict=True):
        parts = re.sub(r":\d+$", "", name).split("/")
        if parts[-1] in ("iter", "iteration"):
            steps = dataset.read(())
            continue
        choices = [(parts[1], "/".join(parts[2:])), (parts[-1], "/".join(parts[1:-1])), (parts[-1], "/".join(parts[:-1]))]
        known = next(((NAMES[slot], places[weight]) for slot, weight in choices if slot in NAMES and weight in places), None)
        if known is None:
            if parts[-1] in ("learning_rate", "decay"):
                continue
            raise ArgumentError(where, need="a state of the optimizer that is known", got=repr(name))
        slot, entry = known
        slots.setdefault(slot, {})[entry.layer, entry.number] = dataset.read(entry.shape)
    return steps, slots


def _through_layers(optimizer: Any, slot: str, arrays: dict, pairs: list[tuple[Any, Stored]], era: Era, where: str) -> Plan:
    """Send the arrays of one slot the way of the weights they belong to."""
    plan: Plan = []
    for i, (layer, stored) in enumerate(pairs):
        if not any(place[0] == i for place in arrays):
            continue
        held = [Held(arrays.get((i, k), np.broadcast_to(np.float32(0), d.shape))) for k, d in enumerate(stored.datasets)]
        weights, values = layer_arrays(layer, Stored(stored.name, stored.weight_names, held), era, where)  # type: ignore[arg-type]
        for weight, value in zip(weights, values, strict=True):
            own = optimizer._slots.get(weight, {}).get(slot) if weight.trainable else None
            if own is not None and tuple(value.shape) != tuple(own.shape):
                raise ArgumentError(where, need=f"shape {tuple(own.shape)} for {own.path!r}", got=f"{tuple(value.shape)}")
            plan += [(own, value)] if own is not None else []
    return plan
