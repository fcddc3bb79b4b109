# SPDX-License-Identifier: Apache-2.0
"""Every public way by which a file or a config gets in, as functions of a path: they return what came out, or raise what was raised.

Runs in the limited child process. A door returns numbers, compared with the twin's: outputs of the model, or how many numbers it has.
Start at DOORS.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import pathlib
import pickle
import re
import socket
import threading
import warnings
from typing import Any

import numpy as np

import nyala
from nyala import saving
from nyala.core.errors import NyalaError
from nyala.datasets import plain_pickles
from nyala.files.checkpoints import CheckpointFolder
from nyala.utils import get_file
from tests.training.tools import numbers

INPUTS: dict[str, Any] = {
    "mlp": numbers(4, 5), "nested": numbers(2, 4, 5), "words": np.array([["red"], ["green"]]),
}  # fmt: skip
OUT = pathlib.Path("out")  # where the doors that write may write


class Refused(Exception):
    """A command said no: what it printed, with the rules in it."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.rules = re.findall(r"rule: ([\w-]+)", text)


class Context:
    """What the doors share: models that weights are loaded into, made before anything is watched."""

    def __init__(self) -> None:
        self.targets: dict[str, Any] = {}
        self.writable: tuple[str, ...] = ()

    def target(self, twin: str) -> Any:
        """A model of the twin's architecture, all of whose numbers are 0."""
        model = self.targets[twin]
        for weight in model.weights:
            weight.assign(np.zeros(weight.shape, weight.numpy().dtype))
        return model


def _outputs(model: Any, twin: str) -> list[float]:
    found = model(INPUTS[twin])
    return np.asarray(found).astype("float64").ravel().tolist()


def _count(model: Any) -> list[float]:
    return [float(model.count_params())]


def load_model(path: str, twin: str, context: Context, **options: Any) -> list[float]:
    model = saving.load_model(path, **options)
    return [float(len(model.layers))] if twin not in INPUTS else _count(model) if str(path).endswith(".json") else _outputs(model, twin)


def load_model_alone(path: str, twin: str, context: Context) -> list[float]:
    return _count(saving.load_model(path))


def load_model_of_a_file(path: str, twin: str, context: Context) -> list[float]:
    with open(path, "rb") as file:
        return _outputs(saving.load_model(file), twin)


def load_model_in_a_thread(path: str, twin: str, context: Context) -> list[float]:
    return _in_a_thread(lambda: load_model(path, twin, context))


