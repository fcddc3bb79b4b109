# SPDX-License-Identifier: Apache-2.0
"""Classification: a small convolutional network reads handwritten digits. Augmentation, callbacks, and where it errs.

    python examples/classification.py [--quick] [--picture classification.png]

The test accuracy stands beside that of a linear classifier trained in the same way, and of the nearest training image. Start at network.
Source: LeCun, Bottou, Bengio, Haffner 1998, Gradient-based learning applied to document recognition.
"""

import numpy as np
from drawing import arguments, pyplot, save

import nyala
from nyala import layers
from nyala.datasets import digits


def network():
    """Two convolutions; what only training does (shifts, dropout) is part of the model."""
    inputs = nyala.Input((8, 8, 1))
    x = layers.RandomTranslation(0.1, 0.1, fill_mode="constant")(inputs)
    for filters in (32, 64):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)  # few steps an epoch: its averages must follow faster
        x = layers.Activation("relu")(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)
    x = layers.Dropout(0.4)(x)
    return nyala.Model(inputs, layers.Dense(10, activation="softmax")(x), name="convolutions")


def linear():
    return nyala.Sequential([nyala.Input((8, 8, 1)), layers.Flatten(), layers.Dense(10, activation="softmax")], name="linear")


def train(model, data, epochs):
    """Fit until the validation accuracy has stopped rising, slower near the end; the best weights are kept."""
    patience = nyala.callbacks.EarlyStopping("val_accuracy", patience=15, restore_best_weights=True)
    slower = nyala.callbacks.ReduceLROnPlateau("val_loss", factor=0.3, patience=5)
    model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model.fit(*data, batch_size=64, epochs=epochs, validation_split=0.15, callbacks=[patience, slower], verbose=0).history


def nearest(images, labels, asked):
    """The label of the nearest training image."""
    flat, asked = images.reshape(len(images), -1), asked.reshape(len(asked), -1)
    return labels[((asked[:, None] - flat[None]) ** 2).sum(-1).argmin(1)]


def draw(histories, images, labels, probabilities, path):
    """Accuracy by epoch, which digit was taken for which, and every mistake."""
    figure = pyplot.figure(figsize=(14, 4.5), layout="constrained")
    curves, table, mistakes = figure.subfigures(1, 3, width_ratios=(1.1, 1, 1))
    axis = curves.subplots()
    for name, history in histories.items():
        line = axis.plot(history["val_accuracy"], label=f"{name}, validation")[0]
        axis.plot(history["accuracy"], "--", color=line.get_color(), label=f"{name}, training")
    axis.set(xlabel="epoch", ylabel="accuracy", ylim=(0.85, 1.005), title="Training")
    axis.legend(loc="lower right")

    guesses = probabilities.argmax(-1)
    confusion = np.zeros((10, 10), int)
    np.add.at(confusion, (labels, guesses), 1)
    axis = table.subplots()
    axis.imshow(np.log1p(confusion), cmap="Blues")
    for row, column in np.argwhere(confusion):
        axis.text(column, row, confusion[row, column], ha="center", va="center", color="white" if row == column else "black")
    axis.set(xlabel="read as", ylabel="is", xticks=range(10), yticks=range(10), title="Test images")

    wrong = np.flatnonzero(guesses != labels)
    wrong = wrong[np.argsort(-probabilities[wrong].max(-1))][:12]
    mistakes.suptitle("Mistakes, the surest first")
    for place, axis in enumerate(mistakes.subplots(3, 4).flat):
        axis.axis("off")
        if place < len(wrong):
            which = wrong[place]
            axis.imshow(images[which, :, :, 0], cmap="gray_r")
            axis.set_title(f"{labels[which]} read as {guesses[which]}", fontsize=9)
    save(figure, path)


def main(options=None):
    options = arguments(__doc__, "classification.png", options)
    nyala.utils.set_random_seed(0)
    (x, y), (x_test, y_test) = digits.load_data()
    x, x_test = x[..., None].astype("float32") / 16, x_test[..., None].astype("float32") / 16
    models = [network(), linear()]
    histories = {model.name: train(model, (x, y), 1 if options.quick else 100) for model in models}
    accuracy = {model.name: model.evaluate(x_test, y_test, verbose=0, return_dict=True)["accuracy"] for model in models}
    accuracy["nearest image"] = float(np.mean(nearest(x, y, x_test) == y_test))
    draw(histories, x_test, y_test, models[0].predict(x_test), options.picture)
    print("test accuracy:", ", ".join(f"{name} {value:.1%}" for name, value in accuracy.items()), f"-> {options.picture}")
    return accuracy


if __name__ == "__main__":
    main()
