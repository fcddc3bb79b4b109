# SPDX-License-Identifier: Apache-2.0
"""Runs whose recovery is interrupted, too, and interruptions at the moments that are left: while compiling, while saving; and other machines."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest

import nyala
from nyala import callbacks, layers
from nyala.core import transforms
from nyala.core.errors import StateError
from nyala.files import checkpoints
from nyala.files.checkpoints import CheckpointFolder
from nyala.training import run_state
from tests.training.tools import numbers

HERE = pathlib.Path(__file__).parent
X = numbers(24, 4)
Y = X[:, :1] - X[:, 1:2] * 2
unix = pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM there")


def network(units=5, **compiled):
    nyala.utils.set_random_seed(7)
    model = nyala.Sequential([nyala.Input((4,)), layers.Dense(units, "tanh"), layers.Dropout(0.4), layers.Dense(1)])
    model.compile(**{"optimizer": nyala.optimizers.Adam(0.05), "loss": "mse", **compiled})
    return model


def fit(model, **arguments):
    return model.fit(X, Y, **{"batch_size": 8, "epochs": 3, "verbose": 0, **arguments})


def outcome(model, history):
    return [v.numpy().tobytes() for v in (*model.variables, *model.optimizer.variables)], [float(v).hex() for v in history.history["loss"]]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_second_death_while_recovering(eager, tmp_path):
    """Processes die at a rename, deletion or flush, again while they recover from that, and once more: the run still ends the same."""
    if eager == "jax":
        pytest.skip("its threads do not survive a fork")
    environment = {**os.environ, "NYALA_BACKEND": eager, "PYTHONPATH": str(HERE.parents[1])}
    done = subprocess.run([sys.executable, HERE / "die_at_operations.py", tmp_path, "8"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["different"] == [], done.stderr[-3000:]
    assert found["deaths"] >= 16
    hit = " ".join(found["places"])
    for place in ("recovery", "retention", "a checkpoint in the background"):
        assert place in hit, found["places"]


# Being told to stop -----------------------------------------------------------------------------------------------------------------------


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


@unix
@pytest.mark.parametrize("when", ["while the first step is compiled", "while a checkpoint is written"])
def test_sigterm_at_other_moments(when, tmp_path, monkeypatch):
    with nyala.backend("jax"):
        told = []
        units = 17 + len(when)  # as nothing else has, so that it is compiled here

        def once(real):
            def telling(*args, **kwargs):
                if not told:
                    told.append(terminate())
                return real(*args, **kwargs)

            return telling

        with monkeypatch.context() as patch:
            if "compiled" in when:
                patch.setattr(transforms.Program, "_compile", once(transforms.Program._compile))
            else:
                patch.setattr(checkpoints, "_write", once(checkpoints._write))
            options = callbacks.Resume(tmp_path, epochs=None, steps=4, seconds=None)
            with pytest.raises(callbacks.Preempted):
                fit(network(units), resume=options)
        assert told == [None]
        place = CheckpointFolder(tmp_path).newest()[1]["place"]
        assert place["step"] in ((1, 2, 3) if "compiled" in when else (4, 5, 6)), place  # what was under way is done
        model = network(units)
        got = outcome(model, fit(model, resume=options))
        model = network(units)
        assert got == outcome(model, fit(model))


ENDLESS = """
import sys, time
import numpy as np, nyala
from nyala.core.transforms import Program
compile = Program._compile
def slow(self):
    print("compiling", flush=True)
    began = time.monotonic()
    while time.monotonic() - began < 60:
        sum(range(10_000_000))  # as a compiler, it does not look at signals for a while
    compile(self)
Program._compile = slow
model = nyala.Sequential([nyala.Input((2,)), nyala.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(np.ones((9, 2)), np.ones((9, 1)), verbose=0, resume=sys.argv[1])
"""


@unix
def test_a_second_sigterm_ends_even_a_compiler(tmp_path):
    environment = {**os.environ, "NYALA_BACKEND": "jax"}
    with subprocess.Popen([sys.executable, "-c", ENDLESS, tmp_path], stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout.readline() == "compiling\n"
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1.5)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == -signal.SIGTERM  # 143 for a shell
    assert CheckpointFolder(tmp_path).paths() == []


# Other machines and programs --------------------------------------------------------------------------------------------------------------

ELSEWHERE = """
import sys
import numpy as np, nyala
from nyala import layers
nyala.utils.set_random_seed(7)
model = nyala.Sequential([nyala.Input((4,)), layers.Dense(5, "tanh"), layers.Dropout(0.4), layers.Dense(1)])
model.compile(nyala.optimizers.Adam(0.05), "mse")
model.fit(np.ones((24, 4), "float32"), np.ones((24, 1), "float32"), batch_size=8, epochs=1, verbose=0, resume=sys.argv[1])
"""


def test_another_number_of_devices_is_refused(tmp_path):
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"
    environment = {**os.environ, "NYALA_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    subprocess.run([sys.executable, "-c", ELSEWHERE, tmp_path], env=environment, check=True, timeout=300)
    with nyala.backend("jax"):
        model = network()
        before = model.get_weights()
        with pytest.raises(StateError, match=r"another devices \(.* before, .* now\)"):
            fit(model, resume=tmp_path)
        assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


def test_another_dtype_policy_or_library_is_refused(eager, tmp_path, monkeypatch):
    fit(network(), epochs=1, resume=tmp_path)
    policy = nyala.config.dtype_policy()
    nyala.config.set_dtype_policy("mixed_bfloat16")
    try:
        with pytest.raises(StateError, match="got another architecture"):
            fit(network(), resume=tmp_path)
    finally:
        nyala.config.set_dtype_policy(policy)
    monkeypatch.setattr(run_state, "version", lambda: "0.0.1")
    with pytest.raises(StateError, match=r"another Nyala \(.* before, 0.0.1 now\)"):
        fit(network(), resume=tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(np, "__version__", "1.0.0")
    with pytest.raises(StateError, match=r"another NumPy \(.* before, 1.0.0 now\)"):
        fit(network(), resume=tmp_path)
