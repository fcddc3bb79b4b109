# SPDX-License-Identifier: Apache-2.0
"""What the examples share: their two arguments, and pictures. Needs matplotlib (the extra "plot")."""

import argparse

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot

ACROSS = 10  # images in a row


def arguments(text, picture, given=None):
    """--quick and --picture, from the command line or a list."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few steps, to see that it runs")
    parser.add_argument("--picture", default=picture, help=f"where to draw the result ({picture})")
    return parser.parse_args(given)


def save(figure, path):
    figure.savefig(path, dpi=120, bbox_inches="tight")
    pyplot.close(figure)


def grid(groups, path, title):
    """Rows of grey images under the names of their groups."""
    rows = [-(-len(images) // ACROSS) for images in groups.values()]
    figure, axes = pyplot.subplots(len(groups), 1, figsize=(6, 0.5 + 0.6 * len(rows) + 0.6 * sum(rows)), height_ratios=rows, layout="compressed")
    for axis, count, (name, images) in zip(np.ravel(axes), rows, groups.items(), strict=True):
        framed = np.pad(images[: count * ACROSS], ((0, 0), (1, 1), (1, 1)))
        height, width = framed.shape[1:]
        sheet = framed.reshape(count, ACROSS, height, width).transpose(0, 2, 1, 3).reshape(count * height, ACROSS * width)
        axis.imshow(sheet, cmap="gray_r", vmin=0, vmax=1)
        axis.set_title(name)
        axis.axis("off")
    figure.suptitle(title)
    save(figure, path)
