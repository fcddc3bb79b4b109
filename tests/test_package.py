# SPDX-License-Identifier: Apache-2.0
"""The package as a whole: what an import loads, what every file carries, and that the README tells the truth."""

import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import nyala

ROOT = Path(__file__).parent.parent
PACKAGE = Path(nyala.__file__).parent
HEAVY = ("jax", "torch", "h5py", "rich", "matplotlib", "scipy")
SOURCES = sorted(path for folder in ("nyala", "tests", "tools", "docs") for path in (ROOT / folder).rglob("*.py"))
TEXTS = [*SOURCES, *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "pyproject.toml", ROOT / ".ci" / "run"]


def run_python(code: str, folder: Path | None = None) -> str:
    """Standard output of a fresh interpreter that runs the code; its complaints fail the test."""
    done = subprocess.run([sys.executable, "-c", code], cwd=folder or ROOT, capture_output=True, text=True, encoding="utf-8", timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "code",
    [
        "import nyala",
        "import nyala, nyala.layers, nyala.datasets, nyala.engines",
        "from nyala.__main__ import make_parser; make_parser()[0].format_help()",
    ],
)
def test_an_import_loads_no_engine_and_nothing_heavy(code):
    assert run_python(f"{code}\nimport sys\nprint([name for name in {HEAVY} if name in sys.modules])") == "[]\n"


def test_the_package_says_that_it_is_typed():
    assert (PACKAGE / "py.typed").is_file()


def test_the_version_is_a_release():
    assert re.fullmatch(r"\d+\.\d+\.\d+", nyala.__version__)


def public_packages() -> list[str]:
    found = pkgutil.walk_packages([str(PACKAGE)], "nyala.")
    return ["nyala", *(module.name for module in found if module.ispkg)]


@pytest.mark.parametrize("name", public_packages())
def test_every_public_name_exists(name):
    package = importlib.import_module(name)
    for public in getattr(package, "__all__", []):
        assert hasattr(package, public), f"{name}.{public}"
        assert public in dir(package)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_source_file_has_its_licence_and_a_docstring(path):
    licence, _, rest = path.read_text(encoding="utf-8").partition("\n")
    assert licence == "# SPDX-License-Identifier: Apache-2.0"
    assert rest.startswith(('"""', 'r"""'))


UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b")
MACHINE_PATH = re.compile(r"(?<![\w.~/}>-])/(?:home|root|tmp|work|Users)/")


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_file_is_unfinished_or_knows_the_machine_it_was_written_on(path):
    text = path.read_text(encoding="utf-8")
    assert not UNFINISHED.findall(text)
    assert not [found for found in MACHINE_PATH.findall(text) if path != Path(__file__)]


ENGINE_IMPORT = re.compile(r"^\s*(?:import|from) (jax|jaxlib|torch|tensorflow|pytensor|keras)\b", re.MULTILINE)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_only_engines_import_array_libraries(path):
    found = set(ENGINE_IMPORT.findall(path.read_text(encoding="utf-8")))
    assert not found - {"jax", "jaxlib", "torch", "tensorflow", "pytensor"} if path.parent == PACKAGE / "engines" else not found


PROGRAMS = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("program", PROGRAMS, ids=[f"program{number}" for number in range(1, len(PROGRAMS) + 1)])
def test_the_programs_of_the_readme_run(program, tmp_path):
    run_python(f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{program}", tmp_path)


def test_the_links_of_the_readme_lead_somewhere():
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
