# SPDX-License-Identifier: Apache-2.0
"""Weights in .h5 files of Keras 0 to 3: which arrays belong to which layer, planned whole before anything is read or set.

A file of Keras 1 to 3 has a group per layer, named; one of Keras 0 numbers its layers, or has all arrays of a Graph in one group.
Start at plan_weights.
"""

from __future__ import annotations

import dataclasses
import functools
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from nyala.core.alignment import Replacing
from nyala.core.dtypes import is_float
from nyala.core.errors import ArgumentError, ShapeError, StateError, placed
from nyala.files.errors import CorruptFileError, ResourceLimitError
from nyala.files.hdf5 import Dataset, Group
from nyala.files.legacy_layouts import Arrays, converted, weights_of
from nyala.files.loading import check_range, set_value
from nyala.legacy.era import Era

Plan = list[tuple[Any, np.ndarray]]  # weights and their new values


@dataclasses.dataclass
class Stored:
    """What a file has of one layer."""

    name: str
    weight_names: list[str]
    datasets: list[Dataset]

    def read(self, limit: int, where: str) -> Arrays:
        """Its arrays, if they are not larger than the layer can need."""
        if sum(dataset.size for dataset in self.datasets) > limit:
            raise ResourceLimitError(
                where, need=f"at most {limit:,} numbers for layer {self.name!r}", got=f"{sum(d.size for d in self.datasets):,}", rule="weights-size"
            )
        return [dataset.read(dataset.shape) for dataset in self.datasets]

    def blank(self) -> Stored:
        """The same with zeros of these shapes, which take no memory."""
        zeros = [Held(np.broadcast_to(np.float32(0), dataset.shape)) for dataset in self.datasets]
        return Stored(self.name, self.weight_names, zeros)  # type: ignore[arg-type]


@dataclasses.dataclass
class Held:
    """An array in the place of a dataset."""

    array: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def size(self) -> int:
        return self.array.size

    def read(self, shape: Sequence[int] | None = None) -> np.ndarray:
        return self.array


@dataclasses.dataclass
class _One:
    """A weight in the place of a layer."""

    name: str
    weights: list[Any]


def attribute(group: Group, name: str) -> list[str] | None:
    """A list of names in an attribute, which long lists spread over name0, name1, ..."""
    if name in group.attributes:
        return _strings(group.attributes[name])
    parts: list[str] = []
    number = 0
    while f"{name}{number}" in group.attributes:
        parts += _strings(group.attributes[f"{name}{number}"])
        number += 1
    return parts if number else None


def _strings(value: Any) -> list[str]:
    if isinstance(value, (str, bytes)):
        value = [value]
    return [one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in value]


def stored_layers(group: Group, where: str) -> list[Stored]:
    """The layers of a weights group, in order, with the datasets of each; nothing is read."""
    names = attribute(group, "layer_names")
    if names is not None:
        return [_named(group, name, where) for name in names]
    if "nb_layers" in group.attributes:
        return [_numbered(group, f"layer_{i}", where) for i in range(_count(group.attributes["nb_layers"], where))]
    if "graph" in group.groups:
        return [_numbered(group, "graph", where)]
    raise CorruptFileError(
        where,
        need="weights of Keras: the attribute layer_names, or nb_layers",
        got=f"groups {sorted(group.groups)[:8]} and attributes {sorted(group.attributes)[:8]}",
        fix="a file of Keras 3 ends in .weights.h5; others are not weights of a model",
        rule="weights-layout",
    )


def _count(value: Any, where: str) -> int:
    if not isinstance(value, (int, np.integer)) or not 0 <= value <= 100_000:
        raise CorruptFileError(where, need="a number of layers", got=f"{value!r:.40}", rule="weights-layout")
    return int(value)


def _named(group: Group, name: str, where: str) -> Stored:
    inner = group.find(name)
    if not isinstance(inner, Group):
        raise CorruptFileError(where, need=f"a group for layer {name!r}", got="none", rule="weights-layout")
    weight_names = attribute(inner, "weight_names") or []
    found = [inner.find(one) for one in weight_names]
    for one, dataset in zip(weight_names, found, strict=True):
        if not isinstance(dataset, Dataset):
            raise CorruptFileError(where, need=f"an array {one!r} of layer {name!r}", got="none", rule="weights-layout")
    return Stored(name, weight_names, found)  # type: ignore[arg-type]


