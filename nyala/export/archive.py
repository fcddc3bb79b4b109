# SPDX-License-Identifier: Apache-2.0
"""ExportArchive: endpoints and their variables as one SavedModel; export_model: a model as such a folder, or as an ONNX file.

What a format is made of stands beside the engine whose library writes it. Start at ExportArchive.
"""

from __future__ import annotations

import inspect
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from nyala.core import tree
from nyala.core.errors import ArgumentError, ArgumentTypeError, StateError
from nyala.core.symbolic import Symbolic
from nyala.core.variable import Variable
from nyala.engines._interop import EXPORTS, exporter
from nyala.files.atomic import replacing_folder, write_bytes
from nyala.layers.arguments import as_choice
from nyala.layers.input_spec import InputSpec
from nyala.layers.layer import Layer
from nyala.layers.shapes import shape_places

SAVED_MODEL = {"assets", "assets.extra", "debug", "fingerprint.pb", "keras_metadata.pb", "saved_model.pb", "variables"}


class ExportArchive:
    """Functions that read and assign variables, written as a SavedModel that TensorFlow loads without Nyala.

    The engine in force may be any; the package tensorflow must be installed. Shapes must be known but for the number of rows, which may be None
    where rows do not influence each other.

    Differs from Keras: only what is tracked is written, and a function that reads another variable is refused when it is added;
    no resources of TensorFlow are tracked.

    >>> import nyala
    >>> model = nyala.Sequential([nyala.Input((3,)), nyala.layers.Dense(2)])
    >>> archive = ExportArchive()  # doctest: +SKIP
    >>> archive.track(model)  # doctest: +SKIP
    >>> archive.add_endpoint("serve", model.call, [nyala.InputSpec(shape=(None, 3), dtype="float32")])  # doctest: +SKIP
    >>> archive.write_out("folder")  # doctest: +SKIP
    """

    def __init__(self) -> None:
        self._module = exporter("tf_saved_model").Module()
        self._collections: dict[str, list[Variable]] = {}
        self._tracked: list[Any] = []

    @property
    def variables(self) -> list[Variable]:
        """The variables of all that is tracked."""
        return [ours for ours, _ in self._module.variables.values()]

    @property
    def trainable_variables(self) -> list[Variable]:
        return [variable for variable in self.variables if variable.trainable]

    @property
    def non_trainable_variables(self) -> list[Variable]:
        return [variable for variable in self.variables if not variable.trainable]

    def track(self, resource: Any) -> None:
        """Make the variables of a layer, a model, a metric or an optimizer, or a variable, part of the archive."""
        variables = [resource] if isinstance(resource, Variable) else getattr(resource, "variables", None)
        if not isinstance(variables, Sequence) or not all(isinstance(variable, Variable) for variable in variables):
            raise ArgumentTypeError("ExportArchive.track(resource)", need="a layer, a model, or something else with variables", got=repr(resource))
        if getattr(resource, "built", True) is False:
            raise StateError(
                "ExportArchive.track(resource)",
                need="a layer that has been built",
                got=f"{type(resource).__name__} {resource.name!r}, which has no weights yet",
                fix="call it on data, or build(input_shape), first",
            )
        self._tracked.append(resource)
        self._module.add_variables(variables)

    def add_endpoint(self, name: str, fn: Callable, input_signature: Any = None, **kwargs: Any) -> Callable:
        """Add a function of tensors under a name.

        Args:
            name: how the SavedModel calls it.
            fn: the function; it may return a tensor, or a list or dict of tensors.
            input_signature: an InputSpec, a symbolic tensor or anything else with a shape and a dtype for each argument, in a list.
        Returns: the function as TensorFlow runs it.
        """
        where = f"ExportArchive.add_endpoint({name!r})"
        if kwargs:
            raise ArgumentTypeError(where, need="name, fn and input_signature", got=f"also {', '.join(sorted(kwargs))}")
        if not isinstance(name, str) or not name.isidentifier() or name.startswith("_"):
            raise ArgumentError(where, need="a name that may be an attribute", got=repr(name))
        if name in self._module.endpoints or name in self._collections:
            raise ArgumentError(where, need="a name of its own", got="one that is taken")
        if input_signature is None:
            fix = "pass input_signature=[nyala.InputSpec(shape=(None, 3), dtype='float32')]"
            raise ArgumentError(where, need="the shapes and dtypes of the arguments", got="None", fix=fix)
        signature = list(input_signature) if isinstance(input_signature, (list, tuple)) else [input_signature]
        return self._module.add_endpoint(name, fn, tree.map_structure(lambda leaf: _as_spec(leaf, where), signature), where)

    def track_and_add_endpoint(self, name: str, resource: Any, input_signature: Any, **kwargs: Any) -> Callable:
        """Track a layer or a model, and add its call as an endpoint."""
        self.track(resource)
        call = (lambda *args: resource(*args, training=False)) if isinstance(resource, Layer) else resource
        return self.add_endpoint(name, call, input_signature, **kwargs)

    def add_variable_collection(self, name: str, variables: Sequence[Variable]) -> None:
        """Give some variables a name in the SavedModel: an attribute that lists them."""
        where = f"ExportArchive.add_variable_collection({name!r})"
        if not isinstance(variables, (list, tuple)) or not all(isinstance(variable, Variable) for variable in variables):
            raise ArgumentTypeError(where, need="a list of variables", got=repr(variables))
        if name in self._module.endpoints or name in self._collections or not name.isidentifier():
            raise ArgumentError(where, need="a name of its own that may be an attribute", got=repr(name))
        self._collections[name] = list(variables)

    def write_out(self, filepath: Any, options: Any = None, verbose: bool = True) -> None:
        """Write the SavedModel.

        Args:
            filepath: a folder that is new, or holds a SavedModel alone, which stays as it is until the new one is whole.
            options: a tf.saved_model.SaveOptions.
            verbose: print where it is and what its endpoints are.
        """
        if not self._module.endpoints:
            fix = "call add_endpoint or track_and_add_endpoint first"
            raise StateError("ExportArchive.write_out", need="at least one endpoint", got="none", fix=fix)
        path = os.fspath(filepath)
        if pathlib.Path(path).is_file():
            raise ArgumentError("ExportArchive.write_out(filepath)", need="a folder", got=f"{path!r}, which is a file")
        if "://" in path:  # on a file system of TensorFlow's
            self._module.save(path, self._collections, options)
        else:
            _check_folder(path)
            with replacing_folder(path) as folder:
                self._module.save(os.fspath(folder), self._collections, options)
        if verbose:
            print(f"Saved artifact at {path!r} with the endpoints {', '.join(self._module.endpoints)}.")


