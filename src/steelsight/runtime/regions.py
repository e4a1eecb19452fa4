"""Where a picture shows its label: heat and rectangles from the class map."""

from __future__ import annotations

import numpy as np

from steelsight.records import FloatArray, Region

THRESHOLD = 0.5
"""Share of the strongest evidence at which a region begins."""
MOST = 20


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
    rows, columns = heat.shape
    height, width = size
    found = []
    for places in _components(heat >= THRESHOLD):
        ys, xs = np.array(places).T
        left, right = _edges(xs, columns, width)
        top, bottom = _edges(ys, rows, height)
        score = confidence * float(heat[ys, xs].mean())
        found.append(Region(label, left, top, right - left, bottom - top, score))
    return tuple(sorted(found, key=lambda region: -region.score)[:MOST])


def _edges(indices: np.ndarray[tuple[int], np.dtype[np.intp]], cells: int, pixels: int) -> tuple[int, int]:
    start = int(indices.min()) * pixels // cells
    return start, max(start + 1, (int(indices.max()) + 1) * pixels // cells)


def _components(mask: np.ndarray[tuple[int, int], np.dtype[np.bool_]]) -> list[list[tuple[int, int]]]:
    """Places that touch by an edge or a corner, together."""
    waiting = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    components = []
    while waiting:
        component, edge = [], [waiting.pop()]
        while edge:
            y, x = edge.pop()
            component.append((y, x))
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & waiting
            waiting -= near
            edge.extend(near)
        components.append(component)
    return components
