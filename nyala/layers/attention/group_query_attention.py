# SPDX-License-Identifier: Apache-2.0
"""GroupQueryAttention: attention in which several heads of the query share keys and values. Start at GroupQueryAttention.call."""

from __future__ import annotations

from typing import Any

from nyala import ops
from nyala.core import names
from nyala.core.errors import ArgumentError, ShapeError
from nyala.engines.protocol import Tensor
from nyala.layers.attention.heads import HeadProjection, Heads


class GroupQueryAttention(Heads):
    """softmax(q k^T / sqrt(head_dim)) v in num_query_heads subspaces, joined and projected; groups of heads share keys and values.

    Args:
        head_dim: size of queries, keys and values in each head.
        num_query_heads: number of heads.
        num_key_value_heads: number of heads of keys and values, a divisor of num_query_heads.
        dropout: share of attention weights that are dropped while training.
        use_bias: whether the projections have biases.
        sliding_window: positions attend only to those fewer than this many steps away.
        flash_attention: accepted for Keras's sake; engines choose.
        kernel_initializer, bias_initializer, and regularizers and constraints likewise: of the projections.
        activity_regularizer: of the result.
        use_gate: multiply the heads by a sigmoid of a projection of the query.
        seed: of the dropout.

    Call arguments:
        query: (b, t, d), value: (b, s, d), key: (b, s, d), the value by default.
        query_mask (b, t): bool, whose rows attend to nothing; it becomes the mask of the result, too.
        value_mask, key_mask (b, s): bool, which positions are looked at.
        attention_mask: bool (b, t, s), or (b, heads, t, s).
        return_attention_scores: also return the weights, (b, heads, t, s).
        use_causal_mask: positions see only those before them and themselves.

    A row that may attend to nothing gets zeros.
    Source: Ainslie and others 2023, GQA: Training generalized multi-query transformer models from multi-head checkpoints.

    >>> import nyala
    >>> layer = GroupQueryAttention(head_dim=4, num_query_heads=6, num_key_value_heads=2)
    >>> layer(nyala.ops.ones((3, 5, 8)), nyala.ops.ones((3, 7, 8))).shape
    (3, 5, 8)
    """

    _query_dense: HeadProjection
    _key_dense: HeadProjection
    _gate_dense: HeadProjection
    _value_dense: HeadProjection

    def __init__(
        self,
        head_dim: int,
        num_query_heads: int,
        num_key_value_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
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
        if kwargs.get("name") is None:
            kwargs["name"] = names.auto_name("grouped_query_attention")  # as Keras names it
        counts = {"head_dim": head_dim, "num_query_heads": num_query_heads, "num_key_value_heads": num_key_value_heads}
        super().__init__(
            counts, dropout, use_bias, sliding_window, flash_attention, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
            kernel_constraint, bias_constraint, use_gate, seed, activity_regularizer=activity_regularizer, **kwargs,
        )  # fmt: skip
        if num_query_heads % num_key_value_heads:
            need = f"a multiple of num_key_value_heads={num_key_value_heads}"
            raise ArgumentError("GroupQueryAttention(num_query_heads)", need=need, got=f"{num_query_heads}")
        self.head_dim, self.num_query_heads, self.num_key_value_heads = head_dim, num_query_heads, num_key_value_heads

    def build(self, query_shape: tuple, value_shape: tuple, key_shape: tuple | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  Keras's names
        key_shape = value_shape if key_shape is None else key_shape
        for name, shape in (("query", query_shape), ("value", value_shape), ("key", key_shape)):
            if len(shape) != 3:
                need = f"a {name} with 3 axes (batch, time, features)"
                raise ShapeError(f"GroupQueryAttention {self.name!r}", need=need, got=f"shape {tuple(shape)}")
        heads, shared = (self.num_query_heads, self.head_dim), (self.num_key_value_heads, self.head_dim)
        parts = [("query", heads, query_shape), ("key", shared, key_shape)]
        parts += [("gate", heads, query_shape)] * self.use_gate + [("value", shared, value_shape)]
        for name, sizes, shape in parts:
            projection = self._projection(name, sizes)
            projection.build(shape)
            setattr(self, f"_{name}_dense", projection)
        self._output_dense = self._projection("attention_output", (query_shape[-1],), merge=2)
        self._output_dense.build((*query_shape[:-1], *heads))

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
        q = self._heads_first(self._query_dense(query))  # b n t h
        k = self._heads_first(self._key_dense(value if key is None else key))  # b m s h
        v = self._heads_first(self._value_dense(value))  # b m s h
        mask = self._mask((value_mask, key_mask), attention_mask, use_causal_mask, (q.shape[2],), (k.shape[2],), tuple(q.shape)[:2])
        if query_mask is not None:
            rows = ops.reshape(ops.cast(query_mask, "bool"), (query_mask.shape[0], 1, query_mask.shape[1], 1))
            mask = rows if mask is None else ops.logical_and(mask, rows)
        x, weights = self.attend(q, k, v, mask, training, return_attention_scores)
        x = self._heads_first(x)  # b t n h
        if self.use_gate:
            x = ops.multiply(x, ops.sigmoid(self._gate_dense(query)))
        x = self._output_dense(x)
        return (x, weights) if return_attention_scores else x
