"""Pictures that share pixels: exact duplicates, and crops of one photograph, under any shift, right-angle turn or mirror
image, re-encoded or not. Splits keep them together, else the test part holds pixels of the training part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from steelsight.data.anchors import Scale, Smooth, detect, joined, smooth
from steelsight.data.matching import Candidates, candidates
from steelsight.images import decode
from steelsight.records import GreyImage

Picture = Path | GreyImage
Image_ = TypeVar("Image_", bound=npt.NDArray[Any])
Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done and how much there is."""

MIN_SIDE = 12
"""The least width and height of a shared area, pixels."""

DETAILS = 64
"""A shared area has this many pixels that differ from those above and to the left: fewer can be alike by chance."""

LIKENESS = 0.4
"""Re-encoded pictures differ, where they show the same, by less than this share of what each differs from itself when
moved by _MOVE pixels in the direction that changes it least."""

_MOVE = 3
_HOPELESS = 4.0
SCALES = (Scale(1,3,1), Scale(1,4,2), Scale(3,8,5))
_CACHE_BYTES = 500_000_000
_FRAME = 255, 40, 40


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two pictures that share pixels, by their numbers in the sequence given to `find`; `first` < `second`.

    The second picture is mirrored left to right where `mirrored`, then turned by `turn` quarter turns counter-clockwise
    (`placed`), and then laid on the first with its upper left corner in column `dx` and row `dy` of the first, which
    may be negative.
    """

    first: int
    second: int
    turn: int
    mirrored: bool
    dx: int
    dy: int
    area: int
    """How many pixels they share."""
    exact: bool
    """Whether these are equal to the last bit; otherwise the pictures were re-encoded."""


def find(
    pictures: Sequence[Picture], *, tolerant: bool = True, on_progress: Progress = lambda task, done, total: None
) -> list[Overlap]:
    """Files or grey pictures -> the pairs that share pixels, one overlap a pair, sorted by their numbers.

    `tolerant` also finds pictures that were re-encoded (JPEG) after they were cut. Shared areas that are flat or less
    than about 20 pixels wide are not seen. Of pixels that more than `matching.NEXT` pictures share not every pair is
    listed, but `groups` still has them together. Files are decoded again whenever they are looked at, so memory holds
    some 8 kB for each picture of 200x200, and at most 500 MB of pictures. Raises ImageError for a file that is not a picture.
    """
    if not pictures:
        return []
    found: dict[tuple[int, int], Overlap] = {}
    read = _Reader(pictures)
    for scale in SCALES if tolerant else SCALES[:1]:
        way = scale is not SCALES[0]
        sizes, parts = [], []
        for number, picture in enumerate(pictures):
            grey = _decoded(picture)
            sizes.append(grey.shape)
            parts.append(detect(grey, scale))
            on_progress("reading", number + 1, len(pictures))
        anchors, owners = joined(parts)
        del parts
        ways = candidates(anchors, owners, sizes, tolerant=way)
        for number, (first, second, pose, dx, dy) in enumerate(_rows(ways)):
            if (first, second) not in found:
                laid = Overlap(first, second, pose // 2, pose % 2 == 1, dx, dy, 0, exact=not way)
                overlap = _checked(read(first), read(second), laid, scale)
                if overlap:
                    found[first, second] = overlap
            on_progress("comparing", number + 1, len(ways.first))
    return sorted(found.values(), key=lambda overlap: (overlap.first, overlap.second))


def groups(count: int, overlaps: Sequence[Overlap]) -> list[int]:
    """Number of the group of each of `count` pictures, counted from 0 in order of first appearance.

    Pictures are in one group where overlaps lead from one to the other, over others too; one alone is a group of its own.
    """
    parents = list(range(count))

    def root(picture: int) -> int:
        while parents[picture] != picture:
            parents[picture] = picture = parents[parents[picture]]
        return picture

    for overlap in overlaps:
        low, high = sorted((root(overlap.first), root(overlap.second)))
        parents[high] = low
    numbers: dict[int, int] = {}
    return [numbers.setdefault(root(picture), len(numbers)) for picture in range(count)]


def placed(second: Image_, overlap: Overlap) -> Image_:
    """The second picture, mirrored and turned as it lies on the first: a view of shape (height, width)."""
    return np.rot90(second[:, ::-1] if overlap.mirrored else second, overlap.turn)


def shared(first: Image_, second: Image_, overlap: Overlap) -> tuple[Image_, Image_]:
    """What both pictures show of the shared area: two views of the same shape, empty where nothing is shared."""
    second = placed(second, overlap)
    (top, left), (bottom, right) = _corners(first.shape, second.shape, overlap)
    dx, dy = overlap.dx, overlap.dy
    return first[top:bottom, left:right], second[top - dy : bottom - dy, left - dx : right - dx]


def evidence(first: GreyImage, second: GreyImage, overlap: Overlap) -> Image.Image:
    """RGB picture of both, side by side: the second as it lies on the first, the shared area of each framed."""
    second = placed(second, overlap)
    gap = 8
    size = first.shape[1] + gap + second.shape[1], max(len(first), len(second))
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    (top, left), (bottom, right) = _corners(first.shape, second.shape, overlap)
    beside = first.shape[1] + gap
    for pixels, x, dx, dy in ((first, 0, 0, 0), (second, beside, overlap.dx, overlap.dy)):
        sheet.paste(Image.fromarray(np.ascontiguousarray(pixels)), (x, 0))
        pen.rectangle((x + left - dx, top - dy, x + right - dx - 1, bottom - dy - 1), outline=_FRAME)
    return sheet


def _corners(
    first: tuple[int, ...], second: tuple[int, ...], overlap: Overlap
) -> tuple[tuple[int, int], tuple[int, int]]:
    """(top, left) and (bottom, right) of the shared area in the first picture; the shapes are of pictures as placed."""
    top, left = max(0, overlap.dy), max(0, overlap.dx)
    bottom, right = min(first[0], overlap.dy + second[0]), min(first[1], overlap.dx + second[1])
    return (top, left), (max(top, bottom), max(left, right))


def _checked(first: GreyImage, second: GreyImage, laid: Overlap, scale: Scale) -> Overlap | None:
    """The overlap with its area, and for re-encoded pictures the best shift nearby; None where nothing is shared."""
    if not laid.exact:
        settled = _settled(smooth(first, scale.blur), smooth(second, scale.blur), laid)
        if settled is None:
            return None
        laid = settled
    ours, theirs = shared(first, second, laid)
    if min(ours.shape) < MIN_SIDE or _details(ours) < DETAILS:
        return None
    exact = np.array_equal(ours, theirs)
    return replace(laid, area=ours.size, exact=exact) if exact or not laid.exact else None


def _details(pixels: GreyImage) -> int:
    inner = pixels[1:, 1:]
    return int(np.count_nonzero((inner != pixels[:-1, 1:]) & (inner != pixels[1:, :-1])))


def _settled(first: Smooth, second: Smooth, laid: Overlap) -> Overlap | None:
    """The shift at which smoothed pictures differ least, downhill from the one given; None if that is not little."""
    limit = LIKENESS * _own_difference(shared(first, second, laid))
    least = _difference(first, second, laid)
    if least > _HOPELESS * limit:
        return None
    while True:
        around = [replace(laid, dx=laid.dx + right, dy=laid.dy + down) for down in (-1, 0, 1) for right in (-1, 0, 1)]
        differences = [_difference(first, second, near) for near in around]
        best = int(np.argmin(differences))
        if differences[best] >= least:
            break
        laid, least = around[best], differences[best]
    return laid if least < LIKENESS * _own_difference(shared(first, second, laid)) else None


def _difference(first: Smooth, second: Smooth, laid: Overlap) -> float:
    """Mean difference over the shared area; infinite where that is too small."""
    ours, theirs = shared(first, second, laid)
    return float(np.abs(ours - theirs).mean()) if min(ours.shape) >= 8 else math.inf


def _own_difference(views: tuple[Smooth, Smooth]) -> float:
    """How much an area differs from itself when moved, in the direction that changes it least; the less of two."""
    if min(views[0].shape) < 8:
        return 0.0
    whole, step, back = slice(None), slice(_MOVE, None), slice(None, -_MOVE)
    moves = (((step, whole), (back, whole)), ((whole, step), (whole, back)), ((step, step), (back, back)))
    moves = (*moves, ((step, back), (back, step)))
    return min(float(np.abs(view[one] - view[other]).mean()) for view in views for one, other in moves)


def _rows(ways: Candidates) -> Iterator[tuple[int, int, int, int, int]]:
    for start in range(0, len(ways.first), 10_000):
        part = slice(start, start + 10_000)
        columns = (ways.first, ways.second, ways.pose, ways.dx, ways.dy)
        yield from zip(*(column[part].tolist() for column in columns), strict=True)


def _decoded(picture: Picture) -> GreyImage:
    return picture if isinstance(picture, np.ndarray) else decode(picture)


class _Reader:
    """Decodes pictures by their numbers and keeps the latest few."""

    def __init__(self, pictures: Sequence[Picture]) -> None:
        self._pictures = pictures
        self._kept: dict[int, GreyImage] = {}
        self._bytes = 0

    def __call__(self, number: int) -> GreyImage:
        grey = self._kept.pop(number, None)
        if grey is None:
            grey = _decoded(self._pictures[number])
            self._bytes += grey.nbytes
        self._kept[number] = grey
        while self._bytes > _CACHE_BYTES and len(self._kept) > 1:
            oldest = next(iter(self._kept))
            self._bytes -= self._kept.pop(oldest).nbytes
        return grey
