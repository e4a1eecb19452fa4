"""Small encoded pictures for the reports: grey thumbnails, heat maps as transparent layers over them, and exhibits."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from steelsight.images import resize
from steelsight.records import FloatArray, GreyImage

LONGEST_SIDE = 256
LONGEST_HEAT_SIDE = 32
LONGEST_EXHIBIT_SIDE = 512
JPEG_QUALITY = 70
EXHIBIT_QUALITY = 85
"""From here on a coloured line of one pixel is as clear as in the original."""
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
    return _jpeg(resize(grey, _fitted(grey.shape, LONGEST_SIDE)), JPEG_QUALITY)


def encode_exhibit(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Grey levels (height, width) or RGB (height, width, 3) -> JPEG of at most 512 pixels on the longer side.

    In RGB, pixels with colour are lines drawn on a grey picture: however small it gets, they keep their colour.
    """
    size = _fitted(pixels.shape[:2], LONGEST_EXHIBIT_SIDE)
    small = resize(pixels, size) if pixels.ndim == 2 else _resize_marked(pixels, size)
    return _jpeg(small, EXHIBIT_QUALITY)


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


def _resize_marked(pixels: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    small = np.stack([resize(channel, size) for channel in np.moveaxis(pixels, 2, 0)], axis=2)
    rows, columns = np.nonzero(np.ptp(pixels, axis=2))
    height, width = pixels.shape[:2]
    small[rows * size[0] // height, columns * size[1] // width] = pixels[rows, columns]
    return small


def _jpeg(pixels: npt.NDArray[np.uint8], quality: int) -> bytes:
    buffer = io.BytesIO()
    # Without subsampling, which would smear the colour of a thin line.
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=0, optimize=True)
    return buffer.getvalue()


def _palette() -> GreyImage:
    """RGB of every heat level, shape (levels, 3)."""
    return np.linspace(COLDEST, HOTTEST, HEAT_LEVELS).astype(np.uint8)


def _fitted(shape: tuple[int, ...], longest: int) -> tuple[int, int]:
    """(height, width) -> the same proportions with no side above `longest`; never larger, never 0."""
    factor = min(1.0, longest / max(shape))
    return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))
