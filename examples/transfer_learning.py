# SPDX-License-Identifier: Apache-2.0
"""Transfer learning: a network that has learned to see is asked something new with few images. Features in NumPy, fine-tuning, Grad-CAM.

    python examples/transfer_learning.py [--quick] [--picture transfer_learning.png]

To run offline, the MobileNet of this example is not the one trained on ImageNet: it learns here, in half a minute, to read digits somewhere on a
coloured ground. Then it is asked which of them have a hole, with 200 images to learn from. With base("imagenet") it comes trained; the rest stays.
So this shows how it is done, and that what was learned for one question helps with a related one (52% before, 80% after), not how far ImageNet
carries; and maps of 6 x 6 places in so small a network point at the hole in some images and beside it in others. Start at taught.
Source: Yosinski, Clune, Bengio, Lipson 2014, How transferable are features in deep neural networks?; Selvaraju et al. 2017, Grad-CAM.
"""

import numpy as np
from drawing import arguments, pyplot, save

import nyala
from nyala import layers, ops
from nyala.applications import MobileNet, mobilenet
from nyala.datasets import digits

SIZE, DIGIT = 48, 28  # pixels of a side
HOLES = (0, 6, 8, 9)  # 4 is written with and without, and left out
FEW = 200  # images with an answer to the new question
MAPS = "conv_pw_5_relu"  # the layer whose maps are looked at: 6 x 6 places
ANSWERS = ("no hole", "a hole")


def base(weights=None):
    """A network that makes 256 features of an image."""
    network = MobileNet(alpha=0.25, include_top=False, pooling="avg", weights=weights, input_shape=(SIZE, SIZE, 3))
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.9  # few steps here: its averages must follow faster
    return network


