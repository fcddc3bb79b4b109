# SPDX-License-Identifier: Apache-2.0
"""Model: a layer that can be trained. `Model(inputs, outputs)` is a graph, a subclass with `call` is a program."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

from nyala.core.errors import ArgumentError, ArgumentTypeError, LookupFailed
from nyala.layers.layer import Layer, is_shape
from nyala.training.trainer import Trainer


class Model(Trainer, Layer):
    """A layer that can be trained.

    Args:
        inputs, outputs: symbolic tensors, or lists or dicts of them, for a model that is a graph; a subclass passes neither and writes `call`.
        name: of the model.

    >>> import nyala
    >>> x = nyala.Input((4,))
    >>> model = nyala.Model(inputs=x, outputs=nyala.layers.Dense(2)(x))
    >>> model.predict(nyala.ops.ones((3, 4))).shape
    (3, 2)
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is Model and _is_graph(args, kwargs):
            from nyala.models.functional import Functional

            return Layer.__new__(Functional, *args, **kwargs)
        return Layer.__new__(cls, *args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        from nyala.models.functional import Functional

        if _is_graph(args, kwargs):
            if not isinstance(self, Functional):  # a subclass that calls super().__init__(inputs, outputs)
                self.__class__ = _with_graph(type(self))
            graph: Any = self
            Functional.__init__(graph, *args, **kwargs)
        else:
            if args or (type(self) is Model and {"inputs", "outputs"} & set(kwargs)):
                got = f"{len(args)} positional argument" if args else " and ".join(kwargs)
                raise ArgumentError(
                    f"{type(self).__name__}(...)", need="both inputs and outputs, symbolic tensors, or keyword arguments only", got=got
                )
            Layer.__init__(self, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if "_programs" in state:
            state["_programs"] = type(state["_programs"])()  # compiled code stays behind
        return state

    def __reduce_ex__(self, protocol: Any) -> Any:
        written = type(self).__dict__.get("_written")
        return (_empty, (written,), self.__getstate__()) if written else super().__reduce_ex__(protocol)

    @property
    def layers(self) -> list[Layer]:
        """The layers directly below, Inputs included."""
        return self._sublayers()

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by name or index."""
        if (name is None) == (index is None):
            raise ArgumentError("get_layer", need="a name or an index", got="both" if name is not None else "neither")
        if index is not None:
            if isinstance(index, bool) or not hasattr(index, "__index__"):
                raise ArgumentTypeError(f"Model {self.name!r}.get_layer(index)", need="an integer", got=repr(index), fix="for a name pass name=")
            if not -len(self.layers) <= index < len(self.layers):
                raise LookupFailed(f"Model {self.name!r}.get_layer", need=f"an index below {len(self.layers)}", got=f"{index}")
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise LookupFailed(
            f"Model {self.name!r}.get_layer",
            need="the name of one of its layers",
            got=repr(name),
            fix=f"it has {[layer.name for layer in self.layers]}",
        )

    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs of this shape (or tree of shapes), by running `call` on shapes."""
        from nyala.core import tree
        from nyala.core.symbolic import Symbolic
        from nyala.layers.calling import infer_without_losses
        from nyala.layers.shapes import shape_places

        if type(self) is Model or self.built:
            self.built = True
            return
        shapes = tuple(input_shape) if is_shape(input_shape) else input_shape
        inputs = tree.map_structure_up_to(shape_places(shapes), lambda shape: Symbolic(shape, self.compute_dtype), shapes)
        self.built = True
        try:
            infer_without_losses(lambda x: self.call(x), inputs)
        except BaseException:
            self.built = False
            raise

    def _build_for(self, args: tuple, kwargs: dict) -> None:
        if type(self).build is not Model.build:
            super()._build_for(args, kwargs)
        else:  # sublayers build themselves as `call` reaches them
            from nyala.layers.layer import shapes_of

            self._build_shapes = {"input_shape": shapes_of(args[0])} if args else None
        self.built = True

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
    ) -> None:
        """Print a table of the layers with their output shapes and numbers of parameters.

        Args:
            line_length: width in characters.
            positions: ends of the columns, as shares of the width or in characters.
            print_fn: called with the text instead of print.
            expand_nested: show the layers of nested models, too.
            show_trainable: add a column that says which layers are trained.
            layer_range: [first, last] names (or patterns) of the layers shown.
        """
        from nyala.models.summary import print_summary

        print_summary(self, line_length, positions, print_fn, expand_nested, show_trainable, layer_range)

    def to_json(self, **kwargs: Any) -> str:
        """The architecture as JSON, for nyala.models.model_from_json; without weights."""
        from nyala.core.serialization import serialize_keras_object

        return json.dumps(serialize_keras_object(self), **kwargs)

    def save(self, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any) -> None:
        """Write the whole model: see nyala.saving.save_model."""
        from nyala.saving.models import save_model

        save_model(self, filepath, overwrite, zipped, **kwargs)

    def save_weights(self, filepath: Any, overwrite: bool = True, max_shard_size: float | None = None) -> None:
        """Write the weights and, if the model is compiled, the state of the optimizer.

        Args:
            filepath: ".npz" and ".safetensors" write those formats, ".h5" that of Keras 1 and 2, everything else that of Keras 3, ".weights.h5".
            overwrite: False refuses if something is there.
            max_shard_size: gigabytes of a file; the weights go to several files beside an index, "<name>.weights.json".
        """
        from nyala.files.weights import save_weights

        save_weights(self, filepath, overwrite, max_shard_size)

    def load_weights(self, filepath: Any, skip_mismatch: bool = False, by_name: bool = False, objects_to_skip: Any = None) -> Any:
        """Set the weights from a file of any of these formats, or from that of a whole model; nothing is changed unless all fit.

        Args:
            filepath: of the file.
            skip_mismatch: take what fits, and leave the rest as it is.
            by_name: for files of Keras 1 and 2: find layers by their names instead of their order.
            objects_to_skip: layers that keep what they have, with all below them.
        Returns: what was loaded, for formats that name their arrays.
        """
        from nyala.files.weights import load_weights

        return load_weights(self, filepath, skip_mismatch, by_name, objects_to_skip)

    def quantize(self, mode: str | None = None, config: Any = None, filters: Any = None, type_check: bool = True) -> None:  # type: ignore[override]
        """Keep the weights of the layers below in few bits from now on: of those that can, Dense, EinsumDense and the embeddings.

        Args:
            mode: "int8", "int4" or "float8".
            config: a QuantizationConfig; by default the usual one of the mode.
            filters: a pattern that the names of layers contain, a list of them, or a function layer -> bool; None means all.
            type_check: leave subclasses of these layers as they are.
        Raises: StateError, before anything is changed, if one of them is quantized already.
        """
        from nyala.models.quantization import quantize

        quantize(self, mode, config, filters, type_check)

    def get_quantization_layer_structure(self, mode: str | None = None) -> dict[str, Any] | None:
        """Which layers come before the blocks of a model, and which make them up, for modes that calibrate; None: such modes are not supported."""
        return None

    def export(self, filepath: Any, format: str = "tf_saved_model", verbose: bool | None = None, input_signature: Any = None, **kwargs: Any) -> None:
        """Write the model for inference, in a form that runs without Nyala; see nyala.export.export_model.

        Args:
            filepath: where.
            format: "tf_saved_model", a folder that TensorFlow loads, whose endpoint is "serve"; or "onnx", a file, with opset_version= if it matters.
            verbose: False prints nothing.
            input_signature: an InputSpec for each input, by default those the model was made for.
        """
        from nyala.export import export_model

        export_model(self, filepath, format, verbose, input_signature, **kwargs)

    def reset_states(self) -> None:
        """Set the states of stateful recurrent layers to zero."""
        layers: list[Any] = list(self._flatten_layers(include_self=False))
        for layer in layers:
            if hasattr(layer, "reset_states") and getattr(layer, "stateful", False):
                layer.reset_states()

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Make a model from what get_config returned."""
        from nyala.core.serialization import custom_object_scope

        if cls is Model and "layers" in config and "input_layers" in config:
            from nyala.models.functional import Functional

            return Functional.from_config(config, custom_objects)
        with custom_object_scope(custom_objects):
            return super().from_config(config)


def _is_graph(args: tuple, kwargs: dict) -> bool:
    """Whether the arguments of Model are symbolic inputs and outputs."""
    return len(args) >= 2 or (len(args) == 1 and "outputs" in kwargs) or ("inputs" in kwargs and "outputs" in kwargs)


@functools.cache
def _with_graph(kind: type) -> type:
    """A subclass of Model whose __init__ has called super().__init__(inputs, outputs), as a functional model."""
    from nyala.models.functional import Functional

    return type(kind.__name__, (kind, Functional), {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "_written": kind})


def _empty(written: type) -> Any:
    return Layer.__new__(_with_graph(written))
