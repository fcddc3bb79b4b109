# SPDX-License-Identifier: Apache-2.0
"""Small data sets, one module each with a `load_data()`.

Nothing here knows an engine or a layer: data sets are NumPy arrays.
Start at digits, which ships inside the package; the others are got from their makers' servers, or from a folder or address
that NYALA_DATASETS_MIRROR names, and info() lists them all. Hashes are checked and nothing in a file is run: no pickle is loaded.
"""

from nyala.core.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "boston_housing": "nyala.datasets.boston_housing",
        "california_housing": "nyala.datasets.california_housing",
        "cifar10": "nyala.datasets.cifar10",
        "cifar100": "nyala.datasets.cifar100",
        "digits": "nyala.datasets.digits",
        "fashion_mnist": "nyala.datasets.fashion_mnist",
        "imdb": "nyala.datasets.imdb",
        "mnist": "nyala.datasets.mnist",
        "reuters": "nyala.datasets.reuters",
        "info": "nyala.datasets.official:",
    },
)