def _numbered(group: Group, name: str, where: str) -> Stored:
    inner = group.groups.get(name)
    if inner is None:
        raise CorruptFileError(where, need=f"a group {name!r}", got="none", rule="weights-layout")
    names = [f"param_{i}" for i in range(_count(inner.attributes.get("nb_params", 0), where))]
    if missing := [one for one in names if one not in inner.datasets]:
        raise CorruptFileError(where, need=f"an array {missing[0]!r} in {name!r}", got="none", rule="weights-layout")
    return Stored(name, [], [inner.datasets[one] for one in names])


# Which layer gets what ----------------------------------------------------------------------------------------------------------


def plan_weights(model: Any, group: Group, era: Era, where: str, by_name: bool = False, skip_mismatch: bool = False) -> Plan:
    """New values for the weights of a model. Reads what fits; changes nothing.

    Args:
        model: built.
        group: with the layers.
        era: of the Keras that wrote it.
        where: for errors.
        by_name: layers go by their names; those that are only in the file, or only in the model, are left alone.
        skip_mismatch: leave layers alone whose shapes differ, with a warning.
    Raises: StateError for a model without weights; ShapeError and ArgumentError, with the first difference, for one that does not fit.
    """
    plan: Plan = []
    for stored, planned in _parts(model, group, era, where, by_name, skip_mismatch):
        plan += planned(stored)
    return plan


def set_weights(model: Any, group: Group, era: Era, where: str, by_name: bool = False, skip_mismatch: bool = False) -> None:
    """As plan_weights, and set them: all is compared and checked before the first, then the arrays of one layer are read at a time."""
    fitting = []
    for stored, planned in _parts(model, group, era, where, by_name, skip_mismatch, one_by_one=True):
        if values := planned(stored.blank()):
            fitting.append((stored, planned))
            for dataset in stored.datasets:
                dataset.check()
            if not all(is_float(weight._dtype) for weight, _ in values):
                for weight, array in planned(stored):
                    check_range(weight, array, where)
    replacing = Replacing()
    for stored, planned in fitting:
        for weight, array in planned(stored):
            set_value(weight, array, replacing)


def _parts(
    model: Any, group: Group, era: Era, where: str, by_name: bool, skip_mismatch: bool, one_by_one: bool = False
) -> list[tuple[Stored, Callable[[Stored], Plan]]]:
    """What the file has of each layer, and of the model itself, each with the function that makes a plan of it; one by one: no models in it."""
    pairs = pairs_of(model, group, era, where, by_name)
    if one_by_one:
        pairs = [pair for layer, stored in pairs for pair in _apart(layer, stored, era, where)]
    parts: list[tuple[Stored, Callable[[Stored], Plan]]] = [
        (stored, functools.partial(_plan_layer, layer, era=era, where=where, skip_mismatch=skip_mismatch)) for layer, stored in pairs
    ]
    if "top_level_model_weights" in group.groups:
        parts.append((_named(group, "top_level_model_weights", where), functools.partial(_plan_top, model, where=where)))
    return parts


def pairs_of(model: Any, group: Group, era: Era, where: str, by_name: bool = False) -> list[tuple[Any, Stored]]:
    """The layers of a model, each with what the file has for it."""
    check_built(model, where)
    layers = [stored for stored in stored_layers(group, where) if stored.datasets]
    own = [layer for layer in model.layers if layer.weights]
    if era.generation == 0 or (layers and not layers[0].weight_names):
        if by_name:
            raise ArgumentError(where, need="a file that names its layers", got="one of Keras 0, which numbers them", fix="load it without by_name")
        order = getattr(model, "_order_of_layers", [])
        own.sort(key=lambda layer: order.index(layer.name) if layer.name in order else len(order))
        return _numbered_pairs(own, layers, where)
    if not by_name:
        return _pairs(own, layers, where)
    named = {layer.name: layer for layer in _inner(own) if layer.weights} | {layer.name: layer for layer in own}
    pairs = [(named[stored.name], stored) for stored in layers if stored.name in named]
    if not pairs:
        warnings.warn(f"{where}: no layer of the model has a name that is in the file, so nothing was loaded", stacklevel=6)
    return pairs


