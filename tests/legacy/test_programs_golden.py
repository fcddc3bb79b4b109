# SPDX-License-Identifier: Apache-2.0
"""Programs of Keras 1, 2 and tf.keras give the losses and outputs that they gave then, with the weights they had then: golden/program_cases.py."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from nyala.testing import installed_engines

ROOT = pathlib.Path(__file__).parents[2]
THEN = {era: json.loads((ROOT / f"tests/golden/data/programs_{era}.json").read_text())["cases"] for era in ("one", "two", "two_tf", "tf")}
EAGER = next((engine.name for engine in installed_engines() if engine.differentiable and not engine.compiles), "jax")


@pytest.fixture(scope="module")
def now(tmp_path_factory):
    found = {}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NYALA_BACKEND": EAGER, "PYTHONDONTWRITEBYTECODE": "1"}

    def of(era):
        if era not in found:
            path = tmp_path_factory.mktemp(era) / "found.json"
            program = [sys.executable, str(ROOT / "tests/legacy/golden_programs.py"), era, str(path)]
            done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=600, check=False)
            assert done.returncode == 0, done.stderr
            found[era] = json.loads(path.read_text())
        return found[era]

    return of


@pytest.mark.parametrize(("era", "case"), [(era, case) for era, cases in THEN.items() for case in cases])
def test_the_numbers_of_then(era, case, now):
    then = THEN[era][case]
    assert set(now(era)[case]) == set(then)
    for name, value in then.items():
        np.testing.assert_allclose(now(era)[case][name], value, rtol=1e-4, atol=1e-4, err_msg=f"{case}: {name}")
