"""Small encoded pictures for the report: a grey thumbnail, and the heat map as a transparent layer over it."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from steelsight.images import resize
from steelsight.records import FloatArray, GreyImage

LONGEST_SIDE = 256
LONGEST_HEAT_SIDE = 32
JPEG_QUALITY = 70
HEAT_LEVELS = 64
COLDEST, HOTTEST = (255, 196, 0), (213, 40, 0)
"""RGB ends of the heat scale, amber to red; its opacity grows too, so that it does not rest on hue alone."""
MOST_OPAQUE = 190


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """One picture as the report keeps it; `width` and `height` are those of the original."""

    width: int
    height: int
    grey: bytes
    """JPEG, at most 256 pixels on the longer side."""
    heat: bytes
    """PNG with transparency, at the heat map's own resolution (at most 32); empty where there is no heat map."""


def thumbnail(grey: GreyImage, heat: FloatArray | None) -> Thumbnail:
    """Grey levels (height, width) and heat 0 to 1, shape (map height, map width) -> encoded layers."""
    height, width = grey.shape
    return Thumbnail(width, height, encode_grey(grey), b"" if heat is None else encode_heat(heat))


def encode_grey(grey: GreyImage) -> bytes:
    """Grey levels (height, width) -> JPEG of at most 256 pixels on the longer side."""
    buffer = io.BytesIO()
    small = resize(grey, _fitted(grey.shape, LONGEST_SIDE))
    Image.fromarray(small).save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return buffer.getvalue()


def encode_heat(heat: FloatArray) -> bytes:
    """Heat 0 to 1, shape (map height, map width) -> PNG whose opacity grows with the heat; values outside are cut."""
    bytes_of_heat = (np.nan_to_num(heat).clip(0, 1) * 255).round().astype(np.uint8)
    small = resize(bytes_of_heat, _fitted(heat.shape, LONGEST_HEAT_SIDE))
    levels = Image.fromarray((small.astype(np.uint16) * HEAT_LEVELS // 256).astype(np.uint8)).convert("P")
    levels.putpalette(_palette().tobytes())
    buffer = io.BytesIO()
    opacity = (np.linspace(0, 1, HEAT_LEVELS) ** 1.5 * MOST_OPAQUE).astype(np.uint8)
    levels.save(buffer, "PNG", transparency=opacity.tobytes(), optimize=True)
    return buffer.getvalue()


def _palette() -> GreyImage:
    """RGB of every heat level, shape (levels, 3)."""
    return np.linspace(COLDEST, HOTTEST, HEAT_LEVELS).astype(np.uint8)


def _fitted(shape: tuple[int, ...], longest: int) -> tuple[int, int]:
    """(height, width) -> the same proportions with no side above `longest`; never larger, never 0."""
    factor = min(1.0, longest / max(shape))
    return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))
