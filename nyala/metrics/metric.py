# SPDX-License-Identifier: Apache-2.0
"""Metric, the base of all: a state that batches add to and a result that is computed from it. Knows no particular metric.

The state lives in variables, so that a compiled step can update it without the host waiting.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nyala import dtype_policies
from nyala.core import config, dtypes
from nyala.core.configurable import Configurable
from nyala.core.errors import ArgumentError, missing_method
from nyala.core.names import auto_name, name_scope, to_snake_case
from nyala.core.variable import Variable, scope
from nyala.engines import engine
from nyala.engines.protocol import Tensor
from nyala.losses.loss import complete_config


def _counted(update: Callable) -> Callable:
    """update_state, counting its calls from outside in `updates`."""

    @functools.wraps(update)
    def update_state(self: Metric, *args: Any, **kwargs: Any) -> Any:
        if self._updating:
            return update(self, *args, **kwargs)
        self._updating, self.updates = True, self.updates + 1
        try:
            return update(self, *args, **kwargs)
        finally:
            self._updating = False

    return update_state


class Metric(Configurable):
    """A measure of predictions, accumulated over batches. Subclasses write `__init__`, `update_state` and `result`.

    Args:
        dtype: of its state; floatx by default.
        name: by default the name of the class in snake case.
    Attributes:
        updates: how often update_state was called in Python, a trace of a compiled step included.

    >>> class Largest(Metric):
    ...     def __init__(self, name="largest", **kwargs):
    ...         super().__init__(name=name, **kwargs)
    ...         self.largest = self.add_weight(initializer="zeros", name="largest")
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         from nyala import ops
    ...         self.largest.assign(ops.maximum(self.largest, ops.max(ops.abs(y_true - y_pred))))
    ...     def result(self):
    ...         return self.largest.value
    >>> metric = Largest()
    >>> metric.update_state(np.array([1.0, 2.0]), np.array([1.5, 2.0]))
    >>> float(metric.result()), metric.updates
    (0.5, 1)
    """

    name_is_told = True  # by programs that return logs
    updates: int = 0
    _updating: bool = False
    _direction: str | None = None  # "up" where more is better, "down" where less is; callbacks with mode="auto" ask

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "update_state" in cls.__dict__:
            cls.update_state = _counted(cls.__dict__["update_state"])  # type: ignore[method-assign]

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        self.name = name or auto_name(to_snake_case(type(self).__name__))
        self._dtype_policy = dtype_policies.get(dtype or config.floatx())
        self._dtype = self._dtype_policy.compute_dtype
        self._variables: list[Variable] = []

    @property
    def dtype(self) -> str:
        """Dtype of the state."""
        return self._dtype

    # State ------------------------------------------------------------------------------------------------------------------------

    @property
    def variables(self) -> list[Variable]:
        """The state: own variables, those stored as attributes, and those of metrics inside."""
        found: list[Variable] = [*self._variables]
        for value in vars(self).values():
            for item in value if isinstance(value, (list, tuple)) else (value,):
                found += [item] if isinstance(item, Variable) else item.variables if isinstance(item, Metric) else []
        return list({id(variable): variable for variable in found}.values())

    def add_variable(
        self, shape: Sequence[int] = (), initializer: Any = None, dtype: Any = None, aggregation: str = "sum", name: str | None = None
    ) -> Variable:
        """A new variable of the state.

        Args:
            shape: sizes, all known.
            initializer: a name, object or function (shape, dtype) -> values; zeros by default. reset_state sets zeros in any case.
            dtype: that of the metric by default.
            aggregation: how replicas on several devices combine it.
        """
        from nyala import initializers

        dtype = dtypes.standardize_dtype(dtype or self.dtype)
        with name_scope(self.name.replace("/", "_")):
            variable = Variable(
                initializers.get(initializer or "zeros"), tuple(shape), dtype, trainable=False, autocast=False, aggregation=aggregation, name=name
            )
        self._variables.append(variable)
        return variable

    def add_weight(self, shape: Any = (), initializer: Any = None, dtype: Any = None, name: Any = None, aggregation: str = "sum") -> Variable:
        """Same as add_variable; the order (name, shape, ...) of Keras 2 is understood, too."""
        if isinstance(shape, str):
            shape, name = name or (), shape
        return self.add_variable(shape, initializer, dtype, aggregation, name)

    def reset_state(self) -> None:
        """Set all variables to 0."""
        for variable in self.variables:
            variable.assign(engine.asarray(np.zeros(variable.shape, dtypes.numpy_dtype(variable.dtype))))

    def reset_states(self) -> None:
        """Same as reset_state."""
        self.reset_state()

    # Use --------------------------------------------------------------------------------------------------------------------------

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Add a batch to the state."""
        raise missing_method(self, "update_state(self, y_true, y_pred, sample_weight=None)")

    def result(self) -> Any:
        """The measure of all batches so far: a tensor, or a dict of them by name."""
        raise missing_method(self, "result(self)")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Add a batch; returns the result so far."""
        self.update_state(*args, **kwargs)
        return self.result()

    def stateless_update_state(self, metric_variables: Sequence[Tensor], *args: Any, **kwargs: Any) -> list[Tensor]:
        """The state after a batch, given the state before; the metric itself stays as it is."""
        variables = self._in_order(metric_variables)
        with scope(variables, metric_variables) as inside:
            self.update_state(*args, **kwargs)
        return [inside.values[id(variable)] for variable in variables]

    def stateless_result(self, metric_variables: Sequence[Tensor]) -> Any:
        """The result of a given state."""
        with scope(self._in_order(metric_variables), metric_variables):
            return self.result()

    def stateless_reset_state(self) -> list[Tensor]:
        """A state of nothing."""
        variables = self.variables
        with scope(variables, [variable.value for variable in variables]) as inside:
            self.reset_state()
        return [inside.values[id(variable)] for variable in variables]

    def _in_order(self, values: Sequence[Tensor]) -> list[Variable]:
        variables = self.variables
        if len(values) != len(variables):
            raise ArgumentError(
                f"metric {self.name!r}", need=f"{len(variables)} values, one for each of {[v.name for v in variables]}", got=f"{len(values)}"
            )
        return variables

    def get_config(self) -> dict[str, Any]:
        """Arguments from which from_config makes an equal metric, its state aside."""
        return complete_config(self, super().get_config(), {"name": self.name, "dtype": self.dtype})

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"
