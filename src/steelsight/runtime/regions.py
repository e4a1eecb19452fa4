"""Where a picture shows its label: heat, the place to look at first, and rectangles around what is hot.

A network learns from labels of whole pictures, and what tells its classes apart is often the steel around a defect. The
defect itself is what does not look like the rest of its picture, in the features of the first layers. Where the file
gives these, they are asked first, and the class map has half a say; else the class map alone. A model that has learned
from boxes is asked for their inside instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from steelsight.records import CLEAN, Evidence, FloatArray, Region

SAY = 0.5
"""What is left of the contrast where another class leads, against what is added where the label does most."""
SOFT = 1.0
"""Standard deviation, in places, of the blur that takes single places out of heat. What files know of boxes was learned
from places softened by it."""
AROUND = 0.1
"""Standard deviation of the surroundings that have a say in which place is to be looked at first; a share of a side."""
MIDDLE = 0.56
"""Standard deviation of how much more the middle is believed than the edge, where a place has seen only one half of its
surroundings; a share of a side."""
MOST = 20
LEAST = 0.03
"""A region besides the strongest has at least so much of what is hot; smaller ones cost the eye and find no defect."""

Places = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]
"""Rows and columns."""


@dataclass(frozen=True, slots=True)
class Cut:
    """How regions are cut out of heat."""

    apart: int
    """Places of a region are at most so far from the next."""
    tail: float
    """Share of a region's heat that may lie beyond each side of its frame: a stray place does not widen it."""


OF_CONTRAST = Cut(apart=3, tail=0.04)
"""What stands out are parts of a defect: two cool places between them do not part it."""
OF_BOXES = Cut(apart=1, tail=0.02)
"""The inside of boxes holds together by itself."""
ALIKE = 0.01
"""What lies within it is told from nothing else."""


def evidence(heat: FloatArray, label: str, confidence: float, size: tuple[int, int]) -> Evidence:
    """Heat and regions of a picture called `label`; none of clean steel."""
    if label in CLEAN:
        return Evidence()
    return Evidence(find(heat, label, confidence, size), heat, point(heat, size))


