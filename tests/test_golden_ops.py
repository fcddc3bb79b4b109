# SPDX-License-Identifier: Apache-2.0
"""Each op on two inputs or more, and small layers in more configurations, against recorded answers of Keras.

tests/golden/make_ops.py and make_more_layers.py asked; test_golden.py holds the questions about layers.
"""

import pathlib
import subprocess
import sys

import numpy as np
import pytest

import nyala
from nyala import ops
from nyala.core import tree
from tests import test_golden
from tests.golden.op_cases import CASES as ASKED
from tests.golden.store import read

CASES, LAYERS = read("ops"), read("more_layers")
test_golden.CASES["layers"].update(LAYERS)
LOOSE = {  # 1e-4
    "cholesky_inverse", "fft", "fft2", "geomspace", "ifft2", "inv", "irfft", "logdet",
    "logspace", "lstsq", "pinv", "solve", "solve_triangular", "stft",
}  # fmt: skip
OTHER_DTYPE = {"ndim", "shape", "size"}  # Python numbers


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("question", ["outputs", "gradients", "contract"])
def test_layers(name, question):
    nyala.utils.clear_session(free_memory=False)
    getattr(test_golden, f"test_layer_{question}")(name)


@pytest.mark.parametrize("engine", ["jax", "torch"])
@pytest.mark.parametrize("name", ASKED)
def test_ops(name, engine):
    with nyala.backend(engine):
        for i in range(len(ASKED[name])):
            case = CASES[f"{name}/{i}"]
            kwargs = {key: value for key, value in case["kwargs"].items() if key != "only"}
            result = getattr(ops, name)(*case["args"], **kwargs)
            if "only" in case["kwargs"]:
                only = case["kwargs"]["only"]
                result = result[{"r": 1}.get(only, only)]
            results = tree.flatten(result)
            assert len(results) == len(case["results"])
            for found, expected in zip(results, case["results"], strict=True):
                found = np.asarray(ops.convert_to_numpy(found))
                assert found.shape == expected.shape
                if name not in OTHER_DTYPE and engine == "jax":
                    assert found.dtype == expected.dtype, f"{name}/{i}"
                if expected.dtype.kind in "biu":
                    np.testing.assert_array_equal(found, expected)
                else:
                    if name == "qr":  # rows of r have a free sign
                        found, expected = np.abs(found), np.abs(expected)
                    size = float(np.max(np.abs(np.nan_to_num(expected)), initial=1.0))
                    tolerance = 1e-4 if name in LOOSE else 1e-5
                    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * size, err_msg=f"{name}/{i}")


def test_nothing_is_short():
    """tools/count_golden.py finds answers enough for all layers and ops that are not excused."""
    tool = pathlib.Path(__file__).resolve().parents[1] / "tools" / "count_golden.py"
    done = subprocess.run([sys.executable, str(tool)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_cases_are_those_asked():
    assert sorted(CASES) == sorted(f"{name}/{i}" for name, calls in ASKED.items() for i in range(len(calls)))
