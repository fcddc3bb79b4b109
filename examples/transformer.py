# SPDX-License-Identifier: Apache-2.0
"""A small transformer that writes: it learns, character by character, the manual of the language it is written in, and goes on from a few words.

    python examples/transformer.py [--quick] [--picture transformer.png]

The text ships with Python (the module pydoc_data). Bits per character on unseen pages stand beside those of a table of what follows which three
characters. Start at transformer.
Source: Vaswani et al. 2017, Attention Is All You Need; Shannon 1951, Prediction and Entropy of Printed English.
"""

import collections
import math
import textwrap
from pydoc_data import topics

import numpy as np
from drawing import arguments, pyplot, save

import nyala
from nyala import layers, ops

LENGTH, WIDTH, HEADS, BLOCKS, BATCH = 64, 96, 4, 2, 32


class Positions(layers.Layer):
    """Adds a learned vector for each place in the text."""

    def build(self, input_shape):
        self.vectors = self.add_weight(shape=input_shape[1:], initializer="random_normal", name="vectors")

    def call(self, inputs):
        return inputs + self.vectors[: ops.shape(inputs)[1]]


def block(x):
    """Attention to what came before, then a network for each place; both add to what is there."""
    normed = layers.LayerNormalization()(x)
    x = x + layers.MultiHeadAttention(HEADS, WIDTH // HEADS, dropout=0.1)(normed, normed, use_causal_mask=True)
    normed = layers.LayerNormalization()(x)
    return x + layers.Dense(WIDTH)(layers.Dense(4 * WIDTH, activation="gelu")(normed))


def transformer(characters):
    """Numbers of characters (b, t) to logits of the next one (b, t, characters)."""
    inputs = nyala.Input((LENGTH,), dtype="int32")
    x = Positions()(layers.Embedding(characters, WIDTH)(inputs))
    for _ in range(BLOCKS):
        x = block(x)
    return nyala.Model(inputs, layers.Dense(characters)(layers.LayerNormalization()(x)))


def pages():
    """The manual without its tables, pages in an order of their own: (text to train on, text to test on)."""
    lines = ([line for line in topics.topics[name].splitlines() if not line.startswith(("|", "+"))] for name in sorted(topics.topics))
    texts = ["\n".join(page) for page in lines]
    np.random.default_rng(0).shuffle(texts)
    return "\n".join(texts[8:]), "\n".join(texts[:8])


def windows(numbers, stride):
    """Stretches of the text and the same one character later."""
    starts = np.arange(0, len(numbers) - LENGTH - 1, stride)[:, None]
    places = starts + np.arange(LENGTH)
    return numbers[places], numbers[places + 1]


def table_bits(train, test, characters, order=3):
    """Bits per character of the test text by counts of what followed the last characters, mixed with those of shorter stretches."""
    counts = [collections.defaultdict(collections.Counter) for _ in range(order + 1)]
    for place in range(order, len(train)):
        for size in range(order + 1):
            counts[size][tuple(train[place - size : place])][train[place]] += 1
    bits = 0.0
    for place in range(order, len(test)):
        chance = 1 / characters
        for size in range(order + 1):
            seen = counts[size].get(tuple(test[place - size : place]))
            if seen:
                total, kinds = seen.total(), len(seen)
                chance = (seen[test[place]] + kinds * chance) / (total + kinds)
        bits -= math.log2(chance)
    return bits / (len(test) - order)


def write(model, alphabet, start, length, temperature=0.5, seed=0):
    """Go on from the start, one character at a time, drawn by the probabilities to the power of 1 / temperature."""
    random, numbers = np.random.default_rng(seed), [alphabet.index(one) for one in start]
    for _ in range(length):
        heard = numbers[-LENGTH:]
        padded = np.array([heard + [0] * (LENGTH - len(heard))], "int32")  # what comes later cannot be seen
        logits = model.predict_on_batch(padded)[0, len(heard) - 1].astype("float64") / temperature
        chances = np.exp(logits - logits.max())
        numbers.append(int(random.choice(len(chances), p=chances / chances.sum())))
    return "".join(alphabet[number] for number in numbers)


def draw(history, table, text, path):
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(13, 5), layout="constrained")
    epochs = range(1, 1 + len(history["loss"]))
    left.plot(epochs, np.array(history["loss"]) / math.log(2), "o-", label="transformer, training")
    left.plot(epochs, np.array(history["val_loss"]) / math.log(2), "o-", label="transformer, unseen pages")
    left.axhline(table, color="black", linestyle="--", label="table of three characters, unseen pages")
    left.set(xlabel="epoch", ylabel="bits per character", xticks=epochs, title="Python's manual, character by character")
    left.legend()
    right.axis("off")
    right.set_title("What it writes")
    lines = [part for line in text.splitlines() for part in textwrap.wrap(line, 80) or [""]]
    right.text(0, 1, "\n".join(lines[:32]), family="monospace", fontsize=8, va="top", parse_math=False, in_layout=False, transform=right.transAxes)
    save(figure, path)


def main(options=None):
    options = arguments(__doc__, "transformer.png", options)
    nyala.utils.set_random_seed(0)
    train, test = pages()
    if options.quick:
        train, test = train[:2000], test[:700]
    alphabet = sorted(set(train + test))
    number = {character: place for place, character in enumerate(alphabet)}
    train, test = (np.array([number[character] for character in text], "int32") for text in (train, test))
    x, y = windows(train, stride=LENGTH // 2)
    epochs = 1 if options.quick else 4
    model = transformer(len(alphabet))
    steps = epochs * math.ceil(len(x) / BATCH)
    rate = nyala.optimizers.schedules.CosineDecay(0.0, steps, warmup_target=3e-3, warmup_steps=steps // 10)
    model.compile(nyala.optimizers.AdamW(rate, weight_decay=0.01), loss=nyala.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = model.fit(x, y, batch_size=BATCH, epochs=epochs, validation_data=windows(test, stride=LENGTH), verbose=0).history
    bits, table = history["val_loss"][-1] / math.log(2), table_bits(train.tolist(), test.tolist(), len(alphabet))
    text = write(model, alphabet, "The statement ", 40 if options.quick else 900)
    draw(history, table, text, options.picture)
    print(f"{text}\n\nbits per character of unseen pages: transformer {bits:.2f}, table of three characters {table:.2f} -> {options.picture}")
    return {"bits": bits, "table": table}


if __name__ == "__main__":
    main()
