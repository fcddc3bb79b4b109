# SPDX-License-Identifier: Apache-2.0
"""Loops of C in functions of the PyTensor engine: the bits of the lines they replace, what becomes one, compilers that fail, shared folders."""

import contextlib
import os
import pathlib
import stat
import subprocess
import sys
import threading

import numpy as np
import pytest

import nyala
from nyala.core import twins
from nyala.engines import get_engine

pytensor = pytest.importorskip("pytensor")
import pytensor.tensor as pt  # noqa: E402

from nyala.engines import _pytensor_compiler as compiler  # noqa: E402
from nyala.engines import _pytensor_kernels as kernels  # noqa: E402
from nyala.engines import _pytensor_ops as table  # noqa: E402
from nyala.engines import _pytensor_program as programs  # noqa: E402
from nyala.engines._pytensor_primitives import primitive  # noqa: E402
from nyala.engines._pytensor_values import type_of  # noqa: E402

needs_compiler = pytest.mark.skipif(not pytensor.config.cxx, reason="there is no C++ compiler")


@pytest.fixture
def engine(monkeypatch):
    """The engine, which compiles all that it can, in a process that has compiled nothing."""
    monkeypatch.setattr(programs, "linker", lambda: "c")
    monkeypatch.setattr(programs, "FEWEST", 1)
    monkeypatch.setattr(compiler, "_noted", set())
    monkeypatch.setattr(compiler, "_modules", {})
    with nyala.backend("pytensor"):
        yield get_engine("pytensor")


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def same(x, y):
    """Equal to the bit, but for what is written into nan."""
    assert (x.dtype, x.shape) == (y.dtype, y.shape)
    np.testing.assert_array_equal(x, y)
    if x.dtype.kind == "f":
        np.testing.assert_array_equal(np.signbit(x) | np.isnan(x), np.signbit(y) | np.isnan(y))


def counted(monkeypatch):
    """The codes that are asked for from now on, a list for each module."""
    asked, original = [], programs.compiled
    monkeypatch.setattr(programs, "compiled", lambda codes, operands: asked.append(codes) or original(codes, operands))
    return asked


# Numbers ---------------------------------------------------------------------------------------------------------------------------------

SHAPES = {"plain": (5, 3, 33), "none": (4, 0, 3), "ones": (1, 7, 1)}
EDGES = {"f": [0.0, -0.0, 1.0, -1.5, np.inf, -np.inf, np.nan, 3e-39, 1e38], "i": [0, 1, -1, -128, 127], "u": [0, 1, 128, 255], "b": [False, True]}
OF_TWO = {
    "f": [pt.add, pt.sub, pt.mul, pt.true_div],
    "i": [pt.add, pt.sub, pt.mul, table._minimum, pt.and_, pt.or_, pt.xor],
    "u": [pt.add, pt.sub, pt.mul, table._maximum, pt.and_],
    "b": [pt.and_, pt.or_, pt.xor],
}
OF_ONE = {
    "f": [pt.neg, pt.sqr, pt.sqrt, pt.reciprocal, table.abs, pt.exp],
    "i": [pt.neg, pt.sqr, table.abs, pt.invert],
    "u": [pt.sqr, pt.invert],
    "b": [pt.invert],
}


def values(rng, shape, dtype):
    """Random numbers with edges among them, in memory of any order."""
    kind = np.dtype(dtype).kind
    x = rng.normal(size=shape) * 3 if kind == "f" else rng.integers(0, 2 if kind == "b" else 100, shape)
    x = np.where(rng.random(shape) < 0.3, rng.choice(EDGES[kind], shape), x).astype(dtype)
    order = rng.integers(4) if x.ndim else 0
    return np.asfortranarray(x) if order == 1 else np.repeat(x, 2, 0)[::2] if order == 2 else x


