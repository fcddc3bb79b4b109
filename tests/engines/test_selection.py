# SPDX-License-Identifier: Apache-2.0
"""Which engine computes: environment, settings file, set_backend, `with nyala.backend(...)`, threads, unknown and missing engines."""

import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import nyala
from nyala import engines

REPORT = "import nyala; print(nyala.backend.backend(), type(nyala.ops.exp(0.0)).__module__.split('.')[0])"


def answer(program=REPORT, **environment):
    """What a program prints in a process of its own with these variables."""
    clean = {k: v for k, v in os.environ.items() if k not in ("NYALA_BACKEND", "KERAS_BACKEND", "NYALA_HOME")}
    run = subprocess.run([sys.executable, "-c", program], env={**clean, **environment}, capture_output=True, text=True, check=False)
    return (run.stdout + run.stderr).strip()


@pytest.fixture
def restored():
    before = engines.current_name()
    yield
    nyala.set_backend(before)


def test_environment_and_settings_file_choose_the_engine(tmp_path):
    (tmp_path / "nyala.json").write_text(json.dumps({"backend": "numpy"}))
    assert answer(NYALA_BACKEND="numpy") == "numpy numpy"
    assert answer(KERAS_BACKEND="numpy") == "numpy numpy"
    assert answer(NYALA_BACKEND="numpy", KERAS_BACKEND="torch") == "numpy numpy"
    assert answer(NYALA_HOME=str(tmp_path)) == "numpy numpy"
    assert answer(NYALA_HOME=str(tmp_path / "none")).startswith("jax jax")


def test_a_wrong_name_in_the_environment_is_not_ignored():
    assert "ValueError: nyala.set_backend needs one of" in answer(NYALA_BACKEND="nunpy")


def test_unknown_engine():
    with pytest.raises(ValueError) as error:
        nyala.set_backend("nunpy")
    assert str(error.value) == (
        f"nyala.set_backend needs one of {engines.available_engines()}, got 'nunpy'.\n"
        "  fix: choose one of these names, or install the package that brings it"
    )
    assert {"jax", "numpy", "spec", "torch"} <= set(engines.available_engines())


def test_engine_whose_library_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not installed
    for module in [name for name in sys.modules if name.startswith("nyala.engines") and "torch" in name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delitem(engines._loaded, "torch", raising=False)
    with pytest.raises(ImportError) as error:
        engines.get_engine("torch")
    assert str(error.value) == (
        "engine 'torch' needs the package 'torch', which is not installed here.\n  fix: pip install 'nyala[torch]', or choose another engine"
    )


def test_switching_late_moves_variables(restored):
    weight = nyala.Variable([1.5, 2.5])
    layer = nyala.layers.Dense(2)
    x = np.random.default_rng(0).normal(size=(3, 5)).astype("float32")
    results = []
    for name in ("jax", "numpy", "jax"):
        nyala.set_backend(name)
        assert engines.current().is_tensor(weight.value)
        weight.assign_add([1.0, 0.0])
        results.append(np.asarray(layer(x)))
    np.testing.assert_array_equal(weight.numpy(), [4.5, 2.5])
    np.testing.assert_allclose(results[0], results[1], rtol=1e-5, atol=1e-6)


def test_a_with_block_holds_in_its_thread_only():
    seen = {}
    inside, done = threading.Event(), threading.Event()

    def other():
        inside.wait(10)
        seen["other"] = nyala.backend.backend()
        done.set()

    before = nyala.backend.backend()
    thread = threading.Thread(target=other)
    thread.start()
    with nyala.backend("spec"):
        inside.set()
        done.wait(10)
        seen["here"] = nyala.backend.backend()
    thread.join()
    assert seen == {"here": "spec", "other": before}
    assert nyala.backend.backend() == before


def test_a_with_block_ends_also_with_an_error():
    before = nyala.backend.backend()
    with pytest.raises(RuntimeError), nyala.backend("numpy"):
        raise RuntimeError
    assert nyala.backend.backend() == before


def test_an_engine_from_another_package_is_found(tmp_path):
    (tmp_path / "abacus.py").write_text("from nyala.engines.numpy import NumpyEngine\n\n\nclass Abacus(NumpyEngine):\n    name = 'abacus'\n")
    info = tmp_path / "abacus-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: abacus\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[nyala.engines]\nabacus = abacus:Abacus\n")
    program = "import nyala; nyala.set_backend('abacus'); print(nyala.backend.backend(), float(nyala.ops.exp(0.0)))"
    assert answer(program, PYTHONPATH=os.pathsep.join([str(tmp_path), os.getcwd()])) == "abacus 1.0"
