"""Whether a model shows the defect where it is: regions and heat against annotated boxes and masks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import numpy.typing as npt

from steelsight.records import FloatArray, Region

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Shown:
    """What a model showed of a picture, and what is there.

    point: x and y of the place that shows the label most, in pixels; None where nothing does. regions: strongest first.
    boxes: all that are annotated, of any class.
    """

    truth: str
    label: str
    point: tuple[float, float] | None
    regions: tuple[Region, ...]
    boxes: tuple[Region, ...]

    @property
    def boxes_of_label(self) -> list[Region]:
        return [box for box in self.boxes if box.label == self.label]


@dataclass(frozen=True, slots=True)
class Localisation:
    """Shares of pictures in 0..1, by true class."""

    pointing: Mapping[str, float]
    """The strongest place lies in a box of the predicted class (Zhang and others 2016: the pointing game)."""
    overlap_30: Mapping[str, float]
    """The strongest region's intersection over union with a box of the predicted class is at least 0.3."""
    overlap_50: Mapping[str, float]

    @property
    def macro(self) -> tuple[float, float, float]:
        """Means over the classes."""
        return fmean(self.pointing.values()), fmean(self.overlap_30.values()), fmean(self.overlap_50.values())


def localisation(shown: Sequence[Shown]) -> Localisation:
    """Of at least one picture; one whose predicted class has no box is wrong."""
    points, thirds, halves = (defaultdict[str, list[bool]](list) for _ in range(3))
    for each in shown:
        boxes = each.boxes_of_label
        best = max((overlap(each.regions[0], box) for box in boxes), default=0.0) if each.regions else 0.0
        points[each.truth].append(each.point is not None and any(_holds(box, *each.point) for box in boxes))
        thirds[each.truth].append(best >= 0.3)
        halves[each.truth].append(best >= 0.5)
    return Localisation(*({name: fmean(found[name]) for name in sorted(found)} for found in (points, thirds, halves)))


def average_precision(shown: Sequence[Shown], label: str, least: float) -> float:
    """Of a class's regions over all its boxes: the area under precision against recall (all points, as VOC 2010).

    A region is right where it overlaps a box that no stronger one has found by at least `least`. 0 without any box.
    """
    total = sum(box.label == label for each in shown for box in each.boxes)
    claims = [(region, at) for at, each in enumerate(shown) for region in each.regions if region.label == label]
    found: set[tuple[int, int]] = set()
    right = []
    for region, at in sorted(claims, key=lambda claim: -claim[0].score):
        free = [
            (overlap(region, box), number)
            for number, box in enumerate(shown[at].boxes)
            if box.label == label and (at, number) not in found
        ]
        best, number = max(free, default=(0.0, -1))
        right.append(best >= least)
        if right[-1]:
            found.add((at, number))
    if not total or not right:
        return 0.0
    hits = np.cumsum(right)
    precision = np.maximum.accumulate((hits / np.arange(1, len(right) + 1))[::-1])[::-1]
    return float((precision * np.array(right)).sum() / total)


def overlap(one: Region, other: Region) -> float:
    """Intersection over union of two rectangles."""
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    shared = max(0, width) * max(0, height)
    return shared / (one.width * one.height + other.width * other.height - shared)


def mask_overlap(heat: FloatArray, mask: Mask, threshold: float) -> float:
    """Intersection over union of the pixels whose heat, (h, w), is at least the threshold, and a mask."""
    rows, columns = (
        np.arange(pixels) * places // pixels for pixels, places in zip(mask.shape, heat.shape, strict=True)
    )
    hot = heat[rows[:, None], columns] >= threshold
    union = int((hot | mask).sum())
    return int((hot & mask).sum()) / union if union else 1.0


def _holds(box: Region, x: float, y: float) -> bool:
    return box.x <= x <= box.x + box.width and box.y <= y <= box.y + box.height
