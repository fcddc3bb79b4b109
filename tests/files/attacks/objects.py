# SPDX-License-Identifier: Apache-2.0
"""Configs that name code, or what belongs elsewhere (rows C1 to C11), or files (R1). Each poison changes one thing in a good config."""

from __future__ import annotations

import base64
import json
import marshal
import pathlib
from typing import Any

from tests.files.attacks.attack import LOADS, VALUE, Attack

# A function that would leave a mark: lambda: open("MARKER", "w"), as Keras writes such.
CODE = base64.b64encode(marshal.dumps((lambda: open("MARKER", "w")).__code__)).decode()  # noqa: SIM115
LAMBDA = {"class_name": "__lambda__", "config": {"code": CODE, "defaults": None, "closure": None}}
OBJECT = ("object-unknown",)
CODE_RULE = ("object-lambda",)


def layer(config: Any, index: int = 1) -> Any:
    return config["config"]["layers"][index]


def argument(key: str, value: Any) -> Any:
    """A poison that gives the first Dense layer another argument."""

    def poison(config: Any, canary: pathlib.Path) -> None:
        layer(config)["config"][key] = value

    return poison


def entry(**changes: Any) -> Any:
    """A poison that changes the entry of the first Dense layer; what is None goes away."""

    def poison(config: Any, canary: pathlib.Path) -> None:
        layer(config).update(changes)
        for key in [key for key, value in changes.items() if value is GONE]:
            del layer(config)[key]

    return poison


GONE = object()


def as_layer(kind: str, /, **config: Any) -> Any:
    return entry(module="keras.layers", class_name=kind, config={"name": "a", **config}, registered_name=None)


def function(name: str, module: str = "builtins", registered: Any = "function") -> dict[str, Any]:
    return {"module": module, "class_name": "function", "config": name, "registered_name": registered}


def compiling(**changes: Any) -> Any:
    def poison(config: Any, canary: pathlib.Path) -> None:
        config["compile_config"].update(changes)

    return poison


def in_nested(find: Any) -> Any:
    """A poison for the model of layers in layers."""

    def poison(config: Any, canary: pathlib.Path) -> None:
        find({entry["name"]: entry for entry in config["config"]["layers"]})

    return poison


def _set(target: Any, key: str, value: Any) -> None:
    target[key] = value


WITH_COMPILE = (
    "keras:load_model",
    "keras:load_model_safe_mode_off",
    "keras:load_model_uncompiled",
    "keras:inspect",
    "keras:convert",
    "folder:load_model",
)

C1 = [
    *(
        Attack("C1", f"code as {key}", "config", argument(key, LAMBDA), CODE_RULE)
        for key in ("activation", "kernel_initializer", "bias_initializer", "kernel_regularizer", "activity_regularizer", "kernel_constraint",
            "dtype")
    ),
    Attack("C1", "Lambda layer", "config", as_layer("Lambda", function=LAMBDA), CODE_RULE),
    Attack("C1", "Lambda layer, function of Keras 2", "config", as_layer("Lambda", function=[CODE, None, None], function_type="lambda"), CODE_RULE),
    *(
        Attack("C1", f"Lambda layer, code as {key}", "config", as_layer("Lambda", **{"function": function("relu", "keras.activations"),
            key: LAMBDA}), CODE_RULE)
        for key in ("output_shape", "mask", "arguments")
    ),
    Attack("C1", "code in a list", "config", argument("units", [3, {"x": [LAMBDA]}]), CODE_RULE),
    Attack("C1", "code as a layer", "config", lambda config, _: config["config"]["layers"].insert(2, LAMBDA), CODE_RULE),
    Attack("C1", "code as build config", "config", entry(build_config={"input_shape": [LAMBDA]}), ("object-shapes",)),
    Attack("C1", "code as loss", "config", compiling(loss=LAMBDA), CODE_RULE, doors=WITH_COMPILE),
    Attack("C1", "code as metric", "config", compiling(metrics=[[LAMBDA]]), CODE_RULE, doors=WITH_COMPILE),
    Attack("C1", "code as optimizer", "config", compiling(optimizer=LAMBDA), CODE_RULE, doors=WITH_COMPILE),
    Attack("C1", "code in an optimizer", "config", lambda c, _: _set(c["compile_config"]["optimizer"]["config"], "learning_rate", LAMBDA),
        CODE_RULE, doors=WITH_COMPILE),
    Attack("C1", "code in TimeDistributed", "config", in_nested(lambda n: _set(n["time"]["config"]["layer"]["config"], "activation", LAMBDA)),
        CODE_RULE, twin="nested"),
    Attack("C1", "code for TimeDistributed", "config", in_nested(lambda n: _set(n["time"]["config"], "layer", LAMBDA)), CODE_RULE, twin="nested"),
    Attack("C1", "code in Bidirectional", "config", in_nested(lambda n: _set(n["both"]["config"]["layer"]["config"], "recurrent_activation",
        LAMBDA)), CODE_RULE, twin="nested"),
    Attack("C1", "code in a model in a model", "config", in_nested(lambda n: _set(n["inner"]["config"]["layers"][1]["config"], "activation",
        LAMBDA)), CODE_RULE, twin="nested"),
    Attack("C1", "code in a call", "config", in_nested(lambda n: _set(n["end"]["inbound_nodes"][0]["kwargs"], "mask", LAMBDA)), CODE_RULE,
        twin="nested"),
    Attack("C1", "code for a tensor", "config", in_nested(lambda n: n["end"]["inbound_nodes"][0]["args"].append(LAMBDA)), CODE_RULE, twin="nested"),
]  # fmt: skip


