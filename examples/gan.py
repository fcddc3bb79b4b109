# SPDX-License-Identifier: Apache-2.0
"""A generative adversarial network: one model draws digits, another one tells them from real ones. Two losses, two optimizers, one train_step.

    python examples/gan.py [--quick] [--picture gan.png]

The step is ordinary code with nyala.value_and_grad; it runs on every engine with gradients. Start at GAN.train_step.
Source: Goodfellow et al. 2014, Generative Adversarial Networks; Radford, Metz, Chintala 2015, for the momentum of 0.5.
"""

import numpy as np
from drawing import arguments, grid

import nyala
from nyala import layers, ops
from nyala.datasets import digits

NOISE = 16


class GAN(nyala.Model):
    """Trains a generator against a discriminator."""

    def __init__(self, generator, discriminator):
        super().__init__()
        self.generator, self.discriminator = generator, discriminator
        self.noise = nyala.random.SeedGenerator(1)
        self.entropy = nyala.losses.BinaryCrossentropy(from_logits=True)
        self.trackers = [nyala.metrics.Mean(name=name) for name in ("generator_loss", "discriminator_loss", "real_found")]

    def compile(self, generator_optimizer, discriminator_optimizer):
        super().compile(optimizer=generator_optimizer)
        self.discriminator_optimizer = discriminator_optimizer

    @property
    def metrics(self):
        return self.trackers

    def call(self, noise):
        return self.generator(noise)

    def train_step(self, data):
        real = data[0] if isinstance(data, tuple) else data
        number = real.shape[0]

        def discriminator_loss():
            fake = self.generator(nyala.random.normal((number, NOISE), seed=self.noise), training=True)
            on_real, on_fake = self.discriminator(real, training=True), self.discriminator(fake, training=True)
            loss = self.entropy(0.9 * ops.ones_like(on_real), on_real) + self.entropy(ops.zeros_like(on_fake), on_fake)
            return loss, ops.mean(ops.cast(on_real > 0, "float32"))

        weights = self.discriminator.trainable_variables
        (found_loss, found), gradients = nyala.value_and_grad(discriminator_loss, weights)()
        self.discriminator_optimizer.apply(gradients, weights)

        def generator_loss():
            fake = self.generator(nyala.random.normal((number, NOISE), seed=self.noise), training=True)
            on_fake = self.discriminator(fake, training=True)
            return self.entropy(ops.ones_like(on_fake), on_fake), None

        weights = self.generator.trainable_variables
        (drawn_loss, _), gradients = nyala.value_and_grad(generator_loss, weights)()
        self.optimizer.apply(gradients, weights)

        for tracker, value in zip(self.trackers, (drawn_loss, found_loss, found), strict=True):
            tracker.update_state(value)
        return {tracker.name: tracker.result() for tracker in self.trackers}


def networks():
    generator = nyala.Sequential([
        nyala.Input((NOISE,)),
        layers.Dense(128), layers.BatchNormalization(momentum=0.8), layers.LeakyReLU(0.2),
        layers.Dense(128), layers.BatchNormalization(momentum=0.8), layers.LeakyReLU(0.2),
        layers.Dense(64, activation="sigmoid"), layers.Reshape((8, 8)),
    ], name="generator")  # fmt: skip
    discriminator = nyala.Sequential([
        nyala.Input((8, 8)), layers.Flatten(),
        layers.Dense(128), layers.LeakyReLU(0.2), layers.Dropout(0.3),
        layers.Dense(64), layers.LeakyReLU(0.2), layers.Dense(1),
    ], name="discriminator")  # fmt: skip
    return generator, discriminator


def main(options=None):
    options = arguments(__doc__, "gan.png", options)
    nyala.utils.set_random_seed(0)
    (images, _), _ = digits.load_data()
    images = images.astype("float32") / 16
    model = GAN(*networks())
    model.compile(nyala.optimizers.Adam(1e-3, beta_1=0.5), nyala.optimizers.Adam(5e-4, beta_1=0.5))
    history = model.fit(images, batch_size=64, epochs=2 if options.quick else 150, verbose=0)
    drawn = model.predict(np.random.default_rng(0).normal(size=(40, NOISE)).astype("float32"))
    grid({"drawn by the network": drawn, "real": images[:40]}, options.picture, "A GAN on handwritten digits")
    last = {name: values[-1] for name, values in history.history.items()}
    print(", ".join(f"{name} {value:.2f}" for name, value in last.items()), f"-> {options.picture}")
    return {**last, "drawn": drawn}


if __name__ == "__main__":
    main()
