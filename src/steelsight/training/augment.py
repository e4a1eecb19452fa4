"""Steel under other light and from another angle: random changes to a batch of grey pictures.

Every picture's changes come from its own generator, seeded by run, epoch and picture, so that a resumed run draws what
an uninterrupted one would have drawn, whatever the batches and however many processes share the work.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from steelsight.training.recipe import Augmentation

Numbers = npt.NDArray[np.float64]

BLUR_REACH = 2.0
"""Radius of a blur, in its standard deviations."""
GRAIN = 2**20
"""Numbers of a noise that is drawn once; each picture takes a part of it, which costs next to nothing."""
FIELD = 5
"""Nodes a side of the grid that uneven light is drawn on."""
ERASED = (0.05, 0.25)
"""Sides of an erased rectangle, as shares of the picture's."""
SPLICED = (0.3, 0.9)
"""Sides of a spliced rectangle, as shares of the picture's; half of them may lie outside."""
DUST_MARGIN = 256
"""How much wider and higher than the pictures the field is that their dust is taken from."""


class Specks(NamedTuple):
    """Dirt: specks on 100x100 pixels at most, their radius in pixels, and how much darker they are, of 0..1."""

    most: int
    radius: tuple[float, float]
    depth: tuple[float, float]


DUST = Specks(40, (0.5, 2.5), (0.0, 0.3))
FLAKES = Specks(8, (2.0, 7.0), (-0.3, 0.3))


def augment(grey: Tensor, how: Augmentation, seed: int, epoch: int, numbers: Sequence[int]) -> Tensor:
    """Grey levels 0..1 of shape (batch, 1, height, width) -> the same shape, changed at random.

    numbers: what identifies each picture of the batch within the run.
    """
    generators = [np.random.default_rng((seed, epoch, number)) for number in numbers]

    changed = _view(grey, how, generators)
    if how.splice:
        _splice(changed, grey, how, generators)
    if how.erase:
        _erase(changed, how, generators)
    if how.noise or how.shot_noise:
        _add_noise(changed, how, generators)
    if how.dead_pixels:
        _stick(changed, how, generators)
    return changed.clamp(0, 1)


def _view(grey: Tensor, how: Augmentation, generators: Sequence[np.random.Generator]) -> Tensor:
    """The pictures from another angle, under other light, less sharp, with dust."""

    def drawn(draw: Callable[[Augmentation, np.random.Generator], Numbers]) -> Tensor:
        return torch.tensor(np.stack([draw(how, rng) for rng in generators]), dtype=grey.dtype)

    grey = _place(grey, drawn(_placement))
    light = drawn(_light)
    grey = _blur(grey, drawn(_blur_width), math.ceil(BLUR_REACH * how.blur))
    for most, specks in ((how.dust, DUST), (how.flakes, FLAKES)):
        if most:
            _cover(grey, most, specks, how, generators)
    grey = _relight(grey, light)
    return _light_unevenly(grey, [_field(how, rng) for rng in generators]) if how.unevenness else grey


