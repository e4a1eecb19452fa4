"""The PDMSNet family: SqueezeNet and the four steps from it to PDMSNet.

Li, Wang, Liu and Chen: Steel surface defect recognition based on a lightweight convolutional neural network
(paper 1 of `docs/reproduction.md`; table 2 lists the five networks, figs. 6 and 7 the kernel sets and placements).

All end in a 1x1 convolution and a global average, so the map before the average is the class activation map.
Inputs are (batch, in_chans, height, width); logits are (batch, num_classes).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn

from steelsight.models.classmap import ClassMapNetwork
from steelsight.models.pretrained import in_three_channels, weights_file

__all__ = ["Fire", "PartialGroup", "PdmsNet"]

STEM_CHANNELS = 96
STEM_GAIN = 7.0
"""Makes the first filters answer steel's fine texture with about unit spread; the stem has no BatchNorm to do so."""
# (squeeze, expand) of each Fire; a Fire returns twice its expand channels.
GROUP_1, PARTIAL_1 = ((16, 64), (16, 64), (32, 128)), ((8, 32), (8, 32), (16, 80))
GROUP_2, PARTIAL_2 = ((32, 128), (48, 192), (48, 192), (64, 256)), ((16, 64), (24, 96), (24, 96), (24, 128))
LAST = (64, 256)


