# SPDX-License-Identifier: Apache-2.0
"""Several engines in one process, and engines that cannot be had: models that move, tensors that meet another engine, libraries that are missing,
too old or broken, and the memory of a GPU that one of them keeps."""

import itertools
import os
import pathlib
import subprocess
import sys
import threading

import numpy as np
import pytest

import nyala
from nyala import engines
from nyala.core.errors import ArgumentTypeError, StateError
from nyala.engines import _libraries, _sharing, get_engine
from nyala.engines.protocol import Engine
from tests.usual import every_engine

NAMES = [engine.name for engine in every_engine()]
TRAINING = [engine.name for engine in every_engine() if engine.differentiable]
X = np.random.default_rng(0).normal(size=(12, 3)).astype("float32")


def model():
    nyala.utils.set_random_seed(5)
    made = nyala.Sequential([nyala.Input((3,)), nyala.layers.Dense(4, "tanh"), nyala.layers.BatchNormalization(), nyala.layers.Dense(1)])
    made.compile("adam", "mse")
    return made


def losses(made, *names):
    """Loss of an epoch on each of the engines in turn."""
    found = []
    for name in names:
        with nyala.backend(name):
            found += made.fit(X, X[:, :1], batch_size=4, shuffle=False, verbose=0).history["loss"]
    return found


@pytest.fixture
def restored():
    before = engines.current_name()
    yield
    nyala.set_backend(before)


# Models that move


@pytest.mark.parametrize("other", TRAINING[1:])
def test_a_model_moves_to_another_engine_and_back(other):
    first = TRAINING[0]
    stayed, moved = model(), model()
    np.testing.assert_allclose(losses(moved, first, other, first, other), losses(stayed, *[first] * 4), rtol=1e-4)
    for ours, theirs in zip(moved.variables + moved.optimizer.variables, stayed.variables + stayed.optimizer.variables, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-4, atol=1e-6)


def test_engines_in_two_threads_do_not_meet():
    if len(TRAINING) < 2:
        pytest.skip("needs two engines that train")
    models, found = {name: model() for name in TRAINING[:2]}, {}
    alone = losses(model(), TRAINING[0], TRAINING[0])
    threads = [threading.Thread(target=lambda n=name, m=made: found.update({n: losses(m, n, n)})) for name, made in models.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in models:
        np.testing.assert_allclose(found[name], alone, rtol=1e-4)


def test_choosing_an_engine_in_the_middle_of_a_step_is_refused(restored):
    nyala.set_backend(TRAINING[0])

    @nyala.jit
    def step(x):
        nyala.set_backend("numpy")
        return nyala.ops.exp(x)

    class Switching(nyala.layers.Layer):
        def call(self, x):
            nyala.set_backend("numpy")
            return x

    for call in (lambda: step(X), lambda: Switching()(nyala.Input((3,)))):
        with pytest.raises(StateError) as error:
            call()
        assert str(error.value) == (
            "nyala.set_backend needs to be called outside of steps and compiled functions, got a call while the shapes of one are found out.\n"
            "  why: its operations would be divided between two engines\n"
            "  fix: call it before the function"
        )
        assert engines.current_name() == TRAINING[0]
    with nyala.backend("spec"):  # asked for by the user: no step
        nyala.set_backend(TRAINING[0])


# Tensors of one engine that meet another


@pytest.mark.parametrize(("one", "other"), list(itertools.permutations(NAMES, 2)))
def test_tensors_of_another_engine_are_taken(one, other):
    for dtype in ("float32", "bfloat16", "int32", "bool"):
        with nyala.backend(one):
            tensor = nyala.ops.cast(nyala.ops.convert_to_tensor(X), dtype)
        with nyala.backend(other):
            taken = nyala.ops.convert_to_tensor(tensor)
            assert engines.current().is_tensor(taken)
            assert nyala.backend.standardize_dtype(taken.dtype) == dtype
            np.testing.assert_array_equal(nyala.ops.convert_to_numpy(taken), get_engine(one).to_numpy(tensor))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "numpy"])