def _check_folder(path: str) -> None:
    """Raise unless what is at path may be replaced as a whole: nothing, or a SavedModel."""
    where = "ExportArchive.write_out(filepath)"
    if os.path.isdir(path) and (others := sorted(set(os.listdir(path)) - SAVED_MODEL)):
        got, fix = f"{path!r}, which holds {others[0]!r}", "name a folder in it that is not there yet"
        raise ArgumentError(where, need="a new folder, or one that holds a SavedModel alone", got=got, fix=fix)
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)


def _as_spec(leaf: Any, where: str) -> Any:
    """Something with a shape and a dtype."""
    if isinstance(leaf, InputSpec):
        shape = leaf.shape
        if shape is None:
            raise ArgumentError(where, need="an InputSpec with a shape", got=repr(leaf))
        return Symbolic(shape, leaf.dtype or "float32")
    if not hasattr(leaf, "shape") or not hasattr(leaf, "dtype"):
        raise ArgumentTypeError(where, need="an InputSpec, or something else with a shape and a dtype, for each argument", got=repr(leaf))
    return leaf


def export_model(
    model: Any, filepath: Any, format: str = "tf_saved_model", verbose: bool | None = None, input_signature: Any = None, **kwargs: Any
) -> None:
    """Write a model for inference, without Nyala.

    Args:
        model: built.
        filepath: where.
        format: "tf_saved_model", a folder with the endpoint "serve", of batches of any size if rows do not influence each other; or "onnx", a file
            for onnxruntime and other programs, with the sizes open that the signature leaves open.
        verbose: print where it is.
        input_signature: shapes and dtypes of the inputs, by default those the model was made for, or, for any number of rows, built with.
        kwargs: for "onnx", opset_version, from 18.

    Differs from Keras: ONNX is written from the model itself, on every engine, and needs the package onnx alone.

    >>> import nyala
    >>> model = nyala.Sequential([nyala.Input((3,)), nyala.layers.Dense(2)])
    >>> export_model(model, "model.onnx", "onnx")  # doctest: +SKIP
    """
    where = "Model.export"
    as_choice(f"{where}(format)", format, tuple(EXPORTS))
    allowed = {"opset_version"} if format == "onnx" else set()
    if set(kwargs) - allowed:
        need = ", ".join(["filepath, format, verbose and input_signature", *sorted(allowed)])
        raise ArgumentTypeError(where, need=need, got=f"also {', '.join(sorted(set(kwargs) - allowed))}")
    signature = _signature_of(model, where) if input_signature is None else input_signature
    if format == "onnx":
        _export_onnx(model, filepath, signature, where, verbose is not False, **kwargs)
        return
    archive = ExportArchive()
    archive.track_and_add_endpoint("serve", model, signature)
    for name in ("variables", "trainable_variables", "non_trainable_variables"):
        archive.add_variable_collection(name, getattr(model, name))
    archive.write_out(filepath, verbose=verbose is not False)


