# SPDX-License-Identifier: Apache-2.0
"""Models: Sequential, Functional, Model and copies of them."""

from nyala.core.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "Functional": "nyala.models.functional:",
        "Model": "nyala.models.model:",
        "Sequential": "nyala.models.sequential:",
        "clone_model": "nyala.models.cloning:",
        "load_model": "nyala.saving.models:",
        "model_from_json": "nyala.models.serialization:",
        "save_model": "nyala.saving.models:",
    },
)
