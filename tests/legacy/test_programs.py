# SPDX-License-Identifier: Apache-2.0
"""Whole programs in the style of each era (programs/*.py), run by `nyala run`, unchanged; each asserts what it has learned."""

import os
import pathlib
import subprocess
import sys

import pytest

from nyala.legacy import programs

ROOT = pathlib.Path(__file__).parents[2]
PROGRAMS = sorted((pathlib.Path(__file__).parent / "programs").glob("*.py"))


def run(arguments, place, **settings):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONIOENCODING": "utf-8", **settings}
    command = [sys.executable, "-m", "nyala", "run", *arguments]
    return subprocess.run(command, env=environment, cwd=place, capture_output=True, text=True, timeout=600, check=False)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_program(path, tmp_path):
    if programs.first_call(path.read_text()) is not None:
        pytest.importorskip("tensorflow")
    done = run([str(path)], tmp_path)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


def test_arguments_names_and_places(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "beside.py").write_text("from keras.layers import Dense\n")
    program = tmp_path / "folder" / "program.py"
    program.write_text(
        "import sys\nimport beside\nimport nyala\nassert __name__ == '__main__' and sys.modules['__main__'].__dict__ is globals()\n"
        "assert beside.Dense(output_dim=2, init='one').units == 2\nprint(sys.argv[1:], __file__)\n"
    )
    done = run(["folder/program.py", "--epochs", "3", "-h"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[0] == "['--epochs', '3', '-h'] folder/program.py"


def test_modules(tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "train.py").write_text("import sys, keras\nfrom . import __name__ as package\nprint(package, sys.argv[1:])\n")
    done = run(["-m", "package.train", "x"], tmp_path)
    assert (done.returncode, done.stdout) == (0, "package ['x']\n"), done.stderr


@pytest.mark.parametrize(("code", "status", "shown"), [
    ("import sys; sys.exit(3)", 3, ""),
    ("raise SystemExit('no data')", 1, "no data\n"),
    ("def f():\n    return 1 / 0\nf()\n", 1, None),
    ("import nothing_of_this_name", 1, None),
])  # fmt: skip
def test_ends_as_python_does(code, status, shown, tmp_path):
    (tmp_path / "program.py").write_text(code)
    done = run(["program.py"], tmp_path)
    assert done.returncode == status
    if shown is not None:
        assert done.stderr == shown
    else:
        plain = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, check=False).stderr
        assert done.stderr.replace(f"{tmp_path}/", "") == plain.replace(f"{tmp_path}/", "")


def test_what_cannot_be_run(tmp_path):
    assert "name a program" in run([], tmp_path).stderr
    missing = run(["gone.py"], tmp_path)
    assert (missing.returncode, missing.stderr.splitlines()[0]) == (2, "nyala run: can't open file 'gone.py': no such file")
    assert "there is no option '--fast'" in run(["--fast"], tmp_path).stderr
    helped = run(["--help"], tmp_path)
    assert helped.returncode == 0 and "PROGRAM" in helped.stdout


@pytest.mark.parametrize(("code", "found"), [
    ("import tensorflow as tf\nfrom tensorflow import keras\ntf.keras.layers.Dense(3)\ntf.data.Dataset.range(3)\ntf.random.set_seed(1)\n", None),
    ("import tensorflow as tf\nlast = tf.train.latest_checkpoint('.')\ntf.saved_model.load(last)\nkeep.train.Checkpoint()\n", None),
    ("import tensorflow as tf\nlast = tf.train.latest_checkpoint('.')\ntf.train.Checkpoint(x=3)\n", ("tf.train.Checkpoint", 3)),
    ("import tensorflow as t\nt.saved_model.save(model, 'm')\n", ("t.saved_model.save", 2)),
    ("import tensorflow as tf\nx = 1\ny = tf.reduce_sum(x)\ntf.matmul(x, x)\n", ("tf.reduce_sum", 3)),
    ("import tensorflow\n@tensorflow.function\ndef f(): pass\n", ("tensorflow.function", 2)),
    ("from tensorflow import keras, GradientTape\n", ("GradientTape", 1)),
    ("import tensorflow.keras as tf\ntf.reduce_sum(3)\n", None),
    ("import tensorflow.keras\ntensorflow.keras.Model\n", None),
    ("import tensorflow.math as tfm\n", ("tfm", 1)),
    ("import numpy as tf\ntf.function\nfrom . import tensorflow\n", None),
    ("no python", None),
])  # fmt: skip
def test_what_computes_with_tensorflow(code, found):
    assert programs.first_call(code) == found


def test_the_engine_of_a_program_that_computes_with_tensorflow(tmp_path):
    pytest.importorskip("tensorflow")
    program = tmp_path / "program.py"
    program.write_text("import nyala, tensorflow as tf\nx = tf.Variable(1.0)\nprint(nyala.backend.backend())\n")
    said = "nyala run: the engine is 'tensorflow', since program.py uses tf.Variable (line 2); NYALA_BACKEND chooses another\n"
    none = {"NYALA_BACKEND": "", "KERAS_BACKEND": "", "NYALA_HOME": str(tmp_path)}
    done = run(["program.py"], tmp_path, **none)
    assert (done.returncode, done.stdout) == (0, "tensorflow\n") and done.stderr.startswith(said), done.stderr
    done = run(["program.py"], tmp_path, **{**none, "NYALA_BACKEND": "jax"})
    assert (done.returncode, done.stdout) == (0, "jax\n") and said not in done.stderr
    (tmp_path / "nyala.json").write_text('{"backend": "numpy"}')
    assert run(["program.py"], tmp_path, **none).stdout == "numpy\n"
