"""Parameters and MACs by the rule that reproduces every figure of paper 1.

Convolution and linear: output elements x inputs that each sees, plus one an output where there is a bias.
BatchNorm: 2 an element. ReLU: 1 an element. Pools: their input elements. Additions, concatenation, dropout: 0.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor, nn


def parameters(network: nn.Module) -> int:
    """How many numbers training adjusts."""
    return sum(parameter.numel() for parameter in network.parameters())


def macs(network: nn.Module, input_size: tuple[int, int, int]) -> int:
    """Multiply-accumulates of one picture of shape (channels, height, width)."""
    total = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        total += _of_module(module, inputs[0], output)

    hooks = [module.register_forward_hook(count) for module in network.modules() if not list(module.children())]
    was_training = network.training
    with torch.no_grad():
        network.eval()(torch.zeros(1, *input_size))
    network.train(was_training)
    for hook in hooks:
        hook.remove()
    return total


def _of_module(module: nn.Module, x: Tensor, output: Tensor) -> int:
    for kind, rule in _RULES:
        if isinstance(module, kind):
            return rule(module, x, output)
    return 0


def _weighted(module: Any, _: Tensor, output: Tensor) -> int:
    return output.numel() * (prod(module.weight.shape[1:]) + int(module.bias is not None))


_RULES: tuple[tuple[type[nn.Module] | tuple[type[nn.Module], ...], Callable[[nn.Module, Tensor, Tensor], int]], ...] = (
    ((nn.Conv2d, nn.Linear), _weighted),
    (nn.BatchNorm2d, lambda _, __, output: 2 * output.numel()),
    (nn.ReLU, lambda _, __, output: output.numel()),
    ((nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d), lambda _, x, __: x.numel()),
)
