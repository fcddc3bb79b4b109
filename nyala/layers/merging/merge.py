# SPDX-License-Identifier: Apache-2.0
"""Add, Average, Concatenate, Dot, Maximum, Minimum, Multiply, Subtract: layers of a list of tensors, and functions of the same names in lower case.

Start at Merge.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from nyala import ops
from nyala.core.errors import ArgumentError, ArgumentTypeError, ShapeError, missing_method
from nyala.core.op import normalize_axis
from nyala.core.symbolic import Symbolic, plain_shape
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import is_int
from nyala.layers.layer import Layer


class Merge(Layer):
    """A layer of a list of tensors. Subclasses write `merge`, of tensors with equal numbers of axes.

    Shapes without the batch broadcast; a tensor with fewer axes gets new ones after the batch.
    The mask of the output is True where one of the masks is.
    """

    number: int | None = None  # of inputs that it takes, where that is fixed

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def merge(self, tensors: list[Tensor]) -> Tensor:
        """One tensor from several."""
        raise missing_method(self, "merge(self, tensors)")

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        return self.merge(self._aligned(inputs))

    def _aligned(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The tensors with equal numbers of axes."""
        self._check(inputs, self.number)
        where, shapes = f"{type(self).__name__} {self.name!r}", [x.shape for x in inputs]
        ndim = max(map(len, shapes))
        if len({shape[0] for shape in shapes if shape}) > 1:
            raise ShapeError(where, need="inputs with the same number of samples", got=_shown(shapes), why="the first axis is the batch")
        aligned = [(1,) * (ndim - len(shape)) + tuple(shape[1:]) for shape in shapes]
        for sizes in zip(*aligned, strict=True):
            if len({n for n in sizes if n != 1}) > 1:
                raise ShapeError(
                    where,
                    need="shapes that broadcast: sizes equal or 1, aligned at the last axis",
                    got=_shown(shapes),
                    fix="bring them to one size first, with a Dense for example",
                )
        return [_with_axes(x, ndim) for x in inputs]

    def _check(self, inputs: Any, number: int | None) -> None:
        count = "a list of tensors" if number is None else f"a list of {number} tensors"
        if not isinstance(inputs, (list, tuple)) or not inputs or number not in (None, len(inputs)):
            got = (
                f"{len(inputs)}"
                if isinstance(inputs, (list, tuple))
                else f"one, of shape {plain_shape(inputs.shape)}"
                if hasattr(inputs, "shape")
                else f"{type(inputs).__name__}"
            )
            raise ArgumentError(f"{type(self).__name__} {self.name!r}", need=count, got=got, fix=f"{type(self).__name__}()([a, b])")

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        inputs = args[0] if args else kwargs["inputs"]
        self._check(inputs, self.number)
        return super().compute_output_spec(self._with_known_sizes(list(inputs)))

    def _with_known_sizes(self, inputs: list[Any]) -> list[Any]:
        """Inputs whose unknown sizes are taken from the others, as they must come out equal."""
        shapes = [list(x.shape) for x in inputs]
        for axis in self._equal_axes(shapes):
            known = [shape[axis] for shape in shapes if -len(shape) <= axis < len(shape) and shape[axis] not in (None, 1)]
            for shape in shapes:
                if known and -len(shape) <= axis < len(shape) and shape[axis] is None and (axis == 0 or len(shape) + axis > 0):
                    shape[axis] = known[0]
        return [Symbolic(shape, x.dtype) for x, shape in zip(inputs, shapes, strict=True)]

    def _equal_axes(self, shapes: list[list[Any]]) -> list[int]:
        """Axes along which sizes must agree: the batch, then from the last one."""
        return [0, *range(-1, -max(map(len, shapes)), -1)]

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        if not isinstance(previous_mask, (list, tuple)) or any(mask is None for mask in previous_mask):
            return None
        ndim, lengths = max(len(x.shape) for x in inputs), [len(mask.shape) for mask in previous_mask]
        if len(set(lengths)) > 1:  # of tensors with fewer axes, whose new ones come after the batch
            masks = [_with_axes(mask, len(mask.shape) + ndim - len(x.shape)) for mask, x in zip(previous_mask, inputs, strict=True)]
            longest = max(len(mask.shape) for mask in masks)
            previous_mask = [ops.reshape(mask, (*mask.shape, *(1,) * (longest - len(mask.shape)))) for mask in masks]
        return functools.reduce(ops.logical_or, previous_mask)


def _with_axes(x: Tensor, ndim: int) -> Tensor:
    """The tensor with new axes after the batch, ndim in all."""
    return ops.reshape(x, (x.shape[0], *(1,) * (ndim - len(x.shape)), *x.shape[1:])) if 0 < len(x.shape) < ndim else x


