"""How far a picture is from all that a network has learned from: what a file says of pictures it should not judge.

The distance of the picture's features from those of the nearest class, in the spread that pictures have about the
middle of their class (Lee and others: A simple unified framework for detecting out-of-distribution samples, 2018,
equation 2).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Strangeness"]

MOST = 128
"""Directions; more would make the file large."""
TINY = 1e-9
"""Least variance, as a share of the largest."""


class Strangeness(nn.Module):
    """Features (batch, features) -> distance from the nearest class, (batch,), about 1 for pictures like those learned.

    centres: the mean features of each class, (classes, features). spread: the covariance of features about their
    class's centre, (features, features). Of more than MOST features the directions in which they vary most are kept.
    """

    centres: Tensor
    whitening: Tensor

    def __init__(self, centres: Tensor, spread: Tensor) -> None:
        super().__init__()
        variances, directions = torch.linalg.eigh(spread.double())
        kept = variances[-MOST:].clamp(min=TINY * float(variances[-1]))
        whitening = directions[:, -MOST:] / (kept * len(kept)).sqrt()
        self.register_buffer("whitening", whitening.float())
        self.register_buffer("centres", (centres.double() @ whitening).float())

    def forward(self, features: Tensor) -> Tensor:
        away = (features @ self.whitening)[:, None] - self.centres
        return away.square().sum(2).amin(1).sqrt()
