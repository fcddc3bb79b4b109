# SPDX-License-Identifier: Apache-2.0
"""A diagram as an SVG picture, with nothing but this file and `layout.py`. Start at draw."""

from __future__ import annotations

import dataclasses
import itertools
from xml.sax.saxutils import escape

from nyala.utils.diagram import Box, Diagram, arrows_of
from nyala.utils.layout import place

FONT = "Helvetica, Arial, sans-serif"
SIZE, PAD, LINE = 13.0, 10.0, 26.0
MARGIN, FRAME, LABEL = 16.0, 16.0, 20.0  # around the picture; inside the frame of an open model, and for its name
INK, PAPER, EDGE, GREEN, RED = "#1f2933", "#ffffff", "#52606d", "#1b7f4b", "#b42318"


@dataclasses.dataclass
class Spot:
    """Where a box or a frame stands: its upper left corner and its size."""

    x: float
    y: float
    width: float
    height: float


def draw(diagram: Diagram, rankdir: str = "TB", show_layer_names: bool = True) -> str:
    """The text of an SVG file."""
    sideways = rankdir in ("LR", "RL")
    picture = _Picture(sideways, show_layer_names)
    width, height = picture.arrange(diagram, 0.0, 0.0)
    if rankdir in ("BT", "RL"):
        picture.mirror(width, height)
    total = (width + 2 * MARGIN, height + 2 * MARGIN)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total[0]:.0f}" height="{total[1]:.0f}" '
        f'viewBox="{-MARGIN:g} {-MARGIN:g} {total[0]:.1f} {total[1]:.1f}" font-family="{FONT}" font-size="{SIZE:g}">',
        f"<title>{escape(diagram.name)}</title>",
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0L10 5L0 10z" fill="{EDGE}"/></marker></defs>',
        f'<rect x="{-MARGIN:g}" y="{-MARGIN:g}" width="100%" height="100%" fill="{PAPER}"/>',
        *(picture.frame(part, spot) for part, spot in picture.frames),
        *(picture.arrow(*arrow, flip=rankdir in ("BT", "RL")) for arrow in arrows_of(diagram)),
        *(picture.box(box, picture.spots[box.key]) for box in picture.boxes),
        "</svg>",
    ]
    return "\n".join(line for line in lines if line) + "\n"


