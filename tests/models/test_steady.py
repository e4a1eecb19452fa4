"""Layers that do not mind the light, by changing the light."""

from __future__ import annotations

import copy

import pytest
import timm
import torch
from timm.utils.model import reparameterize_model
from torch import Tensor, nn

from steelsight.models.steady import PlaceNorm, SteadyConv


def picture(seed: int = 0) -> Tensor:
    return torch.rand(2, 1, 48, 48, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def layers() -> nn.Module:
    """As MillNet begins, after some pictures."""
    torch.manual_seed(0)
    made = nn.Sequential(
        SteadyConv(1, 16, 8, 4, zero_mean=True), nn.ReLU(), SteadyConv(16, 32, 3, 2, padding=1), nn.ReLU(), PlaceNorm()
    )
    for _ in range(60):
        made.train()(picture())
    return made.eval()


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0.3), (0.5, 0.0), (3.0, -0.2)])
def test_brightness_and_contrast_leave_the_answer_alone(layers: nn.Module, gain: float, offset: float) -> None:
    expected = layers(picture(1))
    assert expected.std() > 0.1
    changed = (layers(gain * picture(1) + offset) - expected).abs()
    assert changed.mean() < 0.01 * expected.mean()


def test_every_place_is_as_strong_as_every_other(layers: nn.Module) -> None:
    strengths = layers(picture(1)).square().mean(1)
    torch.testing.assert_close(strengths, torch.ones_like(strengths), atol=0.02, rtol=0)


def test_power_follows_the_pictures_as_batch_norm_does() -> None:
    conv = SteadyConv(1, 4, 3)
    for _ in range(200):
        found = conv.train()(picture())
    assert torch.allclose(found.square().mean((0, 2, 3)), torch.ones(4), atol=1e-3)
    torch.testing.assert_close(conv.eval()(picture()), found, atol=1e-3, rtol=1e-3)


def test_folds_into_plain_convolutions(layers: nn.Module) -> None:
    folded = reparameterize_model(copy.deepcopy(layers))
    assert not any(isinstance(module, SteadyConv) for module in folded.modules())
    torch.testing.assert_close(folded(picture(2)), layers(picture(2)), atol=1e-5, rtol=1e-4)


def test_millnet_answers_alike_in_any_light() -> None:
    torch.manual_seed(0)
    network = timm.create_model("millnet", in_chans=1, stem=(16, 8, 4), steady=True).eval()
    grey = torch.rand(1, 1, 200, 200) * 0.5 + 0.25
    torch.testing.assert_close(network(0.5 * grey + 0.1), network(grey), atol=0.02, rtol=0.02)
