# SPDX-License-Identifier: Apache-2.0
"""What the tests of configs that come as dicts share."""

from nyala.core.plain import MAX_DEPTH

PACKAGES = (
    "activations", "constraints", "distillation", "dtype_policies", "initializers", "layers", "losses", "metrics", "models", "optimizers",
    "optimizers.schedules", "quantizers", "random", "regularizers", "saving", "utils",
)  # fmt: skip


def deep():
    """A config of more levels than one may have."""
    config = {}
    for _ in range(MAX_DEPTH + 2):
        config = {"a": [config]}
    return config
