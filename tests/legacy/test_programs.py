# SPDX-License-Identifier: Apache-2.0
"""Whole programs in the style of each era (programs/*.py), run by `nyala run`, unchanged; each asserts what it has learned."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PROGRAMS = sorted((pathlib.Path(__file__).parent / "programs").glob("*.py"))


def run(arguments, place, **settings):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONIOENCODING": "utf-8", **settings}
    command = [sys.executable, "-m", "nyala", "run", *arguments]
    return subprocess.run(command, env=environment, cwd=place, capture_output=True, text=True, timeout=600, check=False)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_program(path, tmp_path):
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
