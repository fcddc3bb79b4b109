# SPDX-License-Identifier: Apache-2.0
"""Objects as configs, and custom objects: nyala.saving."""

from nyala.core.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    dict.fromkeys(
        (
            "CustomObjectScope", "custom_object_scope", "deserialize_keras_object", "get_custom_objects", "get_registered_name",
            "get_registered_object", "register_keras_serializable", "serialize_keras_object",
        ),
        "nyala.core.serialization:",
    ),
)  # fmt: skip
