"""Anchors: places in a picture that are found again, and known again, wherever the picture is cut, turned or mirrored.

An anchor is a place where the smoothed picture is lighter, or darker, than all around it. What it looks like is put
into 64 bits, the signs of the cosine coefficients of its surroundings, coarse before fine. Mirroring a window only
changes the signs of some coefficients, and transposing it swaps rows and columns, so every window is brought to one
standing pose without looking at it eight times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from steelsight.records import GreyImage

Smooth = npt.NDArray[np.int32]

_SIDE = 7
"""A window is sampled at this many places along both axes."""

BITS = _SIDE**2 - 2
"""How many bits of a code are in use, the high ones of the 64: light or dark, and all signs but three."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How large the anchors are; all lengths in pixels."""

    blur: int
    """The picture is averaged, twice over, with all pixels up to this far away."""
    reach: int
    """An anchor is the lightest or darkest place up to this far away."""
    spacing: int
    """Between the places where its window is sampled."""

    @property
    def radius(self) -> int:
        """An anchor depends on the pixels up to this far from it, and on no others."""
        return 2 * self.blur + max(self.reach, self.spacing * (_SIDE // 2))


_COSINES = np.cos(np.pi / _SIDE * np.outer(np.arange(_SIDE), np.arange(_SIDE) + 0.5))
_ALTERNATING = (-1.0) ** np.arange(_SIDE)
_COARSE_TO_FINE = sorted(np.ndindex(_SIDE, _SIDE), key=lambda at: (sum(at), max(at)))[3:]
"""Without the mean and the two slopes, whose signs the standing pose fixes."""


@dataclass(frozen=True, slots=True, eq=False)
class Anchors:
    """Anchors of one picture or of several, each array of shape (anchors,)."""

    code: npt.NDArray[np.uint64]
    """Coarse before fine from the highest bit on, so the first bits agree even where pixels differ a little."""
    pose: npt.NDArray[np.uint8]
    """Which of the eight turns and mirror images brings the window to its standing pose: mirrored + 2 * turn."""
    row: npt.NDArray[np.int32]
    column: npt.NDArray[np.int32]


def detect(picture: GreyImage, scale: Scale) -> Anchors:
    """The anchors of a picture (height, width); none within `scale.radius` of its border or where it is flat."""
    if min(picture.shape) <= 2 * scale.radius:
        empty = np.zeros(0, np.int32)
        return Anchors(empty.astype(np.uint64), empty.astype(np.uint8), empty, empty)
    soft = smooth(picture, scale.blur)
    return _described(soft, scale, *_extremes(soft, scale))


def joined(parts: Iterable[Anchors]) -> tuple[Anchors, npt.NDArray[np.int32]]:
    """Anchors of several pictures -> all of them in one, and the number of the picture that each is in."""
    listed = list(parts)
    pictures = np.repeat(np.arange(len(listed), dtype=np.int32), [len(part.code) for part in listed])
    code, pose, row, column = (
        np.concatenate([getattr(part, name) for part in listed]) for name in ("code", "pose", "row", "column")
    )
    return Anchors(code, pose, row, column), pictures


def smooth(picture: GreyImage, blur: int) -> Smooth:
    """(height, width) -> (height - 4 * blur, width - 4 * blur): each pixel averaged with all up to `blur` away, twice.

    Whole numbers, (2 * blur + 1)**4 times the mean, so that a picture and its mirror image come out equal to the bit.
    """
    soft = picture.astype(np.int32)
    for _ in range(4):  # downwards and across, twice
        height = len(soft) - 2 * blur
        total = soft[:height]
        for below in range(1, 2 * blur + 1):
            total = total + soft[below : below + height]
        soft = total.T
    return soft


def _extremes(soft: Smooth, scale: Scale) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Rows and columns of the extremes of a smooth picture, and whether each is a lightest place."""
    margin = scale.radius - 2 * scale.blur
    height, width = soft.shape
    core = soft[margin : height - margin, margin : width - margin]
    rim = margin - scale.reach
    around = soft[rim : height - rim, rim : width - rim]
    highest, lowest = _running(np.maximum, around, scale.reach), _running(np.minimum, around, scale.reach)
    rows, columns = np.nonzero(((core == highest) | (core == lowest)) & (highest > lowest))
    light = core[rows, columns] == highest[rows, columns]
    rows, columns = rows + margin, columns + margin
    here = soft[rows, columns]
    # on a level top, as overexposed steel has, every pixel is an extreme
    beside = ((-1, 0), (1, 0), (0, -1), (0, 1))
    peaked = np.logical_and.reduce([soft[rows + down, columns + right] != here for down, right in beside])
    return rows[peaked], columns[peaked], light[peaked]


def _running(extreme: Callable[[Smooth, Smooth], Smooth], values: Smooth, reach: int) -> Smooth:
    """Highest or lowest value within `reach` of each pixel that is that far from the border."""
    length = 2 * reach + 1
    for _ in range(2):
        covered = 1
        while covered < length:
            step = min(covered, length - covered)
            values = extreme(values[:-step], values[step:])
            covered += step
        values = values.T
    return values


def _described(
    soft: Smooth,
    scale: Scale,
    rows: npt.NDArray[np.intp],
    columns: npt.NDArray[np.intp],
    light: npt.NDArray[np.bool_],
) -> Anchors:
    width = soft.shape[1]
    samples = scale.spacing * np.arange(-(_SIDE // 2), _SIDE // 2 + 1)
    offsets = np.add.outer(samples * width, samples)
    windows = soft.ravel()[np.add.outer(rows * width + columns, offsets)]
    standing, pose = _standing(_COSINES @ windows.astype(np.float64) @ _COSINES.T)
    up, across = np.transpose(_COARSE_TO_FINE)
    signs = np.column_stack([light, standing[:, up, across] > 0])
    packed = np.zeros((len(signs), 8), np.uint8)
    packed[:, : (BITS + 7) // 8] = np.packbits(signs, axis=1)
    place = ((rows + 2 * scale.blur).astype(np.int32), (columns + 2 * scale.blur).astype(np.int32))
    return Anchors(packed.view(">u8")[:, 0].astype(np.uint64), pose, *place)


def _standing(cosines: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
    """Coefficients (anchors, 7, 7) of windows -> those of the windows in their standing pose, and the poses.

    Standing: darker towards the right and the bottom, and more so towards the right.
    """
    mirror, flip = cosines[:, 0, 1] < 0, cosines[:, 1, 0] < 0
    transpose = np.abs(cosines[:, 1, 0]) > np.abs(cosines[:, 0, 1])
    cosines = np.where(mirror[:, None, None], cosines * _ALTERNATING, cosines)
    cosines = np.where(flip[:, None, None], cosines * _ALTERNATING[:, None], cosines)
    cosines = np.where(transpose[:, None, None], cosines.transpose(0, 2, 1), cosines)
    return cosines, _POSES[transpose.astype(int), flip.astype(int), mirror.astype(int)]


def after(then: npt.NDArray[Any] | int, first: npt.NDArray[Any] | int) -> npt.NDArray[np.uint8]:
    """The pose that does `first` and, after it, `then`."""
    then, first = np.asarray(then, np.int64), np.asarray(first, np.int64)
    # a quarter turn before a mirror is one the other way round after it
    turn = then // 2 + np.where(then % 2, -1, 1) * (first // 2)
    return np.asarray((then + first) % 2 + 2 * (turn % 4), np.uint8)


def inverse(pose: npt.NDArray[Any] | int) -> npt.NDArray[np.uint8]:
    """The pose that undoes `pose`."""
    pose = np.asarray(pose, np.int64)
    return np.asarray(np.where(pose % 2, pose, -pose % 8), np.uint8)


def _poses() -> npt.NDArray[np.uint8]:
    """Number of the pose that mirrors left to right, flips top to bottom, transposes, by (transpose, flip, mirror)."""
    mirror, flip, transpose = 1, 1 + 2 * 2, 1 + 2 * 1
    numbers = np.zeros((2, 2, 2), np.uint8)
    for at in np.ndindex(2, 2, 2):
        numbers[at] = after(transpose * at[0], after(flip * at[1], mirror * at[2]))
    return numbers


_POSES = _poses()
