# SPDX-License-Identifier: Apache-2.0
"""What is shown: one line per epoch where nobody watches, a bar on terminals, nothing when asked for nothing."""

import os
import re
import subprocess
import sys
import textwrap
import time

import pytest

import nyala
from nyala.callbacks.progbar_logger import format_logs, format_seconds
from nyala.utils import Progbar
from tests.training.tools import X, Y, linear

TIME = r"[\d.]+(us|ms|s)"


def compiled():
    model = linear()
    model.compile("sgd", "mse", metrics=["mae"])
    return model


@pytest.mark.parametrize("verbose", ["auto", 1, 2])
def test_one_line_per_epoch(verbose, capsys):
    compiled().fit(X, Y, batch_size=4, epochs=2, verbose=verbose, validation_data=(X, Y))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    number = r"[\d.e+-]+"
    for i, line in enumerate(lines):
        pattern = rf"Epoch {i + 1}/2: 3 steps, {TIME}, {TIME}/step - loss: {number} - mae: {number} - val_loss: {number} - val_mae: {number}"
        assert re.fullmatch(pattern, line), line


def test_nothing_when_asked_for_nothing(capsys):
    model = compiled()
    model.fit(X, Y, verbose=0, validation_data=(X, Y))
    model.evaluate(X, Y, verbose=0)
    model.predict(X)
    model.predict(X, verbose=0)
    model.train_on_batch(X, Y)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_evaluate_and_predict_when_asked(capsys):
    model = compiled()
    model.evaluate(X, Y, batch_size=4)
    model.predict(X, batch_size=4, verbose=1)
    first, second = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"Evaluate: 3 steps, {TIME}, {TIME}/step - loss: [\d.]+ - mae: [\d.]+", first)
    assert re.fullmatch(rf"Predict: 3 steps, {TIME}, {TIME}/step", second)


def test_a_stream_of_unknown_length(capsys):
    compiled().fit(iter([(X, Y), (X, Y)]), verbose=2)
    assert re.match(rf"Epoch 1/1: 2 steps, {TIME}", capsys.readouterr().out)


def test_numbers():
    assert format_logs({"loss": 0.25, "small": 0.00012, "zero": 0.0, "word": "x"}) == "loss: 0.2500 - small: 1.2000e-04 - zero: 0.0000 - word: x"
    assert [format_seconds(s) for s in (2e-6, 0.002, 3.0, 61.0)] == ["2us", "2.0ms", "3.0s", "1m01s"]


def test_progbar_for_loops_of_ones_own(capsys):
    bar = Progbar(4, stateful_metrics=["last"])
    for i in range(3):
        bar.update(i + 1, [("mean", float(i)), ("last", float(i))])
    assert capsys.readouterr().out == ""
    bar.add(1, [("mean", 5.0), ("last", 3.0)])
    assert re.fullmatch(rf"Done: 4 steps, {TIME}, {TIME}/step - mean: 2\.0000 - last: 3\.0000\n", capsys.readouterr().out)
    silent = Progbar(1, verbose=0)
    silent.update(1)
    assert capsys.readouterr().out == ""


SCRIPT = """
import time, numpy as np, nyala
nyala.set_backend({engine!r})
model = nyala.Sequential([nyala.Input((3,)), nyala.layers.Dense(1)])
model.compile("sgd", "mse")
slow = nyala.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: time.sleep(0.02))
model.fit(np.ones((60, 3)), np.ones((60, 1)), batch_size=1, epochs=1, callbacks=[slow])
model.predict(np.ones((60, 3)))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs pseudo-terminals")
def test_a_bar_on_a_terminal():
    """Drawn at most five times a second, and one line is left of it."""
    master, slave = os.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "140", "NO_COLOR": "1"}
    for name in ("CI", "GITHUB_ACTIONS", "FORCE_COLOR", "TTY_COMPATIBLE"):
        environment.pop(name, None)
    script = textwrap.dedent(SCRIPT).format(engine=nyala.backend.backend())
    with subprocess.Popen([sys.executable, "-c", script], stdout=slave, stderr=slave, stdin=slave, env=environment, close_fds=True) as process:
        os.close(slave)
        chunks, times = [], []
        while True:
            try:
                chunk = os.read(master, 65536)
            except OSError:  # the other end is closed
                break
            if not chunk:
                break
            chunks.append(chunk.decode(errors="replace"))
            times.append(time.perf_counter())
    os.close(master)
    text = "".join(chunks)
    drawn = re.findall(r"(\d+)/60", text)
    assert process.returncode == 0, text
    assert 3 <= len(drawn) <= 5 * (times[-1] - times[0]) + 4  # a first and a last one, each perhaps twice
    assert len(set(drawn)) >= 3
    last = [line for line in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).replace("\r", "\n").splitlines() if line.strip()][-1]
    assert re.fullmatch(rf"Epoch 1/1: 60 steps, {TIME}, {TIME}/step - loss: [\d.e+-]+", last.strip())
    assert text.count("Predict") == 0
