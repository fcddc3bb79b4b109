# SPDX-License-Identifier: Apache-2.0
"""tf.keras: models, losses and metrics as classes of one's own, trained by fit, with callbacks, and saved."""

import numpy as np
from tensorflow import keras
from tensorflow.keras import backend as K
from tensorflow.keras import layers
from tensorflow.keras.layers import Dense, Layer
from tensorflow.keras.models import Model


class Block(Layer):
    def __init__(self, units, rate=0.1, **kwargs):
        super().__init__(**kwargs)
        self.units, self.rate = units, rate
        self.dense = Dense(units, activation="relu")
        self.drop = layers.Dropout(rate)
        self.norm = layers.LayerNormalization(epsilon=1e-6)

    def call(self, inputs, training=None):
        return self.norm(self.drop(self.dense(inputs), training=training))

    def get_config(self):
        return {**super().get_config(), "units": self.units, "rate": self.rate}


class Network(Model):
    def __init__(self, classes, **kwargs):
        super().__init__(**kwargs)
        self.blocks = [Block(32), Block(16)]
        self.head = Dense(classes)

    def call(self, inputs, training=False):
        x = inputs
        for block in self.blocks:
            x = block(x, training=training)
        return self.head(x)


class Smoothed(keras.losses.Loss):
    def __init__(self, smoothing=0.1, **kwargs):
        super().__init__(**kwargs)
        self.smoothing = smoothing

    def call(self, y_true, y_pred):
        classes = K.int_shape(y_pred)[-1]
        target = K.one_hot(K.cast(K.flatten(y_true), "int32"), classes) * (1 - self.smoothing) + self.smoothing / classes
        return K.categorical_crossentropy(target, y_pred, from_logits=True)


class Hits(keras.metrics.Metric):
    def __init__(self, name="hits", **kwargs):
        super().__init__(name=name, **kwargs)
        self.total = self.add_weight(name="total", initializer="zeros")
        self.count = self.add_weight(name="count", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        right = K.cast(K.equal(K.cast(K.flatten(y_true), "int64"), K.cast(K.argmax(y_pred), "int64")), "float32")
        self.total.assign_add(K.sum(right))
        self.count.assign_add(K.cast(K.shape(right)[0], "float32"))

    def result(self):
        return self.total / self.count

    def reset_state(self):
        for variable in self.variables:
            variable.assign(0.0)


rng = np.random.default_rng(0)
labels = rng.integers(0, 3, 600)
x = (rng.normal(size=(3, 8))[labels] * 2 + rng.normal(size=(600, 8))).astype("float32")

schedule = keras.optimizers.schedules.ExponentialDecay(0.01, decay_steps=50, decay_rate=0.9)
model = Network(3)
model.compile(optimizer=keras.optimizers.Adam(schedule), loss=Smoothed(), metrics=[Hits(), "accuracy"])
history = model.fit(
    x, labels, batch_size=32, epochs=10, validation_split=0.2, verbose=0,
    callbacks=[keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True), keras.callbacks.TerminateOnNaN()],
)  # fmt: skip
logs = history.history
assert logs["val_hits"][-1] > 0.9, logs
np.testing.assert_allclose(logs["hits"], logs["accuracy"], rtol=1e-4)
model.save_weights("weights.h5")
other = Network(3)
other(x[:1])
other.load_weights("weights.h5")
np.testing.assert_allclose(other.predict(x), model.predict(x), rtol=1e-5, atol=1e-6)

inputs = keras.Input(shape=(8,), name="x")
functional = keras.Model(inputs, Dense(3, activation="softmax")(Block(16, name="block")(inputs)))
functional.compile(keras.optimizers.SGD(learning_rate=0.1, momentum=0.9), keras.losses.SparseCategoricalCrossentropy(), ["accuracy"])
for epoch in range(3):
    for start in range(0, 600, 50):
        functional.train_on_batch(x[start : start + 50], labels[start : start + 50])
assert functional.evaluate(x, labels, verbose=0, return_dict=True)["accuracy"] > 0.9
functional.save("functional.h5", save_format="h5")
again = keras.models.load_model("functional.h5", custom_objects={"Block": Block})
np.testing.assert_allclose(again.predict(x), functional.predict(x), rtol=1e-5, atol=1e-6)
print("hits", logs["val_hits"][-1])
