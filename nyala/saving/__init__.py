# SPDX-License-Identifier: Apache-2.0
"""Models and weights to files and back, objects as configs, and custom objects: nyala.saving. Start at models.py."""

from nyala.core.lazy import lazy

_FILES = {
    "nyala.saving.models": ("load_model", "load_weights", "save_model", "save_weights"),
    "nyala.saving.editor": ("KerasFileEditor",),
    "nyala.core.serialization": (
        "CustomObjectScope", "custom_object_scope", "deserialize_keras_object", "get_custom_objects", "get_registered_name",
        "get_registered_object", "register_keras_serializable", "serialize_keras_object",
    ),
}  # fmt: skip

__getattr__, __dir__, __all__ = lazy(__name__, {name: f"{file}:" for file, names in _FILES.items() for name in names})
