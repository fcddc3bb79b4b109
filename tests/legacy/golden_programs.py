# SPDX-License-Identifier: Apache-2.0
"""The programs of tests/golden/program_cases.py, run with Nyala in the place of Keras: python golden_programs.py ERA FILE writes what they answer."""

import json
import pathlib
import sys
import warnings

import numpy as np

import nyala.legacy

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "golden"))


def put(layer, *weights):
    layer.set_weights(list(weights))


def main(era, path):
    nyala.legacy.install()
    warnings.simplefilter("ignore")
    from program_cases import CASES

    found = {case.__name__: {name: np.asarray(value, "float64").tolist() for name, value in case(put).items()} for case in CASES[era]}
    pathlib.Path(path).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
