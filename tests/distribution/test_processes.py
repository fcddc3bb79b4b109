# SPDX-License-Identifier: Apache-2.0
"""Two real processes that train together, one of them killed for real."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest

import nyala

ROOT = pathlib.Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="JAX has no collectives for CPUs there")


def run(task, count, folder, **env):
    """What each of the processes printed, by number; (exit status, errors) of one that failed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**os.environ, "NYALA_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "", **env}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.distribution.together", task, str(i), str(count), str(port), str(folder)],
            env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for i in range(max(count, 1))
    ]  # fmt: skip
    found = []
    for process in started[::-1]:  # the one that is killed first; the other then misses it
        try:
            output, errors = process.communicate(timeout=10 if found and isinstance(found[0], tuple) else 150)
        except subprocess.TimeoutExpired:
            process.kill()
            output, errors = process.communicate()
        found.append((process.returncode, errors) if process.returncode else json.loads(output.splitlines()[-1]))
    return found[::-1]


def close(found, expected, *names):
    for name in names:
        a, b = found[name], expected[name]
        if name == "weights":
            for one, two in zip(a, b, strict=True):
                np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)
        else:
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_two_processes_do_what_one_does(tmp_path):
    first, second = run("whole", 2, tmp_path)
    (tmp_path / "alone").mkdir()
    (alone,) = run("whole", 0, tmp_path / "alone")
    assert [one["shard"] for one in first.values()] == [[6, 8], [6, 4]]
    for name in ("data", "model"):
        close(first[name], alone[name], "losses", "weights", "predictions", "evaluation")
        for key in ("losses", "weights", "predictions", "evaluation"):
            assert first[name][key] == second[name][key], key
        for number in range(2):  # each writes the whole model
            model = nyala.saving.load_model(tmp_path / f"{name}-{number}.keras")
            for found, expected in zip(model.get_weights(), first[name]["weights"], strict=True):
                np.testing.assert_array_equal(found, np.array(expected, "float32"))


def test_processes_with_data_of_their_own(tmp_path):
    first, second = run("parts", 2, tmp_path)
    (alone,) = run("parts", 0, tmp_path)
    assert first["first"] == second["first"] and first["draw"] == second["draw"], "weights and draws are those of process 0"
    assert first["losses"] == second["losses"]
    close(first, alone, "losses")
    rows = np.arange(48).reshape(-1, 2, 4)
    for number, found in enumerate((first, second)):  # each gets the predictions for its own samples
        np.testing.assert_allclose(found["predictions"], np.array(alone["predictions"])[rows[:, number].reshape(-1)], rtol=1e-4, atol=1e-5)


def test_a_run_of_two_goes_on_after_one_was_killed(tmp_path):
    (alone,) = run("interrupted", 0, tmp_path / "alone")
    for kill_at in ("9", "16"):
        first, second = run("interrupted", 2, tmp_path, NYALA_KILL_AT=kill_at)
        assert second[0] == -signal.SIGKILL and isinstance(first, tuple), (first, second)
    of_second = sorted((tmp_path / "run" / "process-1").glob("checkpoint-*"))
    shutil.rmtree(of_second[-1])  # as if it had died while it wrote: the first process is one ahead, and goes back
    assert len(of_second) == 2
    first, second = run("interrupted", 2, tmp_path)
    whole = run("interrupted", 2, tmp_path / "whole")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["process-0", "process-1"]
    for key in ("losses", "weights", "predictions", "evaluation"):
        assert first[key] == second[key] == whole[0][key], key
    close(first, alone, "losses", "weights", "predictions", "evaluation")