def random_graph(rng, whole, count=45):
    """Inputs of all shapes that broadcast with the whole one, and some of what random operations make of them."""
    dtypes = ["float32", *map(str, rng.choice(["float32", "float64", "int32", "int8", "uint8", "bool", "int64"], 2))]
    shapes = [tuple(n if kept else 1 for n, kept in zip(whole, kept, strict=True)) for kept in np.ndindex(2, 2, 2)] + [(), whole[-1:]]
    pool = inputs = [type_of(shape, dtype)() for shape in shapes for dtype in dict.fromkeys(dtypes)]
    for _ in range(count):
        x = pool[rng.integers(len(pool))]
        kind, of_kind = np.dtype(x.type.dtype).kind, [y for y in pool if y.type.dtype == x.type.dtype and agree(x, y)]
        y = of_kind[rng.integers(len(of_kind))]
        truths = [t for t in pool if t.type.dtype == "bool" and agree(x, t) and agree(y, t)]
        match rng.integers(10):
            case 0 | 1 | 2 | 3:
                made = OF_TWO[kind][rng.integers(len(OF_TWO[kind]))](x, y)
            case 4 | 5:
                made = OF_ONE[kind][rng.integers(len(OF_ONE[kind]))](x)
            case 6:
                made = [pt.eq, pt.neq, pt.lt, pt.le, pt.gt, pt.ge][rng.integers(6)](x, y)
            case 7 if truths:
                made = pt.switch(truths[-1], x, y)
            case 8:
                made = table.cast(x, str(rng.choice(["float32", "float64"])))
            case 9 if x.type.ndim == 3:
                axis, back = int(rng.integers(3)), pt.transpose
                made = back(back(x, (2, 0, 1)) + back(y, (2, 0, 1)), (1, 2, 0)) if kind != "b" and y.type.ndim == 3 else table.broadcast_to(x, whole)
                made = table.reshape(table.sum(made, (axis,), True), (1, *made.type.shape[:axis], *made.type.shape[axis + 1 :])) if axis else made
            case _:
                continue
        if None not in made.type.shape and agree(made, type_of(whole, "bool")()):
            pool = [*pool, made]
    made = pool[len(inputs) :]
    return inputs, list(dict.fromkeys([*(made[i] for i in rng.integers(0, len(made), 8)), *made[-3:]]))


def agree(x, y):
    with contextlib.suppress(ValueError):
        return np.broadcast_shapes(x.type.shape, y.type.shape) is not None
    return False


@needs_compiler
@pytest.mark.parametrize("whole", SHAPES.values(), ids=SHAPES)
def test_loops_make_the_bits_of_the_lines(engine, monkeypatch, whole):
    monkeypatch.setattr(kernels, "ALONE", (object,))
    rng = np.random.default_rng(1)
    with np.errstate(all="ignore"):
        graphs = [random_graph(rng, whole) for _ in range(8)]
        with programs._unit():
            functions = [programs.program(*graph, lasting=True) for graph in graphs]
        for (inputs, outputs), function in zip(graphs, functions, strict=True):
            arrays = [values(rng, x.type.shape, x.type.dtype) for x in inputs]
            assert sum(isinstance(line, kernels.Loop) for line in function.fused) > 3
            assert any(name.startswith("k") for name in function._function.__code__.co_names)
            for line, loop in zip(programs._Lined(inputs, outputs)(*arrays), function(*arrays), strict=True):
                same(line, loop)


POOLS = {  # shape, window, strides, padding
    "apart": ((3, 7, 5, 4), (2, 2), (2, 2), ((0, 0), (0, 0))),
    "overlapping": ((2, 9, 8, 33), (3, 2), (2, 1), ((2, 1), (1, 1))),
    "rows": ((4, 11, 5), (3,), (1,), ((1, 2),)),
    "gaps": ((1, 6, 7, 2), (1, 2), (2, 3), ((0, 0), (0, 1))),
}


@needs_compiler
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_gradient_of_max_pooling_is_a_loop_with_the_bits_of_the_line(engine, dtype):
    """Ties, nan, windows of nothing but the lowest, and elements in several windows."""
    rng, cases = np.random.default_rng(2), []
    with programs._unit():
        for shape, *settings in POOLS.values():
            x = type_of(shape, dtype)()
            y = primitive("max_pool", *settings)(x)
            g = type_of(y.type.shape, dtype)()
            graph = [x, g], [primitive("pool_put", *settings)(x, y, g), y]
            cases.append((graph, programs.program(*graph, lasting=True)))
    for (inputs, outputs), function in cases:
        assert [type(line) for line in function.fused] == [kernels.Line, kernels.Loop]
        x, g = (values(rng, v.type.shape, dtype) for v in inputs)
        x = np.where(rng.random(x.shape) < 0.5, rng.integers(-2, 2, x.shape), x).astype(dtype)
        x[:, :3] = np.where(np.isnan(x[:, :3]), x[:, :3], -np.inf)
        for line, loop in zip(programs._Lined(inputs, outputs)(x, g), function(x, g), strict=True):
            same(line, loop)


