# SPDX-License-Identifier: Apache-2.0
"""Scaled dot-product attention. Heads come before time inside, where the products are plain batched matmuls."""

from __future__ import annotations

import math
from typing import Any

from nyala.core.errors import ShapeError
from nyala.core.op import engine, op
from nyala.engines.protocol import Tensor
from nyala.ops._dtypes import NARROW, lowest
from nyala.ops.core import cast
from nyala.ops.nn_activations import softmax


@op
def dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    scale: float | None = None,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Tensor:
    """softmax(scale * query @ key^T + bias) @ value, for each head.

    Args:
        query: (b, t, n, d).
        key: (b, s, m, d) with m heads, of which each serves n / m of the query's.
        value: (b, s, m, e).
        bias: broadcasts with (b, n, t, s).
        mask: bool, broadcasts with (b, n, t, s), or (b, t, s), or (b, s); False is left out. A row without any True takes the mean of all.
        scale: 1 / sqrt(d) by default.
        is_causal: whether position t sees s <= t only.
        flash_attention: a wish for the engine's fused kernel; values are the same.
        attn_logits_soft_cap: c bounds the logits smoothly, c * tanh(logits / c).
    Returns: (b, t, n, e).

    Source: Vaswani and others 2017, Attention is all you need.

    >>> one = [[[[1.0]]]]
    >>> dot_product_attention(one, [[[[0.0]], [[0.0]]]], [[[[2.0]], [[4.0]]]]).tolist()
    [[[[3.0]]]]
    """
    _check(query, key, value)
    dtype, heads = engine.dtype(query), query.shape[2]
    key, value = _repeat_heads(cast(key, dtype), heads), _repeat_heads(cast(value, dtype), heads)
    query = engine.multiply(query, 1.0 / math.sqrt(query.shape[3]) if scale is None else float(scale))
    logits = engine.matmul(engine.transpose(query, (0, 2, 1, 3)), engine.transpose(key, (0, 2, 3, 1)))  # b n t s
    if dtype in NARROW:
        logits = engine.cast(logits, "float32")
    if attn_logits_soft_cap is not None:
        logits = engine.multiply(engine.tanh(engine.divide(logits, float(attn_logits_soft_cap))), float(attn_logits_soft_cap))
    if bias is not None:
        logits = engine.add(logits, cast(bias, engine.dtype(logits)))
    seen = _visible(mask, logits, is_causal)
    if seen is not None:
        logits = engine.where(seen, logits, 0.7 * lowest(engine.dtype(logits)))
    weights = cast(softmax(logits), dtype)
    return engine.transpose(engine.matmul(weights, engine.transpose(value, (0, 2, 1, 3))), (0, 2, 1, 3))


def _check(query: Tensor, key: Tensor, value: Tensor) -> None:
    shapes = [tuple(x.shape) for x in (query, key, value)]
    fits = all(len(shape) == 4 for shape in shapes) and len({shape[0] for shape in shapes}) == 1 and shapes[1][:3] == shapes[2][:3]
    if not fits or shapes[0][3] != shapes[1][3] or not shapes[1][2] or shapes[0][2] % shapes[1][2]:
        raise ShapeError("dot_product_attention", need="query (b, t, n, d), key (b, s, m, d) and value (b, s, m, e) where m divides n",
                         got=f"{shapes[0]}, {shapes[1]} and {shapes[2]}")  # fmt: skip


