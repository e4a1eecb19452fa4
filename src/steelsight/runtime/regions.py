"""Where a picture shows its label: heat, and rectangles around what is hot.

A network learns from labels of whole pictures, and what tells its classes apart is often the steel around a defect. The
defect itself is what does not look like the rest of its picture, in the features of the first layers. Where the file
gives these, they are asked first, and the class map has half a say; else the class map alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from steelsight.records import CLEAN, Evidence, FloatArray, Region

SAY = 0.5
"""What is left of the contrast where another class leads, against what is added where the label does most."""
APART = 3
"""Places of a region are at most so far from the next: two cool ones between them do not part it."""
MOST = 20
LEAST = 0.03
"""A region besides the strongest has at least so much of what is hot; smaller ones cost the eye and find no defect."""

Places = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]
"""Rows and columns."""


def evidence(heat: FloatArray, label: str, confidence: float, size: tuple[int, int]) -> Evidence:
    """Heat and regions of a picture called `label`; none of clean steel."""
    return Evidence() if label in CLEAN else Evidence(find(heat, label, confidence, size), heat)


def contrast(features: FloatArray) -> FloatArray:
    """Features (channels, h, w) -> how far each place is from their mean over the picture, 0..1, shape (h, w).

    0 for all that is no farther than the places are in the mean; 1 at the farthest.
    """
    away = features - features.mean((1, 2), keepdims=True)
    return _above_the_mean(np.sqrt(np.einsum("chw,chw->hw", away, away)))


def contrast_for(class_map: FloatArray, label: int, features: FloatArray) -> FloatArray:
    """The contrast, three times as much where the class map (classes, h, w) shows the label as where another leads.

    0..1, in the places of the features.
    """
    apart, heat = contrast(features), heat_of(class_map, label)
    rows, columns = (np.arange(fine) * coarse // fine for fine, coarse in zip(apart.shape, heat.shape, strict=True))
    return _above_the_mean(apart * (SAY + heat[rows[:, None], columns]))


def _above_the_mean(values: FloatArray) -> FloatArray:
    """0 for all up to the mean, 1 for the highest."""
    lead = values - values.mean()
    highest = float(lead.max())
    if not highest > 0:
        return np.zeros_like(lead)
    return np.clip(lead / highest, 0, 1)  # type: ignore[no-any-return]


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
    """Rectangles around hot places that lie together, strongest first, at most 20, and none with next to no heat.

    size: height and width of the original picture; regions are in its pixels. A region's score is the picture's
    confidence times the region's share of what is hot.
    """
    hot = heat >= threshold(heat)
    total = float(heat[hot].sum())
    found = [
        frame(places, heat.shape, size, label, confidence * float(heat[places].sum()) / total)
        for places in components(hot, APART)
    ]
    ranked = sorted(found, key=lambda region: -region.score)[:MOST]
    return tuple(region for region in ranked if region is ranked[0] or region.score >= LEAST * confidence)


def threshold(heat: FloatArray) -> float:
    """What parts hot places from cool ones: the least spread within the two (Otsu 1979).

    Infinite where all are alike.
    """
    ordered = np.sort(heat, axis=None).astype(np.float64)
    below = np.arange(1, len(ordered))
    sums = ordered.cumsum()
    gap = (sums[-1] - sums[:-1]) / below[::-1] - sums[:-1] / below
    between = below * below[::-1] * gap**2
    best = int(between.argmax()) if len(between) else 0
    return float(ordered[best + 1]) if len(between) and gap[best] > 0 else np.inf


def frame(places: Places, grid: tuple[int, ...], size: tuple[int, int], label: str, score: float) -> Region:
    """The rectangle around places of a grid, in pixels of a picture of this size (height, width)."""
    top, bottom = _edges(places[0], grid[0], size[0])
    left, right = _edges(places[1], grid[1], size[1])
    return Region(label, left, top, right - left, bottom - top, score)


def components(mask: npt.NDArray[np.bool_], apart: int = 1) -> Iterator[Places]:
    """Places that are at most so far apart, together, shape (h, w) -> rows and columns of each.

    apart: rows or columns from one place to the next, whichever are more; 1 where they touch by an edge or a corner.
    Works on the mask as one long whole number, a bit a place and empty columns at the right: a shift moves every place
    at once.
    """
    height, width = mask.shape
    row = 8 * ((width + apart - 1) // 8 + 1)
    padded = np.zeros((height, row), np.bool_)
    padded[:, :width] = mask
    waiting = int.from_bytes(np.packbits(padded, bitorder="little").tobytes(), "little")
    everything = waiting
    while waiting:
        grown = waiting & -waiting
        component = 0
        while grown != component:
            component = grown
            for _ in range(apart):
                grown |= grown << 1 | grown >> 1
            for _ in range(apart):
                grown |= grown << row | grown >> row
            grown &= everything
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