def test_models_take_inputs_of_another_engine(name):
    made = model()
    with nyala.backend("numpy"):
        want = made.predict(X)
    tensor = get_engine(name).asarray(X)
    with nyala.backend("numpy"):
        np.testing.assert_array_equal(made.predict(tensor, verbose=0), want)
        np.testing.assert_array_equal(made(tensor), want)


def test_what_would_be_lost_is_refused():
    torch = pytest.importorskip("torch")
    with nyala.backend("numpy"), pytest.raises(ArgumentTypeError) as error:
        nyala.ops.exp(torch.ones(3, requires_grad=True))
    assert str(error.value) == (
        "engine 'numpy' needs tensors of its own, or values it can read, got a tensor of engine 'torch'.\n"
        "  why: Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.\n"
        "  fix: take it out of what is differentiated or traced there, or compute with nyala.set_backend('torch')"
    )


def test_things_that_are_no_tensors_keep_their_error():
    with nyala.backend("numpy"), pytest.raises((TypeError, ValueError)) as error:
        nyala.ops.exp(object())
    assert not isinstance(error.value, ArgumentTypeError)
    assert engines.owner_of(object()) is None and engines.owner_of(X) is get_engine("numpy")


# Engines that cannot be had

REQUIRES = ["jax>=0.6", "numpy>=2.0", "torch>=2.4; extra == 'torch'", "torch==2.13.0; extra == 'test'", 'tensorflow>=2.18 ; extra == "tensorflow"']


def answer(folder: pathlib.Path, engine: str, source: str, version: str) -> str:
    """What a process says that chooses this engine, whose library has this source and version."""
    (folder / f"{engine}.py").write_text(source, encoding="utf-8")
    for name, release, more in ((engine, version, []), ("nyala", "9.9", [f"Requires-Dist: {line}" for line in REQUIRES])):
        (folder / f"{name}-{release}.dist-info").mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {release}", *more, ""]
        (folder / f"{name}-{release}.dist-info" / "METADATA").write_text("\n".join(lines), encoding="utf-8")
    program = f"import nyala\ntry:\n    nyala.set_backend({engine!r})\nexcept ImportError as error:\n    print(error)"
    root = pathlib.Path(nyala.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(root)])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.strip()


CANNOT = {
    "too old": ("torch", "", "1.13.1+cu117", "engine 'torch' needs torch>=2.4, got torch 1.13.1+cu117.\n"
        "  fix: pip install --upgrade 'torch' 'nyala[torch]', or choose another engine"),
    "too old, and comes with Nyala": ("jax", "", "0.4.30", "engine 'jax' needs jax>=0.6, got jax 0.4.30.\n"
        "  fix: pip install --upgrade 'jax' 'nyala', or choose another engine"),
    "missing": ("tensorflow", "raise ModuleNotFoundError(\"No module named 'tensorflow'\", name='tensorflow')", "2.18",
        "engine 'tensorflow' needs the package 'tensorflow', which is not installed here.\n"
        "  fix: pip install 'nyala[tensorflow]', or choose another engine"),
    "a part is missing": ("torch", "import half_torch", "2.13.0", "engine 'torch' needs the package 'half_torch', which is not installed here.\n"
        "  fix: pip install 'nyala[torch]', or choose another engine"),
    "broken": ("torch", "raise OSError('libtorch_cpu.so: cannot open shared object file')", "2.13.0",
        "engine 'torch' needs the package 'torch' in working order, got OSError when it was imported.\n"
        "  why: libtorch_cpu.so: cannot open shared object file\n"
        "  fix: pip install --force-reinstall 'torch', or choose another engine"),
    "not what it was": ("jax", "", "99.0", "engine 'jax' needs the package 'jax' in working order, got ModuleNotFoundError when it was imported.\n"
        "  why: No module named 'jax.core'; 'jax' is not a package\n"
        "  fix: pip install --force-reinstall 'jax', or choose another engine"),
}  # fmt: skip


@pytest.mark.parametrize("case", CANNOT)
def test_an_engine_that_cannot_be_had_says_why_and_what_to_install(case, tmp_path):
    engine, source, version, message = CANNOT[case]
    assert answer(tmp_path, engine, source, version) == message


