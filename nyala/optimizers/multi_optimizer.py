# SPDX-License-Identifier: Apache-2.0
"""MultiOptimizer: an optimizer for each group of variables, by their paths. Start at OptimizerMap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any

from nyala.core.audit import looks_through
from nyala.core.errors import ArgumentError, ArgumentTypeError
from nyala.core.patterns import is_match
from nyala.core.serialization import deserialize_keras_object, serialize_keras_object
from nyala.core.variable import Variable
from nyala.optimizers.optimizer import Optimizer


class OptimizerMap(MutableMapping):
    """The optimizer of each variable by its path; keys are paths, or patterns that match whole paths.

    Args:
        default_optimizer: of all variables that no key matches.
        optimizer_map: {path or pattern: optimizer}.

    Raises: ValueError where a path matches several patterns, or a key is set twice.

    >>> import nyala
    >>> table = OptimizerMap(nyala.optimizers.SGD(0.1), {".*/embeddings": nyala.optimizers.Adam()})
    >>> type(table["net/embeddings"]).__name__, type(table["net/kernel"]).__name__
    ('Adam', 'SGD')
    """

    def __init__(self, default_optimizer: Optimizer, optimizer_map: Mapping[str, Optimizer] | None = None) -> None:
        self._default = _checked("OptimizerMap(default_optimizer)", default_optimizer)
        self._optimizers: dict[str, Optimizer] = {}
        for key, optimizer in (optimizer_map or {}).items():
            self[key] = optimizer

    @property
    def default_optimizer(self) -> Optimizer:
        """Of all variables that no key matches."""
        return self._default

    def __getitem__(self, key: str) -> Optimizer:
        if key in self._optimizers:
            return self._optimizers[key]
        found = [pattern for pattern in self._optimizers if is_match(pattern, key)]
        if len(found) > 1:
            raise ArgumentError("OptimizerMap", need=f"one key that matches {key!r}", got=", ".join(map(repr, found)), fix="make patterns narrower")
        return self._optimizers[found[0]] if found else self._default

    def __setitem__(self, key: str, optimizer: Optimizer) -> None:
        if key in self._optimizers:
            raise ArgumentError(f"OptimizerMap[{key!r}]", need="a key that is not there yet", got="one that is", fix="delete it first")
        self._optimizers[key] = _checked(f"OptimizerMap[{key!r}]", optimizer)

    def __delitem__(self, key: str) -> None:
        del self._optimizers[key]

    def __len__(self) -> int:
        return len(self._optimizers)

    def __iter__(self) -> Iterator[str]:
        return iter(self._optimizers)

    def __contains__(self, key: object) -> bool:
        return key in self._optimizers

    def get_config(self) -> dict[str, Any]:
        optimizers = {key: serialize_keras_object(optimizer) for key, optimizer in self._optimizers.items()}
        return {"default_optimizer": serialize_keras_object(self._default), "optimizer_map": optimizers}

    @classmethod
    @looks_through
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> OptimizerMap:
        revive = lambda value: deserialize_keras_object(value, custom_objects)  # noqa: E731
        return cls(revive(config["default_optimizer"]), {key: revive(value) for key, value in config["optimizer_map"].items()})


class MultiOptimizer(Optimizer):
    """Each variable is updated by the optimizer that a map gives it; learning rates are those of the optimizers.

    Args:
        optimizer_map: an OptimizerMap.
        loss_scale_factor: the loss is multiplied by it, and gradients divided; also set in all optimizers.
        name: of this optimizer.

    >>> import nyala
    >>> table = OptimizerMap(nyala.optimizers.SGD(0.1), {"slow": nyala.optimizers.SGD(0.01)})
    >>> variables = [nyala.Variable(1.0, name=name) for name in ("fast", "slow")]
    >>> MultiOptimizer(table).apply([1.0, 1.0], variables)
    >>> [round(float(v), 2) for v in variables]
    [0.9, 0.99]
    """

    def __init__(self, optimizer_map: OptimizerMap, loss_scale_factor: float | None = None, name: str | None = None) -> None:
        if not isinstance(optimizer_map, OptimizerMap):
            fix = "wrap it: OptimizerMap(default_optimizer, {pattern: optimizer})"
            raise ArgumentTypeError("MultiOptimizer(optimizer_map)", need="an OptimizerMap", got=repr(optimizer_map), fix=fix)
        super().__init__(0.0, name=name)
        self._map, self._factor = optimizer_map, None
        self.loss_scale_factor = loss_scale_factor

    @property
    def optimizers(self) -> list[Optimizer]:
        """Those of the map, each once, the default last."""
        return list({id(optimizer): optimizer for optimizer in (*self._map.values(), self._map.default_optimizer)}.values())

    @property
    def loss_scale_factor(self) -> float | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """One factor for all."""
        return self._factor

    @loss_scale_factor.setter
    def loss_scale_factor(self, value: float | None) -> None:
        self._factor = value
        for optimizer in self.optimizers if hasattr(self, "_map") else ():
            optimizer.loss_scale_factor = value

    @property
    def learning_rate(self) -> Any:
        """None of its own: those of `optimizers` count."""
        raise AttributeError("a MultiOptimizer has no learning rate of its own: read those of its `optimizers`")

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        raise AttributeError("a MultiOptimizer has no learning rate of its own: set those of its `optimizers`")

    lr = learning_rate

    def build(self, variables: Sequence[Variable]) -> None:
        self._trainable_variables += [v for v in variables if v not in self._slots]
        self._slots.update((v, {}) for v in variables)
        for optimizer, positions in self._groups(variables):
            optimizer.build([variables[i] for i in positions])
        self.built = True

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        pairs = self._pairs(list(grads), trainable_variables)
        for optimizer, positions in self._groups([variable for _, variable in pairs]):
            chosen = [pairs[i] for i in positions]
            optimizer.apply([gradient for gradient, _ in chosen], [variable for _, variable in chosen])
        if pairs:
            self._iterations.assign(self._iterations.value + 1)

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        for optimizer, positions in self._groups(var_list):
            optimizer.finalize_variable_values([var_list[i] for i in positions])

    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Any = None) -> None:
        for optimizer in self.optimizers:
            optimizer.exclude_from_weight_decay(var_list, var_names)

    @property
    def variables(self) -> list[Variable]:
        return [*self._variables, *(variable for optimizer in self.optimizers for variable in optimizer.variables)]

    def _groups(self, variables: Sequence[Variable]) -> Iterator[tuple[Optimizer, list[int]]]:
        """(optimizer, positions of its variables), of those that have any."""
        for optimizer in self.optimizers:
            positions = [i for i, variable in enumerate(variables) if self._map[variable.path] is optimizer]
            if positions:
                yield optimizer, positions

    def get_config(self) -> dict[str, Any]:
        return {"optimizer_map": serialize_keras_object(self._map), "loss_scale_factor": self._factor, "name": self.name}

    @classmethod
    @looks_through
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> MultiOptimizer:
        return cls(**{**config, "optimizer_map": deserialize_keras_object(config["optimizer_map"], custom_objects)})


def _checked(where: str, optimizer: Any) -> Optimizer:
    if not isinstance(optimizer, Optimizer):
        raise ArgumentTypeError(where, need="an optimizer", got=repr(optimizer), fix="use nyala.optimizers.get(name)")
    return optimizer
