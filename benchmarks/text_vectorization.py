# SPDX-License-Identifier: Apache-2.0
"""How many words a second TextVectorization reads on one core: to learn a vocabulary, and to vectorize batches.

    python benchmarks/text_vectorization.py
    python benchmarks/text_vectorization.py --library keras   the same on Keras, in an environment that has it and TensorFlow

Prints one line per task: the median and the best of several rounds. Words are drawn as in a language, few often and many seldom.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import time
from collections.abc import Callable

import numpy as np

TEXTS, WORDS, VOCABULARY, BATCH, ROUNDS = 2048, 120, 50000, 256, 5


def texts() -> list[str]:
    """Texts with capitals and punctuation."""
    random = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlu"))
    known = ["".join(random.choice(letters, size=size)) for size in random.integers(1, 11, size=VOCABULARY)]
    ranks = np.minimum(random.zipf(1.2, size=(TEXTS, WORDS)) - 1, VOCABULARY - 1)
    return [" ".join(known[i] for i in row).capitalize() + "." for row in ranks]


def rate(task: Callable[[], object]) -> tuple[float, float]:
    """Median and best million words a second."""
    task()
    rates = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        task()
        rates.append(TEXTS * WORDS / (time.perf_counter() - start) / 1e6)
    return statistics.median(rates), max(rates)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", default="nyala")
    library = importlib.import_module(parser.parse_args().library)
    data = texts()
    batches = [np.array(data[i : i + BATCH], dtype=object) for i in range(0, TEXTS, BATCH)]
    for mode, options in {"int": {"output_sequence_length": 128}, "int, longest": {}, "count": {}, "tf_idf": {}}.items():
        layer = library.layers.TextVectorization(20000, output_mode=mode.partition(",")[0], **options)
        if mode == "int":
            median, best = rate(lambda layer=layer: layer.adapt(np.array(data, dtype=object)))
            print(f"adapt          {median:6.2f} million words/s (best {best:.2f})", flush=True)
        layer.adapt(np.array(data, dtype=object))
        median, best = rate(lambda layer=layer: [layer(batch) for batch in batches])
        print(f"{mode:14} {median:6.2f} million words/s (best {best:.2f})", flush=True)


if __name__ == "__main__":
    main()
