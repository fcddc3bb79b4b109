# SPDX-License-Identifier: Apache-2.0
"""Prices of homes in California in 1990. Start at load_data."""

from __future__ import annotations

from nyala.datasets.official import fetch
from nyala.datasets.tables import Splits, load_table
from nyala.layers.arguments import as_choice

NUM_ROWS = {"small": 600, "large": None}


def load_data(version: str = "large", path: str = "california_housing.npz", test_split: float = 0.2, seed: int | None = 113) -> Splits:
    """20,640 districts, or 600 around San Francisco Bay, as `((x_train, y_train), (x_test, y_test))`; a download of 0.7 MB.

    Args:
        version: "large" for all, "small" for the first 600.
        path: name of the file in the folder of data sets, or a path.
        test_split: share of the rows to test on, from 0 to below 1.
        seed: of the order of the rows.
    Returns: columns (n, 8) - longitude, latitude, age, rooms, bedrooms, people, households, income - and median prices in dollars (n,), twice.
    Source: R. K. Pace, R. Barry, 1997, Sparse spatial autoregressions. Licence: not stated.
    """
    most = NUM_ROWS[as_choice("california_housing.load_data(version)", version, tuple(NUM_ROWS))]
    return load_table("california_housing.load_data", fetch("california_housing", path=path), 8, test_split, seed, most)
