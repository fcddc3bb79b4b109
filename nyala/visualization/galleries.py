# SPDX-License-Identifier: Apache-2.0
"""Galleries of images, drawn by matplotlib: plot_image_gallery, plot_bounding_box_gallery, plot_segmentation_mask_gallery."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from nyala.core.errors import ArgumentError
from nyala.layers.arguments import as_count
from nyala.utils.extras import need
from nyala.visualization.drawing import Color, as_images, as_numpy, draw_bounding_boxes, draw_segmentation_masks


def plot_image_gallery(
    images: Any,
    y_true: Any = None,
    y_pred: Any = None,
    label_map: Mapping[int, str] | None = None,
    rows: int | None = None,
    cols: int | None = None,
    value_range: tuple[float, float] = (0, 255),
    scale: float = 2,
    path: Any = None,
    show: bool | None = None,
    transparent: bool = True,
    dpi: int = 60,
    legend_handles: Any = None,
    data_format: str | None = None,
) -> None:
    """Images in rows and columns.

    Args:
        images: (batch, height, width, channels) with 1, 3 or 4 channels.
        y_true, y_pred: labels, written above the images; wrong predictions in red.
        label_map: names of labels.
        rows, cols: by default about as many of one as of the other.
        value_range: what is black and what is white.
        scale: inches per image.
        path: where to write the picture; by default it is shown.
        show: show it.
        transparent, dpi: of the file.
        legend_handles: of matplotlib, for a legend.
        data_format: "channels_first" where channels come before height.
    """
    where = "plot_image_gallery"
    if path is not None and show:
        raise ArgumentError(where, need="path= or show=True", got="both", why="the picture is written or shown")
    need("matplotlib", "plot", where)
    images = _to_unit(as_images(where, images, data_format), value_range)
    count = len(images)
    cols = as_count(f"{where}(cols)", cols) if cols is not None else math.ceil(count / (rows or round(math.sqrt(count)) or 1))
    rows = as_count(f"{where}(rows)", rows) if rows is not None else math.ceil(count / cols)
    titled = y_true is not None or y_pred is not None
    title, legend = 0.3 * titled, 0.4 * bool(legend_handles)  # inches
    wide, high = cols * scale, rows * (scale * images.shape[1] / images.shape[2] + title) + legend
    figure = _figure(where, show if path is None else False, (wide, high))
    axes = figure.subplots(rows, cols, squeeze=False)
    labels = [None if part is None else as_numpy(part).reshape(-1) for part in (y_true, y_pred)]
    for i, axis in enumerate(axes.flat):
        axis.axis("off")
        if i < count:
            image = images[i, ..., 0] if images.shape[3] == 1 else images[i]
            axis.imshow(image, cmap="gray", vmin=0, vmax=1)
            true, predicted = (None if part is None else int(part[i]) for part in labels)
            text, color = _title(true, predicted, label_map or {})
            if text:
                axis.set_title(text, color=color, fontsize=4 * scale)
    figure.subplots_adjust(0.01, (legend + 0.05) / high, 0.99, 1 - (title + 0.05) / high, 0.04, 0.04 + title / scale * 1.3)
    if legend_handles:
        figure.legend(handles=legend_handles, loc="lower center", ncols=len(legend_handles))
    if path is not None:
        figure.savefig(path, dpi=dpi, transparent=transparent, bbox_inches="tight", pad_inches=0.05)
    elif show is None or show:
        need("matplotlib.pyplot", "plot", where).show()


def _figure(where: str, show: bool | None, size: tuple[float, float]) -> Any:
    """A figure of its own, or one of pyplot where it is to be shown."""
    if show is False:
        return need("matplotlib.figure", "plot", where).Figure(figsize=size)
    return need("matplotlib.pyplot", "plot", where).figure(figsize=size)


def _to_unit(images: np.ndarray, value_range: tuple[float, float]) -> np.ndarray:
    low, high = value_range
    return np.clip((images.astype(np.float32) - low) / (high - low), 0, 1)


def _title(true: int | None, predicted: int | None, names: Mapping[int, str]) -> tuple[str, str]:
    if predicted is None:
        return ("", "black") if true is None else (names.get(true, str(true)), "black")
    name = names.get(predicted, str(predicted))
    if true is None:
        return name, "black"
    return (name, "green") if true == predicted else (f"{name}, not {names.get(true, str(true))}", "red")


def plot_bounding_box_gallery(
    images: Any,
    bounding_box_format: str,
    y_true: Any = None,
    y_pred: Any = None,
    value_range: tuple[float, float] = (0, 255),
    true_color: Color = (0, 188, 212),
    pred_color: Color = (255, 235, 59),
    line_thickness: int = 2,
    font_scale: float = 1.0,
    text_thickness: int | None = None,
    class_mapping: Mapping[int, str] | None = None,
    ground_truth_mapping: Mapping[int, str] | None = None,
    prediction_mapping: Mapping[int, str] | None = None,
    legend: bool = False,
    legend_handles: Any = None,
    rows: int | None = None,
    cols: int | None = None,
    data_format: str | None = None,
    **kwargs: Any,
) -> None:
    """Images with true and predicted boxes, in rows and columns.

    Args:
        y_true, y_pred: boxes as in draw_bounding_boxes.
        true_color, pred_color: of their lines.
        class_mapping: names of labels; ground_truth_mapping and prediction_mapping where those of the two differ.
        legend: say which color is which.
        others: as in draw_bounding_boxes and plot_image_gallery; kwargs are for the latter.
    """
    where = "plot_bounding_box_gallery"
    drawn = (_to_unit(as_images(where, images, data_format), value_range) * 255).astype(np.uint8)
    for boxes, color, mapping in (
        (y_true, true_color, ground_truth_mapping or class_mapping),
        (y_pred, pred_color, prediction_mapping or class_mapping),
    ):
        if boxes is not None:
            drawn = draw_bounding_boxes(
                drawn, boxes, bounding_box_format, mapping, color, line_thickness, text_thickness or 1, font_scale, "channels_last"
            )
    if legend and not legend_handles:
        patch = need("matplotlib.patches", "plot", where).Patch
        named = ((y_true, true_color, "Ground Truth"), (y_pred, pred_color, "Prediction"))
        legend_handles = [patch(color=[c / 255 for c in color], label=label) for boxes, color, label in named if boxes is not None]
    plot_image_gallery(drawn, rows=rows, cols=cols, legend_handles=legend_handles, data_format="channels_last", **kwargs)


def plot_segmentation_mask_gallery(
    images: Any,
    num_classes: int,
    value_range: tuple[float, float] = (0, 255),
    y_true: Any = None,
    y_pred: Any = None,
    color_mapping: Mapping[int, Color] | None = None,
    blend: bool = True,
    alpha: float = 0.8,
    ignore_index: int = -1,
    data_format: str | None = None,
    **kwargs: Any,
) -> None:
    """A row for each image: as it is, with its true mask, and with the predicted one.

    Args:
        y_true, y_pred: masks as in draw_segmentation_masks.
        others: as there and in plot_image_gallery; kwargs are for the latter.
    """
    where = "plot_segmentation_mask_gallery"
    plain = (_to_unit(as_images(where, images, data_format), value_range) * 255).astype(np.uint8)
    columns = [plain]
    for masks in (y_true, y_pred):
        if masks is not None:
            masks = as_numpy(masks)
            masks = masks[:, 0] if data_format == "channels_first" and masks.ndim == 4 else masks
            columns.append(draw_segmentation_masks(plain, masks, num_classes, color_mapping, alpha, blend, ignore_index, "channels_last"))
    cells = np.stack(columns, 1).reshape(-1, *plain.shape[1:])
    plot_image_gallery(cells, **{"rows": len(plain), "cols": len(columns), **kwargs}, data_format="channels_last")
