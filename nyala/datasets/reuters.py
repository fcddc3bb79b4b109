# SPDX-License-Identifier: Apache-2.0
"""Reuters: short news of 46 topics. Start at load_data."""

from __future__ import annotations

from nyala.datasets.official import fetch
from nyala.datasets.sequences import Options, prepare, read_texts, word_index
from nyala.datasets.tables import Splits, generator, shuffled, split
from nyala.layers.arguments import as_fraction

LABELS = (
    "cocoa", "grain", "veg-oil", "earn", "acq", "wheat", "copper", "housing", "money-supply", "coffee", "sugar", "trade", "reserves", "ship",
    "cotton", "carcass", "crude", "nat-gas", "cpi", "money-fx", "interest", "gnp", "meal-feed", "alum", "oilseed", "gold", "tin",
    "strategic-metal", "livestock", "retail", "ipi", "iron-steel", "rubber", "heat", "jobs", "lei", "bop", "zinc", "orange", "pet-chem", "dlr",
    "gas", "silver", "wpi", "hog", "lead",
)  # fmt: skip


def load_data(
    path: str = "reuters.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int | None = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int | None = 3,
) -> Splits:
    """11,228 news as `((x_train, y_train), (x_test, y_test))`; a download of 2 MB.

    News are lists of numbers of words, and the arguments are those of imdb.load_data.

    Args:
        test_split: share of the news to test on.
    Returns: lists (n,) and int64 labels (n,), numbers of get_label_names(), twice.
    Source: D. D. Lewis, Reuters-21578 text categorization test collection. Licence: for research only.
    """
    where = "reuters.load_data"
    options = Options(num_words, skip_top, maxlen, start_char, oov_char, index_from).check(where)
    as_fraction(f"{where}(test_split)", test_split)
    random = generator(where, seed)
    [pair] = read_texts(fetch("reuters", path=path), where, ("x", "y"))
    [(x, y)] = prepare(where, options, shuffled(random, *pair))
    return split(x, y, test_split)


def get_word_index(path: str = "reuters_word_index.json") -> dict[str, int]:
    """The number of each word before index_from is added, from 1; a download of 0.6 MB.

    Args:
        path: name of the file in the folder of data sets, or a path.
    """
    return word_index("reuters", path)


def get_label_names() -> tuple[str, ...]:
    """The topic of each label.

    >>> get_label_names()[3:6]
    ('earn', 'acq', 'wheat')
    """
    return LABELS
