"""Layers that do not mind the light: what comes out is the same, or the same times a factor, however bright the steel.

Convolutions without any constant answer twice the contrast with twice the output (Mohan and others: Robust and
interpretable blind image denoising via bias-free convolutional neural networks, 2020); filters that add up to zero do
not see the brightness; dividing each place by its own strength then takes the contrast away (Karras and others:
Progressive growing of GANs, 2018, section 4.2).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["PlaceNorm", "SteadyConv"]

SMALLEST = 1e-5
"""Is added to the power of a channel, as in BatchNorm."""
FAINT = 1e-4
"""Is added to the power of a place, so that the noise of smooth steel does not become as strong as a defect."""
MOMENTUM = 0.1
"""Share of a batch in the running power, as in BatchNorm."""


class SteadyConv(nn.Conv2d):
    """A convolution and the scaling half of a BatchNorm: divides by the root of the mean square, adds nothing.

    zero_mean: each filter adds up to zero over the picture's pixels.
    """

    power: Tensor

    def __init__(
        self,
        in_chans: int,
        channels: int,
        kernel: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        zero_mean: bool = False,
    ) -> None:
        super().__init__(in_chans, channels, kernel, stride, padding, dilation, bias=False)
        self.zero_mean = zero_mean
        self.scale = nn.Parameter(torch.ones(channels))
        self.register_buffer("power", torch.ones(channels))

    def filters(self) -> Tensor:
        return self.weight - self.weight.mean((1, 2, 3), keepdim=True) if self.zero_mean else self.weight

    def forward(self, x: Tensor) -> Tensor:
        x = self._conv_forward(x, self.filters(), None)
        power = self.power
        if self.training:
            power = x.float().square().mean((0, 2, 3))
            with torch.no_grad():
                self.power.lerp_(power, MOMENTUM)
        return x * self._factor(power)[:, None, None].to(x.dtype)

    def fuse(self) -> nn.Conv2d:
        """The same as one plain convolution, for `timm.utils.reparameterize_model`."""
        names = ("kernel_size", "stride", "padding", "dilation")
        shape: Any = {name: getattr(self, name) for name in names}
        plain = nn.Conv2d(self.in_channels, self.out_channels, bias=False, **shape)
        with torch.no_grad():
            plain.weight.copy_(self.filters() * self._factor(self.power)[:, None, None, None])
        return plain

    def _factor(self, power: Tensor) -> Tensor:
        return self.scale * torch.rsqrt(power + SMALLEST)


class PlaceNorm(nn.Module):
    """Divides the channels of each place by the root of their mean square, (batch, channels, h, w) -> the same."""

    def forward(self, x: Tensor) -> Tensor:
        power = x.float().square().mean(1, keepdim=True)
        return x * torch.rsqrt(power + FAINT).to(x.dtype)
