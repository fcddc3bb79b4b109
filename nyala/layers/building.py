# SPDX-License-Identifier: Apache-2.0
"""How a layer gets its weights: add_weight, and `build`, which runs once with the shapes of the first call.

Knows nothing of what is computed with them. Start at Building._build_for.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from nyala.core import dtypes, names
from nyala.core.variable import Variable
from nyala.dtype_policies import DTypePolicy
from nyala.layers.shapes import as_shapes, shapes_of
from nyala.layers.tracking import Tracking


class CallSignature:
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
def call_signature(kind: type) -> CallSignature:
    return CallSignature(kind.call)


class Building(Tracking):
    """An operation whose variables are made when the shapes of its inputs are known."""

    dtype_policy: DTypePolicy
    _build_shapes: Any
    _building: bool  # while `build` runs

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__:
            cls.build = _wrap_build(cls.__dict__["build"])  # type: ignore[method-assign]

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
        with self._named():
            weight = Variable(
                initializers.get(initializer),
                tuple(shape) if shape is not None else (),
                dtype,
                trainable=trainable,
                autocast=autocast,
                aggregation=aggregation,
                name=name,
            )
        weight.of_layer = True
        weight.regularizer, weight.constraint = regularizers.get(regularizer), constraints.get(constraint)
        weight.overwrite_with_gradient = overwrite_with_gradient
        if not self._trainable:
            weight.trainable = False
        self._weights.append(weight)
        return weight

    def _named(self) -> AbstractContextManager[object]:
        """A scope in which names of weights begin with the layer's."""
        return names.name_scope(self.name) if names.current_path().rpartition("/")[2] != self.name else contextlib.nullcontext()

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
            shapes = {k: as_shapes(v) for k, v in config.get("shapes_dict", config).items()}
            self.build(shapes["input_shape"]) if set(shapes) == {"input_shape"} else self.build(**shapes)

    def _build_for(self, args: tuple, kwargs: dict) -> None:
        """Build from the arguments of the first call."""
        signature, parameters = call_signature(type(self)), _build_parameters(type(self))
        given = {**dict(zip(signature.names, args, strict=False)), **kwargs} if signature.names else kwargs
        first = args[0] if args else next(iter(kwargs.values()), None)
        if len(parameters) <= 1:
            self.build(shapes_of(first))
        else:
            shapes = {p: shapes_of(given[p.removesuffix("_shape")]) for p in parameters if given.get(p.removesuffix("_shape")) is not None}
            self.build(shapes_of(first)) if not shapes else self.build(**shapes)

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


def _wrap_build(build: Callable) -> Callable:
    """Around each `build`: names of weights get the layer's in front, the shapes are kept, and the layer is built afterwards."""

    @functools.wraps(build)
    def wrapped(self: Building, *args: Any, **kwargs: Any) -> None:
        if getattr(self, "_building", False):  # super().build()
            build(self, *args, **kwargs)
            return
        self._building = True
        try:
            with self._named():
                build(self, *args, **kwargs)
        finally:
            del self._building
        self.built = True
        parameters = _build_parameters(type(self))
        self._build_shapes = {**dict(zip(parameters, args, strict=False)), **kwargs}
        self._set_first_weights()

    return wrapped


@functools.cache
def _build_parameters(kind: type) -> tuple[str, ...]:
    parameters = list(inspect.signature(inspect.unwrap(kind.build)).parameters.values())[1:]
    return tuple(p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL))
