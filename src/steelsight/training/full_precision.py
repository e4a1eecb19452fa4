"""Convolutions that processors compute in float32 faster than in bf16, while all others gain by bf16."""

from __future__ import annotations

from types import MethodType

import torch
from torch import Tensor, nn


def keep_full_precision(network: nn.Module) -> None:
    """Lets the convolutions of a network that bf16 makes slower answer in float32 under autocast on processors.

    Their gradient in bf16 takes oneDNN up to fifty times as long for depthwise ones with a stride or with kernels above
    3; one over a single channel, as over a picture, takes four times as long.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and _is_slow(module):
            module.forward = MethodType(_in_full_precision, module)  # type: ignore[method-assign]


def _is_slow(conv: nn.Conv2d) -> bool:
    if conv.in_channels == 1:
        return True
    is_depthwise = conv.groups == conv.in_channels
    return is_depthwise and (max(conv.stride) > 1 or max(conv.kernel_size) > 3)


def _in_full_precision(conv: nn.Conv2d, x: Tensor) -> Tensor:
    as_it_is = type(conv).forward
    if not torch.is_autocast_enabled("cpu"):
        return as_it_is(conv, x)
    with torch.autocast("cpu", enabled=False):
        answer = as_it_is(conv, x.float())
    return answer.to(torch.get_autocast_dtype("cpu"))