def learned(network, images, labels, epochs):
    """Teach the network itself from the beginning, with a top that is thrown away."""
    model = nyala.Sequential([network, layers.Dense(10, activation="softmax")])
    rate = nyala.optimizers.schedules.CosineDecay(3e-3, epochs * len(images) // 64)
    model.compile(nyala.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    model.fit(images, labels, batch_size=64, epochs=epochs, verbose=0)


def taught(network, images, labels, epochs):
    """A frozen network with a new top, trained. Its averages of normalization will stay when it is fine-tuned, too: training=False."""
    network.trainable = False
    inputs = nyala.Input((SIZE, SIZE, 3))
    outputs = layers.Dense(2, activation="softmax", name="answer")(network(inputs, training=False))
    model = nyala.Model(inputs, outputs)
    model.compile(nyala.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    model.fit(images, labels, batch_size=20, epochs=epochs, verbose=0)
    return model


def tuned(model, network, images, labels, epochs):
    """Go on with the network, too, at a low rate: what it knows is to stay."""
    network.trainable = True
    model.compile(nyala.optimizers.Adam(1e-4), "sparse_categorical_crossentropy")
    model.fit(images, labels, batch_size=20, epochs=epochs, verbose=0)
    return model


def nearest_mean(known, labels, asked):
    """The answer whose known features have the nearest mean: with features, NumPy is enough."""
    means = np.stack([known[labels == answer].mean(0) for answer in range(len(ANSWERS))])
    return ((asked[:, None] - means) ** 2).sum(-1).argmin(1)


def grad_cam(network, top, images):
    """How much each place of MAPS speaks for the answer: the maps, weighted by the mean gradient of the answer's score by them. (b, h, w), 0 to 1."""
    seen = network.get_layer(MAPS).output
    maps = nyala.Variable(nyala.Model(network.input, seen).predict(images, verbose=0))
    rest = nyala.Model(seen, network.output)
    kernel, bias = (weight.numpy() for weight in top.weights)

    def score():
        scores = ops.add(ops.matmul(rest(maps, training=False), kernel), bias)  # before softmax, which hides the others
        return ops.sum(ops.max(scores, axis=-1))

    (slope,) = nyala.jit(nyala.grad(score, [maps]))()
    weights = np.mean(ops.convert_to_numpy(slope), axis=(1, 2), keepdims=True)  # b 1 1 c
    spoken = np.maximum((weights * maps.numpy()).sum(-1), 0)
    return spoken / np.maximum(spoken.max((1, 2), keepdims=True), 1e-9)


def scenes(images, seed):
    """Each digit of 8 x 8 somewhere on a coloured ground, with pixels from 0 to 255."""
    random, number = np.random.default_rng(seed), len(images)
    ink = ops.convert_to_numpy(ops.image.resize(images[..., None].astype("float32") / 16, (DIGIT, DIGIT)))
    blots = random.uniform(0.1, 0.45, (number, 6, 6, 3)).astype("float32")
    scene = ops.convert_to_numpy(ops.image.resize(blots, (SIZE, SIZE))).copy()
    colour = random.uniform(0.8, 1.0, (number, 1, 1, 3))
    for i, (top, left) in enumerate(random.integers(0, SIZE - DIGIT + 1, (number, 2))):
        place = scene[i, top : top + DIGIT, left : left + DIGIT]
        place += ink[i] * (colour[i] - place)
    return 255 * scene


def draw(accuracies, images, places, answers, path):
    """The accuracies, and images under what the network looked at."""
    figure = pyplot.figure(figsize=(13, 3.4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.3))
    axis = left.subplots()
    axis.bar_label(axis.barh(list(accuracies), list(accuracies.values())), fmt="{:.0%}", padding=3)
    axis.set(xlim=(0, 1.15), xlabel="accuracy on new images", title=f"Is there a hole? {FEW} images to learn from")
    axis.invert_yaxis()
    for axes, image, place, answer in zip(right.subplots(2, len(images)).T, images, places, answers, strict=True):
        for axis in axes:
            axis.imshow(image / 255, extent=(0, 1, 0, 1))
            axis.axis("off")
        axes[0].set_title(ANSWERS[answer])
        axes[1].imshow(place, cmap="inferno", alpha=0.65, extent=(0, 1, 0, 1), interpolation="bicubic", vmin=0, vmax=1)
    right.suptitle("Where the answer comes from (Grad-CAM)")
    save(figure, path)


def main(options=None):
    options = arguments(__doc__, "transfer_learning.png", options)
    quick = options.quick
    nyala.utils.set_random_seed(0)
    (images, labels), (test_images, test_labels) = digits.load_data()
    number, times, epochs = (64, 1, 1) if quick else (1408, 3, 15)
    clear, asked = np.flatnonzero(labels != 4)[:FEW], test_labels != 4
    known, answers = scenes(images[clear], 1), np.isin(labels[clear], HOLES).astype("int32")
    test, wanted = scenes(test_images[asked], 2), np.isin(test_labels[asked], HOLES)
    first = mobilenet.preprocess_input(scenes(np.tile(images[:number], (times, 1, 1)), 3))
    known_input, test_input = mobilenet.preprocess_input(known), mobilenet.preprocess_input(test)

    network, found = base(), {}
    found["nearest mean, before it learned"] = nearest_mean(network.predict(known_input, verbose=0), answers, network.predict(test_input, verbose=0))
    learned(network, first, np.tile(labels[:number], times), epochs)
    features = network.predict(known_input, verbose=0)  # n 256, NumPy
    found["nearest mean of its features"] = nearest_mean(features, answers, network.predict(test_input, verbose=0))
    model = taught(network, known_input, answers, 1 if quick else 40)
    found["a new top"] = model.predict(test_input, verbose=0).argmax(1)
    tuned(model, network, known_input, answers, 1 if quick else 20)
    found["then fine-tuned"] = model.predict(test_input, verbose=0).argmax(1)
    places = grad_cam(network, model.get_layer("answer"), test_input[:6])

    accuracies = {name: float(np.mean(said == wanted)) for name, said in found.items()}
    draw(accuracies, test[:6], places, found["then fine-tuned"][:6], options.picture)
    print(", ".join(f"{name} {value:.3f}" for name, value in accuracies.items()), f"-> {options.picture}")
    return {**accuracies, "places": places}


if __name__ == "__main__":
    main()
