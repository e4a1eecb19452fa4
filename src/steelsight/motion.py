"""Blur by the strip's own motion, found in a picture and taken out of it.

A strip that moves down the picture while the shutter is open smears every point over so many rows: the picture is its
sharp self, averaged over that many rows. So the steps from row to row are differences of rows that lie as far apart,
and are correlated negatively at just that distance, by a half at most: where the correlation is least and as it would
be, is how far the strip moved. A sharp picture that fits the blurred one best then follows by linear least squares, the
same way for every column.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from steelsight.records import GreyImage

__all__ = ["blurred_rows", "sharpened"]

FIRST, EVERY, MOST = 8, 4, 250
"""Of so many columns one is looked at first, then of so many columns and rows; of large pictures, so many at most."""
SHORTEST, LONGEST = 5, 24
"""Rows that a strip moves while the shutter is open: fewer cost no decisions, more are too much to take back."""
SMOOTH = 0.3
"""The least correlation of neighbouring steps down a blurred picture. Nearly all sharp ones have less."""
OPPOSED = (-0.6, -0.15)
"""The correlation of steps at the distance of the motion."""
DIP = 0.05
"""How much less it is there than on either side, in the mean."""
ASIDE = 0.5
"""The same across, as a share of it, if the picture is blurred both ways."""
STEEPER = 0.8
"""Steps down a blurred picture are at most so many times as large as those across, in the mean."""
SMOOTHING = 0.001
"""What steps in the sharp picture weigh beside what the blurred one is missed by."""
BLOCK, BESIDE, ACROSS = 256, 128, 2000
"""Rows that are sharpened at a time, further ones on either side that are looked at for it, and columns at a time."""

Floats = npt.NDArray[np.float32]


def sharpened(grey: GreyImage) -> GreyImage:
    """The picture without the blur of its motion along the rows' direction, shape (height, width); itself if sharp."""
    rows = blurred_rows(grey)
    if not rows:
        return grey
    found = np.empty_like(grey)
    for start in range(0, len(grey), BLOCK):
        first, last = max(0, start - BESIDE), min(len(grey), start + BLOCK + BESIDE)
        inverse = _inverse(last - first, rows)[start - first :][:BLOCK]
        for left in range(0, grey.shape[1], ACROSS):
            sharp = inverse @ grey[first:last, left : left + ACROSS].astype(np.float32)
            found[start : start + BLOCK, left : left + ACROSS] = np.clip(np.rint(sharp), 0, 255)
    return found


def blurred_rows(grey: GreyImage) -> int:
    """Over how many rows the picture is smeared; 0 if it is sharp, or blurred in another way."""
    some = _steps(_some(grey.T, FIRST).T)
    if len(some) <= 2 * LONGEST or _product(some, 1) <= SMOOTH * _product(some, 0):
        return 0
    down = _steps(_some(grey.T, EVERY).T)
    power = _product(down, 0)
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


@lru_cache(maxsize=8)
def _inverse(height: int, rows: int) -> Floats:
    """What a blurred column is multiplied by to become sharp, shape (height, height).

    Tikhonov and Arsenin: Solutions of ill-posed problems, 1977. What lies above and below the picture, and is smeared
    into it, is unknown like the rest.
    """
    whole = height + rows - 1
    blur = np.sum([np.eye(height, whole, offset) for offset in range(rows)], axis=0) / rows
    steps = np.diff(np.eye(whole), axis=0)
    inverse = np.linalg.solve(blur.T @ blur + SMOOTHING * steps.T @ steps, blur.T)
    first = (rows - 1) // 2
    return np.ascontiguousarray(inverse[first : first + height], dtype=np.float32)
