"""MillNet: a plain stack of 3x3 convolutions, the kind of work that processors do fastest.

The first convolution looks at the camera's own pixels in large steps, so that nothing has to be resized and little is
computed at full size. Ends in a 1x1 convolution and a global average, so the map before the average is the class
activation map. Inputs are (batch, in_chans, height, width); logits are (batch, num_classes).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.byobnet import RepVggBlock
from torch import Tensor, nn

from steelsight.models.classmap import ClassMapNetwork
from steelsight.models.pretrained import weights_file
from steelsight.models.steady import PlaceNorm, SteadyConv

__all__ = ["MillNet"]

STEM = (16, 4, 4)
STEADY_STEM = (16, 8, 4)
"""Channels, kernel size and stride of the first convolution."""

CAP = 2.0
"""The most that a 3x3 layer answers in the shipped weights."""

SMALL = ((16, 2), (32, 2), (32, 1, 2))
MIDDLE = ((16, 2), (16, 1), (32, 2), (32, 1, 2), (32, 1, 3, 2))
LINE = ((16, 2), (16, 1), (48, 2), (48, 1), (48, 1, 2), (48, 1, 2))
LARGE = ((32, 2), (32, 1), (48, 2), (48, 1), (48, 1, 2), (48, 1, 2))
STEADY = ((16, 2), (16, 1), (32, 2), (32, 1, 2), (32, 1, 2))
"""Presets: channels, stride and, where they are not 1, dilation and groups of each 3x3 convolution after it.

What tells pitted steel from inclusions lies far apart: the more of its surroundings a place saw, the fewer the errors
(docs/choices.md). Dilation sees as far as another stride would, and leaves the class map as fine as it is. Processors
compute 16 channels at once: 24 take them as long as 32.
"""


class MillNet(ClassMapNetwork):
    """Convolution, norm, ReLU, a few times; then the classifier.

    steady: the first two layers do not mind brightness and contrast (`models.steady`).
    branches: trains each 3x3 convolution with a 1x1 one and the identity beside it (Ding and others: RepVGG, 2021,
    section 3), which `timm.utils.reparameterize_model` folds into one.
    cap: the most that a 3x3 layer answers, 0 for no end (ReLU6 of Krizhevsky: Convolutional deep belief networks on
    CIFAR-10, 2010): the edge of a shadow counts no more than a scratch, however dark it is. Takes long training.
    """

    def __init__(
        self,
        num_classes: int = 6,
        in_chans: int = 1,
        stem: Sequence[int] = STEM,
        layers: Sequence[Sequence[int]] = MIDDLE,
        steady: bool = False,
        branches: bool = False,
        cap: float = 0.0,
        drop_rate: float = 0.0,
        global_pool: str = "avg",
    ) -> None:
        super().__init__()
        self.in_chans, features = in_chans, stem[0]
        self.layers = nn.Sequential((_steady_stem if steady else _stem)(in_chans, *stem))
        later = _branched_layer if branches else partial(_layer, cap=cap)
        for number, (channels, stride, *further) in enumerate(layers):
            make = _steady_layer if steady and number == 0 else later
            self.layers.append(make(features, channels, stride, *further))
            features = channels
        self.make_head(features, num_classes, drop_rate, global_pool)

    def forward_features(self, x: Tensor) -> Tensor:
        return self.layers(x)

    def forward_levels(self, x: Tensor) -> list[Tensor]:
        """The feature maps of all layers."""
        levels = [x]
        for layer in self.layers:
            levels.append(layer(levels[-1]))
        return levels[1:]


def _stem(in_chans: int, channels: int, kernel: int, stride: int) -> nn.Module:
    conv = nn.Conv2d(in_chans, channels, kernel, stride, padding=(kernel - stride + 1) // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU())


def _steady_stem(in_chans: int, channels: int, kernel: int, stride: int) -> nn.Module:
    """Without padding, which would be a brightness of its own."""
    return nn.Sequential(SteadyConv(in_chans, channels, kernel, stride, zero_mean=True), nn.ReLU())


def _layer(in_chans: int, channels: int, stride: int, dilation: int = 1, groups: int = 1, *, cap: float) -> nn.Module:
    conv = nn.Conv2d(in_chans, channels, 3, stride, padding=dilation, dilation=dilation, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.Hardtanh(0.0, cap) if cap else nn.ReLU())


def _steady_layer(in_chans: int, channels: int, stride: int, dilation: int = 1) -> nn.Module:
    conv = SteadyConv(in_chans, channels, 3, stride, padding=dilation, dilation=dilation)
    return nn.Sequential(conv, nn.ReLU(), PlaceNorm())


def _branched_layer(in_chans: int, channels: int, stride: int, dilation: int = 1, groups: int = 1) -> nn.Module:
    together = in_chans // groups if groups > 1 else 0
    return RepVggBlock(in_chans, channels, stride=stride, dilation=(dilation, dilation), group_size=together)


def _cfg(**changes: Any) -> dict[str, Any]:
    return {
        "num_classes": 6,
        "input_size": (1, 200, 200),
        "pool_size": (13, 13),
        "crop_pct": 1.0,
        "interpolation": "bilinear",
        "mean": (0.4,),
        "std": (0.2,),
        "first_conv": "layers.0.0",
        "classifier": "classifier",
        **changes,
    }


default_cfgs = generate_default_cfgs(
    {
        "millnet_small.untrained": _cfg(),
        "millnet.neu": _cfg(file=weights_file("millnet-neu")),
        "millnet_steady.untrained": _cfg(),
        "millnet_line.untrained": _cfg(),
        "millnet_large.neu_line": _cfg(file=weights_file("millnet-line-neu")),
    }
)


def _create(variant: str, pretrained: bool, layers: Sequence[Sequence[int]], changes: dict[str, Any]) -> MillNet:
    cap = CAP if pretrained else 0.0
    return build_model_with_cfg(MillNet, variant, pretrained, **{"layers": layers, "cap": cap, **changes})


@register_model
def millnet_small(pretrained: bool = False, **kwargs: Any) -> MillNet:
    """16,774 parameters, 4.6 M MACs with one channel at 200 pixels."""
    return _create("millnet_small", pretrained, SMALL, kwargs)


@register_model
def millnet(pretrained: bool = False, **kwargs: Any) -> MillNet:
    """23,782 parameters; 6.9 M MACs with one channel at 200 pixels. Pretrained it has its cap."""
    return _create("millnet", pretrained, MIDDLE, kwargs)


@register_model
def millnet_steady(pretrained: bool = False, **kwargs: Any) -> MillNet:
    """29,126 parameters, 9.4 M MACs with one channel at 200 pixels; made for changing light, and faster."""
    steady = {"stem": STEADY_STEM, "steady": True}
    return _create("millnet_steady", pretrained, STEADY, {**steady, **kwargs})


@register_model
def millnet_line(pretrained: bool = False, **kwargs: Any) -> MillNet:
    """74,758 parameters, 15.5 M MACs with one channel at 200 pixels."""
    return _create("millnet_line", pretrained, LINE, kwargs)


@register_model
def millnet_large(pretrained: bool = False, **kwargs: Any) -> MillNet:
    """90,950 parameters, 22.5 M MACs with one channel at 200 pixels. Pretrained, for a line, it has its cap."""
    return _create("millnet_large", pretrained, LARGE, kwargs)
