# SPDX-License-Identifier: Apache-2.0
"""MultiHeadAttention: every position looks at every other, several times over. Start at MultiHeadAttention.call."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

from nyala import constraints, initializers, ops, random, regularizers
from nyala.core.dtypes import standardize_dtype
from nyala.core.errors import ArgumentError, ShapeError
from nyala.core.op import normalize_axis
from nyala.core.seeds import SeedGenerator
from nyala.engines.protocol import Tensor
from nyala.layers.layer import Layer, shapes_of


class HeadProjection(Layer):
    """A matrix product that makes or merges heads: x @ kernel + bias, with the kernel and the bias shaped by heads.

    Args:
        heads: shape of the last axes of the result, (num_heads, size), or (size,) when heads are merged.
        merge: number of last axes of the input that are one: 1 splits into heads, 2 merges them.
    """

    def __init__(
        self,
        heads: tuple[int, ...],
        merge: int = 1,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.heads, self.merge, self.use_bias = tuple(heads), merge, use_bias
        self.kernel_initializer, self.bias_initializer = initializers.get(kernel_initializer), initializers.get(bias_initializer)
        self.kernel_regularizer, self.bias_regularizer = regularizers.get(kernel_regularizer), regularizers.get(bias_regularizer)
        self.kernel_constraint, self.bias_constraint = constraints.get(kernel_constraint), constraints.get(bias_constraint)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        inputs = input_shape[-self.merge :]
        if None in inputs:
            raise ShapeError(f"{type(self).__name__} {self.name!r}", need="an input whose last axis has a known size", got=f"shape {input_shape}")
        self._inputs, self._outputs = math.prod(inputs), math.prod(self.heads)  # type: ignore[arg-type]

        def as_matrix(shape: tuple[int, ...], dtype: Any = None) -> Tensor:
            """Values drawn for the matrix that the kernel is: its fans are those of the whole projection."""
            return ops.reshape(self.kernel_initializer((self._inputs, self._outputs), dtype=dtype), shape)

        self.kernel = self.add_weight(
            name="kernel", shape=(*inputs, *self.heads), initializer=as_matrix, regularizer=self.kernel_regularizer, constraint=self.kernel_constraint
        )
        self.bias = (
            self.add_weight(
                name="bias", shape=self.heads, initializer=self.bias_initializer, regularizer=self.bias_regularizer, constraint=self.bias_constraint
            )
            if self.use_bias
            else None
        )

    def call(self, x: Tensor) -> Tensor:
        lead = tuple(x.shape)[: -self.merge]
        x = ops.matmul(ops.reshape(x, (*lead, self._inputs)), ops.reshape(self.kernel, (self._inputs, self._outputs)))
        if self.bias is not None:
            x = ops.add(x, ops.reshape(self.bias, (self._outputs,)))
        return ops.reshape(x, (*lead, *self.heads))


class MultiHeadAttention(Layer):
    """softmax(q k^T / sqrt(key_dim)) v in num_heads subspaces, joined and projected.

    Args:
        num_heads: number of heads.
        key_dim: size of queries and keys in each head.
        value_dim: size of values in each head; key_dim by default.
        dropout: share of attention weights that are dropped while training.
        use_bias: whether the projections have biases.
        output_shape: last axes of the result; that of the query by default.
        attention_axes: axes over which positions attend to each other; all but the first and last by default.
        sliding_window: positions attend only to those fewer than this many steps away.
        flash_attention: accepted for Keras's sake; engines choose.
        use_gate: multiply the result by a sigmoid of a projection of the query.
        kernel_initializer, bias_initializer, and regularizers and constraints likewise: of the projections.
        activity_regularizer: of the result.
        seed: of the dropout.

    Call arguments:
        query: (b, *t, d), value: (b, *s, d), key: (b, *s, d), the value by default.
        query_mask (b, t): bool, becomes the mask of the result; value_mask (b, s), key_mask (b, s): bool, which positions are looked at.
        attention_mask: bool (b, t, s), or (b, heads, t, s).
        return_attention_scores: also return the weights, (b, heads, *t, *s).
        use_causal_mask: positions see only those before them and themselves.

    A row that may attend to nothing gets zeros.
    Source: Vaswani et al. 2017, Attention is all you need.

    >>> import nyala
    >>> layer = MultiHeadAttention(num_heads=2, key_dim=4)
    >>> layer(nyala.ops.ones((3, 5, 8)), nyala.ops.ones((3, 7, 8))).shape
    (3, 5, 8)
    """

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: int | Sequence[int] | None = None,
        attention_axes: int | Sequence[int] | None = None,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        for name, value in (("num_heads", num_heads), ("key_dim", key_dim), ("value_dim", value_dim), ("sliding_window", sliding_window)):
            if value is not None and (not isinstance(value, int) or value < 1):
                raise ArgumentError(f"MultiHeadAttention({name})", need="an integer of at least 1", got=repr(value))
        if not 0 <= dropout < 1:
            raise ArgumentError("MultiHeadAttention(dropout)", need="a share in [0, 1)", got=repr(dropout))
        self.num_heads, self.key_dim, self.value_dim = num_heads, key_dim, value_dim or key_dim
        self.dropout, self.use_bias, self.use_gate = dropout, use_bias, use_gate
        self._output_shape = (output_shape,) if isinstance(output_shape, int) else tuple(output_shape) if output_shape is not None else None
        self._attention_axes = (attention_axes,) if isinstance(attention_axes, int) else tuple(attention_axes) if attention_axes is not None else None
        self.sliding_window, self.flash_attention = sliding_window, flash_attention
        self.kernel_initializer, self.bias_initializer = initializers.get(kernel_initializer), initializers.get(bias_initializer)
        self.kernel_regularizer, self.bias_regularizer = regularizers.get(kernel_regularizer), regularizers.get(bias_regularizer)
        self.kernel_constraint, self.bias_constraint = constraints.get(kernel_constraint), constraints.get(bias_constraint)
        self.supports_masking = True
        self.seed = seed
        if dropout > 0:
            self.seed_generator = SeedGenerator(seed)

    @property
    def attention_axes(self) -> tuple[int, ...] | None:
        return self._attention_axes

    def _projection(self, name: str, heads: tuple[int, ...], merge: int = 1) -> HeadProjection:
        return HeadProjection(
            heads, merge, self.use_bias,
            # each projection draws values of its own from a kind of initializer
            _fresh(self.kernel_initializer), _fresh(self.bias_initializer), self.kernel_regularizer, self.bias_regularizer,
            self.kernel_constraint, self.bias_constraint, name=name, dtype=self.dtype_policy,
        )  # fmt: skip

    def build(self, query_shape: tuple, value_shape: tuple, key_shape: tuple | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  Keras's names
        key_shape = value_shape if key_shape is None else key_shape
        where = f"MultiHeadAttention {self.name!r}"
        if len(key_shape) != len(value_shape) or any(
            k is not None and v is not None and k != v for k, v in zip(key_shape[1:-1], value_shape[1:-1], strict=True)
        ):
            raise ShapeError(where, need=f"keys with the positions of the values, {value_shape[1:-1]}", got=f"{key_shape[1:-1]}")
        if len(query_shape) < 3:
            raise ShapeError(where, need="a query with 3 axes (batch, time, features)", got=f"shape {query_shape}", fix="add the missing axis")
        axes = self._attention_axes if self._attention_axes is not None else tuple(range(1, len(query_shape) - 1))
        self._axes = tuple(sorted(normalize_axis(axis, len(query_shape), "MultiHeadAttention(attention_axes)") for axis in axes))
        self._query_dense = self._projection("query", (self.num_heads, self.key_dim))
        self._key_dense = self._projection("key", (self.num_heads, self.key_dim))
        if self.use_gate:
            self._gate_dense = self._projection("gate", (self.num_heads, self.value_dim))
        self._value_dense = self._projection("value", (self.num_heads, self.value_dim))
        self._output_dense = self._projection("attention_output", self._output_shape or (query_shape[-1],), merge=2)
        self._query_dense.build(query_shape)
        self._key_dense.build(key_shape)
        if self.use_gate:
            self._gate_dense.build(query_shape)
        self._value_dense.build(value_shape)
        self._output_dense.build((*query_shape[:-1], self.num_heads, self.value_dim))

    @property
    def query_dense(self) -> HeadProjection:
        return self._query_dense

    @property
    def key_dense(self) -> HeadProjection:
        return self._key_dense

    @property
    def value_dense(self) -> HeadProjection:
        return self._value_dense

    @property
    def output_dense(self) -> HeadProjection:
        return self._output_dense

    def call(
        self,
        query: Tensor,
        value: Tensor,
        key: Tensor | None = None,
        query_mask: Tensor | None = None,
        value_mask: Tensor | None = None,
        key_mask: Tensor | None = None,
        attention_mask: Tensor | None = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Any:
        key = value if key is None else key
        q = self._heads_first(self._query_dense(query))  # b *rest n *t h
        k = self._heads_first(self._key_dense(key))  # b *rest n *s h
        v = self._heads_first(self._value_dense(value))  # b *rest n *s v
        rest = q.ndim - 2 - len(self._axes)  # axes before the positions: batch, *rest, heads without the last
        lead, t, s = tuple(q.shape)[: rest + 1], tuple(q.shape)[rest + 1 : -1], tuple(k.shape)[rest + 1 : -1]
        flat = [ops.reshape(x, (*tuple(x.shape)[: rest + 1], math.prod(tuple(x.shape)[rest + 1 : -1]), x.shape[-1])) for x in (q, k, v)]
        scores = ops.matmul(ops.multiply(flat[0], 1.0 / math.sqrt(self.key_dim)), ops.swapaxes(flat[1], -1, -2))  # b *rest n t s
        mask = self._mask((value_mask, key_mask), attention_mask, use_causal_mask, t, s, lead)
        weights = _masked_softmax(scores, mask)
        dropped = random.dropout(weights, self.dropout, seed=self.seed_generator) if training and self.dropout > 0 else weights
        x = ops.reshape(ops.matmul(dropped, flat[2]), (*lead, *t, self.value_dim))  # b *rest n *t v
        x = self._heads_last(x, query.ndim)
        if self.use_gate:
            x = ops.multiply(x, ops.sigmoid(self._gate_dense(query)))
        x = self._output_dense(x)
        return (x, ops.reshape(weights, (*lead, *t, *s))) if return_attention_scores else x

    def _order(self, ndim: int) -> list[int]:
        """Axes of (b, ..., n, h) with the heads and then the positions moved before the last."""
        others = [axis for axis in range(1, ndim - 2) if axis not in self._axes]
        return [0, *others, ndim - 2, *self._axes, ndim - 1]

    def _heads_first(self, x: Tensor) -> Tensor:
        return ops.transpose(x, self._order(x.ndim))

    def _heads_last(self, x: Tensor, ndim: int) -> Tensor:
        order = self._order(ndim + 1)
        return ops.transpose(x, [order.index(axis) for axis in range(ndim + 1)])

    def _mask(
        self, value_masks: Sequence[Any], attention_mask: Any, causal: bool, t: tuple[int, ...], s: tuple[int, ...], lead: tuple[int, ...]
    ) -> Tensor | None:
        """All masks as one bool tensor that broadcasts against (*lead, t, s) with flat positions; None without any."""
        rows, columns = math.prod(t), math.prod(s)
        parts = [self._of_values(ops.cast(mask, "bool"), columns, lead) for mask in value_masks if mask is not None]
        distance = ops.subtract(ops.reshape(ops.arange(rows), (rows, 1)), ops.reshape(ops.arange(columns), (1, columns)))
        if causal:
            parts.append(ops.greater_equal(distance, 0))
        if self.sliding_window is not None:
            parts.append(ops.less(ops.absolute(distance), self.sliding_window))
        if attention_mask is not None:
            given = ops.cast(attention_mask, "bool")
            front, sizes = tuple(given.shape)[: -len(t + s)], tuple(given.shape)[-len(t + s) :]
            if len(front) > len(lead) or len(sizes) < len(t + s) or any(n not in (1, m) for n, m in zip(sizes, t + s, strict=True)):
                wanted = shapes_of(ops.zeros((lead[0], *t, *s), dtype="bool"))
                raise ShapeError(
                    f"MultiHeadAttention {self.name!r}(attention_mask)",
                    need=f"shape {wanted}, sizes 1 allowed, or heads after the batch",
                    got=f"{shapes_of(given)}",
                )
            given = ops.broadcast_to(given, (*front, *t, *s))
            parts.append(ops.reshape(given, (*front, *[1] * (len(lead) - len(front)), rows, columns)))
        return functools.reduce(ops.logical_and, parts) if parts else None

    def _of_values(self, mask: Tensor, columns: int, lead: tuple[int, ...]) -> Tensor:
        """A mask (b, s), or one over all axes of the values but the last, in the axes of the scores."""
        if mask.ndim == 2:
            return ops.reshape(mask, (mask.shape[0], *[1] * len(lead), columns))
        mask = self._heads_first(ops.reshape(mask, (*mask.shape, 1, 1)))  # b *rest 1 *s 1
        return ops.reshape(mask, (*tuple(mask.shape)[: len(lead)], 1, columns))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return previous_mask

    def _config_of_arguments(self) -> dict[str, Any]:
        config = super()._config_of_arguments()
        axes = self._axes if self.built else self._attention_axes
        config.update(output_shape=_listed(self._output_shape), attention_axes=_listed(axes))
        config.pop("flash_attention")
        return config


def _masked_softmax(scores: Tensor, mask: Tensor | None) -> Tensor:
    """softmax over the last axis of what the mask allows; zeros where it allows nothing."""
    if mask is None:
        return ops.softmax(scores, axis=-1)
    low = -3e4 if standardize_dtype(scores.dtype) == "float16" else -1e30  # far below any score, and within the dtype
    weights = ops.softmax(ops.where(mask, scores, low), axis=-1)
    return ops.where(mask, weights, 0.0)


def _listed(values: tuple[int, ...] | None) -> list[int] | None:
    return None if values is None else list(values)


def _fresh(initializer: Any) -> Any:
    """An initializer like this one that draws values of its own, unless its seed is fixed."""
    return type(initializer).from_config(initializer.get_config()) if hasattr(initializer, "get_config") else initializer