@needs_compiler
def test_a_trained_model_has_the_bits_of_the_lines(engine, monkeypatch):
    """A loop of steps, a loop over times in it, dropout, a choice of the optimizer's."""
    losses, weights, asked = {}, {}, counted(monkeypatch)
    for linker in ("numpy", "c"):
        monkeypatch.setattr(programs, "linker", lambda linker=linker: linker)
        twins.forget()
        nyala.utils.set_random_seed(3)
        layers = nyala.layers
        parts = [layers.Conv1D(4, 2, activation="relu"), layers.LSTM(5), layers.Dropout(0.2), layers.BatchNormalization(), layers.Dense(3, "softmax")]
        model = nyala.Sequential(parts)
        model.compile(nyala.optimizers.AdamW(0.01, clipnorm=1.0), "sparse_categorical_crossentropy", metrics=["accuracy"])
        history = model.fit(numbers(23, 7, 2), np.arange(23) % 3, batch_size=5, epochs=3, verbose=0)
        losses[linker], weights[linker] = history.history, model.get_weights()
    assert losses["c"] == losses["numpy"]
    assert asked
    for x, y in zip(weights["numpy"], weights["c"], strict=True):
        same(x, y)


# What becomes a loop ------------------------------------------------------------------------------------------------------------------------


F = np.float32


def loops_of(function, *arrays):
    """How many operations each loop has, and how many lines are left."""
    inputs = [type_of(x.shape, str(x.dtype))() for x in arrays]
    lined = programs._Lined(inputs, function(*inputs))
    return [line.operations for line in lined.fused if isinstance(line, kernels.Loop)], sum(isinstance(line, kernels.Line) for line in lined.fused)


def test_operations_on_one_shape_are_one_loop_through_axes_that_come_and_go():
    def adam(x, rate, g, m):
        m = m * F(0.9) + g * F(0.1)
        return [x - pt.shape_padleft(rate, 2) * m / (pt.sqrt(m) + F(1e-7)), m]

    x = numbers(4, 3)
    assert loops_of(adam, x, np.float32(0.1), x, x) == ([8], 0)


@needs_compiler
def test_a_loop_of_hundreds_of_operands_with_views_of_its_own_results(engine):
    variables = [type_of((2,), "float32")() for _ in range(150)]
    total = variables[0]
    for x in variables[1:]:
        total = table.reshape(pt.shape_padleft(total * x), (2,)) + x
    function = programs.program(variables, [total], lasting=True)
    assert [line.operations for line in function.fused] == [298]
    arrays = [numbers(2, seed=seed) for seed in range(150)]
    same(function(*arrays)[0], programs._Lined(variables, [total])(*arrays)[0])


def test_what_needs_a_product_between_is_two_loops():
    x = numbers(3, 3)
    assert loops_of(lambda x, y: [pt.neg(pt.sqr(x)) * pt.dot(pt.neg(pt.sqr(x)), y) + x], x, x) == ([2, 2], 1)


def test_what_is_read_in_another_order_is_no_part_of_the_loop():
    x = numbers(3, 3)
    loops, _ = loops_of(lambda x: [(pt.neg(pt.sqr(x)).T + x) * x], x)
    assert loops == [2, 2]


def test_a_single_operation_stays_with_numpy_but_for_where():
    x = numbers(3, 4)
    assert loops_of(lambda x, y: [x + y], x, x) == ([], 1)
    assert loops_of(lambda x, y: [pt.switch(x, y, y * F(2))], x > 0, x) == ([2], 0)


def test_divisions_of_integers_and_floats_that_become_integers_stay_with_numpy():
    """C would stop the process, or leave the result open."""
    i, x = np.arange(4, dtype="int32"), numbers(4)
    assert loops_of(lambda i, x: [pt.mod(i, i - i), table.TABLE["floor_divide"](i, i - i), pt.cast(x, "int32")], i, x)[0] == []


