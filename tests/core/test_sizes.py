# SPDX-License-Identifier: Apache-2.0
"""Shapes that programs put together from tensors: known while shapes are inferred, and while steps are compiled."""

from __future__ import annotations

import numpy as np
import pytest

import nyala
from nyala import ops
from nyala.core import sizes

SHAPES = {
    "concatenate": lambda b, n: ops.concatenate([ops.expand_dims(b, -1), [1, n]], 0),
    "convert_to_tensor": lambda b, n: ops.concatenate([ops.convert_to_tensor([b]), ops.convert_to_tensor([1, n], "int32")], axis=0),
    "stack": lambda b, n: ops.stack([b, ops.cast(1, "int32"), ops.prod([n])]),
    "items": lambda b, n: [ops.convert_to_tensor(b), 1, ops.squeeze(ops.reshape(n, [1]))],
    "multiply": lambda b, n: ops.multiply([b, 1, n], 1),
}
USES = {
    "tile": lambda x, s: ops.tile(ops.ones((1, 1, 1)), s),
    "reshape": lambda x, s: ops.reshape(ops.sum(x, -1), s),
    "broadcast_to": lambda x, s: ops.broadcast_to(x[:1, :1, :1], s),
    "zeros": lambda x, s: ops.zeros(s) + 1,
    "normal": lambda x, s: nyala.random.normal(s, seed=3),
}


class Shaped(nyala.layers.Layer):
    def __init__(self, make, use):
        super().__init__()
        self.make, self.use = make, use

    def call(self, x):
        b, n, _ = ops.shape(x)
        return self.use(x, self.make(b, n)) * ops.ones((1, 1, 1))


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("make", SHAPES)
def test_shapes_made_of_tensors(make, use):
    """The mask of a causal transformer, as it is written: a tensor says how often it is repeated."""
    x = nyala.Input((5, 3))
    y = Shaped(SHAPES[make], USES[use])(x)
    assert y.shape[1:] == (1, 5)
    model = nyala.Model(x, y)
    assert model.predict(np.ones((7, 5, 3)), verbose=0).shape == (7, 1, 5)


def test_causal_attention_trains():
    def mask_of(batch, size):
        lower = ops.arange(size)[:, None] >= ops.arange(size)
        repeats = ops.concatenate([ops.expand_dims(batch, -1), ops.convert_to_tensor([1, 1])], 0)
        return ops.tile(ops.reshape(ops.cast(lower, "int32"), (1, size, size)), repeats)

    class Block(nyala.layers.Layer):
        def __init__(self):
            super().__init__()
            self.attention = nyala.layers.MultiHeadAttention(2, 3)

        def call(self, x):
            batch, size, _ = ops.shape(x)
            return self.attention(x, x, attention_mask=mask_of(batch, size))

    class Whole(nyala.Model):
        def __init__(self):
            super().__init__()
            self.block = Block()

        def call(self, x):
            return self.block(x)

    x = np.random.default_rng(0).normal(size=(13, 5, 7)).astype("float32")
    model = Whole()
    model.compile("sgd", "mse")
    model.fit(x, x, batch_size=4, verbose=0)
    changed = x.copy()
    changed[:, 3] += 1.0
    before, after = model.predict(x, verbose=0), model.predict(changed, verbose=0)
    np.testing.assert_allclose(before[:, :3], after[:, :3], atol=1e-5)  # nobody looks ahead
    assert np.abs(before[:, 3:] - after[:, 3:]).max() > 1e-3


def test_values_that_may_change_are_not_noted():
    array = np.array([2, 3])
    sizes.note(array, [2, 3])
    assert sizes.plain(array) is array
    with nyala.backend("numpy"):
        repeats = ops.expand_dims([2, 1], 0)
        repeats[0, 0] = 5
        assert ops.tile(ops.ones((1, 1)), repeats[0]).shape == (5, 1)
