# SPDX-License-Identifier: Apache-2.0
"""Loops of C as functions of NumPy arrays: one module for all loops of a program, by PyTensor's compiler, in its folder and under its lock.

A module is kept in the folder under a name made of its code, of the compiler and its flags, and of NumPy's version; equal programs of this and of
later processes load it. Where no module can be made, a note says once why, and graphs run on NumPy. Knows PyTensor and NumPy only. Start at compiled.
"""

from __future__ import annotations

# pyright: reportAttributeAccessIssue=false, reportMissingImports=false, reportMissingModuleSource=false, reportPrivateImportUsage=false
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytensor
from pytensor.compile.compilelock import lock_ctx
from pytensor.link.c import cmodule
from pytensor.link.c.exceptions import CompileError

SLOW = 5.0  # seconds after which a note says what takes so long
WAIT = 60.0  # seconds for another process that compiles in the same folder
FLAGS = [  # each operation is rounded, integers wrap around, as in NumPy; flags of the user's come after
    "-O3", "-g0", "-fno-exceptions", "-fno-rtti", "-fno-math-errno", "-fno-trapping-math", "-fwrapv", "-ffp-contract=off",
]  # fmt: skip
# layout: how many operands, how many results, axes; the sizes of the axes; for each operand its stride along each axis; for each operand its type and
# number of elements; for each result its type, its number of axes and its shape.
HEAD = r"""
#define NPY_NO_DEPRECATED_API NPY_1_7_API_VERSION
#include <Python.h>
#include <numpy/arrayobject.h>
#include <math.h>
#include <string.h>

typedef void (*Loop)(char**, const npy_int64*, const npy_int64*);

static PyObject* drive(Loop loop, PyObject* const* given, Py_ssize_t count) {
  const npy_int64* n = (const npy_int64*)PyArray_DATA((PyArrayObject*)given[0]);
  const int ins = (int)n[0], outs = (int)n[1], rank = (int)n[2];
  n += 3;
  const npy_int64 *s = n + rank, *d = s + (npy_int64)ins * rank;
  npy_int64 turns = 1;
  for (int i = 0; i < rank; i++) turns *= n[i];
  if (count != ins + 1 || ins + outs > OPERANDS) {
    PyErr_SetString(PyExc_SystemError, "a loop got another number of arrays than it was made for");
    return NULL;
  }
  PyObject* kept[OPERANDS];
  char* p[OPERANDS];
  int held = 0;
  PyObject* result = NULL;
  for (int i = 0; i < ins; i++, d += 2) {
    PyObject* x = given[i + 1];
    if (PyArray_CheckExact(x) && PyArray_TYPE((PyArrayObject*)x) == d[0] && PyArray_IS_C_CONTIGUOUS((PyArrayObject*)x)
        && PyArray_ISBEHAVED_RO((PyArrayObject*)x))
      Py_INCREF(x);
    else
      x = PyArray_FromAny(x, PyArray_DescrFromType((int)d[0]), 0, 0, NPY_ARRAY_CARRAY_RO | NPY_ARRAY_FORCECAST, NULL);
    if (!x) goto end;
    kept[held++] = x;
    if (PyArray_SIZE((PyArrayObject*)x) != d[1]) {
      PyErr_SetString(PyExc_SystemError, "a loop got an array of another size than it was made for");
      goto end;
    }
    p[i] = PyArray_BYTES((PyArrayObject*)x);
  }
  for (int i = 0; i < outs; i++) {
    npy_intp shape[NPY_MAXDIMS];
    for (int k = 0; k < d[1]; k++) shape[k] = (npy_intp)d[k + 2];
    PyObject* x = PyArray_EMPTY((int)d[1], shape, (int)d[0], 0);
    if (!x) goto end;
    kept[held++] = x;
    p[ins + i] = PyArray_BYTES((PyArrayObject*)x);
    d += d[1] + 2;
  }
  if (turns > 16384) {
    Py_BEGIN_ALLOW_THREADS
    loop(p, n, s);
    Py_END_ALLOW_THREADS
  } else if (turns)
    loop(p, n, s);
  if (outs == 1) {
    result = kept[ins];
    Py_INCREF(result);
  } else if ((result = PyTuple_New(outs)))
    for (int i = 0; i < outs; i++) {
      Py_INCREF(kept[ins + i]);
      PyTuple_SET_ITEM(result, i, kept[ins + i]);
    }
end:
  while (held) Py_DECREF(kept[--held]);
  return result;
}
"""
CALL = "static PyObject* k@(PyObject* self, PyObject* const* x, Py_ssize_t count) { return drive(l@, x, count); }\n"
FOOT = r"""
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "NAME", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_NAME(void) {
  import_array();
  return PyModule_Create(&module);
}
"""

