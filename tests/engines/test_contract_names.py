# SPDX-License-Identifier: Apache-2.0
"""No code outside nyala/engines names an engine, or the library of one, but for what is listed here with its reason.

test_protocol.py says that nothing there imports one or compares with its name; this is about the word in any string, name or attribute. Docstrings
and comments are documentation."""

import ast
import pathlib
import re

import pytest

import nyala

ROOT = pathlib.Path(nyala.__file__).parent
WORD = re.compile(r"(?<![a-z])(jax|jaxlib|torch|pytorch|tensorflow|pytensor|theano|openvino)(?![a-z])", re.IGNORECASE)
ALLOWED = {  # file, or folder: why
    "__main__.py": "examples in help texts, and packages whose versions are shown",
    "applications/": "addresses of published weights, and the ImageNet preprocessing that Keras calls 'torch'",
    "core/audit.py": "names of classes in files that hold code of other libraries",
    "core/known.py": "names of classes in files that other programs wrote",
    "core/symbolic.py": "methods by which libraries ask their arguments what they are",
    "core/variable.py": "methods by which libraries ask their arguments what they are",
    "datasets/official.py": "addresses of published data",
    "distribution/places.py": "a message that says what to choose instead",
    "files/": "layouts and messages for files that other programs wrote",
    "layers/core/jax_layer.py": "a layer whose purpose is code of one library",
    "layers/core/tfsm_layer.py": "a layer whose purpose is code of one library",
    "layers/core/torch_module_wrapper.py": "a layer whose purpose is code of one library",
    "layers/leaves.py": "a message that says what to choose instead",
    "layers/names.py": "files of those layers",
    "layers/pipelines.py": "pipelines of such a library, in which layers are steps on every engine",
    "legacy/": "old spellings and old graphs",
    "models/sequential.py": "layers of another package, which are told apart from ours in a message",
    "optimizers/native.py": "messages of the optimizer whose purpose is rules of such libraries",
    "training/data/sources.py": "data sets and loaders of such libraries, as sources of data for every engine",
    "training/dialects.py": "which engine a step was written for, and a message that says so",
    "training/trainer.py": "a message that says what to choose instead",
}


def names_in(source):
    """(line, text) of strings, names, attributes and arguments that name an engine."""
    parsed, found, documentation = ast.parse(source), [], set()
    for node in ast.walk(parsed):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            documentation.add(id(body[0].value))
    for node in ast.walk(parsed):
        texts = [getattr(node, name, None) for name in ("id", "attr", "name", "arg", "asname")]
        if isinstance(node, ast.Constant) and id(node) not in documentation:
            texts.append(node.value)
        found += [(getattr(node, "lineno", 0), text) for text in texts if isinstance(text, str) and WORD.search(text.replace("_", " "))]
    return found


def _allowance(path):
    relative = path.relative_to(ROOT).as_posix()
    return next((entry for entry in ALLOWED if relative == entry or (entry.endswith("/") and relative.startswith(entry))), None)


SOURCES = sorted(path for path in ROOT.rglob("*.py") if ROOT / "engines" not in path.parents)


def test_nothing_outside_the_engines_names_one():
    found, used = [], set()
    for path in SOURCES:
        for line, text in names_in(path.read_text(encoding="utf-8")):
            entry = _allowance(path)
            if entry is None:
                found.append(f"{path.relative_to(ROOT).as_posix()}:{line}: {text[:80]!r}")
            used.add(entry)
    assert found == []
    assert set(ALLOWED) - used == set(), "an allowance that nothing needs any more"


@pytest.mark.parametrize("source", ["x = 'the JAX way'", "def f(torch): pass", "on_tensorflow = 1", "x.to_torch()", "f(pytensor=1)", "import theano"])
def test_the_scan_sees_names(source):
    assert names_in(source)


@pytest.mark.parametrize("source", ["'''On JAX'''", "def f():\n    '''as in torch'''", "x = 1  # jax", "torchlight = 1"])
def test_the_scan_lets_words_pass(source):
    assert names_in(source) == []
