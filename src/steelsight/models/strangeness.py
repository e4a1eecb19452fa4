"""How far a picture is from all that a network has learned from: what a file says of pictures it should not judge.

The distance of the picture's features from those of each class, in the spread that pictures of that class have (Lee and
others: A simple unified framework for detecting out-of-distribution samples, 2018, equation 2, with a spread for every
class). The nearest class tells how strange the picture is; which class that is can have a say in what it shows.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Strangeness"]

NEAR = 1e-3
"""A distance below which nothing is nearer."""


class Strangeness(nn.Module):
    """Features (batch, features) -> distance from the nearest class, (batch,), about 1 for pictures like those learned.

    directions: what of the features is looked at, (features, directions). centres: the mean of each class along them,
    (classes, directions). spreads: their covariance in each class, (classes, directions, directions). likeness: how
    many logits a class gains by being e times nearer; see `judged`.
    """

    directions: Tensor
    whitening: Tensor
    centres: Tensor

    def __init__(self, directions: Tensor, centres: Tensor, spreads: Tensor, likeness: float = 0.0) -> None:
        super().__init__()
        self.likeness = likeness
        classes, count = centres.shape
        factors = torch.linalg.inv(torch.linalg.cholesky(spreads.double())).mT / count**0.5
        self.register_buffer("directions", directions.float())
        self.register_buffer("whitening", factors.permute(1, 0, 2).reshape(count, classes * count).float())
        self.register_buffer("centres", torch.einsum("ck,ckj->cj", centres.double(), factors).float())

    def forward(self, features: Tensor) -> Tensor:
        return self.distances(features).amin(1)

    def judged(self, logits: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (batch, classes) of pictures with these features -> logits in which the distances have their say, and
        the strangeness, (batch,).

        What the features of a picture are like is told without the network's last layers, which err on other pictures.
        The stranger a picture is, the less that is worth: by the square of its strangeness where that is above 1.
        Logarithms, as in the likelihood of a heavy-tailed distribution, are no surer than the network is.
        """
        distances = self.distances(features)
        nearest = distances.amin(1, keepdim=True)
        if self.likeness:
            trusted = distances.clamp(min=NEAR).log() / (nearest * nearest).clamp(min=1)
            logits = torch.addmm(logits, trusted, -self.likeness * torch.eye(logits.shape[1]))
        return logits, nearest.squeeze(1)

    def distances(self, features: Tensor) -> Tensor:
        """From every class, (batch, classes)."""
        away = torch.addmm(-self.centres.flatten(), features @ self.directions, self.whitening)
        return torch.linalg.vector_norm(away.unflatten(1, self.centres.shape), dim=2)
