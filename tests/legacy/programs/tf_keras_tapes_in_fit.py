# SPDX-License-Identifier: Apache-2.0
"""tf.keras 2: steps of one's own with tf.GradientTape: two networks that play against each other, and compiled_loss with compiled_metrics."""

import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers

keras.utils.set_random_seed(2)
random = np.random.default_rng(0)
real = random.normal(2.0, 0.3, size=(320, 6)).astype("float32")


class Game(keras.Model):
    def __init__(self, judge, painter, width):
        super(Game, self).__init__()
        self.judge, self.painter, self.width = judge, painter, width

    def compile(self, judge_optimizer, painter_optimizer, loss_fn):
        super(Game, self).compile()
        self.judge_optimizer, self.painter_optimizer, self.loss_fn = judge_optimizer, painter_optimizer, loss_fn
        self.judge_loss, self.painter_loss = keras.metrics.Mean(name="judge_loss"), keras.metrics.Mean(name="painter_loss")

    @property
    def metrics(self):
        return [self.judge_loss, self.painter_loss]

    def penalty(self, rows, count):
        with tf.GradientTape() as tape:
            tape.watch(rows)
            opinion = self.judge(rows, training=True)
        slope = tape.gradient(opinion, [rows])[0]
        return tf.reduce_sum((tf.sqrt(tf.reduce_sum(slope**2, axis=1) + 1e-9) - 1.0) ** 2) / tf.cast(count, tf.float32)

    def train_step(self, data):
        rows = data[0] if isinstance(data, tuple) else data
        count = tf.shape(rows)[0]
        painted = self.painter(tf.random.normal(shape=(count, self.width)))
        both = tf.concat([painted, rows], axis=0)
        labels = tf.concat([tf.ones((count, 1)), tf.zeros((count, 1))], axis=0)
        labels += 0.05 * tf.random.uniform(tf.shape(labels))
        with tf.GradientTape() as tape:
            judged = self.loss_fn(labels, self.judge(both, training=True)) + 0.1 * self.penalty(both, 2 * count)
        gradients = tape.gradient(judged, self.judge.trainable_weights)
        self.judge_optimizer.apply_gradients(zip(gradients, self.judge.trainable_weights))
        with tf.GradientTape() as tape:
            fooled = self.loss_fn(tf.zeros((count, 1)), self.judge(self.painter(tf.random.normal(shape=(count, self.width)))))
        gradients = tape.gradient(fooled, self.painter.trainable_weights)
        self.painter_optimizer.apply_gradients(zip(gradients, self.painter.trainable_weights))
        self.judge_loss.update_state(judged)
        self.painter_loss.update_state(fooled)
        return {m.name: m.result() for m in self.metrics}


judge = keras.Sequential([keras.Input((6,)), layers.Dense(24), layers.LeakyReLU(0.2), layers.Dropout(0.1), layers.Dense(1)], name="judge")
painter = keras.Sequential([keras.Input((3,)), layers.Dense(16, activation="relu"), layers.Dense(6)], name="painter")
game = Game(judge, painter, 3)
game.compile(keras.optimizers.Adam(0.003), keras.optimizers.Adam(0.01), keras.losses.BinaryCrossentropy(from_logits=True))
noise = random.normal(size=(200, 3)).astype("float32")
before = abs(painter.predict(noise).mean() - 2.0)
history = game.fit(tf.data.Dataset.from_tensor_slices(real).shuffle(320).batch(32), epochs=15, verbose=0).history
assert set(history) == {"judge_loss", "painter_loss"} and np.isfinite(history["judge_loss"]).all()
after = abs(painter.predict(noise).mean() - 2.0)
assert after < 0.6 * before, (before, after)


class Reader(keras.Model):
    def __init__(self):
        super().__init__()
        self.table = layers.Embedding(40, 8)
        self.read = layers.LSTM(8, kernel_regularizer=keras.regularizers.l2(1e-4))
        self.say = layers.Dense(3)

    def call(self, x, training=False):
        return self.say(self.read(self.table(x)))

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compiled_loss(y, y_pred, regularization_losses=self.losses)
        self.optimizer.minimize(loss, self.trainable_variables, tape=tape)
        self.compiled_metrics.update_state(y, y_pred)
        return {m.name: m.result() for m in self.metrics}

    def test_step(self, data):
        x, y = data
        y_pred = self(x, training=False)
        self.compiled_loss(y, y_pred, regularization_losses=self.losses)
        self.compiled_metrics.update_state(y, y_pred)
        return {m.name: m.result() for m in self.metrics}


words = random.integers(0, 40, (240, 6))
classes = words[:, 0] % 3
reader = Reader()
reader.compile(keras.optimizers.Adam(0.02), keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
history = reader.fit(words, classes, epochs=12, validation_data=(words, classes), verbose=0).history
assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
assert history["val_accuracy"][-1] > 0.8 and history["loss"][-1] < history["loss"][0]
