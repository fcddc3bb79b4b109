# SPDX-License-Identifier: Apache-2.0
"""check_layer must refuse layers that break a promise: each layer here breaks one."""

import numpy as np
import pytest

from nyala import layers, ops
from nyala.engines import engine
from nyala.testing import ContractError, check_layer
from tests.layers.tools import normals


class Forgets(layers.Layer):
    """Its config does not hold its factor."""

    def __init__(self, factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def get_config(self):
        return super().get_config()

    def call(self, x):
        return x * self.factor


class Stops(layers.Layer):
    """No gradient reaches its input."""

    def call(self, x):
        return engine.stop_gradient(x)


class Mixes(layers.Layer):
    """Samples influence each other."""

    def call(self, x):
        return x - ops.mean(x, axis=0)


class Lies(layers.Layer):
    """Its output shape is not the real one."""

    def call(self, x):
        return ops.sum(x, axis=-1, keepdims=True)

    def compute_output_shape(self, input_shape):
        return input_shape


class Widens(layers.Layer):
    """It leaves the dtype in which it should compute."""

    def call(self, x):
        return ops.cast(x, "float32")


@pytest.mark.parametrize(
    ("kind", "arguments", "text"),
    [
        (Forgets, {"factor": 3.0}, "a copy made from its config"),
        (Stops, {}, "slope 0.0 along a random direction"),
        (Mixes, {}, "samples one by one"),
        (Lies, {}, "symbolic shape"),
        (Widens, {}, "under mixed_bfloat16, expected bfloat16"),
    ],
)
def test_refused(kind, arguments, text):
    with pytest.raises(ContractError, match=text):
        check_layer(kind, arguments, normals(51, (2, 5)))


def test_accepted():
    layer = check_layer(layers.Dense, {"units": 3}, np.random.default_rng(0).normal(size=(2, 5)).astype("float32"))
    assert [w.shape for w in layer.weights] == [(5, 3), (3,)]
