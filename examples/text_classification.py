# SPDX-License-Identifier: Apache-2.0
"""Text classification: an LSTM tells praise from blame where the order of the words decides. Strings go in; the vocabulary is part of the model.

    python examples/text_classification.py [--quick] [--picture text_classification.png]

The reviews come from a grammar with negation and concession, so a classifier that only sees which words occur stays behind. Start at recurrent.
Source: Hochreiter, Schmidhuber 1997, Long Short-Term Memory.
"""

import numpy as np
from drawing import arguments, pyplot, save

import nyala
from nyala import layers

GOOD = ["good", "great", "wonderful", "moving", "clever", "funny", "charming", "brilliant", "gripping", "fine"]
BAD = ["bad", "dull", "awful", "clumsy", "boring", "tedious", "bland", "silly", "lifeless", "poor"]
THINGS = ["film", "book", "play", "song", "story", "concert", "novel", "show"]
PARTS = ["the plot", "the music", "the ending", "the cast", "the dialogue", "the first half", "the title"]
PLAIN = ["{thing} was {word}", "i found {thing} {word}", "{thing} struck me as {word}", "everyone calls {thing} {word}"]
NEGATED = ["{thing} was not {word}", "nobody would call {thing} {word}", "{thing} was anything but {word}", "i never found {thing} {word}"]
SHOWN = (
    "they say that the plot was great but i never found the novel funny",
    "although nobody would call the ending clever the film was anything but dull",
)
JOINED = [  # of what is meant (0) and what is granted (1)
    "{0} although {1}", "although {1} {0}", "they say that {1} but {0}", "{1} however in the end {0}", "{0} and i do not care that {1}",
]  # fmt: skip


def clause(random, thing, praise):
    """Words that praise or blame a thing, directly or by denying the opposite."""
    negated = random.random() < 0.4
    word = random.choice(GOOD if praise != negated else BAD)
    return random.choice(NEGATED if negated else PLAIN).format(thing=thing, word=word)


def reviews(number, seed):
    """Different sentences with 1 for praise, 0 for blame of the thing they are about."""
    random, found = np.random.default_rng(seed), {}
    while len(found) < number:
        praise = len(found) % 2 == 0
        text = clause(random, "the " + random.choice(THINGS), praise)
        if random.random() < 0.8:
            granted = praise if random.random() < 0.3 else not praise
            text = random.choice(JOINED).format(text, clause(random, random.choice(PARTS), granted))
        found[text] = float(praise)
    return np.array(list(found)), np.array(list(found.values()), "float32")[:, None]


def with_beginnings(texts, labels):
    """The sentences, and the first words of each with the same label: what has not been decided yet should be even odds."""
    random = np.random.default_rng(2)
    cut = [" ".join(words[: random.integers(1, len(words))]) for words in map(str.split, texts)]
    return np.concatenate([texts, cut]), np.concatenate([labels, labels])


def recurrent(texts):
    """Words to numbers, numbers to vectors, vectors one after the other into an LSTM. The mask hides what fills short sentences up."""
    words = layers.TextVectorization(output_sequence_length=24)
    words.adapt(texts)
    inputs = nyala.Input((), dtype="string")
    x = layers.Embedding(words.vocabulary_size(), 24, mask_zero=True)(words(inputs))
    x = layers.LSTM(48)(x)
    x = layers.Dropout(0.2)(x)
    return nyala.Model(inputs, layers.Dense(1, activation="sigmoid")(x), name="lstm")


def bag_of_words(texts):
    """Which words occur, wherever: a linear classifier."""
    words = layers.TextVectorization(output_mode="multi_hot")
    words.adapt(texts)
    return nyala.Sequential([nyala.Input((), dtype="string"), words, layers.Dense(1, activation="sigmoid")], name="bag_of_words")


def draw(histories, model, sentences, path):
    """Accuracy by epoch; and what the LSTM thinks after each word of a few sentences."""
    figure = pyplot.figure(figsize=(14, 5), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.5))
    axis = left.subplots()
    for name, history in histories.items():
        axis.plot(range(1, 1 + len(history["val_accuracy"])), history["val_accuracy"], label=name.replace("_", " "))
    axis.set(xlabel="epoch", ylabel="accuracy on new sentences", ylim=(0.45, 1.02), title="Order matters")
    axis.legend()
    right.suptitle("Probability of praise after each word")
    for axis, sentence in zip(right.subplots(len(sentences), 1), sentences, strict=True):
        words = sentence.split()
        heard = np.array([" ".join(words[: n + 1]) for n in range(len(words))])
        chance = model.predict(heard)[:, 0]
        axis.bar(range(len(words)), chance - 0.5, bottom=0.5, color=np.where(chance > 0.5, "tab:blue", "tab:red"), width=0.7)
        axis.axhline(0.5, color="gray", linewidth=0.5)
        axis.set(ylim=(0, 1), yticks=(0, 0.5, 1), ylabel="praise", xticks=range(len(words)))
        axis.set_xticklabels(words, fontsize=8, rotation=20)
    save(figure, path)


def main(options=None):
    options = arguments(__doc__, "text_classification.png", options)
    nyala.utils.set_random_seed(0)
    texts, labels = reviews(300 if options.quick else 5000, seed=1)
    order = np.random.default_rng(0).permutation(len(texts))
    known = order[len(order) // 5 :]
    test, train = (texts[order[: -len(known)]], labels[order[: -len(known)]]), with_beginnings(texts[known], labels[known])
    histories, accuracy = {}, {}
    models = [recurrent(train[0]), bag_of_words(train[0])]
    for model in models:
        model.compile(nyala.optimizers.Adam(3e-3), loss="binary_crossentropy", metrics=["accuracy"])
        histories[model.name] = model.fit(*train, batch_size=64, epochs=1 if options.quick else 8, validation_data=test, verbose=0).history
        accuracy[model.name] = histories[model.name]["val_accuracy"][-1]
    draw(histories, models[0], SHOWN, options.picture)
    print("accuracy on new sentences:", ", ".join(f"{name} {value:.1%}" for name, value in accuracy.items()), f"-> {options.picture}")
    return accuracy


if __name__ == "__main__":
    main()
