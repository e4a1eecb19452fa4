"""Clean steel to learn from, where no picture shows it alone: the largest square beside the boxes of each picture.

It is mirrored until it is as large as the picture. Beside each such window goes one on the picture's own defect, of the
same size and made the same way, so that a network cannot tell clean steel by the mirroring.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from steelsight import images
from steelsight.records import CLEAN, GreyImage, Region, Sample

CLEAN_LABEL = "clean"


@dataclass(frozen=True, slots=True)
class Square:
    """Of a picture, pixels."""

    x: int
    y: int
    side: int


@dataclass(frozen=True, slots=True)
class Window:
    """A square of a picture, and what it is to be learned as: a picture of its own, once it is written."""

    source: Path
    square: Square
    sample: Sample


def clean_label(samples: Iterable[Sample]) -> str:
    """What the samples call clean steel, else `clean`."""
    return next((each.label for each in samples if each.label in CLEAN), CLEAN_LABEL)


def find(samples: Sequence[Sample], label: str, least: int, folder: Path) -> tuple[list[Window], list[Window]]:
    """Windows of clean steel, called `label` and to be written below FOLDER, and as many on defects: of every picture
    with boxes of its own label that leave a square of `least` pixels a side.

    Boxes count as far as they lie in their picture. Raises ImageError where a picture cannot be read.
    """
    clean, defects = [], []
    for number, sample in enumerate(samples):
        if sample.label in CLEAN or not sample.boxes:
            continue
        shape = images.decode(sample.path).shape
        boxes = [cut for box in sample.boxes if (cut := _within(box, shape))]
        own = [box for box in boxes if box.label == sample.label]
        square = largest_clear(boxes, shape, least) if own else None
        if square is None:
            continue
        shown = around(max(own, key=lambda box: box.width * box.height), square.side, shape)
        name = f"{number}-{sample.path.stem}.png"
        clean.append(Window(sample.path, square, Sample(folder / label / name, label)))
        defects.append(Window(sample.path, shown, Sample(folder / sample.label / name, sample.label)))
    return clean, defects


def write(windows: Iterable[Window]) -> None:
    """Writes each as PNG. Raises OSError where that cannot be."""
    for window in windows:
        window.sample.path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mirrored(images.decode(window.source), window.square)).save(window.sample.path)


def _within(box: Region, shape: tuple[int, int]) -> Region | None:
    """The part of a box that lies in a picture of (height, width); None where there is none."""
    left, top = max(0, box.x), max(0, box.y)
    right, bottom = min(shape[1], box.x + box.width), min(shape[0], box.y + box.height)
    if right <= left or bottom <= top:
        return None
    return replace(box, x=left, y=top, width=right - left, height=bottom - top)


def largest_clear(boxes: Sequence[Region], shape: tuple[int, int], least: int) -> Square | None:
    """The largest square of a picture of (height, width) that no box touches; None where it is less than `least`."""
    taken = np.zeros(shape, np.int64)
    for box in boxes:
        taken[box.y : box.y + box.height, box.x : box.x + box.width] = 1
    sums = np.pad(taken.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    found, smallest, largest = None, max(1, least), min(shape)
    while smallest <= largest:  # where a square is clear, so are smaller ones
        side = (smallest + largest) // 2
        inside = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
        y, x = np.unravel_index(int(inside.argmin()), inside.shape)
        if inside[y, x] == 0:
            found, smallest = Square(int(x), int(y), side), side + 1
        else:
            largest = side - 1
    return found


def around(box: Region, side: int, shape: tuple[int, int]) -> Square:
    """The square of this side around the middle of a box, moved into a picture of (height, width)."""
    height, width = shape
    x, y = box.x + (box.width - side) // 2, box.y + (box.height - side) // 2
    return Square(min(max(0, x), width - side), min(max(0, y), height - side), side)


def mirrored(grey: GreyImage, square: Square) -> GreyImage:
    """The square, mirrored at its edges until it is as large as the picture."""
    window = grey[square.y : square.y + square.side, square.x : square.x + square.side]
    return np.pad(window, [(0, side - square.side) for side in grey.shape], mode="symmetric")
