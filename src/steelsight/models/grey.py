"""A network with its one preprocessing: grey levels in, logits and class map out.

Every network is trained, exported and compared inside this module, so that there is one place that normalises.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MEAN, STD = 0.4, 0.2
"""Of grey levels 0..1, as in paper 2."""
FINE = 10
"""Pixels of a place that tells where in the picture something is, at most."""
PARTS = 5
"""Parts along a side of the picture whose strongest answers tell what it looks like."""
WEAK = 5.0
"""One divided by an answer below which differences count by themselves, above as a share."""
NARROW = 64
"""Channels of feature maps that cost little to look at besides, all together."""
PROBE = 96
"""Pixels a side of the picture that tells whether a network was changed."""


class GreyNetwork(nn.Module):
    """Wraps a timm network that takes one channel, or three equal ones."""

    def __init__(self, network: nn.Module, in_chans: int) -> None:
        super().__init__()
        self.network: Any = network
        self.in_chans = in_chans
        self.mean, self.std = MEAN, STD
        self.normalises = True

    def normalise(self, grey: Tensor) -> Tensor:
        """Grey levels 0..1, (batch, 1, height, width) -> what the network takes, (batch, in_chans, height, width)."""
        x = (grey - self.mean) / self.std if self.normalises else grey
        return x if self.in_chans == 1 else x.expand(-1, self.in_chans, -1, -1)

    def forward(self, grey: Tensor) -> Tensor:
        """Grey levels 0..1, (batch, 1, height, width) -> logits (batch, classes)."""
        return self.network(self.normalise(grey))

    def with_map(self, grey: Tensor) -> tuple[Tensor, Tensor]:
        """Grey levels 0..1 -> logits and class map (batch, classes, h, w), whose mean is the logits.

        A network whose head is a 1x1 convolution or linear layer and an average has this map for free. For any other
        head over a feature map, each place is put through the head alone and the map is shifted to the right mean.
        A network without a feature map has a map of one place.
        """
        return self.answer(self.network.forward_features(self.normalise(grey)))

    def with_levels(self, grey: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Grey levels 0..1 -> logits, class map, and feature maps, first to last: those that a network gives by
        `forward_levels`, or the one before the head."""
        x = self.normalise(grey)
        network = self.network
        levels = network.forward_levels(x) if hasattr(network, "forward_levels") else [network.forward_features(x)]
        return *self.answer(levels[-1]), levels

    def answer(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and class map from what `forward_features` gave."""
        if hasattr(self.network, "forward_map"):
            class_map = self.network.forward_map(features)
            return _average(class_map).flatten(1), class_map
        logits: Tensor = self.network.forward_head(features)
        if features.ndim != 4 or features.shape[1] != self.network.num_features:
            return logits, logits[:, :, None, None]
        return logits, _map_by_places(self.network, features, logits)


def looks(levels: Sequence[Tensor]) -> Tensor:
    """Feature maps -> what a picture looks like to the network, (batch, features).

    How strongly each feature answers in the parts of the picture, in the mean of the parts, and where the map is narrow
    in the mean of all places too, on a scale on which strong answers are as far apart as weak ones. Asked are the
    first, where it is narrow, two more early layers and the last, which tell as much as all do. The first sees the
    light more than the steel, and its map is large: no means are taken of it, and a quarter of each part is looked at.
    """
    first, early = levels[:-1][:1], _together(levels[1:-1][:2])
    strengths = [_strongest(level, share=2) for level in first if _is_narrow(level)]
    strengths += [_strongest(level) for level in [*early, levels[-1]]]
    means = [level for level in early if _is_narrow(level)]
    return torch.cat([_average(answers) for answers in [*strengths, *means]], dim=1).flatten(1).mul(WEAK).asinh()


def _together(levels: Sequence[Tensor]) -> list[Tensor]:
    """Two feature maps as one where they are of one size and narrow, which engines ask as fast as each of them."""
    if len(levels) == 2 and levels[0].shape[2:] == levels[1].shape[2:] and _is_narrow(*levels):
        return [torch.cat(list(levels), dim=1)]
    return list(levels)


def _is_narrow(*levels: Tensor) -> bool:
    return sum(level.shape[1] for level in levels) <= NARROW


def _strongest(level: Tensor, share: int = 1) -> Tensor:
    """The largest answer in each part of a feature map, or along both sides in so much of each part; a list of features
    has one place."""
    if level.ndim != 4:
        return level.flatten(1)[:, :, None, None]
    parts = [max(1, side // PARTS) for side in level.shape[2:]]
    return F.max_pool2d(level, [max(1, part // share) for part in parts], parts)


def fine(levels: Sequence[Tensor], side: int) -> Tensor | None:
    """The last feature map before the head's whose places are small, of a picture of so many pixels a side.

    None where none is.
    """
    found = _of_small_places(levels, side)
    return found[-1] if found else None


def told_by_boxes(levels: Sequence[Tensor], side: int) -> Tensor | None:
    """What tells the inside of boxes: the map that `fine` gives, together with the one before it where both are of one
    size and narrow."""
    found = _together(_of_small_places(levels, side)[-2:])
    return found[-1] if found else None


def _of_small_places(levels: Sequence[Tensor], side: int) -> list[Tensor]:
    return [level for level in levels[:-1] if level.ndim == 4 and level.shape[2] * FINE >= side]


def _average(features: Tensor) -> Tensor:
    """Over all places, (batch, channels, h, w) -> (batch, channels, 1, 1); `export` makes it a global average pool."""
    return features.mean((2, 3), keepdim=True)


def _map_by_places(network: Any, features: Tensor, logits: Tensor) -> Tensor:
    batch, channels, height, width = features.shape
    places = features.permute(0, 2, 3, 1).reshape(-1, channels, 1, 1)
    votes = network.forward_head(places).reshape(batch, height, width, -1).permute(0, 3, 1, 2)
    return votes + (logits - votes.mean((2, 3)))[:, :, None, None]


def fold_to_grey(network: nn.Module) -> None:
    """Sums the first convolution over its input channels: on equal channels the output stays the same.

    Raises ValueError where the first layer is not a convolution over all input channels.
    """
    module = _first_convolution(network)
    if module.groups != 1:
        raise ValueError("The first convolution has groups and cannot be folded.")
    with torch.no_grad():
        module.weight = nn.Parameter(module.weight.sum(1, keepdim=True))
    module.in_channels = 1


def take_bytes(network: GreyNetwork) -> None:
    """Makes a network that takes grey levels 0..1 take 0..255; at no cost where its first convolution can scale them.

    It can where it is the first to touch the picture and does not pad: zeros around the picture mean the steel's mean,
    and would mean black. Networks hide both in many ways, so a picture tells.
    """
    network.mean, network.std = 255 * MEAN, 255 * STD
    picture = torch.randint(256, (2, 1, PROBE, PROBE), generator=torch.Generator().manual_seed(0)).float()
    scaled = copy.deepcopy(network)
    try:
        _scale_first_convolution(scaled)
        with torch.no_grad():
            expected, found = network(picture), scaled(picture)
    except (RuntimeError, ValueError, AssertionError):  # no such convolution, or no such picture
        return
    if torch.allclose(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max())):
        network.network, network.normalises = scaled.network, False


def _scale_first_convolution(network: GreyNetwork) -> None:
    first = _first_convolution(network.network)
    with torch.no_grad():
        bias = torch.zeros(first.out_channels) if first.bias is None else first.bias
        first.bias = nn.Parameter(bias - first.weight.sum((1, 2, 3)) * (network.mean / network.std))
        first.weight /= network.std
    network.normalises = False


def _first_convolution(network: nn.Module) -> nn.Conv2d:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            return module
    raise ValueError("The network has no convolution to fold.")
