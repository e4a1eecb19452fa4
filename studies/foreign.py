"""Pictures that are no steel: drawn textures, and tiles of the photographs inside scikit-image's wheel.

Nobody should get a confident label for one of these. Needs scikit-image, which nothing else here does.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from steelsight import images
from steelsight.records import GreyImage

SIDE = 200
EACH = 20
"""Drawn pictures of each kind."""
MOST = 12
"""Tiles of a photograph, spread over it."""
PHOTOGRAPHS = (
    *("astronaut.png", "brick.png", "camera.png", "cell.png", "chelsea.png", "clock_motion.png", "coffee.png"),
    *("coins.png", "grass.png", "gravel.png", "hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png"),
    *("page.png", "retina.jpg", "rocket.jpg", "text.png"),
)

Levels = npt.NDArray[np.float64]


def tiles() -> Iterator[tuple[str, GreyImage]]:
    """Names and tiles of 200x200 pixels of the photographs; of one that is smaller, the photograph enlarged."""
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    for name in PHOTOGRAPHS:
        grey = images.decode(folder / name)
        least = min(grey.shape)
        if least < SIDE:
            height, width = (-(-side * SIDE // least) for side in grey.shape)
            grey = images.resize(grey, (height, width))
        corners = [
            (top, left)
            for top in range(0, grey.shape[0] - SIDE + 1, SIDE)
            for left in range(0, grey.shape[1] - SIDE + 1, SIDE)
        ]
        for number in np.unique(np.linspace(0, len(corners) - 1, MOST).round().astype(int)):
            top, left = corners[number]
            yield f"{name}, tile {number}", np.ascontiguousarray(grey[top : top + SIDE, left : left + SIDE])


def drawn() -> Iterator[tuple[str, GreyImage]]:
    """Names and drawn textures, seeded by their number."""
    for kind, draw in DRAWN.items():
        for number in range(EACH):
            levels = draw(np.random.default_rng((number, len(kind))))
            grain = np.random.default_rng((number, 1)).normal(0, 3, levels.shape)
            yield f"{kind} {number}", np.clip(np.rint(levels + grain), 0, 255).astype(np.uint8)


def _grid(rng: np.random.Generator) -> tuple[Levels, Levels]:
    """Rows and columns of a grid that is turned at random."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float64) - SIDE / 2
    angle = rng.uniform(0, np.pi)
    return y * np.cos(angle) + x * np.sin(angle), x * np.cos(angle) - y * np.sin(angle)


def _stripes(rng: np.random.Generator) -> Levels:
    y, _ = _grid(rng)
    return 128 + rng.uniform(30, 100) * np.sin(2 * np.pi * y / rng.uniform(6, 40))


def _checks(rng: np.random.Generator) -> Levels:
    (y, x), side = _grid(rng), rng.uniform(8, 40)
    return 128 + rng.uniform(30, 100) * np.sign(np.sin(np.pi * y / side) * np.sin(np.pi * x / side))


def _rings(rng: np.random.Generator) -> Levels:
    y, x = _grid(rng)
    distance = np.hypot(y - rng.uniform(-80, 80), x - rng.uniform(-80, 80))
    return 128 + rng.uniform(30, 100) * np.sin(2 * np.pi * distance / rng.uniform(8, 30))


def _dots(rng: np.random.Generator) -> Levels:
    (y, x), step = _grid(rng), rng.uniform(12, 40)
    distance = np.hypot((y + step / 2) % step - step / 2, (x + step / 2) % step - step / 2)
    return np.where(distance < step * rng.uniform(0.15, 0.35), 220.0, 60.0)


def _cloth(rng: np.random.Generator) -> Levels:
    (y, x), step = _grid(rng), rng.uniform(5, 14)
    over = np.sign(np.sin(np.pi * y / step) * np.sin(np.pi * x / step))
    return 120 + 50 * np.where(over > 0, np.abs(np.sin(np.pi * y / step)), np.abs(np.sin(np.pi * x / step)))


def _wood(rng: np.random.Generator) -> Levels:
    y, x = _grid(rng)
    bent = x + 12 * np.sin(y / rng.uniform(20, 50)) + 6 * np.sin(y / 11)
    return 140 + 40 * np.sin(2 * np.pi * bent / rng.uniform(8, 18)) + 20 * np.sin(bent / 40)


def _squares(rng: np.random.Generator) -> Levels:
    levels = np.full((SIDE, SIDE), rng.uniform(30, 220))
    for _ in range(30):
        top, left, tall, wide = (int(value) for value in rng.uniform((0, 0, 10, 10), (180, 180, 90, 90)))
        levels[top : top + tall, left : left + wide] = rng.uniform(0, 255)
    return levels


def _static(rng: np.random.Generator) -> Levels:
    side = int(rng.integers(1, 7))
    coarse = rng.uniform(0, 255, (SIDE // side + 1, SIDE // side + 1))
    return np.kron(coarse, np.ones((side, side)))[:SIDE, :SIDE]


DRAWN = {
    "stripes": _stripes,
    "checks": _checks,
    "rings": _rings,
    "dots": _dots,
    "cloth": _cloth,
    "wood": _wood,
    "squares": _squares,
    "static": _static,
}
