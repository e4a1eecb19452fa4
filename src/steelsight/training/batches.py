"""What a run learns from, step by step: its pictures as they are changed."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from steelsight.training.augment import augment
from steelsight.training.beside import Batch
from steelsight.training.pictures import Pictures
from steelsight.training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Batches:
    """The batches of a run from an epoch on: grey levels 0..1, shape (batch, 1, size, size), as networks take them.

    rank, world_size: which part of every batch is a process's own, where several train one network.
    """

    pictures: Pictures
    recipe: Recipe
    first_epoch: int
    device: torch.device
    rank: int = 0
    world_size: int = 1

    def __iter__(self) -> Generator[Batch, None, None]:
        for epoch in range(self.first_epoch, self.recipe.epochs):
            for numbers in order(len(self.pictures), self.recipe, epoch):
                mine = numbers[self.rank :: self.world_size]
                yield mine, self._changed(epoch, mine)

    def _changed(self, epoch: int, numbers: Sequence[int]) -> Tensor:
        grey = self.pictures.batch(numbers, self.recipe.stage_of(epoch).size).to(self.device).float() / 255
        changed = augment(grey, self.recipe.augmentation, self.recipe.seed, epoch, numbers)
        return changed.contiguous(memory_format=torch.channels_last)


def largest(recipe: Recipe) -> int:
    """How many grey levels the largest batch has."""
    return recipe.batch_size * max(stage.size for stage in recipe.stages) ** 2


def steps_per_epoch(count: int, recipe: Recipe) -> int:
    """Whole batches only: a small rest would spoil the BatchNorm statistics."""
    return max(1, count // recipe.batch_size)


def order(count: int, recipe: Recipe, epoch: int) -> Iterator[list[int]]:
    """The picture numbers of each step of an epoch, in an order seeded by run and epoch."""
    numbers = np.random.default_rng((recipe.seed, epoch)).permutation(count).tolist()
    for step in range(steps_per_epoch(count, recipe)):
        yield numbers[step * recipe.batch_size : (step + 1) * recipe.batch_size]
