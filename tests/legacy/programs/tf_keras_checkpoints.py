# SPDX-License-Identifier: Apache-2.0
"""tf.keras 2: a translator of digit strings (encoder, attention, decoder), whose training is broken off and goes on from tf.train.Checkpoint."""

import os
import tempfile

import numpy as np
import tensorflow as tf

VOCABULARY, LENGTH, UNITS, BATCH = 11, 4, 24, 32
random = np.random.RandomState(3)
source = random.randint(1, VOCABULARY, size=(256, LENGTH)).astype("int32")
target = np.concatenate([np.zeros((256, 1), "int32"), VOCABULARY - source[:, ::-1]], axis=1)
dataset = tf.data.Dataset.from_tensor_slices((source, target)).batch(BATCH, drop_remainder=True)


class Encoder(tf.keras.Model):
    def __init__(self):
        super(Encoder, self).__init__()
        self.embedding = tf.keras.layers.Embedding(VOCABULARY + 1, 12)
        self.gru = tf.keras.layers.GRU(UNITS, return_sequences=True, return_state=True, recurrent_initializer="glorot_uniform")

    def call(self, x, hidden):
        x = self.embedding(x)
        output, state = self.gru(x, initial_state=hidden)
        return output, state

    def initialize_hidden_state(self):
        return tf.zeros((BATCH, UNITS))


class Attention(tf.keras.layers.Layer):
    def __init__(self, units):
        super(Attention, self).__init__()
        self.W1 = tf.keras.layers.Dense(units)
        self.W2 = tf.keras.layers.Dense(units)
        self.V = tf.keras.layers.Dense(1)

    def call(self, query, values):
        score = self.V(tf.nn.tanh(self.W1(tf.expand_dims(query, 1)) + self.W2(values)))
        weights = tf.nn.softmax(score, axis=1)
        return tf.reduce_sum(weights * values, axis=1), weights


class Decoder(tf.keras.Model):
    def __init__(self):
        super(Decoder, self).__init__()
        self.embedding = tf.keras.layers.Embedding(VOCABULARY + 1, 12)
        self.gru = tf.keras.layers.GRU(UNITS, return_sequences=True, return_state=True)
        self.fc = tf.keras.layers.Dense(VOCABULARY + 1)
        self.attention = Attention(16)

    def call(self, x, hidden, encoded):
        context, weights = self.attention(hidden, encoded)
        x = tf.concat([tf.expand_dims(context, 1), self.embedding(x)], axis=-1)
        output, state = self.gru(x)
        return self.fc(tf.reshape(output, (-1, output.shape[2]))), state, weights


loss_object = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")


def begin():
    encoder, decoder, optimizer = Encoder(), Decoder(), tf.keras.optimizers.Adam(0.01)
    checkpoint = tf.train.Checkpoint(optimizer=optimizer, encoder=encoder, decoder=decoder, epoch=tf.Variable(0))

    @tf.function
    def train_step(inp, targ, hidden):
        loss = 0.0
        with tf.GradientTape() as tape:
            encoded, hidden = encoder(inp, hidden)
            for t in range(1, targ.shape[1]):
                predictions, hidden, _ = decoder(tf.expand_dims(targ[:, t - 1], 1), hidden, encoded)
                loss += tf.reduce_mean(loss_object(targ[:, t], predictions))
        variables = encoder.trainable_variables + decoder.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss / int(targ.shape[1])

    def train(epochs):
        losses = []
        for _ in range(epochs):
            total = sum(float(train_step(inp, targ, encoder.initialize_hidden_state())) for inp, targ in dataset)
            losses.append(total / 8)
            checkpoint.epoch.assign_add(1)
        return losses

    return checkpoint, train


folder = tempfile.mkdtemp()
checkpoint, train = begin()
first = train(4)
prefix = os.path.join(folder, "ckpt")
checkpoint.save(file_prefix=prefix)
without_break = train(6)

resumed, train = begin()
resumed.restore(tf.train.latest_checkpoint(folder))
after_break = train(6)
assert int(resumed.epoch) == 10
assert np.allclose(without_break, after_break, rtol=1e-5), (without_break, after_break)
assert after_break[-1] < 0.75 * first[0], (first, after_break)
