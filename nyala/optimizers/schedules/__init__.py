# SPDX-License-Identifier: Apache-2.0
"""Learning rates that follow the number of steps. Start at schedule.py."""

from nyala.core.lazy import lazy

_FILES = {
    "schedule": ("LearningRateSchedule", "deserialize", "serialize"),
    "cosine": ("CosineDecay", "CosineDecayRestarts"),
    "decay": ("ExponentialDecay", "InverseTimeDecay", "PiecewiseConstantDecay", "PolynomialDecay"),
}

__getattr__, __dir__, __all__ = lazy(__name__, {name: f"{__name__}.{file}:" for file, names in _FILES.items() for name in names})