def attribute(name: str, make: Any, value: Any = None) -> Any:
    """A poison that rewrites an attribute of an .h5 file: its JSON after change, stored by make."""

    def poison(file: Any) -> None:
        text = json.dumps(value) if value is not None else file.attrs[name]
        if value is None:
            config = json.loads(text)
            layer(config)["config"]["activation"] = LAMBDA
            text = json.dumps(config)
        if name in file.attrs:
            del file.attrs[name]
        make(file.attrs, name, text)

    return poison


def _fixed(attrs: Any, name: str, text: str) -> None:
    import numpy as np

    attrs.create(name, np.bytes_(text.encode()))


def _long(attrs: Any, name: str, text: str) -> None:
    """More than fits into the header of an object."""
    attrs.create(name, text + " " * 100_000)


def _listed(attrs: Any, name: str, text: str) -> None:
    attrs.create(name, [text], shape=(1,))


FORMS = {"text": lambda attrs, name, text: attrs.create(name, text), "bytes": lambda attrs, name, text: attrs.create(name, text.encode()),
    "fixed": _fixed, "long": _long}  # fmt: skip
TRAINING = {"optimizer_config": {"class_name": "SGD", "config": {}}, "loss": LAMBDA, "metrics": []}
C2 = [
    *(Attack("C2", f"code in model_config, {form}", "attributes", attribute("model_config", make), (*CODE_RULE, "hdf5-damaged")) for form,
        make in FORMS.items()),
    Attack("C2", "model_config as a list", "attributes", attribute("model_config", _listed), ("hdf5-model", *CODE_RULE)),
    *(
        Attack("C2", f"code in training_config, {form}", "attributes", attribute("training_config", make, TRAINING), (*CODE_RULE, "hdf5-damaged"))
        for form, make in FORMS.items()
    ),
    Attack("C2", "Lambda of Keras 1", "attributes", attribute("model_config", FORMS["text"], {
        "class_name": "Sequential", "config": [{"class_name": "Lambda", "config": {
            "name": "a", "function_type": "lambda", "function": [CODE, None, None], "batch_input_shape": [None, 5], "arguments": {},
                "output_shape": [5],
            "output_shape_type": "raw"}}],
    }), (*CODE_RULE, "object-unknown", "object-name")),
]  # fmt: skip

MODULES = (
    "os", "subprocess", "builtins", "importlib", "posix", "sys", "nyala.core.serialization", "nyala.files.hdf5", "keras.src.x", "keras.os", "",
    "keras..utils", "Keras.layers", "k\u0435ras.layers", "keras.layers\u200b", "planted_module", "evil", "keras.src.utils.file_utils", "numpy",
        "..os",
    "keras.layers/../os", "keras.src.ops.numpy; import evil", "tensorflow.python.os", "x" * 10_000,
)  # fmt: skip
C3 = [
    *(Attack("C3", f"class in {module[:30]!r}", "config", entry(module=module, class_name="Run", registered_name=None), (*OBJECT,
        "object-op")) for module in MODULES),
    *(
        Attack("C3", f"function in {module[:30]!r}", "config", argument("activation", function("system", module, None)), OBJECT)
        for module in ("os", "posix", "nt", "planted_module", "evil", "builtins", "keras.src.utils")
    ),
    *(
        Attack("C3", f"module is {kind}", "config", entry(module=module, class_name="run"), ("object-name", *OBJECT))
        for kind, module in {"null": None, "a list": ["os"], "a number": 3, "an object": {"class_name": "Dense", "config": {}}, "true": True}.items()
    ),
    Attack("C3", "module left out", "config", entry(module=GONE, class_name="Run"), OBJECT),
    Attack("C3", "op in another module", "config", entry(module="keras.src.ops.numpy", class_name="System", inbound_nodes=[]), ("object-op",
        *OBJECT)),
    *(
        Attack("C3", f"encoding of {kind} names the module {name[:20]}", "config", as_layer(kind, encoding=name), (VALUE, "keras-config"),
            but={"inspect": (LOADS,)})
        for kind in ("TextVectorization", "StringLookup")
        for name in ("planted_module", "..evil", "zlib", "x" * 5000)
    ),
    Attack("C3", "class name with a path", "config", entry(class_name="os.system"), OBJECT),
    Attack("C3", "method of a class", "config", entry(class_name="Layer.from_config"), OBJECT),
    Attack("C3", "name with underscores", "config", entry(class_name="__class__"), ("object-special", *OBJECT)),
]  # fmt: skip

