# SPDX-License-Identifier: Apache-2.0
"""Nyala: a high-level neural-network library, the Keras API over array engines that others keep.

`import nyala as keras` is how most programs start. Nothing heavy is imported before it is used. Start at docs/design.md.
"""

from typing import Any

from nyala.core.lazy import lazy

__version__ = "0.1.0"

_PACKAGES = (
    "activations", "applications", "backend", "callbacks", "config", "constraints", "datasets", "distillation", "distribution", "dtype_policies",
    "export", "initializers", "layers", "legacy", "losses", "metrics", "mixed_precision", "models", "ops", "optimizers", "preprocessing",
    "quantizers", "random", "regularizers", "saving", "testing", "tree", "utils", "visualization", "wrappers",
)  # fmt: skip
_NAMES = {
    "DTypePolicy": "nyala.dtype_policies:",
    "FloatDTypePolicy": "nyala.dtype_policies:",
    "Function": "nyala.models.functional:",
    "Initializer": "nyala.initializers:",
    "Input": "nyala.layers:",
    "InputSpec": "nyala.layers:",
    "KerasTensor": "nyala.core.symbolic:Symbolic",
    "Layer": "nyala.layers:",
    "Loss": "nyala.losses:",
    "Metric": "nyala.metrics:",
    "Model": "nyala.models:",
    "Operation": "nyala.core.symbolic:",
    "Optimizer": "nyala.optimizers:",
    "Quantizer": "nyala.quantizers:",
    "RematScope": "nyala.core.scopes:",
    "Regularizer": "nyala.regularizers:",
    "Sequential": "nyala.models:",
    "StatelessScope": "nyala.core.scopes:",
    "SymbolicScope": "nyala.core.scopes:",
    "Variable": "nyala.core.variable:",
    "device": "nyala.engines._placement:",
    "grad": "nyala.core.transforms:",
    "jit": "nyala.core.transforms:",
    "name_scope": "nyala.core.names:",
    "remat": "nyala.core.transforms:",
    "set_backend": "nyala.engines:",
    "value_and_grad": "nyala.core.transforms:",
    "version": "nyala.utils:",
}

_getattr, __dir__, __all__ = lazy(__name__, {**{name: f"nyala.{name}" for name in _PACKAGES}, **_NAMES})


def __getattr__(name: str) -> Any:
    return _getattr(name)
