# SPDX-License-Identifier: Apache-2.0
"""Updates from several batches: gradients of the parts of a large batch, added up so that their sum is exactly its gradient. Start at Accumulated.

A mean over the large batch is the sum of the means over its parts, each times its share of what is counted: samples, weights, or what no mask hides.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nyala import ops
from nyala.core import dtypes, logits, tree
from nyala.core.errors import ArgumentError, ShapeError
from nyala.core.masks import get_mask
from nyala.core.transforms import repeat, value_and_grad
from nyala.core.variable import Scope, Variable
from nyala.engines import engine
from nyala.losses.loss import Loss
from nyala.training.data import as_data, closing, is_stream, masked, unpack_x_y_sample_weight
from nyala.training.loop import rows_at as take


def check_accumulate(accumulate: Any, is_plain: bool) -> None:
    """Refuse what is no number of batches, and steps of the user's own."""
    if not isinstance(accumulate, (int, np.integer)) or accumulate < 1:
        raise ArgumentError("fit(accumulate)", need="an integer of at least 1", got=repr(accumulate))
    if accumulate > 1 and not is_plain:
        raise ArgumentError(
            "fit(accumulate)",
            need="the train_step and compute_metrics of Model",
            got="methods of one's own",
            why="it takes gradients of parts of a batch, which they do not know of",
            fix="use an optimizer with gradient_accumulation_steps",
        )


