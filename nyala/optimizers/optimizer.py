# SPDX-License-Identifier: Apache-2.0
"""Optimizer: everything that rules share: learning rate, clipping, weight decay, accumulation, averages, slots, configs.

A rule is two pure functions in a file of its own, `init` (the slots of one variable) and `update` (one step of one variable); its class names them.
Nothing here waits for the host or branches on values, so that a step can be compiled whole. Start at Optimizer.apply.
"""

from __future__ import annotations

import functools
import inspect
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from nyala.core import config as settings
from nyala.core import dtypes, names
from nyala.core.audit import looks_through
from nyala.core.errors import ArgumentError, ArgumentTypeError, ShapeError, StateError, missing_method
from nyala.core.op import convert
from nyala.core.serialization import deserialize_keras_object, serialize_keras_object
from nyala.core.variable import Variable, as_variable, plainly, purify
from nyala.engines import engine, get_engine, real_engine, using
from nyala.engines.protocol import Tensor
from nyala.optimizers.checks import check_arguments, check_count, takes_step
from nyala.optimizers.clipping import as_dtype, clip
from nyala.optimizers.schedules.schedule import LearningRateSchedule
from nyala.optimizers.together import update_together, works_together

Slots = dict[str, Tensor]
Initialize = TypeVar("Initialize", bound=Callable)


