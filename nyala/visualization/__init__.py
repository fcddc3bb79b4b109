# SPDX-License-Identifier: Apache-2.0
"""Pictures of data: boxes and masks drawn into images, galleries of images. Galleries need matplotlib, texts need Pillow."""

from nyala.core.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "draw_bounding_boxes": "nyala.visualization.drawing:",
        "draw_segmentation_masks": "nyala.visualization.drawing:",
        "plot_bounding_box_gallery": "nyala.visualization.galleries:",
        "plot_image_gallery": "nyala.visualization.galleries:",
        "plot_segmentation_mask_gallery": "nyala.visualization.galleries:",
    },
)
