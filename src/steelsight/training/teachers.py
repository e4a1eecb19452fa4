"""Who teaches: whether a network can, and what several answer in the mean."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from steelsight.records import SteelsightError
from steelsight.training import recipe as recipes
from steelsight.training.fit import create_network
from steelsight.training.recipe import Recipe

__all__ = ["Together", "check_teacher"]


class Together(nn.Module):
    """The mean of the networks' logits, (batch, classes): Hinton and others, Distilling the knowledge in a neural
    network, 2015, sections 1 and 2, where the geometric mean of what an ensemble predicts is learned."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, grey: Tensor) -> Tensor:
        return torch.stack([network(grey) for network in self.networks]).mean(0)


@torch.no_grad()
def check_teacher(recipe: Recipe, classes: int) -> None:
    """Raises SteelsightError where pupil or teacher cannot be made, or the teacher not be shown what the pupil is."""
    create_network(recipe, classes)
    there = recipes.teacher_of(recipe)
    teacher = create_network(there, classes).eval()
    for size in sorted({stage.size for stage in recipe.stages}):
        try:
            teacher(torch.zeros(1, 1, size, size))
        except Exception as error:  # networks refuse sizes in ways of their own
            raise SteelsightError(
                f"{there.model} cannot teach at {size} pixels: {str(error).splitlines()[0]}; give another teacher."
            ) from None
