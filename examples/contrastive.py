# SPDX-License-Identifier: Apache-2.0
"""Contrastive learning: an encoder that never sees a label learns which two distorted pictures show the same digit. A train_step of one's own.

    python examples/contrastive.py [--quick] [--picture contrastive.png]

Afterwards the nearest neighbours among the codes tell the digits apart better than those among the pixels of a shifted image.
Start at Contrastive.train_step.
Source: Chen, Kornblith, Norouzi, Hinton 2020, A Simple Framework for Contrastive Learning of Visual Representations.
"""

import numpy as np
from drawing import arguments, pyplot, save

import nyala
from nyala import layers, ops
from nyala.datasets import digits

TEMPERATURE = 0.2
COLOURS = pyplot.get_cmap("tab10")


class Contrastive(nyala.Model):
    """An encoder, the distortions it must not mind, and a head that only training uses."""

    def __init__(self):
        super().__init__()
        self.distort = nyala.Sequential([
            nyala.Input((8, 8, 1)),
            layers.RandomTranslation(0.15, 0.15, fill_mode="constant"), layers.RandomRotation(0.06, fill_mode="constant"), layers.GaussianNoise(0.1),
        ], name="distort")  # fmt: skip
        self.encoder = nyala.Sequential([
            nyala.Input((8, 8, 1)),
            layers.Conv2D(16, 3, padding="same", activation="relu"), layers.MaxPooling2D(2),
            layers.Conv2D(32, 3, padding="same", activation="relu"), layers.Flatten(), layers.Dense(32),
        ], name="encoder")  # fmt: skip
        self.head = nyala.Sequential([nyala.Input((32,)), layers.Dense(64, "relu"), layers.Dense(16)], name="head")
        self.tracker, self.found = nyala.metrics.Mean(name="loss"), nyala.metrics.Mean(name="pairs_found")

    @property
    def metrics(self):
        return [self.tracker, self.found]

    def call(self, images):
        return self.encoder(images)

    def train_step(self, data):
        images = data[0] if isinstance(data, tuple) else data
        own = ops.arange(images.shape[0])  # the right partner of each

        def loss_fn():
            first, second = (
                ops.normalize(self.head(self.encoder(self.distort(images, training=True), training=True), training=True), axis=-1) for _ in range(2)
            )
            likeness = ops.matmul(first, ops.transpose(second)) / TEMPERATURE
            loss = ops.sparse_categorical_crossentropy(own, likeness, from_logits=True)
            back = ops.sparse_categorical_crossentropy(own, ops.transpose(likeness), from_logits=True)
            return ops.mean(loss + back) / 2, ops.mean(ops.cast(ops.equal(ops.argmax(likeness, -1), own), "float32"))

        weights = self.trainable_variables
        (loss, found), gradients = nyala.value_and_grad(loss_fn, weights)()
        self.optimizer.apply(gradients, weights)
        self.tracker.update_state(loss)
        self.found.update_state(found)
        return {metric.name: metric.result() for metric in self.metrics}


def neighbours(codes, labels, asked, truth, number=5):
    """Share of the asked that most of their nearest neighbours label rightly."""
    distances = ((asked[:, None] - codes[None]) ** 2).sum(-1)
    votes = labels[np.argsort(distances, 1)[:, :number]]
    return float(np.mean([np.bincount(row, minlength=10).argmax() == right for row, right in zip(votes, truth, strict=True)]))


def unit(codes):
    return codes / np.linalg.norm(codes, axis=1, keepdims=True)


def draw(codes, labels, path, title):
    """The codes on the plane in which they spread most."""
    centred = codes - codes.mean(0)
    plane = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
    figure, axis = pyplot.subplots(figsize=(6, 5))
    for digit in range(10):
        axis.scatter(*plane[labels == digit].T, s=8, color=COLOURS(digit), label=str(digit))
    axis.legend(title="digit", loc="center left", bbox_to_anchor=(1, 0.5))
    axis.set_title(title)
    save(figure, path)


def main(options=None):
    options = arguments(__doc__, "contrastive.png", options)
    nyala.utils.set_random_seed(0)
    (train, train_labels), (test, test_labels) = digits.load_data()
    train, test = train[..., None].astype("float32") / 16, test[..., None].astype("float32") / 16
    model = Contrastive()
    model.compile(nyala.optimizers.Adam(2e-3))
    history = model.fit(train, batch_size=256, epochs=1 if options.quick else 60, verbose=0).history
    moved = np.roll(test, 1, axis=2)  # one pixel to the right
    by_codes = neighbours(unit(model.predict(train)), train_labels, unit(model.predict(moved)), test_labels)
    by_pixels = neighbours(train.reshape(len(train), -1), train_labels, moved.reshape(len(moved), -1), test_labels)
    draw(unit(model.predict(test)), test_labels, options.picture, f"codes: {by_codes:.0%} of shifted digits found; pixels: {by_pixels:.0%}")
    print(f"loss {history['loss'][-1]:.2f}; shifted digits named by their neighbours: {by_codes:.1%} by codes, {by_pixels:.1%} by pixels", end="")
    print(f" -> {options.picture}")
    return {"loss": history["loss"], "by_codes": by_codes, "by_pixels": by_pixels}


if __name__ == "__main__":
    main()
