# SPDX-License-Identifier: Apache-2.0
"""LossScaleOptimizer: keeps float16 gradients in range by a loss scale that finds itself. Start at LossScaleOptimizer.apply."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from nyala.core.audit import looks_through
from nyala.core.errors import ArgumentTypeError
from nyala.core.op import convert
from nyala.core.serialization import deserialize_keras_object, serialize_keras_object
from nyala.core.variable import Variable, purify
from nyala.engines import engine
from nyala.optimizers.optimizer import Optimizer


class LossScaleOptimizer(Optimizer):
    """Another optimizer, whose gradients are those of the loss times a scale, and are divided by it.

    A step with a gradient that is not finite is left out and halves the scale; after dynamic_growth_steps good steps it doubles.

    Args:
        inner_optimizer: the one that updates.
        initial_scale: first scale, above 0.
        dynamic_growth_steps: good steps in a row before the scale grows.
        name: of this optimizer.
    Source: Micikevicius et al. 2017, Mixed precision training.
    """

    def __init__(
        self, inner_optimizer: Optimizer, initial_scale: float = 2.0**15, dynamic_growth_steps: int = 2000, name: str | None = None, **kwargs: Any
    ) -> None:
        if not isinstance(inner_optimizer, Optimizer):
            raise ArgumentTypeError(
                "LossScaleOptimizer(inner_optimizer)", need="an optimizer", got=repr(inner_optimizer), fix="use nyala.optimizers.get(name)"
            )
        if kwargs:
            raise ArgumentTypeError(
                "LossScaleOptimizer", need="arguments that it knows", got=", ".join(sorted(kwargs)), fix="give them to the inner optimizer"
            )
        super().__init__(0.0, name=name)
        self.inner_optimizer, self.initial_scale, self.dynamic_growth_steps = inner_optimizer, initial_scale, dynamic_growth_steps

    def build(self, variables: Sequence[Variable]) -> None:
        if not self.built:
            self.step_counter = self.add_variable((), "zeros", "int32", name="step_counter")
            self.dynamic_scale = self.add_variable((), lambda shape, dtype: self.initial_scale, "float32", name="dynamic_scale")
            self.built = True
        self._trainable_variables += [v for v in variables if v not in self._slots]
        self._slots.update((v, {}) for v in variables)
        self.inner_optimizer.build(variables)

    @property
    def variables(self) -> list[Variable]:
        return [*self._variables, *self.inner_optimizer.variables]

    @property
    def iterations(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]  # counted by the inner optimizer alone: nothing to set here
        return self.inner_optimizer.iterations

    @property
    def learning_rate(self) -> Any:
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.inner_optimizer.learning_rate = value

    lr = learning_rate

    def scale_loss(self, loss: Any) -> Any:
        """The loss times the scale, before its gradients are taken."""
        return loss * (self.dynamic_scale.value if self.built else self.initial_scale)

    def check_finite(self, grads: Sequence[Any]) -> Any:
        """Whether all numbers of all gradients are finite, as a tensor."""
        tensors = [convert(g) for g in grads if g is not None]
        return functools.reduce(engine.logical_and, [engine.all(engine.isfinite(g), tuple(range(len(g.shape))), False) for g in tensors])

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        pairs = self._pairs(list(grads), trainable_variables)
        if not pairs:
            return
        variables = [v for _, v in pairs]
        finite = self.check_finite([g for g, _ in pairs])
        state = [*variables, *(v for v in self.variables if v is not self._learning_rate and v is not self._iterations)]
        scale = self.dynamic_scale.value
        gradients = [g / engine.cast(scale, engine.dtype(g)) for g, _ in pairs]

        def good() -> None:
            self.inner_optimizer.apply(gradients, variables)
            count = self.step_counter.value + 1
            full = engine.equal(count, self.dynamic_growth_steps)
            self.step_counter.assign(engine.where(full, count * 0, count))
            self.dynamic_scale.assign(engine.where(full, scale * 2.0, scale))

        def bad() -> None:
            self.step_counter.assign(self.step_counter.value * 0)
            self.dynamic_scale.assign(scale * 0.5)

        def branch(function: Any) -> Any:
            return lambda *values: tuple(purify(function, state)(values)[1])

        values = engine.cond(convert(finite), branch(good), branch(bad), tuple(v.value for v in state))
        for variable, value in zip(state, values, strict=True):
            variable.assign(value)

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        self.inner_optimizer.finalize_variable_values(var_list)

    def get_config(self) -> dict[str, Any]:
        inner = serialize_keras_object(self.inner_optimizer)
        return {"name": self.name, "inner_optimizer": inner, "initial_scale": self.initial_scale, "dynamic_growth_steps": self.dynamic_growth_steps}

    @classmethod
    @looks_through
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> LossScaleOptimizer:
        return cls(**{**config, "inner_optimizer": deserialize_keras_object(config["inner_optimizer"], custom_objects)})
