# SPDX-License-Identifier: Apache-2.0
"""Do files of trained weights work? For every network an old Keras writes a file like the published ones; Keras 3 and Nyala load it and see images.

    python tools/check_applications.py --old python-with-keras-2 --keras python-with-keras-3 [--only ResNet50,VGG16] [--tops yes,no]

The weights are drawn, the images have the size that the network is for; outputs (without softmax) may differ by 1e-4 of the largest.
Deep networks with drawn weights magnify rounding: of EfficientNetV2S two engines of Keras differ by 8e-4, so the same engine is compared with itself.
Prints a table; exits with 1 if a network differs.
KERAS_BACKEND and NYALA_BACKEND choose engines; by default both run on PyTorch. Start at check.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import types
from typing import Any

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tests.golden.application_cases import NETWORKS, draw, images

TOLERANCE = 1e-4
UNPREPARED = ("EfficientNet", "ConvNeXt", "MobileNetV3")  # they scale pixels themselves


def write(network: str, top: bool, path: str) -> None:
    """With a Keras 2: draw weights and write them."""
    import keras

    model = getattr(keras.applications, network)(weights=None, include_top=top, **size_of(network, top))
    old = [types.SimpleNamespace(path=w.name.partition(":")[0].lower(), shape=tuple(int(n) for n in w.shape)) for w in model.weights]
    model.set_weights([draw(weight) for weight in old])
    model.save_weights(path)


def answer(library: Any, network: str, top: bool, path: str) -> tuple[np.ndarray, int]:
    """What a network with the weights of a file says about two images, and how many weights it has."""
    options = {"classifier_activation": None} if top else {"pooling": "avg"}
    model = getattr(library.applications, network)(weights=path, include_top=top, **size_of(network, top), **options)
    pixels = images(model.input_shape[1:], 255.0 if network.startswith(UNPREPARED) else 1.0)
    return np.asarray(model.predict(pixels, verbose=0)), model.count_params()


def size_of(network: str, top: bool) -> dict[str, Any]:
    """Of networks that take any size."""
    size = 331 if network == "NASNetLarge" else 224
    return {} if top and not network.startswith("MobileNetV3") else {"input_shape": (size, size, 3)}


def check(network: str, top: bool, old: str, keras: str) -> tuple[float, float, int, float]:
    """The largest difference relative to the largest number; the same of what the images make of it; weights; seconds."""
    import nyala

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "weights.h5")
        child(old, "write", network, top, path)
        child(keras, "answer", network, top, path)
        wanted = np.load(f"{path}.npy")
        began = time.perf_counter()
        nyala.utils.clear_session()
        with nyala.backend(os.environ.get("NYALA_BACKEND", "torch")):
            got, number = answer(nyala, network, top, path)
    apart = wanted[0] - wanted[1]
    if got.shape != wanted.shape or not np.isfinite(wanted).all() or not apart.any():
        return float("inf"), float("inf"), number, 0.0
    difference = float(np.abs(got - wanted).max() / np.abs(wanted).max())
    return difference, float(np.abs(got[0] - got[1] - apart).max() / np.abs(apart).max()), number, time.perf_counter() - began


def child(python: str, step: str, network: str, top: bool, path: str) -> None:
    """One step with another Python."""
    usual = "tensorflow" if network.startswith("NASNet") else "torch"  # where Keras refuses to build them
    settings = {"KERAS_BACKEND": os.environ.get("KERAS_BACKEND", usual), "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    command = [python, __file__, "--step", json.dumps([step, network, top, path])]
    run = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, encoding="utf-8")
    if run.returncode:
        raise RuntimeError(f"{step} {network}: {run.stderr.strip().splitlines()[-1:]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--old", help="a Python with Keras 2")
    parser.add_argument("--keras", help="a Python with Keras 3")
    parser.add_argument("--only", default=",".join(NETWORKS), help="names of networks (all)")
    parser.add_argument("--tops", default="yes,no", help="with the top, without")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        step, network, top, path = json.loads(options.step)
        if step == "write":
            write(network, top, path)
        else:
            import keras

            np.save(f"{path}.npy", answer(keras, network, top, path)[0])
        return 0
    wrong = 0
    print("| network | top | weights | difference | of what the images make | seconds |\n|---|---|---:|---:|---:|---:|")
    for network in options.only.split(","):
        for top in options.tops.split(","):
            try:
                difference, apart, number, seconds = check(network, top == "yes", options.old, options.keras)
            except Exception as error:  # the others are to be checked, too
                difference, apart, number, seconds = float("inf"), float("inf"), 0, 0.0
                print(f"{network}: {error}", file=sys.stderr)
            wrong += difference > TOLERANCE
            print(f"| {network} | {top} | {number:,} | {difference:.1e} | {apart:.1e} | {seconds:.1f} |", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
