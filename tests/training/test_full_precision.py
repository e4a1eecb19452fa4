"""Convolutions are computed in float32 where bf16 is slow, and all else as before."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

from steelsight.training.full_precision import keep_full_precision


def _answer(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    keep_full_precision(conv)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return conv(x)


def _is_rounded(conv: nn.Conv2d, x: torch.Tensor) -> bool:
    """Whether the convolution computed in bf16; its answer is rounded to it in any case."""
    expected = conv(x).bfloat16()
    return not torch.equal(_answer(conv, x), expected)


@pytest.mark.parametrize(
    ("channels", "shape", "expected"),
    [
        (8, {"kernel_size": 3, "stride": 2, "groups": 8}, False),
        (8, {"kernel_size": 5, "groups": 8}, False),
        (8, {"kernel_size": (1, 7), "groups": 8}, False),
        (1, {"kernel_size": 4, "stride": 4}, False),
        (8, {"kernel_size": 3, "groups": 8}, True),
        (8, {"kernel_size": 5, "stride": 2}, True),
        (8, {"kernel_size": 5, "stride": 2, "groups": 2}, True),
    ],
)
def test_only_slow_convolutions_keep_full_precision(channels: int, shape: dict, expected: bool) -> None:
    torch.manual_seed(0)
    assert _is_rounded(nn.Conv2d(channels, 8, **shape), torch.randn(4, channels, 16, 16)) is expected


def test_answers_and_gradients_are_those_of_full_precision() -> None:
    torch.manual_seed(0)
    conv, x = nn.Conv2d(8, 8, 3, 2, 1, groups=8), torch.randn(2, 8, 16, 16)
    expected = conv(x)
    expected.square().sum().backward()
    gradient = conv.weight.grad.clone()
    conv.zero_grad()
    found = _answer(conv, x.bfloat16().float())
    assert found.dtype == torch.bfloat16
    assert torch.allclose(found.float(), expected, atol=0.02)
    found.float().square().sum().backward()
    assert torch.allclose(conv.weight.grad, gradient, rtol=0.02, atol=0.05)


def test_nothing_changes_outside_mixed_precision() -> None:
    conv, x = nn.Conv2d(8, 8, 3, 2, 1, groups=8), torch.randn(1, 8, 16, 16)
    expected = conv(x)
    keep_full_precision(conv)
    assert torch.equal(conv(x), expected)
    assert conv.double()(x.double()).dtype == torch.float64


def test_a_copy_of_the_network_computes_with_its_own_weights() -> None:
    conv, x = nn.Conv2d(1, 2, 3), torch.randn(1, 1, 8, 8)
    keep_full_precision(conv)
    other = deepcopy(conv)
    nn.init.zeros_(other.weight)
    assert not torch.equal(other(x), conv(x))