class Choosing(Merge):
    """A merge of two at a time that leaves out what is masked; where all is, it is the first. Subclasses write `of_two`."""

    def of_two(self, x: Tensor, y: Tensor) -> Tensor:
        raise missing_method(self, "of_two(self, x, y)")

    def merge(self, tensors: list[Tensor]) -> Tensor:
        return functools.reduce(self.of_two, tensors)

    def call(self, inputs: Sequence[Tensor], mask: Any = None) -> Tensor:
        tensors = self._aligned(inputs)
        if not isinstance(mask, (list, tuple)) or all(one is None for one in mask):
            return self.merge(tensors)
        return self._of_known(tensors, [self._fitted(one, x, len(tensors[0].shape)) for one, x in zip(mask, inputs, strict=True)])[0]

    def _of_known(self, tensors: list[Tensor], masks: list[Tensor | None]) -> tuple[Tensor, Tensor | None]:
        """The merge of what is not masked, and where there is such a thing; None for everywhere."""
        result, known = tensors[0], masks[0]
        for x, mask in zip(tensors[1:], masks[1:], strict=True):
            both = self.of_two(result, x)
            if mask is not None:
                both = ops.where(mask, both, result)
            if known is not None:
                alone = x if mask is None else ops.where(mask, x, result)
                both, known = ops.where(known, both, alone), None if mask is None else ops.logical_or(known, mask)
            result = both
        return result, known

    @staticmethod
    def _fitted(given: Tensor | None, x: Tensor, ndim: int) -> Tensor | None:
        """The mask of a tensor with an axis for each of the ndim that the tensor gets."""
        if given is None:
            return None
        mask: Any = ops.cast(given, "bool")
        return _with_axes(ops.reshape(mask, (*mask.shape, *(1,) * (len(x.shape) - len(mask.shape)))), ndim)


def _shown(shapes: Sequence[Any]) -> str:
    return "shapes " + " and ".join(str(plain_shape(shape)) for shape in shapes)


class Add(Merge):
    """The sum of tensors, element by element.

    >>> import nyala
    >>> nyala.ops.convert_to_numpy(nyala.layers.Add()([nyala.ops.ones((1, 2))] * 3)).tolist()
    [[3.0, 3.0]]
    """

    def merge(self, tensors: list[Tensor]) -> Tensor:
        return functools.reduce(ops.add, tensors)


class Subtract(Merge):
    """The first of two tensors minus the second, element by element."""

    number = 2

    def merge(self, tensors: list[Tensor]) -> Tensor:
        return ops.subtract(*tensors)


class Multiply(Choosing):
    """The product of tensors, element by element. What is masked in one of them is left out; where all are masked it is 0."""

    def of_two(self, x: Tensor, y: Tensor) -> Tensor:
        return ops.multiply(x, y)

    def _of_known(self, tensors: list[Tensor], masks: list[Tensor | None]) -> tuple[Tensor, Tensor | None]:
        result, known = super()._of_known(tensors, masks)
        return (result if known is None else ops.where(known, result, ops.zeros_like(result))), known


class Average(Merge):
    """The mean of tensors, element by element."""

    def merge(self, tensors: list[Tensor]) -> Tensor:
        return ops.true_divide(functools.reduce(ops.add, tensors), len(tensors))


class Maximum(Choosing):
    """The largest of tensors, element by element. What is masked in one of them is left out; where all are masked it is the first."""

    def of_two(self, x: Tensor, y: Tensor) -> Tensor:
        return ops.maximum(x, y)


class Minimum(Choosing):
    """The smallest of tensors, element by element. What is masked in one of them is left out; where all are masked it is the first."""

    def of_two(self, x: Tensor, y: Tensor) -> Tensor:
        return ops.minimum(x, y)


