# SPDX-License-Identifier: Apache-2.0
"""How a layer is called: on tensors or on symbolic ones, inside which other call, in which dtype, with which masks, with which losses.

Knows nothing of configs. Start at Calling.__call__; _run is the way of every tensor.
"""

from __future__ import annotations

import functools
import inspect
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nyala.core import dtypes, names, sharding, tree
from nyala.core.errors import ArgumentError, ArgumentTypeError, MissingMethod, NyalaError, StateError, missing_method
from nyala.core.masks import carry_mask, get_mask, set_mask
from nyala.core.op import convert
from nyala.core.scopes import collecting_losses
from nyala.core.symbolic import Node, Symbolic, contains_symbolic, infer_symbolic
from nyala.core.variable import Scope, Variable, autocast
from nyala.engines import current
from nyala.engines.protocol import Tensor
from nyala.layers.building import Building, CallSignature, call_signature
from nyala.layers.input_spec import check_inputs
from nyala.layers.leaves import run_from_leaves, wants_graph
from nyala.layers.pipelines import in_pipeline, mapped
from nyala.layers.shapes import shape_places, shapes_of


class _Context(threading.local):
    """The calls in progress in this thread."""

    training: bool | None = None
    root: Calling | None = None  # the outermost layer
    inferred: list[tuple[list[Any], Any]] | None = None  # while shapes are inferred: what add_loss collects, and where


context = _Context()


def infer_without_losses(function: Callable, *args: Any, **kwargs: Any) -> Any:
    """infer_symbolic, after which no layer keeps what add_loss collected: those losses have no values."""
    outer, context.inferred = context.inferred, []
    try:
        return infer_symbolic(function, *args, **kwargs)
    finally:
        for place, loss in context.inferred:
            place[:] = [kept for kept in place if kept is not loss]
        context.inferred = outer


