# SPDX-License-Identifier: Apache-2.0
"""Segmentation: a U-Net says for each pixel whether it belongs to a disc, a square, a triangle or the background.

    python examples/segmentation.py [--quick] [--picture segmentation.png]

The images are drawn here: shapes of any brightness over clouds and noise, so that no threshold can find them. Start at u_net.
Source: Ronneberger, Fischer, Brox 2015, U-Net: Convolutional Networks for Biomedical Image Segmentation.
"""

import numpy as np
from drawing import arguments, pyplot, save

import nyala
from nyala import layers, ops

SIZE, NAMES = 48, ("background", "disc", "square", "triangle")
COLOURS = pyplot.get_cmap("viridis", len(NAMES))


def inside(kind, x, y, radius):
    """Whether points lie in a shape around (0, 0) that covers about as much as a disc of this radius."""
    if kind == "disc":
        return x**2 + y**2 < radius**2
    if kind == "square":
        return np.maximum(abs(x), abs(y)) < 0.9 * radius
    return (y < 0.7 * radius) & (y > 2 * abs(x) - 1.4 * radius)


def clouds(random):
    """Smooth brightness: a coarse lattice of random numbers, drawn larger."""
    coarse, places = random.uniform(0.2, 0.8, (6, 6)), np.linspace(0, 5, SIZE)
    rows = np.stack([np.interp(places, range(6), column) for column in coarse.T], 1)
    return np.stack([np.interp(places, range(6), row) for row in rows])


def pictures(number, seed):
    """Images (b, h, w, 1) and the class of each pixel (b, h, w)."""
    random = np.random.default_rng(seed)
    images, classes = [], []
    down, right = np.mgrid[:SIZE, :SIZE]
    for _ in range(number):
        ground, truth = clouds(random), np.zeros((SIZE, SIZE), "int32")
        image = ground
        for _ in range(random.integers(1, 5)):
            kind, angle = random.integers(1, 4), random.uniform(0, 2 * np.pi)
            y, x = down - random.uniform(6, SIZE - 6), right - random.uniform(6, SIZE - 6)
            turned = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
            there = inside(NAMES[kind], *turned, random.uniform(6, 11))
            image, truth = np.where(there, ground + random.choice([-0.35, 0.35]), image), np.where(there, kind, truth)
        images.append(image + random.normal(0, 0.06, image.shape))
        classes.append(truth)
    return np.stack(images)[..., None].astype("float32"), np.stack(classes)


def convolutions(x, filters):
    for _ in range(2):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.Activation("relu")(x)
    return x


def u_net():
    """Down to see far, up to see sharp; what was seen on the way down is handed over at each level."""
    inputs = nyala.Input((SIZE, SIZE, 1))
    x, skipped = inputs, []
    for filters in (16, 32, 64):
        x = convolutions(x, filters)
        skipped.append(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Dropout(0.2)(convolutions(x, 96))
    for filters in (64, 32, 16):
        x = layers.Conv2DTranspose(filters, 2, strides=2)(x)
        x = layers.Concatenate()([x, skipped.pop()])
        x = convolutions(x, filters)
    return nyala.Model(inputs, layers.Conv2D(len(NAMES), 1, activation="softmax")(x), name="u_net")


def overlap(truth, guess):
    """Pixels that both give a class, among those that at least one does: for each class."""
    return [float(((truth == kind) & (guess == kind)).sum() / max(((truth == kind) | (guess == kind)).sum(), 1)) for kind in range(len(NAMES))]


def draw(images, truth, guess, scores, path, number=6):
    figure, axes = pyplot.subplots(3, number, figsize=(1.7 * number, 5.6), layout="compressed")
    for column in range(number):
        axes[0, column].imshow(images[column, :, :, 0], cmap="gray")
        axes[1, column].imshow(truth[column], cmap=COLOURS, vmin=-0.5, vmax=3.5)
        shown = axes[2, column].imshow(guess[column], cmap=COLOURS, vmin=-0.5, vmax=3.5)
    for axis in axes.flat:
        axis.set(xticks=(), yticks=())
    for axis, name in zip(axes[:, 0], ("image", "truth", "U-Net"), strict=True):
        axis.set_ylabel(name)
    bar = figure.colorbar(shown, ax=axes, ticks=range(len(NAMES)), shrink=0.6)
    bar.ax.set_yticklabels([f"{name}: {score:.0%}" for name, score in zip(NAMES, scores, strict=True)])
    bar.set_label("overlap with the truth on test images")
    figure.suptitle("What is where: test images")
    save(figure, path)


def main(options=None):
    options = arguments(__doc__, "segmentation.png", options)
    nyala.utils.set_random_seed(0)
    x, y = pictures(32 if options.quick else 640, seed=1)
    x_test, y_test = pictures(12 if options.quick else 100, seed=2)
    model, epochs = u_net(), 1 if options.quick else 16
    rate = nyala.optimizers.schedules.CosineDecay(4e-3, epochs * len(x) // 16)
    model.compile(nyala.optimizers.Adam(rate), loss="sparse_categorical_crossentropy")
    model.fit(x, y, batch_size=16, epochs=epochs, verbose=0)
    guess = np.asarray(ops.argmax(model.predict(x_test), -1))
    scores = overlap(y_test, guess)
    draw(x_test, y_test, guess, scores, options.picture)
    nothing = float(np.mean(overlap(y_test, np.zeros_like(y_test))))
    print(f"mean overlap with the truth: {np.mean(scores):.1%}; of an empty answer: {nothing:.1%} -> {options.picture}")
    return {"overlap": scores, "nothing": nothing}


if __name__ == "__main__":
    main()