GADGETS = (
    ("keras.utils", "get_file"), ("keras.saving", "load_model"), ("keras.models", "save_model"), ("keras.models", "model_from_json"),
    ("keras.models", "clone_model"), ("keras.saving", "register_keras_serializable"), ("keras.utils", "image_dataset_from_directory"),
    ("keras.datasets.mnist", "load_data"), ("keras.applications", "ResNet50"), ("keras.config", "set_floatx"), ("keras.layers", "deserialize"),
    ("keras.activations", "deserialize"), ("keras.utils", "set_random_seed"), ("keras.callbacks", "RemoteMonitor"), ("keras.export", "ExportArchive"),
    ("keras.ops", "custom_gradient"), ("keras.ops", "while_loop"), ("keras.random", "normal"), ("keras.utils", "plot_model"),
)  # fmt: skip
C4 = [
    *(
        Attack("C4", f"{module}.{name} as an activation", "config", argument("activation", function(name, module)), OBJECT)
        for module, name in GADGETS
    ),
    *(Attack("C4", f"{module}.{name} as a layer", "config", entry(module=module, class_name=name, config={}), (*OBJECT, "object-op")) for module,
        name in GADGETS),
    *(
        Attack("C4", f"{module}.{name} in a Lambda", "config", as_layer("Lambda", function=function(name, module),
            arguments={"origin": "file:///etc/hostname"}), OBJECT)
        for module, name in GADGETS
    ),
    *(
        Attack("C4", f"a {kind} as {key}", "config", argument(key, {"module": f"keras.{module}", "class_name": kind, "config": {},
            "registered_name": None}), OBJECT)
        for key, module, kind in (
            ("kernel_initializer", "layers", "Dense"), ("kernel_regularizer", "optimizers", "Adam"), ("kernel_constraint", "losses",
                "MeanSquaredError"),
            ("activation", "optimizers", "Adam"), ("kernel_initializer", "metrics", "Mean"),
        )
    ),
    Attack("C4", "a Dense as dtype", "config", argument("dtype", {"module": "keras.layers", "class_name": "Dense", "config": {}}), OBJECT,
        but={"object": (VALUE, *OBJECT)}),
    *(Attack("C4", f"{name} by name alone", "config", argument("activation", name), (VALUE, *OBJECT), but={"inspect": (LOADS,
        )}) for name in ("get_file", "load_model", "os.system")),
]  # fmt: skip