class Calling(Building):
    """An operation that is called on tensors, and on symbolic ones to be part of a model."""

    input_spec: Any
    supports_masking: bool
    activity_regularizer: Any
    autocast: bool
    _losses: list[Tensor]
    _loss_layers: list[Calling]
    _remat: Any
    _asked_for_parameters = False  # see leaves.py

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The mathematics, on tensors. Subclasses write it; `training` and `mask` are passed if it takes them."""
        raise missing_method(self, "call(self, inputs)")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call on tensors, arrays or symbolic tensors; weights are made on the first call."""
        if "_losses" not in self.__dict__:
            raise StateError(
                f"{type(self).__name__}",
                need="super().__init__() in its __init__",
                got="a call before that ran",
                fix="begin __init__ with super().__init__(**kwargs)",
            )
        if contains_symbolic(args) or (kwargs and contains_symbolic(kwargs)):
            return self.symbolic_call(*args, **kwargs)
        if context.root is None and in_pipeline(args, kwargs):
            return mapped(self, *args, **kwargs)
        run = self._run
        if context.root is None and current().has_backward and wants_graph(self, sys._getframe(1)):
            run = functools.partial(run_from_leaves, self)
        try:
            return run(args, kwargs)
        except Exception as error:
            self._explain(error, args)
            raise

    def _run(self, args: tuple, kwargs: dict) -> Any:
        """Call on tensors: convert, build, check, choose training and masks, compute, and pass masks and losses on."""
        signature = call_signature(type(self))
        policy, engine = self.dtype_policy, current()
        cast_to = policy.compute_dtype if self.autocast else None
        args = tuple([_to_tensors(value, engine, cast_to, i == 0) for i, value in enumerate(args)])
        if kwargs:
            kwargs = {k: _to_tensors(v, engine, cast_to, False) if k not in ("training", "mask") else v for k, v in kwargs.items()}
        if self.input_spec is not None and args:
            check_inputs(self.input_spec, args[0], self)
        if not self.built:
            self._build_for(args, {k: v for k, v in kwargs.items() if k != "training"})
            self.built = True
            self._set_first_weights()
        training = self._resolve_training(signature, args, kwargs)
        first = args[0] if args else kwargs.get(signature.names[0]) if signature.names else None
        previous = kwargs.get("mask")  # one that is given counts in place of that of the inputs
        if previous is None:
            previous = _masks_of(first) if isinstance(first, (list, tuple, dict)) else get_mask(first)
        self._fill_masks(signature, args, kwargs)
        outer_root, outer_training = context.root, context.training
        if outer_root is None:
            context.root = self
            for layer in self._loss_layers:
                layer._losses.clear()
            self._loss_layers.clear()
        if training is not None:
            context.training = training
        try:
            with autocast(policy.compute_dtype if policy.compute_dtype != policy.variable_dtype else None), names.name_scope(self.name):
                call = self.call if policy.quantization_mode is None else self._call_for_policy()
                call = call if self._remat is None else self.rematerialized_call(call, *args, **kwargs)
                if engine.lends and not type(self).__module__.startswith("nyala."):
                    call = engine.rewritten(call)
                outputs = call(*args, **kwargs)
                if sharding.current is not None and not engine.abstract:
                    outputs = sharding.output(outputs)
            if self.activity_regularizer is not None:
                self._regularize(outputs)
        finally:
            context.root, context.training = outer_root, outer_training
        if previous is not None or type(self).compute_mask is not Calling.compute_mask:
            self._pass_mask(first, outputs, previous)
        return outputs

    def rematerialized_call(self, layer_call: Callable, *args: Any, **kwargs: Any) -> Callable:
        """layer_call as the RematScope that the layer was made in wants it, for these arguments."""
        from nyala.layers.rematerialization import rematerialized

        return rematerialized(self, layer_call, args, kwargs)

    def _resolve_training(self, signature: CallSignature, args: tuple, kwargs: dict) -> bool | None:
        """The training flag: given, else that of the enclosing call, else the default of `call`, else False."""
        if signature.training:
            place = signature.training_place
            given = args[place] if place < len(args) else kwargs.get("training")
            training = given if given is not None else context.training
            training = training if training is not None else signature.training_default if signature.training_default is not None else False
            if place >= len(args):
                kwargs["training"] = training
            return training
        training = kwargs.get("training") if signature.any_keyword else kwargs.pop("training", None)
        return training if training is not None else context.training

    def _fill_masks(self, signature: CallSignature, args: tuple, kwargs: dict) -> None:
        """Pass the masks of the inputs to a `call` that takes them."""
        for name, place, parameter in signature.masks:
            if kwargs.get(parameter) is None and signature.names.index(parameter) >= len(args):
                value = args[place] if place < len(args) else kwargs.get(name)
                mask = _masks_of(value)
                if mask is not None:
                    kwargs[parameter] = mask

    def _pass_mask(self, inputs: Any, outputs: Any, previous: Any) -> None:
        flat = tree.flatten(outputs)
        if not self.supports_masking and type(self).compute_mask is Calling.compute_mask:
            if not call_signature(type(self)).masks:
                warnings.warn(f"{type(self).__name__} {self.name!r} does not support masking: the mask of its input ends here", stacklevel=4)
            return
        if previous is not None and all(get_mask(x) is not None for x in flat):
            return
        masks = self.compute_mask(inputs, previous)
        if masks is not None:
            flat_masks = [masks] if len(flat) == 1 and not isinstance(masks, (list, tuple)) else tree.flatten(masks)
            for output, mask in zip(flat, flat_masks, strict=False):
                if not any(output is x for x in tree.flatten(inputs)) or get_mask(output) is None:
                    set_mask(output, mask)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask of the outputs: that of the inputs, unless a subclass says otherwise."""
        return previous_mask

    def _explain(self, error: Exception, args: tuple) -> None:
        """Say once, on the innermost layer, where an error came from."""
        if args and (args[0] is None or isinstance(args[0], str)) and not isinstance(error, NyalaError):
            got, fix = repr(args[0]), "pass arrays or tensors"
            raise ArgumentTypeError(f"{type(self).__name__} {self.name!r}", need="a tensor", got=got, fix=fix) from error
        if not isinstance(error, NyalaError) and not any(note.startswith("in layer") for note in getattr(error, "__notes__", [])):
            error.add_note(f"in layer {self.name!r} ({type(self).__name__}), given {shapes_of(args[0]) if args else 'no input'}")

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        """Record a call on symbolic tensors; returns symbolic outputs. Weights are made here, too."""
        if self.input_spec is not None and args:
            check_inputs(self.input_spec, args[0], self)
        if not self.built:
            self._build_for(args, {k: v for k, v in kwargs.items() if k != "training"})
            self.built = True
        try:
            outputs = self.compute_output_spec(*args, **kwargs)
        except Exception as error:
            self._explain(error, args)
            raise
        self._set_first_weights()
        Node(self, args, kwargs, outputs)
        return outputs

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Symbolic outputs for symbolic inputs: by compute_output_shape where a subclass defines it, else by running `call` on shapes."""
        if type(self).compute_output_shape is not Calling.compute_output_shape:
            shapes = self._output_shape_for(args, kwargs)
            return tree.map_structure_up_to(shape_places(shapes), lambda shape: Symbolic(shape, self.compute_dtype), shapes)
        return infer_without_losses(lambda *a, **k: self._run(a, k), *args, **kwargs)

    def _output_shape_for(self, args: tuple, kwargs: dict) -> Any:
        parameters = list(inspect.signature(self.compute_output_shape).parameters)
        given = {**dict(zip(call_signature(type(self)).names, args, strict=False)), **kwargs}
        if len(parameters) == 1:
            return self.compute_output_shape(shapes_of(args[0]) if args else shapes_of(next(iter(kwargs.values()))))
        shapes = {p: shapes_of(given[p.removesuffix("_shape")]) for p in parameters if given.get(p.removesuffix("_shape")) is not None}
        return self.compute_output_shape(**shapes) if shapes else self.compute_output_shape(shapes_of(args[0]))

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """The shapes of the outputs for inputs of these shapes (None: unknown size)."""
        to_symbolic = lambda shape: Symbolic(shape, self.compute_dtype)  # noqa: E731
        inputs = [tree.map_structure_up_to(shape_places(shape), to_symbolic, shape) for shape in args]
        named = {k.removesuffix("_shape"): tree.map_structure_up_to(shape_places(v), to_symbolic, v) for k, v in kwargs.items()}
        if not self.built:
            self._build_for(tuple(inputs), named)
            self.built = True
        return tree.map_structure(lambda leaf: leaf.shape, infer_without_losses(lambda *a, **k: self._run(a, k), *inputs, **named))

    def stateless_call(
        self, trainable_variables: Sequence[Any], non_trainable_variables: Sequence[Any], *args: Any, return_losses: bool = False, **kwargs: Any
    ) -> Any:
        """Call with the given values for its variables; returns (outputs, new values of the non-trainable ones), and the losses if asked."""
        if not self.built:
            raise StateError(
                f"{type(self).__name__} {self.name!r}.stateless_call",
                need="a built layer",
                got="one without weights yet",
                fix="call build(input_shape) first",
            )
        variables = [*self.trainable_variables, *self.non_trainable_variables]
        values = [convert(v) for v in (*trainable_variables, *non_trainable_variables)]
        if len(values) != len(variables):
            raise ArgumentError(f"{type(self).__name__} {self.name!r}.stateless_call", need=f"{len(variables)} values", got=f"{len(values)}")
        with Scope(variables, values) as inside:
            outputs = self(*args, **kwargs)
            losses = list(self.losses) if return_losses else []
        after = [inside.values[id(v)] for v in self.non_trainable_variables]
        return (outputs, after, losses) if return_losses else (outputs, after)

    # Losses -----------------------------------------------------------------------------------------------------------------------------

    def add_loss(self, loss: Any) -> None:
        """Add a scalar to the loss of the model, from within `call`."""
        scope = collecting_losses()
        if context.root is not None and not any(layer is self for layer in context.root._loss_layers):
            self._losses.clear()  # those of an earlier call, in which another layer was the outermost one
            context.root._loss_layers.append(self)
        place = self._losses if scope is None else scope.losses
        for value in tree.flatten(loss):
            if callable(value) and not hasattr(value, "shape"):
                value = value()
            place.append(value)
            if context.inferred is not None:
                context.inferred.append((place, value))

    def add_metric(self, *args: Any, **kwargs: Any) -> None:
        """Gone since Keras 3."""
        fix = "make a metric in __init__ and call its update_state in `call`, or pass it to compile(metrics=[...])"
        raise MissingMethod(f"{type(self).__name__}.add_metric", need="Keras 2", got="Keras 3, where it is gone", fix=fix)

    def _regularize(self, outputs: Any) -> None:
        from nyala import ops

        for output in tree.flatten(outputs):
            self.add_loss(ops.divide(self.activity_regularizer(output), float(max(output.shape[0], 1))))  # per sample

    @property
    def losses(self) -> list[Tensor]:
        """Scalars added to the loss: by add_loss in the last call, and those of weight regularizers."""
        layers = list(self._flatten_layers())
        added = [loss for layer in layers for loss in layer._losses]
        return added + [v.regularizer(v) for v in self.trainable_weights if v.regularizer is not None]

    # Quantization -----------------------------------------------------------------------------------------------------------------------

    @property
    def quantization_mode(self) -> str | None:
        """How its weights are kept in few bits: "int8", "int4" or "float8"; None: they are not."""
        return self.dtype_policy.quantization_mode

    def quantize(self, mode: str | None = None, type_check: bool = True, config: Any = None) -> None:
        """Keep the weights in few bits from now on: "int8", "int4" or "float8". Dense, EinsumDense and the embeddings can."""
        raise _not_quantizable(self, "quantize")

    def quantized_build(self, input_shape: Any, mode: str, config: Any = None) -> None:
        """Make the weights of a mode of quantization."""
        raise _not_quantizable(self, "quantized_build")

    def quantized_call(self, *args: Any, **kwargs: Any) -> Any:
        """`call` with quantized weights."""
        raise _not_quantizable(self, "quantized_call")

    def _call_for_policy(self) -> Callable:
        """What a quantized dtype policy calls: layers without weights to quantize compute as always."""
        return self.call if type(self).quantized_call is Calling.quantized_call else self.quantized_call


