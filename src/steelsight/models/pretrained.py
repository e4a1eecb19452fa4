"""Shipped weights, for `timm.create_model(..., pretrained=True)`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources

from torch import Tensor, nn

__all__ = ["in_three_channels", "weights_file"]

Weights = dict[str, Tensor]


def weights_file(name: str) -> str:
    """Where the weights of a shipped model lie."""
    return str(resources.files("steelsight") / "weights" / f"{name}.safetensors")


def in_three_channels(first_conv: str) -> Callable[[Weights, nn.Module], Weights]:
    """A filter for timm, which expects three channels and adapts them to any other number; shipped weights have one."""
    name = f"{first_conv}.weight"

    def expand(weights: Weights, _: nn.Module) -> Weights:
        weight = weights[name]
        return {**weights, name: weight.expand(-1, 3, -1, -1) / 3 if weight.shape[1] == 1 else weight}

    return expand
