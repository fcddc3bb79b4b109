# SPDX-License-Identifier: Apache-2.0
"""The command `nyala` as a user meets it: help, wrong arguments, the demonstration and its picture."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from rich.console import Console

import nyala
from nyala import demo as demonstration
from nyala.__main__ import main

ROOT = Path(__file__).parent.parent


def run_nyala(*arguments: str, folder: Path = ROOT, **settings: str) -> subprocess.CompletedProcess[str]:
    """`python -m nyala` in a process of its own, on the default engine unless told otherwise."""
    environment = {name: value for name, value in os.environ.items() if name not in ("NYALA_BACKEND", "KERAS_BACKEND")}
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "COLUMNS": "100"} | settings
    command = [sys.executable, "-m", "nyala", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=300)


def accuracy_of(output: str) -> float:
    found = re.search(r"^test accuracy: (\d\.\d{4}) \((\d+) of 360\)$", output, re.MULTILINE)
    assert found, output
    assert float(found[1]) == pytest.approx(int(found[2]) / 360, abs=1e-4)
    return float(found[1])


def test_the_whole_demo(tmp_path):
    done = run_nyala("demo", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "digit_reader" in done.stdout
    assert "Test digits: true (rows) and read as (columns)" in done.stdout
    assert accuracy_of(done.stdout) >= 0.98
    assert done.stdout.endswith("picture: nyala-demo.png\n")
    picture = imread(tmp_path / "nyala-demo.png")
    assert picture.shape[0] > 500
    assert picture.shape[1] > 1000
    assert picture[..., :3].std() > 0.1  # something is drawn


def test_quiet_prints_the_result_only_and_keeps_older_pictures(tmp_path):
    (tmp_path / "nyala-demo.png").write_bytes(b"mine")
    done = run_nyala("demo", "--epochs", "1", "--seed", "7", "--quiet", "--output", str(tmp_path))
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert accuracy_of(first) > 0.5
    assert second == f"picture: {tmp_path / 'nyala-demo-2.png'}"
    assert (tmp_path / "nyala-demo.png").read_bytes() == b"mine"
    assert (tmp_path / "nyala-demo-2.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_explains_the_commands(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        sys.exit(main(arguments))
    assert stopped.value.code == 0
    output = capsys.readouterr().out
    for line in ("demo", "train a network on handwritten digits", "info", "show versions, engines", "examples:"):
        assert line in output


@pytest.mark.parametrize(
    ("command", "words"), [("demo", ["--epochs", "--seed", "--engine", "--output", "--quiet", "never replaced"]), ("info", ["bug report"])]
)
def test_each_command_explains_itself(command, words, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    output = capsys.readouterr().out
    assert [word for word in words if word not in output] == []


def test_version(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"nyala {nyala.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dmeo"], "nyala: there is no command 'dmeo'; did you mean 'demo'?"),
        (["train"], "nyala: there is no command 'train'; the commands are demo, info, inspect, convert, run"),
        (["demo", "--epochs", "0"], "nyala demo: argument --epochs: needs a whole number of at least 1, got '0'"),
        (["demo", "--epochs", "many"], "nyala demo: argument --epochs: needs a whole number of at least 1, got 'many'"),
        (["demo", "--seed", "-1"], "nyala demo: argument --seed: needs a whole number from 0 to 4294967295, got '-1'"),
        (["demo", "--output", "a.jpg"], "nyala demo: argument --output: needs a folder that exists or a file name ending in .png, got 'a.jpg'"),
        (["demo", "--output", "no/a.png"], "nyala demo: argument --output: needs a folder that exists, got 'no'; make it first"),
        (["demo", "--colour"], "nyala: unrecognized arguments: --colour"),
    ],
)
def test_wrong_arguments_exit_with_2_and_say_why(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert capsys.readouterr().err == f"{message}\nTry '{message.split(':')[0]} --help'.\n"


def test_a_picture_that_cannot_be_drawn_is_refused_before_training(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SystemExit) as stopped:
        main(["demo", "--output", str(tmp_path / "a.png")])
    assert stopped.value.code == 2
    assert "a picture needs matplotlib, which is not installed here" in capsys.readouterr().err


def test_an_unknown_engine_is_refused():
    done = run_nyala("demo", "--engine", "abacus")
    assert done.returncode == 2
    assert "abacus" in done.stderr
    assert "'jax'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("engine", "reason"), [("numpy", "computes no gradients"), ("spec", "computes shapes only")])
def test_an_engine_that_cannot_train_is_refused(engine, reason):
    for done in (run_nyala("demo", "--engine", engine), run_nyala("demo", NYALA_BACKEND=engine)):
        assert done.returncode == 2
        assert done.stderr.startswith(f"nyala demo: engine '{engine}' {reason}, so it cannot train; choose one that does: --engine jax")


def test_info_names_versions_engines_and_settings():
    done = run_nyala("info", NYALA_BACKEND="numpy")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"nyala {nyala.__version__}, Python {sys.version.split()[0]}, ")
    assert f"numpy        {np.__version__}\n" in done.stdout
    assert re.search(r"^  jax +trains; devices \w+:0", done.stdout, re.MULTILINE)
    assert re.search(r"^\* numpy +computes no gradients; devices cpu:0$", done.stdout, re.MULTILINE)
    assert re.search(r"^  floatx +float32$", done.stdout, re.MULTILINE)


def test_mistakes_are_counted_by_true_and_read_digit():
    labels, guesses = np.uint8([8, 8, 3, 3, 3, 0]), np.array([1, 8, 3, 5, 5, 0])
    confusion = demonstration.count_pairs(labels, guesses)
    assert confusion.sum() == 6
    assert (confusion[8, 1], confusion[8, 8], confusion[3, 3], confusion[3, 5], confusion[0, 0]) == (1, 1, 1, 2, 1)
    assert demonstration.confused_pairs(confusion) == "Most confused:\n  3 read as 5: 2 of 3\n  8 read as 1: 1 of 2"
    assert demonstration.confused_pairs(np.diag(np.arange(10))) == "No digit was confused with another."


def test_the_table_shows_errors_in_red():
    confusion = np.diag(np.full(10, 20))
    confusion[9, 7] = 5
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system="standard", legacy_windows=False)
    console.print(demonstration.confusion_table(confusion))
    coloured = console.file.getvalue()
    plain = re.sub(r"\x1b\[[\d;]*m", "", coloured)
    assert re.search(r"^ +9( +\.){7} +5 +\. +20 +80\.0%", plain, re.MULTILINE)
    assert len(re.findall(r"\x1b\[1;37;41m +5", coloured)) == coloured.count(";41m") == 1


@pytest.mark.parametrize("num_wrong", [0, 1, 3, 50])
def test_the_picture_copes_with_any_number_of_mistakes_and_one_epoch(num_wrong, tmp_path):
    random = np.random.default_rng(5)
    images, labels = random.integers(0, 17, (53, 8, 8)), random.integers(0, 10, 53)
    guesses = np.where(np.arange(53) < num_wrong, (labels + 1) % 10, labels)
    history = {"loss": [0.7], "accuracy": [0.5], "val_loss": [0.3], "val_accuracy": [0.9]}
    path = demonstration.write_new(tmp_path / "a.png", demonstration.draw_picture(history, images, labels, guesses))
    red = np.abs(imread(path)[..., :3] - [0.784, 0.118, 0.118]).max(-1) < 0.02
    assert bool(red.any()) == (num_wrong > 0)


def test_no_file_is_replaced(tmp_path):
    written = [demonstration.write_new(tmp_path / "a.b.png", content).name for content in (b"1", b"2", b"3")]
    assert written == ["a.b.png", "a.b-2.png", "a.b-3.png"]
    assert [(tmp_path / name).read_bytes() for name in written] == [b"1", b"2", b"3"]