@needs_compiler
def test_sizes_are_arguments_so_another_batch_needs_no_compiler(engine, monkeypatch):
    asked = counted(monkeypatch)
    function = engine.compile(lambda x, b: engine.where(engine.greater(engine.add(x, b), 0.0), engine.multiply(x, b), x))
    for rows in (5, 2, 17):
        x, b = numbers(rows, 3), numbers(3, seed=1)
        same(function(engine.asarray(x), engine.asarray(b)), np.where(x + b > 0, x * b, x))
    assert len({tuple(codes) for codes in asked}) == 1
    assert len(compiler._modules) == 1


def test_little_that_is_to_do_and_gradients_that_are_taken_once_are_not_compiled(monkeypatch):
    monkeypatch.setattr(programs, "linker", lambda: "c")
    asked = counted(monkeypatch)
    with nyala.backend("pytensor"):
        engine = get_engine("pytensor")
        x = engine.asarray(numbers(5))

        def long(values):
            y = values[0]
            for _ in range(programs.FEWEST):
                y = engine.multiply(engine.add(y, 1.0), values[0])
            return engine.sum(y, (0,), False), ()

        engine.value_and_grad(long)([x])
        engine.compile(lambda x: engine.multiply(engine.add(x, 1.0), x))(x)
        assert not asked
        engine.compile(long)([x])
        assert len(asked) == 1


