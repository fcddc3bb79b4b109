# SPDX-License-Identifier: Apache-2.0
"""Asks Keras to write the models of file_cases.py to files, and records what they answer. Start at make_all; run it by hand from the root:

    KERAS_BACKEND=jax oracle/bin/python -m tests.golden.make_files

All files lie in one zip, data/files.zip, packed: HDF5 is mostly empty space.
"""

import json
import pathlib
import sys
import tempfile
import zipfile

import keras
import numpy as np

from tests.golden.file_cases import MODELS, TRAINED, inputs_of, make, targets_of
from tests.golden.store import FOLDER

WITH_WEIGHTS = ("mlp", "recurrent", "attention", "subclassed", "bfloat16", "int8", "shared", "nested")
SHARDED = ("residual",)


def flat(outputs):
    """The arrays of an output, in a fixed order."""
    if isinstance(outputs, dict):
        return [array for key in sorted(outputs) for array in flat(outputs[key])]
    return [array for value in outputs for array in flat(value)] if isinstance(outputs, (list, tuple)) else [np.asarray(outputs)]


def make_all(target):
    facts = {}
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        folder = pathlib.Path(folder)

        def keep(name):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, (folder / name).read_bytes(), compresslevel=9)

        numbers = {}
        for name in MODELS:
            keras.utils.clear_session()
            model = make(name, keras)
            x = inputs_of(name, model)
            targets = targets_of(name, model, x)
            for layer in model._flatten_layers():
                if getattr(layer, "stateful", False) and hasattr(layer, "cell"):
                    layer.reset_state()
            model.save(folder / f"{name}.keras")
            keep(f"{name}.keras")
            if name in WITH_WEIGHTS:
                model.save_weights(folder / f"{name}.weights.h5")
                keep(f"{name}.weights.h5")
            if name in SHARDED:
                model.save_weights(folder / f"{name}.weights.json", max_shard_size=3e-7)
                for file in sorted(folder.glob(f"{name}*weights*")):
                    keep(file.name)
            numbers |= {f"{name}/out/{i}": value.astype("float32") for i, value in enumerate(flat(model.predict_on_batch(x)))}
            if name in TRAINED:
                logs = model.train_on_batch(x, targets)
                numbers[f"{name}/loss"] = np.asarray(np.ravel(logs)[0], "float32")
                numbers |= {f"{name}/after/{i}": np.asarray(value, "float32") for i, value in enumerate(model.get_weights())}
            facts[name] = {"weights": len(model.weights), "trained": name in TRAINED}
        np.savez_compressed(folder / "numbers.npz", **numbers)
        (folder / "facts.json").write_text(json.dumps({"keras": keras.__version__, "models": facts}), encoding="utf-8")
        keep("numbers.npz")
        keep("facts.json")
    return target


if __name__ == "__main__":
    made = make_all(FOLDER / "files.zip")
    print(made, made.stat().st_size)
    sys.exit(0)
