# SPDX-License-Identifier: Apache-2.0
"""Sequential: layers one after another."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from nyala.core import dtypes, names
from nyala.core.audit import looks_through
from nyala.core.errors import ArgumentError, ArgumentTypeError, NotYetError, ShapeError, StateError
from nyala.core.masks import carry_mask, masked
from nyala.core.op import convert
from nyala.core.symbolic import Symbolic
from nyala.engines import current
from nyala.layers.core.input_layer import Input, InputLayer
from nyala.layers.layer import Layer, is_shape, shapes_of
from nyala.layers.preprocessing.host import HostLayer, as_array
from nyala.models.graph import known_node
from nyala.models.model import Model
from nyala.models.strings import as_host, holds_text, on_host


class Sequential(Model):
    """Layers one after another, from one input to one output.

    Args:
        layers: the layers; the first may be a nyala.Input, or say input_shape= or input_dim=. Without either the weights are made at the first call.
        trainable: whether gradients update the weights.
        name: of the model.

    >>> import nyala
    >>> model = Sequential([nyala.Input((4,)), nyala.layers.Dense(3, activation="relu"), nyala.layers.Dense(1)])
    >>> model.output_shape, model.count_params()
    ((None, 1), 19)
    """

    _text_end: str | None = None  # the layer on the host whose answers go into the compiled part

    def __init__(self, layers: Sequence[Any] | None = None, trainable: bool = True, name: str | None = None) -> None:
        Layer.__init__(self, trainable=trainable, name=name)
        self._chain: list[Layer] = []
        self._tensors: list[Symbolic] = []  # symbolic outputs of the chain, as far as it is built
        if layers is not None and (isinstance(layers, (str, Layer, Symbolic)) or not hasattr(layers, "__iter__")):
            raise ArgumentTypeError("Sequential(layers)", need="a list of layers", got=f"{layers!r}", fix="put it into a list: Sequential([...])")
        for layer in layers or ():
            self._append(layer)
        self._extend_tensors()

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Add a layer at the end."""
        before = list(self._chain)
        self._append(layer)
        if rebuild:
            try:
                self._extend_tensors()
            except Exception:  # the layer does not fit
                self._chain = before
                self._after_change()
                raise

    def _append(self, layer: Any) -> None:
        where = f"Sequential {self.name!r}.add"
        if isinstance(layer, Symbolic) and layer.node is not None and isinstance(layer.node.operation, InputLayer):
            layer = layer.node.operation
        if isinstance(layer, type) and issubclass(layer, Layer):
            raise ArgumentTypeError(where, need="a layer", got=f"the class {layer.__name__}", fix=f"make one: {layer.__name__}(...)")
        if not isinstance(layer, Layer):
            if callable(layer) and not hasattr(layer, "call"):
                from nyala.layers.core.lambda_layer import Lambda

                layer = Lambda(layer)
            else:
                origin = type(layer).__module__.partition(".")[0]
                raise ArgumentTypeError(
                    where,
                    need="a layer of Nyala",
                    got=f"{type(layer).__name__} from {origin!r}",
                    fix=f"use nyala.layers.{type(layer).__name__}" if origin in ("keras", "tf_keras", "tensorflow") else "",
                )
        if any(layer.name == other.name for other in self._chain):
            raise ArgumentError(
                where, need="a layer with a name of its own", got=f"{layer.name!r}, which it has already", fix="pass name= to the layer"
            )
        if isinstance(layer, InputLayer):
            if self._chain:
                raise ArgumentError(where, need="an Input only at the beginning", got=f"one after {len(self._chain)} layers")
        elif not self._chain and layer._declared_input_shape is not None:
            self._chain.append(InputLayer(batch_shape=layer._declared_input_shape, dtype=_input_dtype(layer)))
        elif not self._chain and isinstance(layer, Model) and getattr(layer, "inputs", None):
            first: Any = layer
            self._chain.append(InputLayer(batch_shape=first.inputs[0].shape, dtype=first.inputs[0].dtype))
        self._chain.append(layer)
        self.built = False

    def pop(self, rebuild: bool = True) -> Layer:
        """Take the last layer away and return it."""
        if not self.layers:
            raise StateError(f"Sequential {self.name!r}.pop", need="at least one layer", got="none")
        layer = self._chain.pop()
        del self._tensors[len(self._chain) :]
        self._after_change()
        return layer

    def _extend_tensors(self) -> None:
        """Call the layers that have not been called yet on the symbolic output of the one before."""
        if self._chain and isinstance(self._chain[0], InputLayer):
            if not self._tensors:
                self._tensors.append(self._chain[0].output)
            with names.name_scope(self.name) if names.current_path().rpartition("/")[2] != self.name else contextlib.nullcontext():
                for layer in self._chain[len(self._tensors) :]:
                    self._tensors.append(_single(layer(self._tensors[-1]), layer, self.name))
            self._after_change()

    def _after_change(self) -> None:
        self.built = len(self._tensors) == len(self._chain) > 1
        self._forget_programs()

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the Input."""
        return [layer for layer in self._chain if not isinstance(layer, InputLayer)]

    def _sublayers(self) -> list[Layer]:
        return list(self._chain) if hasattr(self, "_chain") else []

    def build(self, input_shape: Any = None) -> None:
        """Make the weights for inputs of this shape, the batch axis included; of a model that has them, say that this shape will do."""
        if self._tensors and len(self._tensors) == len(self._chain):
            wanted = self._tensors[0].shape
            if is_shape(input_shape) and not _agree(tuple(input_shape), wanted):
                raise ShapeError(
                    f"Sequential {self.name!r}.build(input_shape)",
                    need=f"{wanted}, for which it is built",
                    got=f"{tuple(input_shape)}",
                    fix="make a new model for another shape",
                )
            self.built = True
            return
        if not is_shape(input_shape):
            raise ArgumentError(f"Sequential {self.name!r}.build", need="one shape, the batch axis included", got=f"{input_shape}")
        if not self.layers:
            raise StateError(f"Sequential {self.name!r}", need="at least one layer", got="none", fix="add layers first")
        if not self._tensors:
            self._begin(Input(batch_shape=tuple(input_shape), dtype=_input_dtype(self._chain[0])))
        self._extend_tensors()

    def _begin(self, first: Any) -> None:
        """Put the Input in front of the layers."""
        self._chain.insert(0, first.node.operation)
        self._extend_tensors()

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        x, layers = inputs, self.layers
        if self._text_end is not None and isinstance(inputs, dict) and list(inputs) == [self._text_end]:  # strings that were encoded on the host
            x, layers = inputs[self._text_end], layers[[layer.name for layer in layers].index(self._text_end) + 1 :]
        with masked([inputs], [mask]):
            for layer in layers:
                x = layer(x)
        return x

    def _on_host(self, x: Any, batches: bool = False) -> Any:
        return on_host(x, self._encoded, batches) if self.layers and isinstance(self.layers[0], HostLayer) else x

    def _encoded(self, inputs: Any) -> Any:
        """Strings as what the first layers make of them, by the name of the last of these; anything else as it is."""
        if not holds_text(inputs):
            return inputs
        x: Any = as_array(inputs, f"Sequential {self.name!r}")
        if not self._tensors:
            self._begin(Input(batch_shape=(None, *x.shape[1:]), dtype="string"))
        for layer in self.layers:
            x = as_host(layer(x))
            if not holds_text(x):
                self._text_end = layer.name
                return {layer.name: x}
        return x

    def _run(self, args: tuple, kwargs: dict) -> Any:
        if args and self.layers and isinstance(self.layers[0], HostLayer):
            args = (self._encoded(args[0]), *args[1:])
        if args and isinstance(args[0], (list, tuple)) and len(args[0]) == 1 and hasattr(args[0][0], "shape"):
            args = (args[0][0], *args[1:])
        if args and self._tensors and hasattr(args[0], "shape"):
            args = (_as_declared(args[0], self._tensors[0].dtype), *args[1:])
        return super()._run(args, kwargs)

    def _build_for(self, args: tuple, kwargs: dict) -> None:
        shape = shapes_of(args[0])
        remembers = any(getattr(layer, "stateful", False) for layer in self._flatten_layers(include_self=False))
        self.build((None, *shape[1:]) if is_shape(shape) and shape and not remembers else shape)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for i, (layer, tensor) in enumerate(zip(self._chain, self._tensors, strict=False)):
            known_node(layer, tuple(self._tensors[max(i - 1, 0) : i]), {}, tensor)

    def _needs_tensors(self, what: str) -> list[Symbolic]:
        if not self._tensors or len(self._tensors) != len(self._chain):
            raise NotYetError(
                f"Sequential {self.name!r}.{what}",
                need="a model whose input shape is known",
                got="one that has seen no data",
                fix="begin it with nyala.Input(shape), or call it once",
            )
        return self._tensors

    @property
    def input(self) -> Symbolic:
        return self._needs_tensors("input")[0]

    @property
    def output(self) -> Symbolic:
        return self._needs_tensors("output")[-1]

    @property
    def inputs(self) -> list[Symbolic]:
        return [self.input]

    @property
    def outputs(self) -> list[Symbolic]:
        return [self.output]

    @property
    def input_shape(self) -> tuple:
        return self.input.shape

    @property
    def output_shape(self) -> tuple:
        return self.output.shape

    @property
    def input_names(self) -> list[str]:
        return [self._chain[0].name] if self._tensors else ["input"]

    @property
    def output_names(self) -> list[str]:
        return [self._chain[-1].name] if self._chain else ["output"]

    def get_config(self) -> dict[str, Any]:
        from nyala.core.serialization import serialize_keras_object

        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable, "dtype": serialize_keras_object(self.dtype_policy)}
        config["layers"] = [serialize_keras_object(layer) for layer in self._chain]
        if self._tensors:
            config["build_input_shape"] = list(self._tensors[0].shape)
        return config

    def get_build_config(self) -> dict[str, Any] | None:
        return {"input_shape": self._tensors[0].shape} if self._tensors else None

    @classmethod
    @looks_through
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Sequential:
        from nyala.layers import deserialize

        model = cls(name=config.get("name"))
        for layer in config["layers"]:
            model.add(deserialize({k: v for k, v in layer.items() if k != "build_config"}))
        shape = config.get("build_input_shape")
        if shape and not model._tensors and is_shape(shape):
            model.build(tuple(shape))
        if not config.get("trainable", True):
            model.trainable = False
        return model


def _input_dtype(layer: Layer) -> str:
    """Dtype of the input that a first layer wants: integers for those that look things up."""
    if isinstance(layer, Sequential) and layer.layers:
        return _input_dtype(layer.layers[0])
    return "int32" if type(layer).__name__ in ("Embedding",) else layer.compute_dtype


def _as_declared(value: Any, declared: str) -> Any:
    """A tensor in the dtype of the Input: bools and integers become floats where it says so. Layers cast floats to the dtype they compute in."""
    value, engine = convert(value), current()
    dtype, target = engine.dtype(value), engine.canonical_dtype(declared)
    if declared == "string" or dtype == target or (dtypes.is_float(dtype) and dtypes.is_float(target)):
        return value
    return carry_mask(value, engine.cast(value, target))


def _single(outputs: Any, layer: Layer, name: str) -> Symbolic:
    if not isinstance(outputs, Symbolic):
        raise ArgumentTypeError(
            f"Sequential {name!r}",
            need="layers with one output each",
            got=f"{type(layer).__name__} {layer.name!r}, which gives a {type(outputs).__name__}",
            fix="use the functional API: nyala.Model(inputs, outputs)",
        )
    return outputs


def _agree(one: tuple, other: tuple) -> bool:
    """Whether a batch can have both shapes."""
    return len(one) == len(other) and all(a is None or b is None or a == b for a, b in zip(one, other, strict=True))
