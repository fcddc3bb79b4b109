# SPDX-License-Identifier: Apache-2.0
"""Every public name of Keras 1.2.2, 2.2.4, 2.3.1 and tf.keras 2.15 (names.json): which of them are there under nyala.legacy.install().

What is left out has its reason here; what is neither there nor left out is missing, and the share of what is there may only grow.
"""

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
HERE = pathlib.Path(__file__).parent
NAMES = json.loads((HERE / "names.json").read_text())
LEAST = {"1.2.2": 0.98, "2.2.4": 0.975, "2.3.1": 0.97, "2.15.0": 0.98}  # without what is left out
LEAST_OF_ALL = {"1.2.2": 0.97, "2.2.4": 0.96, "2.3.1": 0.95, "2.15.0": 0.90}

LEFT_OUT = {
    "of Theano: CTC by its own loops; K.ctc_batch_cost is there": {
        "ctc_cost", "ctc_create_skip_idxs", "ctc_interleave_blanks", "ctc_path_probs", "ctc_update_log_p",
    },
    "of CNTK: how it tells axes of batches from others": {
        "ConvertToBatch", "ConvertToStatic", "LambdaFunc", "ReshapeBatch", "b_any", "get_num_dynamic_axis", "has_seq_axis", "pad",
    },
    "of the NumPy engine of 2.3, which was for its tests": {
        "conv", "conv_transpose", "depthwise_conv", "normalize_conv", "pool", "separable_conv",
    },
    "of TensorFlow: its estimators, its file system, its meshes and servers": {
        "model_to_estimator", "LinearModel", "WideDeepModel", "SequenceFeatures", "SidecarEvaluator", "SidecarEvaluatorModelExport",
        "DatasetCreator", "TimedThread", "StepsPerExecutionTuner", "allow_read_from_gcs", "allow_write_to_gcs", "tf_file_io_proxy",
    },
}  # fmt: skip
LEFT_OUT_MODULES = {
    "tensorflow.keras.dtensor": "meshes of TensorFlow",
    "tensorflow.keras.estimator": "estimators of TensorFlow",
    "tensorflow.keras.applications.regnet": "networks that Keras 3 dropped, with weights published for Keras 2 only",
    "tensorflow.keras.applications.resnet_rs": "networks that Keras 3 dropped, with weights published for Keras 2 only",
}

WALK = """
import importlib, json, sys, warnings
warnings.simplefilter("ignore")
import nyala.legacy
nyala.legacy.install()
missing = {}
for module, names in json.load(open(sys.argv[1]))[sys.argv[2]].items():
    for name in names.split():
        try:
            getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError):
            missing.setdefault(module, []).append(name)
print("MISSING " + json.dumps(missing))
"""


def left_out(module, name):
    if module == "tensorflow.keras.applications" and name.startswith(("RegNet", "ResNetRS")):
        return True
    return module.startswith(tuple(LEFT_OUT_MODULES)) or any(name in names for names in LEFT_OUT.values())


@pytest.mark.parametrize("generation", NAMES)
def test_the_share_of_names(generation):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", WALK, str(HERE / "names.json"), generation]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    missing = json.loads(done.stdout.partition("MISSING ")[2])
    names = [(module, name) for module, found in NAMES[generation].items() for name in found.split()]
    counted = [pair for pair in names if not left_out(*pair)]
    gone = [(module, name) for module, found in missing.items() for name in found]
    share, share_of_all = 1 - sum(not left_out(*pair) for pair in gone) / len(counted), 1 - len(gone) / len(names)
    print(f"{generation}: {share:.4f} of {len(counted)}, {share_of_all:.4f} of all {len(names)}")
    assert share >= LEAST[generation], (share, [".".join(pair) for pair in gone if not left_out(*pair)])
    assert share_of_all >= LEAST_OF_ALL[generation], share_of_all
