# SPDX-License-Identifier: Apache-2.0
"""Data before a model: folders as data sets, and the image, text and sequence tools of Keras 1 and 2."""

from nyala.core.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "image": "nyala.preprocessing.image",
        "image_dataset_from_directory": "nyala.utils.directory_datasets:",
        "sequence": "nyala.preprocessing.sequence",
        "text": "nyala.preprocessing.text",
        "text_dataset_from_directory": "nyala.utils.directory_datasets:",
        "timeseries_dataset_from_array": "nyala.utils.timeseries:",
    },
)