def check_built(model: Any, where: str) -> None:
    """Raise unless the weights of a model are there."""
    if not model.built or not all(layer.built for layer in model.layers):
        waiting = next((layer.name for layer in model.layers if not layer.built), model.name)
        raise StateError(
            where,
            need="a model whose weights are there",
            got=f"one whose layer {waiting!r} is not built",
            fix="call it once on data, or build(input_shape), or begin it with nyala.Input",
        )


def _inner(layers: Sequence[Any]) -> Iterator[Any]:
    """Layers, and in the place of models those inside."""
    from nyala.models.model import Model

    for layer in layers:
        if isinstance(layer, Model):
            yield from _inner(layer.layers)
        else:
            yield layer


def _pairs(own: list[Any], layers: list[Stored], where: str) -> list[tuple[Any, Stored]]:
    """Layers of the model with those of the file: by name if the names are the same, else in order."""
    for candidates in (own, [layer for layer in _inner(own) if layer.weights]):
        named = {layer.name: layer for layer in candidates}
        if len(named) == len(candidates) and set(named) == {stored.name for stored in layers}:
            return [(named[stored.name], stored) for stored in layers]
    if len(own) != len(layers):
        i = next((i for i, (a, b) in enumerate(zip(own, layers, strict=False)) if not _similar(a, b)), min(len(own), len(layers)))
        ours = f"{own[i].name!r} with shapes {[w.shape for w in weights_of(own[i])]}" if i < len(own) else "none left"
        theirs = f"{layers[i].name!r} with shapes {[d.shape for d in layers[i].datasets]}" if i < len(layers) else "none left"
        misfit = ArgumentError(
            where,
            need=f"{len(own)} layers with weights, as the model has",
            got=f"{len(layers)} in the file",
            why=f"they differ first at layer {i}: the model has {ours}, the file {theirs}",
            fix="by_name=True loads the layers whose names agree",
        )
        raise placed(misfit, where, "weights-mismatch")
    return list(zip(own, layers, strict=True))


def _similar(layer: Any, stored: Stored) -> bool:
    return sum(w.size for w in layer.weights) == sum(d.size for d in stored.datasets)


def _plan_layer(layer: Any, stored: Stored, era: Era, where: str, skip_mismatch: bool) -> Plan:
    weights, arrays = layer_arrays(layer, stored, era, where)
    misfit = _misfit(layer, stored, weights, arrays, where)
    if misfit is None:
        return list(zip(weights, arrays, strict=True))
    if not skip_mismatch:
        raise placed(misfit, where, "weights-mismatch")
    warnings.warn(f"{where}: layer {layer.name!r} was skipped, its weights do not fit ({misfit.got})", stacklevel=5)
    return []


def layer_arrays(layer: Any, stored: Stored, era: Era, where: str) -> tuple[list[Any], Arrays]:
    """The weights of a layer and the arrays for them, in today's layout where that is known."""
    from nyala.models.model import Model

    if isinstance(layer, Model):
        return _nested(layer, stored, era, where)
    weights = weights_of(layer)
    needed = sum(weight.size for weight in weights)
    if sum(d.size for d in stored.datasets) > 2 * needed + 1024:  # larger than any layout of old: not read
        return weights, [np.broadcast_to(np.float32(0), d.shape) for d in stored.datasets]
    arrays = stored.read(2 * needed + 1024, where)
    try:
        return weights, converted(layer, arrays, era)
    except (ValueError, IndexError):  # shapes that no Keras wrote; the comparison that follows says so
        return weights, arrays


def _misfit(layer: Any, stored: Stored, weights: list[Any], arrays: Arrays, where: str) -> ShapeError | None:
    shapes, wanted = [tuple(a.shape) for a in arrays], [tuple(w.shape) for w in weights]
    if shapes == wanted:
        return None
    first = next((i for i, (a, b) in enumerate(zip(wanted, shapes, strict=False)) if a != b), min(len(wanted), len(shapes)))
    name = stored.weight_names[first] if first < len(stored.weight_names) and len(stored.weight_names) == len(arrays) else stored.name
    return ShapeError(
        where,
        need=f"{len(wanted)} arrays of shapes {wanted} for layer {layer.name!r}",
        got=f"{len(shapes)} of shapes {shapes}, stored as {stored.name!r}",
        why=f"they differ first at {name!r}",
        fix="no weight was changed; skip_mismatch=True leaves such layers alone, by_name=True goes by the names of layers",
    )


