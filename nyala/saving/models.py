# SPDX-License-Identifier: Apache-2.0
"""save_model, load_model, save_weights, load_weights: any path, any format.

Written is what the suffix says, read is what the file is. Start at save_model and load_model; the formats are in nyala.files.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from nyala.core.errors import ArgumentError, ArgumentTypeError
from nyala.core.serialization import custom_object_scope, get_registered_name
from nyala.files import hdf5, json_text, keras_v3
from nyala.files import weights as weight_files
from nyala.files.errors import CorruptFileError


def save_model(model: Any, filepath: Any, overwrite: bool = True, zipped: bool | None = None, include_optimizer: bool = True, **kwargs: Any) -> None:
    """Write a whole model: architecture, weights, what compile was told, and the state of the optimizer.

    Args:
        model: a built model.
        filepath: ".h5" and ".hdf5" write the one file of Keras 1 and 2, everything else Keras 3's .keras; or a binary file.
        overwrite: False refuses if something is there.
        zipped: False writes a folder instead of a .keras file.
        include_optimizer: False leaves optimizer and compile out.
    A file that is there already stays until the new one is whole. Keras opens what is written.

    >>> import nyala, tempfile
    >>> model = nyala.Sequential([nyala.Input((2,)), nyala.layers.Dense(1)])
    >>> path = tempfile.mkdtemp() + "/model.keras"
    >>> save_model(model, path)
    >>> load_model(path).count_params()
    3
    """
    kwargs.pop("save_traces", None)
    save_format = kwargs.pop("save_format", None)
    if kwargs:
        raise ArgumentTypeError("save_model", need="arguments that it knows", got=f"{sorted(kwargs)}")
    if hasattr(filepath, "write"):
        keras_v3.save(model, filepath, True, include_optimizer)
        return
    path = pathlib.Path(os.fspath(filepath))
    if save_format == "tf":
        raise ArgumentError(
            "save_model(save_format)", need="'keras' or 'h5'", got="'tf'", fix="write a .keras file; model.export writes a SavedModel"
        )
    if path.name.endswith((".weights.h5", ".weights.json", ".npz", ".safetensors")):
        raise ArgumentError(
            "save_model(filepath)", need="a path for a whole model", got=repr(str(path)), fix="use model.save_weights, or another suffix: .keras"
        )
    weight_files.check_target("save_model(filepath)", path, overwrite)
    if path.is_dir():
        others = sorted(set(os.listdir(path)) - {keras_v3.METADATA, keras_v3.CONFIG, keras_v3.WEIGHTS, "assets"})
        if others or zipped:
            got = f"the folder {str(path)!r}" + (f", which holds {others[0]!r}" if others else "")
            fix = "add a name, as model.keras; or name a folder that is not there, with zipped=False"
            raise ArgumentError("save_model(filepath)", need="the path of a file, or of a folder that holds a model alone", got=got, fix=fix)
        zipped = False
    if (path.suffix in weight_files.LEGACY and save_format is None) or save_format in ("h5", "hdf5"):
        from nyala.files.legacy_hdf5 import save_model_hdf5

        save_model_hdf5(model, path, include_optimizer)
    else:
        keras_v3.save(model, path, zipped is not False, include_optimizer)


def load_model(
    filepath: Any,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
    trusted: Sequence[Any] = (),
    verify: bool = True,
) -> Any:
    """The model in a file that any Keras wrote, or this library.

    Args:
        filepath: of a .keras file or folder, or an .h5 file; or an open binary file.
        custom_objects: classes and functions that the file names beside the public and the registered ones: {"MyLayer": MyLayer}.
        compile: compile it as it was, with the state of its optimizer. What cannot be understood leaves a warning, and the model with its weights.
        safe_mode: accepted for Keras's sake. A file never runs anything, and False changes nothing.
        trusted: more classes and functions that the file may name, without names of their own.
        verify: compare the SHA-256 sums that the file has.
    Raises: CorruptFileError for a damaged file; UnsafeFileError for one that wants what no file may; WeightsMismatchError if weights do not fit.
    """
    where = weight_files.called("load_model", filepath)
    given = {**_named(trusted), **(custom_objects or {})}
    with custom_object_scope(given):
        kind = weight_files.kind_of(filepath, where)
        if kind in ("keras", "folder"):
            return keras_v3.load(filepath, compile, where, verify)
        if kind == "hdf5":
            with hdf5.reading(filepath, where) as root:
                if "model_config" not in root.attributes and not weight_files.is_legacy(root):
                    raise _weights_alone(where)
            from nyala.files.legacy_hdf5 import load_model_hdf5

            return load_model_hdf5(filepath, custom_objects, compile, trusted)
        if kind == "json":
            return _architecture(filepath, custom_objects, where)
        if kind == "savedmodel":
            from nyala.files.saved_model import load_saved_model

            return load_saved_model(filepath, custom_objects, compile, trusted)
    raise _weights_alone(where)


def _named(trusted: Sequence[Any]) -> dict[str, Any]:
    """Trusted classes and functions by the names that files have for them."""
    named: dict[str, Any] = {}
    for one in trusted:
        if not callable(one) or not hasattr(one, "__name__"):
            raise ArgumentTypeError(
                "load_model(trusted)",
                need="classes and functions",
                got=repr(one),
                why="a name alone says nothing",
                fix="import it, and pass the class",
            )
        named |= {one.__name__: one, get_registered_name(one): one}
    return named


def _weights_alone(where: str) -> CorruptFileError:
    return CorruptFileError(
        where,
        need="a whole model",
        got="weights alone",
        fix="make the model in code, build it, and call model.load_weights(path)",
        rule="model-weights",
    )


def _architecture(filepath: Any, custom_objects: Any, where: str) -> Any:
    from nyala.models import model_from_json

    with hdf5.open_regular(filepath, where) as file:
        text = file.read(json_text.MAX_BYTES + 1)
    json_text.read(text, where)
    return model_from_json(text.decode(), custom_objects)


def save_weights(model: Any, filepath: Any, overwrite: bool = True, max_shard_size: float | None = None, **kwargs: Any) -> None:
    """Write the weights of a model: see Model.save_weights."""
    if kwargs:
        raise ArgumentTypeError("save_weights", need="arguments that it knows", got=f"{sorted(kwargs)}")
    weight_files.save_weights(model, filepath, overwrite, max_shard_size)


def load_weights(model: Any, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> Any:
    """Set the weights of a model from a file: see Model.load_weights."""
    by_name, objects_to_skip = kwargs.pop("by_name", False), kwargs.pop("objects_to_skip", None)
    if kwargs:
        raise ArgumentTypeError("load_weights", need="arguments that it knows", got=f"{sorted(kwargs)}")
    return weight_files.load_weights(model, filepath, skip_mismatch, by_name, objects_to_skip)
