"""Several networks that teach together: what they answer in the mean."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["Together"]


class Together(nn.Module):
    """The mean of the networks' logits, (batch, classes): Hinton and others, Distilling the knowledge in a neural
    network, 2015, sections 1 and 2, where the geometric mean of what an ensemble predicts is learned."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, grey: Tensor) -> Tensor:
        return torch.stack([network(grey) for network in self.networks]).mean(0)