SETTERS = (
    "enable_unsafe_deserialization",
    "disable_traceback_filtering",
    "set_floatx",
    "set_backend",
    "set_dtype_policy",
    "set_epsilon",
    "enable_interactive_logging",
)
C5 = [
    *(Attack("C5", f"{name} as a class", "config", entry(module="keras.config", class_name=name, config={}), OBJECT) for name in SETTERS),
    *(Attack("C5", f"{name} as a function", "config", argument("activation", function(name, "keras.config")), OBJECT) for name in SETTERS),
    *(Attack("C5", f"{name} as a function without module", "config", argument("activation", function(name)), OBJECT) for name in SETTERS),
]  # fmt: skip
C6 = [
    Attack("C6", "code without module", "config", entry(module=GONE, class_name="Lambda", config={"name": "a", "function": LAMBDA}), CODE_RULE),
    Attack("C6", "class name alone", "config", entry(module=GONE, registered_name=GONE, class_name="os.system"), OBJECT),
    Attack("C6", "code, as Keras 2 wrote it", "config", lambda c, _: {"class_name": "Sequential", "config": {"name": "m", "layers": [
        {"class_name": "Lambda", "config": {"name": "a", "batch_input_shape": [None, 5], "function": {"class_name": "__lambda__",
            "config": {"code": CODE}}, "function_type": "lambda"}},
    ]}}, (*CODE_RULE, "object-name", "object-unknown")),
    Attack("C6", "code, as Keras 1 wrote it", "config", lambda c, _: {"class_name": "Sequential", "config": [
        {"class_name": "Lambda", "config": {"name": "a", "batch_input_shape": [None, 5], "function": CODE, "function_type": "lambda",
            "arguments": {}}},
    ]}, (*CODE_RULE, "object-name", "object-unknown", VALUE), doors=("h5:load_model", "json:load_model", "json:model_from_json", "keras:load_model")),
]  # fmt: skip
C7 = [  # the doors of every attack here: direct ones, a thread, after an error in a scope
    Attack("C7", "code where nothing is in force", "config", as_layer("Lambda", function=LAMBDA), CODE_RULE, doors=(
        "object:deserialize", "object:deserialize_in_a_thread", "object:deserialize_after_an_error", "object:from_config",
            "object:layers_deserialize",
        "json:model_from_json", "keras:load_model_in_a_thread", "keras:load_model_safe_mode_off",
    )),
]  # fmt: skip
C8 = [
    Attack("C8", "another registered name", "config", entry(registered_name="nyala.legacy>pooling_1d"), ("object-confusion", *OBJECT, LOADS)),
    Attack("C8", "a function as a class", "config", entry(module="keras.activations", class_name="relu", config={}), OBJECT),
    Attack("C8", "a class as a function", "config", argument("activation", function("Dense", "keras.layers")), OBJECT),
    Attack("C8", "a function as a config", "config", entry(class_name="function", config="relu"), (*OBJECT, "object-name", VALUE)),
    *(
        Attack("C8", f"shared object {number!r}", "config", entry(shared_object_id=number), ("object-shared", LOADS))
        for number in ("x", 10**9, -1, 1.5, [1], True)
    ),
    Attack("C8", "one number for two kinds", "config", lambda c, _: [_set(layer(c, 0), "shared_object_id", 1), _set(layer(c), "shared_object_id",
        1), _set(layer(c, 2), "shared_object_id", 1)][:0] or None, ("object-shared", VALUE, LOADS, "weights-mismatch")),
    *(Attack("C8", f"class name is {kind}", "config", entry(class_name=name), ("object-name", *OBJECT, VALUE)) for kind, name in {"a list": ["Dense"],
        "a number": 3, "an object": {}, "null": None}.items()),
    *(Attack("C8", f"registered name is {kind}", "config", entry(registered_name=name), ("object-name",)) for kind, name in {"a list": ["Dense"],
        "a number": 3}.items()),
]  # fmt: skip


class _Marks:
    """Unpickling this would leave a mark."""

    def __reduce__(self) -> Any:
        return open, ("MARKER", "w")


def _pickled() -> str:
    import pickle

    return base64.b64encode(pickle.dumps(_Marks())).decode()


C9 = [
    Attack("C9", "TorchModuleWrapper with a pickle", "config", as_layer("TorchModuleWrapper", module=_pickled()), ("object-pickle",)),
    Attack("C9", "TorchModuleWrapper with text", "config", as_layer("TorchModuleWrapper", module="evil.Run"), ("object-pickle",)),
    Attack("C9", "TorchModuleWrapper with code", "config", as_layer("TorchModuleWrapper", module=LAMBDA), CODE_RULE),
]  # fmt: skip
C10 = [
    *(
        Attack("C10", f"TFSMLayer at {place}", "config", lambda c, canary, path=path: as_layer("TFSMLayer", filepath=path.replace("CANARY",
            str(canary)))(c, canary),
               ("path-savedmodel",))
        for place, path in {"a folder": "CANARY", "a relative path": "../canary", "an address": "gs://bucket/model",
            "its archive": "assets/model"}.items()
    ),
]  # fmt: skip


def special(name: str, **inner: Any) -> dict[str, Any]:
    return {"class_name": name, **inner}


