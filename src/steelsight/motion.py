"""Blur by the strip's own motion, found in a picture and taken out of it.

A strip that moves down the picture while the shutter is open smears every point over so many rows: the picture is its
sharp self, averaged over that many rows. So the steps from row to row are differences of rows that lie as far apart,
and steps that far apart are opposed: their correlation is lowest there, about a half below zero where nothing else is
in the picture. The sharp picture that fits best then follows by linear least squares, the same way for every column,
and is taken if it looks as a sharp one would.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from steelsight.records import GreyImage

__all__ = ["blurred_rows", "may_be_blurred", "sharpened"]

FIRST = 8
"""Of so many columns one is looked at to tell most sharp pictures at once."""
EVERY = 4
"""Of so many columns and rows one is looked at in the others."""
MOST = 250
"""Columns or rows of a large picture that are looked at."""
SHORTEST, LONGEST = 5, 24
"""Rows that a strip moves while the shutter is open: fewer cost no decisions, more are too much to take back."""
SMOOTH = 0.3
"""The least correlation of neighbouring steps down a blurred picture. Nearly all sharp ones have less."""
ALIKE = 1e-4
"""More than sums in another order differ, as a share."""
OPPOSED = (-0.6, -0.15)
"""The correlation of steps at the distance of the motion."""
DIP = 0.05
"""How much less it is there than on either side, in the mean."""
ASIDE = 0.5
"""The same across, as a share of it, if the picture is blurred both ways."""
STEEPER = 0.8
"""Steps down a blurred picture are at most so many times as large as those across, in the mean."""
LEFT = 0.12
"""The most that steps at the distance of the motion are correlated once it is taken out."""
FLATTER = 0.5
"""Steps down a sharpened picture are at least so many times as large as those across, as root mean squares."""
BEYOND = 30
"""So far below 0 or above 255 a sharpened picture hardly goes, but beside what stood still while the strip moved."""
CLIPPED = 0.001
"""The most of its pixels that may."""
SMOOTHING = 0.001
"""What steps in the sharp picture weigh, at least, beside what the blurred one is missed by."""
ROUNDING = 1 / 12
"""Mean square of what is lost where levels are rounded to whole numbers."""
BLOCK, BESIDE, ACROSS = 256, 128, 2000
"""Rows that are sharpened at a time, further ones on either side that are looked at for it, and columns at a time."""

Floats = npt.NDArray[np.float32]


def sharpened(grey: GreyImage) -> GreyImage:
    """The picture without the blur of its motion up or down, shape (height, width); itself where there is none."""
    rows = blurred_rows(grey)
    if not rows:
        return grey
    found, far, smoothing = np.empty_like(grey), 0, _smoothing(grey, rows)
    for start in range(0, len(grey), BLOCK):
        first, last = max(0, start - BESIDE), min(len(grey), start + BLOCK + BESIDE)
        inverse = _inverse(last - first, rows, smoothing)[start - first :][:BLOCK]
        for left in range(0, grey.shape[1], ACROSS):
            sharp = np.rint(inverse @ grey[first:last, left : left + ACROSS].astype(np.float32))
            far += int(np.count_nonzero((sharp < -BEYOND) | (sharp > 255 + BEYOND)))
            found[start : start + BLOCK, left : left + ACROSS] = np.clip(sharp, 0, 255)
    return found if far <= CLIPPED * grey.size and _is_sharp(found, rows) else grey


def blurred_rows(grey: GreyImage) -> int:
    """Over how many rows the picture is smeared; 0 if it is sharp, or blurred in another way."""
    some = _steps(_some(grey.T, FIRST).T)
    if len(some) <= 2 * LONGEST or _product(some, 1) <= SMOOTH * _product(some, 0):
        return 0
    down = _steps(_some(grey.T, EVERY).T)
    power = _product(down, 0)
    if not power:
        return 0
    correlation = np.array([_product(down, rows) for rows in range(1, LONGEST + 2)]) / power
    rows = int(correlation[:-1].argmin()) + 1
    if rows < SHORTEST:
        return 0
    before, least, after = correlation[rows - 2 : rows + 1]
    if not OPPOSED[0] <= least <= OPPOSED[1] or (before + after) / 2 - least <= DIP:
        return 0
    across = _steps(_some(grey, EVERY).T)
    if len(across) <= LONGEST or _product(across, rows) < ASIDE * least * _product(across, 0):
        return 0  # blurred both ways: out of focus, or made larger
    return rows if np.abs(down).mean() <= STEEPER * np.abs(across).mean() else 0


def may_be_blurred(greys: GreyImage) -> npt.NDArray[np.bool_]:
    """Which of several pictures, (pictures, height, width), `blurred_rows` has to look at: at once, as each call of
    numpy takes longer than what there is to do for one. Never leaves out one that is blurred, shape (pictures,)."""
    steps = _steps(_some(greys.T, FIRST).T.swapaxes(0, 1))
    if len(steps) <= 2 * LONGEST:
        return np.zeros(len(greys), bool)
    beside, power = (
        np.einsum("hnw,hnw->n", steps[distance:], steps[: len(steps) - distance]) / (len(steps) - distance)
        for distance in (1, 0)
    )
    return np.asarray(beside > SMOOTH * (1 - ALIKE) * power)


def _is_sharp(grey: GreyImage, rows: int) -> bool:
    """Whether a picture looks as one from which motion over so many rows was taken. One that only looked blurred, as
    one that was made longer, has become something else."""
    down, across = (_steps(_some(lines, EVERY).T) for lines in (grey.T, grey))
    power = _product(down, 0)
    return _product(down, rows) <= LEFT * power and power >= FLATTER**2 * _product(across, 0)


def _smoothing(grey: GreyImage, rows: int) -> float:
    """What is lost by rounding, as a share of the sharp picture's steps, which motion over so many rows has made as
    many times smaller; as a power of two, so that pictures share their inverses."""
    power = rows * _product(_steps(_some(grey.T, EVERY).T), 0)
    return float(2.0 ** np.rint(np.log2(max(SMOOTHING, ROUNDING / power))))


def _some(lines: npt.NDArray[np.uint8], every: int) -> npt.NDArray[np.uint8]:
    return lines[:: max(every, -(-len(lines) // MOST))]


def _steps(lines: npt.NDArray[np.uint8]) -> Floats:
    """From each row to the next."""
    levels = lines.astype(np.float32)
    return levels[1:] - levels[:-1]


def _product(steps: Floats, distance: int) -> float:
    """The mean product of steps that lie so far apart."""
    one, other = steps[distance:], steps[: len(steps) - distance]
    return float(np.vdot(one, other)) / one.size


@lru_cache(maxsize=32)
def _inverse(height: int, rows: int, smoothing: float) -> Floats:
    """What a blurred column is multiplied by to become sharp, shape (height, height).

    Tikhonov and Arsenin: Solutions of ill-posed problems, 1977. What lies above and below the picture, and is smeared
    into it, is unknown like the rest.
    """
    whole = height + rows - 1
    blur = np.sum([np.eye(height, whole, offset) for offset in range(rows)], axis=0) / rows
    steps = np.diff(np.eye(whole), axis=0)
    inverse = np.linalg.solve(blur.T @ blur + smoothing * steps.T @ steps, blur.T)
    first = rows // 2
    return np.ascontiguousarray(inverse[first : first + height], dtype=np.float32)