def _nested(model: Any, stored: Stored, era: Era, where: str) -> tuple[list[Any], Arrays]:
    """A model as a layer: its arrays go to the layers inside, by the names they were stored under, else in order."""
    if inside := _inside(model, stored, era, where):
        found = [layer_arrays(leaf, own, era, where) for leaf, own in inside]
        return [weight for weights, _ in found for weight in weights], [array for _, arrays in found for array in arrays]
    weights = weights_of(model)
    return weights, stored.read(2 * sum(w.size for w in weights) + 1024, where)


def _inside(model: Any, stored: Stored, era: Era, where: str) -> list[tuple[Any, Stored]]:
    """The layers inside a model, each with the arrays whose names say that they are its own; none if that is not clear, or does not fit."""
    leaves = [layer for layer in _inner([model]) if layer.weights]
    parts: list[list[int]] = [[] for _ in leaves]
    for number, name in enumerate(stored.weight_names):
        owner = _owner(name, leaves, era)
        if owner is not None:
            parts[owner].append(number)
    if sum(map(len, parts)) != len(stored.datasets) or not all(parts):
        return []
    found = [
        (leaf, Stored(leaf.name, [stored.weight_names[n] for n in own], [stored.datasets[n] for n in own]))
        for leaf, own in zip(leaves, parts, strict=True)
    ]
    for leaf, own in found:
        weights, arrays = layer_arrays(leaf, own.blank(), era, where)
        if [tuple(w.shape) for w in weights] != [tuple(a.shape) for a in arrays]:
            return []
    return found


def _apart(layer: Any, stored: Stored, era: Era, where: str) -> list[tuple[Any, Stored]]:
    """A model as a layer, in parts that can be read one after the other: its layers or else its weights. A layer, or what does not fit, as it is."""
    from nyala.models.model import Model

    if not isinstance(layer, Model):
        return [(layer, stored)]
    weights, names = weights_of(layer), stored.weight_names
    if inside := _inside(layer, stored, era, where):
        return inside
    if [tuple(w.shape) for w in weights] != [d.shape for d in stored.datasets]:
        return [(layer, stored)]
    return [(_One(w.path, [w]), Stored(w.path, names[i : i + 1], [stored.datasets[i]])) for i, w in enumerate(weights)]


def _owner(name: str, leaves: list[Any], era: Era) -> int | None:
    """Which layer an array was stored for: that whose name is part of its path, or, in Keras 1, begins its name."""
    if era.generation < 2 and "/" not in name:
        found = [i for i, leaf in enumerate(leaves) if name.startswith(f"{leaf.name}_") or name.removeprefix("forward_").startswith(f"{leaf.name}_")]
    else:
        found = [i for i, leaf in enumerate(leaves) if leaf.name in name.split("/")]
    return max(found, key=lambda i: len(leaves[i].name), default=None)


def _plan_top(model: Any, stored: Stored, where: str) -> Plan:
    """Weights that a model has beside those of its layers."""
    weights = sorted(model._own_variables(), key=lambda weight: not weight.made_trainable)
    if not stored.datasets:
        return []
    arrays = stored.read(2 * sum(w.size for w in weights) + 1024, where)
    misfit = _misfit(model, stored, weights, arrays, where)
    if misfit is not None:
        raise placed(misfit, where, "weights-mismatch")
    return list(zip(weights, arrays, strict=True))


def _numbered_pairs(own: list[Any], layers: list[Stored], where: str) -> list[tuple[Any, Stored]]:
    """Keras 0: arrays one after the other, each layer takes as many as it once had."""
    datasets = [dataset for stored in layers for dataset in stored.datasets]
    pairs = []
    for leaf in (layer for layer in _inner(own) if layer.weights):
        count = _count_in_keras_0(leaf)
        pairs.append((leaf, Stored(leaf.name, [], datasets[:count])))
        datasets = datasets[count:]
    if datasets:
        misfit = ArgumentError(where, need=f"arrays for the {len(pairs)} layers of the model", got=f"{len(datasets)} more")
        raise placed(misfit, where, "weights-mismatch")
    return pairs


def _count_in_keras_0(layer: Any) -> int:
    """How many arrays a layer had then."""
    return {"LSTM": 12, "GRU": 9}.get(type(layer).__name__, len(layer.weights))
