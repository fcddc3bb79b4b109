# SPDX-License-Identifier: Apache-2.0
"""Runs Keras and writes what it answers: python -m tests.golden.make [kind ...].

Needs an environment with `keras` and `jax`; run from the root of the repository. Nyala is not imported. See README.md beside this file.
"""

import importlib
import os
import platform
import sys

os.environ["KERAS_BACKEND"] = "jax"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

KINDS = ["layers", "activations", "losses", "metrics", "optimizers", "initializers", "regularizers", "dtypes", "models", "images", "augmentations"]


def main(kinds):
    import jax
    import keras
    import numpy

    made = {"keras": keras.__version__, "jax": jax.__version__, "numpy": numpy.__version__, "python": platform.python_version()}
    for kind in kinds or KINDS:
        store = importlib.import_module(f"tests.golden.make_{kind}").make()
        store.write(**made)
        print(kind, len(store.cases), "cases", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
