"""Decoded training pictures, kept in memory while they fit."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from steelsight import images
from steelsight.images import ImageError
from steelsight.records import GreyImage, Sample

Item = TypeVar("Item")

MEMORY = 2 * 2**30
"""Bytes that decoded pictures may take; beyond it they are decoded anew for every batch."""


class Pictures:
    """Samples as square batches, each resized by the same function as at inference."""

    def __init__(self, samples: Sequence[Sample], memory: int = MEMORY) -> None:
        self.paths = [sample.path for sample in samples]
        self._memory = memory
        self._size = 0
        self._kept: GreyImage | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def batch(self, numbers: Sequence[int], size: int) -> torch.Tensor:
        """Grey levels 0..255 of the pictures of these numbers, uint8, shape (len(numbers), 1, size, size)."""
        if size != self._size:
            self._size, self._kept = size, None
            if len(self.paths) * size * size <= self._memory:
                self._kept = self._decode(range(len(self.paths)), size)
        pixels = self._decode(numbers, size) if self._kept is None else self._kept[list(numbers)]
        return torch.from_numpy(pixels)[:, None]

    def _decode(self, numbers: Sequence[int], size: int) -> GreyImage:
        def one(number: int) -> GreyImage:
            return images.prepare(images.decode(self.paths[number]), (size, size))

        with ThreadPoolExecutor() as pool:
            return np.stack(list(pool.map(one, numbers)))


def evenly(items: Sequence[Item], most: int) -> list[Item]:
    """All of them, or so many spread evenly over them."""
    return [items[number] for number in np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int)]


def readable(samples: Sequence[Sample]) -> tuple[list[Sample], list[str], list[str]]:
    """The samples that can be decoded, the fingerprints of their pixels, and a sentence for each that cannot."""

    def one(path: Path) -> str | ImageError:
        try:
            return images.fingerprint(images.decode(path))
        except ImageError as error:
            return error

    with ThreadPoolExecutor() as pool:
        found = list(pool.map(one, [sample.path for sample in samples]))
    good = [(sample, print_) for sample, print_ in zip(samples, found, strict=True) if isinstance(print_, str)]
    problems = [str(error) for error in found if isinstance(error, ImageError)]
    return [sample for sample, _ in good], [print_ for _, print_ in good], problems
