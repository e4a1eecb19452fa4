"""How far a picture is from all that a network has learned from: what a file says of pictures it should not judge.

The distance of the picture's features from those of the nearest class, in the spread that pictures of that class have
(Lee and others: A simple unified framework for detecting out-of-distribution samples, 2018, equation 2, with a spread
for every class).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Strangeness"]


class Strangeness(nn.Module):
    """Features (batch, features) -> distance from the nearest class, (batch,), about 1 for pictures like those learned.

    directions: what of the features is looked at, (features, directions). centres: the mean of each class along them,
    (classes, directions). spreads: their covariance in each class, (classes, directions, directions).
    """

    directions: Tensor
    whitening: Tensor
    centres: Tensor

    def __init__(self, directions: Tensor, centres: Tensor, spreads: Tensor) -> None:
        super().__init__()
        classes, count = centres.shape
        factors = torch.linalg.inv(torch.linalg.cholesky(spreads.double())).mT / count**0.5
        self.register_buffer("directions", directions.float())
        self.register_buffer("whitening", factors.permute(1, 0, 2).reshape(count, classes * count).float())
        self.register_buffer("centres", torch.einsum("ck,ckj->cj", centres.double(), factors).float())

    def forward(self, features: Tensor) -> Tensor:
        away = torch.addmm(-self.centres.flatten(), features @ self.directions, self.whitening)
        return torch.linalg.vector_norm(away.unflatten(1, self.centres.shape), dim=2).amin(1)
