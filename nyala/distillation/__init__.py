# SPDX-License-Identifier: Apache-2.0
"""Small models that learn from large ones. Start at distiller.py."""

from nyala.core.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "DistillationLoss": "nyala.distillation.losses:",
        "Distiller": "nyala.distillation.distiller:",
        "FeatureDistillation": "nyala.distillation.losses:",
        "LogitsDistillation": "nyala.distillation.losses:",
    },
)