def _to_tensors(value: Any, engine: Any, dtype: str | None, first: bool) -> Any:
    """Arrays, variables and tensors in a tree as tensors, floats in dtype; numbers and other things as they are."""
    if engine.is_tensor(value):
        return value if dtype is None else _cast_float(value, engine, dtype)
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (list, tuple)):
        if first and value and _is_numbers(value):
            return _cast_float(convert(value), engine, dtype)
        items = [_to_tensors(v, engine, dtype, False) for v in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, dict):
        return {k: _to_tensors(v, engine, dtype, False) for k, v in value.items()}
    if isinstance(value, (np.ndarray, Variable)) or hasattr(value, "__array__") or (first and isinstance(value, (int, float))):
        if isinstance(value, np.ndarray) and value.dtype == np.float64 and dtype is not None:
            return engine.asarray(value, dtype)  # NumPy's default is no wish for 64 bits
        return _cast_float(convert(value), engine, dtype)
    return value


def _cast_float(value: Any, engine: Any, dtype: str | None) -> Any:
    own = engine.dtype(value)
    casts = dtype is not None and own != dtype and dtypes.is_float(own) and engine.canonical_dtype(dtype) != own
    return carry_mask(value, engine.cast(value, dtype)) if casts else value


def _is_numbers(value: Any) -> bool:
    return all(_is_numbers(v) for v in value) if isinstance(value, (list, tuple)) else isinstance(value, (bool, int, float, np.generic))


def _masks_of(value: Any) -> Any:
    """The mask of a tensor, or the list of masks of a list of tensors; None without any."""
    if isinstance(value, (list, tuple)):
        masks = [_masks_of(v) for v in value]
        return masks if any(m is not None for m in masks) else None
    return get_mask(value) if value is not None and not isinstance(value, dict) else None


def _not_quantizable(layer: Calling, what: str) -> NyalaError:
    from nyala.quantizers.configs import UnsupportedMode

    where, fix = f"{type(layer).__name__} {layer.name!r}.{what}", "quantize the layers in it that can, or the whole model: model.quantize(mode)"
    return UnsupportedMode(where, need="a Dense, EinsumDense, Embedding or ReversibleEmbedding", got=f"a {type(layer).__name__}", fix=fix)
