# SPDX-License-Identifier: Apache-2.0
"""The protocol is frozen, engines answer all of it, and nothing above the engines knows which one runs."""

import ast
import importlib.util
import pathlib
import subprocess
import sys

import pytest

import nyala.engines
from nyala.engines import PRIMITIVES, Engine, available_engines, get_engine
from nyala.engines.protocol import KINDS

ROOT = pathlib.Path(nyala.engines.__file__).parents[1]

# A new name here needs the measured cost of composing it from the others.
FROZEN = {
    "unary": "negative abs sign exp expm1 log log1p sqrt rsqrt sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh sigmoid "
             "erf erfinv lgamma digamma floor ceil round",
    "binary": "add subtract multiply divide floor_divide remainder power maximum minimum arctan2",
    "compare": "equal not_equal less less_equal greater greater_equal",
    "logic": "isfinite isnan logical_not logical_and logical_or",
    "bits": "bitwise_not bitwise_and bitwise_or bitwise_xor left_shift right_shift",
    "select": "where cast",
    "reduce": "sum prod max min any all argmax argmin",
    "cumulative": "cumsum cumprod cummax",
    "shape": "reshape transpose broadcast_to concatenate pad slice flip",
    "index": "take take_along_axis scatter dynamic_slice dynamic_update_slice nonzero",
    "sort": "sort argsort top_k searchsorted",
    "contract": "matmul einsum",
    "window": "conv conv_input_gradient conv_kernel_gradient max_pool sum_pool",
    "linalg": "cholesky solve triangular_solve qr svd eigh eig lu",
    "complex": "complex real imag fft ifft",
    "random": "random_bits",
    "create": "full arange",
    "control": "cond while_loop scan",
}  # fmt: skip


def test_the_list_of_primitives_is_frozen():
    assert {name: kind for kind, names in FROZEN.items() for name in names.split()} == PRIMITIVES
    assert set(FROZEN) == set(KINDS)
    assert len(PRIMITIVES) == 112


@pytest.mark.parametrize("name", PRIMITIVES)
def test_every_primitive_has_a_contract(name):
    text = getattr(Engine, name).__doc__
    assert text and text.strip().endswith((".", "]")), text


@pytest.mark.parametrize("name", PRIMITIVES)
def test_an_engine_without_it_says_so(name):
    class Young(Engine):
        pass

    young = Young()
    young.name = "young"
    with pytest.raises(NotImplementedError, match=f"^engine 'young' does not implement the primitive '{name}'$"):
        getattr(young, name)()


@pytest.mark.parametrize("name", available_engines())
def test_engines_implement_every_primitive(name):
    try:
        engine = get_engine(name)
    except ImportError as error:
        pytest.skip(str(error).splitlines()[0])
    assert engine.name == name
    assert [primitive for primitive in PRIMITIVES if getattr(type(engine), primitive) is getattr(Engine, primitive)] == []


def test_private_files_are_no_engines():
    assert not [name for name in available_engines() if name.startswith("_") or name == "protocol"]
    assert {"jax", "numpy", "spec", "torch"} <= set(available_engines())


# Nothing outside nyala/engines knows an engine by name ------------------------------------------------------------------------------------------

LIBRARIES = {"jax", "jaxlib", "torch", "tensorflow", "pytensor", "mlx", "cupy"}
NAMES = {"jax", "torch", "pytorch", "pytensor", "mlx", "cupy"}


ALLOWED = ("protocol", "spec", "_interop")  # the last one is for layers whose purpose is code of one library


def engine_knowledge(source):
    """Lines of a source that import an array library or compare something with the name of an engine."""
    found = []
    for node in ast.walk(ast.parse(source)):
        imported = []
        if isinstance(node, ast.Import):
            imported = [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom) and not node.level:
            imported = [node.module or ""]
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in ("import_module", "__import__"):
            imported = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
        if any(name.split(".")[0] in LIBRARIES for name in imported):
            found.append(f"line {node.lineno}: imports {imported[0]}")
        if any(name.startswith("nyala.engines.") and name.split(".")[2] not in ALLOWED for name in imported):
            found.append(f"line {node.lineno}: imports {imported[0]}")
        compared = []
        if isinstance(node, ast.Compare):
            compared = [node.left, *node.comparators]
        if isinstance(node, ast.Match):
            compared = [case.pattern for case in node.cases]
        strings = {leaf.value for part in compared for leaf in ast.walk(part) if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str)}
        if strings & NAMES:
            found.append(f"line {node.lineno}: compares with {sorted(strings & NAMES)}")
    return found


SOURCES = sorted(path for path in ROOT.rglob("*.py") if (ROOT / "engines") not in path.parents)


@pytest.mark.parametrize("path", SOURCES, ids=[path.relative_to(ROOT).as_posix() for path in SOURCES])
def test_nothing_above_the_engines_knows_which_one_runs(path):
    assert engine_knowledge(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    ["import jax.numpy as jnp", "from torch import nn", "def f():\n    import tensorflow", "importlib.import_module('jax')",
        "if backend() == 'jax': pass",
     "x = 1 if name in ('torch', 'numpy') else 2", "match name:\n    case 'jax': pass", "from nyala.engines.jax import JaxEngine"],
)  # fmt: skip
def test_the_scan_sees_knowledge(source):
    assert len(engine_knowledge(source)) == 1


@pytest.mark.parametrize(
    "source",
    ["'''import jax'''", "x = 'jax'", "from .torch import x", "import numpy", "from nyala.engines.protocol import Tensor", "set_backend('jax')"],
)
def test_the_scan_lets_words_pass(source):
    assert engine_knowledge(source) == []


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs a library that could be loaded by mistake")
def test_importing_loads_no_array_library():
    code = "import sys, nyala, nyala.engines, nyala.engines.spec, nyala.testing; print(sorted({'jax', 'torch', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT.parent, check=True)
    assert done.stdout.strip() == "[]"
