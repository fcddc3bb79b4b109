# SPDX-License-Identifier: Apache-2.0
"""The forty lines of lines.py run, in a process of their own, where `import keras` means Nyala."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from nyala.testing import installed_engines

ROOT = pathlib.Path(__file__).parents[2]
NAMES = [line.split("(")[0][4:] for line in (pathlib.Path(__file__).parent / "lines.py").read_text().splitlines() if line.startswith("def line_")]
EAGER = next((engine.name for engine in installed_engines() if engine.differentiable and not engine.compiles), "jax")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    path = tmp_path_factory.mktemp("lines") / "results.json"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NYALA_BACKEND": EAGER, "PYTHONDONTWRITEBYTECODE": "1"}
    program = [sys.executable, str(ROOT / "tests" / "legacy" / "lines.py"), str(path)]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(path.read_text())


def test_there_are_forty():
    assert len(NAMES) == 40


@pytest.mark.parametrize("name", NAMES)
def test_line(name, results):
    assert not results[name], results[name]
