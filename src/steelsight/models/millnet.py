"""MillNet: a plain stack of 3x3 convolutions, the kind of work that processors do fastest.

Ends in a 1x1 convolution and a global average, so the map before the average is the class activation map.
Inputs are (batch, in_chans, height, width); logits are (batch, num_classes).
"""

from __future__ import annotations

from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn

from steelsight.models.classmap import ClassMapNetwork

__all__ = ["MillNet"]

LAYERS = ((12, 2), (20, 2), (24, 1), (32, 2), (40, 2))
"""Channels and stride of each 3x3 convolution."""


class MillNet(ClassMapNetwork):
    """Convolution, BatchNorm, ReLU, five times; then the classifier."""

    def __init__(
        self, num_classes: int = 6, in_chans: int = 1, drop_rate: float = 0.0, global_pool: str = "avg"
    ) -> None:
        super().__init__()
        self.in_chans = in_chans
        self.layers = nn.Sequential()
        for channels, stride in LAYERS:
            conv = nn.Conv2d(in_chans, channels, 3, stride=stride, padding=1, bias=False)
            self.layers.append(nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU()))
            in_chans = channels
        self.make_head(in_chans, num_classes, drop_rate, global_pool)

    def forward_features(self, x: Tensor) -> Tensor:
        return self.layers(x)


default_cfgs = generate_default_cfgs(
    {
        "millnet.untrained": {
            "num_classes": 6,
            "input_size": (1, 128, 128),
            "pool_size": (8, 8),
            "crop_pct": 1.0,
            "interpolation": "bilinear",
            "mean": (0.4,),
            "std": (0.2,),
            "first_conv": "layers.0.0",
            "classifier": "classifier",
        },
    }
)


@register_model
def millnet(pretrained: bool = False, **kwargs: Any) -> MillNet:
    """25,522 parameters, 9.9 M MACs with one channel at 128 pixels."""
    return build_model_with_cfg(MillNet, "millnet", pretrained, **kwargs)
