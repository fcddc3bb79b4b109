# SPDX-License-Identifier: Apache-2.0
"""Autoencoders: digits squeezed through eight numbers and back, and digits freed from noise. fit with the image itself as its target.

    python examples/autoencoder.py [--quick] [--picture autoencoder.png]

The errors stand beside those of principal components of the same width, the best that a linear network can do. For a variational one see vae.py.
Start at squeezing and denoising. Source: Hinton, Salakhutdinov 2006, Reducing the Dimensionality of Data with Neural Networks;
Vincent, Larochelle, Bengio, Manzagol 2008, Extracting and composing robust features with denoising autoencoders.
"""

import numpy as np
from drawing import arguments, grid

import nyala
from nyala import layers
from nyala.datasets import digits

CODE, NOISE = 8, 0.4


def squeezing():
    """An encoder and a decoder, which are models of their own, one after the other."""
    encoder = nyala.Sequential([
        nyala.Input((8, 8)), layers.Flatten(), layers.Dense(128, "relu"), layers.Dense(64, "relu"), layers.Dense(CODE),
    ], name="encoder")  # fmt: skip
    decoder = nyala.Sequential([
        nyala.Input((CODE,)), layers.Dense(64, "relu"), layers.Dense(128, "relu"), layers.Dense(64, "sigmoid"), layers.Reshape((8, 8)),
    ], name="decoder")  # fmt: skip
    inputs = nyala.Input((8, 8))
    return nyala.Model(inputs, decoder(encoder(inputs)), name="squeezing")


def denoising():
    """Noise that only training adds, then convolutions down to 4 x 4 and up again."""
    inputs = nyala.Input((8, 8))
    x = layers.GaussianNoise(NOISE)(inputs)
    x = layers.Reshape((8, 8, 1))(x)
    x = layers.Conv2D(32, 3, padding="same", activation="relu")(x)
    x = layers.Conv2D(64, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2D(64, 3, padding="same", activation="relu")(x)
    x = layers.Conv2DTranspose(32, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x)
    return nyala.Model(inputs, layers.Reshape((8, 8))(x), name="denoising")


def principal_components(train, images, number):
    """The images, projected on the directions in which those to train on vary most."""
    flat, centre = train.reshape(len(train), -1), train.reshape(len(train), -1).mean(0)
    axes = np.linalg.svd(flat - centre, full_matrices=False)[2][:number]
    return ((images.reshape(len(images), -1) - centre) @ axes.T @ axes + centre).reshape(images.shape)


def main(options=None):
    options = arguments(__doc__, "autoencoder.png", options)
    nyala.utils.set_random_seed(0)
    (train, _), (test, _) = digits.load_data()
    train, test = train.astype("float32") / 16, test.astype("float32") / 16
    train = train[:192] if options.quick else train
    noisy = (test + NOISE * np.random.default_rng(0).normal(size=test.shape)).astype("float32")
    squeeze, denoise = squeezing(), denoising()
    for model, epochs in ((squeeze, 150), (denoise, 40)):
        slower = nyala.callbacks.ReduceLROnPlateau(factor=0.3, patience=8)
        model.compile(nyala.optimizers.Adam(2e-3), loss="mse")
        model.fit(train, train, batch_size=64, epochs=2 if options.quick else epochs, validation_data=(test, test), callbacks=[slower], verbose=0)

    narrow, wide = principal_components(train, test, CODE), principal_components(train, noisy, 16)
    restored, cleaned = squeeze.predict(test), denoise.predict(noisy)
    errors = {name: float(np.mean((images - test) ** 2)) for name, images in
              {"squeezed": restored, "components": narrow, "noisy": noisy, "denoised": cleaned, "denoised by components": wide}.items()}  # fmt: skip
    groups = {
        "test images": test,
        f"through {CODE} numbers and back: error {errors['squeezed']:.4f}": restored,
        f"by {CODE} principal components: error {errors['components']:.4f}": narrow,
        f"with noise: error {errors['noisy']:.4f}": noisy,
        f"denoised by the network: error {errors['denoised']:.4f}": cleaned,
        f"denoised by 16 principal components: error {errors['denoised by components']:.4f}": wide,
    }
    grid({name: np.clip(images[:10], 0, 1) for name, images in groups.items()}, options.picture, "Autoencoders on handwritten digits")
    print("mean squared error:", ", ".join(f"{name} {value:.4f}" for name, value in errors.items()), f"-> {options.picture}")
    return errors


if __name__ == "__main__":
    main()
