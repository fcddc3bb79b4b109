# SPDX-License-Identifier: Apache-2.0
"""Attention against einsum in float64: masks, bias, groups of heads; and that causal attention does not look ahead."""

import numpy as np
import pytest
from scipy import special

from nyala import ops
from nyala.engines import backend
from tests.ops.table import Row, bools, checks, engines, normal


def attention(query, key, value, bias=None, mask=None, scale=None, is_causal=False, attn_logits_soft_cap=None):
    times = query.shape[2] // key.shape[2]
    key, value = np.repeat(key, times, 2), np.repeat(value, times, 2)
    logits = np.einsum("btnd,bsnd->bnts", query, key) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if attn_logits_soft_cap is not None:
        logits = attn_logits_soft_cap * np.tanh(logits / attn_logits_soft_cap)
    logits = logits if bias is None else logits + bias
    seen = np.ones(logits.shape, bool)
    if mask is not None:
        seen &= mask.reshape(mask.shape[0], *(1,) * (4 - mask.ndim), *mask.shape[1:]).astype(bool)
    if is_causal:
        seen &= np.tril(np.ones(logits.shape[2:], bool))
    return np.einsum("bnts,bsnd->btnd", special.softmax(np.where(seen, logits, -1e30), -1), value)


Q, K, V = normal(2, 3, 4, 5), normal(2, 7, 4, 5), normal(2, 7, 4, 6)

ROWS = [
    Row(
        "dot_product_attention",
        attention,
        [Q, K, V],
        [{}, {"scale": 0.3}, {"is_causal": True}, {"attn_logits_soft_cap": 0.7}],
        dtype="float",
        takes="float",
        more=[
            ([Q, K, V, normal(1, 4, 3, 7)], {}),
            ([Q, K, V, None, bools(2, 4, 3, 7)], {}),
            ([Q, K, V, None, bools(2, 1, 1, 7)], {"is_causal": True}),
            ([Q, K, V, None, bools(2, 3, 7)], {}),
            ([Q, K, V, None, bools(2, 7)], {}),
            ([Q, normal(2, 7, 2, 5), normal(2, 7, 2, 6)], {}),
            ([normal(2, 5, 3, 2), normal(2, 5, 1, 2), normal(2, 5, 1, 2), normal(2, 1, 5, 5), bools(1, 1, 5, 5)], {"scale": 2.0}),
        ],
        errors=[
            (
                [normal(3, 4, 5), K, V],
                {},
                "dot_product_attention needs query (b, t, n, d), key (b, s, m, d) and value (b, s, m, e) where m divides n, "
                "got (3, 4, 5), (2, 7, 4, 5) and (2, 7, 4, 6).",
            ),
            (
                [Q, K, V, None, bools(3, 7)],
                {},
                "dot_product_attention(mask) needs a shape that broadcasts with (b, n, t, s) = (2, 4, 3, 7), or (b, t, s), or (b, s), "
                "got shape (3, 7).",
            ),
        ],
    ),
]

globals().update(checks(ROWS))


@pytest.mark.parametrize("name", engines())
def test_a_row_that_sees_nothing_takes_the_mean(name):
    g = np.random.default_rng(0)
    q, k, v = (g.normal(size=(2, 3, 2, 4)).astype("float32") for _ in range(3))
    with backend(name):
        result = ops.convert_to_numpy(ops.dot_product_attention(q, k, v, mask=np.zeros((2, 1, 3, 3), bool)))
    np.testing.assert_allclose(result, np.broadcast_to(v.mean(1, keepdims=True), v.shape), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", engines())
def test_laws(name):
    """Order of the keys does not matter; with is_causal what comes later changes nothing."""
    g = np.random.default_rng(0)
    q, k, v = (g.normal(size=(2, 5, 2, 4)).astype("float32") for _ in range(3))
    order = g.permutation(5)
    with backend(name):
        run = lambda *args, **options: ops.convert_to_numpy(ops.dot_product_attention(*args, **options))  # noqa: E731
        np.testing.assert_allclose(run(q, k[:, order], v[:, order]), run(q, k, v), atol=1e-6)
        changed = v.copy()
        changed[:, 3:] += 1
        before, after = run(q, k, v, is_causal=True), run(q, k, changed, is_causal=True)
    np.testing.assert_allclose(before[:, :3], after[:, :3], atol=1e-6)
    assert np.abs(before[:, 3:] - after[:, 3:]).min() > 1e-3
