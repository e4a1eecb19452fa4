"""Depthwise convolutions are computed in float32 where bf16 is slow, and all else as before."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from steelsight.training.depthwise import DepthwiseInFullPrecision


def _answer(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    with torch.autocast("cpu", dtype=torch.bfloat16), DepthwiseInFullPrecision():
        return conv(x)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ({"kernel_size": 3, "stride": 2, "groups": 8}, torch.float32),
        ({"kernel_size": 5, "groups": 8}, torch.float32),
        ({"kernel_size": (1, 7), "groups": 8}, torch.float32),
        ({"kernel_size": 3, "groups": 8}, torch.bfloat16),
        ({"kernel_size": 5, "stride": 2}, torch.bfloat16),
        ({"kernel_size": 5, "stride": 2, "groups": 2}, torch.bfloat16),
    ],
)
def test_only_slow_depthwise_convolutions_keep_full_precision(shape: dict, expected: torch.dtype) -> None:
    assert _answer(nn.Conv2d(8, 8, **shape), torch.randn(1, 8, 16, 16)).dtype == expected


def test_answers_and_gradients_are_those_of_full_precision() -> None:
    torch.manual_seed(0)
    conv, x = nn.Conv2d(8, 8, 3, 2, 1, groups=8), torch.randn(2, 8, 16, 16)
    expected = conv(x)
    expected.square().sum().backward()
    gradient = conv.weight.grad.clone()
    conv.zero_grad()
    found = _answer(conv, x.bfloat16().float())
    assert torch.allclose(found, expected, atol=0.02)
    found.square().sum().backward()
    assert torch.allclose(conv.weight.grad, gradient, rtol=0.02, atol=0.05)


def test_nothing_changes_outside_mixed_precision() -> None:
    conv, x = nn.Conv2d(8, 8, 3, 2, 1, groups=8), torch.randn(1, 8, 16, 16)
    with DepthwiseInFullPrecision():
        assert torch.equal(conv(x), conv(x.clone()))
        assert conv.double()(x.double()).dtype == torch.float64
