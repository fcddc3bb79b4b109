# SPDX-License-Identifier: Apache-2.0
"""NativeOptimizer: a rule of the engine's own world: of optax, torch.optim, or an optimizer for TensorFlow. Start at NativeOptimizer."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from nyala.core.audit import looks_through
from nyala.core.errors import ArgumentError, ArgumentTypeError, StateError
from nyala.core.op import convert
from nyala.core.serialization import deserialize_keras_object
from nyala.core.variable import Variable
from nyala.engines._interop import optimizer_rule
from nyala.engines.protocol import Tensor
from nyala.optimizers.clipping import clip
from nyala.optimizers.optimizer import Optimizer, common_arguments, value_on_host
from nyala.optimizers.together import assign_changed


class NativeOptimizer(Optimizer):
    """An optimizer of optax (engine jax), PyTorch (torch) or TensorFlow (tensorflow). `compile(optimizer=rule)` makes one by itself.

    Args:
        rule: a transformation of optax, `optax.adam(0.1)`, or a function without arguments that makes one; or what makes a
            torch.optim.Optimizer of a list of parameters: its class, a functools.partial of it, or a function; or what has apply_gradients for
            variables of TensorFlow (of tf.keras, which is copied by its config, or tf.compat.v1.train), its class, or a function that makes one.
        clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name:
            as in Optimizer; weight decay is the business of the rule.

    Its state lies in `variables`, so that it is saved and restored, and works in compiled steps. Transformations see parameters as a dict by path.
    `learning_rate` can be read and set where the rule has one to set: on PyTorch always (of the first group; others keep their proportion),
    of optax if made by `optax.inject_hyperparams`, of tf.keras unless it follows a schedule. A config holds the registered name of a function,
    never code.

    >>> import nyala, torch
    >>> with nyala.backend("torch"):
    ...     w = nyala.Variable([1.0, 2.0])
    ...     NativeOptimizer(lambda parameters: torch.optim.SGD(parameters, lr=0.5)).apply([[2.0, -2.0]], [w])
    >>> w.numpy()
    array([0., 3.], dtype=float32)
    """

    @common_arguments
    def __init__(self, rule: Any, **common: Any) -> None:
        _check(rule)
        if common.get("weight_decay") is not None:
            raise ArgumentError("NativeOptimizer(weight_decay)", need="None", got=repr(common["weight_decay"]), fix="give it to the rule")
        super().__init__(0.0, **common)
        self._variables = [self._iterations]  # without a learning rate: the rule has its own
        self.rule = rule
        self._native: Any = None
        self._updated: list[Variable] = []  # what the rule updates, and its state
        self._state: list[Variable] = []

    @property
    def learning_rate(self) -> Any:
        """A variable that may be assigned at any time."""
        if self._native is None or self._native.rate is None:
            why = "its rule keeps it to itself (optax has inject_hyperparams)" if self._native else "its rule is made with the first gradients"
            raise AttributeError(f"the learning rate of {self.name!r} cannot be read or set: {why}")
        return self._state[self._native.rate]

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.learning_rate.assign(value)

    lr = learning_rate

    def build(self, variables: Sequence[Variable]) -> None:
        late = [v.path for v in variables if v not in self._slots]
        if self.built and late:
            raise StateError(
                f"NativeOptimizer {self.name!r}",
                need="the variables it was built for",
                got=", ".join(late),
                why="its rule makes the state of all at once",
                fix="make a new one",
            )
        super().build(variables)

    def _add_slots(self, variables: Sequence[Variable]) -> None:
        if not variables:
            return
        paths = [v.path for v in variables]
        names = [path if paths.count(path) == 1 else f"{path}_{i}" for i, path in enumerate(paths)]
        self._native = optimizer_rule(self.rule, names, [value_on_host(v) for v in variables], f"NativeOptimizer {self.name!r}")
        self._updated = list(variables)
        for name, value in self._native.slots:
            self._state.append(self.add_variable(value.shape, lambda shape, dtype, value=value: value, value.dtype, name=name.replace("/", "_")))

    def _update(self, gradients: list[Tensor], variables: list[Variable]) -> None:
        pairs = [(v, g) for v, g in zip(variables, gradients, strict=True) if not v.overwrite_with_gradient]
        for variable, gradient in zip(variables, gradients, strict=True):
            if variable.overwrite_with_gradient:
                variable.assign(gradient)
        clipped = clip([g for _, g in pairs], self.clipnorm, self.clipvalue, self.global_clipnorm)
        given = {id(v): g for (v, _), g in zip(pairs, clipped, strict=True)}
        values, state = [v.value for v in self._updated], [v.value for v in self._state]
        new_values, new_state = self._native.update([given.get(id(v)) for v in self._updated], values, state, convert(self.iterations))
        assign_changed(self._updated, values, new_values)
        assign_changed(self._state, state, new_state)

    def set_weights(self, weights: Sequence[Any]) -> None:
        super().set_weights(weights)
        self._native.running = False

    def get_config(self) -> dict[str, Any]:
        if not inspect.isroutine(self.rule):
            raise ArgumentTypeError(
                f"the config of NativeOptimizer {self.name!r}",
                need="a function that makes its rule",
                got=f"{self.rule!r:.80}",
                why="a config holds no code",
                fix="write a function that returns it, above it @nyala.saving.register_keras_serializable(), and pass that",
            )
        return {name: value for name, value in super().get_config().items() if name not in ("learning_rate", "weight_decay")}

    @classmethod
    @looks_through
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> NativeOptimizer:
        return cls(**{**config, "rule": deserialize_keras_object(config["rule"], custom_objects)})


def is_native(value: Any) -> bool:
    """Whether value is something of optax, PyTorch or TensorFlow, or a function that may make it."""
    is_ours = isinstance(value, (Optimizer, str, dict)) or (inspect.isclass(value) and issubclass(value, Optimizer))
    return not is_ours and (callable(value) or any(hasattr(value, name) for name in ("update", "param_groups", "apply_gradients")))


def _check(rule: Any) -> None:
    """Refuse what cannot be a rule, and what already holds parameters of its own."""
    if hasattr(rule, "param_groups"):
        kind = type(rule).__name__
        raise ArgumentTypeError(
            "NativeOptimizer(rule)",
            need="what makes an optimizer of PyTorch",
            got=f"a {kind} that was made already",
            why="it updates the parameters that it was made with, which are not those of the model",
            fix=f"pass a function: lambda parameters: torch.optim.{kind}(parameters, lr=...)",
        )
    if not callable(rule) and not hasattr(rule, "apply_gradients") and not (hasattr(rule, "init") and hasattr(rule, "update")):
        raise ArgumentTypeError("NativeOptimizer(rule)", need="a transformation of optax, or a function that makes an optimizer", got=repr(rule))
