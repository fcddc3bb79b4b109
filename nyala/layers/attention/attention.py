# SPDX-License-Identifier: Apache-2.0
"""Attention and AdditiveAttention: each query as a weighted mean of values, with hardly a weight of their own. Start at Attention.call."""

from __future__ import annotations

from typing import Any

from nyala import ops, random
from nyala.core.dtypes import standardize_dtype
from nyala.core.errors import ArgumentTypeError, ShapeError
from nyala.core.symbolic import plain_shape
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_choice, as_fraction
from nyala.layers.layer import Layer


class Attention(Layer):
    """softmax(scores) @ value, the scores q . k of each query and key: dot product attention, after Luong.

    Args:
        use_scale: whether a learned number multiplies the scores.
        score_mode: "dot", or "concat": a learned number times the sum of tanh(scale * (q + k)).
        dropout: probability that a weight becomes 0 in training.
        seed: of the dropout.

    Call arguments:
        inputs: [query (b, t, d), value (b, s, e)], or [query, value, key (b, s, d)]; the key is the value by default.
        mask: [query_mask (b, t), value_mask (b, s)], bool or None each: rows that become 0, and positions that are not looked at.
        return_attention_scores: also return the weights, (b, t, s).
        use_causal_mask: positions see only those before them and themselves.

    A row that may attend to nothing gets the mean of all values.
    Source: Luong, Pham, Manning 2015, Effective approaches to attention-based neural machine translation.

    >>> import nyala
    >>> query, value = nyala.ops.ones((2, 3, 5)), nyala.ops.ones((2, 7, 5))
    >>> nyala.layers.Attention()([query, value]).shape
    (2, 3, 5)
    """

    def __init__(self, use_scale: bool = False, score_mode: str = "dot", dropout: float = 0.0, seed: int | None = None, **kwargs: Any) -> None:
        kind = type(self).__name__
        score_mode, dropout = as_choice(f"{kind}(score_mode)", score_mode, ("dot", "concat")), as_fraction(f"{kind}(dropout)", dropout)
        super().__init__(**kwargs)
        self.use_scale, self.score_mode, self.dropout, self.seed = use_scale, score_mode, dropout, seed
        if dropout > 0:
            self.seed_generator = random.SeedGenerator(seed)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        self._check(input_shape)
        self.scale = self.concat_score_weight = None
        if self.use_scale:
            self.scale = self.add_weight(name="scale", shape=(), initializer="ones")
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight(name="concat_score_weight", shape=(), initializer="ones")

    def call(
        self, inputs: Any, mask: Any = None, training: bool = False, return_attention_scores: bool = False, use_causal_mask: bool = False
    ) -> Any:
        self._check(inputs)
        query, value, key = (*inputs, inputs[1])[:3]
        q, k = tuple(query.shape), tuple(key.shape)
        if len(q) != len(k) or len(q) < 3 or (q[-1] != k[-1] and type(q[-1]) is int is type(k[-1])):
            need = "query (b, t, d) and key (b, s, d) with as many features"
            raise ShapeError(f"{type(self).__name__} {self.name!r}", need=need, got=f"shapes {plain_shape(q)} and {plain_shape(k)}")
        query_mask, value_mask = self._masks(mask)
        scores = self._scores(query, key)  # *b t s
        if value_mask is not None:
            scores = _where(ops.expand_dims(value_mask, -2), scores)
        if use_causal_mask:
            rows, columns = (ops.arange(n) for n in scores.shape[-2:])
            scores = _where(ops.greater_equal(ops.expand_dims(rows, 1), ops.expand_dims(columns, 0)), scores)
        weights = ops.softmax(scores, axis=-1)
        if training and self.dropout > 0:
            weights = random.dropout(weights, self.dropout, seed=self.seed_generator)
        result = ops.matmul(weights, value)  # *b t e
        if query_mask is not None:
            result = ops.multiply(result, ops.cast(ops.expand_dims(query_mask, -1), result.dtype))
        return (result, weights) if return_attention_scores else result

    def _scores(self, query: Tensor, key: Tensor) -> Tensor:
        if self.score_mode == "dot":
            scores = ops.matmul(query, ops.swapaxes(key, -1, -2))
            return scores if self.scale is None else ops.multiply(scores, self.scale)
        both = _sums(query, key)
        bent = ops.tanh(both if self.scale is None else ops.multiply(both, self.scale))
        return ops.multiply(ops.sum(bent, axis=-1), self.concat_score_weight)

    def _check(self, inputs: Any) -> None:
        """[query, value] or [query, value, key], tensors or shapes."""
        many = isinstance(inputs, (list, tuple)) and not any(n is None or isinstance(n, int) for n in inputs)
        if not many or len(inputs) not in (2, 3):
            got = f"{len(inputs)} inputs" if many else "one"
            raise ArgumentTypeError(f"{type(self).__name__} {self.name!r}", need="a list [query, value] or [query, value, key]", got=got)

    def _masks(self, mask: Any) -> tuple[Tensor | None, Tensor | None]:
        """The masks of query and value."""
        if mask is None:
            return None, None
        if not isinstance(mask, (list, tuple)) or len(mask) not in (2, 3):
            got = f"{len(mask)} masks" if isinstance(mask, (list, tuple)) else "one"
            raise ShapeError(f"{type(self).__name__} {self.name!r}(mask)", need="a list [query_mask, value_mask], None where there is none", got=got)
        query, value = (None if m is None else ops.cast(m, "bool") for m in mask[:2])
        return query, value

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return self._masks(previous_mask)[0]


class AdditiveAttention(Attention):
    """softmax(scores) @ value, the scores sum(scale * tanh(q + k)) of each query and key: additive attention, after Bahdanau.

    Args:
        use_scale: whether learned numbers, one for each feature, multiply the tanh.
        dropout: probability that a weight becomes 0 in training.
        seed: of the dropout.

    Call arguments: as Attention; query and key have the same number of features.
    Source: Bahdanau, Cho, Bengio 2015, Neural machine translation by jointly learning to align and translate.

    >>> import nyala
    >>> query, value = nyala.ops.ones((2, 3, 5)), nyala.ops.ones((2, 7, 5))
    >>> nyala.layers.AdditiveAttention()([query, value]).shape
    (2, 3, 5)
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(use_scale=use_scale, dropout=dropout, seed=seed, **kwargs)

    def build(self, input_shape: Any) -> None:
        self._check(input_shape)
        self.scale = self.add_weight(name="scale", shape=(input_shape[0][-1],), initializer="glorot_uniform") if self.use_scale else None

    def _scores(self, query: Tensor, key: Tensor) -> Tensor:
        bent = ops.tanh(_sums(query, key))
        return ops.sum(bent if self.scale is None else ops.multiply(bent, self.scale), axis=-1)


def _sums(query: Tensor, key: Tensor) -> Tensor:
    """Each query plus each key, (*b, t, s, d)."""
    return ops.add(ops.expand_dims(query, -2), ops.expand_dims(key, -3))


def _where(seen: Tensor, scores: Tensor) -> Tensor:
    """The scores that are seen; far below any other where not, but finite, so that a row without any is a mean."""
    return ops.where(seen, scores, -65504.0 if standardize_dtype(scores.dtype) == "float16" else -1e9)
