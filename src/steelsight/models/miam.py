"""MIAM, mixed interactive attention: a plug-in that keeps the shape of the feature map it stands behind.

Pei and others: ILCS, an improved lightweight convolution structure and mixed interactive attention for steel surface
defect classification (paper 2 of `docs/reproduction.md`; section 4.2).

Each attention takes features (batch, channels, height, width), returns them refined in the same shape, and can be
used alone. Under mixed precision all that could overflow is computed in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from difflib import get_close_matches
from functools import partial
from typing import Any

import timm
import torch
import torch.nn.functional as F
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn

__all__ = ["ChannelAttention", "InteractiveAttention", "Miam", "SpatialAttention", "add_miam"]

RESNET50_STAGES, RESNET50_REDUCTION = ("layer2",), 64
MOBILENETV2_STAGES, MOBILENETV2_REDUCTION = ("bn1", "blocks.6"), 16
"""The paper does not say where MIAM stands in these two: the places are fitted to its printed counts."""


class ChannelAttention(nn.Module):
    """M_c(F) * F (eqs. 6, 7, 9): one perceptron judges the channels by their mean and by their maximum.

    Equation 7 shows no nonlinearity between the two layers; the ReLU is that of CBAM, whose notation it is.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.perceptron = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels))

    def weights(self, x: Tensor) -> Tensor:
        """M_c(F), 0..1: (batch, channels, 1, 1)."""
        pooled = self.average(x).flatten(1), x.amax((2, 3))
        with _no_autocast(x):
            mean, maximum = (self.perceptron(values.to(next(self.parameters()).dtype)) for values in pooled)
        return torch.sigmoid(mean + maximum)[:, :, None, None]

    def forward(self, x: Tensor) -> Tensor:
        return self.weights(x).to(x.dtype) * x


class SpatialAttention(nn.Module):
    """M_s(F) * F (eqs. 4, 5, 10): a convolution judges the places by mean and maximum over the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 3, padding=1, bias=False)

    def weights(self, x: Tensor) -> Tensor:
        """M_s(F), 0..1: (batch, 1, height, width)."""
        pooled = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)
        with _no_autocast(x):
            return torch.sigmoid(self.conv(pooled.to(self.conv.weight.dtype)))

    def forward(self, x: Tensor) -> Tensor:
        return self.weights(x).to(x.dtype) * x


class InteractiveAttention(nn.Module):
    """M_i(F) (eq. 8): every channel times its own spatial transpose. Has no parameters.

    Raises ValueError for features that are not square, unless `resize_transpose` fits the transpose to their shape.
    """

    def __init__(self, resize_transpose: bool = False) -> None:
        super().__init__()
        self.resize_transpose = resize_transpose

    def product(self, x: Tensor) -> Tensor:
        """M_i(F) in float32 at least: it is quadratic in F and leaves the range of half precision."""
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        size = x.shape[2:]
        if size[0] == size[1]:
            return x * x.transpose(2, 3)
        if not self.resize_transpose:
            raise ValueError(
                f"Interactive attention needs a square feature map, not {size[0]}x{size[1]}; "
                "give square pictures, or resize_transpose=True."
            )
        return x * F.interpolate(x.transpose(2, 3), size=size, mode="bilinear", align_corners=False)

    def forward(self, x: Tensor) -> Tensor:
        return _in_range(self.product(x), x)


class Miam(nn.Module):
    """F'' + M_i(F), where F' = M_c(F) * F and F'' = M_s(F') * F' (eqs. 9 to 11).

    Raises ValueError for features that are not square, unless `resize_transpose`.
    """

    def __init__(self, channels: int, reduction: int = 16, resize_transpose: bool = False) -> None:
        super().__init__()
        self.channel = ChannelAttention(channels, reduction)
        self.spatial = SpatialAttention()
        self.interactive = InteractiveAttention(resize_transpose)

    def forward(self, x: Tensor) -> Tensor:
        return _in_range(self.spatial(self.channel(x)) + self.interactive.product(x), x)


def _is_autocast(x: Tensor) -> bool:
    """Whether mixed precision is on where x is; some devices, such as `meta`, know none."""
    device = x.device.type
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


def _no_autocast(x: Tensor) -> AbstractContextManager[Any]:
    # Where there is nothing to switch off, the exporter should not meet the switch.
    return torch.autocast(x.device.type, enabled=False) if _is_autocast(x) else nullcontext()


def _in_range(result: Tensor, x: Tensor) -> Tensor:
    """The result in the precision of the layers around x; beyond float16's largest number it is that, not infinity."""
    dtype = torch.get_autocast_dtype(x.device.type) if _is_autocast(x) else x.dtype
    limit = torch.finfo(dtype).max
    return result.clamp(-limit, limit).to(dtype) if dtype == torch.float16 else result.to(dtype)


