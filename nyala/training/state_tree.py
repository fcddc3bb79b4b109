# SPDX-License-Identifier: Apache-2.0
"""A model's whole state as values: a tree by path, to take elsewhere and put back, and the loss as a pure function. Start at StateTree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nyala.core.errors import ArgumentError, ShapeError, StructureError
from nyala.core.op import convert
from nyala.core.variable import Variable, purify
from nyala.layers.arguments import as_choice
from nyala.optimizers.checks import check_count
from nyala.training.steps import Steps

FORMATS = ("backend_tensor", "numpy_array")


class StateTree(Steps):
    """State as values."""

    def _state_groups(self) -> dict[str, list[Variable]]:
        compiled = getattr(self, "compiled", False)
        return {
            "trainable_variables": self.trainable_variables,
            "non_trainable_variables": self.non_trainable_variables,
            "optimizer_variables": self.optimizer.variables if compiled else [],
            "metrics_variables": self.metrics_variables if compiled else [],
        }

    def get_state_tree(self, value_format: str = "backend_tensor") -> dict[str, Any]:
        """The values of all variables in nested dicts, one for each part of their paths.

        Args:
            value_format: "backend_tensor", or "numpy_array".
        Returns: {"trainable_variables": ..., "non_trainable_variables": ..., "optimizer_variables": ..., "metrics_variables": ...}

        >>> import nyala
        >>> model = nyala.Sequential([nyala.Input((2,)), nyala.layers.Dense(1, name="out")], name="m")
        >>> model.get_state_tree("numpy_array")["trainable_variables"]["m"]["out"]["bias"]
        array([0.], dtype=float32)
        """
        as_choice("get_state_tree(value_format)", value_format, FORMATS)
        value_of = Variable.numpy if value_format == "numpy_array" else Variable.stored
        return {name: _nested(name, variables, value_of) for name, variables in self._state_groups().items()}

    def set_state_tree(self, state_tree: Mapping[str, Any]) -> None:
        """Set the variables to values of get_state_tree; parts that are left out stay. All of them, or none if one does not fit."""
        groups, plan = self._state_groups(), []
        unknown = [name for name in state_tree if name not in groups]
        if unknown:
            raise ArgumentError("set_state_tree(state_tree)", need=f"the parts {list(groups)}", got=f"{unknown}, too")
        for name, values in state_tree.items():
            by_path = _flat(values)
            for variable in groups[name]:
                if variable.path not in by_path:
                    continue
                value = by_path.pop(variable.path)
                if tuple(value.shape) != variable.shape:
                    raise ShapeError(f"set_state_tree({name!r})", need=f"shape {variable.shape} for {variable.path}", got=f"{tuple(value.shape)}")
                plan.append((variable, value))
            if by_path:
                raise StructureError(f"set_state_tree({name!r})", need="paths of variables of the model", got=f"{list(by_path)[:3]}, too")
        for variable, value in plan:
            variable.assign(value)

    def stateless_compute_loss(
        self,
        trainable_variables: Sequence[Any],
        non_trainable_variables: Sequence[Any],
        metrics_variables: Sequence[Any],
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """compute_loss with the given values for the variables.

        Returns: (loss, (new values of the trainable variables, of the non-trainable ones, of those of metrics))
        """
        groups = (self.trainable_variables, self.non_trainable_variables, self.metrics_variables)
        given = (trainable_variables, non_trainable_variables, metrics_variables)
        for what, values, variables in zip(("trainable variables", "non-trainable variables", "metrics"), given, groups, strict=True):
            check_count("stateless_compute_loss", f"values of {what}", values, variables)

        def loss() -> Any:
            return self._ask_loss(x, y, y_pred, sample_weight, training)

        result, after = purify(loss, [v for group in groups for v in group])([convert(value) for values in given for value in values])
        new = iter(after)
        return result, tuple([next(new) for _ in group] for group in groups)


def _nested(where: str, variables: Sequence[Variable], value_of: Any) -> dict[str, Any]:
    """Values in nested dicts by the parts of their variables' paths."""
    found: dict[str, Any] = {}
    for variable in variables:
        *folders, name = variable.path.split("/")
        place = found
        for folder in folders:
            place = place.setdefault(folder, {})
        if name in place:
            fix = "give their layers different names"
            raise StructureError(f"get_state_tree, {where}", need="variables with paths of their own", got=f"two with {variable.path!r}", fix=fix)
        place[name] = value_of(variable)
    return found


def _flat(values: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(values, Mapping):
        return {path: values}
    return {key: leaf for name, value in values.items() for key, leaf in _flat(value, f"{path}/{name}" if path else name).items()}
