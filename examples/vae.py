# SPDX-License-Identifier: Apache-2.0
"""A variational autoencoder: digits squeezed through two numbers each, and drawn back from any two. A loss of one's own in compute_loss.

    python examples/vae.py [--quick] [--picture vae.png]

Everything else is fit as it is: shuffling, metrics, validation, compiled steps. Start at VAE.compute_loss.
Source: Kingma, Welling 2013, Auto-Encoding Variational Bayes.
"""

import numpy as np
from drawing import arguments, grid

import nyala
from nyala import layers, ops
from nyala.datasets import digits

CODE = 2


class VAE(nyala.Model):
    """An encoder that gives a normal distribution per image, and a decoder."""

    def __init__(self):
        super().__init__()
        self.encoder = nyala.Sequential([nyala.Input((8, 8)), layers.Flatten(), layers.Dense(128, "relu"), layers.Dense(64, "relu")], name="encoder")
        self.mean, self.log_variance = layers.Dense(CODE, name="mean"), layers.Dense(CODE, name="log_variance")
        self.decoder = nyala.Sequential(
            [nyala.Input((CODE,)), layers.Dense(64, "relu"), layers.Dense(128, "relu"), layers.Dense(64), layers.Reshape((8, 8))], name="decoder"
        )
        self.noise = nyala.random.SeedGenerator(1)
        self.divergence = nyala.metrics.Mean(name="divergence")

    def call(self, images, training=False):
        hidden = self.encoder(images)
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        code = mean
        if training:
            code = mean + ops.exp(log_variance / 2) * nyala.random.normal(ops.shape(mean), seed=self.noise)
        return {"pixels": self.decoder(code), "mean": mean, "log_variance": log_variance}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Bits to say the pixels, given the code, and what the code itself costs: its divergence from a standard normal distribution."""
        said = ops.sum(ops.binary_crossentropy(x, y_pred["pixels"], from_logits=True), axis=(1, 2))
        mean, log_variance = y_pred["mean"], y_pred["log_variance"]
        divergence = 0.5 * ops.sum(ops.square(mean) + ops.exp(log_variance) - 1 - log_variance, axis=1)
        self.divergence.update_state(divergence)
        return ops.mean(said + divergence)


def manifold(decoder, side=10):
    """What the decoder draws for a lattice of codes, by quantiles of the normal distribution."""
    steps = np.sqrt(2) * np.array([float(ops.erfinv(2 * q - 1)) for q in np.linspace(0.03, 0.97, side)])
    codes = np.array([(a, b) for a in steps for b in steps], "float32")
    return 1 / (1 + np.exp(-decoder.predict(codes)))


def main(options=None):
    options = arguments(__doc__, "vae.png", options)
    nyala.utils.set_random_seed(0)
    (train, _), (test, _) = digits.load_data()
    train, test = train.astype("float32") / 16, test.astype("float32") / 16
    model = VAE()
    model.compile(nyala.optimizers.Adam(2e-3))
    history = model.fit(train, batch_size=64, epochs=2 if options.quick else 120, validation_data=(test,), verbose=0).history
    restored = 1 / (1 + np.exp(-model.predict(test[:20])["pixels"]))
    grid({"test images": test[:20], "through two numbers and back": restored, "the plane of codes": manifold(model.decoder)},
         options.picture, "A variational autoencoder on handwritten digits")  # fmt: skip
    print(f"loss {history['loss'][-1]:.2f}, validation {history['val_loss'][-1]:.2f} -> {options.picture}")
    return history


if __name__ == "__main__":
    main()