class Optimizer:
    """Base of optimizers. A subclass either names a rule (`init_slots`, `update`) or writes `build` and `update_step` itself.

    Args:
        learning_rate: a number; a schedule; or a function that returns one, called in each step with nothing or with the step.
        weight_decay: share of each weight taken off per step, times the learning rate, apart from its gradient.
        clipnorm: longest gradient of one variable.
        clipvalue: largest entry of a gradient.
        global_clipnorm: longest gradient of all variables taken together; at most one of the three clips.
        use_ema: keep averages of the weights: ema_momentum * average + (1 - ema_momentum) * weight.
        ema_overwrite_frequency: steps between copies of the averages into the weights; None copies at the end of training.
        loss_scale_factor: what scale_loss multiplies a loss by; gradients are divided by it.
        gradient_accumulation_steps: calls whose gradients are averaged for one update.
        name: "adam", "adam_1", ... by default.
        lr: learning_rate, as Keras 1 and 2 wrote it.
        decay: the learning rate in use is learning_rate / (1 + decay * iterations), as in Keras 1 and 2.

    >>> class SignDescent(Optimizer):
    ...     def update_step(self, gradient, variable, learning_rate):
    ...         variable.assign_sub(learning_rate * nyala.ops.sign(gradient))
    >>> import nyala
    >>> w = nyala.Variable([1.0, 2.0])
    >>> SignDescent(0.5).apply([[3.0, -0.1]], [w])
    >>> w.numpy()
    array([0.5, 2.5], dtype=float32)
    """

    elementwise = False  # of the class that writes `update`: whether it is arithmetic entry by entry, which can take many variables at once
    slot_order: tuple[tuple[str, ...], ...] = ()  # slots of one group lie together per variable, the groups one after the other

    def __init__(
        self,
        learning_rate: Any,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        learning_rate = kwargs.pop("lr", learning_rate)
        self.decay = kwargs.pop("decay", 0.0) or 0.0
        check_arguments(type(self), kwargs, locals())
        self.weight_decay, self.loss_scale_factor, self.gradient_accumulation_steps = weight_decay, loss_scale_factor, gradient_accumulation_steps
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        self.use_ema, self.ema_momentum, self.ema_overwrite_frequency = use_ema, ema_momentum, ema_overwrite_frequency
        self.name = name or names.auto_name(names.to_snake_case(type(self).__name__))
        self.built = False
        self._variables: list[Variable] = []
        self._trainable_variables: list[Variable] = []
        self._slots: dict[Variable, dict[str, Variable]] = {}
        self._averages: dict[Variable, Variable] = {}
        self._accumulators: dict[Variable, Variable] = {}
        self._not_decayed: list[Variable] = []
        self._not_decayed_names: list[str] = []
        self._scalars: dict[str | None, dict[str, Tensor]] | None = None  # of the step that is being made, by dtype
        self._iterations = self.add_variable((), "zeros", "int32", name="iteration")
        self._learning_rate: Any = None
        self._set_learning_rate(learning_rate)

    @property
    def reads_names(self) -> bool:
        """Whether what it does depends on the names of variables."""
        return bool(self._not_decayed_names)

    # Learning rate and step -------------------------------------------------------------------------------------------------------

    @property
    def iterations(self) -> Any:
        """Number of updates made so far."""
        return self._iterations if not self.gradient_accumulation_steps else self._iterations // self.gradient_accumulation_steps

    @iterations.setter
    def iterations(self, value: Any) -> None:
        self._iterations.assign(value * (self.gradient_accumulation_steps or 1))

    @property
    def learning_rate(self) -> Any:
        """A variable that may be assigned at any time; of a schedule or function its value at this step."""
        return self._learning_rate if isinstance(self._learning_rate, Variable) else self._scheduled()

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self._set_learning_rate(value)

    lr = learning_rate  # as Keras 1 and 2 wrote it

    def _set_learning_rate(self, value: Any) -> None:
        if isinstance(value, dict):
            value = deserialize_keras_object(value)
        if isinstance(value, LearningRateSchedule) or (callable(value) and not isinstance(value, Variable)):
            if isinstance(self._learning_rate, Variable):
                self._variables = [v for v in self._variables if v is not self._learning_rate]
            self._learning_rate = value
            return
        if isinstance(value, str) or not hasattr(value, "__float__"):
            raise ArgumentError(f"{type(self).__name__}(learning_rate)", need="a number, a LearningRateSchedule or a function", got=repr(value))
        if self._learning_rate is None:
            dtype = "float64" if settings.floatx() == "float64" else "float32"
            self._learning_rate = self.add_variable((), lambda shape, dtype: np.full(shape, float(value), dtype), dtype, name="learning_rate")
        elif isinstance(self._learning_rate, Variable):
            self._learning_rate.assign(value)
        else:
            raise ArgumentTypeError(
                f"{type(self).__name__}.learning_rate",
                need="a schedule or function",
                got=repr(value),
                why="it was made with one, which compiled steps contain",
                fix="make the optimizer with a number, then set it at any time",
            )

    def _scheduled(self) -> Tensor:
        """The learning rate of a schedule or function at this step."""
        rate = self._learning_rate
        if not isinstance(rate, LearningRateSchedule) and not takes_step(rate):
            return convert(rate())
        return convert(rate(self._iterations))

    def _get_current_learning_rate(self) -> Tensor:
        """The learning rate of the update that is being made."""
        rate = convert(self.learning_rate)
        return rate / (engine.cast(convert(self.iterations), engine.dtype(rate)) * self.decay + 1.0) if self.decay else rate

    # Variables --------------------------------------------------------------------------------------------------------------------

    @property
    def variables(self) -> list[Variable]:
        """All that the optimizer keeps: step, learning rate, averages, accumulators, slots."""
        return list(self._variables)

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str = "none",
        layout: Any = None,
        name: str | None = None,
    ) -> Variable:
        """A new variable of the optimizer."""
        from nyala import initializers

        with names.name_scope(self.name):
            first = initializers.get(initializer)
            variable = Variable(first, tuple(shape), dtype, trainable=False, autocast=False, aggregation=aggregation, layout=layout, name=name)
        self._variables.append(variable)
        return variable

    def add_variable_from_reference(self, reference_variable: Variable, name: str | None = None, initializer: Any = "zeros") -> Variable:
        """A new variable of the optimizer with the shape and dtype of another, named after it."""
        stem = reference_variable.path.replace("/", "_")
        name = f"{stem}_{name}" if name else reference_variable.name
        variable = self.add_variable(reference_variable.shape, initializer, reference_variable._dtype, layout=reference_variable.layout, name=name)
        variable.of_windows = reference_variable.of_windows  # what is computed together lies alike
        return variable

    def add_optimizer_variables(self, trainable_variables: Sequence[Variable], name: Any, initializer: Any = "zeros") -> Any:
        """One new variable for each of these, as a list; for a list of names (and initializers) a tuple of such lists."""
        several = isinstance(name, (list, tuple))
        kinds = list(name) if several else [name]
        firsts = list(initializer) if isinstance(initializer, (list, tuple)) else [initializer] * len(kinds)
        rows = [[self.add_variable_from_reference(v, kind, first) for kind, first in zip(kinds, firsts, strict=True)] for v in trainable_variables]
        lists = tuple([row[i] for row in rows] for i in range(len(kinds)))
        return lists if several else lists[0]

    def build(self, variables: Sequence[Variable]) -> None:
        """Make the slots of these variables; of those that have them already nothing."""
        new = [v for v in variables if v not in self._slots]
        late = self.built
        self._trainable_variables += new
        self._slots.update((v, {}) for v in new)
        if self.use_ema:
            self._averages.update((v, self.add_variable_from_reference(v, "average", value_on_host(v) if late else "zeros")) for v in new)
        if self.gradient_accumulation_steps:
            self._accumulators.update((v, self.add_variable_from_reference(v, "gradient_accumulator")) for v in new)
        self._add_slots([v for v in new if not v.overwrite_with_gradient])
        self.built = True

    def know(self, variables: Sequence[Variable]) -> None:
        """build, unless all these are known: a `build` of a user's makes its slots anew whenever it is called."""
        if not self.built or any(v not in self._slots for v in variables):
            self.build(variables)

    def _add_slots(self, variables: Sequence[Variable]) -> None:
        """The slots of the rule, on the host, in the order of slot_order."""
        starts = [self._first_slots(v) for v in variables]
        for group in self.slot_order:
            for variable, start in zip(variables, starts, strict=True):
                for slot in group:
                    if slot in start:
                        self._slots[variable][slot] = self._add_slot(variable, slot, start[slot])

    def _first_slots(self, variable: Variable) -> Slots:
        """What init_slots says for one variable, as arrays on the host."""
        with using(get_engine("numpy")):
            return self.init_slots(np.broadcast_to(np.zeros((), dtypes.numpy_dtype(variable._dtype)), variable.shape))

    def _add_slot(self, variable: Variable, slot: str, start: np.ndarray) -> Variable:
        return self.add_variable_from_reference(variable, slot, lambda shape, dtype: start)

    def _get_variable_index(self, variable: Variable) -> int:
        """Position of a variable among those the optimizer was built for."""
        return next(i for i, v in enumerate(self._trainable_variables) if v is variable)

    # The rule ---------------------------------------------------------------------------------------------------------------------

    def init_slots(self, value: Tensor) -> Slots:
        """First values of the slots of a variable of this shape and dtype, by name."""
        return {}

    def step_scalars(self, step: Tensor, learning_rate: Tensor) -> dict[str, Tensor]:
        """What `update` gets by keyword, computed once for all variables of a step; the step counts from 1, as a float."""
        return {"learning_rate": learning_rate}

    def update(self, gradient: Tensor, value: Tensor, slots: Slots, *args: Any, **scalars: Any) -> tuple[Tensor, Slots]:
        """The new value of one variable and its new slots."""
        raise missing_method(self, "update_step(self, gradient, variable, learning_rate)")

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """Update one variable and its slots: what optimizers of one's own override."""
        slots = self._slots[variable]
        dtype = engine.canonical_dtype(variable._dtype)
        values = {name: slot.value for name, slot in slots.items()}
        new, values = self.update(as_dtype(convert(gradient), dtype), variable.value, values, **self._scalars_as(dtype, learning_rate))
        variable.assign(new)
        for name, slot in slots.items():
            slot.assign(values[name])

    def _scalars_as(self, dtype: str, learning_rate: Tensor) -> dict[str, Tensor]:
        """step_scalars in this dtype, computed once a step."""
        kept = self._scalars if self._scalars is not None else {}
        if None not in kept:
            rate = convert(learning_rate)
            kept[None] = self.step_scalars(engine.cast(convert(self.iterations), engine.dtype(rate)) + 1.0, rate)
        if dtype not in kept:
            kept[dtype] = {name: as_dtype(value, dtype) for name, value in kept[None].items()}
        return kept[dtype]

    # One step ---------------------------------------------------------------------------------------------------------------------

    @plainly
    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        """Update variables with their gradients; those not seen before get their slots now.

        Args:
            grads: one per variable; None leaves a variable as it is, with a warning.
            trainable_variables: those the optimizer was built for, by default.
        """
        pairs = self._pairs(list(grads), trainable_variables)
        if not pairs:
            return
        gradients, variables = [g for g, _ in pairs], [v for _, v in pairs]
        if self.loss_scale_factor:
            gradients = [g / self.loss_scale_factor for g in gradients]
        if self.gradient_accumulation_steps:
            self._accumulate(gradients, variables)
        else:
            self._update(gradients, variables)
        kept = [v for v in variables if not v.overwrite_with_gradient]
        if self.use_ema:
            self._average(kept)
        for variable in kept:
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable.value))
        self._iterations.assign(self._iterations.value + 1)

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> Any:
        """apply, for pairs of gradient and variable. Returns the number of updates so far."""
        pairs = list(grads_and_vars)
        self.apply([g for g, _ in pairs], [v for _, v in pairs])
        return self.iterations

    def stateless_apply(
        self, optimizer_variables: Sequence[Tensor], grads: Sequence[Tensor], trainable_variables: Sequence[Tensor]
    ) -> tuple[list, list]:
        """A pure step: values in, (new values of the trainable variables, new values of the optimizer's) out. The optimizer must be built."""
        if not self.built:
            raise StateError(
                f"{type(self).__name__}.stateless_apply",
                need="a built optimizer",
                got="one that knows no variables",
                fix="call optimizer.build(variables)",
            )
        where, known, state = f"{type(self).__name__}.stateless_apply", self._trainable_variables, self.variables
        check_count(where, "values of its own variables", optimizer_variables, state)
        check_count(where, "values of trainable variables", trainable_variables, known)
        _, values = purify(self.apply, [*known, *state])([convert(v) for v in (*trainable_variables, *optimizer_variables)], grads, known)
        return values[: len(known)], values[len(known) :]

    def _pairs(self, gradients: list, variables: Sequence[Variable] | None) -> list[tuple[Tensor, Variable]]:
        """Gradients as tensors beside their variables, all checked, with slots for all."""
        where = f"{type(self).__name__}.apply"
        if variables is None:
            if not self.built:
                raise StateError(
                    where, need="the variables beside the gradients", got="an optimizer that knows none yet", fix="call optimizer.build(variables)"
                )
            variables = self._trainable_variables
        variables = [as_variable(v) for v in variables]
        check_count(where, "gradients", gradients, variables)
        without = [v.name for g, v in zip(gradients, variables, strict=True) if g is None]
        if without and len(without) == len(variables):
            raise ArgumentError(
                where,
                need="a gradient",
                got="None for every variable",
                why="the loss depends on none of them",
                fix="compute the loss from the model's outputs",
            )
        if without:
            warnings.warn(
                f"{where} got no gradient for {', '.join(without)}: the loss does not depend on them, and they stay as they are", stacklevel=3
            )
        pairs = [(convert(g), v) for g, v in zip(gradients, variables, strict=True) if g is not None]
        for gradient, variable in pairs:
            if tuple(gradient.shape) != variable.shape:
                raise ShapeError(where, need=f"a gradient of shape {variable.shape} for {variable.path!r}", got=f"shape {tuple(gradient.shape)}")
        if not self.built or any(v not in self._slots for _, v in pairs):
            self._build_for([v for _, v in pairs] if self.built else variables)
        return pairs

    def _build_for(self, variables: list[Variable]) -> None:
        kind = type(self)
        if self.built and kind.build is not Optimizer.build and kind.update_step is not Optimizer.update_step:
            unknown = [v.path for v in variables if v not in self._slots]
            raise StateError(
                f"{kind.__name__}.apply",
                need="the variables it was built for",
                got=", ".join(unknown),
                why="its own build makes the state of all at once",
                fix="make a new one",
            )
        self.build(variables)

    def _update(self, gradients: list[Tensor], variables: list[Variable]) -> None:
        """One update: weight decay, clipping, rule."""
        pairs = []
        for gradient, variable in zip(gradients, variables, strict=True):
            if variable.overwrite_with_gradient:
                variable.assign(gradient)
            else:
                pairs.append((gradient, variable))
        learning_rate = self._get_current_learning_rate()
        self._decay_weights([v for _, v in pairs], learning_rate, self.weight_decay)
        clipped = clip([g for g, _ in pairs], self.clipnorm, self.clipvalue, self.global_clipnorm)
        self._scalars = {}
        try:
            if type(self).update_step is Optimizer.update_step and works_together(type(self)):
                scalars_as = functools.partial(self._scalars_as, learning_rate=learning_rate)
                update_together(self.update, clipped, [v for _, v in pairs], self._slots, scalars_as)
                return
            for gradient, (_, variable) in zip(clipped, pairs, strict=True):
                self.update_step(gradient, variable, learning_rate)
        finally:
            self._scalars = None

    def _accumulate(self, gradients: list[Tensor], variables: list[Variable]) -> None:
        """Add to the accumulators; every so many calls update by their mean and empty them."""
        sums = [self._accumulators[v] for v in variables]
        for total, gradient, variable in zip(sums, gradients, variables, strict=True):
            gradient = as_dtype(gradient, engine.dtype(total.value))
            total.assign(engine.maximum(total.value, gradient) if variable.overwrite_with_gradient else total.value + gradient)
        every = self.gradient_accumulation_steps or 1
        state = [*variables, *(v for v in self._variables if v is not self._iterations)]

        def update() -> None:
            means = [s.value if v.overwrite_with_gradient else s.value / every for s, v in zip(sums, variables, strict=True)]
            self._update(means, variables)
            for total in sums:
                total.assign(total.value * 0)

        due = engine.equal((self._iterations.value + 1) % every, 0)
        values = engine.cond(
            convert(due), lambda *values: tuple(purify(update, state)(values)[1]), lambda *values: values, tuple(v.value for v in state)
        )
        for variable, value in zip(state, values, strict=True):
            variable.assign(value)

    def _decay_weights(self, variables: list[Variable], learning_rate: Tensor, weight_decay: float | None) -> None:
        for variable in variables if weight_decay is not None else []:
            if not (any(v is variable for v in self._not_decayed) or any(re.search(name, variable.name) for name in self._not_decayed_names)):
                value = variable.value
                variable.assign(value - value * as_dtype(learning_rate * weight_decay, engine.dtype(value)))

    def _average(self, updated: list[Variable]) -> None:
        """One step of all averages, also of variables without a gradient; only updated ones are overwritten."""
        iterations, moved = convert(self.iterations), set(updated)
        first = engine.equal(iterations, 0)
        for variable in (v for v in self._trainable_variables if not v.overwrite_with_gradient):
            average, value = self._averages[variable], variable.value
            new = engine.where(first, value, average.value * self.ema_momentum + value * (1 - self.ema_momentum))
            average.assign(new)
            if self.ema_overwrite_frequency and variable in moved:
                variable.assign(engine.where(engine.equal((iterations + 1) % self.ema_overwrite_frequency, 0), new, value))

    # Around the step --------------------------------------------------------------------------------------------------------------

    def scale_loss(self, loss: Any) -> Any:
        """The loss times loss_scale_factor, before its gradients are taken."""
        return loss * self.loss_scale_factor if self.loss_scale_factor is not None else loss

    def exclude_from_weight_decay(self, var_list: Sequence[Variable] | None = None, var_names: Sequence[str] | None = None) -> None:
        """Variables, or regular expressions found in their names, that weight_decay leaves alone. Steps compiled before do not see it."""
        self._not_decayed += list(var_list or [])
        self._not_decayed_names += list(var_names or [])

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """Copy the averages, if there are any, into the variables: the end of training."""
        for variable in var_list if self.use_ema else []:
            if variable in self._averages:
                variable.assign(self._averages[variable].value)

    def assign(self, variable: Variable, value: Any) -> None:
        """Set a variable."""
        variable.assign(value)

    def assign_add(self, variable: Variable, value: Any) -> None:
        """Add to a variable."""
        variable.assign_add(value)

    def assign_sub(self, variable: Variable, value: Any) -> None:
        """Subtract from a variable."""
        variable.assign_sub(value)

    # Configs and files ------------------------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Arguments from which from_config makes an equal optimizer without its state, as plain values."""
        rate = self._learning_rate
        config = {"name": self.name, "learning_rate": float(rate.numpy()) if isinstance(rate, Variable) else serialize_keras_object(rate)}
        own = [name for kind in type(self).__mro__ if "__init__" in vars(kind) for name in inspect.signature(kind.__init__).parameters]
        for name in dict.fromkeys([*_COMMON, *own]):
            if name not in config and name != "self" and hasattr(self, name):
                config[name] = serialize_keras_object(getattr(self, name))
        return {**config, "decay": self.decay} if self.decay else config

    @classmethod
    @looks_through
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """Make an optimizer from what get_config returned."""
        config = {k: v for k, v in config.items() if k not in ("is_legacy_optimizer", "jit_compile")}  # Keras 2 wrote these
        if isinstance(config.get("learning_rate"), dict):
            config["learning_rate"] = deserialize_keras_object(config["learning_rate"], custom_objects)
        return cls(**config)

    def save_own_variables(self, store: Any) -> None:
        """Write the values of `variables` to a mapping, as "0", "1", ..."""
        for i, variable in enumerate(self.variables):
            store[str(i)] = variable.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Read what save_own_variables wrote. Raises ValueError if number or shapes differ, before anything changes."""
        self.set_weights([np.asarray(store[key]) for key in sorted(store.keys(), key=int)])

    def get_weights(self) -> list[np.ndarray]:
        """The values of `variables` as arrays."""
        return [variable.numpy() for variable in self.variables]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set the values of `variables`. Raises ValueError if number or shapes differ, before anything changes."""
        where = f"{type(self).__name__}.set_weights"
        check_count(where, "arrays", weights, self.variables, fix="" if self.built else "call optimizer.build(variables) first")
        for variable, weight in zip(self.variables, weights, strict=True):
            if np.shape(weight) != variable.shape:
                raise ShapeError(where, need=f"shape {variable.shape} for {variable.path!r}", got=f"shape {np.shape(weight)}")
        for variable, weight in zip(self.variables, weights, strict=True):
            variable.assign(weight)