def test_few_operations_on_much_are_compiled(monkeypatch):
    monkeypatch.setattr(programs, "linker", lambda: "c")
    asked = []
    monkeypatch.setattr(programs, "compiled", lambda codes, _: asked.append(codes))
    for size, count in ((2**20, 0), (2**21, 1)):
        x = type_of((2, size // 2), "float32")()
        programs.program([x], [x * x + x], lasting=True)
        assert len(asked) == count


# The driver -----------------------------------------------------------------------------------------------------------------------------------


@needs_compiler
def test_arrays_of_another_layout_are_copied_and_those_of_another_size_refused(engine):
    x, y = type_of((3, 4), "float32")(), type_of((4,), "float32")()
    function = programs.program([x, y], [pt.switch(x > y, x * y, x)], lasting=True)
    assert any(isinstance(line, kernels.Loop) for line in function.fused)
    a, b = numbers(4, 3).T, np.repeat(numbers(4, seed=1), 3)[::3]
    for given in (a, a.astype(">f4"), a.astype("float64"), [list(map(float, row)) for row in a]):
        same(function(given, b)[0], np.where(a > b, a * b, a))
    held = []
    for _ in range(9):
        for wrong in ((a[:2], b), (a, b[:3])):
            with pytest.raises(SystemError, match="a loop got an array of another size than it was made for"):
                function(*wrong)
        function(a, b)
        held.append((sys.getrefcount(a), sys.getrefcount(b)))
    assert held[1] == held[-1]


@needs_compiler
def test_loops_run_in_several_threads(engine):
    """Long ones let others run."""
    function = engine.compile(lambda x: engine.add(engine.multiply(x, x), x))
    x, results = np.arange(2**17, dtype="float32"), {}

    def work(n):
        results[n] = [function(x + n) for _ in range(5)]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n, found in results.items():
        for y in found:
            same(y, (x + n) * (x + n) + (x + n))


# Compilers and folders ------------------------------------------------------------------------------------------------------------------------

TRAINED = """
import numpy as np, nyala
nyala.utils.set_random_seed(3)
model = nyala.Sequential([nyala.Input((6,)), nyala.layers.Dense(9, "relu"), nyala.layers.Dense(3, "softmax")])
model.compile("adam", "sparse_categorical_crossentropy")
x = np.random.default_rng(0).normal(size=(20, 6)).astype("float32")
print(*(loss.hex() for loss in model.fit(x, np.arange(20) % 3, epochs=3, batch_size=8, verbose=0).history["loss"]))
for _ in range(2):
    model.fit(x[:7], np.arange(7) % 3, verbose=0)
"""


def started(folder, flags="", **environment):
    kept = {key: value for key, value in os.environ.items() if key not in ("KERAS_BACKEND", "NYALA_PYTENSOR_LINKER")}
    settings = {"NYALA_BACKEND": "pytensor", "PYTENSOR_FLAGS": f"base_compiledir={folder}{flags}", **environment}
    return subprocess.Popen([sys.executable, "-c", TRAINED], env=kept | settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process):
    """The losses, and what was complained about."""
    out, complaints = process.communicate(timeout=300)
    return out.split(), complaints


def modules(folder):
    """The modules in a folder and what is left of attempts."""
    return {path: path.stat().st_mtime_ns for path in pathlib.Path(folder).glob("*/nyala_*/*") if path.suffix in (".so", ".pyd", ".dll")}


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    losses, complaints = ended(started(tmp_path_factory.mktemp("numpy"), NYALA_PYTENSOR_LINKER="numpy"))
    assert len(losses) == 3, complaints
    return losses


@needs_compiler
def test_processes_share_what_one_has_compiled(expected, tmp_path):
    """Two that begin at once in an empty folder, then a third, then one that finds the module damaged."""
    for losses, complaints in map(ended, [started(tmp_path), started(tmp_path)]):
        assert losses == expected, complaints
        assert "note:" not in complaints.replace("note: PyTensor's C++ compiler took", "")
    made = modules(tmp_path)
    assert len(made) == len(list(tmp_path.glob("*/nyala_*"))) == 2  # a loop of steps, and a single one
    assert ended(started(tmp_path))[0] == expected
    assert modules(tmp_path) == made
    for path in made:
        path.write_bytes(b"no module")
    losses, complaints = ended(started(tmp_path))
    assert losses == expected, complaints
    assert all(path.stat().st_size > 1000 for path in made)


def test_without_a_compiler_a_note_says_so_once(expected, tmp_path):
    losses, complaints = ended(started(tmp_path, ",cxx="))
    assert losses == expected
    assert complaints.count("note: PyTensor finds no C++ compiler: graphs of PyTensor run on NumPy alone; fix: install g++ or clang++") == 1


@pytest.mark.skipif(os.name == "nt", reason="needs a script that can be run")
@needs_compiler
def test_a_compiler_that_fails_is_named_once(expected, tmp_path):
    broken = tmp_path / "broken-g++"
    broken.write_text('#!/bin/sh\ncase "$*" in *"c++ -"*) echo "fatal error: Python.h: No such file" >&2; exit 1;; esac\nexec c++ "$@"\n')
    broken.chmod(broken.stat().st_mode | stat.S_IXUSR)
    losses, complaints = ended(started(tmp_path, f",cxx={broken}"))
    assert losses == expected, complaints
    said = f"note: the C++ compiler '{broken}' made no module for PyTensor (CompileError: fatal error: Python.h: No such file): graphs of"
    assert complaints.count(said) == complaints.count("note:") == 1, complaints
    assert not list(tmp_path.glob("*/nyala_*"))


@needs_compiler
def test_a_folder_that_cannot_be_written_or_stays_locked_is_named_once(engine, monkeypatch, capsys, tmp_path):
    def refused(*_, **__):
        raise PermissionError(13, "Permission denied", "the folder")

    function, x = (lambda x: engine.add(engine.multiply(x, 1.25), x)), numbers(7)
    monkeypatch.setattr(compiler, "FLAGS", [*compiler.FLAGS, f"-DNYALA_TEST={os.getpid()}"])  # in no folder yet
    monkeypatch.setattr(compiler.tempfile, "mkdtemp", refused)
    for _ in range(2):
        same(engine.compile(function)(engine.asarray(x)), x * np.float32(1.25) + x)
    said = capsys.readouterr().err
    assert said.count("made no module for PyTensor (PermissionError: [Errno 13] Permission denied: 'the folder')") == said.count("note:") == 1
    assert f"{pytensor.config.compiledir} can be written, or set NYALA_PYTENSOR_LINKER=numpy" in said

    from filelock import FileLock

    monkeypatch.setattr(compiler, "_noted", set())
    monkeypatch.setattr(compiler, "WAIT", 0.1)
    with FileLock(pathlib.Path(pytensor.config.compiledir) / ".lock"):
        same(engine.compile(function)(engine.asarray(x)), x * np.float32(1.25) + x)
    assert "made no module for PyTensor (Timeout: " in capsys.readouterr().err


def test_a_compiler_that_takes_long_is_named_once(capsys, monkeypatch):
    monkeypatch.setattr(compiler, "_noted", set())
    for seconds in (4.0, 17.0, 40.0):
        compiler.note_seconds(seconds)
    said = capsys.readouterr().err
    assert said.startswith("note: PyTensor's C++ compiler took 17 s for the loops of a function, which are kept for the next time")
    assert said.count("note:") == 1
