# SPDX-License-Identifier: Apache-2.0
"""Loss, the base of all: values per sample, weighted, masked and reduced. Knows no particular loss. Start at reduce_values."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from nyala import dtype_policies, ops
from nyala.core import config, tree
from nyala.core.configurable import Configurable
from nyala.core.errors import ArgumentError, ArgumentTypeError, missing_method
from nyala.core.masks import get_mask
from nyala.core.names import auto_name, to_snake_case
from nyala.core.serialization import serialize_keras_object
from nyala.engines.protocol import Tensor
from nyala.losses.shapes import fit_weight, same_rank

REDUCTIONS = ("sum", "sum_over_batch_size", "mean", "mean_with_sample_weight", "none", None)


class Loss(Configurable):
    """How far predictions are from targets. Subclasses write `call`, which returns one value per sample.

    Args:
        name: by default the name of the class in snake case.
        reduction: "sum"; "sum_over_batch_size" or "mean": their sum over the number of values that are not masked;
            "mean_with_sample_weight": the sum over that of the weights; None or "none": no reduction.
        dtype: in which targets and predictions are compared; floatx by default.

    >>> from nyala import ops
    >>> class Misses(Loss):
    ...     def call(self, y_true, y_pred):
    ...         return ops.mean(ops.cast(ops.abs(y_true - y_pred) > 0.5, "float32"), axis=-1)
    >>> float(Misses()([[0.0, 1.0], [1.0, 1.0]], [[0.1, 0.2], [0.9, 0.8]]))
    0.25
    """

    def __init__(self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None) -> None:
        if reduction not in REDUCTIONS:
            raise ArgumentError("Loss(reduction)", need=f"one of {', '.join(map(repr, REDUCTIONS))}", got=repr(reduction))
        self.name = name or auto_name(to_snake_case(type(self).__name__))
        self.reduction = reduction
        self._dtype_policy = dtype_policies.get(dtype or config.floatx())
        self._dtype = self._dtype_policy.compute_dtype

    @property
    def dtype(self) -> str:
        """In which targets and predictions are compared."""
        return self._dtype

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """One value per sample (and time step, pixel, ...)."""
        raise missing_method(self, "call(self, y_true, y_pred)")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """The loss of a batch: a scalar, unless the reduction is None.

        Args:
            y_true, y_pred: targets and predictions, cast to the dtype of this loss.
            sample_weight: one factor per sample, or per value that `call` returns.
        The mask of y_pred, where a layer has set one, says which values count.
        """
        return reduce_values(*self._values(y_true, y_pred, sample_weight), self.reduction)

    def divisor(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor | None:
        """What the mean of this batch divides by: the number of values that count, or the sum of their weights. None if nothing is divided.

        >>> from nyala.losses import MeanSquaredError
        >>> float(MeanSquaredError().divisor([[0.0], [1.0]], [[1.0], [1.0]]))
        2.0
        """
        values, weight, mask = _weighted(*self._values(y_true, y_pred, sample_weight))
        return None if self.reduction in (None, "none", "sum") else ops.broadcast_to(_divisor(values, weight, mask, self.reduction), ())

    def _values(self, y_true: Any, y_pred: Any, sample_weight: Any) -> tuple[Tensor, Any, Any]:
        """Losses of the batch, their weights and their mask."""
        mask = get_mask(y_pred) if not tree.is_nested(y_pred) else None
        y_true, y_pred = (_as_tensors(y, self.dtype) for y in (y_true, y_pred))
        y_true = keep_masked_axis(y_true, y_pred, mask)
        losses = self.call(y_true, y_pred)
        return losses, sample_weight, both_masks(mask, get_mask(losses))

    def get_config(self) -> dict[str, Any]:
        """Arguments from which from_config makes an equal loss; the dtype only if it is not floatx."""
        dtype = {} if self.dtype == config.floatx() else {"dtype": self.dtype}
        return complete_config(self, super().get_config(), {"name": self.name, "reduction": self.reduction, **dtype})


class LossFunctionWrapper(Loss):
    """A function as a Loss.

    Args:
        fn: (y_true, y_pred, **kwargs) -> one value per sample.
        reduction, name, dtype: as in Loss.
        **kwargs: passed on to fn.

    >>> from nyala import ops
    >>> loss = LossFunctionWrapper(lambda y_true, y_pred, power: ops.mean((y_true - y_pred) ** power, axis=-1), power=4)
    >>> float(loss([[0.0, 1.0]], [[2.0, 1.0]]))
    8.0
    """

    def __init__(
        self, fn: Callable, reduction: str | None = "sum_over_batch_size", name: str | None = None, dtype: Any = None, **kwargs: Any
    ) -> None:
        if not callable(fn):
            raise ArgumentTypeError("LossFunctionWrapper(fn)", need="a function (y_true, y_pred) -> losses", got=repr(fn))
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.fn = fn
        self._fn_kwargs = kwargs
        vars(self).update(kwargs)  # readable as loss.from_logits, loss.delta, ...

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self.fn(*rank_matched(y_true, y_pred), **self._fn_kwargs)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def _as_tensors(y: Any, dtype: str) -> Any:
    """Numbers in nested lists as one tensor; a tree of arrays or tensors, which some losses take, as a tree of tensors."""
    if tree.is_nested(y) and any(len(getattr(leaf, "shape", ())) for leaf in tree.flatten(y)):
        return tree.map_structure(lambda x: x if x is None else ops.convert_to_tensor(x, dtype), y)
    return y if y is None else ops.convert_to_tensor(y, dtype)


def rank_matched(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """same_rank for two tensors; trees of them, which some functions take, pass."""
    return (y_true, y_pred) if any(y is None or tree.is_nested(y) for y in (y_true, y_pred)) else same_rank(y_true, y_pred)


def keep_masked_axis(y_true: Any, y_pred: Any, mask: Any) -> Any:
    """Targets (b, t) of predictions (b, t, 1) under a mask (b, t) as (b, t, 1), so that each masked step keeps a value of its own."""
    if mask is None or any(y is None or tree.is_nested(y) for y in (y_true, y_pred)):
        return y_true
    apart = len(y_true.shape) == len(mask.shape) == len(y_pred.shape) - 1 and y_pred.shape[-1] == 1
    return ops.expand_dims(y_true, -1) if apart else y_true


def both_masks(x: Any, y: Any) -> Any:
    """Where both masks are True; None is True everywhere."""
    if x is None or y is None:
        return y if x is None else x
    x, y = fit_weight(x, y, "mask")
    return ops.logical_and(x, y)


def reduce_values(values: Any, sample_weight: Any = None, mask: Any = None, reduction: str | None = "sum_over_batch_size") -> Tensor:
    """Losses, weighted where the mask is True and 0 elsewhere, reduced as Loss says.

    >>> float(reduce_values([1.0, 2.0, 6.0], sample_weight=[1.0, 2.0, 1.0], mask=[True, True, False]))
    2.5
    """
    values, weight, mask = _weighted(values, sample_weight, mask)
    if reduction in (None, "none") or values.ndim == 0:
        return values
    if reduction == "sum":
        return ops.sum(values)
    if mask is None and (weight is None or reduction != "mean_with_sample_weight"):
        return ops.mean(values)
    return ops.divide_no_nan(ops.sum(values), _divisor(values, weight, mask, reduction))


def _weighted(values: Any, sample_weight: Any, mask: Any) -> tuple[Tensor, Any, Any]:
    """Values times their weights, 0 where the mask is False; the weights and the mask in the dtype of the values."""
    values = ops.convert_to_tensor(values)
    if not ops.dtype(values).startswith(("float", "bfloat")):
        values = ops.cast(values, config.floatx())
    dtype, weight = ops.dtype(values), None
    if sample_weight is not None:
        values, weight = fit_weight(values, ops.cast(ops.convert_to_tensor(sample_weight), dtype))
    if mask is not None:
        values, mask = fit_weight(values, ops.cast(ops.convert_to_tensor(mask), "bool"), "mask")
        values = ops.where(mask, values, ops.zeros_like(values))
        mask = ops.cast(mask, dtype)
    return (values if weight is None else values * weight), weight, mask


def _divisor(values: Tensor, weight: Any, mask: Any, reduction: str | None) -> Any:
    """What a mean of these values divides by."""
    if reduction == "mean_with_sample_weight" and weight is not None:
        return ops.sum(weight if mask is None else weight * mask)
    return ops.sum(ops.ones_like(values) if mask is None else ops.broadcast_to(mask, values.shape))


def complete_config(thing: Any, config: dict[str, Any], always: dict[str, Any]) -> dict[str, Any]:
    """A config read from the constructor's signature, made whole.

    `always` holds what each of its kind has, taken in as far as the constructor takes it; a constructor with **kwargs also takes what the wrapped
    function was given. Arguments in OPTIONAL of the class are left out at their default, since Keras's configs lack them.
    """
    parameters = inspect.signature(type(thing)).parameters
    given = {name: serialize_keras_object(value) for name, value in getattr(thing, "_fn_kwargs", {}).items()}
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    taken = {name: value for name, value in {**always, **given}.items() if open_ended or name in parameters}
    merged = {**taken, **{name: value for name, value in config.items() if name not in ("name", "dtype")}}
    return {name: value for name, value in merged.items() if name not in getattr(thing, "OPTIONAL", ()) or value != parameters[name].default}
