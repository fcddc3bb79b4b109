# SPDX-License-Identifier: Apache-2.0
"""Utilities that programs call: seeds, labels, sequences, data sets, custom objects."""

from nyala.core.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "CustomObjectScope": "nyala.core.serialization:",
        "Progbar": "nyala.utils.progbar:",
        "PyDataset": "nyala.utils.dataset:",
        "Sequence": "nyala.utils.dataset:PyDataset",
        "clear_session": "nyala.backend:",
        "custom_object_scope": "nyala.core.serialization:",
        "deserialize_keras_object": "nyala.core.serialization:",
        "get_custom_objects": "nyala.core.serialization:",
        "get_registered_name": "nyala.core.serialization:",
        "get_registered_object": "nyala.core.serialization:",
        "get_source_inputs": "nyala.utils.graphs:",
        "is_interactive_logging_enabled": "nyala.config:",
        "is_keras_tensor": "nyala.core.symbolic:",
        "normalize": "nyala.utils.numerical:",
        "pack_x_y_sample_weight": "nyala.training.data:",
        "pad_sequences": "nyala.utils.sequences:",
        "register_keras_serializable": "nyala.core.serialization:",
        "serialize_keras_object": "nyala.core.serialization:",
        "set_random_seed": "nyala.core.seeds:",
        "standardize_dtype": "nyala.core.dtypes:",
        "to_categorical": "nyala.utils.numerical:",
        "unpack_x_y_sample_weight": "nyala.training.data:",
        "version": "nyala.utils.about:",
    },
)