class Concatenate(Merge):
    """Tensors one after the other along axis; all other sizes are equal.

    Args:
        axis: along which to join.

    >>> import nyala
    >>> nyala.layers.Concatenate()([nyala.ops.zeros((2, 3)), nyala.ops.zeros((2, 5))]).shape
    (2, 8)
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        if not is_int(axis):
            raise ArgumentTypeError("Concatenate(axis)", need="an integer", got=repr(axis))
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        self._check(inputs, None)
        where, shapes = f"Concatenate {self.name!r}", [tuple(x.shape) for x in inputs]
        axis = normalize_axis(self.axis, len(shapes[0]), f"{where} (axis)")
        if len({(len(shape), shape[:axis], shape[axis + 1 :]) for shape in shapes}) > 1:
            raise ShapeError(where, need=f"shapes that are equal but for axis {self.axis}", got=_shown(shapes))
        return ops.concatenate(list(inputs), axis=axis)

    def _equal_axes(self, shapes: list[list[Any]]) -> list[int]:
        ndim = len(shapes[0])
        return [axis for axis in range(ndim) if axis != self.axis % ndim]

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        if not isinstance(previous_mask, (list, tuple)) or all(mask is None for mask in previous_mask):
            return None
        axis = self.axis % len(inputs[0].shape)
        ndim = max(len(mask.shape) for mask in previous_mask if mask is not None)
        if any(mask is not None and not _covers(mask, x) for mask, x in zip(previous_mask, inputs, strict=True)):
            return None  # a layer handed on the mask of another shape
        masks = [ops.ones(x.shape[:ndim], dtype="bool") if mask is None else mask for x, mask in zip(inputs, previous_mask, strict=True)]
        masks = [
            ops.broadcast_to(ops.reshape(m, (*m.shape, *(1,) * (ndim - len(m.shape)))), x.shape[:ndim]) for m, x in zip(masks, inputs, strict=True)
        ]
        return ops.concatenate(masks, axis=axis) if axis < ndim else functools.reduce(ops.logical_or, masks)


def _covers(mask: Any, x: Any) -> bool:
    return len(mask.shape) <= len(x.shape) and all(n in (1, size, None) or size is None for n, size in zip(mask.shape, x.shape, strict=False))


class Dot(Merge):
    """Products of the samples of two tensors, summed along one axis of each: of (b, n) and (b, n) the scalar products (b, 1).

    The result has the other axes of the first tensor, then those of the second.

    Args:
        axes: one for both, or one each; not the batch.
        normalize: scale to length 1 along the axes before: the cosine of the angle.

    >>> import nyala
    >>> nyala.layers.Dot(axes=(2, 1))([nyala.ops.zeros((2, 3, 5)), nyala.ops.zeros((2, 5, 7))]).shape
    (2, 3, 7)
    """

    number = 2

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any) -> None:
        if not is_int(axes) and not (isinstance(axes, (list, tuple)) and len(axes) == 2 and all(map(is_int, axes))):
            kind = ArgumentError if isinstance(axes, (list, tuple)) else ArgumentTypeError
            raise kind("Dot(axes)", need="an integer or two", got=repr(axes))
        if 0 in ((axes,) if is_int(axes) else axes):
            raise ArgumentError(
                "Dot(axes)", need="axes other than the batch, 0", got=repr(axes), fix="tensors without a batch get one by ops.expand_dims(x, 0)"
            )
        super().__init__(**kwargs)
        self.axes, self.normalize = axes if is_int(axes) else tuple(axes), normalize

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        self._check(inputs, 2)
        where, (x, y) = f"Dot {self.name!r}", inputs
        first, second = self._axes(len(x.shape), len(y.shape))
        if x.shape[first] != y.shape[second] or x.shape[0] != y.shape[0]:
            raise ShapeError(
                where,
                need=f"equal sizes of axis {first} of the first and axis {second} of the second, and equal batches",
                got=_shown([x.shape, y.shape]),
            )
        if self.normalize:
            x, y = _unit(x, first), _unit(y, second)
        left = [chr(ord("b") + i) for i in range(len(x.shape))]
        right = [left[0], *(chr(ord("n") + i) for i in range(1, len(y.shape)))]
        right[second] = left[first]
        result = [c for c in left if c != left[first]] + [c for c in right[1:] if c != left[first]]
        product = ops.einsum(f"{''.join(left)},{''.join(right)}->{''.join(result)}", x, y)
        return ops.expand_dims(product, -1) if len(result) == 1 else product

    def _axes(self, *ndims: int) -> tuple[int, int]:
        axes = (self.axes, self.axes) if is_int(self.axes) else self.axes
        first, second = (normalize_axis(axis, ndim, f"Dot {self.name!r} (axes)") for axis, ndim in zip(axes, ndims, strict=True))
        return first, second

    def _with_known_sizes(self, inputs: list[Any]) -> list[Any]:
        shapes = [list(x.shape) for x in inputs]
        for axes in ((0, 0), self._axes(*map(len, shapes))):
            known = next((shape[axis] for shape, axis in zip(shapes, axes, strict=True) if shape[axis] is not None), None)
            for shape, axis in zip(shapes, axes, strict=True):
                shape[axis] = known if shape[axis] is None else shape[axis]
        return [Symbolic(shape, x.dtype) for x, shape in zip(inputs, shapes, strict=True)]

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        return None


def _unit(x: Tensor, axis: int) -> Tensor:
    return x * ops.rsqrt(ops.maximum(ops.sum(ops.square(x), axis, keepdims=True), 1e-12))


def _function(kind: type[Merge]) -> Callable:
    """The function in lower case: make the layer and call it."""

    def merge(inputs: Sequence[Any], **kwargs: Any) -> Any:
        return kind(**kwargs)(inputs)

    merge.__name__ = merge.__qualname__ = kind.__name__.lower()
    merge.__doc__ = f"{kind.__name__}(**kwargs)(inputs): the layer made and called at once."
    return merge


add, average, maximum, minimum, multiply, subtract = map(_function, (Add, Average, Maximum, Minimum, Multiply, Subtract))


def concatenate(inputs: Sequence[Any], axis: int = -1, **kwargs: Any) -> Any:
    """Concatenate(axis)(inputs): the layer made and called at once."""
    return Concatenate(axis, **kwargs)(inputs)


def dot(inputs: Sequence[Any], axes: int | Sequence[int] = -1, **kwargs: Any) -> Any:
    """Dot(axes)(inputs): the layer made and called at once; normalize=True is passed on."""
    return Dot(axes, **kwargs)(inputs)
