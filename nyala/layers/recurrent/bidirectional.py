# SPDX-License-Identifier: Apache-2.0
"""Bidirectional: a recurrent layer in both directions."""

from __future__ import annotations

from typing import Any

from nyala import ops
from nyala.core import tree
from nyala.core.audit import looks_through
from nyala.core.errors import ArgumentError, ArgumentTypeError
from nyala.core.serialization import custom_object_scope, deserialize_keras_object, serialize_keras_object
from nyala.engines.protocol import Tensor
from nyala.layers.layer import Layer


class Bidirectional(Layer):
    """A recurrent layer forwards in time and a twin backwards, their outputs merged.

    Args:
        layer: an RNN, LSTM, GRU, ...
        merge_mode: "concat", "sum", "mul", "ave", or None for a list of both.
        weights: first weights, forward ones first.
        backward_layer: the layer backwards, made from the config of `layer` by default.

    Source: Schuster, Paliwal 1997, Bidirectional recurrent neural networks.

    >>> import nyala
    >>> Bidirectional(nyala.layers.LSTM(4))(nyala.ops.ones((2, 3, 5))).shape
    (2, 8)
    """

    def __init__(
        self, layer: Layer, merge_mode: str | None = "concat", weights: Any = None, backward_layer: Layer | None = None, **kwargs: Any
    ) -> None:
        given: Any = layer
        if not isinstance(layer, Layer) or not hasattr(layer, "go_backwards"):
            raise ArgumentTypeError("Bidirectional(layer)", need="a recurrent layer", got=f"{layer!r}")
        if merge_mode not in ("sum", "mul", "ave", "concat", None):
            raise ArgumentError("Bidirectional(merge_mode)", need="'sum', 'mul', 'ave', 'concat' or None", got=repr(merge_mode))
        if backward_layer is not None and not isinstance(backward_layer, Layer):
            raise ArgumentTypeError("Bidirectional(backward_layer)", need="a recurrent layer", got=f"{backward_layer!r}")
        kwargs.setdefault("dtype", layer.dtype_policy)
        super().__init__(weights=weights, **kwargs)
        config = layer.get_config()
        self.merge_mode = merge_mode
        self.forward_layer: Any = type(layer).from_config({**config, "name": f"forward_{config['name'].removeprefix('forward_')}"})
        if backward_layer is None:
            twin = {**config, "go_backwards": not given.go_backwards, "name": f"backward_{config['name'].removeprefix('forward_')}"}
            self.backward_layer: Any = type(layer).from_config(twin)
        else:
            self.backward_layer = type(backward_layer).from_config(backward_layer.get_config())
            if self.backward_layer.go_backwards == self.forward_layer.go_backwards:
                raise ArgumentError(
                    "Bidirectional(backward_layer)",
                    need="a layer that goes the other way",
                    got=f"go_backwards={self.backward_layer.go_backwards} in both",
                )
        for name in ("return_sequences", "return_state", "stateful"):
            if getattr(self.forward_layer, name) != getattr(self.backward_layer, name):
                raise ArgumentError(
                    f"Bidirectional(backward_layer) with {name}",
                    need=f"{getattr(self.forward_layer, name)}, as in layer",
                    got=f"{getattr(self.backward_layer, name)}",
                )
        self.return_sequences, self.return_state, self.stateful = given.return_sequences, given.return_state, given.stateful
        for one in (self.forward_layer, self.backward_layer):
            if hasattr(one, "zero_output_for_mask"):
                one.zero_output_for_mask = bool(given.return_sequences)  # else a merged output would mix steps where one direction has stopped
        self.supports_masking = True

    @property
    def layer(self) -> Any:
        """The layer forwards."""
        return self.forward_layer

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  Keras's names
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.build(sequences_shape)

    def call(self, sequences: Tensor, initial_state: Any = None, mask: Tensor | None = None, training: bool | None = None) -> Any:
        states = tree.flatten(initial_state) if initial_state is not None else None
        half = len(states) // 2 if states else 0
        forward = self.forward_layer(sequences, initial_state=states[:half] if states else None, mask=mask, training=training)
        backward = self.backward_layer(sequences, initial_state=states[half:] if states else None, mask=mask, training=training)
        after = []
        if self.return_state:
            after = [*forward[1:], *backward[1:]]
            forward, backward = forward[0], backward[0]
        if self.return_sequences:
            backward = ops.flip(backward, axis=1)  # in the order of time again
        merged = self._merge(forward, backward)
        if not self.return_state:
            return merged
        return (*merged, *after) if self.merge_mode is None else (merged, *after)

    def _merge(self, forward: Tensor, backward: Tensor) -> Any:
        if self.merge_mode is None:
            return forward, backward
        if self.merge_mode == "concat":
            return ops.concatenate([forward, backward], axis=-1)
        if self.merge_mode == "mul":
            return ops.multiply(forward, backward)
        total = ops.add(forward, backward)
        return ops.multiply(total, 0.5) if self.merge_mode == "ave" else total

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        own = (tree.flatten(previous_mask)[0] if isinstance(previous_mask, (list, tuple)) else previous_mask) if self.return_sequences else None
        masks = [own] if self.merge_mode is not None else [own, own]
        masks += [None] * (2 * len(tree.flatten(self.forward_layer.cell.state_size)) if self.return_state else 0)
        return masks[0] if len(masks) == 1 else masks

    def reset_state(self) -> None:
        """Set the states of both directions to zero."""
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    def reset_states(self) -> None:
        """Set the states of both directions to zero; the name of Keras 1 and 2."""
        self.reset_state()

    @property
    def states(self) -> Any:
        return [*self.forward_layer.states, *self.backward_layer.states] if self.stateful and self.forward_layer.states else None

    def _config_of_arguments(self) -> dict[str, Any]:
        return {
            "merge_mode": self.merge_mode,
            "layer": serialize_keras_object(self.forward_layer),
            "backward_layer": serialize_keras_object(self.backward_layer),
        }

    @classmethod
    @looks_through
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Layer:
        with custom_object_scope(custom_objects):
            inner = {key: deserialize_keras_object(_unbuilt(config[key])) for key in ("layer", "backward_layer") if config.get(key) is not None}
        return super().from_config({**config, **inner})


def _unbuilt(config: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in config.items() if k != "build_config"}
