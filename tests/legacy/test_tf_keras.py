# SPDX-License-Identifier: Apache-2.0
"""What programs of tf.keras do with shapes and metrics, each in a process of its own."""

import pytest

from tests.legacy.test_programs import run

SHAPES = """
from tensorflow import keras
from tensorflow.keras import layers
import numpy as np

class Own(layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
    def build(self, input_shape):
        assert input_shape.as_list()[-1] == input_shape[-1] and input_shape.ndims == input_shape.rank == 2 == len(input_shape)
        self.kernel = self.add_weight("kernel", shape=[input_shape[-1], self.units], initializer="ones")
        super().build(input_shape)
    def call(self, x):
        return keras.backend.dot(x, self.kernel)
    def compute_output_shape(self, input_shape):
        return input_shape.as_list()[:-1] + [self.units]

x = keras.Input((5,))
y = Own(3)(x)
assert y.shape.as_list() == y.get_shape().as_list() == [None, 3] and y.shape[1:].num_elements() == 3 and not y.shape.is_fully_defined()
model = keras.Sequential([Own(3, input_shape=(5,)), Own(2)])
assert model.output_shape == (None, 2) and model.predict(np.ones((2, 5)), verbose=0).tolist() == [[15.0, 15.0]] * 2
"""
TUPLES = """
from keras import layers

class Own(layers.Layer):
    def build(self, input_shape):
        assert type(input_shape) is tuple
    def call(self, x):
        return x
    def compute_output_shape(self, input_shape):
        assert type(input_shape) is tuple
        return input_shape

x = layers.Input((5,))
assert Own()(x).get_shape().as_list() == [None, 5] and x._keras_shape == (None, 5)
"""
METRICS = """
import numpy as np
from keras import backend as K
from keras.layers import Dense, Input, Layer
from keras.models import Model

class Measured(Layer):
    def call(self, x):
        self.add_metric(K.sum(x, axis=-1), name="total", aggregation="mean")
        return x

x = Input((3,))
y = Measured()(x)
model = Model(x, Dense(1)(y))
model.add_metric(K.mean(K.square(x)), name="square", aggregation="mean")
model.compile("sgd", "mse")
data = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
history = model.fit(data, data[:, :1], batch_size=4, epochs=2, verbose=0).history
assert np.allclose(history["total"], data.sum(-1).mean(), rtol=1e-4) and np.allclose(history["square"], (data**2).mean(), rtol=1e-4), history
"""
FIRST = """
import tensorflow as tf
from tensorflow import keras

x = keras.Input((5,))
assert tf.reduce_sum(x, axis=1).shape == (None,) and tf.shape(x).shape == (2,)
"""


@pytest.mark.parametrize("program", [SHAPES, TUPLES, METRICS, FIRST], ids=["shapes", "tuples", "metrics", "first"])
def test_program(program, tmp_path):
    if program is FIRST:
        pytest.importorskip("tensorflow")
    (tmp_path / "program.py").write_text(program)
    done = run(["program.py"], tmp_path)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
