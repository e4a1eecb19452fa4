"""EffNet and ILCS: three blocks of separated convolutions, then a linear layer over every place.

Pei and others: ILCS, an improved lightweight convolution structure and mixed interactive attention for steel surface
defect classification (paper 2 of `docs/reproduction.md`; section 4.1, table 1).

Inputs are (batch, in_chans, height, width); logits are (batch, num_classes). The linear layer has weights for every
place of the feature map, so the class map is exact: what each place adds to each logit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from timm.layers.helpers import to_2tuple
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn

from steelsight.models.classmap import ClassMapNetwork
from steelsight.models.miam import ChannelAttention, Miam, SpatialAttention

__all__ = ["LcsBlock", "LcsNet", "PlaceLinear"]

BLOCKS = ((32, 64), (64, 128), (128, 256))
"""Channels inside and behind each block (table 1); each halves height and width."""
REDUCTION = 16
"""Of every channel attention."""


class LcsBlock(nn.Sequential):
    """A 3x3 convolution with stride 2 taken apart: 1x1, depthwise 1x3 and 3x1, then 1x2 (fig. 2).

    With `attention` the features are judged by channel behind the outer convolutions, by place behind the inner ones.
    """

    def __init__(self, in_chans: int, channels: int, out_chans: int, attention: bool) -> None:
        def norm_act(channels: int) -> tuple[nn.Module, ...]:
            return nn.BatchNorm2d(channels), nn.ReLU6()

        def by_channel(channels: int) -> tuple[nn.Module, ...]:
            return (ChannelAttention(channels, REDUCTION),) if attention else ()

        def by_place() -> tuple[nn.Module, ...]:
            return (SpatialAttention(),) if attention else ()

        super().__init__(
            nn.Conv2d(in_chans, channels, 1, bias=False),
            *norm_act(channels),
            *by_channel(channels),
            nn.Conv2d(channels, channels, (1, 3), padding=(0, 1), groups=channels, bias=False),
            *norm_act(channels),
            nn.MaxPool2d((2, 1)),
            *by_place(),
            nn.Conv2d(channels, channels, (3, 1), padding=(1, 0), groups=channels, bias=False),
            *norm_act(channels),
            *by_place(),
            nn.Conv2d(channels, out_chans, (1, 2), stride=(1, 2), bias=False),
            *norm_act(out_chans),
            *by_channel(out_chans),
        )


class PlaceLinear(nn.Linear):
    """Flatten and linear, written as the mean over places of what each place says.

    The weights are those of the linear layer times the number of places. The function is the same, but a step of the
    optimiser moves the logits as far as in a head that averages, not (number of places) times as far.
    """

    def __init__(self, channels: int, grid: tuple[int, int], num_classes: int) -> None:
        self.channels, self.grid = channels, grid
        super().__init__(channels * grid[0] * grid[1], num_classes)

    def reset_parameters(self) -> None:
        super().reset_parameters()
        with torch.no_grad():
            self.weight *= self.grid[0] * self.grid[1]

    def class_map(self, x: Tensor) -> Tensor:
        """(batch, channels, h, w) -> (batch, num_classes, *grid); another h, w is resized to the grid."""
        if x.shape[2:] != self.grid:
            x = F.interpolate(x, size=self.grid, mode="bilinear", align_corners=False)
        weight = self.weight.unflatten(1, (self.channels, *self.grid))
        return torch.einsum("nchw,kchw->nkhw", x, weight) + self.bias[:, None, None]

    def forward(self, x: Tensor) -> Tensor:
        return self.class_map(x).mean((2, 3))


class LcsNet(ClassMapNetwork):
    """The blocks, with or without attention inside them and MIAM behind them, and the linear layer.

    img_size: pixels that the linear layer is made for, a side or (height, width). Pictures of another size are taken
    as well: their feature map is resized before that layer.
    resize_transpose: lets MIAM take feature maps that are not square; without it they raise ValueError.
    """

    def __init__(
        self,
        num_classes: int = 6,
        in_chans: int = 3,
        img_size: int | Sequence[int] = 300,
        attention: bool = True,
        miam: bool = True,
        resize_transpose: bool = False,
        drop_rate: float = 0.0,
        global_pool: str = "avg",
    ) -> None:
        super().__init__()
        self.in_chans = in_chans
        height, width = to_2tuple(img_size)
        stride = 2 ** len(BLOCKS)
        if min(height, width) < stride:
            raise ValueError(f"img_size is {img_size}; the smallest is {stride} pixels a side.")
        self.grid = height // stride, width // stride
        self.blocks = nn.Sequential()
        for channels, out_chans in BLOCKS:
            self.blocks.append(LcsBlock(in_chans, channels, out_chans, attention))
            in_chans = out_chans
        self.miam = Miam(in_chans, REDUCTION, resize_transpose) if miam else nn.Identity()
        self.make_head(in_chans, num_classes, drop_rate, global_pool)

    def forward_features(self, x: Tensor) -> Tensor:
        return self.miam(self.blocks(x))

    def forward_map(self, x: Tensor) -> Tensor:
        x = self.drop(x)
        return self.classifier.class_map(x) if isinstance(self.classifier, PlaceLinear) else x

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Features -> logits (batch, num_classes), or the averaged features with `pre_logits`."""
        if pre_logits or not self.global_pool or not self.num_classes:
            return super().forward_head(x, pre_logits)
        return self.classifier(self.drop(x))

    def reset_classifier(self, num_classes: int, global_pool: str = "avg") -> None:
        self.num_classes, self.global_pool = num_classes, global_pool
        self.classifier = PlaceLinear(self.num_features, self.grid, num_classes) if num_classes else nn.Identity()


def _cfg() -> dict[str, Any]:
    return {
        "num_classes": 6,
        "input_size": (3, 300, 300),
        "pool_size": (37, 37),
        "crop_pct": 1.0,
        "interpolation": "bilinear",
        "mean": (0.4, 0.4, 0.4),
        "std": (0.2, 0.2, 0.2),
        "first_conv": "blocks.0.0",
        "classifier": "classifier",
    }


default_cfgs = generate_default_cfgs(
    {"effnet.untrained": _cfg(), "effnet_miam.untrained": _cfg(), "ilcs.untrained": _cfg()}
)


def _create(variant: str, pretrained: bool, defaults: dict[str, Any], changes: dict[str, Any]) -> LcsNet:
    return build_model_with_cfg(LcsNet, variant, pretrained, **{**defaults, **changes})


@register_model
def effnet(pretrained: bool = False, **kwargs: Any) -> LcsNet:
    """2,212,966 parameters; 0.522 G MACs a picture of 300 pixels (the paper prints 8.35 G for a batch of 16)."""
    return _create("effnet", pretrained, {"attention": False, "miam": False}, kwargs)


@register_model
def effnet_miam(pretrained: bool = False, **kwargs: Any) -> LcsNet:
    """2,221,448 parameters; 0.522 G MACs a picture of 300 pixels (the paper prints 8.36 G for a batch of 16)."""
    return _create("effnet_miam", pretrained, {"attention": False}, kwargs)


@register_model
def ilcs(pretrained: bool = False, **kwargs: Any) -> LcsNet:
    """2,235,710 parameters; 0.532 G MACs a picture of 300 pixels (the paper prints 4.26 G for a batch of 8)."""
    return _create("ilcs", pretrained, {}, kwargs)