def add_miam(
    network: nn.Module, stages: Sequence[str], reduction: int = 16, resize_transpose: bool = False
) -> nn.Module:
    """Puts a MIAM behind each named stage of a timm network, in place, and returns the network.

    stages: submodules by the names of `network.named_modules()`, each with one output (batch, channels, height,
    width); the channels are found by one pass. A stage's weights move to `<stage>.0`, so load pretrained ones before.
    Raises ValueError for a name that the network does not have (the nearest are listed), and for a stage without
    such a feature map.
    """
    names = [stages] if isinstance(stages, str) else list(stages)
    channels = _channels_behind(network, names)
    for name in sorted(names, key=len, reverse=True):  # what lies inside another stage first
        miam = Miam(channels[name], reduction, resize_transpose)
        network.set_submodule(name, nn.Sequential(network.get_submodule(name), miam))
    return network


def _channels_behind(network: Any, names: Sequence[str]) -> dict[str, int]:
    known = {name: module for name, module in network.named_modules() if name}
    for name in names:
        if name not in known:
            near = ", ".join(get_close_matches(name, known, n=5, cutoff=0.4) or dict(network.named_children()))
            raise ValueError(f"The network has no stage called {name!r}; the nearest names: {near}.")
    outputs = _outputs(network, {name: known[name] for name in names})
    for name in names:
        output = outputs.get(name)
        is_map = isinstance(output, Tensor) and output.ndim == 4
        if not is_map or getattr(network, "output_fmt", "NCHW") != "NCHW":
            raise ValueError(f"Stage {name!r} has no output (batch, channels, height, width) that MIAM could refine.")
    return {name: outputs[name].shape[1] for name in names}


def _outputs(network: Any, stages: dict[str, nn.Module]) -> dict[str, Any]:
    """What the stages return for a blank picture of the network's own size; the network stays as it was."""
    outputs: dict[str, Any] = {}

    def keep(name: str, _: nn.Module, __: Any, output: Any) -> None:
        outputs[name] = output

    hooks = [stage.register_forward_hook(partial(keep, name)) for name, stage in stages.items()]
    stem = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    was_training, (_, *size) = network.training, network.pretrained_cfg["input_size"]
    try:
        with torch.no_grad():
            network.eval()(stem.weight.new_zeros(1, stem.in_channels, *size))
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    return outputs


def _cfg(**changes: Any) -> dict[str, Any]:
    return {
        "crop_pct": 1.0,
        "interpolation": "bilinear",
        "mean": (0.4, 0.4, 0.4),
        "std": (0.2, 0.2, 0.2),
        "classifier": "classifier",
        **changes,
    }


default_cfgs = generate_default_cfgs(
    {
        "resnet50_miam.untrained": _cfg(
            num_classes=1000, input_size=(3, 224, 224), pool_size=(7, 7), first_conv="conv1", classifier="fc"
        ),
        "mobilenetv2_miam.untrained": _cfg(
            num_classes=6, input_size=(3, 300, 300), pool_size=(10, 10), first_conv="conv_stem"
        ),
    }
)


@register_model
def resnet50_miam(
    pretrained: bool = False,
    stages: Sequence[str] = RESNET50_STAGES,
    reduction: int = RESNET50_REDUCTION,
    resize_transpose: bool = False,
    **kwargs: Any,
) -> nn.Module:
    """25,565,762 parameters at 1000 classes, as the paper counts; 65.79 G MACs for 16 pictures of 224 pixels."""

    def make(**options: Any) -> nn.Module:
        return add_miam(timm.create_model("resnet50", **options), stages, reduction, resize_transpose)

    return build_model_with_cfg(make, "resnet50_miam", pretrained, **kwargs)


@register_model
def mobilenetv2_miam(
    pretrained: bool = False,
    stages: Sequence[str] = MOBILENETV2_STAGES,
    reduction: int = MOBILENETV2_REDUCTION,
    resize_transpose: bool = False,
    **kwargs: Any,
) -> nn.Module:
    """2,244,896 parameters at 6 classes; 4.71 G MACs for 8 pictures of 300 pixels."""

    def make(**options: Any) -> nn.Module:
        return add_miam(timm.create_model("mobilenetv2_100", **options), stages, reduction, resize_transpose)

    return build_model_with_cfg(make, "mobilenetv2_miam", pretrained, **kwargs)
