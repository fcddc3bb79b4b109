# SPDX-License-Identifier: Apache-2.0
"""Optimizers: rules that move variables against their gradients. One file per family; start at optimizer.py, then sgd.py."""

from nyala.core.lazy import lazy

_FILES = {
    "optimizer": ("Optimizer",),
    "adadelta": ("Adadelta",),
    "adafactor": ("Adafactor",),
    "adagrad": ("Adagrad",),
    "adam": ("Adam", "AdamW"),
    "adamax": ("Adamax",),
    "ftrl": ("Ftrl",),
    "lamb": ("Lamb",),
    "lion": ("Lion",),
    "loss_scale": ("LossScaleOptimizer",),
    "multi_optimizer": ("MultiOptimizer", "OptimizerMap"),
    "muon": ("Muon",),
    "nadam": ("Nadam",),
    "native": ("NativeOptimizer",),
    "rmsprop": ("RMSprop",),
    "schedule_free": ("ScheduleFreeAdamW",),
    "sgd": ("SGD",),
    "serialization": ("deserialize", "get", "serialize"),
}

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        **{name: f"{__name__}.{file}:" for file, names in _FILES.items() for name in names},
        "legacy": f"{__name__}.legacy",
        "schedules": f"{__name__}.schedules",
    },
)

_OF_OTHERS = ("LossScaleOptimizer", "MultiOptimizer", "OptimizerMap", "NativeOptimizer")  # made of other optimizers
CLASSES = sorted(name for name in __all__ if name[0].isupper() and name not in ("Optimizer", *_OF_OTHERS))
ALIASES = {name.lower(): name for name in [*CLASSES, *_OF_OTHERS[:2]]}  # strings are taken in any case
