"""A network with its one preprocessing: grey levels in, logits and class map out.

Every network is trained, exported and compared inside this module, so that there is one place that normalises.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

MEAN, STD = 0.4, 0.2
"""Of grey levels 0..1, as in paper 2."""


class GreyNetwork(nn.Module):
    """Wraps a timm network that takes one channel, or three equal ones."""

    def __init__(self, network: nn.Module, in_chans: int) -> None:
        super().__init__()
        self.network: Any = network
        self.in_chans = in_chans

    def normalise(self, grey: Tensor) -> Tensor:
        """Grey levels 0..1, (batch, 1, height, width) -> what the network takes, (batch, in_chans, height, width)."""
        return ((grey - MEAN) / STD).expand(-1, self.in_chans, -1, -1)

    def forward(self, grey: Tensor) -> Tensor:
        """Grey levels 0..1, (batch, 1, height, width) -> logits (batch, classes)."""
        return self.network(self.normalise(grey))

    def with_map(self, grey: Tensor) -> tuple[Tensor, Tensor]:
        """Grey levels 0..1 -> logits and class map (batch, classes, h, w), whose mean is the logits.

        A network whose head is a 1x1 convolution or linear layer and an average has this map for free. For any other
        head over a feature map, each place is put through the head alone and the map is shifted to the right mean.
        A network without a feature map has a map of one place.
        """
        x = self.normalise(grey)
        features = self.network.forward_features(x)
        if hasattr(self.network, "forward_map"):
            class_map = self.network.forward_map(features)
            return class_map.mean((2, 3)), class_map
        logits: Tensor = self.network.forward_head(features)
        if features.ndim != 4 or features.shape[1] != self.network.num_features:
            return logits, logits[:, :, None, None]
        return logits, _map_by_places(self.network, features, logits)


def _map_by_places(network: Any, features: Tensor, logits: Tensor) -> Tensor:
    batch, channels, height, width = features.shape
    places = features.permute(0, 2, 3, 1).reshape(-1, channels, 1, 1)
    votes = network.forward_head(places).reshape(batch, height, width, -1).permute(0, 3, 1, 2)
    return votes + (logits - votes.mean((2, 3)))[:, :, None, None]


def fold_to_grey(network: nn.Module) -> None:
    """Sums the first convolution over its input channels: on equal channels the output stays the same.

    Raises ValueError where the first layer is not a convolution over all input channels.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            break
    else:
        raise ValueError("The network has no convolution to fold.")
    if module.groups != 1:
        raise ValueError("The first convolution has groups and cannot be folded.")
    with torch.no_grad():
        module.weight = nn.Parameter(module.weight.sum(1, keepdim=True))
    module.in_channels = 1
