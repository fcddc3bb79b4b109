# SPDX-License-Identifier: Apache-2.0
"""Does Keras open what Nyala writes? Both directions, each model of tests/golden/file_cases.py, with outputs and one more training step compared.

Nyala writes files and what it makes of them; a Python that has Keras opens them:

    python tools/check_with_keras.py write folder
    KERAS_BACKEND=jax python-with-keras tools/check_with_keras.py read folder

Start at main.
"""

from __future__ import annotations

import json
import pathlib
import sys
import warnings
from typing import Any

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tests.golden import file_cases

TOLERANCE = 2e-5  # relative to the largest number; both libraries compute in float32


def flat(outputs: Any) -> list[np.ndarray]:
    """The arrays of an output, in a fixed order."""
    if isinstance(outputs, dict):
        return [array for key in sorted(outputs) for array in flat(outputs[key])]
    if isinstance(outputs, (list, tuple)):
        return [array for value in outputs for array in flat(value)]
    return [np.asarray(outputs, "float64")]


def difference(one: list[np.ndarray], other: list[np.ndarray]) -> float:
    """The largest difference, relative to the largest number."""
    if len(one) != len(other):
        return float("inf")
    return max((float(np.max(np.abs(a - b)) / (1 + np.max(np.abs(b)))) if a.size else 0.0 for a, b in zip(one, other, strict=True)), default=0.0)


def step(model: Any, name: str, x: Any, targets: Any) -> list[np.ndarray]:
    """Loss and weights after one more step, of models that were being trained; where random numbers or rounding count, the number of steps alone."""
    if name not in file_cases.TRAINED:
        return []
    logs = model.train_on_batch(x, targets)
    if name in ("mlp", "recurrent", "attention", "low_rank", "subclassed"):
        return [np.asarray(float(model.optimizer.iterations))]
    return [np.asarray(np.ravel(logs)[0], "float64"), *[np.asarray(weight, "float64") for weight in model.get_weights()]]


def write(folder: pathlib.Path, names: list[str]) -> int:
    """Write the files of all models with Nyala, and beside them what they answer."""
    import nyala

    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        nyala.utils.clear_session()
        model = file_cases.make(name, nyala)
        x = file_cases.inputs_of(name, model)
        targets = file_cases.targets_of(name, model, x)
        if name.startswith("stateful"):
            model.reset_states()
        model.save(folder / f"{name}.keras")
        model.save_weights(folder / f"{name}.weights.h5")
        model.save(folder / f"{name}.h5") if name in H5 else None
        answers = flat(model.predict_on_batch(x))
        after = step(model, name, x, targets)
        np.savez(folder / f"{name}.npz", **{f"a{i}": v for i, v in enumerate(answers)}, **{f"s{i}": v for i, v in enumerate(after)})
    (folder / "names.json").write_text(json.dumps(names), encoding="utf-8")
    print(f"{len(names)} models written to {folder}")
    return 0


# Written as .h5, too. Keras 3.15.1 does not train on from its own .h5 files, cannot read its own of the others, or only with their classes.
NOT_H5 = ("attention", "float8", "bfloat16", "subclassed", "subclassed_dict", "nested_subclassed", "deep_lists", "low_rank_int8")
H5 = tuple(name for name in file_cases.MODELS if name not in NOT_H5)


def read(folder: pathlib.Path) -> int:
    """Open the files with Keras and compare."""
    import keras

    file_cases.kinds(keras)
    failures = 0
    names = json.loads((folder / "names.json").read_text(encoding="utf-8"))
    for name in names:
        with np.load(folder / f"{name}.npz") as numbers:
            answers = [numbers[f"a{i}"] for i in range(sum(key.startswith("a") for key in numbers.files))]
            after = [numbers[f"s{i}"] for i in range(sum(key.startswith("s") for key in numbers.files))]
        whole = [".keras"] if name != "shared_between_models" else []  # which Keras 3.15.1 writes, but cannot read
        for suffix in (*whole, ".weights.h5", *([".h5"] if name in H5 else [])):
            keras.utils.clear_session()
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    if suffix == ".weights.h5":
                        model = file_cases.MODELS[name](keras)
                        model.predict_on_batch(file_cases.inputs_of(name, model))  # builds what build() does not
                        model.load_weights(folder / f"{name}{suffix}")
                    else:
                        model = keras.saving.load_model(folder / f"{name}{suffix}", compile=suffix == ".keras")  # Keras trips over its "mse" in .h5
                x = file_cases.inputs_of(name, model)
                targets = file_cases.targets_of(name, model, x)
                if name.startswith("stateful"):
                    [layer.reset_state() for layer in model._flatten_layers() if hasattr(layer, "reset_state") and hasattr(layer, "cell")]
                found = difference(flat(model.predict_on_batch(x)), answers)
                stepped = difference(step(model, name, x, targets), after) if suffix == ".keras" else 0.0
                good = found < TOLERANCE and stepped < TOLERANCE
                print(f"{'ok  ' if good else 'FAIL'} {name}{suffix}: outputs {found:.1e}, next step {stepped:.1e}")
            except Exception as error:
                good = False
                print(f"FAIL {name}{suffix}: {type(error).__name__}: {str(error)[:300]}")
            failures += not good
    print(f"{failures} failures")
    return int(failures > 0)


def main(arguments: list[str]) -> int:
    """Run the command."""
    if len(arguments) < 2 or arguments[0] not in ("write", "read"):
        print(__doc__)
        return 2
    folder = pathlib.Path(arguments[1])
    return write(folder, arguments[2:] or list(file_cases.MODELS)) if arguments[0] == "write" else read(folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
