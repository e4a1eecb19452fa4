"""Drawn steel: pictures of the six NEU-CLS defects and of clean steel, for demos, tests and benchmarks.

A picture is a sheet of steel plus the marks of one defect. Every class shares the same steel and the same spread of
brightness and contrast, so only the marks tell the classes apart.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from steelsight.records import FloatArray, GreyImage, Region, Sample, SteelsightError

Mask = npt.NDArray[np.bool_]
Corner = npt.NDArray[np.float64]

CLASSES = ("clean", "crazing", "inclusion", "patches", "pitted_surface", "rolled-in_scale", "scratches")
"""Clean steel and the six defects of NEU-CLS."""

MIN_SIDE = 32
MAX_PER_CLASS = 1_000_000
"""The most pictures of a class that one seed of `write` has."""

_REFERENCE_SIDE = 200
"""The side of NEU-CLS pictures; lengths below are in its pixels."""

_VISIBLE = 0.2
"""The share of a mark's full strength from which a pixel belongs to the mask."""


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """A drawn picture and what is on it.

    `pixels` and `mask` have shape (size, size). Every pixel of the mask lies in one of the boxes.
    """

    label: str
    pixels: GreyImage
    mask: Mask
    boxes: tuple[Region, ...]


def draw(label: str, seed: int, size: int = 200) -> Drawing:
    """One picture of the class `label`, always the same for the same label, seed and size.

    Raises SteelsightError for a label that is not in CLASSES, a negative seed or a side under 32 pixels.
    """
    _check(label, seed, size)
    rng = np.random.default_rng([seed, size, *label.encode()])
    steel = _steel(rng, size)
    marks = [] if label == "clean" else _DEFECTS[label](rng, size)
    contrast = rng.uniform(4, 7) * np.clip(sum(marks, np.zeros_like(steel)), -1, 1)
    areas = _joined([np.abs(mark) >= _VISIBLE for mark in marks])
    mask = sum(areas, np.zeros((size, size), np.bool_))
    boxes = tuple(_bounding_box(label, area) for area in areas)
    return Drawing(label, _exposed(rng, steel + contrast), mask, boxes)