class _Picture:
    def __init__(self, sideways: bool, names: bool) -> None:
        self.sideways, self.names, self.upwards = sideways, names, False
        self.spots: dict[str, Spot] = {}
        self.bends: dict[tuple[str, str], list[tuple[float, float]]] = {}
        self.frames: list[tuple[Diagram, Spot]] = []
        self.boxes: list[Box] = []

    def arrange(self, diagram: Diagram, x: float, y: float) -> tuple[float, float]:
        """Give a place to every part of a diagram whose corner is at (x, y); returns its size."""
        sizes, inner = [], {}
        for i, part in enumerate(diagram.parts):
            if isinstance(part, Diagram):
                inner[i] = _Picture(self.sideways, self.names)
                width, height = inner[i].arrange(part, FRAME, FRAME + LABEL)
                sizes.append((max(width, _width(part.name)) + 2 * FRAME, height + 2 * FRAME + LABEL))
            else:
                sizes.append(self.size(part))
        owner = {key: i for i, part in enumerate(diagram.parts) for key in _keys(part)}
        pairs = {arrow: (owner[arrow[0]], owner[arrow[1]]) for arrow in diagram.arrows}
        arrows = sorted({(min(pair), max(pair)) for pair in pairs.values() if pair[0] != pair[1]})
        placed = place([(height, width) if self.sideways else (width, height) for width, height in sizes], arrows)
        for i, part in enumerate(diagram.parts):
            across, down = placed.centres[i][::-1] if self.sideways else placed.centres[i]
            spot = Spot(x + across - sizes[i][0] / 2, y + down - sizes[i][1] / 2, *sizes[i])
            if isinstance(part, Diagram):
                self.frames.append((part, spot))
                self.take(inner[i], spot.x, spot.y)
            else:
                self.spots[part.key] = spot
                self.boxes.append(part)
        for arrow, pair in pairs.items():
            bends = placed.bends.get((min(pair), max(pair)), [])
            bends = bends[::-1] if pair[0] > pair[1] else bends  # a layer that is called again leads back up
            self.bends[arrow] = [(x + q, y + p) if self.sideways else (x + p, y + q) for p, q in bends]
        return (placed.height, placed.width) if self.sideways else (placed.width, placed.height)

    def take(self, other: _Picture, x: float, y: float) -> None:
        """Take over what was placed in a picture of its own."""
        for spot in [*other.spots.values(), *(spot for _, spot in other.frames)]:
            spot.x, spot.y = spot.x + x, spot.y + y
        self.spots |= other.spots
        self.frames += other.frames
        self.boxes += other.boxes
        self.bends |= {arrow: [(p + x, q + y) for p, q in bends] for arrow, bends in other.bends.items()}

    def mirror(self, width: float, height: float) -> None:
        """Let everything run the other way."""
        self.upwards = not self.sideways
        for spot in [*self.spots.values(), *(spot for _, spot in self.frames)]:
            if self.sideways:
                spot.x = width - spot.x - spot.width
            else:
                spot.y = height - spot.y - spot.height
        for arrow, bends in self.bends.items():
            self.bends[arrow] = [(width - p, q) if self.sideways else (p, height - q) for p, q in bends]

    def title(self, box: Box) -> str:
        return f"{box.name} ({box.kind})" if self.names else box.kind

    def cells(self, box: Box) -> list[str]:
        shown = [f"{title}: {text}" for title, text in box.cells]
        return shown if box.trainable is None else [*shown, "Trainable" if box.trainable else "Non-trainable"]

    def size(self, box: Box) -> tuple[float, float]:
        cells = sum(_width(cell) + 2 * PAD for cell in self.cells(box))
        activation = _width(f"Activation: {box.activation}") + 2 * PAD if box.activation is not None else 0
        height = LINE * (1 + (box.activation is not None) + bool(self.cells(box)))
        return max(_width(self.title(box), bold=True) + 2 * PAD, activation, cells, 80.0), height

    def frame(self, part: Diagram, spot: Spot) -> str:
        y = spot.y + (spot.height - FRAME if self.upwards else FRAME + 5)
        return (
            f'<g><rect x="{spot.x:.1f}" y="{spot.y:.1f}" width="{spot.width:.1f}" height="{spot.height:.1f}" rx="8" fill="none" stroke="{EDGE}" '
            f'stroke-dasharray="5 4"/><text x="{spot.x + FRAME:.1f}" y="{y:.1f}" fill="{EDGE}">{escape(part.name)}</text></g>'
        )

    def box(self, box: Box, spot: Spot) -> str:
        x, y, width, height = spot.x, spot.y, spot.width, spot.height
        parts = [
            f'<g><rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{PAPER}"/>',
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{LINE:g}" fill="{INK}"/>',
            self.text(x + width / 2, y, self.title(box), PAPER, bold=True),
        ]
        y += LINE
        if box.activation is not None:
            parts.append(self.text(x + width / 2, y, f"Activation: {box.activation}", INK))
            parts.append(f'<path d="M{x:.1f} {y:.1f}h{width:.1f}" stroke="{INK}"/>')
            y += LINE
        cells = self.cells(box)
        if cells:
            parts.append(f'<path d="M{x:.1f} {y:.1f}h{width:.1f}" stroke="{INK}"/>')
            spare = (width - sum(_width(cell) + 2 * PAD for cell in cells)) / len(cells)
            left = x
            for i, cell in enumerate(cells):
                wide = _width(cell) + 2 * PAD + spare
                flag = box.trainable is not None and i == len(cells) - 1
                if flag:
                    parts.append(f'<rect x="{left:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{LINE:g}" fill="{GREEN if box.trainable else RED}"/>')
                if i:
                    parts.append(f'<path d="M{left:.1f} {y:.1f}v{LINE:g}" stroke="{INK}"/>')
                parts.append(self.text(left + wide / 2, y, cell, PAPER if flag else INK))
                left += wide
        outline = f'<rect x="{spot.x:.1f}" y="{spot.y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="none" stroke="{INK}"/></g>'
        return "".join([*parts, outline])

    def text(self, x: float, y: float, text: str, color: str, bold: bool = False) -> str:
        weight = ' font-weight="bold"' if bold else ""
        return f'<text x="{x:.1f}" y="{y + LINE / 2 + SIZE * 0.35:.1f}" text-anchor="middle" fill="{color}"{weight}>{escape(text)}</text>'

    def arrow(self, a: str, b: str, flip: bool) -> str:
        """A curve from the end of one box, past its bends, to the beginning of another."""
        start, end = self.side(self.spots[a], not flip), self.side(self.spots[b], flip)
        points = [start, *self.bends[a, b], end]
        path = f"M{start[0]:.1f} {start[1]:.1f}"
        for (x0, y0), (x1, y1) in itertools.pairwise(points):
            if self.sideways:
                middle = (x0 + x1) / 2
                path += f"C{middle:.1f} {y0:.1f} {middle:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"
            else:
                middle = (y0 + y1) / 2
                path += f"C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}"
        return f'<path d="{path}" fill="none" stroke="{EDGE}" stroke-width="1.5" marker-end="url(#tip)"/>'

    def side(self, spot: Spot, far: bool) -> tuple[float, float]:
        if self.sideways:
            return spot.x + spot.width * far, spot.y + spot.height / 2
        return spot.x + spot.width / 2, spot.y + spot.height * far


def _keys(part: Box | Diagram) -> list[str]:
    return [part.key] if isinstance(part, Box) else [key for inner in part.parts for key in _keys(inner)]


def _width(text: str, bold: bool = False) -> float:
    """About how wide a text is in Helvetica."""
    narrow, wide = set("iljtfrI.,:;|!()[]' "), set("mwMW@%")
    ems = sum(0.31 if c in narrow else 0.87 if c in wide else 0.67 if c.isupper() or ord(c) > 0x2E7F else 0.57 for c in text)
    return ems * SIZE * (1.06 if bold else 1)
