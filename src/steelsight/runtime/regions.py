"""Where a picture shows its label: heat and rectangles from the class map."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from steelsight.records import CLEAN, Evidence, FloatArray, Region

THRESHOLD = 0.5
"""Share of the strongest evidence at which a region begins."""
MOST = 20

Places = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]
"""Rows and columns."""


def evidence(class_map: FloatArray, best: int, label: str, confidence: float, size: tuple[int, int]) -> Evidence:
    """Heat and regions of the class number `best`, called `label`; none of clean steel."""
    if label in CLEAN:
        return Evidence()
    heat = heat_of(class_map, best)
    return Evidence(find(heat, label, confidence, size), heat)


def heat_of(class_map: FloatArray, label: int) -> FloatArray:
    """Class map (classes, h, w) -> how far the label leads every other class at each place, 0..1, shape (h, w).

    0 where another class leads; 1 at the strongest place.
    """
    lead = class_map[label] - np.delete(class_map, label, axis=0).max(axis=0)
    strongest = float(lead.max())
    if not strongest > 0:
        return np.zeros_like(lead)
    return np.clip(lead / strongest, 0, 1)  # type: ignore[no-any-return]


def find(heat: FloatArray, label: str, confidence: float, size: tuple[int, int]) -> tuple[Region, ...]:
    """Rectangles around connected places of at least half the strongest heat, strongest first, at most 20.

    size: height and width of the original picture; regions are in its pixels. A region's score is the picture's
    confidence times the region's mean heat.
    """
    found = [
        frame(places, heat.shape, size, label, confidence * float(heat[places].mean()))
        for places in components(heat >= THRESHOLD)
    ]
    return tuple(sorted(found, key=lambda region: -region.score)[:MOST])


def frame(places: Places, grid: tuple[int, ...], size: tuple[int, int], label: str, score: float) -> Region:
    """The rectangle around places of a grid, in pixels of a picture of this size (height, width)."""
    top, bottom = _edges(places[0], grid[0], size[0])
    left, right = _edges(places[1], grid[1], size[1])
    return Region(label, left, top, right - left, bottom - top, score)


def components(mask: npt.NDArray[np.bool_]) -> Iterator[Places]:
    """Places that touch by an edge or a corner, together, shape (h, w) -> rows and columns of each.

    Works on the mask as one long whole number, a bit a place and an empty column at the right: a shift moves every
    place at once.
    """
    height, width = mask.shape
    row = 8 * (width // 8 + 1)
    padded = np.zeros((height, row), np.bool_)
    padded[:, :width] = mask
    waiting = int.from_bytes(np.packbits(padded, bitorder="little").tobytes(), "little")
    everything = waiting
    while waiting:
        grown = waiting & -waiting
        component = 0
        while grown != component:
            component = grown
            grown |= grown << 1 | grown >> 1
            grown = (grown | grown << row | grown >> row) & everything
        waiting &= ~component
        first = ((component & -component).bit_length() - 1) // row  # only the rows that it touches are unpacked
        here = component >> first * row
        size = -(-here.bit_length() // row) * row // 8
        bits = np.frombuffer(here.to_bytes(size, "little"), np.uint8)
        rows, columns = np.nonzero(np.unpackbits(bits, bitorder="little").reshape(-1, row))
        yield rows + first, columns


def _edges(indices: npt.NDArray[np.intp], cells: int, pixels: int) -> tuple[int, int]:
    start = int(indices.min()) * pixels // cells
    return start, max(start + 1, (int(indices.max()) + 1) * pixels // cells)
