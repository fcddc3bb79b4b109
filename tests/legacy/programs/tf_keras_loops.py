# SPDX-License-Identifier: Apache-2.0
"""tf.keras 2: training loops of one's own under tf.function, layers with a tf.Variable, Grad-CAM, and an optimizer on plain variables."""

import numpy as np
import tensorflow as tf

tf.keras.utils.set_random_seed(4)
random = np.random.default_rng(1)
x = random.normal(size=(128, 5)).astype("float32")
y = (x[:, 0] * x[:, 1] > 0).astype("int64")


class Linear(tf.keras.layers.Layer):
    def __init__(self, units, width):
        super(Linear, self).__init__()
        first = tf.random_normal_initializer()
        self.w = tf.Variable(initial_value=first(shape=(width, units), dtype="float32"), trainable=True)
        self.b = tf.Variable(initial_value=tf.zeros((units,)), trainable=True)
        self.calls = tf.Variable(0.0, trainable=False)

    def call(self, inputs):
        self.calls.assign_add(1.0)
        return tf.matmul(inputs, self.w) + self.b


first = Linear(24, 5)
assert len(first.weights) == 3 and len(first.trainable_weights) == 2
model = tf.keras.Sequential([first, tf.keras.layers.Activation(tf.nn.relu), tf.keras.layers.BatchNormalization(), tf.keras.layers.Dense(2)])
loss_fn = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
rate = tf.keras.optimizers.schedules.ExponentialDecay(0.02, decay_steps=40, decay_rate=0.9)
optimizer = tf.keras.optimizers.Adam(learning_rate=rate)
accuracy, mean = tf.keras.metrics.SparseCategoricalAccuracy(), tf.keras.metrics.Mean()


@tf.function
def train_step(rows, labels):
    with tf.GradientTape() as tape:
        logits = model(rows, training=True)
        loss = loss_fn(labels, logits)
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    mean(loss)
    accuracy.update_state(labels, logits)


losses = []
for _ in range(30):
    mean.reset_states()
    accuracy.reset_states()
    for rows, labels in tf.data.Dataset.from_tensor_slices((x, y)).shuffle(128).batch(32):
        train_step(rows, labels)
    losses.append(float(mean.result()))
assert losses[-1] < 0.6 * losses[0] and accuracy.result().numpy() > 0.8, (losses[0], losses[-1], accuracy.result())
assert int(optimizer.iterations) == 120 and float(first.calls) >= 120
assert np.mean(model.predict(x).argmax(1) == y) > 0.8

# Gradients of several batches, added up in variables.
small = tf.keras.Sequential([tf.keras.layers.Dense(3, activation="tanh", input_shape=(5,)), tf.keras.layers.Dense(1)])
sums = [tf.Variable(tf.zeros_like(w)) for w in small.trainable_variables]
target = x.sum(1, keepdims=True)
descent = tf.keras.optimizers.SGD(0.05, momentum=0.9)


@tf.function
def add_up(rows, values):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(small(rows) - values))
    for total, gradient in zip(sums, tape.gradient(loss, small.trainable_variables)):
        total.assign_add(gradient / 4)
    return loss


@tf.function
def update():
    descent.apply_gradients(zip(sums, small.trainable_variables))
    for total in sums:
        total.assign(tf.zeros_like(total))


begin = float(tf.reduce_mean(tf.square(small(x) - target)))
for _ in range(20):
    for i in range(4):
        add_up(x[i::4], target[i::4])
    update()
assert float(tf.reduce_mean(tf.square(small(x) - target))) < 0.5 * begin

# What a network looks at: the gradient of a class by a layer in the middle.
image = random.normal(size=(1, 8, 8, 1)).astype("float32")
inputs = tf.keras.Input((8, 8, 1))
maps = tf.keras.layers.Conv2D(4, 3, activation="relu", name="maps")(inputs)
outputs = tf.keras.layers.Dense(3, activation="softmax")(tf.keras.layers.GlobalAveragePooling2D()(maps))
network = tf.keras.Model(inputs, outputs)
both = tf.keras.models.Model([network.inputs], [network.get_layer("maps").output, network.output])
with tf.GradientTape() as tape:
    seen, scores = both(image)
    score = scores[:, tf.argmax(scores[0])]
weights = tf.reduce_mean(tape.gradient(score, seen), axis=(0, 1, 2))
heat = tf.squeeze(seen[0] @ weights[..., tf.newaxis])
assert heat.shape == (6, 6) and np.isfinite(heat.numpy()).all()

# An optimizer on variables of TensorFlow.
place = tf.Variable(10.0)
tf.keras.optimizers.Adam(learning_rate=0.1).minimize(lambda: (place**2) / 2.0, [place])
np.testing.assert_allclose(place.numpy(), 9.9, rtol=1e-5)
picture = tf.Variable(image)
painter = tf.keras.optimizers.SGD(1.0)
for _ in range(3):
    with tf.GradientTape() as tape:
        darkness = tf.reduce_mean(picture**2)
    painter.apply_gradients([(tape.gradient(darkness, picture), picture)])
np.testing.assert_allclose(picture.numpy(), image * (1 - 2 / 64) ** 3, rtol=1e-4)
