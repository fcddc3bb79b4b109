# SPDX-License-Identifier: Apache-2.0
"""The scripts in benchmarks/: each runs at tiny sizes in a process of its own and prints what it should; what they count by formula is right."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nyala

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "benchmarks"


def run(script, *arguments, code=0):
    """What a script prints, on the default engine."""
    environment = {name: value for name, value in os.environ.items() if name not in ("NYALA_BACKEND", "KERAS_BACKEND")}
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, str(FOLDER / script), *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=600)
    assert done.returncode == code, done.stderr
    return done.stdout


@pytest.fixture
def script(monkeypatch):
    """Imports a script as a module."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


def cells(table):
    """The cells of a Markdown table, row by row, without the rule."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("|")]
    return rows[:1] + rows[2:]


@pytest.mark.parametrize(("library", "workload"), [("nyala", "tiny"), ("nyala", "transformer"), ("torch", "lstm")])
def test_workloads(library, workload):
    if library == "torch":
        pytest.importorskip("torch")
    figures = json.loads(run("workloads.py", library, workload, "--quick").splitlines()[-1])
    assert (figures["library"], figures["workload"], figures["engine"]) == (library, workload, "jax" if library == "nyala" else "torch")
    times = ("import_s", "first_s", "step_ms", "one_ms", "rows_s", "peak_gflops_s")
    assert all(figures[name] > 0 for name in times)
    assert figures["gflops_s"] == pytest.approx(figures["gflops"] / figures["step_ms"] * 1e3, rel=1e-3)
    assert figures["share"] == pytest.approx(figures["gflops_s"] / figures["peak_gflops_s"], rel=1e-3)
    assert np.isnan(figures["rss_mb"]) or 30 < figures["rss_mb"] < 10_000


def test_arithmetic_of_a_step(script):
    workloads = script("workloads")
    tiny = 2 * 32 * (2 * 9 * 32 + 3 * 32 * 128 + 3 * 128 * 1)  # the data need no gradient
    assert workloads.gflops_of_step("tiny", workloads.SIZES["tiny"]) == pytest.approx(tiny / 1e9)
    lstm = 2 * 3 * 32 * (80 * (128 + 128) * 512 + 128)  # the embeddings do
    assert workloads.gflops_of_step("lstm", workloads.SIZES["lstm"]) == pytest.approx(lstm / 1e9)
    forward = sum(2 * np.prod(product) for product in workloads.products("resnet50", workloads.SIZES["resnet50"]._replace(batch=1)))
    assert forward == pytest.approx(7.7e9, rel=0.02)  # 3.86 billion multiplications and additions, as in the literature


@pytest.mark.parametrize("workload", ["tiny", "mlp", "cnn", "lstm", "transformer", "autoencoder", "resnet50"])
def test_products_use_every_kernel_once(script, workload):
    workloads = script("workloads")
    size = workloads.quick(workloads.SIZES[workload])
    model = workloads.build(nyala, workload, size)
    kernels = sum(np.prod(w.shape) for w in model.trainable_weights if w.name.endswith("kernel"))
    head, attention = workloads.WIDTH // workloads.HEADS, size.batch * workloads.LENGTH * workloads.HEADS
    used = [p for p in workloads.products(workload, size) if not (workload == "transformer" and p.rows == attention and head in p[1:])]
    assert sum(p.inner * p.columns for p in used) == kernels
    torch = pytest.importorskip("torch")
    module = workloads.build_torch(workload)
    assert isinstance(module, torch.nn.Module)
    second_bias = 4 * workloads.UNITS if workload == "lstm" else 0
    assert sum(p.numel() for p in module.parameters()) == sum(np.prod(w.shape) for w in model.trainable_weights) + second_bias


def test_compare(tmp_path, script):
    table, record = tmp_path / "table.md", tmp_path / "figures.json"
    shown = run("compare.py", "--quick", "--rounds", 2, "--work", "tiny", "--markdown", table, "--json", record, "a=:nyala:jax", "b=:nyala:jax")
    head, *rows = cells(shown)
    assert head == ["median of 2", "a", "b", "a to best other"]
    assert [row[0] for row in rows][:3] == ["tiny: import, s", "tiny: first fit, s", "tiny: train step, ms"]
    assert cells(table.read_text(encoding="utf-8")) == [head, *rows]
    medians = json.loads(record.read_text(encoding="utf-8"))["medians"]["tiny"]
    ratio = medians["b"]["step_ms"] / medians["a"]["step_ms"]
    assert rows[2][2].endswith(f"({ratio:.2f}x)") and rows[2][3] == f"{ratio:.2f}x"

    compare = script("compare")
    assert compare.better("step_ms", 2.0, 5.0) == compare.better("rows_s", 5.0, 2.0) == 2.5
    assert compare.as_peer(r"k=C:\py\python.exe:keras:jax") == ("k", r"C:\py\python.exe", "keras", "jax")


def test_compare_when_a_peer_fails():
    shown = run("compare.py", "--quick", "--rounds", 1, "--work", "tiny", "a=:nyala:jax", "b=no-such-python:keras:jax", code=1)
    assert cells(shown)[1][2:] == ["-", "-"]


def test_applications(tmp_path):
    arguments = ("--quick", "--rounds", 1, "--only", "MobileNetV2", "--markdown", tmp_path / "table.md", "a=:nyala:jax")
    head, *rows = cells(run("applications.py", *arguments))
    assert head == ["median of 1", "a"]
    assert [row[0].partition(": ")[2] for row in rows][:3] == ["build, s", "build again, s", "memory / weights"]
    assert all(float(row[1].replace(",", "")) > 0 for row in rows)
    assert cells((tmp_path / "table.md").read_text(encoding="utf-8")) == [head, *rows]


def test_lowerings(tmp_path):
    record = tmp_path / "figures.json"
    chosen = ["kernel-gradient", "relu", "look-up", "dispatch"]
    head, *rows = cells(run("lowerings.py", "--quick", "--only", ",".join(chosen), "--json", record))
    assert head == ["lowering", "work", "without, ms", "with, ms", "gain"]
    assert [row[0] for row in rows] == chosen
    figures = json.loads(record.read_text(encoding="utf-8"))["lowerings"]
    assert list(figures) == chosen
    assert all(entry["ratio"] == pytest.approx(entry["without"] / entry["with"]) for entry in figures.values())


def test_lowerings_are_really_replaced(script):
    """The program without a lowering differs from the one with it."""
    jax = pytest.importorskip("jax")
    lowerings = script("lowerings")
    engine, windows, kernels = lowerings.jax_engine.JaxEngine(), lowerings.windows, lowerings.kernels
    x, kernel, g, tiles = (
        np.random.default_rng(0).normal(size=shape).astype("float32") for shape in ((2, 6, 6, 3), (3, 3, 3, 5), (2, 4, 4, 5), (2, 4, 6, 3))
    )
    cases = [
        (lowerings.replaced(kernels, "kernel_gradient_as_correlation", lowerings.xla_kernel_gradient),
         lambda: engine.conv_kernel_gradient(x, g, kernel.shape, (1, 1), [(0, 0), (0, 0)], (1, 1), 1)),
        (lowerings.replaced(windows, "_correlate", kernels.xla_convolution),
         lambda: engine.conv(x, kernel[:1, :1], (1, 1), [(0, 0), (0, 0)], (1, 1), 1)),
        (lowerings.replaced(windows, "_max_of_tiles", lowerings.xla_max_of_tiles),
         lambda: jax.grad(lambda t: engine.max_pool(t, (2, 2), (2, 2), [(0, 0), (0, 0)]).sum())(tiles)),
        (lowerings.replaced(windows, "LARGEST_UNROLLED_WINDOW", 0), lambda: engine.max_pool(tiles, (3, 3), (2, 2), [(0, 1), (0, 1)])),
        (lowerings.replaced(lowerings.jax_engine.JaxEngine, "matmul", lambda _, x, y: jax.numpy.matmul(x, y)),
         lambda: engine.matmul(x, kernel[0, 0])),
        (lowerings.without_shortcut("relu"), lambda: nyala.ops.relu(jax.numpy.asarray(x))),
    ]  # fmt: skip
    with nyala.backend("jax"):
        for patch, compute in cases:
            trace = lambda compute=compute: str(jax.make_jaxpr(lambda: compute())())  # noqa: E731  JAX remembers by function what it traced
            having, expected = trace(), compute()
            assert trace() == having
            with patch():
                assert trace() != having
                np.testing.assert_allclose(compute(), expected, rtol=1e-4, atol=1e-4)
            assert trace() == having


def test_lowerings_of_kernels_are_really_replaced(script):
    jax = pytest.importorskip("jax")
    lowerings = script("lowerings")
    x, kernel = np.zeros((8, 30, 30, 64), "float32"), np.zeros((3, 3, 64, 64), "float32")
    with nyala.backend("jax"):
        engine = lowerings.jax_engine.JaxEngine()
        nyala.ops.add(1, 1)
        if not lowerings.kernels.available():
            pytest.skip("no kernels on this machine")
        conv = lambda x: engine.conv(x, kernel, (1, 1), [(1, 1), (1, 1)], (1, 1), 1) + 1  # noqa: E731
        text = lambda: jax.jit(lowerings.joining.joined(lambda x: conv(x))).lower(x).as_text()  # noqa: E731  a fresh function each time
        having = text()
        assert "finished_convolution" in having
        for patch in (lowerings.NO_KERNELS, lowerings.NO_MINIMAL, lowerings.NOT_JOINED):
            with patch():
                assert text() != having
            assert text() == having
        step = lambda: jax.jit(  # noqa: E731
            lowerings.joining.joined(lambda x: engine.value_and_grad(lambda x: (conv(x).sum(), ()))(x))
        ).lower(x).as_text()  # fmt: skip
        having = step()
        with lowerings.NOT_JOINED_IN_STEPS():
            assert "finished_convolution" in having
            assert "finished_convolution" not in step()
        assert step() == having


def test_data_kinds():
    head, *rows = cells(run("data_kinds.py", "--quick", "--only", "mapped,generator,this thread"))
    assert head[:2] == ["kind", "microseconds a step"]
    assert [row[0] for row in rows] == ["arrays", "arrays, batch by batch", "mapped file", "generator", "PyDataset, this thread"]
    assert all(float(row[1].replace(",", "")) > 0 for row in rows)


def test_scaling(tmp_path):
    pytest.importorskip("matplotlib")
    picture, record = tmp_path / "scaling.png", tmp_path / "scaling.json"
    shown = run("scaling.py", "--quick", "--only", "rows,generator,file", "--picture", picture, "--json", record)
    rows = cells(shown)
    assert rows[1][:4] == ["rows", "rows of data", "8", "32"]
    figures = json.loads(record.read_text(encoding="utf-8"))
    curve = figures["curves"]["rows"]
    assert len(curve["ms"]) == 3 and float(rows[1][6]) == pytest.approx(curve["exponent"], abs=0.01)
    for stream in figures["streams"].values():
        assert stream["read_mb"][-1] == 2.0 and len(stream["own_mb"]) == len(stream["rss_mb"]) > 10
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_fit_beside_a_loop_by_hand(tmp_path):
    table = tmp_path / "table.md"
    shown = run("fit_overhead.py", "--quick", "--only", "tiny", "--feeds", "arrays", "generator", "PyDataset", "--markdown", table)
    head, *rows = cells(shown)
    assert head == ["workload", "data", "by hand, ms a step", "fit, ms a step", "fit / by hand"]
    assert [row[:2] for row in rows] == [["tiny", "arrays"], ["tiny", "generator"], ["tiny", "PyDataset"]]
    assert all(float(row[4].replace(",", "")) > 0 for row in rows)
    assert table.read_text(encoding="utf-8").strip() in shown


def test_exponents_are_found(script):
    measure = script("measure")
    sizes = np.array([2.0, 3.0, 5.0, 7.0])
    for power in (-0.5, 1.0, 2.5):
        assert measure.exponent(sizes, 3 * sizes**power) == pytest.approx(power)


def test_distribution():
    head, *rows = cells(run("distribution.py", "--quick", "--only", "mlp", "--ways", "alone", "2 devices", "2 processes"))
    assert head == ["step, ms", "alone", "2 devices", "2 processes"] and [row[0] for row in rows] == ["mlp"]
    assert rows[0][1].endswith("(1.00x)") and all(float(cell.split()[0]) > 0 for cell in rows[0][1:])


def test_endurance():
    shown = run("endurance.py", "--quick").splitlines()
    assert shown[-1] == "memory is flat, compilations are bounded"
    assert any(line.startswith("predict   100:") for line in shown) and any(line.startswith("rebuild     5:") for line in shown)


def test_endurance_sees_memory_that_grows_and_too_many_programs(script, capsys):
    endurance = script("endurance")
    if not np.isnan(script("measure").own_mb()):
        leak = """if True:  # in a process of its own: this one may hold freed memory, in which a leak does not show
            import sys; sys.path.insert(0, sys.argv[1])
            import numpy as np, endurance
            kept = []
            faults = endurance.endure("leak", lambda: kept.append(np.ones(2_000_000)), 40, 20, 10, bound=0)
            print(*faults, sep="|")
        """
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, "-c", leak, str(FOLDER)], env=environment, capture_output=True, text=True, timeout=600)
        assert done.stdout.splitlines()[-1].startswith("leak: memory grew to "), done.stderr
    sizes = iter(range(1, 6))
    call = nyala.jit(lambda x: x + 1)
    with pytest.warns(UserWarning, match="was compiled 4 times: its argument x has axis 0 of size 1, 2, 3, 4"):
        faults = endurance.endure("sizes", lambda: call(np.zeros(next(sizes))), 5, 5, 1, bound=4)
    assert faults[-1] == "sizes: 5 programs and 5 traces, at most 4 were expected"


def test_files(tmp_path):
    table = tmp_path / "table.md"
    head, *rows = cells(run("files.py", "--quick", "--markdown", table))
    assert head == ["format", "library", "save, s", "and on the disk, s", "load, s", "and first row, s", "save, MiB", "load, MiB"]
    assert [row[:2] for row in rows] == [[suffix, "nyala"] for suffix in (".keras", ".weights.h5", ".h5", ".safetensors")]
    assert all(0 < float(row[i]) < 60 for row in rows for i in (2, 3, 4, 5))
    assert all(float(row[3]) >= float(row[2]) for row in rows)
    assert table.read_text(encoding="utf-8").splitlines()[2].startswith("| format")
