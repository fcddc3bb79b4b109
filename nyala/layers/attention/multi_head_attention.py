# SPDX-License-Identifier: Apache-2.0
"""MultiHeadAttention: every position looks at every other, several times over. Start at MultiHeadAttention.call."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nyala import ops
from nyala.core.errors import ShapeError
from nyala.core.op import normalize_axis
from nyala.engines.protocol import Tensor
from nyala.layers.attention.heads import HeadProjection, Heads


class MultiHeadAttention(Heads):
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
        counts = {"num_heads": num_heads, "key_dim": key_dim, "value_dim": value_dim}
        super().__init__(
            counts, dropout, use_bias, sliding_window, flash_attention, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
            kernel_constraint, bias_constraint, use_gate, seed, activity_regularizer=activity_regularizer, **kwargs,
        )  # fmt: skip
        self.num_heads, self.key_dim, self.value_dim = num_heads, key_dim, value_dim or key_dim
        self._output_shape = (output_shape,) if isinstance(output_shape, int) else tuple(output_shape) if output_shape is not None else None
        self._attention_axes = (attention_axes,) if isinstance(attention_axes, int) else tuple(attention_axes) if attention_axes is not None else None

    @property
    def attention_axes(self) -> tuple[int, ...] | None:
        return self._attention_axes

    def build(self, query_shape: tuple, value_shape: tuple, key_shape: tuple | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  Keras's names
        key_shape = value_shape if key_shape is None else key_shape
        where = f"MultiHeadAttention {self.name!r}"
        if len(key_shape) != len(value_shape) or any(
            k is not None and v is not None and k != v for k, v in zip(key_shape[1:-1], value_shape[1:-1], strict=True)
        ):
            raise ShapeError(where, need=f"keys with the positions of the values, {value_shape[1:-1]}", got=f"{key_shape[1:-1]}")
        if len(query_shape) < 3:
            raise ShapeError(where, need="a query with 3 axes (batch, time, features)", got=f"shape {query_shape}", fix="add the missing axis")
        if len(query_shape) != len(value_shape):
            raise ShapeError(where, need=f"values with as many axes as the query, {len(query_shape)}", got=f"shape {tuple(value_shape)}")
        axes = self._attention_axes if self._attention_axes is not None else tuple(range(1, len(query_shape) - 1))
        self._axes = tuple(normalize_axis(axis, len(query_shape), "MultiHeadAttention(attention_axes)") for axis in axes)
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
        q, k, v = (ops.reshape(x, (*tuple(x.shape)[: rest + 1], math.prod(tuple(x.shape)[rest + 1 : -1]), x.shape[-1])) for x in (q, k, v))
        mask = self._mask((value_mask, key_mask), attention_mask, use_causal_mask, t, s, lead)
        x, weights = self.attend(q, k, v, mask, training, return_attention_scores)  # b *rest n t v, b *rest n t s
        x = ops.reshape(x, (*lead, *t, self.value_dim))  # b *rest n *t v
        x = self._heads_last(x, query.ndim)
        if self.use_gate:
            x = ops.multiply(x, ops.sigmoid(self._gate_dense(query)))
        x = self._output_dense(x)
        return (x, ops.reshape(weights, (*lead, *t, *s))) if return_attention_scores else x

    def _regularize(self, outputs: Any) -> None:
        """Nothing more: the projection that makes the result has the regularizer already."""

    def _order(self, ndim: int) -> list[int]:
        """Axes of (b, ..., n, h) with the heads and then the positions moved before the last."""
        others = [axis for axis in range(1, ndim - 2) if axis not in self._axes]
        return [0, *others, ndim - 2, *self._axes, ndim - 1]

    def _heads_first(self, x: Tensor) -> Tensor:
        return ops.transpose(x, self._order(x.ndim))

    def _heads_last(self, x: Tensor, ndim: int) -> Tensor:
        order = self._order(ndim + 1)
        return ops.transpose(x, [order.index(axis) for axis in range(ndim + 1)])

    def _config_of_arguments(self) -> dict[str, Any]:
        config = super()._config_of_arguments()
        axes = self._axes if self.built else self._attention_axes
        config.update(output_shape=_listed(self._output_shape), attention_axes=_listed(axes))
        return config


def _listed(values: tuple[int, ...] | None) -> list[int] | None:
    return None if values is None else list(values)