def _signature_of(model: Any, where: str) -> list:
    """The inputs that a model was made from or, of one that is called with a single argument, those it was first called with."""
    if getattr(model, "inputs", None):
        return [model.input]
    shapes = getattr(model, "_build_shapes", None) if model.built else None
    parameters = [p for p in inspect.signature(model.call).parameters.values() if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    if not shapes or len(shapes) != 1 or len(parameters) != 1:
        got = "a model that is not built" if not model.built else f"a model whose call takes {len(parameters)} arguments"
        fix = "pass input_signature=[nyala.InputSpec(shape=(None, 3), dtype='float32')], one for each argument"
        raise StateError(where, need="to know the shapes of the inputs", got=got, fix=fix)
    (shape,) = shapes.values()
    opened = lambda leaf: InputSpec(shape=(None, *leaf[1:]), dtype=model.input_dtype)  # noqa: E731
    return [tree.map_structure_up_to(shape_places(shape), opened, shape)]


def _export_onnx(model: Any, filepath: Any, signature: Any, where: str, verbose: bool, opset_version: int | None = None) -> None:
    """Write a model as an ONNX file, which is there when it is whole."""
    if not model.built:
        fix = "call it on data, or build(input_shape), first"
        raise StateError(where, need="a model that has been built", got=f"{model.name!r}, which has no weights yet", fix=fix)
    path = pathlib.Path(os.fspath(filepath))
    if path.is_dir():
        raise ArgumentError(f"{where}(filepath)", need="the name of a file", got=f"{str(path)!r}, which is a folder")
    import nyala

    exports = exporter("onnx")
    given = list(signature) if isinstance(signature, (list, tuple)) else [signature]
    whole = len(given) == 1 or getattr(model, "inputs", None) is None or len(model.inputs) == 1
    trees = [tree.map_structure(lambda leaf: _as_spec(leaf, where), item) for item in (given if whole else [given])]
    names = [str(tensor.name) for tensor in getattr(model, "inputs", None) or ()]
    file = exports.as_onnx(
        lambda *args: model(*args, training=False), trees, model.variables, where,
        names if len(names) == len(tree.flatten(trees)) else None, list(getattr(model, "output_names", ())) or None,
        opset_version, model.name, nyala.__version__,
    )  # fmt: skip
    data = file.SerializeToString()
    write_bytes(path, data)
    if verbose:
        inputs, outputs = (", ".join(f"{value.name} {_shown(value)}" for value in values) for values in (file.graph.input, file.graph.output))
        print(f"Saved {str(path)!r}: {inputs} -> {outputs}; {len(file.graph.node)} operations, {len(data) / 2**20:.1f} MiB.")


def _shown(value: Any) -> str:
    """The shape of an input or output of an ONNX file."""
    sizes = [d.dim_param or (str(d.dim_value) if d.HasField("dim_value") else "?") for d in value.type.tensor_type.shape.dim]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"