def test_versions_are_compared_as_numbers(monkeypatch):
    monkeypatch.setattr(_libraries, "requires", lambda name: REQUIRES)
    for installed, enough in (("2.4", True), ("2.10.1", True), ("2.4.0rc1", True), ("2.3.9", False), ("1.13", False), ("3", True)):
        monkeypatch.setattr(_libraries, "version", lambda name, found=installed: found)
        try:
            _libraries.check_version("torch")
            assert enough
        except ImportError:
            assert not enough


def test_without_metadata_nothing_is_refused(monkeypatch):
    def absent(name):
        raise _libraries.PackageNotFoundError(name)

    monkeypatch.setattr(_libraries, "requires", absent)
    assert _libraries.requirement("torch") is None
    _libraries.check_version("torch")
    monkeypatch.setattr(_libraries, "requires", lambda name: REQUIRES)
    assert _libraries.requirement("abacus") is None
    monkeypatch.setattr(_libraries, "version", absent)  # there, but under another name
    _libraries.check_version("torch")


def test_a_failed_choice_changes_nothing(monkeypatch):
    before = engines.current_name()
    monkeypatch.setattr(_libraries, "requires", lambda name: ["torch>=1000; extra == 'torch'"])
    monkeypatch.setattr(_libraries, "version", lambda name: "2.13.0")
    monkeypatch.delitem(engines._loaded, "torch", raising=False)
    with pytest.raises(ImportError, match=r"needs torch>=1000, got torch 2\.13\.0"):
        nyala.set_backend("torch")
    assert engines.current_name() == before and "torch" not in engines._loaded


# The memory of a GPU


class OnGpu(Engine):
    name = "on_gpu"

    def devices(self):
        return ["gpu:0", "cpu:0"]


class Greedy(OnGpu):
    name = "greedy"

    def reserved_memory(self):
        return "75% of its memory from the start; set GREEDY=false"


def test_an_engine_that_keeps_a_gpu_is_named_to_those_that_come_later():
    with pytest.warns(UserWarning) as warned:
        _sharing.warn_of_reserved_memory(OnGpu(), [Greedy(), get_engine("numpy")])
    assert [str(one.message) for one in warned] == [
        "engine 'on_gpu' shares the GPU with engine 'greedy', which keeps 75% of its memory from the start; set GREEDY=false"
    ]
    _sharing.warn_of_reserved_memory(get_engine("numpy"), [Greedy()])  # on the CPU: nothing is shared
    _sharing.warn_of_reserved_memory(Greedy(), [OnGpu()])


@pytest.fixture
def jax_engine(monkeypatch):
    jax = pytest.importorskip("nyala.engines.jax")
    for variable in (jax.PREALLOCATE, "XLA_PYTHON_CLIENT_ALLOCATOR", "XLA_PYTHON_CLIENT_MEM_FRACTION"):
        monkeypatch.setenv(variable, "")  # so that it is put back
        monkeypatch.delenv(variable)
    return jax


def test_jax_takes_what_it_needs_beside_another_engine_on_the_gpu(jax_engine, monkeypatch):
    jax_engine.JaxEngine()
    assert jax_engine.PREALLOCATE not in os.environ
    monkeypatch.setitem(engines._loaded, "on_gpu", OnGpu())
    jax_engine.JaxEngine()
    assert os.environ[jax_engine.PREALLOCATE] == "false"
    monkeypatch.setenv(jax_engine.PREALLOCATE, "true")  # the user's word counts
    jax_engine.JaxEngine()
    assert os.environ[jax_engine.PREALLOCATE] == "true"


def test_jax_says_what_it_keeps(jax_engine, monkeypatch):
    engine = get_engine("jax")
    if jax_engine.jax.default_backend() == "cpu":
        assert engine.reserved_memory() == ""
    monkeypatch.setattr(jax_engine.jax, "default_backend", lambda: "gpu")
    said = "of its memory from the start; set XLA_PYTHON_CLIENT_PREALLOCATE=false in the environment before it starts"
    assert engine.reserved_memory() == f"75% {said}"
    monkeypatch.setenv("XLA_PYTHON_CLIENT_MEM_FRACTION", ".5")
    assert engine.reserved_memory() == f"50% {said}"
    monkeypatch.setenv(jax_engine.PREALLOCATE, "false")
    assert engine.reserved_memory() == ""
