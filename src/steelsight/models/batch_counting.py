"""MACs by the rule that reproduces every figure of paper 2 (`counting.py` has that of paper 1).

Convolution: output elements x inputs that each sees, plus one an output where there is a bias. Linear: the same without
the bias. BatchNorm: 2 an element. Average pools: their window plus one an output. Maxima and all else: 0.
"""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor, nn


def batch_macs(network: nn.Module, input_size: tuple[int, int, int], batch: int = 1) -> int:
    """Multiply-accumulates of a batch of pictures of shape (channels, height, width).

    The paper prints totals of batches, 8 or 16 by network, under the name of FLOPs.
    """
    total = 0

    def count(module: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        total += _of_module(module, inputs[0], output)

    hooks = [module.register_forward_hook(count) for module in network.modules() if isinstance(module, COUNTED)]
    was_training = network.training
    with torch.no_grad():
        network.eval()(torch.zeros(1, *input_size))
    network.train(was_training)
    for hook in hooks:
        hook.remove()
    return batch * total


COUNTED = (nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)


def _of_module(module: Any, x: Tensor, output: Tensor) -> int:
    match module:
        case nn.Conv2d():
            return output.numel() * (prod(module.weight.shape[1:]) + int(module.bias is not None))
        case nn.Linear():
            return output.numel() * module.in_features
        case nn.BatchNorm2d():
            return 2 * output.numel()
        case _:
            return x.numel() + output.numel()
