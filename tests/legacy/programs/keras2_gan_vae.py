# SPDX-License-Identifier: Apache-2.0
"""Keras 2: two networks against each other, frozen after they were compiled, and a loss of symbolic tensors."""

import numpy as np
from keras import backend as K
from keras.layers import Dense, Input, Lambda, LeakyReLU
from keras.losses import mse
from keras.models import Model, Sequential
from keras.optimizers import Adam

np.random.seed(0)
optimizer = Adam(0.01, 0.5)

# Networks against each other.
discriminator = Sequential([Dense(16, input_dim=2), LeakyReLU(alpha=0.2), Dense(1, activation="sigmoid")])
discriminator.compile(loss="binary_crossentropy", optimizer=optimizer, metrics=["accuracy"])
generator = Sequential([Dense(16, input_dim=3), LeakyReLU(alpha=0.2), Dense(2)])
z = Input(shape=(3,))
img = generator(z)
discriminator.trainable = False
combined = Model(z, discriminator(img))
combined.compile(loss="binary_crossentropy", optimizer=Adam(0.01, 0.5))

valid, fake = np.ones((32, 1)), np.zeros((32, 1))
for _ in range(150):
    real = np.random.normal(size=(32, 2)) * 0.1 + [2.0, -1.0]
    noise = np.random.normal(0, 1, (32, 3))
    before = discriminator.get_weights()
    d_loss = 0.5 * np.add(discriminator.train_on_batch(real, valid), discriminator.train_on_batch(generator.predict(noise), fake))
    trained = discriminator.get_weights()
    assert any(not np.array_equal(a, b) for a, b in zip(before, trained, strict=True))
    g_loss = combined.train_on_batch(noise, valid)
    assert all(np.array_equal(a, b) for a, b in zip(trained, discriminator.get_weights(), strict=True))
assert discriminator.trainable is False
made = generator.predict(np.random.normal(0, 1, (200, 3))).mean(axis=0)
print(made)
assert np.linalg.norm(made - [2.0, -1.0]) < 1.2

# A variational autoencoder.
x_train = np.random.normal(size=(256, 2)).dot(np.random.normal(size=(2, 8)))
inputs = Input(shape=(8,), name="encoder_input")
x = Dense(32, activation="relu")(inputs)
z_mean, z_log_var = Dense(2, name="z_mean")(x), Dense(2, name="z_log_var")(x)


def sampling(args):
    mean, log_var = args
    return mean + K.exp(0.5 * log_var) * K.random_normal(shape=(K.shape(mean)[0], K.int_shape(mean)[1]))


z = Lambda(sampling, output_shape=(2,), name="z")([z_mean, z_log_var])
encoder = Model(inputs, [z_mean, z_log_var, z], name="encoder")
latent_inputs = Input(shape=(2,))
decoder = Model(latent_inputs, Dense(8)(Dense(32, activation="relu")(latent_inputs)), name="decoder")
outputs = decoder(encoder(inputs)[2])
vae = Model(inputs, outputs, name="vae")
reconstruction_loss = mse(inputs, outputs) * 8
kl_loss = K.sum(1 + z_log_var - K.square(z_mean) - K.exp(z_log_var), axis=-1) * -0.5
vae.add_loss(K.mean(reconstruction_loss + 0.1 * kl_loss))
vae.compile(optimizer="adam")
losses = vae.fit(x_train, epochs=20, batch_size=32, verbose=0).history["loss"]
print(losses[0], losses[-1])
assert losses[-1] < 0.5 * losses[0]
assert vae.predict(x_train).shape == (256, 8)
