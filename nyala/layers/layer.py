# SPDX-License-Identifier: Apache-2.0
"""Layer: weights and a function of tensors that uses them.

A layer's `__init__` stores arguments, `build` makes weights from the shapes of the first call, `call` is the mathematics. Its config is read off its
signature. The floors below, each knowing only those before it: `tracking.py` (what belongs to a layer), `building.py` (how weights are made) and
`calling.py` (how it is called); `configuring.py` reads constructor arguments. Start at calling.Calling.__call__.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nyala import dtype_policies
from nyala.core.audit import looking_through
from nyala.core.errors import ArgumentTypeError
from nyala.core.scopes import remat_scope
from nyala.core.serialization import serialize_keras_object
from nyala.layers import leaves
from nyala.layers.calling import Calling, context
from nyala.layers.configuring import bind, config_value, declared_input_shape, own_parameters, revived, unknown_arguments
from nyala.layers.input_spec import InputSpec
from nyala.layers.shapes import is_shape, shapes_of


class Layer(Calling):
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
    _shared_in_configs = True  # one that a config holds twice is made once

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = object.__new__(cls)
        self.__dict__["_arguments"] = bind(cls, args, kwargs)
        return self

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
        self._losses = []
        self._loss_layers = []
        self._weights = []
        self._build_shapes = None
        self._first_weights = kwargs.pop("weights", None)
        self._remat = remat_scope()
        self._declared_input_shape = declared_input_shape(kwargs)
        if kwargs:
            raise unknown_arguments(type(self), kwargs)

    @property
    def path(self) -> str:
        return self.name

    @property
    def input_shape(self) -> Any:
        """Shape of the symbolic input of its first call."""
        return shapes_of(self.input)

    @property
    def output_shape(self) -> Any:
        """Shape of the symbolic output of its first call."""
        return shapes_of(self.output)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"

    # Loops of one's own with backward() ---------------------------------------------------------------------------------------------------

    def parameters(self) -> Iterator[Any]:
        """The values of the trainable weights, for torch.optim and the like on the engine 'torch': tensors that may be updated in place, and on which
        loss.backward() puts gradients."""
        return (leaf for _, leaf in self.named_parameters())

    def named_parameters(self) -> Iterator[tuple[str, Any]]:
        """As `parameters`, with the paths of the weights."""
        return leaves.parameters(self)

    def zero_grad(self) -> None:
        """Forget the gradients that backward() has put on the weights. In a step of fit there is nothing to do: gradients begin at nothing there."""
        leaves.forget_gradients(self.trainable_variables)

    # Config -----------------------------------------------------------------------------------------------------------------------------

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
        for name in own_parameters(kind) if kind is not Layer else ():
            hidden = hasattr(Layer, name) and getattr(type(self), name) is getattr(Layer, name)  # an argument named like a property: output_shape
            value = getattr(self, name) if not hidden and hasattr(self, name) else self._arguments.get(name)
            config[name] = config_value(value)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Layer:
        """Make a layer from what get_config returned."""
        with looking_through(config, f"{cls.__name__}.from_config(config)"):
            config = dict(config)
            if isinstance(config.get("dtype"), dict):
                config["dtype"] = dtype_policies.deserialize(config["dtype"])
            config = {k: revived(v, k) for k, v in config.items()}
        try:
            return cls(**config)
        except TypeError as error:
            raise ArgumentTypeError(
                f"{cls.__name__}.from_config",
                need="a config that its constructor takes",
                got=f"{sorted(config)} ({error})",
                fix="write get_config and from_config to match __init__",
            ) from error


__all__ = ["InputSpec", "Layer", "context", "is_shape", "shapes_of"]
