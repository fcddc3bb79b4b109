# SPDX-License-Identifier: Apache-2.0
"""The names of `optimizers.legacy`, which are the optimizers themselves: those take `lr` and `decay` as well."""

from nyala.core.lazy import lazy

_FILES = {
    "adadelta": "Adadelta",
    "adagrad": "Adagrad",
    "adam": "Adam",
    "adamax": "Adamax",
    "ftrl": "Ftrl",
    "nadam": "Nadam",
    "optimizer": "Optimizer",
    "rmsprop": "RMSprop",
    "sgd": "SGD",
}

__getattr__, __dir__, __all__ = lazy(__name__, {name: f"nyala.optimizers.{file}:" for file, name in _FILES.items()})
