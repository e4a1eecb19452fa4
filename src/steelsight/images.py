"""The only place that decodes and resizes pictures.

One stated way for every picture: the first frame; turned as its EXIF tag says; colours to grey by ITU-R 601 luma
(palette, RGBA and CMYK by way of RGB); transparency ignored; 16-bit grey divided by 257, so that 65535 becomes 255.
Of colours with 16 bits a channel Pillow hands over the upper 8.
"""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from steelsight.motion import may_be_blurred, sharpened
from steelsight.records import GreyImage, SteelsightError

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
MAX_PIXELS = 100_000_000
MAX_BYTES = 1_000_000_000
MIN_SIDE = 16
MOST_DEAD = 4
"""Dead columns side by side that can be filled; more are a part of the picture."""

# Pillow's own remarks about sizes and tags; set once, since pictures are decoded by several threads.
warnings.filterwarnings("ignore", module=r"PIL\.")


class ImageError(SteelsightError):
    """A picture that cannot be used; the message names it and says why."""


def decode(source: str | os.PathLike[str] | bytes, name: str | None = None) -> GreyImage:
    """File or encoded bytes -> grey levels, shape (height, width), at the picture's own size.

    Raises ImageError for anything that is not a picture between 16 pixels a side and 100 million pixels.
    """
    if isinstance(source, bytes):
        data, name = source, name or "the picture"
    else:
        name = name or str(source)
        data = _read(Path(source), name)
    if not data:
        raise ImageError(f"{name}: the file is empty (0 bytes); copy it again.")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            _check_size(*picture.size, name)
            return as_grey(_pixels(picture), name)
    except ImageError:
        raise
    except Image.DecompressionBombError:
        raise ImageError(_too_large(name)) from None
    except UnidentifiedImageError:
        raise ImageError(f"{name}: is not a picture that can be read (BMP, JPEG, PNG, TIFF, WebP, GIF, PGM).") from None
    except Exception:  # Pillow raises nearly anything on damaged files
        raise ImageError(f"{name}: the picture is damaged or cut short; copy it again.") from None


def as_grey(pixels: npt.NDArray[Any], name: str = "the array") -> GreyImage:
    """Array of shape (H, W), (H, W, 1), RGB (H, W, 3) or RGBA (H, W, 4), uint8 or uint16 -> grey levels (H, W).

    Raises ImageError for other shapes and types. A 16-bit picture whose values all lie under 4096 is refused: it comes
    from a 12-bit camera and would turn almost black.
    """
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))):
        raise ImageError(f"{name}: has shape {pixels.shape}; give (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).")
    _check_size(pixels.shape[1], pixels.shape[0], name)
    if pixels.dtype == np.uint16:
        pixels = _to_eight_bits(pixels, name)
    if pixels.dtype != np.uint8:
        raise ImageError(f"{name}: has values of type {pixels.dtype}; give uint8 (0 to 255) or uint16 (0 to 65535).")
    if pixels.ndim == 2:
        return pixels
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels[:, :, :3])).convert("L"))


def resize(grey: GreyImage, size: tuple[int, int]) -> GreyImage:
    """Grey levels (H, W) -> (height, width) = `size`: bilinear, averaged when shrinking; the aspect may change."""
    if grey.shape == size:
        return grey
    return np.asarray(Image.fromarray(grey).resize((size[1], size[0]), Image.Resampling.BILINEAR))


def prepare(grey: GreyImage, size: tuple[int, int]) -> GreyImage:
    """What every network is given, in training as at the line: mended, then resized to (height, width)."""
    return resize(mend(grey), size)


def prepare_all(greys: Sequence[GreyImage], size: tuple[int, int]) -> GreyImage:
    """What `prepare` gives of each, together: shape (pictures, height, width)."""
    if any(grey.shape != size for grey in greys):
        return np.stack([prepare(grey, size) for grey in greys])
    together = np.stack(greys)
    for number in np.flatnonzero(_may_have_dead_columns(together) | may_be_blurred(together)):
        together[number] = mend(together[number])
    return together


def mend(grey: GreyImage) -> GreyImage:
    """Without dead columns and without the blur of the strip's motion, shape (height, width); itself if it has none."""
    return sharpened(mend_columns(grey))


