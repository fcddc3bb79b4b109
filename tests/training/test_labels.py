# SPDX-License-Identifier: Apache-2.0
"""Labels that an output has no unit for: said once, before training, unless they do not count."""

import warnings

import numpy as np
import pytest

import nyala
from tests.training.tools import IDS, X, linear

SPARSE = "sparse_categorical_crossentropy"
UNITS = "its 5 units are for labels from 0 to 4, and others count as no class at all, with a loss of 0"
BEFORE = "the targets of the output 'out' go from"

# loss, units, y, what is said
STRANGE = {
    "counted from 1": (SPARSE, 5, IDS + 1, f"{BEFORE} 1 to 5: {UNITS}; count labels from 0: y - 1"),
    "more classes than units": (SPARSE, 5, np.r_[0, 6, IDS[2:]], f"{BEFORE} 0 to 6: {UNITS}; make 7 units"),
    "below zero": (SPARSE, 5, np.r_[-1, 4, IDS[2:]], f"{BEFORE} -1 to 4: {UNITS}; say ignore_class= in the loss"),
    "ids for binary": (
        "binary_crossentropy",
        1,
        np.r_[0, 4, IDS[2:]],
        f"{BEFORE} 0 to 4: binary_crossentropy is for targets from 0 to 1; for class ids use {SPARSE} and one unit for each class",
    ),
    "signs": ("binary_crossentropy", 1, np.sign(X[:, 0]), f"{BEFORE} -1 to 1: binary_crossentropy is for targets from 0 to 1; pass (y + 1) / 2"),
}


def heard(loss, units, y, **kwargs):
    """What fit warns of."""
    model = linear(units, "softmax" if units > 1 else "sigmoid")
    model.compile("sgd", loss)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y, verbose=0, **kwargs)
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize("name", STRANGE)
def test_strange_labels_are_said(name, eager):
    *given, text = STRANGE[name]
    assert heard(*given) == [text]


def test_labels_that_do_not_count_may_be_anything(eager):
    y = np.r_[-1, 9, IDS[2:]]
    weight = np.r_[0, 0, np.ones(9)]
    assert heard(SPARSE, 5, y, sample_weight=weight) == []
    assert heard(SPARSE, 5, y, sample_weight=weight[::-1].copy()) != []
    assert heard(nyala.losses.SparseCategoricalCrossentropy(ignore_class=9), 5, np.where(y < 0, 9, y)) == []
    assert heard(SPARSE, 5, IDS) == heard("binary_crossentropy", 1, IDS > 2) == heard("mse", 1, IDS) == []
