"""The harsh suite: what happens to a picture at a line, in 18 kinds and five strengths each.

`harsh.json` beside this file says what each kind does and how strongly. Grey levels are of 0..255, lengths in pixels of
a 200x200 picture, scaled with the shorter side of others. Everything random is drawn from a generator of its own,
seeded by kind, strength and the picture's name, so the suite is the same for everyone.

Nothing here is shared with the training's augmentation: a network must not be tested by the code that trained it.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from importlib import resources
from pathlib import PurePath
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from steelsight.records import GreyImage

SEED = 0
SIDE = 200
"""Of the picture that lengths are given for."""

Levels = npt.NDArray[np.float64]
Corruption = Callable[[Levels, float, np.random.Generator, float], Levels]
"""Grey levels (height, width), the strength's number, a generator, and how many pixels one of the suite's pixels is."""

SUITE: dict[str, Any] = json.loads(
    (resources.files("steelsight.evaluation") / "harsh.json").read_text(encoding="utf-8")
)
NEVER_TRAINED_ON = tuple(SUITE["never_trained_on"])
STRENGTHS: dict[str, tuple[float, ...]] = {
    kind: tuple(float(value) for name, value in words.items() if name != "what" for value in value)
    for kind, words in SUITE["kinds"].items()
}
"""Five numbers for every kind, weakest first."""


def corrupt(grey: GreyImage, kind: str, strength: int, name: str) -> GreyImage:
    """A picture at a strength of 1 to 5 of a kind; `name` is the picture's file name.

    Raises KeyError for an unknown kind, IndexError for an unknown strength.
    """
    if strength < 1:
        raise IndexError(f"strength is {strength}, not 1 to 5")
    value = STRENGTHS[kind][strength - 1]
    changed = KINDS[kind](grey.astype(np.float64), value, _generator(kind, strength, name), min(grey.shape) / SIDE)
    return np.clip(np.rint(changed), 0, 255).astype(np.uint8)


def _generator(kind: str, strength: int, name: str) -> np.random.Generator:
    text = f"{SEED}/{kind}/{strength}/{PurePath(name).name}"
    return np.random.default_rng(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big"))


def _brightness(grey: Levels, offset: float, rng: np.random.Generator, _: float) -> Levels:
    return np.asarray(grey + offset * rng.choice([-1, 1]))


def _contrast(grey: Levels, factor: float, _: np.random.Generator, __: float) -> Levels:
    return np.asarray(grey.mean() + factor * (grey - grey.mean()))


def _gamma(grey: Levels, g: float, rng: np.random.Generator, _: float) -> Levels:
    return np.asarray(255 * (grey / 255) ** rng.choice([g, 1 / g]))


def _illumination_ramp(grey: Levels, span: float, rng: np.random.Generator, _: float) -> Levels:
    along = _along(grey, rng.uniform(0, 2 * np.pi))
    return np.asarray(grey + span * ((along - along.min()) / (np.ptp(along) or 1) - 0.5))


def _hot_spot(grey: Levels, peak: float, rng: np.random.Generator, pixel: float) -> Levels:
    y, x = _rows_and_columns(grey)
    squared = (y - rng.uniform(0, grey.shape[0])) ** 2 + (x - rng.uniform(0, grey.shape[1])) ** 2
    return np.asarray(grey + peak * np.exp(-squared / (2 * (40 * pixel) ** 2)))


def _shadow_edge(grey: Levels, factor: float, rng: np.random.Generator, pixel: float) -> Levels:
    along = _along(grey, rng.uniform(0, 2 * np.pi))
    place = along[rng.integers(grey.shape[0]), rng.integers(grey.shape[1])]
    shadow = np.clip((along - place) / (3 * pixel) + 0.5, 0, 1)
    return np.asarray(grey * (1 - (1 - factor) * shadow))


def _vignette(grey: Levels, a: float, _: np.random.Generator, __: float) -> Levels:
    y, x = _rows_and_columns(grey)
    middle = (np.array(grey.shape) - 1) / 2
    squared = (y - middle[0]) ** 2 + (x - middle[1]) ** 2
    return np.asarray(grey * (1 - a * squared / max(1.0, (middle**2).sum())))


def _gaussian_noise(grey: Levels, sigma: float, rng: np.random.Generator, _: float) -> Levels:
    return np.asarray(grey + rng.normal(0, sigma, grey.shape))


def _shot_noise(grey: Levels, photons: float, rng: np.random.Generator, _: float) -> Levels:
    return np.asarray(rng.poisson(grey / 255 * photons) * (255 / photons))


def _defocus_blur(grey: Levels, radius: float, _: np.random.Generator, pixel: float) -> Levels:
    radius *= pixel
    reach = int(np.ceil(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius + 0.5 - np.hypot(y, x), 0, 1)  # pixels that the edge cuts count in part
    return np.asarray(ndimage.convolve(grey, disc / disc.sum(), mode="mirror"))


def _motion_blur_along(grey: Levels, length: float, _: np.random.Generator, pixel: float) -> Levels:
    return np.asarray(ndimage.uniform_filter1d(grey, max(1, round(length * pixel)), axis=0, mode="mirror"))


def _water_drops(grey: Levels, count: float, rng: np.random.Generator, pixel: float) -> Levels:
    inside, rim = np.zeros(grey.shape, np.bool_), np.zeros(grey.shape, np.bool_)
    for _ in range(int(count)):
        y, x, radius = _anywhere(grey, rng, 3 * pixel, 10 * pixel)
        around, distance = _distance(grey, y, x, radius + pixel)
        inside[around] |= distance < radius
        rim[around] |= np.abs(distance - radius) <= pixel / 2
    blurred = ndimage.gaussian_filter(grey, 2 * pixel, mode="mirror")
    return np.asarray(np.where(inside, blurred + 20, grey) - 30 * rim)


def _scale_dust(grey: Levels, count: float, rng: np.random.Generator, pixel: float) -> Levels:
    specks = np.zeros(grey.shape, np.bool_)
    for _ in range(int(count)):
        y, x, radius = _anywhere(grey, rng, pixel, 2 * pixel)
        around, distance = _distance(grey, y, x, radius)
        specks[around] |= distance <= radius
    return grey - 60 * specks


def _dead_columns(grey: Levels, count: float, rng: np.random.Generator, _: float) -> Levels:
    stuck = grey.copy()
    columns = rng.choice(grey.shape[1], size=min(int(count), grey.shape[1]), replace=False)
    stuck[:, columns] = rng.integers(0, 256, size=len(columns))
    return stuck


def _jpeg(grey: Levels, quality: float, _: np.random.Generator, __: float) -> Levels:
    held = io.BytesIO()
    Image.fromarray(grey.astype(np.uint8)).save(held, "JPEG", quality=int(quality))
    return np.asarray(Image.open(held), np.float64)


def _resample(grey: Levels, factor: float, _: np.random.Generator, __: float) -> Levels:
    height, width = grey.shape
    picture = Image.fromarray(grey.astype(np.float32))
    small = picture.resize((max(1, round(width * factor)), max(1, round(height * factor))), Image.Resampling.BOX)
    return np.asarray(small.resize((width, height), Image.Resampling.BILINEAR), np.float64)


def _scale(grey: Levels, f: float, rng: np.random.Generator, _: float) -> Levels:
    return _seen_through(grey, np.eye(2) / rng.choice([f, 1 / f]))


def _rotation(grey: Levels, degrees: float, rng: np.random.Generator, _: float) -> Levels:
    angle = np.deg2rad(degrees) * rng.choice([-1, 1])
    return _seen_through(grey, np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]))


def _seen_through(grey: Levels, matrix: Levels) -> Levels:
    """The picture under a matrix from new to old places, about its centre, with a mirrored border."""
    middle = (np.array(grey.shape) - 1) / 2
    return np.asarray(ndimage.affine_transform(grey, matrix, offset=middle - matrix @ middle, order=1, mode="mirror"))


def _rows_and_columns(grey: Levels) -> tuple[Levels, Levels]:
    """Columns of row numbers and rows of column numbers, to be broadcast."""
    return np.arange(grey.shape[0], dtype=np.float64)[:, None], np.arange(grey.shape[1], dtype=np.float64)[None]


def _along(grey: Levels, angle: float) -> Levels:
    """How far each pixel lies in a direction."""
    y, x = _rows_and_columns(grey)
    return np.asarray(y * np.sin(angle) + x * np.cos(angle))


def _anywhere(grey: Levels, rng: np.random.Generator, least: float, most: float) -> tuple[float, float, float]:
    """Row and column of a disc's centre in the picture, and its radius."""
    return rng.uniform(0, grey.shape[0]), rng.uniform(0, grey.shape[1]), rng.uniform(least, most)


def _distance(grey: Levels, y: float, x: float, reach: float) -> tuple[tuple[slice, slice], Levels]:
    """The part of the picture that lies about a point, and the distance of its pixels from the point."""
    rows, columns = (
        slice(max(0, int(at - reach)), min(side, int(at + reach) + 2))
        for at, side in zip((y, x), grey.shape, strict=True)
    )
    return (rows, columns), np.hypot(np.mgrid[rows][:, None] - y, np.mgrid[columns][None] - x)


KINDS: dict[str, Corruption] = {
    "brightness": _brightness,
    "contrast": _contrast,
    "gamma": _gamma,
    "illumination_ramp": _illumination_ramp,
    "hot_spot": _hot_spot,
    "shadow_edge": _shadow_edge,
    "vignette": _vignette,
    "gaussian_noise": _gaussian_noise,
    "shot_noise": _shot_noise,
    "defocus_blur": _defocus_blur,
    "motion_blur_along": _motion_blur_along,
    "water_drops": _water_drops,
    "scale_dust": _scale_dust,
    "dead_columns": _dead_columns,
    "jpeg": _jpeg,
    "resample": _resample,
    "scale": _scale,
    "rotation": _rotation,
}
