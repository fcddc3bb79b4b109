# SPDX-License-Identifier: Apache-2.0
"""One reader and one writer per format: outside nyala/files nobody opens archives, HDF5 or pickles, imports what data names, or writes by hand."""

import ast
import pathlib

import nyala

ROOT = pathlib.Path(nyala.__file__).parent
MODULES = {"h5py", "zipfile", "tarfile", "pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
CALLS = {"np.load", "np.save", "np.savez", "torch.load", "torch.save", "importlib.import_module", "importlib.util.spec_from_file_location"}
# Who may, and why.
ALLOWED = {
    "training/data/workers.py": "sends data sets to processes of its own",
    "training/data/worker_process.py": "takes data sets from the process that started it",
    "testing/layers.py": "checks that layers can be pickled",
    "datasets/digits.py": "reads an array that ships with the package",
    "demo.py": "a picture, under a name that is free",
    "callbacks/plot_history.py": "a picture, in place while it changes",
    "callbacks/csv_logger.py": "a log that grows line by line",
    "core/lazy.py": "names that are written in the package",
    "core/known.py": "the tables in it",
    "core/serialization.py": "packages that callers here name",
    "legacy/imports.py": "modules of old, whose names are in a table",
    "legacy/places.py": "the tables in it",
    "metrics/serialization.py": "its own package",
    "engines/__init__.py": "engines by the name the user sets",
    "engines/_cpu_kernels.py": "code that was compiled here, and why it was refused, in the folder of caches",
    "engines/_interop.py": "parts of engines",
    "engines/_pytensor_program.py": "functions of NumPy and SciPy that operations of PyTensor name",
    "utils/extras.py": "extras by names that are written in the package",
}  # fmt: skip


def findings(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            yield from (f"imports {name}" for name in names if name.partition(".")[0] in MODULES)
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in CALLS:
                yield f"calls {called}"
            if called.rpartition(".")[2] in ("write_text", "write_bytes") and called != "write_bytes":
                yield f"calls {called}"
            modes = [argument.value for argument in [*node.args, *(k.value for k in node.keywords)] if isinstance(argument, ast.Constant)]
            if called.rpartition(".")[2] == "open" and any(isinstance(m, str) and set(m) & set("wxa") and set(m) <= set("rwxabt+") for m in modes):
                yield f"writes with {called}"


def test_only_the_files_package_opens_files():
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith("files/") and name not in ALLOWED and (seen := sorted(set(findings(path)))):
            found[name] = seen
    assert not found, "use nyala.files (atomic.replacing, hdf5, archive), or write the reason into ALLOWED"
    assert all((ROOT / name).is_file() for name in ALLOWED)


def test_the_lint_sees(tmp_path):
    (tmp_path / "x.py").write_text("import h5py\nimport numpy as np\nnp.load('file')\nopen('file', 'wb')\np.write_text('a')\nopen('file')\n")
    assert sorted(findings(tmp_path / "x.py")) == ["calls np.load", "calls p.write_text", "imports h5py", "writes with open"]


def test_no_reader_runs_code():
    for path in (ROOT / "files").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        for word in ("import pickle", "import marshal", "eval(", "exec(", "__import__", "allow_pickle=True", "import_module"):
            assert word not in text, (path.name, word)
