"""Pictures that share pixels: exact duplicates, and crops of one photograph, under any shift, right-angle turn or
mirror image, re-encoded or not. A split has to keep them together, else it tests on pixels that it trained on.

Anchors say which pictures to compare and how (`anchors.py`, `matching.py`); here every shared pixel decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from steelsight.data.anchors import Anchors, Scale, Smooth, detect, joined, smooth
from steelsight.data.matching import Ways, by_anchors, implied
from steelsight.images import decode
from steelsight.records import GreyImage

Picture = Path | GreyImage
Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done and how much there is; the same thing may be done again."""

Pixels = npt.NDArray[Any]

MIN_SIDE = 12
"""The least width and height of a shared area, pixels."""

MIN_DETAILS = 64
"""So many pixels of a shared area, at least, differ from the pixel above and from the one to the left. Areas with
fewer, such as white with a speck on it, may be equal by chance."""

LIKENESS = 0.4
"""Re-encoded, the same pixels differ by less than this share of what they differ from themselves a few pixels away. On
NEU-CLS saved at quality 75 and blurred by 1 the same pixels come to 0.13 in the median; of 21,492 other ways to lay one
picture on another all but 0.05 % come to more than 1.6."""

FINE = Scale(blur=1, reach=3, spacing=1)
"""For equal pixels: small, to fit into narrow areas."""

TOLERANT = (Scale(blur=1, reach=4, spacing=2), Scale(blur=2, reach=6, spacing=3), Scale(blur=3, reach=8, spacing=4))
"""For re-encoded pixels: the larger, the fainter may the picture be; the smaller, the narrower the area."""

_NARROW = 28
"""Shared areas under this width or height are blurred less when re-encoded pixels are compared."""

_HOPELESS = 4.0
"""A way of laying this many times worse than LIKENESS is given up without looking for a better shift nearby."""

_SPARSE = 4
"""For the first glance every fourth pixel of every fourth row is enough."""

_CACHE_BYTES = 500_000_000
_GAP = 8
_FRAME = (255, 40, 40)


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two pictures that share pixels, by their numbers in the sequence given to `find`; `first` < `second`.

    The second picture is mirrored left to right where `mirrored`, then turned by `turn` quarter turns (0 to 3)
    counter-clockwise, and then laid on the first with its upper left corner in column `dx` and row `dy` of the first,
    either of which may be negative.
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
    """Every shared pixel is equal; otherwise the pictures were re-encoded."""


def find(
    pictures: Sequence[Picture], *, tolerant: bool = True, on_progress: Progress = lambda *_: None
) -> list[Overlap]:
    """Files or grey pictures -> the pairs that share pixels, one overlap a pair, sorted by their numbers.

    `tolerant` also finds pictures that were saved as JPEG after they were cut; the brightness has to stay. Not seen are
    shared areas that are flat, striped without any grain, or less than MIN_SIDE wide. Of pixels that more than
    `matching.NEXT` pictures share not every pair is listed, but enough for `groups`. Files are decoded again whenever
    they are needed: memory holds 500 MB of pictures at most, and tens of kB for each 200x200 picture's anchors and
    their matches. Raises ImageError for a file that is not a picture.
    """
    if not pictures:
        return []
    search = _Search(pictures, on_progress)
    search.read((FINE, *TOLERANT) if tolerant else (FINE,))
    search.compare(search.by_anchors(FINE, tolerant=False), search.equal)
    search.compare(search.implied(), search.equal)
    if tolerant:
        for scale in TOLERANT:
            search.compare(search.by_anchors(scale, tolerant=True), search.alike)
        search.compare(search.implied(), search.alike)
    return [search.found[pair] for pair in sorted(search.found)]


