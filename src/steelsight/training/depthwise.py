"""Depthwise convolutions of processors in full precision, where bf16 would make training several times slower."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

ARGUMENTS = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
"""Of `torch.conv2d`, in order."""


class DepthwiseInFullPrecision(TorchFunctionMode):
    """Inside it, depthwise convolutions with a stride or with kernels above 3 are not rounded to bf16 on processors.

    Their gradient in bf16 takes oneDNN up to fifty times as long as in float32; the other convolutions gain by bf16.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.conv2d and torch.is_autocast_enabled("cpu"):
            given = dict(zip(ARGUMENTS, args, strict=False)) | (kwargs or {})
            if _is_slow(given):
                with torch.autocast("cpu", enabled=False):
                    return func(**{**given, "input": given["input"].float()})
        return func(*args, **(kwargs or {}))


def has_depthwise(network: nn.Module) -> bool:
    """Whether it may have such convolutions: to look at every call of a small network that has none takes a while."""
    return any(
        isinstance(module, nn.Conv2d) and 1 < module.groups == module.in_channels for module in network.modules()
    )


def _is_slow(given: Mapping[str, Any]) -> bool:
    stride, groups = given.get("stride", 1), given.get("groups", 1)
    strides = stride if isinstance(stride, tuple | list) else (stride,)
    is_depthwise = 1 < groups == given["input"].shape[1]
    return bool(is_depthwise and (max(strides) > 1 or max(given["weight"].shape[2:]) > 3))
