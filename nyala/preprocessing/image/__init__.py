# SPDX-License-Identifier: Apache-2.0
"""Images: files and arrays, random changes of single images, and the ImageDataGenerator of Keras 1 and 2."""

from nyala.core.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "DataFrameIterator": "nyala.preprocessing.image.iterators:",
        "DirectoryIterator": "nyala.preprocessing.image.iterators:",
        "ImageDataGenerator": "nyala.preprocessing.image.generator:",
        "Iterator": "nyala.preprocessing.image.iterators:",
        "NumpyArrayIterator": "nyala.preprocessing.image.iterators:",
        "apply_affine_transform": "nyala.preprocessing.image.transforms:",
        "apply_brightness_shift": "nyala.preprocessing.image.transforms:",
        "apply_channel_shift": "nyala.preprocessing.image.transforms:",
        "array_to_img": "nyala.utils.images:",
        "img_to_array": "nyala.utils.images:",
        "load_img": "nyala.utils.images:",
        "random_brightness": "nyala.preprocessing.image.transforms:",
        "random_channel_shift": "nyala.preprocessing.image.transforms:",
        "random_rotation": "nyala.preprocessing.image.transforms:",
        "random_shear": "nyala.preprocessing.image.transforms:",
        "random_shift": "nyala.preprocessing.image.transforms:",
        "random_zoom": "nyala.preprocessing.image.transforms:",
        "save_img": "nyala.utils.images:",
        "smart_resize": "nyala.utils.images:",
    },
)