class Gathered:
    """A stream whose batches are those of another one, several joined to one; all else is as there."""

    def __init__(self, data: Any, number: int) -> None:
        self._data, self._number = data, number

    @property
    def steps(self) -> int | None:
        """Batches of this epoch, None if that is found out by reading."""
        return self._data.steps and -(-self._data.steps // self._number)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._data, name)

    def batches(self, place: Callable[[tuple], Any] | None = None) -> Iterator[Any]:
        with closing(self._data.batches()) as batches:
            while parts := list(itertools.islice(batches, self._number)):
                yield _joined(parts) if place is None else place(_joined(parts))


def _joined(parts: list[tuple]) -> tuple:
    """Batches one after the other along the first axis."""

    def join(*leaves: Any) -> Any:
        if leaves[0] is None:
            return None
        if len({leaf.shape[1:] for leaf in leaves}) > 1:
            raise ShapeError(
                "fit(accumulate)",
                need="batches of equal shapes but for the number of samples",
                got=", ".join(str(leaf.shape) for leaf in leaves),
                fix="pad them to one length, or use an optimizer with gradient_accumulation_steps",
            )
        return np.concatenate(leaves)

    return parts[0] if len(parts) == 1 else tree.map_structure(join, *parts)


def train_data(
    model: Any, number: int, x: Any, y: Any, sample_weight: Any, batch_size: int | None, steps: int | None, *more: Any
) -> tuple[Any, Accumulated | None]:
    """as_data of fit, whose batches are `number` batches each, and what takes those apart again."""
    if number == 1:
        return as_data(x, y, sample_weight, batch_size, steps, *more), None
    if is_stream(x):
        data, rows = Gathered(as_data(x, y, sample_weight, None, steps and steps * number, *more), number), None
    else:
        size = number * (batch_size or 32) if batch_size or steps is None else None
        data: Any = as_data(x, y, sample_weight, size, steps, *more)  # arrays, since x is no stream
        rows = (batch_size or 32) if size else -(-data.batch_size // number)
    return data, model._programs.accumulated.setdefault((rows, number), Accumulated(model, rows, number))


class Accumulated:
    """One update of a model from a large batch, taken in parts of `rows` samples, or in `number` parts if rows is None.

    The model sees one part at a time: batch normalization, and whatever else looks at a whole batch, is that of the parts.
    """

    def __init__(self, model: Any, rows: int | None, number: int) -> None:
        self.model, self.rows, self.number = model, rows, number
        self.kind = f"train, {number} x {rows}"
        self._variables: list[Variable] = []
        self._sums: list[Variable] = []  # of their gradients
        self._loss = _sum(())
        self._divisors: list[Variable] | None = None  # of each loss, for the large batch; empty if all divide by the number of samples

    @logits.remembered()
    def step(self, data: tuple) -> Any:
        """What fit runs for each large batch."""
        self.update(data)
        self.model._close_losses()
        return None if self.model._has_plain_logs() else self.model.get_metrics_result()

    def update(self, data: tuple) -> None:
        """Gradients of all parts, then one update."""
        model, total = self.model, _rows(data)
        rows = min(self.rows or -(-total // self.number), total)
        variables = model._structure().trainable
        if list(map(id, self._variables)) != list(map(id, variables)):
            self._variables, self._sums = variables, [_sum(v.shape, v._dtype) for v in variables]
        self._divide(data, rows)
        for variable in (*self._sums, self._loss):
            _clear(variable)
        _each_part(lambda part, size: self._add_gradients(part, size / total), data, rows)
        model._step_loss.assign(self._loss.value)
        model._track_loss(unpack_x_y_sample_weight(data)[0])
        model.optimizer.apply([s.value for s in self._sums], variables)

    def _add_gradients(self, part: tuple, share: float) -> None:
        x, y, sample_weight = unpack_x_y_sample_weight(masked(part))
        model = self.model

        def loss_fn() -> tuple[Any, Any]:
            y_pred = model(x, training=True)
            loss = self._loss_of(x, y, y_pred, sample_weight, share)
            return model._scaled(loss), (y_pred, engine.stop_gradient(loss))

        differentiate: Any = value_and_grad(loss_fn, self._variables)
        (_, (y_pred, loss)), gradients = differentiate()
        model._warn_unused(differentiate.unused)
        self._loss.assign(engine.add(self._loss.value, engine.cast(loss, engine.dtype(self._loss.value))))
        for total, gradient, variable in zip(self._sums, gradients, self._variables, strict=True):
            total.assign(engine.maximum(total.value, gradient) if variable.overwrite_with_gradient else engine.add(total.value, gradient))
        model._objectives.update(y, y_pred, sample_weight)

    def _loss_of(self, x: Any, y: Any, y_pred: Any, sample_weight: Any, share: float) -> Any:
        """What this part adds to the loss of the large batch."""
        from nyala.training.trainer import Trainer

        model, objectives = self.model, self.model._objectives
        if type(model).compute_loss is not Trainer.compute_loss:
            return ops.multiply(model._ask_loss(x, y, y_pred, sample_weight, True), share)
        before = objectives.weights
        objectives.weights = self._shares(y, y_pred, sample_weight, share)
        try:
            total = objectives.total(y, y_pred, sample_weight) if y is not None or any(objectives.losses) else None
        finally:
            objectives.weights = before
        penalties = [ops.multiply(loss, share) for loss in model._structure().losses()]
        return functools.reduce(ops.add, penalties if total is None else [total, *penalties])

    def _shares(self, y: Any, y_pred: Any, sample_weight: Any, share: float) -> list[Any]:
        """The weight of each loss, times the share of this part in its mean."""
        objectives = self.model._objectives
        shares = [1.0 if loss is not None and getattr(loss, "reduction", "") == "sum" else share for loss in objectives.losses]
        if self._divisors:
            own = _divisors(objectives, y, y_pred, sample_weight)
            divided = [
                share if mine is None else ops.divide_no_nan(mine, all.value) for share, mine, all in zip(shares, own, self._divisors, strict=True)
            ]
            shares = divided
        return [share if weight is None else ops.multiply(weight, share) for weight, share in zip(objectives.weights, shares, strict=True)]

    def _divide(self, data: tuple, rows: int) -> None:
        """Find what the losses divide by in the large batch, if masks or weights say so: forward passes, of which nothing else remains."""
        model, objectives = self.model, self.model._objectives
        if self._divisors is None:
            x, _, sample_weight = unpack_x_y_sample_weight(masked(take(data, None, 0, rows)))
            with Scope():
                y_pred = tree.flatten(model(x, training=False))
            by_weight = sample_weight is not None and any(getattr(loss, "reduction", "") == "mean_with_sample_weight" for loss in objectives.losses)
            counts = by_weight or any(get_mask(leaf) is not None for leaf in y_pred)
            self._divisors = [_sum(()) for _ in objectives.losses] if counts else []
        for divisor in self._divisors:
            _clear(divisor)

        def add(part: tuple, size: int) -> None:
            x, y, sample_weight = unpack_x_y_sample_weight(masked(part))
            with Scope():
                found = _divisors(objectives, y, model(x, training=False), sample_weight)
            for divisor, value in zip(self._divisors or (), found, strict=True):
                if value is not None:
                    divisor.assign_add(value)

        if self._divisors:
            _each_part(add, data, rows)


def _divisors(objectives: Any, y: Any, y_pred: Any, sample_weight: Any) -> list[Any]:
    """What each loss divides by in this part; None for losses that do not, and for those of the user's own that do not say."""
    rows = zip(objectives.losses, objectives.targets(y), tree.flatten(y_pred), objectives.sample_weights(sample_weight), strict=True)
    return [loss.divisor(*given) if isinstance(loss, Loss) and type(loss).__call__ is Loss.__call__ else None for loss, *given in rows]


def _each_part(function: Callable[[tuple, int], None], data: tuple, rows: int) -> None:
    """function(part, its number of samples) for each part; the last one may be smaller."""
    count, rest = divmod(_rows(data), rows)

    def one(i: Any) -> None:
        function(take(data, None, i * rows if isinstance(i, int) else engine.multiply(i, rows), rows), rows)

    if count > 1:
        repeat(one, *((engine.asarray(0, "int32"), engine.asarray(count, "int32")) if engine.compiles else (0, count)))
    else:
        one(0)
    if rest:
        function(take(data, None, count * rows, rest), rest)


def _sum(shape: tuple[int, ...], dtype: str = "float32") -> Variable:
    return Variable(np.zeros(shape, dtypes.numpy_dtype(dtype)), trainable=False, autocast=False, name="sum")


def _clear(variable: Variable) -> None:
    variable.assign(engine.full(variable.shape, 0, engine.canonical_dtype(variable._dtype)))


def _rows(data: tuple) -> int:
    return next(leaf for leaf in tree.flatten(data) if leaf is not None).shape[0]