_COMMON = {p.name: p for p in list(inspect.signature(Optimizer.__init__).parameters.values())[2:] if p.kind is p.POSITIONAL_OR_KEYWORD}


def common_arguments(initialize: Initialize) -> Initialize:
    """Decorator of a rule's `__init__(self, ..., **common)`: its signature goes on with the arguments that all optimizers share, in their order."""
    own = [p for p in inspect.signature(initialize).parameters.values() if p.kind is not p.VAR_KEYWORD]
    common = [p for name, p in _COMMON.items() if name not in {p.name for p in own}]

    @functools.wraps(initialize)
    def complete(self: Any, *args: Any, **kwargs: Any) -> None:
        beyond = args[len(own) - 1 :]
        if len(beyond) > len(common):
            raise ArgumentTypeError(type(self).__name__, need=f"at most {len(own) - 1 + len(common)} arguments without a name", got=f"{len(args)}")
        initialize(self, *args[: len(own) - 1], **{p.name: value for p, value in zip(common, beyond, strict=False)}, **kwargs)

    complete.__signature__ = inspect.Signature([*own, *common, inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD)])  # type: ignore[attr-defined]
    return complete  # type: ignore[return-value]


def value_on_host(variable: Variable) -> np.ndarray:
    return real_engine().to_numpy(variable.stored())
