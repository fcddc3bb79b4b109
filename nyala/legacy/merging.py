# SPDX-License-Identifier: Apache-2.0
"""Merge and merge of Keras 1: a layer, a model or a tensor made from several, by a mode. Start at merge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nyala import layers, ops
from nyala.core.errors import ArgumentError, missing_method
from nyala.layers.merging.merge import Merge as Base
from nyala.legacy.tables import MERGE_MODES


def merge(
    inputs: Sequence[Any],
    mode: Any = "sum",
    concat_axis: int = -1,
    dot_axes: Any = -1,
    output_shape: Any = None,
    output_mask: Any = None,
    arguments: Any = None,
    name: str | None = None,
) -> Any:
    """One symbolic tensor from several.

    Args:
        inputs: symbolic tensors.
        mode: "sum", "mul", "ave", "max", "concat", "dot", "cos", or a function of the list.
        concat_axis: of "concat".
        dot_axes: of "dot" and "cos": one axis for both, or a pair.
        output_shape, output_mask: of a function; shapes are found by running it.
        arguments: more arguments of the function.
        name: of the layer.

    >>> import nyala
    >>> merge([nyala.Input((3,)), nyala.Input((4,))], mode="concat").shape
    (None, 7)
    """
    return _merger(mode, concat_axis, dot_axes, arguments, name)(list(inputs))


def _merger(mode: Any, concat_axis: int, dot_axes: Any, arguments: Any, name: str | None) -> Callable[[list[Any]], Any]:
    if callable(mode):
        return layers.Lambda(mode, arguments=arguments or {}, name=name)
    if mode not in MERGE_MODES:
        raise ArgumentError("merge(mode)", need=f"one of {sorted(MERGE_MODES)}, or a function", got=repr(mode))
    kind = getattr(layers, MERGE_MODES[mode])
    if mode == "concat":
        return kind(axis=concat_axis, name=name)
    if mode == "dot":
        return kind(axes=_axes(dot_axes), name=name)
    if mode == "cos":
        cosine = kind(axes=_axes(dot_axes), normalize=True, name=name)
        return lambda tensors: ops.expand_dims(cosine(tensors), 1)
    return kind(name=name)


def _axes(axes: Any) -> Any:
    if isinstance(axes, int):
        return axes
    pair = [axis[0] if isinstance(axis, (list, tuple)) and len(axis) == 1 else axis for axis in axes]
    return tuple(pair)


class _Merging(type):
    """Merge is called like a class, and gives a layer or a model of today."""

    def __call__(
        cls,
        layers: Any = None,
        mode: Any = "sum",
        concat_axis: int = -1,
        dot_axes: Any = -1,
        output_shape: Any = None,
        output_mask: Any = None,
        arguments: Any = None,
        node_indices: Any = None,
        tensor_indices: Any = None,
        name: str | None = None,
    ) -> Any:
        if not layers:
            return _merger(mode, concat_axis, dot_axes, arguments, name)
        from nyala.models import Model

        inputs: list[Any] = []
        outputs = []
        for layer in layers:
            if isinstance(layer, Model):
                inputs += [x for x in layer.inputs if not any(x is known for known in inputs)]
                outputs.append(layer.outputs[0])
            else:
                inputs += [x for x in (layer.input if isinstance(layer.input, list) else [layer.input]) if not any(x is known for known in inputs)]
                outputs.append(layer.output)
        return Model(inputs, _merger(mode, concat_axis, dot_axes, arguments, None)(outputs), name=name)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Base)


class Merge(metaclass=_Merging):
    """Merge(models, mode) is a model with all their inputs; Merge(mode=...) is a layer of a list of tensors. See merge.

    >>> import nyala
    >>> branches = [nyala.Sequential([nyala.layers.Dense(2, input_shape=(3,))]) for _ in range(2)]
    >>> Merge(branches, mode="sum").output_shape
    (None, 2)
    """


class _Merge(Base):
    """What merging layers of Keras 2 are made from, those of programs, too: a subclass writes _merge_function, of a list of tensors."""

    def _merge_function(self, inputs: list[Any]) -> Any:
        raise missing_method(self, "_merge_function(self, inputs)")

    def merge(self, tensors: list[Any]) -> Any:
        return self._merge_function(tensors)