def evidence_inside(logits: FloatArray, label: str, confidence: float, size: tuple[int, int]) -> Evidence:
    """As `evidence`, from what a model that has learned from boxes says of each place, (h, w).

    To be looked at first is the surest place, softened once more. Where all places are alike, and inside, the whole
    picture is the region.
    """
    if label in CLEAN:
        return Evidence()
    sure = inside(logits)
    if np.ptp(sure) < ALIKE:
        height, width = size
        if sure.mean() < 0.5:
            return Evidence((), np.zeros_like(sure))
        return Evidence((Region(label, 0, 0, width, height, confidence),), sure, (width // 2, height // 2))
    heat = _above_the_mean(sure)
    return Evidence(find(heat, label, confidence, size, OF_BOXES), heat, _pixel(softened(sure), size))


def inside(logits: FloatArray) -> FloatArray:
    """How surely each place is inside a defect, 0..1, shape (h, w), from the logits of single places."""
    return np.asarray((1 + np.tanh(softened(logits) / 2)) / 2, np.float32)


def point(heat: FloatArray, size: tuple[int, int]) -> tuple[int, int] | None:
    """The place to look at first, x and y in pixels of the original (height, width); None without any heat.

    The one with the most heat around it, faint heat counting nearly as much as strong.
    """
    if not heat.max() > 0:
        return None
    down, along = (np.exp(-(_from_the_middle(side) ** 2) / 2) for side in heat.shape)
    return _pixel(blurred(np.sqrt(heat), AROUND * min(heat.shape)) * np.outer(down, along), size)


def _pixel(heat: FloatArray, size: tuple[int, int]) -> tuple[int, int]:
    """The middle of the hottest place, x and y in pixels of the original (height, width)."""
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    return _middle_of(int(column), heat.shape[1], size[1]), _middle_of(int(row), heat.shape[0], size[0])


def _middle_of(place: int, places: int, pixels: int) -> int:
    return (2 * place + 1) * pixels // (2 * places)


def _from_the_middle(side: int) -> FloatArray:
    return (np.arange(side, dtype=np.float32) - (side - 1) / 2) / (MIDDLE * side)


def blurred(heat: FloatArray, width: float) -> FloatArray:
    """Blurred by a Gaussian of this standard deviation in places; nothing is hot beyond the edges."""
    down, along = (_nearness(side, width) for side in heat.shape)
    return np.asarray(down @ heat @ along, np.float32)


def softened(values: FloatArray) -> FloatArray:
    """Places (..., h, w), each the mean of those around it, the nearer the more; beyond the edges there are none."""
    down, along = (_nearness(side, SOFT) for side in values.shape[-2:])
    rows, columns = (near / near.sum(axis=1, keepdims=True) for near in (down, along))
    return np.asarray(rows @ values @ columns.T, np.float32)


def _nearness(side: int, width: float) -> FloatArray:
    """How much each place has of each other's heat, shape (side, side)."""
    at = np.arange(side)
    near = np.exp(-0.5 * ((at[:, None] - at) / width) ** 2) / (width * np.sqrt(2 * np.pi))
    return np.asarray(near, np.float32)


def contrast(features: FloatArray) -> FloatArray:
    """Features (channels, h, w) -> how far each place is from what is usual in the picture, 0..1, shape (h, w).

    0 for all that is no farther than the places are in the mean; 1 at the farthest. Usual is the median of a channel.
    """
    away = features - np.median(features, axis=(1, 2), keepdims=True)
    return _above_the_mean(np.sqrt(np.einsum("chw,chw->hw", away, away)))


def contrast_for(class_map: FloatArray, label: int, features: FloatArray) -> FloatArray:
    """The contrast, three times as much where the class map (classes, h, w) shows the label as where another leads.

    0..1, softened, in the places of the features.
    """
    apart, heat = contrast(features), heat_of(class_map, label)
    rows, columns = (np.arange(fine) * coarse // fine for fine, coarse in zip(apart.shape, heat.shape, strict=True))
    soft = blurred(_above_the_mean(apart * (SAY + heat[rows[:, None], columns])), SOFT)
    return soft / (float(soft.max()) or 1.0)


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


def lead_of_another(class_map: FloatArray, best: int) -> float:
    """Class map (classes, h, w) of a picture whose best class has this number -> how far another one leads all others
    at most, in logits; 0 where none leads anywhere."""
    leaders, leads = _leaders(class_map)
    return float(np.where(leaders == best, 0, leads).max())


def of_others(
    class_map: FloatArray, best: int, scores: Mapping[str, float], least: float, size: tuple[int, int]
) -> tuple[Region, ...]:
    """The strongest region of every class but the best that leads by at least so many logits somewhere on the map.

    scores: of the picture, by class. A region's score is its class's.
    """
    leaders, leads = _leaders(class_map)
    found = []
    for number, (label, score) in enumerate(scores.items()):
        if number != best and label not in CLEAN and (leads[leaders == number] >= least).any():
            found += [replace(region, score=score) for region in find(heat_of(class_map, number), label, 1, size)[:1]]
    return tuple(found)


def _leaders(class_map: FloatArray) -> tuple[npt.NDArray[np.intp], FloatArray]:
    """The number of the class that leads at each place, and by how many logits, both (h, w)."""
    second, first = np.sort(class_map, axis=0)[-2:]
    return class_map.argmax(axis=0), first - second


def find(
    heat: FloatArray, label: str, confidence: float, size: tuple[int, int], cut: Cut = OF_CONTRAST
) -> tuple[Region, ...]:
    """Rectangles around most of the heat that lies together, strongest first, at most 20, none with next to no heat.

    size: height and width of the original picture; regions are in its pixels. A region's score is the picture's
    confidence times the region's share of what is hot.
    """
    hot = heat >= threshold(heat)
    total = float(heat[hot].sum())
    found = [
        frame(_most_of(places, heat, cut.tail), heat.shape, size, label, confidence * float(heat[places].sum()) / total)
        for places in components(hot, cut.apart)
    ]
    ranked = sorted(found, key=lambda region: -region.score)[:MOST]
    return tuple(region for region in ranked if region is ranked[0] or region.score >= LEAST * confidence)


def _most_of(places: Places, heat: FloatArray, tail: float) -> Places:
    """The first and the last row and column that hold the heat of these places but its tails."""
    first, last = [], []
    for along in places:
        below = np.bincount(along, weights=heat[places]).cumsum()
        first.append(int(np.searchsorted(below, tail * below[-1])))
        last.append(int(np.searchsorted(below, (1 - tail) * below[-1])))
    rows, columns = (np.array(ends, np.intp) for ends in zip(first, last, strict=True))
    return rows, columns


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