def _repeat_heads(x: Tensor, heads: int) -> Tensor:
    """(b, s, m, d) as (b, s, heads, d), each head several times in a row."""
    batch, steps, own, depth = x.shape
    if own == heads:
        return x
    wide = engine.broadcast_to(engine.reshape(x, (batch, steps, own, 1, depth)), (batch, steps, own, heads // own, depth))
    return engine.reshape(wide, (batch, steps, heads, depth))


def _visible(mask: Tensor | None, logits: Tensor, is_causal: bool) -> Tensor | None:
    """Which logits count, to broadcast with (b, n, t, s); None for all."""
    times, steps = logits.shape[2:]
    causal = None
    if is_causal:
        causal = engine.greater_equal(
            engine.reshape(engine.arange(times, "int32"), (times, 1)), engine.reshape(engine.arange(steps, "int32"), (1, steps))
        )
    if mask is None:
        return causal
    shape = (*mask.shape[:1], *(1,) * (4 - mask.ndim), *mask.shape[1:])
    if not 2 <= mask.ndim <= 4 or any(n not in (1, m) for n, m in zip(shape, logits.shape, strict=True)):
        need = f"a shape that broadcasts with (b, n, t, s) = {tuple(logits.shape)}, or (b, t, s), or (b, s)"
        raise ShapeError("dot_product_attention(mask)", need=need, got=f"shape {tuple(mask.shape)}")
    mask = engine.reshape(cast(mask, "bool"), shape)
    return mask if causal is None else engine.logical_and(mask, causal)


# Heads that come before positions: building blocks of layers -----------------------------------------------------------------------------


@op(promote="float")
def attention_weights(query: Tensor, key: Tensor, mask: Any = None) -> Tensor:
    """softmax(query @ key^T / sqrt(d)) over the positions that the mask allows; zeros where it allows none.

    Args:
        query: (..., n, t, d).
        key: (..., m, s, d) with m heads, of which each serves n / m of the query's.
        mask: bool, broadcasts with (..., n, t, s).
    Returns: (..., n, t, s).

    >>> import nyala
    >>> attention_weights([[[1.0]]], [[[0.0], [0.0]]], nyala.ops.convert_to_tensor([[[True, False]]])).tolist()
    [[[1.0, 0.0]]]
    """
    weights = softmax(_scores(query, key, mask))
    return weights if mask is None else engine.where(mask, weights, 0.0)


@op(promote="float")
def attention_means(weights: Tensor, value: Tensor) -> Tensor:
    """weights @ value, for each head.

    Args:
        weights: (..., n, t, s).
        value: (..., m, s, e) with m heads, of which each serves n / m of the weights'.
    Returns: (..., n, t, e).

    >>> attention_means([[[0.5, 0.5]]], [[[2.0], [4.0]]]).tolist()
    [[[3.0]]]
    """
    means = engine.matmul(_as_more_rows(weights, value.shape[-3]), value)
    return engine.reshape(means, (*weights.shape[:-1], value.shape[-1]))


@op(promote="float")
def attend(query: Tensor, key: Tensor, value: Tensor, mask: Any = None) -> Tensor:
    """attention_means(attention_weights(query, key, mask), value), the softmax divided out after the product with the values, which are fewer.

    >>> attend([[[1.0]]], [[[0.0], [0.0]]], [[[2.0], [4.0]]]).tolist()
    [[[3.0]]]
    """
    if engine.dtype(query) in NARROW:
        return attention_means.function(attention_weights.function(query, key, mask), value)
    scores = _scores(query, key, mask)
    exponentials = engine.exp(engine.subtract(scores, engine.stop_gradient(engine.max(scores, (scores.ndim - 1,), True))))
    if mask is not None:
        exponentials = engine.where(mask, exponentials, 0.0)
    total = engine.sum(exponentials, (scores.ndim - 1,), True)
    total = total if mask is None else engine.where(engine.equal(total, 0.0), 1.0, total)  # of a row that may attend to nothing
    return engine.divide(attention_means.function(exponentials, value), total)


def _scores(query: Tensor, key: Tensor, mask: Tensor | None) -> Tensor:
    """(..., n, t, s), far below any other where the mask is False."""
    lead, (rows, size), columns = tuple(query.shape[:-2]), query.shape[-2:], key.shape[-2]
    query = _as_more_rows(engine.multiply(query, 1.0 / math.sqrt(size)), key.shape[-3])
    axes = tuple(range(key.ndim))
    scores = engine.reshape(engine.matmul(query, engine.transpose(key, (*axes[:-2], axes[-1], axes[-2]))), (*lead, rows, columns))
    low = -3e4 if engine.dtype(scores) == "float16" else -1e30
    return scores if mask is None else engine.where(mask, scores, low)


def _as_more_rows(x: Tensor, heads: int) -> Tensor:
    """(..., n, t, d) as (..., heads, n / heads * t, d): heads that share keys are more rows."""
    *lead, own, rows, size = x.shape
    return x if own == heads else engine.reshape(x, (*lead, heads, rows * (own // heads), size))
