# SPDX-License-Identifier: Apache-2.0
"""rearrange against NumPy's reshape and transpose, and back; polar against cos and sin."""

import numpy as np
import pytest

import nyala
from nyala import ops
from nyala.engines import backend
from tests.ops.table import Row, checks, engines, normal

X = normal(2, 6, 5)
FIX = "\n  fix: use mean, max or repeat to drop or add axes"
NEED = "rearrange(pattern) needs two sides with the same names, each once, as in 'b (h w) c -> b h w c', got"

ROWS = [
    Row("rearrange", lambda x, p: x.transpose(2, 0, 1), [X, "b h w -> w b h"]),
    Row("rearrange", lambda x, p: x.reshape(2, 30), [X, "b h w->b (h w)"]),
    Row("rearrange", lambda x, p, k: x.reshape(2, 3, 2, 5).transpose(2, 0, 1, 3), [X, "b (h k) w -> k b h w"], [{"k": 2}]),
    Row("rearrange", lambda x, p, k: x.reshape(2, 3, 2, 5).transpose(0, 1, 3, 2).reshape(2, 3, 10), [X, "b (h_1 k) W -> b h_1 (W k)"], [{"k": 2}]),
    Row("rearrange", lambda x, p: x.transpose(2, 0, 1), [X, "... w -> w ..."]),
    Row("rearrange", lambda x, p: x.reshape(1, 12, 1, 5), [X, "... w -> 1 (...) () w"]),
    Row("rearrange", lambda x, p: x, [X, "... a b c -> ... a b c"]),
    Row(
        "rearrange",
        lambda x, p, **k: x,
        [X, "b h w -> b h w"],
        errors=[
            ([X, "b h w -> h w"], {}, f"{NEED} 'b h w -> h w'.{FIX}"),
            ([X, "b b w -> b w"], {}, f"{NEED} 'b b w -> b w'.{FIX}"),
            ([X, "b ((h w)) -> b h w"], {}, f"{NEED} 'b ((h w)) -> b h w'.{FIX}"),
            ([X, "b h w"], {}, f"{NEED} 'b h w'.{FIX}"),
            ([X, "b (...) -> b ..."], {}, f"{NEED} 'b (...) -> b ...'.{FIX}"),
            ([X, "b h-w -> b h w"], {}, f"{NEED} 'b h-w -> b h w'.{FIX}"),
            ([X, "b h -> h b"], {}, "rearrange needs 2 axes, as 'b h -> h b' begins with, got shape (2, 6, 5)."),
            ([X, "a b c d ... -> a b c d ..."], {},
             "rearrange needs at least 4 axes, as 'a b c d ... -> a b c d ...' begins with, got shape (2, 6, 5)."),
            ([X, "b (h k) w -> b h k w"], {"k": 4},
             "rearrange('b (h k) w -> b h k w') needs h * k = 6, as in shape (2, 6, 5), got {'k': 4}."),
            ([X, "b (h k) w -> b h k w"], {},
             "rearrange('b (h k) w -> b h k w') needs sizes of all but one of h, k, got none of h, k.\n  fix: pass k=..."),
            ([X, "b (h k) w -> b h k w"], {"k": 0}, "rearrange('b (h k) w -> b h k w') needs positive integers as sizes, got {'k': 0}."),
            ([X, "1 h w -> h w"], {}, "rearrange('1 h w -> h w') needs 1 = 2, as in shape (2, 6, 5), got {}."),
        ],
    ),
    Row(lambda a, b: ops.real(ops.polar(a, b)), lambda a, b: a * np.cos(b), [normal(2, 3), normal(2, 3)],
        more=[([normal(2, 1), normal(3)], {})], dtype=None),
    Row(lambda a, b: ops.imag(ops.polar(a, b)), lambda a, b: a * np.sin(b), [normal(2, 3), normal(2, 3)],
        more=[([2.0, normal(3)], {})], dtype=None),
]  # fmt: skip
globals().update(checks(ROWS))


@pytest.mark.parametrize("name", engines())
def test_there_and_back(name):
    x = np.random.default_rng(0).normal(size=(2, 15, 7, 3)).astype("float32")
    with backend(name):
        y = ops.rearrange(x, "b (h p) w c -> (b w) (p c h)", p=5)
        np.testing.assert_array_equal(ops.convert_to_numpy(ops.rearrange(y, "(b w) (p c h) -> b (h p) w c", b=2, p=5, c=3)), x)


def test_in_a_model():
    x = nyala.Input((None, 6))
    model = nyala.Model(x, ops.rearrange(x, "b t (n h) -> b n t h", n=2))
    assert model.output_shape == (None, 2, None, 3)
    copy = nyala.Model.from_config(model.get_config())
    assert copy(np.ones((5, 7, 6), "float32")).shape == (5, 2, 7, 3)


def test_polar_is_complex():
    assert nyala.backend.standardize_dtype(ops.polar(2, 0.5).dtype) == "complex64"
    assert ops.polar(nyala.KerasTensor((None, 3)), 1.0).dtype == "complex64"
