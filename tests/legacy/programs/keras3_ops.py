# SPDX-License-Identifier: Apache-2.0
"""Keras 3: ops, a model of one's own, and a file."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(1)


@keras.saving.register_keras_serializable("programs")
class Rotation(layers.Layer):
    def build(self, input_shape):
        self.angle = self.add_weight(shape=(), initializer="zeros", name="angle")

    def call(self, x):
        c, s = ops.cos(self.angle), ops.sin(self.angle)
        return ops.stack([c * x[..., 0] - s * x[..., 1], s * x[..., 0] + c * x[..., 1]], axis=-1)


x = np.random.normal(size=(200, 2)).astype("float32")
y = np.stack([-x[:, 1], x[:, 0]], -1)
model = keras.Sequential([keras.Input((2,)), Rotation()])
model.compile(keras.optimizers.Adam(learning_rate=0.05), "mse")
model.fit(x, y, epochs=20, verbose=0)
angle = float(model.layers[0].angle.numpy())
assert abs(angle - np.pi / 2) < 0.05, angle
model.save("rotation.keras")
np.testing.assert_allclose(keras.models.load_model("rotation.keras").predict(x), model.predict(x), rtol=1e-5)
print("angle", angle, keras.backend.backend())
