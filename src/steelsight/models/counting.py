"""Parameters and MACs (multiply-accumulates), by the rules of the two papers, which print MACs under the name of FLOPs.

Each rule is a table: the kinds of module that count, and what one pass through such a module costs. It reproduces every
figure that its paper prints; the rules differ, so compare only what was counted by the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["PAPER_1", "PAPER_2", "macs", "parameters"]

Cost = Callable[[Any, Tensor, Tensor], int]
"""(module, input, output) -> MACs."""
Rule = Mapping[type[nn.Module], Cost]


def _weights(module: Any, _: Tensor, output: Tensor) -> int:
    return output.numel() * int(module.weight[0].numel())


def _weights_and_bias(module: Any, _: Tensor, output: Tensor) -> int:
    return output.numel() * (int(module.weight[0].numel()) + int(module.bias is not None))


def _inputs(_: Any, x: Tensor, __: Tensor) -> int:
    return x.numel()


def _outputs(_: Any, __: Tensor, output: Tensor) -> int:
    return output.numel()


def _twice_outputs(_: Any, __: Tensor, output: Tensor) -> int:
    return 2 * output.numel()


def _inputs_and_outputs(_: Any, x: Tensor, output: Tensor) -> int:
    return x.numel() + output.numel()


PAPER_1: Rule = {
    nn.Conv2d: _weights_and_bias,
    nn.Linear: _weights_and_bias,
    nn.BatchNorm2d: _twice_outputs,
    nn.ReLU: _outputs,
    nn.MaxPool2d: _inputs,
    nn.AvgPool2d: _inputs,
    nn.AdaptiveAvgPool2d: _inputs,
}
"""Convolution and linear: for each output the inputs that it sees, plus one where it has a bias. BatchNorm: 2 an
element. ReLU: 1 an element. Pools: their inputs. All else, other activations included: 0."""

PAPER_2: Rule = {
    nn.Conv2d: _weights_and_bias,
    nn.Linear: _weights,
    nn.BatchNorm2d: _twice_outputs,
    nn.AvgPool2d: _inputs_and_outputs,
    nn.AdaptiveAvgPool2d: _inputs_and_outputs,
}
"""Convolution: as in paper 1. Linear: the same without its bias. BatchNorm: 2 an element. Average pools: the window,
plus one, for each output. All else, maxima and activations included: 0. The paper prints totals of batches."""


def parameters(network: nn.Module) -> int:
    """How many numbers training adjusts."""
    return sum(parameter.numel() for parameter in network.parameters())


def macs(network: nn.Module, input_size: tuple[int, int, int], rule: Rule = PAPER_1) -> int:
    """MACs of one picture of shape (channels, height, width).

    The pass is made by a copy on torch's `meta` device, which works out shapes alone: the network stays as it is, and
    its size costs nothing.
    """
    shapes = deepcopy(network).to("meta").eval()
    total = 0

    def count(cost: Cost, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        total += cost(module, inputs[0], output)

    # A module with parts of its own can count too: timm's BatchNormAct2d is a BatchNorm that holds its activation.
    for module in shapes.modules():
        cost = next((cost for kind, cost in rule.items() if isinstance(module, kind)), None)
        if cost is not None:
            module.register_forward_hook(partial(count, cost))
    with torch.no_grad():
        shapes(torch.zeros(1, *input_size, device="meta"))
    return total