def mend_columns(grey: GreyImage) -> GreyImage:
    """Fills columns that a camera's dead pixels hold at one level from those beside them, shape (height, width).

    A column is dead if its level never changes while those beside it do; up to MOST_DEAD side by side.
    """
    width = grey.shape[1]
    first = grey[0]
    stuck = first == grey[-1]
    for row in _few_rows(grey):
        if not np.count_nonzero(stuck):
            return grey
        stuck &= first == grey[row]
    columns = np.flatnonzero(stuck)
    columns = columns[(grey[:, columns] == first[columns]).all(axis=0)]
    runs = [run for run in np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1) if 0 < len(run) <= MOST_DEAD]
    if not runs or 2 * sum(map(len, runs)) > width:
        return grey
    mended = grey.copy()
    for run in runs:
        left, right = max(0, int(run[0]) - 1), min(width - 1, int(run[-1]) + 1)
        beside = grey[:, [left if left not in run else right, right if right not in run else left]].astype(np.float32)
        share = (np.arange(1, len(run) + 1) / (len(run) + 1))[None]
        mended[:, run] = np.rint(beside[:, :1] * (1 - share) + beside[:, 1:] * share)
    return mended


def _may_have_dead_columns(greys: GreyImage) -> npt.NDArray[np.bool_]:
    """Which of several pictures, (pictures, height, width), `mend_columns` has to look at, shape (pictures,)."""
    first = greys[:, 0]
    stuck = first == greys[:, -1]
    for row in _few_rows(greys[0]):
        stuck &= first == greys[:, row]
    return np.asarray(stuck.any(1))


def _few_rows(grey: GreyImage) -> tuple[int, ...]:
    """A few rows tell most pictures from those whose columns are to be looked at."""
    return len(grey) // 2, len(grey) // 3, len(grey) // 5


def fingerprint(grey: GreyImage) -> str:
    """16 hexadecimal digits that name these pixels, whatever the file's name and lossless format."""
    digest = hashlib.blake2b(repr(grey.shape).encode(), digest_size=8)
    digest.update(np.ascontiguousarray(grey).data)
    return digest.hexdigest()


def _read(path: Path, name: str) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ImageError(f"{name}: is larger than {MAX_BYTES // 1_000_000} MB; cut it into smaller pictures.")
        return path.read_bytes()
    except (FileNotFoundError, ValueError):  # ValueError: a null byte in the path
        raise ImageError(f"{name}: there is no such file; check the path.") from None
    except OSError as error:
        raise ImageError(f"{name}: cannot be read ({error.strerror}); check the file and its permissions.") from None


def _pixels(picture: Image.Image) -> npt.NDArray[Any]:
    ImageOps.exif_transpose(picture, in_place=True)
    if picture.mode.startswith("I;16"):
        return np.asarray(picture).astype(np.uint16)
    if picture.mode == "I":
        values = np.asarray(picture)
        if values.min() >= 0 and values.max() <= 65535:
            return values.astype(np.uint16)
    if picture.mode in ("I", "F"):
        return np.asarray(picture)
    if picture.mode in ("L", "LA", "1"):
        return np.asarray(picture.getchannel(0).convert("L"))
    colours = picture if picture.mode == "RGB" else picture.convert("RGB")
    return np.asarray(colours.convert("L"))


def _to_eight_bits(pixels: npt.NDArray[np.uint16], name: str) -> GreyImage:
    if pixels.max() < 4096:
        raise ImageError(
            f"{name}: is a 16-bit picture with no value above 4095, as 12-bit cameras write them; "
            "save it as 8 bits or stretched to the full 16 bits."
        )
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _check_size(width: int, height: int, name: str) -> None:
    if width * height > MAX_PIXELS:
        raise ImageError(_too_large(name))
    if min(width, height) < MIN_SIDE:
        raise ImageError(f"{name}: is {width}x{height} pixels; at least {MIN_SIDE}x{MIN_SIDE} are needed.")


def _too_large(name: str) -> str:
    return f"{name}: has more than {MAX_PIXELS // 1_000_000} million pixels; cut it into smaller pictures."