C11 = [
    Attack("C11", "typespec", "config", argument("activation", special("__typespec__", spec_name="os", module="os", config=[])), ("object-special",)),
    Attack("C11", "type", "config", argument("activation", special("__type__", config="system", module="os")), ("object-special",)),
    Attack("C11", "numpy of objects", "config", argument("units", special("__numpy__", config={"value": [1, "x", None], "dtype": "object"})), (VALUE,
        "keras-config"), but={"inspect": (LOADS, "object-lambda"), "object": (VALUE, "object-lambda")}),
    Attack("C11", "numpy of a lie", "config", argument("units", special("__numpy__", config={"value": [[1], [2, 3]], "dtype": "float32"})), (VALUE,
        "keras-config"), but={"inspect": (LOADS, "object-lambda"), "object": (VALUE, "object-lambda")}),
    Attack("C11", "numpy of a foreign dtype", "config", argument("units", special("__numpy__", config={"value": [1], "dtype": "O8,(10000000,)f8"})),
        (VALUE, "keras-config"), but={"inspect": (LOADS, "object-lambda"), "object": (VALUE, "object-lambda")}),
    Attack("C11", "tensor of nonsense", "config", argument("units", special("__tensor__", config={"value": "x" * 1000, "dtype": "float32"})), (VALUE,
        "keras-config"), but={"inspect": (LOADS, "object-lambda"), "object": (VALUE, "object-lambda")}),
    Attack("C11", "tensor without value", "config", argument("units", special("__tensor__")), (VALUE, "keras-config"), but={"inspect": (LOADS,
        "object-lambda"), "object": (VALUE, "object-lambda")}),
    Attack("C11", "huge keras tensor", "config", argument("units", special("__keras_tensor__", config={"shape": [10**9] * 40, "dtype": "float32",
        "keras_history": ["a", 0, 0]})), (VALUE, "keras-config", "weights-declared"), but={"inspect": (LOADS, "object-lambda"), "object": (VALUE,
            "object-lambda")}),
    Attack("C11", "slice of code", "config", argument("units", special("__slice__", config={"start": LAMBDA, "stop": 1, "step": 1})), CODE_RULE,
        but={"object": (VALUE, "object-lambda")}),
    Attack("C11", "slice of nothing", "config", argument("units", special("__slice__", config=3)), (VALUE, "keras-config"), but={"inspect": (LOADS,
        "object-lambda"), "object": (VALUE, "object-lambda")}),
    Attack("C11", "tuple of nothing", "config", argument("units", special("__tuple__", items=3)), (VALUE, "keras-config"), but={"inspect": (LOADS,
        "object-lambda"), "object": (VALUE, "object-lambda")}),
    Attack("C11", "bytes of numbers", "config", argument("name", special("__bytes__", value=[1, 2])), (VALUE, "keras-config", "object-shapes"),
        but={"inspect": (LOADS, "object-lambda"), "object": (VALUE, "object-lambda")}),
]  # fmt: skip

PATHS = {
    "a file": "CANARY/secret.txt", "a relative path": "../canary/secret.txt", "home": "~/.ssh/id_rsa", "a pipe": "CANARY/pipe",
        "a device": "/dev/zero",
    "a file address": "file://CANARY/secret.txt", "an address": "http://127.0.0.1:9/x", "a bucket": "gs://bucket/x", "a share": "\\\\host\\share",
}  # fmt: skip
R1 = [
    *(
        Attack("R1", f"{kind} from {place}", "config",
               lambda c, canary, kind=kind, path=path: as_layer(kind, vocabulary=path.replace("CANARY", str(canary)))(c, canary),
                   ("path-vocabulary",))
        for kind in ("StringLookup", "IntegerLookup", "TextVectorization")
        for place, path in PATHS.items()
    ),
    Attack("R1", "weights of words from a file", "config",
           lambda c, canary: as_layer("StringLookup", vocabulary=["a"], idf_weights=str(canary / "secret.txt"), output_mode="tf_idf")(c, canary),
               ("path-vocabulary",)),
    Attack("R1", "another key with a path", "config",
           lambda c, canary: as_layer("TextVectorization", vocabulary=None, vocabulary_file=str(canary / "secret.txt"))(c, canary), (VALUE,
               "keras-config"), but={"inspect": (LOADS,)}),
    Attack("R1", "a path in a dict", "config", lambda c, canary: as_layer("StringLookup", vocabulary={"x": str(canary / "secret.txt")})(c, canary),
        (VALUE, "weights-mismatch", LOADS)),
    Attack("R1", "a path in bytes", "config", lambda c, canary: as_layer("StringLookup", vocabulary=special("__bytes__",
        value=str(canary / "secret.txt")))(c, canary), (VALUE, "weights-mismatch", LOADS)),
    Attack("R1", "standardize names a function", "config", as_layer("TextVectorization", standardize=function("get_file", "keras.utils")), OBJECT),
]  # fmt: skip
ATTACKS = [*C1, *C2, *C3, *C4, *C5, *C6, *C7, *C8, *C9, *C10, *C11, *R1]