def _in_a_thread(work: Any) -> Any:
    """What is in force in this thread is not in force in another: the rules are."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


def load_weights(path: str, twin: str, context: Context, **options: Any) -> list[float]:
    model = context.target(twin)
    model.load_weights(path, **options)
    return _outputs(model, twin)


def load_weights_by_name(path: str, twin: str, context: Context) -> list[float]:
    return load_weights(path, twin, context, by_name=True)


def load_weights_skipping(path: str, twin: str, context: Context) -> list[float]:
    return load_weights(path, twin, context, skip_mismatch=True)


def saving_load_weights(path: str, twin: str, context: Context) -> list[float]:
    model = context.target(twin)
    saving.load_weights(model, path)
    return _outputs(model, twin)


def load_weights_of_a_file(path: str, twin: str, context: Context) -> list[float]:
    model = context.target(twin)
    with open(path, "rb") as file:
        model.load_weights(file)
    return _outputs(model, twin)


def editor(path: str, twin: str, context: Context) -> list[float]:
    opened = saving.KerasFileEditor(path)

    def size(tree: Any) -> int:
        return sum(size(value) if isinstance(value, dict) else value.size for value in tree.values())

    return [float(size({key: value for key, value in opened.weights_dict.items() if key != "optimizer"}))]


def _command(*arguments: str) -> str:
    from nyala.__main__ import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(arguments)
    if status == 0:
        return out.getvalue()
    assert status == 1, status
    raise Refused(out.getvalue() + err.getvalue())


def inspect(path: str, twin: str, context: Context) -> list[float]:
    assert "nothing speaks against opening it" in _command("inspect", path)
    return [0.0]


def _converted(path: str, name: str) -> str:
    target = OUT / name
    target.unlink(missing_ok=True)
    try:
        _command("convert", path, str(target))
    except Refused:
        assert not os.path.exists(target), "a file was written though the other was refused"
        raise
    return str(target)


def convert(path: str, twin: str, context: Context) -> list[float]:
    return load_model(_converted(path, "converted.keras"), twin, context)


def convert_weights(path: str, twin: str, context: Context) -> list[float]:
    name = "converted.weights.h5" if path.endswith(".safetensors") else "converted.safetensors"
    return load_weights(_converted(path, name), twin, context)


def _read(path: str) -> Any:
    return json.loads(pathlib.Path(path).read_bytes())


def model_from_json(path: str, twin: str, context: Context) -> list[float]:
    return _count(nyala.models.model_from_json(pathlib.Path(path).read_text(encoding="utf-8", errors="surrogateescape")))


def deserialize(path: str, twin: str, context: Context) -> list[float]:
    return _count(saving.deserialize_keras_object(_read(path)))


def deserialize_in_a_thread(path: str, twin: str, context: Context) -> list[float]:
    return _in_a_thread(lambda: deserialize(path, twin, context))


def deserialize_after_an_error(path: str, twin: str, context: Context) -> list[float]:
    """Inside scopes that an error left."""
    with contextlib.suppress(NyalaError), saving.custom_object_scope({"Other": nyala.layers.Dense}), saving.custom_object_scope({}):
        saving.deserialize_keras_object({"class_name": "Nothing", "config": {}}, safe_mode=False)
    return deserialize(path, twin, context)


def from_config(path: str, twin: str, context: Context) -> list[float]:
    config = _read(path)
    kind = nyala.Sequential if twin == "mlp" else nyala.Model
    return _count(kind.from_config(config["config"]))


def layers_deserialize(path: str, twin: str, context: Context) -> list[float]:
    return _count(nyala.layers.deserialize(_read(path)))


def get_file_(url: str, twin: str, context: Context, **options: Any) -> list[float]:
    arguments = json.loads(url) if url.startswith("{") else {"origin": url, "extract": True}
    with contextlib.redirect_stdout(io.StringIO()):
        found = pathlib.Path(get_file(**arguments, cache_dir=str(OUT.resolve() / "cache"), force_download=True, **options))
    return [float(sum(1 for one in found.rglob("*") if one.is_file()))] if found.is_dir() else [float(found.stat().st_size)]


def get_file_from_the_root(url: str, twin: str, context: Context) -> list[float]:
    """Names are judged by where they are written, not by where the process stands."""
    here, folder = os.getcwd(), OUT.resolve() / "cache"
    os.chdir("/")
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            found = pathlib.Path(get_file(origin=url, extract=True, cache_dir=str(folder), force_download=True))
        return [float(sum(1 for one in found.rglob("*") if one.is_file()))]
    finally:
        os.chdir(here)


def untar(url: str, twin: str, context: Context) -> list[float]:
    with contextlib.redirect_stdout(io.StringIO()):
        found = pathlib.Path(get_file("opened", url, untar=True, cache_dir=str(OUT.resolve() / "cache"), force_download=True))
    return [float(sum(1 for one in found.rglob("*") if one.is_file()))]


def newest(path: str, twin: str, context: Context) -> list[float]:
    """Damaged checkpoints are set aside with a warning; with none left that is whole, it stops."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = CheckpointFolder(path).newest()
        except NyalaError as error:
            if not caught:
                raise
            raise Refused(f"{error} {caught[0].message} rule: checkpoint-set-aside") from error
    assert found is not None
    return [float(np.asarray(found[1]["weights"][0]).size)]