def groups(count: int, overlaps: Sequence[Overlap]) -> list[int]:
    """The number of the group of each of `count` pictures, counted from 0 in order of first appearance.

    Pictures are in one group where overlaps lead from one to the other; a picture without any is a group of its own.
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


def placed(second: Pixels, overlap: Overlap) -> Pixels:
    """The second picture (height, width), mirrored and turned as it lies on the first; a view."""
    return np.rot90(second[:, ::-1] if overlap.mirrored else second, overlap.turn)


def shared(first: Pixels, second: Pixels, overlap: Overlap) -> tuple[Pixels, Pixels]:
    """What each of the two pictures shows of the shared area: views of the same shape, empty where there is none."""
    second = placed(second, overlap)
    left, top, right, bottom = _box(first.shape, second.shape, overlap)
    dx, dy = overlap.dx, overlap.dy
    return first[top:bottom, left:right], second[top - dy : bottom - dy, left - dx : right - dx]


def evidence(first: GreyImage, second: GreyImage, overlap: Overlap) -> Image.Image:
    """Both pictures side by side in RGB, the second mirrored and turned as it lies on the first; on each a red frame,
    one pixel wide, on the rim of the shared area."""
    second = placed(second, overlap)
    beside = first.shape[1] + _GAP
    sheet = Image.new("RGB", (beside + second.shape[1], max(len(first), len(second))), "white")
    pen = ImageDraw.Draw(sheet)
    left, top, right, bottom = _box(first.shape, second.shape, overlap)
    for pixels, x, dx, dy in ((first, 0, 0, 0), (second, beside, overlap.dx, overlap.dy)):
        sheet.paste(Image.fromarray(np.ascontiguousarray(pixels)), (x, 0))
        pen.rectangle((x + left - dx, top - dy, x + right - dx - 1, bottom - dy - 1), outline=_FRAME)
    return sheet


class _Search:
    """The overlaps found so far in a sequence of pictures, and the ways to find more."""

    def __init__(self, pictures: Sequence[Picture], on_progress: Progress) -> None:
        self.found: dict[tuple[int, int], Overlap] = {}
        self._pictures = pictures
        self._on_progress = on_progress
        self._sizes = np.zeros((len(pictures), 2), np.int32)
        self._anchors: dict[Scale, list[Anchors]] = {}
        self._kept: dict[tuple[int, int], npt.NDArray[Any]] = {}
        self._kept_bytes = 0

    def read(self, scales: Sequence[Scale]) -> None:
        """Detects the anchors of every scale at once, so that each file is decoded once for all of them."""
        self._anchors = {scale: [] for scale in scales}
        for number, picture in enumerate(self._pictures):
            grey = _decoded(picture)
            self._sizes[number] = grey.shape
            for scale, parts in self._anchors.items():
                parts.append(detect(grey, scale))
            self._on_progress("reading", number + 1, len(self._pictures))

    def by_anchors(self, scale: Scale, *, tolerant: bool) -> Ways:
        """The ways by the anchors of a scale, which are then forgotten: of 100,000 pictures they fill gigabytes."""
        return by_anchors(*joined(self._anchors.pop(scale)), self._sizes, tolerant=tolerant)

    def implied(self) -> Ways:
        known = {
            pair: (overlap.mirrored + 2 * overlap.turn, overlap.dx, overlap.dy) for pair, overlap in self.found.items()
        }
        return implied(known, self._sizes)

    def compare(self, ways: Ways, confirm: Callable[[Overlap], Overlap | None]) -> None:
        """Adds the first way of each pair that the pixels confirm."""
        for number, (first, second, pose, dx, dy) in enumerate(ways):
            if (first, second) not in self.found:
                laid = Overlap(first, second, pose // 2, pose % 2 == 1, dx, dy, area=0, exact=False)
                confirmed = confirm(laid)
                if confirmed:
                    self.found[first, second] = confirmed
            self._on_progress("comparing", number + 1, len(ways))

    def equal(self, laid: Overlap) -> Overlap | None:
        """The overlap, if every shared pixel is equal."""
        ours, theirs = shared(self._pixels(laid.first), self._pixels(laid.second), laid)
        if not _telling(ours) or not np.array_equal(ours, theirs):
            return None
        return replace(laid, area=ours.size, exact=True)

    def alike(self, laid: Overlap) -> Overlap | None:
        """The overlap with the best shift nearby, if the shared pixels are the same but for re-encoding."""
        first, second = self._pixels(laid.first), self._pixels(laid.second)
        blur = 1 if min(shared(first, second, laid)[0].shape) < _NARROW else 2
        settled = _settled(self._pixels(laid.first, blur), self._pixels(laid.second, blur), laid, blur)
        if settled is None:
            return None
        ours, theirs = shared(first, second, settled)
        return replace(settled, area=ours.size, exact=np.array_equal(ours, theirs)) if _telling(ours) else None

    def _pixels(self, number: int, blur: int = 0) -> npt.NDArray[Any]:
        """A picture, smoothed if `blur` is not 0; the latest few are kept."""
        pixels = self._kept.pop((number, blur), None)
        if pixels is None:
            pixels = smooth(self._pixels(number), blur) if blur else _decoded(self._pictures[number])
            self._kept_bytes += pixels.nbytes
        self._kept[number, blur] = pixels
        while self._kept_bytes > _CACHE_BYTES and len(self._kept) > 1:
            self._kept_bytes -= self._kept.pop(next(iter(self._kept))).nbytes
        return pixels


def _decoded(picture: Picture) -> GreyImage:
    return picture if isinstance(picture, np.ndarray) else decode(picture)


def _telling(pixels: GreyImage) -> bool:
    """Whether an area is large enough, and has enough details, not to be equal to another by chance."""
    if min(pixels.shape) < MIN_SIDE:
        return False
    inner = pixels[1:, 1:]
    details = np.count_nonzero((inner != pixels[:-1, 1:]) & (inner != pixels[1:, :-1]))
    return int(details) >= MIN_DETAILS


def _settled(first: Smooth, second: Smooth, laid: Overlap, blur: int) -> Overlap | None:
    """The shift at which pictures smoothed by `blur` differ least, downhill from that given; None if that is much."""
    move = 2 * blur + 1
    ours, theirs = shared(first, second, laid)
    if min(ours.shape) <= move:
        return None
    glance = np.abs(ours[::_SPARSE, ::_SPARSE] - theirs[::_SPARSE, ::_SPARSE]).mean()
    if glance > _HOPELESS * LIKENESS * _own_difference(ours, move, _SPARSE):
        return None
    least = _difference(first, second, laid, move)
    while True:
        around = [replace(laid, dx=laid.dx + right, dy=laid.dy + down) for down in (-1, 0, 1) for right in (-1, 0, 1)]
        differences = [_difference(first, second, near, move) for near in around]
        best = int(np.argmin(differences))
        if differences[best] >= least:
            break
        laid, least = around[best], differences[best]
    own = min(_own_difference(view, move) for view in shared(first, second, laid))
    return laid if least < LIKENESS * own else None


def _difference(first: Smooth, second: Smooth, laid: Overlap, narrowest: int) -> float:
    """Mean difference over the shared area; infinite where that is no wider, or no higher, than `narrowest`."""
    ours, theirs = shared(first, second, laid)
    return float(np.abs(ours - theirs).mean()) if min(ours.shape) > narrowest else math.inf


def _own_difference(view: Smooth, move: int, every: int = 1) -> float:
    """How much a view differs from itself `move` pixels away, in the direction, of four, that changes it least; by each
    `every`th pixel of each `every`th row."""
    whole, later, earlier = slice(None), slice(move, None), slice(None, -move)
    directions = (
        ((whole, later), (whole, earlier)),
        ((later, whole), (earlier, whole)),
        ((later, later), (earlier, earlier)),
        ((later, earlier), (earlier, later)),
    )
    return min(
        float(np.abs(view[here][::every, ::every] - view[there][::every, ::every]).mean()) for here, there in directions
    )


def _box(first: tuple[int, ...], second: tuple[int, ...], overlap: Overlap) -> tuple[int, int, int, int]:
    """Left, top, right and bottom (both excluded) of the shared area in the first picture; shapes as placed."""
    left, top = max(0, overlap.dx), max(0, overlap.dy)
    right, bottom = min(first[1], overlap.dx + second[1]), min(first[0], overlap.dy + second[0])
    return left, top, max(left, right), max(top, bottom)