class MixedDepthwise(nn.Module):
    """Depthwise convolution whose channels are shared out over several kernel sizes (paper 1, fig. 3).

    What an uneven split leaves over goes to the smallest kernel. A single kernel keeps its bias, several have none:
    the printed counts tell so.
    """

    def __init__(self, channels: int, kernels: Sequence[int]) -> None:
        super().__init__()
        share = channels // len(kernels)
        self.split = [channels - share * (len(kernels) - 1)] + [share] * (len(kernels) - 1)
        self.convs = nn.ModuleList(
            nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width, bias=len(kernels) == 1)
            for width, kernel in zip(self.split, sorted(kernels), strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        parts = x.split(self.split, dim=1)
        return torch.cat([conv(part) for conv, part in zip(self.convs, parts, strict=True)], dim=1)

    def fuse(self) -> nn.Conv2d:
        """One depthwise convolution that does the same: smaller kernels with zeros around them."""
        convs = [cast(nn.Conv2d, conv) for conv in self.convs]
        channels, side = sum(self.split), convs[-1].kernel_size[0]
        one = nn.Conv2d(channels, channels, side, padding=side // 2, groups=channels, bias=convs[-1].bias is not None)
        weights = [F.pad(conv.weight, [(side - conv.kernel_size[0]) // 2] * 4) for conv in convs]
        with torch.no_grad():
            one.weight.copy_(torch.cat(weights))
            if one.bias is not None:
                one.bias.copy_(torch.cat([conv.bias for conv in convs if conv.bias is not None]))
        return one


class Fire(nn.Module):
    """1x1 squeeze, then a 1x1 and a wider expand branch side by side; no `kernels` makes the wider one a plain 3x3."""

    def __init__(
        self, in_chans: int, squeeze: int, expand: int, kernels: Sequence[int] | None, norm: bool = True
    ) -> None:
        super().__init__()
        self.out_chans = 2 * expand
        self.has_skip = norm and in_chans == self.out_chans
        self.squeeze = nn.Conv2d(in_chans, squeeze, 1)
        self.squeeze_norm = nn.BatchNorm2d(squeeze) if norm else nn.Identity()
        self.expand_1 = nn.Conv2d(squeeze, expand, 1)
        self.expand_3 = (
            nn.Conv2d(squeeze, expand, 3, padding=1)
            if kernels is None
            else nn.Sequential(MixedDepthwise(squeeze, kernels), nn.Conv2d(squeeze, expand, 1))
        )
        self.norm = nn.BatchNorm2d(self.out_chans) if norm else nn.Identity()
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        squeezed = self.act(self.squeeze_norm(self.squeeze(x)))
        expanded = self.act(self.norm(torch.cat([self.expand_1(squeezed), self.expand_3(squeezed)], dim=1)))
        return expanded + x if self.has_skip else expanded


class PartialGroup(nn.Module):
    """Half of the channels go through the Fires, then the whole input is spliced on (paper 1, partial splicing)."""

    def __init__(self, in_chans: int, fires: nn.Sequential) -> None:
        super().__init__()
        self.reduce = nn.Sequential(
            nn.Conv2d(in_chans, in_chans // 2, 1, bias=False), nn.BatchNorm2d(in_chans // 2), nn.ReLU()
        )
        self.fires = fires

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.fires(self.reduce(x)), x], dim=1)


class PdmsNet(ClassMapNetwork):
    """A network of the family.

    kernels: sizes of the mixed depthwise expand branch; None keeps SqueezeNet's plain 3x3.
    partial: whether the first and the second group of Fires are partial.
    norm: BatchNorm and identity skips in the Fires.
    last_relu: SqueezeNet's ReLU between classifier and average. It can silence a class for good, so only the
        plain SqueezeNet has it.
    """

    def __init__(
        self,
        num_classes: int = 6,
        in_chans: int = 3,
        kernels: Sequence[int] | None = (3, 5, 7),
        partial: tuple[bool, bool] = (True, True),
        norm: bool = True,
        last_relu: bool = False,
        drop_rate: float = 0.5,
        global_pool: str = "avg",
    ) -> None:
        super().__init__()
        self.in_chans = in_chans

        def fires(in_chans: int, widths: Sequence[tuple[int, int]]) -> nn.Sequential:
            blocks = nn.Sequential()
            for squeeze, expand in widths:
                blocks.append(Fire(in_chans, squeeze, expand, kernels, norm))
                in_chans = 2 * expand
            return blocks

        def group(
            in_chans: int, whole: Sequence[tuple[int, int]], half: Sequence[tuple[int, int]], split: bool
        ) -> nn.Module:
            return PartialGroup(in_chans, fires(in_chans // 2, half)) if split else fires(in_chans, whole)

        self.stem = nn.Conv2d(in_chans, STEM_CHANNELS, 7, stride=2)
        self.act = nn.ReLU()
        self.pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.group_1 = group(STEM_CHANNELS, GROUP_1, PARTIAL_1, partial[0])
        self.group_2 = group(256, GROUP_2, PARTIAL_2, partial[1])
        self.last = fires(512, [LAST])
        self.make_head(2 * LAST[1], num_classes, drop_rate, global_pool)
        self.last_act = nn.ReLU() if last_relu else nn.Identity()
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        _initialise_stem(self.stem)
        if isinstance(self.classifier, nn.Conv2d):
            nn.init.normal_(self.classifier.weight, std=0.01)

    def forward_features(self, x: Tensor) -> Tensor:
        return self.forward_levels(x)[-1]

    def forward_levels(self, x: Tensor) -> list[Tensor]:
        """The feature maps at the end of each group."""
        first = self.group_1(self.pool(self.act(self.stem(x))))
        second = self.group_2(self.pool(first))
        return [first, second, self.last(self.pool(second))]

    def forward_map(self, x: Tensor) -> Tensor:
        return self.last_act(super().forward_map(x))


def _initialise_stem(stem: nn.Conv2d) -> None:
    """Orthogonal filters without a mean: brightness drowns everything else in filters that have one."""
    filters = torch.empty(stem.out_channels, 1, *stem.kernel_size)
    nn.init.orthogonal_(filters, gain=STEM_GAIN)
    filters -= filters.mean((1, 2, 3), keepdim=True)
    with torch.no_grad():
        stem.weight.copy_(filters.expand_as(stem.weight) / stem.in_channels)


def _cfg(**changes: Any) -> dict[str, Any]:
    return {
        "num_classes": 6,
        "input_size": (3, 224, 224),
        "pool_size": (13, 13),
        "crop_pct": 1.0,
        "interpolation": "bilinear",
        "mean": (0.4, 0.4, 0.4),
        "std": (0.2, 0.2, 0.2),
        "first_conv": "stem",
        "classifier": "classifier",
        **changes,
    }


default_cfgs = generate_default_cfgs(
    {
        "squeezenet.untrained": _cfg(),
        "squeezenet_bn_sc.untrained": _cfg(),
        "squeezenet_separable.untrained": _cfg(),
        "squeezenet_dms.untrained": _cfg(),
        "pdmsnet.neu": _cfg(file=weights_file("pdmsnet-neu")),
    }
)


def _create(variant: str, pretrained: bool, defaults: dict[str, Any], changes: dict[str, Any]) -> PdmsNet:
    options = {**defaults, **changes}
    return build_model_with_cfg(PdmsNet, variant, pretrained, pretrained_filter_fn=in_three_channels("stem"), **options)


@register_model
def squeezenet(pretrained: bool = False, **kwargs: Any) -> PdmsNet:
    """torchvision's `squeezenet1_0`: 738,502 parameters, 743.53 M MACs at 6 classes."""
    return _create(
        "squeezenet", pretrained, {"kernels": None, "partial": (False, False), "norm": False, "last_relu": True}, kwargs
    )


@register_model
def squeezenet_bn_sc(pretrained: bool = False, **kwargs: Any) -> PdmsNet:
    """SqueezeNet with BatchNorm and identity skips: 744,262 parameters, 749.61 M MACs."""
    return _create("squeezenet_bn_sc", pretrained, {"kernels": None, "partial": (False, False)}, kwargs)


@register_model
def squeezenet_separable(pretrained: bool = False, **kwargs: Any) -> PdmsNet:
    """The above with depthwise separable expand branches: 255,942 parameters, 360.57 M MACs."""
    return _create("squeezenet_separable", pretrained, {"kernels": (3,), "partial": (False, False)}, kwargs)


@register_model
def squeezenet_dms(pretrained: bool = False, **kwargs: Any) -> PdmsNet:
    """The above with mixed kernel sizes: 261,446 parameters, 366.27 M MACs."""
    return _create("squeezenet_dms", pretrained, {"partial": (False, False)}, kwargs)


@register_model
def pdmsnet(pretrained: bool = False, **kwargs: Any) -> PdmsNet:
    """PDMSNet(T,T): 168,014 parameters, 272.00 M MACs."""
    return _create("pdmsnet", pretrained, {}, kwargs)
