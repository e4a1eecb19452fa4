"""Anchors: places in a picture that are found again, and known again, wherever the picture is cut, turned or mirrored.

An anchor is a place where the smoothed picture is lighter, or darker, than all around it. What it looks like is put into
64 bits, the signs of the cosine coefficients of its surroundings, coarse before fine. Mirroring a window only changes the
signs of some coefficients, and turning it also swaps rows and columns, so every window is brought to one standing pose
without looking at it eight times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from steelsight.records import GreyImage

Ints = npt.NDArray[np.int64]

RADIUS = 8
"""An anchor depends on the pixels up to this far from it, and on no others: a window of 17x17."""

_SMOOTHING = 2
"""How far `smooth` reaches, pixels."""

_REACH = 4
"""An anchor is the lightest or darkest place up to this far away, pixels."""

_SAMPLES = np.arange(-6, 7, 2)
"""Where a window is sampled, along both axes."""

_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True, eq=False)
class Anchors:
    """Anchors of one picture or of several, each array of shape (anchors,)."""

    code: npt.NDArray[np.uint64]
    """Coarse coefficients in the high bits, so that the first bits of two codes still agree where pixels differ a bit."""
    picture: npt.NDArray[np.int32]
    row: npt.NDArray[np.int32]
    column: npt.NDArray[np.int32]
    pose: npt.NDArray[np.uint8]
    """Which of the eight turns and mirror images brings the window to its standing pose, as in `poses`."""