def write(
    folder: Path, per_class: int, seed: int = 0, size: int = 200, classes: Sequence[str] = CLASSES
) -> list[Sample]:
    """Draws `per_class` pictures of each class into `folder`, laid out as NEU-DET is; returns them in that order.

    Picture n of a class goes to IMAGES/<class>_<n>.png, its boxes to ANNOTATIONS/<class>_<n>.xml (Pascal VOC) and its
    mask, 0 or 255, to MASKS/<class>_<n>.png; files of these names are replaced. It depends on class, n, seed and size
    alone, so more can be drawn later. Raises SteelsightError for arguments outside their range, before anything is
    written, and for a folder that cannot be written.
    """
    if not 1 <= per_class <= MAX_PER_CLASS:
        raise SteelsightError(f"{per_class} pictures of each class cannot be drawn; ask for 1 to {MAX_PER_CLASS}.")
    for label in classes:
        _check(label, seed, size)
    try:
        for part in ("IMAGES", "ANNOTATIONS", "MASKS"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        return [
            _save(folder, f"{label}_{number}", draw(label, seed * MAX_PER_CLASS + number, size))
            for label in classes
            for number in range(1, per_class + 1)
        ]
    except OSError as error:
        reason = error.strerror or error
        raise SteelsightError(
            f"{folder}: cannot be written ({reason}); name a folder that you may write to, with free space."
        ) from None


def _check(label: str, seed: int, size: int) -> None:
    if label not in CLASSES:
        near = difflib.get_close_matches(label, CLASSES, n=3, cutoff=0.5) or CLASSES
        raise SteelsightError(f"{label!r} is not a class that can be drawn; did you mean {' or '.join(near)}?")
    if seed < 0:
        raise SteelsightError(f"The seed {seed} is negative; give 0 or more.")
    if size < MIN_SIDE:
        raise SteelsightError(f"A side of {size} pixels is too small to draw on; give at least {MIN_SIDE}.")


def _save(folder: Path, name: str, drawing: Drawing) -> Sample:
    path = folder / "IMAGES" / f"{name}.png"
    Image.fromarray(drawing.pixels).save(path)
    Image.fromarray(drawing.mask.astype(np.uint8) * 255).save(folder / "MASKS" / f"{name}.png")
    (folder / "ANNOTATIONS" / f"{name}.xml").write_text(_annotation(path.name, drawing), encoding="utf-8")
    return Sample(path, drawing.label, drawing.boxes)


def _annotation(filename: str, drawing: Drawing) -> str:
    """Pascal VOC, whose corners count from 1 and belong to the box."""
    height, width = drawing.pixels.shape
    root = ET.Element("annotation")
    _add(root, folder=drawing.label, filename=filename)
    _add(ET.SubElement(root, "source"), database="steelsight synthetic")
    _add(ET.SubElement(root, "size"), width=width, height=height, depth=1)
    _add(root, segmented=0)
    for box in drawing.boxes:
        entry = ET.SubElement(root, "object")
        _add(entry, name=box.label, pose="Unspecified", truncated=0, difficult=0)
        corners = ET.SubElement(entry, "bndbox")
        _add(corners, xmin=box.x + 1, ymin=box.y + 1, xmax=box.x + box.width, ymax=box.y + box.height)
    ET.indent(root, "\t")
    return ET.tostring(root, encoding="unicode") + "\n"


def _add(parent: ET.Element, **texts: str | int) -> None:
    for tag, text in texts.items():
        ET.SubElement(parent, tag).text = str(text)


def _steel(rng: np.random.Generator, size: int) -> FloatArray:
    """Unmarked steel (size, size) with mean 0 and deviation 1: grain, rolling lines, clouds and uneven light."""
    grain = _noise(rng, size, size, int(size / rng.uniform(1, 1.6))) + _noise(rng, size, size // 2, size)
    lines = _noise(rng, size, 3, int(rng.uniform(10, 60)))
    clouds = _noise(rng, size, 5, 5)
    ramp = np.linspace(-1, 1, size)
    light = rng.uniform(-1, 1) * ramp + rng.uniform(-1, 1) * ramp[:, np.newaxis]
    parts = np.stack([grain, lines, clouds, light])
    return _standardised(np.tensordot(rng.uniform((0.25, 0.1, 0, 0), (0.8, 0.5, 0.5, 1)), parts, axes=1))


def _exposed(rng: np.random.Generator, picture: FloatArray) -> GreyImage:
    """Grey levels at a brightness and contrast that are drawn alike for every class."""
    brightness = rng.uniform(70, 170)
    contrast = 10 * 3 ** rng.random()
    levels: FloatArray = np.rint(brightness + contrast * _standardised(picture))
    return np.clip(levels, 0, 255).astype(np.uint8)


def _crazing(rng: np.random.Generator, size: int) -> list[FloatArray]:
    """A network of hairline cracks that mostly run across the rolling direction."""
    scale = size / _REFERENCE_SIDE
    sheet, pen = _sheet(size)
    starts = [*rng.uniform(*_affected_area(rng, size), (30, 2))]
    for _ in range(rng.integers(50, 110)):
        heading = rng.choice([0, np.pi]) + rng.normal(0, 0.4)
        turns = heading + rng.normal(0, 0.6, rng.integers(4, 14))
        steps = rng.uniform(2, 6) * scale * np.stack([np.cos(turns), np.sin(turns)], axis=1)
        crack = starts[rng.integers(len(starts))] + np.cumsum(steps, axis=0)
        starts.append(crack[len(crack) // 2])  # where a later crack may branch off
        width = max(1, round(scale * rng.uniform(0.6, 1.7)))
        pen.line([*crack.ravel()], fill=int(rng.uniform(110, 255)), width=width)
    return [-_ink(sheet, 0.4)]


def _inclusion(rng: np.random.Generator, size: int) -> list[FloatArray]:
    """A few dark streaks drawn out along the rolling direction, some of them broken into a string."""
    scale = size / _REFERENCE_SIDE
    marks = []
    for _ in range(rng.integers(1, 5)):
        x, y = rng.uniform(0.08, 0.92, 2) * size
        for _ in range(rng.choice([1, 1, 2, 4])):
            length = max(4, scale * rng.uniform(15, 110))
            sheet, pen = _sheet(size)
            pen.polygon(_spindle(rng, x, y, length, scale), fill=int(rng.uniform(150, 255)))
            marks.append(-_ink(sheet, 0.8))
            x += rng.normal(0, 3 * scale)
            y += length * rng.uniform(0.6, 1.1)
    return marks


def _spindle(rng: np.random.Generator, x: float, y: float, length: float, scale: float) -> list[float]:
    """The outline x, y, x, y, ... of an upright streak around (x, y) that tapers to both ends."""
    along = np.linspace(0, 1, 16)
    half_width = max(1, scale * rng.uniform(1, 4.5)) * np.sqrt(np.sin(np.pi * along))
    middle = x + np.cumsum(rng.normal(0, 0.35 * scale, 16))
    left, right = middle + half_width * rng.uniform(0.4, 1.2, (2, 16)) * [[-1], [1]]
    ys = y + length * (along - 0.5)
    return [*np.stack([[*left, *right[::-1]], [*ys, *ys[::-1]]], axis=1).ravel()]


def _patches(rng: np.random.Generator, size: int) -> list[FloatArray]:
    """Large blotches with ragged edges, mostly darker than the steel around them."""
    sign = 1.0 if rng.random() < 0.2 else -1.0
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32) / size
    ragged = 0.25 * _noise(rng, size, 8, 8) + 0.15 * _noise(rng, size, 24, 24) + 0.05 * _noise(rng, size, size, size)
    sharpness = rng.uniform(1.5, 4)
    marks = []
    for _ in range(rng.integers(1, 6)):
        x, y = rng.uniform(0.12, 0.88, 2)
        half_width, half_height = rng.uniform((0.06, 0.08), (0.2, 0.4))
        distance = np.hypot((columns - x) / half_width, (rows - y) / half_height)
        # the limit keeps a patch from fading out and from leaving scraps far away
        marks.append(sign * np.clip(sharpness * (1 - distance + np.clip(ragged, -0.45, 0.45)), 0, 1))
    return marks


def _pitted_surface(rng: np.random.Generator, size: int) -> list[FloatArray]:
    """Many small dark pits all over the affected area, a few of them large."""
    scale = size / _REFERENCE_SIDE
    sheet, pen = _sheet(size)
    count = rng.integers(120, 450)
    typical, stretch = rng.uniform(0.7, 1.6), rng.uniform(1, 1.7)
    radii = np.maximum(0.6, scale * np.minimum(typical * rng.lognormal(0, 0.45, count), 6))
    centres = rng.uniform(*_affected_area(rng, size), (count, 2)) + rng.normal(0, 0.05 * size, (count, 2))
    shades = rng.uniform(110, 255, count)
    for (x, y), radius, shade in zip(centres, radii, shades, strict=True):
        pen.ellipse((x - radius, y - stretch * radius, x + radius, y + stretch * radius), fill=int(shade))
    return [-_ink(sheet, 0.6)]


def _rolled_in_scale(rng: np.random.Generator, size: int) -> list[FloatArray]:
    """Clusters of flakes, dark with a lit lower edge, that lie across the rolling direction like fish scales."""
    scale = size / _REFERENCE_SIDE
    tilt = rng.normal(0, 0.25)
    along = np.linspace(0, np.pi, 7)
    marks = []
    for _ in range(rng.integers(1, 5)):
        sheet, pen = _sheet(size)
        x, y = rng.uniform(0.15, 0.85, 2) * size
        spread = rng.uniform((0.04, 0.08), (0.15, 0.25)) * size
        for centre in rng.normal((x, y), spread, (rng.integers(20, 60), 2)):
            half_length, height = scale * rng.uniform(2.5, 8), scale * rng.uniform(2, 5)
            upper = np.stack([-half_length * np.cos(along), -height * np.sin(along) * rng.uniform(0.6, 1.2, 7)])
            lower = np.stack([half_length * np.cos(along), 0.2 * height * np.sin(along)])
            flake = np.concatenate([upper, lower], axis=1)
            angle = tilt + rng.normal(0, 0.15)
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            pen.polygon([*(centre + (turn @ flake).T).ravel()], fill=int(rng.uniform(120, 255)))
        dark = _ink(sheet, 0.6)
        drop = max(1, round(2.5 * scale))
        lit = np.pad(dark, ((drop, 0), (0, 0)))[:size]
        marks.append(0.4 * lit - dark)
    return marks


def _scratches(rng: np.random.Generator, size: int) -> list[FloatArray]:
    """Long thin straight lines of bare bright metal, along the rolling direction or across it."""
    scale = size / _REFERENCE_SIDE
    upright = rng.random() < 0.7
    slant = rng.normal(0, 0.03)
    marks = []
    for _ in range(rng.integers(1, 5)):
        centre = rng.uniform((0.05, 0.3), (0.95, 0.7)) * size
        width = max(1, round(scale * rng.choice([1, 1, 2, 2, 3, 8])))
        sheet, pen = _sheet(size)
        reach = np.array([slant, 1]) * rng.uniform(0.2, 0.8) * size
        pen.line([*(centre - reach), *(centre + reach)], fill=int(rng.uniform(180, 255)), width=width)
        wear = np.clip(0.9 + 0.4 * _noise(rng, size, 20, size), 0, 1)
        mark = _ink(sheet, 0.4) * wear
        marks.append(mark if upright else mark.T)
    return marks


def _affected_area(rng: np.random.Generator, size: int) -> tuple[Corner, Corner]:
    """Upper left and lower right (x, y) of the part that a defect covers: at least half of the picture each way."""
    margin = rng.uniform(0, 0.25, (2, 2)) * size * (rng.random((2, 2)) < 0.4)
    return margin[0], size - margin[1]


def _noise(rng: np.random.Generator, size: int, rows: int, columns: int) -> FloatArray:
    """Value noise (size, size) with mean 0 and deviation 1: a random grid drawn smoothly to the picture's size."""
    grid = Image.fromarray(rng.standard_normal((rows, columns), dtype=np.float32))
    return _standardised(np.asarray(grid.resize((size, size), Image.Resampling.BICUBIC)))


def _standardised(values: npt.NDArray[np.floating[Any]]) -> FloatArray:
    return np.asarray((values - values.mean()) / values.std(), dtype=np.float32)


def _sheet(size: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    sheet = Image.new("L", (size, size))
    return sheet, ImageDraw.Draw(sheet)


def _ink(sheet: Image.Image, blur: float) -> FloatArray:
    """What was drawn on a sheet, 0 to 1, with edges softened over `blur` pixels of a NEU-CLS picture."""
    soft = sheet.filter(ImageFilter.GaussianBlur(blur * sheet.width / _REFERENCE_SIDE))
    return np.asarray(soft, dtype=np.float32) / np.float32(255)


def _joined(areas: list[Mask]) -> list[Mask]:
    """Areas that share a pixel become one; empty areas go."""
    joined: list[Mask] = []
    for area in areas:
        touching = [other for other in joined if (other & area).any()]
        joined = [other for other in joined if not (other & area).any()]
        if area.any():
            joined.append(np.logical_or.reduce([area, *touching]))
    return joined


def _bounding_box(label: str, area: Mask) -> Region:
    rows, columns = np.flatnonzero(area.any(axis=1)), np.flatnonzero(area.any(axis=0))
    x, y = int(columns[0]), int(rows[0])
    return Region(label, x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1)


_DEFECTS: dict[str, Callable[[np.random.Generator, int], list[FloatArray]]] = {
    "crazing": _crazing,
    "inclusion": _inclusion,
    "patches": _patches,
    "pitted_surface": _pitted_surface,
    "rolled-in_scale": _rolled_in_scale,
    "scratches": _scratches,
}
