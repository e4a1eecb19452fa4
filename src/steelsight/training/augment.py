"""Steel under other light and from another angle: random changes to a batch of grey pictures.

Every picture's changes come from its own generator, seeded by run, epoch and picture, so that a resumed run draws what
an uninterrupted one would have drawn, whatever the batches and however many processes share the work.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from steelsight.training.recipe import Augmentation

BLUR_RADIUS = 3


def augment(grey: Tensor, how: Augmentation, seed: int, epoch: int, numbers: Sequence[int]) -> Tensor:
    """Grey levels 0..1 of shape (batch, 1, height, width) -> the same shape, changed at random.

    numbers: what identifies each picture of the batch within the run.
    """
    generators = [np.random.default_rng((seed, epoch, number)) for number in numbers]
    matrices = torch.tensor(np.stack([_placement(how, rng) for rng in generators]), dtype=grey.dtype)
    light = torch.tensor(np.stack([_light(how, rng) for rng in generators]), dtype=grey.dtype)
    widths = [rng.uniform(0, how.blur) * (rng.random() < 0.5) for rng in generators]
    noise = torch.cat([_noise(how, rng, grey.shape[1:]) for rng in generators]) if how.noise else None
    grey = _place(grey, matrices.to(grey.device))
    if how.blur:
        grey = _blur(grey, torch.tensor(widths, dtype=grey.dtype, device=grey.device))
    grey = _relight(grey, light.to(grey.device))
    if noise is not None:
        grey = grey + noise.to(grey.device, grey.dtype)
    return grey.clamp(0, 1)


def _placement(how: Augmentation, rng: np.random.Generator) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """2x3 matrix from output to input coordinates (-1..1): flip, turn, rotation, scale, a shift that stays inside."""
    angle = np.deg2rad(rng.uniform(-how.rotation, how.rotation)) + (np.pi / 2) * rng.integers(4) * how.turn
    zoom = how.scale ** rng.uniform(-1, 1)
    mirror = -1.0 if how.flip and rng.random() < 0.5 else 1.0
    upside = -1.0 if how.flip and rng.random() < 0.5 else 1.0
    cosine, sine = np.cos(angle) * zoom, np.sin(angle) * zoom
    slack = max(0.0, 1 - zoom)
    shift_x, shift_y = rng.uniform(-slack, slack, size=2)
    return np.array([[mirror * cosine, -mirror * sine, shift_x], [upside * sine, upside * cosine, shift_y]])


def _light(how: Augmentation, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Gain, brightness, and the slopes of the illumination ramp along x and y."""
    direction, span = rng.uniform(0, 2 * np.pi), rng.uniform(0, how.ramp)
    gain, brightness = how.gain ** rng.uniform(-1, 1), rng.uniform(-how.brightness, how.brightness)
    return np.array([gain, brightness, span * np.cos(direction), span * np.sin(direction)])


def _noise(how: Augmentation, rng: np.random.Generator, shape: torch.Size) -> Tensor:
    generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
    return torch.randn(1, *shape, generator=generator) * rng.uniform(0, how.noise)


def _place(grey: Tensor, matrices: Tensor) -> Tensor:
    """What `affine_grid` and `grid_sample` do; sums of a row and a column make the grid several times faster."""
    height, width = grey.shape[2:]
    x = torch.linspace(1 / width - 1, 1 - 1 / width, width, device=grey.device, dtype=grey.dtype)
    y = torch.linspace(1 / height - 1, 1 - 1 / height, height, device=grey.device, dtype=grey.dtype)
    along_x, along_y, shift = (part[:, :, None, None] for part in matrices.unbind(2))
    grid = along_x * x + (along_y * y[:, None] + shift)
    return F.grid_sample(
        grey, grid.permute(0, 2, 3, 1), mode="bilinear", padding_mode="reflection", align_corners=False
    )


def _blur(grey: Tensor, widths: Tensor) -> Tensor:
    """Gaussian blur with a standard deviation of its own for every picture, pixels; 0 leaves a picture as it is."""
    steps = torch.arange(-BLUR_RADIUS, BLUR_RADIUS + 1, device=grey.device, dtype=grey.dtype)
    kernels = torch.exp(-0.5 * (steps / widths.clamp(min=1e-3)[:, None]) ** 2)
    kernels = kernels / kernels.sum(1, keepdim=True)
    count, _, height, width = grey.shape
    padded = F.pad(grey, [BLUR_RADIUS] * 4, mode="reflect").transpose(0, 1)
    rows = F.conv2d(padded, kernels[:, None, None, :], groups=count)
    return F.conv2d(rows, kernels[:, None, :, None], groups=count).transpose(0, 1).reshape(count, 1, height, width)


def _relight(grey: Tensor, light: Tensor) -> Tensor:
    gain, brightness, slope_x, slope_y = (value[:, None, None, None] for value in light.unbind(1))
    height, width = grey.shape[2:]
    x = torch.linspace(-0.5, 0.5, width, device=grey.device, dtype=grey.dtype)
    y = torch.linspace(-0.5, 0.5, height, device=grey.device, dtype=grey.dtype)[:, None]
    mean = grey.mean((1, 2, 3), keepdim=True)
    return (grey - mean) * gain + mean + brightness + slope_x * x + slope_y * y