def _splice(changed: Tensor, grey: Tensor, how: Augmentation, generators: Sequence[np.random.Generator]) -> None:
    """Covers a rectangle of some pictures with another view of the same one, in place: a seam is not a defect."""
    numbers = [number for number, rng in enumerate(generators) if rng.random() < how.splice]
    if not numbers:
        return
    height, width = grey.shape[2:]
    views = _view(grey[numbers], how, [generators[number] for number in numbers])
    for number, view in zip(numbers, views, strict=True):
        rng = generators[number]
        tall, wide = (max(1, int(side * rng.uniform(*SPLICED))) for side in (height, width))
        top, left = (int(rng.integers(-size // 2, side - size // 2)) for size, side in ((tall, height), (wide, width)))
        part = (slice(None), slice(max(0, top), top + tall), slice(max(0, left), left + wide))
        changed[number][part] = view[part]


def _placement(how: Augmentation, rng: np.random.Generator) -> Numbers:
    """2x3 matrix from output to input coordinates (-1..1): flip, turn, rotation, scale, a shift that stays inside."""
    angle = np.deg2rad(rng.uniform(-how.rotation, how.rotation)) + (np.pi / 2) * rng.integers(4) * how.turn
    zoom, aspect = how.scale ** rng.uniform(-1, 1), how.aspect ** rng.uniform(-1, 1)
    mirror = -1.0 if how.flip and rng.random() < 0.5 else 1.0
    upside = -1.0 if how.flip and rng.random() < 0.5 else 1.0
    cosine, sine = np.cos(angle) * zoom, np.sin(angle) * zoom
    slack = max(0.0, 1 - zoom)
    shift_x, shift_y = rng.uniform(-slack, slack, size=2)
    turned = np.array([[mirror * cosine, -mirror * sine], [upside * sine, upside * cosine]])
    return np.column_stack([turned * [aspect, 1 / aspect], [shift_x, shift_y]])


def _light(how: Augmentation, rng: np.random.Generator) -> Numbers:
    """Gain, brightness, the slopes of the illumination ramp along x and y, gamma, and the vignette."""
    direction, span = rng.uniform(0, 2 * np.pi), _strength(how.ramp, how.share, rng)
    gain, gamma = (factor ** (_strength(1.0, how.share, rng) * _sign(rng)) for factor in (how.gain, how.gamma))
    brightness = _strength(how.brightness, how.share, rng) * _sign(rng)
    vignette = _strength(how.vignette, how.share, rng)
    return np.array([gain, brightness, span * np.cos(direction), span * np.sin(direction), gamma, vignette])


def _sign(rng: np.random.Generator) -> int:
    """-1 or 1; what `choice` draws, ten times as fast."""
    return 2 * int(rng.integers(2)) - 1


def _strength(most: float, share: float, rng: np.random.Generator) -> float:
    """Of a change that happens to a share of the pictures: 0 in those that it spares."""
    return rng.uniform(0, most) * (rng.random() < share)


def _dirt(most: float, how: Augmentation, rng: np.random.Generator) -> float:
    """The strength of noise or dirt."""
    return _strength(most, how.share * how.dirt_share, rng)


def _blur_width(how: Augmentation, rng: np.random.Generator) -> Numbers:
    """Standard deviation in pixels."""
    return np.array(rng.uniform(0, how.blur) * (rng.random() < how.blur_share))


def _add_noise(grey: Tensor, how: Augmentation, generators: Sequence[np.random.Generator]) -> None:
    """Noise everywhere, and noise of light, which grows with its root, in place."""
    for picture, rng in zip(grey, generators, strict=True):
        grain = _grain(rng, picture.shape, picture.device)
        everywhere, at_white = _dirt(how.noise, how, rng), _dirt(how.shot_noise, how, rng)
        if at_white:
            picture.addcmul_(grain, everywhere + at_white * picture.clamp(0, 1).sqrt())
        elif everywhere:
            picture.add_(grain, alpha=everywhere)


def _grain(rng: np.random.Generator, shape: torch.Size, device: torch.device) -> Tensor:
    """Noise of standard deviation 1 of this shape: a part of the same noise for all."""
    held, count = _held_grain(GRAIN + shape.numel(), device), shape.numel()
    start = int(rng.integers(GRAIN))
    return held[start : start + count].view(shape)


@cache
def _held_grain(count: int, device: torch.device) -> Tensor:
    return torch.randn(count, generator=torch.Generator().manual_seed(0)).to(device)


def _cover(
    grey: Tensor, most: float, specks: Specks, how: Augmentation, generators: Sequence[np.random.Generator]
) -> None:
    """Makes specks of the pictures that dirt falls on darker, or lighter, in place."""
    height, width = grey.shape[2:]
    held = _held_specks(specks, height, width, grey.device)
    for picture, rng in zip(grey, generators, strict=True):
        share = _dirt(most, how, rng)
        top, left = int(rng.integers(held.shape[1] - height + 1)), int(rng.integers(held.shape[2] - width + 1))
        if share:
            rank, depth = held[:, None, top : top + height, left : left + width].unbind()
            picture.sub_(torch.where(rank < share, depth, 0.0))


def _field(how: Augmentation, rng: np.random.Generator) -> Numbers:
    """How much more light falls on each node of a coarse grid, as a share, shape (FIELD, FIELD)."""
    return _strength(how.unevenness, how.share, rng) * rng.normal(size=(FIELD, FIELD))


def _light_unevenly(grey: Tensor, fields: Sequence[Numbers]) -> Tensor:
    field = torch.tensor(np.stack(fields)[:, None], dtype=grey.dtype)
    numbers = torch.nonzero(field.flatten(1).any(1))[:, 0]
    if len(numbers):
        smooth = F.interpolate(_sent(field[numbers], grey), grey.shape[2:], mode="bilinear", align_corners=True)
        grey = grey.clone()
        grey[_sent(numbers, grey)] *= 1 + smooth
    return grey


def _erase(grey: Tensor, how: Augmentation, generators: Sequence[np.random.Generator]) -> None:
    """Covers rectangles of each picture with a level of their own, in place."""
    height, width = grey.shape[2:]
    for picture, rng in zip(grey, generators, strict=True):
        for _ in range(round(_dirt(how.erase, how, rng))):
            tall, wide = (max(1, int(side * rng.uniform(*ERASED))) for side in (height, width))
            top, left = rng.integers(height - tall + 1), rng.integers(width - wide + 1)
            picture[:, top : top + tall, left : left + wide] = float(rng.random())


def _stick(grey: Tensor, how: Augmentation, generators: Sequence[np.random.Generator]) -> None:
    """Sets single pixels of each picture to levels of their own, in place."""
    pixels = grey.flatten(1)
    for picture, rng in zip(pixels, generators, strict=True):
        count = int(_dirt(how.dead_pixels, how, rng) * picture.numel())
        picture[torch.from_numpy(rng.integers(picture.numel(), size=count))] = torch.from_numpy(
            rng.random(count, np.float32)
        ).to(grey)


@cache
def _held_specks(specks: Specks, height: int, width: int, device: torch.device) -> Tensor:
    """A wide field of specks that each picture takes a part of: which share of dirt shows each pixel's, and its depth.

    Shape (2, height, width).
    """
    rng = np.random.default_rng(0)
    field = np.zeros((2, height + DUST_MARGIN, width + DUST_MARGIN), np.float32)
    field[0] = 2.0  # more than any share
    for _ in range(round(specks.most * field[0].size / 100**2)):
        y, x = rng.uniform(0, field.shape[1]), rng.uniform(0, field.shape[2])
        radius = rng.uniform(*specks.radius)
        top, left = max(0, int(y - radius)), max(0, int(x - radius))
        part = field[:, top : int(y + radius) + 2, left : int(x + radius) + 2]
        rows, columns = np.ogrid[: part.shape[1], : part.shape[2]]
        is_inside = (rows + top - y) ** 2 + (columns + left - x) ** 2 <= radius**2
        part[:, is_inside] = np.array([rng.uniform(), rng.uniform(*specks.depth)])[:, None]
    return torch.from_numpy(field).to(device)


def _place(grey: Tensor, matrices: Tensor) -> Tensor:
    """What `affine_grid` and `grid_sample` do; sums of a row and a column make the grid several times faster."""
    height, width = grey.shape[2:]
    x = torch.linspace(1 / width - 1, 1 - 1 / width, width, device=grey.device, dtype=grey.dtype)
    y = torch.linspace(1 / height - 1, 1 - 1 / height, height, device=grey.device, dtype=grey.dtype)
    along_x, along_y, shift = (part[:, :, None, None] for part in _sent(matrices, grey).unbind(2))
    grid = along_x * x + (along_y * y[:, None] + shift)
    return F.grid_sample(
        grey, grid.permute(0, 2, 3, 1), mode="bilinear", padding_mode="reflection", align_corners=False
    )


def _blur(grey: Tensor, widths: Tensor, radius: int) -> Tensor:
    """Gaussian blur with a standard deviation of its own for every picture, pixels; 0 leaves a picture as it is."""
    numbers = torch.nonzero(widths)[:, 0]
    if not len(numbers):
        return grey
    steps = torch.arange(-radius, radius + 1, dtype=grey.dtype)
    kernels = torch.exp(-0.5 * (steps / widths[numbers].clamp(min=1e-3)[:, None]) ** 2)
    kernels = _sent(kernels / kernels.sum(1, keepdim=True), grey)
    numbers = _sent(numbers, grey)
    padded = F.pad(grey[numbers], [radius] * 4, mode="reflect")
    rows = F.conv2d(padded.transpose(0, 1), kernels[:, None, None, :], groups=len(numbers))
    grey = grey.clone()
    grey[numbers] = F.conv2d(rows, kernels[:, None, :, None], groups=len(numbers)).transpose(0, 1)
    return grey


def _relight(grey: Tensor, light: Tensor) -> Tensor:
    has_gamma, has_vignette = not bool((light[:, 4] == 1).all()), bool(light[:, 5].any())
    gain, brightness, slope_x, slope_y, gamma, vignette = (
        value[:, None, None, None] for value in _sent(light, grey).unbind(1)
    )
    height, width = grey.shape[2:]
    x = torch.linspace(-0.5, 0.5, width, device=grey.device, dtype=grey.dtype)
    y = torch.linspace(-0.5, 0.5, height, device=grey.device, dtype=grey.dtype)[:, None]
    if has_gamma:
        grey = grey.clamp(min=1e-3) ** gamma
    mean = grey.mean((1, 2, 3), keepdim=True)
    relit = torch.addcmul(slope_x * x + (slope_y * y + (mean * (1 - gain) + brightness)), grey, gain)
    if has_vignette:
        relit *= (1 - 2 * vignette * x**2) - 2 * vignette * y**2
    return relit


def _sent(values: Tensor, grey: Tensor) -> Tensor:
    """What was drawn on the processor, where the pictures are; nobody waits for a GPU to have it."""
    return values.to(grey.device, non_blocking=True)
