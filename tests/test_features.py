# SPDX-License-Identifier: Apache-2.0
"""Pages that promise something say where it is proved: their links lead to files, and to tests that are there; the lines of features.md run."""

import ast
import functools
import pathlib
import re

import pytest

import nyala
from nyala.testing import installed_engines

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [ROOT / "docs" / "features.md", ROOT / "docs" / "migrating.md", ROOT / "examples" / "README.md"]
FEATURES = (ROOT / "docs" / "features.md").read_text(encoding="utf-8")
LINK = re.compile(r"\[([^\]]+)\]\(([^)#:]+)\)")
ROW = re.compile(r"^\| [^|]+ \| (⇣ )?((?:[^|`]|`[^`]*`)+) \|", re.MULTILINE)
TRAINS = next((engine.name for engine in installed_engines() if engine.differentiable and not engine.compiles), None)


@functools.cache
def functions_of(path: pathlib.Path) -> set[str]:
    return {node.name for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)}


def dead(page: pathlib.Path) -> list[str]:
    """Links to files that are not there, and tests that their file does not have."""
    found = []
    for label, target in LINK.findall(page.read_text(encoding="utf-8")):
        path, (file, _, test) = (page.parent / target).resolve(), label.partition("::")
        if not path.is_file() or (test and (path.name != file or test not in functions_of(path))):
            found.append(f"[{label}]({target})")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page):
    assert len(LINK.findall(page.read_text(encoding="utf-8"))) > 10
    assert dead(page) == []


def test_a_dead_link_is_found(tmp_path):
    page = tmp_path / "page.md"
    (tmp_path / "test_it.py").write_text("def test_this(): pass\n")
    page.write_text("[a](b.py) [test_it.py::test_this](test_it.py) [test_it.py::test_that](test_it.py) [test_if.py::test_this](test_it.py)")
    assert dead(page) == ["[a](b.py)", "[test_it.py::test_that](test_it.py)", "[test_if.py::test_this](test_it.py)"]


def test_every_row_has_a_proof():
    rows = [line for line in FEATURES.splitlines() if line.startswith("| ") and not line.startswith(("| capability", "|---"))]
    assert len(rows) > 50
    assert [row for row in rows if "::test_" not in row.split(" | ")[-2]] == []


def test_the_lines_of_the_page_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    space, ran = {}, 0
    start = re.search(r"```python\n(.*?)```", FEATURES, re.DOTALL)
    with nyala.backend(TRAINS or "jax"):
        exec(start[1], space)
        for network, cell in ROW.findall(FEATURES):
            code = re.match(r"`([^`]*)`$", cell.strip())
            if code is None or "..." in code[1] or code[1].startswith("loss="):
                continue  # words, or a line to be completed
            line = code[1]
            if network:
                name = re.match(r"nyala\.([\w.]+)\(", line)[1]
                assert callable(eval(f"nyala.{name}", space))
                continue
            exec(line, space)
            ran += 1
    assert ran > 40
