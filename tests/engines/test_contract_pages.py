# SPDX-License-Identifier: Apache-2.0
"""docs/engines.md is what its tool writes, the engines here still answer so, and what it shows runs."""

import importlib.util
import json
import pathlib
import re

import pytest

import nyala
from nyala import engines
from nyala.engines import get_engine
from nyala.testing import features, installed_engines

ROOT = pathlib.Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("nyala_tools_engines_page", ROOT / "tools" / "engines_page.py")
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)
KNOWN = json.loads(tool.FACTS.read_text(encoding="utf-8"))
QUICK = [engine.name for engine in installed_engines() if not engine.compiles and engine.name in KNOWN["engines"]]


def test_the_page_is_what_the_tool_writes():
    assert tool.is_current(), "run: python tools/engines_page.py"


@pytest.mark.parametrize("name", QUICK)
def test_engines_answer_what_the_page_says(name):
    answers = {title: answer for title, (answer, _) in KNOWN["engines"][name]["features"].items()}
    assert {title: found.answer for title, found in features.features(get_engine(name)).items()} == answers, "run: python tools/engines_page.py"
    assert KNOWN["engines"][name]["excused"] == get_engine(name).excused


def test_every_engine_of_this_package_is_on_the_page():
    text = tool.PAGE.read_text(encoding="utf-8")
    folder = pathlib.Path(nyala.__file__).parent / "engines"
    for name in (path.stem for path in folder.glob("*.py") if not path.stem.startswith("_") and path.stem != "protocol"):
        assert f"| `{name}`" in text


def test_an_engine_that_cannot_be_asked_keeps_its_column(monkeypatch, tmp_path, capsys):
    known = tmp_path / "engines.json"
    known.write_text(json.dumps({**KNOWN, "engines": {**KNOWN["engines"], "abacus": {**KNOWN["engines"]["numpy"], "library": "beads"}}}))
    monkeypatch.setattr(tool, "FACTS", known)
    found = tool.ask(["abacus", "counting_frame"])
    assert found["engines"]["abacus"]["library"] == "beads" and "counting_frame" not in found["engines"]
    out = capsys.readouterr().out
    assert "abacus: keeps what it answered last; ValueError: " in out or "abacus: keeps what it answered last; " in out
    assert "counting_frame: is left out; " in out
    assert next(iter(found["engines"])) == engines.DEFAULT


def test_parts_of_the_page():
    facts = {"library": "beads 1.0", "lines": 1234, "checks": 77, "excused": {"eig-values": "beads are real"},
        "features": {"Trains": ["no", "beads do not learn"], "Counts": ["yes", ""], "Learns": ["no", "beads do not learn."]}}  # fmt: skip
    known = {"engines": {"abacus": facts, "jax": {**facts, "excused": {}}}, "keras_lines": {"jax": 8646}, "steps": {"tiny": {"jax": 0.5}}}
    assert tool.matrix(known).splitlines()[2] == "| Trains | no | no |"
    assert "- Trains; Learns: **no**, beads do not learn." in tool.reasons(known).splitlines()
    assert tool.excuses(known).splitlines() == [
        "- **abacus**: 77 checks, without these:", "    - `eig-values`: beads are real", "- **jax**: all 77 checks."]  # fmt: skip
    assert "| abacus | 1,234 | - |" in tool.sizes(known) and "| jax | 1,234 | 8,646 |" in tool.sizes(known)
    assert "| tiny | - | 0.5 |" in tool.steps(known)
    assert r"| `power` | 0 \*\* 0 |" in tool.conventions(known)
    with pytest.raises(SystemExit, match="exactly one part between <!-- matrix --> and <!-- end -->"):
        tool.page("nothing", known)


def test_what_the_page_shows_runs():
    before = engines.current_name()
    [program] = re.findall(r"```python\n(.*?)```", tool.PAGE.read_text(encoding="utf-8"), re.DOTALL)
    try:
        exec(compile(program, str(tool.PAGE), "exec"), {"__name__": "the_page"})
    finally:
        nyala.set_backend(before)


@pytest.mark.parametrize("name", ["engines.md", "new-engine.md"])
def test_links_lead_somewhere(name):
    links = re.findall(r"\]\(([^)#:]+)[^)]*\)", (ROOT / "docs" / name).read_text(encoding="utf-8"))
    assert links and [link for link in links if not (ROOT / "docs" / link).exists()] == []
