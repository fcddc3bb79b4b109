# SPDX-License-Identifier: Apache-2.0
"""Keras 2: layers, losses, callbacks and initial values of one's own; a model saved and loaded with them."""

import numpy as np
from keras import activations, constraints, initializers, regularizers
from keras import backend as K
from keras.callbacks import Callback
from keras.engine import InputSpec, Layer
from keras.layers import Dense, Input, TimeDistributed
from keras.legacy import interfaces
from keras.models import Model, load_model


class Attention(Layer):
    """A weighted mean over time, weights from a learned vector."""

    @interfaces.legacy_dense_support
    def __init__(self, units, kernel_initializer="glorot_uniform", kernel_regularizer=None, kernel_constraint=None, activation="tanh", **kwargs):
        if "input_shape" not in kwargs and "input_dim" in kwargs:
            kwargs["input_shape"] = (kwargs.pop("input_dim"),)
        super(Attention, self).__init__(**kwargs)
        self.units = units
        self.activation = activations.get(activation)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.input_spec = InputSpec(ndim=3)
        self.supports_masking = True

    def build(self, input_shape):
        dim = input_shape[-1]
        self.kernel = self.add_weight(
            shape=(dim, self.units), initializer=self.kernel_initializer, name="kernel", regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )  # fmt: skip
        self.vector = self.add_weight("vector", shape=(self.units,), initializer="uniform")
        self.input_spec = InputSpec(ndim=3, axes={2: dim})
        self.built = True

    def call(self, inputs, mask=None):
        scores = K.sum(self.activation(K.dot(inputs, self.kernel)) * self.vector, axis=-1)
        weights = K.softmax(scores)
        return K.batch_dot(K.permute_dimensions(inputs, (0, 2, 1)), K.expand_dims(weights))[:, :, 0]

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[2])

    def compute_mask(self, inputs, mask=None):
        return None

    def get_config(self):
        config = {"units": self.units, "activation": activations.serialize(self.activation)}
        base_config = super(Attention, self).get_config()
        return dict(list(base_config.items()) + list(config.items()))


def my_init(shape, dtype=None):
    return K.random_normal(shape, stddev=0.1, dtype=dtype)


def huber(y_true, y_pred, clip_delta=1.0):
    error = y_true - y_pred
    small = K.abs(error) < clip_delta
    return K.mean(K.switch(small, 0.5 * K.square(error), clip_delta * (K.abs(error) - 0.5 * clip_delta)), axis=-1)


class LossHistory(Callback):
    def on_train_begin(self, logs={}):
        self.losses = []

    def on_batch_end(self, batch, logs={}):
        self.losses.append(logs.get("loss"))

    def on_epoch_end(self, epoch, logs={}):
        if self.losses[-1] < 1e-9:
            self.model.stop_training = True


rng = np.random.RandomState(1)
x = rng.normal(size=(300, 6, 4)).astype("float32")
y = x.max(1)[:, :1]

inputs = Input(shape=(6, 4))
hidden = TimeDistributed(Dense(8, activation="elu", kernel_initializer=my_init))(inputs)
pooled = Attention(5, kernel_regularizer=regularizers.l2(1e-5), kernel_constraint="unit_norm", name="attention")(hidden)
model = Model(inputs, Dense(1)(pooled))
model.compile(loss=huber, optimizer="nadam", metrics=["mae"])
losses = LossHistory()
model.fit(x, y, batch_size=50, epochs=30, verbose=0, callbacks=[losses])
assert len(losses.losses) == 30 * 6
assert np.mean(losses.losses[-6:]) < 0.5 * np.mean(losses.losses[:6])
np.testing.assert_allclose(np.linalg.norm(model.get_layer("attention").get_weights()[0], axis=0), 1, rtol=1e-4)
model.save("own.h5")
again = load_model("own.h5", custom_objects={"Attention": Attention, "huber": huber, "my_init": my_init})
np.testing.assert_allclose(again.predict(x), model.predict(x), rtol=1e-5, atol=1e-6)
print("loss", losses.losses[-1])
