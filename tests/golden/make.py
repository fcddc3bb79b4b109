# SPDX-License-Identifier: Apache-2.0
"""Runs Keras and writes what it answers: python -m tests.golden.make [kind ...], or all of them: ... make all.

Needs an environment with `keras` and `jax`; run from the root of the repository. Nyala is not imported. See README.md beside this file.
"""

import importlib
import os
import platform
import subprocess
import sys

os.environ["KERAS_BACKEND"] = "jax"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

KINDS = [
    "layers",
    "activations",
    "losses",
    "metrics",
    "optimizers",
    "initializers",
    "regularizers",
    "dtypes",
    "models",
    "fits",
    "images",
    "augmentations",
    "attention",
    "convolutions",
    "quantizers",
    "more_layers",
    "ops",
    "streams",
    "optimizer_runs",
    "datasets",
]
BY_THEMSELVES = [
    "features",
    "data_tools",
    "files",
    "networks",
    "distribution",
]  # each in a process of its own; their docstrings say what else they need


def main(kinds):
    import jax
    import keras
    import numpy

    made = {"keras": keras.__version__, "jax": jax.__version__, "numpy": numpy.__version__, "python": platform.python_version()}
    for kind in [*KINDS, *BY_THEMSELVES, "applications"] if kinds == ["all"] else kinds or KINDS:
        if kind in BY_THEMSELVES:
            subprocess.run([sys.executable, "-m", f"tests.golden.make_{kind}"], check=True)
            continue
        store = importlib.import_module(f"tests.golden.make_{kind}").make()
        store.write(**made)
        print(kind, len(store.cases), "cases", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