def read_pickle(path: str, twin: str, context: Context) -> list[float]:
    found = plain_pickles.read(pathlib.Path(path).read_bytes(), path)
    return [float(len(found["data"]))]


def _saved_and_loaded(path: str, file: str, weights: bool) -> list[float]:
    told = json.loads(path)
    layers = nyala.layers
    inner = nyala.Sequential([nyala.Input((5,)), layers.Dense(3, name=told["name"])], name=told["name"] + "_")
    model = nyala.Sequential([nyala.Input((5,)), inner, layers.Dense(2, name=told["name"] + ".")])
    target = OUT / file
    if weights:
        model.save_weights(target)
        before = model.get_weights()
        for weight in model.weights:
            weight.assign(np.zeros(weight.shape, "float32"))
        model.load_weights(target)
        again = model
    else:
        model.save(target)
        before, again = model.get_weights(), saving.load_model(target)
    assert all(np.array_equal(a, b) for a, b in zip(before, again.get_weights(), strict=True))
    target.unlink()
    return [0.0]


def save_and_load(path: str, twin: str, context: Context) -> list[float]:
    return _saved_and_loaded(path, "x.keras", False)


def save_h5_and_load(path: str, twin: str, context: Context) -> list[float]:
    return _saved_and_loaded(path, "x.h5", False)


def save_weights_and_load(path: str, twin: str, context: Context) -> list[float]:
    return _saved_and_loaded(path, "x.weights.h5", True)


# What the watch must see: each of these does one thing that no reader does.


def _opens(canary: str, *_: Any) -> list[float]:
    return [float(len(pathlib.Path(json.loads(canary), "secret.txt").read_bytes()))]


def _imports(*_: Any) -> list[float]:
    return [float(bool(importlib.import_module("planted_module")))]


def _runs(*_: Any) -> list[float]:
    return [float(os.system("true"))]


def _connects(*_: Any) -> list[float]:
    with socket.socket() as opened:
        opened.connect(("127.0.0.1", 9))
    return [0.0]


def _pickles(*_: Any) -> list[float]:
    return [float(pickle.loads(b"cos\ngetpid\n(tR."))]


def _writes(canary: str, *_: Any) -> list[float]:
    pathlib.Path(json.loads(canary)).joinpath("more").mkdir()
    return [0.0]


def _sets(*_: Any) -> list[float]:
    nyala.config.set_epsilon(nyala.config.epsilon() * 2)
    return [0.0]


def _takes(*_: Any) -> list[float]:
    return [float(np.ones(1 << 28).sum())]


WATCHED = {
    "opens": _opens, "imports": _imports, "runs": _runs, "connects": _connects, "pickles": _pickles, "writes": _writes, "sets": _sets,
    "hangs on memory": _takes,
}  # fmt: skip
DOORS: dict[str, Any] = {
    **WATCHED,
    "load_model": load_model,
    "load_model_alone": load_model_alone,
    "load_model_of_a_file": load_model_of_a_file,
    "load_model_in_a_thread": load_model_in_a_thread,
    "load_model_safe_mode_off": lambda path, twin, context: load_model(path, twin, context, safe_mode=False),
    "load_model_uncompiled": lambda path, twin, context: load_model(path, twin, context, compile=False),
    "get_file": get_file_,
    **{
        door.__name__: door
        for door in (
            load_weights, load_weights_by_name, load_weights_skipping, saving_load_weights, load_weights_of_a_file, editor, inspect, convert,
            convert_weights,
            model_from_json, deserialize, deserialize_in_a_thread, deserialize_after_an_error, from_config, layers_deserialize,
            get_file_from_the_root, untar, newest, read_pickle, save_and_load, save_h5_and_load, save_weights_and_load,
        )
    },
}  # fmt: skip
LOADING_WEIGHTS = frozenset(name for name in DOORS if "load_weights" in name and not name.startswith("save"))
