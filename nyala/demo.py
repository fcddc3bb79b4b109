# SPDX-License-Identifier: Apache-2.0
"""The demonstration behind `nyala demo`: learn to read handwritten digits, then show how well.

Written with Nyala's public names only, as a user would write it; knows nothing of the command line.
Start at demo, which reads from top to bottom: data, network, training, test, tables, picture.
"""

import io
import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

import nyala
from nyala.datasets import digits

__all__ = ["build_network", "demo", "draw_picture"]

NUM_DIGITS = 10
VALIDATION_SHARE = 0.1
GRID_ROWS, GRID_COLUMNS = 6, 8
BLUE, ORANGE, RED, GREY = "#1f6fb4", "#e07b1a", "#c81e1e", "#555555"


def build_network() -> "nyala.Sequential":
    """A small convolutional network: an image (8, 8, 1) to ten probabilities, not compiled yet."""
    layers = nyala.layers
    return nyala.Sequential(
        [
            nyala.Input((8, 8, 1)),
            layers.Conv2D(32, 3, padding="same"),
            layers.BatchNormalization(momentum=0.9),
            layers.Activation("relu"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(NUM_DIGITS, activation="softmax"),
        ],
        name="digit_reader",
    )


def demo(epochs: int = 20, seed: int = 0, picture: Path | None = None, quiet: bool = False) -> float:
    """Train on the digits with the engine in force, print the results, and draw them if a path is given.

    Args:
        epochs: passes over the training images, at least 1.
        seed: for the initial weights, the shuffles and the dropout.
        picture: where to write a PNG (needs matplotlib); an existing file is kept, the next free name is used.
        quiet: print the result only.
    Returns: share of the 360 test images that were read correctly.
    """
    console = Console()
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    inputs, test_inputs = (x[..., np.newaxis] / np.float32(16) for x in (x_train, x_test))  # n h w c, 0 to 1

    nyala.utils.set_random_seed(seed)
    model = build_network()
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    if not quiet:
        console.print(
            f"[bold]Nyala learns to read handwritten digits.[/] {len(x_train):,} images of 8x8 pixels to learn from, of which "
            f"{VALIDATION_SHARE:.0%} only watch (validation); {len(x_test)} others for the test, seen once, at the end.\n"
        )
        model.summary()

    start = time.perf_counter()
    history = model.fit(inputs, y_train, epochs=epochs, validation_split=VALIDATION_SHARE, verbose=0 if quiet else "auto")
    seconds = time.perf_counter() - start

    guesses = np.argmax(model.predict(test_inputs, verbose=0), axis=-1)
    confusion = count_pairs(y_test, guesses)
    num_right = int(np.trace(confusion))
    accuracy = num_right / len(y_test)
    if not quiet:
        console.print(f"\nTrained for {epochs} epochs in {seconds:.1f} s.\n", highlight=False)
        console.print(confusion_table(confusion))
        console.print(confused_pairs(confusion), highlight=False)
    console.print(f"test accuracy: [bold]{accuracy:.4f}[/] ({num_right} of {len(y_test)})", highlight=False)

    if picture is not None:
        written = write_new(picture, draw_picture(history.history, x_test, y_test, guesses))
        console.print(f"picture: {written}", highlight=False, markup=False, soft_wrap=True)
    return accuracy


def count_pairs(labels: np.ndarray, guesses: np.ndarray) -> np.ndarray:
    """How often each true digit (row) was read as each digit (column).

    >>> count_pairs(np.array([3, 3, 8]), np.array([3, 8, 8]))[3, 8]
    np.int64(1)
    """
    pairs = np.bincount(labels * np.int64(NUM_DIGITS) + guesses, minlength=NUM_DIGITS**2)
    return pairs.reshape(NUM_DIGITS, NUM_DIGITS)


def confusion_table(confusion: np.ndarray) -> Table:
    """The counts as a table: rows are true digits, columns what was read, errors in red."""
    table = Table(title="Test digits: true (rows) and read as (columns)", title_justify="left", header_style="bold", box=box.SIMPLE)
    table.add_column("true", style="bold", justify="right")
    for digit in range(NUM_DIGITS):
        table.add_column(str(digit), justify="right", min_width=3)
    table.add_column("right", justify="right")
    for digit, row in enumerate(confusion):
        cells = [Text(str(count) if count else ".", style=_cell_style(digit == guess, count)) for guess, count in enumerate(row)]
        table.add_row(str(digit), *cells, f"{row[digit] / max(row.sum(), 1):.1%}")
    return table


def _cell_style(is_right: bool, count: int) -> str:
    if not count:
        return "dim"
    return "green" if is_right else "bold white on red"


def confused_pairs(confusion: np.ndarray, top: int = 5) -> str:
    """The commonest mistakes in words, one a line.

    >>> confusion = np.diag(np.full(10, 30)); confusion[8, 1] = 2
    >>> print(confused_pairs(confusion))
    Most confused:
      8 read as 1: 2 of 32
    """
    mistakes = confusion - np.diag(np.diag(confusion))
    pairs = [(int(mistakes[pair]), *pair) for pair in zip(*np.nonzero(mistakes), strict=True)]
    if not pairs:
        return "No digit was confused with another."
    pairs.sort(key=lambda pair: -pair[0])
    return "\n".join(["Most confused:", *(f"  {true} read as {guess}: {count} of {confusion[true].sum()}" for count, true, guess in pairs[:top])])


def draw_picture(history: dict[str, list[float]], images: np.ndarray, labels: np.ndarray, guesses: np.ndarray) -> bytes:
    """A PNG: the curves of loss and accuracy, and a grid of test digits with what was read (mistakes first, in red).

    Args:
        history: "loss", "accuracy", "val_loss", "val_accuracy", each one number an epoch.
        images: (n, h, w); labels and guesses: (n,).
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, NullFormatter, PercentFormatter

    figure = Figure(figsize=(13, 6.6), dpi=120)
    halves: Any = figure.subfigures(1, 2, width_ratios=(1, 1.25))
    left, right = halves

    upper, lower = left.subplots(2, 1, sharex=True, gridspec_kw={"left": 0.1, "right": 0.97, "bottom": 0.08, "top": 0.95, "hspace": 0.18})
    for axes, key, title in ((upper, "loss", "Loss (log scale)"), (lower, "accuracy", "Accuracy")):
        for prefix, name, colour in (("", "training", BLUE), ("val_", "validation", ORANGE)):
            curve = history[prefix + key]
            axes.plot(range(1, len(curve) + 1), curve, color=colour, label=name, linewidth=2, marker="o", markersize=3.5)
        axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
        axes.grid(color="#dddddd", linewidth=0.7)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    upper.set_yscale("log")
    upper.yaxis.set_major_formatter("{x:g}")
    upper.yaxis.set_minor_formatter(NullFormatter())
    upper.legend(frameon=False)
    lower.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    lower.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    lower.set_xlim(0.5, len(history["loss"]) + 0.5)
    lower.set_xlabel("epoch")

    wrong = np.flatnonzero(labels != guesses)
    shown = np.concatenate([wrong, np.flatnonzero(labels == guesses)])[: GRID_ROWS * GRID_COLUMNS]
    grid = right.subplots(GRID_ROWS, GRID_COLUMNS, gridspec_kw={"left": 0.02, "right": 0.99, "bottom": 0.02, "top": 0.87, "hspace": 0.3})
    for axes, index in itertools.zip_longest(grid.flat, shown):
        if index is None:  # more cells than images
            axes.set_axis_off()
        else:
            _draw_digit(axes, images[index], int(labels[index]), int(guesses[index]))
    heading = f"{len(labels) - len(wrong)} of {len(labels)} test digits read correctly ({np.mean(labels == guesses):.1%})"
    right.suptitle(f"{heading}\n{_mistakes_shown(len(wrong))}", fontsize=11, fontweight="bold")

    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def _draw_digit(axes: Any, image: np.ndarray, label: int, guess: int) -> None:
    axes.imshow(image, cmap="gray_r", vmin=0, vmax=16)
    axes.set_xticks([])
    axes.set_yticks([])
    if label == guess:
        axes.set_title(str(guess), fontsize=10, color=GREY, pad=3)
        axes.spines[:].set_color("#dddddd")
    else:
        axes.set_title(f"{guess}, not {label}", fontsize=10, color=RED, fontweight="bold", pad=3)
        axes.spines[:].set(color=RED, linewidth=2.5)


def _mistakes_shown(num_wrong: int) -> str:
    num_cells = GRID_ROWS * GRID_COLUMNS
    if num_wrong > num_cells:
        return f"{num_cells} of the {num_wrong} mistakes, in red"
    return {0: "no mistakes", 1: "the one mistake first, in red"}.get(num_wrong, f"the {num_wrong} mistakes first, in red")


def write_new(path: Path, content: bytes) -> Path:
    """Write content to path, or to the next free name (`name-2.png`, `name-3.png`, ...): no file is ever replaced."""
    name = path
    for number in itertools.count(2):
        try:
            with name.open("xb") as file:
                file.write(content)
            break
        except FileExistsError:
            name = path.with_stem(f"{path.stem}-{number}")
    return name
