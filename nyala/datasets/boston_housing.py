# SPDX-License-Identifier: Apache-2.0
"""Prices of homes around Boston in 1970. Start at load_data."""

from __future__ import annotations

from nyala.datasets.official import fetch
from nyala.datasets.tables import Splits, load_table


def load_data(path: str = "boston_housing.npz", test_split: float = 0.2, seed: int | None = 113) -> Splits:
    """506 towns and suburbs as `((x_train, y_train), (x_test, y_test))`; a download of 57 kB.

    One of the 13 columns is built on the share of Black residents, as if that explained prices: use california_housing to learn with.

    Args:
        path: name of the file in the folder of data sets, or a path.
        test_split: share of the rows to test on, from 0 to below 1.
        seed: of the order of the rows.
    Returns: float64 columns (n, 13) and prices in 1000 dollars (n,), twice.
    Source: D. Harrison, D. L. Rubinfeld, 1978, Hedonic housing prices and the demand for clean air. Licence: not stated.
    """
    return load_table("boston_housing.load_data", fetch("boston_housing", path=path), 13, test_split, seed)
