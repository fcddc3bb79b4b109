# SPDX-License-Identifier: Apache-2.0
"""Layer: weights and a function of tensors that uses them.

A layer's `__init__` stores arguments, `build` makes weights from the shapes of the first call, `call` is the mathematics. Its config is read off its
signature. Weights and sublayers are found where they are stored: as attributes, also in lists and dicts. Start at Layer.__call__.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeGuard

import numpy as np

from nyala import dtype_policies
from nyala.core import dtypes, names, tree
from nyala.core.errors import ArgumentError, ArgumentTypeError, NyalaError, ShapeError, StateError
from nyala.core.masks import get_mask, set_mask
from nyala.core.op import convert
from nyala.core.scopes import collecting_losses, remat_scope
from nyala.core.seeds import SeedGenerator
from nyala.core.serialization import deserialize_keras_object, serialize_keras_object
from nyala.core.symbolic import Node, Operation, Symbolic, contains_symbolic, infer_symbolic, plain_shape
from nyala.core.variable import Scope, Variable, autocast
from nyala.engines import current
from nyala.engines.protocol import Tensor
from nyala.layers.input_spec import InputSpec, check_inputs

# Attributes that describe a layer rather than belong to it: nothing is tracked in them.
UNTRACKED = {
    "inbound_nodes", "input_spec", "_arguments", "_losses", "_loss_layers", "_weights", "_build_shapes", "_first_weights", "dtype_policy",
    "_optimizer", "history", "loss", "_step_loss", "_objectives", "_programs", "_compile_config",
}  # fmt: skip


class _Context(threading.local):
    """The calls in progress in this thread."""

    training: bool | None = None
    root: Layer | None = None  # the outermost layer


context = _Context()


class _CallSignature:
    """What the `call` of a class takes."""

    def __init__(self, call: Callable) -> None:
        parameters = list(inspect.signature(call).parameters.values())[1:]
        self.names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        self.any_keyword = any(p.kind is p.VAR_KEYWORD for p in parameters)
        self.training = "training" in self.names
        by_name = any(p.name == "training" and p.kind is p.KEYWORD_ONLY for p in parameters)
        self.training_place = self.names.index("training") if self.training and not by_name else sys.maxsize  # among positional arguments
        self.training_default = next((p.default for p in parameters if p.name == "training" and p.default is not p.empty), None)
        self.masks = [(n, i, f"{n}_mask") for i, n in enumerate(self.names) if f"{n}_mask" in self.names]
        if "mask" in self.names and self.names[0] != "mask":
            self.masks.append((self.names[0], 0, "mask"))


@functools.cache
def _call_signature(kind: type) -> _CallSignature:
    return _CallSignature(kind.call)


@functools.cache
def _own_parameters(kind: type) -> tuple[str, ...]:
    """Names of the constructor's own arguments, in order."""
    parameters = list(inspect.signature(kind.__init__).parameters.values())[1:]
    return tuple(
        p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and p.name not in ("trainable", "dtype", "autocast", "name")
    )


