# SPDX-License-Identifier: Apache-2.0
"""Sequence to sequence with attention: dates as people write them become dates as machines do, letter by letter.

    python examples/translation.py [--quick] [--picture translation.png]

The picture shows where the network looks in the input while it writes each letter. Start at networks.
Source: Bahdanau, Cho, Bengio 2014, Neural Machine Translation by Jointly Learning to Align and Translate.
"""

import calendar
import datetime

import numpy as np
from drawing import arguments, pyplot, save

import nyala
from nyala import layers

FORMS = (
    "{d} {month} {y}", "{month} {d}, {y}", "{day}, {d} {mon} {y}", "the {d}{th} of {month} {y}",
    "{mon} {d} '{yy}", "{d}.{m}.{y}", "{day} {d}/{m}/{yy}",
)  # fmt: skip
START, LONGEST, WRITTEN, WIDTH = "^", 32, 10, 64


def spelled(date, form):
    """The date in one of the forms. Two digits of a year mean 1950 to 2049."""
    ending = "th" if 10 < date.day < 20 else {1: "st", 2: "nd", 3: "rd"}.get(date.day % 10, "th")
    month, day = calendar.month_name[date.month], calendar.day_name[date.weekday()]
    return form.format(d=date.day, m=date.month, y=date.year, yy=f"{date.year % 100:02}", month=month, mon=month[:3], day=day, th=ending).lower()


def pairs(number, seed):
    """Dates as people write them, each once, and as 1987-05-03."""
    random, found = np.random.default_rng(seed), {}
    first, last = datetime.date(1950, 1, 1).toordinal(), datetime.date(2049, 12, 31).toordinal()
    while len(found) < number:
        date = datetime.date.fromordinal(int(random.integers(first, last + 1)))
        found[spelled(date, FORMS[random.integers(len(FORMS))])] = date.isoformat()
    return np.array(list(found)), np.array(list(found.values()))


def letters(texts, length):
    """A layer that turns texts into numbers of letters, 0 where a text has ended."""
    layer = layers.TextVectorization(standardize=None, split="character", output_sequence_length=length)
    layer.adapt(texts)
    return layer


def networks(read, write):
    """The model to train, from input letters and those written so far to the next ones; and the same one with its scores of attention."""
    source, written = nyala.Input((LONGEST,), dtype="int32", name="source"), nyala.Input((WRITTEN,), dtype="int32", name="written")
    heard = layers.Embedding(read.vocabulary_size(), 32, mask_zero=True)(source)
    heard = layers.Bidirectional(layers.GRU(WIDTH // 2, return_sequences=True))(heard)
    said = layers.Embedding(write.vocabulary_size(), 32)(written)
    said = layers.GRU(WIDTH, return_sequences=True)(said)
    found, scores = layers.AdditiveAttention()([said, heard], return_attention_scores=True)
    both = layers.Dense(WIDTH, activation="tanh")(layers.Concatenate()([said, found]))
    logits = layers.Dense(write.vocabulary_size())(both)
    return nyala.Model([source, written], logits), nyala.Model([source, written], [logits, scores])


def translate(model, write, source):
    """Write letter by letter, each time the likeliest one."""
    said = np.zeros((len(source), WRITTEN + 1), "int32")
    said[:, 0] = write.get_vocabulary().index(START)
    for place in range(WRITTEN):
        said[:, place + 1] = model.predict([source, said[:, :-1]])[:, place].argmax(-1)
    vocabulary = np.array(write.get_vocabulary())
    return said, np.array(["".join(row) for row in vocabulary[said[:, 1:]]])


def draw(history, texts, answers, scores, path):
    figure = pyplot.figure(figsize=(15, 6), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 2.6))
    axis = left.subplots()
    epochs = range(1, 1 + len(history["accuracy"]))
    axis.plot(epochs, history["accuracy"], "o-", markersize=3, label="training")
    axis.plot(epochs, history["val_accuracy"], "o-", markersize=3, label="new dates")
    axis.set(xlabel="epoch", ylabel="letters right, given those before", title="Training")
    axis.legend(loc="lower right")
    right.suptitle("Where it looks in the input (across) while it writes each letter (down)")
    for axis, text, answer, score in zip(right.subplots(2, 2).flat, texts, answers, scores, strict=True):
        axis.imshow(score[:, : len(text)], cmap="Blues", vmin=0, aspect="auto")
        axis.set_xticks(range(len(text)), text)
        axis.set_yticks(range(WRITTEN), answer)
        axis.tick_params(length=0)
    save(figure, path)


def main(options=None):
    options = arguments(__doc__, "translation.png", options)
    nyala.utils.set_random_seed(0)
    texts, answers = pairs(200 if options.quick else 9000, seed=1)
    read, write = letters(texts, LONGEST), letters([START, *answers], WRITTEN)
    source, target = np.asarray(read(texts), "int32"), np.asarray(write(answers), "int32")
    before = np.asarray(write([START + answer[:-1] for answer in answers]), "int32")  # what has been written when a letter is due
    known = int(0.9 * len(texts))
    model, looking = networks(read, write)
    model.compile(nyala.optimizers.Adam(4e-3), loss=nyala.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    slower = nyala.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.8)
    history = model.fit(
        [source[:known], before[:known]], target[:known], batch_size=64, epochs=1 if options.quick else 12,
        validation_data=([source[known:], before[known:]], target[known:]), callbacks=[slower], verbose=0,
    ).history  # fmt: skip

    said, guesses = translate(model, write, source[known:])
    right = float(np.mean(guesses == answers[known:]))
    shown = ["saturday, 3 may 1987", "the 22nd of november 2026", "dec 31 '99", "7.8.2014"]
    asked = np.asarray(read(shown), "int32")
    said, spoken = translate(model, write, asked)
    draw(history, shown, spoken, looking.predict([asked, said[:, :-1]])[1], options.picture)
    examples = "; ".join(f"{text} = {answer}" for text, answer in zip(shown, spoken, strict=True))
    print(f"{right:.1%} of new dates right in every letter; {examples} -> {options.picture}")
    return {"right": right, "accuracy": history["val_accuracy"]}


if __name__ == "__main__":
    main()