_modules: dict[str, Any] = {}
_noted: set[str] = set()


def compiled(codes: Iterable[str], operands: int) -> list[Callable] | None:
    """Functions of (layout, *arrays), one for each code; None, after a note, if there is no compiler that works.

    Args:
        codes: C++ functions, with @ in the place of their names.
        operands: the most arrays that one of them takes and gives.
    """
    if not pytensor.config.cxx or not shutil.which(pytensor.config.cxx):
        note("none", "PyTensor finds no C++ compiler", "install g++ or clang++, or name one in PYTENSOR_FLAGS=cxx=...")
        return None
    if "failed" in _noted:  # one note, and no second try
        return None
    numbers = {code: n for n, code in enumerate(dict.fromkeys(codes))}
    loops = "".join(code.replace("@", f"l{n}") + CALL.replace("@", str(n)) for code, n in numbers.items())
    table = "".join(f'{{"k{n}", (PyCFunction)(void (*)(void))k{n}, METH_FASTCALL, NULL}}, ' for n in numbers.values())
    methods = f"static PyMethodDef methods[] = {{{table}{{NULL, NULL, 0, NULL}}}};\n"
    try:
        module = _module(HEAD.replace("OPERANDS", str(max(operands, 1))) + loops + methods + FOOT)
    except Exception as error:  # whatever a compiler, a folder or a lock comes up with
        first = next((line.strip() for line in str(error).splitlines() if "error" in line.lower()), str(error).strip().partition("\n")[0])
        fix = f"see that it compiles modules of Python, and that {pytensor.config.compiledir} can be written"
        note("failed", f"the C++ compiler {pytensor.config.cxx!r} made no module for PyTensor ({type(error).__name__}: {first[:300]})", fix)
        return None
    return [getattr(module, f"k{numbers[code]}") for code in codes]


def note(kind: str, what: str, fix: str) -> None:
    """Once of each kind, on the error stream."""
    if kind not in _noted:
        _noted.add(kind)
        print(f"note: {what}: graphs of PyTensor run on NumPy alone; fix: {fix}, or set NYALA_PYTENSOR_LINKER=numpy", file=sys.stderr)


def _module(source: str) -> Any:
    """The module of this source, from this process, the folder or the compiler."""
    flags = [*FLAGS, *cmodule.GCC_compiler.compile_args()]
    key = hashlib.sha256("\0".join([source, np.__version__, pytensor.config.cxx, *flags]).encode()).hexdigest()[:32]
    if key not in _modules:
        name = f"nyala_{key}"
        folder = os.path.join(pytensor.config.compiledir, name)
        file = f"{name}.{cmodule.get_lib_extension()}"
        path = os.path.join(folder, file)
        module = _loaded(path)
        if module is None:
            with lock_ctx(timeout=WAIT):
                module = _loaded(path)  # another process was quicker
                if module is None:
                    _compile(source.replace("NAME", name), folder, file, flags)
                    module = cmodule.dlimport(path)
        _modules[key] = module
    return _modules[key]


def _loaded(path: str) -> Any:
    """The module in a file, None if there is none, or a damaged one."""
    try:
        return cmodule.dlimport(path) if os.path.isfile(path) else None
    except ImportError:
        return None


def _compile(source: str, folder: str, file: str, flags: list[str]) -> None:
    """Make the folder with the module in it, all at once."""
    start = time.perf_counter()
    place = tempfile.mkdtemp(prefix="nyala_", dir=pytensor.config.compiledir)
    try:
        headers, folders, libraries = cmodule.std_include_dirs(), cmodule.std_lib_dirs(), cmodule.std_libs()
        command = [pytensor.config.cxx, cmodule.get_gcc_shared_library_arg(), *flags, *(f"-I{path}" for path in headers)]
        command += [*(f"-L{path}" for path in folders), "-fvisibility=hidden", "-o", os.path.join(place, file), "-x", "c++", "-", "-x", "none"]
        command += cmodule.GCC_compiler.linking_patch(folders, libraries)
        run = subprocess.run(command, input=source, capture_output=True, text=True, errors="replace", check=False)
        if run.returncode:
            raise CompileError(run.stderr or f"it ended with {run.returncode}")
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(place, folder)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    note_seconds(time.perf_counter() - start)


def note_seconds(seconds: float) -> None:
    """Once, what took so long."""
    if seconds > SLOW and "slow" not in _noted:
        _noted.add("slow")
        what = f"PyTensor's C++ compiler took {seconds:.0f} s for the loops of a function, which are kept for the next time"
        print(f"note: {what}; NYALA_PYTENSOR_LINKER=numpy runs graphs on NumPy alone", file=sys.stderr)