def shapes_of(value: Any) -> Any:
    """The shapes of a tree of tensors, as a tree of tuples with None for unknown sizes."""
    if isinstance(value, dict):
        return {k: shapes_of(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [shapes_of(v) for v in value] if isinstance(value, list) else tuple(shapes_of(v) for v in value)
    return plain_shape(value.shape) if hasattr(value, "shape") else None


def is_shape(value: Any) -> TypeGuard[Sequence[Any]]:
    """Whether a value is one shape: sizes and Nones."""
    return isinstance(value, (list, tuple)) and all(n is None or isinstance(n, (int, np.integer)) for n in value)


class Layer(Operation):
    """A function of tensors with weights, from which models are made. Subclass it and write `call`, and `build` if it has weights.

    Args:
        activity_regularizer: of the outputs, added to the loss.
        trainable: whether gradients update its weights.
        dtype: of weights and computation: a dtype, a policy or the name of one.
        autocast: whether float inputs are cast to the dtype in which it computes.
        name: by default the class in snake case, numbered.

    >>> import nyala
    >>> class Scale(nyala.layers.Layer):
    ...     def build(self, input_shape):
    ...         self.factor = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="factor")
    ...     def call(self, x):
    ...         return x * self.factor
    >>> Scale()(nyala.ops.zeros((2, 3))).shape
    (2, 3)
    """

    _arguments: dict[str, Any]
    input_spec: Any
    built: bool
    _building: bool  # while `build` runs

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = object.__new__(cls)
        self.__dict__["_arguments"] = _bind(cls, args, kwargs)
        return self

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__:
            cls.build = _wrap_build(cls.__dict__["build"])  # type: ignore[method-assign]

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name)
        from nyala import regularizers

        self.activity_regularizer = regularizers.get(activity_regularizer)
        policy = dtype_policies.get(dtype)
        self.dtype_policy = policy[self.path] if isinstance(policy, dtype_policies.DTypePolicyMap) else policy
        self.autocast = bool(autocast)
        self.input_spec = None
        self.supports_masking = False
        self.built = False
        self._trainable = bool(trainable)
        self._losses: list[Tensor] = []
        self._loss_layers: list[Layer] = []
        self._weights: list[Variable] = []
        self._build_shapes: Any = None
        self._first_weights = kwargs.pop("weights", None)
        self._remat = remat_scope()
        self._declared_input_shape = _declared_input_shape(kwargs)
        if kwargs:
            raise _unknown_arguments(type(self), kwargs)

    # Building ---------------------------------------------------------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs of this shape. Called once, before the first call; subclasses write it."""
        self.built = True

    def add_weight(
        self,
        shape: Any = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str = "none",
        overwrite_with_gradient: bool = False,
        name: Any = None,
    ) -> Variable:
        """A new weight of this layer.

        Args:
            shape: sizes, all known.
            initializer: name, object or function (shape, dtype) -> values; by default glorot_uniform for floats and zeros else.
            dtype: the policy's variable dtype by default.
            trainable: whether gradients update it.
            autocast: whether it is read in the dtype in which the layer computes.
            regularizer: function of the weight, added to the loss.
            constraint: function applied to the weight after each update.
            name: of the weight, "kernel".
        Returns: a Variable.
        """
        if isinstance(shape, str):  # the order of Keras 2: name, shape, dtype, initializer
            shape, name = (initializer, shape) if not isinstance(name, (tuple, list)) else (name, shape)
            initializer, dtype = (trainable, dtype) if not isinstance(trainable, bool) else (None, dtype)
            trainable = True if not isinstance(trainable, bool) else trainable
        from nyala import constraints, initializers, regularizers

        dtype = dtypes.standardize_dtype(dtype) if dtype is not None else self.variable_dtype
        if initializer is None:
            initializer = "glorot_uniform" if dtypes.is_float(dtype) else "zeros"
        weight = Variable(
            initializers.get(initializer),
            tuple(shape) if shape is not None else (),
            dtype,
            trainable=trainable,
            autocast=autocast,
            aggregation=aggregation,
            name=name,
        )
        weight.regularizer, weight.constraint = regularizers.get(regularizer), constraints.get(constraint)
        weight.overwrite_with_gradient = overwrite_with_gradient
        if not self._trainable:
            weight.trainable = False
        self._weights.append(weight)
        return weight

    def add_variable(self, *args: Any, **kwargs: Any) -> Variable:
        """Same as add_weight."""
        return self.add_weight(*args, **kwargs)

    def get_build_config(self) -> dict[str, Any] | None:
        """The shapes it was built with."""
        if self._build_shapes is None:
            return None
        shapes = {k: v for k, v in self._build_shapes.items() if v is not None}
        return {"input_shape": next(iter(shapes.values()))} if len(shapes) == 1 else {"shapes_dict": shapes}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build with the shapes of get_build_config."""
        if config and not self.built:
            shapes = {k: _as_shapes(v) for k, v in config.get("shapes_dict", config).items()}
            self.build(shapes["input_shape"]) if set(shapes) == {"input_shape"} else self.build(**shapes)

    def _build_for(self, args: tuple, kwargs: dict) -> None:
        """Build from the arguments of the first call."""
        signature, parameters = _call_signature(type(self)), _build_parameters(type(self))
        given = {**dict(zip(signature.names, args, strict=False)), **kwargs} if signature.names else kwargs
        first = args[0] if args else next(iter(kwargs.values()), None)
        if len(parameters) <= 1:
            self.build(shapes_of(first))
        else:
            shapes = {p: shapes_of(given[p.removesuffix("_shape")]) for p in parameters if given.get(p.removesuffix("_shape")) is not None}
            self.build(shapes_of(first)) if not shapes else self.build(**shapes)

    # Calling ----------------------------------------------------------------------------------------------------------------------

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The mathematics, on tensors. Subclasses write it; `training` and `mask` are passed if it takes them."""
        raise NotImplementedError(f"{type(self).__name__} needs a method call(self, inputs)")

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
        try:
            return self._run(args, kwargs)
        except Exception as error:
            self._explain(error, args)
            raise

    def _run(self, args: tuple, kwargs: dict) -> Any:
        """Call on tensors: convert, build, check, choose training and masks, compute, and pass masks and losses on."""
        signature = _call_signature(type(self))
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
        previous = get_mask(args[0]) if args and not isinstance(args[0], (list, tuple, dict)) else _masks_of(args[0]) if args else None
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
                outputs = call(*args, **kwargs)
            if self.activity_regularizer is not None:
                self._regularize(outputs)
        finally:
            context.root, context.training = outer_root, outer_training
        if previous is not None:
            self._pass_mask(args[0], outputs, previous)
        elif type(self).compute_mask is not Layer.compute_mask:
            self._pass_mask(args[0] if args else None, outputs, None)
        return outputs

    def rematerialized_call(self, layer_call: Callable, *args: Any, **kwargs: Any) -> Callable:
        """layer_call as the RematScope that the layer was made in wants it, for these arguments."""
        from nyala.layers.rematerialization import rematerialized

        return rematerialized(self, layer_call, args, kwargs)

    def _resolve_training(self, signature: _CallSignature, args: tuple, kwargs: dict) -> bool | None:
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

    def _fill_masks(self, signature: _CallSignature, args: tuple, kwargs: dict) -> None:
        """Pass the masks of the inputs to a `call` that takes them."""
        for name, place, parameter in signature.masks:
            if kwargs.get(parameter) is None and signature.names.index(parameter) >= len(args):
                value = args[place] if place < len(args) else kwargs.get(name)
                mask = _masks_of(value)
                if mask is not None:
                    kwargs[parameter] = mask

    def _pass_mask(self, inputs: Any, outputs: Any, previous: Any) -> None:
        flat = tree.flatten(outputs)
        if not self.supports_masking and type(self).compute_mask is Layer.compute_mask:
            if not _call_signature(type(self)).masks:
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
        if type(self).compute_output_shape is not Layer.compute_output_shape:
            shapes = self._output_shape_for(args, kwargs)
            return tree.map_structure_up_to(_shape_places(shapes), lambda shape: Symbolic(shape, self.compute_dtype), shapes)
        return infer_symbolic(lambda *a, **k: self._run(a, k), *args, **kwargs)

    def _output_shape_for(self, args: tuple, kwargs: dict) -> Any:
        parameters = list(inspect.signature(self.compute_output_shape).parameters)
        given = {**dict(zip(_call_signature(type(self)).names, args, strict=False)), **kwargs}
        if len(parameters) == 1:
            return self.compute_output_shape(shapes_of(args[0]) if args else shapes_of(next(iter(kwargs.values()))))
        shapes = {p: shapes_of(given[p.removesuffix("_shape")]) for p in parameters if given.get(p.removesuffix("_shape")) is not None}
        return self.compute_output_shape(**shapes) if shapes else self.compute_output_shape(shapes_of(args[0]))

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """The shapes of the outputs for inputs of these shapes (None: unknown size)."""
        to_symbolic = lambda shape: Symbolic(shape, self.compute_dtype)  # noqa: E731
        inputs = [tree.map_structure_up_to(_shape_places(shape), to_symbolic, shape) for shape in args]
        named = {k.removesuffix("_shape"): tree.map_structure_up_to(_shape_places(v), to_symbolic, v) for k, v in kwargs.items()}
        if not self.built:
            self._build_for(tuple(inputs), named)
            self.built = True
        return tree.map_structure(lambda leaf: leaf.shape, infer_symbolic(lambda *a, **k: self._run(a, k), *inputs, **named))

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

    # Losses -----------------------------------------------------------------------------------------------------------------------

    def add_loss(self, loss: Any) -> None:
        """Add a scalar to the loss of the model, from within `call`."""
        scope = collecting_losses()
        for value in tree.flatten(loss):
            if callable(value) and not hasattr(value, "shape"):
                value = value()
            (self._losses if scope is None else scope.losses).append(value)
        if context.root is not None and not any(layer is self for layer in context.root._loss_layers):
            context.root._loss_layers.append(self)

    def add_metric(self, *args: Any, **kwargs: Any) -> None:
        """Gone since Keras 3."""
        raise NotImplementedError(
            f"{type(self).__name__}.add_metric is gone since Keras 3: make a metric in __init__ and call its update_state in `call`, "
            "or pass it to compile(metrics=[...])"
        )

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

    # Weights ----------------------------------------------------------------------------------------------------------------------

    def _tracked(self, kind: type | tuple[type, ...]) -> Iterator[Any]:
        """Objects of a kind among its attributes, also inside lists, tuples and dicts, in the order of assignment."""
        for key, value in self.__dict__.items():
            if key not in UNTRACKED:
                yield from _find(value, kind, set())

    def _own_variables(self) -> list[Variable]:
        return _unique([*self._weights, *self._tracked(Variable)])

    def _other_variables(self) -> list[Variable]:
        """State that is no weight: that of random generators."""
        return [generator.state for generator in self._tracked(SeedGenerator)]

    def _sublayers(self) -> list[Layer]:
        return _unique(self._tracked(Layer))

    def _flatten_layers(self, include_self: bool = True, recursive: bool = True) -> Iterator[Layer]:
        """This layer and all below it, each once, parents first."""
        seen: set[int] = set()

        def walk(layer: Layer) -> Iterator[Layer]:
            if id(layer) not in seen:
                seen.add(id(layer))
                yield layer
                if recursive or layer is self:
                    for child in layer._sublayers():
                        yield from walk(child)

        found = walk(self)
        if not include_self:
            next(found)
        return found

    @property
    def variables(self) -> list[Variable]:
        """All state: weights and the states of random generators; not that of metrics."""
        found: list[Variable] = []
        for layer in self._flatten_layers():
            own = layer._own_variables()
            found += [v for v in own if v.made_trainable] + [v for v in own if not v.made_trainable]
            found += layer._other_variables()
        return _unique(found)

    @property
    def weights(self) -> list[Variable]:
        """Weights, without the states of random generators."""
        found: list[Variable] = []
        for layer in self._flatten_layers():
            own = layer._own_variables()
            found += [v for v in own if v.made_trainable] + [v for v in own if not v.made_trainable]
        return _unique(found)

    @property
    def trainable_variables(self) -> list[Variable]:
        return [v for v in self.variables if v.trainable] if self._trainable else []

    @property
    def non_trainable_variables(self) -> list[Variable]:
        return [v for v in self.variables if not (v.trainable and self._trainable)]

    @property
    def trainable_weights(self) -> list[Variable]:
        return [v for v in self.weights if v.trainable] if self._trainable else []

    @property
    def non_trainable_weights(self) -> list[Variable]:
        return [v for v in self.weights if not (v.trainable and self._trainable)]

    @property
    def metrics(self) -> list[Any]:
        """Metrics stored as attributes, here and below."""
        from nyala.metrics.metric import Metric

        return _unique([metric for layer in self._flatten_layers() for metric in layer._tracked(Metric)])

    @property
    def metrics_variables(self) -> list[Variable]:
        return [v for metric in self.metrics for v in metric.variables]

    @property
    def trainable(self) -> bool:
        """Whether gradients update its weights; setting it sets all layers below."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        value = bool(value)
        for layer in self._flatten_layers():
            layer._trainable = value
            for variable in layer._own_variables():
                if variable.made_trainable and not variable.held:
                    variable.trainable = value

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the weights as arrays, in the order of `weights`."""
        return [weight.numpy() for weight in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set the weights, in the order of `weights`; nothing is changed unless all shapes fit."""
        targets, values = self.weights, list(weights)
        where = f"{type(self).__name__} {self.name!r}.set_weights"
        if len(values) != len(targets):
            state = "" if self.built else "it is not built yet: call it once, or build(input_shape)"
            raise ArgumentError(
                where, need=f"{len(targets)} arrays", got=f"{len(values)}", why=state, fix=f"shapes in order: {[w.shape for w in targets]}"
            )
        for weight, value in zip(targets, values, strict=True):
            if tuple(np.shape(value)) != weight.shape:
                raise ShapeError(
                    where, need=f"shape {weight.shape} for {weight.path!r}", got=f"{tuple(np.shape(value))}", fix="no weight was changed"
                )
        for weight, value in zip(targets, values, strict=True):
            weight.assign(value)

    def _set_first_weights(self) -> None:
        """Use the constructor's weights=[...]."""
        if self._first_weights is not None and self.built:
            values, self._first_weights = self._first_weights, None
            self.set_weights(values)

    def count_params(self) -> int:
        """Number of numbers in its weights."""
        if not self.built:
            raise StateError(
                f"{type(self).__name__} {self.name!r}.count_params()",
                need="a built layer",
                got="one without weights yet",
                fix="call build(input_shape) first",
            )
        return sum(weight.size for weight in self.weights)

    def save_own_variables(self, store: Any) -> None:
        """Put its own weights, without those of sublayers, into a mapping under "0", "1", ..."""
        for i, variable in enumerate(self._saved_variables()):
            store[str(i)] = variable.numpy()

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Set its own weights from a mapping made by save_own_variables; nothing is changed unless all fit."""
        own = self._saved_variables()
        where = f"{type(self).__name__} {self.name!r}"
        if len(store) != len(own):
            raise StateError(
                where,
                need=f"{len(own)} stored arrays",
                got=f"{len(store)}",
                why="" if self.built else "it is not built yet",
                fix="build it with the shapes it was saved with",
            )
        for i, variable in enumerate(own):
            if tuple(np.shape(store[str(i)])) != variable.shape:
                raise ShapeError(where, need=f"shape {variable.shape} for {variable.path!r}", got=f"{tuple(np.shape(store[str(i)]))}")
        for i, variable in enumerate(own):
            variable.assign(np.asarray(store[str(i)]))

    def _saved_variables(self) -> list[Variable]:
        own = self._own_variables()
        return [v for v in own if v.made_trainable] + [v for v in own if not v.made_trainable]

    # Description ------------------------------------------------------------------------------------------------------------------

    @property
    def dtype(self) -> str:
        """Dtype of its weights."""
        return self.variable_dtype

    @property
    def variable_dtype(self) -> str:
        return self.dtype_policy.variable_dtype

    @property
    def compute_dtype(self) -> str:
        return self.dtype_policy.compute_dtype

    @property
    def input_dtype(self) -> str:
        return self.dtype_policy.compute_dtype

    @property
    def path(self) -> str:
        return self.name

    @property
    def quantization_mode(self) -> str | None:
        """How its weights are kept in few bits: "int8", "int4" or "float8"; None: they are not."""
        return self.dtype_policy.quantization_mode

    # Quantization -----------------------------------------------------------------------------------------------------------------

    def quantize(self, mode: str | None = None, type_check: bool = True, config: Any = None) -> None:
        """Keep the weights in few bits from now on: "int8", "int4" or "float8". Dense, EinsumDense and the embeddings can."""
        raise _not_quantizable(self, "quantize")

    def quantized_build(self, input_shape: Any, mode: str) -> None:
        """Make the weights of a mode of quantization."""
        raise _not_quantizable(self, "quantized_build")

    def quantized_call(self, *args: Any, **kwargs: Any) -> Any:
        """`call` with quantized weights."""
        raise _not_quantizable(self, "quantized_call")

    def _call_for_policy(self) -> Callable:
        """What a quantized dtype policy calls: layers without weights to quantize compute as always."""
        return self.call if type(self).quantized_call is Layer.quantized_call else self.quantized_call

    @property
    def input_shape(self) -> Any:
        """Shape of the symbolic input of its only call."""
        return shapes_of(self.input)

    @property
    def output_shape(self) -> Any:
        """Shape of the symbolic output of its only call."""
        return shapes_of(self.output)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"

    # Config -----------------------------------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Arguments from which from_config makes an equal layer, as plain values."""
        base = {"name": self.name, "trainable": self._trainable, "dtype": serialize_keras_object(self.dtype_policy)}
        if self.activity_regularizer is not None:
            base["activity_regularizer"] = serialize_keras_object(self.activity_regularizer)
        return {**base, **self._config_of_arguments()}

    def _config_of_arguments(self) -> dict[str, Any]:
        """The constructor's own arguments: the attribute of that name if there is one, else what was passed.

        A user's get_config adds the arguments of its class itself: then only those of the library's class below count."""
        config = {}
        kinds = type(self).__mro__
        written = any("get_config" in kind.__dict__ for kind in kinds if not kind.__module__.startswith("nyala."))
        kind = next(kind for kind in kinds if kind.__module__.startswith("nyala.")) if written else kinds[0]
        for name in _own_parameters(kind) if kind is not Layer else ():
            hidden = hasattr(Layer, name) and getattr(type(self), name) is getattr(Layer, name)  # an argument named like a property: output_shape
            value = getattr(self, name) if not hidden and hasattr(self, name) else self._arguments.get(name)
            config[name] = _config_value(value)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Layer:
        """Make a layer from what get_config returned."""
        config = dict(config)
        if isinstance(config.get("dtype"), dict):
            config["dtype"] = dtype_policies.deserialize(config["dtype"])
        config = {k: _revived(v) for k, v in config.items()}
        try:
            return cls(**config)
        except TypeError as error:
            raise ArgumentTypeError(
                f"{cls.__name__}.from_config",
                need="a config that its constructor takes",
                got=f"{sorted(config)} ({error})",
                fix="write get_config and from_config to match __init__",
            ) from error


def _config_value(value: Any) -> Any:
    """A constructor argument as Keras writes it: functions by name, objects as configs."""
    if inspect.isfunction(value) or getattr(value, "is_op", False):
        from nyala import activations

        return activations.serialize(value)
    if isinstance(value, (list, tuple)):
        return type(value)(_config_value(v) for v in value) if type(value) in (list, tuple) else [_config_value(v) for v in value]
    return serialize_keras_object(value)


def _revived(value: Any) -> Any:
    """Configs of objects among constructor arguments as the objects."""
    if isinstance(value, dict) and "class_name" in value and "module" in value:
        return deserialize_keras_object(value)
    return [_revived(v) for v in value] if isinstance(value, list) else value


def _bind(kind: type, args: tuple, kwargs: dict) -> dict[str, Any]:
    """Constructor arguments by name, defaults included; {} if they do not fit (the constructor will say so)."""
    try:
        bound = inspect.signature(kind.__init__).bind(None, *args, **kwargs)
    except TypeError:
        return {}
    bound.apply_defaults()
    return dict(list(bound.arguments.items())[1:])


def _wrap_build(build: Callable) -> Callable:
    """Around each `build`: names of weights get the layer's in front, the shapes are kept, and the layer is built afterwards."""

    @functools.wraps(build)
    def wrapped(self: Layer, *args: Any, **kwargs: Any) -> None:
        if getattr(self, "_building", False):  # super().build()
            build(self, *args, **kwargs)
            return
        self._building = True
        try:
            with names.name_scope(self.name) if names.current_path().rpartition("/")[2] != self.name else _nothing():
                build(self, *args, **kwargs)
        finally:
            del self._building
        self.built = True
        parameters = _build_parameters(type(self))
        self._build_shapes = {**dict(zip(parameters, args, strict=False)), **kwargs}
        self._set_first_weights()

    return wrapped


class _nothing:
    """An empty context."""

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


@functools.cache
def _build_parameters(kind: type) -> tuple[str, ...]:
    parameters = list(inspect.signature(inspect.unwrap(kind.build)).parameters.values())[1:]
    return tuple(p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL))


def _as_shapes(value: Any) -> Any:
    """Shapes from a config, where tuples came back as lists."""
    if is_shape(value):
        return tuple(value)
    if isinstance(value, dict):
        return {k: _as_shapes(v) for k, v in value.items()}
    return [_as_shapes(v) for v in value] if isinstance(value, (list, tuple)) else value


def _shape_places(shapes: Any) -> Any:
    """The tree in which each shape is one leaf."""
    if shapes is None or is_shape(shapes):
        return 0
    if isinstance(shapes, dict):
        return {k: _shape_places(v) for k, v in shapes.items()}
    return type(shapes)(_shape_places(v) for v in shapes) if isinstance(shapes, (list, tuple)) else 0


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
    return (
        engine.cast(value, dtype) if dtype is not None and own != dtype and dtypes.is_float(own) and engine.canonical_dtype(dtype) != own else value
    )


def _is_numbers(value: Any) -> bool:
    return all(_is_numbers(v) for v in value) if isinstance(value, (list, tuple)) else isinstance(value, (bool, int, float, np.generic))


def _masks_of(value: Any) -> Any:
    """The mask of a tensor, or the list of masks of a list of tensors; None without any."""
    if isinstance(value, (list, tuple)):
        masks = [_masks_of(v) for v in value]
        return masks if any(m is not None for m in masks) else None
    return get_mask(value) if value is not None and not isinstance(value, dict) else None


def _find(value: Any, kind: Any, seen: set[int]) -> Iterator[Any]:
    if isinstance(value, kind):
        yield value
    elif isinstance(value, (list, tuple, set)) and id(value) not in seen:
        seen.add(id(value))
        for item in value:
            yield from _find(item, kind, seen)
    elif isinstance(value, dict) and id(value) not in seen:
        seen.add(id(value))
        for item in value.values():
            yield from _find(item, kind, seen)


def _unique(items: Any) -> list:
    return list({id(item): item for item in items}.values())


def _declared_input_shape(kwargs: dict[str, Any]) -> tuple | None:
    """The batch shape that the arguments of a first layer declare; they are taken out of kwargs."""
    given = {k: kwargs.pop(k) for k in ("input_shape", "batch_input_shape", "batch_shape", "input_dim", "input_length", "batch_size") if k in kwargs}
    for key in ("batch_input_shape", "batch_shape"):
        if given.get(key) is not None:
            return tuple(given[key])
    if given.get("input_shape") is not None:
        shape = given["input_shape"]
        return (given.get("batch_size"), *((shape,) if isinstance(shape, int) else shape))
    if given.get("input_dim") is not None:
        return (given.get("batch_size"), *((given["input_length"],) if "input_length" in given else ()), given["input_dim"])
    return None


def _not_quantizable(layer: Layer, what: str) -> NyalaError:
    from nyala.quantizers.configs import UnsupportedMode

    where, fix = f"{type(layer).__name__} {layer.name!r}.{what}", "quantize the layers in it that can, or the whole model: model.quantize(mode)"
    return UnsupportedMode(where, need="a Dense, EinsumDense, Embedding or ReversibleEmbedding", got=f"a {type(layer).__name__}", fix=fix)


def _unknown_arguments(kind: type, kwargs: dict[str, Any]) -> NyalaError:
    known = [*_own_parameters(kind), "name", "dtype", "trainable", "autocast", "activity_regularizer", "input_shape", "batch_shape", "weights"]
    near = {k: difflib.get_close_matches(k, known, n=2) for k in kwargs}
    hints = "; ".join(f"for {k!r} did you mean {' or '.join(map(repr, v))}?" for k, v in near.items() if v)
    return ArgumentTypeError(
        f"{kind.__name__}",
        need="arguments that it knows",
        got=", ".join(f"{k}={v!r}" for k, v in kwargs.items()),
        fix=hints or f"it takes {', '.join(known)}",
    )


__all__ = ["InputSpec", "Layer", "context", "is_shape", "shapes_of"]
