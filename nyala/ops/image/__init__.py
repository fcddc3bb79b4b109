# SPDX-License-Identifier: Apache-2.0
"""Ops on images (b, h, w, c), or one image (h, w, c); with data_format "channels_first" (b, c, h, w) and (c, h, w). One file per kind."""

from nyala.core.lazy import lazy

FILES = {
    "borders": "crop_images pad_images",
    "colors": "hsv_to_rgb rgb_to_grayscale rgb_to_hsv",
    "filters": "gaussian_blur sobel_edges ssim",
    "patches": "extract_patches extract_patches_3d",
    "resizing": "resize scale_and_translate",
    "sampling": "affine_transform elastic_transform map_coordinates perspective_transform",
}

__getattr__, __dir__, __all__ = lazy(__name__, {name: f"nyala.ops.image.{file}:" for file, names in FILES.items() for name in names.split()})
